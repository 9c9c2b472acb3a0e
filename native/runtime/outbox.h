#pragma once
// What an application thread leaves for whoever turns the crank next.

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "mesh/node.h"
#include "runtime/node.h"
#include "session/stream_gate.h"

namespace netmesh::runtime {

/// A queue of admitted batches and of receipts. Its length is bounded by what the streams' gates
/// admit and by what was delivered.
class Outbox {
 public:
  struct Send {
    std::shared_ptr<const session::StreamGate> gate;
    session::OutboundBatch batch;
  };
  struct Publish {
    std::uint32_t request = 0;
    channel::ChannelName name;
    Slab frames;
    std::vector<std::uint32_t> sizes;  ///< of the payloads in `frames`
    mesh::PublishOptions options;
  };
  struct Work {
    std::vector<Send> sends;
    std::vector<Publish> publishes;
    std::vector<ConsumedEntry> consumed;
    void clear() {
      sends.clear();
      publishes.clear();
      consumed.clear();
    }
  };

  /// Application thread. True when no other batch was waiting.
  bool push(Send send) {
    const std::lock_guard lock(mutex_);
    work_.sends.push_back(std::move(send));
    has_work_.store(true, std::memory_order_seq_cst);
    return work_.sends.size() == 1;
  }
  void push(Publish publish) {
    const std::lock_guard lock(mutex_);
    work_.publishes.push_back(std::move(publish));
    has_work_.store(true, std::memory_order_seq_cst);
  }
  /// True when nothing else was waiting.
  bool push(const ConsumedEntry* entries, std::size_t count) {
    const std::lock_guard lock(mutex_);
    work_.consumed.insert(work_.consumed.end(), entries, entries + count);
    return !has_work_.exchange(true, std::memory_order_seq_cst);
  }

  /// Swaps what waits for the empty `work`, whose memory is used again.
  void take(Work& work) {
    if (!has_work()) return;
    const std::lock_guard lock(mutex_);
    std::swap(work, work_);
    has_work_.store(false, std::memory_order_seq_cst);
  }

  /// Sequentially consistent with `push`, so that a thread about to sleep and one that pushes
  /// cannot both miss each other.
  bool has_work() const { return has_work_.load(std::memory_order_seq_cst); }

 private:
  std::mutex mutex_;
  Work work_;
  std::atomic<bool> has_work_{false};
};

}  // namespace netmesh::runtime
