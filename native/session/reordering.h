#pragma once
// How much later than its successors a packet may arrive before it counts as lost.

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace netmesh::session {

/// RFC 9002 §6.1 leaves adaptive thresholds to the implementation; as in RFC 8985 §7.2 tolerance
/// grows with what proves to have been called lost too early and is forgotten after a while
/// without such proof.
class ReorderingTolerance {
 public:
  /// RFC 9002 §6.1.1.
  static constexpr std::uint64_t kPacketThreshold = 3;
  /// Beyond this only time decides soon enough anyway.
  static constexpr std::uint64_t kMaxPacketThreshold = 256;
  /// Congestion events without a spurious loss until the tolerance is forgotten (RFC 8985: 16).
  static constexpr unsigned kForgetAfter = 16;

  std::uint64_t packet_threshold() const { return packet_threshold_; }
  /// Of `rtt`, which is the larger of the smoothed and the latest: 9/8 (RFC 9002 §6.1.2) up to 2.
  Duration time_threshold(Duration rtt) const { return rtt + rtt * time_eighths_ / 8; }

  /// A packet that was called lost arrived. `distance`: how many packet numbers ahead the newest
  /// acknowledged one was when it was called lost; `by_time`: time had decided.
  void on_spurious(std::uint64_t distance, bool by_time) {
    quiet_events_ = 0;
    if (by_time) {
      time_eighths_ = std::min(2 * time_eighths_, 8);
    } else {
      // Arrivals later still raise it further.
      packet_threshold_ =
          std::clamp(distance + distance / 2 + 1, packet_threshold_, kMaxPacketThreshold);
    }
  }
  /// Packets were lost, and up to now none of the last event's has turned up.
  void on_congestion_event() {
    if (++quiet_events_ < kForgetAfter) return;
    quiet_events_ = 0;
    packet_threshold_ = kPacketThreshold;
    time_eighths_ = 1;
  }

 private:
  std::uint64_t packet_threshold_ = kPacketThreshold;
  int time_eighths_ = 1;
  unsigned quiet_events_ = 0;
};

}  // namespace netmesh::session
