#include "wire/modern_control.h"

#include <algorithm>

#include "wire/net_packet.h"
#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::concat;
using testing::for_each_cut;
using testing::for_each_seed;
using testing::hex;
using testing::mutate;
using testing::Random;

ResetDatagram random_reset(Random& random) { return {SessionId{random.u64()}, random.array<16>()}; }

CookieDatagram random_cookie(Random& random) { return {random.array<16>(), random.array<16>()}; }

TEST(Reset, IsHeaderFlagAndToken) {
  ResetDatagram reset;
  reset.session_id = SessionId{0x1122'3344'5566'7788};
  for (std::size_t i = 0; i < 16; ++i) reset.token[i] = static_cast<std::byte>(0xA0 + i);
  EXPECT_EQ(to_hex(make_reset(reset)), to_hex(hex("454e 02 02 8877665544332211 0000000000000000"
                                                  "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")));
  EXPECT_EQ(make_reset(reset).size(), kResetDatagramBytes);
}

TEST(Reset, RoundTrips) {
  for_each_seed([](Random& random) {
    const ResetDatagram reset = random_reset(random);
    const Bytes bytes = make_reset(reset);
    EXPECT_EQ(modern_kind(bytes), ModernKind::kReset);
    const auto parsed = parse_reset(bytes);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->session_id, reset.session_id);
    EXPECT_EQ(parsed->token, reset.token);
    EXPECT_FALSE(parse_cookie(bytes));
  });
}

TEST(Reset, HasExactlyItsLength) {
  const Bytes valid = make_reset({SessionId{7}, {}});
  for_each_cut(valid, [](ByteSpan cut) { EXPECT_FALSE(parse_reset(cut)); });
  EXPECT_FALSE(parse_reset(concat({valid, Bytes(1)})));
  EXPECT_FALSE(parse_reset(concat({valid, Bytes(1'000)})));
}

TEST(Reset, NeedsMagicVersionAndFlag) {
  const Bytes valid = make_reset({SessionId{7}, {}});
  for (const std::size_t at : {0u, 1u, 2u, 3u}) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes changed = valid;
      changed[at] ^= std::byte{static_cast<std::uint8_t>(1u << bit)};
      const bool flag_kept =
          at == 3 && (std::to_integer<unsigned>(changed[3]) & modern_flag::kReset) != 0;
      EXPECT_EQ(parse_reset(changed).has_value(), flag_kept) << at << " " << bit;
    }
  }
}

TEST(CookieReply, IsHeaderFlagAttemptAndCookie) {
  CookieDatagram reply;
  reply.attempt.fill(std::byte{0x11});
  reply.cookie.fill(std::byte{0x22});
  EXPECT_EQ(to_hex(make_cookie(reply)), to_hex(hex("454e 02 04 0000000000000000 0000000000000000"
                                                   "11111111111111111111111111111111"
                                                   "22222222222222222222222222222222")));
  EXPECT_EQ(make_cookie(reply).size(), kCookieDatagramBytes);
}

TEST(CookieReply, RoundTrips) {
  for_each_seed([](Random& random) {
    const CookieDatagram reply = random_cookie(random);
    const Bytes bytes = make_cookie(reply);
    EXPECT_EQ(modern_kind(bytes), ModernKind::kCookie);
    const auto parsed = parse_cookie(bytes);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->attempt, reply.attempt);
    EXPECT_EQ(parsed->cookie, reply.cookie);
    EXPECT_FALSE(parse_reset(bytes));
  });
}

TEST(CookieReply, HasExactlyItsLength) {
  const Bytes valid = make_cookie({});
  for_each_cut(valid, [](ByteSpan cut) { EXPECT_FALSE(parse_cookie(cut)); });
  EXPECT_FALSE(parse_cookie(concat({valid, Bytes(1)})));
}

TEST(ModernControl, DamageDoesNoHarm) {
  for_each_seed([](Random& random) {
    Bytes bytes =
        random.flip() ? make_reset(random_reset(random)) : make_cookie(random_cookie(random));
    mutate(random, bytes);
    if (const auto reset = parse_reset(bytes)) {
      // Unknown flags and the unused packet number are not looked at.
      const Bytes again = make_reset(*reset);
      EXPECT_TRUE(std::equal(again.begin() + 4, again.begin() + 12, bytes.begin() + 4));
      EXPECT_TRUE(std::equal(again.begin() + 20, again.end(), bytes.begin() + 20));
    }
    if (const auto reply = parse_cookie(bytes)) {
      const Bytes again = make_cookie(*reply);
      EXPECT_TRUE(std::equal(again.begin() + 20, again.end(), bytes.begin() + 20));
    }
  });
}

/// A packet that calls for a reset is longer than the reset: two nodes never reset each other's
/// resets for ever.
TEST(ModernControl, IsShorterThanWhatItAnswers) {
  EXPECT_LE(kResetDatagramBytes, kModernOverheadBytes);
  EXPECT_LT(kCookieDatagramBytes, kNetHeaderBytes + 48);
}

TEST(Cookie, TravelsWhereBaseNodesDoNotLook) {
  for_each_seed(
      [](Random& random) {
        const Bytes message = random.bytes(48 + random.below(200));
        const std::uint64_t hint = random.u64();
        Bytes packet = make_handshake_packet(message, hint);
        EXPECT_EQ(get_cookie(packet), Cookie{}) << "none";
        const Bytes without = packet;
        const Cookie cookie = random.array<16>();
        put_cookie(cookie, packet);
        EXPECT_EQ(get_cookie(packet), cookie);
        const auto header = parse_net_packet(packet);
        ASSERT_TRUE(header);
        EXPECT_TRUE(header->is_handshake());
        EXPECT_TRUE(testing::same_bytes(handshake_message(packet), message));
        EXPECT_EQ(load_le<std::uint64_t>(packet.data() + 32), hint);
        put_cookie({}, packet);
        EXPECT_EQ(packet, without);
      },
      500);
}

}  // namespace
}  // namespace netmesh::wire
