#pragma once
// The share of packets that a path loses whatever the rate: radio noise, bad cables.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace netmesh::session {

/// Two kinds of evidence, both from rounds in which no queue showed.
///
/// What decides is a test: the sender halves what it has in flight. Losses that are its own doing,
/// or that of everybody at a queue too short to show in the round trip, all but vanish then; noise
/// stays. Without tests senders that take each other's overflow for noise would never stop.
///
/// Between tests the share follows what is lost at the usual rate, up to what the last test allows:
/// the median of a few long observations, because noise is always there, whereas a short queue
/// overflows only at times.
class AmbientLoss {
 public:
  /// Losses or, where there are few, packets until an observation at the usual rate is complete.
  static constexpr std::uint64_t kObservedLosses = 40;
  static constexpr std::uint64_t kObservedPackets = 400;
  static constexpr std::size_t kObservations = 3;
  /// At half the rate packets are rare.
  static constexpr double kSlowPackets = 120;
  /// Enough for any path; older ones count half from here on.
  static constexpr double kMostSlowPackets = 4'000;
  /// Beyond this a path is broken rather than noisy.
  static constexpr double kLargest = 0.5;

  /// Below this it is not worth slowing down to know.
  static constexpr double kWorthEvidence = 0.005;

  double share() const { return share_; }
  /// Losses go on at the usual rate, and what is lost at a low one does not account for them yet.
  bool wants_evidence() const {
    return usual_share() > kWorthEvidence && usual_share() > ceiling();
  }

  /// Packets of a round that were settled: delivered or lost.
  void observe_usual(std::uint64_t delivered, std::uint64_t lost) {
    usual_.add(delivered, lost);
    if (usual_.lost < kObservedLosses && usual_.packets() < kObservedPackets) return;
    observations_[count_++ % kObservations] = usual_.share();
    usual_ = {};
    update();
  }

  /// From now on the sender is slow on purpose. The last verdict holds until there is a new one.
  void begin_test() {
    if (test_complete()) test_ = {};
    usual_ = {};
    observations_ = {};
    count_ = 0;
  }
  void observe_slow(std::uint64_t delivered, std::uint64_t lost) {
    test_.add(delivered, lost);
    if (!test_complete()) return;
    if (test_.packets() > kMostSlowPackets) test_.halve();
    slow_ = test_;
    update();
  }
  /// The test has seen enough for a verdict.
  bool test_complete() const { return test_.packets() >= kSlowPackets; }

  /// Whether `lost` of `sent` packets are more than `tolerated` beyond the ambient share, chance
  /// allowed for.
  bool exceeded(double lost, double sent, double tolerated) const {
    return lost >
           (share_ + tolerated) * sent + kRareDeviations * std::sqrt(share_ * (1 - share_) * sent);
  }

 private:
  struct Count {
    double delivered = 0, lost = 0;
    double packets() const { return delivered + lost; }
    double share() const { return packets() == 0 ? 0 : lost / packets(); }
    void add(std::uint64_t more_delivered, std::uint64_t more_lost) {
      delivered += static_cast<double>(more_delivered);
      lost += static_cast<double>(more_lost);
    }
    void halve() {
      delivered /= 2;
      lost /= 2;
    }
  };
  /// Standard deviations that are put down to chance: once, and where it is asked with every ACK.
  static constexpr double kDeviations = 2;
  static constexpr double kRareDeviations = 3;

  /// The most that the last test allows: a bound that holds for few losses as well (Agresti, Coull
  /// 1998).
  double ceiling() const {
    if (slow_.packets() == 0) return 0;
    const double packets = slow_.packets() + 2;
    const double share = (slow_.lost + 1) / packets;
    return share + kDeviations * std::sqrt(share * (1 - share) / packets);
  }
  /// The median; observations that are still to come count as none lost.
  double usual_share() const {
    const auto [a, b, c] = observations_;
    return std::max(std::min(a, b), std::min(std::max(a, b), c));
  }
  void update() {
    // Straight after a test there is nothing else to go by, and what the test does not explain is
    // no noise.
    const bool usual = count_ >= kObservations && usual_share() <= ceiling();
    share_ = std::min(usual ? usual_share() : slow_.share(), kLargest);
  }

  std::array<double, kObservations> observations_{};
  std::size_t count_ = 0;
  Count usual_;
  Count test_;  ///< the latest, which may go on
  Count slow_;  ///< the latest verdict
  double share_ = 0;
};

}  // namespace netmesh::session
