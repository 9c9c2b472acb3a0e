#include "wire/modern_control.h"

#include <cstring>

#include "base/assert.h"
#include "wire/net_packet.h"

namespace netmesh::wire {
namespace {

constexpr std::size_t kFlagsOffset = 3;
/// The counter and the sequence of a Net header (docs/protocol.md §4).
constexpr std::size_t kCounterOffset = 16;
constexpr std::size_t kSequenceOffset = 40;
constexpr std::size_t kHalf = 8;

bool has_header(ByteSpan datagram, std::size_t length, ModernKind kind) {
  return datagram.size() == length && load_le<std::uint16_t>(datagram.data()) == kNetMagic &&
         std::to_integer<std::uint8_t>(datagram[2]) == kModernVersion &&
         modern_kind(datagram) == kind;
}

}  // namespace

Bytes make_reset(const ResetDatagram& reset) {
  Bytes out(kResetDatagramBytes);
  write_modern_header({false, reset.session_id, PacketNumber{}}, out.data());
  out[kFlagsOffset] = std::byte{modern_flag::kReset};
  std::memcpy(out.data() + kModernHeaderBytes, reset.token.data(), reset.token.size());
  return out;
}

std::optional<ResetDatagram> parse_reset(ByteSpan datagram) {
  if (!has_header(datagram, kResetDatagramBytes, ModernKind::kReset)) return std::nullopt;
  ResetDatagram reset;
  reset.session_id = SessionId{load_le<std::uint64_t>(datagram.data() + 4)};
  std::memcpy(reset.token.data(), datagram.data() + kModernHeaderBytes, reset.token.size());
  return reset;
}

Bytes make_cookie(const CookieDatagram& reply) {
  Bytes out(kCookieDatagramBytes);
  write_modern_header({false, SessionId{}, PacketNumber{}}, out.data());
  out[kFlagsOffset] = std::byte{modern_flag::kCookie};
  std::byte* at = out.data() + kModernHeaderBytes;
  std::memcpy(at, reply.attempt.data(), reply.attempt.size());
  std::memcpy(at + reply.attempt.size(), reply.cookie.data(), reply.cookie.size());
  return out;
}

std::optional<CookieDatagram> parse_cookie(ByteSpan datagram) {
  if (!has_header(datagram, kCookieDatagramBytes, ModernKind::kCookie)) return std::nullopt;
  CookieDatagram reply;
  const std::byte* at = datagram.data() + kModernHeaderBytes;
  std::memcpy(reply.attempt.data(), at, reply.attempt.size());
  std::memcpy(reply.cookie.data(), at + reply.attempt.size(), reply.cookie.size());
  return reply;
}

void put_cookie(const Cookie& cookie, MutableByteSpan packet) {
  NM_ASSERT(packet.size() >= kNetHeaderBytes);
  std::memcpy(packet.data() + kCounterOffset, cookie.data(), kHalf);
  std::memcpy(packet.data() + kSequenceOffset, cookie.data() + kHalf, kHalf);
}

Cookie get_cookie(ByteSpan packet) {
  NM_ASSERT(packet.size() >= kNetHeaderBytes);
  Cookie cookie;
  std::memcpy(cookie.data(), packet.data() + kCounterOffset, kHalf);
  std::memcpy(cookie.data() + kHalf, packet.data() + kSequenceOffset, kHalf);
  return cookie;
}

}  // namespace netmesh::wire
