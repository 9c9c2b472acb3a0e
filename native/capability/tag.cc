#include "capability/tag.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace netmesh::capability {
namespace {
constexpr std::array<std::string_view, 4> kReserved{"causal:", "fork-of:", "heat:", "scope:"};
constexpr std::array<std::string_view, 4> kAxes{"hardware", "software", "devices", "dataforts"};
}  // namespace

bool is_axis_name(std::string_view word) {
  return std::find(kAxes.begin(), kAxes.end(), word) != kAxes.end();
}

Tag Tag::parse(std::string_view text) {
  for (const std::string_view prefix : kReserved) {
    if (text.starts_with(prefix))
      return {TagShape::kReserved, prefix, text.substr(prefix.size()), 0, {}};
  }
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || !is_axis_name(text.substr(0, dot)))
    return {TagShape::kLegacy, {}, text, 0, {}};
  const std::string_view axis = text.substr(0, dot);
  const std::string_view rest = text.substr(dot + 1);
  const std::size_t separator = rest.find_first_of("=:");
  if (separator == std::string_view::npos) return {TagShape::kAxisPresence, axis, rest, 0, {}};
  return {TagShape::kAxisValue, axis, rest.substr(0, separator), rest[separator],
          rest.substr(separator + 1)};
}

std::string other_spelling(std::string_view tag) {
  const Tag parsed = Tag::parse(tag);
  if (parsed.shape != TagShape::kAxisValue) return {};
  std::string other(tag);
  other[parsed.axis.size() + 1 + parsed.key.size()] = parsed.separator == '=' ? ':' : '=';
  return other;
}

bool Tag::means_the_same_as(const Tag& other) const {
  return shape == other.shape && axis == other.axis && key == other.key && value == other.value;
}

template <typename T>
std::optional<T> parse_decimal(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  // A sign or a blank is refused by from_chars for unsigned types; an empty text as well.
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

template std::optional<std::uint8_t> parse_decimal(std::string_view);
template std::optional<std::uint16_t> parse_decimal(std::string_view);
template std::optional<std::uint32_t> parse_decimal(std::string_view);
template std::optional<std::uint64_t> parse_decimal(std::string_view);

}  // namespace netmesh::capability
