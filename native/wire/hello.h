#pragma once
// The extension hello inside handshake payloads: how two netmesh nodes recognise each other
// (DESIGN §2, docs/protocol.md "Hello").

#include <array>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"

namespace netmesh::wire {

inline constexpr std::uint8_t kHelloVersion = 1;
inline constexpr std::size_t kHelloSignatureBytes = 64;

/// Bits of `Hello::features`; each is used only if both hellos have it.
namespace feature {
/// Key phases and REKEY frames (docs/protocol.md "Keys in use").
inline constexpr std::uint32_t kKeyUpdate = 1;
/// PATH_CHALLENGE is answered: the peer may be followed to a new address.
inline constexpr std::uint32_t kPathValidation = 2;
/// PEER_INFO and reset datagrams.
inline constexpr std::uint32_t kReset = 4;
/// Control protocols on reserved streams (docs/protocol.md "Control protocols").
inline constexpr std::uint32_t kControlStreams = 8;
inline constexpr std::uint32_t kAll = kKeyUpdate | kPathValidation | kReset | kControlStreams;
}  // namespace feature

/// `"NMX1" ‖ u16 length ‖ body`, body = the fields below in this order, then the signature as the
/// last 64 bytes. Bytes between the known fields and the signature belong to later versions: they
/// are covered by the signature and skipped.
struct Hello {
  std::uint8_t version = kHelloVersion;
  std::uint32_t features = 0;
  std::uint8_t aeads = 0;            ///< bit set of crypto::AeadAlgorithm; msg2 has exactly one bit
  std::uint16_t max_datagram = 0;    ///< largest UDP payload that this node receives
  std::uint64_t stream_window = 0;   ///< bytes per stream that the peer may send unasked
  std::uint64_t session_window = 0;  ///< bytes over all streams, likewise
  std::uint32_t max_message = 0;     ///< largest event that this node takes
  std::array<std::byte, 32> entity_id{};
  std::array<std::byte, kHelloSignatureBytes> signature{};

  friend bool operator==(const Hello&, const Hello&) = default;
};

inline constexpr std::size_t kHelloFieldBytes = 1 + 4 + 1 + 2 + 8 + 8 + 4 + 32;
inline constexpr std::size_t kHelloBytes = 6 + kHelloFieldBytes + kHelloSignatureBytes;

/// The bytes that the signature covers: label ‖ handshake hash ‖ body without the signature.
/// The label is `netmesh-hello-initiator-v1` or `netmesh-hello-responder-v1`.
Bytes hello_signed_bytes(bool initiator, ByteSpan handshake_hash, ByteSpan body_without_signature);

/// Appends `hello` to `out`.
void write_hello(const Hello& hello, Bytes& out);

struct ParsedHello {
  Hello hello;
  ByteSpan body_without_signature;  ///< points into the parsed payload
};

enum class HelloPresence {
  kAbsent,     ///< no hello: a base peer
  kMalformed,  ///< starts with the magic but does not parse: the session must be refused
  kPresent,
};

struct HelloResult {
  HelloPresence presence = HelloPresence::kAbsent;
  std::optional<ParsedHello> parsed;
};

/// Looks for a hello at the start of `payload` (payload1 without its 8 node id bytes, or payload2).
HelloResult parse_hello(ByteSpan payload);

}  // namespace netmesh::wire
