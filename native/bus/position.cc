#include "bus/position.h"

#include <charconv>
#include <utility>

namespace netmesh::bus {
namespace {

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_pair(std::string_view id) {
  const std::size_t dash = id.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_number(id.substr(0, dash));
  const auto second = parse_number(id.substr(dash + 1));
  if (!first || !second) return std::nullopt;
  return std::pair{*first, *second};
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

PositionFormat position_format(std::string_view id) {
  if (!id.empty() && id.find_first_not_of("0123456789") == std::string_view::npos)
    return PositionFormat::kNumber;
  return parse_pair(id) ? PositionFormat::kPair : PositionFormat::kOpaque;
}

std::strong_ordering compare_positions(std::string_view a, std::string_view b) {
  if (const auto pair_a = parse_pair(a), pair_b = parse_pair(b); pair_a && pair_b)
    return *pair_a <=> *pair_b;
  if (position_format(a) == PositionFormat::kNumber &&
      position_format(b) == PositionFormat::kNumber) {
    const auto strip = [](std::string_view digits) {
      const std::size_t first = digits.find_first_not_of('0');
      return first == std::string_view::npos ? std::string_view() : digits.substr(first);
    };
    // Longer numbers than 64 bits are ordered as well.
    const std::string_view digits_a = strip(a), digits_b = strip(b);
    if (digits_a.size() != digits_b.size()) return digits_a.size() <=> digits_b.size();
    return digits_a.compare(digits_b) <=> 0;
  }
  return a.compare(b) <=> 0;
}

}  // namespace netmesh::bus
