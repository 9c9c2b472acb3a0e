#pragma once
// Modern datagrams outside of any session: a node that lost its state says so, a node under
// pressure asks for a round trip (docs/protocol.md "Reset", "Cookies"). The flags byte of the
// modern header tells them apart from packets.

#include <array>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "wire/modern_packet.h"

namespace netmesh::wire {

namespace modern_flag {
inline constexpr std::uint8_t kKeyPhase = 1;
inline constexpr std::uint8_t kReset = 2;
inline constexpr std::uint8_t kCookie = 4;
}  // namespace modern_flag

using ResetToken = std::array<std::byte, 16>;
using Cookie = std::array<std::byte, 16>;
/// The first half of the BLAKE2s digest of a Noise msg1: names the attempt that a cookie is for.
using AttemptTag = std::array<std::byte, 16>;

/// "I have no session of this number": header with the reset flag, then the token that only the
/// session's peer could have made. Shorter than any packet that calls for it.
inline constexpr std::size_t kResetDatagramBytes = kModernHeaderBytes + 16;
/// "Send that msg1 again with this cookie": header with the cookie flag, attempt tag, cookie.
inline constexpr std::size_t kCookieDatagramBytes = kModernHeaderBytes + 16 + 16;

struct ResetDatagram {
  SessionId session_id;
  ResetToken token{};
};
struct CookieDatagram {
  AttemptTag attempt{};
  Cookie cookie{};
};

enum class ModernKind { kPacket, kReset, kCookie };

/// What a datagram of `DatagramKind::kModern` is; `datagram` has at least a header.
inline ModernKind modern_kind(ByteSpan datagram) {
  const auto flags = std::to_integer<std::uint8_t>(datagram[3]);
  if ((flags & modern_flag::kReset) != 0) return ModernKind::kReset;
  if ((flags & modern_flag::kCookie) != 0) return ModernKind::kCookie;
  return ModernKind::kPacket;
}

Bytes make_reset(const ResetDatagram& reset);
/// Nothing unless the length is exact.
std::optional<ResetDatagram> parse_reset(ByteSpan datagram);

Bytes make_cookie(const CookieDatagram& reply);
std::optional<CookieDatagram> parse_cookie(ByteSpan datagram);

/// Where a msg1 carries its cookie: the counter and sequence fields of the Net header, zero
/// without one. Base nodes look at neither.
void put_cookie(const Cookie& cookie, MutableByteSpan handshake_packet);
Cookie get_cookie(ByteSpan handshake_packet);

}  // namespace netmesh::wire
