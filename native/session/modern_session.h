#pragma once
// A session between two netmesh nodes (docs/protocol.md "Modern sessions").

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "session/ack_tracker.h"
#include "session/control_message.h"
#include "session/key_agreement.h"
#include "session/loss_recovery.h"
#include "session/mtu_discovery.h"
#include "session/packet_keys.h"
#include "session/receive_stream.h"
#include "session/replay_window.h"
#include "session/send_stream.h"
#include "session/session.h"
#include "session/stream_scheduler.h"
#include "wire/modern_packet.h"

namespace netmesh::session {

class ModernSession final : public Session {
 public:
  ModernSession(Established established, const SessionConfig& config, const PathInfo& path,
                SessionEvents& events, Now now);

  bool modern() const override { return true; }
  SessionId id() const override { return id_; }
  crypto::AeadAlgorithm aead() const override { return keys_.algorithm(); }

  PacketVerdict handle_packet(Now now, MutableByteSpan packet) override;
  void end_of_batch(Now now) override;
  void handle_timeout(Now now) override;
  std::optional<TimePoint> next_timeout() const override;
  std::size_t poll_transmit(Now now, MutableByteSpan out) override;
  bool wants_transmit() const override;
  std::size_t max_packet_bytes() const override {
    return std::max(datagram_bytes_, mtu_probe_bytes_);
  }
  bool last_was_newest() const override { return newest_; }
  std::size_t write_path_packet(Now now, MutableByteSpan out, const wire::Frame& frame) override;
  void set_path(const PathInfo& path) override;
  void move_to(Now now, const PathInfo& path) override;

  void heartbeat(Now now) override;
  void close(std::uint64_t code, std::string reason) override;
  const std::optional<CloseInfo>& closing() const override { return closing_; }

  Expected<std::shared_ptr<StreamGate>> open_stream(Now now, const StreamConfig& config) override;
  void close_stream(Now now, StreamId stream) override;
  void send(Now now, const StreamGate& gate, OutboundBatch batch) override;
  Expected<void> send_unwindowed(Now now, OutboundBatch batch, std::size_t largest_event) override;
  Expected<void> send_control(Now now, std::uint16_t protocol, ByteSpan message) override;
  std::size_t max_control_bytes() const override { return kMaxControlMessageBytes; }
  void consume(Now now, StreamId stream, bool reliable, std::uint64_t events,
               std::uint64_t bytes) override;
  void evict_idle(Now now) override;
  void abandon() override;

  std::optional<StreamStatsSnapshot> stream_stats(StreamId stream) const override;
  std::vector<StreamStatsSnapshot> all_stream_stats() const override;
  SessionStats stats() const override;
  std::size_t stream_count() const override;
  std::uint64_t stream_backlog(StreamId stream) const override;
  std::uint64_t unacknowledged_bytes() const override;
  std::vector<Unacknowledged> unacknowledged() const override;

 private:
  /// Everything under one application stream id, both directions.
  struct StreamEntry {
    std::unique_ptr<SendStream> current;  ///< the open sending half
    std::deque<std::unique_ptr<SendStream>>
        draining;  ///< closed ones, oldest first, until acknowledged
    std::unique_ptr<ReceiveStream> reliable_in;
    std::unique_ptr<DatagramReceiver> datagram_in;
    std::uint64_t rx_seq = 0;
    bool touched = false;  ///< counts in the next acknowledgement as a grant
    bool hidden = false;   ///< closed by the application and not seen since: no stats
    bool empty() const { return !current && draining.empty() && !reliable_in && !datagram_in; }
    /// The half whose turn it is: earlier openings go first.
    SendStream* sending() const {
      return draining.empty() ? current.get() : draining.front().get();
    }
  };
  /// An event larger than a packet on its way through fragments.
  struct FragmentCursor {
    StreamId stream_id;
    std::uint64_t epoch = 0, sequence = 0, offset = 0, total = 0, sent = 0;
  };
  struct Reassembly {
    StreamId stream_id;
    std::uint64_t epoch = 0, sequence = 0;
    TimePoint begun{};
    Bytes data;
    IntervalSet present;
  };

  /// Epochs count openings per mode; the lowest bit tells the mode: 1 for fire-and-forget.
  static bool is_datagram_epoch(std::uint64_t epoch) { return (epoch & 1) != 0; }

  // Receiving.
  PacketVerdict handle_frames(Now now, ByteSpan plaintext, bool& ack_eliciting);
  bool on_stream(Now now, const wire::StreamFrame& frame);
  bool on_datagram(Now now, const wire::DatagramFrame& frame);
  bool on_fragment(Now now, const wire::DatagramFragmentFrame& frame);
  DatagramReceiver* datagram_receiver(Now now, StreamId stream, std::uint64_t epoch,
                                      std::uint64_t offset, StreamEntry** entry);
  void deliver_datagram(StreamEntry& entry, DatagramReceiver& receiver, std::uint64_t sequence,
                        ByteSpan data);
  bool on_ack(Now now, const wire::AckFrame& frame);
  void on_limit(const wire::StreamLimitFrame& frame);
  void on_session_limit(const wire::SessionLimitFrame& frame);
  void violate(std::uint64_t code, std::string reason);
  void update_session_limit();
  ReceiveWindow stream_window() const {
    return {config_.stream_receive_window, config_.max_stream_receive_window};
  }
  std::optional<Duration> round_trip() const {
    return recovery_.rtt().has_sample() ? std::optional(recovery_.rtt().smoothed()) : std::nullopt;
  }
  void touch(StreamId stream, StreamEntry& entry);

  // Keys and paths over time (modern_life.cc).
  void begin_life(const Established& established, Now now);
  bool write_life(ByteWriter& out);
  void begin_rekey(Now now);
  bool on_rekey(Now now, const wire::RekeyFrame& frame);
  void on_peer_updated();
  void update_keys();
  void finish_rekey();
  void follow_mtu(Now now);
  std::size_t write_mtu_probe(Now now, MutableByteSpan out);
  bool rekeying() const { return rekey_request_ || rekey_reply_; }

  std::size_t base_bytes(const PathInfo& path) const;
  MtuDiscovery search_for(const PathInfo& path) const;

  // Sending.
  std::size_t payload_budget() const { return datagram_bytes_ - wire::kModernOverheadBytes; }
  bool write_control(Now now, ByteWriter& out);
  bool write_streams(Now now, ByteWriter& out);
  bool write_reliable(ByteWriter& out, SendStream& stream);
  bool write_datagrams(ByteWriter& out, SendStream& stream);
  bool write_fragment(ByteWriter& out);
  std::size_t seal(Now now, MutableByteSpan out, std::size_t payload, bool ack_eliciting,
                   bool carries_ack, bool mtu_probe = false);
  void make_ready(SendStream& stream);
  void drop_ready(SendStream& stream);
  SendStream* find_sending(StreamId stream, std::uint64_t epoch);
  void frame_acknowledged(Now now, const SentFrame& frame);
  void frame_lost(Now now, const SentFrame& frame, bool only_probe);
  void settle(StreamId stream);
  void notify_credit(SendStream& stream);
  void notify_blocked_by_queue();
  std::shared_ptr<StreamGate> make_gate(const StreamConfig& config);
  void close_entry(StreamEntry& entry);
  StreamStatsSnapshot snapshot(StreamId id, const StreamEntry& entry) const;

  const SessionId id_;
  const NodeId peer_;
  const SessionConfig config_;
  SessionEvents& events_;
  PacketKeys keys_;
  const wire::Hello peer_hello_;
  std::size_t datagram_bytes_ = wire::kBaseDatagramBytes;
  bool pad_for_relay_ = false;

  ReplayWindow replay_;
  AckTracker acks_;
  MtuDiscovery mtu_;
  LossRecovery recovery_;
  std::unordered_map<StreamId, StreamEntry> streams_;
  StreamScheduler ready_;
  std::optional<FragmentCursor> fragment_;
  std::deque<Reassembly> reassemblies_;
  IntervalSet finished_epochs_;       ///< reliable openings of the peer that ended
  std::vector<StreamId> limits_due_;  ///< streams whose new limit waits to be sent
  std::vector<StreamId> touched_;
  std::shared_ptr<std::atomic<std::int64_t>> queued_ =
      std::make_shared<std::atomic<std::int64_t>>(0);
  std::shared_ptr<std::atomic<std::int64_t>> control_queued_ =
      std::make_shared<std::atomic<std::int64_t>>(0);
  std::uint64_t reliable_openings_ = 0, datagram_openings_ = 0;
  bool queue_was_long_ = false;
  std::size_t sending_count_ = 0;

  // Session flow control, reliable bytes only.
  std::uint64_t session_sent_ = 0, session_max_ = 0;
  ReceiveWindow session_window_;
  std::uint64_t session_received_ = 0, session_delivered_ = 0, session_consumed_ = 0,
                session_limit_ = 0;
  std::uint64_t datagram_unconsumed_ = 0;
  bool session_limit_due_ = false;

  // Keys over time. One agreement at a time: ours, or our answer to the peer's.
  std::uint64_t update_after_ = 0;  ///< packets under one key
  crypto::Key handshake_hash_{};
  bool initiator_ = false;
  std::uint64_t agreements_ = 0;  ///< completed
  std::unique_ptr<KeyAgreement> rekey_request_;
  std::unique_ptr<wire::RekeyFrame> rekey_reply_;
  std::optional<crypto::SecretKey> agreed_;  ///< waits to enter our sending key
  bool rekey_due_ = false;                   ///< the request or reply has to leave
  bool turn_due_ = false;                    ///< our sending key should change soon
  bool peer_turned_ = false;                 ///< since we answered: the peer has the secret
  bool rekey_turned_ = false;                ///< our sending key has it; the peer's turn is awaited
  std::optional<TimePoint> rekey_at_;
  bool peer_info_due_ = false;
  std::size_t mtu_probe_bytes_ = 0;  ///< of the probe that has to leave; 0: none
  bool newest_ = false;

  bool session_blocked_ = false;  ///< streams wait for the session's limit
  bool ping_due_ = false;
  bool ack_now_ = false;
  unsigned closes_left_ = 0;
  std::optional<CloseInfo> closing_;
  SessionStats stats_;
};

}  // namespace netmesh::session
