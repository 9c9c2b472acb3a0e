// Reliable streams deliver everything once and in order, whatever the network does.

#include <array>
#include <map>

#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

constexpr std::uint32_t kDefaultWindow = 65'536;
constexpr Duration kLimit = minutes(60);

/// Several streams in both directions, each opened up to three times in turn.
void exchange(World& world, SimRandom& random, SimNode& a, SimNode& b, std::size_t largest,
              std::span<const std::uint32_t> windows) {
  std::vector<std::unique_ptr<Flow>> flows;
  const std::uint64_t streams = random.between(1, 4);
  const std::uint64_t openings = random.between(1, 3);
  std::map<std::pair<SimNode*, std::uint64_t>, std::size_t> opened;
  for (std::uint64_t opening = 0; opening < openings; ++opening) {
    const std::size_t first = flows.size();
    for (std::uint64_t stream = 0; stream < streams; ++stream) {
      const std::uint64_t directions = random.between(1, 3);
      const auto open = [&](SimNode& from, SimNode& to) {
        session::StreamConfig config;
        config.stream_id = StreamId{stream};
        config.reliable = true;
        config.window_bytes = windows[random.below(windows.size())];
        flows.push_back(std::make_unique<Flow>(from, to, config, opened[{&from, stream}]++));
        flows.back()->sender().batch_events = random.between(1, 16);
      };
      if ((directions & 1) != 0) open(a, b);
      if ((directions & 2) != 0) open(b, a);
    }
    if (!world.ok()) return;
    // Interleaved, so that streams share packets.
    for (std::uint64_t message = random.between(1, 12); message > 0; --message) {
      for (std::size_t i = first; i < flows.size(); ++i) {
        if (random.chance(0.8)) flows[i]->push(random, random_size(random, largest));
      }
      if (random.chance(0.3)) world.network.run_for(random.duration(Duration(0), milliseconds(50)));
    }
    for (std::size_t i = first; i < flows.size(); ++i) {
      if (random.chance(0.8) || opening + 1 < openings) flows[i]->sender().finish();
    }
    // The next opening may only begin once the last one's messages were admitted; most often it
    // begins long before they arrived.
    const auto admitted = [&] {
      for (std::size_t i = first; i < flows.size(); ++i) {
        if (!flows[i]->sender().idle()) return false;
      }
      return true;
    };
    if (!world.run_until("everything is admitted", admitted, kLimit)) return;
  }
  finish_flows(world, flows, kLimit);
}

struct Pair {
  SimNode& a;
  SimNode& b;
};

Pair rough_pair(World& world, SimRandom& random, bool loopback) {
  mesh::NodeConfig config = config_of(1);
  config.handshake_retries = 8;
  if (random.chance(0.3)) config.aeads = 1;
  SimNode& a = world.add("a", loopback ? loopback_address_of(1) : address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", loopback ? loopback_address_of(2) : address_of(2), config);
  for (SimNode* node : {&a, &b}) {
    node->start();
    if (random.chance(0.5)) node->batch_delay = random.duration(Duration(0), milliseconds(2));
    if (random.chance(0.5)) node->timer_slack = milliseconds(1);
  }
  return {a, b};
}

void lossy(World& world, SimRandom& random) {
  world.network.set_default_link(rough_link());
  const Pair pair = rough_pair(world, random, random.chance(0.5));
  if (!connect(world, pair.a, pair.b)) return;
  constexpr std::array windows{kDefaultWindow, kDefaultWindow, 0u, 8'192u};
  exchange(world, random, pair.a, pair.b, 100'000, windows);
}

void tiny_windows(World& world, SimRandom& random) {
  LinkConfig link = rough_link();
  link.loss = 0.1;
  world.network.set_default_link(link);
  const Pair pair = rough_pair(world, random, random.chance(0.5));
  if (!connect(world, pair.a, pair.b)) return;
  // The smallest that carry anything: one event of 12 bytes, or one empty event.
  constexpr std::array windows{96u, 84u, 512u};
  exchange(world, random, pair.a, pair.b, 400, windows);
}

void large_messages(World& world, SimRandom& random) {
  LinkConfig link = rough_link();
  link.loss = random.chance(0.3) ? 0.3 : 0.05;
  link.delay = milliseconds(1);
  link.jitter = milliseconds(2);
  world.network.set_default_link(link);
  const Pair pair = rough_pair(world, random, true);
  if (!connect(world, pair.a, pair.b)) return;
  std::vector<std::unique_ptr<Flow>> flows;
  for (std::uint64_t stream = 0; stream < random.between(1, 2); ++stream) {
    session::StreamConfig config{StreamId{stream}, true, 0, 1};
    flows.push_back(std::make_unique<Flow>(pair.a, pair.b, config));
    if (!world.ok()) return;
    flows.back()->push(random, (1u << 20) + random_size(random, 1u << 20));
    flows.back()->push(random, random_size(random, 1000));
    flows.back()->sender().finish();
  }
  finish_flows(world, flows, kLimit);
}

/// The receiver's windows are smaller than single messages.
void larger_than_windows(World& world, SimRandom& random) {
  LinkConfig link = rough_link();
  link.loss = 0.1;
  world.network.set_default_link(link);
  mesh::NodeConfig config = config_of(1);
  config.handshake_retries = 8;
  config.stream_receive_window = random.between(16'384, 65'536);
  config.session_receive_window = random.between(32'768, 131'072);
  SimNode& a = world.add("a", loopback_address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", loopback_address_of(2), config);
  a.start();
  b.start();
  if (!connect(world, a, b)) return;
  constexpr std::array windows{0u};
  exchange(world, random, a, b, 300'000, windows);
}

void burst_loss(World& world, SimRandom& random) {
  LinkConfig link;
  link.burst_start = 0.01;
  link.burst_length = random.duration(milliseconds(1), milliseconds(500));
  link.delay = random.duration(microseconds(50), milliseconds(60));
  link.jitter = random.duration(Duration(0), milliseconds(3));
  world.network.set_default_link(link);
  const Pair pair = rough_pair(world, random, random.chance(0.5));
  if (!connect(world, pair.a, pair.b)) return;
  constexpr std::array windows{kDefaultWindow, 0u};
  exchange(world, random, pair.a, pair.b, 60'000, windows);
}

void bottleneck(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(40));
  link.bytes_per_second = random.between(100'000, 4'000'000);
  link.queue_bytes = random.between(10'000, 100'000);
  world.network.set_default_link(link);
  const Pair pair = rough_pair(world, random, false);
  if (!connect(world, pair.a, pair.b)) return;
  constexpr std::array windows{kDefaultWindow, 0u};
  exchange(world, random, pair.a, pair.b, 100'000, windows);
}

void partition_heals(World& world, SimRandom& random) {
  world.network.set_default_link({});
  const Pair pair = rough_pair(world, random, false);
  if (!connect(world, pair.a, pair.b)) return;
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(
      std::make_unique<Flow>(pair.a, pair.b, session::StreamConfig{StreamId{1}, true, 0, 1}));
  flows.push_back(
      std::make_unique<Flow>(pair.b, pair.a, session::StreamConfig{StreamId{1}, true, 0, 1}));
  for (int round = 0; round < 4; ++round) {
    for (const auto& flow : flows) flow->push(random, random_size(random, 200'000));
    world.network.run_for(random.duration(Duration(0), milliseconds(100)));
    world.network.set_partitioned(pair.a.address(), pair.b.address(), true);
    world.network.run_for(random.duration(Duration(0), seconds(25)));
    world.network.set_partitioned(pair.a.address(), pair.b.address(), false);
  }
  finish_flows(world, flows, kLimit);
  world.expect(pair.a.is_up(pair.b) && pair.b.is_up(pair.a), "the session survived the partitions");
}

void relayed(World& world, SimRandom& random) {
  LinkConfig link = rough_link();
  link.loss = 0.1;
  world.network.set_default_link(link);
  mesh::NodeConfig config = config_of(1);
  config.handshake_retries = 8;
  SimNode& a = world.add("a", address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", address_of(2), config);
  config.identity_seed = config_of(3).identity_seed;
  SimNode& relay = world.add("relay", address_of(3), config);
  for (SimNode* node : {&a, &b, &relay}) node->start();
  world.network.set_partitioned(a.address(), b.address(), true);
  if (!connect(world, a, relay) || !connect(world, b, relay)) return;
  const mesh::RequestId request = a.connect_via(relay, b);
  if (!world.run_until(
          "a routed connect is resolved", [&] { return a.connected(request) != nullptr; },
          seconds(60)) ||
      !wait_for_session(world, a, b)) {
    return;
  }
  constexpr std::array windows{kDefaultWindow, 0u};
  exchange(world, random, a, b, 30'000, windows);
}

constexpr std::array kScenarios{
    Scenario{"reliable-lossy",
             "reliable streams deliver once and in order at 30 % loss, reordering, duplication and "
             "corruption, both ways, across reopenings",
             lossy},
    Scenario{"reliable-tiny-windows",
             "streams whose window carries one small event at a time never stand still",
             tiny_windows},
    Scenario{"reliable-large", "messages above 1 MiB arrive whole", large_messages},
    Scenario{"reliable-larger-than-windows",
             "messages larger than the receiver's windows arrive whole", larger_than_windows},
    Scenario{"reliable-burst-loss", "reliable streams survive bursts of loss", burst_loss},
    Scenario{"reliable-bottleneck", "reliable streams get through a slow line with a short queue",
             bottleneck},
    Scenario{"reliable-partition",
             "reliable streams go on after partitions shorter than the timeout", partition_heals},
    Scenario{"reliable-relayed", "reliable streams cross a relay", relayed},
};

}  // namespace

std::span<const Scenario> reliable_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
