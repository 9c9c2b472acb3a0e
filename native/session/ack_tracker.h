#pragma once
// Which packets of the peer were received and when to say so.

#include <optional>

#include "base/ids.h"
#include "base/time.h"
#include "session/interval_set.h"
#include "wire/frames.h"

namespace netmesh::session {

/// One per modern session. Acknowledgements are coalesced, because each costs both ends a system
/// call and the sender a wake-up: one leaves at the end of a receive batch when many packets wait
/// for it, when the peer asks or when a gap shows; a few packets wait a moment for more, a lone
/// packet longer for data going the other way to carry its acknowledgement. A sender that would
/// stall asks.
class AckTracker {
 public:
  /// Longest wait of a lone packet; peers add it to their probe timeout.
  static constexpr Duration kMaxAckDelay = std::chrono::milliseconds(8);
  /// Longest wait of several packets.
  static constexpr Duration kBatchAckDelay = std::chrono::milliseconds(1);
  /// So many packets wait no longer.
  static constexpr std::uint64_t kMaxPending = 32;

  void on_received(std::uint64_t packet_number, bool ack_eliciting, TimePoint now) {
    const bool gap = !received_.empty() && packet_number != received_.back().end;
    if (received_.empty() || packet_number >= received_.back().end) newest_received_at_ = now;
    received_.add(packet_number, packet_number + 1);
    received_.keep_newest(wire::AckFrame::kMaxRanges);
    if (!ack_eliciting) return;
    if (pending_++ == 0) oldest_pending_at_ = now;
    if (gap) urgent_ = true;
  }
  void on_ack_requested() { urgent_ = true; }

  /// The batch is over: whether an acknowledgement should leave now, even without data.
  void end_of_batch() {
    if (pending_ >= kMaxPending || (pending_ > 0 && urgent_)) due_ = true;
  }
  void handle_timeout(TimePoint now) {
    if (pending_ > 0 && now >= oldest_pending_at_ + delay()) due_ = true;
  }
  std::optional<TimePoint> next_timeout() const {
    if (pending_ == 0 || due_) return std::nullopt;
    return oldest_pending_at_ + delay();
  }

  /// An acknowledgement has to leave even if no data does.
  bool due() const { return due_; }
  /// Data that leaves should carry an acknowledgement along.
  bool pending() const { return pending_ > 0; }

  wire::AckFrame frame(TimePoint now) const {
    wire::AckFrame ack;
    const auto delay = now - newest_received_at_;
    ack.delay_us = static_cast<std::uint64_t>(std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::microseconds>(delay).count()));
    const auto& intervals = received_.intervals();
    for (auto it = intervals.rbegin();
         it != intervals.rend() && ack.range_count < ack.ranges.size(); ++it) {
      ack.ranges[ack.range_count++] = {it->begin, it->end - 1};
    }
    return ack;
  }
  void on_frame_sent() {
    pending_ = 0;
    due_ = urgent_ = false;
  }
  /// The peer saw an acknowledgement that reached up to `packet_number`: older ranges need no
  /// repeating.
  void on_frame_acknowledged(std::uint64_t packet_number) {
    if (!received_.empty() && packet_number < received_.back().begin)
      received_.trim_below(packet_number + 1);
  }
  std::uint64_t largest() const { return received_.empty() ? 0 : received_.back().end - 1; }

 private:
  Duration delay() const { return pending_ > 1 ? kBatchAckDelay : kMaxAckDelay; }

  IntervalSet received_;
  TimePoint newest_received_at_{};
  TimePoint oldest_pending_at_{};
  std::uint64_t pending_ = 0;
  bool urgent_ = false;
  bool due_ = false;
};

}  // namespace netmesh::session
