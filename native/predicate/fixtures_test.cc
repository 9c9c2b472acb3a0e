#include <utility>

#include "predicate/capability_diff.h"
#include "predicate/predicate_json.h"
#include "predicate/predicate_testing.h"

namespace netmesh::predicate {
namespace {

using testing::element;
using testing::Fixture;
using testing::metadata;
using testing::text;
using testing::texts;

TEST(CapabilityFixtures, APredicateSurvivesTheWire) {
  const Fixture fixture("predicate_nrpc_envelope", 2, 18);
  for (const element each : fixture.cases()) {
    SCOPED_TRACE(text(each["name"]));
    const auto predicate = from_header(simdjson::minify(each["wire"]));
    ASSERT_TRUE(predicate) << predicate.error().message;
    const auto header = to_header(*predicate);
    ASSERT_TRUE(header);
    // Both sides as simdjson writes them: the file has blanks, and numbers may be spelled
    // otherwise.
    simdjson::dom::parser parser;
    EXPECT_EQ(simdjson::minify(parser.parse(*header)), simdjson::minify(each["wire"]));
  }
}

TEST(CapabilityFixtures, APredicateEvaluatesAsEverywhereElse) {
  const Fixture fixture("predicate_eval", 1, 40);
  for (const element each : fixture.cases()) {
    SCOPED_TRACE(text(each["name"]));
    const auto predicate = from_header(simdjson::minify(each["wire"]));
    ASSERT_TRUE(predicate) << predicate.error().message;
    const auto tags = texts(each["tags"]);
    const auto entries = metadata(each["metadata"]);
    const CapabilityView view(tags, entries);
    EXPECT_EQ(predicate->matches(view), bool(each["expected"]));
    EXPECT_EQ(filter_by_predicate(std::span(&view, 1), &*predicate).size(),
              bool(each["expected"]) ? 1U : 0U);
  }
}

TEST(CapabilityFixtures, ADifferenceIsTheSameAsEverywhereElse) {
  const Fixture fixture("capability_set_diff", 1, 11);
  for (const element each : fixture.cases()) {
    SCOPED_TRACE(text(each["name"]));
    const auto prev_tags = texts(each["prev"]["tags"]);
    const auto curr_tags = texts(each["curr"]["tags"]);
    const auto diff = diff_capabilities(prev_tags, metadata(each["prev"]["metadata"]), curr_tags,
                                        metadata(each["curr"]["metadata"]));
    ASSERT_TRUE(diff);
    EXPECT_EQ(diff->added_tags, texts(each["expected_added_tags"]));
    EXPECT_EQ(diff->removed_tags, texts(each["expected_removed_tags"]));
    std::vector<MetadataChange> expected;
    for (const element change : each["expected_metadata_changes"].get_array()) {
      using Kind = MetadataChange::Kind;
      const std::string kind = text(change["kind"]);
      const std::string key = text(change["key"]);
      if (kind == "added") {
        expected.push_back({Kind::kAdded, key, "", text(change["value"])});
      } else if (kind == "removed") {
        expected.push_back({Kind::kRemoved, key, text(change["prev_value"]), ""});
      } else {
        expected.push_back(
            {Kind::kUpdated, key, text(change["prev_value"]), text(change["new_value"])});
      }
    }
    EXPECT_EQ(diff->metadata_changes, expected);
  }
}

}  // namespace
}  // namespace netmesh::predicate
