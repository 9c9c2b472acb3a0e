#include "capability/index.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "capability/capability_testing.h"

namespace netmesh::capability {
namespace {

using testing::announcement_of;
using testing::at;
using testing::Random;
using testing::set_of;
using Outcome = CapabilityIndex::Outcome;
using Scope = ScopeFilter::Kind;

std::vector<std::uint64_t> ids(const std::vector<NodeId>& nodes) {
  std::vector<std::uint64_t> out;
  for (const NodeId node : nodes) out.push_back(node.value);
  return out;
}
using Ids = std::vector<std::uint64_t>;

CapabilityIndex index_for(NodeId self = NodeId(1)) {
  CapabilityIndex::Options options;
  options.self = self;
  return CapabilityIndex(options);
}

Filter tags(std::vector<std::string> wanted) {
  Filter filter;
  filter.require_tags = std::move(wanted);
  return filter;
}

CapabilitySet random_set(Random& random) {
  static const std::vector<std::string> kTags{"a",
                                              "b",
                                              "c",
                                              "scope:tenant:x",
                                              "scope:tenant:y",
                                              "scope:region:eu",
                                              "scope:subnet-local",
                                              "scope:tenant:",
                                              "software.os=linux"};
  CapabilitySet set;
  for (std::uint64_t n = random.below(4); n > 0; --n) set.add_tag(random.pick(kTags));
  Hardware hardware;
  hardware.memory_gb = static_cast<std::uint32_t>(random.below(4) * 32);
  if (random.flip()) {
    hardware.gpu.emplace();
    hardware.gpu->vendor = static_cast<GpuVendor>(random.below(3));
    hardware.gpu->vram_gb = static_cast<std::uint32_t>(random.below(3) * 24);
  }
  set_hardware(set, hardware);
  std::vector<Model> models(static_cast<std::size_t>(random.below(3)));
  for (Model& model : models) {
    model.id = random.flip() ? "m" : "n";
    model.context_length = static_cast<std::uint32_t>(random.below(3) * 1000);
    model.modalities = {static_cast<Modality>(random.below(7))};
    model.tokens_per_sec = static_cast<std::uint32_t>(random.below(2000));
    model.loaded = random.flip();
  }
  set_models(set, models);
  if (random.flip())
    set_tools(set, {Tool{.id = random.flip() ? "t" : "u",
                         .name = "",
                         .input_schema = {},
                         .output_schema = {},
                         .requires_ = {}}});
  return set;
}

Filter random_filter(Random& random) {
  Filter filter;
  if (random.flip()) filter.require_tags = {random.flip() ? "a" : "b"};
  if (random.below(3) == 0) filter.require_tags.push_back("c");
  if (random.below(4) == 0) filter.require_models = {"m"};
  if (random.below(6) == 0) filter.require_models = {"m", "n", "nobody has it"};
  if (random.below(4) == 0) filter.require_tools = {"t"};
  if (random.below(4) == 0) filter.require_gpu = true;
  if (random.below(5) == 0) filter.gpu_vendor = static_cast<GpuVendor>(random.below(3));
  if (random.below(3) == 0) filter.min_memory_gb = random.below(100);
  if (random.below(4) == 0) filter.min_vram_mb = random.below(50'000);
  if (random.below(4) == 0)
    filter.min_context_length = static_cast<std::uint32_t>(random.below(2500));
  if (random.below(5) == 0) filter.require_modalities = {static_cast<Modality>(random.below(7))};
  return filter;
}

/// The rules read from the specification, one by one, without an index.
bool naive_matches(const Filter& f, const CapabilitySet& set, const Inventory& all) {
  const auto has_id = [&](std::string_view prefix, std::string_view key, const std::string& id) {
    return std::any_of(set.tags.begin(), set.tags.end(), [&](const std::string& tag) {
      return tag.starts_with(prefix) && tag.ends_with(std::string(key) + "=" + id);
    });
  };
  for (const std::string& tag : f.require_tags)
    if (!set.tags.contains(tag)) return false;
  const auto any = [](const std::vector<std::string>& list, auto&& has) {
    return list.empty() || std::any_of(list.begin(), list.end(), has);
  };
  if (!any(f.require_models, [&](const auto& id) { return has_id("software.model.", ".id", id); }))
    return false;
  if (!any(f.require_tools,
           [&](const auto& id) { return has_id("software.tool.", ".tool_id", id); }))
    return false;
  const std::uint64_t vram = all.hardware.gpu ? all.hardware.gpu->vram_gb : 0;
  const GpuVendor vendor = all.hardware.gpu ? all.hardware.gpu->vendor : GpuVendor::kUnknown;
  const bool gpu = set.tags.contains("hardware.gpu");
  if (f.require_gpu && !gpu) return false;
  if (f.gpu_vendor && (!gpu || vendor != *f.gpu_vendor)) return false;
  if (all.hardware.memory_gb < f.min_memory_gb) return false;
  if (std::uint64_t{all.hardware.memory_gb} * 1024 < f.min_memory_mb) return false;
  if (f.min_vram_mb > 0 && (!gpu || vram * 1024 < f.min_vram_mb)) return false;
  const auto some_model = [&](auto&& has) {
    return std::any_of(all.models.begin(), all.models.end(), has);
  };
  if (f.min_context_length > 0 &&
      !some_model([&](const Model& m) { return m.context_length >= f.min_context_length; }))
    return false;
  return std::all_of(
      f.require_modalities.begin(), f.require_modalities.end(), [&](Modality wanted) {
        return some_model([&](const Model& m) {
          return std::find(m.modalities.begin(), m.modalities.end(), wanted) != m.modalities.end();
        });
      });
}

bool naive_in_scope(const ScopeFilter& scope, const CapabilitySet& set) {
  const std::string prefix = scope.kind == Scope::kTenants ? "scope:tenant:" : "scope:region:";
  bool local = false, scoped = false, named = false;
  for (const std::string& tag : set.tags) {
    local = local || tag == "scope:subnet-local";
    for (const std::string_view each : {"scope:tenant:", "scope:region:"})
      scoped = scoped || (tag.starts_with(each) && tag.size() > each.size());
    for (const std::string& name : scope.names) named = named || tag == prefix + name;
  }
  switch (scope.kind) {
    case Scope::kAny:
      return !local;
    case Scope::kGlobalOnly:
      return !local && !scoped;
    case Scope::kSameSubnet:
      return false;  // no node's subnet is known here
    case Scope::kTenants:
    case Scope::kRegions:
      return !local && (!scoped || named);
  }
  return false;
}

ScopeFilter random_scope(Random& random) {
  std::vector<std::string> names{random.flip() ? "x" : "eu"};
  if (random.flip()) names.emplace_back("y");
  return ScopeFilter::of(static_cast<Scope>(random.below(5)), names);
}

/// A node as a list without any index has it.
struct Mirrored {
  CapabilitySet set;
  Inventory inventory;
};

TEST(CapabilityIndex, AgreesWithTheRulesReadOneByOneWhileNodesComeChangeAndGo) {
  Random random(7);
  CapabilityIndex index = index_for();
  std::map<std::uint64_t, Mirrored> mirror;
  std::uint64_t version = 0;
  // The mesh grows and shrinks, so that words become common and rare again.
  for (int step = 0; step < 6000; ++step) {
    const std::uint64_t node = 2 + random.below(400);
    const bool shrinks = step / 1500 % 2 == 1;
    if (random.below(10) < (shrinks ? 8U : 1U)) {
      EXPECT_EQ(index.remove(NodeId(node)), mirror.erase(node) == 1);
    } else {
      const CapabilitySet set = random_set(random);
      const Outcome outcome = index.upsert(announcement_of(node, set, ++version), at(0));
      EXPECT_EQ(outcome, mirror.contains(node) ? Outcome::kUpdated : Outcome::kAdded);
      mirror[node] = {set, read_inventory(set)};
    }
    if (step % 4 != 0) continue;
    const Filter filter = random_filter(random);
    const ScopeFilter scope = random_scope(random);
    Ids expected, expected_in_scope;
    for (const auto& [id, each] : mirror) {
      if (!naive_matches(filter, each.set, each.inventory)) continue;
      expected.push_back(id);
      if (naive_in_scope(scope, each.set)) expected_in_scope.push_back(id);
    }
    ASSERT_EQ(ids(index.find_nodes(filter, at(0).monotonic)), expected) << "step " << step;
    ASSERT_EQ(ids(index.find_nodes_scoped(filter, scope, at(0).monotonic)), expected_in_scope)
        << "step " << step;
    if (const auto known = mirror.find(node); known != mirror.end())
      ASSERT_EQ(matches(filter, known->second.set),
                naive_matches(filter, known->second.set, known->second.inventory));
  }
  EXPECT_EQ(index.size(), mirror.size());
  for (const auto& [id, each] : mirror) EXPECT_EQ(index.capabilities_of(NodeId(id)), each.set);
  for (const auto& [id, each] : mirror) index.remove(NodeId(id));
  EXPECT_EQ(index.size(), 0u);
  EXPECT_TRUE(index.find_nodes({}, at(0).monotonic).empty());
}

TEST(CapabilityIndex, JudgesOneNodeAsItsSetAloneIsJudged) {
  Random random(12);
  for (int round = 0; round < 300; ++round) {
    CapabilityIndex index = index_for();
    const CapabilitySet set = random_set(random);
    index.upsert(announcement_of(2, random_set(random)), at(0));
    index.upsert(announcement_of(3, set), at(0));
    Filter filter = random_filter(random);
    if (random.flip()) filter.require_tags.push_back("software.os:linux");
    EXPECT_EQ(index.satisfies(NodeId(3), filter, at(1).monotonic), matches(filter, set));
    EXPECT_EQ(index.satisfies(NodeId(4), filter, at(1).monotonic), std::nullopt) << "not known";
    EXPECT_EQ(index.satisfies(NodeId(3), filter, at(300).monotonic), std::nullopt) << "expired";
  }
}

TEST(CapabilityIndex, BelievesOnlyNewerVersionsUntilANodeWasForgotten) {
  CapabilityIndex index = index_for();
  EXPECT_EQ(index.upsert(announcement_of(5, set_of({"a"}), 10), at(0)), Outcome::kAdded);
  EXPECT_EQ(index.upsert(announcement_of(5, set_of({"b"}), 10), at(0)), Outcome::kStale);
  EXPECT_EQ(index.upsert(announcement_of(5, set_of({"b"}), 9), at(0)), Outcome::kStale);
  EXPECT_EQ(ids(index.find_nodes(tags({"a"}), at(0).monotonic)), Ids{5});
  EXPECT_TRUE(index.remove(NodeId(5)));
  EXPECT_EQ(index.upsert(announcement_of(5, set_of({"b"}), 1), at(0)), Outcome::kAdded);
  EXPECT_EQ(ids(index.find_nodes(tags({"b"}), at(0).monotonic)), Ids{5});
}

TEST(CapabilityIndex, ShowsNothingThatHasExpiredSweptOrNot) {
  CapabilityIndex index = index_for();
  index.upsert(announcement_of(5, set_of({"a"}), 1, 10), at(0));
  index.upsert(announcement_of(6, set_of({"a"}), 1, 20), at(0));
  EXPECT_EQ(ids(index.find_nodes({}, at(9.9).monotonic)), (Ids{5, 6}));
  EXPECT_EQ(ids(index.find_nodes({}, at(10).monotonic)), Ids{6});
  EXPECT_EQ(index.find_best_node({}, at(10).monotonic), NodeId(6));
  EXPECT_EQ(index.size(), 2u);
  EXPECT_EQ(index.next_expiry(), at(10).monotonic);
  EXPECT_EQ(index.sweep(at(10).monotonic), 1u);
  EXPECT_EQ(index.size(), 1u);
  EXPECT_EQ(index.sweep(at(30).monotonic), 1u);
  EXPECT_EQ(index.next_expiry(), std::nullopt);
}

TEST(CapabilityIndex, GivesAReplayNoMoreLifeThanItHadLeft) {
  CapabilityIndex index = index_for();
  EXPECT_EQ(index.upsert(announcement_of(5, {}, 1, 300), at(290)), Outcome::kAdded);
  EXPECT_EQ(index.next_expiry(), at(300).monotonic);
  EXPECT_EQ(index.upsert(announcement_of(6, {}, 1, 300), at(300)), Outcome::kExpired);
  EXPECT_EQ(index.upsert(announcement_of(7, {}, 1, 0), at(5000)), Outcome::kAdded)
      << "a time to live of 0 lasts until the next sweep";
  EXPECT_EQ(ids(index.find_nodes({}, at(5001).monotonic)), Ids{7});
  index.sweep(at(5060).monotonic);
  EXPECT_FALSE(index.contains(NodeId(7)));
}

TEST(CapabilityIndex, TakesNoMoreNodesThanItsBoundUnlessSomeHaveExpired) {
  CapabilityIndex::Options options;
  options.max_nodes = 3;
  CapabilityIndex index(options);
  for (std::uint64_t node = 1; node <= 3; ++node)
    EXPECT_EQ(index.upsert(announcement_of(node, {}, 1, node == 2 ? 10 : 300), at(0)),
              Outcome::kAdded);
  EXPECT_EQ(index.upsert(announcement_of(4, {}), at(5)), Outcome::kFull);
  EXPECT_EQ(index.upsert(announcement_of(3, {}, 2), at(5)), Outcome::kUpdated);
  EXPECT_EQ(index.upsert(announcement_of(4, {}), at(10)), Outcome::kAdded);
  EXPECT_EQ(ids(index.find_nodes({}, at(10).monotonic)), (Ids{1, 3, 4}));
}

TEST(CapabilityIndex, FindsWhatTheReadmeAsksForInMegabytes) {
  CapabilityIndex index = index_for();
  CapabilitySet set;
  Hardware hardware;
  hardware.memory_gb = 64;
  hardware.gpu = Gpu{GpuVendor::kNvidia, "h100", 80, 0, 0, 0};
  set_hardware(set, hardware);
  index.upsert(announcement_of(5, set), at(0));
  const auto found = [&](std::uint64_t vram_mb, std::uint64_t memory_mb) {
    Filter filter;
    filter.min_vram_mb = vram_mb;
    filter.min_memory_mb = memory_mb;
    return !index.find_nodes(filter, at(0).monotonic).empty();
  };
  EXPECT_TRUE(found(40'000, 0));
  EXPECT_TRUE(found(80 * 1024, 64 * 1024));
  EXPECT_FALSE(found(80 * 1024 + 1, 0));
  EXPECT_FALSE(found(0, 64 * 1024 + 1));
  EXPECT_FALSE(found(~std::uint64_t{0}, 0));
}

TEST(CapabilityIndex, AppliesScopesAsTheTableSays) {
  CapabilityIndex::Options options;
  options.self = NodeId(1);
  options.own_subnet = identity::SubnetId(0x03000000);
  CapabilityIndex index(options);
  const std::pair<std::uint64_t, CapabilitySet> nodes[] = {
      {2, set_of({"scope:global", "scope:tenant:", "scope:odd"})},
      {3, set_of({"scope:subnet-local", "scope:tenant:x"})},
      {4, set_of({"scope:tenant:x", "scope:region:eu"})},
      {5, set_of({"scope:region:us"})},
  };
  for (const auto& [id, set] : nodes) index.upsert(announcement_of(id, set), at(0));
  const auto found = [&](Scope kind, std::vector<std::string> names = {}) {
    return ids(
        index.find_nodes_scoped({}, ScopeFilter::of(kind, std::move(names)), at(0).monotonic));
  };
  EXPECT_EQ(ids(index.find_nodes({}, at(0).monotonic)), (Ids{2, 3, 4, 5}));
  EXPECT_EQ(found(Scope::kAny), (Ids{2, 4, 5}));
  EXPECT_EQ(found(Scope::kGlobalOnly), Ids{2});
  EXPECT_EQ(found(Scope::kTenants, {"x"}), (Ids{2, 4}));
  EXPECT_EQ(found(Scope::kTenants, {"y", "z"}), Ids{2});
  EXPECT_EQ(found(Scope::kRegions, {"us", "eu"}), (Ids{2, 4, 5}));
  EXPECT_EQ(found(Scope::kTenants, {"", ""}), (Ids{2, 4, 5})) << "no name: any";
  EXPECT_EQ(found(Scope::kSameSubnet), Ids{}) << "nobody's subnet is known, and none is derived";
  index.set_subnet(NodeId(3), identity::SubnetId(0x03000000));
  index.set_subnet(NodeId(4), identity::SubnetId(0x03010000));
  EXPECT_EQ(found(Scope::kSameSubnet), Ids{3});
  index.upsert(announcement_of(1, {}), at(0));
  EXPECT_EQ(found(Scope::kSameSubnet), (Ids{1, 3})) << "oneself is at home";
}

TEST(CapabilityIndex, TakesUnknownSubnetsForItsOwnWhileAPolicyMayTell) {
  CapabilityIndex::Options options;
  options.has_subnet_policy = true;
  CapabilityIndex index(options);
  index.upsert(announcement_of(2, {}), at(0));
  EXPECT_EQ(index.find_nodes_scoped({}, {Scope::kSameSubnet, {}}, at(0).monotonic).size(), 1u);
}

TEST(CapabilityIndex, PicksTheBestNodeAndTheLowestIdAmongEquals) {
  CapabilityIndex index = index_for();
  const auto add = [&](std::uint64_t id, std::uint32_t memory, std::uint32_t speed, bool loaded) {
    CapabilitySet set;
    Hardware hardware;
    hardware.memory_gb = memory;
    set_hardware(set, hardware);
    Model model;
    model.id = "m";
    model.tokens_per_sec = speed;
    model.loaded = loaded;
    set_models(set, {model});
    index.upsert(announcement_of(id, set), at(0));
  };
  add(9, 256, 10, false);
  add(7, 512, 10, false);
  add(8, 64, 900, true);
  Requirement requirement;
  EXPECT_EQ(index.find_best_node(requirement, at(0).monotonic), NodeId(7));
  requirement.prefer_more_memory = 1;
  EXPECT_EQ(index.find_best_node(requirement, at(0).monotonic), NodeId(7))
      << "256 GB is full marks";
  requirement.prefer_faster_inference = 1;
  EXPECT_EQ(index.find_best_node(requirement, at(0).monotonic), NodeId(8));
  requirement.filter.require_models = {"x"};
  EXPECT_EQ(index.find_best_node(requirement, at(0).monotonic), std::nullopt);
  requirement.prefer_more_vram = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(requirement.check().error().message,
            "capability requirement weight 'preferMoreVram' must be a finite number, got NaN");
}

TEST(CapabilityIndex, AnswersNothingForAnOriginThatTwoNodesShare) {
  CapabilityIndex index = index_for();
  // Two entities with equal low halves of their origin hashes, found by search.
  std::unordered_map<std::uint32_t, std::uint64_t> seen;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  for (std::uint64_t i = 1; b == 0; ++i) {
    const auto origin =
        static_cast<std::uint32_t>(identity::derive_origin_hash(announcement_of(i, {}).entity_id));
    const auto [at_seen, fresh] = seen.emplace(origin, i);
    if (!fresh) {
      a = at_seen->second;
      b = i;
    }
  }
  const auto origin =
      static_cast<std::uint32_t>(identity::derive_origin_hash(announcement_of(a, {}).entity_id));
  index.upsert(announcement_of(a, {}), at(0));
  EXPECT_EQ(index.by_wire_origin(origin), NodeId(a));
  index.upsert(announcement_of(b, {}), at(0));
  EXPECT_EQ(index.by_wire_origin(origin), std::nullopt);
  EXPECT_EQ(index.origin_collisions(), 1u);
  index.remove(NodeId(a));
  EXPECT_EQ(index.by_wire_origin(origin), NodeId(b));
}

TEST(CapabilityWatch, ReportsJoinsChangesAndLeavesAsANetEffect) {
  using Kind = WatchEvent::Kind;
  using Events = std::vector<WatchEvent>;
  CapabilityIndex index = index_for();
  index.upsert(announcement_of(2, set_of({"gpu"}), 1), at(0));
  const WatchId watch = index.watch(tags({"gpu"})).value();
  const auto poll = [&](double seconds = 1) {
    return index.poll_watch(watch, at(seconds).monotonic);
  };
  EXPECT_TRUE(index.watches_ready());
  EXPECT_EQ(poll(), (Events{{Kind::kJoin, NodeId(2)}}));
  EXPECT_FALSE(index.watches_ready());
  index.upsert(announcement_of(3, set_of({"cpu"}), 1), at(1));
  EXPECT_EQ(poll(), Events{}) << "does not match";
  index.upsert(announcement_of(3, set_of({"gpu"}), 2), at(1));
  index.upsert(announcement_of(2, set_of({"gpu", "x"}), 2), at(1));
  EXPECT_EQ(poll(), (Events{{Kind::kChange, NodeId(2)}, {Kind::kJoin, NodeId(3)}}));
  index.upsert(announcement_of(3, set_of({"cpu"}), 3), at(1));
  EXPECT_EQ(poll(), (Events{{Kind::kLeave, NodeId(3)}}));
  index.upsert(announcement_of(4, set_of({"gpu"}), 1), at(1));
  index.remove(NodeId(4));
  EXPECT_EQ(poll(), Events{}) << "came and went in between";
  index.sweep(at(300).monotonic);
  EXPECT_EQ(poll(300), (Events{{Kind::kLeave, NodeId(2)}}));
  index.unwatch(watch);
  EXPECT_EQ(poll(), Events{});
}

TEST(CapabilityWatch, HasABound) {
  CapabilityIndex::Options options;
  options.max_watches = 1;
  CapabilityIndex index(options);
  EXPECT_TRUE(index.watch({}));
  EXPECT_EQ(index.watch({}).error().message, "capability: more than 1 watches");
}

// --- aggregation ---

using Rows = std::vector<AggregateRow>;

CapabilityIndex fleet() {
  CapabilityIndex index = index_for();
  index.upsert(
      announcement_of(1, set_of({"hardware.gpu", "hardware.gpu.h100", "hardware.gpu.count=8",
                                 "scope:region:eu", "software.runtime.python=3.11.0"})),
      at(0));
  index.upsert(announcement_of(2, set_of({"hardware.gpu", "hardware.gpu.a100",
                                          "hardware.gpu.count=4", "scope:region:us",
                                          "scope:region:eu", "software.runtime.python=3.9.1"})),
               at(0));
  index.upsert(announcement_of(
                   0xAB, set_of({"hardware.memory_gb=64", "software.runtime.python=3.11", "gpu"})),
               at(0));
  return index;
}

TagMatcher matcher(TagMatcher::Kind kind, std::string value, std::string key = "") {
  return {kind, std::move(value), std::move(key), {}, {}};
}

TEST(CapabilityAggregate, CountsByEveryGrouping) {
  const CapabilityIndex index = fleet();
  const auto rows = [&](GroupBy group) { return index.aggregate({}, group, {}, at(0).monotonic); };
  EXPECT_EQ(rows({GroupBy::Kind::kClass, "", ""}), (Rows{{"0x0", 3}}));
  EXPECT_EQ(rows({GroupBy::Kind::kState, "", ""}), (Rows{{"idle", 3}}));
  EXPECT_EQ(rows({GroupBy::Kind::kRegion, "", ""}), (Rows{{"(none)", 1}, {"eu", 2}}))
      << "the first region counts";
  EXPECT_EQ(rows({GroupBy::Kind::kPublisher, "", ""}), (Rows{{"0x1", 1}, {"0x2", 1}, {"0xab", 1}}));
  EXPECT_EQ(rows({GroupBy::Kind::kTagStem, "hardware.gpu", ""}),
            (Rows{{"(present)", 2}, {"a100", 1}, {"count", 2}, {"h100", 1}}));
  EXPECT_EQ(rows({GroupBy::Kind::kTagValue, "hardware", "gpu.count"}), (Rows{{"4", 1}, {"8", 1}}));
}

TEST(CapabilityAggregate, ChoosesEntriesByEveryMatcher) {
  using Kind = TagMatcher::Kind;
  const CapabilityIndex index = fleet();
  const auto count = [&](const TagMatcher& m) -> std::uint64_t {
    const auto rows = index.aggregate(m, {GroupBy::Kind::kClass, "", ""}, {}, at(0).monotonic);
    return rows.empty() ? 0 : rows[0].value;
  };
  EXPECT_EQ(count(matcher(Kind::kExact, "gpu")), 1u);
  EXPECT_EQ(count(matcher(Kind::kPrefix, "hardware.gpu")), 2u);
  EXPECT_EQ(count(matcher(Kind::kAxis, "hardware")), 3u);
  EXPECT_EQ(count(matcher(Kind::kAxis, "scope:")), 0u);
  EXPECT_EQ(count(matcher(Kind::kAxisKey, "hardware", "memory_gb")), 1u);
  EXPECT_EQ(count(matcher(Kind::kAxisKey, "hardware", "gpu")), 2u);
  EXPECT_EQ(count(matcher(Kind::kRegex, "[ah]100$")), 2u);
  EXPECT_EQ(count(matcher(Kind::kRegex, "(")), 0u) << "a bad pattern matches nothing";
  TagMatcher version = matcher(Kind::kVersionRange, "software.runtime.python");
  EXPECT_EQ(count(version), 2u) << "3.11 is no full version";
  version.min = "3.10.0";
  EXPECT_EQ(count(version), 1u);
  version.min = "odd";
  version.max = "3.9.1";
  EXPECT_EQ(count(version), 1u) << "a bad bound is none, good ones are inclusive";
  EXPECT_EQ(count(matcher(Kind::kVersionRange, "python")), 0u);
}

TEST(CapabilityAggregate, TakesNoExponentialTimeForAnyTag) {
  CapabilityIndex index = index_for();
  index.upsert(announcement_of(1, set_of({std::string(200, 'a') + "!"})), at(0));
  const auto rows = index.aggregate(matcher(TagMatcher::Kind::kRegex, "^(a+)+$"),
                                    {GroupBy::Kind::kClass, "", ""}, {}, at(0).monotonic);
  EXPECT_EQ(rows, Rows{});
}

TEST(CapabilityAggregate, ComputesEveryAggregation) {
  using Kind = Aggregation::Kind;
  CapabilityIndex index = fleet();
  index.upsert(announcement_of(3, set_of({"hardware.gpu.count=18446744073709551615"})), at(0));
  const auto value = [&](Aggregation aggregation) {
    return index.aggregate({}, {GroupBy::Kind::kClass, "", ""}, aggregation, at(0).monotonic)[0]
        .value;
  };
  EXPECT_EQ(value({Kind::kCount, "", ""}), 4u);
  EXPECT_EQ(value({Kind::kDistinctPublishers, "", ""}), 4u);
  EXPECT_EQ(value({Kind::kDistinctValues, "hardware", "gpu.count"}), 3u);
  EXPECT_EQ(value({Kind::kSumNumericTag, "hardware.gpu.count", ""}), ~std::uint64_t{0});
  EXPECT_EQ(value({Kind::kMinNumericTag, "hardware.gpu.count", ""}), 4u);
  EXPECT_EQ(value({Kind::kMaxNumericTag, "hardware.gpu.count", ""}), ~std::uint64_t{0});
  EXPECT_EQ(value({Kind::kMinNumericTag, "hardware.none", ""}), 0u);
  EXPECT_EQ(value({Kind::kSumNumericTag, "malformed", ""}), 0u);
}

TEST(CapacityRanking, GivesTheRowsOfTheExample) {
  CapabilityIndex index = index_for();
  index.upsert(
      announcement_of(1, set_of({"hardware.gpu", "hardware.gpu.h100", "hardware.gpu.count=8"})),
      at(0));
  CapacityQuery query;
  query.matcher = matcher(TagMatcher::Kind::kPrefix, "hardware.gpu");
  query.group_by = {GroupBy::Kind::kTagStem, "hardware.gpu", ""};
  query.sum_axis_key = "hardware.gpu.count";
  query.limit = 5;
  const auto row = [](std::string bucket) { return CapacityRow{std::move(bucket), 1, 0, 0, 1, 8}; };
  EXPECT_EQ(index.capacity_ranking(query, {}, at(0).monotonic),
            (std::vector<CapacityRow>{row("(present)"), row("count"), row("h100")}));
}

TEST(CapacityRanking, SortsLimitsAndFiltersByRoundTripTime) {
  const CapabilityIndex index = fleet();
  CapacityQuery query;
  query.group_by = {GroupBy::Kind::kRegion, "", ""};
  const auto buckets = [&](const RttLookup& rtt) {
    std::string out;
    for (const CapacityRow& row : index.capacity_ranking(query, rtt, at(0).monotonic))
      out += row.bucket + ":" + std::to_string(row.available) + " ";
    return out;
  };
  EXPECT_EQ(buckets({}), "eu:2 (none):1 ");
  query.limit = 1;
  EXPECT_EQ(buckets({}), "eu:2 ");
  query.limit = 0;
  query.max_rtt_ms = 20;
  EXPECT_EQ(buckets({}), "") << "who was never pinged is not near";
  EXPECT_EQ(buckets([](NodeId node) -> std::optional<double> {
              if (node == NodeId(1)) return 20.0;
              if (node == NodeId(2)) return 20.5;
              return std::nullopt;
            }),
            "eu:1 ");
  query.max_rtt_ms.reset();
  EXPECT_EQ(index.capacity_ranking(query, {}, at(0).monotonic)[0].summed_capacity, std::nullopt);
  query.sum_axis_key = "malformed";
  EXPECT_EQ(index.capacity_ranking(query, {}, at(0).monotonic)[0].summed_capacity, std::nullopt);
  query.sum_axis_key = "hardware.none";
  EXPECT_EQ(index.capacity_ranking(query, {}, at(0).monotonic)[0].summed_capacity, 0u);
}

}  // namespace
}  // namespace netmesh::capability
