// Datagrams in and out.

#include <algorithm>

#include "mesh/node_impl.h"
#include "wire/classify.h"
#include "wire/modern_control.h"
#include "wire/modern_packet.h"

namespace netmesh::mesh {
namespace {

/// Packets that one peer may put into a batch before the next one's turn: one system call's worth.
constexpr int kPacketsPerTurn = 64;
/// Datagrams that wait outside of any session: handshakes and packets for other nodes.
constexpr std::size_t kMaxRawDatagrams = 4096;

/// Base packets of up to 8192 bytes, ours and forwarded ones, cross small paths as IP fragments.
bool needs_fragments(const Endpoint& to, std::size_t bytes) {
  return bytes > wire::kBaseDatagramBytes && !to.is_loopback();
}

}  // namespace

void Node::handle_datagram(Now now, const Endpoint& from, MutableByteSpan datagram) {
  Impl& impl = *impl_;
  impl.turn_time = now;
  ++impl.counters.datagrams_received;
  impl.counters.bytes_received += datagram.size();
  if (impl.blocked(from)) return;
  switch (wire::classify(datagram)) {
    case wire::DatagramKind::kPunchKeepAlive:
    case wire::DatagramKind::kPingwave:
      return;  // consumed; discovery and NAT traversal listen here later
    case wire::DatagramKind::kInvalid:
      ++impl.counters.dropped_invalid;
      return;
    case wire::DatagramKind::kRouted:
      impl.handle_routed(now, from, datagram);
      return;
    case wire::DatagramKind::kModern: {
      if (datagram.size() >= wire::kModernHeaderBytes) {
        const wire::ModernKind kind = wire::modern_kind(datagram);
        if (kind == wire::ModernKind::kReset) return impl.handle_reset(now, datagram);
        if (kind == wire::ModernKind::kCookie) return impl.handle_cookie(from, datagram);
      }
      const auto header = wire::parse_modern_header(datagram);
      if (!header) {
        ++impl.counters.dropped_invalid;
        return;
      }
      impl.handle_session_packet(now, from, datagram, header->session_id, false, true);
      return;
    }
    case wire::DatagramKind::kBase: {
      const auto header = wire::parse_net_packet(datagram);
      if (!header) {
        ++impl.counters.dropped_invalid;
        return;
      }
      if (header->is_handshake()) {
        impl.handle_handshake(now, from, std::nullopt, datagram);
      } else {
        impl.handle_session_packet(now, from, datagram, header->session_id, false, false);
      }
      return;
    }
  }
}

void Node::Impl::handle_routed(Now now, const Endpoint& from, MutableByteSpan datagram) {
  const auto routing = wire::parse_routing_header(datagram);
  if (!routing) {
    ++counters.dropped_invalid;
    return;
  }
  if (routing->destination != handshake_context.identity.node_id) {
    forward(now, from, *routing, datagram);
    return;
  }
  const MutableByteSpan inner = datagram.subspan(wire::kRoutingHeaderBytes);
  const wire::DatagramKind kind = wire::classify(inner);
  if (kind == wire::DatagramKind::kModern) {
    if (const auto header = wire::parse_modern_header(inner)) {
      handle_session_packet(now, from, inner, header->session_id, true, true);
      return;
    }
  } else if (kind == wire::DatagramKind::kBase) {
    if (const auto header = wire::parse_net_packet(inner)) {
      if (header->is_heartbeat()) return;  // link-local (spec 10 §12.1)
      if (header->is_handshake()) {
        handle_handshake(now, from, routing, inner);
      } else {
        handle_session_packet(now, from, inner, header->session_id, true, false);
      }
      return;
    }
  }
  ++counters.dropped_invalid;
}

void Node::Impl::handle_session_packet(Now now, const Endpoint& from, MutableByteSpan packet,
                                       SessionId id, bool routed, bool modern) {
  auto it = sessions.find(id);
  if (it == sessions.end()) {
    ++counters.dropped_unknown_session;
    if (modern && !routed) answer_unknown(now, from, id, packet.size());
    return;
  }
  Link& link = *it->second;
  switch (link.session->handle_packet(now, packet)) {
    case session::PacketVerdict::kMalformed:
      ++counters.dropped_invalid;
      return;
    case session::PacketVerdict::kReplay:
      ++counters.dropped_replay;
      return;
    case session::PacketVerdict::kAuthenticationFailed:
      ++counters.dropped_authentication;
      return;
    case session::PacketVerdict::kProtocolViolation:
      ++counters.protocol_violations;
      break;
    case session::PacketVerdict::kAccepted:
      break;
  }
  if (modern && !routed) {
    settle_path(now, link, from, packet.size());
    if (from != link.address && !link.relayed && link.session->last_was_newest())
      consider_path(now, link, from, packet.size());
  }
  link.last_heard = now.monotonic;
  link.last_activity_ns = now.unix_ns;
  link.revive();
  if (!link.control_messages.empty()) handle_control(now, link);
  if (!link.settled_tickets.empty()) settle_tickets(now, link);
  if (link.session->closing() && link.session->closing()->by_peer) {
    finish_closed(now, link);
    return;
  }
  if (!link.in_batch) {
    link.in_batch = true;
    batch_links.push_back(&link);
  }
  touch(link);
}

void Node::Impl::forward(Now, const Endpoint& from, const wire::RoutingHeader& header,
                         MutableByteSpan datagram) {
  const auto hop = started && header.ttl != 0 ? next_hop(header.destination) : std::nullopt;
  if (!hop || *hop == from || blocked(*hop)) {
    ++counters.dropped_no_route;
    return;
  }
  wire::RoutingHeader onward = header;
  --onward.ttl;
  if (onward.hop_count != 255) ++onward.hop_count;
  wire::write_routing_header(onward, datagram);
  ++counters.forwarded;
  queue_raw(*hop, Bytes(datagram.begin(), datagram.end()));
}

std::optional<Endpoint> Node::Impl::next_hop(NodeId destination) const {
  if (auto route = routes.find(destination); route != routes.end()) return route->second;
  if (const Link* link = find_link(destination)) return link->address;
  if (auto learnt = learnt_routes.find(destination); learnt != learnt_routes.end()) {
    if (const Link* link = find_link(learnt->second.via)) return link->address;
  }
  return std::nullopt;
}

void Node::Impl::queue_raw(const Endpoint& to, Bytes bytes) {
  if (raw.size() >= kMaxRawDatagrams) {
    ++counters.dropped_no_route;
    return;
  }
  raw.push_back({to, std::move(bytes)});
}

void Node::end_of_batch(Now now) {
  Impl& impl = *impl_;
  for (Link* link : impl.batch_links) {
    link->in_batch = false;
    link->session->end_of_batch(now);
    impl.touch(*link);
  }
  impl.batch_links.clear();
}

void Node::Impl::touch(Link& link) {
  if (link.queued_to_transmit) return;
  link.queued_to_transmit = true;
  transmit.push_back(&link);
}

/// Keeps the link's place in the timer set in step with its session.
void Node::Impl::rearm(Link& link) {
  const auto wanted = link.session->next_timeout();
  if (wanted == link.armed) return;
  if (link.armed) timers.erase({*link.armed, link.session->id()});
  link.armed = wanted;
  if (wanted) timers.insert({*wanted, link.session->id()});
}

bool Node::Impl::transmit_link(Now now, Link& link, TransmitBatch& batch, bool& full) {
  const std::size_t header_bytes = link.relayed ? wire::kRoutingHeaderBytes : 0;
  for (int packets = 0; packets < kPacketsPerTurn; ++packets) {
    if (!may_speak(link)) return false;
    if (!link.session->wants_transmit()) return false;
    const MutableByteSpan room = batch.begin(link.session->max_packet_bytes() + header_bytes);
    if (room.empty()) {
      full = true;
      return true;
    }
    const std::size_t size = link.session->poll_transmit(now, room.subspan(header_bytes));
    if (size == 0) return false;
    if (blocked(link.address)) continue;
    if (link.relayed) {
      wire::RoutingHeader header;
      header.ttl = wire::kRoutedDataTtl;
      header.source = routing_id(handshake_context.identity.node_id);
      header.destination = link.peer;
      wire::write_routing_header(header, room);
    }
    batch.commit(link.address, header_bytes + size,
                 !link.session->modern() && needs_fragments(link.address, header_bytes + size));
    ++counters.datagrams_sent;
    counters.bytes_sent += header_bytes + size;
  }
  return true;
}

bool Node::poll_transmit(Now now, TransmitBatch& batch) {
  Impl& impl = *impl_;
  impl.turn_time = now;
  impl.pump_control(now);
  while (!impl.raw.empty()) {
    const Impl::RawDatagram& datagram = impl.raw.front();
    if (!impl.blocked(datagram.to) && datagram.bytes.size() <= TransmitBatch::kMaxDatagramBytes) {
      const MutableByteSpan room = batch.begin(datagram.bytes.size());
      if (room.empty()) return true;
      std::memcpy(room.data(), datagram.bytes.data(), datagram.bytes.size());
      batch.commit(datagram.to, datagram.bytes.size(),
                   needs_fragments(datagram.to, datagram.bytes.size()));
      ++impl.counters.datagrams_sent;
      impl.counters.bytes_sent += datagram.bytes.size();
    }
    impl.raw.pop_front();
  }
  bool full = false;
  while (!impl.transmit.empty() && !full) {
    Link& link = *impl.transmit.front();
    if (impl.transmit_link(now, link, batch, full)) {
      if (!full) {
        impl.transmit.pop_front();
        impl.transmit.push_back(&link);
      }
      continue;
    }
    impl.transmit.pop_front();
    link.queued_to_transmit = false;
    if (link.session->closing()) {
      impl.finish_closed(now, link);
    } else {
      impl.rearm(link);
    }
  }
  if (impl.shutting_down && impl.transmit.empty()) impl.advance_shutdown(now);
  return full || !impl.transmit.empty() || !impl.raw.empty();
}

void Node::handle_timeout(Now now) {
  Impl& impl = *impl_;
  impl.turn_time = now;
  impl.control_timeout(now);
  impl.advance_connects(now);
  impl.advance_accepts(now);
  impl.advance_paths(now);
  while (!impl.timers.empty() && impl.timers.begin()->first <= now.monotonic) {
    const SessionId id = impl.timers.begin()->second;
    impl.timers.erase(impl.timers.begin());
    auto it = impl.sessions.find(id);
    if (it == impl.sessions.end()) continue;
    Link& link = *it->second;
    link.armed.reset();
    link.session->handle_timeout(now);
    impl.touch(link);
  }
  if (impl.started && now.monotonic >= impl.next_heartbeat) impl.heartbeat_tick(now);
  if (impl.shutting_down) impl.advance_shutdown(now);
}

std::optional<TimePoint> Node::next_timeout() const {
  const Impl& impl = *impl_;
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint at) {
    if (!next || at < *next) next = at;
  };
  if (impl.started && !impl.shutdown_reported) consider(impl.next_heartbeat);
  if (!impl.timers.empty()) consider(impl.timers.begin()->first);
  for (const auto& pending : impl.connects) {
    consider(pending.attempt_ends);
    if (pending.handshake) consider(pending.next_send);
    if (pending.gives_up) consider(*pending.gives_up);
  }
  if (const auto control = impl.next_control_timeout(); control && !impl.shutdown_reported)
    consider(*control);
  for (const auto& accept : impl.accepts) consider(accept.gives_up);
  for (const Link* link : impl.probing) consider(link->probe->next);
  if (!impl.held.empty()) consider(impl.held.front().expires);
  if (impl.shutting_down && !impl.shutdown_reported && impl.drain_until_)
    consider(*impl.drain_until_);
  return next;
}

}  // namespace netmesh::mesh
