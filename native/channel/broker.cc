#include "channel/broker.h"

#include <algorithm>
#include <functional>

namespace netmesh::channel {
namespace {

/// Never 0, which means that no life is known.
std::uint64_t random_epoch(RandomSource& random) { return random.u64() | 1; }

}  // namespace

Broker::Broker(BrokerHost& host, identity::TokenCache& tokens,
               const identity::RevocationRegistry& revocations, RandomSource& random,
               Options options)
    : host_(host),
      tokens_(tokens),
      revocations_(revocations),
      options_(options),
      epoch_(random_epoch(random)),
      registry_(options.max_channels),
      guard_(random.u64()),
      throttle_(options.throttle) {}

// --- this node's channels ---

Expected<void> Broker::register_channel(ChannelConfig config) {
  auto added = registry_.add(std::move(config));
  if (!added) return tl::unexpected(added.error());
  ++own_changes_;
  trim_history(open_channel((*added)->name), *added);
  return {};
}

bool Broker::unregister_channel(std::string_view name) {
  if (!registry_.remove(name)) return false;
  ++own_changes_;
  for (auto at = channels_.lower_bound(name); at != channels_.end();) {
    if (!at->first.starts_with(name)) break;
    Channel& channel = at->second;
    ++at;
    const ChannelConfig* other = registry_.find(channel.name.text());
    trim_history(channel, other);
    if (other == nullptr) evict_all(channel, EvictionReason::kUnregistered);
    drop_if_idle(channel);
  }
  return true;
}

identity::TokenResult<void> Broker::install_chain(Now now, identity::TokenChain chain) {
  // Whoever is the root of what: here only the links have to be sound.
  const identity::PermissionToken& leaf = chain.links().back();
  const identity::TokenChain::Question question{.action = identity::kScopePublish,
                                                .channel = leaf.channel_hash,
                                                .presenter = options_.entity,
                                                .roots = {&chain.links().front().issuer, 1},
                                                .revocations = &revocations_,
                                                .skew_seconds = options_.token_skew_seconds};
  if (auto sound = chain.verify(question, identity::unix_seconds(now)); !sound) return sound;
  std::erase_if(own_chains_, [&](const identity::TokenChain& each) {
    return each.links() == chain.links() ||
           each.links().back().is_expired(identity::unix_seconds(now));
  });
  // The newest matter most: they are what the application has installed last.
  if (own_chains_.size() >= options_.max_own_chains) own_chains_.erase(own_chains_.begin());
  own_chains_.push_back(std::move(chain));
  return {};
}

// --- peers ---

void Broker::peer_up(NodeId id, PeerTraits traits) {
  Peer& peer = peers_[id];
  peer.id = id;
  if (!traits.entity) traits.entity = peer.traits.entity;
  peer.traits = traits;
  ++own_changes_;
}

void Broker::entity_learnt(NodeId id, const identity::EntityId& entity) {
  const auto peer = peers_.find(id);
  if (peer == peers_.end()) return;
  peer->second.traits.entity = entity;
  ++own_changes_;
}

void Broker::peer_down(NodeId id) {
  const auto known = peers_.find(id);
  if (known == peers_.end()) return;
  for (Channel* channel : std::exchange(known->second.channels, {})) {
    channel->roster.leave(id);
    guard_.revoke(id, channel->number);
    drop_if_idle(*channel);
  }
  peers_.erase(known);
  std::erase_if(queue_, [&](const Transmit& each) { return each.to == id; });
  std::erase_if(replays_, [&](const Replay& each) { return each.to == id; });
}

Received Broker::handle(Now now, NodeId from, ByteSpan bytes) {
  const auto known = peers_.find(from);
  if (known == peers_.end()) return Received::kForeign;
  const auto message = decode(bytes);
  if (!message) {
    ++counters_.malformed;
    return Received::kMalformed;
  }
  Peer& peer = known->second;
  if (const auto* request = std::get_if<Subscribe>(&*message)) {
    subscribe(now, peer, *request, nullptr);
    return Received::kHandled;
  }
  if (const auto* request = std::get_if<Unsubscribe>(&*message)) {
    unsubscribe(peer, *request);
    return Received::kHandled;
  }
  if (const auto* request = std::get_if<ModernSubscribe>(&*message)) {
    if (!peer.traits.modern) return Received::kUnexpected;
    subscribe(now, peer, request->base, request);
    return Received::kHandled;
  }
  return Received::kForSubscriber;
}

// --- subscribing ---

void Broker::subscribe(Now now, Peer& peer, const Subscribe& request,
                       const ModernSubscribe* modern) {
  if (peer.spent.contains(request.nonce)) return;
  Judgement judgement = judge(now, peer, request);
  Channel* channel = find_channel(request.name.text());
  ModernAck ack;
  ack.base = {request.nonce, judgement.accepted, judgement.reason};
  ack.epoch = epoch_;
  if (judgement.accepted) {
    ack.replayed = admit(now, peer, request, judgement, modern);
    ack.reliable = judgement.config->reliable;
  } else if (channel != nullptr) {
    ++channel->counters.refused[static_cast<std::size_t>(judgement.reason)];
  }
  if (modern != nullptr) {
    send(peer.id, ack);
  } else {
    send(peer.id, ack.base);
  }
}

Broker::Judgement Broker::judge(Now now, Peer& peer, const Subscribe& request) {
  Judgement out;
  if (throttle_.is_throttled(peer.id, now.monotonic)) {
    ++counters_.throttled;
    out.reason = AckReason::kRateLimited;
    return out;
  }
  const bool already = is_member(peer, find_channel(request.name.text()));
  const bool full = peer.channels.size() >= options_.max_channels_per_peer ||
                    subscriptions() >= options_.max_subscriptions;
  if (!already && full) {
    out.reason = AckReason::kTooManyChannels;
    return out;
  }
  out.config = registry_.find(request.name.text());
  if (out.config == nullptr) ++counters_.unknown_channel;
  if (out.config != nullptr && may_join(now, peer, request, out)) {
    throttle_.forgive(peer.id);
    out.accepted = true;
    return out;
  }
  throttle_.blame(peer.id, now.monotonic);
  schedule_sweep(now.monotonic);
  out.reason = out.config == nullptr ? AckReason::kUnknownChannel : AckReason::kUnauthorized;
  return out;
}

bool Broker::may_join(Now now, const Peer& peer, const Subscribe& request, Judgement& judgement) {
  const ChannelConfig& config = *judgement.config;
  if (!sees(config, peer.id)) return false;
  if (config.is_open()) return true;
  if (config.needs_token() && !peer.traits.entity) return false;
  if (config.subscribe_caps) {
    const auto fits = host_.satisfies(peer.id, *config.subscribe_caps, now.monotonic);
    // Who has announced nothing has nothing.
    if (!fits.value_or(capability::matches(*config.subscribe_caps, {}))) return false;
  }
  return !config.needs_token() || shows_token(now, peer, request, judgement);
}

bool Broker::shows_token(Now now, const Peer& peer, const Subscribe& request,
                         Judgement& judgement) {
  const ChannelConfig& config = *judgement.config;
  const auto question = question_of(config, *peer.traits.entity, identity::kScopeSubscribe);
  // What does not parse is as good as absent: the shared cache may still know better.
  if (auto chain = identity::TokenChain::parse(request.credential)) {
    const auto verdict = verified_before(peer, request, *chain)
                             ? chain->check(question, identity::unix_seconds(now))
                             : chain->verify(question, identity::unix_seconds(now));
    if (verdict) {
      judgement.credential = *std::move(chain);
      return true;
    }
  }
  return has_cached_token(now, config, *peer.traits.entity, identity::kScopeSubscribe);
}

/// Verifying costs some 60 µs a link, which nobody is to cause by repeating himself.
bool Broker::verified_before(const Peer& peer, const Subscribe& request,
                             const identity::TokenChain& chain) {
  if (chain.links().size() == 1 && tokens_.contains(chain.links().front())) return true;
  Channel* channel = find_channel(request.name.text());
  if (!is_member(peer, channel)) return false;
  const auto& credential = channel->roster.find(peer.id)->extra.credential;
  return credential != nullptr && credential->links() == chain.links();
}

std::uint32_t Broker::admit(Now now, Peer& peer, const Subscribe& request, Judgement& judgement,
                            const ModernSubscribe* modern) {
  Channel& channel = open_channel(request.name);
  std::unique_ptr<const identity::TokenChain> credential;
  if (judgement.credential) {
    // Single tokens are remembered for as long as they are valid, chains as long as they are used.
    const auto& links = judgement.credential->links();
    bool cached = links.size() == 1 && tokens_.contains(links.front());
    if (links.size() == 1 && !cached) {
      const auto stored = tokens_.insert(links.front(), identity::unix_seconds(now));
      cached = stored && *stored != identity::TokenCache::Stored::kNoRoom;
    }
    if (!cached)
      credential = std::make_unique<const identity::TokenChain>(*std::move(judgement.credential));
  }
  const auto* before = is_member(peer, &channel) ? channel.roster.find(peer.id) : nullptr;
  const bool repeated = before != nullptr && before->extra.nonce == request.nonce;
  if (before != nullptr && !repeated) peer.spent.add(before->extra.nonce);
  const auto joined = channel.roster.join(peer.id, request.queue_group,
                                          Grant{&peer, request.nonce, std::move(credential), 0});
  if (joined == ChannelRoster::Joined::kAdded) {
    const auto place = std::lower_bound(peer.channels.begin(), peer.channels.end(), &channel,
                                        std::less<const Channel*>());
    peer.channels.insert(place, &channel);
  }
  guard_.grant(peer.id, channel.number);
  ++channel.counters.accepted;
  schedule_sweep(now.monotonic);
  // Who asks twice gets it once. A queue group shares what comes: nobody in it gets all that was.
  if (modern == nullptr || repeated || modern->known_epoch == epoch_) return 0;
  if (!request.queue_group.empty()) return 0;
  return queue_replay(*judgement.config, channel, peer.id, modern->replay);
}

std::uint32_t Broker::queue_replay(const ChannelConfig& config, Channel& channel, NodeId to,
                                   std::uint32_t wanted) {
  const std::size_t count =
      std::min({std::size_t{wanted}, std::size_t{config.retain}, channel.history.size()});
  if (count == 0 || replays_.size() >= options_.max_queued_replays) return 0;
  replays_.push_back({to, channel.name.stream(), channel.name.hash(), config.reliable,
                      config.priority, channel.history.last(count)});
  channel.counters.replayed += count;
  return static_cast<std::uint32_t>(count);
}

void Broker::unsubscribe(Peer& peer, const Unsubscribe& request) {
  Channel* channel = find_channel(request.name.text());
  if (!peer.spent.contains(request.nonce) && is_member(peer, channel)) {
    peer.spent.add(channel->roster.find(peer.id)->extra.nonce);
    peer.spent.add(request.nonce);
    end(*channel, peer);
    drop_if_idle(*channel);
  }
  send(peer.id, Ack{request.nonce, true, AckReason::kNone});
}

// --- tables ---

Broker::Channel* Broker::find_channel(std::string_view name) {
  const auto found = channels_.find(name);
  return found == channels_.end() ? nullptr : &found->second;
}

const Broker::Channel* Broker::find_channel(std::string_view name) const {
  const auto found = channels_.find(name);
  return found == channels_.end() ? nullptr : &found->second;
}

Broker::Channel& Broker::open_channel(const ChannelName& name) {
  if (Channel* known = find_channel(name.text())) return *known;
  return channels_.try_emplace(name.text(), name, ChannelNumber(next_number_++)).first->second;
}

void Broker::drop_if_idle(Channel& channel) {
  const bool idle = channel.roster.empty() && channel.history.size() == 0 &&
                    registry_.find_exact(channel.name.text()) == nullptr;
  if (idle) channels_.erase(channels_.find(channel.name.text()));
}

bool Broker::is_member(const Peer& peer, const Channel* channel) {
  return channel != nullptr && std::binary_search(peer.channels.begin(), peer.channels.end(),
                                                  channel, std::less<const Channel*>());
}

void Broker::end(Channel& channel, Peer& peer) {
  channel.roster.leave(peer.id);
  guard_.revoke(peer.id, channel.number);
  const auto at = std::lower_bound(peer.channels.begin(), peer.channels.end(), &channel,
                                   std::less<const Channel*>());
  peer.channels.erase(at);
}

void Broker::send(NodeId to, const Message& message) {
  if (queue_.size() >= options_.max_queued) {
    ++counters_.dropped_queue_full;
    return;
  }
  queue_.push_back({to, encode(message)});
}

std::optional<Broker::Transmit> Broker::poll_transmit() {
  if (queue_.empty()) return std::nullopt;
  Transmit out = std::move(queue_.front());
  queue_.pop_front();
  return out;
}

std::optional<Broker::Replay> Broker::poll_replay() {
  if (replays_.empty()) return std::nullopt;
  Replay out = std::move(replays_.front());
  replays_.pop_front();
  return out;
}

// --- what there is ---

Broker::ChannelInfo Broker::info_of(const std::string& name, const Channel& channel) const {
  return {.name = name,
          .registered = registry_.find_exact(name) != nullptr,
          .subscribers = channel.roster.size(),
          .queue_groups = channel.roster.queue_groups(),
          .retained = channel.history.size(),
          .retained_bytes = channel.history.bytes(),
          .counters = channel.counters};
}

std::vector<Broker::ChannelInfo> Broker::channels() const {
  std::vector<ChannelInfo> out;
  out.reserve(channels_.size());
  for (const auto& [name, channel] : channels_) out.push_back(info_of(name, channel));
  return out;
}

std::optional<Broker::ChannelInfo> Broker::channel_info(std::string_view name) const {
  const auto found = channels_.find(name);
  if (found == channels_.end()) return std::nullopt;
  return info_of(found->first, found->second);
}

std::vector<NodeId> Broker::subscribers(std::string_view name) const {
  std::vector<NodeId> out;
  if (const Channel* channel = find_channel(name)) {
    channel->roster.for_each([&](const auto& member) { out.push_back(member.node); });
    std::sort(out.begin(), out.end());
  }
  return out;
}

bool Broker::is_subscribed(NodeId id, std::string_view name) const {
  const auto peer = peers_.find(id);
  return peer != peers_.end() && is_member(peer->second, find_channel(name));
}

}  // namespace netmesh::channel
