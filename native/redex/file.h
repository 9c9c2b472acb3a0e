#pragma once
// One log, as its users hold it.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "redex/config.h"
#include "redex/event.h"
#include "redex/tail.h"

namespace netmesh::redex {

class Log;

/// A log's state at one instant.
struct FileStats {
  std::uint64_t events = 0;         ///< retained
  std::uint64_t first_seq = 0;      ///< of the oldest retained event, else `next_seq`
  std::uint64_t next_seq = 0;       ///< of the event that is appended next
  std::uint64_t payload_bytes = 0;  ///< retained, without inline payloads
  std::uint64_t synced_seq = 0;     ///< everything before it is on disk; zero in memory
  std::uint64_t corrupt_reads = 0;  ///< events that readers did not get because of their checksum
  std::uint64_t failed_syncs = 0;   ///< of those that ran by themselves
  std::uint64_t compactions = 0;
};

using SyncCallback = std::function<void(Expected<void>)>;

/// An append-only sequence of events, numbered 0, 1, 2, … All methods are for any thread. Appending
/// and reading take the log's lock for about as long as copying takes; syncing, compaction and
/// deletion happen on a thread of their own and hold nobody up.
///
/// An event appended to a persistent log is with the operating system when the call returns: it
/// survives the process, though not a power cut before the next sync.
///
/// Errors are those of `errors.h`. An append that fails has changed nothing.
class File {
 public:
  File(std::string name, std::shared_ptr<Log> log, std::function<void(const File&)> on_close);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& name() const { return name_; }

  /// The event's sequence number. Empty payloads are events, too.
  Expected<std::uint64_t> append(ByteSpan payload);
  /// The first sequence number; all of them or none, with one timestamp. Nothing appended: the
  /// next sequence number.
  Expected<std::uint64_t> append_batch(std::span<const ByteSpan> payloads);
  /// A payload inside the index record.
  Expected<std::uint64_t> append_inline(std::span<const std::byte, kInlineBytes> payload);
  /// `append_batch`, if the log is still where the caller thinks: fails with kRedex when
  /// `expected_next` is not the next sequence number. For replicas and conditional writers.
  Expected<std::uint64_t> append_at(std::uint64_t expected_next,
                                    std::span<const ByteSpan> payloads);

  /// Adds the retained events of `[start, end)` to `batch`, as many as `limits` allow, without
  /// those whose checksum does not fit. Returns where to go on: `end` or later when there is no
  /// more. Works on a closed file.
  std::uint64_t read_range(std::uint64_t start, std::uint64_t end, EventBatch& batch,
                           const ReadLimits& limits) const;
  /// The same without limits.
  void read_range(std::uint64_t start, std::uint64_t end, EventBatch& batch) const;

  /// Follows the log from `from_seq` on, which may lie ahead. On a closed file the tail has ended,
  /// and when `from_seq` is no longer retained it has lagged.
  std::unique_ptr<Tail> tail(std::uint64_t from_seq, std::function<void()> on_ready);

  /// Retained events.
  std::uint64_t length() const;
  std::uint64_t next_seq() const;
  FileStats stats() const;

  /// Drops what is older than `target` and goes on from there. Does nothing when the log is there
  /// already. A persistent log remembers it from its next event on. For replicas and restored
  /// snapshots.
  Expected<void> skip_to(std::uint64_t target);
  /// Applies the retention limits now. They hold without it; this also gives memory and disk space
  /// back at once.
  void sweep_retention();

  /// Makes everything appended so far durable. `done` is called once, on the disk thread, or before
  /// this returns when there is nothing to do. Calls that come while one runs share the next.
  void sync(SyncCallback done);
  /// The same, waiting.
  Expected<void> sync();

  /// Refuses appends and ends tails, before it returns; then syncs. `done` gets the result of the
  /// sync the first time, success later. Readable until the last reference goes.
  void close(SyncCallback done);
  Expected<void> close();
  bool closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  const std::string name_;
  const std::shared_ptr<Log> log_;
  const std::function<void(const File&)> on_close_;
  std::atomic<bool> closed_{false};
};

}  // namespace netmesh::redex
