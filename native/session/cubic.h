#pragma once
// CUBIC (RFC 9438) with the slow-start exit of HyStart++ (RFC 9406).

#include <optional>

#include "session/congestion_controller.h"
#include "session/hystart.h"

namespace netmesh::session {

class Cubic final : public CongestionController {
 public:
  explicit Cubic(std::size_t datagram_bytes);

  CongestionAlgorithm algorithm() const override { return CongestionAlgorithm::kCubic; }
  void on_sent(const SentSample& sample) override;
  void on_acknowledged(const AckSample& sample) override;
  void on_lost(const LossSample& sample) override;
  void on_spurious(TimePoint now) override;
  void on_persistent_congestion(TimePoint now) override;
  void set_datagram_bytes(std::size_t bytes) override;
  std::uint64_t window() const override { return static_cast<std::uint64_t>(curve_.window); }
  std::uint64_t pacing_rate() const override { return pacing_rate_; }
  std::uint64_t resume_datagrams() const override;
  CongestionState state() const override;

 private:
  /// What a congestion event changes, and what is put back when it was none (RFC 9438 §4.9).
  /// Windows are in bytes; the cubic function itself counts in datagrams.
  struct Curve {
    double window = 0;
    double threshold = static_cast<double>(kUnlimited);
    double w_max = 0;      ///< where the last event was, the plateau of the curve
    double reno = 0;       ///< what Reno's window would be (W_est)
    double prior = 0;      ///< the window before the last event
    double k_seconds = 0;  ///< from the epoch's begin to the plateau
    std::optional<TimePoint> epoch_began;
  };

  bool slow_start() const { return curve_.window < curve_.threshold; }
  void grow_in_slow_start(const AckSample& sample);
  void grow_on_curve(const AckSample& sample);
  void reduce();
  double minimum() const { return 2 * datagram_; }

  double datagram_;
  Curve curve_;
  std::optional<Curve> before_event_;
  HyStart hystart_;
  std::uint64_t pacing_rate_ = kUnlimited;
  TimePoint last_ack_at_{};
};

}  // namespace netmesh::session
