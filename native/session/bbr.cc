#include "session/bbr.h"

#include <algorithm>

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Draft §2: constants, with its values.
constexpr double kStartupPacingGain = 2.77;
constexpr double kStartupWindowGain = 2;
constexpr double kDrainPacingGain = 0.5;
constexpr double kDownPacingGain = 0.9;
constexpr double kUpPacingGain = 1.25;
constexpr double kUpWindowGain = 2.25;
constexpr double kWindowGain = 2;
constexpr double kProbeRttWindowGain = 0.5;
/// Slightly below the estimate, so that queues drain rather than stand.
constexpr double kPacingMargin = 0.99;
constexpr double kHeadroom = 0.15;
constexpr std::uint64_t kLeastWindowDatagrams = 4;
constexpr double kFullBandwidthGrowth = 1.25;
constexpr unsigned kFullBandwidthRounds = 3;
constexpr Duration kMinRttWindow = seconds(10);
constexpr Duration kProbeRttInterval = seconds(5);
constexpr Duration kProbeRttDuration = milliseconds(200);
/// A test of whether losses are noise goes on until it has seen enough, but no longer than this.
constexpr Duration kLongestTest = seconds(2);
/// Coexistence with Reno: probe at least as often as it would double its window.
constexpr std::uint64_t kMostRoundsBetweenProbes = 63;
constexpr unsigned kMostUpRounds = 30;

/// Not in the draft, like what follows. A queue that stands while cruising is drained slowly: the
/// estimate of the rate is too high, or others have come.
constexpr double kStandingQueueGain = 0.95;
/// A probe that has built a queue is over when the rate has not risen by this after so many rounds.
/// Alone it does not rise, and who has half of the path or less gains more.
constexpr double kUpGrowth = 1.1;
constexpr unsigned kUpRounds = 2;

/// Shorter round trips are lost among the delays of schedulers and coalesced acknowledgements: a
/// window for less than this starves a path of a few microseconds.
constexpr Duration kLeastModelRtt = milliseconds(2);

}  // namespace

Bbr::Bbr(std::size_t datagram_bytes, std::uint64_t random_seed)
    : datagram_(datagram_bytes),
      random_state_(random_seed),
      window_(kInitialWindow * datagram_bytes) {}

// --- what happens ---

void Bbr::on_sent(const SentSample& sample) {
  if (sample.in_flight != 0 || !sample.app_limited) return;
  idle_restart_ = true;
  aggregation_began_ = sample.now;
  aggregated_ = 0;
  if (probing_bandwidth()) {
    pacing_rate_ = std::max<std::uint64_t>(bandwidth(), 1);
  } else if (phase_ == Phase::kProbeRtt && probe_rtt_done_ && sample.now > *probe_rtt_done_) {
    exit_probe_rtt(sample.now);
  }
}

void Bbr::on_acknowledged(const AckSample& acknowledged) {
  const AckSample sample = with_noise(acknowledged);
  delivered_ = sample.delivered;
  update_round(sample);
  update_congestion_signals(sample);
  update_aggregation(sample);
  check_full_pipe(sample);
  check_startup_loss(sample);
  if (phase_ == Phase::kDrain && sample.in_flight <= bdp(max_bandwidth(), 1))
    enter_probe_bandwidth(sample.now);
  update_cycle(sample);
  update_min_rtt(sample);
  update_probe_rtt(sample);
  if (loss_round_start_) {
    bandwidth_latest_ = sample.delivery_rate;
    inflight_latest_ = sample.interval_bytes;
  }
  set_pacing_rate(sample);
  set_window(sample);
}

void Bbr::on_persistent_congestion(TimePoint) {
  // The model stays; the window climbs back to it as acknowledgements come in.
  window_ = least_window();
  before_event_.reset();
}

void Bbr::set_datagram_bytes(std::size_t bytes) {
  if (delivered_ == 0) window_ = kInitialWindow * bytes;
  datagram_ = bytes;
  window_ = std::max(window_, least_window());
}

// --- model ---

void Bbr::update_round(const AckSample& sample) {
  round_start_ = sample.prior_delivered >= next_round_delivered_;
  if (!round_start_) return;
  advance_rounds();
  ++rounds_;
  ++rounds_since_probe_;
}

void Bbr::update_bandwidth(const AckSample& sample) {
  if (sample.delivery_rate == 0) return;
  if (sample.delivery_rate >= max_bandwidth() || !sample.app_limited) {
    max_bandwidth_[0] = std::max(max_bandwidth_[0], sample.delivery_rate);
  }
}

void Bbr::update_aggregation(const AckSample& sample) {
  const std::uint64_t expected =
      bytes_in(std::max(sample.now - aggregation_began_, Duration::zero()), bandwidth());
  std::uint64_t anticipated = expected;
  if (aggregated_ <= expected) {
    aggregated_ = 0;
    aggregation_began_ = sample.now;
    anticipated = 0;
  }
  aggregated_ += sample.bytes;
  const std::uint64_t extra = aggregated_ > anticipated ? aggregated_ - anticipated : 0;
  extra_acked_.update(std::min(extra, window_), rounds_);
}

void Bbr::check_full_pipe(const AckSample& sample) {
  if (full_bandwidth_now_ || !round_start_ || sample.app_limited || sample.delivery_rate == 0)
    return;
  if (static_cast<double>(sample.delivery_rate) >=
      static_cast<double>(full_bandwidth_) * kFullBandwidthGrowth) {
    full_bandwidth_ = sample.delivery_rate;
    full_bandwidth_rounds_ = 0;
    return;
  }
  if (++full_bandwidth_rounds_ < kFullBandwidthRounds) return;
  full_bandwidth_now_ = true;
  if (full_bandwidth_reached_) return;
  full_bandwidth_reached_ = true;
  if (phase_ != Phase::kStartup) return;
  if (!queue_stands() && too_much_lost(sample.lost_since_sent, sample.sent_in_flight))
    startup_doubted_ = test_wanted_ = true;
  enter_drain();
}

void Bbr::update_min_rtt(const AckSample& sample) {
  probe_rtt_expired_ = sample.now > probe_rtt_min_at_ + kProbeRttInterval;
  if (sample.rtt && (*sample.rtt <= probe_rtt_min_ || probe_rtt_expired_)) {
    probe_rtt_min_ = *sample.rtt;
    probe_rtt_min_at_ = sample.now;
  }
  const bool expired = sample.now > min_rtt_at_ + kMinRttWindow;
  if (probe_rtt_min_ < min_rtt_ || expired) {
    min_rtt_ = probe_rtt_min_;
    min_rtt_at_ = probe_rtt_min_at_;
  }
  least_rtt_ = std::min(least_rtt_, min_rtt_);
}

// --- phases ---

void Bbr::enter_drain() { phase_ = Phase::kDrain; }

void Bbr::enter_probe_bandwidth(TimePoint now) { start_down(now); }

void Bbr::start_down(TimePoint now) {
  phase_ = Phase::kProbeDown;
  bandwidth_latest_ = inflight_latest_ = 0;
  up_bytes_ = kUnlimited;
  // Draft §5.3.3.6: at a different time than others who met the same bottleneck.
  rounds_since_probe_ = random() % 2;
  probe_wait_ = seconds(2) + milliseconds(static_cast<std::int64_t>(random() % 1000));
  cycle_began_ = now;
  ack_phase_ = AckPhase::kStopping;
  advance_rounds();
}

void Bbr::start_cruise() { phase_ = Phase::kProbeCruise; }

void Bbr::start_refill(TimePoint) {
  phase_ = Phase::kProbeRefill;
  bandwidth_lo_ = inflight_lo_ = kUnlimited;
  up_rounds_ = 0;
  up_acked_ = 0;
  ack_phase_ = AckPhase::kRefilling;
  advance_rounds();
}

void Bbr::start_up(const AckSample& sample) {
  phase_ = Phase::kProbeUp;
  ack_phase_ = AckPhase::kStarting;
  advance_rounds();
  full_bandwidth_now_ = false;
  full_bandwidth_rounds_ = 0;
  full_bandwidth_ = sample.delivery_rate;
  cycle_began_ = sample.now;
  rate_before_up_ = bandwidth();
  up_rate_ = 0;
  up_feedback_rounds_ = 0;
  raise_inflight_slope();
}

void Bbr::update_cycle(const AckSample& sample) {
  if (!full_bandwidth_reached_) return;
  adapt_upper_bounds(sample);
  switch (phase_) {
    case Phase::kProbeDown:
      if (time_to_probe(sample.now)) return;
      if (time_to_cruise(sample)) start_cruise();
      return;
    case Phase::kProbeCruise:
      time_to_probe(sample.now);
      return;
    case Phase::kProbeRefill:
      if (!round_start_) return;
      probe_samples_ = true;
      start_up(sample);
      return;
    case Phase::kProbeUp:
      if (time_to_go_down(sample)) start_down(sample.now);
      return;
    default:
      return;
  }
}

bool Bbr::time_to_probe(TimePoint now) {
  const std::uint64_t datagrams = target_inflight() / datagram_;
  if (now - cycle_began_ <= probe_wait_ &&
      rounds_since_probe_ < std::min(datagrams, kMostRoundsBetweenProbes)) {
    return false;
  }
  start_refill(now);
  return true;
}

bool Bbr::time_to_cruise(const AckSample& sample) const {
  return sample.in_flight <= inflight_with_headroom() && sample.in_flight <= bdp(bandwidth(), 1);
}

bool Bbr::time_to_go_down(const AckSample& sample) {
  if (sample.window_limited && window_ >= inflight_hi_) {
    // The bound holds the rate back, not the path: go on while it is raised.
    full_bandwidth_now_ = false;
    full_bandwidth_rounds_ = 0;
    full_bandwidth_ = sample.delivery_rate;
    return false;
  }
  if (round_start_) ++up_feedback_rounds_;
  if (up_feedback_rounds_ > 0) up_rate_ = std::max(up_rate_, sample.delivery_rate);
  if (up_feedback_rounds_ >= kUpRounds && queue_stands() &&
      static_cast<double>(up_rate_) < kUpGrowth * static_cast<double>(rate_before_up_)) {
    return true;
  }
  return full_bandwidth_now_;
}

void Bbr::adapt_upper_bounds(const AckSample& sample) {
  if (ack_phase_ == AckPhase::kStarting && round_start_) ack_phase_ = AckPhase::kFeedback;
  if (ack_phase_ == AckPhase::kStopping && round_start_) {
    // What the probe has shown is in; its cycle ends.
    if (probing_bandwidth() && !sample.app_limited) {
      max_bandwidth_[1] = max_bandwidth_[0];
      max_bandwidth_[0] = 0;
    }
    ack_phase_ = AckPhase::kInit;
    probe_samples_ = false;
  }
  if (too_much_lost(sample.lost_since_sent, sample.sent_in_flight)) {
    if (probe_samples_)
      handle_inflight_too_high(sample.now, sample.sent_in_flight, sample.app_limited);
    return;
  }
  if (inflight_hi_ == kUnlimited) return;
  inflight_hi_ = std::max(inflight_hi_, sample.sent_in_flight);
  if (phase_ == Phase::kProbeUp) probe_inflight_upward(sample);
}

void Bbr::probe_inflight_upward(const AckSample& sample) {
  if (!sample.window_limited || window_ < inflight_hi_) return;
  up_acked_ += sample.bytes;
  if (up_acked_ >= up_bytes_) {
    const std::uint64_t datagrams = up_acked_ / up_bytes_;
    up_acked_ -= datagrams * up_bytes_;
    inflight_hi_ += datagrams * datagram_;
  }
  if (round_start_) raise_inflight_slope();
}

/// Twice as many datagrams more in every round of a probe.
void Bbr::raise_inflight_slope() {
  const std::uint64_t growth = std::uint64_t{1} << up_rounds_;
  up_rounds_ = std::min(up_rounds_ + 1, kMostUpRounds);
  up_bytes_ = std::max(window_ / growth, datagram_);
}

void Bbr::enter_probe_rtt() {
  phase_ = Phase::kProbeRtt;
  prior_window_ = std::max(prior_window_, window_);
  probe_rtt_done_.reset();
  probe_rtt_round_done_ = false;
  ack_phase_ = AckPhase::kStopping;
  advance_rounds();
  test_wanted_ = false;
  tested_share_ = ambient_.share();
  ambient_.begin_test();
}

void Bbr::exit_probe_rtt(TimePoint now) {
  probe_rtt_min_at_ = probe_rtt_ended_at_ = now;
  least_rtt_ = probe_rtt_min_;
  window_ = std::max(window_, prior_window_);
  prior_window_ = 0;
  bandwidth_lo_ = inflight_lo_ = kUnlimited;
  const bool was_noise = ambient_.share() > tested_share_ + AmbientLoss::kWorthEvidence;
  const bool again = was_noise && startup_doubted_;
  startup_doubted_ = false;
  if (was_noise) inflight_hi_ = kUnlimited;  // what set it has another explanation
  if (again) {
    full_bandwidth_reached_ = full_bandwidth_now_ = false;
    full_bandwidth_ = 0;
    full_bandwidth_rounds_ = 0;
  }
  if (full_bandwidth_reached_ && was_noise) {
    start_refill(now);
  } else if (full_bandwidth_reached_) {
    start_down(now);
    start_cruise();
  } else {
    phase_ = Phase::kStartup;
  }
}

void Bbr::update_probe_rtt(const AckSample& sample) {
  const bool doubtful =
      probe_rtt_expired_ && probe_rtt_min_ - least_rtt_ > least_rtt_ / kRttToleranceDivisor;
  const bool loss_doubtful = (test_wanted_ || ambient_.wants_evidence()) && may_test(sample.now);
  if (phase_ != Phase::kProbeRtt && !idle_restart_ && full_bandwidth_reached_ &&
      (doubtful || loss_doubtful)) {
    testing_ = loss_doubtful;
    enter_probe_rtt();
  }
  if (phase_ == Phase::kProbeRtt) {
    if (!probe_rtt_done_ && sample.in_flight <= probe_rtt_window()) {
      probe_rtt_done_ = sample.now + kProbeRttDuration;
      probe_rtt_round_done_ = false;
      advance_rounds();
    } else if (probe_rtt_done_) {
      if (round_start_) probe_rtt_round_done_ = true;
      const bool seen_enough =
          !testing_ || ambient_.test_complete() || sample.now > *probe_rtt_done_ + kLongestTest;
      if (probe_rtt_round_done_ && sample.now > *probe_rtt_done_ && seen_enough)
        exit_probe_rtt(sample.now);
    }
  }
  if (sample.bytes > 0) idle_restart_ = false;
}

// --- control ---

double Bbr::pacing_gain() const {
  switch (phase_) {
    case Phase::kStartup:
      return kStartupPacingGain;
    case Phase::kDrain:
      return kDrainPacingGain;
    case Phase::kProbeDown:
      return kDownPacingGain;
    case Phase::kProbeCruise:
      return queue_stands() ? kStandingQueueGain : 1;
    case Phase::kProbeUp:
      return kUpPacingGain;
    default:
      return 1;
  }
}

double Bbr::window_gain() const {
  switch (phase_) {
    case Phase::kStartup:
    case Phase::kDrain:
      return kStartupWindowGain;
    case Phase::kProbeUp:
      return kUpWindowGain;
    case Phase::kProbeRtt:
      return kProbeRttWindowGain;
    default:
      return kWindowGain;
  }
}

void Bbr::set_pacing_rate(const AckSample& sample) {
  std::uint64_t base = bandwidth();
  if (!full_bandwidth_reached_) {
    // The first samples are of lone packets: at least the initial window per round trip.
    const double rtt = std::max(static_cast<double>(sample.smoothed_rtt.count()), 1e3) * 1e-9;
    base = std::max(
        base, static_cast<std::uint64_t>(static_cast<double>(kInitialWindow * datagram_) / rtt));
  }
  const auto rate =
      static_cast<std::uint64_t>(pacing_gain() * kPacingMargin * static_cast<double>(base));
  if (full_bandwidth_reached_ || pacing_rate_ == kUnlimited || rate > pacing_rate_)
    pacing_rate_ = std::max<std::uint64_t>(rate, 1);
}

void Bbr::set_window(const AckSample& sample) {
  const std::uint64_t most = max_inflight();
  if (full_bandwidth_reached_) {
    window_ = std::min(window_ + sample.bytes, most);
  } else if (window_ < most || delivered_ < kInitialWindow * datagram_) {
    window_ += sample.bytes;
  }
  window_ = std::max(window_, least_window());
  if (phase_ == Phase::kProbeRtt) window_ = std::min(window_, probe_rtt_window());
  bound_window();
}

void Bbr::bound_window() {
  std::uint64_t cap = kUnlimited;
  if (phase_ == Phase::kProbeCruise || phase_ == Phase::kProbeRtt) {
    cap = inflight_with_headroom();
  } else if (probing_bandwidth()) {
    cap = inflight_hi_;
  }
  cap = std::max(std::min(cap, inflight_lo_), least_window());
  window_ = std::min({window_, cap, kMaxWindowBytes});
}

std::uint64_t Bbr::bandwidth() const { return std::min(max_bandwidth(), bandwidth_lo_); }

Duration Bbr::model_rtt() const { return std::max(min_rtt_, kLeastModelRtt); }

std::uint64_t Bbr::bdp(std::uint64_t bandwidth_bytes, double gain) const {
  if (min_rtt_ == Duration::max()) return kInitialWindow * datagram_;
  return static_cast<std::uint64_t>(gain *
                                    static_cast<double>(bytes_in(model_rtt(), bandwidth_bytes)));
}

std::uint64_t Bbr::max_inflight() const {
  std::uint64_t inflight = bdp(bandwidth(), window_gain()) + extra_acked_.best();
  // Whole bursts of the pacer, or it could never send one while another is under way.
  const std::uint64_t quantum =
      pacing_rate_ == kUnlimited
          ? 0
          : std::min<std::uint64_t>(bytes_in(milliseconds(1), pacing_rate_), 256 * 1024);
  inflight = std::max({inflight, 3 * quantum, least_window()});
  if (phase_ == Phase::kProbeUp) inflight += 2 * datagram_;
  return inflight;
}

std::uint64_t Bbr::inflight_with_headroom() const {
  if (inflight_hi_ == kUnlimited) return kUnlimited;
  const std::uint64_t headroom = std::max(
      datagram_, static_cast<std::uint64_t>(kHeadroom * static_cast<double>(inflight_hi_)));
  return inflight_hi_ > headroom ? std::max(inflight_hi_ - headroom, least_window())
                                 : least_window();
}

std::uint64_t Bbr::target_inflight() const { return std::min(bdp(bandwidth(), 1), window_); }

std::uint64_t Bbr::probe_rtt_window() const {
  return std::max(bdp(bandwidth(), kProbeRttWindowGain), least_window());
}

std::uint64_t Bbr::least_window() const { return kLeastWindowDatagrams * datagram_; }

std::uint64_t Bbr::random() {
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return random_state_;
}

CongestionState Bbr::state() const {
  static constexpr const char* kNames[] = {"startup",      "drain",    "probe-down", "probe-cruise",
                                           "probe-refill", "probe-up", "probe-rtt"};
  CongestionState out;
  out.phase = kNames[static_cast<std::size_t>(phase_)];
  out.bandwidth = bandwidth();
  out.inflight_high = inflight_hi_;
  out.inflight_low = inflight_lo_;
  out.ambient_loss = ambient_.share();
  return out;
}

}  // namespace netmesh::session
