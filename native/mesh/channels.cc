// Channels over sessions: membership messages, publishes and their acknowledgements.

#include <algorithm>
#include <utility>

#include "channel/errors.h"
#include "mesh/node_impl.h"
#include "wire/net_packet.h"

namespace netmesh::mesh {
namespace {

/// What may wait for one subscriber of a channel before it counts as slow. One publish of any size
/// always may.
constexpr std::uint64_t kMaxSubscriberBacklog = 16u << 20;
/// The window of fire-and-forget publishes, by kind of peer.
constexpr std::uint32_t kModernWindowBytes = 1u << 20;
constexpr std::uint32_t kBaseWindowBytes = 65'536;
/// Channels of this priority and above go before other streams; among those below, a higher one has
/// a larger share.
constexpr std::uint8_t kHighPriority = 128;

session::StreamConfig stream_of(const channel::Broker::Publication& publication, bool reliable) {
  session::StreamConfig out;
  out.stream_id = publication.stream;
  out.reliable = reliable;
  out.fairness_weight = std::uint32_t{publication.priority} + 1;
  out.priority =
      publication.priority >= kHighPriority ? session::Priority::kHigh : session::Priority::kNormal;
  out.channel_hash = publication.wire_hash;
  return out;
}

Slab copy_of(const Slab& slab) {
  Slab out(slab.size());
  if (slab.size() > 0) std::memcpy(out.extend(slab.size()), slab.data(), slab.size());
  return out;
}

/// The cost of events of these sizes as batches count it.
session::OutboundBatch shape_of(const std::vector<std::uint32_t>& sizes) {
  session::BatchCost cost;
  for (const std::uint32_t size : sizes) cost.add(size);
  session::OutboundBatch out;
  out.cost = cost.bytes();
  out.packets = static_cast<std::uint32_t>(cost.packets());
  out.event_count = static_cast<std::uint32_t>(sizes.size());
  return out;
}

std::string unacknowledged_text(StreamId stream) {
  return "connection error: publish: stream " + channel::hex_number(stream.value) +
         " not acknowledged";
}

}  // namespace

std::optional<identity::SubnetId> Node::Impl::ChannelHost::subnet_of(NodeId peer) const {
  return node.capability_index.subnet_of(peer);
}

std::optional<bool> Node::Impl::ChannelHost::satisfies(NodeId id, const capability::Filter& filter,
                                                       TimePoint now) const {
  return node.capability_index.satisfies(id, filter, now);
}

// --- membership ---

channel::Broker& Node::broker() { return impl_->broker; }
const channel::Broker& Node::broker() const { return impl_->broker; }
const channel::Subscriber& Node::subscriptions() const { return impl_->subscriber; }

Expected<channel::RequestId> Node::subscribe(Now now, NodeId publisher,
                                             const channel::ChannelName& name,
                                             channel::SubscribeOptions options) {
  return impl_->subscriber.subscribe(now, publisher, name, std::move(options));
}

Expected<channel::RequestId> Node::unsubscribe(Now now, NodeId publisher,
                                               const channel::ChannelName& name) {
  return impl_->subscriber.unsubscribe(now, publisher, name);
}

void Node::cancel_membership(Now now, channel::RequestId request) {
  impl_->subscriber.cancel(now, request);
}

identity::TokenResult<void> Node::install_credential(Now now, ByteSpan credential) {
  auto chain = identity::TokenChain::parse(credential);
  if (!chain) return tl::unexpected(chain.error());
  if (chain->links().size() > 1) return impl_->broker.install_chain(now, std::move(*chain));
  const auto stored = impl_->tokens.insert(chain->links().front(), identity::unix_seconds(now));
  if (!stored) return tl::unexpected(stored.error());
  return {};
}

bool Node::revoke_below(Now, const identity::EntityId& issuer, std::uint32_t floor) {
  return impl_->revocations.revoke_below(issuer, floor);
}

void Node::Impl::pump_channels(Now now) {
  const auto send = [&](NodeId to, ByteSpan message) {
    Link* link = find_link(to);
    if (link == nullptr || !link->alive) return;
    if (!link->session->send_control(now, wire::subprotocol::kChannelMembership, message))
      ++counters.control_not_sent;
    touch(*link);
  };
  while (const auto message = broker.poll_transmit()) send(message->to, message->message);
  replay_retained(now);
  while (const auto message = subscriber.poll_transmit()) send(message->to, message->message);
  while (const auto event = subscriber.poll_event()) sink.subscription_event(*event);
}

// --- publishing ---

/// The stream of a channel to one subscriber. Another reliability than before opens it anew.
Expected<std::shared_ptr<session::StreamGate>> Node::Impl::channel_stream(
    Now now, Link& link, session::StreamConfig stream) {
  const bool modern = link.session->modern();
  stream.window_bytes = !modern ? kBaseWindowBytes : stream.reliable ? 0 : kModernWindowBytes;
  auto gate = link.session->open_stream(now, stream);
  if (!gate || (*gate)->config.reliable == stream.reliable || !modern) return gate;
  link.session->close_stream(now, stream.stream_id);
  return link.session->open_stream(now, stream);
}

/// Why it was not sent; nothing when it was, or waits for its acknowledgement.
std::optional<std::string> Node::Impl::send_to_subscriber(Now now, PublishNumber number,
                                                          Publishing& publishing, NodeId node) {
  const auto failed = [](const std::string& text) { return "connection error: " + text; };
  Link* link = find_link(node);
  if (link == nullptr || !link->alive || link->session->closing())
    return failed(channel::no_session_text(node));
  if (blocked(link->address)) return failed(channel::partitioned_text(node));
  const StreamId stream = publishing.stream.stream_id;
  const auto gate = channel_stream(now, *link, publishing.stream);
  if (!gate) return failed(channel::backpressured_text(stream));
  if (publishing.largest > (*gate)->max_event_bytes) {
    return failed(channel::send_failed_text("event of " + std::to_string(publishing.largest) +
                                            " bytes exceeds the limit of " +
                                            std::to_string((*gate)->max_event_bytes) + " bytes"));
  }
  const bool awaits = publishing.stream.reliable && link->session->modern();
  session::OutboundBatch batch = std::move(publishing.shape);
  publishing.shape = {{}, batch.cost, batch.event_count, batch.packets, true, 0};
  if (awaits) {
    const std::uint64_t backlog = link->session->stream_backlog(stream);
    if (const auto known = stalled.find({node, stream}); known != stalled.end()) {
      if (backlog >= known->second) return failed(channel::backpressured_text(stream));
      stalled.erase(known);
    }
    const bool fits = backlog == 0 || backlog + publishing.frames.size() <= kMaxSubscriberBacklog;
    if (!fits || !(*gate)->admit_unwindowed(batch.cost, batch.packets, publishing.largest))
      return failed(channel::backpressured_text(stream));
    batch.windowed = false;
    batch.ticket = next_ticket++;
    tickets[batch.ticket] = {number, node};
    ++publishing.inflight;
  } else {
    switch ((*gate)->try_admit(batch.cost, batch.packets)) {
      case session::StreamGate::Admission::kAdmitted:
        break;
      case session::StreamGate::Admission::kBackpressure:
        return failed(channel::backpressured_text(stream));
      case session::StreamGate::Admission::kClosed:
        return failed(channel::stream_closed_text(stream));
    }
    ++publishing.report.delivered;
  }
  // The last one gets the frames themselves.
  batch.frames = publishing.next == publishing.nodes.size() ? std::move(publishing.frames)
                                                            : copy_of(publishing.frames);
  link->session->send(now, **gate, std::move(batch));
  link->last_activity_ns = now.unix_ns;
  touch(*link);
  return std::nullopt;
}

void Node::publish(Now now, RequestId request, const channel::ChannelName& name, Slab frames,
                   const std::vector<std::uint32_t>& sizes, const PublishOptions& options) {
  Impl& impl = *impl_;
  const auto done = [&](Expected<PublishReport> report) {
    impl.sink.publish_done(request, std::move(report));
  };
  if (impl.shutting_down) return done(fail(ErrorKind::kShutDown, "MeshNode has been shut down"));
  const std::uint32_t largest = sizes.empty() ? 0 : *std::max_element(sizes.begin(), sizes.end());
  const channel::ChannelConfig* config = impl.broker.registry().find(name.text());
  const bool reliable = options.reliable.value_or(config != nullptr && config->reliable);
  const std::size_t limit = reliable ? impl.config.max_message_bytes
                                     : wire::kMaxNetPayloadBytes - wire::kEventFrameHeaderBytes;
  if (largest > limit) {
    return done(fail(ErrorKind::kChannel,
                     "channel: payload of " + std::to_string(largest) +
                         " bytes exceeds the limit of " + std::to_string(limit) + " bytes for " +
                         (reliable ? "reliable" : "fire_and_forget") + " publishes"));
  }
  const auto publication =
      impl.broker.recipients(now, name, static_cast<std::uint32_t>(sizes.size()));
  switch (publication.verdict) {
    case channel::Broker::PublishVerdict::kAllowed:
      break;
    case channel::Broker::PublishVerdict::kDenied:
      return done(tl::unexpected<Error>(channel::publish_denied()));
    case channel::Broker::PublishVerdict::kRateLimited:
      return done(tl::unexpected<Error>(channel::publish_rate_exceeded(publication.max_rate_pps)));
  }
  const Impl::PublishNumber number = impl.next_publishing++;
  Impl::Publishing publishing{
      .request = request,
      .name = name,
      .frames = std::move(frames),
      .shape = shape_of(sizes),
      .largest = largest,
      .stream = stream_of(publication, reliable),
      .on_failure = options.on_failure,
      .max_inflight = options.on_failure == OnFailure::kFailFast
                          ? 1
                          : std::max<std::uint32_t>(options.max_inflight, 1),
      .nodes = {publication.nodes.begin(), publication.nodes.end()},
      .progress_at = now.monotonic,
      .report = {}};
  publishing.report.attempted = static_cast<std::uint32_t>(publishing.nodes.size());
  if (publication.retains) {
    const std::byte* at = publishing.frames.data();
    for (const std::uint32_t size : sizes) {
      at += wire::kEventFrameHeaderBytes;
      impl.broker.retain(name, std::make_shared<const Bytes>(at, at + size));
      at += size;
    }
  }
  impl.advance(now, number, publishing);
  if (publishing.inflight != 0) {
    impl.publishings.emplace(number, std::move(publishing));
    if (!impl.stall_check_at) impl.stall_check_at = now.monotonic + impl.config.publish_patience;
  }
}

/// Sends to as many as may wait at a time; when nobody is left, reports.
void Node::Impl::advance(Now now, PublishNumber number, Publishing& publishing) {
  std::vector<PublishReport::Failure>& failures = publishing.report.failures;
  while (publishing.next < publishing.nodes.size() &&
         publishing.inflight < publishing.max_inflight) {
    const NodeId node = publishing.nodes[publishing.next++];
    auto failure = send_to_subscriber(now, number, publishing, node);
    if (!failure) continue;
    // Who shares a queue group with it may do instead; each of them once.
    const auto chosen = publishing.stands_in_for.find(node);
    const NodeId first = chosen == publishing.stands_in_for.end() ? node : chosen->second;
    if (const auto other = broker.stand_in(now, publishing.name, first, node)) {
      publishing.nodes.push_back(*other);
      publishing.stands_in_for.emplace(*other, first);
      continue;
    }
    failures.push_back({node, std::move(*failure)});
    if (publishing.on_failure == OnFailure::kFailFast) break;
  }
  if (publishing.on_failure == OnFailure::kFailFast && !failures.empty())
    publishing.next = publishing.nodes.size();
  if (publishing.inflight == 0 && publishing.next == publishing.nodes.size()) finish(publishing);
}

void Node::Impl::finish(Publishing& publishing) {
  const PublishReport& report = publishing.report;
  broker.report(publishing.name, report.delivered, report.failures.size());
  const bool nobody = report.attempted > 0 && report.delivered == 0;
  if (nobody && publishing.on_failure == OnFailure::kBestEffort && !report.failures.empty()) {
    const auto& [node, text] = report.failures.front();
    sink.publish_done(publishing.request, tl::unexpected<Error>(channel::all_peers_failed(
                                              report.attempted, node, text)));
    return;
  }
  sink.publish_done(publishing.request, std::move(publishing.report));
}

void Node::Impl::settle_tickets(Now now, Link& link) {
  for (const std::uint64_t number : std::exchange(link.settled_tickets, {})) {
    const auto ticket = tickets.find(number);
    if (ticket == tickets.end()) continue;
    const auto found = publishings.find(ticket->second.publishing);
    tickets.erase(ticket);
    if (found == publishings.end()) continue;
    Publishing& publishing = found->second;
    --publishing.inflight;
    ++publishing.report.delivered;
    publishing.progress_at = now.monotonic;
    advance(now, found->first, publishing);
    if (publishing.inflight == 0) publishings.erase(found);
  }
}

/// The session is gone, and with it every acknowledgement that was awaited.
void Node::Impl::fail_tickets(Now now, NodeId peer) {
  if (tickets.empty()) return;
  std::vector<PublishNumber> touched;
  for (auto it = tickets.begin(); it != tickets.end();) {
    if (it->second.node != peer) {
      ++it;
      continue;
    }
    touched.push_back(it->second.publishing);
    it = tickets.erase(it);
  }
  for (const PublishNumber number : touched) {
    const auto found = publishings.find(number);
    if (found == publishings.end()) continue;
    Publishing& publishing = found->second;
    --publishing.inflight;
    publishing.report.failures.push_back(
        {peer, "connection error: " + channel::no_session_text(peer)});
    advance(now, number, publishing);
    if (publishing.inflight == 0) publishings.erase(found);
  }
}

/// Publishes that made no progress for too long end; whom they waited for is slow from now on.
void Node::Impl::give_up_stalled(Now now) {
  stall_check_at.reset();
  std::vector<PublishNumber> late;
  for (const auto& [number, publishing] : publishings) {
    const TimePoint due = publishing.progress_at + config.publish_patience;
    if (due <= now.monotonic)
      late.push_back(number);
    else if (!stall_check_at || due < *stall_check_at)
      stall_check_at = due;
  }
  if (late.empty()) return;
  for (auto it = tickets.begin(); it != tickets.end();) {
    const Ticket ticket = it->second;
    if (!std::binary_search(late.begin(), late.end(), ticket.publishing)) {
      ++it;
      continue;
    }
    Publishing& publishing = publishings.at(ticket.publishing);
    const StreamId stream = publishing.stream.stream_id;
    --publishing.inflight;
    publishing.report.failures.push_back({ticket.node, unacknowledged_text(stream)});
    if (const Link* link = find_link(ticket.node))
      stalled[{ticket.node, stream}] = link->session->stream_backlog(stream);
    it = tickets.erase(it);
  }
  for (const PublishNumber number : late) {
    const auto found = publishings.find(number);
    found->second.progress_at = now.monotonic;
    advance(now, number, found->second);
    if (found->second.inflight == 0)
      publishings.erase(found);
    else if (!stall_check_at)
      stall_check_at = now.monotonic + config.publish_patience;
  }
}

/// What a channel keeps for those who come later.
void Node::Impl::replay_retained(Now now) {
  while (const auto replay = broker.poll_replay()) {
    Link* link = find_link(replay->to);
    if (link == nullptr || link->session->closing()) continue;
    channel::Broker::Publication publication;
    publication.stream = replay->stream;
    publication.priority = replay->priority;
    publication.wire_hash = channel::wire_hash(replay->hash);
    const auto gate = channel_stream(now, *link, stream_of(publication, replay->reliable));
    if (!gate) continue;
    for (const channel::Payload& payload : replay->payloads) {
      const auto size = static_cast<std::uint32_t>(payload->size());
      session::OutboundBatch batch = shape_of({size});
      if (!(*gate)->admit_unwindowed(batch.cost, batch.packets, size)) break;
      batch.windowed = false;
      batch.frames = Slab(wire::kEventFrameHeaderBytes + size);
      wire::write_event_frame(*payload, batch.frames.extend(wire::kEventFrameHeaderBytes + size));
      link->session->send(now, **gate, std::move(batch));
    }
    touch(*link);
  }
}

}  // namespace netmesh::mesh
