#pragma once
// Where in the hierarchy of a mesh a node lives (spec 30 §5).

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace netmesh::identity {

inline constexpr unsigned kSubnetLevels = 4;

/// Four levels of 8 bits, the outermost in the most significant byte; 0 is the whole mesh. A value.
class SubnetId {
 public:
  constexpr SubnetId() = default;
  constexpr explicit SubnetId(std::uint32_t value) : value_(value) {}
  /// 1 to 4 levels of 0 to 255. The error texts start with `subnet:`.
  static Expected<SubnetId> from_levels(std::span<const std::uint32_t> levels);

  constexpr std::uint32_t value() const { return value_; }
  /// 0 for levels beyond the last.
  constexpr std::uint8_t level(unsigned n) const {
    return n >= kSubnetLevels ? std::uint8_t{0} : static_cast<std::uint8_t>(value_ >> (24 - 8 * n));
  }
  /// The number of levels up to the deepest that is not zero.
  unsigned depth() const;
  /// One level up; the global subnet is its own parent.
  SubnetId parent() const;
  constexpr bool is_global() const { return value_ == 0; }
  /// True for itself, too.
  bool is_ancestor_of(SubnetId other) const;
  /// Another subnet under the same parent, at the same depth.
  bool is_sibling_of(SubnetId other) const;
  /// `global`, or the levels up to its depth: `3.7`.
  std::string to_string() const;

  friend constexpr bool operator==(SubnetId, SubnetId) = default;

 private:
  std::uint32_t value_ = 0;
};

/// Sets one level by the value that follows a prefix in some tag.
struct SubnetRule {
  std::string tag_prefix;
  std::uint32_t level = 0;
  std::map<std::string, std::uint32_t, std::less<>> values;
};

/// Derives the subnets of peers from their tags. All nodes of a mesh are to have the same one.
/// Immutable after it was made.
class SubnetPolicy {
 public:
  /// Rules are judged here, once: levels 0 to 3, values 1 to 255.
  static Expected<SubnetPolicy> make(std::vector<SubnetRule> rules);

  /// `sorted_tags` in byte order. In each rule the first tag that has the prefix and a listed value
  /// decides; later rules overwrite earlier ones of the same level.
  SubnetId assign(std::span<const std::string_view> sorted_tags) const;

 private:
  explicit SubnetPolicy(std::vector<SubnetRule> rules) : rules_(std::move(rules)) {}
  std::vector<SubnetRule> rules_;
};

}  // namespace netmesh::identity
