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

tl::unexpected<Error> does_not_apply(const std::string& why) {
  return fail(ErrorKind::kInvalidArgument, "the diff is of another set: " + why);
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

Expected<CapabilityTexts> apply_diff(std::span<const std::string> prev_tags,
                                     const Metadata& prev_metadata, const CapabilityDiff& diff) {
  const auto have = by_meaning(prev_tags);
  const auto removed = by_meaning(diff.removed_tags);
  const auto added = by_meaning(diff.added_tags);
  for (const auto* tags : {&have, &removed, &added}) {
    if (!*tags) return tl::unexpected<Error>(tags->error());
  }
  for (const auto& [meaning, tag] : *removed) {
    if (!have->contains(meaning)) return does_not_apply("there is no tag " + std::string(tag));
  }
  for (const auto& [meaning, tag] : *added) {
    if (have->contains(meaning))
      return does_not_apply("the tag " + std::string(tag) + " is there already");
  }
  CapabilityTexts out{{}, prev_metadata};
  for (const std::string& tag : prev_tags) {
    if (!removed->contains(meaning_of(tag))) out.tags.push_back(tag);
  }
  for (const std::string& tag : diff.added_tags) out.tags.push_back(tag);
  for (const MetadataChange& change : diff.metadata_changes) {
    const auto found = out.metadata.find(change.key);
    const bool there = found != out.metadata.end();
    const bool expected = change.kind == MetadataChange::Kind::kAdded
                              ? !there
                              : there && found->second == change.previous;
    if (!expected) return does_not_apply("the metadata " + change.key + " is not what it was");
    if (change.kind == MetadataChange::Kind::kRemoved) {
      out.metadata.erase(found);
    } else {
      out.metadata.insert_or_assign(change.key, change.value);
    }
  }
  return out;
}

}  // namespace netmesh::predicate
