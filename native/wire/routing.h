#pragma once
// The 18-byte routing header in front of relayed packets (spec 20 §2), and the two datagrams that
// need no session: pingwave (spec 20 §6) and punch keep-alive (spec 20 §13.6).

#include <array>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"

namespace netmesh::wire {

inline constexpr std::size_t kRoutingHeaderBytes = 18;
/// Base nodes drop shorter routed datagrams.
inline constexpr std::size_t kMinRoutedBytes = 82;
inline constexpr std::uint8_t kRoutedDataTtl = 8;
inline constexpr std::uint8_t kRoutedHandshakeTtl = 16;

struct RoutingHeader {
  std::uint8_t ttl = 0;
  std::uint8_t hop_count = 0;
  std::uint8_t flags = 0;     ///< low nibble only; the high nibble is cleared on parsing
  std::uint8_t reserved = 0;  ///< copied through by forwarders
  std::uint32_t source = 0;   ///< routing id of the originator
  NodeId destination;

  friend bool operator==(const RoutingHeader&, const RoutingHeader&) = default;
};

/// Nothing when the magic is wrong or fewer than 18 bytes are there.
std::optional<RoutingHeader> parse_routing_header(ByteSpan datagram);
void write_routing_header(const RoutingHeader& header, MutableByteSpan out);

inline constexpr std::size_t kPingwaveBytes = 72;

/// Fields and offsets: spec 20 §6.
struct Pingwave {
  NodeId origin;
  std::uint64_t sequence = 0;
  std::uint8_t ttl = 0;
  std::uint8_t hop_count = 0;
  std::uint64_t origin_timestamp_us = 0;
  std::uint64_t capability_hash = 0;
  std::uint32_t capability_version = 0;
  std::uint8_t load_level = 0;
  std::uint8_t health = 0;             ///< 0 healthy, 1 degraded, 2 unhealthy, 3 unknown
  std::array<std::byte, 8> summary{};  ///< bytes 64..72, meaning in spec 20

  friend bool operator==(const Pingwave&, const Pingwave&) = default;
};

std::optional<Pingwave> parse_pingwave(ByteSpan datagram);
std::array<std::byte, kPingwaveBytes> write_pingwave(const Pingwave& pingwave);

}  // namespace netmesh::wire
