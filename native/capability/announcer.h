#pragma once
// How announcements spread: a state machine without I/O (spec 30 §9, §10).
//
// For whoever drives it (native/mesh), in this order:
//   - `peer_up` when a session with a peer stands, `peer_down` when it failed or said goodbye;
//   - `handle` for every event of a frame of subprotocol 0x0C00, with the node id of the session;
//   - `poll_transmit` until it yields nothing, each result as one event in a frame of that
//     subprotocol, on the stream with the same number; above kMaxBaseAnnouncementBytes it goes only
//     to peers that were reported as taking large messages;
//   - `poll_event` until it yields nothing: routes to offer to the routing table, identities
//   learnt;
//   - `handle_timeout` when `next_timeout` is due.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/random.h"
#include "capability/index.h"
#include "identity/subnet.h"

namespace netmesh::capability {

/// What the announcer asks its surroundings.
class AnnouncerHost {
 public:
  virtual ~AnnouncerHost() = default;
  /// The peer through which packets for `origin` would leave: announcements of `origin` came from
  /// there, and need not go back.
  virtual std::optional<NodeId> next_hop(NodeId origin) const = 0;
  virtual bool is_blocked(NodeId peer) const = 0;
};

/// What happened to an announcement that came in; drops are for counters.
enum class Received : std::uint8_t {
  kIndexed,
  kMalformed,
  kRateLimited,
  kForeign,        ///< direct, but not about its sender
  kOwn,            ///< about this node
  kSeen,           ///< a copy, or an older version
  kUnsigned,       ///< and signatures are required
  kForged,         ///< the signature is wrong
  kWrongNodeId,    ///< the node id does not follow from the entity
  kWrongIdentity,  ///< the peer is known under another entity
  kExpired,
  kNoRoom,
};

/// Announces this node, believes, indexes and forwards what others announce. Owned by one node's
/// machine, on its thread.
class Announcer {
 public:
  struct Options {
    bool require_signed = true;
    std::uint32_t ttl_secs = 300;
    /// Broadcasts in closer succession are put together into one at the end of the interval.
    Duration min_interval = std::chrono::seconds(10);
    Duration sweep_interval = std::chrono::seconds(60);
    /// Without news about a node for so long, its old versions may come back.
    Duration dedup_retention = std::chrono::seconds(600);
    std::optional<identity::SubnetPolicy> subnet_policy;
    /// Per peer: verifying a signature costs 60 µs or so.
    std::uint32_t peer_rate_per_second = 512;
    std::uint32_t peer_burst = 8192;
    /// Other nodes' announcements that a new peer is told at once; it learns the rest in time.
    std::size_t max_introductions = 1024;
    std::size_t max_queued = 65'536;
  };

  /// What is merged into every own announcement.
  struct Environment {
    /// `nrpc:<service>` tags.
    std::vector<std::string> services;
    /// `open`, `cone`, `symmetric` or `unknown`.
    std::string nat = "unknown";
    std::optional<Endpoint> reflex_addr;
    friend bool operator==(const Environment&, const Environment&) = default;
  };

  struct PeerTraits {
    /// Takes announcements above a base packet: a modern session.
    bool large_messages = false;
    /// Proven in the handshake of a modern session; unknown otherwise.
    std::optional<identity::EntityId> entity;
  };

  struct Transmit {
    NodeId to;
    std::shared_ptr<const std::string> document;
  };

  /// `via` announced `node` with so many hops: a candidate for the routing table.
  struct RouteOffer {
    NodeId node;
    NodeId via;
    std::uint32_t metric = 0;
  };
  /// A peer's entity became known by its signed direct announcement.
  struct PeerIdentified {
    NodeId peer;
    identity::EntityId entity{};
  };
  using Event = std::variant<RouteOffer, PeerIdentified>;

  struct Counters {
    std::uint64_t broadcasts = 0;
    std::uint64_t forwarded = 0;
    std::uint64_t introductions = 0;
    std::uint64_t dropped_queue_full = 0;
    std::uint64_t skipped_too_large = 0;
  };

  /// All references outlive the announcer. `random` spreads refreshes.
  Announcer(const identity::LocalIdentity& identity, CapabilityIndex& index, AnnouncerHost& host,
            RandomSource& random, Options options);

  // --- this node ---

  /// Makes `set` what this node can do, and tells the peers at once, or at the end of the quiet
  /// interval. Fails with `kCapability` before any effect when the document would be too large for
  /// the protocol, or for a connected peer that takes no large messages.
  Expected<void> announce(Now now, CapabilitySet set, std::optional<std::uint32_t> ttl_secs = {},
                          bool sign = true);
  /// Announces again when something changed and there was an announcement. With `urgent` the quiet
  /// interval does not count.
  void set_environment(Now now, Environment environment, bool urgent = false);
  const CapabilitySet& baseline() const { return baseline_; }

  // --- peers ---

  void peer_up(Now now, NodeId peer, PeerTraits traits);
  /// Forgets everything about the peer, so that it is believed when it comes back.
  void peer_down(NodeId peer);
  /// The entity of a peer, by handshake or by its signed direct announcement.
  std::optional<identity::EntityId> entity_of(NodeId peer) const;
  Received handle(Now now, NodeId from, std::string_view document);

  // --- the crank ---

  void handle_timeout(Now now);
  std::optional<TimePoint> next_timeout() const;
  std::optional<Transmit> poll_transmit();
  std::optional<Event> poll_event();
  const Counters& counters() const { return counters_; }

 private:
  struct Bucket {
    TimePoint filled_at = TimePoint::min();
    double tokens = 0;
  };
  struct Peer {
    PeerTraits traits;
    std::optional<identity::EntityId> pinned;
    Bucket bucket;
    /// Introductions go on after this node.
    NodeId introduced;
    std::size_t introductions_left = 0;
  };
  /// The newest that was heard of a node.
  struct Origin {
    std::uint64_t version = 0;
    bool direct_seen = false;
    bool forwarded_seen = false;
    /// The lowest hop count that was passed on; a much better copy is passed on again, so that one
    /// that came first with an inflated count does not shorten the reach.
    std::uint8_t forwarded_hop = 0xFF;
    NodeId from;
    TimePoint heard_at;
    TimePoint expires_at;
    /// With hop count, as it is to be passed on; empty when it is not.
    std::shared_ptr<const std::string> document;
  };

  Announcement build(Now now, std::uint64_t version) const;
  Expected<void> check_size(const std::string& document) const;
  void publish(Now now, bool urgent);
  void broadcast(Now now);
  void enqueue(NodeId to, const std::shared_ptr<const std::string>& document);
  Received judge(Now now, NodeId from, const Announcement& announcement, Peer& peer);
  void accept(Now now, NodeId from, Announcement announcement, Peer& peer);
  void forward(NodeId from, Origin& origin, Announcement& announcement);
  bool take_token(Peer& peer, TimePoint now) const;
  void queue_introductions(TimePoint now);
  void forget_old(TimePoint now);
  Duration quiet_interval() const;
  void schedule_refresh(TimePoint now);

  const identity::LocalIdentity& identity_;
  CapabilityIndex& index_;
  AnnouncerHost& host_;
  RandomSource& random_;
  Options options_;
  AnnouncementParser parser_;

  CapabilitySet baseline_;
  Environment environment_;
  std::uint32_t ttl_secs_ = 0;
  bool sign_ = true;
  bool announced_ = false;
  std::uint64_t version_ = 0;
  std::shared_ptr<const std::string> own_document_;
  std::optional<TimePoint> last_broadcast_;
  std::optional<TimePoint> trailing_at_;
  std::optional<TimePoint> refresh_at_;
  TimePoint sweep_at_ = TimePoint::max();
  std::optional<TimePoint> introduce_at_;

  std::map<NodeId, Peer> peers_;
  std::map<NodeId, Origin> origins_;
  std::deque<Transmit> queue_;
  std::deque<Event> events_;
  Counters counters_;
};

}  // namespace netmesh::capability
