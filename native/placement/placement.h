#pragma once
// How well a node suits what is to be placed (spec 32 §7.3). Pure functions; what they need to know
// about a node comes with it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "predicate/capability_view.h"
#include "predicate/predicate.h"

namespace netmesh::placement {

using predicate::Metadata;

/// A node that something may be placed on.
struct Candidate {
  std::uint64_t node_id = 0;
  std::vector<std::string> tags;
  Metadata metadata;
  /// Nothing when it has not been measured.
  std::optional<double> rtt_ms;
  /// Which part of what is placed already lies on it, 0 to 1; nothing when that is not known.
  std::optional<double> concentration;
};

/// Tags and metadata that are asked for.
struct CapabilitySet {
  std::vector<std::string> tags;
  Metadata metadata;
};

struct Artifact {
  enum class Kind : std::uint8_t { kDaemon, kBlob };

  Kind kind = Kind::kDaemon;
  /// Daemons: the node must have these tags, byte for byte. Metadata names intent and colocation.
  CapabilitySet required;
  /// Daemons: metadata that `required` does not have.
  CapabilitySet optional;
  /// Blobs.
  std::uint64_t size_bytes = 0;
};

enum class IntentPolicy : std::uint8_t { kDisabled, kStrict, kAnyOf };
enum class ColocationPolicy : std::uint8_t { kIgnore, kSoftPreference, kStrictRequired };
enum class ResourceAxis : std::uint8_t { kCompute, kStorage, kBoth };

/// What is wanted of a node.
struct Placement {
  // As the SDK's `standardPlacement` collects it. Tags mean what they mean: separators do not
  // count.
  std::vector<std::string> require_tags;
  std::vector<std::string> forbid_tags;
  Metadata require_metadata;
  std::optional<predicate::Predicate> predicate;
  /// How many of the best are wanted.
  std::optional<std::size_t> limit;
  /// A filter of the PlacementRegistry.
  std::optional<std::string> custom_filter_id;

  // Axes of the score.
  /// Labels of which the node must have one, with or without the leading `scope:`; empty: any node.
  std::vector<std::string> scope_filter;
  std::optional<double> max_rtt_ms;
  IntentPolicy intent = IntentPolicy::kDisabled;
  ColocationPolicy colocation = ColocationPolicy::kIgnore;
  ResourceAxis resource = ResourceAxis::kCompute;
};

/// From 0 to 1, or nothing when the node cannot be used. The custom filter is not asked. 0 is a
/// score: the node can be used, when there is no other.
std::optional<float> score(const Placement& placement, const Candidate& candidate,
                           const Artifact& artifact);

struct Ranked {
  std::uint64_t node_id = 0;
  float score = 0;
};

}  // namespace netmesh::placement
