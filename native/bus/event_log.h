#pragma once
// The store of the memory transport: the newest events of one shard, within bounds.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "bus/segment.h"

namespace netmesh::bus {

/// How much a log keeps. The newest event is always kept, whatever its size.
struct Retention {
  std::size_t max_events = 1u << 20;
  std::size_t max_bytes = 64u << 20;  ///< payload bytes and 24 for each event
};

/// A stored event; `payload` lives as long as the hold that came with it.
struct LogEntry {
  std::uint64_t id;
  EventSlot slot;
};

/// Events numbered from 1 on, without gaps. Any thread.
class EventLog {
 public:
  explicit EventLog(Retention retention)
      : retention_{std::max<std::size_t>(retention.max_events, 1), retention.max_bytes},
        slots_(std::make_unique<EventSlot[]>(kFirstSlots)),
        mask_(kFirstSlots - 1) {}
  ~EventLog() { expire_until(next_id_); }
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  /// Takes over the holds of `slots`, and drops what retention no longer covers.
  void append(std::span<const EventSlot> slots) {
    const std::lock_guard lock(mutex_);
    while (!slots.empty()) {
      const std::size_t count = std::min(slots.size(), retention_.max_events);
      append_locked(slots.first(count));
      slots = slots.subspan(count);
    }
    expire_while([this] { return bytes_ > retention_.max_bytes && held() > 1; });
  }

  struct Read {
    std::vector<LogEntry> entries;
    bool more = false;          ///< the log has more after the last entry
    std::uint64_t expired = 0;  ///< events after `after` that retention had dropped
  };
  /// Up to `limit` events with ids above `after`; each comes with a hold that the caller gives
  /// back.
  Read read(std::uint64_t after, std::size_t limit) const {
    const std::lock_guard lock(mutex_);
    Read out;
    std::uint64_t id = after < next_id_ ? after + 1 : next_id_;
    if (id < first_id_) {
      out.expired = first_id_ - id;
      id = first_id_;
    }
    const std::uint64_t end = std::min<std::uint64_t>(next_id_, id + limit);
    out.entries.reserve(static_cast<std::size_t>(end - id));
    for (; id < end; ++id) {
      const EventSlot& slot = slots_[id & mask_];
      slot.segment->hold();
      out.entries.push_back({id, slot});
    }
    out.more = end < next_id_;
    return out;
  }

  /// Id of the newest event, 0 before the first.
  std::uint64_t last_id() const {
    const std::lock_guard lock(mutex_);
    return next_id_ - 1;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return held();
  }
  std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }
  /// Events that retention has dropped so far.
  std::uint64_t expired() const {
    const std::lock_guard lock(mutex_);
    return first_id_ - 1;
  }

 private:
  static constexpr std::size_t kFirstSlots = 64;

  static std::size_t cost(const EventSlot& slot) { return slot.size + sizeof(EventSlot); }

  std::size_t held() const { return static_cast<std::size_t>(next_id_ - first_id_); }

  /// At most as many as the log may hold.
  void append_locked(std::span<const EventSlot> slots) {
    if (held() + slots.size() > retention_.max_events)
      expire_until(first_id_ + (held() + slots.size() - retention_.max_events));
    while (held() + slots.size() > mask_ + 1) grow();
    for (const EventSlot& slot : slots) {
      slots_[next_id_++ & mask_] = slot;
      bytes_ += cost(slot);
    }
  }

  void expire_until(std::uint64_t id) {
    expire_while([this, id] { return first_id_ < id; });
  }

  /// Drops the oldest event as long as `more` says so; neighbours in one segment cost one
  /// operation.
  template <typename More>
  void expire_while(More&& more) {
    while (more()) {
      Segment* const segment = slots_[first_id_ & mask_].segment;
      std::uint32_t run = 0;
      do {
        bytes_ -= cost(slots_[first_id_ & mask_]);
        ++first_id_;
        ++run;
      } while (more() && slots_[first_id_ & mask_].segment == segment);
      segment->release(run);
    }
  }

  void grow() {
    const std::size_t larger = (mask_ + 1) * 2;
    auto slots = std::make_unique_for_overwrite<EventSlot[]>(larger);
    for (std::uint64_t id = first_id_; id < next_id_; ++id)
      slots[id & (larger - 1)] = slots_[id & mask_];
    slots_ = std::move(slots);
    mask_ = larger - 1;
  }

  const Retention retention_;
  mutable std::mutex mutex_;
  std::unique_ptr<EventSlot[]> slots_;  ///< event `id` is at `id & mask_`
  std::size_t mask_;
  std::uint64_t first_id_ = 1;  ///< oldest kept
  std::uint64_t next_id_ = 1;
  std::size_t bytes_ = 0;
};

}  // namespace netmesh::bus
