#include "binding/ready_signal.h"

#include <utility>

#include "binding/convert.h"

namespace netmesh::binding {
namespace {

void call_on_ready(napi_env env, napi_value on_ready, void*, void*) {
  if (env == nullptr) return;  // the environment is going away
  napi_value undefined = nullptr;
  if (napi_get_undefined(env, &undefined) != napi_ok) return;
  if (napi_call_function(env, undefined, on_ready, 0, nullptr, nullptr) != napi_pending_exception)
    return;
  // Node would only warn about an exception here; it is as uncaught as any other.
  napi_value exception = nullptr;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok)
    napi_fatal_exception(env, exception);
}

}  // namespace

ReadySignal::ReadySignal(Napi::Env env, const Napi::Value& on_ready, const char* name) {
  if (!on_ready.IsFunction()) throw type_error(env, "onReady must be a function");
  check(env,
        napi_create_threadsafe_function(env, on_ready, nullptr, Napi::String::New(env, name), 0, 1,
                                        nullptr, nullptr, nullptr, call_on_ready, &function_));
  check(env, napi_unref_threadsafe_function(env, function_));
}

void ReadySignal::operator()() {
  const std::lock_guard lock(mutex_);
  if (function_ != nullptr)
    napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void ReadySignal::ref(Napi::Env env) {
  if (function_ != nullptr) check(env, napi_ref_threadsafe_function(env, function_));
}

void ReadySignal::unref(Napi::Env env) {
  if (function_ != nullptr) check(env, napi_unref_threadsafe_function(env, function_));
}

void ReadySignal::close() {
  const std::lock_guard lock(mutex_);
  if (function_ != nullptr)
    napi_release_threadsafe_function(std::exchange(function_, nullptr), napi_tsfn_abort);
}

}  // namespace netmesh::binding
