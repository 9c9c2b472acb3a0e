#include "bus/scaling.h"

#include <algorithm>

namespace netmesh::bus {

const char* ScalingPolicy::broken_rule() const {
  // Written so that NaN breaks them.
  if (!(fill_ratio_threshold > 0 && fill_ratio_threshold <= 1))
    return "fill_ratio_threshold must be in (0, 1]";
  if (!(underutilized_threshold >= 0 && underutilized_threshold <= 1))
    return "underutilized_threshold must be in [0, 1]";
  if (min_shards == 0) return "min_shards must be > 0";
  if (max_shards != 0 && max_shards < min_shards) return "max_shards must be >= min_shards";
  if (cooldown <= Duration::zero()) return "cooldown must be > 0";
  if (scale_down_delay <= Duration::zero()) return "scale_down_delay must be > 0";
  return nullptr;
}

std::uint32_t ShardScaler::decide(Instant now, std::span<const ShardLoad> loads) {
  const auto active = static_cast<std::uint32_t>(loads.size());
  const auto overloaded = static_cast<std::uint32_t>(std::count_if(
      loads.begin(), loads.end(),
      [&](const ShardLoad& load) { return load.fill_ratio > policy_.fill_ratio_threshold; }));
  const auto idle = static_cast<std::uint32_t>(
      std::count_if(loads.begin(), loads.end(), [&](const ShardLoad& load) {
        return load.events == 0 && load.fill_ratio < policy_.underutilized_threshold;
      }));
  if (idle * 2 <= active)
    idle_since_.reset();
  else if (!idle_since_)
    idle_since_ = now;
  if (last_change_ && now - *last_change_ < policy_.cooldown) return active;
  if (overloaded * 2 > active && active < policy_.max_shards)
    return std::min(policy_.max_shards, active + std::max(1u, overloaded / 2));
  if (idle_since_ && now - *idle_since_ >= policy_.scale_down_delay && active > policy_.min_shards)
    return std::max(policy_.min_shards, active - std::max(1u, idle / 2));
  return active;
}

void ShardScaler::changed(Instant now) {
  last_change_ = now;
  idle_since_.reset();
}

}  // namespace netmesh::bus
