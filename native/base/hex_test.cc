#include "base/hex.h"

#include <gtest/gtest.h>

namespace netmesh {
namespace {

std::string error_of(std::string_view text) {
  const Expected<Bytes> result = from_hex(text);
  return result ? "no error" : result.error().message;
}

TEST(Hex, RoundTripsEveryByteInLowerCase) {
  Bytes bytes;
  for (unsigned i = 0; i < 256; ++i) bytes.push_back(static_cast<std::byte>(i));
  const std::string text = to_hex(bytes);
  EXPECT_EQ(text.substr(0, 8), "00010203");
  EXPECT_EQ(text.substr(504), "fcfdfeff");
  EXPECT_EQ(from_hex(text).value(), bytes);
}

TEST(Hex, AcceptsEitherCase) {
  EXPECT_EQ(from_hex("DeadBEEF").value(), from_hex("deadbeef").value());
}

TEST(Hex, OfNothingIsEmpty) {
  EXPECT_EQ(to_hex({}), "");
  EXPECT_TRUE(from_hex("").value().empty());
}

TEST(Hex, NamesAnOddNumberOfDigits) {
  EXPECT_EQ(error_of("abc"), "odd number of digits");
  EXPECT_EQ(error_of("z"), "odd number of digits");
  EXPECT_EQ(from_hex("abc").error().kind, ErrorKind::kInvalidArgument);
}

TEST(Hex, NamesTheFirstInvalidCharacterAndItsIndex) {
  EXPECT_EQ(error_of("0x12"), "invalid character 'x' at index 1");
  EXPECT_EQ(error_of("12g4zz"), "invalid character 'g' at index 2");
  EXPECT_EQ(error_of("12 4"), "invalid character ' ' at index 2");
  EXPECT_EQ(error_of("ab/:"), "invalid character '/' at index 2");
  EXPECT_EQ(error_of("abc@"), "invalid character '@' at index 3");
  EXPECT_EQ(error_of("abc`"), "invalid character '`' at index 3");
}

TEST(Hex, SpellsOutBytesThatAreNotPrintable) {
  EXPECT_EQ(error_of("\xC3\xA9"), "invalid character '\\xc3' at index 0");
  EXPECT_EQ(error_of(std::string_view("0\0", 2)), "invalid character '\\x00' at index 1");
  EXPECT_EQ(error_of("0\x7F"), "invalid character '\\x7f' at index 1");
}

}  // namespace
}  // namespace netmesh
