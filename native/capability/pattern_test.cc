#include "capability/pattern.h"

#include <gtest/gtest.h>

#include <regex>

#include "capability/capability_testing.h"

namespace netmesh::capability {
namespace {

bool found(std::string_view pattern, std::string_view text) {
  const auto compiled = Pattern::compile(pattern);
  EXPECT_TRUE(compiled) << pattern;
  return compiled && compiled->found_in(text);
}

TEST(Pattern, IsFoundAnywhereUnlessAnchored) {
  EXPECT_TRUE(found("gpu", "hardware.gpu=1"));
  EXPECT_FALSE(found("^gpu", "hardware.gpu"));
  EXPECT_TRUE(found("gpu$", "hardware.gpu"));
  EXPECT_FALSE(found("^$", "x"));
  EXPECT_TRUE(found("", "x"));
  EXPECT_TRUE(found(R"(^hardware\.gpu\.(h|a)100$)", "hardware.gpu.a100"));
  EXPECT_FALSE(found(R"(^hardware\.gpu\.(h|a)100$)", "hardware.gpu.b100"));
  EXPECT_TRUE(found("^(?:a|bc){2,3}?$", "abca"));
  EXPECT_FALSE(found("^(?:a|bc){2,3}$", "a"));
  EXPECT_TRUE(found(R"(\bgpu\b)", "a.gpu=1"));
  EXPECT_FALSE(found(R"(\bgpu\b)", "agpu"));
  EXPECT_TRUE(found(R"([^\d.]+=[\w-]{3}$)", "x=a-1"));
  EXPECT_TRUE(found(R"(^[\s\S]$)", "\n"));
  EXPECT_FALSE(found("^.$", "\n"));
  EXPECT_TRUE(found(R"(\x41\u00e9)", "Aé"));
}

TEST(Pattern, CountsCodePointsNotBytes) {
  EXPECT_TRUE(found("^.$", "é"));
  EXPECT_TRUE(found("^[à-ï]{2}$", "éê"));
  EXPECT_TRUE(found("^..$", "\xF0\x9F\x8C\x8D!"));
  EXPECT_TRUE(found("^.$", "\xFF")) << "a byte that is no UTF-8";
  EXPECT_FALSE(found("[a-z]", "\xFF"));
}

TEST(Pattern, IsNoneWhenMalformedOrNotRegular) {
  for (const char* text : {"(",           ")",       "a)",      "[a",       "*",
                           "+a",          "a**",     "a{2",     "a{3,2}",   "a{,2}",
                           "]",           "}",       "\\",      R"(\1)",    R"((a)\1)",
                           "(?=a)",       "(?<x>a)", R"(\xg0)", R"(\u12)",  "[b-a]",
                           R"([\d-z\q])", "^*",      R"(\b+)",  "a{99999}", "(a{100}){100}",
                           "\xFF"}) {
    EXPECT_FALSE(Pattern::compile(text)) << text;
  }
  EXPECT_FALSE(Pattern::compile(std::string(257, 'a')));
  EXPECT_TRUE(Pattern::compile(std::string(256, 'a')));
  EXPECT_TRUE(Pattern::compile(std::string(100, '(') + std::string(100, ')')));
}

TEST(Pattern, TakesLinearTimeWhereBacktrackingTakesForever) {
  const std::string hostile(256, 'a');
  for (const char* text : {"^(a+)+$", "^(a|a)*$", "^(a|aa)+b", "(x+x+)+y", "^(a?){60}a{60}b"}) {
    const auto pattern = Pattern::compile(text);
    ASSERT_TRUE(pattern) << text;
    EXPECT_FALSE(pattern->found_in(hostile + "!")) << text;
  }
}

/// A random pattern that both sides take.
std::string pattern_of(testing::Random& random, int depth) {
  static const std::vector<std::string> kAtoms{"a",     "b",     "c",     ".",      "[ab]", "[^a]",
                                               R"(\d)", R"(\W)", R"(\.)", "[a-c1]", "1"};
  std::string out;
  for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
    std::string atom = random.pick(kAtoms);
    if (depth > 0 && random.below(3) == 0) {
      atom = (random.flip() ? "(" : "(?:") + pattern_of(random, depth - 1) + ")";
    }
    static const std::vector<std::string> kRepeats{"", "", "", "*", "+", "?", "{2}", "{1,3}", "*?"};
    out += atom + random.pick(kRepeats);
    if (random.below(6) == 0) out += "|";
  }
  if (random.below(6) == 0) out = "^" + out;
  if (random.below(6) == 0) out += "$";
  return out;
}

TEST(Pattern, AgreesWithTheStandardLibrary) {
  testing::Random random(5);
  const std::vector<std::string> letters{"a", "b", "c", ".", "1", "="};
  for (int round = 0; round < 2000; ++round) {
    const std::string text = pattern_of(random, 2);
    const auto pattern = Pattern::compile(text);
    ASSERT_TRUE(pattern) << text;
    const std::regex reference(text, std::regex::ECMAScript);
    for (int i = 0; i < 5; ++i) {
      std::string subject;
      for (std::uint64_t n = random.below(9); n > 0; --n) subject += random.pick(letters);
      ASSERT_EQ(pattern->found_in(subject), std::regex_search(subject, reference))
          << text << " in " << subject;
    }
  }
}

}  // namespace
}  // namespace netmesh::capability
