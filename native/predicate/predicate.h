#pragma once
// Questions about the capabilities of a node, as a flat table.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "predicate/capability_view.h"
#include "predicate/tag.h"
#include "predicate/version.h"

namespace netmesh::predicate {

/// Nodes of one predicate; a header holds about 150.
inline constexpr std::size_t kMaxNodes = 65'536;

enum class Op : std::uint8_t {
  kExists,
  kEquals,
  kNumericAtLeast,
  kNumericAtMost,
  kNumericInRange,
  kSemverAtLeast,
  kSemverAtMost,
  kSemverCompatible,
  kStringPrefix,
  kStringMatches,
  kMetadataExists,
  kMetadataEquals,
  kMetadataMatches,
  kMetadataNumericAtLeast,
  kAnd,
  kOr,
  kNot,
};
inline constexpr std::size_t kOpCount = 17;

/// The name of an operation on the wire, such as `numeric_at_least`.
std::string_view to_string(Op op);
std::optional<Op> parse_op(std::string_view name);
/// True for operations whose key is a tag's axis and key, false for metadata and composites.
bool asks_tags(Op op);

/// One node; only the fields that its operation uses mean something.
struct Node {
  Op op = Op::kAnd;
  Axis axis = Axis::kHardware;
  /// Of a tag, or of metadata.
  std::string key;
  /// Value, version, prefix or pattern.
  std::string text;
  /// The threshold of `…AtLeast`, the lower end of a range.
  double min = 0;
  /// The threshold of `…AtMost`, the upper end of a range.
  double max = 0;
  /// Smaller than the node's own index. `kNot` has one.
  std::vector<std::uint32_t> children;
};

/// What one evaluation found out, by node. A value.
class Evaluation {
 public:
  /// The answer of the whole predicate.
  bool result() const { return verdicts_[root_] == Verdict::kTrue; }
  /// The answer of a node that ran; false for one that did not.
  bool verdict(std::uint32_t node) const { return verdicts_[node] == Verdict::kTrue; }
  bool ran(std::uint32_t node) const { return verdicts_[node] != Verdict::kUnknown; }
  /// How many of a node's children, cheapest first, were looked at before its answer was clear.
  std::uint32_t seen(std::uint32_t node) const { return seen_[node]; }
  /// What it cost: leaves evaluated and children looked at. Never more than there are nodes and
  /// edges, however many ways lead through the table.
  std::size_t steps() const { return steps_; }

 private:
  friend class Predicate;
  enum class Verdict : std::uint8_t { kUnknown, kFalse, kTrue };
  static Verdict of(bool value) { return value ? Verdict::kTrue : Verdict::kFalse; }

  Evaluation(std::size_t nodes, std::uint32_t root)
      : verdicts_(nodes, Verdict::kUnknown), seen_(nodes, 0), root_(root) {}

  std::vector<Verdict> verdicts_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t root_;
  std::size_t steps_ = 0;
};

/// An immutable, checked predicate. Nodes that are used in several places are evaluated once, so
/// that no table costs more than time linear in its size.
class Predicate {
 public:
  /// Refuses an empty or too large table, a root or child outside of it, and a child that does not
  /// come before its parent; all nodes are checked, also those that the root does not reach.
  static Expected<Predicate> create(std::vector<Node> nodes, std::uint64_t root);

  bool matches(const CapabilityView& capabilities) const;
  /// The same, with the answer of every node that ran.
  Evaluation evaluate(const CapabilityView& capabilities) const;

  /// A node's children, cheapest first; equal costs stay in the order of the table.
  std::span<const std::uint32_t> by_cost(std::uint32_t node) const { return by_cost_[node]; }
  std::span<const Node> nodes() const { return nodes_; }
  std::uint32_t root() const { return root_; }

 private:
  explicit Predicate(std::vector<Node> nodes, std::uint32_t root);
  bool leaf_matches(std::uint32_t index, const CapabilityView& capabilities) const;

  std::vector<Node> nodes_;
  std::uint32_t root_;
  /// By node: its children, cheapest first, ties in the order of the table.
  std::vector<std::vector<std::uint32_t>> by_cost_;
  /// By node: the version that it compares with, parsed once.
  std::vector<std::optional<Version>> versions_;
};

/// The indices of those rows for which the predicate holds, in order; all without a predicate.
std::vector<std::size_t> filter_by_predicate(std::span<const CapabilityView> rows,
                                             const Predicate* predicate);

}  // namespace netmesh::predicate
