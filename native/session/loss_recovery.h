#pragma once
// Sent packets until they are acknowledged or lost (RFC 9002): round-trip time, loss detection,
// probe timeouts; and what may leave when: congestion window and pacing.

#include <memory>
#include <optional>

#include "base/ids.h"
#include "base/time.h"
#include "session/ack_tracker.h"
#include "session/congestion_controller.h"
#include "session/delivery_rate.h"
#include "session/lost_packets.h"
#include "session/mtu_discovery.h"
#include "session/pacer.h"
#include "session/packet_number_skipper.h"
#include "session/reordering.h"
#include "session/ring_queue.h"
#include "session/rtt_estimator.h"
#include "session/sent_packet.h"
#include "session/session.h"
#include "wire/frames.h"

namespace netmesh::session {

/// One per modern session. Packet numbers are those of the session; each is used once, a
/// retransmission gets a new one. Everything that is measured belongs to one path: `reset_path`.
class LossRecovery {
 public:
  /// Probe timeouts stop doubling here, or at `kMaxProbeInterval`, whichever comes first.
  static constexpr unsigned kMaxBackoffShift = 6;
  /// Two small packets a second burden no path, and after an outage users wait for the next probe.
  static constexpr Duration kMaxProbeInterval = std::chrono::seconds(1);
  /// Paths shorter than this are not paced: their queues hold less than timers can tell apart.
  static constexpr Duration kLeastPacedRtt = std::chrono::milliseconds(1);
  /// A deadline missed by more than this means that the machine slept: what spans the sleep
  /// measures nothing.
  static constexpr Duration kStall = std::chrono::seconds(1);

  /// `seed`: unpredictable to the peer; 0 leaves no packet numbers out.
  LossRecovery(CongestionAlgorithm algorithm, std::size_t datagram_bytes, std::uint64_t seed);

  std::uint64_t next_packet_number() const { return next_; }

  void add_frame(const SentFrame& frame) {
    frames_.push_back(frame);
    ++open_frames_;
  }
  void discard_frames() {
    frames_.pop_back(open_frames_);
    open_frames_ = 0;
  }
  /// The packet under construction left with `next_packet_number()`.
  void on_sent(TimePoint now, std::size_t bytes, bool ack_eliciting, bool mtu_probe = false);
  /// Learns which sizes arrive; outlives this.
  void watch_sizes(MtuDiscovery* mtu) { mtu_ = mtu; }

  /// Room in the congestion window for a packet of `bytes` and its turn has come, or a probe is
  /// allowed.
  bool may_send(std::size_t bytes) const {
    return probes_ > 0 || (!pacer_.blocked() && window_open(bytes));
  }
  /// Data waits and `may_send` says no.
  void note_limited() {
    if (pacer_.blocked())
      pacing_limited_ = true;
    else
      window_limited_ = waits_for_room_ = true;
  }
  /// Nothing waits to be sent.
  void note_idle() {
    if (!rate_.app_limited() && in_flight_ < controller_->window())
      rate_.on_app_limited(in_flight_);
  }
  bool nearly_full(std::size_t datagram_bytes) const {
    return in_flight_ + 2 * datagram_bytes > controller_->window();
  }
  bool probe_wanted() const { return probes_ > 0; }
  std::uint64_t bytes_in_flight() const { return in_flight_; }
  const LossStatistics& statistics() const { return statistics_; }
  CongestionStats congestion_stats() const;
  std::uint64_t packets_lost() const { return statistics_.packets_lost; }
  const RttEstimator& rtt() const { return rtt_; }
  const CongestionController& controller() const { return *controller_; }
  const Pacer& pacer() const { return pacer_; }
  const ReorderingTolerance& tolerance() const { return tolerance_; }

  /// False when the peer acknowledges what was never sent: protocol violation.
  template <typename OnAcked, typename OnLost>
  [[nodiscard]] bool on_ack(TimePoint now, const wire::AckFrame& ack, OnAcked on_acked,
                            OnLost on_lost) {
    const std::uint64_t largest = ack.ranges[0].last;
    if (largest >= next_ || skipper_.contradicted_by(ack)) return false;
    note_stall(now);
    AckSample sample = begin_sample(now, ack);
    std::optional<SentPacket> newest;
    for (std::size_t r = ack.range_count; r-- > 0;) {
      const wire::PacketRange& range = ack.ranges[r];
      if (!lost_.empty()) {
        lost_.take(
            range.first, range.last, [&](const LostPackets::Entry& entry) { on_late(now, entry); },
            on_acked);
      }
      if (range.last < base_) continue;
      for (std::uint64_t number = std::max(range.first, base_); number <= range.last; ++number) {
        SentPacket& packet = packets_[number - base_];
        if (packet.state != SentPacket::State::kInFlight) continue;
        packet.state = SentPacket::State::kAcknowledged;
        in_flight_ -= packet.bytes;
        --in_flight_packets_;
        sample.bytes += packet.bytes;
        if (packet.sent_at > event_began_) sample.bytes_after_event += packet.bytes;
        if (mtu_ != nullptr) mtu_->on_acknowledged(packet.bytes);
        newest = packet;
        for_frames(packet, on_acked);
      }
    }
    largest_acked_ = std::max(largest_acked_.value_or(0), largest);
    if (newest) rate_.on_delivered(now, sample.bytes);
    detect_losses(now, on_lost);
    if (newest) {
      timeouts_ = 0;
      probes_ = 0;
      finish_sample(sample, *newest);
    }
    retire();
    pacer_.on_time(now);
    return true;
  }

  /// `on_probe` gets frames that are to be sent again although they may still arrive.
  template <typename OnLost, typename OnProbe>
  void handle_timeout(TimePoint now, OnLost on_lost, OnProbe on_probe) {
    pacer_.on_time(now);
    note_stall(now);
    if (loss_time_) {
      if (now < *loss_time_) return;
      detect_losses(now, on_lost);
      retire();
      return;
    }
    const auto probe_at = probe_time();
    if (!probe_at || now < *probe_at) return;
    ++timeouts_;
    ++statistics_.probe_timeouts;
    if (mtu_ != nullptr) mtu_->on_timeout(timeouts_, now);
    probes_ = 2;
    unsigned probed = 0;
    for (std::size_t i = 0; i < packets_.size() && probed < 2; ++i) {
      if (packets_[i].state != SentPacket::State::kInFlight) continue;
      for_frames(packets_[i], on_probe);
      ++probed;
    }
  }

  /// `data_waits`: when the pacer lets it go matters too.
  std::optional<TimePoint> next_timeout(bool data_waits, std::size_t datagram_bytes) const {
    std::optional<TimePoint> next = loss_time_ ? loss_time_ : probe_time();
    if (data_waits && probes_ == 0 && pacer_.blocked() && window_open(datagram_bytes) &&
        (!next || *pacer_.release_at() < *next)) {
      next = pacer_.release_at();
    }
    return next;
  }

  /// Datagrams have another size from now on (path MTU).
  void set_datagram_bytes(TimePoint now, std::size_t bytes);
  /// Packets take another path from now on: nothing is known of it, and what is still under way on
  /// the old one counts neither as in flight nor against it (RFC 9000 §9.4).
  void reset_path(TimePoint now, std::size_t datagram_bytes);

 private:
  template <typename Visit>
  void for_frames(const SentPacket& packet, Visit visit) {
    for (std::uint32_t i = 0; i < packet.frame_count; ++i)
      visit(frames_[packet.first_frame + i - frames_base_]);
  }

  bool window_open(std::size_t bytes) const {
    const std::uint64_t wanted = waits_for_room_ ? controller_->resume_datagrams() * bytes : bytes;
    return in_flight_ == 0 || in_flight_ + wanted <= controller_->window();
  }
  std::optional<TimePoint> probe_time() const;
  void note_stall(TimePoint now);
  AckSample begin_sample(TimePoint now, const wire::AckFrame& ack);
  void finish_sample(AckSample& sample, const SentPacket& newest);
  void on_late(TimePoint now, const LostPackets::Entry& entry);
  /// Counts the loss and tells the controller; the frames are the caller's.
  void declare_lost(TimePoint now, std::uint64_t number, SentPacket& packet, bool by_time);
  void on_persistent_congestion(TimePoint now);
  void update_pacing(TimePoint now);

  template <typename OnLost>
  void detect_losses(TimePoint now, OnLost on_lost) {
    loss_time_.reset();
    if (!largest_acked_) return;
    const Duration delay = rtt_.loss_delay(tolerance_);
    const std::uint64_t threshold = tolerance_.packet_threshold();
    TimePoint run_began = TimePoint::max();  // of losses without an acknowledgement in between
    Duration longest_run{};
    for (std::size_t i = 0; i < packets_.size() && base_ + i < *largest_acked_; ++i) {
      SentPacket& packet = packets_[i];
      if (packet.state == SentPacket::State::kAcknowledged) run_began = TimePoint::max();
      if (packet.state != SentPacket::State::kInFlight) continue;
      const bool by_time = now - packet.sent_at >= delay;
      if (!by_time && *largest_acked_ - (base_ + i) < threshold) {
        loss_time_ = packet.sent_at + delay;
        break;  // later packets were sent later
      }
      declare_lost(now, base_ + i, packet, by_time);
      for_frames(packet, on_lost);
      if (packet.sent_at >= measured_since_ && !packet.mtu_probe) {
        run_began = std::min(run_began, packet.sent_at);
        longest_run = std::max(longest_run, packet.sent_at - run_began);
      }
    }
    if (longest_run > rtt_.persistent_congestion(AckTracker::kMaxAckDelay))
      on_persistent_congestion(now);
  }

  void retire() {
    while (!packets_.empty() && packets_.front().state != SentPacket::State::kInFlight) {
      const std::uint16_t frames = packets_.front().frame_count;
      frames_.pop_front(frames);
      frames_base_ += frames;
      packets_.pop_front();
      ++base_;
    }
  }

  const CongestionAlgorithm algorithm_;
  const std::uint64_t seed_;
  std::size_t datagram_bytes_;
  std::unique_ptr<CongestionController> controller_;
  RttEstimator rtt_;
  DeliveryRate rate_;
  Pacer pacer_;
  ReorderingTolerance tolerance_;
  PacketNumberSkipper skipper_;
  LostPackets lost_;
  MtuDiscovery* mtu_ = nullptr;
  LossStatistics statistics_;
  RingQueue<SentPacket> packets_;  ///< numbers base_ .. next_ - 1
  RingQueue<SentFrame> frames_;    ///< of those packets, in order
  std::uint64_t frames_base_ = 0;
  std::uint32_t open_frames_ = 0;
  std::uint64_t base_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t in_flight_ = 0;
  std::uint64_t in_flight_packets_ = 0;
  std::optional<std::uint64_t> largest_acked_;
  std::optional<TimePoint> loss_time_;
  TimePoint last_eliciting_at_{};
  /// Round trips of packets sent before are not measured: before the first sample persistent
  /// congestion is not (RFC 9002 §7.6.2), and after a sleep or on a new path neither is anything.
  TimePoint measured_since_ = TimePoint::max();
  TimePoint rtt_since_ = TimePoint::min();
  TimePoint event_began_ = TimePoint::min();  ///< the latest congestion event
  std::uint64_t event_ = 0;                   ///< its number
  std::uint64_t event_losses_ = 0;            ///< its packets that have not turned up
  unsigned timeouts_ = 0;
  unsigned probes_ = 0;
  bool window_limited_ = false;
  bool waits_for_room_ = false;  ///< the window was full, and nothing has left since
  bool pacing_limited_ = false;
};

}  // namespace netmesh::session
