#include "wire/net_packet.h"

#include "crypto/aead.h"
#include "wire/event_frames.h"
#include "wire/window_grant.h"
#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::concat;
using testing::for_each_cut;
using testing::for_each_seed;
using testing::hex;
using testing::mutate;
using testing::Random;
using testing::same_bytes;

// The session of spec 10 §17.1.
constexpr SessionId kSession{0x9ef7'fc49'e3c7'8d93ULL};
constexpr std::string_view kInitiatorKey =
    "3ece07da762fc208ae2ebc10453ae346b4949238cbb58b57da44719067ad006f";
constexpr std::string_view kResponderKey =
    "703090e2b75d405abc236bb10a38209c4bf56332e1f1f587bcc57c15a404089c";

// The packets of spec 10 §17.2.
constexpr std::string_view kDataPacket =
    "454e01010000000000000000 da71307d0000000000000000 938dc7e349fcf79e"
    "0700000000000000 0000000000000000 0000000000000000 0000000009000100"
    "052af7ee1383fe06fe c273df69fe61303c50c09f526ace9f6e";
constexpr std::string_view kHeartbeatPacket =
    "454e01200000000000000000 da71307d0100000000000000 938dc7e349fcf79e"
    "0000000000000000 0000000000000000 0000000000000000 0000000000000000"
    "4b1fe1ebc165c1ac74bc3909916ea928";
constexpr std::string_view kGrantPacket =
    "454e010000000000000b0000 da71307d0000000000000000 938dc7e349fcf79e"
    "ffffffffffffffff 0000000000000000 0000000000000000 0000000014000100"
    "f1f4c91954d4f5fb7fa08b507b2198c6f5a79aba 4d7accf32d1cc80ad3e39cd624b2e525";
constexpr std::string_view kMessage1 =
    "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"
    "0527c4694d73ff335cc7ed7377fa25ab";

NetHeader random_header(Random& random) {
  NetHeader header;
  header.flags = random.number<std::uint8_t>();
  header.priority = random.number<std::uint8_t>();
  header.hop_ttl = random.number<std::uint8_t>();
  header.hop_count = random.number<std::uint8_t>();
  header.frag_flags = random.number<std::uint8_t>();
  header.subprotocol_id = random.number<std::uint16_t>();
  header.channel_hash = random.number<std::uint16_t>();
  header.nonce_prefix = random.number<std::uint32_t>();
  header.counter = random.u64();
  header.session_id = SessionId{random.u64()};
  header.stream_id = StreamId{random.u64()};
  header.sequence = random.u64();
  header.subnet_id = random.number<std::uint32_t>();
  header.origin_hash = random.number<std::uint32_t>();
  header.fragment_id = random.number<std::uint16_t>();
  header.fragment_offset = random.number<std::uint16_t>();
  header.payload_len =
      header.is_heartbeat() ? std::uint16_t{0} : static_cast<std::uint16_t>(random.below(200));
  header.event_count = static_cast<std::uint16_t>(random.below(kMaxNetEvents + 1));
  return header;
}

/// A packet of the exact length that `header` announces, all zero behind it.
Bytes packet_of(const NetHeader& header) {
  Bytes packet(kNetOverheadBytes + header.payload_len);
  write_net_header(header, packet);
  return packet;
}

/// Decrypts a vector with nothing but what this folder derives from its header.
Bytes open(ByteSpan packet, std::string_view key) {
  const auto header = parse_net_packet(packet);
  if (!header) return {};
  Bytes text(packet.begin() + kNetHeaderBytes, packet.end() - kTagBytes);
  const crypto::AeadKey aead(crypto::AeadAlgorithm::kChaCha20Poly1305, crypto::SecretKey(hex(key)));
  EXPECT_TRUE(aead.open(make_nonce(kSession, header->counter),
                        net_aad(packet.first(kNetHeaderBytes)), text, packet.last(kTagBytes)));
  return text;
}

/// Seals `text` behind `header` and yields the datagram.
Bytes seal(const NetHeader& header, ByteSpan text, std::string_view key) {
  Bytes packet(kNetHeaderBytes);
  write_net_header(header, packet);
  packet.insert(packet.end(), text.begin(), text.end());
  packet.resize(packet.size() + kTagBytes);
  const MutableByteSpan whole(packet);
  const crypto::AeadKey aead(crypto::AeadAlgorithm::kChaCha20Poly1305, crypto::SecretKey(hex(key)));
  aead.seal(make_nonce(kSession, header.counter), net_aad(whole.first(kNetHeaderBytes)),
            whole.subspan(kNetHeaderBytes, text.size()), whole.last(kTagBytes));
  return packet;
}

NetHeader data_header() {
  NetHeader header;
  header.flags = flag::kReliable;
  header.nonce_prefix = nonce_prefix(kSession);
  header.session_id = kSession;
  header.stream_id = StreamId{7};
  header.payload_len = 9;
  header.event_count = 1;
  return header;
}

class NetPacketVectors : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { crypto::initialize(); }
};

TEST_F(NetPacketVectors, DataPacket) {
  const Bytes packet = hex(kDataPacket);
  ASSERT_EQ(packet.size(), 89u);
  const auto header = parse_net_packet(packet);
  ASSERT_TRUE(header);
  EXPECT_EQ(*header, data_header());
  const auto aad = net_aad(ByteSpan(packet).first(kNetHeaderBytes));
  EXPECT_EQ(to_hex(aad),
            to_hex(hex("454e01010000000000000000 938dc7e349fcf79e 0700000000000000 0000000000000000"
                       "00000000 00000000 0000 0000 0900 0100")));
  const Bytes text = open(packet, kInitiatorKey);
  EventFrameReader events(text, header->event_count);
  const auto event = events.next();
  ASSERT_TRUE(event);
  EXPECT_TRUE(same_bytes(*event, as_byte_span("hello")));
  EXPECT_FALSE(events.next());
  EXPECT_EQ(to_hex(seal(data_header(), text, kInitiatorKey)), to_hex(packet));
}

TEST_F(NetPacketVectors, Heartbeat) {
  const Bytes packet = hex(kHeartbeatPacket);
  ASSERT_EQ(packet.size(), 80u);
  const auto header = parse_net_packet(packet);
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->is_heartbeat());
  EXPECT_FALSE(header->is_handshake());
  NetHeader expected;
  expected.flags = flag::kHeartbeat;
  expected.nonce_prefix = nonce_prefix(kSession);
  expected.counter = 1;
  expected.session_id = kSession;
  EXPECT_EQ(*header, expected);
  EXPECT_TRUE(open(packet, kInitiatorKey).empty());
  EXPECT_EQ(to_hex(seal(expected, {}, kInitiatorKey)), to_hex(packet));
}

TEST_F(NetPacketVectors, WindowGrant) {
  const Bytes packet = hex(kGrantPacket);
  ASSERT_EQ(packet.size(), 100u);
  const auto header = parse_net_packet(packet);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->subprotocol_id, subprotocol::kWindowGrant);
  EXPECT_EQ(header->stream_id, kControlStream);
  EXPECT_EQ(header->payload_len, 20);
  const Bytes text = open(packet, kResponderKey);
  EXPECT_EQ(to_hex(text), to_hex(hex("10000000 0700000000000000 5900000000000000")));
  EventFrameReader messages(text, header->event_count);
  const auto grant = parse_window_grant(messages.next().value());
  ASSERT_TRUE(grant);
  EXPECT_EQ(*grant, (WindowGrant{StreamId{7}, 89}));
  EXPECT_EQ(to_hex(seal(*header, text, kResponderKey)), to_hex(packet));
}

TEST_F(NetPacketVectors, DirectHandshakeMessage1) {
  const Bytes noise = hex(kMessage1);
  const Bytes packet = make_handshake_packet(noise);
  ASSERT_EQ(packet.size(), 112u);
  EXPECT_EQ(to_hex(ByteSpan(packet).first(kNetHeaderBytes)),
            to_hex(hex("454e0110 00000000 00000000 000000000000000000000000"
                       "0000000000000000 0000000000000000 0000000000000000"
                       "00000000 00000000 00000000 30000000")));
  const auto header = parse_net_packet(packet);
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->is_handshake());
  EXPECT_EQ(header->payload_len, 48);
  EXPECT_TRUE(same_bytes(handshake_message(packet), noise));
}

TEST_F(NetPacketVectors, RoutedHandshakeMessage1) {
  // Spec 20 §4.3: `45 4E 01 10`, 56 zero bytes, `38 00 00 00`.
  const Bytes packet = make_handshake_packet(Bytes(56));
  EXPECT_EQ(to_hex(ByteSpan(packet).first(kNetHeaderBytes)),
            to_hex(concat({hex("454e0110"), Bytes(56), hex("38000000")})));
}

TEST_F(NetPacketVectors, NoncePrefixes) {
  EXPECT_EQ(to_hex(make_nonce(kSession, 0)), "da71307d0000000000000000");
  EXPECT_EQ(to_hex(make_nonce(kSession, 0x0102030405060708ULL)), "da71307d0807060504030201");
  EXPECT_EQ(to_hex(make_nonce(SessionId{0xb57d'2e95'b41e'8486ULL}, 0)).substr(0, 8), "13aa6301");
  EXPECT_EQ(to_hex(make_nonce(SessionId{0x44b7'1e0a'4a06'fee4ULL}, 0)).substr(0, 8), "eee0b10e");
}

TEST(NetPacket, TheHintOfTheInitiatorTravelsInTheStreamId) {
  const Bytes packet = make_handshake_packet(Bytes(48), 0x1111111122222222ULL);
  EXPECT_EQ(parse_net_packet(packet)->stream_id, StreamId{0x1111111122222222ULL});
  EXPECT_EQ(to_hex(ByteSpan(packet).subspan(32, 8)), "2222222211111111");
}

TEST(NetPacket, EveryFieldHasItsOffset) {
  NetHeader header;
  header.flags = 0x01;
  header.priority = 0x02;
  header.hop_ttl = 0x03;
  header.hop_count = 0x04;
  header.frag_flags = 0x05;
  header.subprotocol_id = 0x0706;
  header.channel_hash = 0x0908;
  header.nonce_prefix = 0x0d0c0b0a;
  header.counter = 0x1514131211100f0e;
  header.session_id = SessionId{0x1d1c1b1a19181716};
  header.stream_id = StreamId{0x2524232221201f1e};
  header.sequence = 0x2d2c2b2a29282726;
  header.subnet_id = 0x31302f2e;
  header.origin_hash = 0x35343332;
  header.fragment_id = 0x3736;
  header.fragment_offset = 0x3938;
  header.payload_len = 0x3b3a;
  header.event_count = 0x3d3c;
  Bytes out(kNetHeaderBytes);
  write_net_header(header, out);
  Bytes expected = hex("454e01");
  for (unsigned value = 1; value <= 0x3d; ++value)
    expected.push_back(static_cast<std::byte>(value));
  EXPECT_EQ(to_hex(out), to_hex(expected));

  // AAD: without the nonce (bytes 12 to 24), hop_count (byte 6) zero.
  Bytes aad = expected;
  aad[6] = std::byte{0};
  aad.erase(aad.begin() + 12, aad.begin() + 24);
  EXPECT_EQ(to_hex(net_aad(out)), to_hex(aad));
}

TEST(NetPacket, RefusesAnotherMagicOrVersion) {
  const Bytes valid = packet_of(data_header());
  for (std::size_t at = 0; at < 3; ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      Bytes packet = valid;
      packet[at] = static_cast<std::byte>(value);
      EXPECT_EQ(parse_net_packet(packet).has_value(), packet == valid) << at << " " << value;
    }
  }
}

TEST(NetPacket, PayloadLengthIsLimited) {
  NetHeader header = data_header();
  header.payload_len = static_cast<std::uint16_t>(kMaxNetPayloadBytes);
  EXPECT_EQ(packet_of(header).size(), kMaxNetPacketBytes);
  EXPECT_TRUE(parse_net_packet(packet_of(header)));
  header.payload_len = static_cast<std::uint16_t>(kMaxNetPayloadBytes + 1);
  EXPECT_FALSE(parse_net_packet(packet_of(header)));
  header.payload_len = 0xFFFF;
  EXPECT_FALSE(parse_net_packet(packet_of(header)));
  header.flags = flag::kHandshake;
  EXPECT_FALSE(parse_net_packet(packet_of(header)));
}

TEST(NetPacket, EventCountIsLimited) {
  NetHeader header = data_header();
  header.event_count = static_cast<std::uint16_t>(kMaxNetEvents);
  EXPECT_TRUE(parse_net_packet(packet_of(header)));
  header.event_count = static_cast<std::uint16_t>(kMaxNetEvents + 1);
  EXPECT_FALSE(parse_net_packet(packet_of(header)));
}

TEST(NetPacket, DataPacketsHaveExactlyTheirLength) {
  for (const std::uint16_t length :
       {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{9}, std::uint16_t{1000}}) {
    NetHeader header = data_header();
    header.payload_len = length;
    Bytes packet = packet_of(header);
    EXPECT_TRUE(parse_net_packet(packet));
    for_each_cut(packet, [](ByteSpan cut) { EXPECT_FALSE(parse_net_packet(cut)); });
    packet.push_back(std::byte{0});
    EXPECT_FALSE(parse_net_packet(packet));
  }
}

TEST(NetPacket, HeartbeatsHaveSixteenBytesBehindTheHeader) {
  NetHeader header;
  header.flags = flag::kHeartbeat;
  Bytes packet = packet_of(header);
  EXPECT_TRUE(parse_net_packet(packet));
  for_each_cut(packet, [](ByteSpan cut) { EXPECT_FALSE(parse_net_packet(cut)); });
  packet.push_back(std::byte{0});
  EXPECT_FALSE(parse_net_packet(packet));

  // No plaintext: a length that says otherwise would mislead whoever decrypts.
  header.payload_len = 1;
  EXPECT_FALSE(parse_net_packet(packet_of(header)));
  write_net_header(header, packet);
  EXPECT_FALSE(parse_net_packet(ByteSpan(packet).first(kNetOverheadBytes)));
}

TEST(NetPacket, HandshakesAreNotCheckedAgainstPayloadLength) {
  NetHeader header;
  header.flags = flag::kHandshake;
  header.payload_len = 48;
  for (const std::size_t length : {0u, 1u, 47u, 48u, 49u, 200u}) {
    Bytes packet(kNetHeaderBytes + length);
    write_net_header(header, packet);
    const auto parsed = parse_net_packet(packet);
    ASSERT_TRUE(parsed) << length;
    EXPECT_EQ(handshake_message(packet).size(), length);
  }
  EXPECT_FALSE(parse_net_packet(Bytes(kNetHeaderBytes - 1)));
}

TEST(NetPacket, FieldsThatBaseNodesLeaveZeroAreAccepted) {
  NetHeader header = data_header();
  header.flags = 0xC0 | flag::kNack | flag::kPriority | flag::kFin;
  header.priority = header.hop_ttl = header.hop_count = header.frag_flags = 0xFF;
  header.channel_hash = header.fragment_id = header.fragment_offset = 0xFFFF;
  header.subprotocol_id = 0xFFFF;
  header.nonce_prefix = header.subnet_id = header.origin_hash = 0xFFFFFFFF;
  const auto parsed = parse_net_packet(packet_of(header));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, header);
}

TEST(NetPacket, RoundTrips) {
  for_each_seed([](Random& random) {
    const NetHeader header = random_header(random);
    const Bytes packet = packet_of(header);
    const auto parsed = parse_net_packet(packet);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, header);
  });
}

TEST(NetPacket, TheAadCoversEverythingButNonceAndHopCount) {
  for_each_seed([](Random& random) {
    Bytes packet = packet_of(random_header(random));
    const auto before = net_aad(packet);
    const std::size_t at = random.below(kNetHeaderBytes);
    packet[at] ^= static_cast<std::byte>(1 + random.below(255));
    const bool left_out = at == 6 || (at >= 12 && at < 24);
    EXPECT_EQ(net_aad(packet) == before, left_out) << at;
  });
}

TEST(NetPacket, DamagedPacketsDoNoHarm) {
  const std::array<Bytes, 4> valid{hex(kDataPacket), hex(kHeartbeatPacket), hex(kGrantPacket),
                                   make_handshake_packet(hex(kMessage1))};
  for_each_seed([&](Random& random) {
    Bytes packet = valid[random.below(valid.size())];
    mutate(random, packet);
    const auto header = parse_net_packet(packet);
    if (!header) return;
    EXPECT_LE(header->payload_len, kMaxNetPayloadBytes);
    if (!header->is_handshake()) {
      EXPECT_EQ(packet.size(), kNetOverheadBytes + header->payload_len);
    }
  });
}

}  // namespace
}  // namespace netmesh::wire
