#pragma once
// A publish rate, with bursts of one second's worth.

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace netmesh::channel {

/// The generic cell rate algorithm: one instant says how far ahead of its rate a channel is. A
/// batch longer than a burst passes when nothing came before it, and is paid for afterwards.
class RateLimit {
 public:
  static constexpr Duration kBurst = std::chrono::seconds(1);

  /// Takes `count` payloads at `per_second` out of the allowance; nothing when they exceed it.
  bool take(TimePoint now, std::uint32_t per_second, std::uint32_t count) {
    const TimePoint from = std::max(paid_until_, now);
    if (from + price(per_second, std::min(count, per_second)) > now + kBurst) return false;
    paid_until_ = from + price(per_second, count);
    return true;
  }

 private:
  static Duration price(std::uint32_t per_second, std::uint32_t count) {
    return Duration(std::uint64_t{count} * 1'000'000'000 / per_second);
  }

  TimePoint paid_until_ = TimePoint::min();
};

}  // namespace netmesh::channel
