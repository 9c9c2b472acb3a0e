#pragma once
// The JavaScript class NativeStream.

#include <napi.h>

#include <memory>

#include "binding/convert.h"
#include "runtime/node.h"

namespace netmesh::binding {

/// Wraps the sending half of a stream; made by NativeNode alone. Usable, if only to be told so,
/// after its node was closed.
class StreamWrap : public Napi::ObjectWrap<StreamWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, std::unique_ptr<runtime::Stream> stream);
  explicit StreamWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value peer_node_id(const Napi::CallbackInfo& info);
  Napi::Value stream_id(const Napi::CallbackInfo& info);
  Napi::Value epoch(const Napi::CallbackInfo& info);
  Napi::Value window_bytes(const Napi::CallbackInfo& info);
  Napi::Value max_event_bytes(const Napi::CallbackInfo& info);
  Napi::Value send(const Napi::CallbackInfo& info);
  Napi::Value want_credit(const Napi::CallbackInfo& info);
  Napi::Value closed(const Napi::CallbackInfo& info);

  std::unique_ptr<runtime::Stream> stream_;
  EventList events_;
};

}  // namespace netmesh::binding
