// Bad links of every kind, alone and all together for an hour.

#include <algorithm>
#include <array>

#include "sim/heap.h"
#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

session::StreamConfig reliable_stream(std::uint64_t id) { return {StreamId{id}, true, 0, 1}; }

struct Ends {
  SimNode& a;
  SimNode& b;
};

Ends make_ends(World& world, SimRandom& random) {
  mesh::NodeConfig config = config_of(1);
  config.handshake_retries = 12;
  config.congestion = random.chance(0.5) ? session::CongestionAlgorithm::kCubic
                                         : session::CongestionAlgorithm::kBbr;
  SimNode& a = world.add("a", address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", address_of(2), config);
  for (SimNode* node : {&a, &b}) {
    node->start();
    if (random.chance(0.3)) node->batch_delay = random.duration(Duration(0), milliseconds(2));
    if (random.chance(0.3)) node->timer_slack = milliseconds(1);
  }
  return {a, b};
}

void exchange(World& world, SimRandom& random, const Ends& ends, std::size_t messages,
              std::size_t largest, Duration limit) {
  const SameSession session(ends.a, ends.b);
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(ends.a, ends.b, reliable_stream(1)));
  flows.push_back(std::make_unique<Flow>(ends.b, ends.a, reliable_stream(1)));
  for (std::size_t i = 0; i < messages; ++i) {
    for (const auto& flow : flows) flow->push(random, random_size(random, largest));
    if (random.chance(0.3)) world.network.run_for(random.duration(Duration(0), milliseconds(50)));
  }
  for (const auto& flow : flows) flow->sender().finish();
  finish_flows(world, flows, limit);
  session.check(world);
}

void any_loss(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(60));
  const Ends ends = make_ends(world, random);
  link.loss = 0.4 * random.unit();
  world.network.set_link(ends.a.address(), ends.b.address(), link);
  link.loss = 0.4 * random.unit();
  world.network.set_link(ends.b.address(), ends.a.address(), link);
  if (!connect(world, ends.a, ends.b)) return;
  exchange(world, random, ends, 15, 40'000, minutes(10));
}

/// One way is short and clean, the other long, jittery, slow or lossy.
void lopsided(World& world, SimRandom& random) {
  const Ends ends = make_ends(world, random);
  LinkConfig good, bad;
  good.delay = random.duration(microseconds(100), milliseconds(5));
  bad.delay = random.duration(milliseconds(50), milliseconds(600));
  bad.jitter = random.duration(Duration(0), milliseconds(50));
  if (random.chance(0.5)) bad.loss = 0.2;
  if (random.chance(0.3)) {
    bad.bytes_per_second = random.between(20'000, 100'000);
    bad.queue_bytes = 20'000;
  }
  const bool there = random.chance(0.5);
  world.network.set_link(ends.a.address(), ends.b.address(), there ? good : bad);
  world.network.set_link(ends.b.address(), ends.a.address(), there ? bad : good);
  if (!connect(world, ends.a, ends.b)) return;
  exchange(world, random, ends, 15, 30'000, minutes(10));
}

/// Windows of reordering up to many round trips.
void shuffled(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(microseconds(500), milliseconds(20));
  link.jitter = random.duration(milliseconds(1), milliseconds(400));
  link.duplicate = random.chance(0.5) ? 0.3 : 0;
  world.network.set_default_link(link);
  const Ends ends = make_ends(world, random);
  if (!connect(world, ends.a, ends.b)) return;
  exchange(world, random, ends, 15, 40'000, minutes(10));
  world.expect(ends.a.machine().counters().dropped_authentication == 0 &&
                   ends.b.machine().counters().dropped_authentication == 0,
               "what comes late is no forgery");
}

void doubled(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = milliseconds(5);
  link.duplicate = random.chance(0.5) ? 1 : 0.5;
  link.jitter = random.duration(Duration(0), milliseconds(30));
  world.network.set_default_link(link);
  const Ends ends = make_ends(world, random);
  if (!connect(world, ends.a, ends.b)) return;
  exchange(world, random, ends, 10, 40'000, minutes(2));
  world.expect(ends.b.machine().counters().dropped_replay > 0, "second copies are counted");
}

void damaged(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = milliseconds(5);
  link.corrupt = 0.01 + 0.3 * random.unit();
  world.network.set_default_link(link);
  const Ends ends = make_ends(world, random);
  if (!connect(world, ends.a, ends.b)) return;
  exchange(world, random, ends, 15, 40'000, minutes(10));
  const mesh::NodeCounters counters = ends.b.machine().counters();
  // A damaged handshake is none of these, and not every one of a few goes this way.
  world.expect(world.network.stats().corrupted < 20 || counters.dropped_authentication +
                                                               counters.dropped_invalid +
                                                               counters.dropped_unknown_session >
                                                           0,
               "damaged packets are counted");
  world.expect(counters.protocol_violations == 0, "and are nobody's violation");
}

/// Nothing passes for 5 s. Probes come every second at most, so that a transfer goes on about a
/// second after the end.
void blackouts(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(50));
  link.bytes_per_second = random.between(300'000, 2'000'000);
  link.queue_bytes = 100'000;
  world.network.set_default_link(link);
  const Ends ends = make_ends(world, random);
  if (!connect(world, ends.a, ends.b)) return;
  const SameSession session(ends.a, ends.b);
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(ends.a, ends.b, reliable_stream(1)));
  const auto arrived = [&] { return ends.b.machine().peers().at(0).bytes_received; };
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) flows[0]->push(random, 100'000);
    world.network.run_for(random.duration(milliseconds(20), milliseconds(500)));
    world.network.set_partitioned(ends.a.address(), ends.b.address(), true);
    world.network.run_for(seconds(5));
    const bool unfinished = !flows[0]->complete();
    world.network.set_partitioned(ends.a.address(), ends.b.address(), false);
    const std::uint64_t before = arrived();
    world.run_until(
        "the transfer goes on soon after the blackout",
        [&] { return !unfinished || arrived() > before + 2'000; },
        milliseconds(1'200) + 6 * link.delay);
    if (!world.ok()) return;
  }
  flows[0]->sender().finish();
  finish_flows(world, flows, minutes(2));
  session.check(world);
}

// --- all of it ---

LinkConfig any_weather(SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(microseconds(200), milliseconds(80));
  if (random.chance(0.5)) link.loss = 0.3 * random.unit();
  if (random.chance(0.3)) link.jitter = random.duration(Duration(0), milliseconds(100));
  if (random.chance(0.2)) link.duplicate = 0.2;
  if (random.chance(0.2)) link.corrupt = 0.05;
  if (random.chance(0.2)) link.burst_start = 0.01;
  if (random.chance(0.2)) link.mtu = random.between(1'200, 9'000);
  if (random.chance(0.3)) {
    link.bytes_per_second = random.between(50'000, 2'000'000);
    link.queue_bytes = random.between(10'000, 200'000);
  }
  return link;
}

/// What the simulator itself remembers of the streams that a node received.
std::size_t record_bytes(const SimNode& node) {
  constexpr std::size_t kAllocation = 16;
  std::size_t bytes = 0;
  for (const ReceivedStream& stream : node.streams()) {
    bytes +=
        sizeof(ReceivedStream) + kAllocation + stream.messages.capacity() * sizeof(ReceivedMessage);
  }
  return bytes;
}

/// One hour, the weather changing every minute: moves, sleeps, blackouts, key changes, streams
/// that come and go. Memory at the end is what it was at half time.
void soak(World& world, SimRandom& random) {
  mesh::NodeConfig config = config_of(1);
  config.handshake_retries = 12;
  config.key_update_packets = 500;
  config.rekey_interval = minutes(2);
  SimNode& a = world.add("a", address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", address_of(2), config);
  for (SimNode* node : {&a, &b}) {
    node->start();
    node->keep_messages = false;
  }
  if (!connect(world, a, b)) return;
  const SameSession session(a, b);
  std::uint32_t move = 0;
  // The simulator's record of every stream grows; nothing else may.
  const auto own_memory = [&] { return heap_in_use() - record_bytes(a) - record_bytes(b); };
  constexpr std::size_t kSlack = 64 * 1'024;
  std::size_t half_time = 0;
  std::array<std::size_t, 2> openings{};
  for (int minute = 0; minute < 60 && world.ok(); ++minute) {
    world.network.set_default_link(any_weather(random));
    switch (random.below(5)) {
      case 0:
        world.network.set_translation(a.address(), address_of(0x00AA'0000 + ++move));
        break;
      case 1:
        (random.chance(0.5) ? a : b).jump(random.duration(milliseconds(1), seconds(8)));
        break;
      case 2:
        world.network.set_partitioned(a.address(), b.address(), true);
        world.network.run_for(random.duration(milliseconds(1), seconds(12)));
        world.network.set_partitioned(a.address(), b.address(), false);
        break;
      default:
        break;
    }
    for (int burst = 0; burst < 6; ++burst) {
      std::vector<std::unique_ptr<StreamSender>> senders;
      for (SimNode* from : {&a, &b}) {
        SimNode& to = from == &a ? b : a;
        const std::size_t side = from == &a ? 0 : 1;
        const StreamId id{openings[side]++ % 7};
        const bool reliable = random.chance(0.8);
        senders.push_back(std::make_unique<StreamSender>(
            *from, to.id(), session::StreamConfig{id, reliable, 65'536, 1}));
        if (!world.expect(senders.back()->gate() != nullptr, "a stream opens")) return;
        for (int i = 0; i < 4; ++i)
          senders.back()->push(random_message(random, random_size(random, 8'000)));
        senders.back()->finish();
      }
      const auto admitted = [&] {
        return std::all_of(senders.begin(), senders.end(),
                           [](const auto& sender) { return sender->idle(); });
      };
      if (!world.run_until("everything is admitted", admitted, minutes(2))) return;
      world.network.run_for(seconds(8));
      session.check(world);
      if (!world.ok()) return;
    }
    // Calm: what is under way arrives.
    world.network.set_default_link({});
    world.network.run_for(seconds(10));
    if (minute == 30) half_time = own_memory();
  }
  if (kHeapIsMeasurable) world.expect(own_memory() <= half_time + kSlack, "memory does not grow");
  world.expect(a.machine().peers().at(0).streams <= 16, "streams that ended are gone");
}

/// Enough of the longer ones.
constexpr std::uint64_t kSeeds = 50;

constexpr std::array kScenarios{
    Scenario{"weather-loss", "reliable streams get through 0 to 40 % loss, each way its own",
             any_loss},
    Scenario{"weather-lopsided", "one way may be short and clean, the other long, slow and lossy",
             lopsided},
    Scenario{"weather-shuffled", "packets may overtake each other by many round trips", shuffled},
    Scenario{"weather-doubled", "packets that come twice count once", doubled},
    Scenario{"weather-damaged", "damaged packets cost their own bytes and nothing else", damaged},
    Scenario{"weather-blackouts", "a transfer goes on about a second after a blackout of 5 s",
             blackouts, kSeeds},
    Scenario{"weather-soak", "an hour of everything leaves a session and its memory as they were",
             soak, 4},
};

}  // namespace

std::span<const Scenario> weather_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
