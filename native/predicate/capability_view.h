#pragma once
// The capabilities of one node, as predicates look at them.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "predicate/tag.h"

namespace netmesh::predicate {

using Metadata = std::map<std::string, std::string, std::less<>>;

/// The tags of one axis and key, sorted out once, and metadata. It holds views: the texts that it
/// was made of must outlive it. Reserved and legacy tags, and empty texts, have no place in it.
class CapabilityView {
 public:
  CapabilityView(std::span<const std::string> tags, const Metadata& metadata);

  /// Every tag with this axis and key, with a value or without.
  std::span<const Tag> tags(Axis axis, std::string_view key) const;
  /// All tags on `axis`, by key.
  std::span<const Tag> tags(Axis axis) const;
  /// The value of a metadata key, or null.
  const std::string* metadata(std::string_view key) const;

 private:
  std::vector<Tag> tags_;
  const Metadata& metadata_;
};

}  // namespace netmesh::predicate
