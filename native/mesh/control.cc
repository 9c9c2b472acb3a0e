// Control protocols: what comes over sessions for the node's own machines, and what they send.

#include <algorithm>
#include <utility>

#include "mesh/node_impl.h"
#include "wire/net_packet.h"

namespace netmesh::mesh {
namespace {

std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Routes that nobody added by hand; beyond this many new ones are not learnt.
constexpr std::size_t kMaxLearntRoutes = 65'536;

}  // namespace

std::optional<NodeId> Node::Impl::CapabilityHost::next_hop(NodeId origin) const {
  if (node.find_link(origin) != nullptr) return origin;
  const auto learnt = node.learnt_routes.find(origin);
  if (learnt == node.learnt_routes.end()) return std::nullopt;
  return learnt->second.via;
}

bool Node::Impl::CapabilityHost::is_blocked(NodeId peer) const {
  const Link* link = node.find_link(peer);
  return link != nullptr && node.blocked(link->address);
}

void Node::Impl::control_peer_up(Now now, const Link& link) {
  capability::Announcer::PeerTraits traits;
  traits.large_messages = link.session->modern();
  traits.entity = link.entity_id;
  announcer.peer_up(now, link.peer, traits);
  broker.peer_up(link.peer, {link.session->modern(), link.entity_id});
  subscriber.peer_up(now, link.peer, {link.session->modern()});
}

void Node::Impl::control_peer_down(NodeId peer) {
  announcer.peer_down(peer);
  broker.peer_down(peer);
  subscriber.peer_down(turn_time, peer);
  fail_tickets(turn_time, peer);
  std::erase_if(stalled, [&](const auto& each) { return each.first.first == peer; });
  std::erase_if(learnt_routes, [&](const auto& route) { return route.second.via == peer; });
}

void Node::Impl::handle_control(Now now, Link& link) {
  std::vector<ControlMessage> messages = std::move(link.control_messages);
  link.control_messages.clear();
  if (find_link(link.peer) != &link) return;  // of a session that was replaced
  for (const ControlMessage& message : messages) {
    switch (message.protocol) {
      case wire::subprotocol::kCapabilityAnnouncement:
        count(announcer.handle(now, link.peer, as_text(message.bytes)));
        break;
      case wire::subprotocol::kChannelMembership:
        if (broker.handle(now, link.peer, message.bytes) == channel::Received::kForSubscriber)
          subscriber.handle(now, link.peer, message.bytes);
        break;
      default:
        ++counters.dropped_control;
    }
  }
  while (const auto event = announcer.poll_event()) take_capability_event(*event);
}

void Node::Impl::take_capability_event(const capability::Announcer::Event& event) {
  if (const auto* identified = std::get_if<capability::Announcer::PeerIdentified>(&event)) {
    if (Link* link = find_link(identified->peer)) link->entity_id = identified->entity;
    broker.entity_learnt(identified->peer, identified->entity);
    return;
  }
  const auto& offer = std::get<capability::Announcer::RouteOffer>(event);
  if (offer.node == handshake_context.identity.node_id) return;
  const auto known = learnt_routes.find(offer.node);
  if (known == learnt_routes.end()) {
    if (learnt_routes.size() < kMaxLearntRoutes)
      learnt_routes.emplace(offer.node, LearntRoute{offer.via, offer.metric});
  } else if (offer.metric < known->second.metric || known->second.via == offer.via) {
    known->second = {offer.via, offer.metric};
  }
}

void Node::Impl::count(capability::Received received) {
  switch (received) {
    case capability::Received::kIndexed:
      ++counters.announcements_accepted;
      return;
    case capability::Received::kOwn:
    case capability::Received::kSeen:
    case capability::Received::kExpired:
      ++counters.announcements_repeated;
      return;
    case capability::Received::kRateLimited:
    case capability::Received::kNoRoom:
      ++counters.announcements_over_limit;
      return;
    case capability::Received::kMalformed:
    case capability::Received::kForeign:
    case capability::Received::kUnsigned:
    case capability::Received::kForged:
    case capability::Received::kWrongNodeId:
    case capability::Received::kWrongIdentity:
      ++counters.announcements_refused;
      return;
  }
}

void Node::Impl::pump_control(Now now) {
  while (const auto message = announcer.poll_transmit()) {
    Link* link = find_link(message->to);
    if (link == nullptr || !link->alive) continue;
    const auto sent = link->session->send_control(now, wire::subprotocol::kCapabilityAnnouncement,
                                                  as_byte_span(*message->document));
    if (!sent) ++counters.control_not_sent;
    touch(*link);
  }
  pump_channels(now);
  if (capability_index.watches_ready() && !std::exchange(watches_reported, true))
    sink.watches_ready();
}

void Node::Impl::control_timeout(Now now) {
  announcer.handle_timeout(now);
  broker.handle_timeout(now);
  subscriber.handle_timeout(now);
  if (stall_check_at && *stall_check_at <= now.monotonic) give_up_stalled(now);
  // Watches learn at once what expires; queries leave it out anyway.
  if (capability_index.has_watches()) capability_index.sweep(now.monotonic);
}

std::optional<TimePoint> Node::Impl::next_control_timeout() const {
  std::optional<TimePoint> next = stall_check_at;
  for (const auto& due :
       {announcer.next_timeout(), broker.next_timeout(), subscriber.next_timeout(),
        capability_index.has_watches() ? capability_index.next_expiry() : std::nullopt}) {
    if (due && (!next || *due < *next)) next = due;
  }
  return next;
}

Expected<void> Node::announce(Now now, capability::CapabilitySet set,
                              std::optional<std::uint32_t> ttl_secs, bool sign) {
  return impl_->announcer.announce(now, std::move(set), ttl_secs, sign);
}

capability::Received Node::take_announcement(Now now, NodeId from, std::string_view document) {
  const capability::Received received = impl_->announcer.handle(now, from, document);
  impl_->count(received);
  while (const auto event = impl_->announcer.poll_event()) impl_->take_capability_event(*event);
  return received;
}

void Node::inject_synthetic_peer(Now now, NodeId node) {
  capability::Announcement announcement;
  announcement.node_id = node;
  announcement.version = 1;
  announcement.timestamp_ns = static_cast<std::uint64_t>(std::max<UnixNanos>(now.unix_ns, 0));
  announcement.ttl_secs = 300;
  impl_->capability_index.upsert(announcement, now);
}

const capability::CapabilityIndex& Node::capabilities() const { return impl_->capability_index; }

const capability::CapabilitySet& Node::own_capabilities() const {
  return impl_->announcer.baseline();
}

Expected<capability::WatchId> Node::watch_capabilities(
    capability::Filter filter, std::optional<capability::ScopeFilter> scope) {
  return impl_->capability_index.watch(std::move(filter), std::move(scope));
}

void Node::unwatch_capabilities(capability::WatchId id) { impl_->capability_index.unwatch(id); }

std::vector<capability::WatchEvent> Node::poll_watch(Now now, capability::WatchId id) {
  impl_->watches_reported = false;
  return impl_->capability_index.poll_watch(id, now.monotonic);
}

}  // namespace netmesh::mesh
