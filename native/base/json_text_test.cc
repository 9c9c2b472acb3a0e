#include "base/json_text.h"

#include <gtest/gtest.h>

namespace netmesh {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(text, out);
  return out;
}

TEST(JsonText, WritesStringsAsJavaScriptDoes) {
  EXPECT_EQ(quoted(""), R"("")");
  EXPECT_EQ(quoted("a\"b\\c/d"), R"("a\"b\\c/d")");
  EXPECT_EQ(quoted("\b\f\n\r\t"), R"("\b\f\n\r\t")");
  EXPECT_EQ(quoted(std::string_view("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
  EXPECT_EQ(quoted("ä\xF0\x9F\x8C\x8D"), "\"ä\xF0\x9F\x8C\x8D\"");
}

TEST(JsonText, WidensOnlyIntegersBeyond64Bits) {
  const auto same = [](std::string_view json) { EXPECT_EQ(widen_integers(json), json); };
  same("");
  same("[1,-1,0,12.5e3]");
  same("18446744073709551615");
  same("-9223372036854775808");
  same("1.18446744073709551616");
  same("1e18446744073709551616");
  same(R"({"18446744073709551616":"-18446744073709551616","a\"99999999999999999999":"\\"})");
  EXPECT_EQ(widen_integers("18446744073709551616"), "18446744073709551616.0");
  EXPECT_EQ(widen_integers("-9223372036854775809"), "-9223372036854775809.0");
  EXPECT_EQ(widen_integers("[1,123456789012345678901]"), "[1,123456789012345678901.0]");
  EXPECT_EQ(widen_integers("{\"a\\\\\":123456789012345678901}"),
            "{\"a\\\\\":123456789012345678901.0}");
}

TEST(JsonText, LeavesWhatIsNoJsonThat) {
  for (const std::string_view json :
       {"\"", "\"\\", "-", "--1", "+", "1-2", "\"123456789012345678901"})
    EXPECT_EQ(widen_integers(json), json);
  // Leading zeros are no JSON, and adding a fraction makes them none the better.
  EXPECT_EQ(widen_integers("000000000000000000001"), "000000000000000000001.0");
}

}  // namespace
}  // namespace netmesh
