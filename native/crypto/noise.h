#pragma once
// The Noise handshake Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s (Noise revision 34; spec 10 §5.1).

#include <optional>
#include <utility>

#include "base/random.h"
#include "crypto/curve.h"
#include "crypto/secret.h"

namespace netmesh::crypto {

inline constexpr std::size_t kNoiseOverheadBytes = 32 + 16;  ///< ephemeral and tag around a payload

/// Chaining key, hash and cipher key of one handshake in progress. Copyable only by `clone`, for
/// attempts that may fail without effect (spec 10, trap 27).
class NoiseSymmetricState {
 public:
  NoiseSymmetricState();
  NoiseSymmetricState clone() const;

  void mix_hash(ByteSpan data);
  void mix_key(ByteSpan input);
  void mix_key_and_hash(ByteSpan input);
  /// Appends ciphertext and tag to `out`. Only after a `mix_key`, as always in this pattern.
  void encrypt_and_hash(ByteSpan plaintext, Bytes& out);
  /// Appends plaintext to `out`; false when it does not verify (the state is then useless).
  [[nodiscard]] bool decrypt_and_hash(ByteSpan ciphertext, Bytes& out);
  const Key& hash() const { return hash_; }
  /// The two transport keys: (initiator to responder, responder to initiator).
  std::pair<SecretKey, SecretKey> split() const;

 private:
  void set_key(SecretKey key);

  SecretKey chaining_key_;
  Key hash_{};
  SecretKey cipher_key_;
  bool has_key_ = false;
  /// Messages under `cipher_key_` so far; each key starts at 0.
  std::uint64_t nonce_ = 0;
};

/// What both ends hold after msg2.
struct NoiseResult {
  Key handshake_hash{};              ///< h; the same on both ends
  SecretKey initiator_to_responder;  ///< Split(), first
  SecretKey responder_to_initiator;  ///< Split(), second
};

/// The initiator's side. Calls in order: `write_message1`, `read_message2`.
class NoiseInitiator {
 public:
  NoiseInitiator(ByteSpan prologue, const SecretKey& psk, ByteSpan responder_static,
                 X25519KeyPair ephemeral);
  /// The handshake hash right before the payload of msg1 is encrypted: what a payload may sign.
  /// Nothing when the responder's static key is of low order. Before `write_message1` only.
  std::optional<Key> hash_before_payload1();
  /// Once; a retransmission repeats the bytes. Nothing for a low-order key or a payload over 65487
  /// bytes.
  std::optional<Bytes> write_message1(ByteSpan payload);
  /// Leaves this state unchanged when it fails, so that forged replies do no harm.
  struct Message2 {
    Bytes payload;
    Key hash_before_payload;  ///< what the payload of msg2 signed
    NoiseResult result;
  };
  std::optional<Message2> read_message2(ByteSpan message) const;

 private:
  NoiseSymmetricState state_;
  SecretKey psk_;
  Key responder_static_{};
  X25519KeyPair ephemeral_;
  bool mixed_ = false;    ///< `psk, e, es` are in `state_`; `psk_` is wiped
  bool written_ = false;  ///< msg1 is out, `state_` stands right before msg2
};

/// The responder's side. Calls in order: `read_message1`, `begin_message2`, `write_message2`. A
/// call that fails ends it: a later msg1 gets a new responder.
class NoiseResponder {
 public:
  NoiseResponder(ByteSpan prologue, const SecretKey& psk, const X25519KeyPair& static_key);
  struct Message1 {
    Bytes payload;
    Key hash_before_payload;
    Key initiator_ephemeral;
  };
  std::optional<Message1> read_message1(ByteSpan message);
  /// The hash that the payload of msg2 may sign; fixes the ephemeral. Once, after `read_message1`.
  std::optional<Key> begin_message2(X25519KeyPair ephemeral);
  struct Message2 {
    Bytes message;
    NoiseResult result;
  };
  /// Once, after `begin_message2` succeeded; `payload` is at most 65487 bytes.
  Message2 write_message2(ByteSpan payload);

 private:
  NoiseSymmetricState state_;
  SecretKey psk_;
  X25519KeyPair static_key_;
  X25519KeyPair ephemeral_;
  Key initiator_ephemeral_{};
  enum class Stage : std::uint8_t { kFresh, kMessage1Read, kMessage2Begun, kSpent };
  Stage stage_ = Stage::kFresh;
};

}  // namespace netmesh::crypto
