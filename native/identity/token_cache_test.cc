#include "identity/token_cache.h"

#include <gtest/gtest.h>

#include <map>

#include "identity/identity_testing.h"

namespace netmesh::identity {
namespace {

using testing::kStart;
using testing::SeededRandom;
using testing::spec_issuer;
using testing::spec_subject;

constexpr std::uint64_t kChannel = 77;
using Stored = TokenCache::Stored;

PermissionToken token_for(Scope scope, std::uint64_t ttl = 100, std::uint64_t channel = kChannel,
                          UnixSeconds from = kStart) {
  static const crypto::SigningKey issuer = spec_issuer();
  static const EntityId subject = spec_subject().public_key();
  return issue_token(issuer, {subject, scope, channel, ttl, 0}, from, 1).value();
}

bool permits(const TokenCache& cache, Scope action, UnixSeconds now,
             std::uint64_t channel = kChannel, const RevocationRegistry* revocations = nullptr) {
  return cache.check(spec_subject().public_key(), action, channel, now, revocations).has_value();
}

TEST(TokenCache, StoresNothingThatDoesNotVerify) {
  TokenCache cache;
  PermissionToken forged = token_for(kScopePublish);
  forged.scope = kScopeAll;
  const auto stored = cache.insert(forged, kStart);
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error(), TokenFailure::kInvalidSignature);
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.slots(), 0u);
}

TEST(TokenCache, TakesTokensAheadOfTimeAndAfterIt) {
  TokenCache cache;
  EXPECT_EQ(cache.insert(token_for(kScopePublish), kStart + 1000), Stored::kAdded);
  EXPECT_EQ(cache.insert(token_for(kScopeAdmin, 100, kChannel, kStart + 5000), kStart),
            Stored::kAdded);
  EXPECT_FALSE(permits(cache, kScopePublish, kStart + 1000));
  EXPECT_FALSE(permits(cache, kScopeAdmin, kStart));
  EXPECT_TRUE(permits(cache, kScopePublish, kStart));
  EXPECT_TRUE(permits(cache, kScopeAdmin, kStart + 5000));
}

TEST(TokenCache, ReplacesATokenOfTheSameScope) {
  TokenCache cache;
  EXPECT_EQ(cache.insert(token_for(kScopePublish, 10), kStart), Stored::kAdded);
  EXPECT_EQ(cache.insert(token_for(kScopePublish, 50), kStart), Stored::kReplaced);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_TRUE(permits(cache, kScopePublish, kStart + 40));
}

TEST(TokenCache, NeverLetsAnExpiredTokenHideAValidOne) {
  TokenCache cache;
  cache.insert(token_for(kScopePublish, 10), kStart).value();
  cache.insert(token_for(kScopePublish | kScopeSubscribe, 100), kStart).value();
  EXPECT_TRUE(permits(cache, kScopePublish, kStart + 50));
  EXPECT_EQ(cache.get(spec_subject().public_key(), kChannel, kStart + 50)->scope,
            kScopePublish | kScopeSubscribe);
  EXPECT_EQ(cache.get(spec_subject().public_key(), kChannel, kStart + 500)->scope, kScopePublish)
      << "with none valid the first is what there is";
}

TEST(TokenCache, LooksIntoTheWildcardSlotForChecksButNotForLookUps) {
  TokenCache cache;
  cache.insert(token_for(kScopePublish | kScopeWildcard), kStart).value();
  EXPECT_TRUE(permits(cache, kScopePublish, kStart, 123));
  EXPECT_FALSE(permits(cache, kScopeAdmin, kStart, 123));
  EXPECT_FALSE(cache.get(spec_subject().public_key(), kChannel, kStart));
}

TEST(TokenCache, DoesNotTakeATokenForChannelHashZeroAsAWildcard) {
  TokenCache cache;
  cache.insert(token_for(kScopePublish, 100, 0), kStart).value();
  cache.insert(token_for(kScopeAdmin | kScopeWildcard, 100), kStart).value();
  EXPECT_TRUE(permits(cache, kScopePublish, kStart, 0));
  EXPECT_FALSE(permits(cache, kScopePublish, kStart, 5));
  EXPECT_TRUE(permits(cache, kScopeAdmin, kStart, 5));
}

TEST(TokenCache, RefusesWhatItsIssuerRevoked) {
  TokenCache cache;
  cache.insert(token_for(kScopePublish), kStart).value();
  RevocationRegistry revocations;
  EXPECT_TRUE(permits(cache, kScopePublish, kStart, kChannel, &revocations));
  EXPECT_TRUE(revocations.revoke_below(spec_issuer().public_key(), 1));
  EXPECT_FALSE(permits(cache, kScopePublish, kStart, kChannel, &revocations));
}

TEST(TokenCache, CountsOnlyTokensOfTheIssuersAskedFor) {
  TokenCache cache;
  const PermissionToken token = token_for(kScopePublish);
  EXPECT_FALSE(cache.contains(token));
  EXPECT_EQ(cache.insert(token, kStart), Stored::kAdded);
  EXPECT_TRUE(cache.contains(token));
  EXPECT_FALSE(cache.contains(token_for(kScopePublish, 200))) << "alike, but another one";
  const EntityId issuers[] = {testing::repeated(9), spec_issuer().public_key()};
  const auto permitted = [&](std::span<const EntityId> asked) {
    return cache
        .check_issued_by(asked, spec_subject().public_key(), kScopePublish, kChannel, kStart)
        .has_value();
  };
  EXPECT_TRUE(permitted(issuers));
  EXPECT_FALSE(permitted({issuers, 1}));
  EXPECT_FALSE(permitted({})) << "nobody is not anybody";
}

TEST(TokenCache, SaysThatSomethingHasChanged) {
  TokenCache cache;
  std::uint64_t seen = cache.changes();
  const auto changed = [&] { return std::exchange(seen, cache.changes()) != seen; };
  EXPECT_EQ(cache.insert(token_for(kScopePublish), kStart), Stored::kAdded);
  EXPECT_TRUE(changed());
  EXPECT_EQ(cache.insert(token_for(kScopePublish, 200), kStart), Stored::kReplaced);
  EXPECT_TRUE(changed());
  EXPECT_TRUE(permits(cache, kScopePublish, kStart));
  EXPECT_FALSE(changed());
  cache.evict_expired(kStart + 200);
  EXPECT_TRUE(changed());
  cache.clear();
  EXPECT_TRUE(changed());
}

TEST(TokenCache, AppliesItsSkewAndCapsIt) {
  TokenCache cache({.skew_seconds = 60});
  cache.insert(token_for(kScopePublish), kStart).value();
  EXPECT_TRUE(permits(cache, kScopePublish, kStart - 60));
  EXPECT_TRUE(permits(cache, kScopePublish, kStart + 159));
  EXPECT_FALSE(permits(cache, kScopePublish, kStart + 160));
  TokenCache wide({.skew_seconds = 1'000'000});
  wide.insert(token_for(kScopePublish), kStart).value();
  EXPECT_TRUE(permits(wide, kScopePublish, kStart - 300));
  EXPECT_FALSE(permits(wide, kScopePublish, kStart - 301));
}

TEST(TokenCache, HoldsNoMoreThan32ScopesOfASlotButMakesRoomByTheDead) {
  TokenCache cache;
  for (Scope scope = 1; scope <= TokenCache::kMaxTokensPerSlot; ++scope)
    EXPECT_EQ(cache.insert(token_for(scope << 8, scope == 5 ? 10 : 100), kStart), Stored::kAdded);
  EXPECT_EQ(cache.insert(token_for(kScopeAdmin), kStart), Stored::kNoRoom);
  EXPECT_EQ(cache.size(), 32u);
  EXPECT_EQ(cache.insert(token_for(kScopeAdmin), kStart + 10), Stored::kAdded);
  EXPECT_EQ(cache.size(), 32u);
}

TEST(TokenCache, SweepsExactlyWhatHasExpired) {
  SeededRandom random(3);
  TokenCache cache;
  std::map<std::uint64_t, std::uint64_t> ttl_of;
  for (std::uint64_t channel = 0; channel < 100; ++channel) {
    const std::uint64_t ttl = 1 + random.below(50);
    ttl_of[channel] = ttl;
    cache.insert(token_for(kScopePublish, ttl, channel), kStart).value();
  }
  for (UnixSeconds now = kStart; now <= kStart + 50; now += 5) {
    cache.evict_expired(now);
    std::size_t alive = 0;
    for (const auto& [channel, ttl] : ttl_of) alive += now < kStart + ttl ? 1 : 0;
    EXPECT_EQ(cache.size(), alive);
    EXPECT_EQ(cache.slots(), alive);
  }
  EXPECT_EQ(cache.size(), 0u);
}

TEST(RevocationRegistry, OnlyRaisesFloors) {
  RevocationRegistry registry;
  const EntityId issuer = spec_issuer().public_key();
  EXPECT_FALSE(registry.is_revoked(issuer, 0));
  EXPECT_TRUE(registry.revoke_below(issuer, 5));
  EXPECT_TRUE(registry.revoke_below(issuer, 3));
  EXPECT_EQ(registry.floor(issuer), 5u);
  EXPECT_TRUE(registry.is_revoked(issuer, 4));
  EXPECT_FALSE(registry.is_revoked(issuer, 5));
  EXPECT_FALSE(registry.is_revoked(spec_subject().public_key(), 0));
}

TEST(RevocationRegistry, SaysThatAFloorHasRisen) {
  RevocationRegistry registry;
  const EntityId issuer = spec_issuer().public_key();
  registry.revoke_below(issuer, 0);
  EXPECT_EQ(registry.changes(), 0u);
  registry.revoke_below(issuer, 5);
  registry.revoke_below(issuer, 3);
  EXPECT_EQ(registry.changes(), 1u);
  registry.revoke_below(issuer, 6);
  EXPECT_EQ(registry.changes(), 2u);
}

TEST(RevocationRegistry, RefusesNewIssuersWhenFullAndForgetsNone) {
  RevocationRegistry registry(99);
  EntityId issuer{};
  for (std::uint32_t i = 0; i < RevocationRegistry::kMaxIssuers; ++i) {
    store_le(issuer.data(), i);
    ASSERT_TRUE(registry.revoke_below(issuer, 1));
  }
  store_le(issuer.data(), std::uint32_t{0xFFFFFFFF});
  EXPECT_FALSE(registry.revoke_below(issuer, 1));
  store_le(issuer.data(), std::uint32_t{17});
  EXPECT_TRUE(registry.revoke_below(issuer, 9));
  EXPECT_EQ(registry.floor(issuer), 9u);
}

}  // namespace
}  // namespace netmesh::identity
