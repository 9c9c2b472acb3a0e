#include "predicate/trace.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/json_text.h"
#include "predicate/number.h"

namespace netmesh::predicate {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(text, out);
  return out;
}

/// What stands between a metadata key and the value in the labels that show one, and what ends
/// them.
struct RedactedLabel {
  std::string_view begin, middle, end, quote;
};
constexpr std::array<RedactedLabel, 3> kRedactedLabels = {{
    {"MetadataEquals(", "=", ")", ""},
    {"MetadataMatches(", " contains \"", "\")", "\""},
    {"MetadataNumericAtLeast(", " >= ", ")", ""},
}};

std::string redact(const std::string& label, std::span<const std::string> shortest_first) {
  for (const auto& [begin, middle, end, quote] : kRedactedLabels) {
    if (!label.starts_with(begin) || !label.ends_with(end)) continue;
    for (const std::string& key : shortest_first) {
      const std::string head = std::string(begin) + key + std::string(middle);
      if (label.starts_with(head) && label.size() >= head.size() + end.size())
        return head + "<redacted>" + std::string(quote) + ")";
    }
  }
  return label;
}

/// UTF-16 units, by which JavaScript measures keys.
std::size_t utf16_units(std::string_view text) {
  std::size_t units = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    units += (byte & 0xC0) == 0x80 ? 0 : byte >= 0xF0 ? 2 : 1;
  }
  return units;
}

/// Sums up clauses of equal labels, in the order of labels.
class Merged {
 public:
  void add(std::string label, double evaluated, double matched) {
    ClauseStats& stats = by_label_[std::move(label)];
    stats.evaluated += evaluated;
    stats.matched += matched;
  }
  std::vector<ClauseStats> take() && {
    std::vector<ClauseStats> out;
    out.reserve(by_label_.size());
    for (auto& [label, stats] : by_label_) out.push_back({label, stats.evaluated, stats.matched});
    return out;
  }

 private:
  std::map<std::string, ClauseStats> by_label_;
};

}  // namespace

std::string label_of(const Node& node) {
  const std::string key =
      asks_tags(node.op) ? std::string(to_string(node.axis)) + "." + node.key : node.key;
  switch (node.op) {
    case Op::kExists:
      return "Exists(" + key + ")";
    case Op::kEquals:
      return "Equals(" + key + "=" + node.text + ")";
    case Op::kNumericAtLeast:
      return "NumericAtLeast(" + key + " >= " + number_label(node.min) + ")";
    case Op::kNumericAtMost:
      return "NumericAtMost(" + key + " <= " + number_label(node.max) + ")";
    case Op::kNumericInRange:
      return "NumericInRange(" + key + " in [" + number_label(node.min) + ", " +
             number_label(node.max) + "])";
    case Op::kSemverAtLeast:
      return "SemverAtLeast(" + key + " >= " + node.text + ")";
    case Op::kSemverAtMost:
      return "SemverAtMost(" + key + " <= " + node.text + ")";
    case Op::kSemverCompatible:
      return "SemverCompatible(" + key + " ~= " + node.text + ")";
    case Op::kStringPrefix:
      return "StringPrefix(" + key + " starts with " + quoted(node.text) + ")";
    case Op::kStringMatches:
      return "StringMatches(" + key + " contains " + quoted(node.text) + ")";
    case Op::kMetadataExists:
      return "MetadataExists(" + key + ")";
    case Op::kMetadataEquals:
      return "MetadataEquals(" + key + "=" + node.text + ")";
    case Op::kMetadataMatches:
      return "MetadataMatches(" + key + " contains " + quoted(node.text) + ")";
    case Op::kMetadataNumericAtLeast:
      return "MetadataNumericAtLeast(" + key + " >= " + number_label(node.min) + ")";
    case Op::kAnd:
      return "And(" + std::to_string(node.children.size()) + " clauses)";
    case Op::kOr:
      return "Or(" + std::to_string(node.children.size()) + " clauses)";
    case Op::kNot:
      break;
  }
  return "Not";
}

Trace trace(const Predicate& predicate, const CapabilityView& capabilities) {
  const Evaluation evaluation = predicate.evaluate(capabilities);
  Trace out{std::vector<Clause>(predicate.nodes().size()), predicate.root()};
  for (std::uint32_t index = 0; index < out.clauses.size(); ++index) {
    if (!evaluation.ran(index)) continue;
    const auto children = predicate.by_cost(index).first(evaluation.seen(index));
    out.clauses[index] = {label_of(predicate.nodes()[index]),
                          evaluation.verdict(index),
                          {children.begin(), children.end()}};
  }
  return out;
}

DebugReport debug_report(const Predicate& predicate, std::span<const CapabilityView> rows) {
  const std::size_t size = predicate.nodes().size();
  DebugReport out;
  out.total_candidates = rows.size();
  std::vector<double> evaluated(size, 0), matched(size, 0), ways(size, 0);
  for (const CapabilityView& row : rows) {
    const Evaluation evaluation = predicate.evaluate(row);
    if (evaluation.result()) ++out.matched;
    // Each clause runs once for every way that leads to it; children come before their parents.
    std::fill(ways.begin(), ways.end(), 0);
    ways[predicate.root()] = 1;
    for (std::uint32_t index = predicate.root() + 1; index-- > 0;) {
      if (ways[index] == 0) continue;
      evaluated[index] += ways[index];
      if (evaluation.verdict(index)) matched[index] += ways[index];
      for (const std::uint32_t child : predicate.by_cost(index).first(evaluation.seen(index)))
        ways[child] += ways[index];
    }
  }
  Merged merged;
  for (std::size_t index = 0; index < size; ++index) {
    if (evaluated[index] > 0)
      merged.add(label_of(predicate.nodes()[index]), evaluated[index], matched[index]);
  }
  out.clause_stats = std::move(merged).take();
  return out;
}

DebugReport redact_metadata_keys(const DebugReport& report, std::span<const std::string> keys) {
  std::vector<std::string> shortest_first(keys.begin(), keys.end());
  std::stable_sort(
      shortest_first.begin(), shortest_first.end(),
      [](const std::string& a, const std::string& b) { return utf16_units(a) < utf16_units(b); });
  Merged merged;
  for (const ClauseStats& stats : report.clause_stats)
    merged.add(redact(stats.label, shortest_first), stats.evaluated, stats.matched);
  return {report.total_candidates, report.matched, std::move(merged).take()};
}

}  // namespace netmesh::predicate
