// Sessions with net-mesh 0.19 nodes, which a BasePeer plays.

#include <algorithm>
#include <array>
#include <set>

#include "sim/base_peer.h"
#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

const StreamId kStream{7};

/// A real node and a base peer with addresses of their own.
struct Ends {
  SimNode& node;
  BasePeer& base;
};

mesh::NodeConfig node_config(SimRandom& random) {
  mesh::NodeConfig config = config_of(random.between(1, 1'000'000));
  config.handshake_retries = 8;
  return config;
}

/// Connects in one of the ways that 0.19 knows, drawn by `random`.
bool connect_base(World& world, SimRandom& random, const Ends& ends) {
  const auto [node, base] = ends;
  switch (random.below(4)) {
    case 0: {  // the base node connects, ours accepts before its start
      const auto accept =
          node.call([&](mesh::Node& machine, Now now) { return machine.accept(now, base.id()); });
      if (!world.expect(accept.has_value(), "accept is allowed before start")) return false;
      for (int attempt = 0; attempt < 20 && !base.connected(); ++attempt) {
        base.connect(node.address(), node.public_key(), node.id());
        world.network.run_for(seconds(1));
        // A lost reply strands a 0.19 pair: ours believes it is connected and waits no more.
        if (!base.connected() && node.accepted(*accept) != nullptr) {
          const auto again = node.call(
              [&](mesh::Node& machine, Now now) { return machine.accept(now, base.id()); });
          world.expect(again.has_value(), "accept may be called again");
        }
      }
      node.start();
      break;
    }
    case 1: {  // ours connects, the base node accepts
      const mesh::RequestId request = node.call([&](mesh::Node& machine, Now now) {
        return machine.connect(now, base.address(), base.public_key(), base.id(), {});
      });
      // One attempt of a 0.19 responder after the other: a reply may be lost.
      for (int i = 0; i < 300 && node.connected(request) == nullptr; ++i) {
        base.accept(node.id());
        world.network.run_for(milliseconds(200));
      }
      node.start();
      break;
    }
    case 2: {  // routed, to our started node
      node.start();
      for (int attempt = 0; attempt < 20 && !base.connected(); ++attempt) {
        base.connect_routed(node.address(), node.public_key(), node.id());
        world.network.run_for(seconds(1));
      }
      break;
    }
    default: {  // routed, to the started base node
      node.start();
      base.start();
      mesh::ConnectOptions options;
      options.routed = true;
      const mesh::RequestId request = node.call([&](mesh::Node& machine, Now now) {
        return machine.connect(now, base.address(), base.public_key(), base.id(), options);
      });
      world.run_until(
          "the connect is resolved", [&] { return node.connected(request) != nullptr; },
          minutes(2));
    }
  }
  if (!world.ok()) return false;
  world.network.run_for(seconds(1));
  const auto peers = node.machine().peers();
  return world.expect(base.connected(), "the base node has a session") &&
         world.expect(peers.size() == 1 && peers[0].node_id == base.id(), "ours has the peer") &&
         world.expect(peers[0].security == mesh::SecurityMode::kLegacy, "the session is legacy") &&
         world.expect(peers[0].aead == "chacha20-poly1305", "base sessions use ChaCha20");
}

void both_ways(World& world, SimRandom& random) {
  LinkConfig link;
  link.jitter = random.chance(0.5) ? milliseconds(5) : milliseconds(0);
  world.network.set_default_link(link);
  SimRandom keys = random.fork();
  BasePeer base(world.network, keys, address_of(2), NodeId{random.next() | 1}, config_of(1).psk);
  SimNode& node = world.add("node", address_of(1), node_config(random));
  const Ends ends{node, base};
  if (!connect_base(world, random, ends)) return;

  // Ours sends.
  const bool reliable = random.chance(0.5);
  StreamSender sender(node, base.id(), {kStream, reliable, random.chance(0.5) ? 65'536u : 0u, 1});
  if (!world.expect(sender.gate() != nullptr, "a stream to a base node opens")) return;
  world.expect(sender.gate()->max_event_bytes == 8'108, "events to base nodes end at 8108 bytes");
  for (int i = 0; i < 40; ++i) {
    sender.push(random_message(random, random.chance(0.1) ? 8'108 : random_size(random, 8'108)));
  }
  world.run_until(
      "everything is admitted", [&] { return sender.idle(); }, minutes(1));
  world.network.run_for(seconds(1));
  std::vector<Bytes> received;
  std::uint64_t sequence = 0;
  std::vector<BasePeer::Event> events = base.events();
  std::stable_sort(events.begin(), events.end(),
                   [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
  for (const BasePeer::Event& event : events) {
    world.expect(event.stream == kStream && event.reliable == reliable, "flags as the stream's");
    world.expect(event.sequence <= sequence + 1, "sequences have no gaps");
    sequence = event.sequence;
    received.push_back(event.bytes);
  }
  world.expect(received == sender.sent(),
               "a base node gets every event, in packets of whole events");
  for (const std::size_t payload : base.packet_payloads()) {
    world.expect(payload <= wire::kMaxNetPayloadBytes, "packets fit 8192 bytes");
  }

  // The base node sends, as its credit allows.
  base.open(StreamId{9}, {random.chance(0.5), 65'536});
  std::vector<Bytes> sent;
  for (int i = 0; i < 60; ++i) {
    std::vector<Bytes> batch;
    for (std::uint64_t n = random.between(1, 4); n > 0; --n) {
      batch.push_back(random_message(random, random_size(random, 1'500)));
    }
    if (!base.send(StreamId{9}, batch)) {
      world.network.run_for(milliseconds(50));
      world.expect(base.send(StreamId{9}, batch), "credit comes back at once");
    }
    sent.insert(sent.end(), batch.begin(), batch.end());
  }
  world.network.run_for(seconds(1));
  const ReceivedStream* stream = node.stream(base.id(), StreamId{9});
  if (!world.expect(stream != nullptr, "a stream of a base node arrives")) return;
  auto messages = stream->messages;
  std::stable_sort(messages.begin(), messages.end(), [](const auto& a, const auto& b) {
    return a.sequence != b.sequence ? a.sequence < b.sequence : a.index < b.index;
  });
  bool same = messages.size() == sent.size();
  for (std::size_t i = 0; same && i < sent.size(); ++i) same = messages[i].bytes == sent[i];
  world.expect(same, "every event of a base node arrives once");
  world.expect(base.credit(StreamId{9}) == 65'536, "everything was granted back");
  world.expect(base.dropped() == 0, "a base node finds nothing to drop");
}

/// Loss takes credit for good in 0.19; nothing else breaks, nothing comes twice.
void lossy(World& world, SimRandom& random) {
  LinkConfig link = rough_link();
  world.network.set_default_link(link);
  SimRandom keys = random.fork();
  BasePeer base(world.network, keys, address_of(2), NodeId{random.next() | 1}, config_of(1).psk);
  SimNode& node = world.add("node", address_of(1), node_config(random));
  if (!connect_base(world, random, {node, base})) return;
  StreamSender sender(node, base.id(), {kStream, true, 0, 1});
  if (!world.expect(sender.gate() != nullptr, "a stream to a base node opens")) return;
  base.open(StreamId{9}, {false, 0});
  for (std::uint64_t i = 0; i < 100; ++i) {
    Bytes message(8);
    store_le<std::uint64_t>(message.data(), i);
    sender.push(message);
    base.send(StreamId{9}, {message});
    world.network.run_for(random.duration(Duration(0), milliseconds(30)));
    if (random.chance(0.05)) base.send_heartbeat();
  }
  world.network.run_for(seconds(10));
  std::set<std::uint64_t> numbers;
  for (const BasePeer::Event& event : base.events()) {
    world.expect(numbers.insert(load_le<std::uint64_t>(event.bytes.data())).second,
                 "a base node gets no event twice");
  }
  world.expect(numbers.size() > 30, "much arrives at the base node");
  const ReceivedStream* stream = node.stream(base.id(), StreamId{9});
  if (!world.expect(stream != nullptr, "a stream of a base node arrives")) return;
  numbers.clear();
  for (const ReceivedMessage& message : stream->messages) {
    world.expect(numbers.insert(load_le<std::uint64_t>(message.bytes.data())).second,
                 "no event of a base node is delivered twice");
  }
  world.expect(numbers.size() > 30, "much of what the base node sends arrives");
}

void refused(World& world, SimRandom& random) {
  SimRandom keys = random.fork();
  BasePeer base(world.network, keys, address_of(2), NodeId{random.next() | 1}, config_of(1).psk);
  mesh::NodeConfig config = node_config(random);
  config.handshake_retries = 1;
  config.allow_legacy_peers = false;
  SimNode& node = world.add("node", address_of(1), config);
  const bool ours_connects = random.chance(0.5);
  const bool routed = random.chance(0.5);
  if (ours_connects) {
    base.start();
    base.accept(node.id());
    mesh::ConnectOptions options;
    options.routed = routed;
    const mesh::RequestId request = node.call([&](mesh::Node& machine, Now now) {
      return machine.connect(now, base.address(), base.public_key(), base.id(), options);
    });
    world.run_until(
        "the connect is resolved", [&] { return node.connected(request) != nullptr; }, seconds(6));
    if (!world.ok()) return;
    const Expected<void>& result = *node.connected(request);
    world.expect(
        !result && result.error().message.find("legacyPeers is 'deny'") != std::string::npos,
        "the connect says that policy refuses base peers");
  } else {
    if (!routed) {
      const auto accept =
          node.call([&](mesh::Node& machine, Now now) { return machine.accept(now, base.id()); });
      world.expect(accept.has_value(), "accept is allowed before start");
      base.connect(node.address(), node.public_key(), node.id());
    } else {
      node.start();
      base.connect_routed(node.address(), node.public_key(), node.id());
    }
    world.network.run_for(seconds(3));
    world.expect(!base.connected(), "a base peer gets no answer");
  }
  world.expect(node.machine().peer_count() == 0 && node.peer_events().empty(), "no peer came up");
}

void slow_reader(World& world, SimRandom& random) {
  SimRandom keys = random.fork();
  BasePeer base(world.network, keys, address_of(2), NodeId{random.next() | 1}, config_of(1).psk);
  mesh::NodeConfig config = node_config(random);
  config.stream_receive_window = random.between(16'384, 40'000);
  SimNode& node = world.add("node", address_of(1), config);
  if (!connect_base(world, random, {node, base})) return;
  node.set_reading({true, 0});
  base.open(StreamId{9}, {true, 65'536});
  std::uint64_t sent = 0;
  const auto send_all = [&](std::uint64_t total) {
    while (sent < total) {
      const Bytes event = random_message(random, random.between(100, 1'000));
      if (!base.send(StreamId{9}, {event})) return;
      sent += event.size();
      world.network.run_for(milliseconds(1));
    }
  };
  const std::uint64_t total = 4 * (65'536 + config.stream_receive_window);
  send_all(total);
  world.network.run_for(seconds(5));
  send_all(total);
  world.expect(sent < total, "a base sender runs out of credit when nobody reads");
  // Our window, and what the sender's own window let through before our grants stopped.
  world.expect(node.most_unread() <= config.stream_receive_window + 65'536 + 2'000,
               "memory is bounded by both windows");
  node.set_reading({false, random.chance(0.5) ? 0 : 1'000'000u});
  for (int i = 0; i < 500 && sent < total; ++i) {
    send_all(total);
    world.network.run_for(milliseconds(100));
  }
  world.expect(sent >= total, "it goes on when somebody reads");
  world.network.run_for(seconds(2));
  const ReceivedStream* stream = node.stream(base.id(), StreamId{9});
  world.expect(stream != nullptr && stream->bytes == sent, "nothing is lost");
}

void shutdown_with_queue(World& world, SimRandom& random) {
  SimRandom keys = random.fork();
  BasePeer base(world.network, keys, address_of(2), NodeId{random.next() | 1}, config_of(1).psk);
  SimNode& node = world.add("node", address_of(1), node_config(random));
  if (!connect_base(world, random, {node, base})) return;
  const auto gate = node.call([&](mesh::Node& machine, Now now) {
    return machine.open_stream(now, base.id(), {kStream, true, 0, 1});
  });
  if (!world.expect(gate.has_value(), "the stream opens")) return;
  std::vector<Bytes> sent;
  for (int i = 0; i < 20; ++i) sent.push_back(random_message(random, random_size(random, 5'000)));
  // In one turn of the crank, as an application does that sends and leaves.
  node.call([&](mesh::Node& machine, Now now) {
    for (const Bytes& message : sent) {
      session::BatchCost cost;
      cost.add(message.size());
      if ((*gate)->try_admit(cost) != session::StreamGate::Admission::kAdmitted) return;
      machine.send(now, **gate, make_batch({&message, 1}));
    }
    machine.shutdown(now, seconds(1));
  });
  world.network.run_for(seconds(2));
  world.expect(node.shut_down() == 0u, "the shutdown is done");
  world.expect(base.events().size() == sent.size(), "what was sent before a shutdown leaves");
}

constexpr std::array kScenarios{
    Scenario{"legacy-both-ways",
             "a 0.19 node and ours exchange events after any kind of handshake, credit and all",
             both_ways},
    Scenario{"legacy-lossy", "bad links to a 0.19 node cost events, never duplicates", lossy},
    Scenario{"legacy-refused", "with legacy peers denied, 0.19 nodes are refused both ways",
             refused},
    Scenario{"legacy-slow-reader", "a slow reader holds back the grants to a 0.19 sender",
             slow_reader},
    Scenario{"legacy-shutdown", "what was sent to a 0.19 node before a shutdown leaves",
             shutdown_with_queue},
};

}  // namespace

std::span<const Scenario> legacy_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
