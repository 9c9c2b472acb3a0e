#include "crypto/curve.h"

#include <sodium.h>

#include "base/assert.h"

namespace netmesh::crypto {
namespace {

const unsigned char* in(ByteSpan bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(MutableByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

SecretKey random_secret(RandomSource& random) {
  SecretKey secret;
  random.fill(secret.mutable_bytes());
  return secret;
}

}  // namespace

X25519KeyPair X25519KeyPair::from_secret(ByteSpan secret32) {
  X25519KeyPair pair;
  pair.secret = SecretKey(secret32);
  crypto_scalarmult_base(out(pair.public_key), in(pair.secret.bytes()));
  return pair;
}

X25519KeyPair X25519KeyPair::generate(RandomSource& random) {
  return from_secret(random_secret(random).bytes());
}

X25519KeyPair X25519KeyPair::clone() const { return {secret.clone(), public_key}; }

bool x25519(SecretKey& shared, const SecretKey& secret, ByteSpan public_key) {
  NM_ASSERT(public_key.size() == crypto_scalarmult_BYTES);
  // libsodium refuses both known low-order points and an all-zero result.
  if (crypto_scalarmult(out(shared.mutable_bytes()), in(secret.bytes()), in(public_key)) == 0)
    return true;
  wipe(shared.mutable_bytes());
  return false;
}

SigningKey SigningKey::from_seed(ByteSpan seed32) {
  SigningKey key;
  key.seed_ = SecretKey(seed32);
  std::array<std::byte, crypto_sign_SECRETKEYBYTES> secret;
  crypto_sign_seed_keypair(out(key.public_key_), out(secret), in(key.seed_.bytes()));
  wipe(secret);
  return key;
}

SigningKey SigningKey::generate(RandomSource& random) {
  return from_seed(random_secret(random).bytes());
}

Signature SigningKey::sign(ByteSpan message) const {
  // libsodium's 64-byte secret key is the seed followed by the public key.
  static_assert(crypto_sign_SECRETKEYBYTES == 2 * kKeyBytes);
  std::array<std::byte, crypto_sign_SECRETKEYBYTES> secret;
  std::memcpy(secret.data(), seed_.bytes().data(), kKeyBytes);
  std::memcpy(secret.data() + kKeyBytes, public_key_.data(), kKeyBytes);
  Signature signature;
  crypto_sign_detached(out(signature), nullptr, in(message), message.size(), in(secret));
  wipe(secret);
  return signature;
}

SigningKey SigningKey::clone() const {
  SigningKey copy;
  copy.seed_ = seed_.clone();
  copy.public_key_ = public_key_;
  return copy;
}

bool verify_signature(ByteSpan public_key, ByteSpan message, ByteSpan signature) {
  if (public_key.size() != crypto_sign_PUBLICKEYBYTES || signature.size() != crypto_sign_BYTES)
    return false;
  return crypto_sign_verify_detached(in(signature), in(message), message.size(), in(public_key)) ==
         0;
}

}  // namespace netmesh::crypto
