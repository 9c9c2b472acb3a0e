#include "session/key_agreement.h"

#include <string_view>

#include "crypto/hash.h"

namespace netmesh::session {
namespace {

constexpr std::string_view kRequestLabel = "netmesh-rekey-request-v1";
constexpr std::string_view kReplyLabel = "netmesh-rekey-reply-v1";
constexpr std::string_view kSecretLabel = "netmesh-rekey-secret-v1";

void append(Bytes& out, ByteSpan bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

Bytes transcript(std::string_view label, const AgreementBinding& binding, ByteSpan request,
                 ByteSpan reply) {
  Bytes out;
  append(out, as_byte_span(label));
  append(out, binding.handshake_hash);
  std::array<std::byte, 8> generation{};
  store_le<std::uint64_t>(generation.data(), binding.generation);
  append(out, generation);
  append(out, request);
  append(out, reply);
  return out;
}

std::optional<crypto::SecretKey> agreed_secret(const AgreementBinding& binding,
                                               const crypto::SecretKey& own, ByteSpan theirs,
                                               ByteSpan request, ByteSpan reply) {
  crypto::SecretKey shared;
  if (!crypto::x25519(shared, own, theirs)) return std::nullopt;
  crypto::Key digest =
      crypto::blake2s_keyed(shared.bytes(), transcript(kSecretLabel, binding, request, reply));
  crypto::SecretKey out(digest);
  crypto::wipe(digest);
  return out;
}

}  // namespace

KeyAgreement::KeyAgreement(const identity::LocalIdentity& identity, const AgreementBinding& binding,
                           RandomSource& random)
    : binding_(binding), ephemeral_(crypto::X25519KeyPair::generate(random)) {
  frame_.generation = binding.generation;
  frame_.ephemeral = ephemeral_.public_key;
  frame_.signature =
      identity.signing_key.sign(transcript(kRequestLabel, binding, frame_.ephemeral, {}));
}

std::optional<crypto::SecretKey> KeyAgreement::finish(const crypto::Key& peer,
                                                      const wire::RekeyFrame& reply) const {
  const Bytes signed_bytes = transcript(kReplyLabel, binding_, frame_.ephemeral, reply.ephemeral);
  if (!crypto::verify_signature(peer, signed_bytes, reply.signature)) return std::nullopt;
  return agreed_secret(binding_, ephemeral_.secret, reply.ephemeral, frame_.ephemeral,
                       reply.ephemeral);
}

std::optional<AgreementAnswer> answer_agreement(const identity::LocalIdentity& identity,
                                                const crypto::Key& peer,
                                                const AgreementBinding& binding,
                                                const wire::RekeyFrame& request,
                                                RandomSource& random) {
  if (!crypto::verify_signature(peer, transcript(kRequestLabel, binding, request.ephemeral, {}),
                                request.signature)) {
    return std::nullopt;
  }
  const auto own = crypto::X25519KeyPair::generate(random);
  auto agreed =
      agreed_secret(binding, own.secret, request.ephemeral, request.ephemeral, own.public_key);
  if (!agreed) return std::nullopt;
  AgreementAnswer answer;
  answer.reply.reply = true;
  answer.reply.generation = binding.generation;
  answer.reply.ephemeral = own.public_key;
  answer.reply.signature = identity.signing_key.sign(
      transcript(kReplyLabel, binding, request.ephemeral, own.public_key));
  answer.agreed = std::move(*agreed);
  return answer;
}

}  // namespace netmesh::session
