#include "placement/placement_registry.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace netmesh::placement {
namespace {

struct Scored {
  const Candidate* candidate;
  float score;
};

bool better(const Scored& a, const Scored& b) {
  if (a.score != b.score) return a.score > b.score;
  constexpr double kUnmeasured = std::numeric_limits<double>::infinity();
  const double left = a.candidate->rtt_ms.value_or(kUnmeasured);
  const double right = b.candidate->rtt_ms.value_or(kUnmeasured);
  if (left != right) return left < right;
  return a.candidate->node_id < b.candidate->node_id;
}

/// Those that the filter agrees with.
std::vector<Scored> approved(PlacementFilter& filter, std::span<const Scored> scored) {
  std::vector<Scored> out;
  for (std::size_t from = 0; from < scored.size(); from += kFilterBatch) {
    const auto batch = scored.subspan(from, std::min(kFilterBatch, scored.size() - from));
    std::vector<Candidate> candidates;
    for (const Scored& each : batch) candidates.push_back(*each.candidate);
    const std::vector<bool> verdicts = filter.judge(candidates, kFilterTimeout);
    // Nothing at all: it timed out or is gone, and will not answer the next call either.
    if (verdicts.empty()) break;
    for (std::size_t i = 0; i < batch.size() && i < verdicts.size(); ++i) {
      if (verdicts[i]) out.push_back(batch[i]);
    }
  }
  return out;
}

}  // namespace

PlacementRegistry& PlacementRegistry::process() {
  static PlacementRegistry registry;
  return registry;
}

bool PlacementRegistry::add(const std::string& id, std::shared_ptr<PlacementFilter> filter) {
  const std::lock_guard lock(mutex_);
  return filters_.size() < kMaxFilters && filters_.try_emplace(id, std::move(filter)).second;
}

bool PlacementRegistry::remove(std::string_view id) {
  // The filter itself ends outside of the lock.
  std::shared_ptr<PlacementFilter> removed;
  const std::lock_guard lock(mutex_);
  const auto found = filters_.find(id);
  if (found == filters_.end()) return false;
  removed = std::move(found->second);
  filters_.erase(found);
  return true;
}

bool PlacementRegistry::remove(std::string_view id, const PlacementFilter* filter) {
  std::shared_ptr<PlacementFilter> removed;
  const std::lock_guard lock(mutex_);
  const auto found = filters_.find(id);
  if (found == filters_.end() || found->second.get() != filter) return false;
  removed = std::move(found->second);
  filters_.erase(found);
  return true;
}

bool PlacementRegistry::contains(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  return filters_.find(id) != filters_.end();
}

std::shared_ptr<PlacementFilter> PlacementRegistry::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = filters_.find(id);
  return found == filters_.end() ? nullptr : found->second;
}

Ranking rank(const Placement& placement, std::span<const Candidate> candidates,
             const Artifact& artifact, const PlacementRegistry& registry) {
  std::shared_ptr<PlacementFilter> filter;
  if (placement.custom_filter_id) {
    filter = registry.find(*placement.custom_filter_id);
    if (!filter) return {{}, true};
  }
  std::vector<Scored> scored;
  for (const Candidate& candidate : candidates) {
    const auto value = score(placement, candidate, artifact);
    if (value) scored.push_back({&candidate, *value});
  }
  if (filter) scored = approved(*filter, scored);
  std::sort(scored.begin(), scored.end(), better);
  if (placement.limit && scored.size() > *placement.limit) {
    scored.erase(scored.begin() + static_cast<std::ptrdiff_t>(*placement.limit), scored.end());
  }
  Ranking ranking;
  for (const Scored& each : scored) ranking.nodes.push_back({each.candidate->node_id, each.score});
  return ranking;
}

}  // namespace netmesh::placement
