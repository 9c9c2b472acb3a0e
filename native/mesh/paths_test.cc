// Peers that move, peers that forget, and handshakes under pressure, seen from one node.

#include <gtest/gtest.h>

#include "mesh/node_testing.h"
#include "session/stream_gate.h"
#include "wire/modern_control.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"

namespace netmesh::mesh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::address_of;
using testing::carry;
using testing::Datagram;
using testing::make_config;
using testing::TestNode;

std::vector<Datagram> to(const Endpoint& address, std::vector<Datagram> datagrams) {
  std::erase_if(datagrams, [&](const Datagram& datagram) { return datagram.to != address; });
  return datagrams;
}

std::size_t bytes_of(const std::vector<Datagram>& datagrams) {
  std::size_t sum = 0;
  for (const Datagram& datagram : datagrams) sum += datagram.bytes.size();
  return sum;
}

/// Two connected nodes whose first exchange is over. They have one clock.
class Paths : public testing::Pair {
 protected:
  void SetUp() override {
    connect();
    for (int i = 0; i < 5; ++i) settle(milliseconds(50));
  }
  void settle(Duration duration) {
    // In step, so that timers of both fire.
    const Duration end = a.clock + duration;
    while (a.clock < end) {
      for (TestNode* node : {&a, &b}) {
        node->clock += milliseconds(10);
        if (const auto due = node->node.next_timeout(); due && *due <= node->now().monotonic)
          node->node.handle_timeout(node->now());
      }
      carry({&a, &b});
    }
  }
  /// One packet of `from`: the next heartbeat's.
  Bytes packet_of(TestNode& from) {
    while (true) {
      auto sent = from.pass(seconds(5));
      if (!sent.empty()) return sent.back().bytes;
    }
  }
  Endpoint elsewhere = address_of(77);
};

TEST_F(Paths, ANewerPacketFromElsewhereIsAnsweredByAChallengeOfThreeTimesItsSize) {
  const Bytes packet = packet_of(b);
  a.receive(elsewhere, packet);
  const auto sent = a.sent();
  const auto challenges = to(elsewhere, sent);
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_LE(challenges[0].bytes.size(), 3 * packet.size());
  EXPECT_EQ(a.node.peers()[0].address, b.address) << "nothing is believed yet";
  // What else there is to say goes where the peer was.
  for (const Datagram& datagram : sent) {
    if (datagram.to != elsewhere) {
      EXPECT_EQ(datagram.to, b.address);
    }
  }
}

TEST_F(Paths, AnAnswerFromThereMovesThePath) {
  a.receive(elsewhere, packet_of(b));
  for (Datagram& datagram : a.sent()) b.receive(a.address, std::move(datagram.bytes));
  for (Datagram& datagram : b.sent()) a.receive(elsewhere, std::move(datagram.bytes));
  EXPECT_EQ(a.node.peers()[0].address, elsewhere);
  EXPECT_EQ(a.node.counters().paths_changed, 1u);
  EXPECT_EQ(b.node.counters().paths_changed, 0u);
  EXPECT_TRUE(a.sink.downs.empty());
  for (const Datagram& datagram : a.pass(seconds(6))) EXPECT_EQ(datagram.to, elsewhere);
}

TEST_F(Paths, ASilentAddressIsAskedAFewTimesAndGetsNoMoreThanThreeTimesWhatItSent) {
  const Bytes packet = packet_of(b);
  a.receive(elsewhere, packet);
  const auto sent = to(elsewhere, a.pass(seconds(60)));
  EXPECT_GE(sent.size(), 1u);
  EXPECT_LE(sent.size(), 4u);
  EXPECT_LE(bytes_of(sent), 3 * packet.size());
  EXPECT_EQ(a.node.counters().paths_failed, 1u);
  EXPECT_EQ(a.node.peers()[0].address, b.address);
}

TEST_F(Paths, ACopyOfWhatArrivedMovesNothing) {
  const Bytes packet = packet_of(b);
  a.receive(b.address, packet);
  a.sent();
  for (int i = 0; i < 100; ++i) a.receive(elsewhere, packet);
  EXPECT_TRUE(to(elsewhere, a.pass(seconds(20))).empty());
  EXPECT_EQ(a.node.counters().dropped_replay, 100u);
}

TEST_F(Paths, AnOlderPacketFromElsewhereMovesNothing) {
  const Bytes older = packet_of(b), newer = packet_of(b);
  a.receive(b.address, newer);
  a.sent();
  a.receive(elsewhere, older);
  EXPECT_TRUE(to(elsewhere, a.sent()).empty());
}

TEST_F(Paths, ADamagedPacketFromElsewhereMovesNothing) {
  Bytes packet = packet_of(b);
  packet.back() ^= std::byte{1};
  a.receive(elsewhere, packet);
  EXPECT_TRUE(to(elsewhere, a.sent()).empty());
  EXPECT_EQ(a.node.counters().dropped_authentication, 1u);
}

TEST_F(Paths, PacketsFromManyAddressesCostNoMoreThanTheyBring) {
  std::map<Endpoint, std::size_t> came, went;
  for (int i = 0; i < 50; ++i) {
    const Endpoint from = address_of(100 + i % 5);
    const Bytes packet = packet_of(b);
    came[from] += packet.size();
    a.receive(from, packet);
    for (const Datagram& datagram : a.pass(milliseconds(300)))
      went[datagram.to] += datagram.bytes.size();
  }
  for (const auto& [address, bytes] : came) EXPECT_LE(went[address], 3 * bytes);
  EXPECT_EQ(a.node.peers()[0].address, b.address);
}

// --- loss of state ---

TEST_F(Paths, APeerThatLostItsStateIsNoticedByItsResetAndConnectedAnew) {
  TestNode reborn(2);
  reborn.clock = a.clock;
  reborn.node.start(reborn.now());
  const Bytes packet = packet_of(a);
  reborn.receive(a.address, packet);
  auto answer = reborn.sent();
  ASSERT_EQ(answer.size(), 1u);
  EXPECT_LT(answer[0].bytes.size(), packet.size());
  EXPECT_TRUE(wire::parse_reset(answer[0].bytes).has_value());
  EXPECT_EQ(reborn.node.counters().resets_sent, 1u);
  a.receive(b.address, answer[0].bytes);
  ASSERT_EQ(a.sink.downs.size(), 1u);
  EXPECT_EQ(a.sink.downs[0].reason, DownReason::kRestarted);
  EXPECT_EQ(a.node.counters().peers_restarted, 1u);
  carry({&a, &reborn});
  EXPECT_EQ(a.sink.ups.size(), 2u);
  EXPECT_EQ(reborn.sink.ups.size(), 1u);
  // The same reset again concerns a session that is gone.
  a.receive(b.address, answer[0].bytes);
  EXPECT_EQ(a.sink.downs.size(), 1u);
  EXPECT_EQ(a.node.counters().dropped_authentication, 1u);
}

TEST_F(Paths, AResetWithoutTheTokenIsCountedAndIgnored) {
  const auto header = wire::parse_modern_header(packet_of(b));
  ASSERT_TRUE(header.has_value());
  wire::ResetDatagram reset;
  reset.session_id = header->session_id;
  for (int byte = 0; byte < 256; ++byte) {
    reset.token.fill(static_cast<std::byte>(byte));
    a.receive(b.address, wire::make_reset(reset));
  }
  EXPECT_EQ(a.node.counters().dropped_authentication, 256u);
  EXPECT_TRUE(a.sink.downs.empty());
  Bytes cut = wire::make_reset(reset);
  cut.pop_back();
  a.receive(b.address, cut);
  EXPECT_EQ(a.node.counters().dropped_invalid, 1u);
}

TEST_F(Paths, ResetsAreFewAndNeverAnswerEachOther) {
  Bytes stray(wire::kModernOverheadBytes + 30);
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    wire::write_modern_header({false, SessionId{1'000 + i}, PacketNumber{i}}, stray.data());
    a.receive(elsewhere, stray);
  }
  const auto resets = to(elsewhere, a.sent());
  EXPECT_GE(resets.size(), 100u);
  EXPECT_LE(resets.size(), 300u);
  for (const Datagram& reset : resets) b.receive(a.address, reset.bytes);
  EXPECT_TRUE(b.sent().empty());
  // What is no longer than a reset gets none.
  a.clock += seconds(60);
  stray.resize(wire::kModernOverheadBytes);
  a.receive(elsewhere, stray);
  EXPECT_TRUE(to(elsewhere, a.sent()).empty());
}

TEST_F(Paths, ASessionThatThisNodeEndedCallsForNoReset) {
  const Bytes late = packet_of(b);
  a.node.disconnect(a.now(), b.node.node_id());
  a.sent();
  EXPECT_EQ(a.node.peer_count(), 0u);
  a.receive(b.address, late);
  EXPECT_TRUE(a.sent().empty());
  EXPECT_EQ(a.node.counters().resets_sent, 0u);
}

// --- cookies ---

struct Cookies : ::testing::Test {
  static NodeConfig strict() {
    NodeConfig config = make_config(1);
    config.unproven_handshakes_per_second = 1;
    return config;
  }
  void SetUp() override {
    victim.node.start(victim.now());
    // Two are free: they make it busy.
    for (int number = 50; number < 52; ++number) {
      TestNode stranger(number);
      stranger.connect(victim);
      for (Datagram& datagram : stranger.sent())
        victim.receive(stranger.address, std::move(datagram.bytes));
    }
    victim.sent();
  }
  Bytes first_message(TestNode& from) {
    from.connect(victim);
    auto sent = from.sent();
    EXPECT_EQ(sent.size(), 1u);
    return sent.at(0).bytes;
  }
  std::uint64_t completed() const { return victim.node.counters().handshakes_completed; }

  TestNode victim{1, strict()}, honest{2};
};

TEST_F(Cookies, UnderPressureAFirstMessageIsAnsweredByAShorterCookie) {
  const std::uint64_t before = completed();
  const Bytes message = first_message(honest);
  victim.receive(honest.address, message);
  const auto sent = victim.sent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, honest.address);
  EXPECT_LT(sent[0].bytes.size(), message.size());
  EXPECT_TRUE(wire::parse_cookie(sent[0].bytes).has_value());
  EXPECT_EQ(completed(), before) << "no work was done";
  EXPECT_EQ(victim.node.counters().cookies_sent, 1u);
}

TEST_F(Cookies, WithItsCookieTheMessageGetsIn) {
  honest.connect(victim);
  carry({&victim, &honest});
  EXPECT_EQ(honest.node.peer_count(), 1u);
  EXPECT_EQ(victim.node.counters().cookies_sent, 1u);
  EXPECT_EQ(victim.sink.ups.back(), honest.node.node_id());
}

TEST_F(Cookies, AMessageFromElsewhereNeedsItsOwn) {
  const std::uint64_t before = completed();
  victim.receive(honest.address, first_message(honest));
  honest.receive(victim.address, victim.sent().at(0).bytes);
  const auto proven = honest.sent();
  ASSERT_EQ(proven.size(), 1u);
  victim.receive(address_of(3), proven[0].bytes);
  EXPECT_EQ(completed(), before);
  EXPECT_EQ(victim.sent().at(0).to, address_of(3)) << "another cookie";
  victim.receive(honest.address, proven[0].bytes);
  EXPECT_EQ(completed(), before + 1);
}

TEST_F(Cookies, RepliesThatNobodyAskedForAreIgnored) {
  const Bytes message = first_message(honest);
  victim.receive(honest.address, message);
  const Bytes reply = victim.sent().at(0).bytes;
  TestNode other(9);
  other.receive(victim.address, reply);
  EXPECT_TRUE(other.sent().empty());
  EXPECT_EQ(other.node.counters().dropped_handshake, 1u);
  honest.receive(address_of(8), reply);
  EXPECT_TRUE(honest.sent().empty()) << "not from where it asked";
  wire::CookieDatagram forged = *wire::parse_cookie(reply);
  forged.attempt[0] ^= std::byte{1};
  honest.receive(victim.address, wire::make_cookie(forged));
  EXPECT_TRUE(honest.sent().empty());
  EXPECT_EQ(honest.node.counters().dropped_handshake, 2u);
}

TEST_F(Cookies, NobodyIsMadeToRepeatHimselfForEver) {
  const Bytes message = first_message(honest);
  victim.receive(honest.address, message);
  const Bytes reply = victim.sent().at(0).bytes;
  std::size_t repeated = 0;
  for (int i = 0; i < 100; ++i) {
    honest.receive(victim.address, reply);
    repeated += honest.sent().size();
  }
  EXPECT_GE(repeated, 1u);
  EXPECT_LE(repeated, 3u);
}

TEST_F(Cookies, PressureEndsByItself) {
  victim.clock += seconds(2);
  const std::uint64_t before = completed();
  victim.receive(honest.address, first_message(honest));
  EXPECT_EQ(completed(), before + 1);
  EXPECT_EQ(victim.node.counters().cookies_sent, 0u);
}

}  // namespace
}  // namespace netmesh::mesh
