#pragma once
// The JavaScript class NativeRedex.

#include <napi.h>

#include <memory>

#include "binding/redex_mailbox.h"
#include "redex/redex.h"

namespace netmesh::binding {

/// Wraps a manager of logs. Its files, their tails and it share one mailbox.
class RedexWrap : public Napi::ObjectWrap<RedexWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit RedexWrap(const Napi::CallbackInfo& info);

  /// For classes that work on logs of this manager.
  redex::Redex& redex() { return *redex_; }

 private:
  Napi::Value open_file(const Napi::CallbackInfo& info);
  Napi::Value names(const Napi::CallbackInfo& info);

  std::shared_ptr<redex::Redex> redex_;
  std::shared_ptr<RedexMailboxOwner> owner_;
};

}  // namespace netmesh::binding
