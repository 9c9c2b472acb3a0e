#pragma once
// Time as the machines see it: an argument, never a clock call.

#include <chrono>
#include <cstdint>

namespace netmesh {

using Duration = std::chrono::nanoseconds;

/// The clock of the machines: monotonic, epoch of no meaning; virtual in the simulator.
struct MachineClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MachineClock>;
  static constexpr bool is_steady = true;
};
using TimePoint = MachineClock::time_point;

/// Nanoseconds since the Unix epoch, for what users and peers see as a date.
using UnixNanos = std::int64_t;

/// Both clocks at one instant: what a driver hands to the machines.
struct Now {
  TimePoint monotonic;
  UnixNanos unix_ns = 0;
};

}  // namespace netmesh
