#include "wire/net_packet.h"

#include "base/assert.h"
#include "wire/classify.h"

namespace netmesh::wire {
namespace {

constexpr std::size_t kNonceOffset = 12;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kHopCountOffset = 6;

static_assert(kNetAadBytes == kNetHeaderBytes - kNonceBytes);
static_assert(kMaxNetPacketBytes == kNetOverheadBytes + kMaxNetPayloadBytes);

}  // namespace

std::optional<NetHeader> parse_net_packet(ByteSpan packet) {
  if (packet.size() < kNetHeaderBytes) return std::nullopt;
  ByteReader in(packet.first(kNetHeaderBytes));
  if (in.u16() != kNetMagic || in.u8() != kBaseVersion) return std::nullopt;

  NetHeader header;
  header.flags = in.u8();
  header.priority = in.u8();
  header.hop_ttl = in.u8();
  header.hop_count = in.u8();
  header.frag_flags = in.u8();
  header.subprotocol_id = in.u16();
  header.channel_hash = in.u16();
  header.nonce_prefix = in.u32();
  header.counter = in.u64();
  header.session_id = SessionId{in.u64()};
  header.stream_id = StreamId{in.u64()};
  header.sequence = in.u64();
  header.subnet_id = in.u32();
  header.origin_hash = in.u32();
  header.fragment_id = in.u16();
  header.fragment_offset = in.u16();
  header.payload_len = in.u16();
  header.event_count = in.u16();

  if (header.payload_len > kMaxNetPayloadBytes || header.event_count > kMaxNetEvents)
    return std::nullopt;
  const std::size_t body = packet.size() - kNetHeaderBytes;
  if (header.is_heartbeat()) {
    // A heartbeat seals nothing; whoever decrypts may rely on payload_len all the same.
    if (body != kTagBytes || header.payload_len != 0) return std::nullopt;
  } else if (!header.is_handshake()) {
    if (body != header.payload_len + kTagBytes) return std::nullopt;
  }
  return header;
}

void write_net_header(const NetHeader& header, MutableByteSpan out) {
  NM_ASSERT(out.size() >= kNetHeaderBytes);
  ByteWriter to(out.first(kNetHeaderBytes));
  to.u16(kNetMagic);
  to.u8(kBaseVersion);
  to.u8(header.flags);
  to.u8(header.priority);
  to.u8(header.hop_ttl);
  to.u8(header.hop_count);
  to.u8(header.frag_flags);
  to.u16(header.subprotocol_id);
  to.u16(header.channel_hash);
  to.u32(header.nonce_prefix);
  to.u64(header.counter);
  to.u64(header.session_id.value);
  to.u64(header.stream_id.value);
  to.u64(header.sequence);
  to.u32(header.subnet_id);
  to.u32(header.origin_hash);
  to.u16(header.fragment_id);
  to.u16(header.fragment_offset);
  to.u16(header.payload_len);
  to.u16(header.event_count);
}

std::array<std::byte, kNetAadBytes> net_aad(ByteSpan header64) {
  NM_ASSERT(header64.size() >= kNetHeaderBytes);
  std::array<std::byte, kNetAadBytes> aad;
  std::memcpy(aad.data(), header64.data(), kNonceOffset);
  std::memcpy(aad.data() + kNonceOffset, header64.data() + kNonceOffset + kNonceBytes,
              kNetAadBytes - kNonceOffset);
  aad[kHopCountOffset] = std::byte{0};
  return aad;
}

std::array<std::byte, 12> make_nonce(SessionId id, std::uint64_t counter) {
  std::array<std::byte, kNonceBytes> nonce;
  store_le<std::uint32_t>(nonce.data(), nonce_prefix(id));
  store_le<std::uint64_t>(nonce.data() + sizeof(std::uint32_t), counter);
  return nonce;
}

Bytes make_handshake_packet(ByteSpan noise_message, std::uint64_t initiator_hint) {
  NM_ASSERT(noise_message.size() <= kMaxNetPayloadBytes);
  NetHeader header;
  header.flags = flag::kHandshake;
  header.stream_id = StreamId{initiator_hint};
  header.payload_len = static_cast<std::uint16_t>(noise_message.size());

  Bytes packet(kNetHeaderBytes + noise_message.size());
  write_net_header(header, packet);
  if (!noise_message.empty()) {
    std::memcpy(packet.data() + kNetHeaderBytes, noise_message.data(), noise_message.size());
  }
  return packet;
}

}  // namespace netmesh::wire
