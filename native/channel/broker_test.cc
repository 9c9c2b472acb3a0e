#include "channel/broker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "channel/channel_testing.h"

namespace netmesh::channel {
namespace {

using identity::kScopeDelegate;
using identity::kScopePublish;
using identity::kScopeSubscribe;
using identity::SubnetId;
using identity::TokenChain;
using testing::at;
using testing::bytes_of;
using testing::config_of;
using testing::identity_of;
using testing::name_of;
using testing::Random;
using testing::requires_tag;
using testing::token_of;
using Verdict = Broker::PublishVerdict;

constexpr NodeId kA{100}, kB{200}, kC{300};

/// A broker with its surroundings, and peers that are played by hand.
struct TestBroker {
  explicit TestBroker(Broker::Options options = {}) : broker(make(options)) {}

  Broker::Options& prepare(Broker::Options& options) {
    options.self = self.node_id;
    options.entity = self.entity_id();
    return options;
  }
  std::unique_ptr<Broker> make(Broker::Options options) {
    return std::make_unique<Broker>(host, tokens, revocations, random, prepare(options));
  }
  Broker* operator->() { return broker.get(); }

  void add(ChannelConfig config) { EXPECT_TRUE(broker->register_channel(std::move(config))); }
  void up(NodeId peer, bool modern = false) {
    broker->peer_up(peer, {.modern = modern, .entity = {}});
  }
  void know(NodeId peer, const identity::LocalIdentity& who) {
    broker->entity_learnt(peer, who.entity_id());
  }
  /// The reason of the Ack to a Subscribe of base; nothing when it was accepted.
  std::optional<AckReason> subscribe(NodeId peer, std::string_view channel, Bytes credential = {},
                                     std::string group = {}) {
    const std::uint64_t nonce = random.u64();
    EXPECT_EQ(broker->handle(now, peer,
                             encode(Subscribe{nonce, name_of(channel), std::move(credential),
                                              std::move(group)})),
              Received::kHandled);
    const auto message = sent(peer);
    const auto& ack = std::get<Ack>(message.value());
    EXPECT_EQ(ack.nonce, nonce);
    if (ack.accepted) EXPECT_EQ(ack.reason, AckReason::kNone);
    return ack.accepted ? std::nullopt : std::optional(ack.reason);
  }
  ModernAck subscribe_modern(NodeId peer, std::string_view channel, std::uint32_t replay = 0,
                             std::uint64_t epoch = 0, std::uint64_t nonce = 1) {
    broker->handle(now, peer,
                   encode(ModernSubscribe{{nonce, name_of(channel), {}, {}}, replay, epoch}));
    return std::get<ModernAck>(sent(peer).value());
  }
  bool unsubscribe(NodeId peer, std::string_view channel) {
    const std::uint64_t nonce = random.u64();
    broker->handle(now, peer, encode(Unsubscribe{nonce, name_of(channel)}));
    const auto message = sent(peer);
    const auto& ack = std::get<Ack>(message.value());
    return ack.nonce == nonce && ack.accepted;
  }
  /// The next message that leaves, which is to go to `peer`.
  std::optional<Message> sent(NodeId peer) {
    const auto out = broker->poll_transmit();
    if (!out) return std::nullopt;
    EXPECT_EQ(out->to, peer);
    return decode(out->message);
  }
  bool silent() { return !broker->poll_transmit().has_value(); }
  std::vector<NodeId> publish(std::string_view channel) {
    const auto publication = broker->recipients(now, name_of(channel));
    EXPECT_EQ(publication.verdict, Verdict::kAllowed);
    return {publication.nodes.begin(), publication.nodes.end()};
  }
  /// Lets the sweep run when it is due, up to `seconds`.
  void run_to(double seconds) {
    const Now end = at(seconds);
    while (broker->next_timeout() && *broker->next_timeout() <= end.monotonic) {
      const Duration step = std::max(*broker->next_timeout() - now.monotonic, Duration(0));
      now = {now.monotonic + step, now.unix_ns + step.count()};
      broker->handle_timeout(now);
    }
    now = end;
  }

  Now now = at(0);
  Random random{1};
  identity::LocalIdentity self = identity_of(0);
  testing::TestHost host;
  identity::TokenCache tokens;
  identity::RevocationRegistry revocations;
  std::unique_ptr<Broker> broker;
};

ChannelConfig token_channel(std::string_view name = "secret") {
  ChannelConfig config = config_of(name);
  config.require_token = true;
  return config;
}

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

// --- the order of the checks ---

TEST(Broker, ThrottlesAfterSixteenFailuresAndForgivesAnAcceptedOne) {
  TestBroker t;
  t.add(config_of("open"));
  t.up(kA);
  t.up(kB);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(t.subscribe(kA, "no"), AckReason::kUnknownChannel);
  EXPECT_EQ(t.subscribe(kA, "open"), std::nullopt);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(t.subscribe(kA, "no"), AckReason::kUnknownChannel);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(t.subscribe(kA, "open"), AckReason::kRateLimited) << "before any other check";
  EXPECT_TRUE(t.unsubscribe(kA, "open")) << "leaving is never throttled";
  EXPECT_EQ(t.subscribe(kB, "open"), std::nullopt);
  t->peer_down(kA);
  t.up(kA);
  EXPECT_EQ(t.subscribe(kA, "open"), AckReason::kRateLimited) << "a new session changes nothing";
  t.run_to(29.9);
  EXPECT_EQ(t.subscribe(kA, "open"), AckReason::kRateLimited);
  t.run_to(30.1);
  EXPECT_EQ(t.subscribe(kA, "open"), std::nullopt);
}

TEST(Broker, AdmitsOnlyWhoPassesEveryCheck) {
  TestBroker t({.own_subnet = SubnetId(0x03000000)});
  ChannelConfig config = token_channel("a");
  config.visibility = Visibility::kSubnetLocal;
  config.subscribe_caps = requires_tag("gpu");
  t.add(config);
  t.up(kA);
  const auto subject = identity_of(1);
  const Bytes token = bytes_of(token_of(t.self, subject.entity_id(), "a", kScopeSubscribe));
  EXPECT_EQ(t.subscribe(kA, "a", token), AckReason::kUnauthorized) << "cannot see it";
  t.host.subnets[kA] = SubnetId(0x03000000);
  EXPECT_EQ(t.subscribe(kA, "a", token), AckReason::kUnauthorized) << "nobody knows who it is";
  t.know(kA, subject);
  EXPECT_EQ(t.subscribe(kA, "a", token), AckReason::kUnauthorized) << "has announced nothing";
  t.host.capabilities[kA].add_tag("cpu");
  EXPECT_EQ(t.subscribe(kA, "a", token), AckReason::kUnauthorized) << "has no gpu";
  EXPECT_EQ(t.tokens.size(), 0u) << "only an accepted Subscribe leaves its token here";
  t.host.capabilities[kA].add_tag("gpu");
  EXPECT_EQ(t.subscribe(kA, "a"), AckReason::kUnauthorized) << "shows no token";
  EXPECT_EQ(t.subscribe(kA, "a", token), std::nullopt);
  EXPECT_EQ(t.tokens.size(), 1u);
  EXPECT_EQ(t->channel_info("a")->counters.refused[1], 5u);
}

TEST(Broker, AsksAnOpenChannelForNothing) {
  TestBroker t;
  t.add(config_of("a"));
  t.up(kA);
  EXPECT_EQ(t.subscribe(kA, "a", Bytes(169, std::byte{1})), std::nullopt);
  EXPECT_EQ(t.tokens.size(), 0u) << "what was not needed is not kept";
}

TEST(Broker, MatchesCapabilitiesByMeaning) {
  TestBroker t;
  ChannelConfig config = config_of("a");
  config.subscribe_caps = requires_tag("software.os:linux");
  t.add(config);
  t.up(kA);
  t.host.capabilities[kA].add_tag("software.os=linux");
  EXPECT_EQ(t.subscribe(kA, "a"), std::nullopt);
  ChannelConfig any = config_of("b");
  any.subscribe_caps.emplace();
  t.add(any);
  t.up(kB);
  EXPECT_EQ(t.subscribe(kB, "b"), std::nullopt)
      << "who announced nothing satisfies an empty filter";
}

// --- visibility ---

TEST(Broker, ShowsEachVisibilityToTheRightSubnets) {
  const SubnetId own(0x03070200), parent(0x03070000), sibling(0x03070300), child(0x03070205),
      foreign(0x04000000), global;
  struct Case {
    Visibility visibility;
    std::vector<SubnetId> visible;
  };
  const std::vector<SubnetId> all{own, parent, sibling, child, foreign, global};
  for (const Case& each : std::vector<Case>{
           {Visibility::kGlobal, all},
           {Visibility::kSubnetLocal, {own}},
           {Visibility::kParentVisible, {own, parent, global}},
           {Visibility::kExported, {own, foreign}},
       }) {
    for (const SubnetId dest : all) {
      TestBroker t({.own_subnet = own});
      ChannelConfig config = config_of("a");
      config.visibility = each.visibility;
      if (each.visibility == Visibility::kExported) config.export_to = {foreign};
      t.add(config);
      t.up(kA);
      if (!dest.is_global()) t.host.subnets[kA] = dest;
      const bool visible =
          std::find(each.visible.begin(), each.visible.end(), dest) != each.visible.end();
      EXPECT_EQ(t.subscribe(kA, "a"),
                visible ? std::nullopt : std::optional(AckReason::kUnauthorized))
          << visibility_name(each.visibility) << " to " << dest.to_string();
      EXPECT_EQ(t.publish("a").size(), visible ? 1u : 0u);
    }
  }
}

TEST(Broker, SkipsABaseSubscriberThatMovedAwayAndTellsAModernOne) {
  TestBroker t({.own_subnet = SubnetId(0x03000000)});
  ChannelConfig config = config_of("a");
  config.visibility = Visibility::kSubnetLocal;
  t.add(config);
  t.up(kA, false);
  t.up(kB, true);
  for (const NodeId peer : {kA, kB}) t.host.subnets[peer] = SubnetId(0x03000000);
  t.subscribe(kA, "a");
  t.subscribe_modern(kB, "a", 0, 0, 77);
  for (const NodeId peer : {kA, kB}) t.host.subnets[peer] = SubnetId(0x04000000);
  EXPECT_TRUE(t.publish("a").empty());
  EXPECT_EQ(t->channel_info("a")->counters.skipped_visibility, 2u);
  EXPECT_TRUE(t.silent());
  t.run_to(30);
  const auto message = t.sent(kB);
  const auto& notice = std::get<Evicted>(message.value());
  EXPECT_EQ(notice.reason, EvictionReason::kVisibility);
  EXPECT_EQ(notice.nonce, 77u);
  t.host.subnets[kA] = SubnetId(0x03000000);
  EXPECT_EQ(t.publish("a"), std::vector{kA}) << "back with its tags";
}

// --- tokens ---

struct TokenCase {
  const char* what;
  Bytes credential;
  bool accepted;
};

TEST(Broker, JudgesEveryKindOfCredential) {
  const auto self = identity_of(0), subject = identity_of(1), other = identity_of(2);
  const auto root = identity_of(3);
  const auto& entity = subject.entity_id();
  const auto chain_of = [](std::vector<identity::PermissionToken> links) {
    return TokenChain::of(std::move(links)).value().encode();
  };
  const auto delegable =
      token_of(self, other.entity_id(), "secret", kScopeSubscribe | kScopeDelegate, 300, 1);
  const auto handed_on = identity::delegate_token(delegable, other.signing_key, entity,
                                                  kScopeSubscribe, testing::kStartSeconds, 5)
                             .value();
  auto forged = token_of(self, entity, "secret", kScopeSubscribe);
  forged.not_after += 1000;
  auto future = token_of(self, entity, "secret", kScopeSubscribe);
  future.not_before += 1;
  future.signature = {};
  const auto wildcard = identity::issue_token(
      self.signing_key, {entity, kScopeSubscribe | identity::kScopeWildcard, 0, 300, 0},
      testing::kStartSeconds, 1);
  const std::vector<TokenCase> cases{
      {"its own", bytes_of(token_of(self, entity, "secret", kScopeSubscribe)), true},
      {"a chain of one", chain_of({token_of(self, entity, "secret", kScopeSubscribe)}), true},
      {"for every channel", bytes_of(*wildcard), true},
      {"handed on", chain_of({delegable, handed_on}), true},
      {"none", {}, false},
      {"signed by itself", bytes_of(token_of(subject, entity, "secret", kScopeSubscribe)), false},
      {"of another root", bytes_of(token_of(root, entity, "secret", kScopeSubscribe)), false},
      {"for another subject",
       bytes_of(token_of(self, other.entity_id(), "secret", kScopeSubscribe)), false},
      {"for another channel", bytes_of(token_of(self, entity, "lab/x", kScopeSubscribe)), false},
      {"for publishing", bytes_of(token_of(self, entity, "secret", kScopePublish)), false},
      {"forged", bytes_of(forged), false},
      {"not valid yet", bytes_of(future), false},
      {"the end of a chain alone", bytes_of(handed_on), false},
      {"a chain the wrong way round", chain_of({handed_on, delegable}), false},
      {"not a token", Bytes(50, std::byte{1}), false},
  };
  for (const TokenCase& each : cases) {
    TestBroker t;
    t.add(token_channel());
    t.up(kA);
    t.know(kA, subject);
    EXPECT_EQ(t.subscribe(kA, "secret", each.credential),
              each.accepted ? std::nullopt : std::optional(AckReason::kUnauthorized))
        << each.what;
    EXPECT_EQ(t.publish("secret").size(), each.accepted ? 1u : 0u) << each.what;
  }
}

TEST(Broker, TrustsTheRootsOfAConfigInsteadOfItself) {
  const auto root = identity_of(3), subject = identity_of(1);
  TestBroker t;
  ChannelConfig config = config_of("secret");
  config.token_roots = {root.entity_id()};
  t.add(config);
  t.up(kA);
  t.know(kA, subject);
  const auto own = token_of(t.self, subject.entity_id(), "secret", kScopeSubscribe);
  EXPECT_EQ(t.subscribe(kA, "secret", bytes_of(own)), AckReason::kUnauthorized);
  const auto good = token_of(root, subject.entity_id(), "secret", kScopeSubscribe);
  EXPECT_EQ(t.subscribe(kA, "secret", bytes_of(good)), std::nullopt);
}

TEST(Broker, RemembersASingleTokenButNotAChain) {
  const auto subject = identity_of(1), other = identity_of(2);
  TestBroker t;
  t.add(token_channel());
  t.up(kA);
  t.know(kA, subject);
  const auto token = token_of(t.self, subject.entity_id(), "secret", kScopeSubscribe);
  EXPECT_EQ(t.subscribe(kA, "secret", bytes_of(token)), std::nullopt);
  t.unsubscribe(kA, "secret");
  EXPECT_EQ(t.subscribe(kA, "secret"), std::nullopt) << "the shared cache has it";

  const auto delegable =
      token_of(t.self, subject.entity_id(), "secret", kScopeSubscribe | kScopeDelegate, 300, 1);
  const auto leaf = identity::delegate_token(delegable, subject.signing_key, other.entity_id(),
                                             kScopeSubscribe, testing::kStartSeconds, 5);
  const Bytes chain = TokenChain::of({delegable, *leaf}).value().encode();
  t.up(kB);
  t.know(kB, other);
  EXPECT_EQ(t.subscribe(kB, "secret", chain), std::nullopt);
  EXPECT_EQ(t.subscribe(kB, "secret"), AckReason::kUnauthorized) << "to be shown every time";
  EXPECT_EQ(t.publish("secret"), (std::vector{kA, kB})) << "the refusal ended nothing";
}

TEST(Broker, LetsATokenThatWasInstalledHereSpeakForAPeer) {
  const auto subject = identity_of(1), stranger = identity_of(2);
  TestBroker t;
  t.add(token_channel());
  t.up(kA);
  t.know(kA, subject);
  const auto self_signed = token_of(subject, subject.entity_id(), "secret", kScopeSubscribe);
  ASSERT_TRUE(t.tokens.insert(self_signed, testing::kStartSeconds));
  EXPECT_EQ(t.subscribe(kA, "secret"), AckReason::kUnauthorized) << "no root has signed it";
  ASSERT_TRUE(t.tokens.insert(token_of(t.self, subject.entity_id(), "secret", kScopeSubscribe),
                              testing::kStartSeconds));
  EXPECT_EQ(t.subscribe(kA, "secret"), std::nullopt);
}

TEST(Broker, StopsDeliveringInTheSecondInWhichATokenExpires) {
  const auto subject = identity_of(1);
  for (const bool chained : {false, true}) {
    TestBroker t({.sweep_interval = std::nullopt});
    t.add(token_channel());
    t.up(kA, true);
    t.know(kA, subject);
    const auto other = identity_of(2);
    const auto delegable =
        token_of(t.self, other.entity_id(), "secret", kScopeSubscribe | kScopeDelegate, 10, 1);
    const auto leaf = identity::delegate_token(delegable, other.signing_key, subject.entity_id(),
                                               kScopeSubscribe, testing::kStartSeconds, 5);
    const Bytes credential =
        chained ? TokenChain::of({delegable, *leaf}).value().encode()
                : bytes_of(token_of(t.self, subject.entity_id(), "secret", kScopeSubscribe, 10));
    EXPECT_EQ(t.subscribe(kA, "secret", credential), std::nullopt);
    t.run_to(9.9);
    EXPECT_EQ(t.publish("secret"), std::vector{kA});
    t.run_to(10);
    EXPECT_TRUE(t.publish("secret").empty());
    const auto message = t.sent(kA);
    EXPECT_EQ(std::get<Evicted>(message.value()).reason, EvictionReason::kExpired);
    EXPECT_EQ(t->subscriptions(), 0u);
    EXPECT_EQ(t->channel_info("secret")->counters.skipped_token, 1u);
  }
}

TEST(Broker, EvictsWhoseTokenExpiredOrWasRevokedWithinTheSweepInterval) {
  const auto first = identity_of(1), second = identity_of(2), third = identity_of(4);
  TestBroker t;
  t.add(token_channel());
  for (const auto& [peer, who, ttl] : {std::tuple(kA, &first, 40u), std::tuple(kB, &second, 1000u),
                                       std::tuple(kC, &third, 1000u)}) {
    t.up(peer, true);
    t.know(peer, *who);
    EXPECT_EQ(
        t.subscribe(peer, "secret",
                    bytes_of(token_of(t.self, who->entity_id(), "secret", kScopeSubscribe, ttl))),
        std::nullopt);
  }
  t.run_to(59);
  EXPECT_TRUE(t.silent());
  t.run_to(60);
  auto message = t.sent(kA);
  EXPECT_EQ(std::get<Evicted>(message.value()).reason, EvictionReason::kExpired);
  EXPECT_TRUE(t.silent());
  EXPECT_TRUE(t->is_subscribed(kB, "secret"));
  EXPECT_EQ(t.tokens.size(), 2u) << "what has expired is not kept";

  t.run_to(61);
  ASSERT_TRUE(t.revocations.revoke_below(t.self.entity_id(), 1));
  t.run_to(90);
  message = t.sent(kB);
  EXPECT_EQ(std::get<Evicted>(message.value()).reason, EvictionReason::kRevoked);
  message = t.sent(kC);
  EXPECT_EQ(std::get<Evicted>(message.value()).reason, EvictionReason::kRevoked);
  EXPECT_EQ(t->subscriptions(), 0u);
  EXPECT_EQ(t->next_timeout(), std::nullopt) << "nothing left to sweep";
}

TEST(Broker, NoticesAtTheNextPublishWhateverEndsARight) {
  const auto subject = identity_of(1), other = identity_of(2);
  const auto root = identity_of(3);
  const std::pair<const char*, std::function<void(TestBroker&)>> ways[] = {
      {"revoked", [](TestBroker& t) { t.revocations.revoke_below(t.self.entity_id(), 1); }},
      {"gone from the cache", [](TestBroker& t) { t.tokens.clear(); }},
      {"another identity", [&](TestBroker& t) { t.know(kA, other); }},
      {"another root",
       [&](TestBroker& t) {
         ChannelConfig config = token_channel();
         config.token_roots = {root.entity_id()};
         t.add(config);
       }},
  };
  for (const auto& [what, end] : ways) {
    TestBroker t;
    t.add(token_channel());
    t.up(kA);
    t.know(kA, subject);
    t.subscribe(kA, "secret",
                bytes_of(token_of(t.self, subject.entity_id(), "secret", kScopeSubscribe)));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(t.publish("secret"), std::vector{kA}) << what;
    end(t);
    // In the same second.
    const auto publication = t->recipients(t.now, name_of("secret"));
    EXPECT_TRUE(publication.nodes.empty()) << what;
    EXPECT_EQ(t->subscriptions(), publication.verdict == Verdict::kDenied ? 1u : 0u) << what;
  }
}

TEST(Broker, SweepsEverySecondAtMostAndNeverWhenSwitchedOff) {
  TestBroker fast({.sweep_interval = Duration(0)});
  fast.add(config_of("a"));
  EXPECT_EQ(fast->next_timeout(), std::nullopt);
  fast.up(kA);
  fast.subscribe(kA, "a");
  EXPECT_EQ(fast->next_timeout(), at(1).monotonic);
  TestBroker off({.sweep_interval = std::nullopt});
  off.add(config_of("a"));
  off.up(kA);
  off.subscribe(kA, "a");
  EXPECT_EQ(off->next_timeout(), std::nullopt);
}

TEST(Broker, KeepsASubscriptionWhoseTokenWasRenewed) {
  const auto subject = identity_of(1);
  TestBroker t;
  t.add(token_channel());
  t.up(kA);
  t.know(kA, subject);
  t.subscribe(kA, "secret",
              bytes_of(token_of(t.self, subject.entity_id(), "secret", kScopeSubscribe, 40)));
  t.run_to(20);
  ASSERT_TRUE(t.tokens.insert(token_of(t.self, subject.entity_id(), "secret", kScopeSubscribe, 400),
                              testing::kStartSeconds));
  t.run_to(100);
  EXPECT_EQ(t.publish("secret"), std::vector{kA});
}

TEST(Broker, EvictsWhoAnnouncesLessThanTheChannelAsksFor) {
  TestBroker t;
  ChannelConfig config = config_of("a");
  config.subscribe_caps = requires_tag("gpu");
  t.add(config);
  for (const NodeId peer : {kA, kB}) {
    t.up(peer, true);
    t.host.capabilities[peer].add_tag("gpu");
    EXPECT_EQ(t.subscribe(peer, "a"), std::nullopt);
  }
  t.host.capabilities[kA] = {};
  t.host.capabilities.erase(kB);
  t.run_to(30);
  const auto message = t.sent(kA);
  EXPECT_EQ(std::get<Evicted>(message.value()).reason, EvictionReason::kCapabilities);
  EXPECT_EQ(t.publish("a"), std::vector{kB}) << "an announcement that ran out says nothing";
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
