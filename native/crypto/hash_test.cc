#include "crypto/hash.h"

#include <gtest/gtest.h>

#include "crypto/crypto_testing.h"

namespace netmesh::crypto {
namespace {

using testing::hex;

/// 0, 1, 2, … as in the published BLAKE2 vectors.
Bytes counting(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

TEST(Blake2s, MatchesTheVectorsOfRfc7693AndTheReference) {
  EXPECT_EQ(to_hex(blake2s({})),
            "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
  EXPECT_EQ(to_hex(blake2s({as_byte_span("abc")})),
            "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

TEST(Blake2s, OfPartsIsTheHashOfTheirConcatenation) {
  const Bytes data = counting(200);
  const Key whole = blake2s({data});
  for (std::size_t cut = 0; cut <= data.size(); ++cut) {
    EXPECT_EQ(blake2s({ByteSpan(data).first(cut), {}, ByteSpan(data).subspan(cut)}), whole) << cut;
  }
}

TEST(KeyedBlake2s, MatchesThePublishedVectors) {
  const Bytes key = counting(32);
  EXPECT_EQ(to_hex(blake2s_keyed(key, {})),
            "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49");
  EXPECT_EQ(to_hex(blake2s_keyed(key, counting(1))),
            "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1");
}

TEST(KeyedBlake2s, CountsShortKeysAtTheirOwnLength) {
  // Python: hashlib.blake2s(bytes(range(200)), key=bytes(range(n)))
  const Bytes data = counting(200);
  EXPECT_EQ(to_hex(blake2s_keyed(counting(13), data)),
            "4b0e28f20799101697a4d1ae5769bc03cad88ced6256b8ec9ed73d54544f96d6");
  EXPECT_EQ(to_hex(blake2s_keyed(counting(14), data)),
            "57ccbd3bf3a03f317a92b5c23c9b4ed7de40fd757bbf63f5fb736d8d0123d05d");
  EXPECT_EQ(to_hex(blake2s_keyed(counting(32), data)),
            "13c88480a5d00d6c8c7ad2110d76a82d9b70f4fa6696d4e5dd42a066dcaf9920");

  Bytes extended = counting(13);
  extended.resize(32);
  EXPECT_NE(blake2s_keyed(extended, data), blake2s_keyed(counting(13), data));
}

TEST(HmacBlake2s, MatchesPythonForKeysUpToAndOverOneBlock) {
  // Python: hmac.new(bytes(range(n)), b"netmesh", hashlib.blake2s)
  const std::pair<std::size_t, std::string_view> vectors[] = {
      {32, "18ec54537c9dc864943979bf9b2e72fa566bb0ef4c11a07469cb283adabd312c"},
      {64, "0c03a4add8ff0282e984af7553d069f0a23a3a6db797a06815a602cd498bb29d"},
      {65, "49995a35424a7743a1498e0e788f6b03f29158b098e68ba41d3355b096907b30"},
      {100, "ee46d42a32ab53a71f916562e774417a6e0c21082bb18d0f0b974c548a10b6a3"}};
  for (const auto& [length, digest] : vectors) {
    EXPECT_EQ(to_hex(hmac_blake2s(counting(length), {as_byte_span("net"), as_byte_span("mesh")})),
              digest);
  }
}

TEST(NoiseHkdf, ChainsItsOutputsAsNoiseDefines) {
  const Key chaining_key = testing::repeated(7);
  const HkdfOutput output = noise_hkdf(chaining_key, as_byte_span("input"));
  const Key extracted = hmac_blake2s(chaining_key, {as_byte_span("input")});
  const Key first = hmac_blake2s(extracted, {as_byte_span("\x01")});
  const Key second = hmac_blake2s(extracted, {first, as_byte_span("\x02")});
  const Key third = hmac_blake2s(extracted, {second, as_byte_span("\x03")});
  EXPECT_EQ(to_hex(output.first.bytes()), to_hex(first));
  EXPECT_EQ(to_hex(output.second.bytes()), to_hex(second));
  EXPECT_EQ(to_hex(output.third.bytes()), to_hex(third));
}

TEST(SessionKeys, FollowFromTheHandshakeHashOfTheWorkedExamples) {
  struct Vector {
    std::string_view hash, initiator_tx, initiator_rx;
  };
  const Vector vectors[] = {{"938dc7e349fcf79e50446a8a7706a378d5ff907f80a085fa6c322a98707b2e74",
                             "3ece07da762fc208ae2ebc10453ae346b4949238cbb58b57da44719067ad006f",
                             "703090e2b75d405abc236bb10a38209c4bf56332e1f1f587bcc57c15a404089c"},
                            {"86841eb4952e7db58ea39223389225088059606a61ba0c7eefc311580a9e19f8",
                             "b2a85764a5fd523a54b080389ff8cabf4bcf6797c9b2a8188c11539d83448bb2",
                             "36a148bc4143a333d4633aa9a3be5fc33e717d2cb59e14a2f32708838a6ae890"},
                            {"e4fe064a0a1eb744fe707257483f4488fa468449a2966690821546a9ec21d16e",
                             "35aa776dd4c888df92ddb0bb240d55c2ed7665e12789e643b4ed90d3605c7a99",
                             "963020284dd3651e314b804b64ff9cf447bc8f38935ddfec9739358f4a4e9ef0"}};
  for (const Vector& v : vectors) {
    EXPECT_EQ(to_hex(derive_session_key(hex(v.hash), "initiator-tx").bytes()), v.initiator_tx);
    EXPECT_EQ(to_hex(derive_session_key(hex(v.hash), "initiator-rx").bytes()), v.initiator_rx);
  }
}

TEST(Xxh3, OfTwoNumbersIsThatOfTheirBytesWithoutASeedAndAnotherWithOne) {
  std::array<std::byte, 16> bytes;
  store_le(bytes.data(), std::uint64_t{0x0123456789abcdef});
  store_le(bytes.data() + 8, std::uint64_t{42});
  EXPECT_EQ(xxh3_64(0x0123456789abcdef, 42, 0), xxh3_64(bytes));
  EXPECT_NE(xxh3_64(0x0123456789abcdef, 42, 1), xxh3_64(bytes));
}

TEST(Xxh3, MatchesKnownAnswers) {
  const std::pair<std::string_view, std::uint64_t> vectors[] = {
      {"", 0x2d06800538d394c2},
      {"a", 0xe6c632b61e964e1f},
      {"abc", 0x78af5f94892f3950},
      {"hello", 0x9555e8555c62dcfd},
      {"sensors/temp", 0xe477434ef307172d},
      {"echo.requests", 0xe348eec0d4992a90},
      {"{\"token\":\"hello\",\"index\":0}", 0x27f318accc2948ab},
      {"echo.replies.1122334455667788", 0x5469baf2e095805c},
      {"The quick brown fox jumps over the lazy dog", 0xce7d19a5418fb365}};
  for (const auto& [text, hash] : vectors) EXPECT_EQ(xxh3_64(as_byte_span(text)), hash) << text;
  EXPECT_EQ(xxh3_64({}), 0x2d06800538d394c2u);
}

}  // namespace
}  // namespace netmesh::crypto
