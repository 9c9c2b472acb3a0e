#pragma once
// Capability tags: `hardware.gpu`, `software.os=linux`, `scope:tenant:acme`, or anything else.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace netmesh::predicate {

/// What a tag is about; the values are the numbers on the wire.
enum class Axis : std::uint8_t { kHardware = 0, kSoftware = 1, kDevices = 2, kDataforts = 3 };

/// The names of the axes, by number.
inline constexpr std::array<std::string_view, 4> kAxisNames = {"hardware", "software", "devices",
                                                               "dataforts"};

/// Prefixes of tags that the mesh itself writes; tried in this order.
inline constexpr std::array<std::string_view, 4> kReservedPrefixes = {
    "causal:", "fork-of:", "heat:", "scope:"};

std::optional<Axis> parse_axis(std::string_view name);
std::string_view to_string(Axis axis);

/// A tag, taken apart. The views point into the text that was parsed.
struct Tag {
  enum class Kind : std::uint8_t {
    kPresence,  ///< axis, key
    kValue,     ///< axis, key, separator, value
    kReserved,  ///< key: the prefix, value: what follows it
    kLegacy,    ///< key: the whole text
  };

  Kind kind = Kind::kLegacy;
  Axis axis = Axis::kHardware;
  std::string_view key;
  std::string_view value;
  /// `=` or `:`.
  char separator = '=';

  bool on_axis() const { return kind == Kind::kPresence || kind == Kind::kValue; }
};

/// Takes any text but an empty one apart; keys and values may be empty (spec 32 §1.2).
Expected<Tag> parse_tag(std::string_view text);
/// The same for texts that are known to be tags: an empty one comes out as legacy.
Tag take_apart(std::string_view text);

/// The text that the tag was parsed from, byte for byte.
std::string to_string(const Tag& tag);

/// The tag that means the same with the other of the separators `=` and `:`; empty when there is
/// none.
std::string other_spelling(std::string_view text);

/// The same text for tags that mean the same: the separator before a value does not count. No tag
/// has the text of one that means something else. `text` is not empty.
std::string meaning_of(std::string_view text);

}  // namespace netmesh::predicate
