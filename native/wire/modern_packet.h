#pragma once
// The extension packet between netmesh nodes: a 20-byte header, frames, a 16-byte tag
// (docs/protocol.md "Modern packets"). The header is the AAD, whole.

#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "wire/classify.h"

namespace netmesh::wire {

inline constexpr std::size_t kModernHeaderBytes = 20;
inline constexpr std::size_t kModernOverheadBytes = kModernHeaderBytes + 16;
/// The datagram size that every path is taken to carry (as QUIC, RFC 9000 §14).
inline constexpr std::size_t kBaseDatagramBytes = 1200;
/// A relayed modern packet is padded to this, because base relays drop shorter ones.
inline constexpr std::size_t kMinRoutedModernBytes = 64;

struct ModernHeader {
  bool key_phase = false;  ///< bit 0 of the flags byte; bits 1 and 2: see modern_control.h
  SessionId session_id;
  PacketNumber packet_number;
};

inline void write_modern_header(const ModernHeader& header, std::byte* out) {
  store_le<std::uint16_t>(out, kNetMagic);
  out[2] = std::byte{kModernVersion};
  out[3] = std::byte{static_cast<std::uint8_t>(header.key_phase ? 1 : 0)};
  store_le<std::uint64_t>(out + 4, header.session_id.value);
  store_le<std::uint64_t>(out + 12, header.packet_number.value);
}

/// Nothing when shorter than header and tag, or when magic or version are wrong.
inline std::optional<ModernHeader> parse_modern_header(ByteSpan packet) {
  if (packet.size() < kModernOverheadBytes) return std::nullopt;
  if (load_le<std::uint16_t>(packet.data()) != kNetMagic) return std::nullopt;
  if (static_cast<std::uint8_t>(packet[2]) != kModernVersion) return std::nullopt;
  ModernHeader header;
  header.key_phase = (static_cast<std::uint8_t>(packet[3]) & 1) != 0;
  header.session_id = SessionId{load_le<std::uint64_t>(packet.data() + 4)};
  header.packet_number = PacketNumber{load_le<std::uint64_t>(packet.data() + 12)};
  return header;
}

}  // namespace netmesh::wire
