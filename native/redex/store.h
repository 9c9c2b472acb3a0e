#pragma once
// Where a log keeps its records: in memory or on disk.

#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "redex/event.h"
#include "redex/record.h"

namespace netmesh::redex {

/// Events to be added, with consecutive sequence numbers.
struct NewEvents {
  std::span<const ByteSpan> payloads;
  /// Sum of the payloads' sizes.
  std::uint64_t bytes = 0;
  std::uint64_t first_seq = 0;
  UnixNanos timestamp = 0;
  /// Every payload has `kInlineBytes` and goes into its record.
  bool inline_payloads = false;
};

/// A row of records, oldest first, growing at the end and dropped from the front. Not locked: the
/// log that owns it does that. Payloads stay valid for as long as a pin of theirs.
class Store {
 public:
  virtual ~Store() = default;

  virtual std::size_t size() const = 0;
  /// `index` counts from the oldest record that was not dropped.
  virtual std::uint64_t seq_at(std::size_t index) const = 0;
  virtual UnixNanos timestamp_at(std::size_t index) const = 0;
  /// Without a meaningful offset in memory.
  virtual IndexRecord record_at(std::size_t index) const = 0;
  virtual EventView view(std::size_t index) const = 0;
  /// Keeps the payloads of `[first, last)` in memory for as long as the batch lives.
  virtual void pin(std::size_t first, std::size_t last, EventBatch& batch) const = 0;

  /// All of them or none.
  virtual Expected<void> append(const NewEvents& events) = 0;
  /// Forgets the oldest `count` records.
  virtual void drop(std::size_t count) = 0;
};

}  // namespace netmesh::redex
