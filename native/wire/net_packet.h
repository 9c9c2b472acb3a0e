#pragma once
// The base packet: 64-byte header, ciphertext, 16-byte tag (spec 10 §3, §4).

#include <array>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"

namespace netmesh::wire {

inline constexpr std::size_t kNetHeaderBytes = 64;
inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kMaxNetPacketBytes = 8192;
inline constexpr std::size_t kMaxNetPayloadBytes = 8112;  ///< plaintext of one packet
inline constexpr std::size_t kMaxNetEvents = 2028;
inline constexpr std::size_t kNetOverheadBytes = kNetHeaderBytes + kTagBytes;  ///< 80
inline constexpr std::size_t kNetAadBytes = 52;

namespace flag {
inline constexpr std::uint8_t kReliable = 0x01;
inline constexpr std::uint8_t kNack = 0x02;
inline constexpr std::uint8_t kPriority = 0x04;
inline constexpr std::uint8_t kFin = 0x08;
inline constexpr std::uint8_t kHandshake = 0x10;
inline constexpr std::uint8_t kHeartbeat = 0x20;
}  // namespace flag

namespace subprotocol {
inline constexpr std::uint16_t kEvents = 0x0000;
inline constexpr std::uint16_t kChannelMembership = 0x0A00;
inline constexpr std::uint16_t kWindowGrant = 0x0B00;
inline constexpr std::uint16_t kCapabilityAnnouncement = 0x0C00;
}  // namespace subprotocol

/// Every field of the 64-byte header, in wire order; offsets and meanings in spec 10 §3.
struct NetHeader {
  std::uint8_t flags = 0;
  std::uint8_t priority = 0;
  std::uint8_t hop_ttl = 0;
  std::uint8_t hop_count = 0;
  std::uint8_t frag_flags = 0;
  std::uint16_t subprotocol_id = 0;
  std::uint16_t channel_hash = 0;
  std::uint32_t nonce_prefix = 0;  ///< receivers rebuild it from their own session id
  std::uint64_t counter = 0;
  SessionId session_id;
  StreamId stream_id;
  std::uint64_t sequence = 0;
  std::uint32_t subnet_id = 0;
  std::uint32_t origin_hash = 0;
  std::uint16_t fragment_id = 0;
  std::uint16_t fragment_offset = 0;
  std::uint16_t payload_len = 0;  ///< plaintext bytes; handshakes: Noise message bytes
  std::uint16_t event_count = 0;

  bool is_handshake() const { return (flags & flag::kHandshake) != 0; }
  bool is_heartbeat() const { return (flags & flag::kHeartbeat) != 0; }
  friend bool operator==(const NetHeader&, const NetHeader&) = default;
};

/// Parses and validates a whole base packet (header fields and length rules of spec 10 §3):
/// nothing when it must be dropped. `packet` is the datagram without any routing header.
std::optional<NetHeader> parse_net_packet(ByteSpan packet);

/// Writes the 64 bytes; `out` has at least that many.
void write_net_header(const NetHeader& header, MutableByteSpan out);

/// The AAD of a packet, from its 64 header bytes (nonce removed, hop_count zeroed).
std::array<std::byte, kNetAadBytes> net_aad(ByteSpan header64);

/// `u32(session_id) xor (session_id >> 32)`, the first 4 nonce bytes.
constexpr std::uint32_t nonce_prefix(SessionId id) {
  return static_cast<std::uint32_t>(id.value) ^ static_cast<std::uint32_t>(id.value >> 32);
}

/// `nonce_prefix(id) ‖ counter`, 12 bytes.
std::array<std::byte, 12> make_nonce(SessionId id, std::uint64_t counter);

/// A complete handshake datagram without routing header: Net header with flag HANDSHAKE, then the
/// Noise message. `initiator_hint` goes into the stream id field (0 for base peers and msg2).
Bytes make_handshake_packet(ByteSpan noise_message, std::uint64_t initiator_hint = 0);

/// The Noise message of a parsed handshake packet: everything after byte 64.
inline ByteSpan handshake_message(ByteSpan packet) { return packet.subspan(kNetHeaderBytes); }

}  // namespace netmesh::wire
