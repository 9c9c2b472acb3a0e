#pragma once
// When a bus should use more of its shards, or fewer (spec 40 §12).

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/time.h"

namespace netmesh::bus {

/// Bounds and thresholds. Shares are of a ring's usable slots.
struct ScalingPolicy {
  std::uint32_t min_shards = 1;
  std::uint32_t max_shards = 0;  ///< 0, or less than the bus begins with: as many as it begins with
  double fill_ratio_threshold = 0.7;     ///< in (0, 1]; a fuller ring is overloaded
  double underutilized_threshold = 0.1;  ///< in [0, 1]; an emptier one that got nothing is idle
  Duration cooldown = std::chrono::seconds(1);           ///< between two changes
  Duration scale_down_delay = std::chrono::seconds(10);  ///< how long most shards have to be idle

  /// The rule that is broken, if one is.
  const char* broken_rule() const;
};

/// What one active shard did since the last look.
struct ShardLoad {
  double fill_ratio = 0;
  std::uint64_t events = 0;
};

/// Decides; the bus acts. One thread.
class ShardScaler {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  explicit ShardScaler(const ScalingPolicy& policy) : policy_(policy) {}

  /// How many shards there should be, for as many active ones as `loads` has. Most of them being
  /// overloaded adds half as many as are; most of them being idle for long enough takes half as
  /// many as are away.
  std::uint32_t decide(Instant now, std::span<const ShardLoad> loads);
  /// The number was changed, by whomever: loads have to settle before the next decision.
  void changed(Instant now);

 private:
  const ScalingPolicy policy_;
  std::optional<Instant> last_change_;
  std::optional<Instant> idle_since_;
};

}  // namespace netmesh::bus
