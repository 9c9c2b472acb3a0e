// Fire-and-forget streams: what arrives is whole and comes once.

#include <array>
#include <set>

#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

constexpr std::uint32_t kDefaultWindow = 65'536;
/// What a base packet holds; extension streams take the same.
constexpr std::size_t kLargestEvent = 8'108;
constexpr std::size_t kNumberBytes = 8;

/// An event that says which one it is; the rest follows from its number.
Bytes numbered_event(std::uint64_t number, std::size_t size) {
  SimRandom content(number);
  Bytes event = content.bytes(std::max(size, kNumberBytes));
  store_le<std::uint64_t>(event.data(), number);
  return event;
}

/// What was delivered of `flow`: known events, each once, packets in one piece and in order.
std::size_t check_datagrams(World& world, const Flow& flow, const std::vector<Bytes>& sent) {
  const ReceivedStream* stream = flow.received();
  if (stream == nullptr) return 0;
  world.expect(!stream->reliable, flow.name() + " arrives in the wrong mode");
  std::set<std::uint64_t> numbers, packets;
  const ReceivedMessage* previous = nullptr;
  std::uint64_t previous_number = 0;
  for (const ReceivedMessage& message : stream->messages) {
    if (!world.expect(message.bytes.size() >= kNumberBytes, flow.name() + ": an event was cut"))
      break;
    const auto number = load_le<std::uint64_t>(message.bytes.data());
    if (!world.expect(number < sent.size() && message.bytes == sent[number],
                      flow.name() + ": an event is not what was sent") ||
        !world.expect(numbers.insert(number).second, flow.name() + ": an event came twice")) {
      break;
    }
    if (previous != nullptr && previous->sequence == message.sequence) {
      world.expect(message.index == previous->index + 1 && number == previous_number + 1,
                   flow.name() + ": events of one packet are out of order");
    } else {
      world.expect(message.index == 0,
                   flow.name() + ": a packet does not begin at its first event");
      world.expect(packets.insert(message.sequence).second, flow.name() + ": a packet came twice");
    }
    previous = &message;
    previous_number = number;
    if (!world.ok()) break;
  }
  return numbers.size();
}

struct Ends {
  SimNode& a;
  SimNode& b;
};

Ends make_ends(World& world, SimRandom& random, mesh::NodeConfig config) {
  const bool loopback = random.chance(0.3);
  config.handshake_retries = 8;
  config.identity_seed = config_of(1).identity_seed;
  SimNode& a = world.add("a", loopback ? loopback_address_of(1) : address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", loopback ? loopback_address_of(2) : address_of(2), config);
  a.start();
  b.start();
  if (random.chance(0.5)) b.batch_delay = random.duration(Duration(0), milliseconds(2));
  return {a, b};
}

/// Sends up to `events` on each of a few streams; how many arrived of how many.
void stream_events(World& world, SimRandom& random, const Ends& ends, std::uint64_t events,
                   bool lossless) {
  std::vector<std::unique_ptr<Flow>> flows;
  std::vector<std::vector<Bytes>> sent;
  constexpr std::array windows{kDefaultWindow, 0u, 16'384u};
  for (std::uint64_t stream = 0; stream < random.between(1, 3); ++stream) {
    session::StreamConfig config{StreamId{stream}, false, windows[random.below(3)], 1};
    flows.push_back(std::make_unique<Flow>(ends.a, ends.b, config));
    flows.push_back(std::make_unique<Flow>(ends.b, ends.a, config));
  }
  sent.resize(flows.size());
  for (std::uint64_t number = 0; number < events; ++number) {
    for (std::size_t i = 0; i < flows.size(); ++i) {
      const std::size_t size =
          random.chance(0.05) ? kLargestEvent : random_size(random, kLargestEvent);
      sent[i].push_back(numbered_event(number, size));
      flows[i]->sender().push(sent[i].back());
    }
    if (random.chance(0.2)) world.network.run_for(random.duration(Duration(0), milliseconds(20)));
  }
  const auto admitted = [&] {
    for (const auto& flow : flows) {
      if (!flow->sender().idle()) return false;
    }
    return true;
  };
  if (!world.run_until("everything is admitted", admitted, minutes(30))) return;
  world.network.run_for(seconds(20));
  for (std::size_t i = 0; i < flows.size(); ++i) {
    const std::size_t arrived = check_datagrams(world, *flows[i], sent[i]);
    if (lossless)
      world.expect(arrived == sent[i].size(), flows[i]->name() + " lost events");
    else
      world.expect(arrived > 0, flows[i]->name() + " delivered nothing");
  }
}

void lossless(World& world, SimRandom& random) {
  LinkConfig link;
  link.jitter = random.chance(0.5) ? Duration(0) : Duration(microseconds(500));
  world.network.set_default_link(link);
  const Ends ends = make_ends(world, random, config_of(1));
  if (!connect(world, ends.a, ends.b)) return;
  stream_events(world, random, ends, 60, true);
}

void lossy(World& world, SimRandom& random) {
  world.network.set_default_link(rough_link());
  const Ends ends = make_ends(world, random, config_of(1));
  if (!connect(world, ends.a, ends.b)) return;
  stream_events(world, random, ends, 60, false);
}

/// The peer's windows are used up again and again, and news of it are lost.
void small_receive_window(World& world, SimRandom& random) {
  LinkConfig link = rough_link();
  link.loss = random.chance(0.5) ? 0.3 : 0;
  world.network.set_default_link(link);
  mesh::NodeConfig config = config_of(1);
  config.stream_receive_window = random.between(8'192, 40'000);
  config.session_receive_window = 4 * config.stream_receive_window;
  const Ends ends = make_ends(world, random, config);
  if (!connect(world, ends.a, ends.b)) return;
  stream_events(world, random, ends, 60, false);
  world.expect(ends.a.is_up(ends.b) && ends.b.is_up(ends.a), "the session survived");
}

/// One id, opened again and again in either mode.
void modes_alternate(World& world, SimRandom& random) {
  world.network.set_default_link(rough_link());
  const Ends ends = make_ends(world, random, config_of(1));
  if (!connect(world, ends.a, ends.b)) return;
  std::vector<std::vector<Bytes>> reliable_sent;
  for (int opening = 0; opening < 6; ++opening) {
    const bool reliable = random.chance(0.5);
    session::StreamConfig config{StreamId{9}, reliable, kDefaultWindow, 1};
    StreamSender sender(ends.a, ends.b.id(), config);
    if (!world.expect(sender.gate() != nullptr, "the stream opens again")) return;
    for (std::uint64_t number = 0; number < 1 + random.below(10); ++number) {
      sender.push(numbered_event(number, random_size(random, kLargestEvent)));
    }
    if (!world.run_until(
            "everything is admitted", [&] { return sender.idle(); }, minutes(5)))
      return;
    if (reliable) reliable_sent.push_back(sender.sent());
    sender.finish();
    if (random.chance(0.5)) world.network.run_for(random.duration(Duration(0), seconds(1)));
  }
  world.network.run_for(seconds(60));
  std::size_t opening = 0;
  for (const ReceivedStream& stream : ends.b.streams()) {
    if (!stream.reliable) {
      std::set<std::uint64_t> numbers;
      for (const ReceivedMessage& message : stream.messages) {
        world.expect(numbers.insert(load_le<std::uint64_t>(message.bytes.data())).second,
                     "an event came twice");
      }
      continue;
    }
    if (!world.expect(opening < reliable_sent.size(), "more reliable openings than were made"))
      return;
    const auto& sent = reliable_sent[opening++];
    world.expect(stream.end == mesh::StreamEnd::kFinished, "a reliable opening finishes");
    bool same = stream.messages.size() == sent.size();
    for (std::size_t i = 0; same && i < sent.size(); ++i)
      same = stream.messages[i].bytes == sent[i];
    world.expect(same, "a reliable opening delivers what was sent");
  }
  world.expect(opening == reliable_sent.size(), "every reliable opening arrives");
}

constexpr std::array kScenarios{
    Scenario{"datagram-lossless",
             "fire-and-forget events up to 8108 bytes all arrive whole when nothing is lost",
             lossless},
    Scenario{"datagram-lossy",
             "fire-and-forget streams deliver no event twice and keep the order within a packet",
             lossy},
    Scenario{"datagram-small-window",
             "fire-and-forget streams go on when the peer's window is small and packets are lost",
             small_receive_window},
    Scenario{"datagram-modes-alternate",
             "one id carries reliable and fire-and-forget openings in turn", modes_alternate},
};

}  // namespace

std::span<const Scenario> datagram_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
