// How peers come: connect, accept, and handshakes that arrive unasked (spec 10 §5).

#include <algorithm>

#include "crypto/hash.h"
#include "mesh/node_impl.h"

namespace netmesh::mesh {
namespace {

/// First repetition of a msg1 inside an attempt; doubles up to kMaxResend.
constexpr Duration kFirstResend = std::chrono::milliseconds(200);
constexpr Duration kMaxResend = std::chrono::milliseconds(1600);
/// Pause after a failed attempt, times the attempt's number (spec 10 §5.5).
constexpr Duration kAttemptPause = std::chrono::milliseconds(100);
/// A msg1 that nobody accepts yet waits as long as one attempt of a base initiator.
constexpr Duration kHoldTime = std::chrono::seconds(5);
constexpr std::size_t kMaxHeld = 64;
/// A session that the peer opened this short a while ago is what a connect to it asks for.
constexpr Duration kCrossingWindow = std::chrono::seconds(1);
/// How long a msg1 may be under way while the handshake that it crosses completes.
constexpr Duration kCrossingTime = std::chrono::seconds(1);

wire::AttemptTag attempt_tag(ByteSpan message1) {
  const crypto::Key digest = crypto::blake2s({message1});
  wire::AttemptTag tag;
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  return tag;
}

Error connection_error(std::string text) {
  return Error{ErrorKind::kConnection, "connection error: " + std::move(text)};
}

}  // namespace

RequestId Node::connect(Now now, const Endpoint& address, const crypto::Key& public_key,
                        NodeId peer, const ConnectOptions& options) {
  Impl& impl = *impl_;
  Impl::PendingConnect pending;
  pending.request = ++impl.next_request;
  pending.address = address;
  pending.public_key = public_key;
  pending.peer = peer;
  pending.routed = options.routed;
  if (options.timeout) pending.gives_up = now.monotonic + *options.timeout;
  const RequestId request = pending.request;
  if (impl.shutting_down) {
    impl.sink.connect_done(request, fail(ErrorKind::kShutDown, "adapter is shut down"));
    return request;
  }
  if (peer == impl.handshake_context.identity.node_id) {
    impl.sink.connect_done(request, fail(ErrorKind::kInvalidArgument,
                                         "connection error: cannot connect to this node itself"));
    return request;
  }
  if (const Link* link = impl.find_link(peer);
      link != nullptr && link->session->modern() && !link->initiator && link->confirmed &&
      link->alive && link->address == address &&
      now.unix_ns - link->connected_at_ns < kCrossingWindow.count()) {
    // The peer's own connect came first by a moment: both are satisfied by one session.
    impl.sink.connect_done(request, {});
    return request;
  }
  for (std::size_t i = 0; i < impl.connects.size(); ++i) {
    const Impl::PendingConnect& other = impl.connects[i];
    if (options.routed && other.routed && routing_id(other.peer) == routing_id(peer)) {
      impl.sink.connect_done(
          request, tl::unexpected<Error>(connection_error(
                       "connect_via: handshake already in flight for peer " + hex_id(peer))));
      return request;
    }
    if (!options.routed && !other.routed && other.address == address && other.peer == peer) {
      impl.fail_connect(i, connection_error("handshake channel dropped"));
      break;
    }
  }
  impl.connects.push_back(std::move(pending));
  impl.begin_attempt(now, impl.connects.back());
  if (!impl.connects.back().handshake) {
    impl.fail_connect(impl.connects.size() - 1,
                      connection_error("the peer's public key is not usable"));
  }
  return request;
}

Expected<RequestId> Node::accept(Now now, NodeId peer) {
  Impl& impl = *impl_;
  if (impl.shutting_down) return fail(ErrorKind::kShutDown, "adapter is shut down");
  if (impl.started) {
    return fail(
        ErrorKind::kFatal,
        "fatal error: Mesh::accept called after start() — a started node accepts peers by itself");
  }
  const unsigned attempts = std::max(1u, impl.config.handshake_retries);
  Duration wait = impl.config.handshake_timeout * attempts;
  for (unsigned i = 1; i < attempts; ++i) wait += kAttemptPause * i;
  impl.accepts.push_back({++impl.next_request, peer, now.monotonic + wait});
  const RequestId request = impl.next_request;
  // A peer that is connected already (its msg1 was answered for another reason) counts as accepted.
  impl.release_held(now);
  return request;
}

void Node::cancel(RequestId request) {
  std::erase_if(impl_->connects, [&](const auto& pending) { return pending.request == request; });
  std::erase_if(impl_->accepts, [&](const auto& pending) { return pending.request == request; });
}

void Node::Impl::begin_attempt(Now now, PendingConnect& pending) {
  ++pending.attempt;
  pending.handshake = session::InitiatorHandshake::create(handshake_context, pending.public_key,
                                                          pending.peer, random);
  if (!pending.handshake) return;
  // The hint lets a started netmesh node answer a direct msg1; base nodes ignore it.
  const Bytes packet = wire::make_handshake_packet(
      pending.handshake->message1(), pending.routed ? 0 : handshake_context.identity.node_id.value);
  if (pending.routed) {
    pending.datagram.resize(wire::kRoutingHeaderBytes);
    wire::RoutingHeader header;
    header.ttl = wire::kRoutedHandshakeTtl;
    header.source = routing_id(handshake_context.identity.node_id);
    header.destination = pending.peer;
    wire::write_routing_header(header, pending.datagram);
    pending.datagram.insert(pending.datagram.end(), packet.begin(), packet.end());
  } else {
    pending.datagram = packet;
  }
  pending.tag = attempt_tag(pending.handshake->message1());
  pending.cookies = 0;
  pending.attempt_ends = now.monotonic + config.handshake_timeout;
  pending.send_interval = kFirstResend;
  pending.next_send = now.monotonic + pending.send_interval;
  queue_raw(pending.address, pending.datagram);
}

void Node::Impl::fail_connect(std::size_t index, Error error) {
  const RequestId request = connects[index].request;
  connects.erase(connects.begin() + static_cast<std::ptrdiff_t>(index));
  report_connect(request, tl::unexpected<Error>(std::move(error)));
}

void Node::Impl::report_connect(RequestId request, Expected<void> result) {
  if (request != 0) sink.connect_done(request, std::move(result));
}

void Node::Impl::advance_connects(Now now) {
  const unsigned attempts = std::max(1u, config.handshake_retries);
  for (std::size_t i = 0; i < connects.size();) {
    PendingConnect& pending = connects[i];
    if (pending.gives_up && now.monotonic >= *pending.gives_up) {
      fail_connect(i, Error{ErrorKind::kConnection, pending.last_error});
      continue;
    }
    if (now.monotonic >= pending.attempt_ends) {
      if (!pending.handshake) {
        begin_attempt(now, pending);
      } else if (pending.attempt >= attempts) {
        fail_connect(i, Error{ErrorKind::kConnection, pending.last_error});
        continue;
      } else {
        pending.handshake.reset();
        pending.attempt_ends = now.monotonic + kAttemptPause * pending.attempt;
      }
    } else if (pending.handshake && now.monotonic >= pending.next_send) {
      queue_raw(pending.address, pending.datagram);
      pending.send_interval = std::min(pending.send_interval * 2, kMaxResend);
      pending.next_send = now.monotonic + pending.send_interval;
    }
    ++i;
  }
}

void Node::Impl::advance_accepts(Now now) {
  for (std::size_t i = 0; i < accepts.size();) {
    if (now.monotonic < accepts[i].gives_up) {
      ++i;
      continue;
    }
    const RequestId request = accepts[i].request;
    accepts.erase(accepts.begin() + static_cast<std::ptrdiff_t>(i));
    sink.accept_done(request, tl::unexpected<Error>(connection_error("handshake timeout")));
  }
  while (!held.empty() && now.monotonic >= held.front().expires) held.pop_front();
}

Node::Impl::PendingAccept* Node::Impl::find_accept(std::uint32_t id) {
  auto it = std::find_if(accepts.begin(), accepts.end(),
                         [&](const PendingAccept& a) { return routing_id(a.peer) == id; });
  return it == accepts.end() ? nullptr : &*it;
}

bool Node::Impl::connecting_to(std::uint32_t id) const {
  return std::any_of(connects.begin(), connects.end(),
                     [&](const auto& c) { return routing_id(c.peer) == id; });
}

void Node::Impl::handle_handshake(Now now, const Endpoint& from,
                                  std::optional<wire::RoutingHeader> routing, ByteSpan packet) {
  if (shutting_down) return;
  const ByteSpan message = wire::handshake_message(packet);
  if (message.size() < crypto::kNoiseOverheadBytes) {
    ++counters.dropped_handshake;
    return;
  }
  const HandshakeLimiter::Kind kind = handshake_kind(from, routing, message.size());
  wire::AttemptTag tag{};
  bool proven = false;
  if (kind == HandshakeLimiter::Kind::kModern && limiter.under_pressure(now.monotonic)) {
    tag = attempt_tag(message);
    proven = cookies.valid(wire::get_cookie(packet), from, tag, now.monotonic);
  }
  switch (limiter.admit(from, kind, proven, now.monotonic)) {
    case HandshakeLimiter::Verdict::kAdmit:
      break;
    case HandshakeLimiter::Verdict::kProveAddress:
      ask_for_cookie(now, from, tag);
      return;
    case HandshakeLimiter::Verdict::kRefuse:
      ++counters.dropped_rate_limited;
      return;
  }
  if (try_as_message2(now, from, routing, message)) return;
  if (!try_as_message1(now, from, routing, packet)) ++counters.dropped_handshake;
}

/// What a handshake message may be, told without any cryptography.
HandshakeLimiter::Kind Node::Impl::handshake_kind(const Endpoint& from,
                                                  const std::optional<wire::RoutingHeader>& routing,
                                                  std::size_t message_bytes) const {
  const bool asked = std::any_of(connects.begin(), connects.end(), [&](const auto& pending) {
    if (!pending.handshake || pending.routed != routing.has_value()) return false;
    return routing ? routing->source == routing_id(pending.peer) : from == pending.address;
  });
  if (asked) return HandshakeLimiter::Kind::kReply;
  // A cookie goes to the sender of the datagram: a relay could do nothing with it.
  const bool direct = !routing || routing->hop_count == 0;
  constexpr std::size_t kModernBytes = crypto::kNoiseOverheadBytes + wire::kHelloBytes;
  return direct && message_bytes >= kModernBytes ? HandshakeLimiter::Kind::kModern
                                                 : HandshakeLimiter::Kind::kLegacy;
}

bool Node::Impl::try_as_message2(Now now, const Endpoint& from,
                                 const std::optional<wire::RoutingHeader>& routing,
                                 ByteSpan message) {
  for (std::size_t i = 0; i < connects.size(); ++i) {
    PendingConnect& pending = connects[i];
    if (!pending.handshake || pending.routed != routing.has_value()) continue;
    if (routing ? routing->source != routing_id(pending.peer) : from != pending.address) continue;
    auto established = pending.handshake->read_message2(message);
    if (!established) {
      if (established.error().kind == ErrorKind::kConnection) {
        // A crossing msg1, or a forgery; the pending attempt goes on.
        continue;
      }
      Error error{ErrorKind::kConnection, "connection error: " + established.error().message};
      fail_connect(i, std::move(error));
      return true;
    }
    const RequestId request = pending.request;
    const NodeId peer = pending.peer;
    const bool relayed = routing && routing->hop_count > 0;
    const Endpoint address = routing && !relayed ? from : pending.address;
    connects.erase(connects.begin() + static_cast<std::ptrdiff_t>(i));
    auto link = make_link(now, std::move(*established), address, relayed);
    if (!link) {
      report_connect(request,
                     tl::unexpected<Error>(connection_error("the node's peer table is full")));
      return true;
    }
    link->confirmed = true;
    ++counters.handshakes_completed;
    install(now, std::move(link));
    report_connect(request, {});
    resolve_waiting(peer, address);
    return true;
  }
  return false;
}

bool Node::Impl::try_as_message1(Now now, const Endpoint& from,
                                 const std::optional<wire::RoutingHeader>& routing,
                                 ByteSpan packet) {
  const ByteSpan message = wire::handshake_message(packet);
  // All of it, so that nobody gets an answer to a message that would not verify.
  const crypto::Key digest = crypto::blake2s({message});
  if (auto it = by_message1.find(digest); it != by_message1.end()) {
    // The same msg1 again: our reply was lost.
    queue_raw(from, it->second->message2);
    return true;
  }
  const std::uint64_t hint = load_le<std::uint64_t>(packet.data() + 32);
  if (routing || hint != 0) {
    const std::uint32_t claimed = routing ? routing->source : static_cast<std::uint32_t>(hint);
    const PendingAccept* accept = find_accept(claimed);
    if (started || accept != nullptr || connecting_to(claimed)) {
      return answer(now, from, routing, message, claimed,
                    accept != nullptr ? std::optional(accept->peer) : std::nullopt);
    }
  } else {
    const std::vector<PendingAccept> candidates = accepts;
    for (const PendingAccept& accept : candidates) {
      if (answer(now, from, routing, message, routing_id(accept.peer), accept.peer)) return true;
    }
    if (started) return false;
  }
  if (started) return false;
  if (held.size() == kMaxHeld) held.pop_front();
  held.push_back({from, routing, Bytes(packet.begin(), packet.end()), now.monotonic + kHoldTime});
  return true;
}

/// We connected to this peer so recently that a msg1 of its own may have crossed ours.
bool Node::Impl::just_connected(const Link& link, Now now) const {
  const bool heard = link.session->stats().packets_received > 0;
  return link.initiator && link.session->modern() &&
         now.monotonic - link.created_at < (heard ? kCrossingTime : config.handshake_timeout);
}

bool Node::Impl::answer(Now now, const Endpoint& from,
                        const std::optional<wire::RoutingHeader>& routing, ByteSpan message,
                        std::uint32_t claimed, std::optional<NodeId> expected) {
  auto outcome = session::respond(handshake_context, message, claimed, expected, random);
  if (!outcome) return false;
  const NodeId peer = outcome->established.peer;
  const bool modern = outcome->established.modern;
  Link* existing = find_link(peer);
  if (modern && handshake_context.identity.node_id < peer &&
      (connecting_to(claimed) || (existing != nullptr && just_connected(*existing, now)))) {
    // Both sides connect to each other: the lower id's handshake goes on, the other is not
    // answered.
    return true;
  }
  if (existing != nullptr && !modern && existing->session->modern() && existing->alive) {
    return false;  // a proven identity does not give way to a claimed one
  }
  if (existing != nullptr && !modern && existing->initiator &&
      now.monotonic - existing->last_heard < config.session_timeout) {
    return false;  // spec 10 §5.8, rotation gate
  }
  const std::optional<Endpoint> known_route = next_hop(peer);
  const bool relayed = routing && routing->hop_count > 0;
  auto link = make_link(now, std::move(outcome->established), from, relayed);
  if (!link) return false;
  link->message1_digest = crypto::blake2s({message});
  by_message1[link->message1_digest] = link.get();
  Bytes reply = wire::make_handshake_packet(outcome->message2);
  if (routing) {
    Bytes routed(wire::kRoutingHeaderBytes);
    wire::RoutingHeader header;
    header.ttl = wire::kRoutedHandshakeTtl;
    header.source = routing_id(handshake_context.identity.node_id);
    header.destination = peer;
    wire::write_routing_header(header, routed);
    routed.insert(routed.end(), reply.begin(), reply.end());
    reply = std::move(routed);
  }
  link->message2 = reply;
  queue_raw(routing && relayed && known_route ? *known_route : from, std::move(reply));
  ++counters.handshakes_completed;
  if (existing != nullptr && modern) {
    // A replayed msg1 must not cost a peer its session, not even one that is silent for now: the
    // new one waits for its first packet.
    Peer& entry = peers[peer];
    if (entry.candidates.size() == kMaxCandidates) {
      destroy_link(std::move(entry.candidates.front()));
      entry.candidates.erase(entry.candidates.begin());
    }
    sessions[link->session->id()] = link.get();
    entry.candidates.push_back(std::move(link));
  } else {
    install(now, std::move(link));
  }
  // A base peer proves nothing until it has something to send; a modern one answers at once.
  if (!modern) resolve_waiting(peer, from);
  return true;
}

void Node::Impl::resolve_waiting(NodeId peer, const Endpoint& from) {
  for (std::size_t i = 0; i < accepts.size();) {
    if (accepts[i].peer != peer) {
      ++i;
      continue;
    }
    const RequestId request = accepts[i].request;
    accepts.erase(accepts.begin() + static_cast<std::ptrdiff_t>(i));
    sink.accept_done(request, from);
  }
  // A connect that crossed the peer's own is satisfied by it.
  for (std::size_t i = 0; i < connects.size();) {
    if (connects[i].peer != peer) {
      ++i;
      continue;
    }
    const RequestId request = connects[i].request;
    connects.erase(connects.begin() + static_cast<std::ptrdiff_t>(i));
    report_connect(request, {});
  }
}

void Node::Impl::release_held(Now now) {
  std::deque<HeldHandshake> waiting;
  waiting.swap(held);
  for (HeldHandshake& item : waiting) {
    if (now.monotonic >= item.expires) continue;
    if (!try_as_message1(now, item.from, item.routing, item.packet)) ++counters.dropped_handshake;
  }
}

}  // namespace netmesh::mesh
