// Strangers, garbage and replays: nothing changes, nothing grows, nobody is kept out.

#include <array>

#include "crypto/hash.h"
#include "sim/heap.h"
#include "sim/traffic.h"
#include "wire/classify.h"
#include "wire/modern_control.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"
#include "wire/routing.h"

namespace netmesh::sim {
namespace {

// --- garbage ---

/// Everything that a run shows to the outside.
struct Record {
  std::uint64_t wire = 0;  ///< a hash over all datagrams that nodes sent, in order
  std::uint64_t datagrams = 0;
  std::uint64_t resets = 0;
  std::vector<std::vector<Bytes>> delivered;
  std::uint64_t dropped = 0;
};

bool is_handshake(ByteSpan datagram) {
  if (wire::classify(datagram) != wire::DatagramKind::kBase) return false;
  const auto header = wire::parse_net_packet(datagram);
  return header && header->is_handshake();
}

/// A datagram that is almost `original`, or one of no sense at all.
Bytes make_garbage(SimRandom& random, ByteSpan original) {
  Bytes bytes(original.begin(), original.end());
  switch (random.below(8)) {
    case 0:
      return random.bytes(random.below(1300));
    case 1: {  // a session of nobody's
      Bytes packet = random.bytes(wire::kModernOverheadBytes + random.below(200));
      wire::write_modern_header({false, SessionId{random.next()}, PacketNumber{random.below(100)}},
                                packet.data());
      return packet;
    }
    case 2: {  // a base packet out of the blue
      const std::size_t payload = random.below(100);
      Bytes packet = random.bytes(wire::kNetOverheadBytes + payload);
      wire::NetHeader header;
      header.session_id = SessionId{random.next()};
      header.payload_len = static_cast<std::uint16_t>(payload);
      wire::write_net_header(header, packet);
      return packet;
    }
    case 3: {  // routed to nobody
      Bytes packet = random.bytes(wire::kMinRoutedBytes + random.below(100));
      wire::write_routing_header(
          {8, 0, 0, 0, static_cast<std::uint32_t>(random.next()), NodeId{random.next() | 1}},
          packet);
      return packet;
    }
    case 4:  // of the size of a pingwave or a punch
      return random.bytes(random.chance(0.5) ? wire::kPingwaveBytes : 14);
    case 5:
      bytes.resize(random.below(bytes.size()));
      return bytes;
    default:
      break;
  }
  // Header fields of a handshake packet mean nothing and may change; its message may not.
  const std::size_t from = is_handshake(original) ? wire::kNetHeaderBytes : 0;
  for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
    bytes[from + random.below(bytes.size() - from)] ^=
        std::byte{static_cast<std::uint8_t>(1 + random.below(255))};
  }
  if (bytes == Bytes(original.begin(), original.end())) bytes.back() ^= std::byte{1};
  return bytes;
}

Record conversation(World& world, std::uint64_t seed, bool attacked) {
  SimRandom random(seed);
  SimRandom attacker(seed + 1);
  LinkConfig link;
  link.loss = 0.05;
  link.jitter = milliseconds(5);
  world.network.set_default_link(link);
  Record record;
  world.network.set_tap([&](const Endpoint& from, const Endpoint& to, ByteSpan datagram) {
    // Garbage in the shape of a packet may be answered by "no such session", and no more.
    if (wire::parse_reset(datagram)) {
      ++record.resets;
      return false;  // so that the links' chances stay the same
    }
    ++record.datagrams;
    record.wire = crypto::xxh3_64(datagram) ^ (record.wire * 0x9E37'79B9'7F4A'7C15ULL);
    if (attacked && attacker.chance(0.5)) {
      const Endpoint source =
          attacker.chance(0.5) ? from
                               : address_of(static_cast<std::uint32_t>(attacker.below(1u << 24)));
      const Endpoint& target = attacker.chance(0.7) ? to : from;
      world.network.inject(source, target, make_garbage(attacker, datagram),
                           attacker.duration(Duration(0), milliseconds(10)));
    }
    return true;
  });
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return record;
  std::vector<std::unique_ptr<Flow>> flows;
  for (std::uint64_t stream = 0; stream < 4; ++stream) {
    const session::StreamConfig config{StreamId{stream}, stream % 2 == 0, 65'536, 1};
    flows.push_back(std::make_unique<Flow>(stream < 2 ? a : b, stream < 2 ? b : a, config));
    for (int i = 0; i < 10; ++i) flows.back()->push(random, random_size(random, 4'000));
  }
  world.network.run_for(seconds(30));
  for (SimNode* node : {&a, &b}) {
    for (const ReceivedStream& stream : node->streams()) {
      record.delivered.emplace_back();
      for (const ReceivedMessage& message : stream.messages) {
        record.delivered.back().push_back(message.bytes);
      }
    }
    const mesh::NodeCounters& counters = node->machine().counters();
    record.dropped += counters.dropped_invalid + counters.dropped_unknown_session +
                      counters.dropped_authentication + counters.dropped_handshake +
                      counters.dropped_no_route + counters.dropped_replay;
    world.expect(counters.protocol_violations == 0, "garbage is no violation of anybody's");
  }
  world.network.set_tap(nullptr);
  return record;
}

void garbage(World& world, SimRandom& random) {
  const std::uint64_t seed = random.next();
  const auto run = [&](bool attacked) {
    World copy(seed, world.network.trace());
    Record record = conversation(copy, seed, attacked);
    for (const std::string& failure : copy.failures()) world.fail(failure);
    return record;
  };
  const Record quiet = run(false);
  const Record attacked = run(true);
  world.expect(attacked.dropped > quiet.dropped, "garbage is counted");
  world.expect(attacked.datagrams == quiet.datagrams && attacked.wire == quiet.wire,
               "nodes under garbage send exactly what they send without it");
  // At most 100 a second, after a burst.
  world.expect(quiet.resets == 0 && attacked.resets < 200 + 31 * 100, "resets are bounded");
  world.expect(attacked.delivered == quiet.delivered,
               "nodes under garbage deliver exactly what they deliver without it");
}

// --- floods ---

/// Room for queues of the simulator itself.
constexpr std::size_t kHeapSlack = 64 * 1024;

/// A msg1 as a stranger without the secret would make it.
Bytes bogus_handshake(SimRandom& random, NodeId responder) {
  const Bytes message = random.bytes(48 + random.below(150));
  Bytes packet = wire::make_handshake_packet(message, random.chance(0.9) ? random.next() : 0);
  if (random.chance(0.7)) return packet;
  Bytes routed(wire::kRoutingHeaderBytes);
  wire::write_routing_header({16, static_cast<std::uint8_t>(random.below(3)), 0, 0,
                              static_cast<std::uint32_t>(random.next()), responder},
                             routed);
  routed.insert(routed.end(), packet.begin(), packet.end());
  return routed;
}

void handshake_flood(World& world, SimRandom& random) {
  SimNode& victim = world.add(2);
  SimNode& real = world.add(1);
  const bool one_source = random.chance(0.5);
  const Endpoint source = address_of(0x00FF'0000);
  constexpr int kDatagrams = 300;
  const auto flood = [&] {
    for (int i = 0; i < kDatagrams; ++i) {
      const Endpoint from =
          one_source ? source : address_of(static_cast<std::uint32_t>(random.below(1u << 24)));
      world.network.inject(from, victim.address(), bogus_handshake(random, victim.id()),
                           random.duration(Duration(0), seconds(1)));
    }
  };
  const mesh::NodeCounters before = victim.machine().counters();
  flood();
  world.network.run_for(seconds(2));
  const std::size_t heap = heap_in_use();
  const mesh::NodeCounters after = victim.machine().counters();
  world.expect(after.dropped_handshake + after.dropped_rate_limited - before.dropped_handshake -
                       before.dropped_rate_limited ==
                   kDatagrams,
               "every bogus handshake is dropped and counted");
  world.expect(after.datagrams_sent == before.datagrams_sent, "strangers get no answer");
  world.expect(after.handshakes_completed == 0 && victim.machine().peer_count() == 0 &&
                   victim.peer_events().empty(),
               "strangers become no peers");
  flood();
  const mesh::RequestId request = real.connect(victim);
  world.run_until(
      "a real handshake gets through", [&] { return real.connected(request) != nullptr; },
      seconds(6));
  if (!world.ok()) return;
  world.expect(real.connected(request)->has_value(), "a real handshake succeeds under the flood");
  world.network.run_for(seconds(2));
  flood();
  world.network.run_for(seconds(2));
  // What grew beside the real session would grow with every flood.
  constexpr std::size_t kSession = 64 * 1024;
  if (kHeapIsMeasurable) {
    world.expect(heap_in_use() <= heap + 2 * kSession + kHeapSlack, "memory does not grow");
  }
  world.expect(real.is_up(victim) && victim.is_up(real), "the real session lives");
}

// --- replays ---

struct Recorded {
  Endpoint from, to;
  Bytes bytes;
};

/// Everything that two nodes ever said to each other, over several lives of both.
std::vector<Recorded> record_history(World& world, SimRandom& random) {
  std::vector<Recorded> history;
  world.network.set_tap([&](const Endpoint& from, const Endpoint& to, ByteSpan datagram) {
    history.push_back({from, to, Bytes(datagram.begin(), datagram.end())});
    return true;
  });
  for (int life = 0; life < 3 && world.ok(); ++life) {
    SimNode& a = world.add(1);
    SimNode& b = world.add(2);
    SimNode& from = random.chance(0.7) ? a : b;
    if (!connect(world, from, &from == &a ? b : a)) break;
    {
      Flow flow(a, b, session::StreamConfig{StreamId{1}, true, 65'536, 1});
      flow.push(random, 3'000);
      world.network.run_for(seconds(1));
    }
    world.kill(a);
    world.kill(b);
  }
  world.network.set_tap(nullptr);
  return history;
}

/// One of `history`, from where it came or from elsewhere, as it was or on another way.
void replay_one(World& world, SimRandom& random, const std::vector<Recorded>& history) {
  const Recorded& old = history[random.below(history.size())];
  const Endpoint from = random.chance(0.7)
                            ? old.from
                            : address_of(static_cast<std::uint32_t>(random.below(1u << 24)));
  world.network.inject(from, random.chance(0.9) ? old.to : old.from, old.bytes,
                       random.duration(Duration(0), milliseconds(5)));
}

std::vector<Recorded> handshakes_of(const std::vector<Recorded>& history) {
  std::vector<Recorded> out;
  for (const Recorded& datagram : history) {
    if (is_handshake(datagram.bytes)) out.push_back(datagram);
  }
  return out;
}

void replay_against_session(World& world, SimRandom& random) {
  std::vector<Recorded> history = record_history(world, random);
  const std::vector<Recorded> handshakes = handshakes_of(history);
  if (!world.expect(handshakes.size() >= 6, "there is something to replay")) return;
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  world.network.set_tap([&](const Endpoint& from, const Endpoint& to, ByteSpan datagram) {
    history.push_back({from, to, Bytes(datagram.begin(), datagram.end())});
    return true;
  });
  if (!connect(world, a, b)) return;
  const std::size_t events = a.peer_events().size() + b.peer_events().size();
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(
      std::make_unique<Flow>(a, b, session::StreamConfig{StreamId{1}, true, 65'536, 1}));
  flows.push_back(
      std::make_unique<Flow>(b, a, session::StreamConfig{StreamId{1}, true, 65'536, 1}));
  for (int round = 0; round < 40; ++round) {
    for (const auto& flow : flows) flow->push(random, random_size(random, 10'000));
    for (int i = 0; i < 5; ++i)
      replay_one(world, random, random.chance(0.5) ? handshakes : history);
    world.network.run_for(random.duration(Duration(0), seconds(1)));
  }
  world.network.set_tap(nullptr);
  for (const auto& flow : flows) flow->sender().finish();
  finish_flows(world, flows, minutes(5));
  world.expect(a.peer_events().size() + b.peer_events().size() == events,
               "replays do not touch a living session");
  world.expect(a.machine().peer_count() == 1 && b.machine().peer_count() == 1, "one peer each");
  world.expect(b.machine().counters().dropped_replay > 0, "replayed packets are counted");
}

/// Old handshakes come first, to a node that has no session yet.
void replay_before_session(World& world, SimRandom& random) {
  const std::vector<Recorded> handshakes = handshakes_of(record_history(world, random));
  if (!world.expect(!handshakes.empty(), "there is something to replay")) return;
  SimNode& b = world.add("b", address_of(2), config_of(2));
  SimNode& a = world.add(1);
  const bool accepts = random.chance(0.5);
  Expected<mesh::RequestId> accept = fail(ErrorKind::kFatal, "not called");
  if (accepts)
    accept = b.accept(a);
  else
    b.start();
  for (int i = 0; i < 20; ++i) replay_one(world, random, handshakes);
  world.network.run_for(random.duration(Duration(0), seconds(3)));
  if (accepts)
    world.expect(b.accepted(*accept) == nullptr, "a replay is not the peer that is awaited");
  const mesh::RequestId request = a.connect(b);
  for (int i = 0; i < 20; ++i) replay_one(world, random, handshakes);
  world.run_until(
      "the real connect is resolved", [&] { return a.connected(request) != nullptr; }, seconds(10));
  if (!world.ok()) return;
  world.expect(a.connected(request)->has_value(), "the real connect succeeds");
  if (accepts) {
    world.run_until(
        "the accept is resolved", [&] { return b.accepted(*accept) != nullptr; }, seconds(5));
    if (world.ok()) world.expect(b.accepted(*accept)->has_value(), "the accept succeeds");
    b.start();
  }
  if (!wait_for_session(world, a, b)) return;
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(
      std::make_unique<Flow>(b, a, session::StreamConfig{StreamId{1}, true, 65'536, 1}));
  flows.back()->push(random, 1'000);
  finish_flows(world, flows, minutes(1));
}

/// A member of the mesh answers in nobody's place: a node id cannot be claimed with another
/// identity.
void stolen_node_id(World& world, SimRandom& random) {
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  const std::size_t events = b.peer_events().size();
  // A base handshake states any id it likes; one that proves itself does not.
  const Bytes noise_hint = random.bytes(200);
  for (int i = 0; i < 10; ++i) {
    world.network.inject(address_of(9), b.address(),
                         wire::make_handshake_packet(noise_hint, a.id().value));
  }
  world.network.run_for(seconds(1));
  SimNode& thief = world.add(3);
  const mesh::RequestId request = a.call([&](mesh::Node& machine, Now now) {
    return machine.connect(now, thief.address(), thief.public_key(),
                           NodeId{b.id().value ^ (1ULL << 40)}, {});
  });
  world.run_until(
      "the connect is resolved", [&] { return a.connected(request) != nullptr; }, seconds(20));
  if (!world.ok()) return;
  world.expect(!a.connected(request)->has_value(),
               "another identity than the one asked for is refused");
  world.expect(b.peer_events().size() == events && a.is_up(b), "the session is untouched");
}

constexpr std::array kScenarios{
    Scenario{"hostile-garbage",
             "corrupted and random datagrams change nothing: not a byte sent, not a byte delivered",
             garbage},
    Scenario{"hostile-handshake-flood",
             "bogus handshakes get no answer, take no memory and do not keep real ones out",
             handshake_flood},
    Scenario{"hostile-replay",
             "everything ever recorded, replayed, does not touch a living session",
             replay_against_session},
    Scenario{"hostile-replay-first", "replayed handshakes do not keep the real peer out",
             replay_before_session},
    Scenario{"hostile-stolen-id", "a node id cannot be had without its identity", stolen_node_id},
};

}  // namespace

std::span<const Scenario> hostile_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
