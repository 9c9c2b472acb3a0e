#include "channel/subscriber.h"

#include <gtest/gtest.h>

#include "channel/channel_testing.h"
#include "channel/errors.h"

namespace netmesh::channel {
namespace {

using testing::at;
using testing::bytes_of;
using testing::config_of;
using testing::identity_of;
using testing::name_of;
using testing::Random;
using testing::token_of;
using SubscribeDone = Subscriber::SubscribeDone;
using UnsubscribeDone = Subscriber::UnsubscribeDone;

constexpr NodeId kPublisher{100}, kOther{200};

/// A subscriber whose publisher is played by hand.
struct TestSubscriber {
  explicit TestSubscriber(bool modern, Subscriber::Options options = {})
      : subscriber(random, options) {
    subscriber.peer_up(now, kPublisher, {modern});
  }
  Subscriber* operator->() { return &subscriber; }

  RequestId subscribe(std::string_view channel = "lab/x", SubscribeOptions options = {}) {
    return subscriber.subscribe(now, kPublisher, name_of(channel), std::move(options)).value();
  }
  RequestId unsubscribe(std::string_view channel = "lab/x") {
    return subscriber.unsubscribe(now, kPublisher, name_of(channel)).value();
  }
  /// The next message that leaves; to the publisher.
  template <typename Kind>
  Kind sent() {
    const auto out = subscriber.poll_transmit();
    EXPECT_TRUE(out.has_value());
    EXPECT_EQ(out->to, kPublisher);
    return std::get<Kind>(decode(out->message).value());
  }
  bool silent() { return !subscriber.poll_transmit().has_value(); }
  void reply(const Message& message, NodeId from = kPublisher) {
    EXPECT_EQ(subscriber.handle(now, from, encode(message)), Received::kHandled);
  }
  template <typename Kind>
  Kind event() {
    auto out = subscriber.poll_event();
    EXPECT_TRUE(out.has_value());
    return std::get<Kind>(*out);
  }
  bool quiet() { return !subscriber.poll_event().has_value(); }
  void run_to(double seconds) {
    const Now end = at(seconds);
    while (subscriber.next_timeout() && *subscriber.next_timeout() <= end.monotonic) {
      const Duration step = std::max(*subscriber.next_timeout() - now.monotonic, Duration(0));
      now = {now.monotonic + step, now.unix_ns + step.count()};
      subscriber.handle_timeout(now);
    }
    now = end;
  }
  /// Subscribed, with nothing left in any queue; the nonce of it.
  std::uint64_t join_modern(std::uint64_t epoch = 1) {
    subscribe();
    const std::uint64_t nonce = sent<ModernSubscribe>().base.nonce;
    reply(modern_ack(nonce, epoch));
    EXPECT_EQ(event<SubscribeDone>().outcome, Outcome::kAccepted);
    return nonce;
  }
  static ModernAck modern_ack(std::uint64_t nonce, std::uint64_t epoch = 1,
                              AckReason reason = AckReason::kNone) {
    return {.base = {nonce, reason == AckReason::kNone, reason}, .epoch = epoch};
  }

  Now now = at(0);
  Random random{1};
  Subscriber subscriber;
};

// --- requests ---

TEST(Subscriber, SubscribesAtABasePublisherWithTheMessageOfBase) {
  TestSubscriber t(false);
  const auto token =
      token_of(identity_of(0), identity_of(1).entity_id(), "lab/x", identity::kScopeSubscribe);
  const RequestId request =
      t.subscribe("lab/x", {.credential = bytes_of(token), .queue_group = "g", .replay = 5});
  const auto message = t.sent<Subscribe>();
  EXPECT_EQ(message.name.text(), "lab/x");
  EXPECT_EQ(message.credential, bytes_of(token));
  EXPECT_EQ(message.queue_group, "g");
  EXPECT_TRUE(t.quiet());
  t.reply(Ack{message.nonce, true, AckReason::kNone});
  const auto done = t.event<SubscribeDone>();
  EXPECT_EQ(done.request, request);
  EXPECT_EQ(done.outcome, Outcome::kAccepted);
  EXPECT_EQ(t->size(), 1u);
  EXPECT_EQ(t->next_timeout(), std::nullopt);
}

TEST(Subscriber, TellsAModernPublisherMoreAndLearnsMore) {
  TestSubscriber t(true);
  t.subscribe("lab/x", {.credential = {}, .queue_group = {}, .replay = 7});
  const auto message = t.sent<ModernSubscribe>();
  EXPECT_EQ(message.replay, 7u);
  EXPECT_EQ(message.known_epoch, 0u);
  t.reply(ModernAck{.base = {message.base.nonce, true, AckReason::kNone},
                    .reliable = true,
                    .replayed = 3,
                    .epoch = 9});
  const auto done = t.event<SubscribeDone>();
  EXPECT_TRUE(done.reliable);
  EXPECT_EQ(done.replayed, 3u);
  const auto all = t->subscriptions();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all[0].active && all[0].reliable);
}

TEST(Subscriber, SendsAChainOfOneToABasePublisherAsABareToken) {
  const auto token =
      token_of(identity_of(0), identity_of(1).entity_id(), "lab/x", identity::kScopeSubscribe);
  const Bytes chain = identity::TokenChain::of({token}).value().encode();
  for (const bool modern : {false, true}) {
    TestSubscriber t(modern);
    t.subscribe("lab/x", {.credential = chain, .queue_group = {}});
    EXPECT_EQ(modern ? t.sent<ModernSubscribe>().base.credential : t.sent<Subscribe>().credential,
              modern ? chain : bytes_of(token));
  }
}

TEST(Subscriber, RefusesBadRequestsBeforeAnyEffect) {
  TestSubscriber t(true, {.max_subscriptions = 1});
  const auto refusal = [&](NodeId publisher, const char* channel, SubscribeOptions options) {
    const auto result = t->subscribe(t.now, publisher, name_of(channel), std::move(options));
    EXPECT_FALSE(result);
    return result ? Error{} : result.error();
  };
  Error error = refusal(kPublisher, "a", {.credential = Bytes(168), .queue_group = {}});
  EXPECT_EQ(error.kind, ErrorKind::kToken);
  EXPECT_EQ(error.message, "token: invalid_format");
  error = refusal(kPublisher, "a", {.credential = {}, .queue_group = std::string(256, 'x')});
  EXPECT_EQ(error.message, "channel: invalid queueGroup: expected 1 to 255 bytes of UTF-8");
  error = refusal(kPublisher, "a", {.credential = {}, .queue_group = "\xFF"});
  EXPECT_EQ(error.message, "channel: invalid queueGroup: expected 1 to 255 bytes of UTF-8");
  error = refusal(NodeId(0xabc), "a", {});
  EXPECT_EQ(error.kind, ErrorKind::kChannel);
  EXPECT_EQ(error.message, "channel: connection error: no session to publisher 0xabc");
  EXPECT_EQ(t->unsubscribe(t.now, NodeId(0xabc), name_of("a")).error().message, error.message);
  EXPECT_TRUE(t.silent());
  EXPECT_EQ(t->next_timeout(), std::nullopt);
  t.subscribe("a");
  EXPECT_EQ(refusal(kPublisher, "b", {}).message,
            "channel: more than 1 subscriptions and requests of this node");
  EXPECT_TRUE(t->subscribe(t.now, kPublisher, name_of("a"))) << "the same one needs no room";
}

TEST(Subscriber, ReportsEveryReasonOfARefusal) {
  const std::pair<AckReason, const char*> cases[] = {
      {AckReason::kNone, "channel: rejected (None)"},
      {AckReason::kUnauthorized, "channel: unauthorized"},
      {AckReason::kUnknownChannel, "channel: unknown channel"},
      {AckReason::kRateLimited, "channel: rate limited"},
      {AckReason::kTooManyChannels, "channel: too many channels"},
  };
  for (const auto& [reason, text] : cases) {
    TestSubscriber t(false);
    t.subscribe();
    t.reply(Ack{t.sent<Subscribe>().nonce, false, reason});
    const auto done = t.event<SubscribeDone>();
    EXPECT_EQ(done.outcome, Outcome::kRefused);
    EXPECT_EQ(refused(done.reason).message, text);
    EXPECT_EQ(refused(done.reason).kind,
              reason == AckReason::kUnauthorized ? ErrorKind::kChannelDenied : ErrorKind::kChannel);
    EXPECT_EQ(t->size(), 0u);
  }
}

TEST(Subscriber, TakesAnAckOnlyFromThePublisherAndOnlyOnce) {
  TestSubscriber t(false);
  t->peer_up(t.now, kOther, {});
  t.subscribe();
  const std::uint64_t nonce = t.sent<Subscribe>().nonce;
  t.reply(Ack{nonce, true, AckReason::kNone}, kOther);
  t.reply(Ack{nonce + 1, true, AckReason::kNone});
  EXPECT_TRUE(t.quiet());
  t.reply(Ack{nonce, true, AckReason::kNone});
  t.reply(Ack{nonce, false, AckReason::kUnauthorized});
  EXPECT_EQ(t.event<SubscribeDone>().outcome, Outcome::kAccepted);
  EXPECT_TRUE(t.quiet());
  EXPECT_EQ(t->counters().ignored_acks, 3u);
  EXPECT_EQ(t->handle(t.now, NodeId(1), encode(Ack{nonce, true, AckReason::kNone})),
            Received::kForeign);
}

TEST(Subscriber, RepeatsARequestToABasePublisherUntilFiveSecondsHavePassed) {
  TestSubscriber t(false);
  const RequestId request = t.subscribe();
  const std::uint64_t nonce = t.sent<Subscribe>().nonce;
  for (const double due : {0.25, 0.75, 1.75, 3.75}) {
    t.run_to(due - 0.001);
    EXPECT_TRUE(t.silent()) << due;
    t.run_to(due);
    EXPECT_EQ(t.sent<Subscribe>().nonce, nonce) << due;
  }
  t.run_to(4.999);
  EXPECT_TRUE(t.quiet());
  t.run_to(5);
  const auto done = t.event<SubscribeDone>();
  EXPECT_EQ(done.request, request);
  EXPECT_EQ(done.outcome, Outcome::kTimedOut);
  EXPECT_EQ(ack_timeout(std::chrono::seconds(5), "lab/x").message,
            "channel: connection error: membership ack timeout (5s) for channel lab/x");
  EXPECT_TRUE(t.silent());
  t.reply(Ack{nonce, true, AckReason::kNone});
  EXPECT_TRUE(t.quiet()) << "too late";
  EXPECT_EQ(t->size(), 0u);
}

TEST(Subscriber, DoesNotRepeatWhatAModernSessionDeliversAnyway) {
  TestSubscriber t(true);
  t.subscribe();
  t.sent<ModernSubscribe>();
  t.run_to(4.9);
  EXPECT_TRUE(t.silent());
  t.run_to(5);
  EXPECT_EQ(t.event<SubscribeDone>().outcome, Outcome::kTimedOut);
}

TEST(Subscriber, AsksForOneThingAtATime) {
  TestSubscriber t(false);
  const RequestId first = t.subscribe();
  const RequestId second = t.unsubscribe();
  const RequestId third = t.subscribe("lab/y");
  const auto joining = t.sent<Subscribe>();
  EXPECT_EQ(t.sent<Subscribe>().name.text(), "lab/y") << "other channels need not wait";
  EXPECT_TRUE(t.silent());
  t.reply(Ack{joining.nonce, true, AckReason::kNone});
  EXPECT_EQ(t.event<SubscribeDone>().request, first);
  const auto leaving = t.sent<Unsubscribe>();
  EXPECT_NE(leaving.nonce, joining.nonce);
  EXPECT_EQ(t->size(), 0u) << "not expected any more from here on";
  t.reply(Ack{leaving.nonce, true, AckReason::kNone});
  EXPECT_EQ(t.event<UnsubscribeDone>().request, second);
  t.run_to(5);
  EXPECT_EQ(t.event<SubscribeDone>().request, third);
}

TEST(Subscriber, GivesBackWhatWasGrantedAfterTheCallerLostInterest) {
  TestSubscriber t(true);
  const RequestId request = t.subscribe();
  const RequestId waiting = t.subscribe();
  t->cancel(t.now, waiting);
  t->cancel(t.now, request);
  t->cancel(t.now, request);
  t.reply(TestSubscriber::modern_ack(t.sent<ModernSubscribe>().base.nonce));
  EXPECT_TRUE(t.quiet());
  EXPECT_EQ(t->size(), 0u);
  t.reply(Ack{t.sent<Unsubscribe>().nonce, true, AckReason::kNone});
  EXPECT_TRUE(t.silent() && t.quiet());
  EXPECT_EQ(t->next_timeout(), std::nullopt);
}

TEST(Subscriber, CancelsARefreshWithoutLosingWhatItHas) {
  TestSubscriber t(true);
  t.join_modern();
  t->cancel(t.now, t.subscribe());
  t.reply(TestSubscriber::modern_ack(t.sent<ModernSubscribe>().base.nonce));
  EXPECT_TRUE(t.silent());
  EXPECT_EQ(t->size(), 1u);
}

// --- payloads ---

TEST(Subscriber, AttributesPayloadsFromTheRequestToTheUnsubscribe) {
  TestSubscriber t(true);
  const StreamId stream = name_of("lab/x").stream();
  EXPECT_EQ(t->channel_of(kPublisher, stream), nullptr);
  t.subscribe();
  ASSERT_NE(t->channel_of(kPublisher, stream), nullptr) << "payloads may overtake the Ack";
  EXPECT_EQ(t->channel_of(kPublisher, stream)->text(), "lab/x");
  EXPECT_EQ(t->channel_of(kOther, stream), nullptr) << "not asked for there";
  EXPECT_EQ(t->channel_of(kPublisher, name_of("lab/y").stream()), nullptr);
  t.reply(TestSubscriber::modern_ack(t.sent<ModernSubscribe>().base.nonce));
  EXPECT_NE(t->channel_of(kPublisher, stream), nullptr);
  t.unsubscribe();
  EXPECT_EQ(t->channel_of(kPublisher, stream), nullptr);
  t.reply(Ack{t.sent<Unsubscribe>().nonce, true, AckReason::kNone});
  t.subscribe();
  t.reply(TestSubscriber::modern_ack(t.sent<ModernSubscribe>().base.nonce, 1,
                                     AckReason::kUnauthorized));
  EXPECT_EQ(t->channel_of(kPublisher, stream), nullptr) << "refused";
}

// --- what happens to subscriptions ---

TEST(Subscriber, SubscribesAgainWhenASessionWasReplaced) {
  TestSubscriber t(true);
  t.join_modern(9);
  t->peer_up(t.now, kPublisher, {true});
  const auto message = t.sent<ModernSubscribe>();
  EXPECT_EQ(message.known_epoch, 9u);
  t.reply(TestSubscriber::modern_ack(message.base.nonce, 10));
  EXPECT_EQ(t.event<Subscriber::Resubscribed>().channel.text(), "lab/x");
  EXPECT_TRUE(t.quiet());
  EXPECT_TRUE(t->subscriptions()[0].active);
}

TEST(Subscriber, WaitsForAPublisherThatIsAway) {
  TestSubscriber t(true);
  t.join_modern();
  t->peer_down(t.now, kPublisher);
  EXPECT_EQ(t.event<Subscriber::Suspended>().publisher, kPublisher);
  EXPECT_FALSE(t->subscriptions()[0].active);
  t.run_to(3600);
  EXPECT_TRUE(t.silent() && t.quiet());
  t->peer_up(t.now, kPublisher, {true});
  t.reply(TestSubscriber::modern_ack(t.sent<ModernSubscribe>().base.nonce));
  t.event<Subscriber::Resubscribed>();
}

TEST(Subscriber, ForgetsAtOnceWhatIsLeftWhileThePublisherIsAway) {
  TestSubscriber t(true);
  t.join_modern();
  t->peer_down(t.now, kPublisher);
  t.event<Subscriber::Suspended>();
  const RequestId request = t.unsubscribe();
  EXPECT_EQ(t.event<UnsubscribeDone>().request, request);
  EXPECT_FALSE(t->unsubscribe(t.now, kPublisher, name_of("lab/x"))) << "and nothing is left";
  t->peer_up(t.now, kPublisher, {true});
  EXPECT_TRUE(t.silent());
}

TEST(Subscriber, IsPatientWithARestartedPublisher) {
  TestSubscriber t(true);
  t.join_modern();
  t->peer_up(t.now, kPublisher, {true});
  int asked = 0;
  for (double seconds = 0; seconds < 20; seconds += 0.125) {
    t.run_to(seconds);
    while (auto out = t->poll_transmit()) {
      const auto request = std::get<ModernSubscribe>(decode(out->message).value());
      t.reply(TestSubscriber::modern_ack(request.base.nonce, 2, AckReason::kUnknownChannel));
      ++asked;
    }
  }
  EXPECT_EQ(asked, 7) << "at 0, 0.25, 0.75, 1.75, 3.75, 7.75 and 15.75 s";
  EXPECT_TRUE(t.quiet()) << "not lost yet";
  t.run_to(23.75);
  t.reply(TestSubscriber::modern_ack(t.sent<ModernSubscribe>().base.nonce, 2));
  t.event<Subscriber::Resubscribed>();
}

TEST(Subscriber, GivesUpASubscriptionThatStaysRefusedOrUnanswered) {
  for (const bool answered : {true, false}) {
    TestSubscriber t(false);
    t.subscribe();
    t.reply(Ack{t.sent<Subscribe>().nonce, true, AckReason::kNone});
    t.event<SubscribeDone>();
    t->peer_up(t.now, kPublisher, {false});
    for (double seconds = 0; seconds < 60; seconds += 0.125) {
      t.run_to(seconds);
      while (auto out = t->poll_transmit()) {
        const auto request = std::get<Subscribe>(decode(out->message).value());
        if (answered) t.reply(Ack{request.nonce, false, AckReason::kUnauthorized});
      }
    }
    const auto lost = t.event<Subscriber::SubscriptionLost>();
    if (answered) {
      EXPECT_EQ(std::get<AckReason>(lost.reason), AckReason::kUnauthorized);
    } else {
      EXPECT_TRUE(std::holds_alternative<std::monostate>(lost.reason));
    }
    EXPECT_EQ(t->size(), 0u);
    EXPECT_EQ(t->next_timeout(), std::nullopt);
    EXPECT_EQ(t->channel_of(kPublisher, name_of("lab/x").stream()), nullptr);
  }
}

TEST(Subscriber, LearnsThatItWasEvictedUnlessTheNoticeIsAboutAnOlderSubscription) {
  TestSubscriber t(true);
  const std::uint64_t first = t.join_modern();
  const std::uint64_t second = t.join_modern();
  t.reply(Evicted{first, EvictionReason::kExpired, name_of("lab/x")});
  EXPECT_TRUE(t.quiet());
  t.reply(Evicted{second, EvictionReason::kExpired, name_of("lab/x")});
  const auto lost = t.event<Subscriber::SubscriptionLost>();
  EXPECT_EQ(std::get<EvictionReason>(lost.reason), EvictionReason::kExpired);
  EXPECT_EQ(t->size(), 0u);
  t->peer_up(t.now, kPublisher, {true});
  EXPECT_TRUE(t.silent()) << "not asked for again";
}

TEST(Subscriber, BelievesNoEvictionFromABasePeer) {
  TestSubscriber t(false);
  t.subscribe();
  const std::uint64_t nonce = t.sent<Subscribe>().nonce;
  t.reply(Ack{nonce, true, AckReason::kNone});
  EXPECT_EQ(t->handle(t.now, kPublisher,
                      encode(Evicted{nonce, EvictionReason::kExpired, name_of("lab/x")})),
            Received::kUnexpected);
  EXPECT_EQ(t->handle(t.now, kPublisher, encode(TestSubscriber::modern_ack(nonce))),
            Received::kUnexpected);
  EXPECT_EQ(t->size(), 1u);
}

TEST(Subscriber, StaysWithAPublisherThatShutsDown) {
  TestSubscriber t(true);
  const std::uint64_t nonce = t.join_modern();
  t.reply(Evicted{nonce, EvictionReason::kShutdown, name_of("lab/x")});
  t.event<Subscriber::Suspended>();
  t->peer_down(t.now, kPublisher);
  EXPECT_TRUE(t.quiet()) << "said already";
  t->peer_up(t.now, kPublisher, {true});
  t.reply(TestSubscriber::modern_ack(t.sent<ModernSubscribe>().base.nonce, 2));
  t.event<Subscriber::Resubscribed>();
}

TEST(Subscriber, CarriesARequestOverToTheNextSession) {
  TestSubscriber t(true);
  const RequestId request = t.subscribe();
  const std::uint64_t nonce = t.sent<ModernSubscribe>().base.nonce;
  t->peer_down(t.now, kPublisher);
  t.run_to(2);
  EXPECT_TRUE(t.silent() && t.quiet());
  t->peer_up(t.now, kPublisher, {true});
  EXPECT_EQ(t.sent<ModernSubscribe>().base.nonce, nonce);
  t.reply(TestSubscriber::modern_ack(nonce));
  EXPECT_EQ(t.event<SubscribeDone>().request, request);
}

TEST(Subscriber, PutsTheApplicationsRequestBeforeItsOwn) {
  TestSubscriber t(true);
  t.join_modern();
  t->peer_up(t.now, kPublisher, {true});
  const std::uint64_t stale = t.sent<ModernSubscribe>().base.nonce;
  const RequestId request = t.subscribe("lab/x", {.credential = {}, .queue_group = "g"});
  const auto asked = t.sent<ModernSubscribe>();
  EXPECT_EQ(asked.base.queue_group, "g");
  t.reply(TestSubscriber::modern_ack(stale));
  EXPECT_TRUE(t.quiet());
  t.reply(TestSubscriber::modern_ack(asked.base.nonce, 1, AckReason::kUnauthorized));
  EXPECT_EQ(t.event<SubscribeDone>().request, request);
  const auto resumed = t.sent<ModernSubscribe>();
  EXPECT_EQ(resumed.base.queue_group, "") << "what it had is asked for again";
  t.reply(TestSubscriber::modern_ack(resumed.base.nonce));
  t.event<Subscriber::Resubscribed>();
}

}  // namespace
}  // namespace netmesh::channel
