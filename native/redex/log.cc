#include "redex/log.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace netmesh::redex {
namespace {

/// Calls the callbacks of tails that were taken out of the armed list, without the log's lock.
void notify(const std::vector<std::shared_ptr<TailCore>>& ready) {
  for (const auto& core : ready) {
    const std::lock_guard lock(core->notify_mutex);
    if (core->on_ready) core->on_ready();
  }
}

template <typename T>
void erase_one(std::vector<T>& from, const T& what) {
  const auto at = std::find(from.begin(), from.end(), what);
  if (at == from.end()) return;
  *at = std::move(from.back());
  from.pop_back();
}

}  // namespace

Log::Log(std::unique_ptr<Store> store, const RetentionPolicy& retention, WallClock clock,
         std::uint64_t next_seq)
    : store_(std::move(store)),
      retention_(retention),
      clock_(std::move(clock)),
      next_seq_(next_seq) {
  for (std::size_t i = 0; i < store_->size(); ++i) {
    const IndexRecord record = store_->record_at(i);
    live_cost_ += record.cost();
    live_bytes_ += record.cost() - kRecordBytes;
  }
}

Log::~Log() = default;

UnixNanos Log::now() const {
  if (clock_) return clock_();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Expected<std::uint64_t> Log::append(const Append& request) {
  NewEvents events;
  events.payloads = request.payloads;
  events.inline_payloads = request.inline_payloads;
  for (const ByteSpan payload : request.payloads) events.bytes += payload.size();
  events.timestamp = now();
  const std::uint64_t heap_bytes = events.inline_payloads ? 0 : events.bytes;
  const std::size_t count = request.payloads.size();

  std::vector<std::shared_ptr<TailCore>> ready;
  std::uint64_t first = 0;
  {
    const std::lock_guard lock(mutex_);
    first = next_seq_;
    if (request.expected_next && *request.expected_next != first) {
      return fail(channel_error("expected the next sequence number to be " +
                                std::to_string(*request.expected_next) + ", it is " +
                                std::to_string(first)));
    }
    if (count == 0) return first;
    if (count > std::numeric_limits<std::uint64_t>::max() - first)
      return fail(channel_error("sequence numbers are used up"));
    if (heap_bytes > kMaxLiveBytes - live_bytes_)
      return fail(payload_too_large(heap_bytes, kMaxLiveBytes - live_bytes_));
    events.first_seq = first;
    if (auto written = store_->append(events); !written)
      return tl::unexpected<Error>(std::move(written).error());
    next_seq_ += count;
    live_bytes_ += heap_bytes;
    live_cost_ += heap_bytes + count * kRecordBytes;
    if (retention_.any()) {
      evict(events.timestamp);
      drop_unneeded();
    }
    appended(count, heap_bytes);
    for (std::size_t i = 0; i < armed_.size();) {
      TailCore& core = *armed_[i];
      if (core.cursor >= next_seq_) {
        ++i;
        continue;
      }
      core.armed = false;
      ready.push_back(std::move(armed_[i]));
      armed_[i] = std::move(armed_.back());
      armed_.pop_back();
    }
  }
  notify(ready);
  return first;
}

void Log::evict(UnixNanos now) {
  if (!retention_.any()) return;
  const UnixNanos age = retention_.max_age ? retention_.max_age->count() : 0;
  const UnixNanos cutoff = now > std::numeric_limits<UnixNanos>::min() + age
                               ? now - age
                               : std::numeric_limits<UnixNanos>::min();
  for (const std::size_t size = store_->size(); head_ < size; ++head_) {
    const bool too_many = retention_.max_events && size - head_ > *retention_.max_events;
    const bool too_large = retention_.max_bytes && live_cost_ > *retention_.max_bytes;
    const bool too_old = retention_.max_age && store_->timestamp_at(head_) < cutoff;
    if (!too_many && !too_large && !too_old) break;
    const IndexRecord record = store_->record_at(head_);
    live_cost_ -= record.cost();
    live_bytes_ -= record.cost() - kRecordBytes;
    grace_bytes_ += record.cost() - kRecordBytes;
  }
}

void Log::drop_unneeded() {
  std::size_t keep = head_;
  for (const auto& core : tails_) {
    if (!core->end || core->cursor < *core->end) keep = std::min(keep, lower_bound(core->cursor));
  }
  if (head_ > kTailGraceEvents) keep = std::max(keep, head_ - kTailGraceEvents);
  if (keep == 0 && grace_bytes_ <= kTailGraceBytes) return;
  std::size_t count = 0;
  for (; count < head_ && (count < keep || grace_bytes_ > kTailGraceBytes); ++count)
    grace_bytes_ -= store_->record_at(count).cost() - kRecordBytes;
  if (count == 0) return;
  dropped_before_ = store_->seq_at(count - 1) + 1;
  store_->drop(count);
  head_ -= count;
}

std::size_t Log::lower_bound(std::uint64_t seq) const {
  const std::size_t size = store_->size();
  if (size == 0) return 0;
  const std::uint64_t first = store_->seq_at(0);
  if (seq <= first) return 0;
  const std::uint64_t last = store_->seq_at(size - 1);
  if (seq > last) return size;
  // Without gaps, as a log is unless records of it were damaged, the place is known.
  if (last - first == size - 1) return static_cast<std::size_t>(seq - first);
  std::size_t low = 0;
  std::size_t high = size;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (store_->seq_at(middle) < seq)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void Log::collect(std::size_t first, std::uint64_t end, EventBatch& batch, const ReadLimits& limits,
                  std::uint64_t& cursor) const {
  const std::size_t last = std::min(lower_bound(end), first + limits.max_events);
  std::size_t at = first;
  for (std::size_t bytes = 0; at < last; ++at) {
    const EventView event = store_->view(at);
    if (at > first && event.payload.size() > limits.max_bytes - bytes) break;
    bytes = std::min(bytes + event.payload.size(), limits.max_bytes);
    batch.add(event);
    cursor = event.seq + 1;
  }
  store_->pin(first, at, batch);
}

std::uint64_t Log::read_range(std::uint64_t start, std::uint64_t end, EventBatch& batch,
                              const ReadLimits& limits) {
  const std::size_t before = batch.size();
  std::uint64_t cursor = end;
  {
    const std::lock_guard lock(mutex_);
    evict(now());
    const std::size_t first = std::max(lower_bound(start), head_);
    if (first < store_->size()) {
      collect(first, end, batch, limits, cursor);
      if (batch.size() > before && lower_bound(cursor) == lower_bound(end)) cursor = end;
    }
  }
  // Hashing needs no lock: the batch holds what it looks at.
  if (const std::size_t corrupt = batch.drop_corrupt(before); corrupt > 0) {
    const std::lock_guard lock(mutex_);
    corrupt_reads_ += corrupt;
  }
  return std::max(cursor, start);
}

std::shared_ptr<TailCore> Log::add_tail(const void* owner, std::uint64_t from_seq,
                                        std::function<void()> on_ready, bool ended) {
  auto core = std::make_shared<TailCore>();
  core->owner = owner;
  core->cursor = from_seq;
  core->on_ready = std::move(on_ready);
  const std::lock_guard lock(mutex_);
  evict(now());
  const bool empty = head_ == store_->size();
  if (ended) {
    core->end = from_seq;
  } else if (empty ? from_seq < next_seq_ : store_->seq_at(head_) > from_seq) {
    core->lagged = true;
  } else {
    tails_.push_back(core);
  }
  return core;
}

TailState Log::take(TailCore& core, EventBatch& batch, const ReadLimits& limits) {
  for (;;) {
    batch.clear();
    TailState state = TailState::kMore;
    {
      const std::lock_guard lock(mutex_);
      if (core.closed || (core.end && core.cursor >= *core.end)) return TailState::kEnded;
      if (core.lagged) return TailState::kLagged;
      const std::size_t first = lower_bound(core.cursor);
      if (core.cursor < dropped_before_) {
        core.lagged = true;
        return TailState::kLagged;
      }
      const std::uint64_t end = core.end.value_or(next_seq_);
      collect(first, end, batch, limits, core.cursor);
      // What is missing at the end will not come any more.
      if (lower_bound(core.cursor) == lower_bound(end)) core.cursor = std::max(core.cursor, end);
      if (core.end && core.cursor >= *core.end) {
        state = TailState::kEnded;
      } else if (core.cursor >= next_seq_) {
        state = TailState::kEmpty;
        for (const auto& each : tails_) {
          if (each.get() == &core && !core.armed) {
            core.armed = true;
            armed_.push_back(each);
            break;
          }
        }
      }
    }
    const std::size_t corrupt = batch.drop_corrupt(0);
    if (corrupt > 0) {
      const std::lock_guard lock(mutex_);
      corrupt_reads_ += corrupt;
    }
    // The caller goes on until there is nothing; an empty batch would look like it.
    if (state != TailState::kMore || !batch.empty()) return state;
  }
}

void Log::disarm(TailCore& core) {
  if (!core.armed) return;
  core.armed = false;
  const auto at = std::find_if(armed_.begin(), armed_.end(),
                               [&](const auto& each) { return each.get() == &core; });
  *at = std::move(armed_.back());
  armed_.pop_back();
}

void Log::close_tail(const std::shared_ptr<TailCore>& core) {
  {
    const std::lock_guard lock(mutex_);
    core->closed = true;
    disarm(*core);
    erase_one(tails_, core);
    drop_unneeded();
  }
  const std::lock_guard lock(core->notify_mutex);
  core->on_ready = nullptr;
}

void Log::end_tails(const void* owner) {
  std::vector<std::shared_ptr<TailCore>> ready;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& core : tails_) {
      if (core->owner != owner || core->end) continue;
      core->end = next_seq_;
      if (core->armed) ready.push_back(core);
      disarm(*core);
    }
  }
  notify(ready);
}

std::uint64_t Log::position(const TailCore& core) const {
  const std::lock_guard lock(mutex_);
  return core.cursor;
}

FileStats Log::stats() {
  const std::lock_guard lock(mutex_);
  evict(now());
  FileStats stats;
  stats.events = store_->size() - head_;
  stats.first_seq = stats.events > 0 ? store_->seq_at(head_) : next_seq_;
  stats.next_seq = next_seq_;
  stats.payload_bytes = live_bytes_;
  stats.corrupt_reads = corrupt_reads_;
  return stats;
}

void Log::skip_to(std::uint64_t target) {
  const std::lock_guard lock(mutex_);
  if (target <= next_seq_) return;
  for (; head_ < store_->size(); ++head_) {
    const std::uint64_t bytes = store_->record_at(head_).cost() - kRecordBytes;
    live_bytes_ -= bytes;
    grace_bytes_ += bytes;
  }
  live_cost_ = 0;
  next_seq_ = target;
  drop_unneeded();
}

void Log::sweep_retention() {
  const std::lock_guard lock(mutex_);
  evict(now());
  drop_unneeded();
}

void Log::sync(SyncCallback done) { done({}); }

void Log::close(SyncCallback done) { sync(std::move(done)); }

}  // namespace netmesh::redex
