#include "identity/identity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>

#include "identity/identity_testing.h"

namespace netmesh::identity {
namespace {

using testing::kStart;
using testing::SeededRandom;

const std::vector<std::string> kSubscribe{"subscribe"};

template <typename T>
std::string error_of(const Expected<T>& result) {
  return result ? "" : result.error().message;
}

TEST(Identity, DerivesTheNumbersOfTheSpecification) {
  SeededRandom random(1);
  const Identity issuer = Identity::from_seed(testing::repeated(0x42), random).value();
  EXPECT_EQ(issuer.origin_hash(), 13934920157995351524u);
  EXPECT_EQ(issuer.node_id().value, 13984162817992751213u);
  const Identity subject = Identity::from_seed(testing::counting(), random).value();
  EXPECT_EQ(to_hex(subject.entity_id()),
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
  EXPECT_EQ(subject.origin_hash(), 8658788451821909695u);
  EXPECT_EQ(subject.node_id().value, 13655593967979566325u);
}

TEST(Identity, SaysWhatIsWrongWithAnArgument) {
  SeededRandom random(1);
  for (const std::size_t size : {0u, 31u, 33u, 64u}) {
    EXPECT_EQ(error_of(Identity::from_seed(Bytes(size), random)),
              "identity: seed must be 32 bytes, got " + std::to_string(size));
  }
  const Identity identity = Identity::generate(random);
  const Bytes subject(32);
  const auto issue = [&](const IssueRequest& request) {
    return error_of(identity.issue(request, kStart, random));
  };
  EXPECT_EQ(issue({Bytes(31), kSubscribe, "a", 1, 0}),
            "identity: entity_id must be 32 bytes, got 31");
  const std::vector<std::string> odd{"subscribe", "wildcard"};
  EXPECT_EQ(
      issue({subject, odd, "a", 1, 0}),
      "identity: unknown scope \"wildcard\"; expected publish | subscribe | admin | delegate");
  EXPECT_EQ(issue({subject, kSubscribe, "", 1, 0}),
            "identity: invalid channel name: channel name is empty");
  EXPECT_EQ(issue({subject, kSubscribe, "a", 0, 0}), "token: zero_ttl");
  EXPECT_EQ(issue({subject, kSubscribe, "a", 1, 0}), "");
}

TEST(Identity, KnowsWhoItIsAfterItsSecretWasWiped) {
  SeededRandom random(1);
  Identity identity = Identity::from_seed(testing::repeated(0x42), random).value();
  const PermissionToken parent =
      identity.issue({identity.entity_id(), kSubscribe, "a", 100, 1}, kStart, random).value();
  identity.wipe();
  identity.wipe();
  EXPECT_EQ(identity.node_id().value, 13984162817992751213u);
  EXPECT_EQ(error_of(identity.seed()),
            "identity: the identity was disposed and holds no secret any more");
  EXPECT_FALSE(identity.sign(as_byte_span("x")));
  EXPECT_EQ(error_of(identity.issue({Bytes(32), kSubscribe, "a", 1, 0}, kStart, random)),
            "token: read_only");
  EXPECT_EQ(error_of(identity.delegate(parent.encode(), Bytes(32), kSubscribe, kStart, random)),
            "token: read_only");
  EXPECT_EQ(error_of(identity.install(parent.encode(), kStart)), "") << "keeping needs no secret";
}

TEST(Identity, LeavesNoSeedInItsMemory) {
  crypto::initialize();
  SeededRandom random(1);
  crypto::Key seed;
  random.fill(seed);
  // The object's memory outlives the object here, so that it can be searched.
  alignas(Identity) std::array<std::byte, sizeof(Identity)> memory{};
  const auto holds_the_seed = [&] {
    return std::search(memory.begin(), memory.end(), seed.begin(), seed.end()) != memory.end();
  };
  auto* identity = new (memory.data()) Identity(Identity::from_seed(seed, random).value());
  ASSERT_TRUE(holds_the_seed()) << "else this test looks in the wrong place";
  identity->wipe();
  EXPECT_FALSE(holds_the_seed());
  std::destroy_at(identity);

  // Neither where it was moved from, nor where it was destroyed without being wiped.
  identity = new (memory.data()) Identity(Identity::from_seed(seed, random).value());
  ASSERT_TRUE(holds_the_seed());
  {
    const Identity elsewhere = std::move(*identity);
    EXPECT_TRUE(std::ranges::equal(elsewhere.seed().value(), seed));
    EXPECT_FALSE(holds_the_seed());
  }
  std::destroy_at(identity);
  identity = new (memory.data()) Identity(Identity::from_seed(seed, random).value());
  ASSERT_TRUE(holds_the_seed());
  std::destroy_at(identity);
  EXPECT_FALSE(holds_the_seed());
}

TEST(Identity, FindsTheTokensThatWereInstalled) {
  SeededRandom random(1);
  const Identity issuer = Identity::generate(random);
  Identity holder = Identity::generate(random);
  const PermissionToken token =
      issuer.issue({holder.entity_id(), kSubscribe, "lab/x", 100, 0}, kStart, random).value();
  EXPECT_EQ(holder.look_up(holder.entity_id(), "lab/x", kStart).value(), std::nullopt);
  EXPECT_EQ(error_of(holder.install(token.encode(), kStart)), "");
  EXPECT_EQ(holder.look_up(holder.entity_id(), "lab/x", kStart).value(), token);
  EXPECT_EQ(holder.look_up(holder.entity_id(), "lab/y", kStart).value(), std::nullopt);
  EXPECT_EQ(holder.look_up(issuer.entity_id(), "lab/x", kStart).value(), std::nullopt);
  EXPECT_EQ(error_of(holder.install(Bytes(168), kStart)), "token: invalid_format");
}

TEST(Scope, TurnsIntoWordsAndBack) {
  for (Scope scope = 0; scope <= kScopeAll; ++scope) {
    std::vector<std::string> words;
    for (const std::string_view word : scope_words(scope)) words.emplace_back(word);
    EXPECT_EQ(to_scope(words).value(), scope);
  }
  EXPECT_EQ(scope_words(0xFFFFFFF0).size(), 0u);
}

}  // namespace
}  // namespace netmesh::identity
