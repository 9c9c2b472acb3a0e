#pragma once
// Packet numbers that are left out, so that a peer that acknowledges what it has not received is
// found out (RFC 9000 §21.4).

#include <algorithm>
#include <array>
#include <cstdint>

#include "wire/frames.h"

namespace netmesh::session {

/// Draws the numbers from a seed that the peer does not know; a seed of 0 skips none. Gaps become
/// rarer with time: the first ones matter most, because they protect the climb of the window.
class PacketNumberSkipper {
 public:
  static constexpr std::uint64_t kFirstPeriod = 128;
  static constexpr std::uint64_t kLongestPeriod = 32'768;
  /// An honest peer never names them, so remembering some of them is enough.
  static constexpr std::size_t kRemembered = 8;

  explicit PacketNumberSkipper(std::uint64_t seed) : state_(seed) {
    skipped_.fill(kNone);
    if (seed != 0) draw(0);
  }

  /// Whether `number`, the next one, is to be left out.
  bool skips(std::uint64_t number) const { return number == next_; }
  void on_skipped(std::uint64_t number) {
    skipped_[count_++ % kRemembered] = number;
    draw(number + 1);
  }
  /// The peer claims to have received what was never sent.
  bool contradicted_by(const wire::AckFrame& ack) const {
    if (count_ == 0) return false;
    for (std::size_t r = 0; r < ack.range_count; ++r) {
      for (const std::uint64_t number : skipped_) {
        if (number >= ack.ranges[r].first && number <= ack.ranges[r].last) return true;
      }
    }
    return false;
  }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  void draw(std::uint64_t from) {
    // splitmix64; whoever could predict it would have to know the seed.
    state_ += 0x9E3779B97F4A7C15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    next_ = from + 1 + z % (2 * period_);
    period_ = std::min(2 * period_, kLongestPeriod);
  }

  std::uint64_t state_;
  std::uint64_t period_ = kFirstPeriod;
  std::uint64_t next_ = kNone;
  std::array<std::uint64_t, kRemembered> skipped_{};
  std::size_t count_ = 0;
};

}  // namespace netmesh::session
