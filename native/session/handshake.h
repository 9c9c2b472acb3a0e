#pragma once
// From Noise messages to session keys, for base and modern peers alike (spec 10 §5,
// docs/protocol.md).

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/random.h"
#include "crypto/aead.h"
#include "crypto/noise.h"
#include "crypto/secret.h"
#include "identity/entity.h"
#include "wire/hello.h"

namespace netmesh::session {

/// What this node brings into every handshake. Owned by the node, outlives its handshakes.
struct HandshakeContext {
  identity::LocalIdentity identity;
  crypto::SecretKey psk;
  bool allow_legacy = true;
  std::uint8_t aeads = 0;  ///< offered, a bit set of crypto::AeadAlgorithm
  std::uint16_t max_datagram = 0;
  std::uint64_t stream_window = 0;
  std::uint64_t session_window = 0;
  std::uint32_t max_message = 0;
  std::uint32_t features = wire::feature::kAll;
};

/// The outcome of a handshake: everything that a session starts from.
struct Established {
  NodeId peer;
  SessionId session_id;
  crypto::Key handshake_hash{};  ///< what signatures within the session refer to
  bool initiator = false;
  bool modern = false;
  crypto::AeadAlgorithm aead = crypto::AeadAlgorithm::kChaCha20Poly1305;
  crypto::SecretKey send_key;
  crypto::SecretKey receive_key;
  std::optional<wire::Hello> peer_hello;  ///< verified; modern only
};

/// `"net-handshake-v1" ‖ u64le low32(initiator) ‖ u64le low32(responder)`.
std::array<std::byte, 32> make_prologue(std::uint32_t initiator_routing_id,
                                        std::uint32_t responder_routing_id);

/// One attempt of an initiator: a fresh ephemeral, one msg1 (sent as often as needed), one msg2.
class InitiatorHandshake {
 public:
  /// Nothing when `responder_static` is not a usable key.
  static std::optional<InitiatorHandshake> create(const HandshakeContext& context,
                                                  const crypto::Key& responder_static,
                                                  NodeId responder, RandomSource& random);

  /// The Noise message; its payload is our node id and hello.
  const Bytes& message1() const { return message1_; }

  /// Fails without changing anything, so that forged replies do no harm. Error kinds: kConnection
  /// for a reply that does not verify, kFatal for a verified peer that policy or identity refuse.
  Expected<Established> read_message2(ByteSpan message) const;

 private:
  InitiatorHandshake(const HandshakeContext& context, NodeId responder,
                     crypto::NoiseInitiator noise)
      : context_(&context), responder_(responder), noise_(std::move(noise)) {}

  const HandshakeContext* context_;
  NodeId responder_;
  crypto::NoiseInitiator noise_;
  Bytes message1_;
};

/// What a responder makes of one msg1.
struct ResponderOutcome {
  Established established;
  Bytes message2;
};

/// Answers a msg1. `claimed_routing_id` went into the prologue (from a routing header, the hint or
/// a pending accept). `expected_peer`: the id that a pending accept names; for base peers that do
/// not send their id it is the peer's id. Fails with kConnection for what does not decrypt (answer
/// nothing, count it) and kFatal for a peer that policy or identity refuse.
Expected<ResponderOutcome> respond(const HandshakeContext& context, ByteSpan message1,
                                   std::uint32_t claimed_routing_id,
                                   std::optional<NodeId> expected_peer, RandomSource& random);

}  // namespace netmesh::session
