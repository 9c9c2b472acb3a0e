#include "wire/classify.h"

#include "wire/modern_packet.h"
#include "wire/net_packet.h"
#include "wire/routing.h"
#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::for_each_seed;
using testing::hex;
using testing::Random;

Bytes starting_with(std::string_view first_bytes, std::size_t size) {
  Bytes out = hex(first_bytes);
  out.resize(size);
  return out;
}

TEST(Classify, FourteenBytesWithThePunchMagicAreAKeepAlive) {
  EXPECT_EQ(classify(hex("5048 0807060504030201 00000000")), DatagramKind::kPunchKeepAlive);
  EXPECT_EQ(classify(starting_with("5048", 13)), DatagramKind::kInvalid);
  EXPECT_EQ(classify(starting_with("5048", 15)), DatagramKind::kInvalid);
  EXPECT_EQ(classify(starting_with("4850", 14)), DatagramKind::kInvalid);
}

TEST(Classify, FourteenBytesOfAnotherKindFallThrough) {
  EXPECT_EQ(classify(starting_with("454e01", 14)), DatagramKind::kBase);
  EXPECT_EQ(classify(starting_with("454e02", 14)), DatagramKind::kModern);
  EXPECT_EQ(classify(starting_with("5254", 14)), DatagramKind::kInvalid);
}

TEST(Classify, SeventyTwoBytesWithoutNetMagicAreAPingwave) {
  EXPECT_EQ(classify(starting_with("0807060504030201", 72)), DatagramKind::kPingwave);
  EXPECT_EQ(classify(starting_with("5254", 72)), DatagramKind::kPingwave);
  EXPECT_EQ(classify(starting_with("5048", 72)), DatagramKind::kPingwave);
  EXPECT_EQ(classify(starting_with("0807", 71)), DatagramKind::kInvalid);
  EXPECT_EQ(classify(starting_with("0807", 73)), DatagramKind::kInvalid);
}

TEST(Classify, SeventyTwoBytesWithNetMagicAreANetPacket) {
  EXPECT_EQ(classify(starting_with("454e01", 72)), DatagramKind::kBase);
  EXPECT_EQ(classify(starting_with("454e02", 72)), DatagramKind::kModern);
  EXPECT_EQ(classify(starting_with("454e03", 72)), DatagramKind::kInvalid);
}

TEST(Classify, RoutedDatagramsNeedRoomForANetHeader) {
  EXPECT_EQ(classify(starting_with("5254", 81)), DatagramKind::kInvalid);
  EXPECT_EQ(classify(starting_with("5254", 82)), DatagramKind::kRouted);
  EXPECT_EQ(classify(starting_with("5254", 8210)), DatagramKind::kRouted);
}

TEST(Classify, TheVersionTellsBaseFromModern) {
  EXPECT_EQ(classify(starting_with("454e00", 80)), DatagramKind::kInvalid);
  EXPECT_EQ(classify(starting_with("454e01", 80)), DatagramKind::kBase);
  EXPECT_EQ(classify(starting_with("454e02", 80)), DatagramKind::kModern);
  EXPECT_EQ(classify(starting_with("454e03", 80)), DatagramKind::kInvalid);
  EXPECT_EQ(classify(starting_with("454eff", 80)), DatagramKind::kInvalid);
}

TEST(Classify, TheMagicIsLittleEndian) {
  EXPECT_EQ(classify(starting_with("4e4501", 80)), DatagramKind::kInvalid);
  EXPECT_EQ(classify(starting_with("5452", 90)), DatagramKind::kInvalid);
}

TEST(Classify, ShortAndEmptyDatagramsAreInvalid) {
  EXPECT_EQ(classify({}), DatagramKind::kInvalid);
  EXPECT_EQ(classify(hex("45")), DatagramKind::kInvalid);
  EXPECT_EQ(classify(hex("454e")), DatagramKind::kInvalid);
  EXPECT_EQ(classify(hex("454e01")), DatagramKind::kBase);
}

TEST(Classify, WhatTheParsersTakeIsClassifiedForThem) {
  for_each_seed([](Random& random) {
    Bytes datagram = random.bytes(random.below(120));
    const std::array<std::string_view, 5> starts{"5048", "5254", "454e01", "454e02", ""};
    const Bytes start = hex(starts[random.below(starts.size())]);
    std::copy_n(start.begin(), std::min(start.size(), datagram.size()), datagram.begin());

    const DatagramKind kind = classify(datagram);
    if (parse_net_packet(datagram)) {
      EXPECT_EQ(kind, DatagramKind::kBase);
    }
    if (parse_modern_header(datagram)) {
      EXPECT_EQ(kind, DatagramKind::kModern);
    }
    if (kind == DatagramKind::kRouted) {
      EXPECT_TRUE(parse_routing_header(datagram));
    }
    if (kind == DatagramKind::kPingwave) {
      EXPECT_EQ(datagram.size(), kPingwaveBytes);
    }
  });
}

}  // namespace
}  // namespace netmesh::wire
