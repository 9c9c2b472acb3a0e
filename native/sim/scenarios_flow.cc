// A reader that stops stops the sender; memory on both sides stays within the windows.

#include <array>

#include "sim/traffic.h"
#include "wire/event_frames.h"

namespace netmesh::sim {
namespace {

constexpr std::size_t kLargestMessage = 20'000;

struct Setup {
  SimNode& a;
  SimNode& b;
  std::uint64_t stream_window;
  std::uint64_t session_window;
  std::uint64_t queue;
};

Setup make_setup(World& world, SimRandom& random) {
  LinkConfig link;
  link.delay = milliseconds(2);
  if (random.chance(0.5)) link = rough_link();
  world.network.set_default_link(link);
  mesh::NodeConfig config = config_of(1);
  config.handshake_retries = 8;
  config.stream_receive_window = random.between(16'384, 100'000);
  config.session_receive_window = random.between(2, 5) * config.stream_receive_window;
  config.max_queued_bytes = random.between(100'000, 400'000);
  SimNode& a = world.add("a", address_of(1), config);
  config.identity_seed = config_of(2).identity_seed;
  SimNode& b = world.add("b", address_of(2), config);
  a.start();
  b.start();
  world.network.note("windows", "stream " + std::to_string(config.stream_receive_window) +
                                    ", session " + std::to_string(config.session_receive_window) +
                                    ", queue " + std::to_string(config.max_queued_bytes));
  return {a, b, config.stream_receive_window, config.session_receive_window,
          config.max_queued_bytes};
}

/// More than all windows and queues on the way together.
void offer(const Setup& setup, SimRandom& random, Flow& flow) {
  std::uint64_t bytes = 0;
  while (bytes < 2 * (setup.session_window + setup.queue)) {
    Bytes message = random_message(random, random_size(random, kLargestMessage));
    bytes += message.size() + wire::kEventFrameHeaderBytes;
    flow.sender().push(std::move(message));
  }
}

void never_reading(World& world, SimRandom& random) {
  const Setup setup = make_setup(world, random);
  if (!connect(world, setup.a, setup.b)) return;
  setup.b.set_reading({true, 0});
  std::vector<std::unique_ptr<Flow>> flows;
  for (std::uint64_t stream = 0; stream < random.between(1, 6); ++stream) {
    flows.push_back(std::make_unique<Flow>(setup.a, setup.b,
                                           session::StreamConfig{StreamId{stream}, true, 0, 1}));
    offer(setup, random, *flows.back());
  }
  world.network.run_for(seconds(60));
  // One message per stream may reach beyond its window to let the message through.
  const std::uint64_t slack = flows.size() * (kLargestMessage + wire::kEventFrameHeaderBytes);
  const std::uint64_t bound =
      std::min(setup.session_window, flows.size() * setup.stream_window) + slack;
  world.expect(setup.b.unread_bytes() > 0, "something was delivered");
  world.expect(setup.b.most_unread() <= bound, "the receiver's memory is bounded by its windows");
  std::uint64_t admitted = 0;
  for (const auto& flow : flows) {
    admitted += flow->sender().sent_bytes();
    world.expect(!flow->sender().idle(), flow->name() + " was stopped");
  }
  world.expect(admitted <= setup.queue + setup.b.unread_bytes(),
               "the sender's memory is bounded by its queue");
  const std::uint64_t received = setup.b.machine().peers().at(0).bytes_received;
  world.network.run_for(seconds(60));
  // Heartbeats and acknowledgements go on, data does not.
  world.expect(setup.b.machine().peers().at(0).bytes_received - received < 20'000,
               "a sender that is stopped is silent");
  world.expect(setup.a.is_up(setup.b) && setup.b.is_up(setup.a), "the session lives on");
  setup.b.set_reading({false, random.chance(0.5) ? 0 : 4'000'000u});
  for (const auto& flow : flows) flow->sender().finish();
  finish_flows(world, flows, minutes(60));
}

void slow_reader(World& world, SimRandom& random) {
  const Setup setup = make_setup(world, random);
  if (!connect(world, setup.a, setup.b)) return;
  setup.b.set_reading({false, random.between(20'000, 200'000)});
  std::vector<std::unique_ptr<Flow>> flows;
  for (std::uint64_t stream = 0; stream < random.between(1, 3); ++stream) {
    const std::uint32_t window = random.chance(0.5) ? 0 : 65'536;
    flows.push_back(std::make_unique<Flow>(
        setup.a, setup.b, session::StreamConfig{StreamId{stream}, true, window, 1}));
    offer(setup, random, *flows.back());
    flows.back()->sender().finish();
  }
  finish_flows(world, flows, minutes(60));
  const std::uint64_t slack = flows.size() * (kLargestMessage + wire::kEventFrameHeaderBytes);
  world.expect(setup.b.most_unread() <= setup.session_window + slack,
               "the receiver's memory is bounded by its windows");
}

void neglected_stream(World& world, SimRandom& random) {
  const Setup setup = make_setup(world, random);
  if (!connect(world, setup.a, setup.b)) return;
  setup.b.set_neglected(StreamId{0}, true);
  // Smaller than the window: the neglected stream holds no more than one window of the session's.
  constexpr std::size_t kMessage = 4'000;
  std::vector<std::unique_ptr<Flow>> flows;
  for (std::uint64_t stream = 0; stream < 3; ++stream) {
    const bool reliable = stream != 0 || random.chance(0.5);
    // A window each: without them the neglected stream would fill the sender's common queue.
    flows.push_back(std::make_unique<Flow>(
        setup.a, setup.b, session::StreamConfig{StreamId{stream}, reliable, 32'768, 1}));
    for (int i = 0; i < 60; ++i) {
      flows.back()->push(random, reliable ? random.below(kMessage) : kMessage / 4);
    }
  }
  world.run_until(
      "the other streams go on", [&] { return flows[1]->complete() && flows[2]->complete(); },
      minutes(20));
  flows[1]->check_complete(world);
  flows[2]->check_complete(world);
}

void slow_datagram_reader(World& world, SimRandom& random) {
  const Setup setup = make_setup(world, random);
  if (!connect(world, setup.a, setup.b)) return;
  setup.b.set_reading({true, 0});
  setup.b.keep_messages = false;
  Flow flow(setup.a, setup.b,
            session::StreamConfig{StreamId{3}, false, random.chance(0.5) ? 0 : 65'536u, 1});
  const std::size_t largest = random.chance(0.3) ? 8'108 : 1'000;
  // Of an event in many fragments hardly one in ten survives a rough link, and only those fill the
  // window.
  const std::uint64_t offered = largest > 1'000 ? 40 : 3;
  const std::uint64_t events = offered * (setup.session_window + setup.queue) / largest;
  for (std::uint64_t i = 0; i < events; ++i) {
    flow.sender().push(random_message(random, random.between(largest / 2, largest)));
  }
  world.network.run_for(seconds(60));
  world.expect(setup.b.unread_bytes() > 0, "something was delivered");
  world.expect(!flow.sender().idle(), "the sender was stopped");
  // Events that were overtaken count only when they arrive: at most one more window of them.
  const std::uint64_t bound = 2 * setup.stream_window;
  world.expect(setup.b.most_unread() <= bound, "the receiver's memory is bounded by its window");
  setup.b.set_reading({false, random.chance(0.5) ? 0 : 1'000'000u});
  world.run_until(
      "the sender goes on", [&] { return flow.sender().idle(); }, minutes(60));
  world.expect(setup.b.most_unread() <= bound, "the receiver's memory stays bounded");
  world.expect(setup.a.is_up(setup.b) && setup.b.is_up(setup.a), "the session lives on");
}

constexpr std::array kScenarios{
    Scenario{
        "flow-never-reading",
        "a reader that never reads stops the sender, bounds both sides' memory, and can resume",
        never_reading},
    Scenario{"flow-slow-reader", "a slow reader gets everything and bounds memory", slow_reader},
    Scenario{"flow-neglected-stream", "a stream that nobody reads does not stop the others",
             neglected_stream},
    Scenario{"flow-slow-datagram-reader",
             "a slow reader stops a fire-and-forget sender, which resumes when it reads",
             slow_datagram_reader},
};

}  // namespace

std::span<const Scenario> flow_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
