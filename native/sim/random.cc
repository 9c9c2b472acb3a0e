#include "sim/random.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace netmesh::sim {

std::uint64_t SimRandom::split_mix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E37'79B9'7F4A'7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EBULL;
  return z ^ (z >> 31);
}

std::uint64_t SimRandom::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void SimRandom::fill(MutableByteSpan out) {
  while (!out.empty()) {
    std::byte word[8];
    store_le<std::uint64_t>(word, next());
    const std::size_t count = std::min(out.size(), sizeof word);
    std::memcpy(out.data(), word, count);
    out = out.subspan(count);
  }
}

}  // namespace netmesh::sim
