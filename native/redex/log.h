#pragma once
// The log behind one or more `File`s: numbering, retention and tails over a store.

#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "redex/errors.h"
#include "redex/file.h"
#include "redex/store.h"

namespace netmesh::redex {

/// What a log knows of one tail. Fields without a note belong to the log's lock.
struct TailCore {
  const void* owner = nullptr;  ///< the file that it was opened through
  std::uint64_t cursor = 0;     ///< next to be handed out
  /// Nothing at or beyond it will be handed out.
  std::optional<std::uint64_t> end;
  bool lagged = false;
  bool closed = false;
  bool armed = false;  ///< in `Log::armed_`
  /// Held while the callback runs, and to drop it. Taken after the log's lock or without it.
  std::mutex notify_mutex;
  std::function<void()> on_ready;
};

class Log {
 public:
  Log(std::unique_ptr<Store> store, const RetentionPolicy& retention, WallClock clock,
      std::uint64_t next_seq);
  virtual ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  struct Append {
    std::span<const ByteSpan> payloads;
    bool inline_payloads = false;
    std::optional<std::uint64_t> expected_next;
  };
  Expected<std::uint64_t> append(const Append& request);
  std::uint64_t read_range(std::uint64_t start, std::uint64_t end, EventBatch& batch,
                           const ReadLimits& limits);

  std::shared_ptr<TailCore> add_tail(const void* owner, std::uint64_t from_seq,
                                     std::function<void()> on_ready, bool ended);
  TailState take(TailCore& core, EventBatch& batch, const ReadLimits& limits);
  void close_tail(const std::shared_ptr<TailCore>& core);
  /// The tails opened through `owner` end here.
  void end_tails(const void* owner);
  std::uint64_t position(const TailCore& core) const;

  virtual FileStats stats();
  void skip_to(std::uint64_t target);
  virtual void sweep_retention();

  /// `done` as in `File::sync`. In memory there is nothing to do.
  virtual void sync(SyncCallback done);
  /// Every file of a log gives it back once: by closing it, or else by its end.
  virtual void close(SyncCallback done);
  virtual void detach() {}

 protected:
  /// The first index in the store whose seq is not less.
  std::size_t lower_bound(std::uint64_t seq) const;
  void evict(UnixNanos now);
  void drop_unneeded();
  /// After an append, with the lock held.
  virtual void appended(std::size_t /*count*/, std::uint64_t /*bytes*/) {}
  UnixNanos now() const;

  mutable std::mutex mutex_;
  const std::unique_ptr<Store> store_;
  const RetentionPolicy retention_;
  const WallClock clock_;

  // Under `mutex_`.
  std::uint64_t next_seq_;
  std::size_t head_ = 0;              ///< first retained; before it is what tails still need
  std::uint64_t live_bytes_ = 0;      ///< payloads from `head_` on
  std::uint64_t live_cost_ = 0;       ///< the same as `max_bytes` counts
  std::uint64_t grace_bytes_ = 0;     ///< payloads before `head_`
  std::uint64_t dropped_before_ = 0;  ///< retention or `skip_to` took away what was before
  std::uint64_t corrupt_reads_ = 0;
  std::vector<std::shared_ptr<TailCore>> tails_;
  /// Those of `tails_` that wait for the event at their cursor.
  std::vector<std::shared_ptr<TailCore>> armed_;

 private:
  void collect(std::size_t first, std::uint64_t end, EventBatch& batch, const ReadLimits& limits,
               std::uint64_t& cursor) const;
  void disarm(TailCore& core);
};

}  // namespace netmesh::redex
