#include "crypto/xchacha20.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/crypto_testing.h"

namespace netmesh::crypto {
namespace {

using testing::hex;
using testing::key_of;
using testing::SeededRandom;

TEST(XChaCha20Poly1305, MatchesTheVectorOfItsDraft) {
  // draft-irtf-cfrg-xchacha-03, A.3.1.
  const SecretKey key(key_of("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
  const Bytes nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657");
  const Bytes aad = hex("50515253c0c1c2c3c4c5c6c7");
  const ByteSpan plain = as_byte_span(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
      "future, sunscreen would be it.");
  Bytes text(plain.begin(), plain.end());
  std::array<std::byte, kXChaChaTagBytes> tag;
  xchacha20_seal(key, nonce, aad, text, tag);
  EXPECT_EQ(
      to_hex(text),
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f"
      "4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f"
      "76b2383565d3fff921f9664c97637da9768812f615c68b13b52e");
  EXPECT_EQ(to_hex(tag), "c0875924c1c7987947deafd8780acf49");
  ASSERT_TRUE(xchacha20_open(key, nonce, aad, text, tag));
  EXPECT_TRUE(std::equal(text.begin(), text.end(), plain.begin(), plain.end()));
}

TEST(XChaCha20Poly1305, GivesBackEveryTextAndNothingForAForgedOne) {
  SeededRandom random(1);
  for (const std::size_t size : {0U, 1U, 32U, 300U}) {
    Key raw;
    random.fill(raw);
    const SecretKey key(raw);
    Bytes nonce(kXChaChaNonceBytes), aad(size / 2), plain(size);
    random.fill(nonce);
    random.fill(aad);
    random.fill(plain);
    Bytes sealed = plain;
    std::array<std::byte, kXChaChaTagBytes> tag;
    xchacha20_seal(key, nonce, aad, sealed, tag);

    Bytes opened = sealed;
    ASSERT_TRUE(xchacha20_open(key, nonce, aad, opened, tag));
    EXPECT_EQ(opened, plain);

    auto bad_tag = tag;
    bad_tag[size % tag.size()] ^= std::byte{1};
    opened = sealed;
    EXPECT_FALSE(xchacha20_open(key, nonce, aad, opened, bad_tag));
    EXPECT_EQ(opened, Bytes(size)) << "nothing of a refused text may be left";
    Bytes other_nonce = nonce;
    other_nonce.back() ^= std::byte{1};
    opened = sealed;
    EXPECT_FALSE(xchacha20_open(key, other_nonce, aad, opened, tag));
    opened = sealed;
    Bytes more = aad;
    more.push_back(std::byte{0});
    EXPECT_FALSE(xchacha20_open(key, nonce, more, opened, tag));
  }
}

}  // namespace
}  // namespace netmesh::crypto
