#include "runtime/deadline_timer.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "runtime/clock.h"

#if defined(__linux__)
#include <sys/timerfd.h>
#include <unistd.h>
#endif

namespace netmesh::runtime {
namespace {

/// A deadline set earlier than needed is moved only when it is this close: one system call for many
/// messages of a conversation.
constexpr Duration kPostponeWithin = std::chrono::milliseconds(4);

}  // namespace

bool DeadlineTimer::arm(TimePoint now, std::optional<TimePoint> deadline, bool postpone) {
  if (armed_ && *armed_ <= now) armed_.reset();
  if (!deadline) return false;
  if (armed_ && *armed_ <= *deadline && (!postpone || *armed_ - now > kPostponeWithin))
    return false;
  armed_ = deadline;
#if defined(__linux__)
  // An all-zero time would disarm.
  const auto nanoseconds = std::max<TimePoint::rep>(deadline->time_since_epoch().count(), 1);
  itimerspec setting{};
  setting.it_value.tv_sec = static_cast<time_t>(nanoseconds / 1'000'000'000);
  setting.it_value.tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000);
  ::timerfd_settime(descriptor_, TFD_TIMER_ABSTIME, &setting, nullptr);
  return false;
#else
  wanted_.store(deadline->time_since_epoch().count(), std::memory_order_release);
  return true;
#endif
}

#if defined(__linux__)

int DeadlineTimer::open(uv_loop_t* loop) {
  descriptor_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (descriptor_ < 0) return uv_translate_sys_error(errno);
  const int error = uv_poll_init(loop, &poll_, descriptor_);
  if (error != 0) return error;
  poll_.data = this;
  return uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    // Reading makes it silent until it is set again; how often it fired is of no interest.
    std::uint64_t expirations = 0;
    const auto* self = static_cast<DeadlineTimer*>(poll->data);
    [[maybe_unused]] const ssize_t bytes =
        ::read(self->descriptor_, &expirations, sizeof(expirations));
  });
}

void DeadlineTimer::close() {
  if (poll_.data != nullptr) uv_close(reinterpret_cast<uv_handle_t*>(&poll_), nullptr);
}

DeadlineTimer::~DeadlineTimer() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void DeadlineTimer::before_run() {}

#else

int DeadlineTimer::open(uv_loop_t* loop) {
  timer_.data = this;
  return uv_timer_init(loop, &timer_);
}

void DeadlineTimer::close() { uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr); }

DeadlineTimer::~DeadlineTimer() = default;

void DeadlineTimer::before_run() {
  const TimePoint::rep wanted = wanted_.exchange(0, std::memory_order_acquire);
  if (wanted == 0) return;
  const Duration left = std::max(TimePoint(Duration(wanted)) - monotonic_now(), Duration::zero());
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  uv_update_time(timer_.loop);
  uv_timer_start(
      &timer_, [](uv_timer_t*) {}, static_cast<std::uint64_t>(milliseconds), 0);
}

#endif

}  // namespace netmesh::runtime
