#pragma once
// What a node can do: a set of tags and a little metadata (spec 30 §7).

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "predicate/capability_view.h"

namespace netmesh::capability {

/// Ordered by bytes, as announcements need them.
using TagSet = std::set<std::string, std::less<>>;
using Metadata = predicate::Metadata;

/// The wire form of capabilities. A value.
struct CapabilitySet {
  TagSet tags;
  Metadata metadata;

  /// The empty string is no tag and is not added.
  void add_tag(std::string_view tag);
  /// Some tag means the same; `=` and `:` are alike.
  bool has_tag(std::string_view tag) const;
  friend bool operator==(const CapabilitySet&, const CapabilitySet&) = default;
};

/// Whether receivers delete this metadata key from their copy.
bool is_reserved_metadata(std::string_view key);

/// What a receiver keeps of somebody else's set: no reserved metadata, no heat without the chain
/// that it belongs to, at most 256 heats of blobs (spec 30 §10, step 13).
void strip_for_index(CapabilitySet& set);

}  // namespace netmesh::capability
