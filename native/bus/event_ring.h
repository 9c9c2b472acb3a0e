#pragma once
// The bounded queue between those who emit into a shard and the one who drains it.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "base/assert.h"
#include "base/bytes.h"
#include "bus/segment.h"
#include "bus/spin_lock.h"

namespace netmesh::bus {

/// What happens to an event whose ring is full (spec 40 §1.5).
enum class Backpressure : std::uint8_t {
  kDropNewest,    ///< the event is refused
  kDropOldest,    ///< the oldest event of the ring makes room
  kFailProducer,  ///< the event is refused; to the ring the same as kDropNewest
  kSample,        ///< every n-th event takes the place of the oldest, the others are refused
};

enum class PushResult : std::uint8_t {
  kStored,
  kStoredEvicting,  ///< stored, and the oldest event was dropped for it
  kFull,
  kSampledOut,
};

constexpr bool is_stored(PushResult result) {
  return result == PushResult::kStored || result == PushResult::kStoredEvicting;
}

/// What a ring has seen since it was made.
struct RingCounters {
  std::uint64_t stored = 0;
  std::uint64_t evicted = 0;      ///< of the stored ones, dropped for newer ones
  std::uint64_t refused = 0;      ///< the ring was full
  std::uint64_t sampled_out = 0;  ///< the ring was full and the sample passed them over
};

/// A ring of `capacity` slots, of which one stays free. Payloads are copied once, into segments.
/// Any thread may push, any may pop; each call is one short critical section, and `push_all` is one
/// for a whole batch.
class EventRing {
 public:
  /// `capacity` is a power of two. `sample_rate` matters to Backpressure::kSample alone.
  EventRing(std::size_t capacity, Backpressure mode, std::uint32_t sample_rate = 1)
      : capacity_(capacity),
        mask_(capacity - 1),
        mode_(mode),
        sample_rate_(sample_rate),
        slots_(std::make_unique_for_overwrite<EventSlot[]>(capacity)) {
    NM_ASSERT(capacity >= 2 && (capacity & mask_) == 0);
  }
  ~EventRing() {
    evict(tail_ - head_);
    if (writing_ != nullptr) give_up_writing();
  }
  EventRing(const EventRing&) = delete;
  EventRing& operator=(const EventRing&) = delete;

  struct Pushed {
    PushResult result;
    std::uint64_t timestamp;  ///< used up even when the event was refused
    std::size_t size;         ///< of the ring, afterwards
  };

  /// `now` is the time since the shard began; timestamps increase strictly whatever it says.
  Pushed push(ByteSpan payload, std::uint64_t now) {
    lock_.lock();
    const Pushed pushed = push_locked(payload, now);
    publish();
    lock_.unlock();
    return pushed;
  }

  struct PushedAll {
    std::size_t stored = 0;
    std::size_t size = 0;  ///< of the ring, afterwards
  };
  /// Pushes in the caller's order under one lock; `payload_at(i)` yields the i-th of `count`.
  template <typename PayloadAt>
  PushedAll push_all(std::size_t count, std::uint64_t now, PayloadAt&& payload_at) {
    PushedAll out;
    lock_.lock();
    for (std::size_t i = 0; i < count; ++i) {
      if (is_stored(push_locked(payload_at(i), now).result)) ++out.stored;
    }
    out.size = tail_ - head_;
    publish();
    lock_.unlock();
    return out;
  }

  struct Popped {
    std::size_t count;
    std::uint64_t first;  ///< number of the first of them, see `span`
  };
  /// Moves up to `out.size()` of the oldest slots out; their holds go with them.
  Popped pop(std::span<EventSlot> out) {
    lock_.lock();
    const std::uint64_t number = counters_.stored - (tail_ - head_);
    const std::size_t count = std::min<std::size_t>(out.size(), tail_ - head_);
    const std::size_t from = head_ & mask_;
    const std::size_t first = std::min(count, capacity_ - from);
    std::copy_n(&slots_[from], first, out.data());
    std::copy_n(&slots_[0], count - first, out.data() + first);
    head_ += count;
    if (head_ == tail_) rewind();
    publish();
    lock_.unlock();
    return {count, number};
  }

  /// How many events wait, as of a moment ago.
  std::size_t size() const { return published_size_.load(std::memory_order_relaxed); }
  bool empty() const { return size() == 0; }
  std::size_t usable_slots() const { return capacity_ - 1; }
  RingCounters counters() const {
    const std::lock_guard lock(lock_);
    return counters_;
  }
  /// Number of the next event to be stored, and of the oldest that still waits; both count from 0.
  struct Span {
    std::uint64_t first;
    std::uint64_t next;
  };
  Span span() const {
    const std::lock_guard lock(lock_);
    return {counters_.stored - (tail_ - head_), counters_.stored};
  }

 private:
  /// Above this an event has a segment of its own rather than leave much of a shared one unused.
  static constexpr std::size_t kLargePayload = Segment::kBlockBytes / 4;

  Pushed push_locked(ByteSpan payload, std::uint64_t now) {
    last_timestamp_ = std::max(now, last_timestamp_ + 1);
    PushResult result = PushResult::kStored;
    if (tail_ - head_ >= capacity_ - 1) {
      if (mode_ == Backpressure::kDropNewest || mode_ == Backpressure::kFailProducer) {
        ++counters_.refused;
        return {PushResult::kFull, last_timestamp_, tail_ - head_};
      }
      if (mode_ == Backpressure::kSample && ++met_full_ % sample_rate_ != 0) {
        ++counters_.sampled_out;
        return {PushResult::kSampledOut, last_timestamp_, tail_ - head_};
      }
      evict(1);
      ++counters_.evicted;
      result = PushResult::kStoredEvicting;
    }
    EventSlot& slot = slots_[tail_ & mask_];
    place(payload, slot);
    slot.timestamp = last_timestamp_;
    ++tail_;
    ++counters_.stored;
    return {result, last_timestamp_, tail_ - head_};
  }

  void place(ByteSpan payload, EventSlot& slot) {
    slot.size = static_cast<std::uint32_t>(payload.size());
    if (payload.size() > kLargePayload) {
      slot.segment = Segment::create(payload.size());
      slot.offset = slot.segment->append(payload);
      return;
    }
    if (writing_ == nullptr || writing_->room() < payload.size()) {
      Segment* const next = Segment::create(0);
      if (writing_ != nullptr) give_up_writing();
      writing_ = next;
    }
    slot.segment = writing_;
    slot.offset = writing_->append(payload);
    // One atomic operation per segment instead of one per event: holds are taken in advance.
    if (holds_left_ == 0) {
      writing_->hold(kHoldsAhead);
      holds_left_ = kHoldsAhead;
    }
    --holds_left_;
  }

  /// Gives back the writer's own hold and those that were taken in advance.
  void give_up_writing() {
    writing_->release(holds_left_ + 1);
    writing_ = nullptr;
    holds_left_ = 0;
  }

  void evict(std::size_t count) {
    for (; count > 0; --count, ++head_) release_slots(&slots_[head_ & mask_], 1);
  }

  /// An empty ring starts over at its first slots: they are in the processor's cache, and memory
  /// that was never needed stays untouched.
  void rewind() { head_ = tail_ = 0; }

  void publish() { published_size_.store(tail_ - head_, std::memory_order_relaxed); }

  static constexpr std::uint32_t kHoldsAhead = 1024;
  static constexpr std::size_t kCacheLine = 64;

  const std::size_t capacity_;
  const std::size_t mask_;
  const Backpressure mode_;
  const std::uint32_t sample_rate_;
  const std::unique_ptr<EventSlot[]> slots_;

  // What every push touches shares one line, which no reader of the sizes below disturbs.
  alignas(kCacheLine) mutable SpinLock lock_;
  std::uint32_t holds_left_ = 0;  ///< taken on `writing_` in advance
  std::size_t head_ = 0;          ///< oldest slot; never more than `capacity_ - 1` behind `tail_`
  std::size_t tail_ = 0;          ///< next slot to write
  std::uint64_t last_timestamp_ = 0;
  Segment* writing_ = nullptr;
  RingCounters counters_;
  std::uint64_t met_full_ = 0;  ///< events that met a full ring, for sampling

  alignas(kCacheLine) std::atomic<std::size_t> published_size_{0};
};

}  // namespace netmesh::bus
