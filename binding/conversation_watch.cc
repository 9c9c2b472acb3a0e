#include "binding/conversation_watch.h"

#include <utility>

namespace netmesh::binding {

std::unique_ptr<ConversationWatch, ConversationWatch::Close> ConversationWatch::create(
    Napi::Env env, int descriptor, std::function<void()> on_readable) {
  uv_loop_t* loop = nullptr;
  if (descriptor < 0 || napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
  std::unique_ptr<ConversationWatch> watch(new ConversationWatch(std::move(on_readable)));
  if (uv_poll_init(loop, &watch->poll_, descriptor) != 0) return nullptr;
  watch->poll_.data = watch.get();
  uv_unref(reinterpret_cast<uv_handle_t*>(&watch->poll_));
  // The environment ends only when the handle is closed; the owner closes it in time.
  napi_add_async_cleanup_hook(
      env, [](napi_async_cleanup_hook_handle, void*) {}, nullptr, &watch->hook_);
  uv_poll_start(&watch->poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    static_cast<ConversationWatch*>(poll->data)->on_readable_();
  });
  return std::unique_ptr<ConversationWatch, Close>(watch.release());
}

void ConversationWatch::close() {
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
    auto* self = static_cast<ConversationWatch*>(handle->data);
    if (self->hook_ != nullptr) napi_remove_async_cleanup_hook(self->hook_);
    delete self;
  });
}

}  // namespace netmesh::binding
