#include "sim/world.h"

#include <algorithm>

#include "crypto/secret.h"
#include "sim/node.h"

namespace netmesh::sim {
namespace {

constexpr std::uint16_t kPort = 7000;
/// One lost wake-up fails a hundred checks: the first few say what there is to say.
constexpr std::size_t kMaxFailures = 20;

}  // namespace

Endpoint address_of(std::uint32_t number) {
  return Endpoint::ipv4(10, static_cast<std::uint8_t>(number >> 16),
                        static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number),
                        kPort);
}

Endpoint loopback_address_of(std::uint16_t number) {
  return Endpoint::ipv4(127, 0, 0, 1, static_cast<std::uint16_t>(kPort + number));
}

mesh::NodeConfig config_of(std::uint64_t number) {
  mesh::NodeConfig config;
  config.identity_seed.resize(32, std::byte{0x5A});
  store_le<std::uint64_t>(config.identity_seed.data(), number);
  config.psk.fill(std::byte{0x42});
  return config;
}

World::World(std::uint64_t seed, Trace* trace) : network(seed, trace) {
  crypto::initialize();
  if (trace != nullptr && trace->sampling()) sample_paths();
}
World::~World() = default;

SimNode& World::add(std::string name, const Endpoint& address, mesh::NodeConfig config) {
  nodes_.push_back(std::make_unique<SimNode>(*this, std::move(name), address, std::move(config)));
  return *nodes_.back();
}

SimNode& World::add(std::uint32_t number) {
  std::string name = "n";
  name += std::to_string(number);
  SimNode& node = add(std::move(name), address_of(number), config_of(number));
  node.start();
  return node;
}

void World::kill(SimNode& node) {
  std::erase_if(nodes_, [&](const auto& owned) { return owned.get() == &node; });
}

void World::sample_paths() {
  std::vector<PathSample> samples;
  for (const auto& node : nodes_) {
    for (const mesh::PeerInfo& peer : node->machine().peers()) {
      if (!peer.congestion) continue;
      const auto other = std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& candidate) {
        return candidate->id() == peer.node_id;
      });
      PathSample sample;
      sample.path = node->name() + " -> " + (other == nodes_.end() ? "?" : (*other)->name());
      sample.phase = peer.congestion->phase;
      sample.window = peer.congestion->window;
      sample.in_flight = peer.congestion->in_flight;
      sample.delivered = peer.congestion->delivered;
      sample.lost = peer.packets_lost;
      sample.pacing_rate = peer.congestion->pacing_rate;
      sample.rtt = peer.rtt.value_or(Duration::zero());
      sample.bandwidth = peer.congestion->bandwidth;
      sample.ambient_loss = peer.congestion->ambient_loss;
      samples.push_back(std::move(sample));
    }
  }
  for (const Sampler& sampler : samplers_) sampler(samples);
  for (PathSample& sample : samples) {
    sample.at = network.elapsed();
    network.trace()->sample(std::move(sample));
  }
  network.after(Trace::kSampleInterval, [this] { sample_paths(); });
}

bool World::expect(bool ok, std::string_view what) {
  if (!ok) fail(std::string(what));
  return ok;
}

void World::fail(std::string what) {
  network.note("FAILURE", what);
  if (failures_.size() < kMaxFailures) failures_.push_back(std::move(what));
}

bool World::run_until(std::string_view what, const std::function<bool()>& done, Duration limit) {
  const bool came = network.run_until([&] { return !ok() || done(); }, limit);
  if (!came) {
    const auto seconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
    fail("did not happen within " + std::to_string(seconds) + " ms: " + std::string(what));
  }
  return ok();
}

}  // namespace netmesh::sim
