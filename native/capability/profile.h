#pragma once
// What the index knows of a node beside its tags: the numbers that filters and scores ask for,
// decoded once when an announcement comes in.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capability/query.h"

namespace netmesh::capability {

/// The presence tag of a GPU.
inline constexpr std::string_view kGpuTag = "hardware.gpu";

/// The numeric part of a filter, prepared once per query.
struct NumericConditions {
  std::uint64_t memory_gb = 0;
  std::uint64_t vram_gb = 0;
  std::uint32_t context_length = 0;
  bool gpu = false;
  std::optional<GpuVendor> vendor;
  std::uint8_t modalities = 0;  ///< bits by Modality

  static NumericConditions of(const Filter& filter);
};

/// Who finds a node, by its `scope:*` tags.
enum class Reach : std::uint8_t {
  kNobody,     ///< the node is not in the index
  kEveryone,   ///< no scope
  kScoped,     ///< tenants or regions
  kOwnSubnet,  ///< `scope:subnet-local`, which beats the others
};

/// Fixed size, so that a scan over candidates stays in the processor's caches.
struct Numbers {
  std::uint32_t memory_gb = 0;
  std::uint32_t vram_gb = 0;
  std::uint32_t context_length = 0;  ///< of the model with the most
  std::uint32_t tokens_per_sec = 0;  ///< of the fastest model
  std::uint16_t models = 0;
  std::uint16_t loaded_models = 0;
  GpuVendor vendor = GpuVendor::kUnknown;
  bool gpu = false;  ///< the presence tag `hardware.gpu`
  Reach reach = Reach::kNobody;
  std::uint8_t modalities = 0;  ///< of all models

  bool satisfies(const NumericConditions& conditions) const {
    return memory_gb >= conditions.memory_gb && vram_gb >= conditions.vram_gb &&
           context_length >= conditions.context_length && (gpu || !conditions.gpu) &&
           (!conditions.vendor || vendor == *conditions.vendor) &&
           (modalities & conditions.modalities) == conditions.modalities;
  }
};

/// What a requirement prefers, prepared once per query.
class Scoring {
 public:
  explicit Scoring(const Requirement& requirement);
  /// 1 and what the weights add; the node is taken to match.
  float score(const Numbers& numbers) const;

 private:
  float memory_, vram_, speed_, loaded_;  ///< weights, 0…1
};

struct Profile {
  Numbers numbers;
  std::vector<std::string> models;  ///< ids, each once
  std::vector<std::string> tools;

  static Profile of(const CapabilitySet& set);
};

}  // namespace netmesh::capability
