#include "identity/token.h"

#include <gtest/gtest.h>

#include <limits>

#include "identity/identity_testing.h"

namespace netmesh::identity {
namespace {

using testing::kStart;
using testing::SeededRandom;
using testing::spec_issuer;
using testing::spec_subject;
using testing::spec_token;

PermissionToken random_token(SeededRandom& random) {
  std::array<std::byte, kTokenBytes> bytes;
  random.fill(bytes);
  return PermissionToken::parse(bytes).value();
}

TokenGrant grant_to_subject(Scope scope, std::uint8_t depth) {
  return {spec_subject().public_key(), scope, channel_hash_of("lab/x"), 100, depth};
}

std::string failure_of(const TokenResult<void>& result) {
  return result ? "" : std::string(token_failure_name(result.error()));
}
std::string failure_of(const TokenResult<PermissionToken>& result) {
  return result ? "" : std::string(token_failure_name(result.error()));
}

TEST(PermissionToken, HasTheBytesOfTheSpecification) {
  EXPECT_EQ(to_hex(spec_token().encode()),
            "2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12"
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
            "02000000"
            "2d1707f34e4377e4"
            "00000000"
            "00f1536500000000"
            "2cf2536500000000"
            "00"
            "8877665544332211"
            "12e4121d376eace53ad81dffcaec0cf021fdd8d2978f3c3dd5f35ce692608a98"
            "6ed9697d827adbfb48752de35557bc4488bd3ae78ff5356d773ee680c879bc05");
}

TEST(PermissionToken, HashesChannelsAsTheSpecificationDoes) {
  const std::pair<std::string_view, std::uint64_t> vectors[] = {
      {"sensors/temp", 0xe477434ef307172d},  {"lab/x", 0x6d5b83d90de02ee8},
      {"lab/open", 0x57d14d5a8457b61f},      {"events/inference", 0x5c188de0f70642e9},
      {"sensors/lidar", 0xec20e8ac7fa5e5d8}, {"sensors/lidar/front", 0x9e966e6550443f32},
  };
  for (const auto& [name, hash] : vectors) EXPECT_EQ(channel_hash_of(name), hash) << name;
}

TEST(PermissionToken, ParsesBackWhateverItWasEncodedFrom) {
  SeededRandom random(1);
  for (int i = 0; i < 500; ++i) {
    const PermissionToken token = random_token(random);
    EXPECT_EQ(PermissionToken::parse(token.encode()), token);
  }
}

TEST(PermissionToken, TakesNoOtherLengthThan169Bytes) {
  for (std::size_t size = 0; size <= 400; ++size) {
    const auto parsed = PermissionToken::parse(Bytes(size));
    EXPECT_EQ(parsed.has_value(), size == kTokenBytes) << size;
    if (!parsed) EXPECT_EQ(parsed.error(), TokenFailure::kInvalidFormat);
  }
}

TEST(PermissionToken, DoesNotVerifyOnceAnyBitWasChanged) {
  const auto bytes = spec_token().encode();
  ASSERT_TRUE(spec_token().verify());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto damaged = bytes;
    damaged[i] ^= static_cast<std::byte>(1u << (i % 8));
    const PermissionToken token = PermissionToken::parse(damaged).value();
    EXPECT_FALSE(token.verify()) << "byte " << i;
    EXPECT_EQ(failure_of(token.check_valid(kStart)), "invalid_signature");
  }
}

TEST(PermissionToken, RefusesSmallOrderKeysAndNonCanonicalSignatures) {
  PermissionToken token = spec_token();
  token.issuer = {};  // y = 0 has order 4
  token.signature = {};
  EXPECT_FALSE(token.verify());
  token.issuer =
      crypto::Key{std::byte{1}};  // the neutral element: R = A, S = 0 solves the equation
  token.signature = {std::byte{1}};
  EXPECT_FALSE(token.verify());

  // S + L signs the same message, in a form that must not count.
  token = spec_token();
  const Bytes order =
      from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").value();
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += static_cast<unsigned>(token.signature[32 + i]) + static_cast<unsigned>(order[i]);
    token.signature[32 + i] = static_cast<std::byte>(carry & 0xFF);
    carry >>= 8;
  }
  EXPECT_FALSE(token.verify());
}

TEST(PermissionToken, IsValidForExactlyItsTimeToLive) {
  const PermissionToken token = spec_token();
  EXPECT_EQ(failure_of(token.check_valid(kStart - 1)), "not_yet_valid");
  EXPECT_EQ(failure_of(token.check_valid(kStart)), "");
  EXPECT_EQ(failure_of(token.check_valid(kStart + 299)), "");
  EXPECT_EQ(failure_of(token.check_valid(kStart + 300)), "expired");
}

TEST(PermissionToken, ToleratesClockSkewAtBothEnds) {
  const PermissionToken token = spec_token();
  EXPECT_EQ(failure_of(token.check_valid(kStart - 60, 60)), "");
  EXPECT_EQ(failure_of(token.check_valid(kStart - 61, 60)), "not_yet_valid");
  EXPECT_EQ(failure_of(token.check_valid(kStart + 359, 60)), "");
  EXPECT_EQ(failure_of(token.check_valid(kStart + 360, 60)), "expired");
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(failure_of(token.check_valid(0, kMax)), "") << "skew saturates at both ends";
  EXPECT_EQ(failure_of(token.check_valid(kMax - 1, kMax)), "");
}

TEST(PermissionToken, ExpiresByTheClockEvenIfForged) {
  PermissionToken token = spec_token();
  token.nonce ^= 1;
  EXPECT_FALSE(token.is_expired(kStart + 299));
  EXPECT_TRUE(token.is_expired(kStart + 300));
}

TEST(PermissionToken, AuthorizesOnlyWhatItsScopeHoldsOnItsChannel) {
  PermissionToken token;
  token.channel_hash = 7;
  token.scope = kScopePublish | kScopeSubscribe;
  EXPECT_TRUE(token.authorizes(kScopePublish, 7));
  EXPECT_TRUE(token.authorizes(kScopePublish | kScopeSubscribe, 7));
  EXPECT_FALSE(token.authorizes(kScopePublish | kScopeAdmin, 7));
  EXPECT_FALSE(token.authorizes(kScopePublish, 8));
  EXPECT_FALSE(token.authorizes(0, 7)) << "asking for nothing is never granted";
  token.channel_hash = 0;
  EXPECT_FALSE(token.authorizes(kScopePublish, 8)) << "hash 0 is no wildcard";
  token.scope |= kScopeWildcard;
  EXPECT_TRUE(token.authorizes(kScopePublish, 8));
  EXPECT_FALSE(token.authorizes(kScopeAdmin, 8));
}

TEST(IssueToken, RefusesAZeroTimeToLive) {
  TokenGrant grant = grant_to_subject(kScopePublish, 0);
  grant.ttl_seconds = 0;
  EXPECT_EQ(failure_of(issue_token(spec_issuer(), grant, kStart, 1)), "zero_ttl");
}

TEST(IssueToken, SaturatesTheEndOfALongLife) {
  TokenGrant grant = grant_to_subject(kScopePublish, 0);
  grant.ttl_seconds = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(issue_token(spec_issuer(), grant, kStart, 1)->not_after,
            std::numeric_limits<std::uint64_t>::max());
}

TEST(DelegateToken, NarrowsTheScopeAndNeverOutlivesTheParent) {
  SeededRandom random(2);
  for (int i = 0; i < 100; ++i) {
    const auto parent_scope = static_cast<Scope>(random.u64()) | kScopeDelegate;
    const auto requested = static_cast<Scope>(random.u64());
    const auto depth = static_cast<std::uint8_t>(1 + random.below(255));
    PermissionToken parent =
        issue_token(spec_issuer(), grant_to_subject(parent_scope, depth), kStart, 1).value();
    const crypto::SigningKey next = crypto::SigningKey::generate(random);
    const PermissionToken child =
        delegate_token(parent, spec_subject(), next.public_key(), requested, kStart + 50, 9)
            .value();
    EXPECT_TRUE(child.verify());
    EXPECT_EQ(child.issuer, parent.subject);
    EXPECT_EQ(child.subject, next.public_key());
    EXPECT_EQ(child.scope, parent_scope & requested);
    EXPECT_EQ(child.channel_hash, parent.channel_hash);
    EXPECT_EQ(child.issuer_generation, parent.issuer_generation);
    EXPECT_EQ(child.not_before, kStart + 50);
    EXPECT_EQ(child.not_after, parent.not_after);
    EXPECT_EQ(child.delegation_depth, depth - 1);
    EXPECT_EQ(child.nonce, 9u);
  }
}

TEST(DelegateToken, ReportsTheFirstFailureInTheDocumentedOrder) {
  // Each row repairs what the row before was refused for; all of the rest is wrong.
  const crypto::SigningKey stranger = spec_issuer();
  const auto attempt = [&](const PermissionToken& parent, const crypto::SigningKey& signer,
                           UnixSeconds now) {
    return failure_of(delegate_token(parent, signer, stranger.public_key(), kScopePublish, now, 1));
  };
  PermissionToken parent =
      issue_token(spec_issuer(), grant_to_subject(kScopePublish, 0), kStart, 1).value();
  PermissionToken forged = parent;
  forged.nonce ^= 1;
  EXPECT_EQ(attempt(forged, stranger, kStart + 1000), "invalid_signature");
  EXPECT_EQ(attempt(parent, stranger, kStart - 1), "not_yet_valid");
  EXPECT_EQ(attempt(parent, stranger, kStart + 1000), "expired");
  EXPECT_EQ(attempt(parent, stranger, kStart), "delegation_exhausted");
  parent = issue_token(spec_issuer(), grant_to_subject(kScopePublish, 1), kStart, 1).value();
  EXPECT_EQ(attempt(parent, stranger, kStart), "delegation_not_allowed");
  parent =
      issue_token(spec_issuer(), grant_to_subject(kScopePublish | kScopeDelegate, 1), kStart, 1)
          .value();
  EXPECT_EQ(attempt(parent, stranger, kStart), "not_authorized");
  EXPECT_EQ(attempt(parent, spec_subject(), kStart), "");
}

}  // namespace
}  // namespace netmesh::identity
