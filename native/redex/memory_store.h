#pragma once
// A log in memory.

#include <deque>
#include <memory>

#include "redex/store.h"

namespace netmesh::redex {

/// Payloads lie in chunks, never across two; a chunk is freed, or used again, when its last event
/// was dropped and no batch holds it. Chunks grow with the log, so that a small log stays small.
class MemoryStore final : public Store {
 public:
  MemoryStore();
  std::size_t size() const override { return entries_.size(); }
  std::uint64_t seq_at(std::size_t index) const override { return entries_[index].seq; }
  UnixNanos timestamp_at(std::size_t index) const override { return entries_[index].timestamp; }
  IndexRecord record_at(std::size_t index) const override;
  EventView view(std::size_t index) const override;
  void pin(std::size_t first, std::size_t last, EventBatch& batch) const override;
  Expected<void> append(const NewEvents& events) override;
  void drop(std::size_t count) override;

 private:
  struct Entry {
    std::uint64_t seq;
    UnixNanos timestamp;
    const std::byte* payload;
    std::uint32_t length;
    std::uint32_t flags_and_checksum;
    std::uint64_t chunk;  ///< in `chunks_`, counted from the first there ever was
  };
  struct Chunk {
    std::shared_ptr<std::byte[]> bytes;
    std::size_t capacity = 0;
    std::size_t used = 0;
  };

  /// A chunk with room for `bytes` more, the last one.
  Chunk& chunk_for(std::size_t bytes);

  std::deque<Entry> entries_;
  std::deque<Chunk> chunks_;
  std::size_t chunk_bytes_ = 0;  ///< capacities of `chunks_`
  class Spare;
  std::shared_ptr<Spare> spare_;
  std::uint64_t dropped_chunks_ = 0;
};

}  // namespace netmesh::redex
