#pragma once
// Key material in memory: wiped when it goes.

#include <array>

#include "base/bytes.h"

namespace netmesh::crypto {

inline constexpr std::size_t kKeyBytes = 32;
using Key =
    std::array<std::byte, kKeyBytes>;  ///< a public key, digest or other non-secret 32 bytes
using Signature = std::array<std::byte, 64>;

void wipe(MutableByteSpan bytes);

/// 32 secret bytes, zeroed on destruction and on being moved from. Copying is explicit (`clone`).
class SecretKey {
 public:
  SecretKey() = default;
  explicit SecretKey(ByteSpan bytes32);  ///< asserts 32 bytes
  SecretKey(SecretKey&& other) noexcept;
  SecretKey& operator=(SecretKey&& other) noexcept;
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;
  ~SecretKey();

  SecretKey clone() const;
  ByteSpan bytes() const { return bytes_; }
  MutableByteSpan mutable_bytes() { return bytes_; }

 private:
  Key bytes_{};
};

/// Equal in constant time; spans of different length are unequal.
bool equal_constant_time(ByteSpan a, ByteSpan b);

/// Must be called once before anything else here; safe to call again from any thread.
void initialize();

}  // namespace netmesh::crypto
