#pragma once
// How many events a batch waits for (spec 40 §1.8).

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/time.h"

namespace netmesh::bus {

struct BatchConfig {
  std::size_t min_size = 1000;
  std::size_t max_size = 10'000;
  Duration max_delay = std::chrono::milliseconds(10);
  bool adaptive = true;
  Duration velocity_window = std::chrono::milliseconds(100);
};

/// The target of one shard: small batches while little comes in, large ones under load.
class AdaptiveBatchSize {
 public:
  explicit AdaptiveBatchSize(const BatchConfig& config)
      : config_(config), size_(config.adaptive ? config.min_size : config.max_size) {}

  std::size_t target() const { return size_; }

  /// `events` more came in.
  void record(TimePoint now, std::size_t events) {
    if (!config_.adaptive) return;
    if (events > 0) samples_.push_back({now, events});
    while (!samples_.empty() && now - samples_.front().at > config_.velocity_window)
      samples_.pop_front();
    if (now - adjusted_ < kAdjustEvery) return;
    adjusted_ = now;
    const std::size_t wanted =
        std::clamp(static_cast<std::size_t>(velocity(now) / kBatchesPerSecond), config_.min_size,
                   config_.max_size);
    size_ = std::clamp((3 * size_ + wanted) / 4, config_.min_size, config_.max_size);
  }

  /// Events per second over the window.
  double velocity(TimePoint now) const {
    if (samples_.empty()) return 0;
    std::size_t events = 0;
    for (const Sample& sample : samples_) events += sample.events;
    const auto span = std::max<Duration>(now - samples_.front().at, std::chrono::milliseconds(1));
    return static_cast<double>(events) / std::chrono::duration<double>(span).count();
  }

 private:
  static constexpr Duration kAdjustEvery = std::chrono::milliseconds(10);
  static constexpr double kBatchesPerSecond = 200;
  struct Sample {
    TimePoint at;
    std::size_t events;
  };

  const BatchConfig config_;
  std::size_t size_;
  std::deque<Sample> samples_;
  TimePoint adjusted_{};
};

}  // namespace netmesh::bus
