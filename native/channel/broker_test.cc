#include "channel/broker.h"

#include <gtest/gtest.h>

#include "channel/broker_testing.h"

namespace netmesh::channel {
namespace {

using identity::kScopeDelegate;
using identity::kScopePublish;
using identity::kScopeSubscribe;
using identity::TokenChain;
using testing::config_of;
using testing::identity_of;
using testing::kA;
using testing::kB;
using testing::kC;
using testing::name_of;
using testing::requires_tag;
using testing::TestBroker;
using testing::token_channel;
using testing::token_of;
using Verdict = Broker::PublishVerdict;

// --- joining and leaving ---

TEST(Broker, LetsPeersJoinAndLeaveAnOpenChannel) {
  TestBroker t;
  t.add(config_of("lab/x"));
  t.up(kA);
  t.up(kB);
  EXPECT_TRUE(t.publish("lab/x").empty());
  EXPECT_EQ(t.subscribe(kA, "lab/x"), std::nullopt);
  EXPECT_EQ(t.subscribe(kB, "lab/x"), std::nullopt);
  EXPECT_EQ(t.subscribe(kB, "lab/x"), std::nullopt) << "again";
  EXPECT_EQ(t.publish("lab/x"), (std::vector{kA, kB}));
  EXPECT_TRUE(t.unsubscribe(kA, "lab/x"));
  EXPECT_TRUE(t.unsubscribe(kA, "lab/x")) << "not a member";
  EXPECT_TRUE(t.unsubscribe(kA, "no/such")) << "no such channel";
  EXPECT_EQ(t.publish("lab/x"), std::vector{kB});
  EXPECT_EQ(t->subscriptions(), 1u);
}

TEST(Broker, RefusesUnknownChannelsAndIgnoresStrangers) {
  TestBroker t;
  t.up(kA);
  EXPECT_EQ(t.subscribe(kA, "lab/x"), AckReason::kUnknownChannel);
  const Bytes message = encode(Subscribe{1, name_of("lab/x"), {}, {}});
  EXPECT_EQ(t->handle(t.now, kB, message), Received::kForeign);
  EXPECT_EQ(t->handle(t.now, kA, ByteSpan(message).first(5)), Received::kMalformed);
  EXPECT_EQ(t->handle(t.now, kA, encode(ModernSubscribe{{1, name_of("lab/x"), {}, {}}, 0, 0})),
            Received::kUnexpected);
  EXPECT_EQ(t->handle(t.now, kA, encode(Ack{1, true, AckReason::kNone})), Received::kForSubscriber);
  EXPECT_TRUE(t.silent());
}

TEST(Broker, ServesQueueGroupsInTurnAndMovesBetweenModes) {
  TestBroker t;
  t.add(config_of("jobs"));
  for (const NodeId peer : {kA, kB, kC}) t.up(peer);
  t.subscribe(kA, "jobs", {}, "workers");
  t.subscribe(kB, "jobs", {}, "workers");
  t.subscribe(kC, "jobs");
  EXPECT_EQ(t.publish("jobs"), (std::vector{kC, kA}));
  EXPECT_EQ(t.publish("jobs"), (std::vector{kC, kB}));
  EXPECT_EQ(t->stand_in(t.now, name_of("jobs"), kB, kB), kA);
  EXPECT_EQ(t->stand_in(t.now, name_of("jobs"), kB, kA), std::nullopt) << "once through the group";
  EXPECT_EQ(t->stand_in(t.now, name_of("jobs"), kC, kC), std::nullopt) << "not in a group";
  t.subscribe(kB, "jobs");
  EXPECT_EQ(t.publish("jobs"), (std::vector{kB, kC, kA}));
  EXPECT_EQ(t->subscriptions(), 3u);
  t->peer_down(kA);
  EXPECT_EQ(t->channel_info("jobs")->queue_groups, 0u);
}

TEST(Broker, ForgetsAPeerThatWentDownEverywhere) {
  TestBroker t;
  t.add(config_of("a"));
  t.add(config_of("b"));
  t.up(kA);
  t.subscribe(kA, "a");
  t.subscribe(kA, "b", {}, "g");
  t->peer_down(kA);
  EXPECT_EQ(t->subscriptions(), 0u);
  EXPECT_TRUE(t.publish("a").empty());
  t.up(kA);
  EXPECT_TRUE(t.publish("b").empty()) << "not by coming back alone";
}

TEST(Broker, CapsTheChannelsOfAPeerButNotTheOnesItHas) {
  TestBroker t({.max_channels_per_peer = 3});
  for (const char* name : {"a", "b", "c", "d"}) t.add(config_of(name));
  t.up(kA);
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(t.subscribe(kA, name), std::nullopt);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(t.subscribe(kA, "d"), AckReason::kTooManyChannels) << "and no failure";
  EXPECT_EQ(t.subscribe(kA, "unknown"), AckReason::kTooManyChannels) << "asked first";
  EXPECT_EQ(t.subscribe(kA, "b", {}, "g"), std::nullopt);
  t.unsubscribe(kA, "a");
  EXPECT_EQ(t.subscribe(kA, "d"), std::nullopt);
}

TEST(Broker, DoesNotLetALateCopyUndoWhatCameAfterIt) {
  TestBroker t;
  t->register_channel(config_of("a"));
  t.up(kA);
  const Bytes join = encode(Subscribe{1, name_of("a"), {}, {}});
  const Bytes leave = encode(Unsubscribe{2, name_of("a")});
  const Bytes join_again = encode(Subscribe{3, name_of("a"), {}, "workers"});
  for (const Bytes& message : {join, join, leave, join}) t->handle(t.now, kA, message);
  EXPECT_EQ(t->subscriptions(), 0u) << "a copy of the Subscribe came after the Unsubscribe";
  for (const Bytes& message : {leave, join_again, leave, join}) t->handle(t.now, kA, message);
  EXPECT_EQ(t->channel_info("a")->queue_groups, 1u) << "nor do older ones undo the newest";
}

TEST(Broker, BoundsAllSubscriptionsTogether) {
  TestBroker t({.max_subscriptions = 2});
  t.add(config_of("a"));
  for (const NodeId peer : {kA, kB, kC}) t.up(peer);
  t.subscribe(kA, "a");
  t.subscribe(kB, "a");
  EXPECT_EQ(t.subscribe(kC, "a"), AckReason::kTooManyChannels);
}

TEST(Broker, JudgesLongerNamesByAPrefixConfigAndForgetsThemWhenEmpty) {
  TestBroker t;
  ChannelConfig config = config_of("svc.replies.");
  config.prefix = true;
  t.add(config);
  t.up(kA);
  EXPECT_EQ(t.subscribe(kA, "svc.replies.7"), std::nullopt);
  EXPECT_EQ(t.publish("svc.replies.7"), std::vector{kA});
  EXPECT_TRUE(t.publish("svc.replies.8").empty());
  EXPECT_EQ(t->channels().size(), 2u);
  t.unsubscribe(kA, "svc.replies.7");
  EXPECT_EQ(t->channels().size(), 1u);
  t.subscribe(kA, "svc.replies.7");
  EXPECT_TRUE(t->unregister_channel("svc.replies."));
  EXPECT_EQ(t->channels().size(), 0u);
  EXPECT_EQ(t->subscriptions(), 0u);
}

// --- publishing ---

TEST(Broker, LetsAnUnregisteredChannelBePublishedToNobody) {
  TestBroker t;
  const auto publication = t->recipients(t.now, name_of("lab/open"));
  EXPECT_EQ(publication.verdict, Verdict::kAllowed);
  EXPECT_TRUE(publication.nodes.empty());
  EXPECT_EQ(publication.stream.value, 0x57d14d5a8457b61fu);
  EXPECT_EQ(publication.wire_hash, 0xb61f);
}

TEST(Broker, PublishesOnlyWithTheCapabilitiesThatTheChannelAsksOfItsPublisher) {
  TestBroker t;
  ChannelConfig config = config_of("a");
  config.publish_caps = requires_tag("sensor");
  t.add(config);
  EXPECT_EQ(t->recipients(t.now, name_of("a")).verdict, Verdict::kDenied);
  t.host.capabilities[t.self.node_id].add_tag("sensor");
  EXPECT_EQ(t->recipients(t.now, name_of("a")).verdict, Verdict::kAllowed);
  EXPECT_EQ(t->channel_info("a")->counters.denied, 1u);
}

TEST(Broker, MayPublishAsTheRootOrWithARightFromOne) {
  const auto root = identity_of(3), agent = identity_of(4);
  const auto verdict = [](TestBroker& t) {
    return t->recipients(t.now, name_of("secret")).verdict;
  };
  TestBroker t;
  t.add(token_channel());
  EXPECT_EQ(verdict(t), Verdict::kAllowed) << "the root itself";
  ChannelConfig config = token_channel();
  config.token_roots = {root.entity_id()};
  t.add(config);
  EXPECT_EQ(verdict(t), Verdict::kDenied);
  ASSERT_TRUE(t.tokens.insert(token_of(root, t.self.entity_id(), "secret", kScopeSubscribe),
                              testing::kStartSeconds));
  EXPECT_EQ(verdict(t), Verdict::kDenied) << "may only subscribe";
  ASSERT_TRUE(t.tokens.insert(token_of(root, t.self.entity_id(), "secret", kScopePublish, 20),
                              testing::kStartSeconds));
  EXPECT_EQ(verdict(t), Verdict::kAllowed);
  t.run_to(20);
  EXPECT_EQ(verdict(t), Verdict::kDenied) << "expired";

  const auto delegable =
      token_of(root, agent.entity_id(), "secret", kScopePublish | kScopeDelegate, 60, 1);
  const auto leaf = identity::delegate_token(delegable, agent.signing_key, t.self.entity_id(),
                                             kScopePublish, testing::kStartSeconds, 5);
  auto chain = TokenChain::of({delegable, *leaf}).value();
  EXPECT_FALSE(t->install_chain(t.now, TokenChain::of({*leaf, delegable}).value()));
  ASSERT_TRUE(t->install_chain(t.now, chain));
  EXPECT_EQ(verdict(t), Verdict::kAllowed);
  ASSERT_TRUE(t.revocations.revoke_below(agent.entity_id(), 1));
  EXPECT_EQ(verdict(t), Verdict::kDenied) << "revoked";
}

TEST(Broker, HoldsAChannelToItsRate) {
  TestBroker t;
  ChannelConfig config = config_of("a");
  config.max_rate_pps = 10;
  t.add(config);
  t.up(kA);
  t.subscribe(kA, "a");
  int passed = 0;
  for (int i = 0; i < 100; ++i)
    passed += t->recipients(t.now, name_of("a")).verdict == Verdict::kAllowed ? 1 : 0;
  EXPECT_EQ(passed, 10);
  const auto refused = t->recipients(t.now, name_of("a"), 5);
  EXPECT_EQ(refused.verdict, Verdict::kRateLimited);
  EXPECT_EQ(refused.max_rate_pps, 10u);
  EXPECT_TRUE(refused.nodes.empty());
  t.run_to(0.6);
  EXPECT_EQ(t->recipients(t.now, name_of("a"), 5).verdict, Verdict::kAllowed);
  EXPECT_EQ(t->channel_info("a")->counters.published, 15u);
  EXPECT_EQ(t->channel_info("a")->counters.rate_limited, 95u);
}

TEST(Broker, CountsWhatHappenedToAChannel) {
  TestBroker t;
  ChannelConfig config = config_of("a");
  config.reliable = true;
  config.priority = 3;
  t.add(config);
  t.up(kA);
  t.up(kB);
  t.subscribe(kA, "a");
  t.subscribe(kB, "a");
  const auto publication = t->recipients(t.now, name_of("a"), 4);
  EXPECT_TRUE(publication.reliable);
  EXPECT_EQ(publication.priority, 3);
  EXPECT_FALSE(publication.retains);
  t->report(name_of("a"), 7, 1);
  t->report(name_of("nowhere"), 7, 1);
  const auto info = t->channel_info("a").value();
  EXPECT_EQ(info.subscribers, 2u);
  EXPECT_EQ(info.counters.published, 4u);
  EXPECT_EQ(info.counters.recipients, 8u);
  EXPECT_EQ(info.counters.delivered, 7u);
  EXPECT_EQ(info.counters.failed, 1u);
  EXPECT_EQ(info.counters.accepted, 2u);
  EXPECT_EQ(t->subscribers("a"), (std::vector{kA, kB}));
}

}  // namespace
}  // namespace netmesh::channel
