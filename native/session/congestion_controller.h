#pragma once
// How much may be in flight on one path, and how fast it leaves.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

#include "base/time.h"
#include "session/congestion_algorithm.h"

namespace netmesh::session {

/// "No limit": of a window, a rate or a threshold.
inline constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

/// Bytes that pass in `duration` at `bytes_per_second`.
constexpr std::uint64_t bytes_in(Duration duration, std::uint64_t bytes_per_second) {
  const double bytes =
      static_cast<double>(duration.count()) * 1e-9 * static_cast<double>(bytes_per_second);
  return bytes >= 1e18 ? kUnlimited : static_cast<std::uint64_t>(bytes);
}

/// How long `bytes` take at `bytes_per_second`, which is not 0.
constexpr Duration time_for(std::uint64_t bytes, std::uint64_t bytes_per_second) {
  const double seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second);
  return seconds > 1e6 ? std::chrono::seconds(1'000'000)
                       : Duration(static_cast<std::int64_t>(seconds * 1e9));
}

/// A packet that asks for an acknowledgement leaves.
struct SentSample {
  TimePoint now;
  std::uint64_t bytes = 0;
  std::uint64_t in_flight = 0;  ///< without it
  bool app_limited = false;     ///< the application had paused before
};

/// What one ACK frame acknowledged for the first time, and the delivery rate that follows from it
/// (draft-cheng-iccrg-delivery-rate-estimation).
struct AckSample {
  TimePoint now;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_after_event = 0;  ///< of those, sent after the latest congestion event
  std::uint64_t prior_in_flight = 0;    ///< before this ACK
  std::uint64_t in_flight = 0;
  bool window_limited = false;  ///< the window held sending back since the last ACK
  bool pacing_limited = false;  ///< the pacer did
  std::optional<Duration> rtt;  ///< of the newest packet, its acknowledgement delay included
  Duration smoothed_rtt{};
  Duration min_rtt{};  ///< on this path

  std::uint64_t delivered = 0;        ///< bytes acknowledged in the path's life
  std::uint64_t prior_delivered = 0;  ///< the same, when the newest packet left
  std::uint64_t interval_bytes = 0;   ///< delivered since then
  std::uint64_t delivery_rate = 0;    ///< bytes per second; 0 when there is no valid sample
  bool app_limited = false;           ///< the rate says more about the application
  std::uint64_t sent_in_flight = 0;   ///< in flight when the newest packet left, with it
  std::uint64_t lost_since_sent = 0;  ///< bytes lost since the newest packet left
  std::uint64_t lost = 0;             ///< bytes that this ACK showed to be lost
};

/// One packet that was declared lost.
struct LossSample {
  TimePoint now;
  std::uint64_t bytes = 0;
  /// The first of a round trip: it was sent after the latest congestion event.
  bool new_event = false;
  std::uint64_t in_flight = 0;        ///< without it
  std::uint64_t delivered = 0;        ///< in the path's life
  std::uint64_t sent_in_flight = 0;   ///< in flight when it left, with it
  std::uint64_t lost_since_sent = 0;  ///< bytes lost since it left, with it
  bool app_limited = false;
};

/// What traces and statistics show.
struct CongestionState {
  const char* phase = "";
  std::uint64_t slow_start_threshold = kUnlimited;
  std::uint64_t bandwidth = 0;  ///< bytes per second, estimated; 0: unknown
  std::uint64_t inflight_high = kUnlimited, inflight_low = kUnlimited;
  double ambient_loss = 0;  ///< share of packets lost whatever the rate
};

/// One per path. LossRecovery counts bytes in flight and asks `window()` before each packet; the
/// pacer asks for the rate.
class CongestionController {
 public:
  /// Bytes in flight of one session; what its memory is bounded by.
  static constexpr std::uint64_t kMaxWindowBytes = 32u << 20;
  /// RFC 9002 §7.2, in datagrams.
  static constexpr std::uint64_t kInitialWindow = 10;

  virtual ~CongestionController() = default;
  virtual CongestionAlgorithm algorithm() const = 0;

  virtual void on_sent(const SentSample& sample) = 0;
  /// After the losses that the same ACK showed.
  virtual void on_acknowledged(const AckSample& sample) = 0;
  virtual void on_lost(const LossSample& sample) = 0;
  /// All losses since the latest congestion event were none: those packets arrived after all.
  virtual void on_spurious(TimePoint now) = 0;
  /// Nothing got through for a long time (RFC 9002 §7.6).
  virtual void on_persistent_congestion(TimePoint now) = 0;
  /// The path carries datagrams of this size from now on.
  virtual void set_datagram_bytes(std::size_t bytes) = 0;

  /// Bytes that may be in flight.
  virtual std::uint64_t window() const = 0;
  /// Bytes per second; `kUnlimited` while nothing is known of the path.
  virtual std::uint64_t pacing_rate() const = 0;
  /// Datagrams that the window must have room for before sending goes on after it was full.
  virtual std::uint64_t resume_datagrams() const { return 1; }
  virtual CongestionState state() const = 0;
};

/// `random_seed` decides when BBR probes; any number will do.
std::unique_ptr<CongestionController> make_congestion_controller(CongestionAlgorithm algorithm,
                                                                 std::size_t datagram_bytes,
                                                                 std::uint64_t random_seed);

}  // namespace netmesh::session
