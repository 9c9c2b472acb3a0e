#include "crypto/aead.h"

#include <sodium.h>

#include <cstdlib>
#include <utility>

#include "base/assert.h"
#include "crypto/openssl_aead.h"

namespace netmesh::crypto {
namespace {

static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == kAeadTagBytes);
static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == kAeadNonceBytes);
static_assert(crypto_aead_aes256gcm_ABYTES == kAeadTagBytes);
static_assert(crypto_aead_aes256gcm_NPUBBYTES == kAeadNonceBytes);
static_assert(crypto_aead_aes256gcm_KEYBYTES == kKeyBytes);

const unsigned char* in(ByteSpan bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(MutableByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

bool aes256gcm_available() {
  initialize();  // libsodium knows the processor's features only afterwards
  return crypto_aead_aes256gcm_is_available() == 1;
}

struct AeadKey::AesState {
  crypto_aead_aes256gcm_state expanded;

  AesState() = default;
  AesState(const AesState&) = delete;
  AesState& operator=(const AesState&) = delete;
  ~AesState() { wipe(std::as_writable_bytes(std::span(&expanded, 1))); }
};

AeadKey::AeadKey() = default;

struct AeadKey::LargePackets {
  std::unique_ptr<OpenSslAead> seal;
  std::unique_ptr<OpenSslAead> open;
  bool seal_tried = false;
  bool open_tried = false;
};

AeadKey::AeadKey(AeadAlgorithm algorithm, const SecretKey& key)
    : algorithm_(algorithm), key_(key.clone()) {
  if (algorithm == AeadAlgorithm::kAes256Gcm) {
    NM_ASSERT(aes256gcm_available());
    aes_ = std::make_unique<AesState>();
    crypto_aead_aes256gcm_beforenm(&aes_->expanded, in(key.bytes()));
  }
}

AeadKey::LargePackets& AeadKey::large_packets() const {
  if (!large_) large_ = std::make_unique<LargePackets>();
  return *large_;
}

AeadKey::AeadKey(AeadKey&&) noexcept = default;
AeadKey& AeadKey::operator=(AeadKey&&) noexcept = default;
AeadKey::~AeadKey() = default;

void AeadKey::seal(ByteSpan nonce12, ByteSpan aad, MutableByteSpan text,
                   MutableByteSpan tag16) const {
  NM_ASSERT(nonce12.size() == kAeadNonceBytes && tag16.size() == kAeadTagBytes);
  if (text.size() >= kOpenSslMinBytes) {
    LargePackets& large = large_packets();
    if (!std::exchange(large.seal_tried, true)) {
      large.seal = OpenSslAead::create(algorithm_, OpenSslAead::Direction::kSeal, key_.bytes());
    }
    if (large.seal) {
      // Cannot fail for sizes of packets; going on would send plaintext.
      if (!large.seal->seal(nonce12, aad, text, tag16)) std::abort();
      return;
    }
  }
  std::byte nothing{};
  if (text.data() == nullptr) text = MutableByteSpan(&nothing, 0);  // libsodium wants an address
  if (aes_) {
    crypto_aead_aes256gcm_encrypt_detached_afternm(out(text), out(tag16), nullptr, in(text),
                                                   text.size(), in(aad), aad.size(), nullptr,
                                                   in(nonce12), &aes_->expanded);
  } else {
    crypto_aead_chacha20poly1305_ietf_encrypt_detached(out(text), out(tag16), nullptr, in(text),
                                                       text.size(), in(aad), aad.size(), nullptr,
                                                       in(nonce12), in(key_.bytes()));
  }
}

bool AeadKey::open(ByteSpan nonce12, ByteSpan aad, MutableByteSpan text, ByteSpan tag16) const {
  NM_ASSERT(nonce12.size() == kAeadNonceBytes && tag16.size() == kAeadTagBytes);
  if (text.size() >= kOpenSslMinBytes) {
    LargePackets& large = large_packets();
    if (!std::exchange(large.open_tried, true)) {
      large.open = OpenSslAead::create(algorithm_, OpenSslAead::Direction::kOpen, key_.bytes());
    }
    if (large.open) return large.open->open(nonce12, aad, text, tag16);
  }
  std::byte nothing{};
  if (text.data() == nullptr) text = MutableByteSpan(&nothing, 0);
  int failed = 0;
  if (aes_) {
    failed = crypto_aead_aes256gcm_decrypt_detached_afternm(
        out(text), nullptr, in(text), text.size(), in(tag16), in(aad), aad.size(), in(nonce12),
        &aes_->expanded);
  } else {
    failed = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
        out(text), nullptr, in(text), text.size(), in(tag16), in(aad), aad.size(), in(nonce12),
        in(key_.bytes()));
  }
  // libsodium has zeroed `text` when the tag is wrong, whichever the algorithm; the tests hold it
  // to that.
  return failed == 0;
}

}  // namespace netmesh::crypto
