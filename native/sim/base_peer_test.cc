// The peer that plays 0.19 speaks it to the byte (spec 10 §17); what is tested against it is then
// tested against the specification.

#include "sim/base_peer.h"

#include <gtest/gtest.h>

#include "base/hex.h"

namespace netmesh::sim {
namespace {

Bytes hex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ' ' && c != '\n') digits.push_back(c);
  }
  return from_hex(digits).value();
}

/// 32 equal bytes at a time, as the worked examples use for their keys.
class ScriptedRandom final : public RandomSource {
 public:
  explicit ScriptedRandom(std::vector<int> bytes) : bytes_(std::move(bytes)) {}
  void fill(MutableByteSpan out) override {
    std::fill(out.begin(), out.end(), static_cast<std::byte>(bytes_.at(next_++)));
  }

 private:
  std::vector<int> bytes_;
  std::size_t next_ = 0;
};

crypto::Key example_psk() {
  crypto::Key psk;
  psk.fill(std::byte{0x42});
  return psk;
}

/// The initiator and the responder of spec 10 §17, and every datagram between them.
class WorkedExample : public ::testing::Test {
 protected:
  WorkedExample() {
    crypto::initialize();
    network.set_tap([this](const Endpoint&, const Endpoint&, ByteSpan datagram) {
      sent.emplace_back(datagram.begin(), datagram.end());
      return true;
    });
  }

  SimNetwork network{1};
  ScriptedRandom initiator_keys{{0x55, 0x22}};
  ScriptedRandom responder_keys{{0x11, 0x33}};
  BasePeer initiator{network, initiator_keys, Endpoint::ipv4(10, 0, 0, 1, 1),
                     NodeId{0x1111'1111'2222'2222}, example_psk()};
  BasePeer responder{network, responder_keys, Endpoint::ipv4(10, 0, 0, 2, 1),
                     NodeId{0x3333'3333'4444'4444}, example_psk()};
  std::vector<Bytes> sent;
};

TEST_F(WorkedExample, DirectHandshakeAndPackets) {
  ASSERT_EQ(to_hex(responder.public_key()),
            "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13");
  responder.accept(initiator.id());
  initiator.connect(responder.address(), responder.public_key(), responder.id());
  network.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(initiator.connected() && responder.connected());
  ASSERT_EQ(sent.size(), 2u);
  const Bytes header =
      hex("454e0110 00000000 00000000 000000000000000000000000"
          "0000000000000000 0000000000000000 0000000000000000"
          "00000000 00000000 00000000 30000000");
  Bytes msg1 = header;
  const Bytes noise1 =
      hex("0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"
          "0527c4694d73ff335cc7ed7377fa25ab");
  msg1.insert(msg1.end(), noise1.begin(), noise1.end());
  EXPECT_EQ(to_hex(sent[0]), to_hex(msg1));
  Bytes msg2 = header;
  const Bytes noise2 =
      hex("7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14"
          "3ca8adb125dc8dcc7252ad49dd6678f0");
  msg2.insert(msg2.end(), noise2.begin(), noise2.end());
  EXPECT_EQ(to_hex(sent[1]), to_hex(msg2));
  EXPECT_EQ(initiator.session_id(), SessionId{0x9ef7'fc49'e3c7'8d93});
  EXPECT_EQ(responder.session_id(), initiator.session_id());

  sent.clear();
  responder.grants = false;
  initiator.open(StreamId{7}, {true, 65'536});
  ASSERT_TRUE(initiator.send(StreamId{7}, {Bytes(hex("68656c6c6f"))}));
  initiator.send_heartbeat();
  responder.send_grant(StreamId{7}, 89);
  network.run_for(std::chrono::seconds(1));
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_EQ(to_hex(sent[0]),
            to_hex(hex("454e01010000000000000000 da71307d0000000000000000 938dc7e349fcf79e"
                       "0700000000000000 0000000000000000 0000000000000000 0000000009000100"
                       "052af7ee1383fe06fe c273df69fe61303c50c09f526ace9f6e")));
  EXPECT_EQ(to_hex(sent[1]),
            to_hex(hex("454e01200000000000000000 da71307d0100000000000000 938dc7e349fcf79e"
                       "0000000000000000 0000000000000000 0000000000000000 0000000000000000"
                       "4b1fe1ebc165c1ac74bc3909916ea928")));
  EXPECT_EQ(
      to_hex(sent[2]),
      to_hex(hex("454e010000000000000b0000 da71307d0000000000000000 938dc7e349fcf79e"
                 "ffffffffffffffff 0000000000000000 0000000000000000 0000000014000100"
                 "f1f4c91954d4f5fb7fa08b507b2198c6f5a79aba 4d7accf32d1cc80ad3e39cd624b2e525")));
  ASSERT_EQ(responder.events().size(), 1u);
  EXPECT_EQ(responder.heartbeats(), 1u);
  ASSERT_EQ(initiator.grants_received().size(), 1u);
  EXPECT_EQ(initiator.credit(StreamId{7}), 65'536u);
}

TEST_F(WorkedExample, RoutedHandshake) {
  responder.start();
  initiator.connect_routed(responder.address(), responder.public_key(), responder.id());
  network.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(initiator.connected() && responder.connected());
  ASSERT_EQ(sent.size(), 2u);
  ASSERT_EQ(sent[0].size(), 138u);
  ASSERT_EQ(sent[1].size(), 130u);
  EXPECT_EQ(to_hex(ByteSpan(sent[0]).first(18)), "525410000000222222224444444433333333");
  EXPECT_EQ(to_hex(ByteSpan(sent[0]).subspan(82)),
            to_hex(hex("0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"
                       "58ab13949e65443e7f1d65be24fa5d7ae597b33460c529f5")));
  EXPECT_EQ(to_hex(ByteSpan(sent[1]).first(18)), "525410000000444444442222222211111111");
  EXPECT_EQ(to_hex(ByteSpan(sent[1]).subspan(82)),
            to_hex(hex("7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14"
                       "7d8a852a31724cf0d4f7344c74c72410")));
  EXPECT_EQ(initiator.session_id(), SessionId{0xb57d'2e95'b41e'8486});
}

TEST_F(WorkedExample, ReceiversRefuseForwardJumpsBeyondTheirWindow) {
  responder.accept(initiator.id());
  initiator.connect(responder.address(), responder.public_key(), responder.id());
  network.run_for(std::chrono::seconds(1));
  const auto beat_after = [&](std::uint64_t skipped) {
    initiator.skip_counters(skipped);
    initiator.send_heartbeat();
    network.run_for(std::chrono::seconds(1));
  };
  beat_after(1024);
  EXPECT_EQ(responder.heartbeats(), 1u);
  beat_after(1025);
  EXPECT_EQ(responder.heartbeats(), 1u);
  EXPECT_EQ(responder.dropped(), 1u);
  beat_after(0);
  EXPECT_EQ(responder.heartbeats(), 1u) << "0.19 never recovers from this";
}

}  // namespace
}  // namespace netmesh::sim
