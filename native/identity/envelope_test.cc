#include "identity/envelope.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "identity/identity_testing.h"

namespace netmesh::identity {
namespace {

using testing::counting;
using testing::repeated;
using testing::SeededRandom;

using Link = std::array<std::byte, kCausalLinkBytes>;

Link link_of(std::uint64_t origin, std::uint64_t horizon, std::uint64_t sequence,
             std::uint64_t parent) {
  Link link;
  ByteWriter writer(link);
  for (const std::uint64_t part : {origin, horizon, sequence, parent}) writer.u64(part);
  return link;
}

/// All bytes 7.
class SevenSource final : public RandomSource {
 public:
  void fill(MutableByteSpan out) override { std::fill(out.begin(), out.end(), std::byte{7}); }
};

crypto::X25519KeyPair spec_target() { return crypto::X25519KeyPair::from_secret(counting()); }
Link spec_link() { return link_of(13934920157995351524U, 2, 3, 4); }

std::string failure(const EnvelopeResult<crypto::SigningKey>& result) {
  return result ? "none" : std::string(envelope_failure_name(result.error()));
}

struct EnvelopeTest : ::testing::Test {
  EnvelopeTest() { crypto::initialize(); }

  Envelope seal() { return seal_identity(daemon, target.public_key, link, random).value(); }
  std::string open(ByteSpan bytes) { return failure(open_identity(bytes, target, link)); }

  SeededRandom random{7};
  crypto::SigningKey daemon = testing::spec_issuer();
  crypto::X25519KeyPair target = spec_target();
  Link link = spec_link();
};

TEST_F(EnvelopeTest, HasTheBytesThatAnotherImplementationComputes) {
  // hashlib's BLAKE2s, OpenSSL's X25519, Ed25519 and ChaCha20-Poly1305, HChaCha20 by hand.
  SevenSource sevens;
  const auto envelope = seal_identity(daemon, target.public_key, link, sevens);
  ASSERT_TRUE(envelope);
  EXPECT_EQ(to_hex(*envelope),
            "018f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f13be4feaeaf204c7fd33"
            "58fc9c00721881d174278128227ec674f37f7fe97b6db58043b2537d903f9e60892f50bee6a2018c3919b9"
            "430a2755cc380b4c7ddc4773c8d125b83e4864b3c33c4ab81251ad2152f8d19b791d24453242e15f2eab6c"
            "b7cffa7b6a5ed30097960e069881db1216a0f849f9a0b76da8ff44408b96cecf4b3dd331aed23a9bb50dd2"
            "7d32726d80605881f0cba35e813943c973d096de0b700a2acc696ace8a4265d6a66a754b0a");
}

TEST_F(EnvelopeTest, GivesTheSeedToItsTargetOnly) {
  for (int round = 0; round < 20; ++round) {
    const auto moving = crypto::SigningKey::generate(random);
    const auto here = crypto::X25519KeyPair::generate(random);
    const Link place = link_of(random.u64(), random.u64(), random.u64(), random.u64());
    const auto envelope = seal_identity(moving, here.public_key, place, random);
    ASSERT_TRUE(envelope);
    const EntityId entity = moving.public_key();
    const auto opened = open_identity(*envelope, here, place, &entity);
    ASSERT_TRUE(opened) << failure(opened);
    EXPECT_TRUE(std::ranges::equal(opened->seed(), moving.seed()));
    EXPECT_EQ(opened->public_key(), entity);
    EXPECT_EQ(failure(open_identity(*envelope, crypto::X25519KeyPair::generate(random), place)),
              "wrong_target");
  }
}

TEST_F(EnvelopeTest, NeverShowsTheSeedNorTheSameBytesTwice) {
  const Envelope first = seal();
  const Envelope second = seal();
  EXPECT_FALSE(std::ranges::equal(first, second));
  const ByteSpan seed = daemon.seed();
  EXPECT_EQ(std::search(first.begin(), first.end(), seed.begin(), seed.end()), first.end());
}

TEST_F(EnvelopeTest, OpensAtItsPlaceInItsChainOnly) {
  const Envelope envelope = seal();
  ASSERT_EQ(open(envelope), "none");
  for (std::size_t i = 0; i < link.size(); ++i) {
    Link other = link;
    other[i] ^= std::byte{0x10};
    EXPECT_EQ(failure(open_identity(envelope, target, other)), "invalid_signature");
  }
}

TEST_F(EnvelopeTest, TakesNoOtherLengthThan209Bytes) {
  const Envelope envelope = seal();
  for (std::size_t size = 0; size < envelope.size(); ++size)
    EXPECT_EQ(open(ByteSpan(envelope).first(size)), "invalid_length") << size;
  Bytes longer(envelope.begin(), envelope.end());
  longer.push_back(std::byte{0});
  EXPECT_EQ(open(longer), "invalid_length");
}

TEST_F(EnvelopeTest, RefusesEveryChangedBitForItsReason) {
  const Envelope envelope = seal();
  for (std::size_t i = 0; i < envelope.size(); ++i) {
    for (unsigned bit = 0; bit < 8; bit += 3) {
      Envelope changed = envelope;
      changed[i] ^= static_cast<std::byte>(1U << bit);
      const std::string expected = i == 0    ? "unknown_version"
                                   : i < 33  ? "wrong_target"
                                   : i < 113 ? "not_sealed_here"
                                             : "invalid_signature";
      // X25519 ignores the top bit of a public key; the nonce does not.
      EXPECT_EQ(open(changed), expected) << i << '.' << bit;
    }
  }
}

TEST_F(EnvelopeTest, IsOnlyFromWhomTheCallerExpects) {
  const EntityId stranger = testing::spec_subject().public_key();
  EXPECT_EQ(failure(open_identity(seal(), target, link, &stranger)), "unexpected_signer");
}

TEST_F(EnvelopeTest, RefusesASeedThatWasPutUnderAnothersSignature) {
  // The signature does not cover the sealed seed: someone may seal a seed of their own under it.
  const Envelope theirs =
      seal_identity(testing::spec_subject(), target.public_key, link, random).value();
  Envelope mixed = seal();
  std::copy(theirs.begin() + 33, theirs.begin() + 113, mixed.begin() + 33);
  EXPECT_EQ(open(mixed), "foreign_seed");
}

TEST_F(EnvelopeTest, IsNotSealedToAKeyOfLowOrderNorOpenedWithOne) {
  const crypto::Key zero{};
  EXPECT_EQ(seal_identity(daemon, zero, link, random).error(), EnvelopeFailure::kWrongTarget);
  crypto::Key one{};
  one[0] = std::byte{1};
  EXPECT_EQ(seal_identity(daemon, one, link, random).error(), EnvelopeFailure::kWrongTarget);
  Envelope envelope = seal();
  std::fill(envelope.begin() + 33, envelope.begin() + 65, std::byte{0});
  EXPECT_EQ(open(envelope), "not_sealed_here");
}

TEST_F(EnvelopeTest, TakesNoSignatureOfASmallOrderSigner) {
  // The identity point as a key, and R = identity with S = 0: a cofactored check would pass it.
  Envelope envelope = seal();
  std::fill(envelope.begin() + 113, envelope.end(), std::byte{0});
  envelope[113] = std::byte{1};
  envelope[145] = std::byte{1};
  EXPECT_EQ(open(envelope), "invalid_signature");
}

TEST_F(EnvelopeTest, SaysWhatIsWrongWithoutSayingTheSeed) {
  const Error error = to_error(EnvelopeFailure::kWrongTarget);
  EXPECT_EQ(error.kind, ErrorKind::kIdentity);
  EXPECT_EQ(error.message, "identity: envelope: wrong_target");
}

}  // namespace
}  // namespace netmesh::identity
