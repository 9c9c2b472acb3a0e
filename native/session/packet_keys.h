#pragma once
// The keys of one modern session over time: ratchets, key phases, and keys agreed upon anew
// (docs/protocol.md "Keys in use", RFC 9001 §6).

#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "crypto/secret.h"

namespace netmesh::session {

/// Each direction has its own chain of keys and its own phase bit, which its sender alone turns.
/// An update derives the next key one way from the present one and, when a fresh secret was agreed
/// upon, from that as well. Not thread-safe.
class PacketKeys {
 public:
  /// RFC 9001 §6.6: packets under one AES-256-GCM key. ChaCha20-Poly1305 has no practical limit.
  static constexpr std::uint64_t kAesSealLimit = 1ULL << 23;
  static constexpr std::uint64_t kAesUpdateAfter = 1ULL << 22;
  static constexpr std::uint64_t kChaChaUpdateAfter = 1ULL << 32;
  /// RFC 9001 §6.6: packets that did not verify, over the life of the session.
  static constexpr std::uint64_t kAesForgeryLimit = 1ULL << 52;
  static constexpr std::uint64_t kChaChaForgeryLimit = 1ULL << 36;
  /// How long packets under the previous key are still opened.
  static constexpr Duration kOldKeyLife = std::chrono::seconds(10);

  PacketKeys(crypto::AeadAlgorithm algorithm, crypto::SecretKey send, crypto::SecretKey receive);

  crypto::AeadAlgorithm algorithm() const { return algorithm_; }

  // --- sending ---
  bool send_phase() const { return send_phase_; }
  void seal(ByteSpan nonce, ByteSpan aad, MutableByteSpan text, MutableByteSpan tag) {
    ++sealed_;
    seal_key_.seal(nonce, aad, text, tag);
  }
  /// Packets sealed under the present key.
  std::uint64_t sealed() const { return sealed_; }
  /// No further packet may be sealed under the present key.
  bool exhausted() const {
    return algorithm_ == crypto::AeadAlgorithm::kAes256Gcm && sealed_ >= kAesSealLimit;
  }
  std::uint64_t default_update_after() const {
    return algorithm_ == crypto::AeadAlgorithm::kAes256Gcm ? kAesUpdateAfter : kChaChaUpdateAfter;
  }
  /// The peer acknowledged packets up to `largest`.
  void on_acknowledged(std::uint64_t largest) {
    if (largest >= send_phase_begin_) phase_acknowledged_ = true;
  }
  /// The peer has the present key, so that the phase bit can tell the next one from it.
  bool may_update() const { return phase_acknowledged_; }
  /// Turns the phase; `next_number` is the first packet under the new key, `agreed` a fresh secret
  /// to mix in, or empty.
  void update_send(std::uint64_t next_number, ByteSpan agreed);

  // --- receiving ---
  enum class Opened {
    kFailed,
    kVerified,
    kUpdated,  ///< verified, and the peer turned its phase with it
  };
  Opened open(TimePoint now, std::uint64_t number, bool phase, ByteSpan nonce, ByteSpan aad,
              MutableByteSpan text, ByteSpan tag);
  /// The peer's next update mixes `agreed` in.
  void agree(ByteSpan agreed);
  /// Forgets the previous key when its time is over.
  void expire(TimePoint now);
  std::uint64_t forgeries() const { return forgeries_; }
  bool forgery_limit_reached() const {
    return forgeries_ >= (algorithm_ == crypto::AeadAlgorithm::kAes256Gcm ? kAesForgeryLimit
                                                                          : kChaChaForgeryLimit);
  }
  /// Key updates of both directions so far.
  std::uint64_t updates() const { return updates_; }

 private:
  /// `BLAKE2s(key = present, label ‖ agreed)`.
  static crypto::SecretKey next_secret(const crypto::SecretKey& present, ByteSpan agreed);
  struct Receiving {
    crypto::SecretKey secret;
    crypto::AeadKey key;
  };

  crypto::AeadAlgorithm algorithm_;
  crypto::SecretKey send_secret_;
  crypto::AeadKey seal_key_;
  std::uint64_t send_phase_begin_ = 0;  ///< first packet number of the present phase
  std::uint64_t sealed_ = 0;
  bool send_phase_ = false;
  bool phase_acknowledged_ = false;

  bool receive_phase_ = false;
  Receiving present_;
  /// Lowest number opened under the present key: what is older and of the other phase belongs to
  /// the previous key, what is newer to the next.
  std::optional<std::uint64_t> lowest_;
  std::optional<crypto::AeadKey> previous_;
  TimePoint previous_until_{};
  std::optional<Receiving> next_;  ///< made when the first packet of the other phase comes
  std::optional<crypto::SecretKey> agreed_;
  std::uint64_t forgeries_ = 0;
  std::uint64_t updates_ = 0;
};

}  // namespace netmesh::session
