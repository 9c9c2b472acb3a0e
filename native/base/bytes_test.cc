#include "base/bytes.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>

#include "base/hex.h"

namespace netmesh {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }

TEST(ByteWriter, StoresIntegersLittleEndian) {
  std::array<std::byte, 15> buffer;
  ByteWriter writer(buffer);
  writer.u8(0x01);
  writer.u16(0x0302);
  writer.u32(0x07060504);
  writer.u64(0x0F0E0D0C0B0A0908);
  EXPECT_TRUE(writer.ok());
  EXPECT_EQ(writer.remaining(), 0u);
  EXPECT_EQ(to_hex(writer.written()), "0102030405060708090a0b0c0d0e0f");
}

TEST(ByteReader, LoadsIntegersLittleEndian) {
  const Bytes bytes = hex("0102030405060708090a0b0c0d0e0f");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u8(), 0x01);
  EXPECT_EQ(reader.u16(), 0x0302);
  EXPECT_EQ(reader.u32(), 0x07060504u);
  EXPECT_FALSE(reader.done());
  EXPECT_EQ(reader.u64(), 0x0F0E0D0C0B0A0908u);
  EXPECT_TRUE(reader.done());
}

TEST(Varint, MatchesTheExamplesOfRfc9000) {
  const std::pair<std::string_view, std::uint64_t> examples[] = {
      {"c2197c5eff14e88c", 151288809941952652},
      {"9d7f3e7d", 494878333},
      {"7bbd", 15293},
      {"25", 37}};
  for (const auto& [text, value] : examples) {
    const Bytes bytes = hex(text);
    ByteReader reader(bytes);
    EXPECT_EQ(reader.varint(), value);
    EXPECT_TRUE(reader.done());
    std::array<std::byte, 8> buffer;
    ByteWriter writer(buffer);
    writer.varint(value);
    EXPECT_EQ(to_hex(writer.written()), text);
  }
}

TEST(Varint, AcceptsAnEncodingLongerThanNeeded) {
  const Bytes bytes = hex("4025");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.varint(), 37u);
  EXPECT_TRUE(reader.done());
}

TEST(Varint, RoundTripsAtEveryBoundaryAndFailsAtEveryCut) {
  std::vector<std::uint64_t> values = {0, 1, 37};
  for (const unsigned bits : {6u, 14u, 30u, 62u}) {
    for (const std::uint64_t offset : {1u, 2u}) values.push_back((1ULL << bits) - offset);
    if (bits < 62) values.push_back(1ULL << bits);
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) values.push_back(random() >> (2 + random() % 62));

  for (const std::uint64_t value : values) {
    std::array<std::byte, 8> buffer;
    ByteWriter writer(buffer);
    writer.varint(value);
    ASSERT_TRUE(writer.ok()) << value;
    ASSERT_EQ(writer.size(), ByteWriter::varint_size(value)) << value;
    ByteReader reader(writer.written());
    EXPECT_EQ(reader.varint(), value);
    EXPECT_TRUE(reader.done());
    for (std::size_t cut = 0; cut < writer.size(); ++cut) {
      ByteReader short_reader(writer.written().first(cut));
      EXPECT_EQ(short_reader.varint(), 0u);
      EXPECT_FALSE(short_reader.ok());
      std::array<std::byte, 8> short_buffer{};
      ByteWriter short_writer(MutableByteSpan(short_buffer).first(cut));
      short_writer.varint(value);
      EXPECT_FALSE(short_writer.ok());
      EXPECT_EQ(short_writer.size(), 0u);
    }
  }
}

TEST(Varint, RefusesValuesOf62BitsAndAbove) {
  for (const std::uint64_t value : {1ULL << 62, ~0ULL}) {
    std::array<std::byte, 16> buffer;
    ByteWriter writer(buffer);
    writer.varint(value);
    EXPECT_FALSE(writer.ok());
    EXPECT_EQ(writer.size(), 0u);
  }
}

// One layout with every kind of field, written, read and cut below.
constexpr std::size_t kLayoutBytes = 1 + 2 + 4 + 8 + 2 + 3 + 4 + 2 + 5;

void write_layout(ByteWriter& writer) {
  writer.u8(0xAB);
  writer.u16(0xBEEF);
  writer.u32(0xDEADBEEF);
  writer.u64(0x0123456789ABCDEF);
  writer.varint(15293);
  writer.bytes(as_byte_span("abc"));
  writer.bytes(as_byte_span("wxyz"));
  writer.zeros(2);
  const MutableByteSpan room = writer.reserve(5);
  if (!room.empty()) std::memcpy(room.data(), "12345", 5);
}

bool read_layout(ByteReader& reader) {
  bool same = reader.u8() == 0xAB;
  same &= reader.u16() == 0xBEEF;
  same &= reader.u32() == 0xDEADBEEF;
  same &= reader.u64() == 0x0123456789ABCDEF;
  same &= reader.varint() == 15293;
  same &= to_hex(reader.bytes(3)) == to_hex(as_byte_span("abc"));
  same &= to_hex(reader.array<4>()) == to_hex(as_byte_span("wxyz"));
  reader.skip(2);
  same &= to_hex(reader.rest()) == to_hex(as_byte_span("12345"));
  return same;
}

TEST(Cursors, RoundTripEveryKindOfField) {
  std::array<std::byte, kLayoutBytes> buffer;
  ByteWriter writer(buffer);
  write_layout(writer);
  ASSERT_TRUE(writer.ok());
  ASSERT_EQ(writer.size(), kLayoutBytes);
  ByteReader reader(buffer);
  EXPECT_TRUE(read_layout(reader));
  EXPECT_TRUE(reader.done());
}

TEST(ByteReader, FailsAtEveryCutBeforeTheLastFieldAndStaysFailed) {
  std::array<std::byte, kLayoutBytes> buffer;
  ByteWriter writer(buffer);
  write_layout(writer);
  for (std::size_t cut = 0; cut < kLayoutBytes - 5; ++cut) {
    ByteReader reader(ByteSpan(buffer).first(cut));
    EXPECT_FALSE(read_layout(reader)) << cut;
    EXPECT_FALSE(reader.ok()) << cut;
    EXPECT_FALSE(reader.done()) << cut;
    EXPECT_EQ(reader.remaining(), 0u);
    EXPECT_EQ(reader.u8(), 0u);
    EXPECT_EQ(reader.u64(), 0u);
    EXPECT_EQ(reader.varint(), 0u);
    EXPECT_TRUE(reader.bytes(1).empty());
    EXPECT_EQ(reader.array<2>(), (std::array<std::byte, 2>{}));
  }
}

TEST(ByteWriter, FailsAtEveryCutAndWritesNothingPastIt) {
  for (std::size_t cut = 0; cut < kLayoutBytes; ++cut) {
    std::array<std::byte, kLayoutBytes> buffer;
    buffer.fill(std::byte{0x77});
    ByteWriter writer(MutableByteSpan(buffer).first(cut));
    write_layout(writer);
    EXPECT_FALSE(writer.ok()) << cut;
    EXPECT_LE(writer.size(), cut);
    for (std::size_t i = cut; i < buffer.size(); ++i) ASSERT_EQ(buffer[i], std::byte{0x77}) << cut;
  }
}

TEST(Cursors, HandleEmptyBuffers) {
  ByteReader reader({});
  EXPECT_TRUE(reader.done());
  EXPECT_TRUE(reader.rest().empty());
  EXPECT_TRUE(reader.done());
  ByteWriter writer({});
  writer.bytes({});
  EXPECT_TRUE(writer.ok());
  writer.u8(1);
  EXPECT_FALSE(writer.ok());
}

TEST(ByteReader, RefusesLengthsThatWouldWrapAround) {
  const Bytes bytes = hex("00112233");
  ByteReader reader(bytes);
  EXPECT_TRUE(reader.bytes(~std::size_t{0}).empty());
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace netmesh
