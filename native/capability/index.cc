#include "capability/index.h"

#include <algorithm>

#include "predicate/tag.h"

namespace netmesh::capability {
namespace {

template <typename Column, typename Value>
void column_insert(Column& column, Value value, Slot slot) {
  if (value == 0) return;  // every node satisfies "at least 0"
  const std::pair entry(value, slot);
  column.insert(std::lower_bound(column.begin(), column.end(), entry), entry);
}

template <typename Column, typename Value>
void column_erase(Column& column, Value value, Slot slot) {
  if (value == 0) return;
  column.erase(std::lower_bound(column.begin(), column.end(), std::pair(value, slot)));
}

std::vector<std::string_view> views(const std::vector<std::string>& words) {
  return {words.begin(), words.end()};
}

bool intersect(const std::vector<WordId>& a, const std::vector<WordId>& wanted) {
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](WordId id) { return std::binary_search(a.begin(), a.end(), id); });
}

}  // namespace

CapabilityIndex::CapabilityIndex(Options options) : options_(options) {}

CapabilityIndex::Outcome CapabilityIndex::upsert(const Announcement& announcement, Now now) {
  const std::uint64_t remaining = announcement.remaining_secs(now.unix_ns);
  if (announcement.ttl_secs > 0 && remaining == 0) return Outcome::kExpired;
  const auto known = slot_of_.find(announcement.node_id);
  const bool added = known == slot_of_.end();
  if (!added && announcement.version <= entries_[known->second].version) return Outcome::kStale;
  if (added && slot_of_.size() >= options_.max_nodes && sweep(now.monotonic) == 0)
    return Outcome::kFull;

  const Slot slot = added ? take_slot(announcement.node_id) : known->second;
  const TimePoint expires_at = now.monotonic + std::chrono::seconds(remaining);
  // A node that lives for 0 s is there until the next sweep would come.
  fill(slot, announcement, remaining == 0 ? now.monotonic + options_.sweep_interval : expires_at,
       added);
  ++mutations_;
  mark_dirty(announcement.node_id);
  return added ? Outcome::kAdded : Outcome::kUpdated;
}

Slot CapabilityIndex::take_slot(NodeId node) {
  Slot slot = 0;
  if (free_.empty()) {
    slot = static_cast<Slot>(hot_.size());
    hot_.emplace_back();
    entries_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  hot_[slot].node = node;
  slot_of_.emplace(node, slot);
  all_.insert(std::lower_bound(all_.begin(), all_.end(), slot, before()), slot);
  return slot;
}

void CapabilityIndex::fill(Slot slot, const Announcement& announcement, TimePoint expires_at,
                           bool added) {
  Entry& entry = entries_[slot];
  const Profile profile = Profile::of(announcement.capabilities);
  const TagSet& tags = announcement.capabilities.tags;
  replace_words(tags_, entry.tags, slot, {tags.begin(), tags.end()});
  replace_words(models_, entry.models, slot, views(profile.models));
  replace_words(tools_, entry.tools, slot, views(profile.tools));
  entry.metadata.assign(announcement.capabilities.metadata.begin(),
                        announcement.capabilities.metadata.end());
  set_numbers(slot, profile.numbers);

  if (added) {
    entry.wire_origin =
        static_cast<std::uint32_t>(identity::derive_origin_hash(announcement.entity_id));
    if (by_origin_.count(entry.wire_origin) == 1) ++origin_collisions_;
    by_origin_.emplace(entry.wire_origin, announcement.node_id);
  }
  entry.version = announcement.version;
  by_expiry_.erase({hot_[slot].expires_at, slot});
  hot_[slot].expires_at = expires_at;
  by_expiry_.emplace(expires_at, slot);
}

void CapabilityIndex::replace_words(Postings& postings, std::vector<WordId>& present, Slot slot,
                                    const std::vector<std::string_view>& wanted) {
  // Most announcements repeat what was said before: only the difference touches the postings.
  std::vector<WordId> next;
  next.reserve(wanted.size());
  for (const std::string_view word : wanted) {
    const WordId* known = postings.find(word);
    const bool had = known != nullptr && std::binary_search(present.begin(), present.end(), *known);
    next.push_back(had ? *known : postings.add(word, slot, before()));
  }
  std::sort(next.begin(), next.end());
  for (const WordId id : present) {
    if (!std::binary_search(next.begin(), next.end(), id)) postings.remove(id, slot, before());
  }
  present = std::move(next);
}

void CapabilityIndex::set_numbers(Slot slot, const Numbers& numbers) {
  Numbers& present = hot_[slot].numbers;
  const auto move = [slot](Column& column, std::uint32_t from, std::uint32_t to) {
    if (from == to) return;
    column_erase(column, from, slot);
    column_insert(column, to, slot);
  };
  move(by_memory_, present.memory_gb, numbers.memory_gb);
  move(by_vram_, present.vram_gb, numbers.vram_gb);
  move(by_context_, present.context_length, numbers.context_length);
  const bool was_global = present.reach == Reach::kEveryone;
  const bool is_global = numbers.reach == Reach::kEveryone;
  if (was_global != is_global) {
    const auto at = std::lower_bound(global_.begin(), global_.end(), slot, before());
    if (is_global) {
      global_.insert(at, slot);
    } else {
      global_.erase(at);
    }
  }
  present = numbers;
}

bool CapabilityIndex::remove(NodeId node) {
  const auto known = slot_of_.find(node);
  if (known == slot_of_.end()) return false;
  erase_slot(known->second);
  return true;
}

void CapabilityIndex::erase_slot(Slot slot) {
  const NodeId node = hot_[slot].node;
  Entry& entry = entries_[slot];
  replace_words(tags_, entry.tags, slot, {});
  replace_words(models_, entry.models, slot, {});
  replace_words(tools_, entry.tools, slot, {});
  set_numbers(slot, {});
  by_expiry_.erase({hot_[slot].expires_at, slot});
  const auto [from, to] = by_origin_.equal_range(entry.wire_origin);
  by_origin_.erase(std::find_if(from, to, [&](const auto& each) { return each.second == node; }));
  all_.erase(std::lower_bound(all_.begin(), all_.end(), slot, before()));
  slot_of_.erase(node);
  entry = Entry();
  hot_[slot] = Hot();
  free_.push_back(slot);
  ++mutations_;
  mark_dirty(node);
}

std::size_t CapabilityIndex::sweep(TimePoint now) {
  std::size_t removed = 0;
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= now) {
    erase_slot(by_expiry_.begin()->second);
    ++removed;
  }
  return removed;
}

std::optional<TimePoint> CapabilityIndex::next_expiry() const {
  if (by_expiry_.empty()) return std::nullopt;
  return by_expiry_.begin()->first;
}

bool CapabilityIndex::is_live(NodeId node, TimePoint now) const {
  const auto found = slot_of_.find(node);
  return found != slot_of_.end() && hot_[found->second].expires_at > now;
}

void CapabilityIndex::set_subnet(NodeId node, identity::SubnetId subnet) {
  const auto [at, added] = subnets_.try_emplace(node, subnet);
  if (!added && at->second == subnet) return;
  at->second = subnet;
  mark_dirty(node);
}

std::optional<identity::SubnetId> CapabilityIndex::subnet_of(NodeId node) const {
  const auto found = subnets_.find(node);
  return found == subnets_.end() ? std::nullopt : std::optional(found->second);
}

// --- queries ---

CapabilityIndex::Plan CapabilityIndex::plan(const Filter& filter, const ScopeFilter* scope) const {
  Plan plan;
  plan.numbers = NumericConditions::of(filter);
  for (const std::string& tag : filter.require_tags) {
    const WordId* id = tags_.find(tag);
    if (id == nullptr) plan.impossible = true;
    if (id != nullptr) plan.tags.push_back(*id);
  }
  if (plan.numbers.gpu) {
    // Exactly the nodes with this tag count as having one.
    const WordId* id = tags_.find(kGpuTag);
    if (id == nullptr) plan.impossible = true;
    if (id != nullptr) plan.tags.push_back(*id);
  }
  const auto look_up = [](const Postings& postings, const std::vector<std::string>& words,
                          std::vector<WordId>& out) {
    for (const std::string& word : words) {
      if (const WordId* id = postings.find(word)) out.push_back(*id);
    }
    return words.empty() || !out.empty();
  };
  plan.any_model = filter.require_models.empty();
  plan.any_tool = filter.require_tools.empty();
  if (!look_up(models_, filter.require_models, plan.models)) plan.impossible = true;
  if (!look_up(tools_, filter.require_tools, plan.tools)) plan.impossible = true;
  if (scope == nullptr) return plan;
  plan.scope = scope->kind;
  const std::string prefix =
      scope->kind == ScopeFilter::Kind::kTenants ? "scope:tenant:" : "scope:region:";
  for (const std::string& name : scope->names) {
    if (const WordId* id = tags_.find(prefix + name)) plan.scope_tags.push_back(*id);
  }
  std::sort(plan.scope_tags.begin(), plan.scope_tags.end());
  plan.scope_tags.erase(std::unique(plan.scope_tags.begin(), plan.scope_tags.end()),
                        plan.scope_tags.end());
  return plan;
}

bool CapabilityIndex::has_tag(Slot slot, WordId tag) const {
  if (tags_.is_dense(tag)) return tags_.has(tag, slot);
  const std::vector<WordId>& tags = entries_[slot].tags;
  return std::binary_search(tags.begin(), tags.end(), tag);
}

bool CapabilityIndex::fits_words(const Plan& plan, Slot slot) const {
  return std::all_of(plan.tags.begin(), plan.tags.end(),
                     [&](WordId id) { return has_tag(slot, id); }) &&
         (plan.any_model || intersect(entries_[slot].models, plan.models)) &&
         (plan.any_tool || intersect(entries_[slot].tools, plan.tools));
}

bool CapabilityIndex::in_own_subnet(NodeId node) const {
  if (node == options_.self) return true;
  const auto subnet = subnet_of(node);
  return subnet ? *subnet == options_.own_subnet : options_.has_subnet_policy;
}

bool CapabilityIndex::fits_scope(const Plan& plan, Slot slot) const {
  if (!plan.scope) return true;
  const Numbers& numbers = hot_[slot].numbers;
  switch (*plan.scope) {
    case ScopeFilter::Kind::kAny:
      return numbers.reach != Reach::kOwnSubnet;
    case ScopeFilter::Kind::kGlobalOnly:
      return numbers.reach == Reach::kEveryone;
    case ScopeFilter::Kind::kSameSubnet:
      return in_own_subnet(hot_[slot].node);
    case ScopeFilter::Kind::kTenants:
    case ScopeFilter::Kind::kRegions:
      return numbers.reach == Reach::kEveryone ||
             (numbers.reach == Reach::kScoped &&
              std::any_of(plan.scope_tags.begin(), plan.scope_tags.end(),
                          [&](WordId id) { return has_tag(slot, id); }));
  }
  return false;
}

bool CapabilityIndex::fits(const Plan& plan, Slot slot) const {
  return hot_[slot].numbers.satisfies(plan.numbers) && fits_words(plan, slot) &&
         fits_scope(plan, slot);
}

std::span<const Slot> CapabilityIndex::candidates(const Plan& plan,
                                                  std::vector<Slot>& scratch) const {
  // The rarest required word leads to the candidates.
  const std::vector<Slot>* narrowest = &all_;
  const auto consider = [&](const std::vector<Slot>& slots) {
    if (slots.size() < narrowest->size()) narrowest = &slots;
  };
  for (const WordId id : plan.tags) consider(tags_.slots(id));
  if (plan.models.size() == 1) consider(models_.slots(plan.models.front()));
  if (plan.tools.size() == 1) consider(tools_.slots(plan.tools.front()));
  if (plan.scope == ScopeFilter::Kind::kGlobalOnly) consider(global_);

  // Other ways to few candidates have to be put into order first, so they must pay.
  const std::size_t bound = narrowest->size() / 4;
  std::span<const std::pair<std::uint32_t, Slot>> range;
  std::size_t smallest = bound;
  const auto consider_range = [&](const Column& column, std::uint64_t least) {
    if (least == 0) return;
    const auto first =
        least > 0xFFFFFFFF
            ? column.end()
            : std::lower_bound(column.begin(), column.end(),
                               std::pair(static_cast<std::uint32_t>(least), Slot{0}));
    const auto count = static_cast<std::size_t>(column.end() - first);
    if (count > smallest) return;
    smallest = count;
    range = {first, column.end()};
  };
  consider_range(by_memory_, plan.numbers.memory_gb);
  consider_range(by_vram_, plan.numbers.vram_gb);
  consider_range(by_context_, plan.numbers.context_length);

  if (plan.scope == ScopeFilter::Kind::kTenants || plan.scope == ScopeFilter::Kind::kRegions) {
    std::size_t in_scope = global_.size();
    for (const WordId id : plan.scope_tags) in_scope += tags_.slots(id).size();
    if (in_scope < smallest) {
      scratch = global_;
      std::vector<Slot> merged;
      for (const WordId id : plan.scope_tags) {
        const std::vector<Slot>& more = tags_.slots(id);
        merged.clear();
        std::set_union(scratch.begin(), scratch.end(), more.begin(), more.end(),
                       std::back_inserter(merged), before());
        scratch.swap(merged);
      }
      return scratch;
    }
  }
  if (smallest == bound) return *narrowest;
  scratch.reserve(range.size());
  for (const auto& [value, slot] : range) scratch.push_back(slot);
  std::sort(scratch.begin(), scratch.end(), before());
  return scratch;
}

template <typename Visit>
void CapabilityIndex::for_each_match(const Plan& plan, TimePoint now, Visit&& visit) const {
  if (plan.impossible) return;
  const bool all_live = by_expiry_.empty() || by_expiry_.begin()->first > now;
  std::vector<Slot> scratch;
  for (const Slot slot : candidates(plan, scratch)) {
    if ((all_live || hot_[slot].expires_at > now) && fits(plan, slot)) visit(slot);
  }
}

std::vector<NodeId> CapabilityIndex::find_nodes(const Filter& filter, TimePoint now) const {
  std::vector<NodeId> out;
  for_each_match(plan(filter, nullptr), now, [&](Slot slot) { out.push_back(hot_[slot].node); });
  return out;
}

std::vector<NodeId> CapabilityIndex::find_nodes_scoped(const Filter& filter,
                                                       const ScopeFilter& scope,
                                                       TimePoint now) const {
  std::vector<NodeId> out;
  for_each_match(plan(filter, &scope), now, [&](Slot slot) { out.push_back(hot_[slot].node); });
  return out;
}

std::optional<NodeId> CapabilityIndex::best(const Plan& plan, const Requirement& requirement,
                                            TimePoint now) const {
  const Scoring scoring(requirement);
  std::optional<NodeId> best;
  float best_score = 0;
  for_each_match(plan, now, [&](Slot slot) {
    const float score = scoring.score(hot_[slot].numbers);
    if (best && score <= best_score) return;
    best = hot_[slot].node;
    best_score = score;
  });
  return best;
}

std::optional<NodeId> CapabilityIndex::find_best_node(const Requirement& requirement,
                                                      TimePoint now) const {
  return best(plan(requirement.filter, nullptr), requirement, now);
}

std::optional<NodeId> CapabilityIndex::find_best_node_scoped(const Requirement& requirement,
                                                             const ScopeFilter& scope,
                                                             TimePoint now) const {
  return best(plan(requirement.filter, &scope), requirement, now);
}

// --- single nodes ---

std::optional<CapabilitySet> CapabilityIndex::capabilities_of(NodeId node) const {
  const auto known = slot_of_.find(node);
  if (known == slot_of_.end()) return std::nullopt;
  CapabilitySet set;
  const Entry& entry = entries_[known->second];
  for (const WordId id : entry.tags) set.tags.insert(tags_.word(id));
  set.metadata.insert(entry.metadata.begin(), entry.metadata.end());
  return set;
}

std::optional<bool> CapabilityIndex::satisfies(NodeId node, const Filter& filter,
                                               TimePoint now) const {
  const auto known = slot_of_.find(node);
  if (known == slot_of_.end() || hot_[known->second].expires_at <= now) return std::nullopt;
  const Entry& entry = entries_[known->second];
  const auto holds = [](const std::vector<WordId>& present, const Postings& postings,
                        std::string_view word) {
    const WordId* id = postings.find(word);
    return id != nullptr && std::binary_search(present.begin(), present.end(), *id);
  };
  const auto has_tag = [&](const std::string& tag) {
    if (holds(entry.tags, tags_, tag)) return true;
    const std::string other = predicate::other_spelling(tag);
    return !other.empty() && holds(entry.tags, tags_, other);
  };
  const auto has_some = [&](const std::vector<WordId>& present, const Postings& postings,
                            const std::vector<std::string>& wanted) {
    return wanted.empty() ||
           std::any_of(wanted.begin(), wanted.end(),
                       [&](const std::string& word) { return holds(present, postings, word); });
  };
  return hot_[known->second].numbers.satisfies(NumericConditions::of(filter)) &&
         std::all_of(filter.require_tags.begin(), filter.require_tags.end(), has_tag) &&
         has_some(entry.models, models_, filter.require_models) &&
         has_some(entry.tools, tools_, filter.require_tools);
}

std::optional<std::uint64_t> CapabilityIndex::version_of(NodeId node) const {
  const auto known = slot_of_.find(node);
  if (known == slot_of_.end()) return std::nullopt;
  return entries_[known->second].version;
}

std::optional<NodeId> CapabilityIndex::by_wire_origin(std::uint32_t origin) const {
  const auto [from, to] = by_origin_.equal_range(origin);
  if (from == to || std::next(from) != to) return std::nullopt;
  return from->second;
}

// --- watches ---

Expected<WatchId> CapabilityIndex::watch(Filter filter, std::optional<ScopeFilter> scope) {
  if (watches_.size() >= options_.max_watches) {
    return fail(ErrorKind::kCapability,
                "capability: more than " + std::to_string(options_.max_watches) + " watches");
  }
  const WatchId id(next_watch_++);
  Watch& watch = watches_[id.value];
  watch.filter = std::move(filter);
  watch.scope = std::move(scope);
  // What matches already is reported first, as if it had just joined.
  for (const Slot slot : all_) watch.pending.insert(hot_[slot].node);
  watches_ready_ = watches_ready_ || !watch.pending.empty();
  return id;
}

std::vector<WatchEvent> CapabilityIndex::poll_watch(WatchId id, TimePoint now) {
  std::vector<WatchEvent> events;
  const auto found = watches_.find(id.value);
  if (found == watches_.end()) return events;
  Watch& watch = found->second;
  const Plan plan = this->plan(watch.filter, watch.scope ? &*watch.scope : nullptr);
  for (const NodeId node : watch.pending) {
    const auto known = slot_of_.find(node);
    const bool matches = !plan.impossible && known != slot_of_.end() &&
                         hot_[known->second].expires_at > now && fits(plan, known->second);
    const bool was = watch.members.contains(node);
    if (matches && !was) {
      watch.members.insert(node);
      events.push_back({WatchEvent::Kind::kJoin, node});
    } else if (matches) {
      events.push_back({WatchEvent::Kind::kChange, node});
    } else if (was) {
      watch.members.erase(node);
      events.push_back({WatchEvent::Kind::kLeave, node});
    }
  }
  watch.pending.clear();
  watches_ready_ = std::any_of(watches_.begin(), watches_.end(),
                               [](const auto& each) { return !each.second.pending.empty(); });
  return events;
}

void CapabilityIndex::mark_dirty(NodeId node) {
  for (auto& [id, watch] : watches_) {
    watch.pending.insert(node);
    watches_ready_ = true;
  }
}

std::size_t CapabilityIndex::memory_bytes() const {
  constexpr std::size_t kNode = 4 * sizeof(void*);
  constexpr std::size_t kInlineText = 15;
  const auto text = [](const std::string& s) {
    return s.capacity() > kInlineText ? s.capacity() + 1 : 0;
  };
  std::size_t bytes = tags_.memory_bytes() + models_.memory_bytes() + tools_.memory_bytes();
  bytes += hot_.capacity() * sizeof(Hot) + entries_.capacity() * sizeof(Entry) +
           (all_.capacity() + global_.capacity() + free_.capacity()) * sizeof(Slot);
  bytes += (by_memory_.capacity() + by_vram_.capacity() + by_context_.capacity()) *
           sizeof(Column::value_type);
  bytes += by_expiry_.size() * (kNode + sizeof(std::pair<TimePoint, Slot>));
  bytes += (slot_of_.size() + by_origin_.size() + subnets_.size()) * (kNode + 16);
  for (const Entry& entry : entries_) {
    bytes +=
        (entry.tags.capacity() + entry.models.capacity() + entry.tools.capacity()) * sizeof(WordId);
    bytes += entry.metadata.capacity() * sizeof(entry.metadata[0]);
    for (const auto& [key, value] : entry.metadata) bytes += text(key) + text(value);
  }
  return bytes;
}

}  // namespace netmesh::capability
