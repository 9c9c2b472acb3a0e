#pragma once
// The largest of recent samples.

#include <algorithm>
#include <array>
#include <cstdint>

namespace netmesh::session {

/// Keeps the best three samples of a window, as Kathleen Nichols' filter does; "time" is any count
/// that never falls.
class WindowedMax {
 public:
  explicit WindowedMax(std::uint64_t length) : length_(length) {}

  std::uint64_t best() const { return best_[0].value; }

  void update(std::uint64_t value, std::uint64_t now) {
    const Sample sample{value, now};
    if (value >= best_[0].value || now - best_[2].at > length_) {
      best_.fill(sample);
      return;
    }
    if (value >= best_[1].value)
      best_[1] = best_[2] = sample;
    else if (value >= best_[2].value)
      best_[2] = sample;
    age(sample);
  }

 private:
  struct Sample {
    std::uint64_t value = 0;
    std::uint64_t at = 0;
  };

  /// The best one leaves the window, and the next takes its place; a fresh window part without any
  /// candidate takes the latest sample for one.
  void age(const Sample& sample) {
    const std::uint64_t elapsed = sample.at - best_[0].at;
    if (elapsed > length_) {
      best_ = {best_[1], best_[2], sample};
      if (sample.at - best_[0].at > length_) best_ = {best_[1], best_[2], sample};
    } else if (best_[1].at == best_[0].at && elapsed > length_ / 4) {
      best_[1] = best_[2] = sample;
    } else if (best_[2].at == best_[1].at && elapsed > length_ / 2) {
      best_[2] = sample;
    }
  }

  std::uint64_t length_;
  std::array<Sample, 3> best_{};
};

}  // namespace netmesh::session
