#include "session/key_agreement.h"

#include <gtest/gtest.h>

#include <random>

#include "crypto/hash.h"

namespace netmesh::session {
namespace {

class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }

 private:
  std::mt19937_64 engine_;
};

identity::LocalIdentity identity_of(int number) {
  crypto::initialize();
  return identity::LocalIdentity::from_seed(Bytes(32, static_cast<std::byte>(number)));
}

class Agreement : public ::testing::Test {
 protected:
  Agreement() { binding.handshake_hash.fill(std::byte{0x77}); }

  std::optional<AgreementAnswer> answer(const wire::RekeyFrame& request) {
    return answer_agreement(b, a.entity_id(), binding, request, random);
  }

  SeededRandom random{1};
  identity::LocalIdentity a = identity_of(1), b = identity_of(2), stranger = identity_of(3);
  AgreementBinding binding{{}, 1};
};

bool same(const crypto::SecretKey& left, const crypto::SecretKey& right) {
  return crypto::equal_constant_time(left.bytes(), right.bytes());
}

TEST_F(Agreement, BothEndsKnowOneSecretAndNoTwoAreAlike) {
  const KeyAgreement first(a, binding, random), second(a, binding, random);
  EXPECT_FALSE(first.frame().reply);
  EXPECT_EQ(first.frame().generation, 1u);
  const auto one = answer(first.frame()), two = answer(second.frame());
  ASSERT_TRUE(one && two);
  EXPECT_TRUE(one->reply.reply);
  EXPECT_EQ(one->reply.generation, 1u);
  const auto here = first.finish(b.entity_id(), one->reply);
  ASSERT_TRUE(here);
  EXPECT_TRUE(same(*here, one->agreed));
  EXPECT_FALSE(same(one->agreed, two->agreed));
  // The same request answered again makes another secret.
  EXPECT_FALSE(same(one->agreed, answer(first.frame())->agreed));
}

TEST_F(Agreement, OnlyThePeersSignatureCounts) {
  const KeyAgreement request(a, binding, random);
  EXPECT_FALSE(answer_agreement(b, stranger.entity_id(), binding, request.frame(), random));
  const auto honest = answer(request.frame());
  ASSERT_TRUE(honest);
  EXPECT_FALSE(request.finish(stranger.entity_id(), honest->reply));
  const auto foreign = answer_agreement(stranger, a.entity_id(), binding, request.frame(), random);
  ASSERT_TRUE(foreign);
  EXPECT_FALSE(request.finish(b.entity_id(), foreign->reply));
}

TEST_F(Agreement, NoBitOfKeyOrSignatureMayChange) {
  const KeyAgreement request(a, binding, random);
  const auto honest = answer(request.frame());
  ASSERT_TRUE(honest);
  const auto flipped = [](wire::RekeyFrame frame, std::size_t bit) {
    std::byte& target = bit < 256 ? frame.ephemeral[bit / 8] : frame.signature[(bit - 256) / 8];
    target ^= std::byte{static_cast<std::uint8_t>(1u << (bit % 8))};
    return frame;
  };
  for (std::size_t bit = 0; bit < 8 * (32 + 64); ++bit) {
    EXPECT_FALSE(answer(flipped(request.frame(), bit))) << bit;
    EXPECT_FALSE(request.finish(b.entity_id(), flipped(honest->reply, bit))) << bit;
  }
}

TEST_F(Agreement, BelongsToOneExchangeOfOneSession) {
  const KeyAgreement request(a, binding, random);
  AgreementBinding later = binding, elsewhere = binding;
  ++later.generation;
  elsewhere.handshake_hash.fill(std::byte{0x78});
  for (const AgreementBinding& other : {later, elsewhere}) {
    EXPECT_FALSE(answer_agreement(b, a.entity_id(), other, request.frame(), random));
    const KeyAgreement there(a, other, random);
    const auto reply = answer_agreement(b, a.entity_id(), other, there.frame(), random);
    ASSERT_TRUE(reply);
    EXPECT_FALSE(request.finish(b.entity_id(), reply->reply));
  }
}

TEST_F(Agreement, AReplyAnswersTheRequestThatItWasMadeFor) {
  const KeyAgreement mine(a, binding, random), another(a, binding, random);
  const auto reply = answer(another.frame());
  ASSERT_TRUE(reply);
  EXPECT_FALSE(mine.finish(b.entity_id(), reply->reply));
}

TEST_F(Agreement, ARequestReflectedIsNoReply) {
  const KeyAgreement request(a, binding, random);
  EXPECT_FALSE(request.finish(a.entity_id(), request.frame()));
  const auto honest = answer(request.frame());
  ASSERT_TRUE(honest);
  EXPECT_FALSE(answer_agreement(a, b.entity_id(), binding, honest->reply, random));
}

/// Whoever signs a key of low order would know the secret of everybody who takes it.
TEST_F(Agreement, KeysOfLowOrderAreRefusedHoweverWellSigned) {
  wire::RekeyFrame request;
  request.generation = binding.generation;
  Bytes text;
  const auto append = [&](ByteSpan bytes) { text.insert(text.end(), bytes.begin(), bytes.end()); };
  append(as_byte_span(std::string_view("netmesh-rekey-request-v1")));
  append(binding.handshake_hash);
  std::array<std::byte, 8> generation{};
  store_le<std::uint64_t>(generation.data(), binding.generation);
  append(generation);
  append(request.ephemeral);  // all zeros
  request.signature = a.signing_key.sign(text);
  ASSERT_TRUE(crypto::verify_signature(a.entity_id(), text, request.signature));
  EXPECT_FALSE(answer(request));
}

}  // namespace
}  // namespace netmesh::session
