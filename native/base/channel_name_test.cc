#include "base/channel_name.h"

#include <gtest/gtest.h>

namespace netmesh {
namespace {

std::string error_of(std::string_view name) {
  const auto result = check_channel_name(name);
  return result ? "" : result.error().message;
}

TEST(ChannelName, AcceptsLowerCaseSegmentsOfUpTo255Bytes) {
  for (const std::string& name : std::vector<std::string>{
           "a", "orders/audit", "cortex/tasks", "a.b-c_d/0", "...", std::string(255, 'x')}) {
    EXPECT_EQ(error_of(name), "") << name;
  }
}

TEST(ChannelName, SaysWhichRuleANameBreaks) {
  const std::string format = "invalid channel name format: ";
  const std::string ends = format + "must not start or end with '/'";
  const std::string upper = " not allowed — channel names are lowercase only";
  const std::pair<std::string, std::string> cases[] = {
      {"", "channel name is empty"},
      {std::string(256, 'x'), "channel name too long (256 > 255)"},
      {"/a", ends},
      {"a/", ends},
      {"/", ends},
      {"a//b", format + "must not contain '//'"},
      {"aB", format + "uppercase character 'B'" + upper},
      {"a b", "invalid character ' ' in channel name"},
      {"caf\xC3\xA9/x", "invalid character '\xC3\xA9' in channel name"},
      {"a/../b", format + "segment \"..\" is reserved"},
      {".", format + "segment \".\" is reserved"},
      {"a/.", format + "segment \".\" is reserved"},
  };
  for (const auto& [name, expected] : cases) EXPECT_EQ(error_of(name), expected) << name;
}

TEST(ChannelName, ReportsTheFirstRuleBrokenInTheDocumentedOrder) {
  EXPECT_EQ(error_of(std::string(300, 'X')), "channel name too long (300 > 255)");
  EXPECT_EQ(error_of("/A"), "invalid channel name format: must not start or end with '/'");
  EXPECT_EQ(error_of("a?B"), "invalid character '?' in channel name");
  EXPECT_EQ(error_of("../A").substr(0, 49), "invalid channel name format: uppercase character ");
}

}  // namespace
}  // namespace netmesh
