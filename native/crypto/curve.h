#pragma once
// X25519 for the handshake, Ed25519 for identities.

#include "base/random.h"
#include "crypto/secret.h"

namespace netmesh::crypto {

struct X25519KeyPair {
  SecretKey secret;
  Key public_key{};

  static X25519KeyPair from_secret(ByteSpan secret32);
  static X25519KeyPair generate(RandomSource& random);
  X25519KeyPair clone() const;
};

/// False when the result is all zero (a low-order public key): the handshake must fail then.
[[nodiscard]] bool x25519(SecretKey& shared, const SecretKey& secret, ByteSpan public_key);

/// An Ed25519 signing key, expanded once from its 32-byte seed.
class SigningKey {
 public:
  static SigningKey from_seed(ByteSpan seed32);
  static SigningKey generate(RandomSource& random);

  const Key& public_key() const { return public_key_; }
  ByteSpan seed() const { return seed_.bytes(); }
  Signature sign(ByteSpan message) const;
  SigningKey clone() const;

 private:
  SigningKey() = default;
  SecretKey seed_;
  Key public_key_{};
};

[[nodiscard]] bool verify_signature(ByteSpan public_key, ByteSpan message, ByteSpan signature);

}  // namespace netmesh::crypto
