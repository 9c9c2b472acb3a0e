#pragma once
// Event ids as positions in a shard: their formats and their order (spec 40 §4.1).

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netmesh::bus {

using ShardId = std::uint16_t;

enum class PositionFormat : std::uint8_t {
  kNumber,  ///< digits: JetStream, the memory log
  kPair,    ///< "<u64>-<u64>": Redis
  kOpaque,  ///< anything else
};

/// Digits that fit 64 bits, else nothing.
std::optional<std::uint64_t> parse_number(std::string_view text);

PositionFormat position_format(std::string_view id);

/// Numerically where both ids have the same numeric format, else by bytes.
std::strong_ordering compare_positions(std::string_view a, std::string_view b);

}  // namespace netmesh::bus
