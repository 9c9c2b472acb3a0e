#pragma once
// Hardware, software, models, tools and limits, which exist on the wire only as tags (spec 30 §7).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capability/capability_set.h"

namespace netmesh::capability {

enum class GpuVendor : std::uint8_t { kUnknown, kNvidia, kAmd, kIntel, kApple, kQualcomm };
/// The lower-case word; `unknown` for the unknown one.
std::string_view gpu_vendor_name(GpuVendor vendor);
/// In any case; unknown words are `kUnknown`.
GpuVendor parse_gpu_vendor(std::string_view word);

enum class Modality : std::uint8_t { kText, kImage, kAudio, kVideo, kCode, kEmbedding, kToolUse };
std::string_view modality_name(Modality modality);
/// In any case, `tool-use`, `tool_use` and `tooluse` alike; unknown words are text.
Modality parse_modality(std::string_view word);

struct Gpu {
  GpuVendor vendor = GpuVendor::kUnknown;
  std::string model;
  std::uint32_t vram_gb = 0;
  std::uint16_t compute_units = 0;
  std::uint16_t tensor_cores = 0;
  std::uint32_t fp16_tflops_x10 = 0;
  friend bool operator==(const Gpu&, const Gpu&) = default;
};

struct Hardware {
  std::uint16_t cpu_cores = 0;
  std::uint16_t cpu_threads = 0;
  std::uint32_t memory_gb = 0;
  std::optional<Gpu> gpu;
  std::uint64_t storage_gb = 0;
  std::uint32_t network_gbps = 0;
  friend bool operator==(const Hardware&, const Hardware&) = default;
};

using VersionedName = std::pair<std::string, std::string>;

struct Software {
  std::string os;
  std::string os_version;
  /// Names that are empty or contain `=`, `:` or `.` cannot be encoded and are left out.
  std::vector<VersionedName> runtimes, frameworks, drivers;
  std::optional<std::string> cuda_version;
  friend bool operator==(const Software&, const Software&) = default;
};

struct Model {
  std::string id;
  std::string family;
  std::uint32_t parameters_b_x10 = 0;
  std::uint32_t context_length = 0;
  std::optional<std::string> quantization;
  std::vector<Modality> modalities;
  std::uint32_t tokens_per_sec = 0;
  bool loaded = false;
  friend bool operator==(const Model&, const Model&) = default;
};

struct Tool {
  std::string id;
  std::string name;
  std::string version = "1.0.0";
  std::optional<std::string> input_schema, output_schema;
  std::vector<std::string> requires_;
  std::uint32_t estimated_time_ms = 0;
  bool stateless = true;
  friend bool operator==(const Tool&, const Tool&) = default;
};

struct Limits {
  std::uint32_t max_concurrent_requests = 0;
  std::uint32_t max_tokens_per_request = 0;
  std::uint32_t rate_limit_rpm = 0;
  std::uint32_t max_batch_size = 0;
  std::uint32_t max_input_bytes = 0;
  std::uint32_t max_output_bytes = 0;
  friend bool operator==(const Limits&, const Limits&) = default;
};

/// All that tags can say about a machine.
struct Inventory {
  Hardware hardware;
  Software software;
  std::vector<Model> models;
  std::vector<Tool> tools;
  Limits limits;
  friend bool operator==(const Inventory&, const Inventory&) = default;
};

// Each replaces what the set said before on the same matter, and nothing else.
void set_hardware(CapabilitySet& set, const Hardware& hardware);
void set_software(CapabilitySet& set, const Software& software);
void set_models(CapabilitySet& set, const std::vector<Model>& models);
void set_tools(CapabilitySet& set, const std::vector<Tool>& tools);
void set_limits(CapabilitySet& set, const Limits& limits);

/// Reads the tags in byte order; what is unknown is passed over, numbers that are none count as 0.
Inventory read_inventory(const CapabilitySet& set);

/// A set in fields, and what no field says.
struct Description {
  Inventory inventory;
  std::vector<std::string> tags;
  Metadata metadata;
};

/// Everything that a set says. Made into tags again, a description has all of the set's tags.
Description describe(const CapabilitySet& set);

}  // namespace netmesh::capability
