#pragma once
// Randomness of the operating system, for production.

#include "base/random.h"

namespace netmesh::crypto {

/// Cryptographically strong bytes from the operating system. Stateless; any thread.
class SystemRandom final : public RandomSource {
 public:
  void fill(MutableByteSpan out) override;
};

}  // namespace netmesh::crypto
