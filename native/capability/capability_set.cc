#include "capability/capability_set.h"

#include <algorithm>
#include <array>

#include "predicate/tag.h"

namespace netmesh::capability {
namespace {

constexpr std::array<std::string_view, 5> kReservedKeys{
    "intent", "colocate-with", "colocate-with-strict", "priority", "owner"};
constexpr std::size_t kMaxBlobHeats = 256;

/// Whether some `causal:` tag is about this chain.
bool has_chain(const TagSet& tags, std::string_view hex) {
  const std::string prefix = "causal:" + std::string(hex);
  for (auto at = tags.lower_bound(prefix); at != tags.end() && at->starts_with(prefix); ++at) {
    if (at->size() == prefix.size() || (*at)[prefix.size()] == ':' || (*at)[prefix.size()] == '[')
      return true;
  }
  return false;
}

}  // namespace

void CapabilitySet::add_tag(std::string_view tag) {
  if (!tag.empty()) tags.emplace(tag);
}

bool CapabilitySet::has_tag(std::string_view tag) const {
  if (tag.empty()) return false;
  if (tags.contains(tag)) return true;
  const std::string other = predicate::other_spelling(tag);
  return !other.empty() && tags.contains(other);
}

bool is_reserved_metadata(std::string_view key) {
  return key.starts_with("tool::") ||
         std::find(kReservedKeys.begin(), kReservedKeys.end(), key) != kReservedKeys.end();
}

void strip_for_index(CapabilitySet& set) {
  std::erase_if(set.metadata, [](const auto& entry) { return is_reserved_metadata(entry.first); });
  std::size_t blobs = 0;
  std::erase_if(set.tags, [&](const std::string& tag) {
    if (!tag.starts_with("heat:")) return false;
    if (tag.starts_with("heat:blob:")) return ++blobs > kMaxBlobHeats;
    const std::string_view body = std::string_view(tag).substr(5);
    return !has_chain(set.tags, body.substr(0, body.find('=')));
  });
}

}  // namespace netmesh::capability
