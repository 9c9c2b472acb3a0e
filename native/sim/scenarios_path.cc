// Paths that change under a session: moved peers, spoofed addresses, sizes that stop passing.

#include <array>
#include <map>

#include "sim/traffic.h"
#include "wire/classify.h"
#include "wire/modern_packet.h"

namespace netmesh::sim {
namespace {

session::StreamConfig reliable_stream(std::uint64_t id) { return {StreamId{id}, true, 0, 1}; }

Endpoint elsewhere(std::uint32_t number) { return address_of(0x00AA'0000 + number); }

/// A reliable flow each way that never runs dry while `feed` is called.
struct Transfers {
  Transfers(SimNode& a, SimNode& b) {
    flows.push_back(std::make_unique<Flow>(a, b, reliable_stream(1)));
    flows.push_back(std::make_unique<Flow>(b, a, reliable_stream(1)));
  }
  void feed(SimRandom& random) {
    for (const auto& flow : flows) flow->push(random, random_size(random, 60'000));
  }
  bool finish(World& world, Duration limit) {
    for (const auto& flow : flows) flow->sender().finish();
    return finish_flows(world, flows, limit);
  }
  std::vector<std::unique_ptr<Flow>> flows;
};

/// The address under which `peer` is known to `node`.
Endpoint known_address(const SimNode& node, const SimNode& peer) {
  for (const mesh::PeerInfo& info : node.machine().peers()) {
    if (info.node_id == peer.id()) return info.address;
  }
  return {};
}

/// What is sent to where `node` was before reaches nobody.
void close_door(World& world, const Endpoint& from, const Endpoint& old_address) {
  LinkConfig closed;
  closed.loss = 1;
  world.network.set_link(from, old_address, closed);
}

void moves(World& world, SimRandom& random) {
  LinkConfig link;
  link.loss = random.chance(0.5) ? 0.1 : 0;
  link.delay = random.duration(milliseconds(1), milliseconds(40));
  link.jitter = milliseconds(2);
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  const SameSession session(a, b);
  Transfers transfers(a, b);
  Endpoint before = a.address();
  for (std::uint32_t move = 1; move <= 4; ++move) {
    transfers.feed(random);
    world.network.run_for(random.duration(Duration(0), milliseconds(300)));
    const bool back = move == 4;
    const Endpoint now = back ? a.address() : elsewhere(move);
    if (back) world.network.set_link(b.address(), now, link);
    world.network.set_translation(a.address(), now);
    close_door(world, b.address(), before);
    before = now;
    transfers.feed(random);
    // The next heartbeat at the latest comes from the new address.
    if (!world.run_until(
            "the peer is followed", [&] { return known_address(b, a) == now; }, seconds(12))) {
      return;
    }
  }
  if (!transfers.finish(world, minutes(5))) return;
  session.check(world);
  world.expect(b.machine().counters().paths_changed >= 4, "moves are counted");
}

/// Both move, one after the other, while both send.
void both_move(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(20));
  link.jitter = milliseconds(1);
  link.loss = 0.02;
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  const SameSession session(a, b);
  Transfers transfers(a, b);
  for (std::uint32_t move = 1; move <= 3; ++move) {
    for (SimNode* mover : {&a, &b}) {
      SimNode& other = mover == &a ? b : a;
      const Endpoint now = elsewhere(2 * move + (mover == &a ? 0 : 1));
      transfers.feed(random);
      world.network.run_for(random.duration(Duration(0), milliseconds(100)));
      world.network.set_translation(mover->address(), now);
      if (!world.run_until(
              "the mover is followed", [&] { return known_address(other, *mover) == now; },
              seconds(12))) {
        return;
      }
    }
  }
  if (!transfers.finish(world, minutes(5))) return;
  session.check(world);
}

/// Somebody on the way repeats packets from addresses of others, before the originals arrive.
void spoofed(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(5), milliseconds(20));
  link.jitter = random.duration(Duration(0), milliseconds(2));
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  const SameSession session(a, b);
  SimRandom spoofer = random.fork();
  const std::uint64_t victims = random.between(1, 5);
  const double share = random.chance(0.5) ? 0.5 : 0.02;
  std::map<Endpoint, std::uint64_t> claimed, received;
  world.network.set_tap([&](const Endpoint&, const Endpoint& to, ByteSpan datagram) {
    if (to != a.address() && to != b.address()) {
      received[to] += datagram.size();
      return true;
    }
    if (!spoofer.chance(share)) return true;
    const Endpoint victim = elsewhere(static_cast<std::uint32_t>(spoofer.below(victims)));
    Bytes copy(datagram.begin(), datagram.end());
    if (spoofer.chance(0.1)) copy.resize(spoofer.below(copy.size() + 1));
    claimed[victim] += copy.size();
    world.network.inject(victim, to, copy,
                         spoofer.chance(0.8) ? Duration(1) : Duration(milliseconds(30)));
    return true;
  });
  Transfers transfers(a, b);
  for (int round = 0; round < 10; ++round) {
    transfers.feed(random);
    world.network.run_for(random.duration(Duration(0), seconds(2)));
    for (const auto& [victim, bytes] : received) {
      world.expect(bytes <= 3 * claimed[victim], "nobody is sent more than three times its bytes");
    }
    if (!world.ok()) return;
  }
  transfers.finish(world, minutes(5));
  world.network.set_tap(nullptr);
  world.expect(known_address(b, a) == a.address() && known_address(a, b) == b.address(),
               "nobody is followed to where he does not answer");
  world.expect(
      a.machine().counters().paths_changed == 0 && b.machine().counters().paths_changed == 0,
      "no path changed");
  session.check(world);
  world.network.run_for(seconds(30));
  world.expect(received.empty() ||
                   a.machine().counters().paths_failed + b.machine().counters().paths_failed > 0,
               "paths that did not answer are counted");
}

/// The move's challenges and answers get lost like everything else.
void moves_on_a_bad_link(World& world, SimRandom& random) {
  world.network.set_default_link(rough_link());
  mesh::NodeConfig config = config_of(1);
  config.handshake_retries = 8;
  SimNode& a = world.add("a", address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", address_of(2), config);
  a.start();
  b.start();
  if (!connect(world, a, b)) return;
  const SameSession session(a, b);
  Transfers transfers(a, b);
  for (std::uint32_t move = 1; move <= 3; ++move) {
    transfers.feed(random);
    world.network.run_for(random.duration(Duration(0), milliseconds(500)));
    const Endpoint now = elsewhere(move);
    world.network.set_translation(a.address(), now);
    if (!world.run_until(
            "the peer is followed", [&] { return known_address(b, a) == now; }, minutes(2))) {
      return;
    }
  }
  if (!transfers.finish(world, minutes(20))) return;
  session.check(world);
}

// --- sizes ---

/// Sizes that a search tries in vain at most: halving what lies between two common ones.
constexpr std::size_t kSizesTried = 6;

/// The largest datagram that passed on its way from `from`, and how many did not.
struct SizeWatch {
  SizeWatch(World& world, const Endpoint& from, std::size_t mtu) {
    world.network.set_tap(
        [this, from, mtu](const Endpoint& source, const Endpoint&, ByteSpan bytes) {
          if (source != from) return true;
          if (bytes.size() > mtu)
            ++too_large;
          else
            largest = std::max(largest, bytes.size());
          return true;
        });
  }
  std::size_t largest = 0, too_large = 0;
};

void odd_sizes(World& world, SimRandom& random) {
  LinkConfig link;
  link.mtu = random.between(1'200, 9'500);
  link.delay = random.duration(milliseconds(1), milliseconds(20));
  link.loss = random.chance(0.3) ? 0.05 : 0;
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  const SameSession session(a, b);
  Transfers transfers(a, b);
  for (int i = 0; i < 20; ++i) {
    transfers.flows[0]->push(random, 100'000);
    transfers.feed(random);
  }
  if (!transfers.finish(world, minutes(10))) return;
  // What the search found is used; what it tries beyond are single probes, three of a size.
  SizeWatch watch(world, a.address(), link.mtu);
  for (std::uint64_t stream = 2; stream < 4; ++stream) {
    Flow more(a, b, reliable_stream(stream));
    for (int i = 0; i < 20; ++i) more.push(random, 100'000);
    world.run_until(
        "more arrives", [&] { return more.complete(); }, minutes(2));
  }
  world.network.set_tap(nullptr);
  if (link.loss == 0) {
    world.expect(watch.too_large <= 3 * kSizesTried, "few probes are wasted");
    const std::size_t common = link.mtu >= 8'972   ? 8'952
                               : link.mtu >= 4'444 ? 4'444
                               : link.mtu >= 1'472 ? 1'472
                                                   : 1'200;
    world.expect(watch.largest >= common, "packets are as large as the path commonly carries");
  }
}

/// A path that carried large packets begins to swallow them, without a word.
void black_hole(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(30));
  link.jitter = milliseconds(1);
  link.mtu = random.chance(0.5) ? 1'500 : 9'000;
  link.bytes_per_second = 4'000'000;
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  const SameSession session(a, b);
  Transfers transfers(a, b);
  for (int i = 0; i < 10; ++i) transfers.flows[0]->push(random, 200'000);
  transfers.feed(random);
  world.network.run_for(random.duration(milliseconds(50), milliseconds(700)));
  const ReceivedStream* stream = transfers.flows[0]->received();
  LinkConfig hole = link;
  hole.mtu = random.between(1'200, 1'400);
  world.network.set_default_link(hole);
  transfers.feed(random);
  // No stall beyond a few probe timeouts, which double from about a round trip to a second.
  std::uint64_t before = stream == nullptr ? 0 : stream->bytes;
  Duration stalled{}, longest{};
  for (int tick = 0; tick < 3'000 && !transfers.flows[0]->complete(); ++tick) {
    world.network.run_for(milliseconds(20));
    stream = transfers.flows[0]->received();
    const std::uint64_t bytes = stream == nullptr ? 0 : stream->bytes;
    stalled = bytes == before ? stalled + Duration(milliseconds(20)) : Duration(0);
    longest = std::max(longest, stalled);
    before = bytes;
  }
  world.expect(longest <= seconds(3), "a black hole is noticed within a few probe timeouts");
  if (!transfers.finish(world, minutes(5))) return;
  if (random.chance(0.3)) {
    // The hole closes; a minute later the path is tried again.
    world.network.set_default_link(link);
    world.network.run_for(seconds(70));
    SizeWatch watch(world, a.address(), link.mtu);
    Flow more(a, b, reliable_stream(2));
    for (int i = 0; i < 5; ++i) more.push(random, 200'000);
    world.run_until(
        "more arrives", [&] { return more.complete(); }, minutes(1));
    world.network.set_tap(nullptr);
    world.expect(watch.largest > hole.mtu, "a path that carries large packets again gets them");
  }
}

/// Where the peer moved to, large packets do not pass.
void moves_to_a_smaller_path(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = milliseconds(5);
  link.mtu = 9'000;
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  const SameSession session(a, b);
  Transfers transfers(a, b);
  for (int i = 0; i < 5; ++i) {
    for (const auto& flow : transfers.flows) flow->push(random, 200'000);
  }
  world.network.run_for(random.duration(milliseconds(20), seconds(1)));
  LinkConfig small = link;
  small.mtu = random.between(1'200, 1'500);
  world.network.set_default_link(small);
  const Endpoint now = elsewhere(1);
  world.network.set_translation(a.address(), now);
  for (int i = 0; i < 5; ++i) {
    for (const auto& flow : transfers.flows) flow->push(random, 200'000);
  }
  if (!world.run_until(
          "the peer is followed", [&] { return known_address(b, a) == now; }, seconds(20))) {
    return;
  }
  transfers.finish(world, minutes(5));
  session.check(world);
}

/// Enough of the longer ones.
constexpr std::uint64_t kSeeds = 50;

constexpr std::array kScenarios{
    Scenario{"path-moves",
             "a peer that moves in the middle of transfers is followed, and nothing "
             "is lost",
             moves},
    Scenario{"path-both-move", "both peers move, one after the other, in the middle of transfers",
             both_move},
    Scenario{"path-moves-lossy", "a peer is followed although challenges and answers get lost",
             moves_on_a_bad_link},
    Scenario{"path-spoofed",
             "packets repeated from other addresses move no path, and bring no victim more than "
             "three times their bytes",
             spoofed},
    Scenario{"path-odd-sizes", "packets grow to what a path of any size carries and no further",
             odd_sizes, kSeeds},
    Scenario{"path-black-hole",
             "a path that begins to swallow large packets stalls a transfer for seconds at most",
             black_hole, kSeeds},
    Scenario{"path-moves-to-smaller", "a peer is followed to a path that carries less",
             moves_to_a_smaller_path, kSeeds},
};

}  // namespace

std::span<const Scenario> path_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
