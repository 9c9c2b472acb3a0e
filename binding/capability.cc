#include "binding/capability.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "binding/convert.h"
#include "runtime/clock.h"

namespace netmesh::binding {
namespace {

using namespace capability;

Napi::Object object_of(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) throw type_error(value.Env(), std::string(name) + " must be an object");
  return value.As<Napi::Object>();
}

/// Calls `take` with the property unless it is undefined or null.
template <typename Take>
void with(const Napi::Object& source, const char* name, Take&& take) {
  const Napi::Value value = source.Get(name);
  if (!value.IsUndefined() && !value.IsNull()) take(value, name);
}

template <typename Take>
void each(const Napi::Value& value, const char* name, Take&& take) {
  if (!value.IsArray()) throw type_error(value.Env(), std::string(name) + " must be an array");
  const auto array = value.As<Napi::Array>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) take(array.Get(i), name);
}

/// A number in the range of T: u16 saturates, as the documented conversion does.
template <typename T>
T to_integer(const Napi::Value& value, const char* name) {
  const std::uint32_t number = to_u32(value, name);
  return static_cast<T>(std::min<std::uint64_t>(number, std::numeric_limits<T>::max()));
}

void take(const Napi::Object& source, const char* name, std::string& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) { out = to_text(value, n); });
}
void take(const Napi::Object& source, const char* name, std::optional<std::string>& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) { out = to_text(value, n); });
}
void take(const Napi::Object& source, const char* name, bool& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) { out = to_bool(value, n); });
}
void take(const Napi::Object& source, const char* name, double& out) {
  with(source, name, [&](const Napi::Value& value, const char* n) { out = to_number(value, n); });
}
template <typename T>
requires std::is_unsigned_v<T>
void take(const Napi::Object& source, const char* name, T& out) {
  with(source, name,
       [&](const Napi::Value& value, const char* n) { out = to_integer<T>(value, n); });
}
void take(const Napi::Object& source, const char* name, std::vector<std::string>& out) {
  with(source, name, [&](const Napi::Value& list, const char* n) {
    each(list, n, [&](const Napi::Value& word, const char* m) { out.push_back(to_text(word, m)); });
  });
}
void take(const Napi::Object& source, const char* name, std::vector<VersionedName>& out) {
  with(source, name, [&](const Napi::Value& list, const char* n) {
    each(list, n, [&](const Napi::Value& pair, const char* m) {
      std::vector<std::string> words;
      each(pair, m,
           [&](const Napi::Value& word, const char* w) { words.push_back(to_text(word, w)); });
      if (words.size() >= 2) out.emplace_back(words[0], words[1]);
    });
  });
}

Gpu to_gpu(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "gpu");
  Gpu gpu;
  with(source, "vendor", [&](const Napi::Value& word, const char* n) {
    gpu.vendor = parse_gpu_vendor(to_text(word, n));
  });
  gpu.model = to_text(source.Get("model"), "gpu.model");
  gpu.vram_gb = to_u32(source.Get("vramGb"), "gpu.vramGb");
  take(source, "computeUnits", gpu.compute_units);
  take(source, "tensorCores", gpu.tensor_cores);
  take(source, "fp16TflopsX10", gpu.fp16_tflops_x10);
  return gpu;
}

Hardware to_hardware(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "hardware");
  Hardware out;
  take(source, "cpuCores", out.cpu_cores);
  // Threads without cores mean nothing; cores alone have one thread each.
  if (!source.Get("cpuCores").IsUndefined()) {
    out.cpu_threads = out.cpu_cores;
    take(source, "cpuThreads", out.cpu_threads);
  }
  take(source, "memoryGb", out.memory_gb);
  with(source, "gpu", [&](const Napi::Value& gpu, const char*) { out.gpu = to_gpu(gpu); });
  with(source, "storageGb",
       [&](const Napi::Value& size, const char*) { out.storage_gb = to_u64(size); });
  take(source, "networkGbps", out.network_gbps);
  return out;
}

Software to_software(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "software");
  Software out;
  take(source, "os", out.os);
  take(source, "osVersion", out.os_version);
  take(source, "runtimes", out.runtimes);
  take(source, "frameworks", out.frameworks);
  take(source, "drivers", out.drivers);
  take(source, "cudaVersion", out.cuda_version);
  return out;
}

void take_modalities(const Napi::Object& source, const char* name, std::vector<Modality>& out) {
  std::vector<std::string> words;
  take(source, name, words);
  for (const std::string& word : words) out.push_back(parse_modality(word));
}

Model to_model(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "model");
  Model out;
  out.id = to_text(source.Get("modelId"), "modelId");
  out.modalities = {Modality::kText};
  take(source, "family", out.family);
  take(source, "parametersBX10", out.parameters_b_x10);
  take(source, "contextLength", out.context_length);
  take(source, "quantization", out.quantization);
  take_modalities(source, "modalities", out.modalities);
  take(source, "tokensPerSec", out.tokens_per_sec);
  take(source, "loaded", out.loaded);
  return out;
}

Tool to_tool(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "tool");
  Tool out;
  out.id = to_text(source.Get("toolId"), "toolId");
  take(source, "name", out.name);
  take(source, "version", out.version);
  take(source, "inputSchema", out.input_schema);
  take(source, "outputSchema", out.output_schema);
  take(source, "requires", out.requires_);
  take(source, "estimatedTimeMs", out.estimated_time_ms);
  take(source, "stateless", out.stateless);
  return out;
}

Limits to_limits(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "limits");
  Limits out;
  take(source, "maxConcurrentRequests", out.max_concurrent_requests);
  take(source, "maxTokensPerRequest", out.max_tokens_per_request);
  take(source, "rateLimitRpm", out.rate_limit_rpm);
  take(source, "maxBatchSize", out.max_batch_size);
  take(source, "maxInputBytes", out.max_input_bytes);
  take(source, "maxOutputBytes", out.max_output_bytes);
  return out;
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

TimePoint now() { return runtime::read_clocks().monotonic; }

Napi::Value encode_capability_set(const Napi::CallbackInfo& info) {
  return from_capability_set(info.Env(), to_capability_set(info[0]));
}

Napi::Value normalize_gpu_vendor(const Napi::CallbackInfo& info) {
  const std::string_view name = gpu_vendor_name(parse_gpu_vendor(to_text(info[0], "vendor")));
  return Napi::String::New(info.Env(), name.data(), name.size());
}

}  // namespace

CapabilitySet to_capability_set(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "capabilities");
  CapabilitySet set;
  with(source, "hardware",
       [&](const Napi::Value& part, const char*) { set_hardware(set, to_hardware(part)); });
  with(source, "software",
       [&](const Napi::Value& part, const char*) { set_software(set, to_software(part)); });
  with(source, "models", [&](const Napi::Value& list, const char* name) {
    std::vector<Model> models;
    each(list, name,
         [&](const Napi::Value& model, const char*) { models.push_back(to_model(model)); });
    set_models(set, models);
  });
  with(source, "tools", [&](const Napi::Value& list, const char* name) {
    std::vector<Tool> tools;
    each(list, name, [&](const Napi::Value& tool, const char*) { tools.push_back(to_tool(tool)); });
    set_tools(set, tools);
  });
  std::vector<std::string> tags;
  take(source, "tags", tags);
  for (const std::string& tag : tags) set.add_tag(tag);
  with(source, "limits",
       [&](const Napi::Value& part, const char*) { set_limits(set, to_limits(part)); });
  with(source, "metadata", [&](const Napi::Value& part, const char* name) {
    const Napi::Object metadata = object_of(part, name);
    const Napi::Array keys = metadata.GetPropertyNames();
    for (std::uint32_t i = 0; i < keys.Length(); ++i) {
      const Napi::Value key = keys.Get(i);
      set.metadata[to_text(key, name)] = to_text(metadata.Get(key), name);
    }
  });
  return set;
}

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

Napi::Object from_capability_set(Napi::Env env, const CapabilitySet& set) {
  Napi::Array tags = Napi::Array::New(env, set.tags.size());
  std::uint32_t at = 0;
  for (const std::string& tag : set.tags) tags.Set(at++, tag);
  Napi::Object metadata = Napi::Object::New(env);
  for (const auto& [key, value] : set.metadata) {
    // Defined, not assigned: a key may be called __proto__.
    metadata.DefineProperty(Napi::PropertyDescriptor::Value(
        key, Napi::String::New(env, value),
        static_cast<napi_property_attributes>(napi_writable | napi_enumerable |
                                              napi_configurable)));
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("tags", tags);
  out.Set("metadata", metadata);
  return out;
}

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
  exports.Set("normalizeGpuVendor",
              Napi::Function::New<normalize_gpu_vendor>(env, "normalizeGpuVendor"));
}

}  // namespace netmesh::binding
