// Who may subscribe and keeps receiving: checks in order, visibility, tokens.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "channel/broker_testing.h"

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
using testing::kA;
using testing::kB;
using testing::kC;
using testing::name_of;
using testing::requires_tag;
using testing::TestBroker;
using testing::token_channel;
using testing::token_of;
using Verdict = Broker::PublishVerdict;

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

}  // namespace
}  // namespace netmesh::channel
