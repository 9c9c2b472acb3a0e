#include "runtime/reactor.h"

#include <pthread.h>
#include <sys/socket.h>

#include <csignal>
#include <string>
#include <system_error>

namespace netmesh::runtime {
namespace {

Expected<void> failed(const char* step, const char* text) {
  return fail(ErrorKind::kConnection, std::string(step) + " failed: " + text);
}

}  // namespace

Expected<std::unique_ptr<Reactor>> Reactor::create(Readiness& socket, ReactorClient& client) {
  std::unique_ptr<Reactor> self(new Reactor(socket, client));
  if (const int error = self->open(); error != 0) {
    return tl::unexpected<Error>(failed("event loop", uv_strerror(error)).error());
  }
  return self;
}

int Reactor::open() {
  if (const int error = uv_loop_init(&loop_); error != 0) return error;
  loop_open_ = true;
  if (const int error = uv_async_init(&loop_, &wake_, [](uv_async_t*) {}); error != 0) return error;
  wake_open_ = true;
  timer_open_ = true;
  if (const int error = timer_.open(&loop_); error != 0) return error;
  if (const int error = uv_poll_init(&loop_, &socket_, readiness_.thread_descriptor()); error != 0)
    return error;
  socket_open_ = true;
  socket_.data = this;
  return watch(UV_READABLE);
}

int Reactor::watch(int events) {
  if (events == watched_) return 0;
  watched_ = events;
  return uv_poll_start(&socket_, events, [](uv_poll_t* poll, int status, int ready) {
    auto* self = static_cast<Reactor*>(poll->data);
    // On an error libuv stops watching. Reading the socket fetches the error and clears it.
    if (status < 0) self->watched_ = 0;
    if (status < 0 || (ready & UV_READABLE) != 0) self->readable_ = true;
  });
}

Expected<void> Reactor::start() {
  // Signals belong to the application's threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::string error;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& exception) {
    error = exception.code().message();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!error.empty()) return failed("thread start", error.c_str());
#if defined(__linux__)
  pthread_setname_np(thread_.native_handle(), "netmesh-io");
#endif
  return {};
}

void Reactor::run() {
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const ReactorClient::Turn turn = client_.turn(readable_);
    readable_ = false;
    watch(turn.wait_writable && !readiness_.nested() ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    timer_.before_run();
    if (turn.more) {
      uv_run(&loop_, UV_RUN_NOWAIT);
      continue;
    }
    parked_.store(true, std::memory_order_seq_cst);
    const bool wait = !client_.has_work() && !stopping_.load(std::memory_order_seq_cst);
    if (!wait) parked_.store(false, std::memory_order_seq_cst);
    uv_run(&loop_, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    parked_.store(false, std::memory_order_seq_cst);
  }
  close_handles();
}

/// Loop thread, or the owner's when no thread was started.
void Reactor::close_handles() {
  if (socket_open_) uv_close(reinterpret_cast<uv_handle_t*>(&socket_), nullptr);
  if (timer_open_) timer_.close();
  if (wake_open_) uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
  socket_open_ = timer_open_ = wake_open_ = false;
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Reactor::stop() {
  if (!loop_open_) return;
  stopping_.store(true, std::memory_order_seq_cst);
  if (thread_.joinable()) {
    uv_async_send(&wake_);
    thread_.join();
  } else {
    close_handles();
  }
  uv_loop_close(&loop_);
  loop_open_ = false;
}

Reactor::~Reactor() { stop(); }

void Reactor::wake() {
  if (!stopping_.load(std::memory_order_acquire)) uv_async_send(&wake_);
}

void Reactor::arm(TimePoint now, std::optional<TimePoint> deadline, bool postpone) {
  if (timer_.arm(now, deadline, postpone)) wake();
}

}  // namespace netmesh::runtime
