#include "redex/memory_store.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "base/prefetch.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace netmesh::redex {
namespace {

constexpr std::size_t kSmallestChunk = 4 * 1024;
/// A large page: zeroed by the system in one go, instead of in 512 faults.
constexpr std::size_t kLargestChunk = 2 * 1024 * 1024;
/// A new chunk is about this part of the log, so that retention need not keep much more than asked.
constexpr std::size_t kShareOfLog = 4;

}  // namespace

/// Keeps one chunk of the largest size for the next that is needed: a log of bounded size then goes
/// on in memory that it has. Outlives the store for as long as batches hold chunks.
class MemoryStore::Spare : public std::enable_shared_from_this<Spare> {
 public:
  static constexpr std::size_t kBytes = kLargestChunk;

  ~Spare() { release(memory_); }

  std::shared_ptr<std::byte[]> take() {
    std::byte* memory = nullptr;
    {
      const std::lock_guard lock(mutex_);
      std::swap(memory, memory_);
    }
    if (memory == nullptr) {
      memory = static_cast<std::byte*>(::operator new(kBytes, kAlignment));
#if defined(MADV_HUGEPAGE)
      ::madvise(memory, kBytes, MADV_HUGEPAGE);
#endif
    }
    return {memory, [self = shared_from_this()](std::byte* gone) { self->give(gone); }};
  }

 private:
  static constexpr std::align_val_t kAlignment{kBytes};

  static void release(std::byte* memory) { ::operator delete(memory, kAlignment); }

  void give(std::byte* memory) {
    {
      const std::lock_guard lock(mutex_);
      std::swap(memory, memory_);
    }
    release(memory);
  }

  std::mutex mutex_;
  std::byte* memory_ = nullptr;
};

MemoryStore::MemoryStore() : spare_(std::make_shared<Spare>()) {}

IndexRecord MemoryStore::record_at(std::size_t index) const {
  const Entry& entry = entries_[index];
  return {entry.seq, 0, entry.length, entry.flags_and_checksum};
}

EventView MemoryStore::view(std::size_t index) const {
  const Entry& entry = entries_[index];
  return {entry.seq,
          entry.timestamp,
          {entry.payload, entry.length},
          entry.flags_and_checksum & kChecksumMask,
          (entry.flags_and_checksum & kInlineFlag) != 0};
}

void MemoryStore::pin(std::size_t first, std::size_t last, EventBatch& batch) const {
  if (first == last) return;
  const std::uint64_t until = entries_[last - 1].chunk;
  for (std::uint64_t chunk = entries_[first].chunk; chunk <= until; ++chunk) {
    batch.pin(chunks_[static_cast<std::size_t>(chunk - dropped_chunks_)].bytes);
  }
}

Expected<void> MemoryStore::append(const NewEvents& events) {
  std::uint64_t seq = events.first_seq;
  const std::uint32_t flags = events.inline_payloads ? kInlineFlag : 0;
  for (const ByteSpan payload : events.payloads) {
    Chunk& chunk = chunk_for(payload.size());
    std::byte* at = chunk.bytes.get() + chunk.used;
    prefetch_ahead(at, payload.size());
    if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
    chunk.used += payload.size();
    // The hash is that of the copy: the caller's memory may be shared with others who write to it.
    const std::uint32_t checksum = checksum28({at, payload.size()});
    entries_.push_back({seq++, events.timestamp, at, static_cast<std::uint32_t>(payload.size()),
                        checksum | flags, dropped_chunks_ + chunks_.size() - 1});
  }
  return {};
}

void MemoryStore::drop(std::size_t count) {
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count));
  // The last chunk stays: the next event goes there.
  const std::uint64_t first_used =
      entries_.empty() ? dropped_chunks_ + chunks_.size() - (chunks_.empty() ? 0 : 1)
                       : entries_.front().chunk;
  while (dropped_chunks_ < first_used) {
    chunk_bytes_ -= chunks_.front().capacity;
    chunks_.pop_front();
    ++dropped_chunks_;
  }
}

MemoryStore::Chunk& MemoryStore::chunk_for(std::size_t bytes) {
  if (!chunks_.empty() && chunks_.back().capacity - chunks_.back().used >= bytes)
    return chunks_.back();
  const std::size_t wanted =
      std::clamp(std::bit_floor(chunk_bytes_ / kShareOfLog), kSmallestChunk, kLargestChunk);
  Chunk chunk;
  chunk.capacity = std::max(bytes, wanted);
  chunk.bytes = chunk.capacity == Spare::kBytes
                    ? spare_->take()
                    : std::shared_ptr<std::byte[]>(new std::byte[chunk.capacity]);
  chunk_bytes_ += chunk.capacity;
  return chunks_.emplace_back(std::move(chunk));
}

}  // namespace netmesh::redex
