#include "placement/placement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string_view>

#include "predicate/number.h"

namespace netmesh::placement {
namespace {

using predicate::Axis;
using predicate::CapabilityView;
using predicate::Tag;

constexpr std::string_view kScopePrefix = "scope:";
constexpr std::string_view kCausalPrefix = "causal:";
constexpr std::string_view kUnhealthyBlobStorage = "dataforts:blob-storage-unhealthy";
/// Above this, a number in a tag is taken for a mistake.
constexpr double kLargestPlausible = 1e15;
constexpr double kBytesPerGb = 1024.0 * 1024.0 * 1024.0;
/// A node that does not host what one would like to be near of.
constexpr float kNotColocated = 0.7F;
constexpr double kCrowded = 0.30;
constexpr float kCrowdedScore = 0.4F;

/// The largest plausible number among the values of a key.
std::optional<double> number(const CapabilityView& view, Axis axis, std::string_view key) {
  std::optional<double> largest;
  for (const Tag& tag : view.tags(axis, key)) {
    if (tag.kind != Tag::Kind::kValue) continue;
    const auto value = predicate::parse_float64(tag.value);
    if (value && *value >= 0 && *value <= kLargestPlausible) {
      largest = std::max(largest.value_or(0), *value);
    }
  }
  return largest;
}

bool has_presence(const CapabilityView& view, Axis axis, std::string_view key) {
  const auto tags = view.tags(axis, key);
  return std::any_of(tags.begin(), tags.end(),
                     [](const Tag& tag) { return tag.kind == Tag::Kind::kPresence; });
}

bool contains(std::span<const std::string> tags, std::string_view tag) {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

// --- what must hold ---

bool means_one_of(std::span<const std::string> tags, const std::string& wanted) {
  const std::string meaning = predicate::meaning_of(wanted);
  return std::any_of(tags.begin(), tags.end(), [&meaning](const std::string& tag) {
    return predicate::meaning_of(tag) == meaning;
  });
}

bool constraints_hold(const Placement& placement, const Candidate& candidate,
                      const CapabilityView& view) {
  const auto has = [&](const std::string& tag) { return means_one_of(candidate.tags, tag); };
  const auto& required = placement.require_tags;
  const auto& forbidden = placement.forbid_tags;
  if (!std::all_of(required.begin(), required.end(), has)) return false;
  if (std::any_of(forbidden.begin(), forbidden.end(), has)) return false;
  for (const auto& [key, value] : placement.require_metadata) {
    const std::string* const actual = view.metadata(key);
    if (actual == nullptr || *actual != value) return false;
  }
  return !placement.predicate || placement.predicate->matches(view);
}

bool artifact_fits(const Artifact& artifact, const Candidate& candidate,
                   const CapabilityView& view) {
  if (artifact.kind == Artifact::Kind::kDaemon) {
    const auto& required = artifact.required.tags;
    return std::all_of(required.begin(), required.end(), [&candidate](const std::string& tag) {
      return contains(candidate.tags, tag);
    });
  }
  const double wanted_gb = std::ceil(static_cast<double>(artifact.size_bytes) / kBytesPerGb);
  return has_presence(view, Axis::kDataforts, "blob.storage") &&
         !contains(candidate.tags, kUnhealthyBlobStorage) &&
         number(view, Axis::kDataforts, "blob.disk_free_gb").value_or(-1) >= wanted_gb;
}

// --- axes ---

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

float scope_axis(const Placement& placement, const Candidate& candidate) {
  if (placement.scope_filter.empty()) return 1;
  for (const std::string& tag : candidate.tags) {
    if (!tag.starts_with(kScopePrefix)) continue;
    const std::string_view body = without_prefix(tag, kScopePrefix);
    for (const std::string& label : placement.scope_filter) {
      if (without_prefix(label, kScopePrefix) == body) return 1;
    }
  }
  return 0;
}

float proximity_axis(const Placement& placement, const Candidate& candidate) {
  if (!placement.max_rtt_ms || !candidate.rtt_ms) return 1;
  return *candidate.rtt_ms <= *placement.max_rtt_ms ? 1.0F : 0.0F;
}

const std::string* artifact_metadata(const Artifact& artifact, std::string_view key) {
  for (const Metadata* metadata : {&artifact.required.metadata, &artifact.optional.metadata}) {
    const auto found = metadata->find(key);
    if (found != metadata->end()) return &found->second;
  }
  return nullptr;
}

/// What the intents of the standard registry ask of a node.
bool suits_training(const CapabilityView& view) {
  return has_presence(view, Axis::kHardware, "gpu") &&
         number(view, Axis::kHardware, "gpu.vram_gb").value_or(0) >= 24;
}

/// A model tag in 0.19's sense, `software.model`, or one as nodes announce them,
/// `software.model.0.id=…`.
bool suits_inference(const CapabilityView& view) {
  const auto tags = view.tags(Axis::kSoftware);
  return has_presence(view, Axis::kHardware, "gpu") &&
         std::any_of(tags.begin(), tags.end(), [](const Tag& tag) {
           return tag.key == "model" || tag.key.starts_with("model.");
         });
}

bool suits_cpu(const CapabilityView& view) {
  return number(view, Axis::kHardware, "cpu_cores").value_or(0) >= 4;
}

bool suits_telemetry(const CapabilityView& view) { return !view.tags(Axis::kDevices).empty(); }

struct Intent {
  std::string_view name;
  bool (*suits)(const CapabilityView&);
};

constexpr std::array<Intent, 4> kIntents = {{{"ml-training", suits_training},
                                             {"inference", suits_inference},
                                             {"cpu-bound", suits_cpu},
                                             {"sensor-telemetry", suits_telemetry}}};

float intent_axis(const Placement& placement, const Artifact& artifact,
                  const CapabilityView& view) {
  if (placement.intent == IntentPolicy::kDisabled) return 1;
  const auto suits = [&view](const Intent& intent) { return intent.suits(view); };
  if (placement.intent == IntentPolicy::kAnyOf) {
    return std::any_of(kIntents.begin(), kIntents.end(), suits) ? 1.0F : 0.0F;
  }
  const std::string* const wanted = artifact_metadata(artifact, "intent");
  const auto* const intent =
      wanted == nullptr
          ? kIntents.end()
          : std::find_if(kIntents.begin(), kIntents.end(),
                         [wanted](const Intent& each) { return each.name == *wanted; });
  return intent == kIntents.end() || suits(*intent) ? 1.0F : 0.0F;
}

bool hosts(const Candidate& candidate, std::string_view hash) {
  return std::any_of(candidate.tags.begin(), candidate.tags.end(), [hash](std::string_view tag) {
    if (!tag.starts_with(kCausalPrefix)) return false;
    const std::string_view body = without_prefix(tag, kCausalPrefix);
    return body.substr(0, body.find_first_of(":[")) == hash;
  });
}

float colocation_axis(const Placement& placement, const Artifact& artifact,
                      const Candidate& candidate) {
  if (placement.colocation == ColocationPolicy::kIgnore) return 1;
  const std::string* const strict = artifact_metadata(artifact, "colocate-with-strict");
  if (strict != nullptr && !hosts(candidate, *strict)) return 0;
  const std::string* const wanted = artifact_metadata(artifact, "colocate-with");
  if (wanted == nullptr || hosts(candidate, *wanted)) return 1;
  return placement.colocation == ColocationPolicy::kSoftPreference ? kNotColocated : 0;
}

struct Resource {
  Axis axis;
  std::string_view key;
  /// The amount that scores one half.
  float reference;
};

constexpr std::array<Resource, 3> kCompute = {{{Axis::kHardware, "cpu_cores", 8},
                                               {Axis::kHardware, "memory_gb", 16},
                                               {Axis::kHardware, "gpu.vram_gb", 16}}};
constexpr std::array<Resource, 1> kStorage = {{{Axis::kDataforts, "capacity_gb", 1000}}};

/// The mean over those that the node names, or nothing.
std::optional<float> resources(const CapabilityView& view, std::span<const Resource> wanted) {
  float sum = 0;
  float count = 0;
  for (const Resource& resource : wanted) {
    const auto amount = number(view, resource.axis, resource.key);
    if (!amount) continue;
    const auto value = static_cast<float>(*amount);
    sum += value / (value + resource.reference);
    count += 1;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

float resource_axis(const Placement& placement, const CapabilityView& view) {
  const auto compute =
      placement.resource == ResourceAxis::kStorage ? std::nullopt : resources(view, kCompute);
  const auto storage =
      placement.resource == ResourceAxis::kCompute ? std::nullopt : resources(view, kStorage);
  if (compute && storage) return (*compute + *storage) / 2;
  return compute.value_or(storage.value_or(1));
}

float affinity_axis(const Candidate& candidate) {
  if (!candidate.concentration || !std::isfinite(*candidate.concentration)) return 1;
  return *candidate.concentration <= kCrowded ? 1.0F : kCrowdedScore;
}

}  // namespace

std::optional<float> score(const Placement& placement, const Candidate& candidate,
                           const Artifact& artifact) {
  const CapabilityView view(candidate.tags, candidate.metadata);
  if (!artifact_fits(artifact, candidate, view)) return std::nullopt;
  if (!constraints_hold(placement, candidate, view)) return std::nullopt;
  float product = 1;
  for (const float axis :
       {scope_axis(placement, candidate), proximity_axis(placement, candidate),
        intent_axis(placement, artifact, view), colocation_axis(placement, artifact, candidate),
        resource_axis(placement, view), affinity_axis(candidate)}) {
    product *= std::isnan(axis) ? 0 : std::clamp(axis, 0.0F, 1.0F);
  }
  return product;
}

}  // namespace netmesh::placement
