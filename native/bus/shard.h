#pragma once
// One shard: its clock, its ring, and its log where the bus stores events itself.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "base/time.h"
#include "bus/event_log.h"
#include "bus/event_ring.h"
#include "bus/position.h"

namespace netmesh::bus {

/// Nanoseconds since the shard was made, on a clock that never goes back, and what that is as a
/// date.
class ShardClock {
 public:
  ShardClock()
      : began_(std::chrono::steady_clock::now()),
        began_unix_ns_(std::chrono::duration_cast<std::chrono::nanoseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count()) {}
  std::uint64_t now() const {
    return static_cast<std::uint64_t>((std::chrono::steady_clock::now() - began_) /
                                      std::chrono::nanoseconds(1));
  }
  /// The wall clock when the shard began; a timestamp added to it is the date of an event.
  UnixNanos began_unix_ns() const { return began_unix_ns_; }
  std::chrono::steady_clock::time_point at(std::uint64_t timestamp) const {
    return began_ + std::chrono::nanoseconds(timestamp);
  }

 private:
  std::chrono::steady_clock::time_point began_;
  UnixNanos began_unix_ns_;
};

/// Only active shards get new events. What is in others goes on its way without delay.
enum class ShardState : std::uint8_t { kActive, kInactive };

struct Shard {
  Shard(ShardId shard_id, std::size_t ring_capacity, Backpressure backpressure,
        std::uint32_t sample_rate, Retention retention)
      : id(shard_id),
        ring(ring_capacity, backpressure, sample_rate),
        log(std::make_unique<EventLog>(retention)) {}

  /// Moves what waits in the ring into the log. Keeps the order when several threads do it.
  void store_pending() {
    if (ring.empty()) return;
    const std::lock_guard lock(draining_);
    std::array<EventSlot, 512> slots;
    while (const std::size_t count = ring.pop(slots).count) log->append({slots.data(), count});
  }

  /// Stores what came from another bus, with timestamps of its arrival here.
  void store_received(std::span<const ByteSpan> payloads) {
    const std::lock_guard lock(draining_);
    if (!received_)
      received_ = std::make_unique<EventRing>(kReceivedSlots, Backpressure::kDropOldest);
    std::array<EventSlot, kReceivedSlots> slots;
    while (!payloads.empty()) {
      const std::size_t count = std::min(payloads.size(), received_->usable_slots());
      received_->push_all(count, clock.now(), [&](std::size_t i) { return payloads[i]; });
      log->append({slots.data(), received_->pop(slots).count});
      payloads = payloads.subspan(count);
    }
  }

  const ShardId id;
  const ShardClock clock;
  EventRing ring;
  std::unique_ptr<EventLog> log;  ///< what was emitted, or received where that is dispatched
  std::atomic<ShardState> state{ShardState::kActive};

 private:
  static constexpr std::size_t kReceivedSlots = 256;
  std::mutex draining_;
  std::unique_ptr<EventRing> received_;  ///< cuts received payloads into segments
};

}  // namespace netmesh::bus
