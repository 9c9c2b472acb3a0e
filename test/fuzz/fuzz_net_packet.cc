// Base packets: what parses is written back byte for byte, and keeps the rules of spec 10 §3.

#include "fuzz.h"
#include "wire/net_packet.h"

using namespace netmesh;
using namespace netmesh::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan packet = fuzz::input_bytes(data, size);

  if (size <= kMaxNetPayloadBytes) {
    // Any bytes may be a Noise message.
    const Bytes handshake = make_handshake_packet(packet, size);
    const auto header = parse_net_packet(handshake);
    FUZZ_CHECK(header && header->is_handshake() && header->payload_len == size);
    FUZZ_CHECK(header->stream_id.value == size);
    FUZZ_CHECK(fuzz::equal(handshake_message(handshake), packet));
  }

  const auto header = parse_net_packet(packet);
  if (!header) return 0;
  FUZZ_CHECK(header->payload_len <= kMaxNetPayloadBytes);
  FUZZ_CHECK(header->event_count <= kMaxNetEvents);
  if (header->is_heartbeat() || !header->is_handshake()) {
    FUZZ_CHECK(size == kNetOverheadBytes + header->payload_len);
  }

  std::array<std::byte, kNetHeaderBytes> written;
  write_net_header(*header, written);
  FUZZ_CHECK(fuzz::equal(written, packet.first(kNetHeaderBytes)));

  const auto aad = net_aad(written);
  NetHeader relayed = *header;
  relayed.hop_count = static_cast<std::uint8_t>(~relayed.hop_count);
  relayed.counter = ~relayed.counter;
  relayed.nonce_prefix = ~relayed.nonce_prefix;
  write_net_header(relayed, written);
  FUZZ_CHECK(net_aad(written) == aad);

  NetHeader made = *header;
  made.nonce_prefix = nonce_prefix(made.session_id);
  write_net_header(made, written);
  FUZZ_CHECK(
      fuzz::equal(make_nonce(made.session_id, made.counter), ByteSpan(written).subspan(12, 12)));
  return 0;
}
