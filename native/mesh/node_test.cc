#include "mesh/node.h"

#include <gtest/gtest.h>

#include <map>

#include "base/hex.h"
#include "mesh/node_testing.h"
#include "session/handshake.h"
#include "wire/frames_testing.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"
#include "wire/routing.h"

namespace netmesh::mesh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using testing::address_of;
using testing::carry;
using testing::Datagram;
using testing::make_config;
using testing::SeededRandom;
using testing::TestNode;

using NodeTest = testing::Pair;

TEST(NodeIdentity, FollowsTheSpecification) {
  TestNode node(1, make_config(0x42));
  EXPECT_EQ(node.node.node_id(), NodeId{0xc211'b9fd'dfae'f86d});
  EXPECT_EQ(to_hex(node.node.entity_id()),
            "2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12");
  EXPECT_EQ(node.node.origin_hash(), 0xc162'c80d'a6be'3de4u);
}

TEST(NodeIdentity, KeepsThePublicKeyAcrossRestarts) {
  TestNode first(1), second(9, make_config(1)), other(2);
  EXPECT_EQ(first.node.public_key(), second.node.public_key());
  EXPECT_NE(first.node.public_key(), other.node.public_key());
}

TEST_F(NodeTest, ConnectsAndSaysWhoItIs) {
  connect();
  EXPECT_EQ(a.node.peer_count(), 1u);
  ASSERT_EQ(b.node.peers().size(), 1u);
  const PeerInfo info = b.node.peers()[0];
  EXPECT_EQ(info.node_id, a.node.node_id());
  EXPECT_EQ(info.address, a.address);
  EXPECT_EQ(info.security, SecurityMode::kModern);
  EXPECT_EQ(info.entity_id, a.node.entity_id());
  EXPECT_TRUE(info.alive);
  EXPECT_FALSE(info.relayed);
  EXPECT_EQ(b.node.peer_at(a.address), a.node.node_id());
  EXPECT_FALSE(b.node.peer_at(address_of(99)).has_value());
  EXPECT_EQ(a.node.counters().handshakes_completed, 1u);
}

TEST_F(NodeTest, DoesNotConnectToItself) {
  const RequestId request = a.connect(a);
  ASSERT_TRUE(a.sink.connects.contains(request));
  EXPECT_EQ(a.sink.connects.at(request).error().kind, ErrorKind::kInvalidArgument);
}

TEST_F(NodeTest, RefusesAPublicKeyOfLowOrder) {
  const RequestId request = a.node.connect(a.now(), b.address, crypto::Key{}, b.node.node_id(), {});
  ASSERT_TRUE(a.sink.connects.contains(request));
  EXPECT_FALSE(a.sink.connects.at(request).has_value());
  EXPECT_TRUE(a.sent().empty());
}

TEST_F(NodeTest, GivesAConnectUpAfterThreeAttempts) {
  const RequestId request = a.connect(b);
  auto sent = a.pass(seconds(15));
  EXPECT_FALSE(a.sink.connects.contains(request));
  for (Datagram& datagram : a.pass(milliseconds(301))) sent.push_back(std::move(datagram));
  ASSERT_TRUE(a.sink.connects.contains(request)) << "3 × 5 s, 100 ms and 200 ms between";
  EXPECT_EQ(a.sink.connects.at(request).error().message, "connection error: handshake timeout");
  EXPECT_EQ(a.sink.connects.at(request).error().kind, ErrorKind::kConnection);
  // Each attempt has a message of its own, and repeats it.
  std::map<std::string, int> messages;
  for (const Datagram& datagram : sent) ++messages[to_hex(datagram.bytes)];
  EXPECT_EQ(messages.size(), 3u);
  for (const auto& [message, count] : messages) EXPECT_EQ(count, 6);
  EXPECT_FALSE(a.node.next_timeout().has_value());
}

TEST_F(NodeTest, GivesAConnectUpWhenItsTimeIsOver) {
  ConnectOptions options;
  options.timeout = milliseconds(700);
  const RequestId request = a.connect(b, options);
  a.pass(milliseconds(699));
  EXPECT_FALSE(a.sink.connects.contains(request));
  a.pass(milliseconds(1));
  EXPECT_TRUE(a.sink.connects.contains(request));
}

TEST_F(NodeTest, ACancelledRequestIsForgotten) {
  const RequestId connect_request = a.connect(b);
  const auto accept_request = a.node.accept(a.now(), b.node.node_id());
  a.node.cancel(connect_request);
  a.node.cancel(*accept_request);
  a.node.cancel(12'345);
  a.pass(seconds(60));
  EXPECT_TRUE(a.sink.connects.empty());
  EXPECT_TRUE(a.sink.accepts.empty());
}

TEST_F(NodeTest, ASecondConnectToTheSamePlaceReplacesTheFirst) {
  const RequestId first = a.connect(b);
  const RequestId second = a.connect(b);
  ASSERT_TRUE(a.sink.connects.contains(first));
  EXPECT_EQ(a.sink.connects.at(first).error().message,
            "connection error: handshake channel dropped");
  b.node.start(b.now());
  carry({&a, &b});
  ASSERT_TRUE(a.sink.connects.contains(second));
  EXPECT_TRUE(a.sink.connects.at(second).has_value());
}

TEST_F(NodeTest, ASecondRoutedConnectIsRefused) {
  ConnectOptions options;
  options.routed = true;
  a.connect(b, options);
  const RequestId second = a.connect(b, options);
  ASSERT_TRUE(a.sink.connects.contains(second));
  EXPECT_NE(a.sink.connects.at(second).error().message.find(
                "connect_via: handshake already in flight for peer 0x"),
            std::string::npos);
}

TEST_F(NodeTest, AcceptIsForBeforeTheStart) {
  const auto accept = a.node.accept(a.now(), b.node.node_id());
  ASSERT_TRUE(accept.has_value());
  a.node.start(a.now());
  EXPECT_FALSE(a.node.started()) << "not while somebody is awaited";
  a.pass(seconds(16));
  ASSERT_TRUE(a.sink.accepts.contains(*accept));
  EXPECT_EQ(a.sink.accepts.at(*accept).error().message, "connection error: handshake timeout");
  a.node.start(a.now());
  EXPECT_TRUE(a.node.started());
  const auto late = a.node.accept(a.now(), b.node.node_id());
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().kind, ErrorKind::kFatal);
  EXPECT_NE(late.error().message.find("accept called after start()"), std::string::npos);
}

TEST_F(NodeTest, HeldHandshakesAreFewAndShortLived) {
  // A node that accepts nobody yet keeps what comes, for a while.
  a.connect(b);
  auto sent = a.sent();
  ASSERT_EQ(sent.size(), 1u);
  const Bytes message = sent[0].bytes;
  b.receive(a.address, message);
  for (int i = 0; i < 1'000; ++i) {
    Bytes bogus = message;
    bogus[64 + static_cast<std::size_t>(i) % 100] ^= std::byte{1};
    b.receive(address_of(3 + i % 200), bogus);
  }
  ASSERT_TRUE(b.node.next_timeout().has_value());
  b.pass(seconds(6));
  EXPECT_FALSE(b.node.next_timeout().has_value()) << "nothing is held any more";
  EXPECT_TRUE(b.sent().empty());
}

TEST_F(NodeTest, StreamsNeedASession) {
  const auto refused = a.node.open_stream(a.now(), NodeId{0xABC}, {StreamId{1}, true, 0, 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::kNotConnected);
  EXPECT_EQ(refused.error().message,
            "open_stream failed: connection error: open_stream: no session for peer 0xabc");
  a.node.close_stream(a.now(), NodeId{0xABC}, StreamId{1});
  EXPECT_FALSE(a.node.stream_stats(NodeId{0xABC}, StreamId{1}).has_value());
  EXPECT_TRUE(a.node.all_stream_stats(NodeId{0xABC}).empty());
  EXPECT_EQ(a.node.send_unwindowed(a.now(), NodeId{0xABC}, {}, 0).error().kind,
            ErrorKind::kNotConnected);
  a.node.consume(a.now(), 17, 1, 1);
}

TEST_F(NodeTest, ShutsDownAtOnceWithoutPeers) {
  const RequestId request = a.connect(b);
  const auto accept = a.node.accept(a.now(), b.node.node_id());
  a.node.shutdown(a.now(), seconds(5));
  a.node.shutdown(a.now(), seconds(5));
  a.sent();
  EXPECT_EQ(a.sink.shutdowns, (std::vector<std::uint64_t>{0}));
  ASSERT_TRUE(a.sink.connects.contains(request));
  EXPECT_EQ(a.sink.connects.at(request).error().kind, ErrorKind::kShutDown);
  ASSERT_TRUE(a.sink.accepts.contains(*accept));
  EXPECT_EQ(a.sink.accepts.at(*accept).error().kind, ErrorKind::kShutDown);
  const RequestId late = a.connect(b);
  EXPECT_EQ(a.sink.connects.at(late).error().kind, ErrorKind::kShutDown);
  EXPECT_EQ(a.node.accept(a.now(), b.node.node_id()).error().kind, ErrorKind::kShutDown);
  a.node.start(a.now());
  EXPECT_FALSE(a.node.started());
  EXPECT_FALSE(a.node.next_timeout().has_value());
}

/// It answered a msg1 whose sender has not spoken yet, so that it may not say goodbye to him.
TEST_F(NodeTest, SaysGoodbyeToOneWhoseFirstPacketIsStillOnItsWay) {
  a.node.start(a.now());
  b.node.start(b.now());
  a.connect(b);
  for (Datagram& datagram : a.sent()) b.receive(a.address, std::move(datagram.bytes));
  for (Datagram& datagram : b.sent()) a.receive(b.address, std::move(datagram.bytes));
  ASSERT_EQ(a.sink.ups.size(), 1u);
  std::vector<Datagram> on_its_way = a.sent();
  b.node.shutdown(b.now(), seconds(5));
  EXPECT_TRUE(b.sent().empty()) << "the msg1 may be a replay from a forged address";
  EXPECT_TRUE(b.sink.shutdowns.empty());
  for (Datagram& datagram : on_its_way) b.receive(a.address, std::move(datagram.bytes));
  for (Datagram& datagram : b.sent()) a.receive(b.address, std::move(datagram.bytes));
  EXPECT_EQ(b.sink.shutdowns.size(), 1u);
  ASSERT_EQ(a.sink.downs.size(), 1u);
  EXPECT_EQ(a.sink.downs[0].reason, DownReason::kGoodbye);
}

TEST_F(NodeTest, WaitsNoLongerThanTheDrainForOneWhoNeverSpeaks) {
  a.node.start(a.now());
  b.node.start(b.now());
  a.connect(b);
  for (Datagram& datagram : a.sent()) b.receive(a.address, std::move(datagram.bytes));
  EXPECT_EQ(b.sent().size(), 1u) << "the answer, which gets lost";
  b.node.shutdown(b.now(), seconds(3));
  EXPECT_TRUE(b.pass(seconds(2)).empty());
  EXPECT_TRUE(b.sink.shutdowns.empty());
  EXPECT_TRUE(b.pass(seconds(2)).empty());
  EXPECT_EQ(b.sink.shutdowns.size(), 1u);
  EXPECT_EQ(b.node.peer_count(), 0u);
  EXPECT_EQ(b.sink.ups.size(), b.sink.downs.size());
}

TEST_F(NodeTest, ADisconnectOfOneWhoNeverSpeaksEndsInSilence) {
  a.node.start(a.now());
  b.node.start(b.now());
  a.connect(b);
  for (Datagram& datagram : a.sent()) b.receive(a.address, std::move(datagram.bytes));
  EXPECT_EQ(b.sent().size(), 1u) << "the answer, which gets lost";
  b.node.disconnect(b.now(), a.node.node_id());
  EXPECT_TRUE(b.pass(seconds(20)).empty());
  EXPECT_EQ(b.node.peer_count(), 0u);
}

TEST_F(NodeTest, ABlockedAddressIsNeitherHeardNorSpokenTo) {
  connect();
  a.node.set_blocked(b.address, true);
  EXPECT_TRUE(a.pass(seconds(12)).empty());
  for (Datagram& datagram : b.pass(seconds(12))) a.receive(b.address, std::move(datagram.bytes));
  EXPECT_TRUE(a.sent().empty());
  a.node.set_blocked(b.address, false);
  const auto sent = a.pass(seconds(6));
  EXPECT_FALSE(sent.empty()) << "the session goes on";
}

TEST_F(NodeTest, TakesNoMorePeersThanItMay) {
  NodeConfig config = make_config(3);
  config.max_peers = 1;
  TestNode small(3, config);
  for (TestNode* node : {&a, &b, &small}) node->node.start(node->now());
  a.connect(small);
  carry({&a, &b, &small});
  const RequestId request = b.connect(small);
  carry({&a, &b, &small});
  b.pass(seconds(16));
  EXPECT_EQ(small.node.peer_count(), 1u);
  ASSERT_TRUE(b.sink.connects.contains(request));
  EXPECT_FALSE(b.sink.connects.at(request).has_value());
  const RequestId outward = small.connect(b);
  carry({&a, &b, &small});
  ASSERT_TRUE(small.sink.connects.contains(outward));
  EXPECT_EQ(small.sink.connects.at(outward).error().message,
            "connection error: the node's peer table is full");
}

// --- relaying ---

Bytes routed_datagram(NodeId destination, std::uint8_t ttl, std::uint8_t hops) {
  Bytes out(wire::kMinRoutedBytes + 30, std::byte{0x77});
  wire::write_routing_header({ttl, hops, 0x0A, 0, 0xAAAA'BBBB, destination}, out);
  return out;
}

TEST_F(NodeTest, ForwardsWhatIsForOthers) {
  connect();
  const Endpoint stranger = address_of(50);
  b.receive(stranger, routed_datagram(a.node.node_id(), 8, 3));
  const auto sent = b.sent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, a.address);
  const auto header = wire::parse_routing_header(sent[0].bytes);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->ttl, 7);
  EXPECT_EQ(header->hop_count, 4);
  EXPECT_EQ(header->source, 0xAAAA'BBBBu);
  EXPECT_TRUE(std::all_of(sent[0].bytes.begin() + 18, sent[0].bytes.end(),
                          [](std::byte value) { return value == std::byte{0x77}; }));
  EXPECT_EQ(b.node.counters().forwarded, 1u);
}

TEST_F(NodeTest, DropsWhatItCannotForward) {
  connect();
  const Endpoint stranger = address_of(50);
  b.receive(stranger, routed_datagram(a.node.node_id(), 0, 3));   // its ttl is used up
  b.receive(stranger, routed_datagram(NodeId{99}, 8, 0));         // nobody knows
  b.receive(a.address, routed_datagram(a.node.node_id(), 8, 0));  // back where it came from
  b.node.set_blocked(a.address, true);
  b.receive(stranger, routed_datagram(a.node.node_id(), 8, 0));
  EXPECT_TRUE(b.sent().empty());
  EXPECT_EQ(b.node.counters().dropped_no_route, 4u);
  TestNode idle(3);
  idle.node.add_route(idle.now(), a.node.node_id(), a.address);
  idle.receive(stranger, routed_datagram(a.node.node_id(), 8, 0));
  EXPECT_TRUE(idle.sent().empty()) << "a node that was not started relays nothing";
}

TEST_F(NodeTest, TheLastHopIsStillSent) {
  connect();
  b.receive(address_of(50), routed_datagram(a.node.node_id(), 1, 254));
  const auto sent = b.sent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(wire::parse_routing_header(sent[0].bytes)->ttl, 0);
  EXPECT_EQ(wire::parse_routing_header(sent[0].bytes)->hop_count, 255);
  b.receive(address_of(50), routed_datagram(a.node.node_id(), 8, 255));
  EXPECT_EQ(wire::parse_routing_header(b.sent().at(0).bytes)->hop_count, 255) << "it saturates";
}

TEST_F(NodeTest, HoldsABoundedNumberOfDatagramsToForward) {
  connect();
  constexpr int kDatagrams = 20'000;
  for (int i = 0; i < kDatagrams; ++i) {
    Bytes datagram = routed_datagram(a.node.node_id(), 8, 0);
    b.node.handle_datagram(b.now(), address_of(50), datagram);
  }
  // More than one batch's worth, none of it lost on the way out.
  const std::size_t sent = b.sent().size();
  EXPECT_LE(sent, 4'096u);
  EXPECT_GE(sent, 1'000u);
  EXPECT_EQ(b.node.counters().dropped_no_route + sent, static_cast<std::uint64_t>(kDatagrams));
}

TEST_F(NodeTest, ARouteTakesASessionAcrossARelay) {
  connect();
  a.node.add_route(a.now(), b.node.node_id(), address_of(50));
  EXPECT_EQ(a.node.peers().at(0).address, address_of(50));
  EXPECT_TRUE(a.node.peers().at(0).relayed);
  const auto sent = a.pass(seconds(6));
  ASSERT_FALSE(sent.empty());
  for (const Datagram& datagram : sent) {
    EXPECT_EQ(datagram.to, address_of(50));
    const auto header = wire::parse_routing_header(datagram.bytes);
    ASSERT_TRUE(header.has_value());
    EXPECT_EQ(header->destination, b.node.node_id());
    EXPECT_EQ(header->source, routing_id(a.node.node_id()));
    EXPECT_EQ(header->ttl, wire::kRoutedDataTtl);
    EXPECT_GE(datagram.bytes.size(), wire::kMinRoutedBytes);
  }
}

// --- peers without manners ---

/// Somebody with an identity of his own who shakes hands properly and then breaks the rules.
struct RudePeer {
  explicit RudePeer(TestNode& victim_node)
      : victim(victim_node),
        context{identity::LocalIdentity::from_seed(Bytes(32, std::byte{0x99})),
                crypto::SecretKey(make_config(1).psk)} {
    context.aeads = 1;
    context.max_datagram = 9'000;
    context.stream_window = context.session_window = 1 << 20;
    context.max_message = 1 << 20;
    auto handshake = session::InitiatorHandshake::create(context, victim.node.public_key(),
                                                         victim.node.node_id(), random);
    victim.receive(address, wire::make_handshake_packet(handshake->message1(),
                                                        context.identity.node_id.value));
    const auto reply = victim.sent();
    EXPECT_EQ(reply.size(), 1u);
    auto established_now = handshake->read_message2(wire::handshake_message(reply.at(0).bytes));
    EXPECT_TRUE(established_now.has_value());
    id = established_now->session_id;
    seal = crypto::AeadKey(established_now->aead, established_now->send_key);
    open = crypto::AeadKey(established_now->aead, established_now->receive_key);
  }

  void send(const std::vector<wire::Frame>& frames) {
    Bytes plaintext(8'000);
    ByteWriter writer(plaintext);
    for (const wire::Frame& frame : frames) {
      ASSERT_TRUE(wire::testing::write_frame(writer, frame));
    }
    send_plaintext(ByteSpan(plaintext).first(writer.size()));
  }
  void send_plaintext(ByteSpan plaintext) {
    Bytes packet(wire::kModernOverheadBytes + plaintext.size());
    const MutableByteSpan bytes(packet);
    wire::write_modern_header({false, id, PacketNumber{number}}, packet.data());
    ByteWriter(bytes.subspan(wire::kModernHeaderBytes)).bytes(plaintext);
    seal.seal(wire::make_nonce(id, number++), bytes.first(wire::kModernHeaderBytes),
              bytes.subspan(wire::kModernHeaderBytes, plaintext.size()),
              bytes.last(wire::kTagBytes));
    victim.receive(address, packet);
  }
  /// The goodbye that comes back, if one does.
  std::optional<std::pair<std::uint64_t, std::string>> goodbye() {
    std::optional<std::pair<std::uint64_t, std::string>> found;
    for (Datagram& datagram : victim.sent()) {
      const MutableByteSpan bytes(datagram.bytes);
      const auto header = wire::parse_modern_header(bytes);
      if (!header || header->session_id != id) continue;
      const MutableByteSpan text =
          bytes.subspan(wire::kModernHeaderBytes, bytes.size() - wire::kModernOverheadBytes);
      EXPECT_TRUE(open.open(wire::make_nonce(id, header->packet_number.value),
                            bytes.first(wire::kModernHeaderBytes), text,
                            bytes.last(wire::kTagBytes)));
      wire::FrameReader reader(text);
      while (const auto frame = reader.next()) {
        if (const auto* close = std::get_if<wire::CloseFrame>(&*frame)) {
          found = {close->code, std::string(reinterpret_cast<const char*>(close->reason.data()),
                                            close->reason.size())};
        }
      }
    }
    return found;
  }

  TestNode& victim;
  Endpoint address = address_of(66);
  SeededRandom random{66};
  session::HandshakeContext context;
  SessionId id;
  crypto::AeadKey seal, open;
  std::uint64_t number = 0;
};

TEST_F(NodeTest, APeerThatBreaksTheProtocolIsToldWhyAndSentAway) {
  a.node.start(a.now());
  wire::AckFrame never_sent;
  never_sent.range_count = 1;
  never_sent.ranges[0] = {0, 1'000'000};
  wire::StreamFrame beyond;
  beyond.stream_id = StreamId{1};
  beyond.epoch = 2;
  beyond.offset = 1ULL << 40;
  const Bytes byte(1);
  beyond.data = byte;
  const struct {
    std::vector<wire::Frame> frames;
    std::uint64_t code;
  } cases[] = {{{never_sent}, 5}, {{beyond}, 2}};
  for (const auto& c : cases) {
    RudePeer peer(a);
    peer.send({wire::PingFrame{}});
    EXPECT_EQ(a.node.peer_count(), 1u);
    a.sent();
    peer.send(c.frames);
    const auto goodbye = peer.goodbye();
    ASSERT_TRUE(goodbye.has_value());
    EXPECT_EQ(goodbye->first, c.code);
    EXPECT_FALSE(goodbye->second.empty());
    ASSERT_FALSE(a.sink.downs.empty());
    EXPECT_EQ(a.sink.downs.back().reason, DownReason::kProtocolViolation);
    EXPECT_EQ(a.sink.downs.back().text, goodbye->second);
    EXPECT_EQ(a.node.peer_count(), 0u);
  }
  RudePeer peer(a);
  const Bytes nonsense(3, std::byte{0x66});
  peer.send_plaintext(nonsense);
  EXPECT_EQ(peer.goodbye()->first, 1u);
  EXPECT_EQ(a.node.counters().protocol_violations, 3u);
}

TEST_F(NodeTest, APeerMayBreakTheProtocolFirstThing) {
  a.node.start(a.now());
  RudePeer peer(a);
  const Bytes nonsense(3, std::byte{0x66});
  peer.send_plaintext(nonsense);
  EXPECT_TRUE(peer.goodbye().has_value());
  EXPECT_EQ(a.node.peer_count(), 0u);
  EXPECT_EQ(a.sink.ups.size(), a.sink.downs.size());
}

TEST_F(NodeTest, AGoodbyeInTheFirstPacketIsOne) {
  a.node.start(a.now());
  RudePeer peer(a);
  wire::CloseFrame close;
  peer.send({close});
  EXPECT_EQ(a.node.peer_count(), 0u);
  EXPECT_EQ(a.sink.ups.size(), a.sink.downs.size());
  EXPECT_FALSE(peer.goodbye().has_value()) << "a goodbye gets no answer";
}

TEST_F(NodeTest, CountsWhatItDoesNotUnderstand) {
  a.node.start(a.now());
  const NodeCounters before = a.node.counters();
  a.receive(b.address, Bytes{});
  a.receive(b.address, Bytes(100, std::byte{0xFF}));
  Bytes modern(wire::kModernOverheadBytes);
  wire::write_modern_header({false, SessionId{5}, PacketNumber{0}}, modern.data());
  a.receive(b.address, modern);
  a.receive(b.address, routed_datagram(a.node.node_id(), 8, 0));
  EXPECT_EQ(a.node.counters().dropped_invalid - before.dropped_invalid, 3u);
  EXPECT_EQ(a.node.counters().dropped_unknown_session - before.dropped_unknown_session, 1u);
  EXPECT_EQ(a.node.counters().datagrams_received - before.datagrams_received, 4u);
  EXPECT_TRUE(a.sent().empty());
}

TEST_F(NodeTest, PingwavesAndPunchesAreConsumed) {
  a.node.start(a.now());
  a.receive(b.address, Bytes(wire::kPingwaveBytes));
  Bytes punch(14);
  punch[0] = std::byte{0x50};
  punch[1] = std::byte{0x48};
  a.receive(b.address, punch);
  EXPECT_EQ(a.node.counters().dropped_invalid, 0u);
  EXPECT_TRUE(a.sent().empty());
}

}  // namespace
}  // namespace netmesh::mesh
