#pragma once
// The event bus: emit into shards; poll them here, or hand them out in batches (spec 40).

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "bus/batch_size.h"
#include "bus/dispatcher.h"
#include "bus/poll.h"
#include "bus/scaling.h"
#include "bus/shard.h"

namespace netmesh::bus {

struct BusOptions {
  std::uint32_t shards = 1;  ///< to begin with
  ScalingPolicy scaling;
  std::size_t ring_capacity = 1u << 20;  ///< per shard, a power of two of 1024 or more
  Backpressure backpressure = Backpressure::kDropOldest;
  std::uint32_t sample_rate = 1;
  /// Payloads that are not JSON are refused.
  bool validate_json = false;
  /// Events stay here, to be polled, or leave in batches. A bus that hands out keeps what it
  /// receives from elsewhere.
  bool dispatch = false;
  Encoding encoding = Encoding::kEntry;
  std::size_t max_payload_bytes = 64u << 20;
  Retention retention;  ///< per shard
  BatchConfig batch;
  std::string producer_nonce_path;  ///< empty: a random nonce for this process
};

enum class IngestStatus : std::uint8_t {
  kStored,
  kFull,
  kSampledOut,
  kUnrouted,
  kShutDown,
  kNotJson,
  kTooLarge,
};

/// The words of spec 40 §1.6.
const char* describe(IngestStatus status);

struct Ingested {
  IngestStatus status = IngestStatus::kStored;
  ShardId shard = 0;
  std::uint64_t timestamp = 0;
};

/// Monotonic counters; `dropped` and what follows it are disjoint causes of loss.
struct BusStats {
  std::uint64_t ingested = 0;
  std::uint64_t dropped = 0;  ///< refused by a full ring, sampled out, unrouted or not JSON
  std::uint64_t refused_full = 0;
  std::uint64_t sampled_out = 0;
  std::uint64_t unrouted = 0;
  std::uint64_t invalid = 0;
  std::uint64_t evicted = 0;  ///< accepted, then dropped for newer events
  std::uint64_t expired = 0;  ///< dropped from the store by retention
  std::uint64_t stored = 0;   ///< in the store now
  std::uint64_t stored_bytes = 0;
  std::uint64_t pending = 0;  ///< in rings now
  DispatchCounters dispatch;
};

/// A page of the bus's own store. `payload_of(i)` stays valid while the page lives.
class StorePage {
 public:
  struct Event {
    std::uint64_t id;
    ShardId shard;
    std::uint64_t timestamp;
    UnixNanos unix_ns;
    ByteSpan payload;
  };
  StorePage() = default;
  ~StorePage();
  StorePage(StorePage&&) = default;
  StorePage& operator=(StorePage&&) = delete;

  std::vector<Event> events;
  std::optional<std::string> next_id;
  bool has_more = false;
  std::vector<ShardId> failed_shards;
  std::uint64_t expired = 0;  ///< events after the cursor that retention had dropped

 private:
  friend class Bus;
  std::vector<EventSlot> held_;
};

/// Emitting and the store: any thread. The number of shards is changed by one thread, the
/// application's. All shards there can be exist from the beginning and are read and drained at all
/// times; only the first ones, the active ones, get new events. So a change loses nothing, a shard
/// that comes back goes on counting where it was, and cursors stay good.
class Bus {
 public:
  static constexpr std::uint32_t kMaxShards = 65'535;  ///< id 65535 stands for no shard

  /// `signal` runs on a thread of the bus when `dispatcher().take()` has something. Errors are
  /// kInvalidArgument for options and kFatal for the nonce file.
  static Expected<std::unique_ptr<Bus>> create(const BusOptions& options,
                                               std::function<void()> signal);
  ~Bus();

  Ingested ingest(ByteSpan payload);
  Ingested ingest_hashed(ByteSpan payload, std::uint64_t hash);
  /// Groups by shard, keeps the caller's order in each; returns how many were stored.
  std::size_t ingest_all(std::span<const ByteSpan> payloads);

  /// The active shards are those below this number.
  std::uint32_t active_shards() const { return active_.load(std::memory_order_relaxed); }
  /// From now on events go to the first `count` shards, within the policy's bounds. Those that
  /// drop out have what waits in them sent at once. Returns the number there is then.
  std::uint32_t scale_to(std::uint32_t count);
  /// Looks at the load and scales as the policy says; to be called at regular intervals.
  std::uint32_t scale_by_load();
  /// Whether nothing waits in the ring of a shard.
  bool is_drained(ShardId shard) const { return shards_[shard]->ring.empty(); }
  /// All shards, active or not.
  std::vector<ShardId> shard_ids() const;
  BusStats stats() const;
  std::uint64_t nonce() const { return nonce_; }
  /// The wall clock when the shard began.
  UnixNanos began_unix_ns(ShardId shard) const;

  /// Polls the store. Fails with `invalid cursor: …`.
  Expected<StorePage> poll(const PollRequest& request);
  /// The cursor behind everything that is stored now.
  std::string latest_cursor();
  /// Puts what another bus has sent into the store of `shard` modulo the number of shards.
  void receive(std::uint32_t shard, std::span<const ByteSpan> payloads);

  /// Null unless the bus dispatches.
  Dispatcher* dispatcher() { return dispatcher_.get(); }

  /// Nothing is accepted any more.
  void refuse() { open_.store(false, std::memory_order_release); }
  bool open() const { return open_.load(std::memory_order_acquire); }

 private:
  explicit Bus(const BusOptions& options);
  Shard& select(std::uint64_t hash);
  Ingested refuse_with(IngestStatus status);
  Ingested put(Shard& shard, ByteSpan payload);
  bool is_json(ByteSpan payload) const;
  void after_push(Shard& shard, std::size_t size);
  void add_shard();

  const BusOptions options_;
  ShardScaler scaler_;
  std::uint64_t nonce_ = 0;
  std::vector<std::unique_ptr<Shard>> shards_;  ///< never changes after the constructor
  std::atomic<std::uint32_t> active_;           ///< at least 1, at most `shards_.size()`
  std::vector<std::uint64_t> seen_;             ///< by shard: events stored at the last look
  std::unique_ptr<Dispatcher> dispatcher_;
  std::atomic<bool> open_{true};
  std::atomic<std::uint64_t> unrouted_{0};
  std::atomic<std::uint64_t> invalid_{0};
};

/// XXH3, 64 bit, seed 0: what decides the shard.
std::uint64_t hash_payload(ByteSpan payload);

}  // namespace netmesh::bus
