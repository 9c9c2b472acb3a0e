// What holds for every predicate and set, on generated ones; a failing seed is printed.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>

#include "predicate/capability_diff.h"
#include "predicate/number.h"
#include "predicate/predicate_json.h"
#include "predicate/trace.h"

namespace netmesh::predicate {
namespace {

class Generator {
 public:
  explicit Generator(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t below(std::size_t bound) { return static_cast<std::uint32_t>(engine_() % bound); }
  template <typename T, std::size_t N>
  const T& pick(const std::array<T, N>& from) {
    return from[below(N)];
  }

  std::string key() {
    return pick(std::array<std::string, 5>{"gpu", "memory_gb", "gpu.vram_gb", "os", ""});
  }
  std::string value() {
    return pick(std::array<std::string, 12>{"", "1", "64", "-3.5", "1e400", "nan", "inf", "1.2.3",
                                            "0.4.1-rc", "linux", "a=b:c", "x\n\"\\é"});
  }
  double number() { return pick(std::array<double, 6>{0, 1, 64, -3.5, 1e21, 0.0000001}); }
  Axis axis() { return static_cast<Axis>(below(kAxisNames.size())); }

  std::string tag() {
    const std::string axis(to_string(this->axis()));
    switch (below(6)) {
      case 0:
        return axis + "." + key();
      case 1:
        return "scope:tenant:" + value();
      case 2:
        return "legacy" + value();
      default:
        return axis + "." + key() + (below(2) == 0 ? "=" : ":") + value();
    }
  }
  std::vector<std::string> tags() {
    std::vector<std::string> out(below(10));
    std::generate(out.begin(), out.end(), [this] { return tag(); });
    return out;
  }
  Metadata metadata() {
    Metadata out;
    for (std::uint32_t n = below(5); n > 0; --n) out.insert_or_assign(key(), value());
    return out;
  }

  Node node(std::uint32_t index) {
    Node out;
    out.op = static_cast<Op>(below(index == 0 ? kOpCount - 3 : kOpCount));
    out.axis = axis();
    out.key = key();
    // Only what the operation uses, so that a table is what its header says.
    if (out.op == Op::kEquals || out.op == Op::kMetadataEquals ||
        (out.op >= Op::kSemverAtLeast && out.op <= Op::kStringMatches) ||
        out.op == Op::kMetadataMatches)
      out.text = value();
    out.min = number();
    out.max = number();
    if (out.op == Op::kNot) out.children = {below(index)};
    if (out.op == Op::kAnd || out.op == Op::kOr) {
      out.children.resize(below(4));
      for (std::uint32_t& child : out.children) child = below(index);
    }
    return out;
  }
  Predicate predicate() {
    std::vector<Node> nodes;
    const std::uint32_t count = 1 + below(24);
    for (std::uint32_t index = 0; index < count; ++index) nodes.push_back(node(index));
    return Predicate::create(std::move(nodes), count - 1).value();
  }

 private:
  std::mt19937 engine_;
};

/// The rules of spec 32 §4.4 read one by one: every tag looked at for every question.
class NaiveInterpreter {
 public:
  NaiveInterpreter(const Predicate& predicate, const std::vector<std::string>& tags,
                   const Metadata& metadata)
      : predicate_(predicate), tags_(tags), metadata_(metadata) {}

  bool holds(std::uint32_t index) const {
    const Node& node = predicate_.nodes()[index];
    switch (node.op) {
      case Op::kAnd:
        for (const std::uint32_t child : node.children)
          if (!holds(child)) return false;
        return true;
      case Op::kOr:
        for (const std::uint32_t child : node.children)
          if (holds(child)) return true;
        return false;
      case Op::kNot:
        return !holds(node.children.front());
      default:
        return asks_tags(node.op) ? some_tag(node) : of_metadata(node);
    }
  }

 private:
  bool some_tag(const Node& node) const {
    return std::any_of(tags_.begin(), tags_.end(), [&](const std::string& text) {
      const auto tag = parse_tag(text);
      if (!tag || !tag->on_axis() || tag->axis != node.axis || tag->key != node.key) return false;
      if (node.op == Op::kExists) return true;
      return tag->kind == Tag::Kind::kValue && value_fits(node, tag->value);
    });
  }
  bool of_metadata(const Node& node) const {
    const auto found = metadata_.find(node.key);
    if (found == metadata_.end()) return false;
    const std::string& value = found->second;
    if (node.op == Op::kMetadataEquals) return value == node.text;
    if (node.op == Op::kMetadataMatches) return value.find(node.text) != std::string::npos;
    if (node.op == Op::kMetadataNumericAtLeast) return parse_float64(value) >= node.min;
    return true;
  }
  static bool value_fits(const Node& node, std::string_view value) {
    const auto number = parse_float64(value);
    const auto version = parse_version(value);
    const auto wanted = parse_version(node.text);
    switch (node.op) {
      case Op::kEquals:
        return value == node.text;
      case Op::kStringPrefix:
        return value.substr(0, node.text.size()) == node.text;
      case Op::kStringMatches:
        return value.find(node.text) != std::string_view::npos;
      case Op::kNumericAtLeast:
        return number && *number >= node.min;
      case Op::kNumericAtMost:
        return number && *number <= node.max;
      case Op::kNumericInRange:
        return number && *number >= node.min && *number <= node.max;
      case Op::kSemverAtLeast:
        return version && wanted && *version >= *wanted;
      case Op::kSemverAtMost:
        return version && wanted && *version <= *wanted;
      default:
        return version && wanted && is_compatible(*version, *wanted);
    }
  }

  const Predicate& predicate_;
  const std::vector<std::string>& tags_;
  const Metadata& metadata_;
};

constexpr std::uint32_t kSeeds = 3000;

TEST(PredicateProperty, EvaluationAgreesWithANaiveInterpreter) {
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Generator any(seed);
    const Predicate predicate = any.predicate();
    const auto tags = any.tags();
    const auto metadata = any.metadata();
    const CapabilityView view(tags, metadata);
    const bool expected = NaiveInterpreter(predicate, tags, metadata).holds(predicate.root());
    ASSERT_EQ(predicate.matches(view), expected);
    ASSERT_EQ(predicate.evaluate(view).result(), expected);
    const Trace found = trace(predicate, view);
    ASSERT_EQ(found.clauses[found.root].result, expected);
    const DebugReport report = debug_report(predicate, std::span(&view, 1));
    ASSERT_EQ(report.matched, expected ? 1U : 0U);
  }
}

TEST(PredicateProperty, AHeaderGivesThePredicateBack) {
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Generator any(seed);
    const Predicate predicate = any.predicate();
    const auto header = to_header(predicate);
    ASSERT_TRUE(header) << header.error().message;
    const auto again = from_header(*header);
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(again->nodes().size(), predicate.nodes().size());
    ASSERT_EQ(again->root(), predicate.root());
    for (std::size_t i = 0; i < predicate.nodes().size(); ++i) {
      ASSERT_EQ(label_of(again->nodes()[i]), label_of(predicate.nodes()[i]));
      ASSERT_EQ(again->nodes()[i].children, predicate.nodes()[i].children);
    }
    ASSERT_EQ(*to_header(*again), *header);
  }
}

TEST(PredicateProperty, NoEvaluationCostsMoreThanItsTable) {
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Generator any(seed);
    const Predicate predicate = any.predicate();
    std::size_t size = predicate.nodes().size();
    for (const Node& node : predicate.nodes()) size += node.children.size();
    const auto tags = any.tags();
    const auto metadata = any.metadata();
    ASSERT_LE(predicate.evaluate(CapabilityView(tags, metadata)).steps(), size);
  }
}

TEST(PredicateProperty, ADiffAppliedEqualsItsTarget) {
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Generator any(seed);
    const auto prev_tags = any.tags(), curr_tags = any.tags();
    const auto prev = any.metadata(), curr = any.metadata();
    const auto diff = diff_capabilities(prev_tags, prev, curr_tags, curr);
    ASSERT_TRUE(diff);
    const auto applied = apply_diff(prev_tags, prev, *diff);
    ASSERT_TRUE(applied) << applied.error().message;
    ASSERT_EQ(applied->metadata, curr);
    ASSERT_EQ(*diff_capabilities(applied->tags, applied->metadata, curr_tags, curr),
              CapabilityDiff{});
    // To another set it does not apply.
    if (*diff != CapabilityDiff{} && !diff->added_tags.empty()) {
      ASSERT_FALSE(apply_diff(applied->tags, applied->metadata, *diff));
    }
  }
}

TEST(PredicateProperty, ATagGivesItsTextBackAndMeansOneThing) {
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Generator any(seed);
    const std::string text = any.tag(), other = any.tag();
    ASSERT_EQ(to_string(*parse_tag(text)), text);
    Tag a = *parse_tag(text), b = *parse_tag(other);
    a.separator = b.separator = '=';
    const bool same = a.kind == b.kind && to_string(a) == to_string(b);
    ASSERT_EQ(meaning_of(text) == meaning_of(other), same);
  }
}

TEST(NumberLabel, IsWhatJavaScriptWrites) {
  EXPECT_EQ(number_label(64), "64");
  EXPECT_EQ(number_label(-0.0), "0");
  EXPECT_EQ(number_label(0.5), "0.5");
  EXPECT_EQ(number_label(-1.25e-5), "-0.0000125");
  EXPECT_EQ(number_label(0.000001), "0.000001");
  EXPECT_EQ(number_label(0.0000001), "1e-7");
  EXPECT_EQ(number_label(1.5e-9), "1.5e-9");
  EXPECT_EQ(number_label(123456.789), "123456.789");
  EXPECT_EQ(number_label(1e20), "100000000000000000000");
  EXPECT_EQ(number_label(123456789012345680000.0), "123456789012345680000");
  EXPECT_EQ(number_label(1e21), "1e+21");
  EXPECT_EQ(number_label(-1.7976931348623157e308), "-1.7976931348623157e+308");
  EXPECT_EQ(number_label(5e-324), "5e-324");
  EXPECT_EQ(number_label(std::numeric_limits<double>::infinity()), "Infinity");
  EXPECT_EQ(number_label(-std::numeric_limits<double>::infinity()), "-Infinity");
  EXPECT_EQ(number_label(std::numeric_limits<double>::quiet_NaN()), "NaN");
}

}  // namespace
}  // namespace netmesh::predicate
