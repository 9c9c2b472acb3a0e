#pragma once
// Lets the JavaScript thread's loop be woken by a node's socket for as long as a conversation
// lasts.

#include <napi.h>
#include <uv.h>

#include <functional>
#include <memory>

namespace netmesh::binding {

/// A libuv watch on one descriptor in the environment's loop; does not keep the loop alive. Closing
/// is asynchronous in libuv: the watch frees itself when that is done, and an environment that ends
/// waits for it.
class ConversationWatch {
 public:
  struct Close {
    void operator()(ConversationWatch* watch) const { watch->close(); }
  };
  /// Null when the descriptor is negative or cannot be watched: the node works without.
  static std::unique_ptr<ConversationWatch, Close> create(Napi::Env env, int descriptor,
                                                          std::function<void()> on_readable);

 private:
  explicit ConversationWatch(std::function<void()> on_readable)
      : on_readable_(std::move(on_readable)) {}
  void close();

  uv_poll_t poll_{};
  std::function<void()> on_readable_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace netmesh::binding
