// What BBR makes of losses: bounds for rate and volume, unless they are noise.

#include <algorithm>

#include "session/bbr.h"

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// More than this beyond noise is too much (draft §2).
constexpr double kLossThreshold = 0.02;
/// At its usual rate a sender takes loss for noise up to this share while no queue stands: one that
/// overflows is seen in the round trip first, unless it is very short.
constexpr double kQuietLossThreshold = 0.1;
/// What a bound keeps when losses are too many (draft §2).
constexpr double kBeta = 0.7;
/// So many in a round end startup (draft §2).
constexpr unsigned kStartupLosses = 6;
/// Tests of whether losses are noise halve the rate: no more often than this.
constexpr Duration kTestInterval = seconds(5);

}  // namespace

/// What the path loses anyway it has carried: counted so, rates and volumes are those at which this
/// sender may send, and the luck of the samples that deliver most does not add to them.
AckSample Bbr::with_noise(AckSample sample) const {
  if (sample.interval_bytes == 0) return sample;
  const double odds = ambient_.share() / (1 - ambient_.share());
  const double delivered = static_cast<double>(sample.interval_bytes);
  const double noise = std::min(static_cast<double>(sample.lost_since_sent), odds * delivered);
  sample.interval_bytes += static_cast<std::uint64_t>(noise);
  sample.delivery_rate = static_cast<std::uint64_t>(static_cast<double>(sample.delivery_rate) *
                                                    (1 + noise / delivered));
  return sample;
}

void Bbr::on_lost(const LossSample& sample) {
  if (sample.new_event) before_event_ = Bounds{inflight_hi_, inflight_lo_, bandwidth_lo_, window_};
  lost_in_round_ += sample.bytes;
  ++losses_in_round_;
  if (!probe_samples_ || !too_much_lost(sample.lost_since_sent, sample.sent_in_flight)) return;
  // In flight when the loss began to be too much: a little less than when this packet left.
  const double sent_before =
      static_cast<double>(sample.sent_in_flight) - static_cast<double>(sample.bytes);
  const double lost_before =
      static_cast<double>(sample.lost_since_sent) - static_cast<double>(sample.bytes);
  const double threshold = kLossThreshold + ambient_.share();
  const double prefix = std::max(0.0, (threshold * sent_before - lost_before) / (1 - threshold));
  handle_inflight_too_high(sample.now, static_cast<std::uint64_t>(sent_before + prefix),
                           sample.app_limited);
}

void Bbr::on_spurious(TimePoint) {
  if (!before_event_) return;
  inflight_hi_ = std::max(inflight_hi_, before_event_->inflight_hi);
  inflight_lo_ = std::max(inflight_lo_, before_event_->inflight_lo);
  bandwidth_lo_ = std::max(bandwidth_lo_, before_event_->bandwidth_lo);
  window_ = std::max(window_, before_event_->window);
  lost_in_round_ = 0;
  losses_in_round_ = 0;
  before_event_.reset();
}

void Bbr::update_congestion_signals(const AckSample& sample) {
  bandwidth_latest_ = std::max(bandwidth_latest_, sample.delivery_rate);
  inflight_latest_ = std::max(inflight_latest_, sample.interval_bytes);
  update_bandwidth(sample);
  if (sample.rtt) recent_rtts_[recent_rtt_count_++ % kRecentRtts] = *sample.rtt;
  if (sample.rtt) least_rtt_in_round_ = std::min(least_rtt_in_round_, *sample.rtt);
  loss_round_start_ = sample.prior_delivered >= loss_round_delivered_;
  if (!loss_round_start_) return;
  adapt_lower_bounds(sample.now);
  learn_ambient_loss();
  loss_round_began_delivered_ = delivered_;
  loss_round_delivered_ = sample.delivered;
  lost_in_round_ = 0;
  losses_in_round_ = 0;
  least_rtt_in_round_ = Duration::max();
}

void Bbr::adapt_lower_bounds(TimePoint now) {
  // While probing, loss is what is looked for; a test waits for its verdict.
  if (phase_ == Phase::kStartup || phase_ == Phase::kProbeRefill || phase_ == Phase::kProbeUp ||
      phase_ == Phase::kProbeRtt) {
    return;
  }
  const double sent = static_cast<double>(delivered_ - loss_round_began_delivered_) +
                      static_cast<double>(lost_in_round_);
  const auto datagram = static_cast<double>(datagram_);
  if (!ambient_.exceeded(static_cast<double>(lost_in_round_) / datagram, sent / datagram,
                         queue_stands() ? 0 : kQuietLossThreshold)) {
    return;
  }
  if (!queue_stands() && may_test(now)) {
    test_wanted_ = true;  // which slows down more than this would
    return;
  }
  if (bandwidth_lo_ == kUnlimited) bandwidth_lo_ = max_bandwidth();
  if (inflight_lo_ == kUnlimited) inflight_lo_ = window_;
  const auto beta_of = [](std::uint64_t value) {
    return static_cast<std::uint64_t>(kBeta * static_cast<double>(value));
  };
  bandwidth_lo_ = std::max({bandwidth_latest_, beta_of(bandwidth_lo_), std::uint64_t{1}});
  inflight_lo_ = std::max(inflight_latest_, beta_of(inflight_lo_));
}

/// Only where this sender does not probe and no queue stands. Slow are the phase that is meant for
/// it and rounds with the least window there is, and there the queue has to be empty: one that
/// others keep full overflows whatever this sender does. Startup teaches nothing: it may begin at
/// such a queue, and then everything looks like the path.
void Bbr::learn_ambient_loss() {
  const std::uint64_t delivered = (delivered_ - loss_round_began_delivered_) / datagram_;
  const std::uint64_t lost = lost_in_round_ / datagram_;
  const bool slow_now = (phase_ == Phase::kProbeRtt && probe_rtt_round_done_) ||
                        (full_bandwidth_reached_ && window_ == least_window());
  const bool slow = slow_now && slow_round_;
  slow_round_ = slow_now;
  // So many packets in a row arrive on no noisy path, queue or not.
  clean_packets_ = lost == 0 ? clean_packets_ + delivered : 0;
  if (clean_packets_ >= AmbientLoss::kObservedPackets) {
    ambient_.observe_usual(clean_packets_, 0);
    clean_packets_ = 0;
    return;
  }
  if (slow && least_rtt_in_round_ - min_rtt_ <= min_rtt_ / kRttToleranceDivisor + milliseconds(1))
    ambient_.observe_slow(delivered, lost);
  if (queue_in_round()) return;
  if (phase_ == Phase::kProbeCruise || phase_ == Phase::kProbeDown)
    ambient_.observe_usual(delivered, lost);
}

void Bbr::check_startup_loss(const AckSample& sample) {
  if (phase_ != Phase::kStartup || losses_in_round_ < kStartupLosses) return;
  if (!too_much_lost(sample.lost_since_sent, sample.sent_in_flight)) return;
  // While more arrives the more is sent, there is more to be had: on a noisy path, or beside others
  // who have taken everything.
  if (full_bandwidth_rounds_ == 0) return;
  if (!queue_stands()) startup_doubted_ = test_wanted_ = true;
  full_bandwidth_reached_ = full_bandwidth_now_ = true;
  inflight_hi_ = std::max(bdp(max_bandwidth(), 1), inflight_latest_);
  enter_drain();
}

void Bbr::handle_inflight_too_high(TimePoint now, std::uint64_t inflight, bool app_limited) {
  probe_samples_ = false;
  if (!app_limited) {
    inflight_hi_ = std::max(
        inflight, static_cast<std::uint64_t>(static_cast<double>(target_inflight()) * kBeta));
  }
  if (phase_ == Phase::kProbeUp) start_down(now);
}

bool Bbr::may_test(TimePoint now) const { return now > probe_rtt_ended_at_ + kTestInterval; }

bool Bbr::too_much_lost(std::uint64_t lost, std::uint64_t sent) const {
  const auto datagram = static_cast<double>(datagram_);
  return ambient_.exceeded(static_cast<double>(lost) / datagram,
                           static_cast<double>(sent) / datagram, kLossThreshold);
}

bool Bbr::queue_in_round() const {
  return least_rtt_in_round_ != Duration::max() && min_rtt_ != Duration::max() &&
         least_rtt_in_round_ > min_rtt_ + min_rtt_ / 4 + milliseconds(2);
}

bool Bbr::queue_stands() const {
  if (recent_rtt_count_ < kRecentRtts || min_rtt_ == Duration::max()) return false;
  const Duration least = *std::min_element(recent_rtts_.begin(), recent_rtts_.end());
  return least > min_rtt_ + min_rtt_ / 4 + milliseconds(1);
}

}  // namespace netmesh::session
