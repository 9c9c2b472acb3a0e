#include "bus/bus.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "bus/json.h"
#include "crypto/hash.h"

namespace netmesh::bus {
namespace {

/// The store takes a ring over when this many events wait in it: at most, so that small rings never
/// fill up, and not at each event, so that a lock is not taken for each.
constexpr std::size_t kStoreEvery = 512;

/// What the bus begins with is within its bounds.
BusOptions with_bounds(BusOptions options) {
  options.scaling.max_shards = std::max(options.scaling.max_shards, options.shards);
  options.scaling.min_shards = std::min(options.scaling.min_shards, options.shards);
  return options;
}

}  // namespace

const char* describe(IngestStatus status) {
  switch (status) {
    case IngestStatus::kStored:
      return "stored";
    case IngestStatus::kFull:
      return "backpressure: ring buffer full";
    case IngestStatus::kSampledOut:
      return "event dropped due to sampling";
    case IngestStatus::kUnrouted:
      return "event has no routable shard";
    case IngestStatus::kShutDown:
      return "event bus is shutting down";
    case IngestStatus::kNotJson:
      return "serialization error: the payload is not valid JSON";
    case IngestStatus::kTooLarge:
      return "serialization error: the payload is too large";
  }
  return "";
}

std::uint64_t hash_payload(ByteSpan payload) { return crypto::xxh3_64(payload); }

StorePage::~StorePage() { release_slots(held_.data(), held_.size()); }

Bus::Bus(const BusOptions& options)
    : options_(with_bounds(options)), scaler_(options_.scaling), active_(options.shards) {
  for (std::uint32_t i = 0; i < options_.scaling.max_shards; ++i) add_shard();
  seen_.resize(shards_.size());
}

Bus::~Bus() {
  // Its thread drains the shards.
  dispatcher_.reset();
}

Expected<std::unique_ptr<Bus>> Bus::create(const BusOptions& options,
                                           std::function<void()> signal) {
  const auto invalid = [](std::string rule) {
    return fail(ErrorKind::kInvalidArgument, "invalid configuration: " + std::move(rule));
  };
  const BatchConfig& batch = options.batch;
  if (options.shards == 0) return invalid("num_shards must be > 0");
  if (options.shards > kMaxShards) return invalid("num_shards must be <= 65535");
  if ((options.ring_capacity & (options.ring_capacity - 1)) != 0)
    return invalid("ring_buffer_capacity must be a power of 2");
  if (options.ring_capacity < 1024) return invalid("ring_buffer_capacity must be >= 1024");
  if (options.sample_rate == 0) return invalid("BackpressureMode::Sample.rate must be > 0");
  if (batch.min_size == 0) return invalid("batch min_size must be > 0");
  if (batch.max_size < batch.min_size) return invalid("batch max_size must be >= min_size");
  if (batch.max_size > 1'000'000) return invalid("batch max_size must be <= 1000000");
  if (batch.max_delay <= Duration::zero()) return invalid("batch max_delay must be > 0");
  if (batch.adaptive && batch.velocity_window <= Duration::zero())
    return invalid("batch velocity_window must be > 0 when adaptive");
  if (const char* const rule = options.scaling.broken_rule())
    return invalid(std::string("scaling policy: invalid configuration: ") + rule);
  if (options.scaling.max_shards > kMaxShards)
    return invalid("scaling policy: invalid configuration: max_shards must be <= 65535");
  if (options.retention.max_events == 0) return invalid("retention max_events must be > 0");

  std::unique_ptr<Bus> bus(new Bus(options));
  std::unique_ptr<ProducerJournal> journal;
  if (options.producer_nonce_path.empty()) {
    bus->nonce_ = random_nonce();
  } else {
    const auto failure = [&](const Error& error) {
      return fail(ErrorKind::kFatal, "failed to load/create producer-nonce file at " +
                                         options.producer_nonce_path + ": " + error.message);
    };
    const auto nonce = load_or_create_nonce(options.producer_nonce_path);
    if (!nonce) return failure(nonce.error());
    bus->nonce_ = *nonce;
    if (options.dispatch) {
      auto opened = ProducerJournal::open(options.producer_nonce_path, *nonce);
      if (!opened) return failure(opened.error());
      journal = std::move(*opened);
    }
  }
  if (options.dispatch) {
    bus->dispatcher_ =
        std::make_unique<Dispatcher>(DispatcherConfig{options.batch, options.encoding, bus->nonce_},
                                     std::move(journal), std::move(signal));
    for (const auto& shard : bus->shards_) bus->dispatcher_->add(shard.get());
    bus->dispatcher_->start();
  }
  return bus;
}

void Bus::add_shard() {
  shards_.push_back(std::make_unique<Shard>(static_cast<ShardId>(shards_.size()),
                                            options_.ring_capacity, options_.backpressure,
                                            options_.sample_rate, options_.retention));
  if (shards_.size() > options_.shards)
    shards_.back()->state.store(ShardState::kInactive, std::memory_order_relaxed);
}

std::uint32_t Bus::scale_to(std::uint32_t count) {
  const std::uint32_t wanted =
      std::clamp(count, options_.scaling.min_shards, options_.scaling.max_shards);
  const std::uint32_t before = active_shards();
  if (wanted == before) return wanted;
  for (std::uint32_t i = before; i < wanted; ++i)
    shards_[i]->state.store(ShardState::kActive, std::memory_order_relaxed);
  active_.store(wanted, std::memory_order_release);
  for (std::uint32_t i = wanted; i < before; ++i)
    shards_[i]->state.store(ShardState::kInactive, std::memory_order_relaxed);
  scaler_.changed(std::chrono::steady_clock::now());
  // Larger than whatever it waits for: what was gathered for a larger batch goes out.
  if (dispatcher_) dispatcher_->notice(std::numeric_limits<std::size_t>::max());
  return wanted;
}

std::uint32_t Bus::scale_by_load() {
  std::vector<ShardLoad> loads(active_shards());
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const EventRing& ring = shards_[i]->ring;
    const std::uint64_t stored = ring.counters().stored;
    const std::uint64_t events = stored - std::exchange(seen_[i], stored);
    if (i >= loads.size()) continue;
    loads[i] = {static_cast<double>(ring.size()) / static_cast<double>(ring.usable_slots()),
                events};
  }
  return scale_to(scaler_.decide(std::chrono::steady_clock::now(), loads));
}

/// Multiply-shift on the high bits, not modulo (spec 40 §1.2).
Shard& Bus::select(std::uint64_t hash) {
  __extension__ using Wide = unsigned __int128;
  return *shards_[static_cast<std::size_t>((static_cast<Wide>(hash) * active_shards()) >> 64)];
}

bool Bus::is_json(ByteSpan payload) const {
  static thread_local JsonReader reader;
  return reader.parse(payload).has_value();
}

Ingested Bus::refuse_with(IngestStatus status) {
  if (status == IngestStatus::kNotJson || status == IngestStatus::kTooLarge)
    invalid_.fetch_add(1, std::memory_order_relaxed);
  return {status, 0, 0};
}

Ingested Bus::ingest(ByteSpan payload) { return ingest_hashed(payload, hash_payload(payload)); }

Ingested Bus::ingest_hashed(ByteSpan payload, std::uint64_t hash) {
  if (!open()) return {IngestStatus::kShutDown, 0, 0};
  if (payload.size() > options_.max_payload_bytes) return refuse_with(IngestStatus::kTooLarge);
  if (options_.validate_json && !is_json(payload)) return refuse_with(IngestStatus::kNotJson);
  return put(select(hash), payload);
}

Ingested Bus::put(Shard& shard, ByteSpan payload) {
  const auto pushed = shard.ring.push(payload, shard.clock.now());
  if (is_stored(pushed.result)) after_push(shard, pushed.size);
  const IngestStatus status = is_stored(pushed.result)                   ? IngestStatus::kStored
                              : pushed.result == PushResult::kSampledOut ? IngestStatus::kSampledOut
                                                                         : IngestStatus::kFull;
  return {status, shard.id, pushed.timestamp};
}

void Bus::after_push(Shard& shard, std::size_t size) {
  if (dispatcher_)
    dispatcher_->notice(size);
  else if (size >= kStoreEvery)
    shard.store_pending();
}

std::size_t Bus::ingest_all(std::span<const ByteSpan> payloads) {
  if (!open()) return 0;
  // Counting sort by shard; `order` lists the events of shard 0, then those of shard 1, and so on.
  static thread_local std::vector<std::uint32_t> shard_of, order, ends;
  constexpr std::uint32_t kRefused = std::numeric_limits<std::uint32_t>::max();
  shard_of.resize(payloads.size());
  ends.assign(shards_.size() + 1, 0);
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    if (payloads[i].size() > options_.max_payload_bytes ||
        (options_.validate_json && !is_json(payloads[i]))) {
      refuse_with(IngestStatus::kNotJson);
      shard_of[i] = kRefused;
      continue;
    }
    shard_of[i] = select(hash_payload(payloads[i])).id;
    ++ends[shard_of[i] + 1];
  }
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  order.resize(payloads.size());
  for (std::uint32_t i = 0; i < payloads.size(); ++i) {
    if (shard_of[i] != kRefused) order[ends[shard_of[i]]++] = i;
  }
  // `ends[s]` has moved from where shard s begins to where it ends.
  std::size_t stored = 0;
  std::size_t begin = 0;
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    Shard& shard = *shards_[s];
    while (begin < ends[s]) {
      // A store is emptied in between, so that a batch larger than a ring fits.
      const std::size_t count =
          dispatcher_ ? ends[s] - begin : std::min<std::size_t>(ends[s] - begin, kStoreEvery);
      const auto pushed = shard.ring.push_all(
          count, shard.clock.now(), [&](std::size_t i) { return payloads[order[begin + i]]; });
      stored += pushed.stored;
      begin += count;
      after_push(shard, pushed.size);
    }
  }
  return stored;
}

std::vector<ShardId> Bus::shard_ids() const {
  std::vector<ShardId> ids;
  for (const auto& shard : shards_) ids.push_back(shard->id);
  return ids;
}

UnixNanos Bus::began_unix_ns(ShardId shard) const { return shards_[shard]->clock.began_unix_ns(); }

BusStats Bus::stats() const {
  BusStats out;
  for (const auto& shard : shards_) {
    const RingCounters ring = shard->ring.counters();
    out.ingested += ring.stored;
    out.evicted += ring.evicted;
    out.refused_full += ring.refused;
    out.sampled_out += ring.sampled_out;
    out.pending += shard->ring.size();
    out.expired += shard->log->expired();
    out.stored += shard->log->size();
    out.stored_bytes += shard->log->bytes();
  }
  out.unrouted = unrouted_.load(std::memory_order_relaxed);
  out.invalid = invalid_.load(std::memory_order_relaxed);
  out.dropped = out.refused_full + out.sampled_out + out.unrouted + out.invalid;
  if (dispatcher_) out.dispatch = dispatcher_->counters();
  return out;
}

Expected<StorePage> Bus::poll(const PollRequest& request) {
  auto plan = plan_poll(request, shard_ids());
  if (!plan) return tl::unexpected<Error>(plan.error());
  StorePage out;
  std::vector<ShardPage> pages;
  std::vector<std::vector<LogEntry>> entries;
  for (const auto& asked : plan->shards) {
    Shard& shard = *shards_[asked.shard];
    if (!dispatcher_) shard.store_pending();
    // A position that is no number is before everything, as for JetStream.
    const std::uint64_t after = asked.after ? parse_number(*asked.after).value_or(0) : 0;
    EventLog::Read read = shard.log->read(after, plan->per_shard);
    ShardPage page;
    page.shard = asked.shard;
    page.has_more = read.more;
    page.events.reserve(read.entries.size());
    for (const LogEntry& entry : read.entries) {
      out.held_.push_back(entry.slot);
      page.events.push_back({std::to_string(entry.id), entry.slot.payload(), entry.slot.timestamp});
    }
    if (!page.events.empty()) page.next_id = page.events.back().id;
    out.expired += read.expired;
    pages.push_back(std::move(page));
    entries.push_back(std::move(read.entries));
  }
  PollResult result = merge_pages(request, *plan, pages);
  out.events.reserve(result.events.size());
  for (const auto& pick : result.events) {
    const LogEntry& entry = entries[pick.page][pick.event];
    const ShardId shard = pages[pick.page].shard;
    out.events.push_back({entry.id, shard, entry.slot.timestamp,
                          began_unix_ns(shard) + static_cast<UnixNanos>(entry.slot.timestamp),
                          entry.slot.payload()});
  }
  out.next_id = std::move(result.next_id);
  out.has_more = result.has_more;
  out.failed_shards = std::move(result.failed_shards);
  return out;
}

std::string Bus::latest_cursor() {
  Cursor cursor;
  for (const auto& shard : shards_) {
    if (!dispatcher_) shard->store_pending();
    cursor[shard->id] = std::to_string(shard->log->last_id());
  }
  return encode_cursor(cursor);
}

void Bus::receive(std::uint32_t shard, std::span<const ByteSpan> payloads) {
  Shard& target = *shards_[shard % shards_.size()];
  target.store_received(payloads);
}

}  // namespace netmesh::bus
