#pragma once
// Tags: the words that capabilities are made of (spec 30 §6).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netmesh::capability {

enum class TagShape : std::uint8_t { kLegacy, kReserved, kAxisPresence, kAxisValue };

/// A tag taken apart. Views into the tag that it was made of.
struct Tag {
  TagShape shape = TagShape::kLegacy;
  std::string_view axis;   ///< or the reserved prefix, `scope:` and such
  std::string_view key;    ///< or the body of a reserved tag, or the whole legacy tag
  char separator = 0;      ///< `=` or `:` of an axis value
  std::string_view value;  ///< everything after the separator

  /// Never fails; the empty string, which is no tag, comes out as a legacy one.
  static Tag parse(std::string_view text);
  bool is_axis() const { return shape == TagShape::kAxisPresence || shape == TagShape::kAxisValue; }
  /// The same shape and parts; `=` and `:` are alike.
  bool means_the_same_as(const Tag& other) const;
};

bool is_axis_name(std::string_view word);

/// The tag that means the same with the other of the separators `=` and `:`; empty when there is
/// none.
std::string other_spelling(std::string_view tag);

/// Decimal digits only, in the range of T; nothing for anything else.
template <typename T>
std::optional<T> parse_decimal(std::string_view text);

extern template std::optional<std::uint8_t> parse_decimal(std::string_view);
extern template std::optional<std::uint16_t> parse_decimal(std::string_view);
extern template std::optional<std::uint32_t> parse_decimal(std::string_view);
extern template std::optional<std::uint64_t> parse_decimal(std::string_view);

}  // namespace netmesh::capability
