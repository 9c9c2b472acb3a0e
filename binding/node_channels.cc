// The methods of NativeNode about channels.

#include <algorithm>
#include <limits>

#include "binding/capability.h"
#include "binding/node.h"
#include "channel/errors.h"
#include "channel/registry.h"

namespace netmesh::binding {
namespace {

constexpr std::size_t kAllBytes = std::numeric_limits<std::size_t>::max();

template <typename Take>
void with(const Napi::Object& source, const char* name, Take&& take) {
  const Napi::Value value = source.Get(name);
  if (!value.IsUndefined()) take(value, name);
}

identity::EntityId to_entity(const Napi::Value& value, const char* name) {
  const ByteSpan bytes = to_bytes(value, name);
  identity::EntityId out{};
  if (bytes.size() != out.size()) {
    throw to_js_error(value.Env(), {ErrorKind::kChannel, "channel: " + std::string(name) +
                                                             " must be 32 bytes, got " +
                                                             std::to_string(bytes.size())});
  }
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

template <typename Element>
void each(const Napi::Value& list, const char* name, Element&& element) {
  if (!list.IsArray()) throw type_error(list.Env(), std::string(name) + " must be an array");
  const auto array = list.As<Napi::Array>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) element(array.Get(i));
}

channel::ChannelConfig to_channel_config(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  if (!value.IsObject()) throw type_error(env, "config must be an object");
  const auto source = value.As<Napi::Object>();
  channel::ChannelConfig out{
      value_or_throw(env, channel::ChannelName::parse(to_text(source.Get("name"), "name")))};
  with(source, "prefix",
       [&](const Napi::Value& flag, const char* name) { out.prefix = to_bool(flag, name); });
  with(source, "visibility", [&](const Napi::Value& word, const char* name) {
    out.visibility = value_or_throw(env, channel::to_visibility(to_text(word, name)));
  });
  with(source, "exportTo", [&](const Napi::Value& list, const char* name) {
    each(list, name,
         [&](const Napi::Value& subnet) { out.export_to.emplace_back(to_u32(subnet, name)); });
  });
  with(source, "reliable",
       [&](const Napi::Value& flag, const char* name) { out.reliable = to_bool(flag, name); });
  with(source, "priority", [&](const Napi::Value& number, const char* name) {
    out.priority = static_cast<std::uint8_t>(std::min(to_u32(number, name), 255u));
  });
  with(source, "maxRatePps",
       [&](const Napi::Value& rate, const char* name) { out.max_rate_pps = to_u32(rate, name); });
  with(source, "publishCaps",
       [&](const Napi::Value& caps, const char*) { out.publish_caps = to_filter(caps); });
  with(source, "subscribeCaps",
       [&](const Napi::Value& caps, const char*) { out.subscribe_caps = to_filter(caps); });
  with(source, "requireToken",
       [&](const Napi::Value& flag, const char* name) { out.require_token = to_bool(flag, name); });
  with(source, "tokenRoots", [&](const Napi::Value& list, const char* name) {
    each(list, name,
         [&](const Napi::Value& root) { out.token_roots.push_back(to_entity(root, name)); });
  });
  with(source, "retain",
       [&](const Napi::Value& count, const char* name) { out.retain = to_u32(count, name); });
  with(source, "maxRetainedBytes", [&](const Napi::Value& bytes, const char* name) {
    out.max_retained_bytes = to_u32(bytes, name);
  });
  return out;
}

}  // namespace

void NodeWrap::register_channel(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  runtime::Node& self = node(env);
  value_or_throw(env, self.register_channel(to_channel_config(info[0])));
}

Napi::Value NodeWrap::unregister_channel(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto known = node(env).unregister_channel(to_text(info[0], "channel"));
  return Napi::Boolean::New(env, value_or_throw(env, known));
}

Napi::Value NodeWrap::subscribe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  runtime::Node& self = node(env);
  const std::uint64_t publisher = to_u64(info[0]);
  const std::string name = to_text(info[1], "channel");
  channel::SubscribeOptions options;
  if (!info[2].IsUndefined()) {
    const ByteSpan token = to_bytes(info[2], "token");
    options.credential.assign(token.begin(), token.end());
  }
  if (!info[3].IsUndefined()) options.queue_group = to_text(info[3], "queueGroup");
  if (!info[4].IsUndefined()) options.replay = to_u32(info[4], "replay");
  auto request = self.subscribe(publisher, name, std::move(options));
  return Napi::Number::New(env, static_cast<double>(value_or_throw(env, request)));
}

Napi::Value NodeWrap::unsubscribe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto request = node(env).unsubscribe(to_u64(info[0]), to_text(info[1], "channel"));
  return Napi::Number::New(env, static_cast<double>(value_or_throw(env, request)));
}

void NodeWrap::cancel_membership(const Napi::CallbackInfo& info) {
  node(info.Env()).cancel_membership(to_u32(info[0], "request"));
}

Napi::Value NodeWrap::publish(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  runtime::Node& self = node(env);
  const std::string name = to_text(info[0], "channel");
  runtime::PublishOptions options;
  if (!info[2].IsUndefined()) options.reliable = to_bool(info[2], "reliable");
  options.on_failure = static_cast<runtime::OnFailure>(std::min(to_u32(info[3], "onFailure"), 2u));
  options.max_inflight = to_u32(info[4], "maxInflight");
  events_.read(env, info[1], 0, kAllBytes);
  auto request = self.publish(name, events_.data(), events_.size(), options);
  return Napi::Number::New(env, value_or_throw(env, request));
}

Napi::Value NodeWrap::channels(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto channels = node(env).channels();
  Napi::Array out = Napi::Array::New(env, channels.size());
  for (std::uint32_t i = 0; i < channels.size(); ++i) {
    const channel::Broker::ChannelInfo& from = channels[i];
    const channel::ChannelCounters& counts = from.counters;
    Napi::Object to = Napi::Object::New(env);
    const auto set = [&](const char* name, std::uint64_t value) {
      to.Set(name, static_cast<double>(value));
    };
    to.Set("name", from.name);
    to.Set("registered", from.registered);
    set("subscribers", from.subscribers);
    set("queueGroups", from.queue_groups);
    set("retained", from.retained);
    set("retainedBytes", from.retained_bytes);
    set("published", counts.published);
    set("recipients", counts.recipients);
    set("delivered", counts.delivered);
    set("failed", counts.failed);
    set("denied", counts.denied);
    set("rateLimited", counts.rate_limited);
    set("skippedVisibility", counts.skipped_visibility);
    set("skippedGuard", counts.skipped_guard);
    set("skippedToken", counts.skipped_token);
    set("accepted", counts.accepted);
    std::uint64_t refused = 0, evicted = 0;
    for (const std::uint64_t count : counts.refused) refused += count;
    for (const std::uint64_t count : counts.evictions) evicted += count;
    set("refused", refused);
    set("evicted", evicted);
    set("replayed", counts.replayed);
    out.Set(i, to);
  }
  return out;
}

Napi::Value NodeWrap::subscribers(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto nodes = node(env).subscribers(to_text(info[0], "channel"));
  Napi::BigUint64Array out = Napi::BigUint64Array::New(env, nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) out[i] = nodes[i];
  return out;
}

Napi::Value NodeWrap::subscriptions(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto subscriptions = node(env).subscriptions();
  Napi::Array out = Napi::Array::New(env, subscriptions.size());
  for (std::uint32_t i = 0; i < subscriptions.size(); ++i) {
    const channel::Subscriber::Subscription& from = subscriptions[i];
    Napi::Object to = Napi::Object::New(env);
    to.Set("publisherNodeId", from_u64(env, from.publisher.value));
    to.Set("channel", from.channel);
    if (!from.queue_group.empty()) to.Set("queueGroup", from.queue_group);
    to.Set("active", from.active);
    to.Set("reliable", from.reliable);
    out.Set(i, to);
  }
  return out;
}

void NodeWrap::install_credential(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  value_or_throw(env, node(env).install_credential(to_bytes(info[0], "token")));
}

void NodeWrap::revoke_below(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::uint32_t floor = to_u32(info[1], "generation");
  value_or_throw(env, node(env).revoke_below(to_bytes(info[0], "issuer"), floor));
}

void define_channels(Napi::Env env, Napi::Object exports) {
  const auto stream_id = [](const Napi::CallbackInfo& info) -> Napi::Value {
    const std::string text = to_text(info[0], "channel");
    const auto name = value_or_throw(info.Env(), channel::ChannelName::parse(text));
    return from_u64(info.Env(), name.stream().value);
  };
  exports.Set("channelStreamId", Napi::Function::New(env, stream_id, "channelStreamId"));
}

}  // namespace netmesh::binding
