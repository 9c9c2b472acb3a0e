#pragma once
// The thread that turns what waits in rings into batches for a backend (spec 40 §1.7 to §1.9).

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bus/batch_size.h"
#include "bus/producer_state.h"
#include "bus/shard.h"

namespace netmesh::bus {

/// In which bytes events leave.
enum class Encoding : std::uint8_t {
  kEntry,  ///< `{"r":…,"t":…,"s":…}`, for Redis and JetStream
  kRaw,    ///< the payload alone, for a peer
};

struct DispatcherConfig {
  BatchConfig batch;
  Encoding encoding = Encoding::kEntry;
  std::uint64_t nonce = 1;
};

/// A batch for the application to deliver. It reports back with `settle`.
struct OutgoingBatch {
  std::uint32_t token = 0;
  EncodedBatch batch;
};

struct DispatchCounters {
  std::uint64_t batches_dispatched = 0;  ///< the backend has taken them
  std::uint64_t events_dispatched = 0;
  std::uint64_t batches_lost = 0;  ///< given up
  std::uint64_t events_lost = 0;
  std::uint64_t events_recovered = 0;  ///< found in the journal at the start
};

/// Per shard it holds at most two batches that are not settled, the second while the first is being
/// delivered; meanwhile events stay in their ring, where backpressure applies. Its thread never
/// waits for the application's, nor the other way round: disk work is done without the lock.
class Dispatcher {
 public:
  /// `signal` is called on the dispatcher's thread, at most once until the next `take`. What the
  /// journal has recovered goes out first.
  Dispatcher(const DispatcherConfig& config, std::unique_ptr<ProducerJournal> journal,
             std::function<void()> signal);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  void start();
  /// The shard is drained from now on; it outlives the dispatcher.
  void add(Shard* shard);

  /// After a push that left `size` events in a ring: wakes the thread when it should know.
  void notice(std::size_t size) {
    // Read by writing: either this sees what the thread waits for, or the thread sees the push.
    if (size >= enough_.fetch_add(0, std::memory_order_acq_rel)) wake();
  }

  struct Taken {
    std::vector<OutgoingBatch> batches;
    std::vector<std::uint32_t> flushed;        ///< flush requests that are through
    std::optional<std::string> journal_error;  ///< while the journal cannot be written
  };
  Taken take();
  /// The application is done with a batch.
  void settle(std::uint32_t token, bool delivered);
  /// Reported by `take` once every event that is in a ring now was delivered, given up or evicted.
  std::uint32_t request_flush();
  DispatchCounters counters() const;
  /// Sequence number of the shard's next event, which counts across restarts with a journal.
  std::uint64_t next_sequence(ShardId shard) const;
  /// Joins the thread at once; what is in rings stays there. Any number of times.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Outstanding {
    std::uint32_t token;
    std::uint64_t sequence_start;
    std::size_t events;
    std::uint64_t first;  ///< ring number of its first event
    bool recovered;       ///< of an earlier process: every flush waits for it
  };
  /// What the thread knows of one shard.
  struct Lane {
    explicit Lane(const BatchConfig& config) : size(config) {}
    Shard* shard = nullptr;  ///< null while there are only recovered batches
    ShardId id = 0;
    std::vector<EventSlot> pending;   ///< drained, not yet in a batch
    std::uint64_t pending_first = 0;  ///< ring number of the first of them
    std::deque<Outstanding> outstanding;
    std::uint64_t sequence = 0;  ///< of the next event
    AdaptiveBatchSize size;
  };
  struct Flush {
    std::uint32_t id;
    std::vector<std::pair<Shard*, std::uint64_t>> until;  ///< ring numbers, excluded
  };
  /// From the application to the thread.
  struct Requests {
    std::vector<Shard*> shards;
    std::vector<std::pair<std::uint32_t, bool>> settled;
    std::vector<Flush> flushes;
  };
  /// From the thread to the application, gathered during a turn.
  struct Results {
    std::vector<OutgoingBatch> batches;
    std::vector<std::uint32_t> flushed;
  };

  void run();
  void wake();
  void accept(Requests requests);
  void apply_settled(std::uint32_t token, bool delivered);
  /// One look at a shard; returns when to look again, if there is a time.
  std::optional<Clock::time_point> turn(Lane& lane, Clock::time_point now);
  std::size_t drain(Lane& lane);
  bool must_cut(const Lane& lane, Clock::time_point now) const;
  bool cut(Lane& lane);
  EncodedBatch encode(const Lane& lane) const;
  void publish(Lane& lane, EncodedBatch batch, std::uint64_t first, bool recovered);
  bool is_through(const Flush& flush) const;
  /// Hands over the results and waits; `until`: when the next batch is due.
  void rest(std::optional<Clock::time_point> until);
  std::size_t enough_events(bool batch_is_due) const;
  Lane& lane_of(ShardId shard);

  const DispatcherConfig config_;
  const std::unique_ptr<ProducerJournal> journal_;
  const std::function<void()> signal_;

  // The thread's own.
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::deque<Flush> flushes_;
  Results results_;
  std::uint32_t next_token_ = 1;
  std::optional<std::string> journal_failure_;
  Clock::time_point journal_retry_{};
  DispatchCounters counted_;

  mutable std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  Requests requests_;
  std::vector<Shard*> known_shards_;
  Taken ready_;
  DispatchCounters counters_;
  std::map<ShardId, std::uint64_t> sequences_;
  std::uint32_t next_flush_ = 1;
  bool woken_ = false;
  bool stopping_ = false;
  bool signalled_ = false;

  /// Ring size that wakes the thread: 1 while it has nothing to do, more while it gathers a batch.
  std::atomic<std::size_t> enough_{std::numeric_limits<std::size_t>::max()};
  std::thread thread_;
};

}  // namespace netmesh::bus
