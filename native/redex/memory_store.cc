#include "redex/memory_store.h"

#include <algorithm>
#include <cstring>

namespace netmesh::redex {
namespace {

constexpr std::size_t kSmallestChunk = 4 * 1024;
constexpr std::size_t kLargestChunk = 1024 * 1024;

}  // namespace

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
    chunks_.pop_front();
    ++dropped_chunks_;
  }
}

MemoryStore::Chunk& MemoryStore::chunk_for(std::size_t bytes) {
  if (!chunks_.empty() && chunks_.back().capacity - chunks_.back().used >= bytes)
    return chunks_.back();
  const std::size_t grown = chunks_.empty() ? kSmallestChunk : chunks_.back().capacity * 2;
  Chunk chunk;
  chunk.capacity = std::max(bytes, std::clamp(grown, kSmallestChunk, kLargestChunk));
  chunk.bytes.reset(new std::byte[chunk.capacity]);
  return chunks_.emplace_back(std::move(chunk));
}

}  // namespace netmesh::redex
