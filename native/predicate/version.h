#pragma once
// Versions in tags: up to three numbers, of which pre-release and build are cut off.

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace netmesh::predicate {

struct Version {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::uint64_t patch = 0;

  friend auto operator<=>(const Version&, const Version&) = default;
};

/// `1`, `1.2`, `1.2.3`, `1.2.3-rc.1+build`; blanks around the numbers are skipped, missing ones are
/// 0. Nothing for anything else (spec 32 §4.6).
std::optional<Version> parse_version(std::string_view text);

/// The caret rule: `version` is at least `wanted`, and of the same leftmost part that is not 0.
bool is_compatible(const Version& version, const Version& wanted);

}  // namespace netmesh::predicate
