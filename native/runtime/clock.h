#pragma once
// The clocks of the real world, read once per batch.

#include <chrono>

#include "base/time.h"

namespace netmesh::runtime {

/// Monotonic time as the machines count it: nanoseconds of CLOCK_MONOTONIC.
inline TimePoint monotonic_now() {
  return TimePoint(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

inline Now read_clocks() {
  const auto unix_time = std::chrono::system_clock::now().time_since_epoch();
  return {monotonic_now(), std::chrono::duration_cast<std::chrono::nanoseconds>(unix_time).count()};
}

}  // namespace netmesh::runtime
