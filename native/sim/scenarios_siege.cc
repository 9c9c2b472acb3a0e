// Under pressure and among peers who have the keys and no manners.

#include <algorithm>
#include <array>
#include <set>

#include "session/session.h"
#include "sim/rude_peer.h"
#include "sim/traffic.h"
#include "wire/modern_control.h"
#include "wire/net_packet.h"

namespace netmesh::sim {
namespace {

session::StreamConfig reliable_stream(std::uint64_t id) { return {StreamId{id}, true, 0, 1}; }

// --- handshakes under pressure ---

/// First messages that are well made by members with other identities and never followed up,
/// from addresses that are not theirs.
Bytes unanswerable_handshake(SimRandom& random, const SimNode& victim) {
  const auto identity = static_cast<std::uint32_t>(1'000 + random.below(50));
  session::HandshakeContext context{
      identity::LocalIdentity::from_seed(config_of(identity).identity_seed),
      crypto::SecretKey(config_of(identity).psk)};
  context.aeads = 1;
  context.max_datagram = 1'200;
  context.stream_window = context.session_window = 1 << 16;
  context.max_message = 1 << 16;
  const auto attempt = session::InitiatorHandshake::create(context, victim.machine().public_key(),
                                                           victim.machine().node_id(), random);
  return wire::make_handshake_packet(attempt->message1(), context.identity.node_id.value);
}

void cookies(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(40));
  link.loss = random.chance(0.5) ? 0.1 : 0;
  world.network.set_default_link(link);
  mesh::NodeConfig config = config_of(1);
  config.unproven_handshakes_per_second = 5;
  SimNode& victim = world.add("victim", address_of(1), config);
  victim.start();
  // Honest members join while the flood goes on.
  constexpr std::uint32_t kHonest = 6;
  std::vector<std::pair<SimNode*, mesh::RequestId>> joining;
  SimRandom flood = random.fork();
  std::uint64_t flooded = 0, flooded_bytes = 0, answered_bytes = 0;
  world.network.set_tap([&](const Endpoint& from, const Endpoint& to, ByteSpan datagram) {
    if (from == victim.address() && to.ip[1] == std::byte{0xEE}) answered_bytes += datagram.size();
    return true;
  });
  Bytes repeated;
  const auto burst = [&] {
    for (int i = 0; i < 40; ++i) {
      // Made once and repeated with changes: a flood is cheap for its author.
      if (repeated.empty() || flood.chance(0.1)) repeated = unanswerable_handshake(flood, victim);
      Bytes datagram = repeated;
      if (flood.chance(0.5)) datagram.back() ^= std::byte{static_cast<std::uint8_t>(flood.next())};
      if (flood.chance(0.3)) {
        wire::Cookie cookie;
        flood.fill(cookie);
        wire::put_cookie(cookie, datagram);
      }
      flooded_bytes += datagram.size();
      ++flooded;
      world.network.inject(address_of(0x00EE'0000 + static_cast<std::uint32_t>(flood.below(5'000))),
                           victim.address(), datagram,
                           flood.duration(Duration(0), milliseconds(100)));
    }
  };
  for (int tick = 0; tick < 80; ++tick) {
    burst();
    if (tick % 10 == 5 && joining.size() < kHonest) {
      const auto number = static_cast<std::uint32_t>(10 + joining.size());
      mesh::NodeConfig honest = config_of(number);
      honest.handshake_retries = 8;
      SimNode& node = world.add("honest" + std::to_string(number), address_of(number), honest);
      node.start();
      joining.emplace_back(&node, node.connect(victim));
    }
    world.network.run_for(milliseconds(100));
  }
  for (const auto& [node, request] : joining) {
    if (!world.run_until(
            "an honest peer gets in during the flood",
            [&, n = node, r = request] { return n->connected(r) != nullptr; }, seconds(20))) {
      return;
    }
    world.expect(node->connected(request)->has_value(), "an honest peer gets in");
  }
  world.network.set_tap(nullptr);
  const mesh::NodeCounters counters = victim.machine().counters();
  world.expect(counters.cookies_sent > 0, "cookies were asked for and counted");
  // Of 400 first messages a second, about as many are worked on as are allowed.
  world.expect(counters.dropped_handshake + counters.handshakes_completed <=
                   5 * 9 + 2 * 5 + 4 * kHonest + 10,
               "work for strangers is bounded");
  world.expect(answered_bytes <= flooded_bytes, "strangers get less than they send");
  world.expect(flooded > 3'000, "there was a flood");
  std::vector<std::unique_ptr<Flow>> flows;
  for (const auto& [node, request] : joining) {
    if (!wait_for_session(world, *node, victim)) return;
    flows.push_back(std::make_unique<Flow>(*node, victim, reliable_stream(1)));
    flows.back()->push(random, 5'000);
  }
  finish_flows(world, flows, minutes(5));
}

/// Whoever hears a cookie cannot use it from elsewhere, nor for another attempt.
void stolen_cookies(World& world, SimRandom& random) {
  mesh::NodeConfig config = config_of(1);
  config.unproven_handshakes_per_second = 1;
  SimNode& victim = world.add("victim", address_of(1), config);
  victim.start();
  for (int i = 0; i < 10; ++i) {
    world.network.inject(address_of(0x00EE'0000), victim.address(),
                         unanswerable_handshake(random, victim));
  }
  SimRandom thief = random.fork();
  std::uint64_t stolen = 0;
  world.network.set_tap([&](const Endpoint& from, const Endpoint& to, ByteSpan datagram) {
    const auto packet = wire::parse_net_packet(datagram);
    if (to == victim.address() && from == address_of(2) && packet && packet->is_handshake() &&
        wire::get_cookie(datagram) != wire::Cookie{}) {
      ++stolen;
      // The same from another address and port, and the cookie in another attempt.
      Endpoint port = from;
      port.port = 9;
      world.network.inject(address_of(0x00EE'0001), victim.address(), datagram);
      world.network.inject(port, victim.address(), datagram);
      Bytes other = unanswerable_handshake(thief, victim);
      wire::put_cookie(wire::get_cookie(datagram), other);
      world.network.inject(from, victim.address(), other);
      return false;  // the original is held back, to see what the copies achieve
    }
    return true;
  });
  SimNode& honest = world.add("honest", address_of(2), config_of(2));
  honest.start();
  world.network.run_for(milliseconds(10));
  const std::uint64_t before = victim.machine().counters().handshakes_completed;
  const mesh::RequestId request = honest.connect(victim);
  world.network.run_for(milliseconds(600));
  world.expect(stolen > 0, "a cookie was used");
  world.expect(victim.machine().counters().handshakes_completed == before,
               "a cookie opens nothing from elsewhere or for another attempt");
  world.network.set_tap(nullptr);
  world.run_until(
      "the honest peer gets in", [&] { return honest.connected(request) != nullptr; }, seconds(20));
  if (world.ok()) world.expect(honest.connected(request)->has_value(), "the honest peer gets in");
}

/// Old handshakes of the same peer arrive in every gap of a new one.
void interleaved_handshakes(World& world, SimRandom& random) {
  std::vector<std::pair<Endpoint, Bytes>> recorded;
  LinkConfig link;
  link.delay = milliseconds(10);
  world.network.set_default_link(link);
  SimNode* a = &world.add(1);
  SimNode& b = world.add(2);
  world.network.set_tap([&](const Endpoint& from, const Endpoint& to, ByteSpan datagram) {
    const auto packet = wire::parse_net_packet(datagram);
    if (to == b.address() && packet && packet->is_handshake())
      recorded.emplace_back(from, Bytes(datagram.begin(), datagram.end()));
    return true;
  });
  for (int life = 0; life < 3; ++life) {
    if (!connect(world, *a, b)) return;
    world.network.run_for(seconds(1));
    if (random.chance(0.5)) {
      a->call([&](mesh::Node& machine, Now now) { machine.disconnect(now, b.id()); });
      world.network.run_for(seconds(1));
    } else {
      world.kill(*a);
      a = &world.add(1);
    }
  }
  world.network.set_tap(nullptr);
  const std::vector<std::pair<Endpoint, Bytes>> history = recorded;
  if (!world.expect(history.size() >= 3, "there is something to replay")) return;
  const auto replay = [&](Duration after) {
    const auto& [from, bytes] = history[random.below(history.size())];
    world.network.inject(from, b.address(), bytes, after);
  };
  const mesh::RequestId request = a->connect(b);
  // The message takes 10 ms, the answer 10 and the first packet 10 again.
  for (int i = 0; i < 30; ++i) replay(random.duration(Duration(0), milliseconds(60)));
  world.run_until(
      "the connect is resolved", [&] { return a->connected(request) != nullptr; }, seconds(20));
  if (!world.ok()) return;
  world.expect(a->connected(request)->has_value(), "the connect succeeds");
  world.network.run_for(milliseconds(200));
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(*a, b, reliable_stream(1)));
  if (!world.ok()) return;
  flows.back()->push(random, 5'000);
  finish_flows(world, flows, seconds(30));
}

// --- peers without manners ---

struct Siege {
  Siege(World& world, mesh::NodeConfig config)
      : victim(world.add("victim", address_of(1), std::move(config))), rude(world, 66) {
    victim.start();
  }
  bool begin(World& world) {
    if (!world.expect(rude.connect(victim), "the rude peer shakes hands")) return false;
    return world.run_until(
        "the rude peer is a peer", [&] { return victim.is_up(rude.id()); }, seconds(1));
  }
  std::uint64_t in_flight() const { return congestion().in_flight; }
  std::uint64_t window() const { return congestion().window; }
  session::CongestionStats congestion() const {
    for (const mesh::PeerInfo& info : victim.machine().peers()) {
      if (info.node_id == rude.id() && info.congestion) return *info.congestion;
    }
    return {};
  }
  SimNode& victim;
  RudePeer rude;
};

wire::AckFrame ack_of(std::uint64_t first, std::uint64_t last, std::uint64_t delay_us = 0) {
  wire::AckFrame ack;
  ack.delay_us = delay_us;
  ack.range_count = 1;
  ack.ranges[0] = {first, last};
  return ack;
}

/// Acknowledges at random, far too late, again and again, with absurd delays; only what was sent.
void odd_acks(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(20));
  world.network.set_default_link(link);
  Siege siege(world, config_of(1));
  if (!siege.begin(world)) return;
  StreamSender sender(siege.victim, siege.rude.id(), reliable_stream(1));
  if (!world.expect(sender.gate() != nullptr, "the stream opens")) return;
  for (int i = 0; i < 50; ++i) sender.push(random_message(random, 40'000));
  std::uint64_t most_window = 0;
  for (int round = 0; round < 150; ++round) {
    world.network.run_for(random.duration(Duration(0), milliseconds(50)));
    if (siege.rude.goodbye()) break;
    const auto& numbers = siege.rude.received_numbers();
    if (numbers.empty()) continue;
    wire::AckFrame ack;
    std::set<std::uint64_t> chosen;
    for (int i = 0; i < 8; ++i) {
      const std::size_t near = std::min<std::size_t>(numbers.size(), 100);
      chosen.insert(numbers[numbers.size() - 1 - random.below(near)]);
    }
    ack.delay_us = random.chance(0.5) ? random.next() >> (2 + random.below(60)) : 0;
    // Newest first, neighbours joined.
    for (auto it = chosen.rbegin(); it != chosen.rend(); ++it) {
      if (ack.range_count > 0 && ack.ranges[ack.range_count - 1].first == *it + 1)
        ack.ranges[ack.range_count - 1].first = *it;
      else
        ack.ranges[ack.range_count++] = {*it, *it};
    }
    std::vector<wire::Frame> frames(1 + random.below(4), wire::Frame(ack));
    siege.rude.send(frames);
    most_window = std::max(most_window, siege.window());
    // Probes, heartbeats and limits leave beside the window.
    if (!world.expect(siege.in_flight() <= most_window + 64 * 1'024,
                      "bytes in flight stay within the window")) {
      return;
    }
  }
  world.expect(!siege.rude.goodbye(), "acknowledgements of what was sent break no rule");
  // It is still heard and answered.
  world.expect(siege.victim.is_up(siege.rude.id()), "the session lives on");
  world.expect(siege.victim.machine().counters().protocol_violations == 0, "no violation");
}

/// Acknowledges what it never got, in the hope of being sent more and faster.
void optimistic_acks(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(20));
  world.network.set_default_link(link);
  Siege siege(world, config_of(1));
  if (!siege.begin(world)) return;
  StreamSender sender(siege.victim, siege.rude.id(), reliable_stream(1));
  for (int i = 0; i < 200; ++i) sender.push(random_message(random, 60'000));
  const bool impatient = random.chance(0.5);
  siege.rude.on_packet = [&](std::uint64_t number) {
    if (siege.rude.goodbye()) return;
    // All below and, if it cannot wait, some that are under way at best.
    siege.rude.send({ack_of(0, impatient ? number + random.below(3) : number),
                     wire::StreamLimitFrame{StreamId{1}, 2, 1ULL << 40},
                     wire::SessionLimitFrame{1ULL << 40}});
  };
  world.run_until(
      "the lie is noticed", [&] { return siege.rude.goodbye().has_value(); }, minutes(2));
  if (!world.ok()) return;
  world.expect(siege.rude.goodbye()->first == session::close_code::kAcknowledgement &&
                   !siege.rude.goodbye()->second.empty(),
               "a peer that lies is told why it is sent away");
  const auto down = siege.victim.last_down(siege.rude.id());
  world.expect(down && down->reason == mesh::DownReason::kProtocolViolation &&
                   down->text == siege.rude.goodbye()->second,
               "both sides read the same reason");
  world.expect(siege.victim.machine().counters().protocol_violations == 1, "and it is counted");
}

/// Limits that fall, jump to the largest number, or name streams that do not exist.
void forged_limits(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(10));
  world.network.set_default_link(link);
  mesh::NodeConfig config = config_of(1);
  config.max_queued_bytes = 200'000;
  Siege siege(world, config);
  if (!siege.begin(world)) return;
  StreamSender sender(siege.victim, siege.rude.id(), reliable_stream(1));
  std::uint64_t offered = 0;
  for (int i = 0; i < 100; ++i) {
    sender.push(random_message(random, 40'000));
    offered += 40'000;
  }
  siege.rude.on_packet = [&](std::uint64_t number) {
    if (number % 2 == 0) siege.rude.send({ack_of(number, number)});
  };
  constexpr std::uint64_t kMost = (1ULL << 62) - 1;
  for (int round = 0; round < 200 && !siege.rude.goodbye(); ++round) {
    const std::uint64_t value =
        random.chance(0.3) ? kMost : random.next() >> (2 + random.below(62));
    const std::uint64_t epoch = random.chance(0.5) ? 2 : random.below(20);
    const StreamId stream{random.chance(0.5) ? 1 : random.next()};
    if (random.chance(0.6))
      siege.rude.send({wire::StreamLimitFrame{stream, epoch, value}});
    else
      siege.rude.send({wire::SessionLimitFrame{value}});
    world.network.run_for(random.duration(Duration(0), milliseconds(20)));
    std::uint64_t queued = 0;
    for (const mesh::PeerInfo& info : siege.victim.machine().peers())
      queued = std::max(queued, info.congestion ? info.congestion->in_flight : 0);
    world.expect(queued <= config.max_queued_bytes + 64 * 1'024, "what is in flight is bounded");
    world.expect(siege.victim.machine().peers().at(0).streams <= 1, "no stream comes of a limit");
    if (!world.ok()) return;
  }
  world.expect(!siege.rude.goodbye(), "limits of any size are no violation");
  world.expect(siege.rude.stream_bytes_received() > 0, "data flows");
  world.expect(sender.sent_bytes() <= offered, "no more than was offered");
}

/// Takes more than it was granted: data, streams, gaps.
void greedy_peer(World& world, SimRandom& random) {
  mesh::NodeConfig config = config_of(1);
  config.stream_receive_window = 20'000;
  config.session_receive_window = 50'000;
  config.max_streams_per_session = 8;
  config.max_message_bytes = 10'000;
  Siege siege(world, config);
  siege.victim.set_reading({true, 0});
  if (!siege.begin(world)) return;
  const Bytes data = random.bytes(1'000);
  const auto kind = random.below(4);
  for (std::uint64_t i = 0; i < 20'000 && !siege.rude.goodbye(); ++i) {
    wire::StreamFrame frame;
    frame.stream_id = StreamId{kind == 1 ? i : kind == 2 ? i % 8 : 1};
    frame.epoch = 2 * (frame.stream_id.value + 1);
    frame.data = data;
    switch (kind) {
      case 0:  // beyond a stream's window
      case 2:  // or the session's
        frame.offset = 1'000 * (kind == 0 ? i : i / 8);
        break;
      case 1:  // a stream each
        frame.data = ByteSpan(data).first(1);
        break;
      default:  // every second byte
        frame.data = ByteSpan(data).first(1);
        frame.offset = 2 * i + 1;
    }
    siege.rude.send({frame});
    if (i % 16 == 0) world.network.run_for(milliseconds(1));
    world.expect(siege.victim.unread_bytes() <= 100'000, "memory is bounded");
    if (!world.ok()) return;
  }
  world.network.run_for(milliseconds(100));
  if (!world.expect(siege.rude.goodbye().has_value(), "greed ends the session")) return;
  constexpr std::uint64_t kCodes[] = {
      session::close_code::kFlowControl, session::close_code::kTooManyStreams,
      session::close_code::kFlowControl, session::close_code::kFlowControl};
  world.expect(siege.rude.goodbye()->first == kCodes[kind] ||
                   siege.rude.goodbye()->first == session::close_code::kReorderBuffer ||
                   siege.rude.goodbye()->first == session::close_code::kMessageTooLarge,
               "with the code for it");
  world.expect(!siege.victim.is_up(siege.rude.id()), "the peer is gone");
}

// --- many ---

void two_hundred_peers(World& world, SimRandom& random) {
  LinkConfig link;
  link.loss = 0.02;
  link.delay = milliseconds(10);
  link.jitter = milliseconds(10);
  world.network.set_default_link(link);
  constexpr std::uint32_t kPeers = 200;
  SimNode& hub = world.add("hub", address_of(1), config_of(1));
  hub.start();
  std::vector<std::pair<SimNode*, mesh::RequestId>> peers;
  for (std::uint32_t i = 0; i < kPeers; ++i) {
    SimNode& node = world.add(100 + i);
    peers.emplace_back(&node, random.chance(0.5) ? node.connect(hub) : hub.connect(node));
    if (random.chance(0.2)) world.network.run_for(milliseconds(5));
  }
  const auto all_up = [&] {
    return std::all_of(peers.begin(), peers.end(), [&](const auto& entry) {
      return hub.is_up(*entry.first) && entry.first->is_up(hub);
    });
  };
  if (!world.run_until("all are connected", all_up, minutes(1))) return;
  world.network.run_for(seconds(1));
  std::vector<std::unique_ptr<Flow>> flows;
  for (const auto& [node, request] : peers) {
    flows.push_back(std::make_unique<Flow>(*node, hub, reliable_stream(1)));
    flows.push_back(std::make_unique<Flow>(hub, *node, reliable_stream(1)));
  }
  if (!world.ok()) return;
  for (const auto& flow : flows) {
    flow->push(random, random_size(random, 20'000));
    flow->sender().finish();
  }
  if (!finish_flows(world, flows, minutes(2))) return;
  const std::size_t events = hub.peer_events().size();
  world.network.run_for(minutes(3));
  world.expect(hub.machine().peer_count() == kPeers && hub.peer_events().size() == events,
               "idle peers stay");
}

/// Enough of the longer ones.
constexpr std::uint64_t kSeeds = 50;

constexpr std::array kScenarios{
    Scenario{"siege-cookies", "honest peers get in while a flood of first messages goes on",
             cookies, 30},
    Scenario{"siege-stolen-cookies",
             "a cookie is of no use from another address or for another attempt", stolen_cookies},
    Scenario{"siege-interleaved-handshakes",
             "replayed handshakes in the gaps of a real one do not spoil it",
             interleaved_handshakes},
    Scenario{"siege-odd-acks",
             "acknowledgements in any order, late, twice, with absurd delays do "
             "no harm",
             odd_acks},
    Scenario{"siege-optimistic-acks",
             "whoever acknowledges what he did not get is found out and told so", optimistic_acks,
             kSeeds},
    Scenario{"siege-forged-limits", "limits of any value neither break a session nor grow a queue",
             forged_limits, kSeeds},
    Scenario{"siege-greedy-peer", "whoever takes more than he was granted is sent away",
             greedy_peer, kSeeds},
    Scenario{"siege-200-peers", "a node serves 200 peers at once", two_hundred_peers, 10},
};

}  // namespace

std::span<const Scenario> siege_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
