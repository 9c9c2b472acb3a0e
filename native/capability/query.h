#pragma once
// Questions to the capability index (spec 30 §12, §13).

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "capability/inventory.h"

namespace netmesh::capability {

/// Conditions on a node; all that are given must hold. The empty filter matches every node.
struct Filter {
  /// Every one must be there, letter by letter.
  std::vector<std::string> require_tags;
  /// At least one must be there, in each list that is not empty.
  std::vector<std::string> require_models, require_tools;
  bool require_gpu = false;
  /// Implies a GPU.
  std::optional<GpuVendor> gpu_vendor;
  /// The decoded number of GB must be at least this. Asking for VRAM implies a GPU.
  std::uint64_t min_memory_gb = 0, min_vram_gb = 0;
  /// The same in MiB: `gb * 1024 >= mb`.
  std::uint64_t min_memory_mb = 0, min_vram_mb = 0;
  /// Some model must have this much.
  std::uint32_t min_context_length = 0;
  /// For each, some model must have it.
  std::vector<Modality> require_modalities;

  bool wants_gpu() const { return require_gpu || gpu_vendor || min_vram_gb > 0 || min_vram_mb > 0; }
  /// The least number of GB that satisfies both forms.
  std::uint64_t least_memory_gb() const;
  std::uint64_t least_vram_gb() const;
};

/// Judges a set by itself, without an index. Tags match by meaning, as channel access needs it.
bool matches(const Filter& filter, const CapabilitySet& set);

/// Which nodes are asked at all, by their `scope:*` tags.
struct ScopeFilter {
  enum class Kind : std::uint8_t { kAny, kGlobalOnly, kSameSubnet, kTenants, kRegions };
  Kind kind = Kind::kAny;
  /// Tenants or regions; with none that is not empty the filter is `kAny`.
  std::vector<std::string> names;

  /// Drops empty names, and falls back to `kAny` without any.
  static ScopeFilter of(Kind kind, std::vector<std::string> names = {});
};

/// A filter with wishes; weights are clamped to 0…1. As wide as callers' numbers, so that a large
/// one does not turn infinite.
struct Requirement {
  Filter filter;
  double prefer_more_memory = 0, prefer_more_vram = 0;
  double prefer_faster_inference = 0, prefer_loaded_models = 0;

  /// Fails with `kCapability` for a weight that is not finite.
  Expected<void> check() const;
};

// --- aggregation ---

/// Chooses entries: one of whose tags fits.
struct TagMatcher {
  enum class Kind : std::uint8_t { kExact, kPrefix, kAxis, kAxisKey, kRegex, kVersionRange };
  Kind kind = Kind::kExact;
  /// Exact value, prefix, pattern, axis, or `axis.key` of a version range.
  std::string value;
  std::string key;
  std::optional<std::string> min, max;
};

/// Compiled once, asked per tag. A malformed pattern, bound or key matches as the spec says.
class CompiledMatcher {
 public:
  explicit CompiledMatcher(const TagMatcher& matcher);
  ~CompiledMatcher();
  CompiledMatcher(CompiledMatcher&&) noexcept;
  bool matches(std::string_view tag) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct GroupBy {
  enum class Kind : std::uint8_t { kClass, kState, kRegion, kPublisher, kTagStem, kTagValue };
  Kind kind = Kind::kState;
  /// Prefix of a tag stem, or axis of a tag value.
  std::string value;
  std::string key;
};

struct Aggregation {
  enum class Kind : std::uint8_t {
    kCount,
    kDistinctPublishers,
    kDistinctValues,
    kSumNumericTag,
    kMinNumericTag,
    kMaxNumericTag,
  };
  Kind kind = Kind::kCount;
  /// `axis.key` of the numeric kinds, or axis of distinct values.
  std::string value;
  std::string key;
};

struct AggregateRow {
  std::string bucket;
  std::uint64_t value = 0;
  friend bool operator==(const AggregateRow&, const AggregateRow&) = default;
};

struct CapacityQuery {
  std::optional<TagMatcher> matcher;
  GroupBy group_by;
  std::optional<std::uint32_t> max_rtt_ms;
  /// `axis.key`; malformed ones give no sum.
  std::optional<std::string> sum_axis_key;
  /// 0: all.
  std::uint32_t limit = 0;
};

struct CapacityRow {
  std::string bucket;
  std::uint64_t idle = 0, busy = 0, reserved = 0, available = 0;
  std::optional<std::uint64_t> summed_capacity;
  friend bool operator==(const CapacityRow&, const CapacityRow&) = default;
};

/// Round-trip time to a node in milliseconds, if it is known.
using RttLookup = std::function<std::optional<double>(NodeId)>;

}  // namespace netmesh::capability
