#pragma once
// One timer of sub-millisecond resolution in a libuv loop, which any thread may set.

#include <uv.h>

#include <optional>

#include "base/time.h"

namespace netmesh::runtime {

/// Ends a run of the loop when its deadline comes. libuv's own timers count milliseconds and belong
/// to the loop's thread; on Linux this is a timerfd that the loop watches, so that any thread sets
/// it with one system call. Elsewhere it is a libuv timer, set when the loop runs next.
class DeadlineTimer {
 public:
  DeadlineTimer() = default;
  ~DeadlineTimer();
  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  /// 0 or a libuv error, after which there is nothing to close.
  int open(uv_loop_t* loop);
  /// Loop thread. The timer lives until the loop has run its closing callbacks.
  void close();

  /// Any thread, one at a time (the crank lock). True when the loop must be woken for it. A
  /// deadline later than the one set costs nothing: the loop turns once for the old one and is
  /// armed anew; with `postpone` that turn is saved for the price of a system call.
  [[nodiscard]] bool arm(TimePoint now, std::optional<TimePoint> deadline, bool postpone);

  /// Loop thread, before the loop runs.
  void before_run();

 private:
  /// What the system was told, unless that has passed.
  std::optional<TimePoint> armed_;
#if defined(__linux__)
  int descriptor_ = -1;
  uv_poll_t poll_{};
#else
  std::atomic<TimePoint::rep> wanted_{0};
  uv_timer_t timer_{};
#endif
};

}  // namespace netmesh::runtime
