#pragma once
// A log's records on disk: the live generation, and the next one while it is made.

#include "redex/generation.h"

namespace netmesh::redex {

/// Dropped records stay in the files until a compaction copies the others into a new generation.
/// While that goes on, appends go into both, so that the log is whole in whichever is live.
class DiskStore final : public Store {
 public:
  explicit DiskStore(std::shared_ptr<Generation> live) : live_(std::move(live)) {}

  std::size_t size() const override { return live_->records() - first_; }
  std::uint64_t seq_at(std::size_t index) const override;
  UnixNanos timestamp_at(std::size_t index) const override;
  IndexRecord record_at(std::size_t index) const override;
  EventView view(std::size_t index) const override;
  void pin(std::size_t first, std::size_t last, EventBatch& batch) const override;
  Expected<void> append(const NewEvents& events) override;
  void drop(std::size_t count) override;

  const std::shared_ptr<Generation>& live() const { return live_; }
  /// Records and bytes that a compaction would free.
  std::size_t dead_records() const { return first_; }
  std::uint64_t dead_bytes() const { return dead_bytes_; }
  std::uint64_t all_bytes() const;

  /// Appends go into `next` as well from now on; it holds all records but the first `skipped`,
  /// which count for `skipped_bytes`.
  void begin_mirror(std::shared_ptr<Generation> next, std::size_t skipped,
                    std::uint64_t skipped_bytes);
  /// From here on an append must reach both, as either may be the live one after a crash.
  /// False when there is no mirror any more, because it could not take an append.
  bool commit_mirror();
  void drop_mirror() { mirror_.reset(); }
  /// The mirror is the live generation now. Returns the old one.
  std::shared_ptr<Generation> finish_mirror();

 private:
  std::shared_ptr<Generation> live_;
  std::size_t first_ = 0;
  std::uint64_t dead_bytes_ = 0;
  std::shared_ptr<Generation> mirror_;
  std::size_t mirror_skipped_ = 0;
  std::uint64_t mirror_skipped_bytes_ = 0;
  bool mirror_committed_ = false;
};

}  // namespace netmesh::redex
