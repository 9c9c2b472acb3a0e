#include "linkem/ip.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace netmesh::linkem {
namespace {

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kIcmpHeader = 8;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kTcpHeader = 20;
/// An ICMP error quotes the header and this much of what follows (RFC 792).
constexpr std::size_t kQuotedPayload = 8;
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58;
constexpr std::uint8_t kHops = 64;

// The network's byte order is big-endian; base/bytes.h speaks the mesh's own, little-endian.
std::uint16_t load16(ByteSpan bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}
void store16(MutableByteSpan bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8 & 0xff);
  bytes[at + 1] = static_cast<std::byte>(value & 0xff);
}
std::uint8_t load8(ByteSpan bytes, std::size_t at) {
  return std::to_integer<std::uint8_t>(bytes[at]);
}
void store8(MutableByteSpan bytes, std::size_t at, std::uint8_t value) {
  bytes[at] = static_cast<std::byte>(value);
}
void copy(ByteSpan from, std::size_t at, std::size_t count, MutableByteSpan to, std::size_t to_at) {
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), count,
              to.begin() + static_cast<std::ptrdiff_t>(to_at));
}

/// Where the transport header is.
struct Layout {
  bool v6 = false;
  bool first_fragment = true;
  bool fragmented = false;
  bool dont_fragment = true;
  std::uint8_t protocol = 0;
  std::size_t header = 0;
  std::size_t end = 0;
};

std::optional<Layout> parse(ByteSpan packet) {
  if (packet.empty()) return std::nullopt;
  Layout layout;
  const unsigned version = load8(packet, 0) >> 4;
  if (version == 4) {
    if (packet.size() < kIpv4Header) return std::nullopt;
    layout.header = static_cast<std::size_t>(load8(packet, 0) & 0x0f) * 4;
    layout.end = load16(packet, 2);
    const std::uint16_t fragment = load16(packet, 6);
    layout.dont_fragment = (fragment & 0x4000) != 0;
    layout.first_fragment = (fragment & 0x1fff) == 0;
    layout.fragmented = (fragment & 0x3fff) != 0;
    layout.protocol = load8(packet, 9);
    if (layout.header < kIpv4Header) return std::nullopt;
  } else if (version == 6) {
    if (packet.size() < kIpv6Header) return std::nullopt;
    layout.v6 = true;
    layout.header = kIpv6Header;
    layout.end = kIpv6Header + load16(packet, 4);
    layout.protocol = load8(packet, 6);
  } else {
    return std::nullopt;
  }
  if (layout.end > packet.size() || layout.header > layout.end) return std::nullopt;
  return layout;
}

/// Whether an ICMP message is about an error: those are never answered by another.
bool is_icmp_error(ByteSpan packet, const Layout& layout) {
  if (layout.end == layout.header) return false;
  const std::uint8_t type = load8(packet, layout.header);
  if (layout.v6) return layout.protocol == kIcmpv6 && type < 128;
  return layout.protocol == kIcmp && type != 8 && type != 0;
}

std::size_t write_v4(ByteSpan packet, const Layout& layout, std::size_t mtu, MutableByteSpan out) {
  const std::size_t quoted = std::min(layout.header + kQuotedPayload, layout.end);
  const std::size_t length = kIpv4Header + kIcmpHeader + quoted;
  std::fill_n(out.begin(), length, std::byte{0});
  store8(out, 0, 0x45);
  store16(out, 2, length);
  store8(out, 8, kHops);
  store8(out, 9, kIcmp);
  copy(packet, 16, 4, out, 12);
  copy(packet, 12, 4, out, 16);
  store16(out, 10, checksum_finish(checksum_add(0, out.first(kIpv4Header))));
  const auto icmp = out.subspan(kIpv4Header, kIcmpHeader + quoted);
  store8(icmp, 0, 3);
  store8(icmp, 1, 4);
  store16(icmp, 6, mtu);
  copy(packet, 0, quoted, icmp, kIcmpHeader);
  store16(icmp, 2, checksum_finish(checksum_add(0, icmp)));
  return length;
}

std::size_t write_v6(ByteSpan packet, const Layout& layout, std::size_t mtu, MutableByteSpan out) {
  const std::size_t quoted = std::min(layout.end, kMaxTooBigBytes - kIpv6Header - kIcmpHeader);
  const std::size_t body = kIcmpHeader + quoted;
  std::fill_n(out.begin(), kIpv6Header + kIcmpHeader, std::byte{0});
  store8(out, 0, 0x60);
  store16(out, 4, body);
  store8(out, 6, kIcmpv6);
  store8(out, 7, kHops);
  copy(packet, 24, 16, out, 8);
  copy(packet, 8, 16, out, 24);
  const auto icmp = out.subspan(kIpv6Header, body);
  store8(icmp, 0, 2);
  store16(icmp, 6, mtu);
  copy(packet, 0, quoted, icmp, kIcmpHeader);
  // The pseudo-header: both addresses, the length, the protocol (RFC 8200 §8.1).
  std::uint32_t sum = checksum_add(0, out.subspan(8, 32));
  sum += static_cast<std::uint32_t>(body) + kIcmpv6;
  store16(icmp, 2, checksum_finish(checksum_add(sum, icmp)));
  return kIpv6Header + body;
}

}  // namespace

std::uint32_t checksum_add(std::uint32_t sum, ByteSpan bytes) {
  std::uint64_t total = sum;
  std::size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2) total += load16(bytes, at);
  if (at < bytes.size()) total += static_cast<std::uint32_t>(load8(bytes, at)) << 8;
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint32_t>(total);
}

std::uint16_t checksum_finish(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

std::size_t write_too_big(ByteSpan packet, std::size_t mtu, MutableByteSpan out) {
  const auto layout = parse(packet);
  if (!layout || out.size() < kMaxTooBigBytes) return 0;
  if (!layout->dont_fragment || layout->fragmented || is_icmp_error(packet, *layout)) return 0;
  return layout->v6 ? write_v6(packet, *layout, mtu, out) : write_v4(packet, *layout, mtu, out);
}

void flip_bit(MutableByteSpan packet, Dice& dice) {
  if (packet.empty()) return;
  packet[dice.below(packet.size())] ^= static_cast<std::byte>(1U << dice.below(8));
}

bool corrupt_payload(MutableByteSpan packet, Dice& dice) {
  const auto layout = parse(packet);
  if (!layout || layout->fragmented) return false;
  const std::size_t header = layout->header;
  std::size_t payload = 0, checksum = 0;
  if (layout->protocol == kUdp && layout->end >= header + kUdpHeader) {
    payload = header + kUdpHeader;
    checksum = header + 6;
  } else if (layout->protocol == kTcp && layout->end >= header + kTcpHeader) {
    payload = header + static_cast<std::size_t>(load8(packet, header + 12) >> 4) * 4;
    checksum = header + 16;
  } else {
    return false;
  }
  if (payload >= layout->end) return false;

  const std::size_t at = payload + dice.below(layout->end - payload);
  // The checksum counts words of 16 bits from the transport header on.
  const std::size_t word = at - ((at - header) & 1);
  const auto word_at = [&] {
    const std::size_t low = word + 1 < layout->end ? load8(packet, word + 1) : 0U;
    return static_cast<std::uint32_t>(load8(packet, word)) << 8 | static_cast<std::uint32_t>(low);
  };
  const std::uint32_t before = word_at();
  packet[at] ^= static_cast<std::byte>(1U << dice.below(8));
  const std::uint16_t old_sum = load16(packet, checksum);
  // A datagram over IPv4 may have no checksum, and needs none repaired.
  if (layout->protocol == kUdp && old_sum == 0) return true;
  // RFC 1624: HC' = ~(~HC + ~m + m').
  const std::uint32_t sum = (~old_sum & 0xffffU) + (~before & 0xffffU) + word_at();
  std::uint16_t repaired = checksum_finish(sum);
  if (layout->protocol == kUdp && repaired == 0) repaired = 0xffff;
  store16(packet, checksum, repaired);
  return true;
}

}  // namespace netmesh::linkem
