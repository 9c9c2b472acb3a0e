#pragma once
// Capabilities between JavaScript and C++: sets, filters, scopes, queries and their rows; and the
// class NativeCapabilityIndex, an index by itself.

#include <napi.h>

#include "capability/index.h"

namespace netmesh::binding {

// --- what JavaScript passes in; each throws for what does not fit ---

/// A `NativeCapabilitySet`, built in the documented order: hardware, software, models, tools, tags,
/// limits, metadata.
capability::CapabilitySet to_capability_set(const Napi::Value& value);
capability::Filter to_filter(const Napi::Value& value);
capability::ScopeFilter to_scope_filter(const Napi::Value& value);
capability::Requirement to_requirement(const Napi::Value& value);
/// Undefined stands for no matcher.
std::optional<capability::TagMatcher> to_matcher(const Napi::Value& value);
capability::GroupBy to_group_by(const Napi::Value& value);
capability::Aggregation to_aggregation(const Napi::Value& value);
capability::CapacityQuery to_capacity_query(const Napi::Value& value);
/// A list of `{ nodeId, rttMs }`, or undefined.
capability::RttLookup to_rtt_lookup(const Napi::Value& value);

// --- results ---

Napi::Value from_node_ids(Napi::Env env, const std::vector<NodeId>& nodes);
Napi::Value from_node_id(Napi::Env env, std::optional<NodeId> node);
Napi::Value from_rows(Napi::Env env, const std::vector<capability::AggregateRow>& rows);
Napi::Value from_rows(Napi::Env env, const std::vector<capability::CapacityRow>& rows);
/// `{ tags, metadata }`
Napi::Object from_capability_set(Napi::Env env, const capability::CapabilitySet& set);
/// A `CapabilitySet` of lib/capabilities.ts.
Napi::Object from_description(Napi::Env env, const capability::Description& described);

/// An index without a mesh, for tests and measurements of what applications see of it.
class CapabilityIndexWrap : public Napi::ObjectWrap<CapabilityIndexWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CapabilityIndexWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value upsert(const Napi::CallbackInfo& info);
  Napi::Value remove(const Napi::CallbackInfo& info);
  Napi::Value find_nodes(const Napi::CallbackInfo& info);
  Napi::Value find_nodes_scoped(const Napi::CallbackInfo& info);
  Napi::Value find_best_node(const Napi::CallbackInfo& info);
  Napi::Value aggregate(const Napi::CallbackInfo& info);
  Napi::Value capacity_ranking(const Napi::CallbackInfo& info);

  capability::CapabilityIndex index_;
};

/// Adds everything of this area to what the addon exports.
void define_capability(Napi::Env env, Napi::Object exports);

}  // namespace netmesh::binding
