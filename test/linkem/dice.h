#pragma once
// Chance, replayable: every source of it is a stream of its own, so that one does not shift
// another.

#include <cstdint>

#include "base/time.h"

namespace netmesh::linkem {

/// SplitMix64 (Steele, Lea, Flood). The standard library's distributions differ between
/// implementations; a seed must replay anywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  /// An independent stream. `label` tells the streams of one seed apart.
  static Dice stream(std::uint64_t seed, std::uint64_t label) {
    Dice parent(seed ^ (label * 0xd1342543de82ef95ULL));
    return Dice(parent.next());
  }

  std::uint64_t next() {
    std::uint64_t word = (state_ += 0x9e3779b97f4a7c15ULL);
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ULL;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebULL;
    return word ^ (word >> 31);
  }
  /// In [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// Draws whatever the probability is: a change of it does not shift later choices.
  bool chance(double probability) { return unit() < probability; }
  /// In [0, bound); `bound` is not 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  /// In [0, limit].
  Duration up_to(Duration limit) {
    return Duration(static_cast<Duration::rep>(unit() * (static_cast<double>(limit.count()) + 1)));
  }

 private:
  std::uint64_t state_;
};

}  // namespace netmesh::linkem
