#pragma once
// The one decision every received datagram goes through first (spec 10 §2, docs/protocol.md).

#include "base/bytes.h"

namespace netmesh::wire {

inline constexpr std::uint16_t kNetMagic = 0x4E45;      ///< on the wire `45 4E`
inline constexpr std::uint16_t kRoutingMagic = 0x5452;  ///< on the wire `52 54`
inline constexpr std::uint16_t kPunchMagic = 0x4850;    ///< on the wire `50 48`
inline constexpr std::uint8_t kBaseVersion = 1;         ///< net-mesh 0.19 packets
inline constexpr std::uint8_t kModernVersion = 2;       ///< extension packets between netmesh nodes

enum class DatagramKind {
  kInvalid,         ///< drop and count
  kPunchKeepAlive,  ///< 14 bytes, consumed
  kPingwave,        ///< 72 bytes without Net magic, consumed
  kRouted,          ///< routing header, then a Net packet
  kBase,            ///< Net packet, version 1: base sessions and all handshakes
  kModern,          ///< Net magic, version 2
};

/// Classifies by length and first bytes alone, in the order of spec 10 §2. A version other than 1
/// or 2 behind the Net magic is `kInvalid`.
DatagramKind classify(ByteSpan datagram);

}  // namespace netmesh::wire
