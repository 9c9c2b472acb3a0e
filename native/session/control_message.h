#pragma once
// Messages between nodes that no application sees: channel membership, capability announcements
// and the like, each named by its protocol number (spec 10 §8.2).

#include <cstddef>
#include <cstdint>

#include "base/ids.h"

namespace netmesh::session {

/// Largest message; base peers take less, what one of their packets holds.
inline constexpr std::size_t kMaxControlMessageBytes = 128 * 1024;
/// What may wait in a session to be sent; beyond it messages are refused.
inline constexpr std::size_t kMaxControlQueueBytes = 2u << 20;

/// Modern sessions carry each control protocol on a reliable stream of its own, in ids that
/// applications may not open: a fixed prefix of 48 bits, then the protocol number.
inline constexpr std::uint64_t kControlStreamPrefix = 0x6E6D'6374'726C'0000;

constexpr StreamId control_stream(std::uint16_t protocol) {
  return StreamId(kControlStreamPrefix | protocol);
}
constexpr bool is_control_stream(StreamId id) {
  return (id.value & ~std::uint64_t{0xFFFF}) == kControlStreamPrefix;
}
constexpr std::uint16_t control_protocol(StreamId id) {
  return static_cast<std::uint16_t>(id.value & 0xFFFF);
}

}  // namespace netmesh::session
