#pragma once
// What makes a producer the same one after a restart: its nonce, and a journal of what it has sent.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/slab.h"
#include "bus/position.h"
#include "runtime/durable_file.h"

namespace netmesh::bus {

/// Events of one shard on their way to the backend, in the bytes that the backend stores.
struct EncodedBatch {
  ShardId shard = 0;
  std::uint64_t nonce = 0;
  std::uint64_t sequence_start = 0;
  std::vector<std::uint32_t> ends;  ///< event i is bytes [ends[i - 1], ends[i])
  Slab bytes;

  std::size_t size() const { return ends.size(); }
};

/// A random number that is not 0.
std::uint64_t random_nonce();
/// The nonce in the file at `path`, which is made when it is missing (spec 40 §11).
Expected<std::uint64_t> load_or_create_nonce(const std::string& path);

/// The journal beside the nonce file, `<path>.journal`: a batch is in it before it goes to the
/// backend and until the backend has taken it. After a crash the unsettled batches are sent again
/// under the ids they had, and every shard goes on after the highest sequence that was ever used,
/// so that an id never stands for two events. Used by one thread at a time.
class ProducerJournal {
 public:
  /// Reads what an earlier process left. A record that was cut short by a crash, and what follows
  /// it, was never sent and is dropped.
  static Expected<std::unique_ptr<ProducerJournal>> open(const std::string& nonce_path,
                                                         std::uint64_t nonce);

  std::uint64_t nonce() const { return nonce_; }
  /// The first sequence of `shard` that was never used under this nonce.
  std::uint64_t next_sequence(ShardId shard) const;
  /// Batches of the earlier process that its backend may or may not have, oldest first. Once.
  std::vector<EncodedBatch> take_recovered() { return std::move(recovered_); }

  /// On the disk when it returns.
  Expected<void> record(const EncodedBatch& batch);
  /// The batch is done with: taken by the backend, or given up.
  Expected<void> settle(ShardId shard, std::uint64_t sequence_start);

 private:
  struct Span {
    std::uint64_t offset;
    std::size_t length;
  };
  using Key = std::pair<ShardId, std::uint64_t>;

  ProducerJournal(runtime::DurableFile file, std::uint64_t nonce)
      : file_(std::move(file)), nonce_(nonce) {}
  Expected<void> load();
  bool load_record(ByteSpan body, Span where);
  Expected<void> compact();

  runtime::DurableFile file_;
  const std::uint64_t nonce_;
  std::map<ShardId, std::uint64_t> next_;
  std::map<Key, Span> unsettled_;
  std::uint64_t unsettled_bytes_ = 0;
  std::vector<EncodedBatch> recovered_;
};

}  // namespace netmesh::bus
