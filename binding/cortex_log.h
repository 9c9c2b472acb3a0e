#pragma once
// `NativeModelLog` in types/native.d.ts.

#include <napi.h>

#include <memory>

#include "binding/ready_signal.h"
#include "cortex/model_log.h"

namespace netmesh::binding {

/// The log of a model that JavaScript folds. Made first, opened then, on another thread.
class ModelLogWrap : public Napi::ObjectWrap<ModelLogWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ModelLogWrap(const Napi::CallbackInfo& info);
  ~ModelLogWrap() override;

 private:
  class OpenWorker;

  cortex::ModelLog& log(Napi::Env env);
  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  void skip_to(const Napi::CallbackInfo& info);
  void seek(const Napi::CallbackInfo& info);
  Napi::Value take(const Napi::CallbackInfo& info);
  Napi::Value append(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  void ref(const Napi::CallbackInfo& info);
  void unref(const Napi::CallbackInfo& info);

  static void close_with_environment(void* self);
  void close_now();

  const napi_env env_;
  std::shared_ptr<ReadySignal> signal_;
  std::unique_ptr<cortex::ModelLog> log_;
};

}  // namespace netmesh::binding
