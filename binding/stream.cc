#include "binding/stream.h"

#include <limits>
#include <utility>

#include "binding/addon.h"

namespace netmesh::binding {
namespace {

/// `SEND_…` in types/native.d.ts.
int code_of(runtime::Stream::Status status) {
  switch (status) {
    case runtime::Stream::Status::kBackpressure:
      return kSendBackpressure;
    case runtime::Stream::Status::kNotConnected:
      return kSendNotConnected;
    case runtime::Stream::Status::kShutDown:
      return kSendShutDown;
    case runtime::Stream::Status::kSent:
      break;
  }
  return 0;
}

}  // namespace

Napi::Function StreamWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeStream",
                     {
                         InstanceAccessor<&StreamWrap::peer_node_id>("peerNodeId"),
                         InstanceAccessor<&StreamWrap::stream_id>("streamId"),
                         InstanceAccessor<&StreamWrap::epoch>("epoch"),
                         InstanceAccessor<&StreamWrap::window_bytes>("windowBytes"),
                         InstanceAccessor<&StreamWrap::max_event_bytes>("maxEventBytes"),
                         InstanceMethod<&StreamWrap::send>("send"),
                         InstanceMethod<&StreamWrap::want_credit>("wantCredit"),
                         InstanceAccessor<&StreamWrap::closed>("closed"),
                     });
}

Napi::Object StreamWrap::create(Napi::Env env, std::unique_ptr<runtime::Stream> stream) {
  auto* addon = env.GetInstanceData<Addon>();
  addon->stream_to_wrap = std::move(stream);
  return addon->stream_class.New({});
}

StreamWrap::StreamWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StreamWrap>(info) {
  stream_ = std::move(info.Env().GetInstanceData<Addon>()->stream_to_wrap);
  if (!stream_)
    throw type_error(info.Env(), "NativeStream objects come from NativeNode.openStream");
}

Napi::Value StreamWrap::peer_node_id(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), stream_->peer());
}
Napi::Value StreamWrap::stream_id(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), stream_->stream_id());
}
Napi::Value StreamWrap::epoch(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), stream_->epoch());
}

Napi::Value StreamWrap::window_bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), stream_->window_bytes());
}

Napi::Value StreamWrap::max_event_bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), stream_->max_event_bytes());
}

Napi::Value StreamWrap::send(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::uint32_t from = to_u32(info[1], "from");
  const bool partial = to_bool(info[2], "partial");

  // The first call has seen every event; one that goes on with the rest reads only what can fit, so
  // that sending a long list through a small window takes time linear in its length.
  const std::uint32_t window = stream_->window_bytes();
  const bool goes_on = partial && from > 0 && window > 0;
  events_.read(env, info[0], from, goes_on ? window : std::numeric_limits<std::size_t>::max());
  value_or_throw(env, stream_->check(events_.data(), events_.size()));

  const runtime::Stream::Result result = stream_->send(events_.data(), events_.size(), partial);
  const bool some = result.status == runtime::Stream::Status::kSent || result.sent > 0;
  return Napi::Number::New(env, some ? static_cast<double>(result.sent) : code_of(result.status));
}

Napi::Value StreamWrap::want_credit(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), stream_->want_credit(to_u32(info[0], "nextEventBytes")));
}

Napi::Value StreamWrap::closed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), stream_->closed());
}

}  // namespace netmesh::binding
