#include "predicate/capability_view.h"

#include <algorithm>
#include <tuple>

namespace netmesh::predicate {
namespace {

struct ByKey {
  using Key = std::pair<Axis, std::string_view>;
  static Key key(const Tag& tag) { return {tag.axis, tag.key}; }
  static const Key& key(const Key& key) { return key; }
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return key(a) < key(b);
  }
};

struct ByAxis {
  static Axis axis(const Tag& tag) { return tag.axis; }
  static Axis axis(Axis axis) { return axis; }
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return axis(a) < axis(b);
  }
};

}  // namespace

CapabilityView::CapabilityView(std::span<const std::string> tags, const Metadata& metadata)
    : metadata_(metadata) {
  tags_.reserve(tags.size());
  for (const std::string& text : tags) {
    const auto tag = parse_tag(text);
    if (tag && tag->on_axis()) tags_.push_back(*tag);
  }
  std::stable_sort(tags_.begin(), tags_.end(), ByKey{});
}

std::span<const Tag> CapabilityView::tags(Axis axis, std::string_view key) const {
  const auto [first, last] =
      std::equal_range(tags_.begin(), tags_.end(), ByKey::Key{axis, key}, ByKey{});
  return {first, last};
}

std::span<const Tag> CapabilityView::tags(Axis axis) const {
  const auto [first, last] = std::equal_range(tags_.begin(), tags_.end(), axis, ByAxis{});
  return {first, last};
}

const std::string* CapabilityView::metadata(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

}  // namespace netmesh::predicate
