#pragma once
// Randomness of a simulation: every choice comes from one seed, on every platform alike.

#include <cstdint>

#include "base/random.h"
#include "base/time.h"

namespace netmesh::sim {

/// xoshiro256** (Blackman, Vigna), seeded through splitmix64. The standard library's engines would
/// do, but not its distributions: they differ between implementations, and a seed must replay
/// anywhere.
class SimRandom final : public RandomSource {
 public:
  explicit SimRandom(std::uint64_t seed) {
    for (std::uint64_t& word : state_) word = split_mix(seed);
  }

  void fill(MutableByteSpan out) override;

  std::uint64_t next();
  /// In [0, bound); `bound` is not 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  /// In [low, high], both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  /// In [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return probability > 0 && unit() < probability; }
  Duration duration(Duration low, Duration high) {
    return low + Duration(below(static_cast<std::uint64_t>((high - low).count()) + 1));
  }
  Bytes bytes(std::size_t count) {
    Bytes out(count);
    fill(out);
    return out;
  }
  /// An independent stream of choices: what one part draws does not shift what another gets.
  SimRandom fork() { return SimRandom(next()); }

 private:
  static std::uint64_t split_mix(std::uint64_t& state);

  std::uint64_t state_[4];
};

}  // namespace netmesh::sim
