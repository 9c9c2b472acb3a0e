#pragma once
// When slow start has found the path's capacity: HyStart++ (RFC 9406).

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/time.h"
#include "session/congestion_controller.h"

namespace netmesh::session {

/// Watches the least round-trip time of each round. A rise means that a queue is building: growth
/// then slows to a quarter for some rounds (conservative slow start), which either confirm it, or
/// show that it was jitter.
class HyStart {
 public:
  static constexpr Duration kLeastRise = std::chrono::milliseconds(4);
  static constexpr Duration kMostRise = std::chrono::milliseconds(16);
  static constexpr int kRiseDivisor = 8;
  static constexpr unsigned kSamples = 8;
  static constexpr double kConservativeGrowth = 0.25;
  static constexpr unsigned kConservativeRounds = 5;

  void restart() { *this = HyStart(); }

  /// How much of the acknowledged bytes the window may grow by.
  double growth() const { return conservative_ ? kConservativeGrowth : 1; }

  /// True when slow start is over. Pacing keeps bursts apart, so growth per ACK has no limit
  /// (RFC 9406 §4.3).
  bool on_acknowledged(const AckSample& sample) {
    if (sample.prior_delivered >= round_ends_) {
      round_ends_ = sample.delivered;
      last_least_ = least_;
      least_ = kNone;
      samples_ = 0;
      if (conservative_ && ++conservative_rounds_ >= kConservativeRounds) return true;
    }
    if (!sample.rtt) return false;
    least_ = std::min(least_, *sample.rtt);
    if (++samples_ < kSamples || last_least_ == kNone) return false;
    if (!conservative_) {
      if (least_ >= last_least_ + std::clamp(last_least_ / kRiseDivisor, kLeastRise, kMostRise)) {
        baseline_ = least_;
        conservative_ = true;
        conservative_rounds_ = 0;
      }
    } else if (least_ < baseline_) {
      baseline_ = kNone;
      conservative_ = false;
    }
    return false;
  }

 private:
  static constexpr Duration kNone = Duration::max();

  std::uint64_t round_ends_ = 0;
  Duration least_ = kNone, last_least_ = kNone, baseline_ = kNone;
  unsigned samples_ = 0;
  unsigned conservative_rounds_ = 0;
  bool conservative_ = false;
};

}  // namespace netmesh::session
