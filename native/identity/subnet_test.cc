#include "identity/subnet.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "identity/identity_testing.h"

namespace netmesh::identity {
namespace {

SubnetId subnet(std::vector<std::uint32_t> levels) { return SubnetId::from_levels(levels).value(); }

std::string error_of(const std::vector<std::uint32_t>& levels) {
  const auto result = SubnetId::from_levels(levels);
  return result ? "" : result.error().message;
}

std::string error_of(SubnetRule rule) {
  const auto result = SubnetPolicy::make({std::move(rule)});
  return result ? "" : result.error().message;
}

SubnetId assign(const SubnetPolicy& policy, std::vector<std::string_view> tags) {
  std::sort(tags.begin(), tags.end());
  return policy.assign(tags);
}

TEST(SubnetId, PutsTheOutermostLevelFirst) {
  EXPECT_EQ(subnet({3, 7}).value(), 0x03070000u);
  EXPECT_EQ(subnet({1, 2, 3, 4}).value(), 0x01020304u);
  EXPECT_EQ(subnet({0}), SubnetId());
  EXPECT_EQ(subnet({3, 7}).level(1), 7);
  EXPECT_EQ(subnet({3, 7}).level(4), 0);
}

TEST(SubnetId, CountsLevelsToTheDeepestThatIsNotZero) {
  EXPECT_EQ(SubnetId().depth(), 0u);
  EXPECT_EQ(subnet({3}).depth(), 1u);
  EXPECT_EQ(subnet({3, 0, 5}).depth(), 3u);
  EXPECT_EQ(subnet({0, 0, 0, 1}).depth(), 4u);
  EXPECT_EQ(subnet({3, 0, 5}).parent(), subnet({3}));
  EXPECT_EQ(SubnetId().parent(), SubnetId());
}

TEST(SubnetId, NamesItself) {
  EXPECT_EQ(SubnetId().to_string(), "global");
  EXPECT_EQ(subnet({3, 7}).to_string(), "3.7");
  EXPECT_EQ(subnet({3, 0, 5}).to_string(), "3.0.5");
}

TEST(SubnetId, IsAnAncestorOfWhatBeginsWithIt) {
  EXPECT_TRUE(SubnetId().is_ancestor_of(subnet({3, 7})));
  EXPECT_TRUE(subnet({3}).is_ancestor_of(subnet({3, 7})));
  EXPECT_TRUE(subnet({3, 7}).is_ancestor_of(subnet({3, 7})));
  EXPECT_FALSE(subnet({3, 7}).is_ancestor_of(subnet({3})));
  EXPECT_FALSE(subnet({3, 7}).is_ancestor_of(subnet({3, 8})));
  EXPECT_TRUE(subnet({3, 7, 1}).is_sibling_of(subnet({3, 7, 2})));
  EXPECT_FALSE(subnet({3, 7, 1}).is_sibling_of(subnet({3, 8, 1})));
  EXPECT_FALSE(subnet({3, 7}).is_sibling_of(subnet({3, 7})));
  EXPECT_FALSE(SubnetId().is_sibling_of(SubnetId()));
}

TEST(SubnetId, AlwaysDescendsFromItsParent) {
  testing::SeededRandom random(4);
  for (int i = 0; i < 1000; ++i) {
    const SubnetId id(static_cast<std::uint32_t>(random.u64()) &
                      (0xFFFFFFFFu << (8 * random.below(4))));
    EXPECT_TRUE(id.parent().is_ancestor_of(id));
    EXPECT_LT(id.parent().depth(), std::max(1u, id.depth()));
    if (!id.is_global()) EXPECT_FALSE(id.is_ancestor_of(id.parent()));
  }
}

TEST(SubnetId, RefusesLevelsThatDoNotFit) {
  EXPECT_EQ(error_of(std::vector<std::uint32_t>{}), "subnet: levels must have at least one entry");
  EXPECT_EQ(error_of({1, 2, 3, 4, 5}), "subnet: levels must have at most 4 entries, got 5");
  EXPECT_EQ(error_of({1, 256}), "subnet: level 1 value 256 exceeds u8 range");
}

TEST(SubnetPolicy, DerivesTheSubnetOfTheExample) {
  const SubnetPolicy policy = SubnetPolicy::make({{"region:", 0, {{"us", 3}, {"eu", 4}}},
                                                  {"fleet:", 1, {{"blue", 7}, {"green", 8}}}})
                                  .value();
  EXPECT_EQ(assign(policy, {"region:us", "fleet:blue"}), subnet({3, 7}));
  EXPECT_EQ(assign(policy, {"fleet:green", "gpu"}), subnet({0, 8}));
  EXPECT_EQ(assign(policy, {}), SubnetId());
  EXPECT_EQ(assign(policy, {"region:usa", "region:u"}), SubnetId()) << "values match exactly";
}

TEST(SubnetPolicy, TakesTheFirstListedValueInByteOrder) {
  const SubnetPolicy policy = SubnetPolicy::make({{"r:", 0, {{"b", 2}, {"c", 3}}}}).value();
  EXPECT_EQ(assign(policy, {"r:c", "r:b", "r:a"}), subnet({2})) << "r:a is skipped";
}

TEST(SubnetPolicy, LetsLaterRulesOverwriteEarlierOnesThatMatched) {
  const SubnetPolicy policy =
      SubnetPolicy::make({{"a:", 2, {{"x", 1}}}, {"b:", 2, {{"y", 9}}}}).value();
  EXPECT_EQ(assign(policy, {"a:x", "b:y"}), subnet({0, 0, 9}));
  EXPECT_EQ(assign(policy, {"a:x", "b:z"}), subnet({0, 0, 1}));
}

TEST(SubnetPolicy, RefusesLevelsAndValuesOutOfRange) {
  EXPECT_EQ(error_of({"a:", 4, {}}), "subnet: rule level must be 0..=3, got 4");
  EXPECT_EQ(error_of({"a:", 256, {}}), "subnet: rule level value 256 exceeds u8 range");
  EXPECT_EQ(error_of({"a:", 0, {{"x", 256}}}),
            "subnet: rule value for x value 256 exceeds u8 range");
  EXPECT_EQ(error_of({"a:", 0, {{"x", 0}}}),
            "subnet: rule value for \"x\": subnet rule level_value must be in 1..=255 (0 is "
            "reserved for unmatched levels)");
}

}  // namespace
}  // namespace netmesh::identity
