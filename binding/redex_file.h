#pragma once
// The JavaScript class NativeRedexFile.

#include <napi.h>

#include <memory>
#include <vector>

#include "binding/convert.h"
#include "binding/redex_mailbox.h"
#include "redex/redex.h"

namespace netmesh::binding {

/// Wraps a log. Made by NativeRedex alone.
class RedexFileWrap : public Napi::ObjectWrap<RedexFileWrap> {
 public:
  struct Parts {
    std::shared_ptr<redex::File> file;
    /// The name stays registered for as long as there is a file.
    std::shared_ptr<redex::Redex> manager;
    std::shared_ptr<RedexMailboxOwner> owner;
  };
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, Parts parts);
  explicit RedexFileWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value append_each(const Napi::CallbackInfo& info);
  Napi::Value append_batch(const Napi::CallbackInfo& info);
  Napi::Value read_range(const Napi::CallbackInfo& info);
  Napi::Value length(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value tail(const Napi::CallbackInfo& info);
  Napi::Value sync(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  void sweep_retention(const Napi::CallbackInfo& info);
  Napi::Value closed(const Napi::CallbackInfo& info);
  void ref(const Napi::CallbackInfo& info);
  void unref(const Napi::CallbackInfo& info);

  /// `views_[at]` becomes the payload's bytes, which are there until JavaScript runs again.
  void view_payload(Napi::Env env, std::size_t at, napi_value payload);
  Napi::Value append_views(Napi::Env env);

  Parts parts_;
  std::vector<ByteSpan> views_;
  std::vector<napi_value> values_;
  redex::EventBatch batch_;
};

}  // namespace netmesh::binding
