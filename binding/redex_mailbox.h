#pragma once
// What the disk threads and appending threads tell one environment about its logs.

#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"

namespace netmesh::binding {

/// Results of syncs, and tails that have something again. JavaScript is called once per batch,
/// whatever comes in between goes with it. Any thread; outlives the environment, which then hears
/// nothing more.
class RedexMailbox {
 public:
  struct Done {
    std::uint32_t request;
    Expected<void> result;
  };
  struct Contents {
    std::vector<Done> done;
    std::vector<std::uint32_t> tails;
    bool empty() const { return done.empty() && tails.empty(); }
  };

  void add_done(std::uint32_t request, Expected<void> result);
  void add_tail(std::uint32_t tail);

 private:
  friend class RedexMailboxOwner;
  void signal();

  std::mutex mutex_;
  napi_threadsafe_function thread_ = nullptr;
  Contents contents_;
};

/// The JavaScript side of a mailbox: belongs to the objects of one NativeRedex, on their thread.
/// `onReady(requests, errors, tails)` gets what came.
class RedexMailboxOwner {
 public:
  RedexMailboxOwner(Napi::Env env, const Napi::Function& on_ready);
  ~RedexMailboxOwner();
  RedexMailboxOwner(const RedexMailboxOwner&) = delete;
  RedexMailboxOwner& operator=(const RedexMailboxOwner&) = delete;

  const std::shared_ptr<RedexMailbox>& mailbox() const { return mailbox_; }
  std::uint32_t next_id() { return ++last_id_; }
  /// Whether something that waits keeps the process alive.
  void ref();
  void unref();

 private:
  static void call_on_ready(napi_env env, napi_value on_ready, void* context, void* data);
  static void close_with_environment(void* self);
  void close();

  const napi_env env_;
  const std::shared_ptr<RedexMailbox> mailbox_;
  napi_threadsafe_function thread_ = nullptr;
  std::uint32_t last_id_ = 0;
};

}  // namespace netmesh::binding
