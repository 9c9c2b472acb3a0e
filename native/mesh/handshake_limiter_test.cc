#include "mesh/handshake_limiter.h"

#include <gtest/gtest.h>

#include <memory>

namespace netmesh::mesh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

Endpoint source(std::uint32_t number) {
  return Endpoint::ipv4(10, static_cast<std::uint8_t>(number >> 16),
                        static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number),
                        9);
}

using Kind = HandshakeLimiter::Kind;
using Verdict = HandshakeLimiter::Verdict;

std::unique_ptr<HandshakeLimiter> make_limiter(std::uint64_t key,
                                               std::uint32_t unproven = 1'000'000) {
  return std::make_unique<HandshakeLimiter>(key, unproven);
}

bool admit(HandshakeLimiter& limiter, const Endpoint& from, TimePoint now) {
  return limiter.admit(from, Kind::kModern, false, now) == Verdict::kAdmit;
}

std::uint32_t admitted(HandshakeLimiter& limiter, const Endpoint& from, TimePoint now,
                       std::uint32_t tries) {
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < tries; ++i) count += admit(limiter, from, now) ? 1u : 0u;
  return count;
}

TEST(HandshakeLimiter, GivesASourceABurstAndThenARate) {
  const auto limiter = make_limiter(1);
  EXPECT_EQ(admitted(*limiter, source(1), kStart, 1'000), HandshakeLimiter::kSource.burst);
  EXPECT_EQ(admitted(*limiter, source(1), kStart + milliseconds(1'001), 1'000),
            HandshakeLimiter::kSource.per_second);
  EXPECT_EQ(admitted(*limiter, source(1), kStart + seconds(100), 1'000),
            HandshakeLimiter::kSource.burst);
}

TEST(HandshakeLimiter, AFloodFromOneSourceLeavesTheOthersAlone) {
  const auto limiter = make_limiter(2);
  std::uint32_t others = 0;
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    const TimePoint now = kStart + milliseconds(i);
    admitted(*limiter, source(0), now, 20);
    others += admit(*limiter, source(1 + i), now) ? 1u : 0u;
  }
  // A few may share the flooder's bucket.
  EXPECT_GE(others, 995u);
}

TEST(HandshakeLimiter, BoundsAllSourcesTogether) {
  const auto limiter = make_limiter(3);
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) count += admit(*limiter, source(i), kStart) ? 1u : 0u;
  EXPECT_EQ(count, HandshakeLimiter::kTotal.burst);
  count = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    count += admit(*limiter, source(i), kStart + seconds(1)) ? 1u : 0u;
  }
  EXPECT_EQ(count, HandshakeLimiter::kTotal.per_second);
}

TEST(HandshakeLimiter, WorksWhenItIsAskedVeryOften) {
  const auto limiter = make_limiter(4);
  std::uint32_t count = 0;
  constexpr std::uint32_t kAsked = 1'000'000;  // every ten microseconds for ten seconds
  for (std::uint32_t i = 0; i < kAsked; ++i) {
    count += admit(*limiter, source(1), kStart + std::chrono::microseconds(10 * i)) ? 1u : 0u;
  }
  EXPECT_NEAR(count, HandshakeLimiter::kSource.burst + 10 * HandshakeLimiter::kSource.per_second,
              5);
}

TEST(HandshakeLimiter, DoesNotMindAClockThatGoesBack) {
  const auto limiter = make_limiter(5);
  EXPECT_TRUE(admit(*limiter, source(1), kStart));
  EXPECT_TRUE(admit(*limiter, source(1), kStart - seconds(10)));
  EXPECT_LE(admitted(*limiter, source(1), kStart, 1'000),
            HandshakeLimiter::kSource.burst + 10 * HandshakeLimiter::kSource.per_second);
}

TEST(HandshakeLimiter, SharesBucketsByAKeyThatStrangersDoNotKnow) {
  // Whom a source shares its bucket with depends on the key.
  const auto sharers = [](std::uint64_t key) {
    const auto limiter = make_limiter(key);
    admitted(*limiter, source(0), kStart, 1'000);
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = 1; i < 7'000; ++i) {
      if (!admit(*limiter, source(i), kStart)) out.push_back(i);
    }
    return out;
  };
  EXPECT_NE(sharers(1), sharers(2));
}

TEST(HandshakeLimiter, AsksForCookiesAboveTheRateOfUnprovenSources) {
  const auto limiter = make_limiter(6, 100);
  std::uint32_t worked_on = 0;
  std::uint32_t asked = 0;
  for (std::uint32_t i = 0; i < 5'000; ++i) {
    const Verdict verdict = limiter->admit(source(i), Kind::kModern, false, kStart);
    worked_on += verdict == Verdict::kAdmit ? 1u : 0u;
    asked += verdict == Verdict::kProveAddress ? 1u : 0u;
  }
  EXPECT_EQ(worked_on, 200u);
  EXPECT_EQ(asked, 4'800u);
  EXPECT_TRUE(limiter->under_pressure(kStart));
  // Whoever proves its address is served, and so is an answer to a question of our own.
  EXPECT_EQ(limiter->admit(source(9'001), Kind::kModern, true, kStart), Verdict::kAdmit);
  EXPECT_EQ(limiter->admit(source(9'002), Kind::kReply, false, kStart), Verdict::kAdmit);
  EXPECT_FALSE(limiter->under_pressure(kStart + seconds(1)));
}

TEST(HandshakeLimiter, SharesALegacyBudgetByAddressUnderPressure) {
  const auto limiter = make_limiter(7, 10);
  for (std::uint32_t i = 0; i < 1'000; ++i) limiter->admit(source(i), Kind::kModern, false, kStart);
  // One address with many ports gets its share and no more.
  std::uint32_t greedy = 0;
  for (std::uint16_t port = 1; port < 1'000; ++port) {
    Endpoint from = source(5'000);
    from.port = port;
    greedy += limiter->admit(from, Kind::kLegacy, false, kStart) == Verdict::kAdmit ? 1u : 0u;
  }
  EXPECT_EQ(greedy, HandshakeLimiter::kLegacyAddress.burst);
  EXPECT_EQ(limiter->admit(source(6'001), Kind::kLegacy, false, kStart), Verdict::kAdmit);
  std::uint32_t total = greedy + 1;
  for (std::uint32_t i = 10'000; i < 20'000; ++i)
    total += limiter->admit(source(i), Kind::kLegacy, false, kStart) == Verdict::kAdmit ? 1u : 0u;
  EXPECT_EQ(total, HandshakeLimiter::kLegacyUnderPressure.burst);
}

}  // namespace
}  // namespace netmesh::mesh
