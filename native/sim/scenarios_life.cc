// Sessions from their first packet to their last: goodbye, silence, restart, clocks.

#include <array>

#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

session::StreamConfig reliable_stream(std::uint64_t id) { return {StreamId{id}, true, 0, 1}; }

void goodbye(World& world, SimRandom& random) {
  LinkConfig link;
  link.loss = random.chance(0.5) ? 0.2 : 0;
  link.delay = random.duration(milliseconds(1), milliseconds(30));
  link.jitter = milliseconds(3);
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(a, b, reliable_stream(1)));
  flows.push_back(
      std::make_unique<Flow>(a, b, session::StreamConfig{StreamId{2}, true, 65'536, 1}));
  for (const auto& flow : flows) {
    for (std::uint64_t i = random.below(20); i > 0; --i)
      flow->push(random, random_size(random, 30'000));
    if (random.chance(0.5)) flow->sender().finish();
  }
  // What was admitted before counts; what waits for credit is the application's.
  a.shutdown(minutes(5));
  world.run_until(
      "the shutdown is done", [&] { return a.shut_down().has_value(); }, minutes(6));
  if (!world.ok()) return;
  world.expect(a.shut_down() == 0u, "everything was acknowledged");
  world.expect(a.machine().peer_count() == 0, "no peer is left");
  world.expect(a.last_down(b.id()) && a.last_down(b.id())->reason == mesh::DownReason::kShutdown,
               "the node that leaves says why");
  world.run_until(
      "the other side notices", [&] { return !b.is_up(a); }, minutes(1));
  if (!world.ok()) return;
  const mesh::DownReason reason = b.last_down(a.id())->reason;
  world.expect(reason == mesh::DownReason::kGoodbye ||
                   (link.loss > 0 && reason == mesh::DownReason::kTimeout),
               "the other side hears goodbye");
  for (const auto& flow : flows) {
    const ReceivedStream* stream = flow->received();
    const std::size_t sent = flow->sender().sent().size();
    if (stream == nullptr) {
      world.expect(sent == 0, flow->name() + " was lost in the shutdown");
      continue;
    }
    flow->check_prefix(world);
    world.expect(stream->messages.size() == sent, flow->name() + " was cut short by the shutdown");
    world.expect(stream->end.has_value() || reason == mesh::DownReason::kTimeout,
                 "every stream ends");
  }
}

void goodbye_to_nobody(World& world, SimRandom& random) {
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  Flow flow(a, b, reliable_stream(1));
  world.network.set_partitioned(a.address(), b.address(), true);
  flow.push(random, 50'000);
  const Duration drain = random.duration(Duration(0), seconds(10));
  const Duration begin = world.network.elapsed();
  a.shutdown(drain);
  world.run_until(
      "the shutdown is done", [&] { return a.shut_down().has_value(); }, drain + seconds(1));
  if (!world.ok()) return;
  world.expect(*a.shut_down() > 50'000, "what nobody acknowledged is reported");
  world.expect(world.network.elapsed() - begin >= drain, "the shutdown waits while there is hope");
  const std::uint64_t sent = a.machine().counters().datagrams_sent;
  world.network.run_for(minutes(2));
  world.expect(a.machine().counters().datagrams_sent == sent,
               "a node that was shut down is silent");
  world.expect(b.last_down(a.id()) && b.last_down(a.id())->reason == mesh::DownReason::kTimeout,
               "the other side notices by the silence");
}

void silence(World& world, SimRandom& random) {
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  world.network.run_for(random.duration(Duration(0), minutes(10)));
  world.expect(a.is_up(b) && b.is_up(a) && a.peer_events().size() == 1,
               "heartbeats keep peers alive");
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(a, b, reliable_stream(1)));
  flows.back()->push(random, 10'000);
  world.network.run_for(random.duration(Duration(0), milliseconds(20)));
  const Duration begin = world.network.elapsed();
  world.network.set_partitioned(a.address(), b.address(), true);
  flows.back()->push(random, 10'000);
  world.run_until(
      "both sides give the other up", [&] { return !a.is_up(b) && !b.is_up(a); }, seconds(40));
  if (!world.ok()) return;
  for (const SimNode* node : {&a, &b}) {
    const PeerEvent& down = node->peer_events().back();
    world.expect(down.reason == mesh::DownReason::kTimeout, "silence is a timeout");
    // The last heartbeat may be one interval old when it begins; the next tick notices its end.
    world.expect(down.at - begin >= seconds(25) && down.at - begin <= seconds(36),
                 "a peer is given up after the session timeout");
  }
  world.network.run_for(random.duration(Duration(0), minutes(10)));
  world.network.set_partitioned(a.address(), b.address(), false);
  world.run_until(
      "the peers come back", [&] { return a.is_up(b) && b.is_up(a); }, minutes(1));
  flows.back()->push(random, 10'000);
  flows.back()->sender().finish();
  finish_flows(world, flows, minutes(5));
}

/// Silent for longer than anybody waits: forgotten, and connected anew.
void forgotten(World& world, SimRandom& random) {
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  world.network.set_partitioned(a.address(), b.address(), true);
  world.network.run_for(minutes(16));
  world.expect(a.machine().peer_count() == 0 && b.machine().peer_count() == 0,
               "a peer that stays silent is forgotten");
  world.network.set_partitioned(a.address(), b.address(), false);
  world.network.run_for(random.duration(Duration(0), seconds(5)));
  SimNode& from = random.chance(0.5) ? a : b;
  connect(world, from, &from == &a ? b : a);
}

void idle_streams(World& world, SimRandom& random) {
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  Flow reliable(a, b, session::StreamConfig{StreamId{1}, true, 65'536, 1});
  Flow datagrams(a, b, session::StreamConfig{StreamId{2}, false, 65'536, 1});
  Flow busy(a, b, session::StreamConfig{StreamId{3}, true, 65'536, 1});
  for (Flow* flow : {&reliable, &datagrams, &busy}) flow->push(random, 1'000);
  for (int i = 0; i < 29; ++i) {
    world.network.run_for(seconds(10));
    busy.push(random, 100);
  }
  world.expect(!reliable.sender().gate()->closed() && !datagrams.sender().gate()->closed(),
               "streams idle for less than 300 s stay open");
  for (int i = 0; i < 3; ++i) {
    world.network.run_for(seconds(10));
    busy.push(random, 100);
  }
  world.expect(reliable.sender().gate()->closed() && datagrams.sender().gate()->closed(),
               "streams idle for more than 300 s are closed");
  world.expect(!busy.sender().gate()->closed(), "a stream in use stays open");
  reliable.push(random, 10);
  world.expect(reliable.sender().closed(), "an old handle does not send any more");
  world.expect(reliable.received() && reliable.received()->end == mesh::StreamEnd::kFinished,
               "the reader of an evicted reliable stream sees its end");
  world.expect(datagrams.received() && datagrams.received()->end.has_value(),
               "the reader of an evicted fire-and-forget stream sees its end");
  std::vector<std::unique_ptr<Flow>> again;
  again.push_back(
      std::make_unique<Flow>(a, b, session::StreamConfig{StreamId{1}, true, 65'536, 1}, 1));
  again.back()->push(random, 1'000);
  finish_flows(world, again, minutes(1));
}

void restart(World& world, SimRandom& random) {
  LinkConfig link;
  link.loss = random.chance(0.5) ? 0.1 : 0;
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode* b = &world.add(2);
  if (!connect(world, a, *b)) return;
  Flow before(a, *b, reliable_stream(1));
  before.push(random, 100'000);
  world.network.run_for(random.duration(Duration(0), milliseconds(50)));
  const NodeId id = b->id();
  const crypto::Key key = b->public_key();
  world.kill(*b);
  world.network.run_for(random.duration(Duration(0), minutes(2)));
  b = &world.add(2);
  world.expect(b->id() == id && b->public_key() == key, "a restarted node is the same node");
  // Either side may begin.
  SimNode& from = random.chance(0.5) ? a : *b;
  SimNode& to = &from == &a ? *b : a;
  const mesh::RequestId request = from.connect(to);
  world.run_until(
      "the connect is resolved", [&] { return from.connected(request) != nullptr; }, minutes(1));
  if (!world.ok()) return;
  world.expect(from.connected(request)->has_value(), "a restarted node is reached again");
  if (!wait_for_session(world, a, *b)) return;
  world.network.run_for(seconds(1));
  world.expect(a.is_up(*b) && b->is_up(a), "both are up");
  world.expect(before.sender().gate()->closed(), "streams of the old session are closed");
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(a, *b, reliable_stream(1)));
  flows.push_back(std::make_unique<Flow>(*b, a, reliable_stream(1)));
  for (const auto& flow : flows) {
    flow->push(random, 20'000);
    flow->sender().finish();
  }
  finish_flows(world, flows, minutes(5));
  world.expect(a.machine().peer_count() == 1 && b->machine().peer_count() == 1, "one peer each");
}

void disconnect(World& world, SimRandom& random) {
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  Flow flow(a, b, reliable_stream(1));
  flow.push(random, random_size(random, 10'000));
  world.network.run_for(milliseconds(100));
  a.call([&](mesh::Node& machine, Now now) { machine.disconnect(now, b.id()); });
  world.network.run_for(milliseconds(100));
  for (const SimNode* node : {&a, &b}) {
    world.expect(node->machine().peer_count() == 0, "a disconnect ends the session on both sides");
    world.expect(!node->peer_events().empty() &&
                     node->peer_events().back().reason == mesh::DownReason::kGoodbye,
                 "a disconnect is a goodbye");
  }
  world.expect(flow.sender().gate()->closed(), "streams close with the session");
  connect(world, b, a);
}

void clock_jumps(World& world, SimRandom& random) {
  LinkConfig link;
  link.loss = 0.05;
  link.jitter = milliseconds(2);
  world.network.set_default_link(link);
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(a, b, reliable_stream(1)));
  flows.push_back(std::make_unique<Flow>(b, a, reliable_stream(1)));
  for (int round = 0; round < 10; ++round) {
    for (const auto& flow : flows) flow->push(random, random_size(random, 50'000));
    world.network.run_for(random.duration(Duration(0), milliseconds(50)));
    // One machine sleeps, or all of them do; short enough for the session.
    const Duration sleep = random.duration(milliseconds(1), seconds(5));
    switch (random.below(3)) {
      case 0:
        world.network.jump(sleep);
        break;
      case 1:
        a.jump(sleep);
        break;
      default:
        b.jump(sleep);
    }
  }
  for (const auto& flow : flows) flow->sender().finish();
  finish_flows(world, flows, minutes(5));
  world.expect(a.peer_events().size() == 1 && b.peer_events().size() == 1,
               "a session survives short sleeps");
  const std::uint64_t timeouts = a.timeouts_handled() + b.timeouts_handled();
  if (random.chance(0.5)) {
    world.network.jump(hours(1));
  } else {
    (random.chance(0.5) ? a : b).jump(hours(1));
  }
  world.network.run_for(seconds(1));
  world.expect(a.timeouts_handled() + b.timeouts_handled() - timeouts < 50,
               "a long sleep is not made up for tick by tick");
  world.network.run_for(minutes(2));
  if (!connect(world, a, b)) return;
  std::vector<std::unique_ptr<Flow>> after;
  after.push_back(std::make_unique<Flow>(a, b, reliable_stream(9)));
  after.back()->push(random, 10'000);
  finish_flows(world, after, minutes(1));
}

/// A pending connect and a pending accept over a long sleep.
void clock_jumps_in_handshake(World& world, SimRandom& random) {
  SimNode& a = world.add("a", address_of(1), config_of(1));
  SimNode& b = world.add("b", address_of(2), config_of(2));
  const auto accept = a.accept(b);
  const mesh::RequestId request = a.connect(b);
  world.network.run_for(random.duration(Duration(0), seconds(6)));
  a.jump(random.chance(0.5) ? Duration(seconds(5)) : Duration(hours(1)));
  world.run_until(
      "the connect is given up", [&] { return a.connected(request) != nullptr; }, seconds(30));
  if (!world.ok()) return;
  world.expect(!a.connected(request)->has_value(), "nobody answered");
  world.run_until(
      "the accept is given up", [&] { return a.accepted(*accept) != nullptr; }, seconds(30));
}

/// A phone changes networks: the peer's packets come from elsewhere, and what goes to the old
/// address is lost. Sessions do not follow yet; a new connect does.
void address_changes(World& world, SimRandom& random) {
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  if (!connect(world, a, b)) return;
  Flow before(a, b, reliable_stream(1));
  before.push(random, 5'000);
  world.network.run_for(seconds(1));
  before.check_complete(world);
  world.network.set_translation(a.address(), address_of(0x00AA'0000));
  world.network.run_for(random.duration(Duration(0), minutes(2)));
  // What b sends still goes to the old address, which reaches nobody it was translated for.
  if (!connect(world, a, b)) return;
  const auto peers = b.machine().peers();
  world.expect(peers.size() == 1 && peers[0].address == address_of(0x00AA'0000),
               "the new session goes to the new address");
  std::vector<std::unique_ptr<Flow>> flows;
  flows.push_back(std::make_unique<Flow>(b, a, reliable_stream(5)));
  flows.back()->push(random, 5'000);
  flows.back()->sender().finish();
  finish_flows(world, flows, minutes(1));
}

/// A ring with chords: everybody talks to several at once.
void many_nodes(World& world, SimRandom& random) {
  LinkConfig link;
  link.loss = 0.02;
  link.jitter = milliseconds(10);
  world.network.set_default_link(link);
  constexpr std::uint32_t kNodes = 24;
  std::vector<SimNode*> nodes;
  for (std::uint32_t i = 0; i < kNodes; ++i) nodes.push_back(&world.add(i + 1));
  std::vector<std::pair<SimNode*, mesh::RequestId>> requests;
  std::vector<std::pair<SimNode*, SimNode*>> edges;
  for (std::uint32_t i = 0; i < kNodes; ++i) {
    for (const std::uint32_t step : {1u, 5u}) {
      edges.emplace_back(nodes[i], nodes[(i + step) % kNodes]);
      requests.emplace_back(nodes[i], nodes[i]->connect(*nodes[(i + step) % kNodes]));
    }
  }
  const auto resolved = [&] {
    for (const auto& [node, request] : requests) {
      if (node->connected(request) == nullptr) return false;
    }
    return true;
  };
  if (!world.run_until("every connect is resolved", resolved, minutes(1))) return;
  world.network.run_for(seconds(2));
  std::vector<std::unique_ptr<Flow>> flows;
  for (const auto& [from, to] : edges) {
    flows.push_back(
        std::make_unique<Flow>(*from, *to, session::StreamConfig{StreamId{1}, true, 65'536, 1}));
    flows.push_back(
        std::make_unique<Flow>(*to, *from, session::StreamConfig{StreamId{1}, true, 65'536, 1}));
  }
  if (!world.ok()) return;
  for (const auto& flow : flows) {
    flow->push(random, random_size(random, 2'000));
    flow->sender().finish();
  }
  finish_flows(world, flows, minutes(5));
  for (const SimNode* node : nodes) {
    world.expect(node->machine().peer_count() == 4, "every node has the peers it should have");
  }
}

constexpr std::array kScenarios{
    Scenario{"life-goodbye", "a shutdown delivers what was sent, then says goodbye", goodbye},
    Scenario{"life-goodbye-to-nobody",
             "a shutdown waits for acknowledgements as long as it was told", goodbye_to_nobody},
    Scenario{
        "life-silence",
        "heartbeats keep peers alive, silence is noticed, and a healed partition goes on where "
        "it stopped",
        silence},
    Scenario{"life-forgotten", "a peer that stays silent is forgotten and can connect anew",
             forgotten},
    Scenario{"life-idle-streams", "streams idle for 300 s are closed on both sides", idle_streams},
    Scenario{"life-restart", "a restarted peer replaces its session", restart},
    Scenario{"life-disconnect", "a disconnect ends the session on both sides", disconnect},
    Scenario{"life-clock-jumps",
             "clocks that leap ahead break nothing and cause no storm of timeouts", clock_jumps},
    Scenario{"life-clock-jumps-in-handshake", "pending requests end after a clock leaps ahead",
             clock_jumps_in_handshake},
    Scenario{"life-address-changes", "a peer that moved connects anew from its new address",
             address_changes},
    Scenario{"life-many-nodes", "a mesh of nodes connects, and all talk to all their peers",
             many_nodes},
};

}  // namespace

std::span<const Scenario> life_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
