// What a session with a 0.19 node does, rule by rule (spec 10 §6 to §12, §17.5).

#include <gtest/gtest.h>

#include <array>

#include "sim/base_peer.h"
#include "sim/node.h"
#include "sim/sender.h"
#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

constexpr StreamId kStream{7};
const NodeId kBaseId{0x0BA5'0BA5'0BA5'0BA5};

Bytes text(std::string_view value) {
  const ByteSpan bytes = as_byte_span(value);
  return {bytes.begin(), bytes.end()};
}

class LegacyPeer : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const std::string& failure : world.failures()) ADD_FAILURE() << failure;
  }

  /// The base node connects routed and straight to ours, as 0.19 reaches a started node.
  void connect_base() {
    base.connect_routed(node.address(), node.public_key(), node.id());
    world.network.run_for(milliseconds(100));
    ASSERT_TRUE(base.connected());
    ASSERT_TRUE(node.is_up(kBaseId));
  }

  std::shared_ptr<session::StreamGate> open(std::uint32_t window, bool reliable = false) {
    auto gate = node.call([&](mesh::Node& machine, Now now) {
      return machine.open_stream(now, kBaseId, {kStream, reliable, window, 1});
    });
    EXPECT_TRUE(gate.has_value());
    return gate ? *gate : nullptr;
  }

  /// One event in one packet; false when credit does not cover it.
  bool send(const std::shared_ptr<session::StreamGate>& gate, const Bytes& event) {
    session::BatchCost cost;
    cost.add(event.size());
    if (gate->try_admit(cost) != session::StreamGate::Admission::kAdmitted) return false;
    node.call([&](mesh::Node& machine, Now now) {
      machine.send(now, *gate, make_batch({&event, 1}));
    });
    return true;
  }

  void pass(Duration duration = milliseconds(100)) { world.network.run_for(duration); }

  World world{1};
  SimRandom keys{2};
  SimNode& node = world.add(1);
  BasePeer base{world.network, keys, address_of(2), kBaseId, config_of(1).psk};
};

TEST_F(LegacyPeer, CreditFollowsTheWorkedExamples) {
  connect_base();
  base.grants = false;
  const Bytes event = text("{\"t\":\"bp\"}");
  auto gate = open(128);
  EXPECT_TRUE(send(gate, event));
  EXPECT_EQ(gate->credit_remaining(), 34u);
  EXPECT_FALSE(send(gate, event));
  EXPECT_EQ(gate->backpressure_events(), 1u);
  pass();
  base.send_grant(kStream, 93);
  pass();
  EXPECT_EQ(gate->credit_remaining(), 127u);
  base.send_grant(kStream, 94);
  pass();
  EXPECT_EQ(gate->credit_remaining(), 128u);
  EXPECT_TRUE(send(gate, event));
}

TEST_F(LegacyPeer, AWindowOf256AdmitsTwoSmallPackets) {
  connect_base();
  base.grants = false;
  const auto gate = open(256);
  const Bytes event = text("{\"t\":\"bp\"}");
  EXPECT_TRUE(send(gate, event));
  EXPECT_TRUE(send(gate, event));
  EXPECT_EQ(gate->credit_remaining(), 68u);
  EXPECT_FALSE(send(gate, event));
}

TEST_F(LegacyPeer, AWindowOf96AdmitsOneTwoByteEventAtATime) {
  connect_base();
  const auto gate = open(96);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(send(gate, text("ab"))) << i;
    EXPECT_EQ(gate->credit_remaining(), 10u);
    EXPECT_FALSE(send(gate, text("ab")));
    pass();
    EXPECT_EQ(gate->credit_remaining(), 96u);
  }
  EXPECT_EQ(base.events().size(), 20u);
  const auto stats = node.machine().stream_stats(kBaseId, kStream);
  ASSERT_TRUE(stats.has_value());
  EXPECT_EQ(stats->tx_seq, 20u);
  EXPECT_EQ(stats->credit_grants_received, 20u);
  EXPECT_EQ(stats->backpressure_events, 20u);
}

TEST_F(LegacyPeer, HostileGrantsGiveNothingThatWasNotTaken) {
  connect_base();
  base.grants = false;
  const auto gate = open(1'000);
  EXPECT_TRUE(send(gate, text("0123456789")));
  EXPECT_TRUE(send(gate, text("0123456789")));
  EXPECT_EQ(gate->credit_remaining(), 1'000u - 188);
  base.send_grant(StreamId{8}, 94);  // another stream
  // Grants of another length than 16 bytes.
  for (const std::size_t length : {0u, 15u, 17u, 24u}) {
    Bytes plaintext(4 + length, std::byte{0xFF});
    store_le<std::uint32_t>(plaintext.data(), static_cast<std::uint32_t>(length));
    if (length >= 8) store_le<std::uint64_t>(plaintext.data() + 4, kStream.value);
    wire::NetHeader header;
    header.subprotocol_id = wire::subprotocol::kWindowGrant;
    header.stream_id = wire::kControlStream;
    header.event_count = 1;
    base.send_packet(header, plaintext);
  }
  pass();
  EXPECT_EQ(gate->credit_remaining(), 1'000u - 188);
  base.send_grant(kStream, ~std::uint64_t{0});
  pass();
  EXPECT_EQ(gate->credit_remaining(), 1'000u);
  EXPECT_TRUE(send(gate, text("0123456789")));
  base.send_grant(kStream, 94);  // older than what was granted
  pass();
  EXPECT_EQ(gate->credit_remaining(), 1'000u - 94);
  base.send_grant(kStream, 282);
  pass();
  EXPECT_EQ(gate->credit_remaining(), 1'000u);
}

TEST_F(LegacyPeer, GrantsAreOnePerStreamAndReceiveBatch) {
  connect_base();
  node.batch_delay = milliseconds(20);
  base.open(StreamId{1}, {false, 65'536});
  base.open(StreamId{2}, {true, 65'536});
  std::uint64_t cost = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    base.send(StreamId{1}, {Bytes(i)});
    base.send(StreamId{2}, {Bytes(2 * i), Bytes(3)});
    cost += 80 + 4 + i;
  }
  pass();
  ASSERT_EQ(base.grants_received().size(), 2u);
  for (const wire::WindowGrant& grant : base.grants_received()) {
    if (grant.stream_id == StreamId{1})
      EXPECT_EQ(grant.total_consumed, cost);
    else
      EXPECT_EQ(grant.total_consumed, 10u * (80 + 4 + 4 + 3) + 90);
  }
  EXPECT_EQ(base.credit(StreamId{1}), 65'536u);
  EXPECT_EQ(base.credit(StreamId{2}), 65'536u);
  // The last packet of a burst is granted at once, whatever its size.
  base.send(StreamId{1}, {Bytes(1)});
  pass();
  EXPECT_EQ(base.grants_received().size(), 3u);
}

TEST_F(LegacyPeer, AStreamOpenedWithoutWindowGrantsNothing) {
  connect_base();
  open(0);
  base.send(kStream, {Bytes(10)});
  pass();
  EXPECT_TRUE(base.grants_received().empty());
  EXPECT_NE(node.stream(kBaseId, kStream), nullptr);
}

TEST_F(LegacyPeer, AnyForwardJumpOfTheCounterIsAccepted) {
  connect_base();
  for (const std::uint64_t jump : {1ULL, 1'023ULL, 1'024ULL, 1'025ULL, 1ULL << 40}) {
    base.skip_counters(jump);
    base.send(kStream, {Bytes(1)});
    pass();
  }
  ASSERT_NE(node.stream(kBaseId, kStream), nullptr);
  EXPECT_EQ(node.stream(kBaseId, kStream)->messages.size(), 5u);
  EXPECT_EQ(node.machine().counters().dropped_replay, 0u);
}

TEST_F(LegacyPeer, AReplayedPacketIsDroppedAndCounted) {
  connect_base();
  std::vector<Bytes> recorded;
  world.network.set_tap([&](const Endpoint& from, const Endpoint&, ByteSpan datagram) {
    if (from == base.address()) recorded.emplace_back(datagram.begin(), datagram.end());
    return true;
  });
  base.send(kStream, {Bytes(1)});
  pass();
  world.network.set_tap(nullptr);
  ASSERT_EQ(recorded.size(), 1u);
  world.network.inject(base.address(), node.address(), recorded[0]);
  pass();
  EXPECT_EQ(node.stream(kBaseId, kStream)->messages.size(), 1u);
  EXPECT_EQ(node.machine().counters().dropped_replay, 1u);
}

TEST_F(LegacyPeer, GrantsForAStreamClosedLessThanTwoSecondsAgoAreIgnored) {
  connect_base();
  base.grants = false;
  auto gate = open(1'000);
  EXPECT_TRUE(send(gate, text("0123456789")));
  pass();
  node.call([&](mesh::Node& machine, Now now) { machine.close_stream(now, kBaseId, kStream); });
  EXPECT_TRUE(gate->closed());
  EXPECT_FALSE(send(gate, text("x"))) << "a handle of an earlier opening";
  gate = open(1'000);
  EXPECT_TRUE(send(gate, text("0123456789")));
  EXPECT_EQ(gate->credit_remaining(), 906u);
  pass(milliseconds(1'700));
  base.send_grant(kStream, 188);
  pass(milliseconds(100));
  EXPECT_EQ(gate->credit_remaining(), 906u) << "quarantined";
  pass(milliseconds(300));
  base.send_grant(kStream, 188);
  pass();
  EXPECT_EQ(gate->credit_remaining(), 1'000u);
}

TEST_F(LegacyPeer, SequencesRestartWithAnOpening) {
  connect_base();
  auto gate = open(0);
  EXPECT_TRUE(send(gate, text("a")));
  EXPECT_TRUE(send(gate, text("b")));
  pass();
  node.call([&](mesh::Node& machine, Now now) { machine.close_stream(now, kBaseId, kStream); });
  gate = open(0);
  EXPECT_TRUE(send(gate, text("c")));
  pass();
  ASSERT_EQ(base.events().size(), 3u);
  EXPECT_EQ(base.events()[1].sequence, 1u);
  EXPECT_EQ(base.events()[2].sequence, 0u);
}

TEST_F(LegacyPeer, ControlProtocolsAreNotEventsAndUnknownOnesAre) {
  connect_base();
  const auto send_subprotocol = [&](std::uint16_t id) {
    Bytes plaintext(4 + 3);
    store_le<std::uint32_t>(plaintext.data(), 3);
    wire::NetHeader header;
    header.subprotocol_id = id;
    header.stream_id = StreamId{id};
    header.channel_hash = 0xBEEF;  // spec 10, trap 11: left over from something else
    header.event_count = 1;
    base.send_packet(header, plaintext);
    pass();
  };
  constexpr std::array<std::uint16_t, 7> kHandled{0x0500, 0x0A00, 0x0C00, 0x0D00,
                                                  0x0D01, 0x0E00, 0x0F00};
  for (const std::uint16_t id : kHandled) {
    send_subprotocol(id);
    EXPECT_EQ(node.stream(kBaseId, StreamId{id}), nullptr) << std::hex << id;
  }
  constexpr std::array<std::uint16_t, 5> kUnknown{0x0400, 0x0600, 0x0B01, 0x1000, 0xF000};
  for (const std::uint16_t id : kUnknown) {
    send_subprotocol(id);
    EXPECT_NE(node.stream(kBaseId, StreamId{id}), nullptr) << std::hex << id;
  }
  EXPECT_TRUE(node.is_up(kBaseId));
}

TEST_F(LegacyPeer, TruncatedFramesDeliverWhatCameBefore) {
  connect_base();
  Bytes plaintext(4 + 2 + 4 + 2);
  store_le<std::uint32_t>(plaintext.data(), 2);
  store_le<std::uint32_t>(plaintext.data() + 6, 100);
  wire::NetHeader header;
  header.stream_id = kStream;
  header.event_count = 2;
  base.send_packet(header, plaintext);
  pass();
  ASSERT_NE(node.stream(kBaseId, kStream), nullptr);
  EXPECT_EQ(node.stream(kBaseId, kStream)->messages.size(), 1u);
}

TEST_F(LegacyPeer, HeartbeatsGoOutEveryInterval) {
  base.accept(node.id());
  mesh::RequestId request = node.call([&](mesh::Node& machine, Now now) {
    return machine.connect(now, base.address(), base.public_key(), kBaseId, {});
  });
  pass(seconds(1));
  ASSERT_NE(node.connected(request), nullptr);
  ASSERT_TRUE(base.connected());
  pass(seconds(25));
  EXPECT_EQ(base.heartbeats(), 5u);
  EXPECT_EQ(base.dropped(), 0u);
}

TEST_F(LegacyPeer, IsGivenUpAfterThreeSessionTimeouts) {
  connect_base();
  pass(seconds(88));
  EXPECT_TRUE(node.is_up(kBaseId));
  pass(seconds(8));
  EXPECT_FALSE(node.is_up(kBaseId));
  EXPECT_EQ(node.last_down(kBaseId)->reason, mesh::DownReason::kTimeout);
  base.send_heartbeat();
  pass();
  EXPECT_TRUE(node.is_up(kBaseId)) << "keys outlive the silence";
}

TEST_F(LegacyPeer, CannotClaimTheIdOfAPeerThatHasProvenIts) {
  SimNode& modern = world.add(3);
  ASSERT_TRUE(connect(world, modern, node));
  BasePeer thief(world.network, keys, address_of(9), modern.id(), config_of(1).psk);
  const std::size_t events = node.peer_events().size();
  thief.connect_routed(node.address(), node.public_key(), node.id());
  pass(seconds(1));
  EXPECT_FALSE(thief.connected());
  EXPECT_EQ(node.peer_events().size(), events);
  EXPECT_TRUE(node.is_up(modern));
}

TEST_F(LegacyPeer, CannotTakeOverAPeerThatWeConnectedTo) {
  base.accept(node.id());
  node.call([&](mesh::Node& machine, Now now) {
    return machine.connect(now, base.address(), base.public_key(), kBaseId, {});
  });
  pass(seconds(1));
  ASSERT_TRUE(node.is_up(kBaseId));
  BasePeer thief(world.network, keys, address_of(9), kBaseId, config_of(1).psk);
  thief.connect_routed(node.address(), node.public_key(), node.id());
  pass(seconds(1));
  EXPECT_FALSE(thief.connected()) << "spec 10 §5.8, rotation gate";
  pass(seconds(40));
  thief.connect_routed(node.address(), node.public_key(), node.id());
  pass(seconds(1));
  EXPECT_TRUE(thief.connected()) << "the gate opens when the peer has been silent";
}

TEST_F(LegacyPeer, ExactReplaysOfAHandshakeMakeNoSecondSession) {
  std::vector<Bytes> recorded;
  world.network.set_tap([&](const Endpoint& from, const Endpoint&, ByteSpan datagram) {
    if (from == base.address()) recorded.emplace_back(datagram.begin(), datagram.end());
    return true;
  });
  connect_base();
  world.network.set_tap(nullptr);
  const SessionId session = base.session_id();
  const std::size_t events = node.peer_events().size();
  ASSERT_FALSE(recorded.empty());
  for (int i = 0; i < 5; ++i) {
    world.network.inject(base.address(), node.address(), recorded[0]);
    pass();
  }
  EXPECT_EQ(node.peer_events().size(), events);
  base.send(kStream, {Bytes(1)});
  pass();
  EXPECT_NE(node.stream(kBaseId, kStream), nullptr);
  EXPECT_EQ(base.session_id(), session);
}

TEST_F(LegacyPeer, EventsBehindARelayLeaveRoomForTheRoutingHeader) {
  SimNode& relay = world.add(3);
  world.network.set_partitioned(node.address(), base.address(), true);
  ASSERT_TRUE(connect(world, node, relay));
  relay.call(
      [&](mesh::Node& machine, Now now) { machine.add_route(now, kBaseId, base.address()); });
  base.start();
  mesh::ConnectOptions options;
  options.routed = true;
  const mesh::RequestId request = node.call([&](mesh::Node& machine, Now now) {
    return machine.connect(now, relay.address(), base.public_key(), kBaseId, options);
  });
  pass(seconds(1));
  ASSERT_NE(node.connected(request), nullptr);
  ASSERT_TRUE(base.connected());
  const auto gate = open(0);
  EXPECT_EQ(gate->max_event_bytes, 8'090u);
  EXPECT_TRUE(send(gate, Bytes(8'090)));
  pass();
  ASSERT_EQ(base.events().size(), 1u);
  EXPECT_EQ(base.events()[0].bytes.size(), 8'090u);
  // Streams, grants and all cross the relay, both ways.
  base.send(StreamId{9}, {Bytes(5)});
  pass();
  EXPECT_NE(node.stream(kBaseId, StreamId{9}), nullptr);
  EXPECT_EQ(base.grants_received().size(), 1u);
  pass(seconds(20));
  EXPECT_EQ(base.heartbeats(), 0u) << "heartbeats do not cross relays";
}

}  // namespace
}  // namespace netmesh::sim
