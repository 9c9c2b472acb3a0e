#pragma once
// The JavaScript class NativeRedexTail.

#include <napi.h>

#include <memory>

#include "binding/redex_mailbox.h"
#include "redex/redex.h"

namespace netmesh::binding {

/// Wraps a tail. Made by NativeRedexFile alone. Ends with the object's collection, if not before.
class RedexTailWrap : public Napi::ObjectWrap<RedexTailWrap> {
 public:
  struct Parts {
    std::uint32_t id = 0;
    std::unique_ptr<redex::Tail> tail;
    std::shared_ptr<RedexMailboxOwner> owner;
  };
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, Parts parts);
  explicit RedexTailWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value id(const Napi::CallbackInfo& info);
  Napi::Value take(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  void ref(const Napi::CallbackInfo& info);
  void unref(const Napi::CallbackInfo& info);

  Parts parts_;
  redex::EventBatch batch_;
};

}  // namespace netmesh::binding
