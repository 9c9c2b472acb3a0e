#pragma once
// Events as the Redis and JetStream adapters store them (spec 40 §9.2).

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "base/bytes.h"
#include "bus/position.h"

namespace netmesh::bus {

/// Bytes that `append_entry` adds around a payload, at most.
inline constexpr std::size_t kMaxEntryOverhead = 5 + 5 + 20 + 5 + 5 + 1;

/// Writes `{"r":` payload `,"t":` timestamp `,"s":` shard `}` to `out`, which has room for the
/// payload and kMaxEntryOverhead more. The payload goes in byte for byte. Returns the length.
std::size_t write_entry(ByteSpan payload, std::uint64_t timestamp, ShardId shard, std::byte* out);

struct Entry {
  ByteSpan payload;  ///< a slice of the entry, byte for byte
  std::uint64_t timestamp = 0;
  ShardId shard = 0;
};

enum class EntryProblem : std::uint8_t {
  kUnreadable,  ///< no JSON object with an `r`: readers skip it
  kCorrupt,     ///< `s` is no shard: some readers stop
};

/// Reads an entry of whoever wrote it: members in any order, others ignored, `t` and `s` optional.
tl::expected<Entry, EntryProblem> read_entry(ByteSpan text);

/// `nonce:shard:sequence:`, to which the index in the batch is appended: what makes an event's
/// `dedup_id`, the same for every retry.
std::string dedup_prefix(std::uint64_t nonce, ShardId shard, std::uint64_t sequence_start);

}  // namespace netmesh::bus
