#include "capability/profile.h"

#include <algorithm>

#include "predicate/tag.h"

namespace netmesh::capability {
namespace {

using predicate::Tag;

constexpr std::string_view kTenant = "scope:tenant:";
constexpr std::string_view kRegion = "scope:region:";

std::uint8_t bit(Modality modality) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(modality));
}

std::uint16_t clamp_count(std::size_t count) {
  return static_cast<std::uint16_t>(std::min<std::size_t>(count, 0xFFFF));
}

void make_unique(std::vector<std::string>& words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
}

/// Ids as `hasModel` and `hasTool` see them: whatever stands for the index.
void collect_ids(Profile& out, const Tag& tag) {
  if (tag.kind != Tag::Kind::kValue || tag.axis != predicate::Axis::kSoftware) return;
  if (tag.key.starts_with("model.") && tag.key.ends_with(".id") && tag.key.size() > 9)
    out.models.emplace_back(tag.value);
  if (tag.key.starts_with("tool.") && tag.key.ends_with(".tool_id") && tag.key.size() > 13)
    out.tools.emplace_back(tag.value);
}

}  // namespace

NumericConditions NumericConditions::of(const Filter& filter) {
  NumericConditions out;
  out.memory_gb = filter.least_memory_gb();
  out.vram_gb = filter.least_vram_gb();
  out.context_length = filter.min_context_length;
  out.gpu = filter.wants_gpu();
  out.vendor = filter.gpu_vendor;
  for (const Modality modality : filter.require_modalities)
    out.modalities = static_cast<std::uint8_t>(out.modalities | bit(modality));
  return out;
}

Scoring::Scoring(const Requirement& r) {
  const auto weight = [](double w) { return static_cast<float>(std::clamp(w, 0.0, 1.0)); };
  memory_ = weight(r.prefer_more_memory);
  vram_ = weight(r.prefer_more_vram);
  speed_ = weight(r.prefer_faster_inference);
  loaded_ = weight(r.prefer_loaded_models);
}

float Scoring::score(const Numbers& n) const {
  // A weight of 0 adds nothing; it also saves a division per candidate.
  const auto add = [](float& score, float weight, float value, float full) {
    if (weight > 0) score += weight * std::min(value / full, 1.0F);
  };
  float score = 1.0F;
  add(score, memory_, static_cast<float>(n.memory_gb), 256.0F);
  add(score, vram_, static_cast<float>(n.vram_gb), 80.0F);
  add(score, speed_, static_cast<float>(n.tokens_per_sec), 1000.0F);
  if (n.models > 0)
    add(score, loaded_, static_cast<float>(n.loaded_models), static_cast<float>(n.models));
  return score;
}

Profile Profile::of(const CapabilitySet& set) {
  const Inventory inventory = read_inventory(set);
  Profile out;
  Numbers& n = out.numbers;
  n.memory_gb = inventory.hardware.memory_gb;
  if (inventory.hardware.gpu) {
    n.vram_gb = inventory.hardware.gpu->vram_gb;
    n.vendor = inventory.hardware.gpu->vendor;
  }
  n.reach = Reach::kEveryone;
  n.gpu = set.tags.contains(kGpuTag);
  n.models = clamp_count(inventory.models.size());
  std::size_t loaded = 0;
  for (const Model& model : inventory.models) {
    n.context_length = std::max(n.context_length, model.context_length);
    n.tokens_per_sec = std::max(n.tokens_per_sec, model.tokens_per_sec);
    loaded += model.loaded ? 1 : 0;
    for (const Modality modality : model.modalities)
      n.modalities = static_cast<std::uint8_t>(n.modalities | bit(modality));
  }
  n.loaded_models = clamp_count(loaded);
  for (const std::string& text : set.tags) {
    const Tag tag = predicate::take_apart(text);
    collect_ids(out, tag);
    if (tag.kind != Tag::Kind::kReserved) continue;
    const bool scoped = (text.starts_with(kTenant) && text.size() > kTenant.size()) ||
                        (text.starts_with(kRegion) && text.size() > kRegion.size());
    if (text == "scope:subnet-local") {
      n.reach = Reach::kOwnSubnet;
    } else if (scoped && n.reach == Reach::kEveryone) {
      n.reach = Reach::kScoped;
    }
  }
  make_unique(out.models);
  make_unique(out.tools);
  return out;
}

}  // namespace netmesh::capability
