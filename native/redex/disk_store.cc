#include "redex/disk_store.h"

#include <utility>

namespace netmesh::redex {

std::uint64_t DiskStore::seq_at(std::size_t index) const {
  return load_le<std::uint64_t>(live_->reader().record_bytes(first_ + index));
}

UnixNanos DiskStore::timestamp_at(std::size_t index) const {
  return live_->reader().timestamp_at(first_ + index);
}

IndexRecord DiskStore::record_at(std::size_t index) const {
  return live_->reader().record_at(first_ + index);
}

EventView DiskStore::view(std::size_t index) const { return live_->reader().view(first_ + index); }

void DiskStore::pin(std::size_t first, std::size_t last, EventBatch& batch) const {
  if (first == last) return;
  batch.pin(live_->reader().idx);
  batch.pin(live_->reader().dat);
}

Expected<void> DiskStore::append(const NewEvents& events) {
  const std::uint64_t bytes = events.inline_payloads ? 0 : events.bytes;
  if (mirror_) {
    if (auto mirrored = mirror_->append(events); !mirrored) {
      if (mirror_committed_) return mirrored;
      mirror_.reset();
    }
  }
  auto written = live_->append(events);
  if (!written && mirror_) {
    auto undone = mirror_->undo(events.payloads.size(), bytes);
    if (!undone && !mirror_committed_) mirror_.reset();
  }
  return written;
}

void DiskStore::drop(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dead_bytes_ += record_at(i).cost();
  first_ += count;
}

std::uint64_t DiskStore::all_bytes() const {
  return live_->dat_bytes() + std::uint64_t{live_->records()} * kRecordBytes;
}

void DiskStore::begin_mirror(std::shared_ptr<Generation> next, std::size_t skipped,
                             std::uint64_t skipped_bytes) {
  mirror_ = std::move(next);
  mirror_skipped_ = skipped;
  mirror_skipped_bytes_ = skipped_bytes;
  mirror_committed_ = false;
}

bool DiskStore::commit_mirror() {
  mirror_committed_ = mirror_ != nullptr;
  return mirror_committed_;
}

std::shared_ptr<Generation> DiskStore::finish_mirror() {
  std::shared_ptr<Generation> old = std::exchange(live_, std::exchange(mirror_, nullptr));
  first_ -= mirror_skipped_;
  dead_bytes_ -= mirror_skipped_bytes_;
  mirror_committed_ = false;
  return old;
}

}  // namespace netmesh::redex
