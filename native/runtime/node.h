#pragma once
// A node running for real: one UDP socket, one I/O thread that turns the machine's crank, and the
// queues through which an application thread sends and receives. The only header that binding/
// needs.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/slab.h"
#include "base/time.h"
#include "capability/announcer.h"
#include "capability/index.h"
#include "channel/broker.h"
#include "channel/subscriber.h"

namespace netmesh::runtime {

struct NodeOptions {
  std::string bind_address;
  Bytes psk;            ///< 32 bytes
  Bytes identity_seed;  ///< 32 bytes, or empty for a random identity
  Bytes noise_secret;   ///< 32 bytes, or empty: the Noise static key follows from the identity
  double heartbeat_interval_ms = 5000;
  double session_timeout_ms = 30'000;
  double handshake_timeout_ms = 5000;
  std::uint32_t handshake_retries = 3;
  bool allow_legacy_peers = true;
  std::string aead = "auto";       ///< "auto" | "aes-256-gcm" | "chacha20-poly1305"
  std::string congestion = "bbr";  ///< "bbr" | "cubic"
  std::uint64_t stream_receive_window = 4u << 20;
  std::uint64_t session_receive_window = 16u << 20;
  std::uint32_t max_message_bytes = 16u << 20;
  std::uint64_t max_queued_bytes = 64u << 20;
  std::uint32_t max_peers = 65'536;
  /// How far receive windows may grow by themselves; below the above: not at all.
  std::uint64_t max_stream_receive_window = 32u << 20;
  std::uint64_t max_session_receive_window = 64u << 20;
  std::uint32_t max_datagram_bytes = 16'384;  ///< what paths are probed up to
  double rekey_interval_ms = 3'600'000;
  std::uint64_t key_update_packets = 0;  ///< 0: as the AEAD asks
  bool require_signed_capabilities = true;
  double capability_gc_interval_ms = 60'000;
  double announce_interval_ms = 10'000;  ///< announcements in closer succession are put together
  identity::SubnetId subnet;
  std::optional<identity::SubnetPolicy> subnet_policy;
  double token_sweep_interval_ms = 30'000;
  double membership_ack_timeout_ms = 5000;
  double publish_timeout_ms = 5000;              ///< how long a slow subscriber is waited for
  std::uint32_t socket_buffer_bytes = 4u << 20;  ///< asked of the kernel, both directions
  bool offload = true;                           ///< GSO/GRO where the kernel has it
};

/// How a modern session treats its path.
struct CongestionInfo {
  std::string algorithm, phase;
  std::uint64_t window_bytes = 0, bytes_in_flight = 0;
  std::optional<double> pacing_rate;  ///< bytes per second; none: not paced
  std::optional<double> bandwidth;    ///< bytes per second, as estimated
  double ambient_loss = 0;
  std::uint64_t spurious_losses = 0, events = 0, undone_events = 0;
  std::uint64_t persistent_congestions = 0, probe_timeouts = 0;
};

struct PeerInfo {
  std::uint64_t node_id = 0;
  std::string address;
  bool relayed = false;
  bool modern = false;
  bool alive = true;
  std::string aead;
  Bytes entity_id;  ///< empty while unknown
  std::optional<double> rtt_ms, rtt_min_ms;
  std::uint64_t bytes_sent = 0, bytes_received = 0, packets_sent = 0, packets_received = 0;
  std::uint64_t packets_lost = 0, bytes_retransmitted = 0;
  std::int64_t connected_at_ns = 0, last_activity_ns = 0;
  std::uint32_t streams = 0;
  std::optional<CongestionInfo> congestion;  ///< none on legacy sessions
};

struct StreamStats {
  std::uint64_t stream_id = 0;
  std::uint64_t tx_seq = 0, rx_seq = 0, inbound_pending = 0;
  std::int64_t last_activity_ns = 0;
  bool active = true;
  std::uint64_t backpressure_events = 0, credit_grants_received = 0, credit_grants_sent = 0;
  std::uint32_t tx_credit_remaining = 0, tx_window = 0;
};

/// A name and a count, for `stats()`: the machine's NodeCounters and the socket's own.
struct Counter {
  const char* name;  ///< camelCase, static storage
  std::uint64_t value;
};

/// What a stream had sent or queued at the end and its peer had not acknowledged.
struct UnacknowledgedStream {
  std::uint64_t peer = 0, stream_id = 0, bytes = 0, events = 0;
};

/// Something that happened, in order with the messages: `at` messages of the same drain precede it.
struct ControlEvent {
  enum class Kind : std::uint8_t {
    kConnectDone,
    kAcceptDone,
    kPeerUp,
    kPeerDown,
    kStreamOpened,
    kStreamFinished,
    kCreditAvailable,
    kPeerMoved,
    kWatchesReady,
    kPublishDone,
    kSubscribeDone,
    kUnsubscribeDone,
    kSubscriptionSuspended,
    kSubscriptionResumed,
    kSubscriptionLost,
    kShutdownDone
  };
  Kind kind;
  std::uint32_t at = 0;
  std::uint32_t request = 0;     ///< connect/accept: request id
  std::uint32_t stream_ref = 0;  ///< stream events
  std::uint64_t peer = 0;
  std::uint64_t stream_id = 0;
  std::uint64_t epoch = 0;     ///< credit: which opening of the stream
  bool flag = false;           ///< stream opened: reliable; finished: by FIN; peer up: modern
  std::optional<Error> error;  ///< connect/accept: set when it failed
  std::string text;            ///< address, or reason
  std::vector<UnacknowledgedStream> unacknowledged;  ///< shutdown: what was given up
  /// Publish: what became of it, unless `error` is set.
  std::uint32_t attempted = 0, delivered = 0;
  std::vector<std::pair<std::uint64_t, std::string>> failures;  ///< node, why
  std::uint32_t replayed = 0;  ///< subscriptions: retained payloads that come first
};

/// How `Node::publish` treats failures; in the order of mesh::OnFailure.
enum class OnFailure : std::uint8_t { kBestEffort, kFailFast, kCollect };

struct PublishOptions {
  std::optional<bool> reliable;
  OnFailure on_failure = OnFailure::kBestEffort;
  std::uint32_t max_inflight = 32;
};

/// Received events in one block. `meta` holds kMetaWords words per event: offset, length, stream
/// ref, index in packet, low and high half of the packet sequence.
struct DeliveryBlock {
  static constexpr std::size_t kMetaWords = 6;
  Slab bytes;
  std::vector<std::uint32_t> meta;
};

struct Drained {
  std::vector<ControlEvent> events;
  std::vector<DeliveryBlock> blocks;
};

struct ConsumedEntry {
  std::uint32_t stream_ref;
  std::uint64_t events;
  std::uint64_t bytes;
};

struct EventView {
  const std::byte* data;
  std::size_t length;
};

class Node;

/// The sending half of an open stream. Used by the thread that opened it; safe after the node is
/// gone.
class Stream {
 public:
  ~Stream();
  std::uint64_t peer() const;
  std::uint64_t stream_id() const;
  std::uint64_t epoch() const;
  std::uint32_t window_bytes() const;
  std::uint32_t max_event_bytes() const;

  enum class Status { kSent, kBackpressure, kNotConnected, kShutDown };
  struct Result {
    Status status;
    std::size_t sent;  ///< events taken, from the front
  };
  /// Copies and queues events. With `partial`, as many whole events from the front as credit allows
  /// (kSent only when all were taken); without, all or none. Events have passed `check` before.
  Result send(const EventView* events, std::size_t count, bool partial);
  /// Refuses events that the stream can never carry: larger than `max_event_bytes` (kTooLarge), or
  /// costing more credit than the whole window (kBackpressure kind, message says so).
  Expected<void> check(const EventView* events, std::size_t count) const;
  /// Asks for one kCreditAvailable event; false when credit for `bytes`-sized first event is there
  /// already (retry at once) or the stream is closed.
  bool want_credit(std::size_t next_event_bytes);
  bool closed() const;

 private:
  friend class Node;
  struct Impl;
  explicit Stream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// All methods from one application thread (the JavaScript thread), except where noted. Destroying
/// the node stops and joins its thread without saying goodbye.
class Node {
 public:
  /// Binds the socket and starts the I/O thread. `on_ready` is called from the I/O thread when
  /// `drain` turns from empty to non-empty; it must only signal.
  static Expected<std::unique_ptr<Node>> create(NodeOptions options,
                                                std::function<void()> on_ready);
  ~Node();

  std::uint64_t node_id() const;
  Bytes entity_id() const;
  Bytes public_key() const;
  std::string local_address() const;

  void start();
  bool started() const;
  Expected<std::uint32_t> connect(std::string_view address, ByteSpan public_key32,
                                  std::uint64_t peer, bool routed,
                                  std::optional<double> timeout_ms);
  Expected<std::uint32_t> accept(std::uint64_t peer);
  void cancel(std::uint32_t request);
  void disconnect(std::uint64_t peer);
  Expected<void> add_route(std::uint64_t destination, std::string_view next_hop);
  void remove_route(std::uint64_t destination);
  Expected<void> set_blocked(std::string_view address, bool blocked);

  // --- channels ---

  Expected<void> register_channel(channel::ChannelConfig config);
  Expected<bool> unregister_channel(std::string_view name);
  /// Events kSubscribeDone and the like follow; `request` names the call.
  Expected<std::uint64_t> subscribe(std::uint64_t publisher, std::string_view channel,
                                    channel::SubscribeOptions options);
  Expected<std::uint64_t> unsubscribe(std::uint64_t publisher, std::string_view channel);
  void cancel_membership(std::uint64_t request);
  /// Copies the payloads and sends them to every subscriber; kPublishDone follows.
  Expected<std::uint32_t> publish(std::string_view channel, const EventView* payloads,
                                  std::size_t count, const PublishOptions& options);
  std::vector<channel::Broker::ChannelInfo> channels() const;
  std::vector<std::uint64_t> subscribers(std::string_view channel) const;
  std::vector<channel::Subscriber::Subscription> subscriptions() const;
  /// A token or a chain of tokens that lets this node publish.
  Expected<void> install_credential(ByteSpan credential);
  Expected<void> revoke_below(ByteSpan issuer32, std::uint32_t floor);

  // --- capabilities ---

  /// Makes `set` what this node can do and tells the mesh (spec 30 §9). Fails with `kCapability`
  /// before any effect when the document is too large.
  Expected<void> announce(capability::CapabilitySet set, std::optional<std::uint32_t> ttl_secs,
                          bool sign);
  /// Calls `ask` with the index at rest, and the time; not after the node was closed.
  void ask_capabilities(
      const std::function<void(const capability::CapabilityIndex&, TimePoint)>& ask) const;
  /// kWatchesReady follows when `poll_watch` has events.
  Expected<std::uint32_t> watch_capabilities(capability::Filter filter,
                                             std::optional<capability::ScopeFilter> scope);
  void unwatch_capabilities(std::uint32_t watch);
  std::vector<capability::WatchEvent> poll_watch(std::uint32_t watch);
  /// An announcement as it comes from the peer `from`; for benchmarks and tests.
  capability::Received take_announcement(std::uint64_t from, std::string_view document);
  void inject_synthetic_peer(std::uint64_t node);

  std::size_t peer_count() const;
  std::vector<PeerInfo> peers() const;
  Expected<std::unique_ptr<Stream>> open_stream(std::uint64_t peer, std::uint64_t stream_id,
                                                bool reliable, std::uint32_t window_bytes,
                                                std::uint32_t fairness_weight,
                                                std::uint32_t priority = 2);
  void close_stream(std::uint64_t peer, std::uint64_t stream_id);
  Expected<void> send_to_address(std::string_view address, const EventView* events,
                                 std::size_t count);
  Expected<void> send_to_peer(std::uint64_t peer, const EventView* events, std::size_t count);
  std::optional<StreamStats> stream_stats(std::uint64_t peer, std::uint64_t stream_id) const;
  std::vector<StreamStats> all_stream_stats(std::uint64_t peer) const;
  std::vector<Counter> counters() const;

  /// Everything that happened since the last call.
  Drained drain();
  /// A descriptor that the application's loop may watch for readability, calling `receive` then: in
  /// a conversation of small messages the socket itself wakes the application, which saves a thread
  /// switch. Negative where the system cannot. Watching ends before the node does.
  int conversation_descriptor();
  /// Receives and answers what is there, in the calling thread.
  void receive();
  void consume(const ConsumedEntry* entries, std::size_t count);

  /// Starts the orderly end: kShutdownDone follows within `drain_ms` and a little.
  void shutdown(double drain_ms);

 private:
  friend class Stream;
  struct Impl;
  explicit Node(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

/// 32 random bytes as an X25519 secret and its public key (`generateNetKeypair`).
struct KeyPair {
  Bytes public_key, secret_key;
};
/// Id of the node whose identity has this seed of 32 bytes.
std::uint64_t node_id_of_seed(ByteSpan seed32);
KeyPair generate_key_pair();

/// What this process runs with (`platformInfo`).
struct PlatformInfo {
  bool aes = false;  ///< the processor has the instructions for AES-256-GCM
};
PlatformInfo platform_info();

}  // namespace netmesh::runtime
