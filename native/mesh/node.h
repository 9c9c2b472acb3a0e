#pragma once
// One node of the mesh as a machine without I/O: peers, handshakes, dispatch (DESIGN §1).

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "capability/announcer.h"
#include "capability/index.h"
#include "channel/broker.h"
#include "channel/subscriber.h"
#include "crypto/secret.h"
#include "mesh/handshake_limiter.h"
#include "mesh/node_sink.h"
#include "mesh/transmit_batch.h"
#include "session/session.h"
#include "session/stream_gate.h"

namespace netmesh::mesh {

/// Limits and periods of a node; the defaults are those of spec 10 §14.2 where it has them.
struct NodeConfig {
  Bytes identity_seed;  ///< 32 bytes
  Bytes noise_secret;   ///< 32 bytes, or empty: the Noise static key follows from the seed
  crypto::Key psk{};
  Duration heartbeat_interval = std::chrono::seconds(5);
  Duration session_timeout = std::chrono::seconds(30);
  Duration handshake_timeout = std::chrono::seconds(5);  ///< of one attempt
  unsigned handshake_retries = 3;                        ///< attempts; 0 counts as 1
  bool allow_legacy_peers = true;
  /// AEADs offered, a bit set of crypto::AeadAlgorithm; AES is left out where the processor lacks
  /// it.
  std::uint8_t aeads = 3;
  std::uint64_t stream_receive_window = 4u << 20;
  std::uint64_t session_receive_window = 16u << 20;
  /// How far the windows may grow by themselves; below the above: not at all.
  std::uint64_t max_stream_receive_window = 0;
  std::uint64_t max_session_receive_window = 0;
  std::uint32_t max_message_bytes = 16u << 20;
  std::uint64_t max_queued_bytes = 64u << 20;  ///< admitted but not acknowledged, per session
  std::uint32_t max_peers = 65'536;
  std::uint32_t max_streams_per_session = 4096;
  Duration stream_idle_timeout = std::chrono::seconds(300);
  std::uint16_t max_datagram_bytes = 16'384;  ///< beyond the loopback, where it is larger anyway
  Duration rekey_interval = std::chrono::hours(1);
  std::uint64_t key_update_packets = 0;  ///< 0: a half of what the AEAD allows
  /// Handshakes per second from addresses not proven by a cookie; above it cookies are asked for.
  std::uint32_t unproven_handshakes_per_second = HandshakeLimiter::kUnprovenPerSecond;
  session::CongestionAlgorithm congestion = session::CongestionAlgorithm::kBbr;
  /// What others announce has to be signed by them.
  bool require_signed_capabilities = true;
  Duration capability_gc_interval = std::chrono::seconds(60);
  /// Announcements in closer succession are put together.
  Duration min_announce_interval = std::chrono::seconds(10);
  std::uint32_t announcement_ttl_secs = 300;
  std::uint32_t max_indexed_nodes = 65'536;
  identity::SubnetId subnet;
  std::optional<identity::SubnetPolicy> subnet_policy;
  /// How often the rights of subscribers are looked at again.
  Duration token_sweep_interval = std::chrono::seconds(30);
  Duration membership_ack_timeout = std::chrono::seconds(5);
  /// A reliable publish waits for a subscriber that takes nothing for so long.
  Duration publish_patience = std::chrono::seconds(5);
};

/// A peer as users see it.
struct PeerInfo {
  NodeId node_id;
  Endpoint address;
  bool relayed = false;
  SecurityMode security = SecurityMode::kLegacy;
  std::string aead;                      ///< "aes-256-gcm" or "chacha20-poly1305"
  std::optional<crypto::Key> entity_id;  ///< proven by handshake or announcement
  std::optional<Duration> rtt;           ///< smoothed
  std::optional<Duration> rtt_min;
  std::uint64_t bytes_sent = 0, bytes_received = 0;
  std::uint64_t packets_sent = 0, packets_received = 0;
  std::uint64_t packets_lost = 0, bytes_retransmitted = 0;
  std::optional<session::CongestionStats> congestion;  ///< modern sessions only
  UnixNanos connected_at_ns = 0;
  UnixNanos last_activity_ns = 0;
  std::uint32_t streams = 0;
  bool alive = true;  ///< false once the failure detector gave it up
};

/// Spec 10 §7.2 and §15.1.
struct StreamStats {
  StreamId stream_id;
  std::uint64_t tx_seq = 0, rx_seq = 0, inbound_pending = 0;
  UnixNanos last_activity_ns = 0;
  bool active = true;
  std::uint64_t backpressure_events = 0, credit_grants_received = 0, credit_grants_sent = 0;
  std::uint32_t tx_credit_remaining = 0, tx_window = 0;
};

/// Everything that was refused or dropped, by cause; monotonic.
struct NodeCounters {
  std::uint64_t datagrams_received = 0, datagrams_sent = 0, bytes_received = 0, bytes_sent = 0;
  std::uint64_t dropped_invalid = 0;  ///< no known datagram kind, or malformed
  std::uint64_t dropped_unknown_session = 0;
  std::uint64_t dropped_authentication = 0;  ///< AEAD did not verify
  std::uint64_t dropped_replay = 0;
  std::uint64_t dropped_handshake = 0;     ///< did not decrypt, or not wanted
  std::uint64_t dropped_rate_limited = 0;  ///< handshakes above the per-source or total rate
  std::uint64_t dropped_no_route = 0;
  std::uint64_t dropped_overflow = 0;  ///< fire-and-forget events a slow reader had no room for
  std::uint64_t forwarded = 0;
  std::uint64_t handshakes_completed = 0;
  std::uint64_t protocol_violations = 0;
  std::uint64_t cookies_sent = 0;     ///< first messages answered by a cookie under pressure
  std::uint64_t resets_sent = 0;      ///< packets of sessions that this node does not know
  std::uint64_t peers_restarted = 0;  ///< peers that told us so
  std::uint64_t paths_changed = 0, paths_failed = 0;  ///< peers followed to a new address, or not
  std::uint64_t announcements_accepted = 0;
  std::uint64_t announcements_repeated = 0;    ///< known already, or out of date
  std::uint64_t announcements_refused = 0;     ///< malformed, unsigned, forged or not the sender's
  std::uint64_t announcements_over_limit = 0;  ///< of one peer's rate, or of the index
  std::uint64_t dropped_control = 0;           ///< messages of protocols that this node lacks
  std::uint64_t control_not_sent = 0;          ///< too many waited, or too large for the peer
};

/// How a publish treats failures (spec 31 §7).
enum class OnFailure : std::uint8_t { kBestEffort, kFailFast, kCollect };

struct PublishOptions {
  std::optional<bool> reliable;  ///< what the channel's config says
  OnFailure on_failure = OnFailure::kBestEffort;
  std::uint32_t max_inflight = 32;  ///< subscribers whose acknowledgement is awaited at a time
};

struct ConnectOptions {
  bool routed = false;              ///< send msg1 behind a routing header (connectVia)
  std::optional<Duration> timeout;  ///< over all attempts; default attempts × handshake timeout
};

/// Owned and driven by one thread at a time (the runtime's crank lock, or the simulator). Time
/// comes in with every call. After any call the driver polls `poll_transmit` until it returns false
/// and rearms its timer from `next_timeout`.
class Node {
 public:
  /// `random` and `sink` outlive the node.
  Node(NodeConfig config, RandomSource& random, NodeSink& sink, Now now);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  NodeId node_id() const;
  const crypto::Key& entity_id() const;
  const crypto::Key& public_key() const;  ///< Noise static
  std::uint64_t origin_hash() const;

  // --- I/O ---
  /// Decrypts in place: `datagram` is scratch afterwards.
  void handle_datagram(Now now, const Endpoint& from, MutableByteSpan datagram);
  /// The driver has no more datagrams at hand: acknowledgements and grants become due.
  void end_of_batch(Now now);
  void handle_timeout(Now now);
  std::optional<TimePoint> next_timeout() const;
  /// Appends datagrams to `batch`; true when more would follow once it is emptied.
  bool poll_transmit(Now now, TransmitBatch& batch);

  // --- life cycle ---
  void start(Now now);
  bool started() const;
  /// Says goodbye to every peer once reliable streams are acknowledged or `drain` is over; reports
  /// `shutdown_done`. Pending requests fail. Nothing new is accepted.
  void shutdown(Now now, Duration drain);

  // --- peers ---
  RequestId connect(Now now, const Endpoint& address, const crypto::Key& public_key, NodeId peer,
                    const ConnectOptions& options);
  /// Fails with kFatal when the node was started (spec 10 §5.6).
  Expected<RequestId> accept(Now now, NodeId peer);
  /// The request is forgotten; no `connect_done` or `accept_done` follows.
  void cancel(RequestId request);
  void disconnect(Now now, NodeId peer);
  void add_route(Now now, NodeId destination, const Endpoint& next_hop);
  void remove_route(NodeId destination);
  void set_blocked(const Endpoint& address, bool blocked);
  std::size_t peer_count() const;
  std::vector<PeerInfo> peers() const;
  std::optional<NodeId> peer_at(const Endpoint& address) const;

  // --- capabilities ---
  /// Makes `set` what this node can do and tells the mesh (spec 30 §9). Fails with `kCapability`
  /// before any effect when the document is too large.
  Expected<void> announce(Now now, capability::CapabilitySet set,
                          std::optional<std::uint32_t> ttl_secs = {}, bool sign = true);
  const capability::CapabilitySet& own_capabilities() const;
  const capability::CapabilityIndex& capabilities() const;
  /// Watches report through `NodeSink::watches_ready` that `poll_watch` has events.
  Expected<capability::WatchId> watch_capabilities(capability::Filter filter,
                                                   std::optional<capability::ScopeFilter> scope);
  void unwatch_capabilities(capability::WatchId id);
  std::vector<capability::WatchEvent> poll_watch(Now now, capability::WatchId id);
  /// An announcement as it comes from the peer `from`; for benchmarks and tests.
  capability::Received take_announcement(Now now, NodeId from, std::string_view document);
  /// An index entry without capabilities for five minutes, past all checks; for tests.
  void inject_synthetic_peer(Now now, NodeId node);

  // --- channels ---
  channel::Broker& broker();
  const channel::Broker& broker() const;
  Expected<channel::RequestId> subscribe(Now now, NodeId publisher,
                                         const channel::ChannelName& name,
                                         channel::SubscribeOptions options);
  Expected<channel::RequestId> unsubscribe(Now now, NodeId publisher,
                                           const channel::ChannelName& name);
  void cancel_membership(Now now, channel::RequestId request);
  const channel::Subscriber& subscriptions() const;
  /// Sends `frames`, `sizes.size()` event frames back to back, to every subscriber. `publish_done`
  /// follows, perhaps at once, with `request`.
  void publish(Now now, RequestId request, const channel::ChannelName& name, Slab frames,
               const std::vector<std::uint32_t>& sizes, const PublishOptions& options);
  /// A token, or a chain of them, that lets this node publish.
  identity::TokenResult<void> install_credential(Now now, ByteSpan credential);
  /// Tokens that `issuer` signed under generations below `floor` count no more; false when too many
  /// issuers are known.
  bool revoke_below(Now now, const identity::EntityId& issuer, std::uint32_t floor);

  // --- streams ---
  /// Opens or looks up; the first opening decides (spec 10 §7.2).
  Expected<std::shared_ptr<session::StreamGate>> open_stream(Now now, NodeId peer,
                                                             const session::StreamConfig& config);
  void close_stream(Now now, NodeId peer, StreamId stream);
  /// Queues an admitted batch. A batch for a gate that was closed meanwhile is dropped.
  void send(Now now, const session::StreamGate& gate, session::OutboundBatch batch);
  /// Events on stream 0 without window (spec 10 §6.3, `pushTo`): fails when the peer is unknown,
  /// an event is too large or the session's queue is full.
  Expected<void> send_unwindowed(Now now, NodeId peer, session::OutboundBatch batch,
                                 std::size_t largest_event);
  /// The application took `events` events of `bytes` bytes in all from the stream.
  void consume(Now now, StreamRef ref, std::uint64_t events, std::uint64_t bytes);

  std::optional<StreamStats> stream_stats(NodeId peer, StreamId stream) const;
  std::vector<StreamStats> all_stream_stats(NodeId peer) const;
  NodeCounters counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace netmesh::mesh
