#pragma once
// From any thread to one JavaScript function.

#include <napi.h>

#include <memory>
#include <mutex>

namespace netmesh::binding {

/// Calls a function on its JavaScript thread, soon after somebody has asked for it on any thread.
/// Does not keep the process alive unless `ref` says so. Shared with those who ask, who may outlive
/// the environment: after `close` asking does nothing.
class ReadySignal {
 public:
  ReadySignal(Napi::Env env, const Napi::Value& on_ready, const char* name);
  ~ReadySignal() { close(); }
  ReadySignal(const ReadySignal&) = delete;
  ReadySignal& operator=(const ReadySignal&) = delete;

  /// Any thread.
  void operator()();
  // The JavaScript thread:
  void ref(Napi::Env env);
  void unref(Napi::Env env);
  void close();

 private:
  std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;
};

}  // namespace netmesh::binding
