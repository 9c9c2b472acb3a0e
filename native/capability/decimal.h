#pragma once
// Numbers in tags: decimal digits and nothing else.

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>

namespace netmesh::capability {

/// Decimal digits in the range of T; nothing for anything else.
template <std::unsigned_integral T>
std::optional<T> parse_decimal(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  // A sign or a blank is refused by from_chars for unsigned types; an empty text as well.
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

}  // namespace netmesh::capability
