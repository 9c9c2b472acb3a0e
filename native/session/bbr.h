#pragma once
// BBR version 3 (draft-ietf-ccwg-bbr), without ECN: a model of the bottleneck's rate and of the
// path's round trip decides how much is in flight and how fast it leaves.

#include <algorithm>
#include <array>
#include <optional>

#include "session/ambient_loss.h"
#include "session/congestion_controller.h"
#include "session/windowed_max.h"

namespace netmesh::session {

/// Where the draft is followed its names are used. What differs, and why, is in
/// docs/architecture.md: above all, noise is not congestion.
class Bbr final : public CongestionController {
 public:
  Bbr(std::size_t datagram_bytes, std::uint64_t random_seed);

  CongestionAlgorithm algorithm() const override { return CongestionAlgorithm::kBbr; }
  void on_sent(const SentSample& sample) override;
  void on_acknowledged(const AckSample& sample) override;
  void on_lost(const LossSample& sample) override;
  void on_spurious(TimePoint now) override;
  void on_persistent_congestion(TimePoint now) override;
  void set_datagram_bytes(std::size_t bytes) override;
  std::uint64_t window() const override { return window_; }
  std::uint64_t pacing_rate() const override { return pacing_rate_; }
  CongestionState state() const override;

 private:
  enum class Phase : std::uint8_t {
    kStartup,      ///< doubles the rate per round until it stops rising
    kDrain,        ///< empties the queue that this has built
    kProbeDown,    ///< below the rate, so that the queue drains and others find room
    kProbeCruise,  ///< at the rate, with headroom
    kProbeRefill,  ///< fills the pipe for a round, so that probing meets the bottleneck
    kProbeUp,      ///< above the rate: is there more?
    kProbeRtt,     ///< half of the pipe for 200 ms, so that the round trip without queue shows
  };
  /// What the ACKs that come in tell about (BBR.ack_phase).
  enum class AckPhase : std::uint8_t { kInit, kStopping, kRefilling, kStarting, kFeedback };

  bool probing_bandwidth() const {
    return phase_ >= Phase::kProbeDown && phase_ <= Phase::kProbeUp;
  }

  // Model.
  AckSample with_noise(AckSample sample) const;
  void update_round(const AckSample& sample);
  void update_bandwidth(const AckSample& sample);
  void update_congestion_signals(const AckSample& sample);
  void adapt_lower_bounds(TimePoint now);
  void update_aggregation(const AckSample& sample);
  void learn_ambient_loss();
  void check_full_pipe(const AckSample& sample);
  void check_startup_loss(const AckSample& sample);
  void update_min_rtt(const AckSample& sample);

  // Phases.
  void enter_drain();
  void enter_probe_bandwidth(TimePoint now);
  void start_down(TimePoint now);
  void start_cruise();
  void start_refill(TimePoint now);
  void start_up(const AckSample& sample);
  void enter_probe_rtt();
  bool may_test(TimePoint now) const;
  void exit_probe_rtt(TimePoint now);
  void update_cycle(const AckSample& sample);
  void update_probe_rtt(const AckSample& sample);
  bool time_to_probe(TimePoint now);
  bool time_to_cruise(const AckSample& sample) const;
  bool time_to_go_down(const AckSample& sample);
  void adapt_upper_bounds(const AckSample& sample);
  void probe_inflight_upward(const AckSample& sample);
  void raise_inflight_slope();
  void handle_inflight_too_high(TimePoint now, std::uint64_t inflight, bool app_limited);
  bool queue_stands() const;
  bool queue_in_round() const;
  bool too_much_lost(std::uint64_t lost, std::uint64_t sent) const;

  // Control.
  void set_pacing_rate(const AckSample& sample);
  void set_window(const AckSample& sample);
  void bound_window();
  void advance_rounds() { next_round_delivered_ = delivered_; }

  std::uint64_t max_bandwidth() const { return std::max(max_bandwidth_[0], max_bandwidth_[1]); }
  std::uint64_t bandwidth() const;
  double pacing_gain() const;
  double window_gain() const;
  Duration model_rtt() const;
  std::uint64_t bdp(std::uint64_t bandwidth_bytes, double gain) const;
  std::uint64_t max_inflight() const;
  std::uint64_t inflight_with_headroom() const;
  std::uint64_t target_inflight() const;
  std::uint64_t probe_rtt_window() const;
  std::uint64_t least_window() const;
  std::uint64_t random();

  std::uint64_t datagram_;
  std::uint64_t random_state_;
  Phase phase_ = Phase::kStartup;
  AckPhase ack_phase_ = AckPhase::kInit;
  std::uint64_t window_;
  std::uint64_t prior_window_ = 0;
  std::uint64_t pacing_rate_ = kUnlimited;
  bool idle_restart_ = false;

  // Rounds: what was in flight at their begin is acknowledged.
  std::uint64_t delivered_ = 0;
  std::uint64_t next_round_delivered_ = 0;
  std::uint64_t rounds_ = 0;
  bool round_start_ = false;

  // Bandwidth: the best of the last two probing cycles.
  std::array<std::uint64_t, 2> max_bandwidth_{};
  std::uint64_t full_bandwidth_ = 0;
  unsigned full_bandwidth_rounds_ = 0;
  bool full_bandwidth_now_ = false;
  bool full_bandwidth_reached_ = false;

  // Bounds from loss.
  std::uint64_t inflight_hi_ = kUnlimited;  ///< long-term: more was too much
  std::uint64_t inflight_lo_ = kUnlimited;  ///< short-term, forgotten at the next probe
  std::uint64_t bandwidth_lo_ = kUnlimited;
  std::uint64_t bandwidth_latest_ = 0, inflight_latest_ = 0;
  std::uint64_t loss_round_delivered_ = 0;
  std::uint64_t loss_round_began_delivered_ = 0;
  bool loss_round_start_ = false;
  std::uint64_t lost_in_round_ = 0;  ///< bytes
  unsigned losses_in_round_ = 0;
  AmbientLoss ambient_;
  bool slow_round_ = false;       ///< the round began below this sender's share of the path
  bool test_wanted_ = false;      ///< losses ask for a test of whether they are noise
  bool startup_doubted_ = false;  ///< it ended with losses that were not explained
  bool testing_ = false;          ///< PROBE_RTT is such a test
  double tested_share_ = 0;       ///< what was known of noise when the test began
  /// The latest round trips: their minimum tells a queue that stands from jitter.
  static constexpr std::size_t kRecentRtts = 8;
  /// Round trips longer by this share still confirm the minimum: nobody's queue is quite empty.
  static constexpr int kRttToleranceDivisor = 16;
  std::array<Duration, kRecentRtts> recent_rtts_{};
  std::size_t recent_rtt_count_ = 0;
  std::uint64_t clean_packets_ = 0;                ///< delivered since the last loss
  Duration least_rtt_in_round_ = Duration::max();  ///< of the rounds in which losses are counted

  // Probing.
  bool probe_samples_ = false;
  TimePoint cycle_began_{};
  Duration probe_wait_{};
  std::uint64_t rounds_since_probe_ = 0;
  unsigned up_rounds_ = 0;
  unsigned up_feedback_rounds_ = 0;  ///< since what the probe has sent comes back
  std::uint64_t rate_before_up_ = 0, up_rate_ = 0;
  std::uint64_t up_acked_ = 0;
  std::uint64_t up_bytes_ = kUnlimited;  ///< acknowledged per datagram that inflight_hi rises by

  // Round trip.
  Duration min_rtt_ = Duration::max();
  TimePoint min_rtt_at_{};
  Duration least_rtt_ = Duration::max();  ///< since the last PROBE_RTT, and what that has shown
  Duration probe_rtt_min_ = Duration::max();
  TimePoint probe_rtt_min_at_{};
  bool probe_rtt_expired_ = false;
  std::optional<TimePoint> probe_rtt_done_;
  bool probe_rtt_round_done_ = false;
  TimePoint probe_rtt_ended_at_{};

  // ACKs that come in bunches.
  WindowedMax extra_acked_{10};
  TimePoint aggregation_began_{};
  std::uint64_t aggregated_ = 0;

  /// The bounds before the latest congestion event, in case that it was none.
  struct Bounds {
    std::uint64_t inflight_hi, inflight_lo, bandwidth_lo, window;
  };
  std::optional<Bounds> before_event_;
};

}  // namespace netmesh::session
