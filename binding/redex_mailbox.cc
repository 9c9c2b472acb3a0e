#include "binding/redex_mailbox.h"

#include <utility>

#include "binding/convert.h"

namespace netmesh::binding {

void RedexMailbox::add_done(std::uint32_t request, Expected<void> result) {
  const std::lock_guard lock(mutex_);
  const bool first = contents_.empty();
  contents_.done.push_back({request, std::move(result)});
  if (first) signal();
}

void RedexMailbox::add_tail(std::uint32_t tail) {
  const std::lock_guard lock(mutex_);
  const bool first = contents_.empty();
  contents_.tails.push_back(tail);
  if (first) signal();
}

void RedexMailbox::signal() {
  if (thread_ != nullptr) napi_call_threadsafe_function(thread_, nullptr, napi_tsfn_nonblocking);
}

RedexMailboxOwner::RedexMailboxOwner(Napi::Env env, const Napi::Function& on_ready)
    : env_(env), mailbox_(std::make_shared<RedexMailbox>()) {
  const auto name = Napi::String::New(env, "netmesh:redex");
  // The call may come when the owner is gone; the mailbox is kept for it.
  auto* kept = new std::shared_ptr<RedexMailbox>(mailbox_);
  const napi_status status = napi_create_threadsafe_function(
      env, on_ready, nullptr, name, 0, 1, kept,
      [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<RedexMailbox>*>(data); },
      kept, call_on_ready, &thread_);
  if (status != napi_ok) delete kept;
  check(env, status);
  check(env, napi_unref_threadsafe_function(env, thread_));
  mailbox_->thread_ = thread_;
  napi_add_env_cleanup_hook(env_, close_with_environment, this);
}

RedexMailboxOwner::~RedexMailboxOwner() { close(); }

void RedexMailboxOwner::close_with_environment(void* self) {
  static_cast<RedexMailboxOwner*>(self)->close();
}

void RedexMailboxOwner::close() {
  if (thread_ == nullptr) return;
  napi_remove_env_cleanup_hook(env_, close_with_environment, this);
  {
    const std::lock_guard lock(mailbox_->mutex_);
    mailbox_->thread_ = nullptr;
  }
  napi_release_threadsafe_function(std::exchange(thread_, nullptr), napi_tsfn_abort);
}

void RedexMailboxOwner::ref() {
  if (thread_ != nullptr) napi_ref_threadsafe_function(env_, thread_);
}

void RedexMailboxOwner::unref() {
  if (thread_ != nullptr) napi_unref_threadsafe_function(env_, thread_);
}

void RedexMailboxOwner::call_on_ready(napi_env raw_env, napi_value on_ready, void* context, void*) {
  if (raw_env == nullptr) return;  // the environment is going away
  const Napi::Env env(raw_env);
  RedexMailbox::Contents contents;
  {
    RedexMailbox& mailbox = **static_cast<std::shared_ptr<RedexMailbox>*>(context);
    const std::lock_guard lock(mailbox.mutex_);
    contents = std::exchange(mailbox.contents_, {});
  }
  if (contents.empty()) return;
  Napi::Array requests = Napi::Array::New(env);
  Napi::Array errors = Napi::Array::New(env);
  Napi::Array tails = Napi::Array::New(env);
  for (std::uint32_t i = 0; i < contents.done.size(); ++i) {
    const RedexMailbox::Done& done = contents.done[i];
    requests.Set(i, Napi::Number::New(env, done.request));
    errors.Set(i, done.result ? env.Undefined() : to_js_error(env, done.result.error()).Value());
  }
  for (std::uint32_t i = 0; i < contents.tails.size(); ++i)
    tails.Set(i, Napi::Number::New(env, contents.tails[i]));
  const napi_value arguments[] = {requests, errors, tails};
  if (napi_call_function(env, env.Undefined(), on_ready, 3, arguments, nullptr) !=
      napi_pending_exception)
    return;
  // Node would only warn about an exception here; it is as uncaught as any other.
  napi_value exception = nullptr;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok)
    napi_fatal_exception(env, exception);
}

}  // namespace netmesh::binding
