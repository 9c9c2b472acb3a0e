#pragma once
// Strong types for numbers that must not mix.

#include <compare>
#include <cstdint>
#include <functional>

namespace netmesh {

/// A number that converts to and from its representation only on request.
template <typename Tag, typename Rep>
struct StrongNumber {
  Rep value{};

  constexpr StrongNumber() = default;
  constexpr explicit StrongNumber(Rep v) : value(v) {}
  friend constexpr auto operator<=>(StrongNumber, StrongNumber) = default;
};

/// A node's 64-bit name: derived from its entity key (spec 10 §1.2). Zero names nobody.
using NodeId = StrongNumber<struct NodeIdTag, std::uint64_t>;
/// An opaque stream name chosen by the application; one per session and direction pair.
using StreamId = StrongNumber<struct StreamIdTag, std::uint64_t>;
/// Names a session on the wire: the first 8 bytes of the handshake hash.
using SessionId = StrongNumber<struct SessionIdTag, std::uint64_t>;
/// Counts packets of one session and direction; never reused under one key.
using PacketNumber = StrongNumber<struct PacketNumberTag, std::uint64_t>;

/// The low half of a node id as routing headers and prologues carry it (spec 10 §1.2).
constexpr std::uint32_t routing_id(NodeId id) { return static_cast<std::uint32_t>(id.value); }

}  // namespace netmesh

template <typename Tag, typename Rep>
struct std::hash<netmesh::StrongNumber<Tag, Rep>> {
  std::size_t operator()(netmesh::StrongNumber<Tag, Rep> id) const noexcept {
    // Fibonacci mixing: ids may be small consecutive numbers or attacker-chosen low bits.
    std::uint64_t x = static_cast<std::uint64_t>(id.value);
    x ^= x >> 32;
    x *= 0x9E3779B97F4A7C15ULL;
    return static_cast<std::size_t>(x ^ (x >> 29));
  }
};
