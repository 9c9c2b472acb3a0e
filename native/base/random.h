#pragma once
// Randomness comes into the machines from outside, so that the simulator can replay a seed.

#include <cstdint>

#include "base/bytes.h"

namespace netmesh {

/// A source of random bytes. In production the operating system's; in the simulator seeded.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void fill(MutableByteSpan out) = 0;

  std::uint64_t u64() {
    std::array<std::byte, 8> raw;
    fill(raw);
    return load_le<std::uint64_t>(raw.data());
  }
};

}  // namespace netmesh
