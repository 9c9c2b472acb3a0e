#include "crypto/aead.h"

#include <gtest/gtest.h>

#include "crypto/crypto_testing.h"

namespace netmesh::crypto {
namespace {

using testing::hex;
using testing::key_of;
using testing::SeededRandom;

struct Sealed {
  Bytes text;
  std::array<std::byte, kAeadTagBytes> tag;
};

Sealed seal(const AeadKey& key, ByteSpan nonce, ByteSpan aad, ByteSpan plaintext) {
  Sealed sealed{{plaintext.begin(), plaintext.end()}, {}};
  key.seal(nonce, aad, sealed.text, sealed.tag);
  return sealed;
}

TEST(ChaCha20Poly1305, MatchesTheVectorOfRfc8439) {
  const AeadKey key(
      AeadAlgorithm::kChaCha20Poly1305,
      SecretKey(key_of("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")));
  const Sealed sealed = seal(key, hex("070000004041424344454647"), hex("50515253c0c1c2c3c4c5c6c7"),
                             as_byte_span("Ladies and Gentlemen of the class of '99: If I could "
                                          "offer you only one tip for the future, "
                                          "sunscreen would be it."));
  EXPECT_EQ(to_hex(sealed.text),
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
            "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
            "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
            "3ff4def08e4b7a9de576d26586cec64b6116");
  EXPECT_EQ(to_hex(sealed.tag), "1ae10b594f09e26a7e902ecbd0600691");
}

TEST(Aes256Gcm, MatchesTheVectorsOfTheGcmSpecification) {
  if (!aes256gcm_available()) GTEST_SKIP() << "no AES instructions";
  const AeadKey zero(AeadAlgorithm::kAes256Gcm, SecretKey(Key{}));
  const Bytes zero_nonce(kAeadNonceBytes);
  EXPECT_EQ(to_hex(seal(zero, zero_nonce, {}, {}).tag), "530f8afbc74536b9a963b4f1c4cb738b");
  const Sealed case14 = seal(zero, zero_nonce, {}, Bytes(16));
  EXPECT_EQ(to_hex(case14.text), "cea7403d4d606b6e074ec5d3baf39d18");
  EXPECT_EQ(to_hex(case14.tag), "d0d1c8a799996bf0265b98b5d48ab919");

  const AeadKey key(
      AeadAlgorithm::kAes256Gcm,
      SecretKey(key_of("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")));
  const Sealed case16 =
      seal(key, hex("cafebabefacedbaddecaf888"), hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
           hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
               "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"));
  EXPECT_EQ(to_hex(case16.text),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
  EXPECT_EQ(to_hex(case16.tag), "76fc6ece0f4e1768cddf8853bb2d551b");
}

// The packets of spec 10 §17.2: 64 bytes of header, ciphertext, tag.
struct PacketVector {
  const char* what;
  std::string_view key, packet, plaintext;
};

constexpr std::string_view kInitiatorKey =
    "3ece07da762fc208ae2ebc10453ae346b4949238cbb58b57da44719067ad006f";
constexpr std::string_view kResponderKey =
    "703090e2b75d405abc236bb10a38209c4bf56332e1f1f587bcc57c15a404089c";

constexpr PacketVector kPackets[] = {
    {"one event `hello`", kInitiatorKey,
     "454e01010000000000000000 da71307d0000000000000000 938dc7e349fcf79e"
     "0700000000000000 0000000000000000 0000000000000000 0000000009000100"
     "052af7ee1383fe06fe c273df69fe61303c50c09f526ace9f6e",
     "0500000068656c6c6f"},
    {"heartbeat", kInitiatorKey,
     "454e01200000000000000000 da71307d0100000000000000 938dc7e349fcf79e"
     "0000000000000000 0000000000000000 0000000000000000 0000000000000000"
     "4b1fe1ebc165c1ac74bc3909916ea928",
     ""},
    {"grant", kResponderKey,
     "454e010000000000000b0000 da71307d0000000000000000 938dc7e349fcf79e"
     "ffffffffffffffff 0000000000000000 0000000000000000 0000000014000100"
     "f1f4c91954d4f5fb7fa08b507b2198c6f5a79aba 4d7accf32d1cc80ad3e39cd624b2e525",
     "10000000 0700000000000000 5900000000000000"}};

constexpr std::size_t kHeaderBytes = 64;

/// Spec 10 §4.2: the header without its nonce, hop_count zero.
std::array<std::byte, 52> packet_aad(ByteSpan packet) {
  std::array<std::byte, 52> aad;
  std::memcpy(aad.data(), packet.data(), 12);
  aad[6] = std::byte{0};
  std::memcpy(aad.data() + 12, packet.data() + 24, kHeaderBytes - 24);
  return aad;
}

TEST(PacketVectors, SealToTheBytesOfTheSpecification) {
  for (const PacketVector& v : kPackets) {
    const Bytes packet = hex(v.packet);
    const ByteSpan header = ByteSpan(packet).first(kHeaderBytes);
    const auto aad = packet_aad(header);
    const Sealed sealed = seal(AeadKey(AeadAlgorithm::kChaCha20Poly1305, SecretKey(key_of(v.key))),
                               header.subspan(12, 12), aad, hex(v.plaintext));
    Bytes built(header.begin(), header.end());
    built.insert(built.end(), sealed.text.begin(), sealed.text.end());
    built.insert(built.end(), sealed.tag.begin(), sealed.tag.end());
    EXPECT_EQ(to_hex(built), to_hex(packet)) << v.what;
  }
}

TEST(PacketVectors, OpenInPlaceWhateverTheHopCount) {
  for (const PacketVector& v : kPackets) {
    Bytes packet = hex(v.packet);
    packet[6] = std::byte{3};
    const auto aad = packet_aad(packet);
    const AeadKey key(AeadAlgorithm::kChaCha20Poly1305, SecretKey(key_of(v.key)));
    const MutableByteSpan body = MutableByteSpan(packet).subspan(kHeaderBytes);
    const MutableByteSpan text = body.first(body.size() - kAeadTagBytes);
    ASSERT_TRUE(key.open(ByteSpan(packet).subspan(12, 12), aad, text, body.last(kAeadTagBytes)))
        << v.what;
    EXPECT_EQ(to_hex(text), to_hex(hex(v.plaintext))) << v.what;
  }
}

TEST(PacketVectors, HaveTheAadOfTheSpecification) {
  EXPECT_EQ(to_hex(packet_aad(hex(kPackets[0].packet))),
            to_hex(hex("454e01010000000000000000 938dc7e349fcf79e 0700000000000000 0000000000000000"
                       "00000000 00000000 0000 0000 0900 0100")));
}

class EveryAead : public ::testing::TestWithParam<AeadAlgorithm> {
 protected:
  void SetUp() override {
    if (GetParam() == AeadAlgorithm::kAes256Gcm && !aes256gcm_available())
      GTEST_SKIP() << "no AES instructions";
  }
};

TEST_P(EveryAead, RoundTripsEverySizeUpTo2000) {
  SeededRandom random(5);
  const AeadKey key(GetParam(), random.secret());
  for (std::size_t size = 0; size <= 2000; ++size) {
    const Bytes nonce = random.bytes(kAeadNonceBytes);
    const Bytes aad = random.bytes(random.below(100));
    const Bytes plaintext = random.bytes(size);
    Sealed sealed = seal(key, nonce, aad, plaintext);
    if (size >= 16) {
      EXPECT_NE(sealed.text, plaintext) << size;
    }
    ASSERT_TRUE(key.open(nonce, aad, sealed.text, sealed.tag)) << size;
    ASSERT_EQ(sealed.text, plaintext) << size;
  }
}

TEST_P(EveryAead, WorksAtAnyAlignment) {
  SeededRandom random(6);
  const AeadKey key(GetParam(), random.secret());
  const Bytes nonce = random.bytes(kAeadNonceBytes);
  const Bytes plaintext = random.bytes(333);
  const Sealed expected = seal(key, nonce, {}, plaintext);
  Bytes buffer(plaintext.size() + kAeadTagBytes + 64);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    const MutableByteSpan text = MutableByteSpan(buffer).subspan(offset, plaintext.size());
    const MutableByteSpan tag =
        MutableByteSpan(buffer).subspan(offset + plaintext.size(), kAeadTagBytes);
    std::copy(plaintext.begin(), plaintext.end(), text.begin());
    key.seal(nonce, {}, text, tag);
    EXPECT_EQ(to_hex(text), to_hex(expected.text)) << offset;
    EXPECT_EQ(to_hex(tag), to_hex(expected.tag)) << offset;
    EXPECT_TRUE(key.open(nonce, {}, text, tag)) << offset;
  }
}

TEST_P(EveryAead, DetectsEveryAlteredByteAndLeavesNoPlaintext) {
  SeededRandom random(7);
  const AeadKey key(GetParam(), random.secret());
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 64u, 200u}) {
    Bytes nonce = random.bytes(kAeadNonceBytes);
    Bytes aad = random.bytes(52);
    const Sealed original = seal(key, nonce, aad, random.bytes(size));
    Sealed sealed = original;
    const MutableByteSpan parts[] = {nonce, aad, sealed.text, sealed.tag};
    for (const MutableByteSpan part : parts) {
      for (std::byte& b : part) {
        const auto bit = static_cast<std::byte>(1u << random.below(8));
        b ^= bit;
        EXPECT_FALSE(key.open(nonce, aad, sealed.text, sealed.tag));
        EXPECT_EQ(sealed.text, Bytes(size)) << "the text is zeroed";
        std::copy(original.text.begin(), original.text.end(), sealed.text.begin());
        sealed.tag = original.tag;
        if (part.data() == nonce.data() || part.data() == aad.data()) b ^= bit;
      }
    }
    EXPECT_FALSE(key.open(nonce, ByteSpan(aad).first(51), sealed.text, sealed.tag))
        << "AAD cut short";
    std::copy(original.text.begin(), original.text.end(), sealed.text.begin());
    EXPECT_TRUE(key.open(nonce, aad, sealed.text, sealed.tag));
  }
}

TEST_P(EveryAead, RefusesAnotherKey) {
  SeededRandom random(8);
  const Bytes nonce = random.bytes(kAeadNonceBytes);
  Sealed sealed = seal(AeadKey(GetParam(), random.secret()), nonce, {}, random.bytes(50));
  EXPECT_FALSE(AeadKey(GetParam(), random.secret()).open(nonce, {}, sealed.text, sealed.tag));
}

TEST_P(EveryAead, KeepsItsKeyWhenMoved) {
  SeededRandom random(9);
  AeadKey key(GetParam(), random.secret());
  const Bytes nonce = random.bytes(kAeadNonceBytes);
  const Bytes plaintext = random.bytes(50);
  const Sealed before = seal(key, nonce, {}, plaintext);
  AeadKey moved(std::move(key));
  AeadKey assigned;
  assigned = std::move(moved);
  EXPECT_EQ(assigned.algorithm(), GetParam());
  const Sealed after = seal(assigned, nonce, {}, plaintext);
  EXPECT_EQ(after.text, before.text);
  EXPECT_EQ(after.tag, before.tag);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, EveryAead,
                         ::testing::Values(AeadAlgorithm::kChaCha20Poly1305,
                                           AeadAlgorithm::kAes256Gcm),
                         [](const auto& parameter) {
                           return parameter.param == AeadAlgorithm::kAes256Gcm ? "Aes256Gcm"
                                                                               : "ChaCha20Poly1305";
                         });

}  // namespace
}  // namespace netmesh::crypto
