// What a broker does while nodes are subscribed: publishing, and ending what has run out.

#include <algorithm>

#include "channel/broker.h"

namespace netmesh::channel {
namespace {

constexpr Duration kShortestSweep = std::chrono::seconds(1);

EvictionReason to_reason(identity::TokenFailure failure) {
  switch (failure) {
    case identity::TokenFailure::kExpired:
      return EvictionReason::kExpired;
    case identity::TokenFailure::kRevoked:
      return EvictionReason::kRevoked;
    default:
      return EvictionReason::kUnauthorized;
  }
}

}  // namespace

// --- rights ---

std::span<const identity::EntityId> Broker::roots_of(const ChannelConfig& config) const {
  if (config.token_roots.empty()) return {&options_.entity, 1};
  return config.token_roots;
}

identity::TokenChain::Question Broker::question_of(const ChannelConfig& config,
                                                   const identity::EntityId& subject,
                                                   identity::Scope action) const {
  return {.action = action,
          .channel = config.name.hash().value,
          .presenter = subject,
          .roots = roots_of(config),
          .revocations = &revocations_,
          .skew_seconds = options_.token_skew_seconds};
}

bool Broker::has_cached_token(Now now, const ChannelConfig& config,
                              const identity::EntityId& subject, identity::Scope action) const {
  return tokens_
      .check_issued_by(roots_of(config), subject, action, config.name.hash().value,
                       identity::unix_seconds(now), &revocations_)
      .has_value();
}

bool Broker::sees(const ChannelConfig& config, NodeId peer) const {
  if (config.visibility == Visibility::kGlobal) return true;
  return is_visible(config, options_.own_subnet,
                    host_.subnet_of(peer).value_or(identity::SubnetId()));
}

bool Broker::may_publish(Now now, const ChannelConfig& config) const {
  if (config.publish_caps) {
    const auto fits = host_.satisfies(options_.self, *config.publish_caps, now.monotonic);
    if (!fits.value_or(capability::matches(*config.publish_caps, {}))) return false;
  }
  if (!config.needs_token()) return true;
  const auto roots = roots_of(config);
  if (std::find(roots.begin(), roots.end(), options_.entity) != roots.end()) return true;
  if (has_cached_token(now, config, options_.entity, identity::kScopePublish)) return true;
  const auto question = question_of(config, options_.entity, identity::kScopePublish);
  return std::any_of(own_chains_.begin(), own_chains_.end(),
                     [&](const identity::TokenChain& chain) {
                       return chain.check(question, identity::unix_seconds(now)).has_value();
                     });
}

Broker::Ended Broker::token_ended(Now now, const ChannelConfig& config,
                                  const ChannelRoster::Member& member) const {
  const auto& entity = member.extra.peer->traits.entity;
  if (!entity) return EvictionReason::kUnauthorized;
  EvictionReason why = EvictionReason::kUnauthorized;
  if (const auto& chain = member.extra.credential) {
    const auto verdict = chain->check(question_of(config, *entity, identity::kScopeSubscribe),
                                      identity::unix_seconds(now));
    if (verdict) return std::nullopt;
    why = to_reason(verdict.error());
  }
  // A renewed token may have come in meanwhile.
  if (has_cached_token(now, config, *entity, identity::kScopeSubscribe)) return std::nullopt;
  if (member.extra.credential != nullptr) return why;
  const auto token = tokens_.get(*entity, config.name.hash().value, identity::unix_seconds(now));
  if (!token) return why;
  if (token->is_expired(identity::unix_seconds(now))) return EvictionReason::kExpired;
  return revocations_.is_revoked(token->issuer, token->issuer_generation) ? EvictionReason::kRevoked
                                                                          : why;
}

Broker::Ended Broker::right_ended(Now now, const ChannelConfig& config,
                                  const ChannelRoster::Member& member) const {
  if (config.needs_token()) {
    if (const auto why = token_ended(now, config, member)) return why;
  }
  // An announcement that has run out says nothing: base nodes do not repeat theirs.
  if (config.subscribe_caps &&
      host_.satisfies(member.node, *config.subscribe_caps, now.monotonic) == false)
    return EvictionReason::kCapabilities;
  // Who cannot be told is left out of publishes instead, and is back when his tags are.
  if (member.extra.peer->traits.modern && !sees(config, member.node))
    return EvictionReason::kVisibility;
  return std::nullopt;
}

// --- publishing ---

Broker::Publication Broker::recipients(Now now, const ChannelName& name, std::uint32_t count) {
  chosen_.clear();
  Publication out;
  out.stream = name.stream();
  out.wire_hash = wire_hash(name.hash());
  Channel* channel = find_channel(name.text());
  const ChannelConfig* config = registry_.find(name.text());
  if (config == nullptr) return out;  // open to publish, and nobody can have joined

  out.reliable = config->reliable;
  out.priority = config->priority;
  if (!may_publish(now, *config)) {
    if (channel != nullptr) ++channel->counters.denied;
    out.verdict = PublishVerdict::kDenied;
    return out;
  }
  out.retains = config->retain > 0;
  if (channel == nullptr) return out;
  if (config->max_rate_pps && !channel->rate.take(now.monotonic, *config->max_rate_pps, count)) {
    channel->counters.rate_limited += count;
    out.verdict = PublishVerdict::kRateLimited;
    out.max_rate_pps = *config->max_rate_pps;
    return out;
  }

  stamp_rights(now);
  channel->roster.dispatch(
      [&](ChannelRoster::Member& member) {
        return may_receive(now, *config, *channel, member, out);
      },
      chosen_);
  out.nodes = chosen_;
  ChannelCounters& counters = channel->counters;
  counters.published += count;
  counters.recipients += std::uint64_t{count} * chosen_.size();
  counters.skipped_visibility += out.skipped_visibility;
  counters.skipped_guard += out.skipped_guard;
  counters.skipped_token += out.skipped_token;
  if (!ended_.empty()) evict_ended(*channel);
  return out;
}

void Broker::stamp_rights(Now now) {
  const RightsState state{identity::unix_seconds(now), revocations_.changes(), tokens_.changes(),
                          own_changes_};
  if (state == rights_state_) return;
  rights_state_ = state;
  ++rights_stamp_;
}

bool Broker::may_receive(Now now, const ChannelConfig& config, const Channel& channel,
                         ChannelRoster::Member& member, Publication& out) {
  if (!sees(config, member.node)) {
    ++out.skipped_visibility;
    return false;
  }
  if (!guard_.check(member.node, channel.number)) {
    ++out.skipped_guard;
    return false;
  }
  if (!config.needs_token() || member.extra.good_at == rights_stamp_) return true;
  const auto why = token_ended(now, config, member);
  if (!why) {
    member.extra.good_at = rights_stamp_;
    return true;
  }
  ++out.skipped_token;
  ended_.emplace_back(member.node, *why);
  return false;
}

std::optional<NodeId> Broker::stand_in(Now now, const ChannelName& name, NodeId first,
                                       NodeId tried) {
  Channel* channel = find_channel(name.text());
  const ChannelConfig* config = registry_.find(name.text());
  if (channel == nullptr || config == nullptr) return std::nullopt;
  Publication unused;
  stamp_rights(now);
  const auto chosen = channel->roster.stand_in(first, tried, [&](ChannelRoster::Member& member) {
    return may_receive(now, *config, *channel, member, unused);
  });
  if (!ended_.empty()) evict_ended(*channel);
  return chosen;
}

void Broker::retain(const ChannelName& name, Payload payload) {
  const ChannelConfig* config = registry_.find(name.text());
  if (config == nullptr || config->retain == 0 || payload == nullptr) return;
  // Names below a prefix cost memory as soon as something of them is kept.
  if (find_channel(name.text()) == nullptr && channels_.size() >= 2 * options_.max_channels) return;
  Channel& channel = open_channel(name);
  const std::size_t elsewhere = retained_bytes_ - channel.history.bytes();
  channel.history.add(
      std::move(payload),
      {.payloads = config->retain,
       .bytes = std::min(config->max_retained_bytes, options_.max_retained_bytes - elsewhere)});
  retained_bytes_ = elsewhere + channel.history.bytes();
}

void Broker::trim_history(Channel& channel, const ChannelConfig* config) {
  const std::size_t elsewhere = retained_bytes_ - channel.history.bytes();
  channel.history.trim(config == nullptr ? History::Limits{}
                                         : History::Limits{.payloads = config->retain,
                                                           .bytes = config->max_retained_bytes});
  retained_bytes_ = elsewhere + channel.history.bytes();
}

void Broker::report(const ChannelName& name, std::uint64_t delivered, std::uint64_t failed) {
  Channel* channel = find_channel(name.text());
  if (channel == nullptr) return;
  channel->counters.delivered += delivered;
  channel->counters.failed += failed;
}

// --- ending ---

void Broker::evict(Channel& channel, NodeId node, EvictionReason reason) {
  const Grant& grant = channel.roster.find(node)->extra;
  Peer& peer = *grant.peer;
  if (peer.traits.modern) send(node, Evicted{grant.nonce, reason, channel.name});
  ++channel.counters.evictions[static_cast<std::size_t>(reason)];
  end(channel, peer);
}

void Broker::evict_ended(Channel& channel) {
  for (const auto& [node, why] : ended_) evict(channel, node, why);
  ended_.clear();
  drop_if_idle(channel);
}

void Broker::evict_all(Channel& channel, EvictionReason reason) {
  std::vector<NodeId> nodes;
  channel.roster.for_each([&](const auto& member) { nodes.push_back(member.node); });
  for (const NodeId node : nodes) evict(channel, node, reason);
}

void Broker::schedule_sweep(TimePoint now) {
  if (sweep_at_ || !options_.sweep_interval) return;
  sweep_at_ =
      now + (*options_.sweep_interval == Duration(0) ? kShortestSweep : *options_.sweep_interval);
}

void Broker::handle_timeout(Now now) {
  if (sweep_at_ && *sweep_at_ <= now.monotonic) sweep(now);
}

void Broker::sweep(Now now) {
  sweep_at_.reset();
  throttle_.sweep(now.monotonic);
  for (auto at = channels_.begin(); at != channels_.end();) {
    Channel& channel = at->second;
    ++at;
    const ChannelConfig* config = registry_.find(channel.name.text());
    const bool unconditional =
        config == nullptr || (config->is_open() && config->visibility == Visibility::kGlobal);
    if (unconditional || channel.roster.empty()) continue;
    channel.roster.for_each([&](const ChannelRoster::Member& member) {
      if (const auto why = right_ended(now, *config, member))
        ended_.emplace_back(member.node, *why);
    });
    if (!ended_.empty()) evict_ended(channel);
  }
  if (subscriptions() > 0 || throttle_.size() > 0) schedule_sweep(now.monotonic);
  // Afterwards: an eviction says that a token has expired, not that there is none.
  tokens_.evict_expired(identity::unix_seconds(now));
}

void Broker::shutdown() {
  for (auto at = channels_.begin(); at != channels_.end();) {
    Channel& channel = at->second;
    ++at;
    evict_all(channel, EvictionReason::kShutdown);
    drop_if_idle(channel);
  }
  sweep_at_.reset();
}

}  // namespace netmesh::channel
