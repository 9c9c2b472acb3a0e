#pragma once
// A session with a net-mesh 0.19 node, byte for byte as spec 10, robust where the wire allows it.

#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "session/replay_window.h"
#include "session/session.h"
#include "wire/net_packet.h"
#include "wire/window_grant.h"

namespace netmesh::session {

class LegacySession final : public Session {
 public:
  /// What leaves at once, and how fast the rest follows: a quarter of a base node's socket buffer,
  /// well below the 1024 packets in a row that it must not miss.
  static constexpr std::uint64_t kBurstBytes = 64 * 1024;
  static constexpr std::uint64_t kBytesPerSecond = 128u << 20;
  /// A sender without credit that gets no grant for so long has lost packets. Doubles up to
  /// `kMaxStall` while there is no answer.
  static constexpr Duration kStall = std::chrono::milliseconds(500);
  static constexpr Duration kMaxStall = std::chrono::seconds(8);

  LegacySession(Established established, const SessionConfig& config, const PathInfo& path,
                SessionEvents& events);

  bool modern() const override { return false; }
  SessionId id() const override { return id_; }
  crypto::AeadAlgorithm aead() const override { return crypto::AeadAlgorithm::kChaCha20Poly1305; }

  PacketVerdict handle_packet(Now now, MutableByteSpan packet) override;
  void end_of_batch(Now) override {}
  void handle_timeout(Now now) override;
  std::optional<TimePoint> next_timeout() const override;
  std::size_t poll_transmit(Now now, MutableByteSpan out) override;
  bool wants_transmit() const override;
  std::size_t max_packet_bytes() const override { return wire::kMaxNetPacketBytes; }
  void set_path(const PathInfo& path) override { path_ = path; }

  void heartbeat(Now now) override;
  void close(std::uint64_t code, std::string reason) override;
  const std::optional<CloseInfo>& closing() const override { return closing_; }

  Expected<std::shared_ptr<StreamGate>> open_stream(Now now, const StreamConfig& config) override;
  void close_stream(Now now, StreamId stream) override;
  void send(Now now, const StreamGate& gate, OutboundBatch batch) override;
  Expected<void> send_unwindowed(Now now, OutboundBatch batch, std::size_t largest_event) override;
  Expected<void> send_control(Now now, std::uint16_t protocol, ByteSpan message) override;
  std::size_t max_control_bytes() const override;
  void consume(Now now, StreamId stream, bool reliable, std::uint64_t events,
               std::uint64_t bytes) override;
  void evict_idle(Now now) override;
  void abandon() override;

  std::optional<StreamStatsSnapshot> stream_stats(StreamId stream) const override;
  std::vector<StreamStatsSnapshot> all_stream_stats() const override;
  SessionStats stats() const override { return stats_; }
  std::size_t stream_count() const override { return streams_.size(); }
  std::uint64_t stream_backlog(StreamId) const override { return 0; }
  std::uint64_t unacknowledged_bytes() const override { return 0; }

 private:
  /// One opening of a sending half; outlives the stream's closing while batches wait.
  struct Opening {
    std::shared_ptr<StreamGate> gate;
    std::uint64_t tx_seq = 0;    ///< next sequence on the wire
    std::uint64_t tx_bytes = 0;  ///< windowed on-wire bytes sent
    // Credit of lost packets (docs/protocol.md §8).
    std::uint64_t settled = 0;      ///< of tx_bytes: consumed by the peer, or given up as lost
    std::uint64_t written_off = 0;  ///< of those, given up
    std::optional<std::uint64_t> probe_from;  ///< tx_bytes when a stall began to be probed
    TimePoint progress_at{};                  ///< of the last grant, send after rest, or probe
    unsigned probes = 0;                      ///< since the last grant
  };
  /// Spec 10 §7.2: one state for both directions of an id.
  struct Stream {
    std::shared_ptr<Opening> opening;  ///< null while only the peer uses the id
    std::uint64_t grants_received = 0, grants_sent = 0;
    std::uint64_t rx_seq = 0;
    std::uint64_t accepted = 0;    ///< on-wire bytes received
    std::uint64_t granted = 0;     ///< of those, told to the peer
    std::uint64_t unconsumed = 0;  ///< event bytes that the application has not taken
    bool receiving = false;
    bool grant_due = false;
    StreamRef ref = 0;
    TimePoint last_activity{};
    UnixNanos last_activity_unix = 0;
  };
  struct Queued {
    std::shared_ptr<Opening> opening;
    OutboundBatch batch;
    std::size_t position = 0;  ///< bytes of `batch.frames` already sent
    bool windowed = true;
  };

  struct ControlMessage {
    std::uint16_t protocol = 0;
    Bytes bytes;
  };

  void dispatch_events(Now now, const wire::NetHeader& header, ByteSpan plaintext);
  void apply_grants(ByteSpan plaintext, std::size_t count);
  void want_grant(StreamId id, Stream& stream);
  void probe_stalls(Now now);
  bool pace(TimePoint now, std::size_t bytes);
  std::size_t seal(Now now, MutableByteSpan out, wire::NetHeader header);
  std::size_t write_events(Now now, MutableByteSpan out);
  std::size_t write_grant(Now now, MutableByteSpan out);
  std::size_t write_control(Now now, MutableByteSpan out);
  void pop_queue();
  std::shared_ptr<StreamGate> make_gate(const StreamConfig& config);
  bool quarantined(StreamId id, TimePoint now);
  StreamStatsSnapshot snapshot(StreamId id, const Stream& stream) const;

  const SessionId id_;
  const NodeId peer_;
  const SessionConfig config_;
  PathInfo path_;
  SessionEvents& events_;
  crypto::AeadKey seal_key_;
  crypto::AeadKey open_key_;
  std::uint64_t counter_ = 0;  ///< of every packet sealed, of any kind
  std::uint64_t grant_sequence_ = 0;
  std::deque<ControlMessage> control_;
  std::size_t control_bytes_ = 0;  ///< waiting
  std::unordered_map<std::uint16_t, std::uint64_t> control_sequences_;
  ReplayWindow replay_;
  std::unordered_map<StreamId, Stream> streams_;
  std::unordered_map<StreamId, TimePoint> recently_closed_;
  std::deque<Queued> queue_;
  std::vector<StreamId> grants_due_;
  std::shared_ptr<std::atomic<std::int64_t>> queued_ =
      std::make_shared<std::atomic<std::int64_t>>(0);
  // A base peer acknowledges nothing, and a burst beyond its socket's buffer is lost.
  std::uint64_t burst_left_ = kBurstBytes;
  TimePoint paced_at_{};
  std::optional<TimePoint> paced_until_;
  std::optional<TimePoint> stall_check_at_;
  std::uint64_t epochs_ = 0;
  std::uint64_t unconsumed_ = 0;
  bool heartbeat_due_ = false;
  TimePoint now_{};
  std::optional<CloseInfo> closing_;
  SessionStats stats_;
};

}  // namespace netmesh::session
