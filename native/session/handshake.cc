#include "session/handshake.h"

#include <bit>
#include <cstring>

#include "crypto/hash.h"

namespace netmesh::session {
namespace {

constexpr std::string_view kPrologueLabel = "net-handshake-v1";
constexpr std::size_t kNodeIdBytes = 8;
/// A peer that receives less than this could not even take its own control frames.
constexpr std::uint16_t kMinDatagramBytes = 256;

wire::Hello make_hello(const HandshakeContext& context, std::uint8_t aeads) {
  wire::Hello hello;
  hello.features = context.features;
  hello.aeads = aeads;
  hello.max_datagram = context.max_datagram;
  hello.stream_window = context.stream_window;
  hello.session_window = context.session_window;
  hello.max_message = context.max_message;
  hello.entity_id = context.identity.entity_id();
  return hello;
}

/// Appends our hello, signed for this handshake.
void append_signed_hello(const HandshakeContext& context, bool initiator, const crypto::Key& hash,
                         std::uint8_t aeads, Bytes& out) {
  wire::Hello hello = make_hello(context, aeads);
  Bytes unsigned_hello;
  wire::write_hello(hello, unsigned_hello);
  const ByteSpan body =
      ByteSpan(unsigned_hello)
          .subspan(wire::kHelloBytes - wire::kHelloFieldBytes - wire::kHelloSignatureBytes,
                   wire::kHelloFieldBytes);
  const Bytes signed_bytes = wire::hello_signed_bytes(initiator, hash, body);
  hello.signature = context.identity.signing_key.sign(signed_bytes);
  wire::write_hello(hello, out);
}

std::uint8_t aead_bit(crypto::AeadAlgorithm algorithm) {
  return static_cast<std::uint8_t>(algorithm);
}

crypto::AeadAlgorithm choose_aead(std::uint8_t common) {
  return (common & aead_bit(crypto::AeadAlgorithm::kAes256Gcm)) != 0
             ? crypto::AeadAlgorithm::kAes256Gcm
             : crypto::AeadAlgorithm::kChaCha20Poly1305;
}

/// The peer's verified hello; nothing for a base peer; an error when it must be refused.
Expected<std::optional<wire::Hello>> verify_hello(ByteSpan payload, bool from_initiator,
                                                  const crypto::Key& hash) {
  const wire::HelloResult result = wire::parse_hello(payload);
  switch (result.presence) {
    case wire::HelloPresence::kAbsent:
      return std::optional<wire::Hello>();
    case wire::HelloPresence::kMalformed:
      return fail(ErrorKind::kFatal, "handshake refused: malformed hello");
    case wire::HelloPresence::kPresent:
      break;
  }
  const wire::Hello& hello = result.parsed->hello;
  const Bytes signed_bytes =
      wire::hello_signed_bytes(from_initiator, hash, result.parsed->body_without_signature);
  if (!crypto::verify_signature(hello.entity_id, signed_bytes, hello.signature)) {
    return fail(ErrorKind::kFatal,
                "handshake refused: the peer's identity signature does not verify");
  }
  if (hello.version != wire::kHelloVersion || hello.max_datagram < kMinDatagramBytes ||
      hello.stream_window == 0 || hello.session_window == 0 ||
      hello.stream_window >= (1ULL << 62) || hello.session_window >= (1ULL << 62)) {
    return fail(ErrorKind::kFatal, "handshake refused: unusable limits in the peer's hello");
  }
  return std::optional<wire::Hello>(hello);
}

Established establish(NodeId peer, bool initiator, crypto::NoiseResult noise,
                      std::optional<wire::Hello> hello, crypto::AeadAlgorithm aead) {
  Established out;
  out.peer = peer;
  out.handshake_hash = noise.handshake_hash;
  out.session_id = SessionId{load_le<std::uint64_t>(noise.handshake_hash.data())};
  out.initiator = initiator;
  out.modern = hello.has_value();
  out.peer_hello = hello;
  crypto::SecretKey to_responder;
  crypto::SecretKey to_initiator;
  if (out.modern) {
    out.aead = aead;
    to_responder = std::move(noise.initiator_to_responder);
    to_initiator = std::move(noise.responder_to_initiator);
  } else {
    to_responder = crypto::derive_session_key(noise.handshake_hash, "initiator-tx");
    to_initiator = crypto::derive_session_key(noise.handshake_hash, "initiator-rx");
  }
  out.send_key = std::move(initiator ? to_responder : to_initiator);
  out.receive_key = std::move(initiator ? to_initiator : to_responder);
  return out;
}

}  // namespace

std::array<std::byte, 32> make_prologue(std::uint32_t initiator_routing_id,
                                        std::uint32_t responder_routing_id) {
  std::array<std::byte, 32> out;
  std::memcpy(out.data(), kPrologueLabel.data(), kPrologueLabel.size());
  store_le<std::uint64_t>(out.data() + 16, initiator_routing_id);
  store_le<std::uint64_t>(out.data() + 24, responder_routing_id);
  return out;
}

std::optional<InitiatorHandshake> InitiatorHandshake::create(const HandshakeContext& context,
                                                             const crypto::Key& responder_static,
                                                             NodeId responder,
                                                             RandomSource& random) {
  const auto prologue = make_prologue(routing_id(context.identity.node_id), routing_id(responder));
  InitiatorHandshake handshake(context, responder,
                               crypto::NoiseInitiator(prologue, context.psk, responder_static,
                                                      crypto::X25519KeyPair::generate(random)));
  const auto hash = handshake.noise_.hash_before_payload1();
  if (!hash) return std::nullopt;
  Bytes payload(kNodeIdBytes);
  store_le<std::uint64_t>(payload.data(), context.identity.node_id.value);
  append_signed_hello(context, true, *hash, context.aeads, payload);
  auto message = handshake.noise_.write_message1(payload);
  if (!message) return std::nullopt;
  handshake.message1_ = std::move(*message);
  return handshake;
}

Expected<Established> InitiatorHandshake::read_message2(ByteSpan message) const {
  auto message2 = noise_.read_message2(message);
  if (!message2) {
    return fail(ErrorKind::kConnection,
                "read_message failed: handshake error: read_message failed: decrypt error");
  }
  auto hello = verify_hello(message2->payload, false, message2->hash_before_payload);
  if (!hello) return tl::unexpected<Error>(std::move(hello.error()));
  crypto::AeadAlgorithm aead = crypto::AeadAlgorithm::kChaCha20Poly1305;
  if (!*hello) {
    if (!context_->allow_legacy) {
      return fail(ErrorKind::kFatal,
                  "handshake refused: the peer is a legacy node and legacyPeers is 'deny'");
    }
  } else {
    const wire::Hello& peer = **hello;
    if (identity::derive_node_id(peer.entity_id) != responder_) {
      return fail(ErrorKind::kFatal,
                  "handshake refused: the peer proved another identity than the node id asked for");
    }
    if (!std::has_single_bit(peer.aeads) || (peer.aeads & context_->aeads) == 0) {
      return fail(ErrorKind::kFatal, "handshake refused: the peer chose no AEAD that was offered");
    }
    aead = choose_aead(peer.aeads);
  }
  return establish(responder_, true, std::move(message2->result), *hello, aead);
}

Expected<ResponderOutcome> respond(const HandshakeContext& context, ByteSpan message1,
                                   std::uint32_t claimed_routing_id,
                                   std::optional<NodeId> expected_peer, RandomSource& random) {
  const auto prologue = make_prologue(claimed_routing_id, routing_id(context.identity.node_id));
  crypto::NoiseResponder noise(prologue, context.psk, context.identity.noise_static);
  auto received = noise.read_message1(message1);
  if (!received)
    return fail(ErrorKind::kConnection, "read_message failed: handshake error: decrypt error");

  NodeId peer = expected_peer.value_or(NodeId{});
  std::optional<wire::Hello> hello;
  if (received->payload.size() >= kNodeIdBytes) {
    const NodeId stated{load_le<std::uint64_t>(received->payload.data())};
    auto verified = verify_hello(ByteSpan(received->payload).subspan(kNodeIdBytes), true,
                                 received->hash_before_payload);
    if (!verified) return tl::unexpected<Error>(std::move(verified.error()));
    hello = *verified;
    if (routing_id(stated) != claimed_routing_id) {
      return fail(ErrorKind::kFatal,
                  "handshake refused: the peer's node id does not match its routing id");
    }
    if (expected_peer && *expected_peer != stated && hello) {
      return fail(ErrorKind::kFatal, "handshake refused: another peer than the one accepted");
    }
    if (!expected_peer) peer = stated;
    if (hello && identity::derive_node_id(hello->entity_id) != stated) {
      return fail(ErrorKind::kFatal,
                  "handshake refused: the peer's node id is not derived from its identity");
    }
  }
  if (peer == NodeId{})
    return fail(ErrorKind::kFatal, "handshake refused: the peer's node id is unknown or zero");
  if (peer == context.identity.node_id)
    return fail(ErrorKind::kFatal, "handshake refused: the peer is this node");
  if (!hello && !context.allow_legacy) {
    return fail(ErrorKind::kFatal,
                "handshake refused: the peer is a legacy node and legacyPeers is 'deny'");
  }
  std::uint8_t common = 0;
  crypto::AeadAlgorithm aead = crypto::AeadAlgorithm::kChaCha20Poly1305;
  if (hello) {
    common = hello->aeads & context.aeads;
    if (common == 0) return fail(ErrorKind::kFatal, "handshake refused: no AEAD in common");
    aead = choose_aead(common);
  }
  auto hash = noise.begin_message2(crypto::X25519KeyPair::generate(random));
  if (!hash)
    return fail(ErrorKind::kConnection, "handshake error: the peer's ephemeral key is not usable");
  Bytes payload2;
  if (hello) append_signed_hello(context, false, *hash, aead_bit(aead), payload2);
  auto message2 = noise.write_message2(payload2);
  return ResponderOutcome{establish(peer, false, std::move(message2.result), hello, aead),
                          std::move(message2.message)};
}

}  // namespace netmesh::session
