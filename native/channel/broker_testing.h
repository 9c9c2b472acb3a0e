#pragma once
// What the tests of the broker share.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel/broker.h"
#include "channel/channel_testing.h"

namespace netmesh::channel::testing {

inline constexpr NodeId kA{100}, kB{200}, kC{300};

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
    EXPECT_EQ(publication.verdict, Broker::PublishVerdict::kAllowed);
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
  TestHost host;
  identity::TokenCache tokens;
  identity::RevocationRegistry revocations;
  std::unique_ptr<Broker> broker;
};

inline ChannelConfig token_channel(std::string_view name = "secret") {
  ChannelConfig config = config_of(name);
  config.require_token = true;
  return config;
}

}  // namespace netmesh::channel::testing
