#include "bus/dispatcher.h"

#include <algorithm>
#include <utility>

#include "bus/entry.h"

namespace netmesh::bus {
namespace {

constexpr std::size_t kMaxOutstanding = 2;
/// While the journal's disk is full or gone, events wait in their rings.
constexpr auto kJournalRetry = std::chrono::milliseconds(500);
/// Slots taken out of a ring in one critical section.
constexpr std::size_t kDrainSlots = 1000;
constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

}  // namespace

Dispatcher::Dispatcher(const DispatcherConfig& config, std::unique_ptr<ProducerJournal> journal,
                       std::function<void()> signal)
    : config_(config), journal_(std::move(journal)), signal_(std::move(signal)) {
  if (!journal_) return;
  for (EncodedBatch& batch : journal_->take_recovered()) {
    counted_.events_recovered += batch.size();
    Lane& lane = lane_of(batch.shard);
    publish(lane, std::move(batch), 0, true);
  }
  counters_ = counted_;
}

Dispatcher::~Dispatcher() {
  stop();
  for (const auto& lane : lanes_) release_slots(lane->pending.data(), lane->pending.size());
}

void Dispatcher::start() {
  thread_ = std::thread([this] { run(); });
}

void Dispatcher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// --- the application's thread ---

void Dispatcher::add(Shard* shard) {
  {
    const std::lock_guard lock(mutex_);
    requests_.shards.push_back(shard);
    known_shards_.push_back(shard);
    if (journal_ && !thread_.joinable()) sequences_[shard->id] = journal_->next_sequence(shard->id);
  }
  wake();
}

void Dispatcher::wake() {
  enough_.exchange(kNever, std::memory_order_acq_rel);
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

Dispatcher::Taken Dispatcher::take() {
  const std::lock_guard lock(mutex_);
  signalled_ = false;
  Taken taken = std::exchange(ready_, {});
  ready_.journal_error = taken.journal_error;
  return taken;
}

void Dispatcher::settle(std::uint32_t token, bool delivered) {
  {
    const std::lock_guard lock(mutex_);
    requests_.settled.emplace_back(token, delivered);
  }
  wake();
}

std::uint32_t Dispatcher::request_flush() {
  std::uint32_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_flush_++;
    Flush flush{id, {}};
    for (Shard* const shard : known_shards_)
      flush.until.emplace_back(shard, shard->ring.span().next);
    requests_.flushes.push_back(std::move(flush));
  }
  wake();
  return id;
}

DispatchCounters Dispatcher::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

std::uint64_t Dispatcher::next_sequence(ShardId shard) const {
  const std::lock_guard lock(mutex_);
  const auto found = sequences_.find(shard);
  return found == sequences_.end() ? 0 : found->second;
}

// --- the dispatcher's thread ---

void Dispatcher::run() {
  for (;;) {
    Requests requests;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      woken_ = false;
      requests = std::exchange(requests_, {});
    }
    accept(std::move(requests));
    const auto now = Clock::now();
    std::optional<Clock::time_point> next;
    for (const auto& lane : lanes_) {
      const auto due = turn(*lane, now);
      if (due && (!next || *due < *next)) next = due;
    }
    while (!flushes_.empty() && is_through(flushes_.front())) {
      results_.flushed.push_back(flushes_.front().id);
      flushes_.pop_front();
    }
    rest(next);
  }
}

void Dispatcher::accept(Requests requests) {
  for (Shard* const shard : requests.shards) lane_of(shard->id).shard = shard;
  for (const auto& [token, delivered] : requests.settled) apply_settled(token, delivered);
  for (Flush& flush : requests.flushes) flushes_.push_back(std::move(flush));
}

Dispatcher::Lane& Dispatcher::lane_of(ShardId shard) {
  for (const auto& lane : lanes_) {
    if (lane->id == shard) return *lane;
  }
  lanes_.push_back(std::make_unique<Lane>(config_.batch));
  Lane& lane = *lanes_.back();
  lane.id = shard;
  if (journal_) lane.sequence = journal_->next_sequence(shard);
  return lane;
}

void Dispatcher::apply_settled(std::uint32_t token, bool delivered) {
  for (const auto& lane : lanes_) {
    const auto found = std::find_if(lane->outstanding.begin(), lane->outstanding.end(),
                                    [&](const Outstanding& each) { return each.token == token; });
    if (found == lane->outstanding.end()) continue;
    (delivered ? counted_.batches_dispatched : counted_.batches_lost) += 1;
    (delivered ? counted_.events_dispatched : counted_.events_lost) += found->events;
    // When this fails the batch is sent again after a restart, under the ids it had.
    if (journal_) (void)journal_->settle(lane->id, found->sequence_start);
    lane->outstanding.erase(found);
    return;
  }
}

std::optional<Dispatcher::Clock::time_point> Dispatcher::turn(Lane& lane, Clock::time_point now) {
  if (lane.shard == nullptr) return std::nullopt;
  std::size_t drained = 0;
  while (lane.outstanding.size() < kMaxOutstanding) {
    drained += drain(lane);
    if (lane.pending.empty() || !must_cut(lane, now)) break;
    if (journal_failure_ && now < journal_retry_) return journal_retry_;
    if (!cut(lane)) return journal_retry_;
  }
  lane.size.record(TimePoint(now.time_since_epoch()), drained);
  if (lane.outstanding.size() >= kMaxOutstanding) {
    // The backend is behind. Events of this shard must not wake the thread for nothing.
    return lane.shard->ring.empty() ? std::nullopt
                                    : std::optional(now + Clock::duration(config_.batch.max_delay));
  }
  if (lane.pending.empty()) return std::nullopt;
  return lane.shard->clock.at(lane.pending.front().timestamp) + config_.batch.max_delay;
}

/// A batch takes what has come, up to its target.
std::size_t Dispatcher::drain(Lane& lane) {
  std::size_t drained = 0;
  while (lane.pending.size() < lane.size.target()) {
    const std::size_t had = lane.pending.size();
    const std::size_t want = std::min(lane.size.target() - had, kDrainSlots);
    lane.pending.resize(had + want);
    const auto popped = lane.shard->ring.pop({lane.pending.data() + had, want});
    lane.pending.resize(had + popped.count);
    if (had == 0) lane.pending_first = popped.first;
    drained += popped.count;
    if (popped.count < want) break;
  }
  return drained;
}

bool Dispatcher::must_cut(const Lane& lane, Clock::time_point now) const {
  if (lane.pending.size() >= lane.size.target() || !flushes_.empty()) return true;
  if (lane.shard->state.load(std::memory_order_relaxed) != ShardState::kActive) return true;
  const auto oldest = lane.shard->clock.at(lane.pending.front().timestamp);
  return now >= oldest + config_.batch.max_delay;
}

bool Dispatcher::cut(Lane& lane) {
  EncodedBatch batch = encode(lane);
  if (journal_) {
    if (const auto recorded = journal_->record(batch); !recorded) {
      journal_failure_ = recorded.error().message;
      journal_retry_ = Clock::now() + kJournalRetry;
      return false;
    }
    journal_failure_.reset();
  }
  lane.sequence += lane.pending.size();
  release_slots(lane.pending.data(), lane.pending.size());
  lane.pending.clear();
  publish(lane, std::move(batch), lane.pending_first, false);
  return true;
}

EncodedBatch Dispatcher::encode(const Lane& lane) const {
  EncodedBatch out;
  out.shard = lane.id;
  out.nonce = config_.nonce;
  out.sequence_start = lane.sequence;
  const bool entries = config_.encoding == Encoding::kEntry;
  std::size_t bytes = 1;
  for (const EventSlot& event : lane.pending)
    bytes += event.size + (entries ? kMaxEntryOverhead : 0);
  out.bytes = Slab(bytes);
  out.ends.reserve(lane.pending.size());
  for (const EventSlot& event : lane.pending) {
    std::byte* const at = out.bytes.data() + out.bytes.size();
    std::size_t length = event.size;
    if (entries)
      length = write_entry(event.payload(), event.timestamp, lane.id, at);
    else
      std::copy_n(event.payload().data(), length, at);
    out.bytes.extend(length);
    out.ends.push_back(static_cast<std::uint32_t>(out.bytes.size()));
  }
  return out;
}

void Dispatcher::publish(Lane& lane, EncodedBatch batch, std::uint64_t first, bool recovered) {
  const std::uint32_t token = next_token_++;
  lane.outstanding.push_back({token, batch.sequence_start, batch.size(), first, recovered});
  results_.batches.push_back({token, std::move(batch)});
}

bool Dispatcher::is_through(const Flush& flush) const {
  if (std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
        return std::any_of(lane->outstanding.begin(), lane->outstanding.end(),
                           [](const Outstanding& each) { return each.recovered; });
      })) {
    return false;
  }
  return std::all_of(flush.until.begin(), flush.until.end(), [&](const auto& each) {
    const auto& [shard, until] = each;
    const auto at =
        std::find_if(lanes_.begin(), lanes_.end(),
                     [&, wanted = shard](const auto& lane) { return lane->shard == wanted; });
    if (at == lanes_.end()) return true;
    const Lane& lane = **at;
    if (lane.shard->ring.span().first < until) return false;
    if (!lane.pending.empty() && lane.pending_first < until) return false;
    return std::none_of(lane.outstanding.begin(), lane.outstanding.end(),
                        [until = until](const Outstanding& batch) { return batch.first < until; });
  });
}

std::size_t Dispatcher::enough_events(bool batch_is_due) const {
  std::size_t enough = kNever;
  for (const auto& lane : lanes_) {
    if (lane->shard == nullptr) continue;
    // A shard that is full of undelivered batches must not end the wait for others.
    if (lane->outstanding.size() >= kMaxOutstanding) return kNever;
    if (!batch_is_due) continue;
    const std::size_t missing =
        lane->size.target() - std::min(lane->size.target() - 1, lane->pending.size());
    enough = std::min({enough, missing, lane->shard->ring.usable_slots() / 2});
  }
  return batch_is_due ? enough : 1;
}

void Dispatcher::rest(std::optional<Clock::time_point> until) {
  bool raise = false;
  std::unique_lock lock(mutex_);
  std::move(results_.batches.begin(), results_.batches.end(), std::back_inserter(ready_.batches));
  ready_.flushed.insert(ready_.flushed.end(), results_.flushed.begin(), results_.flushed.end());
  const bool news = !results_.batches.empty() || !results_.flushed.empty() ||
                    ready_.journal_error != journal_failure_;
  results_ = {};
  ready_.journal_error = journal_failure_;
  counters_ = counted_;
  for (const auto& lane : lanes_) sequences_[lane->id] = lane->sequence;
  if (news && !signalled_) raise = signalled_ = true;
  if (raise) {
    lock.unlock();
    signal_();
    lock.lock();
  }
  if (woken_ || stopping_) return;

  const std::size_t enough = enough_events(until.has_value());
  enough_.exchange(enough, std::memory_order_acq_rel);
  // Whoever pushed before it could see what we wait for is seen here.
  for (const auto& lane : lanes_) {
    if (lane->shard != nullptr && lane->shard->ring.size() >= enough) return;
  }
  const auto called = [&] { return woken_ || stopping_; };
  if (until)
    changed_.wait_until(lock, *until, called);
  else
    changed_.wait(lock, called);
  enough_.exchange(kNever, std::memory_order_acq_rel);
}

}  // namespace netmesh::bus
