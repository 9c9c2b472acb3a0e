// Keys that change and peers that forget: updates, fresh agreements, restarts.

#include <array>
#include <set>

#include "sim/traffic.h"
#include "wire/classify.h"
#include "wire/modern_control.h"
#include "wire/modern_packet.h"

namespace netmesh::sim {
namespace {

session::StreamConfig reliable_stream(std::uint64_t id) { return {StreamId{id}, true, 0, 1}; }

struct Ends {
  SimNode& a;
  SimNode& b;
};

Ends make_ends(World& world, mesh::NodeConfig config) {
  config.handshake_retries = 8;
  config.identity_seed = config_of(1).identity_seed;
  SimNode& a = world.add("a", address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", address_of(2), config);
  a.start();
  b.start();
  return {a, b};
}

/// Counts how often the phase bit changes between consecutive packets of each sender.
struct PhaseWatch {
  explicit PhaseWatch(World& world) {
    world.network.set_tap([this](const Endpoint& from, const Endpoint&, ByteSpan datagram) {
      if (wire::classify(datagram) != wire::DatagramKind::kModern ||
          wire::modern_kind(datagram) != wire::ModernKind::kPacket) {
        return true;
      }
      const auto header = wire::parse_modern_header(datagram);
      if (!header) return true;
      bool& last = phase[from];
      if (last != header->key_phase) ++turns[from];
      last = header->key_phase;
      return true;
    });
  }
  std::map<Endpoint, bool> phase;
  std::map<Endpoint, int> turns;
};

void converse(World& world, SimRandom& random, const Ends& ends, int rounds, Duration pause,
              Duration limit) {
  const SameSession session(ends.a, ends.b);
  std::vector<std::unique_ptr<Flow>> flows;
  for (std::uint64_t stream = 0; stream < 2; ++stream) {
    flows.push_back(std::make_unique<Flow>(ends.a, ends.b, reliable_stream(stream)));
    flows.push_back(std::make_unique<Flow>(ends.b, ends.a, reliable_stream(stream)));
  }
  for (int round = 0; round < rounds; ++round) {
    for (const auto& flow : flows) flow->push(random, random_size(random, 20'000));
    world.network.run_for(random.duration(Duration(0), pause));
  }
  for (const auto& flow : flows) flow->sender().finish();
  finish_flows(world, flows, limit);
  session.check(world);
}

LinkConfig some_link(SimRandom& random) {
  if (random.chance(0.3)) return rough_link();
  LinkConfig link;
  link.loss = 0.4 * random.unit();
  link.delay = random.duration(milliseconds(1), milliseconds(50));
  link.jitter = random.duration(Duration(0), milliseconds(60));
  link.duplicate = 0.05;
  return link;
}

void updates(World& world, SimRandom& random) {
  world.network.set_default_link(some_link(random));
  mesh::NodeConfig config = config_of(1);
  config.key_update_packets = random.between(1, 20);
  if (random.chance(0.5)) config.aeads = 1;
  const Ends ends = make_ends(world, config);
  if (!connect(world, ends.a, ends.b)) return;
  PhaseWatch watch(world);
  converse(world, random, ends, 15, milliseconds(100), minutes(30));
  world.network.set_tap(nullptr);
  world.expect(watch.turns[ends.a.address()] > 0 && watch.turns[ends.b.address()] > 0,
               "keys were updated");
}

void agreements(World& world, SimRandom& random) {
  world.network.set_default_link(some_link(random));
  mesh::NodeConfig config = config_of(1);
  config.rekey_interval = random.duration(milliseconds(50), seconds(2));
  if (random.chance(0.5)) config.key_update_packets = random.between(1, 50);
  const Ends ends = make_ends(world, config);
  if (!connect(world, ends.a, ends.b)) return;
  const SameSession session(ends.a, ends.b);
  PhaseWatch watch(world);
  converse(world, random, ends, 15, milliseconds(500), minutes(30));
  // Idle peers agree as well.
  watch.turns.clear();
  world.network.run_for(seconds(20));
  world.network.set_tap(nullptr);
  world.expect(watch.turns[ends.a.address()] > 0 && watch.turns[ends.b.address()] > 0,
               "fresh keys entered both directions");
  session.check(world);
}

/// Nothing passes for a while just as keys change.
void agreements_and_blackouts(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = milliseconds(10);
  link.jitter = milliseconds(3);
  world.network.set_default_link(link);
  mesh::NodeConfig config = config_of(1);
  config.rekey_interval = random.duration(milliseconds(500), seconds(4));
  config.key_update_packets = random.between(2, 50);
  const Ends ends = make_ends(world, config);
  if (!connect(world, ends.a, ends.b)) return;
  const SameSession session(ends.a, ends.b);
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(ends.a, ends.b, reliable_stream(1)));
  flows.push_back(std::make_unique<Flow>(ends.b, ends.a, reliable_stream(1)));
  for (int round = 0; round < 4; ++round) {
    for (const auto& flow : flows) flow->push(random, random_size(random, 100'000));
    // A probe a second gets through in between.
    world.network.run_for(random.duration(milliseconds(1'500), seconds(3)));
    world.network.set_partitioned(ends.a.address(), ends.b.address(), true);
    for (const auto& flow : flows) flow->push(random, random_size(random, 100'000));
    // Longer than an old key is kept, shorter than a session lives.
    world.network.run_for(random.duration(milliseconds(100), seconds(15)));
    world.network.set_partitioned(ends.a.address(), ends.b.address(), false);
  }
  for (const auto& flow : flows) flow->sender().finish();
  finish_flows(world, flows, minutes(10));
  session.check(world);
}

// --- restarts ---

/// Killed in the middle of a transfer and back within a heartbeat: nobody waits for a timeout, and
/// nobody has to connect by hand.
void restart_is_noticed(World& world, SimRandom& random) {
  LinkConfig link;
  link.loss = random.chance(0.5) ? 0.1 : 0;
  link.delay = random.duration(milliseconds(1), milliseconds(30));
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode* b = &world.add(2);
  if (random.chance(0.5) ? !connect(world, a, *b) : !connect(world, *b, a)) return;
  for (int life = 0; life < 3; ++life) {
    const bool busy = random.chance(0.7);
    std::unique_ptr<Flow> doomed;
    if (busy) {
      doomed = std::make_unique<Flow>(a, *b, reliable_stream(100 + static_cast<unsigned>(life)));
      doomed->push(random, 300'000);
      if (random.chance(0.5)) doomed->push(random, 300'000);
    }
    // The peer's token has arrived by then; what a peer never told nobody can know.
    world.network.run_for(random.duration(milliseconds(500), seconds(3)));
    if (busy) {
      // Traffic goes on while it is away.
      doomed->push(random, 300'000);
      world.network.run_for(random.duration(Duration(0), milliseconds(20)));
    }
    const std::size_t events = a.peer_events().size();
    const Duration began = world.network.elapsed();
    doomed.reset();
    world.kill(*b);
    world.network.run_for(random.duration(Duration(0), seconds(4)));
    b = &world.add(2);
    const auto replaced = [&] {
      return a.peer_events().size() >= events + 2 && a.is_up(*b) && b->is_up(a);
    };
    // Two heartbeats, if nothing else is said, then a handshake; on a bad link a few of each.
    if (!world.run_until("the restart is noticed", replaced, seconds(link.loss > 0 ? 26 : 12)))
      return;
    const auto down = a.last_down(b->id());
    world.expect(down && down->at >= began && (down->reason == mesh::DownReason::kRestarted),
                 "the reason is the restart");
    std::vector<std::unique_ptr<Flow>> flows;
    flows.push_back(std::make_unique<Flow>(a, *b, reliable_stream(1)));
    flows.push_back(std::make_unique<Flow>(*b, a, reliable_stream(1)));
    // On `a` earlier lives opened this stream as well.
    flows.back() =
        std::make_unique<Flow>(*b, a, reliable_stream(200 + static_cast<unsigned>(life)));
    flows.front()->push(random, 20'000);
    flows.back()->push(random, 20'000);
    for (const auto& flow : flows) flow->sender().finish();
    if (!finish_flows(world, flows, minutes(2))) return;
  }
  world.expect(a.machine().peer_count() == 1 && b->machine().peer_count() == 1, "one peer each");
  world.expect(a.machine().counters().peers_restarted == 3, "restarts are counted");
}

/// Both lose their state at once: neither can tell the other anything, a connect sorts it out.
void both_restart(World& world, SimRandom& random) {
  SimNode* a = &world.add(1);
  SimNode* b = &world.add(2);
  if (!connect(world, *a, *b)) return;
  world.network.run_for(seconds(1));
  world.kill(*a);
  world.kill(*b);
  a = &world.add(1);
  b = &world.add(2);
  world.network.run_for(random.duration(Duration(0), seconds(20)));
  world.expect(a->machine().peer_count() == 0 && b->machine().peer_count() == 0,
               "nobody comes back by himself when nobody knows of anybody");
  if (random.chance(0.5)) std::swap(a, b);
  if (!connect(world, *a, *b)) return;
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(*b, *a, reliable_stream(1)));
  flows.back()->push(random, 20'000);
  finish_flows(world, flows, minutes(1));
}

/// Whoever does not know the token cannot end a session, and recorded resets end none but theirs.
void forged_resets(World& world, SimRandom& random) {
  SimNode& a = world.add(1);
  SimNode* b = &world.add(2);
  std::vector<Bytes> resets;
  std::set<std::uint64_t> seen;
  world.network.set_tap([&](const Endpoint&, const Endpoint&, ByteSpan datagram) {
    if (const auto reset = wire::parse_reset(datagram)) {
      resets.emplace_back(datagram.begin(), datagram.end());
    } else if (wire::classify(datagram) == wire::DatagramKind::kModern) {
      if (const auto header = wire::parse_modern_header(datagram))
        seen.insert(header->session_id.value);
    }
    return true;
  });
  if (!connect(world, a, *b)) return;
  world.network.run_for(seconds(1));
  world.kill(*b);
  b = &world.add(2);
  if (!world.run_until(
          "the restart is noticed", [&] { return a.is_up(*b) && b->is_up(a); }, seconds(15))) {
    return;
  }
  world.network.run_for(seconds(1));
  world.expect(!resets.empty(), "there are resets to replay");
  const std::size_t events = a.peer_events().size() + b->peer_events().size();
  Flow flow(a, *b, reliable_stream(1));
  std::uint64_t forged = 0;
  const auto counted = [&] {
    return a.machine().counters().dropped_authentication +
           b->machine().counters().dropped_authentication;
  };
  const std::uint64_t before = counted();
  for (int round = 0; round < 50; ++round) {
    flow.push(random, 2'000);
    SimNode& victim = random.chance(0.5) ? a : *b;
    const Endpoint& from =
        random.chance(0.5) ? (&victim == &a ? b->address() : a.address()) : address_of(0x00BB'0000);
    if (random.chance(0.3)) {
      world.network.inject(from, victim.address(), resets[random.below(resets.size())]);
      ++forged;
    }
    for (const std::uint64_t session : seen) {
      wire::ResetDatagram reset;
      reset.session_id = SessionId{session};
      random.fill(reset.token);
      if (random.chance(0.2)) reset.token = {};
      world.network.inject(from, victim.address(), wire::make_reset(reset));
      ++forged;
    }
    world.network.run_for(random.duration(Duration(0), milliseconds(200)));
  }
  world.network.set_tap(nullptr);
  world.network.run_for(seconds(1));
  world.expect(a.peer_events().size() + b->peer_events().size() == events,
               "forged and replayed resets end nothing");
  world.expect(counted() - before >= forged, "and are counted");
  flow.check_complete(world);
}

/// Enough of the longer ones.
constexpr std::uint64_t kSeeds = 50;

constexpr std::array kScenarios{
    Scenario{"keys-updates",
             "keys ratcheted every few packets cost nothing at up to 40 % loss, reordered",
             updates},
    Scenario{
        "keys-agreements",
        "fresh keys are agreed upon again and again, by both sides at once, at up to 40 % loss",
        agreements, kSeeds},
    Scenario{"keys-blackouts", "blackouts in the middle of key changes cost nothing",
             agreements_and_blackouts},
    Scenario{"restart-noticed",
             "a peer that restarts in the middle of a transfer is noticed and connected anew by "
             "itself",
             restart_is_noticed, kSeeds},
    Scenario{"restart-both", "two peers that both restarted connect anew when one asks",
             both_restart},
    Scenario{"restart-forged", "forged and replayed resets end no session", forged_resets},
};

}  // namespace

std::span<const Scenario> keys_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
