#pragma once
// Which packet counters of one direction were seen (spec 10 §4.3).

#include <array>
#include <cstdint>

namespace netmesh::session {

/// Remembers the last 1024 counters. Unlike base receivers it takes any authenticated forward jump,
/// so that a burst of loss never blacks out a session. `check` before decrypting, `commit` after.
class ReplayWindow {
 public:
  static constexpr std::uint64_t kSize = 1024;
  /// Never accepted: the counter after it would wrap.
  static constexpr std::uint64_t kForbidden = ~std::uint64_t{0};

  /// False for replays, for counters older than the window and for the forbidden one.
  bool check(std::uint64_t counter) const {
    if (counter == kForbidden) return false;
    if (counter >= next_) return true;
    if (next_ - 1 - counter >= kSize) return false;
    return (word(counter) & bit(counter)) == 0;
  }

  /// Only for authenticated packets; false when `check` would be.
  bool commit(std::uint64_t counter) {
    if (!check(counter)) return false;
    if (counter >= next_) {
      const std::uint64_t jump = counter - next_ + 1;
      if (jump >= kSize) {
        seen_.fill(0);
      } else {
        for (std::uint64_t c = next_; c <= counter; ++c) word(c) &= ~bit(c);
      }
      next_ = counter + 1;
    }
    word(counter) |= bit(counter);
    return true;
  }

  /// One above the highest committed counter.
  std::uint64_t next() const { return next_; }

 private:
  static constexpr std::uint64_t bit(std::uint64_t counter) {
    return std::uint64_t{1} << (counter % 64);
  }
  std::uint64_t& word(std::uint64_t counter) { return seen_[(counter % kSize) / 64]; }
  const std::uint64_t& word(std::uint64_t counter) const { return seen_[(counter % kSize) / 64]; }

  std::array<std::uint64_t, kSize / 64> seen_{};
  std::uint64_t next_ = 0;
};

}  // namespace netmesh::session
