#include "capability/capability_set.h"

#include <gtest/gtest.h>

#include "capability/capability_testing.h"

namespace netmesh::capability {
namespace {

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
