#pragma once
// How fast the path delivers (draft-cheng-iccrg-delivery-rate-estimation).

#include <algorithm>
#include <cstdint>

#include "base/time.h"
#include "session/congestion_controller.h"

namespace netmesh::session {

/// The state of the path when a packet left; kept with the packet.
struct DeliverySnapshot {
  std::uint64_t delivered = 0;
  TimePoint delivered_at{};
  TimePoint first_sent_at{};
  std::uint64_t lost = 0;
  std::uint32_t in_flight = 0;  ///< with the packet
  bool app_limited = false;
};

/// Counts what was delivered and lost on one path, in bytes, and makes a rate of what lies between
/// the departure of a packet and its acknowledgement.
class DeliveryRate {
 public:
  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t lost() const { return lost_; }
  bool app_limited() const { return app_limited_until_ != 0; }

  /// A packet leaves; `in_flight` is without it.
  DeliverySnapshot on_sent(TimePoint now, std::uint64_t in_flight, std::uint64_t bytes) {
    if (in_flight == 0) first_sent_at_ = delivered_at_ = now;
    return {delivered_,
            delivered_at_,
            first_sent_at_,
            lost_,
            static_cast<std::uint32_t>(std::min<std::uint64_t>(in_flight + bytes, ~0u)),
            app_limited()};
  }
  void on_delivered(TimePoint now, std::uint64_t bytes) {
    delivered_ += bytes;
    delivered_at_ = now;
    if (app_limited_until_ != 0 && delivered_ > app_limited_until_) app_limited_until_ = 0;
  }
  void on_lost(std::uint64_t bytes) { lost_ += bytes; }
  /// Nothing waits to be sent although the window has room.
  void on_app_limited(std::uint64_t in_flight) {
    app_limited_until_ = std::max<std::uint64_t>(delivered_ + in_flight, 1);
  }

  /// After `on_delivered`: fills in the sample for the newest packet acknowledged, sent at
  /// `sent_at`.
  void sample(TimePoint sent_at, const DeliverySnapshot& packet, Duration min_rtt, AckSample& out) {
    first_sent_at_ = sent_at;
    out.delivered = delivered_;
    out.prior_delivered = packet.delivered;
    out.interval_bytes = delivered_ - packet.delivered;
    out.app_limited = packet.app_limited;
    out.sent_in_flight = packet.in_flight;
    out.lost_since_sent = lost_ - packet.lost;
    const Duration interval =
        std::max(sent_at - packet.first_sent_at, delivered_at_ - packet.delivered_at);
    // Shorter than a round trip is not possible, but for acknowledgements that came compressed.
    if (interval < min_rtt || interval <= Duration::zero()) return;
    out.delivery_rate = static_cast<std::uint64_t>(static_cast<double>(out.interval_bytes) * 1e9 /
                                                   static_cast<double>(interval.count()));
  }

 private:
  std::uint64_t delivered_ = 0;
  std::uint64_t lost_ = 0;
  TimePoint delivered_at_{};
  TimePoint first_sent_at_{};
  std::uint64_t app_limited_until_ = 0;  ///< 0: the application keeps the path busy
};

}  // namespace netmesh::session
