#include "wire/routing.h"

#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::concat;
using testing::for_each_cut;
using testing::for_each_seed;
using testing::hex;
using testing::mutate;
using testing::Random;

Bytes written(const RoutingHeader& header) {
  Bytes out(kRoutingHeaderBytes);
  write_routing_header(header, out);
  return out;
}

TEST(RoutingHeader, TheExampleOfSpec20) {
  const NodeId sender{0x0123456789ABCDEFULL};
  RoutingHeader header;
  header.ttl = kRoutedDataTtl;
  header.source = routing_id(sender);
  header.destination = NodeId{0x1122334455667788ULL};
  const Bytes origin = hex("5254 08 00 00 00 EFCDAB89 8877665544332211");
  EXPECT_EQ(to_hex(written(header)), to_hex(origin));
  EXPECT_EQ(parse_routing_header(origin), header);

  RoutingHeader forwarded = *parse_routing_header(origin);
  --forwarded.ttl;
  ++forwarded.hop_count;
  EXPECT_EQ(to_hex(written(forwarded)), to_hex(hex("5254 07 01 00 00 EFCDAB89 8877665544332211")));
}

TEST(RoutingHeader, TheHandshakeHeadersOfSpec10) {
  const NodeId initiator{0x1111111122222222ULL};
  const NodeId responder{0x3333333344444444ULL};
  RoutingHeader header;
  header.ttl = kRoutedHandshakeTtl;
  header.source = routing_id(initiator);
  header.destination = responder;
  EXPECT_EQ(to_hex(written(header)), to_hex(hex("5254 10 00 00 00 22222222 4444444433333333")));
  header.source = routing_id(responder);
  header.destination = initiator;
  EXPECT_EQ(to_hex(written(header)), to_hex(hex("5254 10 00 00 00 44444444 2222222211111111")));
}

TEST(RoutingHeader, RefusesCutsAndOtherMagics) {
  const Bytes valid = hex("5254 08 00 00 00 EFCDAB89 8877665544332211");
  for_each_cut(valid, [](ByteSpan cut) { EXPECT_FALSE(parse_routing_header(cut)); });
  for (std::size_t at = 0; at < 2; ++at) {
    Bytes other = valid;
    other[at] ^= std::byte{1};
    EXPECT_FALSE(parse_routing_header(other));
  }
}

TEST(RoutingHeader, TheHighNibbleOfTheFlagsIsClearedAndReservedIsKept) {
  const auto header = parse_routing_header(hex("5254 08 00 F5 7E EFCDAB89 8877665544332211"));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->flags, 0x05);
  EXPECT_EQ(header->reserved, 0x7E);
  RoutingHeader wide = *header;
  wide.flags = 0xF5;
  EXPECT_EQ(written(wide), written(*header));
}

TEST(RoutingHeader, RoundTrips) {
  for_each_seed([](Random& random) {
    RoutingHeader header;
    header.ttl = random.number<std::uint8_t>();
    header.hop_count = random.number<std::uint8_t>();
    header.flags = static_cast<std::uint8_t>(random.below(16));
    header.reserved = random.number<std::uint8_t>();
    header.source = random.number<std::uint32_t>();
    header.destination = NodeId{random.u64()};
    EXPECT_EQ(parse_routing_header(written(header)), header);
    // What follows the header does not matter to it.
    EXPECT_EQ(parse_routing_header(concat({written(header), random.bytes(random.below(64))})),
              header);
  });
}

TEST(RoutingHeader, DamageDoesNoHarm) {
  for_each_seed([](Random& random) {
    Bytes datagram = hex("5254 08 00 00 00 EFCDAB89 8877665544332211");
    mutate(random, datagram);
    if (parse_routing_header(datagram)) {
      EXPECT_GE(datagram.size(), kRoutingHeaderBytes);
    }
  });
}

Bytes example_pingwave() {
  return concat({hex("0807060504030201"), Bytes(24), hex("0500000000000000 03 00 00401E18240A0600"),
                 Bytes(22)});
}

Bytes written(const Pingwave& pingwave) {
  const auto out = write_pingwave(pingwave);
  return {out.begin(), out.end()};
}

TEST(Pingwave, TheExampleOfSpec20) {
  Pingwave pingwave;
  pingwave.origin = NodeId{0x0102030405060708ULL};
  pingwave.sequence = 5;
  pingwave.ttl = 3;
  pingwave.origin_timestamp_us = 1'700'000'000'000'000ULL;
  ASSERT_EQ(example_pingwave().size(), kPingwaveBytes);
  EXPECT_EQ(to_hex(written(pingwave)), to_hex(example_pingwave()));
  EXPECT_EQ(parse_pingwave(example_pingwave()), pingwave);
}

TEST(Pingwave, EveryFieldHasItsOffset) {
  Pingwave pingwave;
  pingwave.origin = NodeId{0x0706050403020100};
  pingwave.sequence = 0x2726252423222120;
  pingwave.ttl = 0x28;
  pingwave.hop_count = 0x29;
  pingwave.origin_timestamp_us = 0x31302f2e2d2c2b2a;
  pingwave.capability_hash = 0x3938373635343332;
  pingwave.capability_version = 0x3d3c3b3a;
  pingwave.load_level = 0x3e;
  pingwave.health = 3;
  for (std::size_t i = 0; i < 8; ++i) pingwave.summary[i] = static_cast<std::byte>(0x40 + i);
  Bytes expected(kPingwaveBytes);
  for (std::size_t i = 0; i < kPingwaveBytes; ++i) {
    if (i < 8 || i >= 32) expected[i] = static_cast<std::byte>(i);
  }
  expected[63] = std::byte{3};
  EXPECT_EQ(to_hex(written(pingwave)), to_hex(expected));
  EXPECT_EQ(parse_pingwave(expected), pingwave);
}

TEST(Pingwave, RefusesEveryOtherLength) {
  for_each_cut(example_pingwave(), [](ByteSpan cut) { EXPECT_FALSE(parse_pingwave(cut)); });
  EXPECT_FALSE(parse_pingwave(concat({example_pingwave(), hex("00")})));
}

TEST(Pingwave, RefusesUnknownHealth) {
  for (unsigned health = 0; health < 256; ++health) {
    Bytes datagram = example_pingwave();
    datagram[63] = static_cast<std::byte>(health);
    EXPECT_EQ(parse_pingwave(datagram).has_value(), health <= 3) << health;
  }
}

TEST(Pingwave, RoundTrips) {
  for_each_seed([](Random& random) {
    Pingwave pingwave;
    pingwave.origin = NodeId{random.u64()};
    pingwave.sequence = random.u64();
    pingwave.ttl = random.number<std::uint8_t>();
    pingwave.hop_count = random.number<std::uint8_t>();
    pingwave.origin_timestamp_us = random.u64();
    pingwave.capability_hash = random.u64();
    pingwave.capability_version = random.number<std::uint32_t>();
    pingwave.load_level = random.number<std::uint8_t>();
    pingwave.health = static_cast<std::uint8_t>(random.below(4));
    pingwave.summary = random.array<8>();
    EXPECT_EQ(parse_pingwave(write_pingwave(pingwave)), pingwave);
  });
}

TEST(Pingwave, DamageDoesNoHarm) {
  for_each_seed([](Random& random) {
    Bytes datagram = example_pingwave();
    mutate(random, datagram);
    if (const auto pingwave = parse_pingwave(datagram)) {
      EXPECT_LE(pingwave->health, 3);
    }
  });
}

}  // namespace
}  // namespace netmesh::wire
