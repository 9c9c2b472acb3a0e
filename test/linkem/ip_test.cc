#include "linkem/ip.h"

#include <gtest/gtest.h>

#include "linkem/packet_testing.h"

namespace netmesh::linkem {
namespace {

constexpr std::uint8_t kUdp = 17, kTcp = 6;

TEST(Checksum, MatchesTheExampleOfRfc1071) {
  const auto bytes = bytes_of({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7});
  EXPECT_EQ(checksum_finish(checksum_add(0, bytes)), static_cast<std::uint16_t>(~0xddf2 & 0xffff));
}

TEST(Checksum, CountsAnOddLastByteAsTheHighOne) {
  EXPECT_EQ(checksum_finish(checksum_add(0, bytes_of({0x12}))), 0xedff);
}

TEST(CorruptPayload, ReachesTheApplicationWithACorrectChecksum) {
  Dice dice(1);
  for (const bool v6 : {false, true}) {
    for (const std::uint8_t protocol : {kUdp, kTcp}) {
      for (std::size_t payload = 1; payload < 300; ++payload) {
        const auto original = transport_packet(protocol, v6, payload);
        ASSERT_EQ(transport_checksum(original, protocol, v6), 0);
        auto damaged = original;
        ASSERT_TRUE(corrupt_payload(damaged, dice));
        ASSERT_EQ(transport_checksum(damaged, protocol, v6), 0) << payload;
        const std::size_t header = (v6 ? 40u : 20u) + (protocol == kUdp ? 8u : 20u);
        int flipped = 0;
        for (std::size_t at = header; at < original.size(); ++at) {
          flipped += __builtin_popcount(std::to_integer<unsigned>(original[at] ^ damaged[at]));
        }
        EXPECT_EQ(flipped, 1);
        const std::size_t checksum = (v6 ? 40u : 20u) + (protocol == kUdp ? 6u : 16u);
        for (std::size_t at = 0; at < header; ++at) {
          if (at / 2 != checksum / 2) EXPECT_EQ(original[at], damaged[at]) << at;
        }
      }
    }
  }
}

TEST(CorruptPayload, LeavesADatagramWithoutChecksumWithoutOne) {
  Dice dice(1);
  auto packet = transport_packet(kUdp, false, 100);
  put16(packet, 26, 0);
  const auto original = packet;
  EXPECT_TRUE(corrupt_payload(packet, dice));
  EXPECT_NE(packet, original);
  EXPECT_EQ(get16(packet, 26), 0u);
}

TEST(CorruptPayload, RefusesWhatHasNoPayload) {
  Dice dice(1);
  auto empty = transport_packet(kUdp, false, 0);
  auto fragment = transport_packet(kUdp, false, 100);
  fragment[7] = std::byte{5};
  auto icmp = transport_packet(kUdp, false, 100);
  icmp[9] = std::byte{1};
  for (auto* packet : {&empty, &fragment, &icmp}) {
    const auto original = *packet;
    EXPECT_FALSE(corrupt_payload(*packet, dice));
    EXPECT_EQ(*packet, original);
  }
}

TEST(CorruptPayload, StaysInBoundsForEveryTruncation) {
  Dice dice(7);
  for (const bool v6 : {false, true}) {
    for (const std::uint8_t protocol : {kUdp, kTcp}) {
      const auto whole = transport_packet(protocol, v6, 40);
      for (std::size_t size = 0; size <= whole.size(); ++size) {
        // A buffer of exactly this size, so that AddressSanitizer sees a step too far.
        std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(size));
        std::vector<std::byte> answer(kMaxTooBigBytes);
        corrupt_payload(cut, dice);
        write_too_big(cut, 576, answer);
      }
    }
  }
}

TEST(CorruptPayload, StaysInBoundsForRandomBytes) {
  Dice dice(11);
  for (int i = 0; i < 100'000; ++i) {
    std::vector<std::byte> bytes(dice.below(80));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(dice.next() & 0xff);
    if (!bytes.empty()) bytes[0] = static_cast<std::byte>(dice.chance(0.5) ? 0x45 : 0x60);
    std::vector<std::byte> answer(kMaxTooBigBytes);
    corrupt_payload(bytes, dice);
    EXPECT_LE(write_too_big(bytes, 576, answer), kMaxTooBigBytes);
  }
}

TEST(TooBig, QuotesTheIpv4PacketAndNamesTheMtu) {
  const auto packet = transport_packet(kUdp, false, 1400);
  std::vector<std::byte> answer(kMaxTooBigBytes);
  const std::size_t size = write_too_big(packet, 1280, answer);
  ASSERT_EQ(size, 20u + 8 + 28);
  const ByteSpan icmp = ByteSpan(answer).subspan(20, size - 20);
  EXPECT_EQ(get16(answer, 2), size);
  EXPECT_EQ(checksum_finish(checksum_add(0, ByteSpan(answer).first(20))), 0);
  EXPECT_EQ(checksum_finish(checksum_add(0, icmp)), 0);
  EXPECT_EQ(icmp[0], std::byte{3});
  EXPECT_EQ(icmp[1], std::byte{4});
  EXPECT_EQ(get16(icmp, 6), 1280u);
  EXPECT_TRUE(std::equal(packet.begin() + 12, packet.begin() + 16, answer.begin() + 16));
  EXPECT_TRUE(std::equal(packet.begin() + 16, packet.begin() + 20, answer.begin() + 12));
  EXPECT_TRUE(std::equal(packet.begin(), packet.begin() + 28, icmp.begin() + 8));
}

TEST(TooBig, QuotesAsMuchOfTheIpv6PacketAsFits) {
  const auto packet = transport_packet(kUdp, true, 1400);
  std::vector<std::byte> answer(kMaxTooBigBytes);
  const std::size_t size = write_too_big(packet, 1300, answer);
  ASSERT_EQ(size, 1280u);
  EXPECT_EQ(transport_checksum(answer, 58, true), 0);
  EXPECT_EQ(answer[40], std::byte{2});
  EXPECT_EQ(get16(answer, 46), 1300u);
  EXPECT_TRUE(std::equal(answer.begin() + 48, answer.end(), packet.begin()));
}

TEST(TooBig, SaysNothingWhereNoRouterWould) {
  std::vector<std::byte> answer(kMaxTooBigBytes);
  auto may_be_fragmented = transport_packet(kUdp, false, 1400);
  may_be_fragmented[6] = std::byte{0};
  EXPECT_EQ(write_too_big(may_be_fragmented, 1280, answer), 0u);
  auto fragment = transport_packet(kUdp, false, 1400);
  fragment[6] = std::byte{0x60};
  EXPECT_EQ(write_too_big(fragment, 1280, answer), 0u);
  auto icmp_error = transport_packet(kUdp, false, 1400);
  icmp_error[9] = std::byte{1};
  icmp_error[20] = std::byte{3};
  EXPECT_EQ(write_too_big(icmp_error, 1280, answer), 0u);
  icmp_error[20] = std::byte{8};  // an echo request is no error
  EXPECT_NE(write_too_big(icmp_error, 1280, answer), 0u);
  EXPECT_EQ(write_too_big(bytes_of({0x00, 0x01, 0x02}), 1280, answer), 0u);
  EXPECT_EQ(write_too_big({}, 1280, answer), 0u);
}

}  // namespace
}  // namespace netmesh::linkem
