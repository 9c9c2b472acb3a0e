#include "crypto/curve.h"

#include <gtest/gtest.h>

#include "crypto/crypto_testing.h"

namespace netmesh::crypto {
namespace {

using testing::hex;
using testing::key_of;
using testing::SeededRandom;

std::string shared_hex(const SecretKey& secret, ByteSpan public_key) {
  SecretKey shared;
  return x25519(shared, secret, public_key) ? to_hex(shared.bytes()) : "refused";
}

TEST(X25519, MatchesTheVectorsOfRfc7748) {
  EXPECT_EQ(
      shared_hex(
          SecretKey(key_of("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")),
          key_of("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")),
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  EXPECT_EQ(
      shared_hex(
          SecretKey(key_of("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d")),
          key_of("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493")),
      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");

  const auto alice = X25519KeyPair::from_secret(
      hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  const auto bob = X25519KeyPair::from_secret(
      hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  EXPECT_EQ(to_hex(alice.public_key),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(to_hex(bob.public_key),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  EXPECT_EQ(shared_hex(alice.secret, bob.public_key),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  EXPECT_EQ(shared_hex(bob.secret, alice.public_key), shared_hex(alice.secret, bob.public_key));
}

TEST(X25519, MatchesTheKeysOfTheWorkedExamples) {
  EXPECT_EQ(to_hex(X25519KeyPair::from_secret(testing::repeated(0x11)).public_key),
            "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13");
  EXPECT_EQ(to_hex(X25519KeyPair::from_secret(testing::repeated(0x22)).public_key),
            "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20");
  EXPECT_EQ(to_hex(X25519KeyPair::from_secret(testing::repeated(0x33)).public_key),
            "7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14");
}

TEST(X25519, RefusesLowOrderPublicKeysAndYieldsNothing) {
  SeededRandom random(1);
  for (const char* text : {"0000000000000000000000000000000000000000000000000000000000000000",
                           "0100000000000000000000000000000000000000000000000000000000000000",
                           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                           "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    for (const std::byte top : {std::byte{0}, std::byte{0x80}}) {
      Key point = key_of(text);
      point[31] |= top;
      SecretKey shared = random.secret();
      EXPECT_FALSE(x25519(shared, random.secret(), point)) << text;
      EXPECT_EQ(to_hex(shared.bytes()), to_hex(Key{}));
    }
  }
}

TEST(X25519KeyPair, CloneAndGenerateAgreeWithTheirSecret) {
  SeededRandom random(2);
  const auto pair = X25519KeyPair::generate(random);
  const auto copy = pair.clone();
  EXPECT_EQ(copy.public_key, pair.public_key);
  EXPECT_EQ(X25519KeyPair::from_secret(copy.secret.bytes()).public_key, pair.public_key);
}

struct SignatureVector {
  std::string_view seed, public_key, message, signature;
};

constexpr SignatureVector kRfc8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"}};

TEST(Ed25519, MatchesTheVectorsOfRfc8032) {
  for (const SignatureVector& v : kRfc8032) {
    const SigningKey key = SigningKey::from_seed(hex(v.seed));
    EXPECT_EQ(to_hex(key.public_key()), v.public_key);
    EXPECT_EQ(to_hex(key.seed()), v.seed);
    EXPECT_EQ(to_hex(key.sign(hex(v.message))), v.signature);
    EXPECT_EQ(to_hex(key.clone().sign(hex(v.message))), v.signature);
    EXPECT_TRUE(verify_signature(hex(v.public_key), hex(v.message), hex(v.signature)));
  }
}

TEST(Ed25519, RefusesEveryAlteredByteOfSignatureMessageAndKey) {
  SeededRandom random(3);
  const SigningKey key = SigningKey::generate(random);
  Bytes message = random.bytes(40);
  Signature signature = key.sign(message);
  Key public_key = key.public_key();
  ASSERT_TRUE(verify_signature(public_key, message, signature));
  for (const MutableByteSpan part :
       {MutableByteSpan(signature), MutableByteSpan(message), MutableByteSpan(public_key)}) {
    for (std::byte& b : part) {
      b ^= std::byte{1};
      EXPECT_FALSE(verify_signature(public_key, message, signature));
      b ^= std::byte{1};
    }
  }
  EXPECT_TRUE(verify_signature(public_key, message, signature));
}

TEST(Ed25519, RefusesKeysAndSignaturesOfTheWrongLength) {
  SeededRandom random(4);
  const SigningKey key = SigningKey::generate(random);
  const Signature signature = key.sign({});
  EXPECT_TRUE(verify_signature(key.public_key(), {}, signature));
  EXPECT_FALSE(verify_signature(ByteSpan(key.public_key()).first(31), {}, signature));
  EXPECT_FALSE(verify_signature(key.public_key(), {}, ByteSpan(signature).first(63)));
  EXPECT_FALSE(verify_signature({}, {}, {}));
}

}  // namespace
}  // namespace netmesh::crypto
