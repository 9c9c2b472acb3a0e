#include "crypto/openssl_aead.h"

#include <dlfcn.h>

#include <limits>

namespace netmesh::crypto {
namespace {

// The few functions of OpenSSL's stable EVP interface (1.1 and 3.x alike) that are needed, found at
// run time: the addon neither links nor carries OpenSSL.
struct Evp {
  using Context = void*;
  using Cipher = const void*;
  Context (*context_new)() = nullptr;
  void (*context_free)(Context) = nullptr;
  int (*context_control)(Context, int, int, void*) = nullptr;
  int (*encrypt_init)(Context, Cipher, void*, const unsigned char*, const unsigned char*) = nullptr;
  int (*encrypt_update)(Context, unsigned char*, int*, const unsigned char*, int) = nullptr;
  int (*encrypt_final)(Context, unsigned char*, int*) = nullptr;
  int (*decrypt_init)(Context, Cipher, void*, const unsigned char*, const unsigned char*) = nullptr;
  int (*decrypt_update)(Context, unsigned char*, int*, const unsigned char*, int) = nullptr;
  int (*decrypt_final)(Context, unsigned char*, int*) = nullptr;
  Cipher (*aes_256_gcm)() = nullptr;
  Cipher (*chacha20_poly1305)() = nullptr;
  bool usable = false;
};

constexpr int kControlGetTag = 0x10;  // EVP_CTRL_AEAD_GET_TAG
constexpr int kControlSetTag = 0x11;  // EVP_CTRL_AEAD_SET_TAG

Evp load_evp() {
  Evp evp;
  void* library = RTLD_DEFAULT;
  if (dlsym(library, "EVP_CIPHER_CTX_new") == nullptr) {
    // Programs without Node around them, tests for one: the system's, when there is one.
    library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return evp;
  }
  bool complete = true;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    complete = complete && function != nullptr;
  };
  find(evp.context_new, "EVP_CIPHER_CTX_new");
  find(evp.context_free, "EVP_CIPHER_CTX_free");
  find(evp.context_control, "EVP_CIPHER_CTX_ctrl");
  find(evp.encrypt_init, "EVP_EncryptInit_ex");
  find(evp.encrypt_update, "EVP_EncryptUpdate");
  find(evp.encrypt_final, "EVP_EncryptFinal_ex");
  find(evp.decrypt_init, "EVP_DecryptInit_ex");
  find(evp.decrypt_update, "EVP_DecryptUpdate");
  find(evp.decrypt_final, "EVP_DecryptFinal_ex");
  find(evp.aes_256_gcm, "EVP_aes_256_gcm");
  find(evp.chacha20_poly1305, "EVP_chacha20_poly1305");
  evp.usable = complete;
  return evp;
}

const Evp& evp() {
  static const Evp loaded = load_evp();
  return loaded;
}

const unsigned char* in(ByteSpan bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(MutableByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

std::unique_ptr<OpenSslAead> OpenSslAead::create(AeadAlgorithm algorithm, Direction direction,
                                                 ByteSpan key32) {
  const Evp& api = evp();
  if (!api.usable) return nullptr;
  void* context = api.context_new();
  if (context == nullptr) return nullptr;
  std::unique_ptr<OpenSslAead> aead(new OpenSslAead(context));
  const auto cipher =
      algorithm == AeadAlgorithm::kAes256Gcm ? api.aes_256_gcm() : api.chacha20_poly1305();
  const auto init = direction == Direction::kSeal ? api.encrypt_init : api.decrypt_init;
  if (cipher == nullptr || init(context, cipher, nullptr, in(key32), nullptr) != 1) return nullptr;
  return aead;
}

OpenSslAead::~OpenSslAead() { evp().context_free(context_); }

bool OpenSslAead::seal(ByteSpan nonce12, ByteSpan aad, MutableByteSpan text,
                       MutableByteSpan tag16) {
  const Evp& api = evp();
  int length = 0;
  if (text.size() > std::numeric_limits<int>::max()) return false;
  return api.encrypt_init(context_, nullptr, nullptr, nullptr, in(nonce12)) == 1 &&
         api.encrypt_update(context_, nullptr, &length, in(aad), static_cast<int>(aad.size())) ==
             1 &&
         api.encrypt_update(context_, out(text), &length, in(text),
                            static_cast<int>(text.size())) == 1 &&
         api.encrypt_final(context_, out(text) + text.size(), &length) == 1 &&
         api.context_control(context_, kControlGetTag, kAeadTagBytes, tag16.data()) == 1;
}

bool OpenSslAead::open(ByteSpan nonce12, ByteSpan aad, MutableByteSpan text, ByteSpan tag16) {
  const Evp& api = evp();
  int length = 0;
  std::array<std::byte, kAeadTagBytes> tag;
  std::memcpy(tag.data(), tag16.data(), tag.size());
  const bool opened =
      text.size() <= std::numeric_limits<int>::max() &&
      api.decrypt_init(context_, nullptr, nullptr, nullptr, in(nonce12)) == 1 &&
      api.decrypt_update(context_, nullptr, &length, in(aad), static_cast<int>(aad.size())) == 1 &&
      api.decrypt_update(context_, out(text), &length, in(text), static_cast<int>(text.size())) ==
          1 &&
      api.context_control(context_, kControlSetTag, kAeadTagBytes, tag.data()) == 1 &&
      api.decrypt_final(context_, out(text) + text.size(), &length) == 1;
  if (!opened) wipe(text);
  return opened;
}

}  // namespace netmesh::crypto
