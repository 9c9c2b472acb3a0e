#pragma once
// The inside of mesh::Node, shared by its .cc files: peers.cc (life of peers and streams),
// handshakes.cc (how they come), dispatch.cc (datagrams in and out), paths.cc (changing addresses),
// control.cc (protocols between nodes).

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "capability/announcer.h"
#include "channel/broker.h"
#include "channel/subscriber.h"
#include "mesh/cookie_jar.h"
#include "mesh/handshake_limiter.h"
#include "mesh/link.h"
#include "mesh/node.h"
#include "session/handshake.h"
#include "session/session.h"
#include "wire/net_packet.h"
#include "wire/routing.h"

namespace netmesh::mesh {

/// `0x` and the id in hexadecimal without padding, as error texts show node ids.
std::string hex_id(NodeId id);

struct KeyHash {
  std::size_t operator()(const crypto::Key& key) const noexcept {
    return load_le<std::size_t>(key.data());
  }
};

struct Node::Impl {
  Impl(NodeConfig node_config, RandomSource& random_source, NodeSink& node_sink, Now now);

  struct Peer {
    std::unique_ptr<Link> active;
    /// Answered while `active` lived, oldest first: each waits for its first packet. Several,
    /// because msg1s replayed in the round trip between our answer and the first packet must not
    /// push the real one out. There may be no `active`.
    std::vector<std::unique_ptr<Link>> candidates;
  };
  static constexpr std::size_t kMaxCandidates = 8;

  struct PendingConnect {
    RequestId request = 0;  ///< 0: this node's own wish, nobody waits
    Endpoint address;
    crypto::Key public_key{};
    NodeId peer;
    bool routed = false;
    std::optional<session::InitiatorHandshake> handshake;  ///< empty between attempts
    Bytes datagram;
    wire::AttemptTag tag{};  ///< of this attempt's msg1
    unsigned cookies = 0;    ///< used in this attempt
    unsigned attempt = 0;
    TimePoint attempt_ends{};  ///< or, between attempts, when the next begins
    TimePoint next_send{};
    Duration send_interval{};
    std::optional<TimePoint> gives_up;
    std::string last_error = "connection error: handshake timeout";
  };

  struct PendingAccept {
    RequestId request = 0;
    NodeId peer;
    TimePoint gives_up{};
  };

  /// A msg1 that came before anyone accepted (spec 10 §5.6).
  struct HeldHandshake {
    Endpoint from;
    std::optional<wire::RoutingHeader> routing;
    Bytes packet;
    TimePoint expires{};
  };

  struct RawDatagram {
    Endpoint to;
    Bytes bytes;
  };

  /// What the announcer asks.
  struct CapabilityHost final : capability::AnnouncerHost {
    explicit CapabilityHost(const Impl& owner) : node(owner) {}
    std::optional<NodeId> next_hop(NodeId origin) const override;
    bool is_blocked(NodeId peer) const override;
    const Impl& node;
  };

  /// What the broker asks.
  struct ChannelHost final : channel::BrokerHost {
    explicit ChannelHost(const Impl& owner) : node(owner) {}
    std::optional<identity::SubnetId> subnet_of(NodeId peer) const override;
    std::optional<bool> satisfies(NodeId id, const capability::Filter& filter,
                                  TimePoint now) const override;
    const Impl& node;
  };

  /// A publish on its way to its subscribers.
  struct Publishing {
    RequestId request = 0;
    channel::ChannelName name;
    Slab frames;
    session::OutboundBatch shape;  ///< cost and counts of a batch, without its frames
    std::uint32_t largest = 0;     ///< payload
    session::StreamConfig stream;
    OnFailure on_failure = OnFailure::kBestEffort;
    std::uint32_t max_inflight = 0;
    std::vector<NodeId> nodes;
    std::size_t next = 0;  ///< of `nodes`
    /// Of a queue group: whom `nodes` named at first, by who was tried instead.
    std::map<NodeId, NodeId> stands_in_for = {};
    std::uint32_t inflight = 0;
    TimePoint progress_at{};
    PublishReport report;
  };
  using PublishNumber = std::uint64_t;
  struct Ticket {
    PublishNumber publishing = 0;
    NodeId node;
  };

  /// A way to a node that is no peer, learnt from its announcements (spec 30 §10).
  struct LearntRoute {
    NodeId via;
    std::uint32_t metric = 0;
  };

  // handshakes.cc
  void begin_attempt(Now now, PendingConnect& pending);
  void advance_connects(Now now);
  void advance_accepts(Now now);
  void handle_handshake(Now now, const Endpoint& from, std::optional<wire::RoutingHeader> routing,
                        ByteSpan packet);
  bool try_as_message2(Now now, const Endpoint& from,
                       const std::optional<wire::RoutingHeader>& routing, ByteSpan message);
  bool try_as_message1(Now now, const Endpoint& from,
                       const std::optional<wire::RoutingHeader>& routing, ByteSpan packet);
  bool just_connected(const Link& link, Now now) const;
  bool answer(Now now, const Endpoint& from, const std::optional<wire::RoutingHeader>& routing,
              ByteSpan message, std::uint32_t claimed, std::optional<NodeId> expected);
  void release_held(Now now);
  void fail_connect(std::size_t index, Error error);
  void report_connect(RequestId request, Expected<void> result);
  HandshakeLimiter::Kind handshake_kind(const Endpoint& from,
                                        const std::optional<wire::RoutingHeader>& routing,
                                        std::size_t message_bytes) const;
  PendingAccept* find_accept(std::uint32_t routing_id_value);
  bool connecting_to(std::uint32_t routing_id_value) const;
  void resolve_waiting(NodeId peer, const Endpoint& from);

  // peers.cc
  Link* find_link(NodeId peer) const;
  std::unique_ptr<Link> make_link(Now now, session::Established established,
                                  const Endpoint& address, bool relayed);
  bool begun_by_lower_id(const Link& link) const;
  void install(Now now, std::unique_ptr<Link> link);
  void confirm(Link& link);
  void report_up(Now now, Link& link);
  void report_down(NodeId peer, DownReason reason, const std::string& text);
  /// The candidate that `link` is; null when it is none.
  static std::unique_ptr<Link> take_candidate(Peer& peer, const Link& link);
  void remove_link(Link& link, DownReason reason, const std::string& text);
  void destroy_link(std::unique_ptr<Link> link);
  void heartbeat_tick(Now now);
  void advance_shutdown(Now now);
  void finish_closed(Now now, Link& link);
  PeerInfo info(const Link& link) const;
  StreamStats stats(const Link& link, const session::StreamStatsSnapshot& snapshot) const;
  bool unproven(const Link& link, Now now) const;

  // paths.cc
  void consider_path(Now now, Link& link, const Endpoint& from, std::size_t bytes);
  void send_challenge(Now now, Link& link);
  void advance_paths(Now now);
  void end_probe(Link& link);
  void settle_path(Now now, Link& link, const Endpoint& from, std::size_t bytes);
  void note_ended(SessionId session);
  void answer_unknown(Now now, const Endpoint& from, SessionId session, std::size_t bytes);
  void handle_reset(Now now, ByteSpan datagram);
  void ask_for_cookie(Now now, const Endpoint& from, const wire::AttemptTag& attempt);
  void handle_cookie(const Endpoint& from, ByteSpan datagram);

  // control.cc
  void control_peer_up(Now now, const Link& link);
  void control_peer_down(NodeId peer);
  void handle_control(Now now, Link& link);
  void take_capability_event(const capability::Announcer::Event& event);
  void count(capability::Received received);
  void pump_control(Now now);
  void control_timeout(Now now);
  std::optional<TimePoint> next_control_timeout() const;

  // channels.cc
  void advance(Now now, PublishNumber number, Publishing& publishing);
  void finish(Publishing& publishing);
  std::optional<std::string> send_to_subscriber(Now now, PublishNumber number,
                                                Publishing& publishing, NodeId node);
  Expected<std::shared_ptr<session::StreamGate>> channel_stream(Now now, Link& link,
                                                                session::StreamConfig config);
  void settle_tickets(Now now, Link& link);
  void fail_tickets(Now now, NodeId peer);
  void give_up_stalled(Now now);
  void replay_retained(Now now);
  void pump_channels(Now now);

  // dispatch.cc
  void handle_session_packet(Now now, const Endpoint& from, MutableByteSpan packet, SessionId id,
                             bool routed, bool modern);
  void handle_routed(Now now, const Endpoint& from, MutableByteSpan datagram);
  void forward(Now now, const Endpoint& from, const wire::RoutingHeader& header,
               MutableByteSpan datagram);
  std::optional<Endpoint> next_hop(NodeId destination) const;
  void queue_raw(const Endpoint& to, Bytes bytes);
  void touch(Link& link);
  /// Until a modern initiator speaks, its msg1 may be a replay from a forged address.
  static bool may_speak(const Link& link) {
    return link.confirmed || link.initiator || !link.session->modern();
  }
  void rearm(Link& link);
  bool transmit_link(Now now, Link& link, TransmitBatch& batch, bool& full);
  session::PathInfo path_info(const Endpoint& address, bool relayed) const {
    return {address.is_loopback(), relayed, config.max_datagram_bytes};
  }
  bool blocked(const Endpoint& address) const {
    return !blocked_.empty() && blocked_.contains(address);
  }
  bool drain_deadline_passed(Now now) const {
    return drain_until_ && now.monotonic >= *drain_until_;
  }

  NodeConfig config;
  RandomSource& random;
  NodeSink& sink;
  session::HandshakeContext handshake_context;
  session::SessionConfig session_config;
  crypto::SecretKey reset_key;
  CapabilityHost capability_host{*this};
  capability::CapabilityIndex capability_index;
  capability::Announcer announcer;
  identity::TokenCache tokens;
  identity::RevocationRegistry revocations;
  ChannelHost channel_host{*this};
  channel::Broker broker;
  channel::Subscriber subscriber;
  std::map<PublishNumber, Publishing> publishings;  ///< oldest first
  PublishNumber next_publishing = 1;
  std::unordered_map<std::uint64_t, Ticket> tickets;
  std::uint64_t next_ticket = 1;
  /// Subscribers that took nothing for too long, with what waited for them then.
  std::map<std::pair<NodeId, StreamId>, std::uint64_t> stalled;
  std::optional<TimePoint> stall_check_at;
  bool watches_reported = false;  ///< until one is polled
  HandshakeLimiter limiter;
  CookieJar cookies;
  TokenBucket reset_bucket;
  NodeCounters counters;
  StreamRefTable refs;

  std::unordered_map<NodeId, Peer> peers;
  std::unordered_map<SessionId, Link*> sessions;
  std::unordered_map<crypto::Key, Link*, KeyHash>
      by_message1;                              ///< responder links, by the msg1's digest
  std::unordered_map<NodeId, Endpoint> routes;  ///< added by the application
  std::unordered_map<NodeId, LearntRoute> learnt_routes;

  std::vector<PendingConnect> connects;
  std::vector<PendingAccept> accepts;
  std::deque<HeldHandshake> held;
  std::deque<RawDatagram> raw;
  std::deque<Link*> transmit;      ///< links that may have something to send
  std::vector<Link*> batch_links;  ///< links that received something in this batch
  std::set<std::pair<TimePoint, SessionId>> timers;
  std::vector<Link*> probing;                    ///< links with a path under test
  std::unordered_set<SessionId> ended_sessions;  ///< lately, by this node: no reset for them
  std::deque<SessionId> ended_order;

  /// Cookies that one attempt follows: secrets change at most once meanwhile.
  static constexpr unsigned kMaxCookies = 3;
  static constexpr TokenBucket::Rate kResetRate{100, 200};

  RequestId next_request = 0;
  Now turn_time{};  ///< of the call at hand
  bool started = false;
  TimePoint next_heartbeat{};
  bool shutting_down = false;
  bool shutdown_reported = false;
  std::optional<TimePoint> drain_until_;
  std::vector<UnacknowledgedStream> unacknowledged_at_end;

 private:
  friend class Node;
  std::set<Endpoint> blocked_;
};

}  // namespace netmesh::mesh
