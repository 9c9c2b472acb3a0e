#include "predicate/capability_diff.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace netmesh::predicate {
namespace {

/// Tags by what they mean.
using Meanings = std::unordered_map<std::string, std::string_view>;

Expected<Meanings> by_meaning(std::span<const std::string> tags) {
  Meanings out;
  for (const std::string& tag : tags) {
    if (tag.empty()) return fail(ErrorKind::kInvalidArgument, "capability tag must be non-empty");
    out.insert_or_assign(meaning_of(tag), tag);
  }
  return out;
}

/// The tags of `a` that mean something that no tag of `b` means.
std::vector<std::string> missing(const Meanings& a, const Meanings& b) {
  std::vector<std::string> out;
  for (const auto& [meaning, tag] : a) {
    if (!b.contains(meaning)) out.emplace_back(tag);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<MetadataChange> metadata_changes(const Metadata& prev, const Metadata& curr) {
  using Kind = MetadataChange::Kind;
  std::vector<MetadataChange> out;
  auto before = prev.begin();
  auto after = curr.begin();
  while (before != prev.end() || after != curr.end()) {
    if (after == curr.end() || (before != prev.end() && before->first < after->first)) {
      out.push_back({Kind::kRemoved, before->first, before->second, {}});
      ++before;
    } else if (before == prev.end() || after->first < before->first) {
      out.push_back({Kind::kAdded, after->first, {}, after->second});
      ++after;
    } else {
      if (before->second != after->second) {
        out.push_back({Kind::kUpdated, after->first, before->second, after->second});
      }
      ++before;
      ++after;
    }
  }
  return out;
}

}  // namespace

Expected<CapabilityDiff> diff_capabilities(std::span<const std::string> prev_tags,
                                           const Metadata& prev_metadata,
                                           std::span<const std::string> curr_tags,
                                           const Metadata& curr_metadata) {
  const auto before = by_meaning(prev_tags);
  const auto after = by_meaning(curr_tags);
  if (!before || !after) {
    return tl::unexpected<Error>(before ? after.error() : before.error());
  }
  return CapabilityDiff{missing(*after, *before), missing(*before, *after),
                        metadata_changes(prev_metadata, curr_metadata)};
}

}  // namespace netmesh::predicate
