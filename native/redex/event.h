#pragma once
// Events as readers get them: views that stay valid for as long as their batch lives.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

namespace netmesh::redex {

/// One event. `payload` points into the log's own memory or mapped file.
struct EventView {
  std::uint64_t seq = 0;
  UnixNanos timestamp = 0;
  ByteSpan payload;
  /// Low 28 bits of the payload's XXH3, as stored; verified before a reader sees the event.
  std::uint32_t checksum = 0;
  bool is_inline = false;
};

/// Some consecutive events of one log, and what keeps their payloads in memory. Evicting, closing
/// or destroying the log leaves them valid. A batch belongs to one thread; reuse it to save
/// allocations.
class EventBatch {
 public:
  const EventView* begin() const { return events_.data(); }
  const EventView* end() const { return events_.data() + events_.size(); }
  std::size_t size() const { return events_.size(); }
  bool empty() const { return events_.empty(); }
  const EventView& operator[](std::size_t i) const { return events_[i]; }

  void clear() {
    events_.clear();
    pins_.clear();
  }

  /// Filled by the log: an event, and an owner of the memory behind those that follow.
  void add(const EventView& event) { events_.push_back(event); }
  void pin(std::shared_ptr<const void> owner) { pins_.push_back(std::move(owner)); }
  /// Drops the events from `first` on whose stored checksum does not fit; returns how many.
  std::size_t drop_corrupt(std::size_t first);

 private:
  std::vector<EventView> events_;
  std::vector<std::shared_ptr<const void>> pins_;
};

}  // namespace netmesh::redex
