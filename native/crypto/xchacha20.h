#pragma once
// XChaCha20-Poly1305 for single messages whose nonce is random or derived: 24 bytes do not collide.
// Packets use `AeadKey`, whose nonces count.

#include "crypto/secret.h"

namespace netmesh::crypto {

inline constexpr std::size_t kXChaChaNonceBytes = 24;
inline constexpr std::size_t kXChaChaTagBytes = 16;

/// Encrypts `text` in place and writes the 16-byte tag to `tag16`.
void xchacha20_seal(const SecretKey& key, ByteSpan nonce24, ByteSpan aad, MutableByteSpan text,
                    MutableByteSpan tag16);
/// Verifies and decrypts `text` in place; on failure returns false, and `text` is all zero.
[[nodiscard]] bool xchacha20_open(const SecretKey& key, ByteSpan nonce24, ByteSpan aad,
                                  MutableByteSpan text, ByteSpan tag16);

}  // namespace netmesh::crypto
