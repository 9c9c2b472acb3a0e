#pragma once
// What changed between two capability sets.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "predicate/capability_view.h"

namespace netmesh::predicate {

struct MetadataChange {
  enum class Kind : std::uint8_t { kAdded, kRemoved, kUpdated };

  Kind kind = Kind::kAdded;
  std::string key;
  /// Before; empty for kAdded.
  std::string previous;
  /// Now; empty for kRemoved.
  std::string value;

  friend bool operator==(const MetadataChange&, const MetadataChange&) = default;
};

/// All lists in the order of bytes.
struct CapabilityDiff {
  std::vector<std::string> added_tags;
  std::vector<std::string> removed_tags;
  std::vector<MetadataChange> metadata_changes;

  friend bool operator==(const CapabilityDiff&, const CapabilityDiff&) = default;
};

/// What leads from one set to the other (spec 32 §6). Tags that differ in nothing but the separator
/// before the value are the same; of several spellings of one the last is named. Refuses empty
/// tags.
Expected<CapabilityDiff> diff_capabilities(std::span<const std::string> prev_tags,
                                           const Metadata& prev_metadata,
                                           std::span<const std::string> curr_tags,
                                           const Metadata& curr_metadata);

/// A capability set by itself, in any order.
struct CapabilityTexts {
  std::vector<std::string> tags;
  Metadata metadata;
};

/// The way back: what `diff_capabilities(prev, curr)` leads to means what `curr` does. What stays
/// keeps its order and spelling, what is new comes last. Refuses a diff that was made from another
/// set.
Expected<CapabilityTexts> apply_diff(std::span<const std::string> prev_tags,
                                     const Metadata& prev_metadata, const CapabilityDiff& diff);

}  // namespace netmesh::predicate
