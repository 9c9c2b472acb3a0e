// Capability sets between JavaScript and C++, both ways: the fields of `lib/capabilities.ts`.

#include <algorithm>

#include "binding/capability.h"
#include "binding/fields.h"

namespace netmesh::binding {
namespace {

using namespace capability;

// --- the names of fields, with the members that they stand for; `visit(name, member)` ---

template <typename G, typename Visit>
void gpu_fields(G& gpu, Visit&& visit) {
  visit("computeUnits", gpu.compute_units);
  visit("tensorCores", gpu.tensor_cores);
  visit("fp16TflopsX10", gpu.fp16_tflops_x10);
}

template <typename H, typename Visit>
void hardware_fields(H& hardware, Visit&& visit) {
  visit("cpuCores", hardware.cpu_cores);
  visit("memoryGb", hardware.memory_gb);
  visit("networkGbps", hardware.network_gbps);
}

template <typename S, typename Visit>
void software_fields(S& software, Visit&& visit) {
  visit("os", software.os);
  visit("osVersion", software.os_version);
  visit("runtimes", software.runtimes);
  visit("frameworks", software.frameworks);
  visit("cudaVersion", software.cuda_version);
  visit("drivers", software.drivers);
}

template <typename M, typename Visit>
void model_fields(M& model, Visit&& visit) {
  visit("family", model.family);
  visit("parametersBX10", model.parameters_b_x10);
  visit("contextLength", model.context_length);
  visit("quantization", model.quantization);
  visit("tokensPerSec", model.tokens_per_sec);
  visit("loaded", model.loaded);
}

template <typename T, typename Visit>
void tool_fields(T& tool, Visit&& visit) {
  visit("name", tool.name);
  visit("version", tool.version);
  visit("inputSchema", tool.input_schema);
  visit("outputSchema", tool.output_schema);
  visit("requires", tool.requires_);
  visit("estimatedTimeMs", tool.estimated_time_ms);
  visit("stateless", tool.stateless);
}

template <typename L, typename Visit>
void limit_fields(L& limits, Visit&& visit) {
  visit("maxConcurrentRequests", limits.max_concurrent_requests);
  visit("maxTokensPerRequest", limits.max_tokens_per_request);
  visit("rateLimitRpm", limits.rate_limit_rpm);
  visit("maxBatchSize", limits.max_batch_size);
  visit("maxInputBytes", limits.max_input_bytes);
  visit("maxOutputBytes", limits.max_output_bytes);
}

auto taking(const Napi::Object& source) {
  return [&source](const char* name, auto& member) { take(source, name, member); };
}
auto putting(Napi::Object& out) {
  return [&out](const char* name, const auto& member) { put(out, name, member); };
}

// --- from JavaScript ---

Gpu to_gpu(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "gpu");
  Gpu gpu;
  with(source, "vendor", [&](const Napi::Value& word, const char* n) {
    gpu.vendor = parse_gpu_vendor(to_text(word, n));
  });
  gpu.model = to_text(source.Get("model"), "gpu.model");
  gpu.vram_gb = to_u32(source.Get("vramGb"), "gpu.vramGb");
  gpu_fields(gpu, taking(source));
  return gpu;
}

Hardware to_hardware(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "hardware");
  Hardware out;
  hardware_fields(out, taking(source));
  // Threads without cores mean nothing; cores alone have one thread each.
  if (!source.Get("cpuCores").IsUndefined()) {
    out.cpu_threads = out.cpu_cores;
    take(source, "cpuThreads", out.cpu_threads);
  }
  with(source, "gpu", [&](const Napi::Value& gpu, const char*) { out.gpu = to_gpu(gpu); });
  with(source, "storageGb",
       [&](const Napi::Value& size, const char*) { out.storage_gb = to_u64(size); });
  return out;
}

Software to_software(const Napi::Value& value) {
  Software out;
  software_fields(out, taking(object_of(value, "software")));
  return out;
}

Model to_model(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "model");
  Model out;
  out.id = to_text(source.Get("modelId"), "modelId");
  model_fields(out, taking(source));
  out.modalities = {Modality::kText};
  std::vector<std::string> words;
  take(source, "modalities", words);
  for (const std::string& word : words) out.modalities.push_back(parse_modality(word));
  return out;
}

Tool to_tool(const Napi::Value& value) {
  const Napi::Object source = object_of(value, "tool");
  Tool out;
  out.id = to_text(source.Get("toolId"), "toolId");
  tool_fields(out, taking(source));
  return out;
}

Limits to_limits(const Napi::Value& value) {
  Limits out;
  limit_fields(out, taking(object_of(value, "limits")));
  return out;
}

template <typename T, typename Convert>
std::vector<T> to_list(const Napi::Value& list, const char* name, Convert&& convert) {
  std::vector<T> out;
  each(list, name,
       [&](const Napi::Value& element, const char*) { out.push_back(convert(element)); });
  return out;
}

// --- to JavaScript ---

/// The words of modalities as TypeScript spells them.
std::string modality_word(Modality modality) {
  return modality == Modality::kToolUse ? "tool-use" : std::string(modality_name(modality));
}

Napi::Object from_hardware(Napi::Env env, const Hardware& hardware) {
  Napi::Object out = Napi::Object::New(env);
  hardware_fields(hardware, putting(out));
  put(out, "cpuThreads", hardware.cpu_threads);
  if (hardware.storage_gb > 0) out.Set("storageGb", from_u64(env, hardware.storage_gb));
  if (!hardware.gpu) return out;
  Napi::Object gpu = Napi::Object::New(env);
  gpu.Set("vendor", std::string(gpu_vendor_name(hardware.gpu->vendor)));
  gpu.Set("model", hardware.gpu->model);
  gpu.Set("vramGb", hardware.gpu->vram_gb);
  gpu_fields(*hardware.gpu, putting(gpu));
  out.Set("gpu", gpu);
  return out;
}

Napi::Object from_model(Napi::Env env, const Model& model) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("modelId", model.id);
  model_fields(model, putting(out));
  std::vector<std::string> words;
  for (const Modality modality : model.modalities) words.push_back(modality_word(modality));
  put(out, "modalities", words);
  return out;
}

Napi::Object from_tool(Napi::Env env, const Tool& tool) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("toolId", tool.id);
  tool_fields(tool, putting(out));
  return out;
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
    set_models(set, to_list<Model>(list, name, to_model));
  });
  with(source, "tools", [&](const Napi::Value& list, const char* name) {
    set_tools(set, to_list<Tool>(list, name, to_tool));
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

Napi::Object from_capability_set(Napi::Env env, const CapabilitySet& set) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("tags", array_from(env, set.tags, [env](const std::string& tag) {
            return Napi::String::New(env, tag);
          }));
  out.Set("metadata", from_text_map(env, set.metadata));
  return out;
}

Napi::Object from_description(Napi::Env env, const Description& described) {
  const Inventory& inventory = described.inventory;
  Napi::Object out = Napi::Object::New(env);
  const auto part = [&](const char* name, const Napi::Object& value) {
    if (value.GetPropertyNames().Length() > 0) out.Set(name, value);
  };
  part("hardware", from_hardware(env, inventory.hardware));
  Napi::Object software = Napi::Object::New(env);
  software_fields(inventory.software, putting(software));
  part("software", software);
  const auto list = [&](const char* name, const auto& values, auto&& make) {
    if (!values.empty())
      out.Set(name, array_from(env, values, [&](const auto& each) { return make(env, each); }));
  };
  list("models", inventory.models, from_model);
  list("tools", inventory.tools, from_tool);
  put(out, "tags", described.tags);
  Napi::Object limits = Napi::Object::New(env);
  limit_fields(inventory.limits, putting(limits));
  part("limits", limits);
  part("metadata", from_text_map(env, described.metadata));
  return out;
}

}  // namespace netmesh::binding
