#include "predicate/predicate.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "predicate/number.h"

namespace netmesh::predicate {
namespace {

struct OpInfo {
  std::string_view name;
  /// Spec 32 §4.1; composites cost what their children do.
  std::uint32_t cost;
};

constexpr std::array<OpInfo, kOpCount> kOps = {{
    {"exists", 20},
    {"equals", 21},
    {"numeric_at_least", 30},
    {"numeric_at_most", 30},
    {"numeric_in_range", 30},
    {"semver_at_least", 60},
    {"semver_at_most", 60},
    {"semver_compatible", 60},
    {"string_prefix", 40},
    {"string_matches", 50},
    {"metadata_exists", 10},
    {"metadata_equals", 11},
    {"metadata_matches", 45},
    {"metadata_numeric_at_least", 25},
    {"and", 0},
    {"or", 0},
    {"not", 0},
}};

bool is_composite(Op op) { return op >= Op::kAnd; }

/// Costs stop at the largest value instead of turning around.
std::uint32_t saturating_add(std::uint32_t a, std::uint32_t b) {
  return std::numeric_limits<std::uint32_t>::max() - a < b
             ? std::numeric_limits<std::uint32_t>::max()
             : a + b;
}

Expected<void> check(std::span<const Node> nodes, std::uint64_t root) {
  const auto refuse = [](std::string text) {
    return fail(ErrorKind::kInvalidArgument, std::move(text));
  };
  const std::string size = std::to_string(nodes.size());
  if (nodes.empty()) return refuse("predicate wire has empty nodes table");
  if (nodes.size() > kMaxNodes) {
    return refuse("predicate wire has more than " + std::to_string(kMaxNodes) + " nodes");
  }
  if (root >= nodes.size()) {
    return refuse("predicate wire root_idx " + std::to_string(root) + " >= nodes len " + size);
  }
  for (std::size_t index = 0; index < nodes.size(); ++index) {
    const Node& node = nodes[index];
    for (const std::uint32_t child : node.children) {
      if (child >= nodes.size()) {
        return refuse("predicate wire child index " + std::to_string(child) +
                      " out of bounds for nodes len " + size);
      }
      if (child >= index) {
        return refuse("predicate wire child index " + std::to_string(child) + " >= parent index " +
                      std::to_string(index) + " (cycle)");
      }
    }
    if (node.op == Op::kNot ? node.children.size() != 1
                            : !is_composite(node.op) && !node.children.empty()) {
      return refuse("predicate wire node " + std::to_string(index) + " (" +
                    std::string(to_string(node.op)) + ") has " +
                    std::to_string(node.children.size()) + " children");
    }
  }
  return {};
}

template <typename Test>
bool some_value(std::span<const Tag> tags, Test test) {
  return std::any_of(tags.begin(), tags.end(), [&test](const Tag& tag) {
    return tag.kind == Tag::Kind::kValue && test(tag.value);
  });
}

template <typename Test>
bool some_number(std::span<const Tag> tags, Test test) {
  return some_value(tags, [&test](std::string_view value) {
    const auto number = parse_float64(value);
    return number && test(*number);
  });
}

template <typename Test>
bool some_version(std::span<const Tag> tags, const std::optional<Version>& wanted, Test test) {
  return wanted && some_value(tags, [&](std::string_view value) {
           const auto version = parse_version(value);
           return version && test(*version, *wanted);
         });
}

}  // namespace

std::string_view to_string(Op op) { return kOps[static_cast<std::size_t>(op)].name; }

std::optional<Op> parse_op(std::string_view name) {
  const auto* const found = std::find_if(kOps.begin(), kOps.end(),
                                         [name](const OpInfo& info) { return info.name == name; });
  if (found == kOps.end()) return std::nullopt;
  return static_cast<Op>(found - kOps.begin());
}

bool asks_tags(Op op) { return op <= Op::kStringMatches; }

Expected<Predicate> Predicate::create(std::vector<Node> nodes, std::uint64_t root) {
  if (auto checked = check(nodes, root); !checked) {
    return tl::unexpected<Error>(std::move(checked.error()));
  }
  return Predicate(std::move(nodes), static_cast<std::uint32_t>(root));
}

Predicate::Predicate(std::vector<Node> nodes, std::uint32_t root)
    : nodes_(std::move(nodes)), root_(root) {
  by_cost_.reserve(nodes_.size());
  versions_.reserve(nodes_.size());
  std::vector<std::uint32_t> costs;
  costs.reserve(nodes_.size());
  for (const Node& node : nodes_) {
    std::uint32_t cost = kOps[static_cast<std::size_t>(node.op)].cost;
    for (const std::uint32_t child : node.children) cost = saturating_add(cost, costs[child]);
    costs.push_back(cost);
    std::vector<std::uint32_t>& order = by_cost_.emplace_back(node.children);
    std::stable_sort(order.begin(), order.end(),
                     [&costs](std::uint32_t a, std::uint32_t b) { return costs[a] < costs[b]; });
    const bool compares_versions =
        node.op >= Op::kSemverAtLeast && node.op <= Op::kSemverCompatible;
    versions_.push_back(compares_versions ? parse_version(node.text) : std::nullopt);
  }
}

bool Predicate::leaf_matches(std::uint32_t index, const CapabilityView& capabilities) const {
  const Node& node = nodes_[index];
  const std::string_view text = node.text;
  if (!asks_tags(node.op)) {
    const std::string* const value = capabilities.metadata(node.key);
    if (value == nullptr) return false;
    if (node.op == Op::kMetadataEquals) return *value == text;
    if (node.op == Op::kMetadataMatches) return value->find(text) != std::string::npos;
    if (node.op == Op::kMetadataNumericAtLeast) {
      const auto number = parse_float64(*value);
      return number && *number >= node.min;
    }
    return true;
  }
  const std::span<const Tag> tags = capabilities.tags(node.axis, node.key);
  switch (node.op) {
    case Op::kExists:
      return !tags.empty();
    case Op::kEquals:
      return some_value(tags, [text](std::string_view value) { return value == text; });
    case Op::kNumericAtLeast:
      return some_number(tags, [&node](double number) { return number >= node.min; });
    case Op::kNumericAtMost:
      return some_number(tags, [&node](double number) { return number <= node.max; });
    case Op::kNumericInRange:
      return some_number(
          tags, [&node](double number) { return number >= node.min && number <= node.max; });
    case Op::kSemverAtLeast:
      return some_version(tags, versions_[index], std::greater_equal<>{});
    case Op::kSemverAtMost:
      return some_version(tags, versions_[index], std::less_equal<>{});
    case Op::kSemverCompatible:
      return some_version(tags, versions_[index], is_compatible);
    case Op::kStringPrefix:
      return some_value(tags, [text](std::string_view value) { return value.starts_with(text); });
    case Op::kStringMatches:
      return some_value(tags, [text](std::string_view value) {
        return value.find(text) != std::string_view::npos;
      });
    default:
      return false;
  }
}

bool Predicate::matches(const CapabilityView& capabilities) const {
  if (!is_composite(nodes_[root_].op)) return leaf_matches(root_, capabilities);
  return evaluate(capabilities).result();
}

Evaluation Predicate::evaluate(const CapabilityView& capabilities) const {
  using Verdict = Evaluation::Verdict;
  Evaluation out(nodes_.size(), root_);
  std::vector<Verdict>& verdicts = out.verdicts_;
  std::vector<std::uint32_t> path{root_};
  while (!path.empty()) {
    const std::uint32_t index = path.back();
    const Op op = nodes_[index].op;
    if (!is_composite(op)) {
      ++out.steps_;
      verdicts[index] = Evaluation::of(leaf_matches(index, capabilities));
      path.pop_back();
      continue;
    }
    // What decides the whole; without a decision it is the opposite.
    const Verdict decisive = Evaluation::of(op == Op::kOr);
    const std::vector<std::uint32_t>& children = by_cost_[index];
    std::uint32_t& at = out.seen_[index];
    Verdict last = Verdict::kUnknown;
    bool waits = false;
    while (at < children.size() && last != decisive && !waits) {
      last = verdicts[children[at]];
      if (last == Verdict::kUnknown) {
        path.push_back(children[at]);
        waits = true;
      } else {
        ++out.steps_;
        ++at;
      }
    }
    if (waits) continue;
    const bool decided = last == decisive;
    verdicts[index] =
        Evaluation::of(op == Op::kNot ? last != Verdict::kTrue : decided == (op == Op::kOr));
    path.pop_back();
  }
  return out;
}

std::vector<std::size_t> filter_by_predicate(std::span<const CapabilityView> rows,
                                             const Predicate* predicate) {
  std::vector<std::size_t> out;
  for (std::size_t index = 0; index < rows.size(); ++index) {
    if (predicate == nullptr || predicate->matches(rows[index])) out.push_back(index);
  }
  return out;
}

}  // namespace netmesh::predicate
