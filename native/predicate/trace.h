#pragma once
// What became of each clause of a predicate, on one node and over many (spec 32 §4.7, §4.8).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "predicate/predicate.h"

namespace netmesh::predicate {

/// What traces and reports call a node: `NumericAtLeast(hardware.memory_gb >= 64)`, `And(3
/// clauses)`. The same text in every language.
std::string label_of(const Node& node);

/// The answer of one clause.
struct Clause {
  std::string label;
  bool result = false;
  /// The parts that ran, in the order in which they ran: indices into the trace. Parts that could
  /// not change the answer are not there.
  std::vector<std::uint32_t> children;

  friend bool operator==(const Clause&, const Clause&) = default;
};

/// A predicate's clauses that ran, by their index in its table; the others are empty. A table, as a
/// tree would be exponentially larger than a predicate that uses its nodes in several places.
struct Trace {
  std::vector<Clause> clauses;
  std::uint32_t root = 0;
};

Trace trace(const Predicate& predicate, const CapabilityView& capabilities);

/// How often the clauses of one label ran, and how often they held. Floating-point, as a clause
/// that many ways lead to runs more often than an integer can say.
struct ClauseStats {
  std::string label;
  double evaluated = 0;
  double matched = 0;

  friend bool operator==(const ClauseStats&, const ClauseStats&) = default;
};

/// Over a number of nodes; clauses in the byte order of their labels.
struct DebugReport {
  std::size_t total_candidates = 0;
  std::size_t matched = 0;
  std::vector<ClauseStats> clause_stats;

  friend bool operator==(const DebugReport&, const DebugReport&) = default;
};

/// Evaluates a predicate on each of `rows`. A clause counts once for every way that leads to it.
DebugReport debug_report(const Predicate& predicate, std::span<const CapabilityView> rows);

/// A copy of a report in which `<redacted>` stands for every value that metadata under one of
/// `keys` is compared with; clauses that become equal are summed up. Where a label leaves open
/// where its key ends, the shortest key counts.
DebugReport redact_metadata_keys(const DebugReport& report, std::span<const std::string> keys);

}  // namespace netmesh::predicate
