#pragma once
// The AEADs of the OpenSSL that the process already carries: Node exports its own.

#include <memory>

#include "crypto/aead.h"

namespace netmesh::crypto {

/// Packets of at least this many bytes gain from OpenSSL, whose AES-GCM and ChaCha20-Poly1305 run
/// about twice as fast as libsodium's; below, its per-call cost outweighs that.
inline constexpr std::size_t kOpenSslMinBytes = 512;

/// One direction of one key. Not thread-safe.
class OpenSslAead {
 public:
  enum class Direction { kSeal, kOpen };

  /// Null when the process has no usable OpenSSL; libsodium does the work then.
  static std::unique_ptr<OpenSslAead> create(AeadAlgorithm algorithm, Direction direction,
                                             ByteSpan key32);
  ~OpenSslAead();
  OpenSslAead(const OpenSslAead&) = delete;
  OpenSslAead& operator=(const OpenSslAead&) = delete;

  /// In place. False when OpenSSL refuses (never for valid sizes); `text` is then unspecified.
  [[nodiscard]] bool seal(ByteSpan nonce12, ByteSpan aad, MutableByteSpan text,
                          MutableByteSpan tag16);
  /// In place. On failure `text` is all zero.
  [[nodiscard]] bool open(ByteSpan nonce12, ByteSpan aad, MutableByteSpan text, ByteSpan tag16);

 private:
  explicit OpenSslAead(void* context) : context_(context) {}
  void* context_;  ///< EVP_CIPHER_CTX
};

}  // namespace netmesh::crypto
