#include "binding/capability.h"

#include "binding/capability_values.h"
#include "binding/convert.h"
#include "binding/cortex_values.h"
#include "runtime/clock.h"

namespace netmesh::binding {
namespace {

using namespace capability;

TimePoint now() { return runtime::read_clocks().monotonic; }

/// `(set)`: its tags and metadata.
Napi::Value encode_capability_set(const Napi::CallbackInfo& info) {
  return from_capability_set(info.Env(), to_capability_set(info[0]));
}

/// `(tags, metadata)`: what they say, in fields.
Napi::Value decode_capability_set(const Napi::CallbackInfo& info) {
  CapabilitySet set;
  for (const std::string& tag : to_texts(info[0], "tags")) set.add_tag(tag);
  set.metadata = to_metadata(info[1], "metadata");
  return from_description(info.Env(), describe(set));
}

Napi::Value normalize_gpu_vendor(const Napi::CallbackInfo& info) {
  const std::string_view name = gpu_vendor_name(parse_gpu_vendor(to_text(info[0], "vendor")));
  return Napi::String::New(info.Env(), name.data(), name.size());
}

}  // namespace

// --- an index by itself ---

Napi::Function CapabilityIndexWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeCapabilityIndex",
      {
          InstanceMethod<&CapabilityIndexWrap::upsert>("upsert"),
          InstanceMethod<&CapabilityIndexWrap::remove>("remove"),
          InstanceMethod<&CapabilityIndexWrap::find_nodes>("findNodes"),
          InstanceMethod<&CapabilityIndexWrap::find_nodes_scoped>("findNodesScoped"),
          InstanceMethod<&CapabilityIndexWrap::find_best_node>("findBestNode"),
          InstanceMethod<&CapabilityIndexWrap::aggregate>("capabilityAggregate"),
          InstanceMethod<&CapabilityIndexWrap::capacity_ranking>("capabilityCapacityRanking"),
      });
}

CapabilityIndexWrap::CapabilityIndexWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<CapabilityIndexWrap>(info), index_(CapabilityIndex::Options{}) {}

Napi::Value CapabilityIndexWrap::upsert(const Napi::CallbackInfo& info) {
  Announcement announcement;
  announcement.node_id = NodeId(to_u64(info[0]));
  announcement.capabilities = to_capability_set(info[1]);
  announcement.version = index_.version_of(announcement.node_id).value_or(0) + 1;
  announcement.ttl_secs = 3600;
  const Now clocks = runtime::read_clocks();
  announcement.timestamp_ns = static_cast<std::uint64_t>(clocks.unix_ns);
  const auto outcome = index_.upsert(announcement, clocks);
  return Napi::Boolean::New(info.Env(), outcome == CapabilityIndex::Outcome::kAdded);
}

Napi::Value CapabilityIndexWrap::remove(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), index_.remove(NodeId(to_u64(info[0]))));
}

Napi::Value CapabilityIndexWrap::find_nodes(const Napi::CallbackInfo& info) {
  return from_node_ids(info.Env(), index_.find_nodes(to_filter(info[0]), now()));
}

Napi::Value CapabilityIndexWrap::find_nodes_scoped(const Napi::CallbackInfo& info) {
  const Filter filter = to_filter(info[0]);
  return from_node_ids(info.Env(),
                       index_.find_nodes_scoped(filter, to_scope_filter(info[1]), now()));
}

Napi::Value CapabilityIndexWrap::find_best_node(const Napi::CallbackInfo& info) {
  const Requirement requirement = to_requirement(info[0]);
  if (info[1].IsUndefined())
    return from_node_id(info.Env(), index_.find_best_node(requirement, now()));
  return from_node_id(info.Env(),
                      index_.find_best_node_scoped(requirement, to_scope_filter(info[1]), now()));
}

Napi::Value CapabilityIndexWrap::aggregate(const Napi::CallbackInfo& info) {
  const auto matcher = to_matcher(info[0]);
  const GroupBy group_by = to_group_by(info[1]);
  return from_rows(info.Env(), index_.aggregate(matcher, group_by, to_aggregation(info[2]), now()));
}

Napi::Value CapabilityIndexWrap::capacity_ranking(const Napi::CallbackInfo& info) {
  const CapacityQuery query = to_capacity_query(info[0]);
  return from_rows(info.Env(), index_.capacity_ranking(query, to_rtt_lookup(info[1]), now()));
}

void define_capability(Napi::Env env, Napi::Object exports) {
  exports.Set("NativeCapabilityIndex", CapabilityIndexWrap::define(env));
  exports.Set("encodeCapabilitySet",
              Napi::Function::New<encode_capability_set>(env, "encodeCapabilitySet"));
  exports.Set("decodeCapabilitySet",
              Napi::Function::New<decode_capability_set>(env, "decodeCapabilitySet"));
  exports.Set("normalizeGpuVendor",
              Napi::Function::New<normalize_gpu_vendor>(env, "normalizeGpuVendor"));
}

}  // namespace netmesh::binding
