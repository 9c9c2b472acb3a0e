#pragma once
// A log on disk: syncing, compaction and giving space back, on the disk threads.

#include <memory>
#include <string>

#include "redex/disk_store.h"
#include "redex/disk_threads.h"
#include "redex/log.h"
#include "redex/recovery.h"

namespace netmesh::redex {

/// Where and how a log on disk is opened.
struct DiskLogOptions {
  std::shared_ptr<Storage> storage;
  std::string directory;  ///< created if need be
  FileConfig config;
  WallClock clock;
  /// Without: nothing happens by itself, and the owner calls `run`. For the simulated disk.
  std::shared_ptr<DiskThreads> threads;
};

class DiskLog final : public Log, public DiskClient, public std::enable_shared_from_this<DiskLog> {
 public:
  /// The log of this directory that is open in the process, else the one on disk, recovered and
  /// locked against other processes. To be given back with `close` or `detach`; with the last of
  /// these the directory is free for others, and this log is only read any more.
  static Expected<std::shared_ptr<DiskLog>> open(DiskLogOptions options);
  ~DiskLog() override;

  void sync(SyncCallback done) override;
  void close(SyncCallback done) override;
  void detach() override;
  FileStats stats() override;
  void sweep_retention() override;
  /// Rewrites the log without what was evicted.
  Expected<void> compact();
  const RecoveryReport& recovery() const { return recovery_; }

  std::optional<DiskTime> run() override;

 private:
  friend class OpenLogs;
  DiskLog(DiskLogOptions options, std::unique_ptr<DirectoryLock> lock, RecoveredLog recovered);
  void appended(std::size_t count, std::uint64_t bytes) override;

  DiskStore& disk() const { return static_cast<DiskStore&>(*store_); }
  void wake(DiskTime when);
  bool worth_compacting() const;
  void run_sync();
  void run_prefault();
  Expected<void> compact_into(std::shared_ptr<Generation>& next);

  const std::shared_ptr<Storage> storage_;
  const std::string directory_;
  const FsyncPolicy fsync_;
  /// Not when the log syncs by itself: pages made ready would be written to the disk as zeros
  /// first.
  const bool prefaults_;
  const std::shared_ptr<DiskThreads> threads_;
  struct Slot;
  std::shared_ptr<Slot> slot_;  ///< in the table of open logs
  std::unique_ptr<DirectoryLock> lock_;
  std::size_t users_ = 0;  ///< not given back; under the slot's mutex
  /// Held during `run` and `compact`, and to give the directory up. Taken before all others.
  std::recursive_mutex work_mutex_;
  const RecoveryReport recovery_;

  // Under `mutex_`.
  std::vector<SyncCallback> waiting_;  ///< for the next sync
  std::shared_ptr<DiskLog> self_;      ///< while some wait
  bool retired_ = false;               ///< nobody uses it: the files are not ours any more
  bool sync_wanted_ = false;           ///< by the policy
  std::uint64_t synced_seq_ = 0;
  std::uint64_t events_since_signal_ = 0;  ///< counts towards `every_n`
  std::uint64_t bytes_since_signal_ = 0;
  std::optional<DiskTime> interval_due_;
  std::optional<DiskTime> trim_due_;
  std::uint64_t trim_seen_ = 0;  ///< `next_seq_` when the trim was last put off
  std::optional<DiskTime> age_due_;
  bool prefault_wanted_ = false;
  bool compact_wanted_ = false;
  std::uint64_t compact_not_below_ = 0;  ///< dead bytes, after a compaction that failed
  std::uint64_t next_seq_at_compaction_ = 0;
  std::uint64_t failed_syncs_ = 0;
  std::uint64_t compactions_ = 0;
};

}  // namespace netmesh::redex
