#include "identity/envelope.h"

#include <algorithm>
#include <string>

#include "crypto/hash.h"
#include "crypto/xchacha20.h"

namespace netmesh::identity {
namespace {

/// What the signature covers: the target's key and the link. Not the sealed seed, so that `open`
/// has to compare the seed with the signer.
std::array<std::byte, 64> signed_text(const crypto::Key& target, CausalLink link) {
  std::array<std::byte, 64> text;
  std::copy(target.begin(), target.end(), text.begin());
  std::copy(link.begin(), link.end(), text.begin() + 32);
  return text;
}

crypto::SecretKey sealing_key(const crypto::SecretKey& shared) {
  crypto::Key digest = crypto::blake2s_keyed(as_byte_span("net-identity-envelope"), shared.bytes());
  crypto::SecretKey key(digest);
  crypto::wipe(digest);
  return key;
}

/// A nonce need not be random: each envelope has a key of its own.
crypto::Key nonce_digest(const crypto::Key& ephemeral, const crypto::Key& target) {
  std::array<std::byte, 64> text;
  std::copy(ephemeral.begin(), ephemeral.end(), text.begin());
  std::copy(target.begin(), target.end(), text.begin() + 32);
  return crypto::blake2s_keyed(as_byte_span("net-identity-nonce"), text);
}

ByteSpan nonce_of(const crypto::Key& digest) {
  return ByteSpan(digest).first(crypto::kXChaChaNonceBytes);
}

}  // namespace

std::string_view envelope_failure_name(EnvelopeFailure failure) {
  switch (failure) {
    case EnvelopeFailure::kInvalidLength:
      return "invalid_length";
    case EnvelopeFailure::kUnknownVersion:
      return "unknown_version";
    case EnvelopeFailure::kUnexpectedSigner:
      return "unexpected_signer";
    case EnvelopeFailure::kInvalidSignature:
      return "invalid_signature";
    case EnvelopeFailure::kWrongTarget:
      return "wrong_target";
    case EnvelopeFailure::kNotSealedHere:
      return "not_sealed_here";
    case EnvelopeFailure::kForeignSeed:
      return "foreign_seed";
  }
  return "invalid_length";
}

Error to_error(EnvelopeFailure failure) {
  return {ErrorKind::kIdentity,
          "identity: envelope: " + std::string(envelope_failure_name(failure))};
}

EnvelopeResult<Envelope> seal_identity(const crypto::SigningKey& daemon, const crypto::Key& target,
                                       CausalLink link, RandomSource& random) {
  const auto ephemeral = crypto::X25519KeyPair::generate(random);
  crypto::SecretKey shared;
  if (!crypto::x25519(shared, ephemeral.secret, target))
    return tl::unexpected(EnvelopeFailure::kWrongTarget);

  Envelope out;
  ByteWriter writer(out);
  writer.u8(kEnvelopeVersion);
  writer.bytes(target);
  writer.bytes(ephemeral.public_key);
  const MutableByteSpan seed = writer.reserve(crypto::kKeyBytes);
  const MutableByteSpan tag = writer.reserve(crypto::kXChaChaTagBytes);
  const ByteSpan secret = daemon.seed();
  std::copy(secret.begin(), secret.end(), seed.begin());
  crypto::xchacha20_seal(sealing_key(shared), nonce_of(nonce_digest(ephemeral.public_key, target)),
                         link, seed, tag);
  writer.bytes(daemon.public_key());
  writer.bytes(daemon.sign(signed_text(target, link)));
  return out;
}

EnvelopeResult<crypto::SigningKey> open_identity(ByteSpan envelope,
                                                 const crypto::X25519KeyPair& target,
                                                 CausalLink link, const EntityId* expected_signer) {
  if (envelope.size() != kEnvelopeBytes) return tl::unexpected(EnvelopeFailure::kInvalidLength);
  ByteReader reader(envelope);
  if (reader.u8() != kEnvelopeVersion) return tl::unexpected(EnvelopeFailure::kUnknownVersion);
  const crypto::Key sealed_to = reader.array<32>();
  const crypto::Key ephemeral = reader.array<32>();
  crypto::SecretKey seed(reader.bytes(crypto::kKeyBytes));  // still encrypted
  const ByteSpan tag = reader.bytes(crypto::kXChaChaTagBytes);
  const EntityId signer = reader.array<32>();
  const crypto::Signature signature = reader.array<64>();

  if (expected_signer != nullptr && signer != *expected_signer)
    return tl::unexpected(EnvelopeFailure::kUnexpectedSigner);
  if (sealed_to != target.public_key) return tl::unexpected(EnvelopeFailure::kWrongTarget);
  if (!crypto::verify_signature(signer, signed_text(sealed_to, link), signature))
    return tl::unexpected(EnvelopeFailure::kInvalidSignature);
  crypto::SecretKey shared;
  if (!crypto::x25519(shared, target.secret, ephemeral) ||
      !crypto::xchacha20_open(sealing_key(shared), nonce_of(nonce_digest(ephemeral, sealed_to)),
                              link, seed.mutable_bytes(), tag)) {
    return tl::unexpected(EnvelopeFailure::kNotSealedHere);
  }
  crypto::SigningKey key = crypto::SigningKey::from_seed(seed.bytes());
  if (key.public_key() != signer) return tl::unexpected(EnvelopeFailure::kForeignSeed);
  return key;
}

}  // namespace netmesh::identity
