#include "channel/subscriber.h"

#include <algorithm>

#include "channel/errors.h"
#include "identity/token_chain.h"

namespace netmesh::channel {
namespace {

/// Base nodes know single tokens, not chains of one.
Bytes bare_if_single(const Bytes& credential) {
  if (credential.size() != identity::kTokenBytes + 1) return credential;
  return {credential.begin() + 1, credential.end()};
}

}  // namespace

// --- requests ---

Expected<void> Subscriber::check(const ChannelName& channel, NodeId publisher,
                                 const SubscribeOptions& options) const {
  if (!options.credential.empty()) {
    if (auto chain = identity::TokenChain::parse(options.credential); !chain)
      return tl::unexpected(identity::to_error(chain.error()));
  }
  if (!options.queue_group.empty() && !is_queue_group(options.queue_group)) {
    return tl::unexpected(invalid_config("invalid queueGroup: expected 1 to " +
                                         std::to_string(kMaxQueueGroupBytes) + " bytes of UTF-8"));
  }
  const auto peer = publishers_.find(publisher);
  if (peer == publishers_.end() || !peer->second.up)
    return tl::unexpected(no_session_to_publisher(publisher));
  const auto same = by_stream_.find({publisher, channel.stream()});
  if (same != by_stream_.end() && same->second->name != channel) {
    return tl::unexpected(invalid_config("channel " + channel.text() + " has the same hash as " +
                                         same->second->name.text()));
  }
  if (same == by_stream_.end() && by_stream_.size() >= options_.max_subscriptions)
    return tl::unexpected(too_many_requests(options_.max_subscriptions));
  if (by_request_.size() >= options_.max_requests)
    return tl::unexpected(too_many_requests(options_.max_requests));
  return {};
}

Expected<RequestId> Subscriber::subscribe(Now now, NodeId publisher, const ChannelName& channel,
                                          SubscribeOptions options) {
  if (auto sound = check(channel, publisher, options); !sound) return tl::unexpected(sound.error());
  return enqueue(now, open_entry(publisher, channel), Kind::kSubscribe, std::move(options));
}

Expected<RequestId> Subscriber::unsubscribe(Now now, NodeId publisher, const ChannelName& channel) {
  Entry* entry = find_entry(publisher, channel.text());
  if (entry != nullptr && entry->held && !entry->publisher.up) {
    // A publisher that is away has forgotten it, or will when it notices.
    release(*entry);
    const RequestId id(next_request_++);
    events_.emplace_back(UnsubscribeDone{id, Outcome::kAccepted, AckReason::kNone});
    advance(now, *entry);
    forget_if_idle(publisher);
    return id;
  }
  if (auto sound = check(channel, publisher, {}); !sound) return tl::unexpected(sound.error());
  Entry& open = open_entry(publisher, channel);
  release(open);
  return enqueue(now, open, Kind::kUnsubscribe, {});
}

void Subscriber::cancel(Now now, RequestId request) {
  const auto known = by_request_.find(request);
  if (known == by_request_.end()) return;
  Entry& entry = *known->second;
  by_request_.erase(known);
  if (entry.exchange && entry.exchange->request.id == request) {
    // The publisher may have granted it: its Ack tells, and is waited for.
    entry.exchange->request.id = RequestId();
    return;
  }
  std::erase_if(entry.waiting, [&](const Request& each) { return each.id == request; });
  const NodeId publisher = entry.publisher.id;
  advance(now, entry);
  forget_if_idle(publisher);
}

RequestId Subscriber::enqueue(Now now, Entry& entry, Kind kind, SubscribeOptions options) {
  const RequestId id(next_request_++);
  by_request_.emplace(id, &entry);
  ++counters_.requests;
  entry.waiting.push_back({id, kind, std::move(options)});
  // What the application asks for goes before what is repeated for it.
  if (entry.exchange && entry.exchange->request.kind == Kind::kResume) {
    by_nonce_.erase(entry.exchange->nonce);
    entry.exchange.reset();
    entry.held->resume_at = now.monotonic;
  }
  advance(now, entry);
  return id;
}

// --- entries ---

Subscriber::Entry& Subscriber::open_entry(NodeId id, const ChannelName& channel) {
  Publisher& publisher = publishers_[id];
  publisher.id = id;
  if (const auto known = publisher.entries.find(channel.text()); known != publisher.entries.end())
    return known->second;
  Entry& entry = publisher.entries.try_emplace(channel.text(), publisher, channel, next_serial_++)
                     .first->second;
  by_stream_.emplace(StreamKey{id, channel.stream()}, &entry);
  return entry;
}

Subscriber::Entry* Subscriber::find_entry(NodeId publisher, std::string_view channel) {
  const auto peer = publishers_.find(publisher);
  if (peer == publishers_.end()) return nullptr;
  const auto found = peer->second.entries.find(channel);
  return found == peer->second.entries.end() ? nullptr : &found->second;
}

void Subscriber::advance(Now now, Entry& entry) {
  if (!entry.exchange && !entry.waiting.empty()) {
    Request next = std::move(entry.waiting.front());
    entry.waiting.erase(entry.waiting.begin());
    begin(now, entry, std::move(next));
  }
  if (!entry.exchange && entry.held && entry.held->resume_at && entry.publisher.up &&
      *entry.held->resume_at <= now.monotonic) {
    entry.held->resume_at.reset();
    begin(now, entry, {RequestId(), Kind::kResume, entry.held->options});
  }
  set_timer(entry);
  if (!entry.idle()) return;
  Publisher& publisher = entry.publisher;
  by_stream_.erase({publisher.id, entry.name.stream()});
  publisher.entries.erase(publisher.entries.find(entry.name.text()));
}

void Subscriber::forget_if_idle(NodeId id) {
  const auto known = publishers_.find(id);
  if (known != publishers_.end() && !known->second.up && known->second.entries.empty())
    publishers_.erase(known);
}

void Subscriber::begin(Now now, Entry& entry, Request request) {
  // What left before this left is over.
  if (request.kind == Kind::kUnsubscribe) release(entry);
  Exchange exchange;
  exchange.request = std::move(request);
  do {
    exchange.nonce = random_.u64();
  } while (by_nonce_.contains(exchange.nonce));
  exchange.deadline = now.monotonic + options_.ack_timeout;
  exchange.retry_after = options_.first_retry;
  exchange.retry_at = now.monotonic + options_.first_retry;
  by_nonce_.emplace(exchange.nonce, &entry);
  entry.exchange = std::move(exchange);
  transmit(entry);
}

Message Subscriber::message_of(const Entry& entry) const {
  const Exchange& exchange = *entry.exchange;
  const SubscribeOptions& options = exchange.request.options;
  if (exchange.request.kind == Kind::kUnsubscribe) return Unsubscribe{exchange.nonce, entry.name};
  Subscribe base{exchange.nonce, entry.name, options.credential, options.queue_group};
  if (!entry.publisher.traits.modern) {
    base.credential = bare_if_single(options.credential);
    return base;
  }
  const bool resumed = exchange.request.kind == Kind::kResume;
  return ModernSubscribe{std::move(base), options.replay, resumed ? entry.held->epoch : 0};
}

void Subscriber::transmit(Entry& entry) {
  if (!entry.publisher.up) return;
  if (queue_.size() >= options_.max_queued) {
    ++counters_.dropped_queue_full;
    return;
  }
  queue_.push_back({entry.publisher.id, encode(message_of(entry))});
}

void Subscriber::hold(Entry& entry, SubscribeOptions options, const ModernAck& ack) {
  if (!entry.held) ++subscribed_;
  entry.held = Held{.options = std::move(options),
                    .nonce = ack.base.nonce,
                    .epoch = ack.epoch,
                    .active = true,
                    .reliable = ack.reliable,
                    .resume_at = {},
                    .resume_until = {}};
}

void Subscriber::release(Entry& entry) {
  if (entry.held) --subscribed_;
  entry.held.reset();
  if (!entry.exchange || entry.exchange->request.kind != Kind::kResume) return;
  by_nonce_.erase(entry.exchange->nonce);
  entry.exchange.reset();
}

void Subscriber::suspend(Entry& entry) {
  entry.held->active = false;
  events_.emplace_back(Suspended{entry.publisher.id, entry.name});
}

void Subscriber::lose(Entry& entry, decltype(SubscriptionLost::reason) reason) {
  release(entry);
  events_.emplace_back(SubscriptionLost{entry.publisher.id, entry.name, reason});
}

// --- peers ---

void Subscriber::peer_up(Now now, NodeId id, PeerTraits traits) {
  Publisher& publisher = publishers_[id];
  publisher.id = id;
  publisher.up = true;
  publisher.traits = traits;
  for (auto at = publisher.entries.begin(); at != publisher.entries.end();) {
    Entry& entry = at->second;
    ++at;
    if (entry.exchange) transmit(entry);
    if (entry.held && !(entry.exchange && entry.exchange->request.kind == Kind::kResume)) {
      entry.held->active = false;
      entry.held->resume_at = now.monotonic;
      entry.held->resume_until = now.monotonic + options_.resume_patience;
      entry.held->resume_delay = options_.first_resume_delay;
    }
    advance(now, entry);
  }
}

void Subscriber::peer_down(Now now, NodeId id) {
  const auto known = publishers_.find(id);
  if (known == publishers_.end()) return;
  Publisher& publisher = known->second;
  publisher.up = false;
  std::erase_if(queue_, [&](const Transmit& each) { return each.to == id; });
  for (auto at = publisher.entries.begin(); at != publisher.entries.end();) {
    Entry& entry = at->second;
    ++at;
    if (entry.exchange && entry.exchange->request.kind == Kind::kResume) {
      by_nonce_.erase(entry.exchange->nonce);
      entry.exchange.reset();
    }
    if (entry.held && entry.held->active) suspend(entry);
    if (entry.held) entry.held->resume_at.reset();
    advance(now, entry);
  }
  forget_if_idle(id);
}

Received Subscriber::handle(Now now, NodeId from, ByteSpan bytes) {
  const auto peer = publishers_.find(from);
  if (peer == publishers_.end() || !peer->second.up) return Received::kForeign;
  const auto message = decode(bytes);
  if (!message) return Received::kMalformed;
  if (const auto* ack = std::get_if<Ack>(&*message)) {
    ModernAck plain;
    plain.base = *ack;
    handle_ack(now, from, plain);
    return Received::kHandled;
  }
  const bool modern = peer->second.traits.modern;
  if (const auto* ack = std::get_if<ModernAck>(&*message)) {
    if (!modern) return Received::kUnexpected;
    handle_ack(now, from, *ack);
    return Received::kHandled;
  }
  if (const auto* notice = std::get_if<Evicted>(&*message)) {
    if (!modern) return Received::kUnexpected;
    if (Entry* entry = find_entry(from, notice->name.text())) handle_evicted(now, *entry, *notice);
    return Received::kHandled;
  }
  return Received::kUnexpected;
}

void Subscriber::handle_ack(Now now, NodeId from, const ModernAck& ack) {
  const auto known = by_nonce_.find(ack.base.nonce);
  // Nonces are secrets between the two ends of a session: another end's Ack is a forgery.
  if (known == by_nonce_.end() || known->second->publisher.id != from) {
    ++counters_.ignored_acks;
    return;
  }
  settle(now, *known->second, ack.base.accepted ? Outcome::kAccepted : Outcome::kRefused, ack);
}

void Subscriber::handle_evicted(Now now, Entry& entry, const Evicted& notice) {
  // A notice about a subscription that has been replaced since is history.
  if (!entry.held || !entry.held->active || entry.held->nonce != notice.nonce) return;
  if (notice.reason == EvictionReason::kShutdown) {
    suspend(entry);
  } else {
    lose(entry, notice.reason);
  }
  advance(now, entry);
}

// --- outcomes ---

void Subscriber::settle(Now now, Entry& entry, Outcome outcome, const ModernAck& ack) {
  by_nonce_.erase(entry.exchange->nonce);
  const Request request = std::move(entry.exchange->request);
  entry.exchange.reset();
  if (request.id != RequestId()) by_request_.erase(request.id);
  const bool accepted = outcome == Outcome::kAccepted;
  switch (request.kind) {
    case Kind::kSubscribe:
      if (request.id != RequestId()) {
        events_.emplace_back(
            SubscribeDone{request.id, outcome, ack.base.reason, ack.reliable, ack.replayed});
        if (accepted) hold(entry, request.options, ack);
      } else if (accepted && !entry.held) {
        entry.waiting.insert(entry.waiting.begin(), {RequestId(), Kind::kUnsubscribe, {}});
      }
      break;
    case Kind::kUnsubscribe:
      if (request.id != RequestId())
        events_.emplace_back(UnsubscribeDone{request.id, outcome, ack.base.reason});
      break;
    case Kind::kResume:
      settle_resume(now, entry, outcome, ack);
      break;
  }
  advance(now, entry);
}

void Subscriber::settle_resume(Now now, Entry& entry, Outcome outcome, const ModernAck& ack) {
  if (outcome == Outcome::kAccepted) {
    hold(entry, std::move(entry.held->options), ack);
    events_.emplace_back(Resubscribed{entry.publisher.id, entry.name, ack.reliable, ack.replayed});
    return;
  }
  Held& held = *entry.held;
  if (now.monotonic + held.resume_delay <= held.resume_until) {
    held.resume_at = now.monotonic + held.resume_delay;
    held.resume_delay = std::min(2 * held.resume_delay, options_.longest_resume_delay);
  } else if (outcome == Outcome::kRefused) {
    lose(entry, ack.base.reason);
  } else {
    lose(entry, std::monostate());
  }
}

// --- the crank ---

void Subscriber::set_timer(Entry& entry) {
  std::optional<TimePoint> due;
  if (entry.exchange) {
    due = entry.exchange->deadline;
    if (entry.publisher.up && !entry.publisher.traits.modern)
      due = std::min(*due, entry.exchange->retry_at);
  } else if (entry.held && entry.publisher.up) {
    due = entry.held->resume_at;
  }
  if (due == entry.due) return;
  if (entry.due) timers_.erase({*entry.due, entry.serial, &entry});
  if (due) timers_.emplace(*due, entry.serial, &entry);
  entry.due = due;
}

void Subscriber::on_timer(Now now, Entry& entry) {
  if (entry.exchange && entry.exchange->deadline <= now.monotonic) {
    ++counters_.timeouts;
    settle(now, entry, Outcome::kTimedOut, {});
    return;
  }
  if (entry.exchange && entry.exchange->retry_at <= now.monotonic) {
    Exchange& exchange = *entry.exchange;
    exchange.retry_after *= 2;
    exchange.retry_at = now.monotonic + exchange.retry_after;
    ++counters_.retries;
    transmit(entry);
  }
  advance(now, entry);
}

void Subscriber::handle_timeout(Now now) {
  while (!timers_.empty() && std::get<0>(*timers_.begin()) <= now.monotonic) {
    Entry& entry = *std::get<2>(*timers_.begin());
    const NodeId publisher = entry.publisher.id;
    on_timer(now, entry);
    forget_if_idle(publisher);
  }
}

std::optional<TimePoint> Subscriber::next_timeout() const {
  if (timers_.empty()) return std::nullopt;
  return std::get<0>(*timers_.begin());
}

std::optional<Subscriber::Transmit> Subscriber::poll_transmit() {
  if (queue_.empty()) return std::nullopt;
  Transmit out = std::move(queue_.front());
  queue_.pop_front();
  return out;
}

std::optional<Subscriber::Event> Subscriber::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event out = std::move(events_.front());
  events_.pop_front();
  return out;
}

// --- what there is ---

const ChannelName* Subscriber::channel_of(NodeId publisher, StreamId stream) const {
  const auto found = by_stream_.find({publisher, stream});
  if (found == by_stream_.end() || !found->second->expects_payloads()) return nullptr;
  return &found->second->name;
}

std::vector<Subscriber::Subscription> Subscriber::subscriptions() const {
  std::vector<Subscription> out;
  for (const auto& [id, publisher] : publishers_) {
    for (const auto& [name, entry] : publisher.entries) {
      if (!entry.held) continue;
      out.push_back(
          {id, name, entry.held->options.queue_group, entry.held->active, entry.held->reliable});
    }
  }
  return out;
}

}  // namespace netmesh::channel
