#include "redex/disk_log.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

namespace netmesh::redex {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// A log that was not appended to for so long gives back the space reserved ahead.
constexpr auto kTrimAfter = milliseconds(100);
/// The age of the oldest event is looked at so often at most.
constexpr auto kAgeCheck = milliseconds(1000);
/// Less than this is not worth a compaction.
constexpr std::uint64_t kSmallestCompaction = 1024 * 1024;
/// Offsets end at 4 GiB: from here on space is worth having whatever it costs.
constexpr std::uint64_t kHighOffset = 3584ULL << 20;
constexpr std::uint64_t kHighOffsetCompaction = 128ULL << 20;
/// Appended meanwhile, so much is copied with the log locked.
constexpr std::size_t kLockedCopyRecords = 1024;
constexpr std::uint64_t kLockedCopyBytes = 256 * 1024;

template <typename T>
tl::unexpected<Error> pass_on(Expected<T>& failed) {
  return tl::unexpected<Error>(std::move(failed).error());
}

}  // namespace

/// The place of one directory among the logs that are open in this process.
struct DiskLog::Slot {
  std::mutex mutex;  ///< held while the log is opened, given back or ends
  std::weak_ptr<DiskLog> log;
};

/// Logs that are open in this process, by directory. What one process may have open only once has
/// to be known to the whole of it: several environments may share a directory.
class OpenLogs {
 public:
  using Slot = DiskLog::Slot;

  std::shared_ptr<Slot> slot(const Storage* storage, const std::string& directory) {
    const std::lock_guard lock(mutex_);
    for (auto at = slots_.begin(); at != slots_.end();)
      at = at->second.expired() ? slots_.erase(at) : std::next(at);
    auto& weak = slots_[{storage, directory}];
    auto slot = weak.lock();
    if (!slot) weak = slot = std::make_shared<Slot>();
    return slot;
  }

  static OpenLogs& instance() {
    static auto* const logs = new OpenLogs;
    return *logs;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<const Storage*, std::string>, std::weak_ptr<Slot>> slots_;
};

Expected<std::shared_ptr<DiskLog>> DiskLog::open(DiskLogOptions options) {
  Storage& storage = *options.storage;
  if (auto made = storage.create_directories(options.directory); !made) return pass_on(made);
  auto canonical = storage.canonical(options.directory);
  if (!canonical) return pass_on(canonical);
  options.directory = *canonical;

  const auto slot = OpenLogs::instance().slot(options.storage.get(), options.directory);
  const std::lock_guard guard(slot->mutex);
  if (auto log = slot->log.lock()) {
    ++log->users_;
    return log;
  }
  auto lock = storage.lock(options.directory);
  if (!lock) return pass_on(lock);
  const UnixNanos now = options.clock ? options.clock()
                                      : std::chrono::duration_cast<std::chrono::nanoseconds>(
                                            std::chrono::system_clock::now().time_since_epoch())
                                            .count();
  auto recovered = recover(storage, options.directory, now);
  if (!recovered) return pass_on(recovered);
  // Whoever opens the directory next waits until the files and the lock are free.
  std::shared_ptr<DiskLog> log(
      new DiskLog(std::move(options), std::move(*lock), std::move(*recovered)),
      [slot](DiskLog* gone) {
        const std::lock_guard ending(slot->mutex);
        delete gone;
      });
  slot->log = log;
  log->slot_ = slot;
  log->users_ = 1;
  {
    const std::lock_guard locked(log->mutex_);
    log->evict(log->now());
    log->drop_unneeded();
    log->appended(0, 0);
  }
  return log;
}

DiskLog::DiskLog(DiskLogOptions options, std::unique_ptr<DirectoryLock> lock,
                 RecoveredLog recovered)
    : Log(std::make_unique<DiskStore>(std::move(recovered.generation)), options.config.retention,
          std::move(options.clock), recovered.next_seq),
      storage_(std::move(options.storage)),
      directory_(std::move(options.directory)),
      fsync_(options.config.fsync),
      prefaults_(!fsync_.every_n && !fsync_.every_bytes && !fsync_.interval),
      threads_(std::move(options.threads)),
      lock_(std::move(lock)),
      recovery_(std::move(recovered.report)) {}

DiskLog::~DiskLog() {
  if (!retired_) (void)disk().live()->trim();
}

void DiskLog::close(SyncCallback done) {
  sync([self = shared_from_this(), done = std::move(done)](Expected<void> result) {
    // Whoever is told finds the directory free.
    self->detach();
    done(std::move(result));
  });
}

void DiskLog::detach() {
  const std::lock_guard idle(work_mutex_);
  const std::lock_guard ending(slot_->mutex);
  if (--users_ > 0) return;
  const std::lock_guard lock(mutex_);
  (void)disk().live()->trim();
  retired_ = true;
  slot_->log.reset();
  lock_.reset();
}

void DiskLog::wake(DiskTime when) {
  if (threads_) threads_->schedule(shared_from_this(), when);
}

bool DiskLog::worth_compacting() const {
  const std::uint64_t dead = disk().dead_bytes();
  if (dead < compact_not_below_) return false;
  const std::uint64_t live = disk().all_bytes() - dead;
  if (dead >= std::max(live, kSmallestCompaction)) return true;
  return disk().live()->dat_bytes() >= kHighOffset && dead >= kHighOffsetCompaction;
}

void DiskLog::appended(std::size_t count, std::uint64_t bytes) {
  if (retired_) return;
  events_since_signal_ += count;
  bytes_since_signal_ += bytes + count * (kRecordBytes + kTimestampBytes);
  const bool enough = (fsync_.every_n && events_since_signal_ >= *fsync_.every_n) ||
                      (fsync_.every_bytes && bytes_since_signal_ >= *fsync_.every_bytes);
  if (enough && count > 0) {
    events_since_signal_ = 0;
    bytes_since_signal_ = 0;
    if (!std::exchange(sync_wanted_, true)) wake(steady_clock::now());
  }
  if (fsync_.interval && !interval_due_ && count > 0) {
    interval_due_ = steady_clock::now() + *fsync_.interval;
    wake(*interval_due_);
  }
  if (!trim_due_ && disk().live()->has_window()) {
    trim_due_ = steady_clock::now() + kTrimAfter;
    trim_seen_ = next_seq_;
    wake(*trim_due_);
  }
  if (prefaults_ && !prefault_wanted_ && disk().live()->wants_prefault()) {
    prefault_wanted_ = true;
    wake(steady_clock::now());
  }
  if (retention_.max_age && !age_due_ && head_ < store_->size()) {
    age_due_ =
        steady_clock::now() + std::clamp<Duration>(*retention_.max_age, milliseconds(1), kAgeCheck);
    wake(*age_due_);
  }
  if (!compact_wanted_ && worth_compacting()) {
    compact_wanted_ = true;
    wake(steady_clock::now());
  }
}

void DiskLog::sync(SyncCallback done) {
  bool retired = false;
  {
    const std::lock_guard lock(mutex_);
    retired = retired_;
    if (!retired) waiting_.push_back(std::move(done));
    if (!retired && threads_) self_ = shared_from_this();
  }
  // The last file's close has synced it.
  if (retired)
    done({});
  else if (threads_)
    wake(steady_clock::now());
  else
    run();
}

void DiskLog::run_sync() {
  std::vector<SyncCallback> waiting;
  std::shared_ptr<DiskLog> self;
  std::shared_ptr<Generation> live;
  std::uint64_t upto = 0;
  Expected<void> result;
  {
    const std::lock_guard lock(mutex_);
    const DiskTime now = steady_clock::now();
    const bool due = interval_due_ && *interval_due_ <= now;
    if (due) interval_due_.reset();
    const bool wanted = std::exchange(sync_wanted_, false);
    if (retired_) {
      // A sync that was asked for while the last file was being closed.
      waiting.swap(waiting_);
      self.swap(self_);
    } else if (waiting_.empty() && (!(due || wanted) || synced_seq_ == next_seq_)) {
      return;
    } else {
      waiting.swap(waiting_);
      self.swap(self_);
      live = disk().live();
      upto = next_seq_;
      // Who syncs and does not go on appending finds files of exactly the right length.
      if (!waiting.empty()) result = live->trim();
      if (live->poisoned()) result = tl::unexpected<Error>(*live->poisoned());
    }
  }
  if (live && result) result = live->sync();
  if (live) {
    const std::lock_guard lock(mutex_);
    if (result) {
      synced_seq_ = std::max(synced_seq_, upto);
    } else {
      if (waiting.empty()) ++failed_syncs_;
      // The system may have dropped what it could not write: a later sync that succeeds would
      // prove nothing.
      if (!live->poisoned()) {
        live->poison(
            io_error("redex segment is poisoned (a sync failed: " + result.error().message +
                     "); close and re-open the channel to recover"));
      }
    }
  }
  for (const SyncCallback& done : waiting) done(result);
}

void DiskLog::run_prefault() {
  for (;;) {
    std::array<Generation::Prefault, 3> pieces;
    {
      const std::lock_guard lock(mutex_);
      // Whoever waits for a sync is first, and so is a compaction, however fast the log grows.
      if (retired_ || !waiting_.empty() || compact_wanted_ || !disk().live()->wants_prefault()) {
        prefault_wanted_ = false;
        return;
      }
      pieces = disk().live()->take_prefault();
    }
    for (const auto& [mapping, from, to] : pieces) mapping->prefault(from, to);
  }
}

std::optional<DiskTime> DiskLog::run() {
  {
    const std::lock_guard working(work_mutex_);
    run_sync();
  }
  if (prefaults_) run_prefault();
  const std::lock_guard working(work_mutex_);
  bool compact_now = false;
  {
    const std::lock_guard lock(mutex_);
    if (retired_) return std::nullopt;
    compact_now = std::exchange(compact_wanted_, false);
  }
  if (compact_now) (void)compact();

  const std::lock_guard lock(mutex_);
  if (retired_) return std::nullopt;
  const DiskTime now = steady_clock::now();
  if (trim_due_ && *trim_due_ <= now) {
    trim_due_.reset();
    if (disk().live()->has_window()) {
      if (trim_seen_ == next_seq_) {
        (void)disk().live()->trim();
      } else {
        trim_due_ = now + kTrimAfter;
        trim_seen_ = next_seq_;
      }
    }
  }
  if (age_due_ && *age_due_ <= now) {
    age_due_.reset();
    evict(this->now());
    drop_unneeded();
  }
  appended(0, 0);
  std::optional<DiskTime> next;
  const auto consider = [&](std::optional<DiskTime> when) {
    if (when && (!next || *when < *next)) next = when;
  };
  consider(interval_due_);
  consider(trim_due_);
  consider(age_due_);
  if (!waiting_.empty() || sync_wanted_ || compact_wanted_) consider(now);
  return next;
}

Expected<void> DiskLog::compact() {
  const std::lock_guard working(work_mutex_);
  std::shared_ptr<Generation> next;
  auto result = compact_into(next);
  std::uint32_t obsolete = 0;
  {
    const std::lock_guard lock(mutex_);
    if (result) {
      obsolete = disk().finish_mirror()->number();
      compact_not_below_ = 0;
      ++compactions_;
      synced_seq_ = std::max(synced_seq_, next_seq_at_compaction_);
    } else {
      disk().drop_mirror();
      // Not again before there is noticeably more to gain.
      compact_not_below_ = disk().dead_bytes() + kSmallestCompaction;
      if (next) obsolete = next->number();
    }
  }
  next.reset();
  // What cannot be removed is removed when the log is opened again.
  if (obsolete != 0) (void)remove_generation(*storage_, directory_, obsolete);
  return result;
}

Expected<void> DiskLog::compact_into(std::shared_ptr<Generation>& next) {
  Generation::Reader from;
  std::size_t copied = 0;
  std::size_t end = 0;
  std::size_t skipped = 0;
  std::uint64_t skipped_bytes = 0;
  std::uint32_t number = 0;
  const auto snapshot = [&] {
    from = disk().live()->reader();
    end = disk().live()->records();
  };
  {
    const std::lock_guard lock(mutex_);
    if (disk().live()->poisoned()) return tl::unexpected<Error>(*disk().live()->poisoned());
    if (disk().live()->number() == std::numeric_limits<std::uint32_t>::max())
      return fail(io_error("generation numbers are used up"));
    number = disk().live()->number() + 1;
    skipped = disk().dead_records();
    skipped_bytes = disk().dead_bytes();
    snapshot();
  }
  copied = skipped;
  const std::string path = directory_ + "/" + generation_name(number);
  if (auto made = storage_->create_directories(path); !made) return made;
  auto files = Generation::open_files(*storage_, path, OpenMode::kCreateEmpty);
  if (!files) return pass_on(files);
  auto opened = Generation::open(number, std::move(*files), 0, 0);
  if (!opened) return pass_on(opened);
  next = std::move(*opened);

  for (;;) {
    if (auto done = next->copy(from, copied, end); !done) return done;
    copied = end;
    const std::uint64_t seen = from.dat_bytes;
    const std::lock_guard lock(mutex_);
    snapshot();
    if (end - copied > kLockedCopyRecords || from.dat_bytes - seen > kLockedCopyBytes) continue;
    if (auto done = next->copy(from, copied, end); !done) return done;
    disk().begin_mirror(next, skipped, skipped_bytes);
    next_seq_at_compaction_ = next_seq_;
    break;
  }
  // No sync of the old generation can be acknowledged before the new one is live: this thread does
  // both.
  if (auto done = next->sync(); !done) return done;
  if (auto done = storage_->sync_directory(path); !done) return done;
  {
    const std::lock_guard lock(mutex_);
    if (!disk().commit_mirror())
      return fail(io_error("the new generation could not be written to"));
  }
  return write_manifest(*storage_, directory_, number);
}

void DiskLog::sweep_retention() {
  Log::sweep_retention();
  const std::lock_guard lock(mutex_);
  if (retired_ || disk().dead_records() == 0) return;
  compact_wanted_ = true;
  wake(steady_clock::now());
}

FileStats DiskLog::stats() {
  FileStats stats = Log::stats();
  const std::lock_guard lock(mutex_);
  stats.synced_seq = synced_seq_;
  stats.failed_syncs = failed_syncs_;
  stats.compactions = compactions_;
  return stats;
}

}  // namespace netmesh::redex
