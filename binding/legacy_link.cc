#include "binding/legacy_link.h"

#include <limits>
#include <vector>

#include "binding/convert.h"

namespace netmesh::binding {
namespace {

const char* name_of(bus::LegacyLink::Kind kind) {
  switch (kind) {
    case bus::LegacyLink::Kind::kIgnored:
      return "ignored";
    case bus::LegacyLink::Kind::kEstablished:
      return "established";
    case bus::LegacyLink::Kind::kModernPeer:
      return "modernPeer";
    case bus::LegacyLink::Kind::kHeartbeat:
      return "heartbeat";
    case bus::LegacyLink::Kind::kEvents:
      return "events";
  }
  return "ignored";
}

}  // namespace

Napi::Function LegacyLinkWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeLegacyLink",
                     {
                         InstanceMethod<&LegacyLinkWrap::begin>("begin"),
                         InstanceMethod<&LegacyLinkWrap::handle>("handle"),
                         InstanceMethod<&LegacyLinkWrap::seal>("seal"),
                         InstanceMethod<&LegacyLinkWrap::heartbeat>("heartbeat"),
                     });
}

LegacyLinkWrap::LegacyLinkWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<LegacyLinkWrap>(info) {
  link_ = value_or_throw(
      info.Env(), bus::LegacyLink::create(to_bool(info[0], "initiator"), to_bytes(info[1], "psk"),
                                          to_bytes(info[2], "responderKey")));
}

Napi::Value LegacyLinkWrap::begin(const Napi::CallbackInfo& info) {
  return from_bytes(info.Env(), link_->begin());
}

Napi::Value LegacyLinkWrap::handle(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const ByteSpan given = to_bytes(info[0], "datagram");
  Bytes datagram(given.begin(), given.end());
  const auto received = link_->handle(datagram);
  auto out = Napi::Object::New(env);
  out.Set("kind", name_of(received.kind));
  out.Set("moved", received.moved);
  if (!received.reply.empty()) out.Set("reply", from_bytes(env, received.reply));
  if (received.kind != bus::LegacyLink::Kind::kEvents) return out;
  out.Set("stream", from_u64(env, received.stream));
  auto events = Napi::Array::New(env, received.events.size());
  for (std::uint32_t i = 0; i < received.events.size(); ++i)
    events.Set(i, from_bytes(env, received.events[i]));
  out.Set("events", events);
  return out;
}

Napi::Value LegacyLinkWrap::seal(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!link_->established())
    throw to_js_error(env, {ErrorKind::kNotConnected, "the link is not established"});
  const std::uint64_t stream = to_u64(info[0]);
  const bool reliable = to_bool(info[1], "reliable");
  EventList list;
  list.read(env, info[2], 0, std::numeric_limits<std::size_t>::max());
  std::vector<ByteSpan> events;
  for (std::size_t i = 0; i < list.size(); ++i)
    events.emplace_back(list.data()[i].data, list.data()[i].length);
  const auto packets = link_->seal(stream, reliable, events);
  auto out = Napi::Array::New(env, packets.size());
  for (std::uint32_t i = 0; i < packets.size(); ++i) out.Set(i, from_bytes(env, packets[i]));
  return out;
}

Napi::Value LegacyLinkWrap::heartbeat(const Napi::CallbackInfo& info) {
  if (!link_->established())
    throw to_js_error(info.Env(), {ErrorKind::kNotConnected, "the link is not established"});
  return from_bytes(info.Env(), link_->heartbeat());
}

}  // namespace netmesh::binding
