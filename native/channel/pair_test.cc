// Publishers and subscribers that talk to each other over a network in virtual time: base peers
// over one that loses, delays and reorders, modern ones over sessions that do not.

#include <gtest/gtest.h>

#include <queue>
#include <set>

#include "channel/channel_testing.h"
#include "channel/subscriber.h"

namespace netmesh::channel {
namespace {

using testing::config_of;
using testing::identity_of;
using testing::name_of;
using testing::Random;

/// A node with both sides, as the mesh would drive them.
struct TestNode {
  TestNode(std::uint64_t number, const Broker::Options& broker_options)
      : random(number), identity(identity_of(number)), options(broker_options), subscriber(random) {
    options.self = identity.node_id;
    options.entity = identity.entity_id();
    start();
  }
  /// A new life: what was published, granted and registered is gone.
  void start() { broker.emplace(host, tokens, revocations, random, options); }
  NodeId id() const { return identity.node_id; }

  Random random;
  identity::LocalIdentity identity;
  testing::TestHost host;
  identity::TokenCache tokens;
  identity::RevocationRegistry revocations;
  Broker::Options options;
  std::optional<Broker> broker;
  Subscriber subscriber;
  std::map<RequestId, Outcome> settled;
  std::vector<Subscriber::Event> events;
  /// Retained payloads that came in.
  std::size_t replayed = 0;
};

class TestNetwork {
 public:
  TestNetwork(std::size_t nodes, bool modern, double loss, std::uint64_t seed,
              const Broker::Options& options = {})
      : modern_(modern), loss_(loss), random_(seed) {
    for (std::size_t i = 0; i < nodes; ++i) {
      nodes_.push_back(std::make_unique<TestNode>(1000 * seed + i, options));
      by_id_[nodes_.back()->id()] = nodes_.back().get();
    }
    for (std::size_t i = 1; i < nodes; ++i) link(i);
  }
  TestNode& operator[](std::size_t i) { return *nodes_[i]; }
  TestNode& publisher() { return *nodes_[0]; }
  std::size_t size() const { return nodes_.size(); }

  /// A session between the publisher and node `i`, new on both sides.
  void link(std::size_t i) {
    join(publisher(), *nodes_[i]);
    join(*nodes_[i], publisher());
    pump();
  }
  void cut(std::size_t i) {
    part(publisher(), *nodes_[i]);
    part(*nodes_[i], publisher());
    pump();
  }
  void set_loss(double loss) { loss_ = loss; }

  /// Delivers and fires timers up to `seconds`.
  void run_to(double seconds) {
    const Now end = testing::at(seconds);
    for (;;) {
      pump();
      TimePoint next = end.monotonic;
      if (!wire_.empty()) next = std::min(next, wire_.top().at);
      for (const auto& node : nodes_) {
        for (const auto& due : {node->broker->next_timeout(), node->subscriber.next_timeout()}) {
          if (due) next = std::min(next, *due);
        }
      }
      if (next >= end.monotonic && (wire_.empty() || wire_.top().at > end.monotonic)) break;
      const Duration step = std::max(next - now.monotonic, Duration(0));
      now = {now.monotonic + step, now.unix_ns + step.count()};
      while (!wire_.empty() && wire_.top().at <= now.monotonic) deliver();
      for (const auto& node : nodes_) {
        node->broker->handle_timeout(now);
        node->subscriber.handle_timeout(now);
      }
    }
    now = end;
    for (const auto& node : nodes_) node->subscriber.handle_timeout(now);
    pump();
  }

  Now now = testing::at(0);

 private:
  struct InFlight {
    TimePoint at;
    std::uint64_t order = 0;
    NodeId from, to;
    Bytes message;
    bool operator>(const InFlight& other) const {
      return std::tie(at, order) > std::tie(other.at, other.order);
    }
  };

  void join(TestNode& node, TestNode& peer) {
    node.broker->peer_up(peer.id(), {modern_, peer.identity.entity_id()});
    node.subscriber.peer_up(now, peer.id(), {modern_});
  }
  void part(TestNode& node, TestNode& peer) {
    node.broker->peer_down(peer.id());
    node.subscriber.peer_down(now, peer.id());
  }
  /// Takes out what the machines have to say.
  void pump() {
    for (const auto& node : nodes_) {
      while (auto out = node->broker->poll_transmit()) post(node->id(), std::move(*out));
      while (auto replay = node->broker->poll_replay())
        by_id_.at(replay->to)->replayed += replay->payloads.size();
      while (auto out = node->subscriber.poll_transmit()) post(node->id(), std::move(*out));
      while (auto event = node->subscriber.poll_event()) record(*node, *event);
    }
  }
  void post(NodeId from, Broker::Transmit out) {
    // A session that is not lossy is in order, too.
    const auto delay_us = modern_ ? 1000 : 1000 + random_.below(300'000);
    const bool lost = !modern_ && static_cast<double>(random_.below(1000)) < loss_ * 1000;
    if (lost) return;
    wire_.push({now.monotonic + std::chrono::microseconds(delay_us), order_++, from, out.to,
                std::move(out.message)});
  }
  void deliver() {
    const InFlight message = wire_.top();
    wire_.pop();
    TestNode& to = *by_id_.at(message.to);
    if (to.broker->handle(now, message.from, message.message) == Received::kForSubscriber)
      to.subscriber.handle(now, message.from, message.message);
    pump();
  }
  static void record(TestNode& node, const Subscriber::Event& event) {
    node.events.push_back(event);
    const auto settle = [&](const auto& done) {
      EXPECT_TRUE(node.settled.emplace(done.request, done.outcome).second) << "settled twice";
    };
    if (const auto* done = std::get_if<Subscriber::SubscribeDone>(&event)) settle(*done);
    if (const auto* done = std::get_if<Subscriber::UnsubscribeDone>(&event)) settle(*done);
  }

  bool modern_;
  double loss_;
  Random random_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
  std::map<NodeId, TestNode*> by_id_;
  std::priority_queue<InFlight, std::vector<InFlight>, std::greater<>> wire_;
  std::uint64_t order_ = 0;
};

TEST(Channels, SettleEveryRequestOverALossyNetworkAndBothEndsAgreeOnTheOutcome) {
  std::size_t accepted = 0, timed_out = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    TestNetwork net(9, false, 0.3, seed);
    Random random(seed);
    const std::vector<std::string> names{"a", "b", "c"};
    for (const std::string& name : names)
      ASSERT_TRUE(net.publisher().broker->register_channel(config_of(name)));
    // The last request of each pair that was settled, and whether any timed out after it: then
    // nobody can know what the publisher heard.
    std::map<std::pair<std::size_t, std::string>, std::vector<std::pair<RequestId, bool>>> asked;
    double seconds = 0;
    for (int step = 0; step < 400; ++step) {
      const std::size_t i = 1 + random.below(net.size() - 1);
      const std::string& name = names[random.below(names.size())];
      const bool joining = random.below(3) != 0;
      Subscriber& subscriber = net[i].subscriber;
      const NodeId publisher = net.publisher().id();
      const auto request =
          joining
              ? subscriber.subscribe(net.now, publisher, name_of(name),
                                     {.credential = {}, .queue_group = random.flip() ? "g" : ""})
              : subscriber.unsubscribe(net.now, publisher, name_of(name));
      ASSERT_TRUE(request);
      asked[{i, name}].emplace_back(*request, joining);
      net.run_to(seconds += static_cast<double>(random.below(200)) / 1000);
    }
    net.run_to(seconds += 400);
    for (const auto& [pair, requests] : asked) {
      const auto& [i, name] = pair;
      for (const auto& [request, joining] : requests) {
        ASSERT_TRUE(net[i].settled.contains(request)) << "seed " << seed;
        (net[i].settled[request] == Outcome::kAccepted ? accepted : timed_out) += 1;
      }
      const auto& [last, joining] = requests.back();
      if (net[i].settled[last] != Outcome::kAccepted) continue;
      EXPECT_EQ(net.publisher().broker->is_subscribed(net[i].id(), name), joining)
          << "seed " << seed;
    }
    for (std::size_t i = 1; i < net.size(); ++i)
      EXPECT_EQ(net[i].subscriber.next_timeout(), std::nullopt) << "nothing is left to wait for";
  }
  // Five copies, each lost one way or the other in half of all cases: 1 in 30 requests.
  EXPECT_GT(accepted, 20 * timed_out) << accepted << " accepted, " << timed_out << " timed out";
}

TEST(Channels, JoinWithinOneRoundTripWhenNothingIsLost) {
  TestNetwork net(33, true, 0, 1);
  ASSERT_TRUE(net.publisher().broker->register_channel(config_of("a")));
  for (std::size_t i = 1; i < net.size(); ++i)
    ASSERT_TRUE(net[i].subscriber.subscribe(net.now, net.publisher().id(), name_of("a")));
  net.run_to(0.003);
  EXPECT_EQ(net.publisher().broker->subscriptions(), 32u);
  for (std::size_t i = 1; i < net.size(); ++i) EXPECT_EQ(net[i].settled.size(), 1u);
}

TEST(Channels, FindTogetherAgainAfterThePublisherHasRestarted) {
  TestNetwork net(9, true, 0, 3);
  ChannelConfig config = config_of("a");
  config.retain = 10;
  ASSERT_TRUE(net.publisher().broker->register_channel(config));
  for (std::size_t i = 1; i < net.size(); ++i) {
    ASSERT_TRUE(net[i].subscriber.subscribe(net.now, net.publisher().id(), name_of("a"),
                                            {.credential = {}, .queue_group = {}, .replay = 10}));
  }
  net.run_to(1);
  EXPECT_EQ(net.publisher().broker->subscriptions(), 8u);

  net.publisher().broker->shutdown();
  net.run_to(1.1);
  for (std::size_t i = 1; i < net.size(); ++i) net.cut(i);
  net.run_to(60);
  net.publisher().start();
  const auto payload = std::make_shared<const Bytes>(5);
  for (std::size_t i = 1; i < net.size(); ++i) net.link(i);
  // The application takes its time to register, and publishes at once.
  net.run_to(61);
  ASSERT_TRUE(net.publisher().broker->register_channel(config));
  for (int n = 0; n < 3; ++n) net.publisher().broker->retain(name_of("a"), payload);
  net.run_to(70);
  EXPECT_EQ(net.publisher().broker->subscriptions(), 8u);
  for (std::size_t i = 1; i < net.size(); ++i) {
    ASSERT_EQ(net[i].events.size(), 3u);
    EXPECT_TRUE(std::holds_alternative<Subscriber::Suspended>(net[i].events[1]));
    EXPECT_EQ(std::get<Subscriber::Resubscribed>(net[i].events[2]).replayed, 3u);
    EXPECT_EQ(net[i].replayed, 3u) << "what the new life has published so far";
  }

  // A session that was merely replaced brings nothing twice.
  for (std::size_t i = 1; i < net.size(); ++i) {
    net.cut(i);
    net.link(i);
  }
  net.run_to(80);
  EXPECT_EQ(net.publisher().broker->subscriptions(), 8u);
  for (std::size_t i = 1; i < net.size(); ++i) EXPECT_EQ(net[i].replayed, 3u);
}

TEST(Channels, OfBasePeersComeBackOverALossyNetworkAfterTheSessionWasReplaced) {
  TestNetwork net(17, false, 0, 4);
  ASSERT_TRUE(net.publisher().broker->register_channel(config_of("a")));
  for (std::size_t i = 1; i < net.size(); ++i)
    ASSERT_TRUE(net[i].subscriber.subscribe(net.now, net.publisher().id(), name_of("a")));
  net.run_to(2);
  net.set_loss(0.5);
  for (std::size_t i = 1; i < net.size(); ++i) {
    net.cut(i);
    net.link(i);
  }
  net.run_to(120);
  for (std::size_t i = 1; i < net.size(); ++i) {
    const auto held = net[i].subscriber.subscriptions();
    ASSERT_EQ(held.size(), 1u);
    EXPECT_TRUE(held[0].active);
    EXPECT_TRUE(net.publisher().broker->is_subscribed(net[i].id(), "a"));
  }
}

TEST(Channels, TellASubscriberWithinTheSweepIntervalThatItsRightHasEnded) {
  TestNetwork net(3, true, 0, 5, {.sweep_interval = std::chrono::seconds(2)});
  ChannelConfig config = config_of("secret");
  config.require_token = true;
  TestNode& publisher = net.publisher();
  ASSERT_TRUE(publisher.broker->register_channel(config));
  for (std::size_t i = 1; i <= 2; ++i) {
    const auto token = testing::token_of(publisher.identity, net[i].identity.entity_id(), "secret",
                                         identity::kScopeSubscribe, i == 1 ? 10 : 1000);
    ASSERT_TRUE(
        net[i].subscriber.subscribe(net.now, publisher.id(), name_of("secret"),
                                    {.credential = testing::bytes_of(token), .queue_group = {}}));
  }
  net.run_to(9.9);
  EXPECT_EQ(publisher.broker->subscriptions(), 2u);
  net.run_to(12.1);
  ASSERT_EQ(net[1].events.size(), 2u);
  EXPECT_EQ(
      std::get<EvictionReason>(std::get<Subscriber::SubscriptionLost>(net[1].events[1]).reason),
      EvictionReason::kExpired);
  ASSERT_TRUE(publisher.revocations.revoke_below(publisher.identity.entity_id(), 1));
  net.run_to(14.1);
  ASSERT_EQ(net[2].events.size(), 2u);
  EXPECT_EQ(
      std::get<EvictionReason>(std::get<Subscriber::SubscriptionLost>(net[2].events[1]).reason),
      EvictionReason::kRevoked);
}

}  // namespace
}  // namespace netmesh::channel
