#pragma once
// One peer's session as its node sees it: base (legacy) or modern.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "identity/entity.h"
#include "session/congestion_algorithm.h"
#include "session/handshake.h"
#include "session/session_events.h"
#include "session/stream_gate.h"
#include "wire/frames.h"
#include "wire/modern_control.h"

namespace netmesh::session {

/// Limits and periods that a node gives to each of its sessions.
struct SessionConfig {
  std::uint64_t stream_receive_window = 4u << 20;
  std::uint64_t session_receive_window = 16u << 20;
  /// How far the windows may grow by themselves; never below the above.
  std::uint64_t max_stream_receive_window = 0;
  std::uint64_t max_session_receive_window = 0;
  std::uint32_t max_message_bytes = 16u << 20;
  std::uint64_t max_queued_bytes = 64u << 20;
  std::uint32_t max_streams = 4096;
  Duration stream_idle_timeout = std::chrono::seconds(300);
  CongestionAlgorithm congestion = CongestionAlgorithm::kBbr;
  /// Fresh for every session and unpredictable to the peer: decides which packet numbers are left
  /// out. 0: none.
  std::uint64_t seed = 0;
  /// A fresh key agreement this often.
  Duration rekey_interval = std::chrono::hours(1);
  /// Packets under one key before it is ratcheted; 0: a half of what the AEAD allows.
  std::uint64_t key_update_packets = 0;
  /// The node's own identity and randomness; without them keys are never agreed upon anew.
  const identity::LocalIdentity* identity = nullptr;
  RandomSource* random = nullptr;
  /// Makes the tokens of reset datagrams (docs/protocol.md "Reset").
  const crypto::SecretKey* reset_key = nullptr;
};

/// How a session's packets travel; decides how large they may be.
struct PathInfo {
  bool loopback = false;  ///< both ends on this machine
  bool relayed = false;   ///< behind a routing header
  /// Largest datagram to try; above the base size the path is probed for it.
  std::size_t max_datagram = 16384;
};

enum class PacketVerdict {
  kAccepted,
  kMalformed,  ///< not a packet of this session's kind
  kReplay,
  kAuthenticationFailed,
  kProtocolViolation,  ///< authenticated and wrong: `closing()` is set
};

/// What a stream sent or queued and the peer has not acknowledged.
struct Unacknowledged {
  StreamId stream_id;
  std::uint64_t bytes = 0;   ///< event frames
  std::uint64_t events = 0;  ///< a batch counts whole until all of it is acknowledged
};

struct StreamStatsSnapshot {
  StreamId stream_id;
  std::uint64_t tx_seq = 0, rx_seq = 0;
  UnixNanos last_activity_unix = 0;
  std::uint64_t backpressure_events = 0, grants_received = 0, grants_sent = 0;
  std::uint32_t credit_remaining = 0, window = 0;
};

/// How a session treats its path; for people and traces.
struct CongestionStats {
  CongestionAlgorithm algorithm = CongestionAlgorithm::kCubic;
  const char* phase = "";
  std::uint64_t window = 0;                ///< bytes that may be in flight
  std::uint64_t in_flight = 0;             ///< bytes that are
  std::optional<std::uint64_t> threshold;  ///< where slow start ends, once known
  std::uint64_t pacing_rate = 0;           ///< bytes per second; 0: not paced
  std::uint64_t bandwidth = 0;             ///< bytes per second as estimated; 0: no estimate
  std::uint64_t delivered = 0;             ///< bytes acknowledged on this path
  std::uint64_t spurious_losses = 0;       ///< packets that were declared lost and arrived
  std::uint64_t events = 0;                ///< congestion events, at most one per round trip
  std::uint64_t undone_events = 0;         ///< of those, taken back
  std::uint64_t persistent_congestions = 0;
  std::uint64_t probe_timeouts = 0;
  double ambient_loss = 0;  ///< share of packets that is lost whatever the rate
};

struct SessionStats {
  std::uint64_t packets_sent = 0, packets_received = 0, bytes_sent = 0, bytes_received = 0;
  std::uint64_t packets_lost = 0, bytes_retransmitted = 0, events_dropped = 0;
  std::optional<Duration> rtt, rtt_min;
  std::optional<CongestionStats> congestion;  ///< modern sessions only
};

/// The peer's goodbye or our reason to end.
struct CloseInfo {
  std::uint64_t code = 0;  ///< 0 goodbye, else see docs/protocol.md
  std::string reason;
  bool by_peer = false;
};

namespace close_code {
inline constexpr std::uint64_t kGoodbye = 0;
inline constexpr std::uint64_t kFrameEncoding = 1;
inline constexpr std::uint64_t kFlowControl = 2;
inline constexpr std::uint64_t kMessageTooLarge = 3;
inline constexpr std::uint64_t kTooManyStreams = 4;
inline constexpr std::uint64_t kAcknowledgement = 5;
inline constexpr std::uint64_t kStreamState = 6;
inline constexpr std::uint64_t kReorderBuffer = 7;
inline constexpr std::uint64_t kKeyLimit = 8;
inline constexpr std::uint64_t kRekey = 9;
}  // namespace close_code

/// A state machine driven by the node; see DESIGN §1. Not thread-safe.
class Session {
 public:
  virtual ~Session() = default;

  virtual bool modern() const = 0;
  virtual SessionId id() const = 0;
  virtual crypto::AeadAlgorithm aead() const = 0;

  /// `packet` is a whole packet without routing header; it is decrypted in place.
  virtual PacketVerdict handle_packet(Now now, MutableByteSpan packet) = 0;
  virtual void end_of_batch(Now now) = 0;
  virtual void handle_timeout(Now now) = 0;
  virtual std::optional<TimePoint> next_timeout() const = 0;
  /// Writes one packet and returns its length; 0 when there is nothing to send now. `out` has at
  /// least `max_packet_bytes()`.
  virtual std::size_t poll_transmit(Now now, MutableByteSpan out) = 0;
  /// Whether `poll_transmit` may have something.
  virtual bool wants_transmit() const = 0;
  virtual std::size_t max_packet_bytes() const = 0;
  virtual void set_path(const PathInfo& path) = 0;
  /// The peer was followed to another address: what was measured of the old path is void.
  virtual void move_to(Now, const PathInfo& path) { set_path(path); }
  /// The packet accepted last had the highest number so far.
  virtual bool last_was_newest() const { return false; }
  /// Writes a packet of its own with one PATH_CHALLENGE or PATH_RESPONSE, padded to the base size;
  /// returns its length, 0 when the peer takes none. `out` has room for a base datagram.
  virtual std::size_t write_path_packet(Now, MutableByteSpan, const wire::Frame&) { return 0; }

  /// Keeps the session alive and, on modern sessions, measures the round trip.
  virtual void heartbeat(Now now) = 0;
  /// Queues a goodbye (modern sessions; base peers have none).
  virtual void close(std::uint64_t code, std::string reason) = 0;
  /// Set once either side closed; after our own CLOSE has left nothing more is sent.
  virtual const std::optional<CloseInfo>& closing() const = 0;

  virtual Expected<std::shared_ptr<StreamGate>> open_stream(Now now,
                                                            const StreamConfig& config) = 0;
  virtual void close_stream(Now now, StreamId stream) = 0;
  virtual void send(Now now, const StreamGate& gate, OutboundBatch batch) = 0;
  virtual Expected<void> send_unwindowed(Now now, OutboundBatch batch,
                                         std::size_t largest_event) = 0;
  /// Queues a message of a control protocol: reliable and in order on modern sessions, one packet
  /// on base sessions. Fails with `kTooLarge` above `max_control_bytes()`, and with `kBackpressure`
  /// when too much waits.
  virtual Expected<void> send_control(Now now, std::uint16_t protocol, ByteSpan message) = 0;
  virtual std::size_t max_control_bytes() const = 0;
  virtual void consume(Now now, StreamId stream, bool reliable, std::uint64_t events,
                       std::uint64_t bytes) = 0;
  /// Evicts idle streams (spec 10 §7.3); called on heartbeat ticks.
  virtual void evict_idle(Now now) = 0;
  /// Ends every stream: gates closed, receiving halves finished.
  virtual void abandon() = 0;

  virtual std::optional<StreamStatsSnapshot> stream_stats(StreamId stream) const = 0;
  virtual std::vector<StreamStatsSnapshot> all_stream_stats() const = 0;
  virtual SessionStats stats() const = 0;
  virtual std::size_t stream_count() const = 0;
  /// Bytes of a stream that were sent or queued and the peer has not acknowledged.
  virtual std::uint64_t stream_backlog(StreamId stream) const = 0;
  /// Reliable bytes queued or in flight.
  virtual std::uint64_t unacknowledged_bytes() const = 0;
  /// The same by stream, those with none left out.
  virtual std::vector<Unacknowledged> unacknowledged() const { return {}; }
};

/// The token of our reset datagrams for a session.
wire::ResetToken reset_token(const crypto::SecretKey& key, SessionId session);

std::unique_ptr<Session> make_modern_session(Established established, const SessionConfig& config,
                                             const PathInfo& path, SessionEvents& events, Now now);
std::unique_ptr<Session> make_legacy_session(Established established, const SessionConfig& config,
                                             const PathInfo& path, SessionEvents& events, Now now);

}  // namespace netmesh::session
