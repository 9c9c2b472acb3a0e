#pragma once
// The publisher's side of channels: a state machine without I/O (spec 31 §3 to §7).
//
// For whoever drives it (native/mesh), in this order:
//   - `peer_up` when a session with a peer stands, `entity_learnt` when its signed announcement
//     tells who it is, `peer_down` when it failed or said goodbye;
//   - `handle` for every event of a frame of subprotocol 0x0A00, with the node id of the session;
//     `Received::kForSubscriber` means that `Subscriber::handle` is to have it;
//   - after that and after every other call: `poll_transmit` until it yields nothing, each result
//   as
//     one event of that subprotocol, on the stream with the same number; then `poll_replay` until
//     it yields nothing, each payload as an event on the channel's stream, before anything else is
//     published;
//   - for a publish, `recipients`, and `retain` when the result says so;
//   - `handle_timeout` when `next_timeout` is due; `shutdown` before the sessions are closed.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "channel/guard.h"
#include "channel/history.h"
#include "channel/membership.h"
#include "channel/rate_limit.h"
#include "channel/registry.h"
#include "channel/roster.h"
#include "channel/spent_nonces.h"
#include "channel/throttle.h"
#include "identity/token_cache.h"
#include "identity/token_chain.h"

namespace netmesh::channel {

/// What the broker asks its surroundings.
class BrokerHost {
 public:
  virtual ~BrokerHost() = default;
  /// Where a peer lives, as its tags tell; nothing when that is not known, which counts as the
  /// whole mesh.
  virtual std::optional<identity::SubnetId> subnet_of(NodeId peer) const = 0;
  /// Whether what a peer, or this node, has announced fits, tags by meaning; nothing when it has
  /// announced nothing that is still valid. `CapabilityIndex::satisfies` answers it.
  virtual std::optional<bool> satisfies(NodeId node, const capability::Filter& filter,
                                        TimePoint now) const = 0;
};

/// What happened to a message that came in; drops are for counters.
enum class Received : std::uint8_t {
  kHandled,
  kForSubscriber,  ///< an Ack or an eviction: about this node's own subscriptions
  kMalformed,
  kForeign,     ///< not from a peer that is up
  kUnexpected,  ///< a message that only modern peers send, from another
};

/// What a channel did so far.
struct ChannelCounters {
  std::uint64_t published = 0;     ///< payloads that were let through
  std::uint64_t recipients = 0;    ///< how often a payload was due to a subscriber
  std::uint64_t delivered = 0;     ///< as `report` was told
  std::uint64_t failed = 0;        ///< the same
  std::uint64_t denied = 0;        ///< publishes without the right to
  std::uint64_t rate_limited = 0;  ///< payloads above the rate
  std::uint64_t skipped_visibility = 0, skipped_guard = 0, skipped_token = 0;
  std::uint64_t accepted = 0;                ///< Subscribes
  std::array<std::uint64_t, 5> refused{};    ///< Subscribes, by AckReason
  std::array<std::uint64_t, 8> evictions{};  ///< by EvictionReason
  std::uint64_t replayed = 0;                ///< retained payloads handed out
};

/// Lets peers join this node's channels, and says who gets what is published. Owned by one node's
/// machine, on its thread; time is an argument.
class Broker {
 public:
  struct Options {
    /// Whose channels these are: the root of trust where a config names none.
    NodeId self = {};
    identity::EntityId entity = {};
    /// Where this node lives, as configured.
    identity::SubnetId own_subnet = {};
    std::size_t max_channels = 65'536;
    std::size_t max_channels_per_peer = 1024;
    std::size_t max_subscriptions = 1'048'576;
    /// How often rights are looked at again while nothing is published; nothing: never.
    std::optional<Duration> sweep_interval = std::chrono::seconds(30);
    FailureThrottle::Options throttle = {};
    /// Tolerated difference of clocks in chains of tokens.
    std::uint64_t token_skew_seconds = 0;
    /// Over all channels.
    std::size_t max_retained_bytes = std::size_t{64} << 20;
    /// Messages; Acks beyond them are dropped, and asked for again.
    std::size_t max_queued = 65'536;
    std::size_t max_queued_replays = 1024;
    /// Chains that let this node publish on channels that others are the root of.
    std::size_t max_own_chains = 64;
  };

  struct PeerTraits {
    /// Understands messages of type 16 and above: a modern session.
    bool modern = false;
    /// Proven in the handshake of a modern session; unknown otherwise.
    std::optional<identity::EntityId> entity;
  };

  struct Transmit {
    NodeId to;
    Bytes message;
  };

  /// Retained payloads for a new subscriber, oldest first.
  struct Replay {
    NodeId to;
    StreamId stream;
    ChannelHash hash;
    bool reliable = false;
    std::uint8_t priority = 0;
    std::vector<Payload> payloads;
  };

  enum class PublishVerdict : std::uint8_t { kAllowed, kDenied, kRateLimited };

  /// Who gets a publish, and how. `nodes` is valid until the next call of the broker.
  struct Publication {
    PublishVerdict verdict = PublishVerdict::kAllowed;
    std::span<const NodeId> nodes;
    StreamId stream;
    std::uint16_t wire_hash = 0;
    /// What the config says, where a publish does not.
    bool reliable = false;
    std::uint8_t priority = 0;
    /// `retain` is to be called with what is published.
    bool retains = false;
    /// The rate that was exceeded.
    std::uint32_t max_rate_pps = 0;
    /// Subscribers that get nothing of it.
    std::uint32_t skipped_visibility = 0, skipped_guard = 0, skipped_token = 0;
  };

  struct ChannelInfo {
    std::string name;
    /// By this name; not by a prefix.
    bool registered = false;
    std::size_t subscribers = 0, queue_groups = 0;
    std::size_t retained = 0, retained_bytes = 0;
    ChannelCounters counters;
  };

  /// Over all channels; what cannot be said of one.
  struct Counters {
    std::uint64_t malformed = 0;
    std::uint64_t dropped_queue_full = 0;
    std::uint64_t unknown_channel = 0, throttled = 0;
  };

  /// All references outlive the broker. `tokens` is the node's shared cache; `random` gives seeds
  /// and the number of this life.
  Broker(BrokerHost& host, identity::TokenCache& tokens,
         const identity::RevocationRegistry& revocations, RandomSource& random, Options options);
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // --- this node's channels ---

  /// Registers a channel, or changes its terms: subscribers stay, and are judged by the new ones at
  /// the next publish. Changes nothing when it returns an error.
  Expected<void> register_channel(ChannelConfig config);
  /// Ends the subscriptions that no other config covers. False when there was no such channel.
  bool unregister_channel(std::string_view name);
  const ChannelRegistry& registry() const { return registry_; }
  /// Keeps a chain that lets this node publish; a single token goes into the shared cache instead.
  identity::TokenResult<void> install_chain(Now now, identity::TokenChain chain);

  // --- peers ---

  /// A peer that is up already keeps its subscriptions: its session was replaced.
  void peer_up(NodeId id, PeerTraits traits);
  void entity_learnt(NodeId id, const identity::EntityId& entity);
  /// Ends all its subscriptions. Failures are remembered.
  void peer_down(NodeId id);
  Received handle(Now now, NodeId from, ByteSpan bytes);

  // --- publishing ---

  /// Judges a publish of `count` payloads and says who gets them. Rights that have ended are found
  /// out here at the latest.
  Publication recipients(Now now, const ChannelName& name, std::uint32_t count = 1);
  /// Keeps a payload for subscribers to come, as the channel's config says.
  void retain(const ChannelName& name, Payload payload);
  /// Another member of the queue group of `tried`, which could not be sent to. `first` is the one
  /// that `recipients` chose: asked again with what it returned, this goes once through the group.
  std::optional<NodeId> stand_in(Now now, const ChannelName& name, NodeId first, NodeId tried);
  /// How a publish went, for the counters.
  void report(const ChannelName& name, std::uint64_t delivered, std::uint64_t failed);

  // --- the crank ---

  void handle_timeout(Now now);
  std::optional<TimePoint> next_timeout() const { return sweep_at_; }
  std::optional<Transmit> poll_transmit();
  std::optional<Replay> poll_replay();
  /// Tells modern subscribers that this node stops, and ends all subscriptions.
  void shutdown();

  // --- what there is ---

  /// Registered channels, and those below a prefix with subscribers or retained payloads, in the
  /// order of names.
  std::vector<ChannelInfo> channels() const;
  std::optional<ChannelInfo> channel_info(std::string_view name) const;
  /// The subscribers of a channel in the order of node ids.
  std::vector<NodeId> subscribers(std::string_view name) const;
  bool is_subscribed(NodeId id, std::string_view name) const;
  std::size_t subscriptions() const { return guard_.size(); }
  const Counters& counters() const { return counters_; }
  std::uint64_t epoch() const { return epoch_; }

 private:
  struct Peer;
  /// What is kept of a subscription.
  struct Grant {
    Peer* peer = nullptr;
    /// Of the Subscribe that it goes back to.
    std::uint64_t nonce = 0;
    /// The chain that was presented; null when none was needed or the shared cache has it.
    std::unique_ptr<const identity::TokenChain> credential;
    /// The state of the world in which its token was good: rights_stamp_.
    std::uint64_t good_at = 0;
  };
  using ChannelRoster = Roster<Grant>;
  struct Channel {
    Channel(const ChannelName& channel, ChannelNumber n) : name(channel), number(n) {}

    ChannelName name;
    ChannelNumber number;
    ChannelRoster roster;
    History history;
    RateLimit rate;
    ChannelCounters counters;
  };
  struct Peer {
    NodeId id;
    PeerTraits traits;
    /// What it is subscribed to, in the order of addresses.
    std::vector<Channel*> channels;
    SpentNonces spent;
  };
  /// What becomes of a Subscribe.
  struct Judgement {
    bool accepted = false;
    AckReason reason = AckReason::kNone;
    const ChannelConfig* config = nullptr;
    /// What was presented, if that is what the right follows from.
    std::optional<identity::TokenChain> credential;
  };
  using Ended = std::optional<EvictionReason>;

  std::span<const identity::EntityId> roots_of(const ChannelConfig& config) const;
  identity::TokenChain::Question question_of(const ChannelConfig& config,
                                             const identity::EntityId& subject,
                                             identity::Scope action) const;
  Channel* find_channel(std::string_view name);
  const Channel* find_channel(std::string_view name) const;
  Channel& open_channel(const ChannelName& name);
  void drop_if_idle(Channel& channel);
  static bool is_member(const Peer& peer, const Channel* channel);

  // Subscribing.
  void subscribe(Now now, Peer& peer, const Subscribe& request, const ModernSubscribe* modern);
  void unsubscribe(Peer& peer, const Unsubscribe& request);
  Judgement judge(Now now, Peer& peer, const Subscribe& request);
  bool may_join(Now now, const Peer& peer, const Subscribe& request, Judgement& judgement);
  bool shows_token(Now now, const Peer& peer, const Subscribe& request, Judgement& judgement);
  bool verified_before(const Peer& peer, const Subscribe& request,
                       const identity::TokenChain& chain);
  /// How many retained payloads the subscriber will get.
  std::uint32_t admit(Now now, Peer& peer, const Subscribe& request, Judgement& judgement,
                      const ModernSubscribe* modern);
  std::uint32_t queue_replay(const ChannelConfig& config, Channel& channel, NodeId to,
                             std::uint32_t wanted);

  // While subscribed.
  bool has_cached_token(Now now, const ChannelConfig& config, const identity::EntityId& subject,
                        identity::Scope action) const;
  bool may_publish(Now now, const ChannelConfig& config) const;
  void stamp_rights(Now now);
  bool may_receive(Now now, const ChannelConfig& config, const Channel& channel,
                   ChannelRoster::Member& member, Publication& out);
  bool sees(const ChannelConfig& config, NodeId peer) const;
  /// Why a token that was there is not any more; nothing when it is.
  Ended token_ended(Now now, const ChannelConfig& config,
                    const ChannelRoster::Member& member) const;
  /// The same for everything that a channel asks of its subscribers.
  Ended right_ended(Now now, const ChannelConfig& config,
                    const ChannelRoster::Member& member) const;

  // Ending.
  void end(Channel& channel, Peer& peer);
  void evict(Channel& channel, NodeId node, EvictionReason reason);
  void evict_all(Channel& channel, EvictionReason reason);
  /// Evicts everybody in ended_.
  void evict_ended(Channel& channel);
  void sweep(Now now);
  void schedule_sweep(TimePoint now);
  void trim_history(Channel& channel, const ChannelConfig* config);
  void send(NodeId to, const Message& message);
  ChannelInfo info_of(const std::string& name, const Channel& channel) const;

  BrokerHost& host_;
  identity::TokenCache& tokens_;
  const identity::RevocationRegistry& revocations_;
  Options options_;
  std::uint64_t epoch_;

  ChannelRegistry registry_;
  AuthGuard guard_;
  FailureThrottle throttle_;
  /// Registered, subscribed to, or with retained payloads.
  std::map<std::string, Channel, std::less<>> channels_;
  std::uint64_t next_number_ = 1;
  std::unordered_map<NodeId, Peer> peers_;
  std::vector<identity::TokenChain> own_chains_;
  std::size_t retained_bytes_ = 0;

  /// What the outcome of a token check depends on, and a number for its present state: as long as
  /// that stands still a check need not be repeated.
  struct RightsState {
    identity::UnixSeconds seconds = 0;
    std::uint64_t revocations = 0, tokens = 0, own = 0;
    friend bool operator==(const RightsState&, const RightsState&) = default;
  };
  RightsState rights_state_;
  std::uint64_t rights_stamp_ = 1;
  std::uint64_t own_changes_ = 0;  ///< of configs and of who peers are

  /// Reused by every publish.
  std::vector<NodeId> chosen_;
  std::vector<std::pair<NodeId, EvictionReason>> ended_;

  std::deque<Transmit> queue_;
  std::deque<Replay> replays_;
  std::optional<TimePoint> sweep_at_;
  Counters counters_;
};

}  // namespace netmesh::channel
