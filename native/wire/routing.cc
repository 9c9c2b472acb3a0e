#include "wire/routing.h"

#include "base/assert.h"
#include "wire/classify.h"

namespace netmesh::wire {
namespace {

constexpr std::uint8_t kRoutingFlagsMask = 0x0F;
constexpr std::uint8_t kMaxHealth = 3;
/// The origin is a 32-byte graph id of which base nodes fill 8 bytes.
constexpr std::size_t kGraphIdPaddingBytes = 24;

}  // namespace

std::optional<RoutingHeader> parse_routing_header(ByteSpan datagram) {
  if (datagram.size() < kRoutingHeaderBytes) return std::nullopt;
  ByteReader in(datagram.first(kRoutingHeaderBytes));
  if (in.u16() != kRoutingMagic) return std::nullopt;
  RoutingHeader header;
  header.ttl = in.u8();
  header.hop_count = in.u8();
  header.flags = in.u8() & kRoutingFlagsMask;
  header.reserved = in.u8();
  header.source = in.u32();
  header.destination = NodeId{in.u64()};
  return header;
}

void write_routing_header(const RoutingHeader& header, MutableByteSpan out) {
  NM_ASSERT(out.size() >= kRoutingHeaderBytes);
  ByteWriter to(out.first(kRoutingHeaderBytes));
  to.u16(kRoutingMagic);
  to.u8(header.ttl);
  to.u8(header.hop_count);
  to.u8(header.flags & kRoutingFlagsMask);
  to.u8(header.reserved);
  to.u32(header.source);
  to.u64(header.destination.value);
}

std::optional<Pingwave> parse_pingwave(ByteSpan datagram) {
  if (datagram.size() != kPingwaveBytes) return std::nullopt;
  ByteReader in(datagram);
  Pingwave pingwave;
  pingwave.origin = NodeId{in.u64()};
  in.skip(kGraphIdPaddingBytes);
  pingwave.sequence = in.u64();
  pingwave.ttl = in.u8();
  pingwave.hop_count = in.u8();
  pingwave.origin_timestamp_us = in.u64();
  pingwave.capability_hash = in.u64();
  pingwave.capability_version = in.u32();
  pingwave.load_level = in.u8();
  pingwave.health = in.u8();
  pingwave.summary = in.array<8>();
  if (pingwave.health > kMaxHealth) return std::nullopt;
  return pingwave;
}

std::array<std::byte, kPingwaveBytes> write_pingwave(const Pingwave& pingwave) {
  std::array<std::byte, kPingwaveBytes> out;
  ByteWriter to(out);
  to.u64(pingwave.origin.value);
  to.zeros(kGraphIdPaddingBytes);
  to.u64(pingwave.sequence);
  to.u8(pingwave.ttl);
  to.u8(pingwave.hop_count);
  to.u64(pingwave.origin_timestamp_us);
  to.u64(pingwave.capability_hash);
  to.u32(pingwave.capability_version);
  to.u8(pingwave.load_level);
  to.u8(pingwave.health);
  to.bytes(pingwave.summary);
  NM_ASSERT(to.ok() && to.remaining() == 0);
  return out;
}

}  // namespace netmesh::wire
