#include "runtime/node.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "crypto/aead.h"
#include "crypto/curve.h"
#include "identity/entity.h"
#include "runtime/node_impl.h"
#include "runtime/options.h"
#include "runtime/stream.h"

namespace netmesh::runtime {
namespace {

Expected<Endpoint> parse_address(std::string_view address, const char* what) {
  const auto endpoint = Endpoint::parse(address);
  if (!endpoint) {
    return fail(ErrorKind::kInvalidArgument, std::string(what) + ": invalid socket address syntax");
  }
  return *endpoint;
}

/// An address to send to, which an address of port 0 is not.
Expected<Endpoint> parse_destination(std::string_view address, const char* what) {
  auto endpoint = parse_address(address, what);
  if (endpoint && endpoint->port == 0) {
    return fail(ErrorKind::kInvalidArgument, std::string(what) + ": the port must not be 0");
  }
  return endpoint;
}

double to_milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

CongestionInfo to_congestion_info(const session::CongestionStats& stats) {
  CongestionInfo out;
  out.algorithm = session::name_of(stats.algorithm);
  out.phase = stats.phase;
  out.window_bytes = stats.window;
  out.bytes_in_flight = stats.in_flight;
  if (stats.pacing_rate != 0) out.pacing_rate = static_cast<double>(stats.pacing_rate);
  if (stats.bandwidth != 0) out.bandwidth = static_cast<double>(stats.bandwidth);
  out.ambient_loss = stats.ambient_loss;
  out.spurious_losses = stats.spurious_losses;
  out.events = stats.events;
  out.undone_events = stats.undone_events;
  out.persistent_congestions = stats.persistent_congestions;
  out.probe_timeouts = stats.probe_timeouts;
  return out;
}

PeerInfo to_peer_info(const mesh::PeerInfo& peer) {
  PeerInfo out;
  out.node_id = peer.node_id.value;
  out.address = peer.address.to_string();
  out.relayed = peer.relayed;
  out.modern = peer.security == mesh::SecurityMode::kModern;
  out.alive = peer.alive;
  out.aead = peer.aead;
  if (peer.entity_id) out.entity_id.assign(peer.entity_id->begin(), peer.entity_id->end());
  if (peer.rtt) out.rtt_ms = to_milliseconds(*peer.rtt);
  if (peer.rtt_min) out.rtt_min_ms = to_milliseconds(*peer.rtt_min);
  out.bytes_sent = peer.bytes_sent;
  out.bytes_received = peer.bytes_received;
  out.packets_sent = peer.packets_sent;
  out.packets_received = peer.packets_received;
  out.packets_lost = peer.packets_lost;
  out.bytes_retransmitted = peer.bytes_retransmitted;
  out.connected_at_ns = peer.connected_at_ns;
  out.last_activity_ns = peer.last_activity_ns;
  out.streams = peer.streams;
  if (peer.congestion) out.congestion = to_congestion_info(*peer.congestion);
  return out;
}

StreamStats to_stream_stats(const mesh::StreamStats& stats) {
  StreamStats out;
  out.stream_id = stats.stream_id.value;
  out.tx_seq = stats.tx_seq;
  out.rx_seq = stats.rx_seq;
  out.inbound_pending = stats.inbound_pending;
  out.last_activity_ns = stats.last_activity_ns;
  out.active = stats.active;
  out.backpressure_events = stats.backpressure_events;
  out.credit_grants_received = stats.credit_grants_received;
  out.credit_grants_sent = stats.credit_grants_sent;
  out.tx_credit_remaining = stats.tx_credit_remaining;
  out.tx_window = stats.tx_window;
  return out;
}

void append_counters(const mesh::NodeCounters& machine, std::vector<Counter>& out) {
  const Counter counters[] = {
      {"datagramsReceived", machine.datagrams_received},
      {"datagramsSent", machine.datagrams_sent},
      {"bytesReceived", machine.bytes_received},
      {"bytesSent", machine.bytes_sent},
      {"droppedInvalid", machine.dropped_invalid},
      {"droppedUnknownSession", machine.dropped_unknown_session},
      {"droppedAuthentication", machine.dropped_authentication},
      {"droppedReplay", machine.dropped_replay},
      {"droppedHandshake", machine.dropped_handshake},
      {"droppedRateLimited", machine.dropped_rate_limited},
      {"droppedNoRoute", machine.dropped_no_route},
      {"droppedOverflow", machine.dropped_overflow},
      {"forwarded", machine.forwarded},
      {"handshakesCompleted", machine.handshakes_completed},
      {"protocolViolations", machine.protocol_violations},
      {"cookiesSent", machine.cookies_sent},
      {"resetsSent", machine.resets_sent},
      {"peersRestarted", machine.peers_restarted},
      {"pathsChanged", machine.paths_changed},
      {"pathsFailed", machine.paths_failed},
      {"announcementsAccepted", machine.announcements_accepted},
      {"announcementsRepeated", machine.announcements_repeated},
      {"announcementsRefused", machine.announcements_refused},
      {"announcementsOverLimit", machine.announcements_over_limit},
      {"droppedControl", machine.dropped_control},
      {"controlNotSent", machine.control_not_sent},
  };
  out.insert(out.end(), std::begin(counters), std::end(counters));
}

void append_counters(const UdpSocket& socket, std::vector<Counter>& out) {
  const UdpCounters udp = socket.counters();
  const Counter counters[] = {
      {"socketSendCalls", udp.send_calls},
      {"socketReceiveCalls", udp.receive_calls},
      {"socketSendBlocked", udp.send_blocked},
      {"socketDroppedTooBig", udp.dropped_too_big},
      {"socketDroppedUnreachable", udp.dropped_unreachable},
      {"socketDroppedOther", udp.dropped_other},
      {"socketReceiveErrors", udp.receive_errors},
      {"socketReceiveTruncated", udp.receive_truncated},
      {"socketSendsSegmented", socket.sends_segmented() ? 1u : 0u},
      {"socketReceivesCoalesced", socket.receives_coalesced() ? 1u : 0u},
  };
  out.insert(out.end(), std::begin(counters), std::end(counters));
}

}  // namespace

Expected<std::unique_ptr<Node>> Node::create(NodeOptions options, std::function<void()> on_ready) {
  crypto::initialize();
  auto setup = check_options(options);
  if (!setup) return tl::unexpected<Error>(std::move(setup.error()));
  auto impl = std::make_shared<Impl>();
  impl->max_message_bytes = setup->machine.max_message_bytes;
  auto engine = Engine::create(std::move(*setup), std::move(on_ready));
  if (!engine) return tl::unexpected<Error>(std::move(engine.error()));
  impl->engine = std::move(*engine);
  impl->engine->inspect([&](const mesh::Node& machine) {
    impl->node_id = machine.node_id();
    impl->entity_id = machine.entity_id();
    impl->public_key = machine.public_key();
  });
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}

Node::Node(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Node::~Node() { impl_->engine->stop(); }

std::uint64_t Node::node_id() const { return impl_->node_id.value; }
Bytes Node::entity_id() const { return {impl_->entity_id.begin(), impl_->entity_id.end()}; }
Bytes Node::public_key() const { return {impl_->public_key.begin(), impl_->public_key.end()}; }
std::string Node::local_address() const { return impl_->engine->socket().local().to_string(); }

void Node::start() {
  impl_->engine->command([](mesh::Node& machine, Now now) { machine.start(now); });
}

bool Node::started() const {
  bool started = false;
  impl_->engine->inspect([&](const mesh::Node& machine) { started = machine.started(); });
  return started;
}

Expected<std::uint32_t> Node::connect(std::string_view address, ByteSpan public_key32,
                                      std::uint64_t peer, bool routed,
                                      std::optional<double> timeout_ms) {
  const auto endpoint = parse_destination(address, "invalid peer address");
  if (!endpoint) return tl::unexpected<Error>(endpoint.error());
  crypto::Key public_key{};
  if (public_key32.size() != public_key.size()) {
    return fail(ErrorKind::kInvalidArgument, "public key must be 32 bytes");
  }
  std::copy(public_key32.begin(), public_key32.end(), public_key.begin());
  mesh::ConnectOptions options;
  options.routed = routed;
  if (timeout_ms) {
    const auto timeout = to_duration("timeoutMs", *timeout_ms, Duration::zero());
    if (!timeout) return tl::unexpected<Error>(timeout.error());
    options.timeout = *timeout;
  }
  if (!impl_->engine->accepts_work()) return shut_down();
  Expected<std::uint32_t> request = shut_down();
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    request = machine.connect(now, *endpoint, public_key, NodeId(peer), options);
  });
  return request;
}

Expected<std::uint32_t> Node::accept(std::uint64_t peer) {
  if (!impl_->engine->accepts_work()) return shut_down();
  Expected<std::uint32_t> request = shut_down();
  impl_->engine->command(
      [&](mesh::Node& machine, Now now) { request = machine.accept(now, NodeId(peer)); });
  return request;
}

void Node::cancel(std::uint32_t request) {
  impl_->engine->command([&](mesh::Node& machine, Now) { machine.cancel(request); });
}

void Node::disconnect(std::uint64_t peer) {
  impl_->engine->command(
      [&](mesh::Node& machine, Now now) { machine.disconnect(now, NodeId(peer)); });
}

Expected<void> Node::add_route(std::uint64_t destination, std::string_view next_hop) {
  const auto endpoint = parse_destination(next_hop, "invalid address");
  if (!endpoint) return tl::unexpected<Error>(endpoint.error());
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    machine.add_route(now, NodeId(destination), *endpoint);
  });
  return {};
}

void Node::remove_route(std::uint64_t destination) {
  impl_->engine->command(
      [&](mesh::Node& machine, Now) { machine.remove_route(NodeId(destination)); });
}

Expected<void> Node::set_blocked(std::string_view address, bool blocked) {
  const auto endpoint = parse_address(address, "invalid address");
  if (!endpoint) return tl::unexpected<Error>(endpoint.error());
  impl_->engine->command(
      [&](mesh::Node& machine, Now) { machine.set_blocked(*endpoint, blocked); });
  return {};
}

std::size_t Node::peer_count() const {
  std::size_t count = 0;
  impl_->engine->inspect([&](const mesh::Node& machine) { count = machine.peer_count(); });
  return count;
}

std::vector<PeerInfo> Node::peers() const {
  std::vector<mesh::PeerInfo> peers;
  impl_->engine->inspect([&](const mesh::Node& machine) { peers = machine.peers(); });
  std::vector<PeerInfo> out(peers.size());
  std::transform(peers.begin(), peers.end(), out.begin(), to_peer_info);
  return out;
}

Expected<std::unique_ptr<Stream>> Node::open_stream(std::uint64_t peer, std::uint64_t stream_id,
                                                    bool reliable, std::uint32_t window_bytes,
                                                    std::uint32_t fairness_weight,
                                                    std::uint32_t priority) {
  if (priority >= session::kPriorityClasses) {
    return fail(ErrorKind::kInvalidArgument,
                "priority must be in [0, 3]; got " + std::to_string(priority));
  }
  if (!impl_->engine->accepts_work()) return shut_down();
  const session::StreamConfig config{StreamId(stream_id), reliable, window_bytes, fairness_weight,
                                     static_cast<session::Priority>(priority)};
  Expected<std::shared_ptr<session::StreamGate>> gate = shut_down();
  impl_->engine->command(
      [&](mesh::Node& machine, Now now) { gate = machine.open_stream(now, NodeId(peer), config); });
  if (!gate) return tl::unexpected<Error>(std::move(gate.error()));
  auto stream = std::make_unique<Stream::Impl>(Stream::Impl{impl_->engine, std::move(*gate)});
  return std::unique_ptr<Stream>(new Stream(std::move(stream)));
}

void Node::close_stream(std::uint64_t peer, std::uint64_t stream_id) {
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    machine.close_stream(now, NodeId(peer), StreamId(stream_id));
  });
}

Expected<void> Node::send_to_address(std::string_view address, const EventView* events,
                                     std::size_t count) {
  const auto endpoint = parse_destination(address, "invalid address");
  if (!endpoint) return tl::unexpected<Error>(endpoint.error());
  return impl_->send_unwindowed(
      events, count, [&](const mesh::Node& machine) { return machine.peer_at(*endpoint); });
}

Expected<void> Node::send_to_peer(std::uint64_t peer, const EventView* events, std::size_t count) {
  return impl_->send_unwindowed(events, count,
                                [&](const mesh::Node&) { return std::optional(NodeId(peer)); });
}

std::optional<StreamStats> Node::stream_stats(std::uint64_t peer, std::uint64_t stream_id) const {
  std::optional<mesh::StreamStats> stats;
  impl_->engine->inspect([&](const mesh::Node& machine) {
    stats = machine.stream_stats(NodeId(peer), StreamId(stream_id));
  });
  if (!stats) return std::nullopt;
  return to_stream_stats(*stats);
}

std::vector<StreamStats> Node::all_stream_stats(std::uint64_t peer) const {
  std::vector<mesh::StreamStats> stats;
  impl_->engine->inspect(
      [&](const mesh::Node& machine) { stats = machine.all_stream_stats(NodeId(peer)); });
  std::vector<StreamStats> out(stats.size());
  std::transform(stats.begin(), stats.end(), out.begin(), to_stream_stats);
  return out;
}

std::vector<Counter> Node::counters() const {
  std::vector<Counter> counters;
  impl_->engine->inspect([&](const mesh::Node& machine) {
    append_counters(machine.counters(), counters);
    append_counters(impl_->engine->socket(), counters);
  });
  return counters;
}

Drained Node::drain() { return impl_->engine->drain(); }

int Node::conversation_descriptor() {
  impl_->engine->allow_lending();
  return impl_->engine->application_descriptor();
}

void Node::receive() { impl_->engine->application_turn(); }

void Node::consume(const ConsumedEntry* entries, std::size_t count) {
  impl_->engine->consume(entries, count);
}

void Node::shutdown(double drain_ms) {
  impl_->engine->refuse_work();
  const auto drain = to_duration("drainMs", drain_ms, Duration::zero());
  impl_->engine->command([&](mesh::Node& machine, Now now) {
    machine.shutdown(now, drain.value_or(Duration::zero()));
  });
}

PlatformInfo platform_info() {
  crypto::initialize();
  return {crypto::aes256gcm_available()};
}

std::uint64_t node_id_of_seed(ByteSpan seed32) {
  return identity::LocalIdentity::from_seed(seed32).node_id.value;
}

KeyPair generate_key_pair() {
  crypto::initialize();
  crypto::SystemRandom random;
  const crypto::X25519KeyPair pair = crypto::X25519KeyPair::generate(random);
  const ByteSpan secret = pair.secret.bytes();
  return {Bytes(pair.public_key.begin(), pair.public_key.end()),
          Bytes(secret.begin(), secret.end())};
}

}  // namespace netmesh::runtime
