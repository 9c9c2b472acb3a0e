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

std::uint32_t admitted(HandshakeLimiter& limiter, const Endpoint& from, TimePoint now,
                       std::uint32_t tries) {
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < tries; ++i) count += limiter.admit(from, now) ? 1u : 0u;
  return count;
}

TEST(HandshakeLimiter, GivesASourceABurstAndThenARate) {
  const auto limiter = std::make_unique<HandshakeLimiter>(1);
  EXPECT_EQ(admitted(*limiter, source(1), kStart, 1'000), HandshakeLimiter::kSourceBurst);
  EXPECT_EQ(admitted(*limiter, source(1), kStart + milliseconds(1'001), 1'000),
            HandshakeLimiter::kSourcePerSecond);
  EXPECT_EQ(admitted(*limiter, source(1), kStart + seconds(100), 1'000),
            HandshakeLimiter::kSourceBurst);
}

TEST(HandshakeLimiter, AFloodFromOneSourceLeavesTheOthersAlone) {
  const auto limiter = std::make_unique<HandshakeLimiter>(2);
  std::uint32_t others = 0;
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    const TimePoint now = kStart + milliseconds(i);
    admitted(*limiter, source(0), now, 20);
    others += limiter->admit(source(1 + i), now) ? 1u : 0u;
  }
  // A few may share the flooder's bucket.
  EXPECT_GE(others, 995u);
}

TEST(HandshakeLimiter, BoundsAllSourcesTogether) {
  const auto limiter = std::make_unique<HandshakeLimiter>(3);
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) count += limiter->admit(source(i), kStart) ? 1u : 0u;
  EXPECT_EQ(count, HandshakeLimiter::kTotalBurst);
  count = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    count += limiter->admit(source(i), kStart + seconds(1)) ? 1u : 0u;
  }
  EXPECT_EQ(count, HandshakeLimiter::kTotalPerSecond);
}

TEST(HandshakeLimiter, WorksWhenItIsAskedVeryOften) {
  const auto limiter = std::make_unique<HandshakeLimiter>(4);
  std::uint32_t count = 0;
  constexpr std::uint32_t kAsked = 1'000'000;  // every ten microseconds for ten seconds
  for (std::uint32_t i = 0; i < kAsked; ++i) {
    count += limiter->admit(source(1), kStart + std::chrono::microseconds(10 * i)) ? 1u : 0u;
  }
  EXPECT_NEAR(count, HandshakeLimiter::kSourceBurst + 10 * HandshakeLimiter::kSourcePerSecond, 5);
}

TEST(HandshakeLimiter, DoesNotMindAClockThatGoesBack) {
  const auto limiter = std::make_unique<HandshakeLimiter>(5);
  EXPECT_TRUE(limiter->admit(source(1), kStart));
  EXPECT_TRUE(limiter->admit(source(1), kStart - seconds(10)));
  EXPECT_LE(admitted(*limiter, source(1), kStart, 1'000),
            HandshakeLimiter::kSourceBurst + 10 * HandshakeLimiter::kSourcePerSecond);
}

TEST(HandshakeLimiter, SharesBucketsByAKeyThatStrangersDoNotKnow) {
  // Whom a source shares its bucket with depends on the key.
  const auto sharers = [](std::uint64_t key) {
    const auto limiter = std::make_unique<HandshakeLimiter>(key);
    admitted(*limiter, source(0), kStart, 1'000);
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = 1; i < 7'000; ++i) {
      if (!limiter->admit(source(i), kStart)) out.push_back(i);
    }
    return out;
  };
  EXPECT_NE(sharers(1), sharers(2));
}

}  // namespace
}  // namespace netmesh::mesh
