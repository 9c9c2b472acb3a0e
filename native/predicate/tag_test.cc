#include "predicate/tag.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "predicate/number.h"
#include "predicate/version.h"

namespace netmesh::predicate {
namespace {

TEST(Tag, IsTakenApartAtTheFirstSeparator) {
  const auto tag = parse_tag("dataforts.region:us=east:1");
  ASSERT_TRUE(tag);
  EXPECT_EQ(tag->kind, Tag::Kind::kValue);
  EXPECT_EQ(tag->axis, Axis::kDataforts);
  EXPECT_EQ(tag->key, "region");
  EXPECT_EQ(tag->separator, ':');
  EXPECT_EQ(tag->value, "us=east:1");
}

TEST(Tag, HasTheFormThatItsBeginningSays) {
  const auto kind = [](std::string_view text) { return parse_tag(text)->kind; };
  for (const char* text : {"hardware.gpu", "hardware.", "software.model.0.id"}) {
    EXPECT_EQ(kind(text), Tag::Kind::kPresence) << text;
  }
  for (const char* text : {"hardware.=", "hardware.gpu=", "devices.a:b"}) {
    EXPECT_EQ(kind(text), Tag::Kind::kValue) << text;
  }
  for (const char* text : {"scope:", "causal:00ab:1", "heat:x=0.85", "fork-of:1"}) {
    EXPECT_EQ(kind(text), Tag::Kind::kReserved) << text;
  }
  for (const char* text : {"compute.gpu", "Hardware.gpu", "hardware", ".gpu", "dataforts:x", "."}) {
    EXPECT_EQ(kind(text), Tag::Kind::kLegacy) << text;
  }
}

TEST(Tag, GivesItsTextBack) {
  for (const char* text : {"hardware.gpu", "hardware.", "hardware.=", "a", "scope:tenant:x",
                           "software.os:linux", "software.os=linux", "heat:a=0.85"}) {
    EXPECT_EQ(to_string(*parse_tag(text)), text);
  }
}

TEST(Tag, MustNotBeEmpty) {
  const auto tag = parse_tag("");
  ASSERT_FALSE(tag);
  EXPECT_EQ(tag.error().message, "capability tag must be non-empty");
}

TEST(Tag, MeansTheSameWithEitherSeparator) {
  EXPECT_EQ(meaning_of("hardware.k:v=1"), meaning_of("hardware.k=v=1"));
  EXPECT_NE(meaning_of("hardware.k"), meaning_of("hardware.k="));
  EXPECT_NE(meaning_of("a.k:v"), meaning_of("a.k=v"));
}

TEST(Number, IsWhatTheGrammarSays) {
  for (const char* text :
       {"1", "1.", ".5", "+1500", "1e6", "1.5e-3", "inf", "Infinity", "+INF", "1e400",
        "1e99999999999999999999", "5e-324", "0.00000000000000000000000000000000001e40"}) {
    const auto number = parse_float64(text);
    ASSERT_TRUE(number) << text;
    EXPECT_GT(*number, 0) << text;
  }
  for (const char* text : {"", " 5 ", "0x1p3", "0x10", "1_000", "1abc", "1e", ".", "+", "-", "1e+",
                           "nan(1)", "--1", "+-1", "1,5", "infinit", "5\n"}) {
    EXPECT_FALSE(parse_float64(text)) << text;
  }
  EXPECT_TRUE(std::isnan(*parse_float64("-NaN")));
}

TEST(Number, TooLargeIsInfiniteAndTooSmallIsZero) {
  EXPECT_EQ(*parse_float64("-1e400"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(*parse_float64("1e-400"), 0);
  EXPECT_EQ(*parse_float64(std::string(400, '9')), std::numeric_limits<double>::infinity());
  EXPECT_EQ(*parse_float64("0." + std::string(400, '0') + "1"), 0);
  EXPECT_EQ(*parse_float64("0." + std::string(400, '0') + "1e401"), 1);
  EXPECT_EQ(*parse_float64("0e99999"), 0);
  EXPECT_GT(*parse_float64("1e-320"), 0);
}

TEST(Version, IsUpToThreeNumbers) {
  EXPECT_EQ(*parse_version("1.2.3-rc.1+b"), (Version{1, 2, 3}));
  EXPECT_EQ(*parse_version("1.2.3+b-1"), (Version{1, 2, 3}));
  EXPECT_EQ(*parse_version("01"), (Version{1, 0, 0}));
  EXPECT_EQ(*parse_version(" 1 .\xC2\xA0"
                           "2\xE2\x80\x83"),
            (Version{1, 2, 0}));
  EXPECT_EQ(parse_version("18446744073709551615")->major, UINT64_MAX);
  for (const char* text :
       {"", "-1", "v1", "1.", ".1", "1.2.3.4", "1..2", "18446744073709551616", "1.2x",
        "\xEF\xBB\xBF"
        "1"}) {
    EXPECT_FALSE(parse_version(text)) << text;
  }
}

TEST(Version, IsCompatibleByTheCaretRule) {
  const auto compatible = [](std::string_view version, std::string_view wanted) {
    return is_compatible(*parse_version(version), *parse_version(wanted));
  };
  EXPECT_TRUE(compatible("2.3.5", "2.1.0"));
  EXPECT_FALSE(compatible("2.0.0", "1.13.0"));
  EXPECT_FALSE(compatible("0.5.1", "0.4.0"));
  EXPECT_TRUE(compatible("0.2.5", "0.2.3"));
  EXPECT_FALSE(compatible("1.2.5", "0.2.3"));
  EXPECT_FALSE(compatible("0.0.4", "0.0.3"));
  EXPECT_TRUE(compatible("0.0.3", "0.0.3"));
}

}  // namespace
}  // namespace netmesh::predicate
