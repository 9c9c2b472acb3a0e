#pragma once
// The share of packets that a path loses whatever the rate: radio noise, bad cables.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace netmesh::session {

/// Two kinds of evidence, both from rounds in which no queue showed. At the sender's usual rate the
/// median of the last few long observations counts: noise is always there, whereas a queue too
/// short to show in the round trip overflows only at times. But senders that take each other's
/// overflow for noise would never stop; so the share is never much more than what is lost by a
/// sender that has slowed down to see.
class AmbientLoss {
 public:
  /// Losses or, where there are few, packets until an observation at the usual rate is complete.
  static constexpr std::uint64_t kObservedLosses = 20;
  static constexpr std::uint64_t kObservedPackets = 400;
  static constexpr std::size_t kObservations = 3;
  /// At half the rate packets are rare.
  static constexpr std::uint64_t kSlowPackets = 60;
  /// What chance makes of an observation that small.
  static constexpr double kSlowTolerance = 1.3;
  /// Beyond this a path is broken rather than noisy.
  static constexpr double kLargest = 0.5;

  double share() const { return share_; }
  /// Losses go on at the usual rate, and what is lost at a low one does not account for them yet.
  bool wants_evidence() const {
    return usual_share() > kWorthEvidence && usual_share() > ceiling();
  }

  /// Packets of a round that were settled: delivered or lost.
  void observe_usual(std::uint64_t delivered, std::uint64_t lost) {
    usual_.delivered += delivered;
    usual_.lost += lost;
    if (usual_.lost < kObservedLosses && usual_.packets() < kObservedPackets) return;
    observations_[count_++ % kObservations] = usual_.share();
    usual_ = {};
    update();
  }
  void observe_slow(std::uint64_t delivered, std::uint64_t lost) {
    slow_.delivered += delivered;
    slow_.lost += lost;
    if (slow_.packets() < kSlowPackets) return;
    slow_share_ = slow_known_ ? (slow_share_ + slow_.share()) / 2 : slow_.share();
    slow_known_ = true;
    slow_ = {};
    update();
  }

  /// Whether `lost` of `sent` packets are more than `tolerated` beyond the ambient share, chance
  /// allowed for (two standard deviations).
  bool exceeded(double lost, double sent, double tolerated) const {
    const double expected = (share_ + tolerated) * sent;
    return lost > expected + 2 * std::sqrt(share_ * (1 - share_) * sent);
  }

 private:
  struct Count {
    std::uint64_t delivered = 0, lost = 0;
    std::uint64_t packets() const { return delivered + lost; }
    double share() const { return static_cast<double>(lost) / static_cast<double>(packets()); }
  };
  /// Below this it is not worth slowing down to know.
  static constexpr double kWorthEvidence = 0.01;

  double ceiling() const { return slow_known_ ? kSlowTolerance * slow_share_ : 0; }
  /// The median; observations that are still to come count as none lost.
  double usual_share() const {
    const auto [a, b, c] = observations_;
    return std::max(std::min(a, b), std::min(std::max(a, b), c));
  }
  void update() { share_ = std::min({usual_share(), ceiling(), kLargest}); }

  std::array<double, kObservations> observations_{};
  std::size_t count_ = 0;
  Count usual_, slow_;
  double slow_share_ = 0;
  bool slow_known_ = false;
  double share_ = 0;
};

}  // namespace netmesh::session
