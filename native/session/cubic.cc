#include "session/cubic.h"

#include <algorithm>
#include <cmath>

namespace netmesh::session {
namespace {

/// RFC 9438 §4.1.2 and §4.6: how fast the curve rises, and what an event leaves of the window.
constexpr double kC = 0.4;
constexpr double kBeta = 0.7;
/// §4.3: with this growth a window that keeps 0.7 per event averages what Reno's would.
constexpr double kRenoAlpha = 3 * (1 - kBeta) / (1 + kBeta);
/// §4.2: no more than half a window per round trip.
constexpr double kLargestStep = 1.5;
/// RFC 9002 §7.7 asks for a little more than window / RTT, so that the window is what limits; slow
/// start doubles within a round trip.
constexpr double kPacingGain = 1.25;
constexpr double kSlowStartPacingGain = 2;
/// Receivers of TCP acknowledge every other packet, so that TCP leaves in pairs. Packets that leave
/// one by one fit into a full queue where of a pair one is dropped: they took 60 % of a line beside
/// TCP, up to 73 %, and two such flows were uneven for longer than two with pairs.
constexpr std::uint64_t kResumeDatagrams = 2;
/// Below this window, in datagrams, a wait for a pair would be felt.
constexpr double kLeastPairedWindow = 8;
constexpr auto kMaxWindow = static_cast<double>(CongestionController::kMaxWindowBytes);

double seconds(Duration duration) { return static_cast<double>(duration.count()) * 1e-9; }

}  // namespace

Cubic::Cubic(std::size_t datagram_bytes) : datagram_(static_cast<double>(datagram_bytes)) {
  curve_.window = static_cast<double>(kInitialWindow) * datagram_;
}

void Cubic::on_sent(const SentSample& sample) {
  // The curve is a function of time: a pause must not let it rise (RFC 9438 §4.2).
  if (sample.in_flight == 0 && curve_.epoch_began && sample.now > last_ack_at_) {
    *curve_.epoch_began += sample.now - last_ack_at_;
    last_ack_at_ = sample.now;
  }
}

void Cubic::on_acknowledged(const AckSample& sample) {
  if (sample.bytes_after_event > 0 && (sample.window_limited || sample.pacing_limited)) {
    if (slow_start())
      grow_in_slow_start(sample);
    else
      grow_on_curve(sample);
    curve_.window = std::min(curve_.window, kMaxWindow);
  } else if (curve_.epoch_began) {
    *curve_.epoch_began += sample.now - last_ack_at_;
  }
  last_ack_at_ = sample.now;
  const double gain = slow_start() ? kSlowStartPacingGain : kPacingGain;
  const double rtt = std::max(seconds(sample.smoothed_rtt), 1e-6);
  pacing_rate_ = static_cast<std::uint64_t>(gain * curve_.window / rtt);
}

void Cubic::grow_in_slow_start(const AckSample& sample) {
  const bool found = hystart_.on_acknowledged(sample);
  curve_.window += hystart_.growth() * static_cast<double>(sample.bytes_after_event);
  if (found) curve_.threshold = curve_.window;
}

void Cubic::grow_on_curve(const AckSample& sample) {
  const double acked = static_cast<double>(sample.bytes_after_event);
  if (!curve_.epoch_began) {
    curve_.epoch_began = sample.now;
    curve_.reno = curve_.window;
    if (curve_.w_max <= curve_.window) {
      // No event yet, or the window is beyond the last one: start from the plateau.
      curve_.w_max = curve_.window;
      curve_.k_seconds = 0;
    } else {
      curve_.k_seconds = std::cbrt((curve_.w_max - curve_.window) / datagram_ / kC);
    }
  }
  const auto cubic_at = [&](double t) {
    return datagram_ * kC * std::pow(t - curve_.k_seconds, 3) + curve_.w_max;
  };
  const double t = seconds(sample.now - *curve_.epoch_began);
  const double alpha = curve_.reno >= curve_.prior ? 1 : kRenoAlpha;
  curve_.reno += alpha * acked * datagram_ / curve_.window;
  if (cubic_at(t) < curve_.reno) {
    curve_.window = std::max(curve_.window, curve_.reno);
    return;
  }
  const double target = std::clamp(cubic_at(t + seconds(sample.smoothed_rtt)), curve_.window,
                                   kLargestStep * curve_.window);
  curve_.window += (target - curve_.window) * acked / curve_.window;
}

void Cubic::on_lost(const LossSample& sample) {
  if (!sample.new_event) return;
  before_event_ = curve_;
  reduce();
}

void Cubic::reduce() {
  curve_.prior = curve_.window;
  // Fast convergence: below the last plateau others need room (RFC 9438 §4.7).
  curve_.w_max = curve_.window < curve_.w_max ? curve_.window * (1 + kBeta) / 2 : curve_.window;
  curve_.window = std::max(curve_.window * kBeta, minimum());
  curve_.threshold = curve_.window;
  curve_.epoch_began.reset();
}

void Cubic::on_spurious(TimePoint now) {
  if (!before_event_ || before_event_->window < curve_.window) return;
  curve_ = *before_event_;
  before_event_.reset();
  // The time since was no time on the curve.
  if (curve_.epoch_began) *curve_.epoch_began += std::max(now - last_ack_at_, Duration::zero());
}

void Cubic::on_persistent_congestion(TimePoint) {
  // What is known of the path is void; slow start ends where the event put the threshold.
  before_event_.reset();
  curve_.window = minimum();
  curve_.epoch_began.reset();
  hystart_.restart();
}

void Cubic::set_datagram_bytes(std::size_t bytes) {
  const double before = datagram_;
  datagram_ = static_cast<double>(bytes);
  if (curve_.window == static_cast<double>(kInitialWindow) * before && !curve_.epoch_began)
    curve_.window = static_cast<double>(kInitialWindow) * datagram_;
  curve_.window = std::max(curve_.window, minimum());
}

std::uint64_t Cubic::resume_datagrams() const {
  return curve_.window < kLeastPairedWindow * datagram_ ? 1 : kResumeDatagrams;
}

CongestionState Cubic::state() const {
  CongestionState out;
  out.phase = slow_start() ? (hystart_.growth() < 1 ? "conservative-slow-start" : "slow-start")
                           : "avoidance";
  if (curve_.threshold < static_cast<double>(kUnlimited))
    out.slow_start_threshold = static_cast<std::uint64_t>(curve_.threshold);
  return out;
}

}  // namespace netmesh::session
