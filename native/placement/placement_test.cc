#include "placement/placement.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "placement/placement_registry.h"

namespace netmesh::placement {
namespace {

using simdjson::dom::element;

std::string text(const element& value) { return std::string(std::string_view(value.get_string())); }

CapabilitySet capability_set(const element& value) {
  CapabilitySet out;
  for (const element tag : value["tags"].get_array()) out.tags.push_back(text(tag));
  for (const auto& [key, each] : value["metadata"].get_object()) {
    out.metadata.insert_or_assign(std::string(key), text(each));
  }
  return out;
}

Candidate candidate(std::vector<std::string> tags, std::uint64_t id = 1) {
  Candidate out;
  out.node_id = id;
  out.tags = std::move(tags);
  return out;
}

TEST(PlacementScore, IsThatOfTheSharedVectors) {
  simdjson::dom::parser parser;
  const element document = parser.load(std::string(NETMESH_SOURCE_DIR) +
                                       "/test/fixtures/cross_lang_capability/placement_score.json");
  ASSERT_EQ(std::int64_t(document["abi_version_expected"]), 1);
  ASSERT_EQ(simdjson::dom::array(document["cases"]).size(), 8U);
  for (const element each : document["cases"].get_array()) {
    SCOPED_TRACE(text(each["name"]));
    Placement placement;
    simdjson::dom::array labels;
    if (each["config"]["scope_filter"].get_array().get(labels) == simdjson::SUCCESS) {
      for (const element label : labels) placement.scope_filter.push_back(text(label));
    }
    CapabilitySet node = capability_set(each["candidate"]);
    Candidate target;
    target.node_id = std::stoull(text(each["candidate"]["node_id"]), nullptr, 16);
    target.tags = std::move(node.tags);
    target.metadata = std::move(node.metadata);
    Artifact artifact;
    artifact.required = capability_set(each["artifact"]["required"]);
    artifact.optional = capability_set(each["artifact"]["optional"]);
    const auto actual = score(placement, target, artifact);
    ASSERT_EQ(actual.has_value(), !each["expected_score"].is_null());
    if (actual) EXPECT_NEAR(*actual, double(each["expected_score"]), 1e-6);
  }
}

TEST(PlacementScore, GrowsWithResources) {
  EXPECT_NEAR(*score({}, candidate({"hardware.cpu_cores=16"}), {}), 16.0 / 24, 1e-6);
  EXPECT_NEAR(*score({}, candidate({"hardware.cpu_cores=8", "hardware.memory_gb=48"}), {}),
              (0.5 + 0.75) / 2, 1e-6);
  for (const char* nonsense : {"-1", "nan", "1e16", "inf", "lots", ""}) {
    EXPECT_EQ(*score({}, candidate({std::string("hardware.cpu_cores=") + nonsense}), {}), 1);
  }
  EXPECT_EQ(*score({}, candidate({"hardware.cpu_cores=0"}), {}), 0);
  Placement both;
  both.resource = ResourceAxis::kBoth;
  EXPECT_NEAR(*score(both, candidate({"dataforts.capacity_gb=1000", "hardware.cpu_cores=24"}), {}),
              (0.5 + 0.75) / 2, 1e-6);
  EXPECT_NEAR(*score(both, candidate({"dataforts.capacity_gb=3000"}), {}), 0.75, 1e-6);
}

TEST(PlacementScore, VetoesWhatTheBuilderForbids) {
  Placement placement;
  placement.require_tags = {"software.os=linux"};
  placement.forbid_tags = {"devices.battery"};
  placement.require_metadata = {{"owner", "alice"}};
  Candidate node = candidate({"software.os:linux"});
  node.metadata = {{"owner", "alice"}};
  EXPECT_TRUE(score(placement, node, {}));
  node.tags.push_back("devices.battery");
  EXPECT_FALSE(score(placement, node, {}));
  node.tags = {"software.os:linux"};
  node.metadata = {{"owner", "bob"}};
  EXPECT_FALSE(score(placement, node, {}));
  node.metadata.clear();
  EXPECT_FALSE(score(placement, node, {}));
  // What a daemon requires it requires byte for byte.
  Artifact daemon;
  daemon.required.tags = {"software.os=linux"};
  EXPECT_FALSE(score({}, candidate({"software.os:linux"}), daemon));
  EXPECT_TRUE(score({}, candidate({"software.os=linux"}), daemon));
}

TEST(PlacementScore, KnowsIntents) {
  Placement strict;
  strict.intent = IntentPolicy::kStrict;
  Artifact daemon;
  const auto suits = [&](const char* intent, std::vector<std::string> tags) {
    daemon.optional.metadata = {{"intent", intent}};
    return *score(strict, candidate(std::move(tags)), daemon) > 0;
  };
  EXPECT_TRUE(suits("ml-training", {"hardware.gpu", "hardware.gpu.vram_gb=24"}));
  EXPECT_FALSE(suits("ml-training", {"hardware.gpu.vram_gb=24"}));
  EXPECT_FALSE(suits("ml-training", {"hardware.gpu", "hardware.gpu.vram_gb=16"}));
  EXPECT_TRUE(suits("inference", {"hardware.gpu", "software.model.0.id=llama"}));
  EXPECT_TRUE(suits("inference", {"hardware.gpu", "software.model"}));
  EXPECT_FALSE(suits("inference", {"hardware.gpu", "software.models=1"}));
  EXPECT_TRUE(suits("cpu-bound", {"hardware.cpu_cores=4"}));
  EXPECT_FALSE(suits("cpu-bound", {"hardware.cpu_cores=3"}));
  EXPECT_TRUE(suits("sensor-telemetry", {"devices.camera"}));
  EXPECT_FALSE(suits("sensor-telemetry", {}));
  EXPECT_TRUE(suits("something-else", {}));
  strict.intent = IntentPolicy::kAnyOf;
  EXPECT_FALSE(suits("x", {}));
  EXPECT_TRUE(suits("x", {"devices.camera"}));
}

TEST(PlacementScore, KnowsNeighbours) {
  Placement placement;
  Artifact daemon;
  daemon.required.metadata = {{"colocate-with", "00ab"}};
  daemon.optional.metadata = {{"colocate-with", "ffff"}};
  const Candidate host = candidate({"causal:00ab[1..7]"});
  const Candidate other = candidate({"causal:00abc", "causal:ffff:3"});
  EXPECT_EQ(*score(placement, other, daemon), 1);
  placement.colocation = ColocationPolicy::kSoftPreference;
  EXPECT_EQ(*score(placement, host, daemon), 1);
  EXPECT_FLOAT_EQ(*score(placement, other, daemon), 0.7F);
  placement.colocation = ColocationPolicy::kStrictRequired;
  EXPECT_EQ(*score(placement, other, daemon), 0);
  placement.colocation = ColocationPolicy::kSoftPreference;
  daemon.optional.metadata["colocate-with-strict"] = "00ab";
  EXPECT_EQ(*score(placement, other, daemon), 0);
  EXPECT_EQ(*score(placement, host, daemon), 1);
}

TEST(PlacementScore, KnowsDistanceAndCrowding) {
  Placement placement;
  placement.max_rtt_ms = 10;
  Candidate node = candidate({});
  EXPECT_EQ(*score(placement, node, {}), 1);
  node.rtt_ms = 10;
  EXPECT_EQ(*score(placement, node, {}), 1);
  node.rtt_ms = 11;
  EXPECT_EQ(*score(placement, node, {}), 0);
  node.rtt_ms = 1;
  node.concentration = 0.3;
  EXPECT_EQ(*score(placement, node, {}), 1);
  node.concentration = 0.31;
  EXPECT_FLOAT_EQ(*score(placement, node, {}), 0.4F);
  node.concentration = std::nan("");
  EXPECT_EQ(*score(placement, node, {}), 1);
}

TEST(PlacementScore, PutsBlobsWhereTheyFit) {
  Artifact blob;
  blob.kind = Artifact::Kind::kBlob;
  blob.size_bytes = (std::uint64_t{2} << 30) + 1;
  const auto fits = [&blob](std::vector<std::string> tags) {
    return score({}, candidate(std::move(tags)), blob).has_value();
  };
  EXPECT_TRUE(fits({"dataforts.blob.storage", "dataforts.blob.disk_free_gb=3"}));
  EXPECT_FALSE(fits({"dataforts.blob.storage", "dataforts.blob.disk_free_gb=2"}));
  EXPECT_FALSE(fits({"dataforts.blob.storage"}));
  EXPECT_FALSE(fits({"dataforts.blob.disk_free_gb=3"}));
  EXPECT_FALSE(fits({"dataforts.blob.storage", "dataforts.blob.disk_free_gb=3",
                     "dataforts:blob-storage-unhealthy"}));
}

/// Agrees with odd ids, in batches that it counts; nothing any more after `calls_allowed`.
class OddFilter : public PlacementFilter {
 public:
  explicit OddFilter(std::size_t calls_allowed) : calls_allowed_(calls_allowed) {}
  std::vector<bool> judge(std::span<const Candidate> candidates,
                          std::chrono::milliseconds timeout) override {
    EXPECT_EQ(timeout, kFilterTimeout);
    EXPECT_LE(candidates.size(), kFilterBatch);
    if (batches.size() == calls_allowed_) return {};
    batches.push_back(candidates.size());
    std::vector<bool> out;
    for (const Candidate& each : candidates) out.push_back(each.node_id % 2 == 1);
    return out;
  }
  std::vector<std::size_t> batches;

 private:
  std::size_t calls_allowed_;
};

std::vector<std::uint64_t> ids(const Ranking& ranking) {
  std::vector<std::uint64_t> out;
  for (const Ranked& each : ranking.nodes) out.push_back(each.node_id);
  return out;
}

TEST(Rank, PutsTheBestFirstAndBreaksTiesByDistanceAndId) {
  std::vector<Candidate> nodes = {candidate({"hardware.cpu_cores=1"}, 1), candidate({}, 9),
                                  candidate({}, 3), candidate({}, 7),
                                  candidate({"scope:tenant:x"}, 4)};
  nodes[3].rtt_ms = 50;
  Placement placement;
  const PlacementRegistry registry;
  EXPECT_EQ(ids(rank(placement, nodes, {}, registry)), (std::vector<std::uint64_t>{7, 3, 4, 9, 1}));
  placement.limit = 2;
  EXPECT_EQ(ids(rank(placement, nodes, {}, registry)), (std::vector<std::uint64_t>{7, 3}));
  placement.limit = 0;
  EXPECT_TRUE(rank(placement, nodes, {}, registry).nodes.empty());
}

TEST(Rank, AsksTheFilterOnlyAboutNodesThatEverythingElseAllows) {
  PlacementRegistry registry;
  const auto filter = std::make_shared<OddFilter>(2);
  ASSERT_TRUE(registry.add("odd", filter));
  EXPECT_FALSE(registry.add("odd", filter));
  Placement placement;
  placement.custom_filter_id = "odd";
  placement.require_tags = {"hardware.gpu"};
  std::vector<Candidate> nodes;
  for (std::uint64_t id = 0; id < 200; ++id) {
    nodes.push_back(candidate(
        id < 100 ? std::vector<std::string>{"hardware.gpu"} : std::vector<std::string>{}, id));
  }
  EXPECT_EQ(rank(placement, nodes, {}, registry).nodes.size(), 50U);
  EXPECT_EQ(filter->batches, (std::vector<std::size_t>{64, 36}));
  // From now on it is silent, and nobody can be placed.
  EXPECT_TRUE(rank(placement, nodes, {}, registry).nodes.empty());

  EXPECT_FALSE(registry.remove("odd", nullptr));
  EXPECT_TRUE(registry.remove("odd", filter.get()));
  EXPECT_FALSE(registry.remove("odd"));
  EXPECT_TRUE(rank(placement, nodes, {}, registry).filter_missing);
}

TEST(Rank, HasRoomForABoundedNumberOfFilters) {
  PlacementRegistry registry;
  const auto filter = std::make_shared<OddFilter>(0);
  for (std::size_t i = 0; i < PlacementRegistry::kMaxFilters; ++i) {
    ASSERT_TRUE(registry.add(std::to_string(i), filter));
  }
  EXPECT_FALSE(registry.add("more", filter));
  EXPECT_TRUE(registry.remove("0"));
  EXPECT_TRUE(registry.add("more", filter));
}

TEST(Rank, GoesOnWhileFiltersComeAndGoOnOtherThreads) {
  class Yes : public PlacementFilter {
   public:
    std::vector<bool> judge(std::span<const Candidate> candidates,
                            std::chrono::milliseconds) override {
      return std::vector<bool>(candidates.size(), true);
    }
  };
  PlacementRegistry registry;
  std::atomic<bool> done = false;
  std::atomic<std::size_t> registered = 0;
  std::thread coming_and_going([&] {
    while (!done) {
      if (registry.add("x", std::make_shared<Yes>())) ++registered;
      registry.remove("x");
    }
  });
  Placement placement;
  placement.custom_filter_id = "x";
  const std::vector<Candidate> nodes(100);
  std::size_t placed = 0;
  std::size_t missing = 0;
  while (placed < 20 || missing < 20) {
    const Ranking ranking = rank(placement, nodes, {}, registry);
    // All or nothing: never half a filter.
    ASSERT_EQ(ranking.nodes.size(), ranking.filter_missing ? 0U : nodes.size());
    ++(ranking.filter_missing ? missing : placed);
  }
  done = true;
  coming_and_going.join();
  EXPECT_GT(registered, 0U);
}

}  // namespace
}  // namespace netmesh::placement
