#include "cortex/fold.h"

#include <algorithm>

#include "base/assert.h"

namespace netmesh::cortex {
namespace {

/// Looks for more so many times, `kLinger` apart, before the thread sleeps until it is woken.
constexpr int kLingerTurns = 10;

}  // namespace

Fold::Lock::Lock(const Fold& fold) : lock_(fold.mutex_, std::defer_lock) {
  fold.visitors_.fetch_add(1, std::memory_order_relaxed);
  lock_.lock();
  fold.visitors_.fetch_sub(1, std::memory_order_relaxed);
}

Fold::Fold(std::shared_ptr<redex::File> file, std::uint64_t start_seq,
           std::optional<std::uint64_t> last_seq, FoldTarget& target, Ready ready)
    : file_(std::move(file)), target_(target), ready_(std::move(ready)) {
  marks_.start_seq = start_seq;
  marks_.folded = marks_.applied = last_seq;
}

Fold::~Fold() { stop(); }

void Fold::start() {
  NM_ASSERT(!thread_.joinable());
  tail_ = follow(marks_.start_seq);
  running_.store(true, std::memory_order_release);
  thread_ = std::thread([this] { run(); });
}

std::unique_ptr<redex::Tail> Fold::follow(std::uint64_t from_seq) {
  return file_->tail(from_seq, [this] {
    const std::lock_guard lock(wake_mutex_);
    appended_ = true;
    wake_.notify_one();
  });
}

void Fold::stop() {
  {
    const std::lock_guard lock(wake_mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  if (tail_) tail_->close();
}

void Fold::run() {
  int idle_turns = 0;
  bool alive = true;
  while (alive) {
    redex::TailState state = redex::TailState::kMore;
    // Others first: the mutex itself would let the thread that has just had it take it again.
    while (visitors_.load(std::memory_order_relaxed) > 0) std::this_thread::yield();
    // Asking the tail in vain would have the next append wake this thread.
    bool caught_up = false;
    bool news = false;
    {
      const std::lock_guard lock(mutex_);
      caught_up = tail_->position() == file_->next_seq() && !file_->closed();
      if (!caught_up || idle_turns >= kLingerTurns) alive = fold_some(state);
      news = take_news();
    }
    tell(news);
    if (!caught_up) idle_turns = 0;

    std::unique_lock lock(wake_mutex_);
    if (stopping_) break;
    if (urgent_) {
      urgent_ = false;
      idle_turns = 0;
      continue;
    }
    if (!alive || !caught_up) continue;
    const auto awake = [this] { return stopping_ || urgent_; };
    if (idle_turns < kLingerTurns) {
      ++idle_turns;
      wake_.wait_for(lock, kLinger, awake);
    } else if (state == redex::TailState::kEmpty) {
      wake_.wait(lock, [&] { return awake() || appended_; });
      appended_ = false;
      idle_turns = 0;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    running_.store(false, std::memory_order_release);
    settle_all_as_stopped();
  }
  tell(true);  // watches end with the fold, too
}

bool Fold::fold_some(redex::TailState& state) {
  state = tail_->take(batch_, {kBatchEvents, kBatchBytes});
  for (const redex::EventView& event : batch_) {
    if (target_.apply(event) == FoldResult::kDefective) {
      ++marks_.errors;
    } else if (marks_.applied ? event.seq == *marks_.applied + 1 : event.seq == marks_.start_seq) {
      marks_.applied = event.seq;
    }
    marks_.folded = event.seq;
  }
  // Events that the log itself found corrupt are passed over.
  if (const std::uint64_t next = tail_->position(); next > marks_.start_seq)
    consumed_through(next - 1);
  if (!batch_.empty() && target_.end_of_batch()) news_ = true;
  batch_.clear();
  settle();
  if (state == redex::TailState::kLagged) {
    // Retention has overtaken the fold: on with what is left, and nothing after the gap counts as
    // applied.
    ++marks_.errors;
    const std::uint64_t first = file_->stats().first_seq;
    tail_ = follow(std::max(first, marks_.start_seq));
    state = redex::TailState::kMore;
  }
  return state != redex::TailState::kEnded;
}

void Fold::consumed_through(std::uint64_t seq) {
  if (!marks_.folded || *marks_.folded < seq) marks_.folded = seq;
}

bool Fold::reached(std::uint64_t seq, WaitFor what) const {
  if (seq < marks_.start_seq) return true;
  const auto& mark = what == WaitFor::kFolded ? marks_.folded : marks_.applied;
  return mark && *mark >= seq;
}

WaitState Fold::wait(std::uint64_t seq, WaitFor what, std::uint32_t waiter) {
  WaitState result = WaitState::kPending;
  bool news = false;
  {
    const Lock lock(*this);
    if (running() && !reached(seq, what) && seq < file_->next_seq()) {
      redex::TailState state;
      fold_some(state);
    }
    if (reached(seq, what)) {
      result = WaitState::kReached;
    } else if (!running()) {
      result = WaitState::kStopped;
    } else {
      waiters_.emplace(seq, Waiter{what, waiter});
    }
    news = take_news();
  }
  tell(news);
  if (result == WaitState::kPending) {
    const std::lock_guard lock(wake_mutex_);
    urgent_ = true;
    wake_.notify_one();
  }
  return result;
}

bool Fold::cancel(std::uint32_t waiter) {
  const Lock lock(*this);
  return std::erase_if(waiters_, [&](const auto& each) { return each.second.name == waiter; }) > 0;
}

std::vector<Settled> Fold::take_settled() {
  const Lock lock(*this);
  return std::exchange(settled_, {});
}

void Fold::settle() {
  if (waiters_.empty() || !marks_.folded) return;
  // Nothing is applied that is not folded.
  const auto end = waiters_.upper_bound(*marks_.folded);
  for (auto at = waiters_.begin(); at != end;) {
    if (reached(at->first, at->second.what)) {
      settled_.push_back({at->second.name, true});
      at = waiters_.erase(at);
      news_ = true;
    } else {
      ++at;
    }
  }
}

void Fold::settle_all_as_stopped() {
  for (const auto& [seq, waiter] : waiters_) settled_.push_back({waiter.name, false});
  waiters_.clear();
}

void Fold::tell(bool news) {
  if (news && !told_.exchange(true, std::memory_order_seq_cst)) ready_();
}

std::size_t Fold::waiting(WaitFor what) const {
  return static_cast<std::size_t>(
      std::count_if(waiters_.begin(), waiters_.end(),
                    [&](const auto& each) { return each.second.what == what; }));
}

std::string describe_seq(const std::optional<std::uint64_t>& seq) {
  return seq ? "Some(" + std::to_string(*seq) + ")" : "None";
}

}  // namespace netmesh::cortex
