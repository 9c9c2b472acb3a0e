#pragma once
// A sender with loss recovery at a bottleneck, in virtual time and without packets: what the
// congestion controllers are tested with.

#include <algorithm>
#include <deque>
#include <map>
#include <random>

#include "session/loss_recovery.h"

namespace netmesh::session::testing {

/// Data without end, or as much as was offered, through a drop-tail queue. The receiver
/// acknowledges as AckTracker does: every few packets, or after a millisecond.
class Bottleneck {
 public:
  static constexpr std::uint64_t kDatagram = 1'200;

  Bottleneck(CongestionAlgorithm algorithm, double rate, Duration rtt, std::uint64_t seed = 7)
      : recovery(algorithm, kDatagram, seed),
        bytes_per_second(rate),
        round_trip(rtt),
        random_(seed) {
    queue_bytes = std::max<std::uint64_t>(bdp(), 4 * kDatagram);
  }

  LossRecovery recovery;
  double bytes_per_second;
  Duration round_trip;
  std::uint64_t queue_bytes;
  double loss = 0;
  TimePoint now{std::chrono::hours(1)};
  std::uint64_t sent_packets = 0;
  std::uint64_t delivered_bytes = 0;
  std::uint64_t largest_allowed = 0;  ///< the largest window in which packets were sent of late

  std::uint64_t bdp() const {
    return static_cast<std::uint64_t>(bytes_per_second * static_cast<double>(round_trip.count()) *
                                      1e-9);
  }
  /// From now on only this much, until `unlimited`.
  void offer(std::uint64_t bytes) { offered_ = bytes; }
  void unlimited() { offered_ = kUnlimited; }

  double mean_queue_bytes() const {
    return samples_ == 0 ? 0 : queue_sum_ / static_cast<double>(samples_);
  }
  void reset_queue_statistics() {
    queue_sum_ = 0;
    samples_ = 0;
  }

  void run(Duration duration) {
    const TimePoint end = now + duration;
    transmit();
    while (true) {
      TimePoint next = end;
      if (!arrivals_.empty()) next = std::min(next, arrivals_.begin()->first);
      if (!acks_.empty()) next = std::min(next, acks_.begin()->first);
      const auto timeout = recovery.next_timeout(offered_ > 0, kDatagram);
      if (timeout) next = std::min(next, std::max(*timeout, now));
      now = std::max(now, next);
      if (now >= end) return;
      while (!arrivals_.empty() && arrivals_.begin()->first <= now) {
        arrive(arrivals_.begin()->second);
        arrivals_.erase(arrivals_.begin());
      }
      while (!acks_.empty() && acks_.begin()->first <= now) {
        const wire::AckFrame ack = acks_.begin()->second;
        acks_.erase(acks_.begin());
        if (!recovery.on_ack(
                now, ack, [](const SentFrame&) {}, [](const SentFrame&) {}))
          std::abort();
      }
      if (timeout && now >= *timeout) {
        recovery.handle_timeout(
            now, [](const SentFrame&) {}, [](const SentFrame&) {});
      }
      transmit();
    }
  }

 private:
  void transmit() {
    largest_allowed = std::max(recovery.controller().window(), recovery.bytes_in_flight());
    while ((offered_ > 0 && recovery.may_send(kDatagram)) || recovery.probe_wanted()) {
      const std::uint64_t number = recovery.next_packet_number();
      recovery.add_frame({});
      recovery.on_sent(now, kDatagram, true);
      ++sent_packets;
      if (offered_ != kUnlimited) offered_ -= std::min(offered_, kDatagram);
      if (std::uniform_real_distribution<>(0, 1)(random_) < loss) continue;
      const TimePoint start = std::max(now, line_free_);
      const double queued = static_cast<double>((start - now).count()) * 1e-9 * bytes_per_second;
      queue_sum_ += queued;
      ++samples_;
      if (queued + static_cast<double>(kDatagram) > static_cast<double>(queue_bytes)) continue;
      line_free_ = start + Duration(static_cast<std::int64_t>(static_cast<double>(kDatagram) * 1e9 /
                                                              bytes_per_second));
      arrivals_.emplace(line_free_ + round_trip / 2, number);
    }
    if (offered_ == 0)
      recovery.note_idle();
    else if (!recovery.may_send(kDatagram))
      recovery.note_limited();
  }
  void arrive(std::uint64_t number) {
    delivered_bytes += kDatagram;
    tracker_.on_received(number, true, now);
    tracker_.end_of_batch();
    // Without the timer of the real one: acknowledged at the latest a millisecond later.
    const wire::AckFrame frame = tracker_.frame(now);
    if (tracker_.due() || ++unacknowledged_ >= 2) {
      unacknowledged_ = 0;
      tracker_.on_frame_sent();
      acks_.emplace(now + round_trip / 2, frame);
    } else {
      acks_.emplace(now + round_trip / 2 + AckTracker::kBatchAckDelay, frame);
    }
  }

  AckTracker tracker_;
  std::mt19937_64 random_;
  std::multimap<TimePoint, std::uint64_t> arrivals_;
  std::multimap<TimePoint, wire::AckFrame> acks_;
  TimePoint line_free_{};
  std::uint64_t offered_ = kUnlimited;
  unsigned unacknowledged_ = 0;
  double queue_sum_ = 0;
  std::uint64_t samples_ = 0;
};

}  // namespace netmesh::session::testing
