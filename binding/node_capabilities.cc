// The methods of NativeNode about capabilities.

#include <array>

#include "binding/capability.h"
#include "binding/node.h"

namespace netmesh::binding {
namespace {

/// In the order of capability::Received.
constexpr std::array kReceived = {"indexed",     "malformed",     "rateLimited", "foreign",
                                  "own",         "seen",          "unsigned",    "forged",
                                  "wrongNodeId", "wrongIdentity", "expired",     "noRoom"};
/// In the order of capability::WatchEvent::Kind.
constexpr std::array kWatchKinds = {"join", "change", "leave"};

std::optional<capability::ScopeFilter> to_optional_scope(const Napi::Value& value) {
  if (value.IsUndefined()) return std::nullopt;
  return to_scope_filter(value);
}

}  // namespace

void NodeWrap::announce(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  capability::CapabilitySet set = to_capability_set(info[0]);
  std::optional<std::uint32_t> ttl_secs;
  if (!info[1].IsUndefined()) ttl_secs = to_u32(info[1], "ttlSeconds");
  value_or_throw(env, node(env).announce(std::move(set), ttl_secs, to_bool(info[2], "sign")));
}

Napi::Value NodeWrap::find_nodes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const runtime::Node& self = node(env);
  const capability::Filter filter = to_filter(info[0]);
  const auto scope = to_optional_scope(info[1]);
  std::vector<NodeId> found;
  self.ask_capabilities([&](const capability::CapabilityIndex& index, TimePoint now) {
    found = scope ? index.find_nodes_scoped(filter, *scope, now) : index.find_nodes(filter, now);
  });
  return from_node_ids(env, found);
}

Napi::Value NodeWrap::find_best_node(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const runtime::Node& self = node(env);
  const capability::Requirement requirement = to_requirement(info[0]);
  const auto scope = to_optional_scope(info[1]);
  std::optional<NodeId> found;
  self.ask_capabilities([&](const capability::CapabilityIndex& index, TimePoint now) {
    found = scope ? index.find_best_node_scoped(requirement, *scope, now)
                  : index.find_best_node(requirement, now);
  });
  return from_node_id(env, found);
}

Napi::Value NodeWrap::capability_aggregate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const runtime::Node& self = node(env);
  const auto matcher = to_matcher(info[0]);
  const capability::GroupBy group_by = to_group_by(info[1]);
  const capability::Aggregation aggregation = to_aggregation(info[2]);
  std::vector<capability::AggregateRow> rows;
  self.ask_capabilities([&](const capability::CapabilityIndex& index, TimePoint now) {
    rows = index.aggregate(matcher, group_by, aggregation, now);
  });
  return from_rows(env, rows);
}

Napi::Value NodeWrap::capability_capacity_ranking(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const runtime::Node& self = node(env);
  const capability::CapacityQuery query = to_capacity_query(info[0]);
  const capability::RttLookup rtt = to_rtt_lookup(info[1]);
  std::vector<capability::CapacityRow> rows;
  self.ask_capabilities([&](const capability::CapabilityIndex& index, TimePoint now) {
    rows = index.capacity_ranking(query, rtt, now);
  });
  return from_rows(env, rows);
}

Napi::Value NodeWrap::capabilities_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const NodeId id(to_u64(info[0]));
  std::optional<capability::CapabilitySet> set;
  node(env).ask_capabilities([&](const capability::CapabilityIndex& index, TimePoint now) {
    if (index.is_live(id, now)) set = index.capabilities_of(id);
  });
  return set ? Napi::Value(from_capability_set(env, *set)) : env.Null();
}

Napi::Value NodeWrap::subnet_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const NodeId id(to_u64(info[0]));
  std::optional<identity::SubnetId> subnet;
  node(env).ask_capabilities(
      [&](const capability::CapabilityIndex& index, TimePoint) { subnet = index.subnet_of(id); });
  return subnet ? Napi::Value(Napi::Number::New(env, subnet->value())) : env.Null();
}

Napi::Value NodeWrap::watch_capabilities(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto watch = node(env).watch_capabilities(to_filter(info[0]), to_optional_scope(info[1]));
  return Napi::Number::New(env, value_or_throw(env, watch));
}

void NodeWrap::unwatch_capabilities(const Napi::CallbackInfo& info) {
  if (node_) node_->unwatch_capabilities(to_u32(info[0], "watch"));
}

Napi::Value NodeWrap::poll_watch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto events = node(env).poll_watch(to_u32(info[0], "watch"));
  Napi::Array out = Napi::Array::New(env, events.size());
  for (std::uint32_t i = 0; i < events.size(); ++i) {
    Napi::Object event = Napi::Object::New(env);
    event.Set("kind", kWatchKinds[static_cast<std::size_t>(events[i].kind)]);
    event.Set("nodeId", from_u64(env, events[i].node.value));
    out.Set(i, event);
  }
  return out;
}

Napi::Value NodeWrap::take_announcement(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const ByteSpan document = to_bytes(info[1], "document");
  const auto received = node(env).take_announcement(
      to_u64(info[0]), {reinterpret_cast<const char*>(document.data()), document.size()});
  return Napi::String::New(env, kReceived[static_cast<std::size_t>(received)]);
}

void NodeWrap::inject_synthetic_peer(const Napi::CallbackInfo& info) {
  node(info.Env()).inject_synthetic_peer(to_u64(info[0]));
}

}  // namespace netmesh::binding
