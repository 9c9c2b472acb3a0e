#pragma once
// Helpers of the tests and benchmarks of this folder.

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

#include "base/hex.h"
#include "base/random.h"
#include "crypto/secret.h"

namespace netmesh::crypto::testing {

/// Every program that includes this runs on libsodium's fast implementations, as production does.
inline const bool kInitialized = (initialize(), true);

/// The bytes of hexadecimal text; spaces are for the reader.
inline Bytes hex(std::string_view text) {
  std::string digits(text);
  std::erase(digits, ' ');
  return from_hex(digits).value();
}

inline Key key_of(std::string_view text) {
  const Bytes bytes = hex(text);
  Key key{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), key.size()), key.begin());
  return key;
}

inline Key repeated(unsigned byte) {
  Key key;
  key.fill(static_cast<std::byte>(byte));
  return key;
}

/// Replays the same bytes for the same seed.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }
  Bytes bytes(std::size_t count) {
    Bytes out(count);
    fill(out);
    return out;
  }
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  SecretKey secret() { return SecretKey(bytes(kKeyBytes)); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace netmesh::crypto::testing
