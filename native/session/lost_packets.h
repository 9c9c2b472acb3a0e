#pragma once
// Packets that were declared lost, in case they turn up.

#include <algorithm>
#include <cstdint>

#include "session/ring_queue.h"
#include "session/sent_packet.h"

namespace netmesh::session {

/// Remembers recent losses in the order of their packet numbers, which is also the order in which
/// packets are declared lost. Bounded in number and in time.
class LostPackets {
 public:
  static constexpr std::size_t kMaxPackets = 1024;

  struct Entry {
    std::uint64_t number = 0;
    TimePoint lost_at;
    std::uint64_t first_frame = 0;
    std::uint64_t event = 0;     ///< of congestion
    std::uint64_t distance = 0;  ///< to the newest acknowledged packet, when declared lost
    std::uint32_t bytes = 0;
    std::uint16_t frame_count = 0;
    bool by_time = false;
    bool settled = false;
  };

  bool empty() const { return entries_.empty(); }

  /// `frame_of(i)` is the packet's i-th frame.
  template <typename FrameOf>
  void add(Entry entry, FrameOf frame_of) {
    if (entries_.size() == kMaxPackets) drop_oldest();
    entry.first_frame = frames_base_ + frames_.size();
    for (std::uint16_t i = 0; i < entry.frame_count; ++i) frames_.push_back(frame_of(i));
    entries_.push_back(entry);
  }
  void forget_before(TimePoint lost_at) {
    while (!entries_.empty() && entries_.front().lost_at < lost_at) drop_oldest();
  }

  /// Calls `visit(entry)` and then `on_frame(frame)` for each, for every loss with a number in
  /// [first, last] that turns up for the first time.
  template <typename Visit, typename OnFrame>
  void take(std::uint64_t first, std::uint64_t last, Visit visit, OnFrame on_frame) {
    for (std::size_t i = lower_bound(first); i < entries_.size() && entries_[i].number <= last;
         ++i) {
      Entry& entry = entries_[i];
      if (entry.settled) continue;
      entry.settled = true;
      visit(entry);
      for (std::uint16_t f = 0; f < entry.frame_count; ++f)
        on_frame(frames_[entry.first_frame + f - frames_base_]);
    }
  }

 private:
  std::size_t lower_bound(std::uint64_t number) const {
    std::size_t low = 0;
    std::size_t high = entries_.size();
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (entries_[middle].number < number)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }
  void drop_oldest() {
    frames_base_ += entries_.front().frame_count;
    frames_.pop_front(entries_.front().frame_count);
    entries_.pop_front();
  }

  RingQueue<Entry> entries_;
  RingQueue<SentFrame> frames_;
  std::uint64_t frames_base_ = 0;
};

}  // namespace netmesh::session
