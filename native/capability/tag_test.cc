#include "capability/tag.h"

#include <gtest/gtest.h>

#include "capability/capability_testing.h"

namespace netmesh::capability {
namespace {

TEST(Tag, HasTheShapeThatTheSpecificationSays) {
  const auto shape = [](std::string_view text) { return Tag::parse(text).shape; };
  for (const auto* reserved : {"causal:00", "fork-of:", "heat:x=1", "scope:tenant:a"})
    EXPECT_EQ(shape(reserved), TagShape::kReserved) << reserved;
  for (const auto* presence : {"hardware.gpu", "software.", "devices.a.b", "dataforts.blob"})
    EXPECT_EQ(shape(presence), TagShape::kAxisPresence) << presence;
  for (const auto* value :
       {"hardware.memory_gb=64", "software.os:linux", "hardware.=", "devices.a="})
    EXPECT_EQ(shape(value), TagShape::kAxisValue) << value;
  for (const auto* legacy :
       {"gpu", "region:us", "nrpc:echo", "model:x", "Hardware.gpu", "hardware", "x.y", "", "scope"})
    EXPECT_EQ(shape(legacy), TagShape::kLegacy) << legacy;
}

TEST(Tag, SplitsAtTheFirstSeparator) {
  const Tag tag = Tag::parse("software.runtime.node:a=b:c");
  EXPECT_EQ(tag.axis, "software");
  EXPECT_EQ(tag.key, "runtime.node");
  EXPECT_EQ(tag.separator, ':');
  EXPECT_EQ(tag.value, "a=b:c");
}

TEST(Tag, LosesNoByteOfAnyText) {
  testing::Random random(1);
  const std::vector<std::string> parts{"hardware", "software", "scope:", "heat:", ".",
                                       "=",        ":",        "a",      "gpu"};
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (std::uint64_t n = 1 + random.below(6); n > 0; --n) text += random.pick(parts);
    const Tag tag = Tag::parse(text);
    std::string again;
    if (tag.is_axis()) again = std::string(tag.axis) + ".";
    if (tag.shape == TagShape::kReserved) again = std::string(tag.axis);
    again += tag.key;
    if (tag.shape == TagShape::kAxisValue) (again += tag.separator) += tag.value;
    EXPECT_EQ(again, text);
    EXPECT_TRUE(tag.means_the_same_as(Tag::parse(text)));
  }
}

TEST(CapabilitySet, FindsATagUnderEitherSeparator) {
  const CapabilitySet set = testing::set_of({"software.os=linux", "region:us", "hardware.gpu"});
  EXPECT_TRUE(set.has_tag("software.os:linux"));
  EXPECT_TRUE(set.has_tag("software.os=linux"));
  EXPECT_FALSE(set.has_tag("region=us")) << "only axis values have two forms";
  EXPECT_FALSE(set.has_tag("hardware.gpu="));
  EXPECT_FALSE(set.has_tag(""));
}

TEST(CapabilitySet, IsStrippedOfWhatOthersMustNotClaim) {
  CapabilitySet set =
      testing::set_of({"heat:aa=0.50", "causal:aa", "heat:bb=0.10", "causal:b", "heat:cc=1.00",
                       "causal:cc[1..2]", "heat:dd=1.00", "causal:dd:7"});
  for (int i = 0; i < 300; ++i) set.add_tag("heat:blob:" + std::to_string(1000 + i) + "=1.00");
  for (const auto* key : {"intent", "priority", "owner", "colocate-with", "colocate-with-strict",
                          "tool::x::input_schema", "mine"})
    set.metadata[key] = "x";
  strip_for_index(set);
  EXPECT_EQ(set.metadata, (Metadata{{"mine", "x"}}));
  EXPECT_TRUE(set.tags.contains("heat:aa=0.50"));
  EXPECT_FALSE(set.tags.contains("heat:bb=0.10")) << "no chain bb, only b";
  EXPECT_TRUE(set.tags.contains("heat:cc=1.00"));
  EXPECT_TRUE(set.tags.contains("heat:dd=1.00"));
  EXPECT_EQ(set.tags.size(), 7u + 256u);
}

}  // namespace
}  // namespace netmesh::capability
