#include "predicate/predicate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "predicate/predicate_json.h"
#include "predicate/trace.h"

namespace netmesh::predicate {
namespace {

Node metadata_exists(std::string key) {
  Node node;
  node.op = Op::kMetadataExists;
  node.key = std::move(key);
  return node;
}

Node composite(Op op, std::vector<std::uint32_t> children) {
  Node node;
  node.op = op;
  node.children = std::move(children);
  return node;
}

const std::vector<std::string> kNoTags;

bool matches(const Predicate& predicate, const Metadata& metadata) {
  return predicate.matches(CapabilityView(kNoTags, metadata));
}

/// Every level uses the one below twice.
std::vector<Node> doubling(std::uint32_t levels) {
  std::vector<Node> nodes{metadata_exists("x")};
  for (std::uint32_t level = 0; level < levels; ++level) {
    nodes.push_back(composite(Op::kAnd, {level, level}));
  }
  return nodes;
}

TEST(Predicate, ThatDoublesInAHeaderIsEvaluatedOncePerNode) {
  std::string header = R"({"nodes":[{"kind":"metadata_exists","key":"x"})";
  constexpr int kLevels = 117;
  for (int i = 0; i < kLevels; ++i) {
    const std::string child = std::to_string(i);
    header += R"(,{"kind":"and","children":[)" + child + "," + child + "]}";
  }
  header += R"(],"root_idx":)" + std::to_string(kLevels) + "}";
  ASSERT_LE(header.size(), kHeaderCapBytes);
  const auto predicate = from_header(header);
  ASSERT_TRUE(predicate) << predicate.error().message;
  // 2^117 evaluations would not end.
  EXPECT_TRUE(matches(*predicate, {{"x", ""}}));
  EXPECT_FALSE(matches(*predicate, {}));
}

/// How many steps a table of this many levels costs.
std::size_t steps(std::uint32_t levels) {
  const Metadata metadata{{"x", ""}};
  const auto predicate = Predicate::create(doubling(levels), levels);
  return predicate->evaluate(CapabilityView(kNoTags, metadata)).steps();
}

TEST(Predicate, CostsTimeLinearInItsTableHoweverOftenNodesAreUsed) {
  // One leaf, and two children of each level looked at: 2^levels without sharing.
  EXPECT_EQ(steps(1), 3U);
  EXPECT_EQ(steps(100), 201U);
  EXPECT_EQ(steps(kMaxNodes - 1), 2U * (kMaxNodes - 1) + 1);
  // A wide composite that names one child over and over.
  const Metadata metadata{{"x", ""}};
  constexpr std::uint32_t kTimes = 10'000;
  const auto wide = Predicate::create(
      {metadata_exists("x"), composite(Op::kAnd, std::vector<std::uint32_t>(kTimes, 0))}, 1);
  EXPECT_EQ(wide->evaluate(CapabilityView(kNoTags, metadata)).steps(), kTimes + 1U);
}

TEST(Trace, OfATableThatDoublesIsNoLargerThanTheTable) {
  const auto predicate = Predicate::create(doubling(1000), 1000);
  const Metadata metadata{{"x", ""}};
  const CapabilityView view(kNoTags, metadata);
  const Trace found = trace(*predicate, view);
  ASSERT_EQ(found.clauses.size(), 1001U);
  for (std::uint32_t level = 1; level <= 1000; ++level)
    EXPECT_EQ(found.clauses[level].children, std::vector<std::uint32_t>(2, level - 1));
  const DebugReport report = debug_report(*predicate, std::span(&view, 1));
  ASSERT_EQ(report.clause_stats.size(), 2U);
  EXPECT_EQ(report.clause_stats[1].label, "MetadataExists(x)");
  EXPECT_EQ(report.clause_stats[1].evaluated, std::pow(2.0, 1000));
}

TEST(Trace, RunsTheCheapestFirstAndLeavesOutTheRest) {
  Node dear = metadata_exists("y");
  dear.op = Op::kMetadataMatches;
  dear.text = "\"\n";
  const auto predicate =
      Predicate::create({dear, metadata_exists("x"), composite(Op::kOr, {0, 1})}, 2);
  const Metadata metadata{{"x", ""}};
  const Trace found = trace(*predicate, CapabilityView(kNoTags, metadata));
  EXPECT_EQ(found.clauses[2], (Clause{"Or(2 clauses)", true, {1}}));
  EXPECT_EQ(found.clauses[0], Clause{}) << "it did not run";
  EXPECT_EQ(label_of(dear), R"(MetadataMatches(y contains "\"\n"))");
}

TEST(Predicate, OfAnyDepthNeedsNoStack) {
  const auto deep = Predicate::create(doubling(kMaxNodes - 1), kMaxNodes - 1);
  ASSERT_TRUE(deep);
  EXPECT_TRUE(matches(*deep, {{"x", ""}}));
}

TEST(Predicate, CombinesAsLogicHasIt) {
  const auto value = [](std::vector<Node> nodes) {
    const std::size_t root = nodes.size() - 1;
    return matches(*Predicate::create(std::move(nodes), root), {{"yes", ""}});
  };
  EXPECT_TRUE(value({composite(Op::kAnd, {})}));
  EXPECT_FALSE(value({composite(Op::kOr, {})}));
  for (const bool a : {false, true}) {
    for (const bool b : {false, true}) {
      const auto leaf = [](bool yes) { return metadata_exists(yes ? "yes" : "no"); };
      EXPECT_EQ(value({leaf(a), leaf(b), composite(Op::kAnd, {0, 1})}), a && b);
      EXPECT_EQ(value({leaf(a), leaf(b), composite(Op::kOr, {0, 1})}), a || b);
      EXPECT_EQ(value({leaf(a), composite(Op::kNot, {0})}), !a);
      EXPECT_EQ(value({leaf(a), leaf(b), composite(Op::kNot, {1}), composite(Op::kAnd, {0, 2, 0}),
                       composite(Op::kOr, {3, 1})}),
                (a && !b) || b);
    }
  }
}

TEST(Predicate, IsRefusedWithTheDocumentedText) {
  const auto refusal = [](std::vector<Node> nodes, std::uint64_t root) {
    const auto predicate = Predicate::create(std::move(nodes), root);
    return predicate ? std::string("none") : predicate.error().message;
  };
  EXPECT_EQ(refusal({}, 0), "predicate wire has empty nodes table");
  EXPECT_EQ(refusal({metadata_exists("x")}, 1), "predicate wire root_idx 1 >= nodes len 1");
  EXPECT_EQ(refusal({composite(Op::kNot, {0})}, 0),
            "predicate wire child index 0 >= parent index 0 (cycle)");
  EXPECT_EQ(refusal({metadata_exists("x"), composite(Op::kOr, {0, 2})}, 1),
            "predicate wire child index 2 out of bounds for nodes len 2");
  EXPECT_EQ(refusal({composite(Op::kNot, {})}, 0), "predicate wire node 0 (not) has 0 children");
  EXPECT_EQ(refusal(doubling(kMaxNodes), 0), "predicate wire has more than 65536 nodes");
}

TEST(Predicate, LooksAtOwnKeyAndAtAnyOfSeveralValues) {
  const std::vector<std::string> tags = {"hardware.memory_gb=8", "hardware.memory_gb:128",
                                         "hardware.gpu", "hardware.gpu.vendor=x", ""};
  const Metadata none;
  const CapabilityView view(tags, none);
  const auto holds = [&view](Op op, std::string key, std::string text, double min) {
    Node node;
    node.op = op;
    node.key = std::move(key);
    node.text = std::move(text);
    node.min = min;
    return Predicate::create({node}, 0)->matches(view);
  };
  EXPECT_TRUE(holds(Op::kNumericAtLeast, "memory_gb", "", 64));
  EXPECT_FALSE(holds(Op::kNumericAtLeast, "memory_gb", "", 129));
  EXPECT_FALSE(holds(Op::kNumericAtLeast, "memory_gb", "", std::nan("")));
  EXPECT_TRUE(holds(Op::kEquals, "memory_gb", "128", 0));
  EXPECT_TRUE(holds(Op::kExists, "gpu", "", 0));
  EXPECT_FALSE(holds(Op::kExists, "gp", "", 0));
  for (const Op op : {Op::kEquals, Op::kStringPrefix, Op::kStringMatches}) {
    EXPECT_FALSE(holds(op, "gpu", "", 0));
  }
}

TEST(PredicateHeader, IsBounded) {
  const auto header = [](std::size_t bytes) {
    const std::size_t empty = to_header(*Predicate::create({metadata_exists("")}, 0))->size();
    return to_header(*Predicate::create({metadata_exists(std::string(bytes - empty, 'x'))}, 0));
  };
  EXPECT_EQ(header(4096)->size(), 4096U);
  EXPECT_EQ(header(4097).error().message,
            "predicate wire encoding 4097 bytes exceeds header cap 4096");
  EXPECT_EQ(from_header(std::string(4097, 'x')).error().message,
            "predicate wire payload 4097 bytes exceeds header cap 4096");
  EXPECT_TRUE(from_header(*header(4096)));
}

TEST(PredicateHeader, IsWrittenAsDocumented) {
  Node node;
  node.op = Op::kNumericAtLeast;
  node.key = "memory\"gb\n";
  const auto written = [&node](double threshold) {
    node.min = threshold;
    return to_header(*Predicate::create({node}, 0));
  };
  EXPECT_EQ(*written(64), R"({"nodes":[{"kind":"numeric_at_least","key":{"axis":"hardware",)"
                          R"("key":"memory\"gb\n"},"threshold":64.0}],"root_idx":0})");
  EXPECT_NE(written(0.5)->find(":0.5}"), std::string::npos);
  EXPECT_FALSE(written(std::nan("")));
  EXPECT_FALSE(written(std::numeric_limits<double>::infinity()));
}

TEST(PredicateHeader, TakesWhatJsonAllows) {
  const auto threshold = [](const std::string& number) {
    const auto predicate = from_header(
        R"({"more":[[{"nodes":"12345678901234567890"}]],"root_idx":0,"nodes":[{"threshold":1,"key":)"
        R"({"key":"\u006b","axis":"hardware","x":null},"threshold":)" +
        number + R"(,"kind":"numeric_at_most"}]})");
    return predicate ? predicate->nodes()[0].max : -7;
  };
  EXPECT_EQ(threshold("64"), 64);
  EXPECT_EQ(threshold("64.0"), 64);
  EXPECT_EQ(threshold("1e21"), 1e21);
  EXPECT_EQ(threshold("100000000000000000000"), 1e20);
  EXPECT_EQ(threshold("-100000000000000000000"), -1e20);
  EXPECT_EQ(threshold("18446744073709551616"), 18446744073709551616.0);
  EXPECT_EQ(threshold("1e400"), -7);
  EXPECT_EQ(threshold("01"), -7);
  EXPECT_EQ(threshold("1.0000000000000000000000000.0"), -7);
  EXPECT_EQ(threshold("null"), -7);
}

TEST(PredicateHeader, IsRefusedWhenItIsNone) {
  for (const char* json :
       {"", "{", "[]", "{}", R"({"nodes":[],"root_idx":0})", R"({"nodes":[5],"root_idx":0})",
        R"({"nodes":[{"kind":"regex"}],"root_idx":0})",
        R"({"nodes":[{"kind":"exists","key":{"axis":"compute","key":"x"}}],"root_idx":0})",
        R"({"nodes":[{"kind":"exists","key":"x"}],"root_idx":0})",
        R"({"nodes":[{"kind":"metadata_exists","key":"x"}],"root_idx":0.5})",
        R"({"nodes":[{"kind":"metadata_exists","key":"x"}],"root_idx":-1})",
        R"({"nodes":[{"kind":"metadata_exists","key":"x"}],"root_idx":4294967296})",
        R"({"nodes":[{"kind":"metadata_exists"}],"root_idx":0})",
        R"({"nodes":[{"kind":"not","child":0}],"root_idx":0})",
        R"({"nodes":[{"kind":"metadata_exists","key":"\ud800"}],"root_idx":0})", "\xEF\xBB\xBF{}",
        "{\"nodes\":\"\xFF\"}"}) {
    const auto predicate = from_header(json);
    ASSERT_FALSE(predicate) << json;
    EXPECT_EQ(predicate.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_TRUE(predicate.error().message.starts_with("predicate wire ")) << json;
  }
  // As deep as a header can be; nothing recurses.
  EXPECT_FALSE(from_header(std::string(4096, '[')));
}

}  // namespace
}  // namespace netmesh::predicate
