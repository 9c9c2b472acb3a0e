// Questions to a capability index, and their answers, between JavaScript and C++.

#include <algorithm>
#include <array>
#include <unordered_map>

#include "binding/capability.h"
#include "binding/fields.h"

namespace netmesh::binding {
namespace {

using namespace capability;

void take_modalities(const Napi::Object& source, const char* name, std::vector<Modality>& out) {
  std::vector<std::string> words;
  take(source, name, words);
  for (const std::string& word : words) out.push_back(parse_modality(word));
}

/// The position of the object's `kind` in a list of words, which is that of an enumeration.
template <typename Kind, std::size_t N>
Kind kind_of(const Napi::Object& source, const char* what,
             const std::array<const char*, N>& words) {
  const std::string kind = to_text(source.Get("kind"), "kind");
  const auto at = std::find(words.begin(), words.end(), kind);
  if (at != words.end()) return static_cast<Kind>(at - words.begin());
  std::string text =
      "capability: unknown " + std::string(what) + " kind \"" + kind + "\"; expected ";
  for (const char* word : words) text += (word == words.front() ? "" : " | ") + std::string(word);
  throw to_js_error(source.Env(), {ErrorKind::kCapability, text});
}

}  // namespace

Filter to_filter(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "filter");
  Filter out;
  take(source, "requireTags", out.require_tags);
  take(source, "requireModels", out.require_models);
  take(source, "requireTools", out.require_tools);
  take(source, "requireGpu", out.require_gpu);
  with(source, "gpuVendor", [&](const Napi::Value& word, const char* n) {
    out.gpu_vendor = parse_gpu_vendor(to_text(word, n));
  });
  take(source, "minMemoryGb", out.min_memory_gb);
  take(source, "minMemoryMb", out.min_memory_mb);
  take(source, "minVramGb", out.min_vram_gb);
  take(source, "minVramMb", out.min_vram_mb);
  take(source, "minContextLength", out.min_context_length);
  take_modalities(source, "requireModalities", out.require_modalities);
  return out;
}

ScopeFilter to_scope_filter(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "scope");
  const Napi::Value kind_value = source.Get("kind");
  const std::string kind = kind_value.IsString() ? to_text(kind_value, "kind") : "";
  using Kind = ScopeFilter::Kind;
  const auto named = [&](Kind what, const char* one, const char* many) {
    std::vector<std::string> names;
    const Napi::Value single = source.Get(one);
    if (single.IsString()) names.push_back(to_text(single, one));
    if (source.Get(many).IsArray()) take(source, many, names);
    return ScopeFilter::of(what, std::move(names));
  };
  if (kind == "globalOnly") return ScopeFilter::of(Kind::kGlobalOnly);
  if (kind == "sameSubnet") return ScopeFilter::of(Kind::kSameSubnet);
  if (kind == "tenant") return named(Kind::kTenants, "tenant", "");
  if (kind == "tenants") return named(Kind::kTenants, "", "tenants");
  if (kind == "region") return named(Kind::kRegions, "region", "");
  if (kind == "regions") return named(Kind::kRegions, "", "regions");
  return {};
}

Requirement to_requirement(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "requirement");
  Requirement out;
  with(source, "filter",
       [&](const Napi::Value& filter, const char*) { out.filter = to_filter(filter); });
  take(source, "preferMoreMemory", out.prefer_more_memory);
  take(source, "preferMoreVram", out.prefer_more_vram);
  take(source, "preferFasterInference", out.prefer_faster_inference);
  take(source, "preferLoadedModels", out.prefer_loaded_models);
  value_or_throw(value.Env(), out.check());
  return out;
}

std::optional<TagMatcher> to_matcher(const Napi::Value& value) {
  if (value.IsUndefined() || value.IsNull()) return std::nullopt;
  const Napi::Object source = object_of(value, "matcher");
  TagMatcher out;
  out.kind = kind_of<TagMatcher::Kind>(
      source, "matcher", std::array{"exact", "prefix", "axis", "axisKey", "regex", "versionRange"});
  take(source, "value", out.value);
  take(source, "pattern", out.value);
  take(source, "axis", out.value);
  take(source, "axisKey", out.value);
  take(source, "key", out.key);
  take(source, "min", out.min);
  take(source, "max", out.max);
  return out;
}

GroupBy to_group_by(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "groupBy");
  GroupBy out;
  out.kind = kind_of<GroupBy::Kind>(
      source, "groupBy",
      std::array{"class", "state", "region", "publisher", "tagStem", "tagValue"});
  take(source, "prefix", out.value);
  take(source, "axis", out.value);
  take(source, "key", out.key);
  return out;
}

Aggregation to_aggregation(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "aggregation");
  Aggregation out;
  out.kind =
      kind_of<Aggregation::Kind>(source, "aggregation",
                                 std::array{"count", "distinctPublishers", "distinctValues",
                                            "sumNumericTag", "minNumericTag", "maxNumericTag"});
  take(source, "axis", out.value);
  take(source, "axisKey", out.value);
  take(source, "key", out.key);
  return out;
}

CapacityQuery to_capacity_query(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "query");
  CapacityQuery out;
  out.matcher = to_matcher(source.Get("matcher"));
  out.group_by = to_group_by(source.Get("groupBy"));
  with(source, "maxRttMs",
       [&](const Napi::Value& ms, const char* name) { out.max_rtt_ms = to_u32(ms, name); });
  take(source, "sumAxisKey", out.sum_axis_key);
  take(source, "limit", out.limit);
  return out;
}

RttLookup to_rtt_lookup(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  std::unordered_map<NodeId, double> table;
  each(value, "rttEntries", [&](const Napi::Value& entry, const char* name) {
    const Napi::Object source = object_of(entry, name);
    table[NodeId(to_u64(source.Get("nodeId")))] = to_number(source.Get("rttMs"), "rttMs");
  });
  return [table = std::move(table)](NodeId node) -> std::optional<double> {
    const auto found = table.find(node);
    return found == table.end() ? std::nullopt : std::optional(found->second);
  };
}

Napi::Value from_node_ids(Napi::Env env, const std::vector<NodeId>& nodes) {
  Napi::BigUint64Array out = Napi::BigUint64Array::New(env, nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) out[i] = nodes[i].value;
  return out;
}

Napi::Value from_node_id(Napi::Env env, std::optional<NodeId> node) {
  return node ? from_u64(env, node->value) : env.Null();
}

Napi::Value from_rows(Napi::Env env, const std::vector<AggregateRow>& rows) {
  Napi::Array out = Napi::Array::New(env, rows.size());
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("bucket", rows[i].bucket);
    row.Set("value", from_u64(env, rows[i].value));
    out.Set(i, row);
  }
  return out;
}

Napi::Value from_rows(Napi::Env env, const std::vector<CapacityRow>& rows) {
  Napi::Array out = Napi::Array::New(env, rows.size());
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const CapacityRow& from = rows[i];
    Napi::Object row = Napi::Object::New(env);
    row.Set("bucket", from.bucket);
    row.Set("idle", from_u64(env, from.idle));
    row.Set("busy", from_u64(env, from.busy));
    row.Set("reserved", from_u64(env, from.reserved));
    row.Set("available", from_u64(env, from.available));
    if (from.summed_capacity) row.Set("summedCapacity", from_u64(env, *from.summed_capacity));
    out.Set(i, row);
  }
  return out;
}

}  // namespace netmesh::binding
