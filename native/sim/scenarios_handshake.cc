// Handshakes complete: on bad links, in every order, direct and routed.

#include <array>

#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

/// Three attempts at 40 % loss fail once in three thousand; eight do not.
constexpr unsigned kAttempts = 8;

LinkConfig handshake_link() {
  LinkConfig link;
  link.loss = 0.4;
  link.duplicate = 0.1;
  link.corrupt = 0.02;
  link.delay = milliseconds(2);
  link.jitter = milliseconds(30);
  return link;
}

mesh::NodeConfig patient_config(std::uint64_t number) {
  mesh::NodeConfig config = config_of(number);
  config.handshake_retries = kAttempts;
  return config;
}

/// A message each way arrives: both ends have the same session. The one that they have first may
/// give way to another that was under way; then the application tries again, as any would.
void expect_conversation(World& world, SimRandom& random, SimNode& a, SimNode& b) {
  constexpr int kTries = 3;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    if (!wait_for_session(world, a, b)) return;
    const std::size_t events = a.peer_events().size() + b.peer_events().size();
    const StreamId id{static_cast<std::uint64_t>(attempt)};
    std::vector<std::unique_ptr<Flow>> flows;
    flows.push_back(std::make_unique<Flow>(a, b, session::StreamConfig{id, true, 65'536, 1}));
    flows.push_back(std::make_unique<Flow>(b, a, session::StreamConfig{id, true, 65'536, 1}));
    if (!world.ok()) return;
    for (const auto& flow : flows) {
      flow->push(random, 5'000);
      flow->sender().finish();
    }
    const auto replaced = [&] { return a.peer_events().size() + b.peer_events().size() != events; };
    world.run_until(
        "a message arrives each way",
        [&] { return replaced() || (flows[0]->complete() && flows[1]->complete()); }, minutes(10));
    if (!world.ok()) return;
    if (replaced()) continue;
    for (const auto& flow : flows) flow->check_complete(world);
    return;
  }
  world.fail("the session was replaced again and again");
}

std::size_t ups(const SimNode& node, NodeId peer) {
  std::size_t count = 0;
  for (const PeerEvent& event : node.peer_events()) {
    if (event.peer == peer && event.kind == PeerEvent::Kind::kUp) ++count;
  }
  return count;
}

void expect_connected(World& world, const SimNode& node, mesh::RequestId request) {
  const Expected<void>* result = node.connected(request);
  if (!world.expect(result != nullptr, node.name() + ": the connect is resolved")) return;
  if (!*result) world.fail(node.name() + ": connect failed: " + result->error().message);
}

void direct_to_started(World& world, SimRandom& random) {
  world.network.set_default_link(handshake_link());
  SimNode& a = world.add("a", address_of(1), patient_config(1));
  SimNode& b = world.add("b", address_of(2), patient_config(2));
  b.start();
  const bool start_before = random.chance(0.5);
  if (start_before) a.start();
  const mesh::RequestId request = a.connect(b);
  if (!world.run_until(
          "the connect is resolved", [&] { return a.connected(request) != nullptr; }, minutes(2))) {
    return;
  }
  expect_connected(world, a, request);
  if (!start_before && random.chance(0.5)) a.start();
  expect_conversation(world, random, a, b);
  world.expect(a.machine().peer_count() == 1 && b.machine().peer_count() == 1, "one peer each");
}

/// Neither is started; `accept` comes before or after the first msg1.
void accepted(World& world, SimRandom& random) {
  world.network.set_default_link(handshake_link());
  SimNode& a = world.add("a", address_of(1), patient_config(1));
  SimNode& b = world.add("b", address_of(2), patient_config(2));
  const bool accept_first = random.chance(0.5);
  Expected<mesh::RequestId> accept = fail(ErrorKind::kFatal, "not called");
  if (accept_first) accept = b.accept(a);
  const mesh::RequestId request = a.connect(b);
  if (!accept_first) {
    world.network.run_for(random.duration(Duration(0), seconds(4)));
    accept = b.accept(a);
  }
  if (!world.expect(accept.has_value(), "accept is allowed before start")) return;
  world.run_until(
      "both requests are resolved",
      [&] { return a.connected(request) != nullptr && b.accepted(*accept) != nullptr; },
      minutes(2));
  if (!world.ok()) return;
  expect_connected(world, a, request);
  const Expected<Endpoint>& result = *b.accepted(*accept);
  if (!world.expect(result.has_value(), "the accept succeeds")) return;
  world.expect(*result == a.address(), "accept tells the peer's address");
  if (random.chance(0.7)) a.start();
  if (random.chance(0.7)) b.start();
  expect_conversation(world, random, a, b);
}

/// Without `accept`, a node that was not started answers nobody.
void unaccepted(World& world, SimRandom& random) {
  SimNode& a = world.add("a", address_of(1), config_of(1));
  SimNode& b = world.add("b", address_of(2), config_of(2));
  SimNode& c = world.add("c", address_of(3), config_of(3));
  const Expected<mesh::RequestId> accept = b.accept(c);
  world.expect(accept.has_value(), "accept is allowed before start");
  a.start();
  const mesh::RequestId request = a.connect(b);
  world.run_until(
      "the connect is given up", [&] { return a.connected(request) != nullptr; }, seconds(16));
  if (!world.ok()) return;
  const Expected<void>& result = *a.connected(request);
  world.expect(!result && result.error().message == "connection error: handshake timeout",
               "the connect ends with the documented error");
  world.expect(b.machine().peer_count() == 0, "nobody was let in");
  world.network.run_for(random.duration(seconds(1), seconds(20)));
  const Expected<Endpoint>* accepted_result = b.accepted(*accept);
  world.expect(accepted_result != nullptr && !*accepted_result, "the accept gives up");
}

void both_at_once(World& world, SimRandom& random) {
  LinkConfig link = handshake_link();
  if (random.chance(0.5)) {
    link = {};
    link.jitter = milliseconds(5);
  }
  world.network.set_default_link(link);
  SimNode& a = world.add("a", address_of(1), patient_config(random.between(1, 1'000'000)));
  SimNode& b = world.add("b", address_of(2), patient_config(1'000'001));
  if (random.chance(0.5)) a.start();
  if (random.chance(0.5)) b.start();
  // The second connect comes while the first is on its way; later it would be a new one, which a
  // node before start does not answer.
  const bool same_instant = random.chance(0.5);
  const mesh::RequestId from_a = a.connect(b);
  if (!same_instant) world.network.run_for(random.duration(Duration(0), link.delay));
  const mesh::RequestId from_b = b.connect(a);
  if (!world.run_until(
          "both connects are resolved",
          [&] { return a.connected(from_a) != nullptr && b.connected(from_b) != nullptr; },
          minutes(2))) {
    return;
  }
  expect_connected(world, a, from_a);
  expect_connected(world, b, from_b);
  // Let stragglers of the losing handshake arrive.
  world.network.run_for(seconds(10));
  world.expect(a.machine().peer_count() == 1 && b.machine().peer_count() == 1, "one peer each");
  expect_conversation(world, random, a, b);
  if (link.loss == 0 && same_instant) {
    world.expect(ups(a, b.id()) == 1 && ups(b, a.id()) == 1, "exactly one session came up");
  }
}

struct Relayed {
  SimNode& a;
  SimNode& b;
  SimNode& relay;
};

Relayed relayed_nodes(World& world, SimRandom& random) {
  world.network.set_default_link({});
  SimNode& a = world.add("a", address_of(1), patient_config(random.between(1, 1'000'000)));
  SimNode& b = world.add("b", address_of(2), patient_config(1'000'001));
  SimNode& relay = world.add("relay", address_of(3), patient_config(1'000'002));
  relay.start();
  world.network.set_partitioned(a.address(), b.address(), true);
  if (connect(world, a, relay) && connect(world, b, relay)) {
    LinkConfig link = handshake_link();
    link.loss = 0.25;  // on each of two hops: 44 %
    world.network.set_default_link(link);
  }
  return {a, b, relay};
}

void routed(World& world, SimRandom& random) {
  const Relayed nodes = relayed_nodes(world, random);
  if (!world.ok()) return;
  Expected<mesh::RequestId> accept = fail(ErrorKind::kFatal, "not called");
  const bool accepts = random.chance(0.5);
  if (accepts)
    accept = nodes.b.accept(nodes.a);
  else
    nodes.b.start();
  if (random.chance(0.5)) nodes.a.start();
  const mesh::RequestId request = nodes.a.connect_via(nodes.relay, nodes.b);
  if (!world.run_until(
          "the routed connect is resolved", [&] { return nodes.a.connected(request) != nullptr; },
          minutes(2))) {
    return;
  }
  expect_connected(world, nodes.a, request);
  if (accepts) {
    world.run_until(
        "the accept is resolved", [&] { return nodes.b.accepted(*accept) != nullptr; }, minutes(2));
  }
  expect_conversation(world, random, nodes.a, nodes.b);
  for (const mesh::PeerInfo& info : nodes.a.machine().peers()) {
    if (info.node_id == nodes.b.id()) world.expect(info.relayed, "the peer shows as relayed");
  }
}

void routed_both_at_once(World& world, SimRandom& random) {
  const Relayed nodes = relayed_nodes(world, random);
  if (!world.ok()) return;
  if (random.chance(0.5)) nodes.a.start();
  if (random.chance(0.5)) nodes.b.start();
  const mesh::RequestId from_a = nodes.a.connect_via(nodes.relay, nodes.b);
  world.network.run_for(random.duration(Duration(0), milliseconds(20)));
  const mesh::RequestId from_b = nodes.b.connect_via(nodes.relay, nodes.a);
  world.run_until(
      "both connects are resolved",
      [&] { return nodes.a.connected(from_a) != nullptr && nodes.b.connected(from_b) != nullptr; },
      minutes(2));
  if (!world.ok()) return;
  expect_connected(world, nodes.a, from_a);
  expect_connected(world, nodes.b, from_b);
  world.network.run_for(seconds(10));
  expect_conversation(world, random, nodes.a, nodes.b);
}

/// A routed handshake straight to the responder, as base nodes reach a started one.
void routed_without_relay(World& world, SimRandom& random) {
  world.network.set_default_link(handshake_link());
  SimNode& a = world.add("a", address_of(1), patient_config(1));
  SimNode& b = world.add("b", address_of(2), patient_config(2));
  b.start();
  if (random.chance(0.5)) a.start();
  const mesh::RequestId request = a.connect_via(b, b);
  if (!world.run_until(
          "the connect is resolved", [&] { return a.connected(request) != nullptr; }, minutes(2))) {
    return;
  }
  expect_connected(world, a, request);
  expect_conversation(world, random, a, b);
  for (const mesh::PeerInfo& info : a.machine().peers()) {
    world.expect(!info.relayed && info.address == b.address(), "the path is direct");
  }
}

void wrong_credentials(World& world, SimRandom& random) {
  SimNode& b = world.add("b", address_of(2), config_of(2));
  b.start();
  SimNode& other = world.add("other", address_of(3), config_of(3));
  mesh::NodeConfig config = config_of(1);
  const std::uint64_t kind = random.below(4);
  if (kind == 0) config.psk.fill(std::byte{0x43});
  SimNode& a = world.add("a", address_of(1), config);
  a.start();
  crypto::Key key = kind == 1 ? other.public_key() : b.public_key();
  if (kind == 3) key.fill(std::byte{0});
  const NodeId id = kind == 2 ? other.id() : b.id();
  const mesh::RequestId request = a.call(
      [&](mesh::Node& machine, Now now) { return machine.connect(now, b.address(), key, id, {}); });
  world.run_until(
      "the connect fails", [&] { return a.connected(request) != nullptr; }, seconds(16));
  if (!world.ok()) return;
  world.expect(!*a.connected(request), "wrong credentials do not connect");
  world.expect(a.machine().peer_count() == 0 && b.machine().peer_count() == 0, "nobody has a peer");
  world.expect(a.peer_events().empty() && b.peer_events().empty(), "nobody saw a peer");
}

/// Connecting anew replaces the session; streams begin afresh.
void reconnect(World& world, SimRandom& random) {
  LinkConfig link = handshake_link();
  link.loss = 0.1;
  world.network.set_default_link(link);
  SimNode& a = world.add("a", address_of(1), patient_config(1));
  SimNode& b = world.add("b", address_of(2), patient_config(2));
  a.start();
  b.start();
  if (!connect(world, a, b)) return;
  for (int round = 0; round < 3 && world.ok(); ++round) {
    SimNode& from = random.chance(0.5) ? a : b;
    SimNode& to = &from == &a ? b : a;
    const mesh::RequestId request = from.connect(to);
    world.run_until(
        "the connect is resolved", [&] { return from.connected(request) != nullptr; }, minutes(2));
    if (!world.ok()) return;
    expect_connected(world, from, request);
    world.network.run_for(random.duration(Duration(0), seconds(2)));
  }
  world.network.run_for(seconds(20));
  expect_conversation(world, random, a, b);
  world.expect(a.machine().peer_count() == 1 && b.machine().peer_count() == 1, "one peer each");
}

constexpr std::array kScenarios{
    Scenario{"handshake-direct", "a started node is reached directly at 40 % loss",
             direct_to_started},
    Scenario{"handshake-accept", "accept works before start, before and after the first message",
             accepted},
    Scenario{"handshake-unaccepted", "a node before start lets nobody in but whom it accepts",
             unaccepted},
    Scenario{"handshake-both-at-once",
             "two nodes that connect to each other at once end up with one session", both_at_once},
    Scenario{"handshake-routed", "handshakes cross a relay at 44 % loss", routed},
    Scenario{"handshake-routed-both-at-once",
             "two nodes that connect to each other across a relay at once end up with one session",
             routed_both_at_once},
    Scenario{"handshake-routed-direct", "a routed handshake reaches a node without a relay",
             routed_without_relay},
    Scenario{"handshake-wrong-credentials",
             "a wrong secret, key or node id fails without a trace at the responder",
             wrong_credentials},
    Scenario{"handshake-reconnect", "connecting anew replaces the session on both sides",
             reconnect},
};

}  // namespace

std::span<const Scenario> handshake_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
