#include "session/loss_recovery.h"

#include <algorithm>

namespace netmesh::session {
namespace {

/// A packet called lost may turn up for this many probe timeouts; later ones tell nothing about
/// the path any more.
constexpr int kLateProbeTimeouts = 4;

}  // namespace

LossRecovery::LossRecovery(CongestionAlgorithm algorithm, std::size_t datagram_bytes,
                           std::uint64_t seed)
    : algorithm_(algorithm),
      seed_(seed),
      datagram_bytes_(datagram_bytes),
      controller_(make_congestion_controller(algorithm, datagram_bytes, seed)),
      skipper_(seed) {}

void LossRecovery::on_sent(TimePoint now, std::size_t bytes, bool ack_eliciting, bool mtu_probe) {
  SentPacket packet;
  packet.sent_at = now;
  packet.first_frame = frames_base_ + frames_.size() - open_frames_;
  packet.bytes = static_cast<std::uint32_t>(bytes);
  packet.frame_count = static_cast<std::uint16_t>(open_frames_);
  packet.mtu_probe = mtu_probe;
  open_frames_ = 0;
  if (ack_eliciting) {
    controller_->on_sent({now, bytes, in_flight_, rate_.app_limited()});
    packet.path = rate_.on_sent(now, in_flight_, bytes);
    in_flight_ += bytes;
    ++in_flight_packets_;
    last_eliciting_at_ = now;
    if (probes_ > 0) --probes_;
    pacer_.on_sent(now, bytes);
    waits_for_room_ = false;
  } else {
    packet.state = SentPacket::State::kUnanswered;
  }
  packets_.push_back(packet);
  ++next_;
  if (skipper_.skips(next_)) {
    SentPacket hole;
    hole.first_frame = frames_base_ + frames_.size();
    hole.state = SentPacket::State::kSkipped;
    packets_.push_back(hole);
    skipper_.on_skipped(next_++);
  }
  if (!ack_eliciting) retire();
}

CongestionStats LossRecovery::congestion_stats() const {
  const CongestionState state = controller_->state();
  CongestionStats out;
  out.algorithm = controller_->algorithm();
  out.phase = state.phase;
  out.window = controller_->window();
  out.in_flight = in_flight_;
  if (state.slow_start_threshold != kUnlimited) out.threshold = state.slow_start_threshold;
  out.pacing_rate = pacer_.active() ? controller_->pacing_rate() : 0;
  out.bandwidth = state.bandwidth;
  out.delivered = rate_.delivered();
  out.spurious_losses = statistics_.spurious_losses;
  out.events = statistics_.congestion_events;
  out.undone_events = statistics_.undone_events;
  out.persistent_congestions = statistics_.persistent_congestions;
  out.probe_timeouts = statistics_.probe_timeouts;
  out.ambient_loss = state.ambient_loss;
  return out;
}

std::optional<TimePoint> LossRecovery::probe_time() const {
  if (in_flight_packets_ == 0) return std::nullopt;
  const Duration base = rtt_.probe_timeout(AckTracker::kMaxAckDelay);
  const Duration doubled = base * (1 << std::min(timeouts_, kMaxBackoffShift));
  return last_eliciting_at_ + std::min(doubled, std::max(base, kMaxProbeInterval));
}

void LossRecovery::note_stall(TimePoint now) {
  const auto due = loss_time_ ? loss_time_ : probe_time();
  if (due && now - *due > kStall) rtt_since_ = now;
}

AckSample LossRecovery::begin_sample(TimePoint now, const wire::AckFrame& ack) {
  AckSample sample;
  sample.now = now;
  sample.prior_in_flight = in_flight_;
  sample.lost = rate_.lost();
  const std::uint64_t largest = ack.ranges[0].last;
  if (largest < base_) return sample;
  const SentPacket& packet = packets_[largest - base_];
  if (packet.state != SentPacket::State::kInFlight || packet.sent_at < rtt_since_) return sample;
  const Duration delay = std::min<Duration>(
      std::chrono::microseconds(std::min<std::uint64_t>(ack.delay_us, 1'000'000)),
      AckTracker::kMaxAckDelay);
  sample.rtt = std::max(now - packet.sent_at, Duration(1));
  if (!rtt_.has_sample()) measured_since_ = now;
  rtt_.on_sample(*sample.rtt, delay);
  return sample;
}

void LossRecovery::finish_sample(AckSample& sample, const SentPacket& newest) {
  sample.in_flight = in_flight_;
  sample.lost = rate_.lost() - sample.lost;
  sample.window_limited = window_limited_ || waits_for_room_;
  sample.pacing_limited = pacing_limited_;
  sample.smoothed_rtt = rtt_.smoothed();
  sample.min_rtt = rtt_.minimum();
  rate_.sample(newest.sent_at, newest.path, rtt_.minimum(), sample);
  window_limited_ = pacing_limited_ = false;
  controller_->on_acknowledged(sample);
  update_pacing(sample.now);
}

void LossRecovery::update_pacing(TimePoint now) {
  const bool paced = rtt_.has_sample() && rtt_.minimum() >= kLeastPacedRtt;
  if (paced || pacer_.active())
    pacer_.set_rate(now, paced ? controller_->pacing_rate() : kUnlimited, datagram_bytes_);
}

void LossRecovery::declare_lost(TimePoint now, std::uint64_t number, SentPacket& packet,
                                bool by_time) {
  packet.state = SentPacket::State::kLost;
  in_flight_ -= packet.bytes;
  --in_flight_packets_;
  if (packet.mtu_probe) return;
  if (mtu_ != nullptr) mtu_->on_lost(packet.bytes, now);
  rate_.on_lost(packet.bytes);
  ++statistics_.packets_lost;
  const bool new_event = packet.sent_at > event_began_;
  if (new_event) {
    event_began_ = now;
    ++event_;
    event_losses_ = 0;
    ++statistics_.congestion_events;
    tolerance_.on_congestion_event();
  }
  ++event_losses_;
  LostPackets::Entry entry;
  entry.number = number;
  entry.lost_at = now;
  entry.event = event_;
  entry.distance = *largest_acked_ - number;
  entry.bytes = packet.bytes;
  entry.frame_count = packet.frame_count;
  entry.by_time = by_time;
  lost_.forget_before(now - kLateProbeTimeouts * rtt_.probe_timeout(AckTracker::kMaxAckDelay));
  lost_.add(entry, [&](std::uint16_t i) -> const SentFrame& {
    return frames_[packet.first_frame + i - frames_base_];
  });
  controller_->on_lost({now, packet.bytes, new_event, in_flight_, rate_.delivered(),
                        packet.path.in_flight, rate_.lost() - packet.path.lost,
                        packet.path.app_limited});
}

void LossRecovery::on_late(TimePoint now, const LostPackets::Entry& entry) {
  ++statistics_.spurious_losses;
  tolerance_.on_spurious(entry.distance, entry.by_time);
  rate_.on_delivered(now, entry.bytes);
  if (entry.event != event_ || event_losses_ == 0 || --event_losses_ != 0) return;
  ++statistics_.undone_events;
  controller_->on_spurious(now);
}

void LossRecovery::on_persistent_congestion(TimePoint now) {
  ++statistics_.persistent_congestions;
  controller_->on_persistent_congestion(now);
  event_began_ = TimePoint::min();
  update_pacing(now);
}

void LossRecovery::set_datagram_bytes(TimePoint now, std::size_t bytes) {
  if (bytes == datagram_bytes_) return;
  datagram_bytes_ = bytes;
  controller_->set_datagram_bytes(bytes);
  update_pacing(now);
}

void LossRecovery::reset_path(TimePoint now, std::size_t datagram_bytes) {
  datagram_bytes_ = datagram_bytes;
  controller_ = make_congestion_controller(algorithm_, datagram_bytes, seed_ + next_);
  rtt_ = {};
  rate_ = {};
  pacer_ = {};
  tolerance_ = {};
  for (std::size_t i = 0; i < packets_.size(); ++i) {
    packets_[i].bytes = 0;
    packets_[i].path = {};
  }
  in_flight_ = 0;
  measured_since_ = TimePoint::max();
  rtt_since_ = now;
  event_began_ = now;
  event_losses_ = 0;
  ++event_;  // what turns up late was lost on the old path
  timeouts_ = 0;
  window_limited_ = pacing_limited_ = false;
}

}  // namespace netmesh::session
