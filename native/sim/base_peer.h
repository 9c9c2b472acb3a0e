#pragma once
// A net-mesh 0.19 node of its own, written from the specification and not from session/: what the
// base protocol of a real node is tested against.

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/endpoint.h"
#include "base/ids.h"
#include "base/random.h"
#include "crypto/aead.h"
#include "crypto/noise.h"
#include "sim/network.h"
#include "wire/net_packet.h"
#include "wire/routing.h"
#include "wire/window_grant.h"

namespace netmesh::sim {

/// One peer, one session. Sends nothing by itself: a test says when to connect, send and beat.
/// Unlike 0.19 it does not retry handshakes either.
class BasePeer final : public Port {
 public:
  /// Nothing proves `id`: in the base protocol a node id is a claim.
  BasePeer(SimNetwork& network, RandomSource& random, const Endpoint& address, NodeId id,
           const crypto::Key& psk);
  ~BasePeer() override;
  BasePeer(const BasePeer&) = delete;
  BasePeer& operator=(const BasePeer&) = delete;

  NodeId id() const { return id_; }
  const crypto::Key& public_key() const { return static_.public_key; }
  const Endpoint& address() const { return address_; }

  // --- handshakes (spec 10 §5) ---
  /// Sends msg1 of a fresh attempt; the session is there once `connected()`.
  void connect(const Endpoint& address, const crypto::Key& key, NodeId peer);
  /// The same behind a routing header; `hop` is a relay or the peer itself.
  void connect_routed(const Endpoint& hop, const crypto::Key& key, NodeId peer);
  /// Answers a direct msg1 of this peer.
  void accept(NodeId peer) { accepting_ = peer; }
  /// Answers routed handshakes.
  void start() { started_ = true; }
  bool connected() const { return session_.has_value(); }
  SessionId session_id() const { return session_->id; }
  std::uint64_t handshakes_answered() const { return handshakes_answered_; }

  // --- streams (spec 10 §6 to §9) ---
  struct StreamOptions {
    bool reliable = false;
    std::uint32_t window = 65'536;  ///< 0: none
  };
  void open(StreamId stream, const StreamOptions& options);
  /// Packs events greedily and sends packet by packet; false at the first that credit does not
  /// cover (what came before it is sent).
  bool send(StreamId stream, const std::vector<Bytes>& events);
  std::uint32_t credit(StreamId stream) const;
  void send_heartbeat();
  /// Sends one event packet with these header fields: for what no 0.19 node sends on its own.
  void send_packet(wire::NetHeader header, ByteSpan plaintext);
  void send_grant(StreamId stream, std::uint64_t total_consumed);
  /// The next packets count from here, as if all before were lost.
  void skip_counters(std::uint64_t count) { session_->tx_counter += count; }
  /// Off: behaves like a receiver whose grants are all lost.
  bool grants = true;

  // --- what arrived ---
  struct Event {
    StreamId stream;
    std::uint64_t sequence = 0;
    bool reliable = false;
    Bytes bytes;
  };
  const std::vector<Event>& events() const { return events_; }
  const std::vector<std::size_t>& packet_payloads() const { return packet_payloads_; }
  const std::vector<wire::WindowGrant>& grants_received() const { return grants_received_; }
  std::uint64_t heartbeats() const { return heartbeats_; }
  /// Packets that a 0.19 receiver drops: unknown session, replayed, too far ahead, not authentic.
  std::uint64_t dropped() const { return dropped_; }

  void receive(const Endpoint& from, Bytes datagram) override;

 private:
  struct Session {
    SessionId id;
    Endpoint address;
    NodeId peer;
    bool routed = false;
    bool initiator = false;
    crypto::Key ephemeral{};  ///< the initiator's, when that was the peer
    TimePoint active_at{};
    crypto::AeadKey tx, rx;
    std::uint64_t tx_counter = 0;
    std::uint64_t rx_next = 0;
    std::vector<bool> rx_seen;  ///< of the last 1024 counters
    std::uint64_t control_sequence = 0;
  };
  struct Stream {
    StreamOptions options;
    std::uint64_t tx_sequence = 0;
    std::uint32_t credit = 0;
    std::uint64_t bytes_sent = 0, max_consumed_seen = 0;
    std::uint64_t consumed = 0;
  };
  struct Attempt {
    crypto::NoiseInitiator noise;
    Endpoint address;
    NodeId peer;
    bool routed = false;
  };

  void begin_attempt(const Endpoint& address, const crypto::Key& key, NodeId peer, bool routed);
  void on_handshake(const Endpoint& from, const std::optional<wire::RoutingHeader>& routing,
                    ByteSpan message);
  void establish(const crypto::NoiseResult& noise, NodeId peer, const Endpoint& address,
                 bool initiator, bool routed);
  bool rotation_refused(const crypto::Key& ephemeral) const;
  void on_packet(const Endpoint& from, Bytes& packet);
  void on_grant(ByteSpan message);
  void transmit(const Endpoint& to, bool routed, NodeId peer, std::uint8_t ttl, ByteSpan packet);
  Stream& stream(StreamId id);

  SimNetwork& network_;
  RandomSource& random_;
  const Endpoint address_;
  const NodeId id_;
  const crypto::X25519KeyPair static_;
  const crypto::SecretKey psk_;
  bool started_ = false;
  std::optional<NodeId> accepting_;
  std::optional<Attempt> attempt_;
  std::optional<Session> session_;
  std::map<StreamId, Stream> streams_;
  std::vector<Event> events_;
  std::vector<std::size_t> packet_payloads_;
  std::vector<wire::WindowGrant> grants_received_;
  std::uint64_t heartbeats_ = 0, dropped_ = 0, handshakes_answered_ = 0;
};

}  // namespace netmesh::sim
