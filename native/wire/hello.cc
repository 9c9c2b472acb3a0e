#include "wire/hello.h"

#include <string_view>

#include "base/assert.h"

namespace netmesh::wire {
namespace {

constexpr std::string_view kHelloMagic = "NMX1";
constexpr std::string_view kInitiatorLabel = "netmesh-hello-initiator-v1";
constexpr std::string_view kResponderLabel = "netmesh-hello-responder-v1";
constexpr std::size_t kMinBodyBytes = kHelloFieldBytes + kHelloSignatureBytes;

static_assert(kHelloBytes == kHelloMagic.size() + sizeof(std::uint16_t) + kMinBodyBytes);

bool starts_with(ByteSpan bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

/// The body of a hello, both ends included; nothing when it cannot be one.
std::optional<ParsedHello> parse_body(ByteSpan body) {
  if (body.size() < kMinBodyBytes) return std::nullopt;
  ParsedHello parsed;
  parsed.body_without_signature = body.first(body.size() - kHelloSignatureBytes);

  ByteReader in(parsed.body_without_signature);
  Hello& hello = parsed.hello;
  hello.version = in.u8();
  hello.features = in.u32();
  hello.aeads = in.u8();
  hello.max_datagram = in.u16();
  hello.stream_window = in.u64();
  hello.session_window = in.u64();
  hello.max_message = in.u32();
  hello.entity_id = in.array<32>();
  hello.signature = ByteReader(body.last(kHelloSignatureBytes)).array<kHelloSignatureBytes>();
  if (hello.version == 0) return std::nullopt;
  return parsed;
}

}  // namespace

Bytes hello_signed_bytes(bool initiator, ByteSpan handshake_hash, ByteSpan body_without_signature) {
  const ByteSpan label = as_byte_span(initiator ? kInitiatorLabel : kResponderLabel);
  Bytes out(label.size() + handshake_hash.size() + body_without_signature.size());
  ByteWriter to(out);
  to.bytes(label);
  to.bytes(handshake_hash);
  to.bytes(body_without_signature);
  return out;
}

void write_hello(const Hello& hello, Bytes& out) {
  const std::size_t start = out.size();
  out.resize(start + kHelloBytes);
  ByteWriter to(MutableByteSpan(out).subspan(start));
  to.bytes(as_byte_span(kHelloMagic));
  to.u16(static_cast<std::uint16_t>(kMinBodyBytes));
  to.u8(hello.version);
  to.u32(hello.features);
  to.u8(hello.aeads);
  to.u16(hello.max_datagram);
  to.u64(hello.stream_window);
  to.u64(hello.session_window);
  to.u32(hello.max_message);
  to.bytes(hello.entity_id);
  to.bytes(hello.signature);
  NM_ASSERT(to.ok() && to.remaining() == 0);
}

HelloResult parse_hello(ByteSpan payload) {
  HelloResult result;
  if (!starts_with(payload, kHelloMagic)) return result;

  ByteReader in(payload.subspan(kHelloMagic.size()));
  const std::size_t length = in.u16();
  // What follows the body is no part of the hello; it is skipped, as base nodes skip all of it.
  const ByteSpan body = in.bytes(length);
  if (in.ok()) result.parsed = parse_body(body);
  result.presence = result.parsed ? HelloPresence::kPresent : HelloPresence::kMalformed;
  return result;
}

}  // namespace netmesh::wire
