#include <algorithm>
#include <utility>

#include "base/json_text.h"
#include "predicate/capability_diff.h"
#include "predicate/predicate_json.h"
#include "predicate/predicate_testing.h"
#include "predicate/trace.h"
#include "predicate/validation.h"

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
    const auto applied = apply_diff(prev_tags, metadata(each["prev"]["metadata"]), *diff);
    ASSERT_TRUE(applied) << applied.error().message;
    EXPECT_EQ(*diff_capabilities(applied->tags, applied->metadata, curr_tags,
                                 metadata(each["curr"]["metadata"])),
              CapabilityDiff{});
  }
}

/// `{ label, result, children }` from a node on, as the files have it.
std::string json_of(const Trace& trace, std::uint32_t index) {
  const Clause& clause = trace.clauses[index];
  std::string out = R"({"label":)";
  append_json_string(clause.label, out);
  out += clause.result ? R"(,"result":true,"children":[)" : R"(,"result":false,"children":[)";
  for (const std::uint32_t child : clause.children) {
    if (child != clause.children.front()) out += ',';
    out += json_of(trace, child);
  }
  return out + "]}";
}

TEST(CapabilityFixtures, ATraceIsTheSameAsEverywhereElse) {
  const Fixture fixture("predicate_trace", 1, 8);
  for (const element each : fixture.cases()) {
    SCOPED_TRACE(text(each["name"]));
    const auto predicate = from_header(simdjson::minify(each["wire"]));
    ASSERT_TRUE(predicate) << predicate.error().message;
    const auto tags = texts(each["tags"]);
    const auto entries = metadata(each["metadata"]);
    const CapabilityView view(tags, entries);
    const Trace found = trace(*predicate, view);
    EXPECT_EQ(found.clauses[found.root].result, bool(each["expected_result"]));
    EXPECT_EQ(json_of(found, found.root), simdjson::minify(each["expected_trace"]));
  }
}

std::vector<ClauseStats> stats_of(const element& list) {
  std::vector<ClauseStats> out;
  for (const element each : list.get_array())
    out.push_back({text(each["label"]), double(each["evaluated"]), double(each["matched"])});
  return out;
}

TEST(CapabilityFixtures, AReportCountsAsEverywhereElse) {
  const Fixture fixture("predicate_debug_report", 1, 6);
  for (const element each : fixture.cases()) {
    SCOPED_TRACE(text(each["name"]));
    const auto predicate = from_header(simdjson::minify(each["wire"]));
    ASSERT_TRUE(predicate) << predicate.error().message;
    std::vector<CapabilityTexts> sets;
    for (const element context : each["contexts"].get_array())
      sets.push_back({texts(context["tags"]), metadata(context["metadata"])});
    std::vector<CapabilityView> rows;
    for (const CapabilityTexts& set : sets) rows.emplace_back(set.tags, set.metadata);
    const DebugReport report = debug_report(*predicate, rows);
    EXPECT_EQ(report.total_candidates, std::uint64_t(each["expected_total_candidates"]));
    EXPECT_EQ(report.matched, std::uint64_t(each["expected_matched"]));
    EXPECT_EQ(report.clause_stats, stats_of(each["expected_clause_stats"]));
  }
}

TEST(CapabilityFixtures, AReportIsRedactedAsEverywhereElse) {
  const Fixture fixture("predicate_debug_report_redacted", 1, 8);
  const auto report_of = [](const element& report) {
    return DebugReport{static_cast<std::size_t>(std::uint64_t(report["total_candidates"])),
                       static_cast<std::size_t>(std::uint64_t(report["matched"])),
                       stats_of(report["clause_stats"])};
  };
  for (const element each : fixture.cases()) {
    SCOPED_TRACE(text(each["name"]));
    const auto keys = texts(each["redact_keys"]);
    const DebugReport redacted = redact_metadata_keys(report_of(each["report"]), keys);
    EXPECT_EQ(redacted, report_of(each["redacted_report"]));
    EXPECT_EQ(redact_metadata_keys(redacted, keys), redacted);
  }
}

/// One finding as the files have it.
struct FindingJson {
  std::string text = "{";

  FindingJson& field(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(value, text);
    return *this;
  }
  FindingJson& field(std::string_view name, std::size_t value) {
    key(name);
    text += std::to_string(value);
    return *this;
  }
  std::string end() { return text + "}"; }

 private:
  void key(std::string_view name) {
    if (text.size() > 1) text += ',';
    append_json_string(name, text);
    text += ':';
  }
};

struct ToJson {
  std::string operator()(const TypeMismatch& e) const {
    return FindingJson()
        .field("kind", "type_mismatch")
        .field("axis", to_string(e.axis))
        .field("key", e.key)
        .field("expected", to_string(e.expected))
        .field("actual", e.actual)
        .end();
  }
  std::string operator()(const IndexMalformed& e) const {
    return FindingJson()
        .field("kind", "index_malformed")
        .field("axis", to_string(e.axis))
        .field("prefix", e.prefix)
        .field("index", e.index)
        .field("tag", e.tag)
        .end();
  }
  std::string operator()(const UnknownKey& w) const {
    return FindingJson()
        .field("kind", "unknown_key")
        .field("axis", to_string(w.axis))
        .field("key", w.key)
        .end();
  }
  std::string operator()(const LegacyTag& w) const {
    return FindingJson().field("kind", "legacy_tag").field("tag", w.tag).end();
  }
  std::string operator()(const MetadataReservedKey& w) const {
    return FindingJson().field("kind", "metadata_reserved_key").field("key", w.key).end();
  }
  std::string operator()(const MetadataReservedPrefix& w) const {
    return FindingJson()
        .field("kind", "metadata_reserved_prefix")
        .field("key", w.key)
        .field("prefix", w.prefix)
        .end();
  }
  std::string operator()(const MetadataOversize& w) const {
    return FindingJson()
        .field("kind", "metadata_oversize")
        .field("soft_cap_bytes", kMetadataSoftCapBytes)
        .field("actual_bytes", w.actual_bytes)
        .end();
  }
};

template <typename Finding>
std::vector<std::string> sorted_json(const std::vector<Finding>& findings) {
  std::vector<std::string> out;
  for (const Finding& each : findings) out.push_back(std::visit(ToJson{}, each));
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> sorted_json(const element& list) {
  std::vector<std::string> out;
  for (const element each : list.get_array()) out.push_back(simdjson::minify(each));
  std::sort(out.begin(), out.end());
  return out;
}

TEST(CapabilityFixtures, ACapabilitySetIsValidatedAsEverywhereElse) {
  const Fixture fixture("capability_validation", 1, 16);
  for (const element each : fixture.cases()) {
    SCOPED_TRACE(text(each["name"]));
    const auto report =
        validate_capabilities(texts(each["caps"]["tags"]), metadata(each["caps"]["metadata"]));
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(sorted_json(report->errors), sorted_json(element(each["expected_errors"])));
    EXPECT_EQ(sorted_json(report->warnings), sorted_json(element(each["expected_warnings"])));
  }
}

}  // namespace
}  // namespace netmesh::predicate
