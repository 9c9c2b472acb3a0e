#pragma once
// The thread that carries a log's events into a state, and those who wait for it.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "redex/file.h"

namespace netmesh::cortex {

enum class FoldResult {
  kApplied,
  kDefective,  ///< not an event of this model: skipped, and counted
};

/// A state that a fold feeds. Called with the fold's lock held.
class FoldTarget {
 public:
  virtual ~FoldTarget() = default;
  virtual FoldResult apply(const redex::EventView& event) = 0;
  /// Some events are in; true when somebody has to be told (see `Fold::Ready`).
  virtual bool end_of_batch() = 0;
};

/// How far a fold has come.
struct Watermarks {
  /// Where it began.
  std::uint64_t start_seq = 0;
  /// The last event consumed, whether it was applied or skipped.
  std::optional<std::uint64_t> folded;
  /// The last event before which nothing was skipped.
  std::optional<std::uint64_t> applied;
  /// Events skipped because they do not decode, and gaps.
  std::uint64_t errors = 0;
};

/// For which watermark somebody waits.
enum class WaitFor { kFolded, kApplied };

enum class WaitState {
  kReached,
  kPending,  ///< `Fold::take_settled` will name the waiter
  kStopped,  ///< the fold will not get there
};

struct Settled {
  std::uint32_t waiter = 0;
  bool reached = false;
};

/// Reads a log from `start_seq` on, event by event, into its target: at first what is there, then
/// what is appended. It reads at its own pace and can be any number of events behind.
///
/// One mutex guards the target's state and everything here. The thread of the fold holds it for
/// `kBatchEvents` at a time and lets others in between. While events keep coming it looks for more
/// by itself every `kLinger`, so that appending costs no system call; whoever waits for an event
/// folds some on the spot, and wakes the thread for the rest.
class Fold {
 public:
  /// Called, on any thread and with no lock held, when `take_settled` or the target has news. At
  /// most once until `acknowledge`.
  using Ready = std::function<void()>;

  static constexpr std::size_t kBatchEvents = 128;
  static constexpr std::size_t kBatchBytes = 256 * 1024;
  static constexpr Duration kLinger = std::chrono::microseconds(200);

  /// `last_seq`: what the target's state contains already.
  Fold(std::shared_ptr<redex::File> file, std::uint64_t start_seq,
       std::optional<std::uint64_t> last_seq, FoldTarget& target, Ready ready);
  ~Fold();
  Fold(const Fold&) = delete;
  Fold& operator=(const Fold&) = delete;

  /// Begins. Once.
  void start();
  /// Ends the thread; what was appended and not folded stays unfolded, who waits is told.
  /// Idempotent.
  void stop();
  bool running() const { return running_.load(std::memory_order_acquire); }

  /// Access to the target's state.
  class Lock {
   public:
    explicit Lock(const Fold& fold);

   private:
    std::unique_lock<std::mutex> lock_;
  };

  /// How many wait for this watermark. With a `Lock` held, as for `watermarks`.
  std::size_t waiting(WaitFor what) const;
  const Watermarks& watermarks() const { return marks_; }

  /// Waits for `seq`, without blocking: pending waits get `waiter` as their name. Waits for what
  /// lies before the start are over at once.
  WaitState wait(std::uint64_t seq, WaitFor what, std::uint32_t waiter);
  /// True when the wait was still pending, and is no more.
  bool cancel(std::uint32_t waiter);
  std::vector<Settled> take_settled();

  /// From now on `Ready` may be called again.
  void acknowledge() { told_.store(false, std::memory_order_seq_cst); }

 private:
  struct Waiter {
    WaitFor what;
    std::uint32_t name;
  };
  using Waiters = std::multimap<std::uint64_t, Waiter>;

  void run();
  /// Folds one batch, with the lock held; false when the log has ended.
  bool fold_some(redex::TailState& state);
  void settle();
  void settle_all_as_stopped();
  bool reached(std::uint64_t seq, WaitFor what) const;
  void consumed_through(std::uint64_t seq);
  /// Takes the news, with the lock held; `tell` passes them on without it.
  bool take_news() { return std::exchange(news_, false); }
  void tell(bool news);
  std::unique_ptr<redex::Tail> follow(std::uint64_t from_seq);

  const std::shared_ptr<redex::File> file_;
  FoldTarget& target_;
  const Ready ready_;
  std::atomic<bool> told_{false};
  std::atomic<bool> running_{false};

  mutable std::mutex mutex_;
  /// Those who want the mutex besides the fold's thread.
  mutable std::atomic<int> visitors_{0};
  std::unique_ptr<redex::Tail> tail_;
  redex::EventBatch batch_;
  Watermarks marks_;
  Waiters waiters_;
  std::vector<Settled> settled_;
  bool news_ = false;

  /// What the thread sleeps on; taken after `mutex_` or without it.
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool appended_ = false;
  bool urgent_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

/// `Some(3)` or `None`, as error texts have it.
std::string describe_seq(const std::optional<std::uint64_t>& seq);

}  // namespace netmesh::cortex
