#include "crypto/xchacha20.h"

#include <sodium.h>

#include "base/assert.h"

namespace netmesh::crypto {
namespace {

static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == kKeyBytes);
static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == kXChaChaNonceBytes);
static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == kXChaChaTagBytes);

const unsigned char* in(ByteSpan bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(MutableByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

void xchacha20_seal(const SecretKey& key, ByteSpan nonce24, ByteSpan aad, MutableByteSpan text,
                    MutableByteSpan tag16) {
  NM_ASSERT(nonce24.size() == kXChaChaNonceBytes && tag16.size() == kXChaChaTagBytes);
  std::byte nothing{};
  if (text.data() == nullptr) text = MutableByteSpan(&nothing, 0);  // libsodium wants an address
  crypto_aead_xchacha20poly1305_ietf_encrypt_detached(out(text), out(tag16), nullptr, in(text),
                                                      text.size(), in(aad), aad.size(), nullptr,
                                                      in(nonce24), in(key.bytes()));
}

bool xchacha20_open(const SecretKey& key, ByteSpan nonce24, ByteSpan aad, MutableByteSpan text,
                    ByteSpan tag16) {
  NM_ASSERT(nonce24.size() == kXChaChaNonceBytes && tag16.size() == kXChaChaTagBytes);
  std::byte nothing{};
  if (text.data() == nullptr) text = MutableByteSpan(&nothing, 0);
  // libsodium zeroes `text` when the tag is wrong.
  return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
             out(text), nullptr, in(text), text.size(), in(tag16), in(aad), aad.size(), in(nonce24),
             in(key.bytes())) == 0;
}

}  // namespace netmesh::crypto
