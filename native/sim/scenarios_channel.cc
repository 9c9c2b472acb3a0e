// What is published on a reliable channel reaches everybody who has joined, in order, through loss
// and restarts.

#include <array>
#include <deque>

#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

constexpr std::size_t kInFlight = 8;

channel::ChannelName channel_name() { return channel::ChannelName::parse("lab/x").value(); }

Bytes numbered(std::uint32_t number) {
  Bytes out(16);
  store_le<std::uint32_t>(out.data(), number);
  return out;
}

std::uint32_t number_of(const ReceivedMessage& message) {
  return load_le<std::uint32_t>(message.bytes.data());
}

bool register_channel(World& world, SimNode& publisher) {
  channel::ChannelConfig config{channel_name()};
  config.reliable = true;
  return world.expect(publisher
                          .call([&](mesh::Node& machine, Now) {
                            return machine.broker().register_channel(std::move(config));
                          })
                          .has_value(),
                      "the channel is registered");
}

std::size_t joined(const SimNode& publisher) {
  return publisher.machine().broker().subscribers(channel_name().text()).size();
}

/// Numbers messages through, and publishes them in pieces with some of them under way at a time.
class Publishing {
 public:
  Publishing(World& world, SimRandom& random) : world_(world), random_(random) {}

  std::uint32_t next() const { return next_; }
  /// What was under way at another life of the publisher is nobody's business.
  void forget() { inflight_.clear(); }

  /// Goes on up to message `end`; true when all of them were reported.
  bool pump(SimNode& publisher, std::uint32_t end) {
    while (!inflight_.empty()) {
      const auto* report = publisher.published(inflight_.front());
      if (report == nullptr) break;
      if (strict) {
        world_.expect(report->has_value() && (*report)->failures.empty() &&
                          (*report)->delivered == (*report)->attempted &&
                          (*report)->attempted == strict,
                      "a publish is acknowledged by everybody");
      }
      inflight_.pop_front();
    }
    while (inflight_.size() < kInFlight && next_ < end) {
      const std::uint32_t count =
          std::min(end - next_, 64 + static_cast<std::uint32_t>(random_.below(37)));
      std::vector<Bytes> payloads;
      for (std::uint32_t i = 0; i < count; ++i) payloads.push_back(numbered(next_++));
      inflight_.push_back(publisher.publish(channel_name(), payloads));
    }
    return inflight_.empty() && next_ >= end;
  }

  /// Everybody's number, when every publish must reach everybody; 0: some may fail.
  std::size_t strict = 0;

 private:
  World& world_;
  SimRandom& random_;
  std::uint32_t next_ = 0;
  std::deque<mesh::RequestId> inflight_;
};

/// Connects a subscriber and has it join; the failure of either is noted.
bool join(World& world, SimNode& subscriber, SimNode& publisher) {
  if (!connect(world, subscriber, publisher)) return false;
  const std::size_t before = subscriber.subscription_events().size();
  if (!world.expect(subscriber.subscribe(publisher.id(), channel_name()).has_value(),
                    "a connected publisher can be asked"))
    return false;
  if (!world.run_until(
          "the publisher answers", [&] { return subscriber.subscription_events().size() > before; },
          seconds(10)))
    return false;
  const auto* done =
      std::get_if<channel::Subscriber::SubscribeDone>(&subscriber.subscription_events()[before]);
  return world.expect(done != nullptr && done->outcome == channel::Outcome::kAccepted,
                      "the publisher lets the subscriber join");
}

/// Every opening of the channel's stream carries messages without gaps, repetitions or swaps; what
/// the last one had at its end.
std::uint32_t check_runs(World& world, const SimNode& subscriber, NodeId publisher) {
  std::uint32_t end = 0;
  for (std::size_t opening = 0;; ++opening) {
    const ReceivedStream* stream = subscriber.stream(publisher, channel_name().stream(), opening);
    if (stream == nullptr) return end;
    for (std::size_t i = 0; i < stream->messages.size(); ++i) {
      const std::uint32_t number = number_of(stream->messages[i]);
      const bool fits = i == 0 ? number >= end : number == end;
      if (!world.expect(fits, subscriber.name() + " gets what is published in order, once"))
        return end;
      end = number + 1;
    }
  }
}

void fan_out(World& world, SimRandom& random) {
  constexpr std::uint32_t kMessages = 10'000;
  constexpr std::uint32_t kSubscribers = 32;
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(20));
  link.jitter = milliseconds(2);
  world.network.set_default_link(link);
  SimNode& publisher = world.add(1);
  if (!register_channel(world, publisher)) return;
  std::vector<SimNode*> subscribers;
  for (std::uint32_t i = 0; i < kSubscribers; ++i) {
    subscribers.push_back(&world.add(i + 2));
    if (!join(world, *subscribers.back(), publisher)) return;
  }
  link.loss = 0.05;
  world.network.set_default_link(link);
  Publishing publishing(world, random);
  publishing.strict = kSubscribers;
  world.run_until(
      "everything is acknowledged", [&] { return publishing.pump(publisher, kMessages); },
      minutes(10));
  world.expect(world.network.stats().lost > kMessages / 100, "packets were lost on the way");
  for (const SimNode* subscriber : subscribers) {
    const ReceivedStream* stream = subscriber->stream(publisher.id(), channel_name().stream());
    world.expect(stream != nullptr && stream->messages.size() == kMessages &&
                     number_of(stream->messages.front()) == 0,
                 subscriber->name() + " gets everything");
    check_runs(world, *subscriber, publisher.id());
  }
}

void subscriber_restarts(World& world, SimRandom& random) {
  SimNode& publisher = world.add(1);
  if (!register_channel(world, publisher)) return;
  std::vector<SimNode*> subscribers;
  for (std::uint32_t i = 0; i < 4; ++i) {
    subscribers.push_back(&world.add(i + 2));
    if (!join(world, *subscribers.back(), publisher)) return;
  }
  LinkConfig link;
  link.loss = 0.02;
  world.network.set_default_link(link);
  Publishing publishing(world, random);
  const auto publish_to = [&](std::uint32_t end) {
    world.run_until(
        "what waits for a dead subscriber is given up",
        [&] { return publishing.pump(publisher, end); }, minutes(2));
  };
  for (int round = 0; round < 3 && world.ok(); ++round) {
    publish_to(publishing.next() + 1000);
    const std::size_t which = random.below(subscribers.size());
    publishing.pump(publisher, publishing.next() + 1000);
    world.network.run_for(random.duration(Duration(0), milliseconds(50)));
    check_runs(world, *subscribers[which], publisher.id());
    world.kill(*subscribers[which]);
    world.network.run_for(random.duration(Duration(0), seconds(2)));
    subscribers[which] = &world.add(static_cast<std::uint32_t>(which) + 2);
    if (!join(world, *subscribers[which], publisher)) return;
  }
  // Whatever happened before: who is there now gets everything from now on.
  publish_to(publishing.next());
  world.expect(joined(publisher) == subscribers.size(), "everybody has joined");
  publishing.strict = subscribers.size();
  publish_to(publishing.next() + 2000);
  for (const SimNode* subscriber : subscribers) {
    world.expect(check_runs(world, *subscriber, publisher.id()) == publishing.next(),
                 subscriber->name() + " is up to date");
  }
}

void publisher_restarts(World& world, SimRandom& random) {
  SimNode* publisher = &world.add(1);
  const NodeId id = publisher->id();
  if (!register_channel(world, *publisher)) return;
  std::vector<SimNode*> subscribers;
  for (std::uint32_t i = 0; i < 4; ++i) {
    subscribers.push_back(&world.add(i + 2));
    if (!join(world, *subscribers.back(), *publisher)) return;
  }
  LinkConfig link;
  link.loss = 0.02;
  world.network.set_default_link(link);
  Publishing publishing(world, random);
  for (int life = 0; life < 3 && world.ok(); ++life) {
    publishing.pump(*publisher, publishing.next() + 2000);
    world.network.run_for(random.duration(Duration(0), milliseconds(100)));
    world.kill(*publisher);
    publishing.forget();
    world.network.run_for(random.duration(Duration(0), seconds(3)));
    publisher = &world.add(1);
    // Its channel may be there only after those who want it.
    const bool late = random.chance(0.5);
    if (!late && !register_channel(world, *publisher)) return;
    for (SimNode* subscriber : subscribers) {
      if (!connect(world, *subscriber, *publisher)) return;
    }
    if (late) {
      world.network.run_for(random.duration(Duration(0), seconds(2)));
      if (!register_channel(world, *publisher)) return;
    }
    world.run_until(
        "all subscriptions are taken up again",
        [&] { return joined(*publisher) == subscribers.size(); }, seconds(40));
    publishing.strict = subscribers.size();
    const std::uint32_t end = publishing.next() + 1000;
    world.run_until(
        "everything is acknowledged", [&] { return publishing.pump(*publisher, end); }, minutes(1));
    publishing.strict = 0;
    for (const SimNode* subscriber : subscribers) {
      world.expect(check_runs(world, *subscriber, id) == end,
                   subscriber->name() + " is up to date");
    }
  }
}

constexpr std::array kScenarios{
    Scenario{"channel-fan-out",
             "32 subscribers get 10 000 messages each, in order, while 5 % of packets are lost",
             fan_out, 3},
    Scenario{"channel-subscriber-restart",
             "a restarted subscriber joins anew and gets everything from then on",
             subscriber_restarts, 40},
    Scenario{"channel-publisher-restart",
             "subscriptions to a restarted publisher are taken up without being asked",
             publisher_restarts, 40},
};

}  // namespace

std::span<const Scenario> channel_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
