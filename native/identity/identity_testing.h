#pragma once
// What the tests and benchmarks of this folder share.

#include <random>
#include <string>
#include <string_view>

#include "base/hex.h"
#include "base/random.h"
#include "crypto/curve.h"
#include "identity/token.h"

namespace netmesh::identity::testing {

/// Replays the same bytes for the same seed.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

 private:
  std::mt19937_64 engine_;
};

inline crypto::Key repeated(unsigned byte) {
  crypto::Key key;
  key.fill(static_cast<std::byte>(byte));
  return key;
}

inline crypto::Key counting() {
  crypto::Key key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  return key;
}

/// The issuer and the subject of the specification's examples.
inline crypto::SigningKey spec_issuer() { return crypto::SigningKey::from_seed(repeated(0x42)); }
inline crypto::SigningKey spec_subject() { return crypto::SigningKey::from_seed(counting()); }

inline constexpr UnixSeconds kStart = 1'700'000'000;

/// The token of spec 30 §2.4.
inline PermissionToken spec_token() {
  const TokenGrant grant{spec_subject().public_key(), kScopeSubscribe,
                         channel_hash_of("sensors/temp"), 300, 0};
  return issue_token(spec_issuer(), grant, kStart, 0x1122334455667788).value();
}

}  // namespace netmesh::identity::testing
