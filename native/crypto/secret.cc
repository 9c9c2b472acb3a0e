#include "crypto/secret.h"

#include <sodium.h>

#include <cstdio>
#include <cstdlib>

#include "base/assert.h"
#include "crypto/hash.h"

namespace netmesh::crypto {

void wipe(MutableByteSpan bytes) {
  if (!bytes.empty()) sodium_memzero(bytes.data(), bytes.size());
}

SecretKey::SecretKey(ByteSpan bytes32) {
  NM_ASSERT(bytes32.size() == kKeyBytes);
  std::memcpy(bytes_.data(), bytes32.data(), kKeyBytes);
}

SecretKey::SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }

SecretKey& SecretKey::operator=(SecretKey&& other) noexcept {
  if (this != &other) {
    bytes_ = other.bytes_;
    wipe(other.bytes_);
  }
  return *this;
}

SecretKey::~SecretKey() { wipe(bytes_); }

SecretKey SecretKey::clone() const { return SecretKey(bytes()); }

bool equal_constant_time(ByteSpan a, ByteSpan b) {
  if (a.size() != b.size()) return false;
  return a.empty() || sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

void initialize() {
  // A function-local static: the first caller initialises, concurrent ones wait, later ones pass.
  [[maybe_unused]] static const bool initialized = [] {
    if (sodium_init() < 0) {
      std::fputs("netmesh: libsodium cannot be initialised on this system\n", stderr);
      std::abort();
    }
    // libb2 picks its implementation for this processor at its first call, without a lock.
    blake2s({});
    return true;
  }();
}

}  // namespace netmesh::crypto
