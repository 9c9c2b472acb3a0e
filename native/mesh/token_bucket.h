#pragma once
// A rate with a burst.

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace netmesh::mesh {

/// Full at first; a clock that goes back does not empty it.
class TokenBucket {
 public:
  struct Rate {
    std::uint32_t per_second = 0;
    std::uint32_t burst = 0;
  };

  bool has(TimePoint now, Rate rate) {
    refill(now, rate);
    return tokens_ >= 1;
  }
  bool take(TimePoint now, Rate rate) {
    if (!has(now, rate)) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  void refill(TimePoint now, Rate rate) {
    const auto burst = static_cast<float>(rate.burst);
    if (filled_at_ == TimePoint::min()) {
      tokens_ = burst;
    } else if (now > filled_at_) {
      const auto elapsed = std::chrono::duration<float>(now - filled_at_).count();
      tokens_ = std::min(burst, tokens_ + elapsed * static_cast<float>(rate.per_second));
    } else {
      return;
    }
    filled_at_ = now;
  }

  TimePoint filled_at_ = TimePoint::min();
  float tokens_ = 0;
};

}  // namespace netmesh::mesh
