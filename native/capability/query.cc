#include "capability/query.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "capability/profile.h"

namespace netmesh::capability {
namespace {

std::uint64_t least_gb(std::uint64_t gb, std::uint64_t mb) {
  const std::uint64_t whole = mb / 1024 + (mb % 1024 == 0 ? 0 : 1);
  return std::max(gb, whole);
}

template <typename Has>
bool some(const std::vector<std::string>& wanted, Has&& has) {
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), has);
}

}  // namespace

std::uint64_t Filter::least_memory_gb() const { return least_gb(min_memory_gb, min_memory_mb); }
std::uint64_t Filter::least_vram_gb() const { return least_gb(min_vram_gb, min_vram_mb); }

bool matches(const Filter& filter, const CapabilitySet& set) {
  const Profile profile = Profile::of(set);
  const auto has_model = [&](const std::string& id) {
    return std::find(profile.models.begin(), profile.models.end(), id) != profile.models.end();
  };
  const auto has_tool = [&](const std::string& id) {
    return std::find(profile.tools.begin(), profile.tools.end(), id) != profile.tools.end();
  };
  return profile.numbers.satisfies(NumericConditions::of(filter)) &&
         std::all_of(filter.require_tags.begin(), filter.require_tags.end(),
                     [&](const std::string& tag) { return set.has_tag(tag); }) &&
         some(filter.require_models, has_model) && some(filter.require_tools, has_tool);
}

ScopeFilter ScopeFilter::of(Kind kind, std::vector<std::string> names) {
  std::erase(names, std::string());
  const bool named = kind == Kind::kTenants || kind == Kind::kRegions;
  if (named && names.empty()) return {};
  return {kind, std::move(names)};
}

Expected<void> Requirement::check() const {
  const std::array<std::pair<const char*, double>, 4> weights{
      {{"preferMoreMemory", prefer_more_memory},
       {"preferMoreVram", prefer_more_vram},
       {"preferFasterInference", prefer_faster_inference},
       {"preferLoadedModels", prefer_loaded_models}}};
  for (const auto& [name, weight] : weights) {
    if (std::isfinite(weight)) continue;
    return fail(ErrorKind::kCapability, "capability requirement weight '" + std::string(name) +
                                            "' must be a finite number, got " +
                                            (std::isnan(weight) ? "NaN"
                                             : weight > 0       ? "Infinity"
                                                                : "-Infinity"));
  }
  return {};
}

}  // namespace netmesh::capability
