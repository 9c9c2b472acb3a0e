// P9: questions to an index of 10 000 nodes, and what an update costs. The index is fed through the
// announcer, as the network feeds it.

#include <benchmark/benchmark.h>

#include "capability/announcer.h"
#include "capability/capability_testing.h"
#include "crypto/secret.h"

namespace netmesh::capability {
namespace {

using testing::at;
using testing::Random;

constexpr std::size_t kNodes = 10'000;

struct Host final : AnnouncerHost {
  std::optional<NodeId> next_hop(NodeId /*origin*/) const override { return std::nullopt; }
  bool is_blocked(NodeId /*peer*/) const override { return false; }
};

CapabilitySet synthetic_set(Random& random) {
  CapabilitySet set;
  Hardware hardware;
  hardware.cpu_cores = static_cast<std::uint16_t>(8u << random.below(4));
  hardware.cpu_threads = static_cast<std::uint16_t>(2 * hardware.cpu_cores);
  hardware.memory_gb = static_cast<std::uint32_t>(16u << random.below(6));
  if (random.below(4) == 0) {
    hardware.gpu = Gpu{GpuVendor::kNvidia,
                       random.flip() ? "h100" : "a100",
                       random.flip() ? 80u : 40u,
                       132,
                       528,
                       0};
  }
  set_hardware(set, hardware);
  set_software(set,
               {"linux", "6.1", {{"node", "20." + std::to_string(random.below(20))}}, {}, {}, {}});
  Model model;
  model.id = "model-" + std::to_string(random.below(50));
  model.context_length = 8192;
  model.modalities = {Modality::kText};
  set_models(set, {model});
  set.add_tag("pool:" + std::to_string(random.below(100)));
  set.add_tag("scope:tenant:t" + std::to_string(random.below(20)));
  set.add_tag("scope:region:r" + std::to_string(random.below(8)));
  return set;
}

/// What the benchmarks share; made once.
struct World {
  World()
      : random((crypto::initialize(), 1)),
        self(identity::LocalIdentity::from_seed(testing::repeated(1))),
        index(CapabilityIndex::Options{.self = self.node_id, .own_subnet = {}}),
        announcer(self, index, host, random, options()) {
    announcer.peer_up(at(0), NodeId(1), {true, {}});
    for (std::size_t i = 0; i < kNodes; ++i) {
      keys.push_back(crypto::SigningKey::generate(random));
      feed(i, 1, synthetic_set(random));
    }
  }
  static Announcer::Options options() {
    Announcer::Options out;
    out.peer_burst = 1'000'000'000;
    return out;
  }
  Announcement make(std::size_t i, std::uint64_t version, CapabilitySet set) const {
    Announcement a;
    a.entity_id = keys[i].public_key();
    a.node_id = identity::derive_node_id(a.entity_id);
    a.version = version;
    a.timestamp_ns = static_cast<std::uint64_t>(testing::kStartNs);
    a.ttl_secs = 300;
    a.capabilities = std::move(set);
    a.hop_count = 1;
    a.sign(keys[i]);
    return a;
  }
  void feed(std::size_t i, std::uint64_t version, CapabilitySet set) {
    announcer.handle(at(0), NodeId(1), make(i, version, std::move(set)).encode());
    while (announcer.poll_transmit() || announcer.poll_event()) {
    }
  }

  Random random;
  Host host;
  identity::LocalIdentity self;
  CapabilityIndex index;
  Announcer announcer;
  std::vector<crypto::SigningKey> keys;
};

World& world() {
  static World shared;
  return shared;
}

void ask(benchmark::State& state, const Filter& filter, const ScopeFilter* scope) {
  const CapabilityIndex& index = world().index;
  std::size_t found = 0;
  for (auto _ : state) {
    const auto nodes = scope == nullptr ? index.find_nodes(filter, at(1).monotonic)
                                        : index.find_nodes_scoped(filter, *scope, at(1).monotonic);
    found = nodes.size();
    benchmark::DoNotOptimize(nodes.data());
  }
  state.counters["found"] = static_cast<double>(found);
  state.counters["bytesPerNode"] =
      static_cast<double>(index.memory_bytes()) / static_cast<double>(index.size());
}

void p9_tag(benchmark::State& state) {
  Filter filter;
  filter.require_tags = {"pool:7"};
  ask(state, filter, nullptr);
}
BENCHMARK(p9_tag)->Unit(benchmark::kMicrosecond);

void p9_tag_and_number(benchmark::State& state) {
  Filter filter;
  filter.require_tags = {"hardware.gpu"};
  filter.min_memory_gb = 256;
  ask(state, filter, nullptr);
}
BENCHMARK(p9_tag_and_number)->Unit(benchmark::kMicrosecond);

void p9_number_alone(benchmark::State& state) {
  Filter filter;
  filter.min_memory_gb = 512;
  ask(state, filter, nullptr);
}
BENCHMARK(p9_number_alone)->Unit(benchmark::kMicrosecond);

void p9_scoped(benchmark::State& state) {
  Filter filter;
  filter.require_tags = {"hardware.gpu"};
  const ScopeFilter scope = ScopeFilter::of(ScopeFilter::Kind::kTenants, {"t3"});
  ask(state, filter, &scope);
}
BENCHMARK(p9_scoped)->Unit(benchmark::kMicrosecond);

void p9_best_node(benchmark::State& state) {
  Requirement requirement;
  requirement.filter.require_gpu = true;
  requirement.prefer_more_memory = 1;
  const CapabilityIndex& index = world().index;
  for (auto _ : state) benchmark::DoNotOptimize(index.find_best_node(requirement, at(1).monotonic));
}
BENCHMARK(p9_best_node)->Unit(benchmark::kMicrosecond);

void p9_aggregate(benchmark::State& state) {
  const CapabilityIndex& index = world().index;
  const TagMatcher gpus{TagMatcher::Kind::kPrefix, "hardware.gpu", "", {}, {}};
  for (auto _ : state) {
    benchmark::DoNotOptimize(index.aggregate(
        gpus, {GroupBy::Kind::kTagValue, "hardware", "gpu.model"}, {}, at(1).monotonic));
  }
}
BENCHMARK(p9_aggregate)->Unit(benchmark::kMicrosecond);

/// The index's part of an update that changes two tags.
void p9_update_index(benchmark::State& state) {
  World& shared = world();
  CapabilityIndex& index = shared.index;
  std::vector<Announcement> updates;
  for (std::size_t i = 0; i < 256; ++i) {
    updates.push_back(shared.make(i, 1, synthetic_set(shared.random)));
    updates.back().version = index.version_of(updates.back().node_id).value_or(0);
  }
  std::size_t at_update = 0;
  for (auto _ : state) {
    Announcement& a = updates[at_update++ % updates.size()];
    a.version += 1;
    a.capabilities.tags.erase("load:" + std::to_string(a.version - 1));
    a.capabilities.add_tag("load:" + std::to_string(a.version));
    index.upsert(a, at(0));
  }
}
BENCHMARK(p9_update_index)->Unit(benchmark::kMicrosecond);

/// The whole of it: parse, verify, forward, index.
void p9_update_from_the_network(benchmark::State& state) {
  World& shared = world();
  std::uint64_t version = 1'000'000'000;
  for (auto _ : state) {
    state.PauseTiming();
    const std::string document =
        shared.make(version % kNodes, version, synthetic_set(shared.random)).encode();
    ++version;
    state.ResumeTiming();
    shared.announcer.handle(at(0), NodeId(1), document);
    while (shared.announcer.poll_transmit() || shared.announcer.poll_event()) {
    }
  }
}
BENCHMARK(p9_update_from_the_network)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace netmesh::capability
