#pragma once
// Authenticated encryption of packets, in place or out of place.

#include <cstdint>
#include <memory>

#include "crypto/secret.h"

namespace netmesh::crypto {

inline constexpr std::size_t kAeadTagBytes = 16;
inline constexpr std::size_t kAeadNonceBytes = 12;

/// Values are the bits of the extension hello (docs/protocol.md).
enum class AeadAlgorithm : std::uint8_t { kChaCha20Poly1305 = 1, kAes256Gcm = 2 };

/// Whether this processor runs AES-256-GCM in constant time at full speed.
bool aes256gcm_available();

/// One key of one direction, expanded once. Not copyable; movable; wiped on destruction.
/// Any thread may use it, one at a time.
class AeadKey {
 public:
  AeadKey();
  /// `algorithm` kAes256Gcm requires `aes256gcm_available()`.
  AeadKey(AeadAlgorithm algorithm, const SecretKey& key);
  AeadKey(AeadKey&&) noexcept;
  AeadKey& operator=(AeadKey&&) noexcept;
  ~AeadKey();

  AeadAlgorithm algorithm() const { return algorithm_; }

  /// Encrypts `text` in place and writes the 16-byte tag to `tag`.
  void seal(ByteSpan nonce12, ByteSpan aad, MutableByteSpan text, MutableByteSpan tag16) const;
  /// Verifies and decrypts `text` in place; on failure returns false, and `text` is all zero.
  [[nodiscard]] bool open(ByteSpan nonce12, ByteSpan aad, MutableByteSpan text,
                          ByteSpan tag16) const;

 private:
  AeadAlgorithm algorithm_ = AeadAlgorithm::kChaCha20Poly1305;
  SecretKey key_;
  /// libsodium's expanded AES state (512 bytes, 16-aligned) when the algorithm is AES, else null.
  struct AesState;
  std::unique_ptr<AesState> aes_;
  /// OpenSSL's state for large packets, made when the first one comes; a key serves one direction.
  struct LargePackets;
  LargePackets& large_packets() const;
  mutable std::unique_ptr<LargePackets> large_;
};

}  // namespace netmesh::crypto
