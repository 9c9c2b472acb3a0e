// Retention, replay, evictions that are told, bounds, and a random walk.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "channel/broker_testing.h"

namespace netmesh::channel {
namespace {

using identity::kScopeSubscribe;
using identity::SubnetId;
using testing::bytes_of;
using testing::config_of;
using testing::identity_of;
using testing::kA;
using testing::kB;
using testing::kC;
using testing::name_of;
using testing::Random;
using testing::requires_tag;
using testing::TestBroker;
using testing::token_channel;
using testing::token_of;

// --- what only modern peers have ---

Payload payload_of(std::string_view text) {
  const ByteSpan bytes = as_byte_span(text);
  return std::make_shared<const Bytes>(bytes.begin(), bytes.end());
}

std::string text_of(const Broker::Replay& replay) {
  std::string out;
  for (const Payload& payload : replay.payloads)
    out.append(reinterpret_cast<const char*>(payload->data()), payload->size());
  return out;
}

TEST(Broker, ReplaysWhatItRetainedToANewModernSubscriberOnce) {
  TestBroker t;
  ChannelConfig config = config_of("a");
  config.retain = 3;
  config.reliable = true;
  t.add(config);
  for (const char* text : {"1", "2", "3", "4"}) {
    EXPECT_TRUE(t->recipients(t.now, name_of("a")).retains);
    t->retain(name_of("a"), payload_of(text));
  }
  t.up(kA, true);
  t.up(kB, true);
  t.up(kC, false);
  const ModernAck ack = t.subscribe_modern(kA, "a", 2, 0, 5);
  EXPECT_TRUE(ack.base.accepted);
  EXPECT_TRUE(ack.reliable);
  EXPECT_EQ(ack.replayed, 2u);
  EXPECT_EQ(ack.epoch, t->epoch());
  const auto replay = t->poll_replay().value();
  EXPECT_EQ(replay.to, kA);
  EXPECT_EQ(replay.stream, name_of("a").stream());
  EXPECT_TRUE(replay.reliable);
  EXPECT_EQ(text_of(replay), "34");

  EXPECT_EQ(t.subscribe_modern(kA, "a", 2, 0, 5).replayed, 0u) << "the same message again";
  EXPECT_EQ(t.subscribe_modern(kA, "a", 2, t->epoch(), 6).replayed, 0u) << "has it from this life";
  EXPECT_EQ(t.subscribe_modern(kA, "a", 2, t->epoch() + 2, 7).replayed, 2u) << "of another life";
  EXPECT_EQ(text_of(t->poll_replay().value()), "34");
  EXPECT_EQ(t.subscribe_modern(kB, "a", 1000).replayed, 3u);
  EXPECT_EQ(text_of(t->poll_replay().value()), "234");
  t.subscribe(kC, "a");
  EXPECT_FALSE(t->poll_replay()) << "base peers did not ask";
  EXPECT_EQ(t->channel_info("a")->retained, 3u);
  EXPECT_EQ(t->channel_info("a")->counters.replayed, 7u);

  config.retain = 1;
  t.add(config);
  EXPECT_EQ(t->channel_info("a")->retained, 1u);
  t->unregister_channel("a");
  t.add(config);
  EXPECT_EQ(t->channel_info("a")->retained, 0u);
}

TEST(Broker, BoundsWhatItRetainsPerChannelAndOverall) {
  TestBroker t({.max_retained_bytes = 100});
  for (const char* name : {"a", "b"}) {
    ChannelConfig config = config_of(name);
    config.retain = 1000;
    config.max_retained_bytes = 80;
    t.add(config);
  }
  const std::string ten(10, 'x');
  for (int i = 0; i < 20; ++i) t->retain(name_of("a"), payload_of(ten));
  EXPECT_EQ(t->channel_info("a")->retained_bytes, 80u);
  for (int i = 0; i < 20; ++i) t->retain(name_of("b"), payload_of(ten));
  EXPECT_EQ(t->channel_info("b")->retained_bytes, 20u);
  t->unregister_channel("a");
  for (int i = 0; i < 20; ++i) t->retain(name_of("b"), payload_of(ten));
  EXPECT_EQ(t->channel_info("b")->retained_bytes, 80u);
}

TEST(Broker, TellsModernSubscribersThatAChannelOrThePublisherIsGone) {
  TestBroker t;
  t.add(config_of("a"));
  t.add(config_of("b"));
  t.up(kA, true);
  t.up(kB, false);
  t.subscribe_modern(kA, "a", 0, 0, 11);
  t.subscribe_modern(kA, "b", 0, 0, 12);
  t.subscribe(kB, "a");
  t.subscribe(kB, "b");
  EXPECT_FALSE(t->unregister_channel("c"));
  EXPECT_TRUE(t->unregister_channel("a"));
  auto message = t.sent(kA);
  EXPECT_EQ(std::get<Evicted>(message.value()).reason, EvictionReason::kUnregistered);
  EXPECT_EQ(std::get<Evicted>(*message).nonce, 11u);
  EXPECT_TRUE(t.silent()) << "a base peer would not understand";
  EXPECT_EQ(t.subscribe(kB, "a"), AckReason::kUnknownChannel);
  t->shutdown();
  message = t.sent(kA);
  EXPECT_EQ(std::get<Evicted>(message.value()).reason, EvictionReason::kShutdown);
  EXPECT_EQ(std::get<Evicted>(*message).name.text(), "b");
  EXPECT_EQ(t->subscriptions(), 0u);
}

TEST(Broker, JudgesPresentSubscribersByTheTermsOfANewConfig) {
  TestBroker t;
  t.add(config_of("a"));
  t.up(kA, true);
  t.subscribe_modern(kA, "a");
  t.add(token_channel("a"));
  EXPECT_TRUE(t.publish("a").empty());
  const auto message = t.sent(kA);
  EXPECT_EQ(std::get<Evicted>(message.value()).reason, EvictionReason::kUnauthorized);
}

TEST(Broker, KeepsItsQueuesWithinTheirBounds) {
  TestBroker t({.max_queued = 10, .max_queued_replays = 2});
  ChannelConfig config = config_of("a");
  config.retain = 1;
  t.add(config);
  t->retain(name_of("a"), payload_of("x"));
  for (std::uint64_t n = 1; n <= 20; ++n) {
    t.up(NodeId(n), true);
    t->handle(t.now, NodeId(n), encode(ModernSubscribe{{n, name_of("a"), {}, {}}, 1, 0}));
  }
  EXPECT_EQ(t->counters().dropped_queue_full, 10u);
  int replays = 0;
  while (t->poll_replay()) ++replays;
  EXPECT_EQ(replays, 2);
  t->peer_down(NodeId(1));
  EXPECT_EQ(t->poll_transmit()->to, NodeId(2)) << "nothing is left for who is gone";
}

TEST(Broker, StaysRightWhenPeersComeGoAndAreEvictedAtRandom) {
  Random random(6);
  TestBroker t({.own_subnet = SubnetId(0x01000000), .sweep_interval = std::chrono::seconds(5)});
  std::vector<identity::LocalIdentity> who;
  for (std::uint64_t n = 0; n < 8; ++n) who.push_back(identity_of(50 + n));
  const std::vector<std::string> names{"open", "local", "token", "caps", "late"};
  ChannelConfig local = config_of("local"), caps = config_of("caps");
  local.visibility = Visibility::kSubnetLocal;
  caps.subscribe_caps = requires_tag("gpu");
  for (const auto& config : {config_of("open"), local, token_channel("token"), caps}) t.add(config);

  std::set<std::pair<NodeId, std::string>> model;
  std::set<NodeId> up;
  double seconds = 0;
  for (int step = 0; step < 4000; ++step) {
    const std::uint64_t n = random.below(who.size());
    const NodeId peer(n + 1);
    const std::string& name = names[random.below(names.size())];
    switch (random.below(7)) {
      case 0:
        if (!up.insert(peer).second) break;
        t.up(peer, n % 2 == 0);
        t.know(peer, who[n]);
        break;
      case 1:
        t->peer_down(peer);
        up.erase(peer);
        std::erase_if(model, [&](const auto& each) { return each.first == peer; });
        break;
      case 2:
        if (up.contains(peer)) EXPECT_TRUE(t.unsubscribe(peer, name));
        model.erase({peer, name});
        break;
      case 3:
        t.host.subnets[peer] = SubnetId(random.flip() ? 0x01000000u : 0x02000000u);
        t.host.capabilities[peer] = {};
        if (random.flip()) t.host.capabilities[peer].add_tag("gpu");
        break;
      case 4:
        t.run_to(seconds += 1);
        break;
      default:
        if (!up.contains(peer)) break;
        const auto token = token_of(t.self, who[n].entity_id(), name, kScopeSubscribe, 1'000'000);
        if (!t.subscribe(peer, name, name == "token" ? bytes_of(token) : Bytes()))
          model.insert({peer, name});
    }
    // Evictions are told to modern peers, and never invented.
    while (auto out = t->poll_transmit()) {
      const auto message = decode(out->message);
      const auto& notice = std::get<Evicted>(message.value());
      EXPECT_EQ(model.erase({out->to, notice.name.text()}), 1u);
    }
    for (const std::string& each : names) {
      const auto chosen = t.publish(each);
      for (const NodeId node : chosen) {
        EXPECT_TRUE(model.contains({node, each}));
        if (each == "local") EXPECT_EQ(t.host.subnets[node], SubnetId(0x01000000));
      }
      if (each == "open" || each == "token") {
        const auto expected = std::count_if(model.begin(), model.end(),
                                            [&](const auto& m) { return m.second == each; });
        EXPECT_EQ(chosen.size(), static_cast<std::size_t>(expected));
      }
    }
    // Base peers are evicted in silence.
    std::erase_if(model, [&](const auto& each) {
      return each.second == "caps" && !t->is_subscribed(each.first, each.second);
    });
    ASSERT_EQ(t->subscriptions(), model.size());
  }
}

}  // namespace
}  // namespace netmesh::channel
