#include "identity/token_chain.h"

#include <gtest/gtest.h>

#include "identity/identity_testing.h"

namespace netmesh::identity {
namespace {

using testing::kStart;
using testing::SeededRandom;

constexpr std::uint64_t kChannel = 5;
constexpr Scope kHandedOn = kScopeSubscribe | kScopeDelegate;

/// A root and whoever the right was handed to, with the tokens between them.
struct Line {
  explicit Line(std::size_t links, std::uint64_t ttl = 100) {
    SeededRandom random(links);
    for (std::size_t i = 0; i <= links; ++i) keys.push_back(crypto::SigningKey::generate(random));
    const auto depth = static_cast<std::uint8_t>(links);
    const TokenGrant grant{keys[1].public_key(), kHandedOn, kChannel, ttl, depth};
    tokens.push_back(issue_token(keys[0], grant, kStart, 1).value());
    for (std::size_t i = 1; i < links; ++i) {
      tokens.push_back(delegate_token(tokens.back(), keys[i], keys[i + 1].public_key(), kHandedOn,
                                      kStart + i, 1 + i)
                           .value());
    }
  }
  /// Signs link `i` again after it was changed.
  void resign(std::size_t i) {
    const auto bytes = tokens[i].encode();
    tokens[i].signature = keys[i].sign(ByteSpan(bytes).first(kTokenSignedBytes));
  }
  std::string ask(UnixSeconds now = kStart + 20, Scope action = kScopeSubscribe,
                  std::uint64_t channel = kChannel) const {
    const EntityId roots[] = {testing::repeated(9), keys[0].public_key()};
    TokenChain::Question question;
    question.action = action;
    question.channel = channel;
    question.presenter = presenter ? *presenter : keys.back().public_key();
    question.roots = trusted ? std::span<const EntityId>(roots) : std::span<const EntityId>();
    question.revocations = &revocations;
    question.skew_seconds = skew;
    const auto result = TokenChain::of(tokens).value().verify(question, now);
    return result ? "" : std::string(token_failure_name(result.error()));
  }

  std::vector<crypto::SigningKey> keys;
  std::vector<PermissionToken> tokens;
  RevocationRegistry revocations;
  std::optional<EntityId> presenter;
  std::uint64_t skew = 0;
  bool trusted = true;
};

TEST(TokenChain, IsGoodFromOneLinkToEight) {
  for (std::size_t links = 1; links <= TokenChain::kMaxLinks; ++links) {
    EXPECT_EQ(Line(links).ask(), "") << links;
  }
}

TEST(TokenChain, TrustsOnlyConfiguredRoots) {
  Line line(3);
  line.trusted = false;
  EXPECT_EQ(line.ask(), "not_authorized");
}

TEST(TokenChain, IsOnlyForItsLastSubject) {
  Line line(3);
  line.presenter = line.keys[1].public_key();
  EXPECT_EQ(line.ask(), "not_authorized");
}

TEST(TokenChain, AllowsOnlyWhatEveryLinkAllows) {
  Line line(3);
  EXPECT_EQ(line.ask(kStart + 20, kScopePublish), "not_authorized");
  EXPECT_EQ(line.ask(kStart + 20, kScopeSubscribe, kChannel + 1), "not_authorized");
  line.tokens[1].scope = kScopeDelegate;
  line.resign(1);
  EXPECT_EQ(line.ask(), "not_authorized");
}

TEST(TokenChain, DiesWithTheWindowOfAnyLink) {
  Line line(3);
  EXPECT_EQ(line.ask(kStart), "not_yet_valid") << "the last link begins later";
  EXPECT_EQ(line.ask(kStart + 99), "");
  EXPECT_EQ(line.ask(kStart + 100), "expired");
  line.skew = 60;
  EXPECT_EQ(line.ask(kStart + 159), "");
  line.skew = 1'000'000;
  EXPECT_EQ(line.ask(kStart + 399), "");
  EXPECT_EQ(line.ask(kStart + 400), "expired") << "skew is capped";
}

TEST(TokenChain, DiesWhenALinkIsRevoked) {
  Line line(3);
  line.revocations.revoke_below(line.keys[1].public_key(), 1);
  EXPECT_EQ(line.ask(), "revoked");
}

TEST(TokenChain, RefusesAnyForgedLink) {
  for (std::size_t i = 0; i < 3; ++i) {
    Line line(3);
    line.tokens[i].nonce ^= 1;
    EXPECT_EQ(line.ask(), "invalid_signature") << i;
  }
}

TEST(TokenChain, CanBeCheckedAgainWithoutItsSignatures) {
  Line line(2);
  const TokenChain good = TokenChain::of(line.tokens).value();
  const EntityId root = line.keys[0].public_key();
  TokenChain::Question question;
  question.action = kScopeSubscribe;
  question.channel = kChannel;
  question.presenter = line.keys.back().public_key();
  question.roots = {&root, 1};
  EXPECT_TRUE(good.check(question, kStart + 20));
  EXPECT_EQ(good.check(question, kStart + 100).error(), TokenFailure::kExpired);
  line.tokens[1].signature = {};
  const TokenChain forged = TokenChain::of(line.tokens).value();
  EXPECT_TRUE(forged.check(question, kStart + 20));
  EXPECT_EQ(forged.verify(question, kStart + 20).error(), TokenFailure::kInvalidSignature);
}

TEST(TokenChain, RefusesLinksThatDoNotFitTogether) {
  Line depth(3);
  depth.tokens[1].delegation_depth = depth.tokens[0].delegation_depth;
  depth.resign(1);
  EXPECT_EQ(depth.ask(), "delegation_exhausted");

  Line scope(3);
  scope.tokens[0].scope = kScopeSubscribe;
  scope.resign(0);
  EXPECT_EQ(scope.ask(), "delegation_not_allowed");

  Line window(3);
  window.tokens[1].not_after = window.tokens[0].not_after + 1;
  window.resign(1);
  EXPECT_EQ(window.ask(), "not_authorized");

  Line stranger(3);
  stranger.tokens.erase(stranger.tokens.begin() + 1);
  EXPECT_EQ(stranger.ask(), "not_authorized") << "a missing link";
}

TEST(TokenChain, MaySpanAYearAndNoMore) {
  EXPECT_EQ(Line(2, TokenChain::kMaxWindowSeconds).ask(), "");
  Line line(2, TokenChain::kMaxWindowSeconds + 1);
  EXPECT_EQ(line.ask(), "ttl_too_long");
  EXPECT_EQ(line.ask(kStart + TokenChain::kMaxWindowSeconds + 1), "expired")
      << "what has expired is called expired";
}

TEST(TokenChain, ParsesBackFromItsBytesAndFromABareToken) {
  for (std::size_t links = 1; links <= TokenChain::kMaxLinks; ++links) {
    const Line line(links);
    const Bytes bytes = TokenChain::of(line.tokens)->encode();
    EXPECT_EQ(bytes.size(), 1 + links * kTokenBytes);
    EXPECT_EQ(TokenChain::parse(bytes)->links(), line.tokens);
  }
  const Line line(1);
  EXPECT_EQ(TokenChain::parse(line.tokens[0].encode())->links(), line.tokens);
}

TEST(TokenChain, TakesNoOtherLengthOrCount) {
  for (std::size_t size = 0; size < 10 * kTokenBytes; ++size) {
    Bytes bytes(size);
    const std::size_t count = size / kTokenBytes;
    if (size > 0) bytes[0] = static_cast<std::byte>(count);
    const bool chain = size % kTokenBytes == 1 && count >= 1 && count <= 8;
    EXPECT_EQ(TokenChain::parse(bytes).has_value(), chain || size == kTokenBytes) << size;
    if (chain) {
      bytes[0] ^= std::byte{1};
      EXPECT_FALSE(TokenChain::parse(bytes)) << size;
    }
  }
  EXPECT_FALSE(TokenChain::of({}));
  EXPECT_FALSE(TokenChain::of(std::vector<PermissionToken>(9)));
}

}  // namespace
}  // namespace netmesh::identity
