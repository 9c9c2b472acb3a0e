#include "capability/announcer.h"

#include <algorithm>

namespace netmesh::capability {
namespace {

constexpr std::uint8_t kHopImprovement = 4;
constexpr std::size_t kMaxEvents = 4096;
/// Introductions leave a few at a time, so that a new peer is not flooded.
constexpr std::size_t kIntroductionsPerTurn = 32;
constexpr Duration kIntroductionInterval = std::chrono::milliseconds(10);

std::uint64_t to_millis(std::int64_t unix_ns) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(unix_ns, 0)) / 1'000'000;
}

}  // namespace

Announcer::Announcer(const identity::LocalIdentity& identity, CapabilityIndex& index,
                     AnnouncerHost& host, RandomSource& random, Options options)
    : identity_(identity),
      index_(index),
      host_(host),
      random_(random),
      options_(std::move(options)) {}

// --- this node ---

Announcement Announcer::build(Now now, std::uint64_t version) const {
  Announcement out;
  out.node_id = identity_.node_id;
  out.entity_id = identity_.entity_id();
  out.version = version;
  out.timestamp_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(now.unix_ns, 0));
  out.ttl_secs = ttl_secs_;
  out.capabilities = baseline_;
  std::erase_if(out.capabilities.tags,
                [](const std::string& tag) { return tag.starts_with("nat:"); });
  out.capabilities.add_tag("nat:" + environment_.nat);
  for (const std::string& service : environment_.services)
    out.capabilities.add_tag("nrpc:" + service);
  out.reflex_addr = environment_.reflex_addr;
  if (sign_) out.sign(identity_.signing_key);
  return out;
}

Expected<void> Announcer::check_size(const std::string& document) const {
  const auto refuse = [&](std::size_t limit, const std::string& why) {
    return fail(ErrorKind::kCapability,
                "capability: announcement of " + std::to_string(document.size()) +
                    " bytes exceeds the " + std::to_string(limit) + " bytes " + why);
  };
  if (document.size() > kMaxAnnouncementBytes)
    return refuse(kMaxAnnouncementBytes, "that nodes exchange");
  if (document.size() <= kMaxBaseAnnouncementBytes) return {};
  const auto small = std::find_if(peers_.begin(), peers_.end(), [](const auto& each) {
    return !each.second.traits.large_messages;
  });
  if (small == peers_.end()) return {};
  return refuse(kMaxBaseAnnouncementBytes,
                "that the legacy peer " + std::to_string(small->first.value) + " can receive");
}

Expected<void> Announcer::announce(Now now, CapabilitySet set,
                                   std::optional<std::uint32_t> ttl_secs, bool sign) {
  CapabilitySet before = std::exchange(baseline_, std::move(set));
  const auto ttl_before = std::exchange(ttl_secs_, ttl_secs.value_or(options_.ttl_secs));
  const bool sign_before = std::exchange(sign_, sign);
  const auto restore = [&] {
    baseline_ = std::move(before);
    ttl_secs_ = ttl_before;
    sign_ = sign_before;
  };
  const Announcement trial = build(now, ~std::uint64_t{0});
  if (trial.capabilities.tags.size() > kMaxAnnouncementTags) {
    const std::size_t count = trial.capabilities.tags.size();
    restore();
    return fail(ErrorKind::kCapability, "capability: " + std::to_string(count) +
                                            " tags exceed the limit of " +
                                            std::to_string(kMaxAnnouncementTags));
  }
  if (auto fits = check_size(trial.encode()); !fits) {
    restore();
    return fits;
  }
  announced_ = true;
  publish(now, false);
  return {};
}

void Announcer::set_environment(Now now, Environment environment, bool urgent) {
  const bool changed = !(environment == environment_);
  environment_ = std::move(environment);
  if (urgent) last_broadcast_.reset();
  if (announced_ && (changed || urgent)) publish(now, urgent);
}

void Announcer::publish(Now now, bool urgent) {
  // From the clock, so that a node that has restarted is believed at once.
  version_ = std::max(version_ + 1, to_millis(now.unix_ns));
  Announcement announcement = build(now, version_);
  own_document_ = std::make_shared<const std::string>(announcement.encode());
  index_.upsert(announcement, now);
  sweep_at_ = std::min(sweep_at_, now.monotonic + options_.sweep_interval);
  schedule_refresh(now.monotonic);
  const bool quiet = last_broadcast_ && now.monotonic < *last_broadcast_ + quiet_interval();
  if (quiet && !urgent) {
    trailing_at_ = *last_broadcast_ + quiet_interval();
  } else {
    broadcast(now);
  }
}

/// What lives shortly has to be repeated in closer succession.
Duration Announcer::quiet_interval() const {
  const Duration life = std::chrono::seconds(ttl_secs_);
  return life == Duration::zero() ? options_.min_interval
                                  : std::min(options_.min_interval, life / 4);
}

void Announcer::schedule_refresh(TimePoint now) {
  refresh_at_.reset();
  if (ttl_secs_ == 0) return;
  // A third of the life, give or take a tenth of that: two may be lost, and nodes do not chime.
  const Duration third = Duration(std::chrono::seconds(ttl_secs_)) / 3;
  const auto tenth = static_cast<std::uint64_t>(third.count()) / 10;
  const auto jitter =
      static_cast<std::int64_t>(random_.u64() % (2 * tenth + 1)) - static_cast<std::int64_t>(tenth);
  refresh_at_ = now + third + Duration(jitter);
}

void Announcer::broadcast(Now now) {
  trailing_at_.reset();
  last_broadcast_ = now.monotonic;
  ++counters_.broadcasts;
  for (const auto& [id, peer] : peers_) enqueue(id, own_document_);
}

void Announcer::enqueue(NodeId to, const std::shared_ptr<const std::string>& document) {
  const auto peer = peers_.find(to);
  if (peer == peers_.end() || host_.is_blocked(to)) return;
  if (document->size() > kMaxBaseAnnouncementBytes && !peer->second.traits.large_messages) {
    ++counters_.skipped_too_large;
    return;
  }
  if (queue_.size() >= options_.max_queued) {
    queue_.pop_front();
    ++counters_.dropped_queue_full;
  }
  queue_.push_back({to, document});
}

// --- peers ---

void Announcer::peer_up(Now now, NodeId id, PeerTraits traits) {
  Peer& peer = peers_[id];
  peer.traits = std::move(traits);
  peer.introduced = NodeId();
  peer.introductions_left = options_.max_introductions;
  if (own_document_) enqueue(id, own_document_);
  if (!origins_.empty()) introduce_at_ = now.monotonic;
}

void Announcer::peer_down(NodeId id) {
  peers_.erase(id);
  origins_.erase(id);
  index_.remove(id);
  index_.forget_subnet(id);
  std::erase_if(queue_, [&](const Transmit& each) { return each.to == id; });
}

std::optional<identity::EntityId> Announcer::entity_of(NodeId id) const {
  const auto peer = peers_.find(id);
  if (peer == peers_.end()) return std::nullopt;
  return peer->second.traits.entity ? peer->second.traits.entity : peer->second.pinned;
}

Received Announcer::handle(Now now, NodeId from, std::string_view document) {
  const auto known = peers_.find(from);
  if (known == peers_.end()) return Received::kForeign;
  auto parsed = parser_.parse(document);
  if (!parsed) return Received::kMalformed;
  const Received verdict = judge(now, from, *parsed, known->second);
  if (verdict == Received::kIndexed) accept(now, from, std::move(*parsed), known->second);
  return verdict;
}

Received Announcer::judge(Now now, NodeId from, const Announcement& a, Peer& peer) {
  const bool direct = a.hop_count == 0;
  if (direct && a.node_id != from) return Received::kForeign;
  if (a.node_id == identity_.node_id) return Received::kOwn;
  const auto known = origins_.find(a.node_id);
  if (known != origins_.end()) {
    const Origin& origin = known->second;
    if (a.version < origin.version) return Received::kSeen;
    if (a.version == origin.version) {
      const bool seen = direct ? origin.direct_seen : origin.forwarded_seen;
      const bool much_better =
          a.hop_count + 1 + kHopImprovement <= origin.forwarded_hop && origin.forwarded_hop != 0xFF;
      if (seen && !much_better) return Received::kSeen;
    }
  }
  if (!a.signature && options_.require_signed) return Received::kUnsigned;
  // The cheap checks are done; from here on a stranger would make us work.
  if (!take_token(peer, now.monotonic)) return Received::kRateLimited;
  if (!a.names_its_entity()) return Received::kWrongNodeId;
  if (a.signature && !a.verify()) return Received::kForged;
  if (a.ttl_secs > 0 && a.remaining_secs(now.unix_ns) == 0) return Received::kExpired;
  if (a.signature && direct) {
    const auto entity = entity_of(from);
    if (entity && *entity != a.entity_id) return Received::kWrongIdentity;
  }
  const std::size_t max_origins = 2 * index_.max_nodes();
  if (known == origins_.end() && origins_.size() >= max_origins) return Received::kNoRoom;
  return Received::kIndexed;
}

void Announcer::accept(Now now, NodeId from, Announcement a, Peer& peer) {
  const bool direct = a.hop_count == 0;
  if (a.signature && direct) {
    if (!entity_of(from)) {
      peer.pinned = a.entity_id;
      events_.push_back(PeerIdentified{from, a.entity_id});
    }
    if (options_.subnet_policy) {
      const std::vector<std::string_view> tags(a.capabilities.tags.begin(),
                                               a.capabilities.tags.end());
      index_.set_subnet(from, options_.subnet_policy->assign(tags));
    }
  }
  Origin& origin = origins_[a.node_id];
  if (a.version != origin.version) origin = Origin();
  origin.version = a.version;
  (direct ? origin.direct_seen : origin.forwarded_seen) = true;
  origin.heard_at = now.monotonic;
  if (!direct) events_.push_back(RouteOffer{a.node_id, from, a.hop_count + 2u});
  while (events_.size() > kMaxEvents) events_.pop_front();

  origin.expires_at = now.monotonic + std::chrono::seconds(a.remaining_secs(now.unix_ns));
  forward(from, origin, a);
  strip_for_index(a.capabilities);
  index_.upsert(a, now);
  sweep_at_ = std::min(sweep_at_, now.monotonic + options_.sweep_interval);
}

void Announcer::forward(NodeId from, Origin& origin, Announcement& a) {
  if (a.hop_count >= kLastHop) return;
  const auto hop = static_cast<std::uint8_t>(a.hop_count + 1);
  // The second copy of a version, direct or not, tells the others nothing new unless it came a much
  // shorter way.
  if (origin.forwarded_hop != 0xFF && hop + kHopImprovement > origin.forwarded_hop) return;
  origin.forwarded_hop = hop;
  origin.from = from;
  a.hop_count = hop;
  origin.document = std::make_shared<const std::string>(a.encode());
  const auto back = host_.next_hop(a.node_id);
  for (const auto& [id, peer] : peers_) {
    if (id == from || id == a.node_id || id == back) continue;
    enqueue(id, origin.document);
    ++counters_.forwarded;
  }
}

bool Announcer::take_token(Peer& peer, TimePoint now) const {
  Bucket& bucket = peer.bucket;
  const double burst = options_.peer_burst;
  if (bucket.filled_at == TimePoint::min()) {
    bucket.tokens = burst;
  } else if (now > bucket.filled_at) {
    const double elapsed = std::chrono::duration<double>(now - bucket.filled_at).count();
    bucket.tokens = std::min(burst, bucket.tokens + elapsed * options_.peer_rate_per_second);
  }
  bucket.filled_at = std::max(bucket.filled_at, now);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

// --- the crank ---

void Announcer::queue_introductions(TimePoint now) {
  introduce_at_.reset();
  for (auto& [id, peer] : peers_) {
    std::size_t sent = 0;
    auto next = origins_.upper_bound(peer.introduced);
    for (; next != origins_.end() && sent < kIntroductionsPerTurn && peer.introductions_left > 0;
         ++next) {
      peer.introduced = next->first;
      const Origin& origin = next->second;
      const bool useful =
          origin.document && origin.expires_at > now && origin.from != id && next->first != id;
      if (!useful) continue;
      enqueue(id, origin.document);
      ++counters_.introductions;
      ++sent;
      --peer.introductions_left;
    }
    if (next == origins_.end()) peer.introductions_left = 0;
    if (peer.introductions_left > 0) introduce_at_ = now + kIntroductionInterval;
  }
}

void Announcer::forget_old(TimePoint now) {
  index_.sweep(now);
  for (auto at = origins_.begin(); at != origins_.end();) {
    if (at->second.expires_at <= now) at->second.document.reset();
    const bool old = at->second.heard_at + options_.dedup_retention <= now;
    at = old ? origins_.erase(at) : std::next(at);
  }
  const bool idle = origins_.empty() && index_.size() == 0;
  sweep_at_ = idle ? TimePoint::max() : now + options_.sweep_interval;
}

void Announcer::handle_timeout(Now now) {
  if (sweep_at_ <= now.monotonic) forget_old(now.monotonic);
  if (refresh_at_ && *refresh_at_ <= now.monotonic) publish(now, false);
  if (trailing_at_ && *trailing_at_ <= now.monotonic) broadcast(now);
  if (introduce_at_ && *introduce_at_ <= now.monotonic) queue_introductions(now.monotonic);
}

std::optional<TimePoint> Announcer::next_timeout() const {
  std::optional<TimePoint> next;
  for (const auto& candidate : {refresh_at_, trailing_at_, introduce_at_}) {
    if (candidate && (!next || *candidate < *next)) next = candidate;
  }
  if (sweep_at_ != TimePoint::max() && (!next || sweep_at_ < *next)) next = sweep_at_;
  return next;
}

std::optional<Announcer::Transmit> Announcer::poll_transmit() {
  if (queue_.empty()) return std::nullopt;
  Transmit out = std::move(queue_.front());
  queue_.pop_front();
  return out;
}

std::optional<Announcer::Event> Announcer::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event out = events_.front();
  events_.pop_front();
  return out;
}

}  // namespace netmesh::capability
