// Life of a node, its peers and their streams.

#include <algorithm>

#include "crypto/hash.h"
#include "mesh/node_impl.h"
#include "session/control_message.h"

namespace netmesh::mesh {
namespace {

constexpr std::string_view kResetKeyLabel = "netmesh-reset-key-v1";
/// Silence after which a modern peer counts as failed: the session timeout, but at least this many
/// heartbeats. Base peers get three session timeouts (spec 10 §12.3).
constexpr int kMinSilentHeartbeats = 2;
constexpr int kLegacyTimeouts = 3;
/// A peer silent for this many session timeouts is forgotten (spec 10 §12.3).
constexpr int kEvictionTimeouts = 30;
/// Shorter heartbeats would only burn processor time.
constexpr Duration kMinHeartbeat = std::chrono::milliseconds(10);

capability::CapabilityIndex::Options index_options(const NodeConfig& config, NodeId self) {
  capability::CapabilityIndex::Options out;
  out.self = self;
  out.own_subnet = config.subnet;
  out.has_subnet_policy = config.subnet_policy.has_value();
  out.max_nodes = config.max_indexed_nodes;
  out.sweep_interval = config.capability_gc_interval;
  return out;
}

capability::Announcer::Options announcer_options(const NodeConfig& config) {
  capability::Announcer::Options out;
  out.require_signed = config.require_signed_capabilities;
  out.ttl_secs = config.announcement_ttl_secs;
  out.min_interval = config.min_announce_interval;
  out.sweep_interval = config.capability_gc_interval;
  out.subnet_policy = config.subnet_policy;
  return out;
}

channel::Broker::Options broker_options(const NodeConfig& config,
                                        const identity::LocalIdentity& self) {
  channel::Broker::Options out;
  out.self = self.node_id;
  out.entity = self.entity_id();
  out.own_subnet = config.subnet;
  out.sweep_interval = config.token_sweep_interval;
  return out;
}

channel::Subscriber::Options subscriber_options(const NodeConfig& config) {
  channel::Subscriber::Options out;
  out.ack_timeout = config.membership_ack_timeout;
  return out;
}

std::string aead_name(crypto::AeadAlgorithm algorithm) {
  return algorithm == crypto::AeadAlgorithm::kAes256Gcm ? "aes-256-gcm" : "chacha20-poly1305";
}

}  // namespace

std::string hex_id(NodeId id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  std::uint64_t value = id.value;
  do {
    out.insert(out.begin(), kDigits[value & 0xF]);
    value >>= 4;
  } while (value != 0);
  return "0x" + out;
}

Node::Impl::Impl(NodeConfig node_config, RandomSource& random_source, NodeSink& node_sink, Now now)
    : config(std::move(node_config)),
      random(random_source),
      sink(node_sink),
      handshake_context{
          identity::LocalIdentity::from_seed(config.identity_seed, config.noise_secret),
          crypto::SecretKey(config.psk)},
      reset_key(crypto::blake2s_keyed(config.identity_seed, as_byte_span(kResetKeyLabel))),
      capability_index(index_options(config, handshake_context.identity.node_id)),
      announcer(handshake_context.identity, capability_index, capability_host, random_source,
                announcer_options(config)),
      tokens({.skew_seconds = 0, .hash_seed = random_source.u64()}),
      revocations(random_source.u64()),
      broker(channel_host, tokens, revocations, random_source,
             broker_options(config, handshake_context.identity)),
      subscriber(random_source, subscriber_options(config)),
      limiter(random_source.u64(), config.unproven_handshakes_per_second),
      cookies(random_source) {
  config.heartbeat_interval = std::max(config.heartbeat_interval, kMinHeartbeat);
  handshake_context.allow_legacy = config.allow_legacy_peers;
  handshake_context.aeads = config.aeads;
  if (!crypto::aes256gcm_available()) {
    handshake_context.aeads = static_cast<std::uint8_t>(
        handshake_context.aeads & ~static_cast<unsigned>(crypto::AeadAlgorithm::kAes256Gcm));
  }
  handshake_context.max_datagram = static_cast<std::uint16_t>(TransmitBatch::kMaxDatagramBytes);
  handshake_context.stream_window = config.stream_receive_window;
  handshake_context.session_window = config.session_receive_window;
  handshake_context.max_message = config.max_message_bytes;
  session_config.stream_receive_window = config.stream_receive_window;
  session_config.session_receive_window = config.session_receive_window;
  session_config.max_stream_receive_window = config.max_stream_receive_window;
  session_config.max_session_receive_window = config.max_session_receive_window;
  session_config.max_message_bytes = config.max_message_bytes;
  session_config.max_queued_bytes = config.max_queued_bytes;
  session_config.max_streams = config.max_streams_per_session;
  session_config.stream_idle_timeout = config.stream_idle_timeout;
  session_config.congestion = config.congestion;
  session_config.rekey_interval = config.rekey_interval;
  session_config.key_update_packets = config.key_update_packets;
  session_config.identity = &handshake_context.identity;
  session_config.random = &random;
  session_config.reset_key = &reset_key;
  next_heartbeat = now.monotonic + config.heartbeat_interval;
}

Node::Node(NodeConfig config, RandomSource& random, NodeSink& sink, Now now)
    : impl_(std::make_unique<Impl>(std::move(config), random, sink, now)) {}
Node::~Node() = default;

NodeId Node::node_id() const { return impl_->handshake_context.identity.node_id; }
const crypto::Key& Node::entity_id() const { return impl_->handshake_context.identity.entity_id(); }
const crypto::Key& Node::public_key() const {
  return impl_->handshake_context.identity.noise_static.public_key;
}
std::uint64_t Node::origin_hash() const { return impl_->handshake_context.identity.origin_hash; }
bool Node::started() const { return impl_->started; }

NodeCounters Node::counters() const {
  NodeCounters out = impl_->counters;
  for (const auto& [id, peer] : impl_->peers) {
    if (peer.active) out.dropped_overflow += peer.active->session->stats().events_dropped;
  }
  return out;
}

void Node::start(Now now) {
  Impl& impl = *impl_;
  if (impl.started || impl.shutting_down) return;
  if (!impl.accepts.empty()) return;  // spec 10 §5.6: may be called again later
  impl.started = true;
  impl.next_heartbeat = now.monotonic + impl.config.heartbeat_interval;
  impl.release_held(now);
}

// --- peers ---

Link* Node::Impl::find_link(NodeId peer) const {
  auto it = peers.find(peer);
  return it == peers.end() ? nullptr : it->second.active.get();
}

std::unique_ptr<Link> Node::Impl::make_link(Now now, session::Established established,
                                            const Endpoint& address, bool relayed) {
  if (peers.size() >= config.max_peers && !peers.contains(established.peer)) return nullptr;
  if (sessions.contains(established.session_id)) return nullptr;
  auto link = std::make_unique<Link>(established.peer, sink, refs);
  link->address = address;
  link->relayed = relayed;
  link->initiator = established.initiator;
  link->on_confirmed = [this](Link& confirmed) { confirm(confirmed); };
  link->on_revived = [this](Link& revived) { report_up(turn_time, revived); };
  link->connected_at_ns = link->last_activity_ns = now.unix_ns;
  link->last_heard = link->created_at = now.monotonic;
  if (established.peer_hello) link->entity_id = established.peer_hello->entity_id;
  const session::PathInfo path = path_info(address, relayed);
  session_config.seed = random.u64() | 1;
  link->session =
      established.modern
          ? session::make_modern_session(std::move(established), session_config, path, *link, now)
          : session::make_legacy_session(std::move(established), session_config, path, *link, now);
  return link;
}

bool Node::Impl::begun_by_lower_id(const Link& link) const {
  return link.initiator == (handshake_context.identity.node_id < link.peer);
}

void Node::Impl::report_up(Now now, Link& link) {
  if (!link.entity_id) link.entity_id = announcer.entity_of(link.peer);
  sink.peer_up(link.peer, link.address,
               link.session->modern() ? SecurityMode::kModern : SecurityMode::kLegacy);
  control_peer_up(now, link);
}

void Node::Impl::report_down(NodeId peer, DownReason reason, const std::string& text) {
  sink.peer_down(peer, reason, text);
  // What is known of a peer outlives the session when another takes its place at once.
  if (reason != DownReason::kReplaced) control_peer_down(peer);
}

void Node::Impl::install(Now now, std::unique_ptr<Link> link) {
  Peer& peer = peers[link->peer];
  std::unique_ptr<Link> previous = std::move(peer.active);
  if (previous) {
    // The streams end before their peer goes.
    previous->session->abandon();
    if (previous->alive) {
      report_down(link->peer, DownReason::kReplaced, "a new handshake replaced the session");
    }
  }
  // When both sides connect to each other, each may answer before its own answer has come. Both
  // then prefer the session that the lower id began: it is kept until the peer shows that it has
  // it.
  const auto kept = [&](const std::unique_ptr<Link>& rival) {
    return rival && rival->session->modern() && rival->session->stats().packets_received == 0 &&
           begun_by_lower_id(*rival) && !begun_by_lower_id(*link);
  };
  std::vector<std::unique_ptr<Link>> rivals = std::move(peer.candidates);
  peer.candidates.clear();
  for (std::unique_ptr<Link>& rival : rivals) {
    if (kept(rival))
      peer.candidates.push_back(std::move(rival));
    else if (rival)
      destroy_link(std::move(rival));
  }
  if (kept(previous) && peer.candidates.size() < kMaxCandidates)
    peer.candidates.push_back(std::move(previous));
  for (const std::unique_ptr<Link>& candidate : peer.candidates) candidate->confirmed = false;
  if (previous) destroy_link(std::move(previous));
  Link& installed = *link;
  sessions[installed.session->id()] = &installed;
  peer.active = std::move(link);
  report_up(now, installed);
  touch(installed);
}

std::unique_ptr<Link> Node::Impl::take_candidate(Peer& peer, const Link& link) {
  const auto it = std::find_if(peer.candidates.begin(), peer.candidates.end(),
                               [&](const auto& candidate) { return candidate.get() == &link; });
  if (it == peer.candidates.end()) return nullptr;
  std::unique_ptr<Link> taken = std::move(*it);
  peer.candidates.erase(it);
  return taken;
}

/// The initiator of `link` sent its first packet: only now the msg1 is known to be no replay.
void Node::Impl::confirm(Link& link) {
  Peer& peer = peers[link.peer];
  if (auto candidate = take_candidate(peer, link)) install(turn_time, std::move(candidate));
  resolve_waiting(link.peer, link.address);
}

void Node::Impl::destroy_link(std::unique_ptr<Link> link) {
  end_probe(*link);
  note_ended(link->session->id());
  if (const Link* active = find_link(link->peer); active == nullptr || active == link.get())
    fail_tickets(turn_time, link->peer);
  counters.dropped_overflow += link->session->stats().events_dropped;
  auto session = sessions.find(link->session->id());
  if (session != sessions.end() && session->second == link.get()) sessions.erase(session);
  auto answered = by_message1.find(link->message1_digest);
  if (answered != by_message1.end() && answered->second == link.get()) by_message1.erase(answered);
  if (link->armed) timers.erase({*link->armed, link->session->id()});
  if (link->queued_to_transmit) std::erase(transmit, link.get());
  if (link->in_batch) std::erase(batch_links, link.get());
}

void Node::Impl::remove_link(Link& link, DownReason reason, const std::string& text) {
  auto it = peers.find(link.peer);
  if (it == peers.end()) return;
  Peer& peer = it->second;
  if (auto candidate = take_candidate(peer, link)) {
    destroy_link(std::move(candidate));
    if (!peer.active && peer.candidates.empty()) peers.erase(it);
    return;
  }
  if (peer.active.get() != &link) return;
  const NodeId id = link.peer;
  const bool was_alive = link.alive;
  // The streams end before their peer goes.
  link.session->abandon();
  destroy_link(std::move(peer.active));
  if (was_alive) report_down(id, reason, text);
  // A candidate may still bring the peer up, with its first packet.
  if (peer.candidates.empty()) peers.erase(it);
}

/// A session that either side closed ends once our own CLOSE has left.
void Node::Impl::finish_closed(Now now, Link& link) {
  const auto& closing = link.session->closing();
  if (!closing) return;
  if (!closing->by_peer && link.session->wants_transmit()) {
    // An initiator whose first packet is still on its way hears goodbye when that has come.
    const bool hopeless = shutting_down && drain_deadline_passed(now);
    if (may_speak(link) || !hopeless) return;
  }
  const session::CloseInfo info = *closing;
  DownReason reason = info.code == session::close_code::kGoodbye ? DownReason::kGoodbye
                                                                 : DownReason::kProtocolViolation;
  if (shutting_down && !info.by_peer) reason = DownReason::kShutdown;
  remove_link(link, reason, info.reason);
}

void Node::disconnect(Now, NodeId peer) {
  Link* link = impl_->find_link(peer);
  if (link == nullptr) return;
  link->session->close(session::close_code::kGoodbye, "disconnected");
  impl_->touch(*link);
}

void Node::add_route(Now, NodeId destination, const Endpoint& next_hop) {
  Impl& impl = *impl_;
  impl.routes[destination] = next_hop;
  Link* link = impl.find_link(destination);
  if (link == nullptr || link->address == next_hop) return;
  impl.end_probe(*link);
  link->address = next_hop;
  link->relayed = true;
  link->session->set_path(impl.path_info(next_hop, true));
}

void Node::remove_route(NodeId destination) { impl_->routes.erase(destination); }

void Node::set_blocked(const Endpoint& address, bool blocked) {
  if (blocked) {
    impl_->blocked_.insert(address);
  } else {
    impl_->blocked_.erase(address);
  }
}

std::size_t Node::peer_count() const {
  return static_cast<std::size_t>(
      std::count_if(impl_->peers.begin(), impl_->peers.end(),
                    [](const auto& entry) { return entry.second.active != nullptr; }));
}

std::optional<NodeId> Node::peer_at(const Endpoint& address) const {
  for (const auto& [id, peer] : impl_->peers) {
    if (peer.active && !peer.active->relayed && peer.active->address == address) return id;
  }
  return std::nullopt;
}

PeerInfo Node::Impl::info(const Link& link) const {
  const session::SessionStats stats = link.session->stats();
  PeerInfo out;
  out.node_id = link.peer;
  out.address = link.address;
  out.relayed = link.relayed;
  out.security = link.session->modern() ? SecurityMode::kModern : SecurityMode::kLegacy;
  out.aead = aead_name(link.session->aead());
  out.entity_id = link.entity_id;
  out.rtt = stats.rtt;
  out.rtt_min = stats.rtt_min;
  out.bytes_sent = stats.bytes_sent;
  out.bytes_received = stats.bytes_received;
  out.packets_sent = stats.packets_sent;
  out.packets_received = stats.packets_received;
  out.packets_lost = stats.packets_lost;
  out.bytes_retransmitted = stats.bytes_retransmitted;
  out.congestion = stats.congestion;
  out.connected_at_ns = link.connected_at_ns;
  out.last_activity_ns = link.last_activity_ns;
  out.streams = static_cast<std::uint32_t>(link.session->stream_count());
  out.alive = link.alive;
  return out;
}

std::vector<PeerInfo> Node::peers() const {
  std::vector<PeerInfo> out;
  out.reserve(impl_->peers.size());
  for (const auto& [id, peer] : impl_->peers) {
    if (peer.active) out.push_back(impl_->info(*peer.active));
  }
  std::sort(out.begin(), out.end(),
            [](const PeerInfo& a, const PeerInfo& b) { return a.node_id < b.node_id; });
  return out;
}

/// A modern initiator speaks at once; one that never does was a replay of somebody's old msg1. A
/// session of our own that gave way to the peer's (see `install`) waits for the peer's heartbeats.
bool Node::Impl::unproven(const Link& link, Now now) const {
  return !link.confirmed && link.session->modern() &&
         now.monotonic - link.last_heard >
             (link.initiator ? config.session_timeout : config.handshake_timeout);
}

void Node::Impl::heartbeat_tick(Now now) {
  next_heartbeat = now.monotonic + config.heartbeat_interval;
  std::vector<Link*> forgotten;
  for (auto& [id, peer] : peers) {
    for (const auto& candidate : peer.candidates) {
      if (unproven(*candidate, now)) forgotten.push_back(candidate.get());
    }
    if (!peer.active) continue;
    Link& link = *peer.active;
    if (unproven(link, now)) {
      forgotten.push_back(&link);
      continue;
    }
    const Duration silence = now.monotonic - link.last_heard;
    const Duration modern_limit =
        std::max(config.session_timeout, config.heartbeat_interval * kMinSilentHeartbeats);
    const Duration limit =
        link.session->modern() ? modern_limit : config.session_timeout * kLegacyTimeouts;
    if (link.alive && silence > limit) {
      link.alive = false;
      report_down(id, DownReason::kTimeout, "nothing heard from the peer");
    }
    if (!link.alive && silence > config.session_timeout * kEvictionTimeouts) {
      forgotten.push_back(&link);
      continue;
    }
    link.session->evict_idle(now);
    link.session->heartbeat(now);
    touch(link);
  }
  for (Link* link : forgotten)
    remove_link(*link, DownReason::kTimeout, "nothing heard from the peer");
}

// --- streams ---

Expected<std::shared_ptr<session::StreamGate>> Node::open_stream(
    Now now, NodeId peer, const session::StreamConfig& config) {
  if (session::is_control_stream(config.stream_id)) {
    return fail(ErrorKind::kInvalidArgument, "open_stream failed: stream id " +
                                                 hex_id(NodeId(config.stream_id.value)) +
                                                 " is reserved for control protocols");
  }
  Link* link = impl_->find_link(peer);
  if (link == nullptr || link->session->closing() || impl_->shutting_down) {
    return fail(
        ErrorKind::kNotConnected,
        "open_stream failed: connection error: open_stream: no session for peer " + hex_id(peer));
  }
  return link->session->open_stream(now, config);
}

void Node::close_stream(Now now, NodeId peer, StreamId stream) {
  Link* link = impl_->find_link(peer);
  if (link == nullptr) return;
  link->session->close_stream(now, stream);
  impl_->touch(*link);
}

void Node::send(Now now, const session::StreamGate& gate, session::OutboundBatch batch) {
  Link* link = impl_->find_link(gate.peer);
  if (link == nullptr) return;  // the session's queue went with it
  link->session->send(now, gate, std::move(batch));
  link->last_activity_ns = now.unix_ns;
  impl_->touch(*link);
}

Expected<void> Node::send_unwindowed(Now now, NodeId peer, session::OutboundBatch batch,
                                     std::size_t largest_event) {
  Link* link = impl_->find_link(peer);
  if (link == nullptr || link->session->closing()) {
    return fail(ErrorKind::kNotConnected, "connection error: no session for node " + hex_id(peer));
  }
  auto sent = link->session->send_unwindowed(now, std::move(batch), largest_event);
  link->last_activity_ns = now.unix_ns;
  impl_->touch(*link);
  return sent;
}

void Node::consume(Now now, StreamRef ref, std::uint64_t events, std::uint64_t bytes) {
  const StreamRefTable::Entry* entry = impl_->refs.consume(ref, events);
  if (entry == nullptr || entry->link == nullptr || !entry->link->session) return;
  entry->link->session->consume(now, entry->stream, entry->reliable, events, bytes);
  impl_->touch(*entry->link);
}

StreamStats Node::Impl::stats(const Link& link,
                              const session::StreamStatsSnapshot& snapshot) const {
  StreamStats out;
  out.inbound_pending = refs.outstanding(link, snapshot.stream_id);
  out.stream_id = snapshot.stream_id;
  out.tx_seq = snapshot.tx_seq;
  out.rx_seq = snapshot.rx_seq;
  out.last_activity_ns = snapshot.last_activity_unix;
  out.backpressure_events = snapshot.backpressure_events;
  out.credit_grants_received = snapshot.grants_received;
  out.credit_grants_sent = snapshot.grants_sent;
  out.tx_credit_remaining = snapshot.credit_remaining;
  out.tx_window = snapshot.window;
  return out;
}

std::optional<StreamStats> Node::stream_stats(NodeId peer, StreamId stream) const {
  Link* link = impl_->find_link(peer);
  if (link == nullptr) return std::nullopt;
  const auto snapshot = link->session->stream_stats(stream);
  if (!snapshot) return std::nullopt;
  return impl_->stats(*link, *snapshot);
}

std::vector<StreamStats> Node::all_stream_stats(NodeId peer) const {
  std::vector<StreamStats> out;
  if (Link* link = impl_->find_link(peer)) {
    for (const auto& snapshot : link->session->all_stream_stats())
      out.push_back(impl_->stats(*link, snapshot));
  }
  std::sort(out.begin(), out.end(),
            [](const StreamStats& a, const StreamStats& b) { return a.stream_id < b.stream_id; });
  return out;
}

// --- the end ---

void Node::shutdown(Now now, Duration drain) {
  Impl& impl = *impl_;
  if (impl.shutting_down) return;
  impl.shutting_down = true;
  impl.drain_until_ = now.monotonic + drain;
  impl.held.clear();
  impl.broker.shutdown();
  impl.pump_control(now);
  while (!impl.connects.empty()) {
    impl.fail_connect(impl.connects.size() - 1,
                      Error{ErrorKind::kShutDown, "adapter is shut down"});
  }
  for (const auto& accept : impl.accepts) {
    impl.sink.accept_done(accept.request, fail(ErrorKind::kShutDown, "adapter is shut down"));
  }
  impl.accepts.clear();
  for (auto it = impl.peers.begin(); it != impl.peers.end();) {
    Impl::Peer& peer = it->second;
    for (auto& candidate : peer.candidates) impl.destroy_link(std::move(candidate));
    peer.candidates.clear();
    it = peer.active ? std::next(it) : impl.peers.erase(it);
  }
  impl.advance_shutdown(now);
}

void Node::Impl::advance_shutdown(Now now) {
  if (!shutting_down || shutdown_reported) return;
  const bool late = drain_deadline_passed(now);
  for (auto& [id, peer] : peers) {
    if (!peer.active || peer.active->session->closing()) continue;
    const std::uint64_t waiting = peer.active->session->unacknowledged_bytes();
    if (waiting != 0 && !late && peer.active->alive) continue;
    for (const session::Unacknowledged& left : peer.active->session->unacknowledged())
      unacknowledged_at_end.push_back({id, left.stream_id, left.bytes, left.events});
    peer.active->session->close(session::close_code::kGoodbye, "the node shuts down");
    touch(*peer.active);
  }
  std::vector<Link*> over;
  for (auto& [id, peer] : peers) {
    if (peer.active && peer.active->session->closing() &&
        (!peer.active->session->wants_transmit() || (late && !may_speak(*peer.active)))) {
      over.push_back(peer.active.get());
    }
  }
  for (Link* link : over) finish_closed(now, *link);
  if (peers.empty()) {
    shutdown_reported = true;
    sink.shutdown_done(unacknowledged_at_end);
  }
}

}  // namespace netmesh::mesh
