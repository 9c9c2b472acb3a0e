#pragma once
// Round-trip time of one path (RFC 9002 §5).

#include <algorithm>
#include <optional>

#include "base/time.h"
#include "session/reordering.h"

namespace netmesh::session {

class RttEstimator {
 public:
  /// Before the first sample; a third of QUIC's, because mesh paths are mostly short.
  static constexpr Duration kInitialRtt = std::chrono::milliseconds(100);
  /// Timer granularity of the drivers.
  static constexpr Duration kGranularity = std::chrono::milliseconds(1);
  /// A busy machine may not run the peer's thread for this long; probing earlier would only repeat
  /// what arrives anyway.
  static constexpr Duration kSchedulingDelay = std::chrono::milliseconds(5);

  /// `sample`: from sending to the acknowledgement; `ack_delay`: what the peer says it waited,
  /// within what it may wait.
  void on_sample(Duration sample, Duration ack_delay) {
    latest_ = sample;
    if (!has_sample_) {
      has_sample_ = true;
      min_ = smoothed_ = sample;
      variation_ = sample / 2;
      return;
    }
    min_ = std::min(min_, sample);
    if (sample - min_ >= ack_delay) sample -= ack_delay;
    const Duration distance = smoothed_ > sample ? smoothed_ - sample : sample - smoothed_;
    variation_ += (distance - variation_) / 4;
    smoothed_ += (sample - smoothed_) / 8;
  }

  bool has_sample() const { return has_sample_; }
  Duration latest() const { return latest_; }
  Duration smoothed() const { return smoothed_; }
  Duration minimum() const { return min_; }
  /// How long a packet may stay unacknowledged before a later acknowledged one proves it lost.
  Duration loss_delay(const ReorderingTolerance& tolerance = {}) const {
    return std::max(tolerance.time_threshold(std::max(smoothed_, latest_)), kGranularity);
  }
  /// RFC 9002 §6.2.1, without backoff.
  Duration probe_timeout(Duration max_ack_delay) const {
    return smoothed_ + std::max(variation_ * 4, kSchedulingDelay) + max_ack_delay;
  }
  /// RFC 9002 §7.6.1: losses spread over more than this mean that nothing gets through.
  Duration persistent_congestion(Duration max_ack_delay) const {
    return 3 * (smoothed_ + std::max(variation_ * 4, kGranularity) + max_ack_delay);
  }

 private:
  bool has_sample_ = false;
  Duration latest_ = kInitialRtt;
  Duration smoothed_ = kInitialRtt;
  Duration variation_ = kInitialRtt / 2;
  Duration min_ = Duration::zero();
};

}  // namespace netmesh::session
