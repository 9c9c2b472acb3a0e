#pragma once
// The share of packets that a path loses whatever the rate: radio noise, bad cables.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace netmesh::session {

/// Learns from stretches in which the sender did not probe and no queue stood: what was lost then
/// was not lost to this sender's rate. The least of the last few long observations counts: noise is
/// always there, whereas a queue too short to show in the round trip overflows only at times.
class AmbientLoss {
 public:
  /// Losses or, where there are few, packets until a stretch says something.
  static constexpr std::uint64_t kObservedLosses = 40;
  static constexpr std::uint64_t kObservedPackets = 800;
  static constexpr std::size_t kObservations = 3;
  /// Beyond this a path is broken rather than noisy.
  static constexpr double kLargest = 0.5;

  double share() const { return share_; }

  /// Packets of a quiet round that were settled: delivered or lost.
  void observe(std::uint64_t delivered, std::uint64_t lost) {
    delivered_ += delivered;
    lost_ += lost;
    if (lost_ < kObservedLosses && delivered_ + lost_ < kObservedPackets) return;
    observations_[count_++ % kObservations] =
        static_cast<double>(lost_) / static_cast<double>(delivered_ + lost_);
    delivered_ = lost_ = 0;
    // A single observation proves nothing.
    if (count_ < 2) return;
    share_ = std::min(
        kLargest, *std::min_element(observations_.begin(),
                                    observations_.begin() + static_cast<std::ptrdiff_t>(
                                                                std::min(count_, kObservations))));
  }

  /// Whether `lost` of `sent` packets are more than `tolerated` beyond the ambient share, chance
  /// allowed for (two standard deviations).
  bool exceeded(double lost, double sent, double tolerated) const {
    const double expected = (share_ + tolerated) * sent;
    return lost > expected + 2 * std::sqrt(share_ * (1 - share_) * sent);
  }

 private:
  std::array<double, kObservations> observations_{};
  std::size_t count_ = 0;
  std::uint64_t delivered_ = 0, lost_ = 0;
  double share_ = 0;
};

}  // namespace netmesh::session
