#include "mesh/cookie_jar.h"

#include <gtest/gtest.h>

#include <random>

namespace netmesh::mesh {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }

 private:
  std::mt19937_64 engine_;
};

struct Jar : ::testing::Test {
  SeededRandom random{1};
  CookieJar jar{random};
  Endpoint source = Endpoint::ipv4(10, 1, 2, 3, 4'000);
  wire::AttemptTag attempt{std::byte{5}};
};

TEST_F(Jar, KnowsItsCookiesForOneToTwoLivesOfASecret) {
  for (int offset = 0; offset < 60; ++offset) {
    CookieJar fresh(random);
    fresh.make(source, attempt, kStart);
    const TimePoint made = kStart + seconds(offset);
    const wire::Cookie cookie = fresh.make(source, attempt, made);
    EXPECT_TRUE(fresh.valid(cookie, source, attempt, made));
    EXPECT_TRUE(
        fresh.valid(cookie, source, attempt, made + CookieJar::kSecretLife - milliseconds(1)));
    EXPECT_FALSE(fresh.valid(cookie, source, attempt, made + 2 * CookieJar::kSecretLife));
  }
}

TEST_F(Jar, ForgetsOldSecretsEvenWhenNobodyAsksInBetween) {
  const wire::Cookie cookie = jar.make(source, attempt, kStart);
  EXPECT_FALSE(jar.valid(cookie, source, attempt, kStart + minutes(10)));
}

TEST_F(Jar, ACookieIsForOneSourceAndOneAttempt) {
  const wire::Cookie cookie = jar.make(source, attempt, kStart);
  Endpoint other_port = source, other_host = source, other_scope = source, other_family = source;
  ++other_port.port;
  other_host.ip[3] ^= std::byte{1};
  other_scope.scope = 1;
  other_family.family = Endpoint::Family::kIpv6;
  for (const Endpoint& other : {other_port, other_host, other_scope, other_family}) {
    EXPECT_FALSE(jar.valid(cookie, other, attempt, kStart));
  }
  for (std::size_t i = 0; i < attempt.size(); ++i) {
    wire::AttemptTag another = attempt;
    another[i] ^= std::byte{0x80};
    EXPECT_FALSE(jar.valid(cookie, source, another, kStart));
  }
}

TEST_F(Jar, NoBitOfACookieMayChange) {
  const wire::Cookie cookie = jar.make(source, attempt, kStart);
  for (std::size_t bit = 0; bit < 8 * cookie.size(); ++bit) {
    wire::Cookie changed = cookie;
    changed[bit / 8] ^= std::byte{static_cast<std::uint8_t>(1u << (bit % 8))};
    EXPECT_FALSE(jar.valid(changed, source, attempt, kStart));
  }
  EXPECT_FALSE(jar.valid(wire::Cookie{}, source, attempt, kStart)) << "what no cookie looks like";
}

TEST_F(Jar, NoOtherNodeKnowsThem) {
  CookieJar other(random);
  EXPECT_FALSE(other.valid(jar.make(source, attempt, kStart), source, attempt, kStart));
}

TEST_F(Jar, AClockThatGoesBackBreaksNothing) {
  const wire::Cookie cookie = jar.make(source, attempt, kStart);
  EXPECT_TRUE(jar.valid(cookie, source, attempt, kStart - minutes(30)));
  EXPECT_TRUE(jar.valid(cookie, source, attempt, kStart));
}

}  // namespace
}  // namespace netmesh::mesh
