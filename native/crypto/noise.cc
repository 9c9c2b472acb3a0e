#include "crypto/noise.h"

#include <sodium.h>

#include <string_view>

#include "base/assert.h"
#include "crypto/hash.h"

namespace netmesh::crypto {
namespace {

constexpr std::string_view kProtocolName = "Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s";
static_assert(kProtocolName.size() > kKeyBytes,
              "longer names are hashed, shorter ones padded (Noise §5.2)");

constexpr std::size_t kTagBytes = crypto_aead_chacha20poly1305_ietf_ABYTES;
constexpr std::size_t kMaxMessageBytes = 65535;  // Noise §3

using NoiseNonce = std::array<std::byte, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

NoiseNonce noise_nonce(std::uint64_t n) {
  NoiseNonce nonce{};
  store_le(nonce.data() + 4, n);
  return nonce;
}

const unsigned char* in(ByteSpan bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(std::byte* at) { return reinterpret_cast<unsigned char*>(at); }

void append(Bytes& to, ByteSpan bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// Token `e`, with the MixKey that patterns with a PSK add (Noise §9.2).
void mix_ephemeral(NoiseSymmetricState& state, const Key& ephemeral) {
  state.mix_hash(ephemeral);
  state.mix_key(ephemeral);
}

NoiseResult finish(const NoiseSymmetricState& state) {
  auto [first, second] = state.split();
  return {state.hash(), std::move(first), std::move(second)};
}

bool plausible_length(ByteSpan message) {
  return message.size() >= kNoiseOverheadBytes && message.size() <= kMaxMessageBytes;
}

}  // namespace

NoiseSymmetricState::NoiseSymmetricState() {
  hash_ = blake2s({as_byte_span(kProtocolName)});
  chaining_key_ = SecretKey(hash_);
}

NoiseSymmetricState NoiseSymmetricState::clone() const {
  NoiseSymmetricState copy;
  copy.chaining_key_ = chaining_key_.clone();
  copy.hash_ = hash_;
  copy.cipher_key_ = cipher_key_.clone();
  copy.has_key_ = has_key_;
  copy.nonce_ = nonce_;
  return copy;
}

void NoiseSymmetricState::set_key(SecretKey key) {
  cipher_key_ = std::move(key);
  has_key_ = true;
  nonce_ = 0;
}

void NoiseSymmetricState::mix_hash(ByteSpan data) { hash_ = blake2s({hash_, data}); }

void NoiseSymmetricState::mix_key(ByteSpan input) {
  HkdfOutput output = noise_hkdf(chaining_key_.bytes(), input);
  chaining_key_ = std::move(output.first);
  set_key(std::move(output.second));
}

void NoiseSymmetricState::mix_key_and_hash(ByteSpan input) {
  HkdfOutput output = noise_hkdf(chaining_key_.bytes(), input);
  chaining_key_ = std::move(output.first);
  mix_hash(output.second.bytes());
  set_key(std::move(output.third));
}

void NoiseSymmetricState::encrypt_and_hash(ByteSpan plaintext, Bytes& output) {
  NM_ASSERT(has_key_);
  const std::size_t start = output.size();
  const NoiseNonce nonce = noise_nonce(nonce_++);
  output.resize(start + plaintext.size() + kTagBytes);
  crypto_aead_chacha20poly1305_ietf_encrypt(out(output.data() + start), nullptr, in(plaintext),
                                            plaintext.size(), in(hash_), hash_.size(), nullptr,
                                            in(nonce), in(cipher_key_.bytes()));
  mix_hash(ByteSpan(output).subspan(start));
}

bool NoiseSymmetricState::decrypt_and_hash(ByteSpan ciphertext, Bytes& output) {
  NM_ASSERT(has_key_);
  if (ciphertext.size() < kTagBytes) return false;
  const std::size_t start = output.size();
  const std::size_t length = ciphertext.size() - kTagBytes;
  const NoiseNonce nonce = noise_nonce(nonce_++);
  // One byte more than the plaintext: libsodium reads a null output as "verify only".
  output.resize(start + length + 1);
  const int failed = crypto_aead_chacha20poly1305_ietf_decrypt(
      out(output.data() + start), nullptr, nullptr, in(ciphertext), ciphertext.size(), in(hash_),
      hash_.size(), in(nonce), in(cipher_key_.bytes()));
  output.resize(failed == 0 ? start + length : start);
  if (failed != 0) return false;
  mix_hash(ciphertext);
  return true;
}

std::pair<SecretKey, SecretKey> NoiseSymmetricState::split() const {
  HkdfOutput output = noise_hkdf(chaining_key_.bytes(), {});
  return {std::move(output.first), std::move(output.second)};
}

NoiseInitiator::NoiseInitiator(ByteSpan prologue, const SecretKey& psk, ByteSpan responder_static,
                               X25519KeyPair ephemeral)
    : psk_(psk.clone()), ephemeral_(std::move(ephemeral)) {
  NM_ASSERT(responder_static.size() == kKeyBytes);
  std::memcpy(responder_static_.data(), responder_static.data(), kKeyBytes);
  state_.mix_hash(prologue);
  state_.mix_hash(responder_static_);
}

std::optional<Key> NoiseInitiator::hash_before_payload1() {
  NM_ASSERT(!written_);
  if (!mixed_) {
    SecretKey shared;
    if (!x25519(shared, ephemeral_.secret, responder_static_)) return std::nullopt;
    state_.mix_key_and_hash(psk_.bytes());         // psk
    mix_ephemeral(state_, ephemeral_.public_key);  // e
    state_.mix_key(shared.bytes());                // es
    wipe(psk_.mutable_bytes());
    mixed_ = true;
  }
  return state_.hash();
}

std::optional<Bytes> NoiseInitiator::write_message1(ByteSpan payload) {
  if (payload.size() > kMaxMessageBytes - kNoiseOverheadBytes) return std::nullopt;
  if (!hash_before_payload1()) return std::nullopt;
  Bytes message;
  message.reserve(kNoiseOverheadBytes + payload.size());
  append(message, ephemeral_.public_key);
  state_.encrypt_and_hash(payload, message);
  written_ = true;
  return message;
}

std::optional<NoiseInitiator::Message2> NoiseInitiator::read_message2(ByteSpan message) const {
  if (!written_ || !plausible_length(message)) return std::nullopt;
  ByteReader reader(message);
  const Key ephemeral = reader.array<kKeyBytes>();
  SecretKey shared;
  if (!x25519(shared, ephemeral_.secret, ephemeral)) return std::nullopt;

  NoiseSymmetricState state = state_.clone();
  mix_ephemeral(state, ephemeral);  // e
  state.mix_key(shared.bytes());    // ee
  Message2 out_message;
  out_message.hash_before_payload = state.hash();
  if (!state.decrypt_and_hash(reader.rest(), out_message.payload)) return std::nullopt;
  out_message.result = finish(state);
  return out_message;
}

NoiseResponder::NoiseResponder(ByteSpan prologue, const SecretKey& psk,
                               const X25519KeyPair& static_key)
    : psk_(psk.clone()), static_key_(static_key.clone()) {
  state_.mix_hash(prologue);
  state_.mix_hash(static_key_.public_key);
}

std::optional<NoiseResponder::Message1> NoiseResponder::read_message1(ByteSpan message) {
  if (stage_ != Stage::kFresh || !plausible_length(message)) return std::nullopt;
  stage_ = Stage::kSpent;
  ByteReader reader(message);
  initiator_ephemeral_ = reader.array<kKeyBytes>();
  SecretKey shared;
  if (!x25519(shared, static_key_.secret, initiator_ephemeral_)) return std::nullopt;

  state_.mix_key_and_hash(psk_.bytes());        // psk
  mix_ephemeral(state_, initiator_ephemeral_);  // e
  state_.mix_key(shared.bytes());               // es
  Message1 out_message;
  out_message.initiator_ephemeral = initiator_ephemeral_;
  out_message.hash_before_payload = state_.hash();
  if (!state_.decrypt_and_hash(reader.rest(), out_message.payload)) return std::nullopt;
  stage_ = Stage::kMessage1Read;
  return out_message;
}

std::optional<Key> NoiseResponder::begin_message2(X25519KeyPair ephemeral) {
  if (stage_ != Stage::kMessage1Read) return std::nullopt;
  SecretKey shared;
  if (!x25519(shared, ephemeral.secret, initiator_ephemeral_)) return std::nullopt;
  ephemeral_ = std::move(ephemeral);
  mix_ephemeral(state_, ephemeral_.public_key);  // e
  state_.mix_key(shared.bytes());                // ee
  stage_ = Stage::kMessage2Begun;
  return state_.hash();
}

NoiseResponder::Message2 NoiseResponder::write_message2(ByteSpan payload) {
  NM_ASSERT(stage_ == Stage::kMessage2Begun);
  NM_ASSERT(payload.size() <= kMaxMessageBytes - kNoiseOverheadBytes);
  Message2 out_message;
  out_message.message.reserve(kNoiseOverheadBytes + payload.size());
  append(out_message.message, ephemeral_.public_key);
  state_.encrypt_and_hash(payload, out_message.message);
  out_message.result = finish(state_);
  stage_ = Stage::kSpent;
  return out_message;
}

}  // namespace netmesh::crypto
