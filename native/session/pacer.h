#pragma once
// Spreads what the window allows over the round trip (RFC 9002 §7.7).

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "session/congestion_controller.h"

namespace netmesh::session {

/// A token bucket that lets bursts through rather than packets: sending goes on until the bucket is
/// empty, then waits until it holds a whole quantum. So a timer fires once per quantum, and what
/// leaves together is worth one system call.
class Pacer {
 public:
  /// A quantum is what leaves in this time.
  static constexpr Duration kQuantumTime = std::chrono::milliseconds(1);
  /// Above 2 Gbit/s timers become more frequent instead of bursts larger.
  static constexpr std::uint64_t kMaxQuantumBytes = 256 * 1024;
  /// Below this rate packets leave one by one, above it at least in pairs.
  static constexpr std::uint64_t kSingleRate = 150'000;
  /// A pause may be made up for by so many quanta.
  static constexpr std::uint64_t kBurstQuanta = 2;
  /// A timer that was late, by more: a busy machine must not cost the rate, and the bottleneck had
  /// as much less to do meanwhile.
  static constexpr std::uint64_t kLateQuanta = 5;
  /// Who comes later than this has not waited.
  static constexpr Duration kLateness = std::chrono::milliseconds(20);

  /// `bytes_per_second` kUnlimited: everything passes.
  void set_rate(TimePoint now, std::uint64_t bytes_per_second, std::size_t datagram_bytes) {
    refill(now);
    rate_ = std::max<std::uint64_t>(bytes_per_second, 1);
    if (rate_ == kUnlimited) {
      release_at_.reset();
      level_ = 0;
      return;
    }
    const std::uint64_t least = (rate_ < kSingleRate ? 1 : 2) * datagram_bytes;
    quantum_ = std::clamp(bytes_in(kQuantumTime, rate_), least,
                          std::max<std::uint64_t>(least, kMaxQuantumBytes));
    capacity_ = static_cast<std::int64_t>(
        std::max(kBurstQuanta * quantum_,
                 CongestionController::kInitialWindow * std::uint64_t{datagram_bytes}));
    level_ = std::min(level_, capacity_);
    if (release_at_) block(now);
  }

  bool active() const { return rate_ != kUnlimited; }
  /// Nothing may leave before `release_at()`.
  bool blocked() const { return release_at_.has_value(); }
  std::optional<TimePoint> release_at() const { return release_at_; }
  std::uint64_t quantum() const { return quantum_; }

  void on_sent(TimePoint now, std::uint64_t bytes) {
    if (!active()) {
      filled_at_ = now;
      return;
    }
    refill(now);
    level_ -= static_cast<std::int64_t>(bytes);
    if (level_ <= 0) block(now);
  }
  /// Time has passed.
  void on_time(TimePoint now) {
    if (!release_at_ || now < *release_at_) return;
    const bool late = now - *release_at_ <= kLateness;
    refill(now, late ? std::max(capacity_, static_cast<std::int64_t>(kLateQuanta * quantum_))
                     : capacity_);
    release_at_.reset();
  }

 private:
  void refill(TimePoint now) { refill(now, std::max(capacity_, level_)); }
  void refill(TimePoint now, std::int64_t most) {
    if (active() && now > filled_at_) {
      // Beyond this it is full whatever it was overdrawn by.
      const auto plenty = static_cast<std::uint64_t>(most) + (std::uint64_t{1} << 32);
      const std::uint64_t gained = std::min(bytes_in(now - filled_at_, rate_), plenty);
      level_ = std::min(most, level_ + static_cast<std::int64_t>(gained));
    }
    filled_at_ = std::max(filled_at_, now);
  }
  void block(TimePoint now) {
    const std::int64_t missing = static_cast<std::int64_t>(quantum_) - level_;
    if (missing <= 0) {
      release_at_.reset();
      return;
    }
    // At least a nanosecond: a timer that is due at once would repeat without time passing.
    release_at_ = now + std::max(time_for(static_cast<std::uint64_t>(missing), rate_), Duration(1));
  }

  std::uint64_t rate_ = kUnlimited;
  std::uint64_t quantum_ = 0;
  std::int64_t capacity_ = 0;
  std::int64_t level_ = 0;  ///< bytes that may leave; a packet may overdraw it
  TimePoint filled_at_{};
  std::optional<TimePoint> release_at_;
};

}  // namespace netmesh::session
