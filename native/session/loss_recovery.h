#pragma once
// Sent packets until they are acknowledged or lost: RTT, loss detection, probe timeouts, and the
// congestion window (RFC 9002).

#include <deque>
#include <memory>
#include <optional>

#include "base/ids.h"
#include "base/time.h"
#include "session/ack_tracker.h"
#include "session/congestion_controller.h"
#include "session/rtt_estimator.h"
#include "session/send_stream.h"
#include "wire/frames.h"

namespace netmesh::session {

/// What a sent packet carried that matters when it is acknowledged or lost.
struct SentFrame {
  enum class Kind : std::uint8_t {
    kStream,
    kDatagram,
    kStreamLimit,
    kSessionLimit,
    kAck,
    kBlocked
  };
  Kind kind = Kind::kStream;
  StreamId stream_id;
  std::uint64_t epoch = 0;
  StreamRange range;  ///< kAck: offset = newest packet number acknowledged by it
};

/// One per modern session and path. Packet numbers are those of the session; each is used once, a
/// retransmission gets a new one.
class LossRecovery {
 public:
  /// RFC 9002 §6.1.1.
  static constexpr std::uint64_t kPacketThreshold = 3;
  /// Probe timeouts stop doubling here.
  static constexpr unsigned kMaxBackoffShift = 6;
  /// After this many probe timeouts in a row the window collapses to its minimum.
  static constexpr unsigned kPersistentTimeouts = 3;

  explicit LossRecovery(std::size_t datagram_bytes)
      : controller_(std::make_unique<NewReno>(datagram_bytes)) {}

  std::uint64_t next_packet_number() const { return next_; }

  void add_frame(const SentFrame& frame) {
    frames_.push_back(frame);
    ++open_frames_;
  }
  void discard_frames() {
    frames_.resize(frames_.size() - open_frames_);
    open_frames_ = 0;
  }
  /// The packet under construction left with `next_packet_number()`.
  void on_sent(TimePoint now, std::size_t bytes, bool ack_eliciting) {
    packets_.push_back({now, frames_base_ + frames_.size() - open_frames_,
                        static_cast<std::uint32_t>(bytes), open_frames_,
                        ack_eliciting ? State::kInFlight : State::kDone});
    open_frames_ = 0;
    ++next_;
    if (ack_eliciting) {
      in_flight_ += bytes;
      ++in_flight_packets_;
      last_eliciting_at_ = now;
      if (probes_ > 0) --probes_;
    } else {
      retire();
    }
  }

  /// Room in the congestion window for a packet of `bytes`, or a probe is allowed.
  bool may_send(std::size_t bytes) const {
    return probes_ > 0 || in_flight_ == 0 || in_flight_ + bytes <= controller_->window();
  }
  void note_window_limited() { window_limited_ = true; }
  bool nearly_full(std::size_t datagram_bytes) const {
    return in_flight_ + 2 * datagram_bytes > controller_->window();
  }
  bool probe_wanted() const { return probes_ > 0; }
  std::uint64_t bytes_in_flight() const { return in_flight_; }
  std::uint64_t packets_lost() const { return lost_packets_; }
  const RttEstimator& rtt() const { return rtt_; }
  const CongestionController& controller() const { return *controller_; }

  /// False when the peer acknowledges what was never sent: protocol violation.
  template <typename OnAcked, typename OnLost>
  [[nodiscard]] bool on_ack(TimePoint now, const wire::AckFrame& ack, OnAcked on_acked,
                            OnLost on_lost) {
    const std::uint64_t largest = ack.ranges[0].last;
    if (largest >= next_) return false;
    std::uint64_t acked_bytes = 0;
    TimePoint newest_sent{};
    bool any = false;
    if (largest >= base_) {
      const SentPacket& packet = packets_[largest - base_];
      if (packet.state == State::kInFlight) {
        const Duration delay = std::min<Duration>(
            std::chrono::microseconds(std::min<std::uint64_t>(ack.delay_us, 1'000'000)),
            AckTracker::kMaxAckDelay);
        rtt_.on_sample(std::max(now - packet.sent_at, Duration(1)), delay);
      }
    }
    const bool limited = window_limited_;
    for (std::size_t r = ack.range_count; r-- > 0;) {
      const wire::PacketRange& range = ack.ranges[r];
      if (range.last < base_) continue;
      for (std::uint64_t number = std::max(range.first, base_); number <= range.last; ++number) {
        SentPacket& packet = packets_[number - base_];
        if (packet.state != State::kInFlight) continue;
        packet.state = State::kDone;
        in_flight_ -= packet.bytes;
        --in_flight_packets_;
        acked_bytes += packet.bytes;
        newest_sent = std::max(newest_sent, packet.sent_at);
        any = true;
        controller_->on_acknowledged(packet.bytes, packet.sent_at, limited);
        for_frames(packet, on_acked);
      }
    }
    largest_acked_ = std::max(largest_acked_.value_or(0), largest);
    if (any) {
      timeouts_ = 0;
      probes_ = 0;
      window_limited_ = false;
    }
    detect_losses(now, on_lost);
    retire();
    return true;
  }

  /// `on_probe` gets frames that are to be sent again although they may still arrive.
  template <typename OnLost, typename OnProbe>
  void handle_timeout(TimePoint now, OnLost on_lost, OnProbe on_probe) {
    if (loss_time_ && now >= *loss_time_) {
      detect_losses(now, on_lost);
      retire();
      return;
    }
    const auto probe_at = probe_time();
    if (!probe_at || now < *probe_at) return;
    ++timeouts_;
    probes_ = 2;
    if (timeouts_ >= kPersistentTimeouts) controller_->on_persistent_congestion();
    unsigned probed = 0;
    for (std::size_t i = 0; i < packets_.size() && probed < 2; ++i) {
      if (packets_[i].state != State::kInFlight) continue;
      for_frames(packets_[i], on_probe);
      ++probed;
    }
  }

  std::optional<TimePoint> next_timeout() const { return loss_time_ ? loss_time_ : probe_time(); }

 private:
  enum class State : std::uint8_t { kInFlight, kDone };
  struct SentPacket {
    TimePoint sent_at;
    std::uint64_t first_frame = 0;
    std::uint32_t bytes = 0;
    std::uint32_t frame_count = 0;
    State state = State::kInFlight;
  };

  template <typename Visit>
  void for_frames(const SentPacket& packet, Visit visit) {
    for (std::uint32_t i = 0; i < packet.frame_count; ++i)
      visit(frames_[packet.first_frame + i - frames_base_]);
  }

  std::optional<TimePoint> probe_time() const {
    if (in_flight_packets_ == 0) return std::nullopt;
    return last_eliciting_at_ + rtt_.probe_timeout(AckTracker::kMaxAckDelay) *
                                    (1 << std::min(timeouts_, kMaxBackoffShift));
  }

  template <typename OnLost>
  void detect_losses(TimePoint now, OnLost on_lost) {
    loss_time_.reset();
    if (!largest_acked_) return;
    const Duration delay = rtt_.loss_delay();
    for (std::size_t i = 0; i < packets_.size() && base_ + i < *largest_acked_; ++i) {
      SentPacket& packet = packets_[i];
      if (packet.state != State::kInFlight) continue;
      if (*largest_acked_ - (base_ + i) >= kPacketThreshold || now - packet.sent_at >= delay) {
        packet.state = State::kDone;
        in_flight_ -= packet.bytes;
        --in_flight_packets_;
        ++lost_packets_;
        controller_->on_lost(now, packet.sent_at);
        for_frames(packet, on_lost);
      } else {
        loss_time_ = packet.sent_at + delay;
        break;  // later packets were sent later
      }
    }
  }

  void retire() {
    while (!packets_.empty() && packets_.front().state == State::kDone) {
      for (std::uint32_t i = 0; i < packets_.front().frame_count; ++i) frames_.pop_front();
      frames_base_ += packets_.front().frame_count;
      packets_.pop_front();
      ++base_;
    }
  }

  std::unique_ptr<CongestionController> controller_;
  RttEstimator rtt_;
  std::deque<SentPacket> packets_;  ///< numbers base_ .. next_ - 1
  std::deque<SentFrame> frames_;    ///< of those packets, in order
  std::uint64_t frames_base_ = 0;
  std::uint32_t open_frames_ = 0;
  std::uint64_t base_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t in_flight_ = 0;
  std::uint64_t in_flight_packets_ = 0;
  std::uint64_t lost_packets_ = 0;
  std::optional<std::uint64_t> largest_acked_;
  std::optional<TimePoint> loss_time_;
  TimePoint last_eliciting_at_{};
  unsigned timeouts_ = 0;
  unsigned probes_ = 0;
  bool window_limited_ = false;
};

}  // namespace netmesh::session
