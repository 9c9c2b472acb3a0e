#pragma once
// Slabs that hold the payloads of many events, one after another.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>

#include "base/block_cache.h"
#include "base/bytes.h"

namespace netmesh::bus {

/// Payload bytes of consecutive events. Freed when nobody holds it any more: each event that lies
/// in it counts as one holder, and so does the writer that still fills it.
class Segment {
 public:
  /// Of ordinary segments, header included: the block size that BlockCache keeps for reuse.
  static constexpr std::size_t kBlockBytes = 64 * 1024;

  /// Room for `payload_bytes` at least; held once, by the caller. Throws std::bad_alloc.
  static Segment* create(std::size_t payload_bytes) {
    std::size_t capacity = std::max(kBlockBytes, sizeof(Segment) + payload_bytes);
    std::byte* block = BlockCache::take(capacity);
    return new (block) Segment(capacity);
  }

  std::size_t room() const { return capacity_ - sizeof(Segment) - used_; }
  /// The writer alone: copies `payload`, for which there is room, and returns its offset.
  std::uint32_t append(ByteSpan payload) {
    const std::size_t offset = used_;
    if (!payload.empty()) std::memcpy(bytes() + offset, payload.data(), payload.size());
    used_ += payload.size();
    return static_cast<std::uint32_t>(offset);
  }
  ByteSpan view(std::uint32_t offset, std::uint32_t size) const { return {bytes() + offset, size}; }

  void hold(std::uint32_t holders = 1) { holders_.fetch_add(holders, std::memory_order_relaxed); }
  /// The last one to let go frees it.
  void release(std::uint32_t holders = 1) {
    if (holders_.fetch_sub(holders, std::memory_order_acq_rel) != holders) return;
    const std::size_t capacity = capacity_;
    this->~Segment();
    BlockCache::give(reinterpret_cast<std::byte*>(this), capacity);
  }

  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

 private:
  explicit Segment(std::size_t capacity) : capacity_(capacity) {}
  ~Segment() = default;

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this) + sizeof(Segment); }
  const std::byte* bytes() const {
    return reinterpret_cast<const std::byte*>(this) + sizeof(Segment);
  }

  std::atomic<std::uint32_t> holders_{1};
  const std::size_t capacity_;
  std::size_t used_ = 0;  ///< payload bytes; touched by the writer alone
};

/// One event of a shard: 24 bytes that are moved around, and a payload that is not. Owns one hold
/// on its segment; whoever takes a slot out of a queue gives that hold back. Left uninitialised on
/// purpose: rings of a million slots must not touch their memory before they use it.
struct EventSlot {
  Segment* segment;
  std::uint64_t timestamp;  ///< nanoseconds since the shard's clock began
  std::uint32_t offset;
  std::uint32_t size;

  ByteSpan payload() const { return segment->view(offset, size); }
};

/// Lets go of slots; neighbours in one segment cost one operation.
inline void release_slots(const EventSlot* slots, std::size_t count) {
  for (std::size_t i = 0; i < count;) {
    Segment* const segment = slots[i].segment;
    std::uint32_t run = 0;
    while (i < count && slots[i].segment == segment) {
      ++run;
      ++i;
    }
    segment->release(run);
  }
}

}  // namespace netmesh::bus
