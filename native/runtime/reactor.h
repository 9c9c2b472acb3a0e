#pragma once
// A thread with a libuv loop that waits for one socket, one timer and wake-ups.

#include <uv.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/time.h"
#include "runtime/deadline_timer.h"
#include "runtime/readiness.h"

namespace netmesh::runtime {

/// What the reactor's thread does between waits. Both calls come from that thread.
class ReactorClient {
 public:
  virtual ~ReactorClient() = default;
  struct Turn {
    bool more = false;           ///< come back without waiting
    bool wait_writable = false;  ///< wake up when the socket takes datagrams again
  };
  /// Everything there is to do now; `readable`: the socket has datagrams.
  virtual Turn turn(bool readable) = 0;
  /// Whether another thread left work, asked after `parked` has become true.
  virtual bool has_work() const = 0;
};

/// Runs the client until `stop`. The thread takes no signals.
class Reactor {
 public:
  /// `socket` and `client` outlive the reactor. The thread starts with `start`.
  static Expected<std::unique_ptr<Reactor>> create(Readiness& socket, ReactorClient& client);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  Expected<void> start();
  /// Waits for the thread to end. Not from that thread; any number of times. Afterwards `wake` and
  /// `arm` do nothing.
  void stop();

  /// Any thread: makes the client turn soon. Wake-ups that have not been served yet are one.
  void wake();
  /// Whether the thread waits or is about to. It looks for work again after this became true, so
  /// whoever leaves work and then reads false need not wake it.
  bool parked() const { return parked_.load(std::memory_order_seq_cst); }
  /// Any thread, one at a time: makes the client turn no later than `deadline`, and with `postpone`
  /// no earlier for a deadline set before.
  void arm(TimePoint now, std::optional<TimePoint> deadline, bool postpone = false);

 private:
  Reactor(Readiness& socket, ReactorClient& client) : readiness_(socket), client_(client) {}
  int open();
  int watch(int events);
  void run();
  void close_handles();

  Readiness& readiness_;
  ReactorClient& client_;
  uv_loop_t loop_{};
  uv_poll_t socket_{};
  uv_async_t wake_{};
  DeadlineTimer timer_;
  std::thread thread_;
  bool loop_open_ = false;
  bool socket_open_ = false;
  bool wake_open_ = false;
  bool timer_open_ = false;
  int watched_ = 0;        ///< events of the socket that the loop looks for
  bool readable_ = false;  ///< reported by the run of the loop that ended last
  std::atomic<bool> parked_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace netmesh::runtime
