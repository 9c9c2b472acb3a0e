#include "wire/hello.h"

#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::concat;
using testing::for_each_cut;
using testing::for_each_seed;
using testing::hex;
using testing::mutate;
using testing::Random;
using testing::same_bytes;

Hello random_hello(Random& random) {
  Hello hello;
  hello.version = static_cast<std::uint8_t>(1 + random.below(255));
  hello.features = random.number<std::uint32_t>();
  hello.aeads = random.number<std::uint8_t>();
  hello.max_datagram = random.number<std::uint16_t>();
  hello.stream_window = random.u64();
  hello.session_window = random.u64();
  hello.max_message = random.number<std::uint32_t>();
  hello.entity_id = random.array<32>();
  hello.signature = random.array<kHelloSignatureBytes>();
  return hello;
}

Bytes written(const Hello& hello) {
  Bytes out;
  write_hello(hello, out);
  return out;
}

/// A hello with `extra` between its fields and its signature, as a later version sends it.
Bytes written_with_extra(const Hello& hello, ByteSpan extra) {
  Bytes out = written(hello);
  out.insert(out.end() - kHelloSignatureBytes, extra.begin(), extra.end());
  store_le<std::uint16_t>(out.data() + 4, static_cast<std::uint16_t>(out.size() - 6));
  return out;
}

TEST(Hello, EveryFieldHasItsOffset) {
  Hello hello;
  hello.version = 1;
  hello.features = 0x05040302;
  hello.aeads = 0x06;
  hello.max_datagram = 0x0807;
  hello.stream_window = 0x100f0e0d0c0b0a09;
  hello.session_window = 0x1817161514131211;
  hello.max_message = 0x1c1b1a19;
  hello.entity_id.fill(std::byte{0xEE});
  hello.signature.fill(std::byte{0x51});
  const Bytes expected =
      concat({hex("4e4d5831 7c00 01 02030405 06 0708 090a0b0c0d0e0f10 1112131415161718 191a1b1c"),
              Bytes(32, std::byte{0xEE}), Bytes(64, std::byte{0x51})});
  ASSERT_EQ(expected.size(), kHelloBytes);
  EXPECT_EQ(to_hex(written(hello)), to_hex(expected));

  const HelloResult result = parse_hello(expected);
  ASSERT_EQ(result.presence, HelloPresence::kPresent);
  EXPECT_EQ(result.parsed->hello, hello);
  EXPECT_TRUE(same_bytes(result.parsed->body_without_signature,
                         ByteSpan(expected).subspan(6, kHelloFieldBytes)));
}

TEST(Hello, IsAppendedToWhatIsThere) {
  Random random(1);
  Bytes payload1 = hex("2222222211111111");
  const Hello hello = random_hello(random);
  write_hello(hello, payload1);
  EXPECT_EQ(to_hex(ByteSpan(payload1).first(8)), "2222222211111111");
  EXPECT_EQ(parse_hello(ByteSpan(payload1).subspan(8)).parsed->hello, hello);
}

TEST(Hello, IsAbsentWithoutItsMagic) {
  for (const std::string_view payload :
       {"", "4e", "4e4d", "4e4d58", "4e4d5832", "004e4d5831", "0000000000000000"}) {
    const HelloResult result = parse_hello(hex(payload));
    EXPECT_EQ(result.presence, HelloPresence::kAbsent) << payload;
    EXPECT_FALSE(result.parsed);
  }
}

TEST(Hello, IsMalformedWhenCutBehindItsMagic) {
  Random random(2);
  for_each_cut(written(random_hello(random)), [](ByteSpan cut) {
    const HelloResult result = parse_hello(cut);
    EXPECT_EQ(result.presence, cut.size() < 4 ? HelloPresence::kAbsent : HelloPresence::kMalformed);
    EXPECT_FALSE(result.parsed);
  });
}

TEST(Hello, IsMalformedWhenItsLengthIsWrong) {
  Random random(3);
  const Bytes valid = written(random_hello(random));
  for (std::uint32_t length = 0; length <= 0xFFFF; length += 1) {
    Bytes other = valid;
    store_le<std::uint16_t>(other.data() + 4, static_cast<std::uint16_t>(length));
    const bool right = length == kHelloFieldBytes + kHelloSignatureBytes;
    ASSERT_EQ(parse_hello(other).presence,
              right ? HelloPresence::kPresent : HelloPresence::kMalformed)
        << length;
  }
  // Too short for its fields, although all the bytes that it announces are there.
  Bytes longer = concat({valid, Bytes(64)});
  store_le<std::uint16_t>(longer.data() + 4,
                          static_cast<std::uint16_t>(kHelloFieldBytes + kHelloSignatureBytes - 1));
  EXPECT_EQ(parse_hello(longer).presence, HelloPresence::kMalformed);
}

TEST(Hello, VersionZeroIsMalformedAndLaterVersionsAreTaken) {
  Random random(4);
  Hello hello = random_hello(random);
  hello.version = 0;
  EXPECT_EQ(parse_hello(written(hello)).presence, HelloPresence::kMalformed);
  hello.version = 255;
  EXPECT_EQ(parse_hello(written(hello)).presence, HelloPresence::kPresent);
}

TEST(Hello, BytesOfLaterVersionsStayUnderTheSignature) {
  for_each_seed([](Random& random) {
    const Hello hello = random_hello(random);
    const Bytes extra = random.bytes(random.below(100));
    const Bytes payload = written_with_extra(hello, extra);
    const HelloResult result = parse_hello(payload);
    ASSERT_EQ(result.presence, HelloPresence::kPresent);
    EXPECT_EQ(result.parsed->hello, hello);  // the signature is the last 64 bytes
    EXPECT_TRUE(same_bytes(result.parsed->body_without_signature,
                           ByteSpan(payload).subspan(6, kHelloFieldBytes + extra.size())));
  });
}

TEST(Hello, WhatFollowsItIsSkipped) {
  Random random(5);
  const Hello hello = random_hello(random);
  const Bytes payload = concat({written(hello), hex("00ff00ff")});
  const HelloResult result = parse_hello(payload);
  ASSERT_EQ(result.presence, HelloPresence::kPresent);
  EXPECT_EQ(result.parsed->hello, hello);
  EXPECT_EQ(result.parsed->body_without_signature.size(), kHelloFieldBytes);
}

TEST(Hello, RoundTrips) {
  for_each_seed([](Random& random) {
    const Hello hello = random_hello(random);
    const Bytes payload = written(hello);
    const HelloResult result = parse_hello(payload);
    ASSERT_EQ(result.presence, HelloPresence::kPresent);
    EXPECT_EQ(result.parsed->hello, hello);
  });
}

TEST(Hello, DamageDoesNoHarm) {
  for_each_seed([](Random& random) {
    Bytes payload = written_with_extra(random_hello(random), random.bytes(random.below(8)));
    mutate(random, payload);
    const HelloResult result = parse_hello(payload);
    EXPECT_EQ(result.parsed.has_value(), result.presence == HelloPresence::kPresent);
    if (result.parsed) {
      EXPECT_GE(result.parsed->body_without_signature.size(), kHelloFieldBytes);
      EXPECT_LE(result.parsed->body_without_signature.size() + 6 + kHelloSignatureBytes,
                payload.size());
    }
  });
}

TEST(Hello, SignedBytesAreLabelHashAndBody) {
  const Bytes hash(32, std::byte{0xAB});
  const Bytes body = hex("010203");
  EXPECT_TRUE(same_bytes(hello_signed_bytes(true, hash, body),
                         concat({as_byte_span("netmesh-hello-initiator-v1"), hash, body})));
  EXPECT_TRUE(same_bytes(hello_signed_bytes(false, hash, body),
                         concat({as_byte_span("netmesh-hello-responder-v1"), hash, body})));
}

}  // namespace
}  // namespace netmesh::wire
