#include "capability/inventory.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <map>

#include "capability/decimal.h"
#include "predicate/tag.h"

namespace netmesh::capability {
namespace {

using predicate::Axis;
using predicate::Tag;

constexpr std::array<std::string_view, 6> kVendors{"unknown", "nvidia", "amd",
                                                   "intel",   "apple",  "qualcomm"};
constexpr std::array<std::string_view, 7> kModalities{"text", "image",     "audio",   "video",
                                                      "code", "embedding", "tool_use"};

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

template <typename Pred>
void erase_tags(CapabilitySet& set, std::string_view prefix, Pred&& keep) {
  auto at = set.tags.lower_bound(prefix);
  while (at != set.tags.end() && at->starts_with(prefix))
    at = keep(*at) ? std::next(at) : set.tags.erase(at);
}
void erase_tags(CapabilitySet& set, std::string_view prefix) {
  erase_tags(set, prefix, [](const std::string&) { return false; });
}

/// Adds `<prefix><key>=<value>` tags, leaving out what says nothing.
class TagWriter {
 public:
  TagWriter(CapabilitySet& set, std::string prefix) : set_(set), prefix_(std::move(prefix)) {}

  template <typename T>
  void number(std::string_view key, T value) {
    if (value > 0) text(key, std::to_string(value));
  }
  void word(std::string_view key, std::string_view value) {
    if (!value.empty()) text(key, value);
  }
  void text(std::string_view key, std::string_view value) {
    std::string tag = prefix_;
    tag.append(key).append("=").append(value);
    set_.tags.insert(std::move(tag));
  }

 private:
  CapabilitySet& set_;
  std::string prefix_;
};

void write_pairs(TagWriter& writer, std::string_view kind,
                 const std::vector<VersionedName>& pairs) {
  for (const auto& [name, version] : pairs) {
    if (name.empty() || name.find_first_of("=:.") != std::string::npos) continue;
    writer.text(std::string(kind) + "." + name, version);
  }
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

std::vector<std::string> split(std::string_view csv) {
  std::vector<std::string> out;
  while (!csv.empty()) {
    const std::size_t comma = std::min(csv.find(','), csv.size());
    if (comma > 0) out.emplace_back(csv.substr(0, comma));
    csv.remove_prefix(std::min(comma + 1, csv.size()));
  }
  return out;
}

template <typename T>
void read(T& target, std::string_view value) {
  target = parse_decimal<T>(value).value_or(0);
}

void read_gpu(Gpu& gpu, std::string_view key, std::string_view value) {
  if (key == "vendor") gpu.vendor = parse_gpu_vendor(value);
  if (key == "model") gpu.model = value;
  if (key == "vram_gb") read(gpu.vram_gb, value);
  if (key == "compute_units") read(gpu.compute_units, value);
  if (key == "tensor_cores") read(gpu.tensor_cores, value);
  if (key == "fp16_tflops_x10") read(gpu.fp16_tflops_x10, value);
}

void read_limit(Limits& limits, std::string_view key, std::string_view value) {
  if (key == "max_concurrent_requests") read(limits.max_concurrent_requests, value);
  if (key == "max_tokens_per_request") read(limits.max_tokens_per_request, value);
  if (key == "rate_limit_rpm") read(limits.rate_limit_rpm, value);
  if (key == "max_batch_size") read(limits.max_batch_size, value);
  if (key == "max_input_bytes") read(limits.max_input_bytes, value);
  if (key == "max_output_bytes") read(limits.max_output_bytes, value);
}

void read_hardware(Inventory& out, const Tag& tag) {
  Hardware& hardware = out.hardware;
  if (tag.key == "gpu" || tag.key.starts_with("gpu.")) {
    if (!hardware.gpu) hardware.gpu.emplace();
    if (tag.key.size() > 4 && tag.kind == Tag::Kind::kValue)
      read_gpu(*hardware.gpu, tag.key.substr(4), tag.value);
    return;
  }
  if (tag.kind != Tag::Kind::kValue) return;
  if (tag.key.starts_with("limits.")) read_limit(out.limits, tag.key.substr(7), tag.value);
  if (tag.key == "cpu_cores") read(hardware.cpu_cores, tag.value);
  if (tag.key == "cpu_threads") read(hardware.cpu_threads, tag.value);
  if (tag.key == "memory_gb") read(hardware.memory_gb, tag.value);
  if (tag.key == "storage_gb") read(hardware.storage_gb, tag.value);
  if (tag.key == "network_gbps") read(hardware.network_gbps, tag.value);
}

void read_model(Model& model, std::string_view key, std::string_view value) {
  if (key == "id") model.id = value;
  if (key == "family") model.family = value;
  if (key == "parameters_b_x10") read(model.parameters_b_x10, value);
  if (key == "context_length") read(model.context_length, value);
  if (key == "tokens_per_sec") read(model.tokens_per_sec, value);
  if (key == "quantization") model.quantization = std::string(value);
  if (key == "loaded") model.loaded = value == "true";
  if (key == "modalities") {
    model.modalities.clear();
    for (const std::string& word : split(value)) model.modalities.push_back(parse_modality(word));
  }
}

void read_tool(Tool& tool, std::string_view key, std::string_view value) {
  if (key == "tool_id") tool.id = value;
  if (key == "name") tool.name = value;
  if (key == "version") tool.version = value;
  if (key == "requires") tool.requires_ = split(value);
  if (key == "estimated_time_ms") read(tool.estimated_time_ms, value);
  if (key == "stateless") tool.stateless = value == "true";
}

/// `<index>.<key>` taken apart.
std::optional<std::pair<std::uint32_t, std::string_view>> indexed(std::string_view key) {
  const std::size_t dot = key.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto index = parse_decimal<std::uint32_t>(key.substr(0, dot));
  if (!index) return std::nullopt;
  return std::pair{*index, key.substr(dot + 1)};
}

using Models = std::map<std::uint32_t, Model>;
using Tools = std::map<std::uint32_t, Tool>;

void read_software(Software& software, Models& models, Tools& tools, const Tag& tag) {
  if (tag.kind != Tag::Kind::kValue) return;
  const std::string_view key = tag.key;
  const std::string value(tag.value);
  if (key.starts_with("model.")) {
    if (const auto part = indexed(key.substr(6)))
      read_model(models[part->first], part->second, value);
  } else if (key.starts_with("tool.")) {
    if (const auto part = indexed(key.substr(5)))
      read_tool(tools[part->first], part->second, value);
  } else if (key.starts_with("runtime.")) {
    software.runtimes.emplace_back(key.substr(8), value);
  } else if (key.starts_with("framework.")) {
    software.frameworks.emplace_back(key.substr(10), value);
  } else if (key.starts_with("driver.")) {
    software.drivers.emplace_back(key.substr(7), value);
  } else if (key == "os") {
    software.os = value;
  } else if (key == "os_version") {
    software.os_version = value;
  } else if (key == "cuda_version") {
    software.cuda_version = value;
  }
}

std::string schema_key(std::string_view tool, std::string_view which) {
  return "tool::" + std::string(tool) + "::" + std::string(which);
}

std::optional<std::string> metadata_of(const CapabilitySet& set, const std::string& key) {
  const auto found = set.metadata.find(key);
  return found == set.metadata.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::string_view gpu_vendor_name(GpuVendor vendor) {
  return kVendors[static_cast<std::size_t>(vendor)];
}

GpuVendor parse_gpu_vendor(std::string_view word) {
  const auto* at = std::find(kVendors.begin(), kVendors.end(), lower(word));
  return at == kVendors.end() ? GpuVendor::kUnknown : static_cast<GpuVendor>(at - kVendors.begin());
}

std::string_view modality_name(Modality modality) {
  return kModalities[static_cast<std::size_t>(modality)];
}

Modality parse_modality(std::string_view word) {
  const std::string name = lower(word);
  if (name == "tool-use" || name == "tooluse") return Modality::kToolUse;
  const auto* at = std::find(kModalities.begin(), kModalities.end(), name);
  return at == kModalities.end() ? Modality::kText
                                 : static_cast<Modality>(at - kModalities.begin());
}

void set_hardware(CapabilitySet& set, const Hardware& hardware) {
  erase_tags(set, "hardware.",
             [](const std::string& tag) { return tag.starts_with("hardware.limits."); });
  TagWriter writer(set, "hardware.");
  writer.number("cpu_cores", hardware.cpu_cores);
  writer.number("cpu_threads", hardware.cpu_threads);
  writer.number("memory_gb", hardware.memory_gb);
  writer.number("storage_gb", hardware.storage_gb);
  writer.number("network_gbps", hardware.network_gbps);
  if (!hardware.gpu) return;
  const Gpu& gpu = *hardware.gpu;
  set.tags.insert("hardware.gpu");
  TagWriter gpu_writer(set, "hardware.gpu.");
  if (gpu.vendor != GpuVendor::kUnknown) gpu_writer.word("vendor", gpu_vendor_name(gpu.vendor));
  gpu_writer.word("model", gpu.model);
  gpu_writer.number("vram_gb", gpu.vram_gb);
  gpu_writer.number("compute_units", gpu.compute_units);
  gpu_writer.number("tensor_cores", gpu.tensor_cores);
  gpu_writer.number("fp16_tflops_x10", gpu.fp16_tflops_x10);
}

void set_software(CapabilitySet& set, const Software& software) {
  erase_tags(set, "software.", [](const std::string& tag) {
    return tag.starts_with("software.model.") || tag.starts_with("software.tool.");
  });
  TagWriter writer(set, "software.");
  writer.word("os", software.os);
  writer.word("os_version", software.os_version);
  write_pairs(writer, "runtime", software.runtimes);
  write_pairs(writer, "framework", software.frameworks);
  write_pairs(writer, "driver", software.drivers);
  if (software.cuda_version) writer.text("cuda_version", *software.cuda_version);
}

void set_models(CapabilitySet& set, const std::vector<Model>& models) {
  erase_tags(set, "software.model.");
  for (std::size_t i = 0; i < models.size(); ++i) {
    const Model& model = models[i];
    TagWriter writer(set, "software.model." + std::to_string(i) + ".");
    writer.text("id", model.id);
    writer.word("family", model.family);
    writer.number("parameters_b_x10", model.parameters_b_x10);
    writer.number("context_length", model.context_length);
    writer.number("tokens_per_sec", model.tokens_per_sec);
    if (model.quantization) writer.text("quantization", *model.quantization);
    std::vector<std::string> words;
    for (const Modality modality : model.modalities) {
      const std::string word(modality_name(modality));
      if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    }
    writer.word("modalities", join(words));
    if (model.loaded) writer.text("loaded", "true");
  }
}

void set_tools(CapabilitySet& set, const std::vector<Tool>& tools) {
  erase_tags(set, "software.tool.");
  std::erase_if(set.metadata, [](const auto& entry) { return entry.first.starts_with("tool::"); });
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const Tool& tool = tools[i];
    TagWriter writer(set, "software.tool." + std::to_string(i) + ".");
    writer.text("tool_id", tool.id);
    writer.word("name", tool.name);
    writer.word("version", tool.version);
    writer.word("requires", join(tool.requires_));
    writer.number("estimated_time_ms", tool.estimated_time_ms);
    writer.text("stateless", tool.stateless ? "true" : "false");
    if (tool.input_schema) set.metadata[schema_key(tool.id, "input_schema")] = *tool.input_schema;
    if (tool.output_schema)
      set.metadata[schema_key(tool.id, "output_schema")] = *tool.output_schema;
  }
}

void set_limits(CapabilitySet& set, const Limits& limits) {
  erase_tags(set, "hardware.limits.");
  TagWriter writer(set, "hardware.limits.");
  writer.number("max_concurrent_requests", limits.max_concurrent_requests);
  writer.number("max_tokens_per_request", limits.max_tokens_per_request);
  writer.number("rate_limit_rpm", limits.rate_limit_rpm);
  writer.number("max_batch_size", limits.max_batch_size);
  writer.number("max_input_bytes", limits.max_input_bytes);
  writer.number("max_output_bytes", limits.max_output_bytes);
}

Inventory read_inventory(const CapabilitySet& set) {
  Inventory out;
  Models models;
  Tools tools;
  for (const std::string& text : set.tags) {
    const Tag tag = predicate::take_apart(text);
    if (!tag.on_axis()) continue;
    if (tag.axis == Axis::kHardware) read_hardware(out, tag);
    if (tag.axis == Axis::kSoftware) read_software(out.software, models, tools, tag);
  }
  for (auto& [index, model] : models) out.models.push_back(std::move(model));
  for (auto& [index, tool] : tools) {
    tool.input_schema = metadata_of(set, schema_key(tool.id, "input_schema"));
    tool.output_schema = metadata_of(set, schema_key(tool.id, "output_schema"));
    out.tools.push_back(std::move(tool));
  }
  return out;
}

namespace {

/// The tags and metadata that applications' fields become: a model takes text, whatever else, and
/// threads without cores say nothing.
CapabilitySet said_by(Inventory inventory) {
  if (inventory.hardware.cpu_cores == 0) inventory.hardware.cpu_threads = 0;
  for (Model& model : inventory.models)
    model.modalities.insert(model.modalities.begin(), Modality::kText);
  CapabilitySet out;
  set_hardware(out, inventory.hardware);
  set_software(out, inventory.software);
  set_models(out, inventory.models);
  set_tools(out, inventory.tools);
  set_limits(out, inventory.limits);
  return out;
}

std::vector<std::string> unsaid(const CapabilitySet& set, const CapabilitySet& said) {
  std::vector<std::string> out;
  std::set_difference(set.tags.begin(), set.tags.end(), said.tags.begin(), said.tags.end(),
                      std::back_inserter(out));
  return out;
}

}  // namespace

Description describe(const CapabilitySet& set) {
  Description out{read_inventory(set), {}, {}};
  CapabilitySet said = said_by(out.inventory);
  // What the fields do not give back letter by letter stays a tag: other spellings, unknown keys.
  out.tags = unsaid(set, said);
  const auto is_limit = [](const std::string& tag) { return tag.starts_with("hardware.limits."); };
  if (std::any_of(out.tags.begin(), out.tags.end(), is_limit)) {
    // Limits as fields replace all limits that are tags.
    out.inventory.limits = {};
    said = said_by(out.inventory);
    out.tags = unsaid(set, said);
  }
  for (const auto& [key, value] : set.metadata) {
    if (!said.metadata.contains(key)) out.metadata.emplace(key, value);
  }
  return out;
}

}  // namespace netmesh::capability
