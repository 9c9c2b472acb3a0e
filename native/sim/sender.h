#pragma once
// An application that sends on one stream, with the admission that the runtime uses.

#include <deque>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "sim/node.h"

namespace netmesh::sim {

/// A batch of `messages` as the runtime hands it to the machine.
session::OutboundBatch make_batch(std::span<const Bytes> messages);

/// Takes messages of any number and offers them to the stream as its credit allows, waking up on
/// `credit_available` alone: a wake-up that never comes shows as a stream that stands still.
class StreamSender {
 public:
  /// Opens the stream; `gate()` is null when that failed.
  StreamSender(SimNode& node, NodeId peer, const session::StreamConfig& config);
  ~StreamSender();
  StreamSender(const StreamSender&) = delete;
  StreamSender& operator=(const StreamSender&) = delete;

  const std::shared_ptr<session::StreamGate>& gate() const { return gate_; }
  /// Events sent in one batch at most.
  std::size_t batch_events = 8;

  /// Whether the stream could ever carry an event of `length` bytes.
  bool can_carry(std::size_t length) const;
  void push(Bytes message);
  /// Closes the stream once everything was admitted.
  void finish();
  /// Everything pushed was admitted (or the stream is gone).
  bool idle() const { return waiting_.empty(); }
  bool closed() const { return closed_; }
  /// What was admitted, in order.
  const std::vector<Bytes>& sent() const { return sent_; }
  std::uint64_t sent_bytes() const { return sent_bytes_; }

  NodeId peer() const { return peer_; }
  StreamId stream() const { return config_.stream_id; }

 private:
  friend class SimNode;
  /// Sends what credit allows; true when something was sent or closed.
  bool pump();

  SimNode& node_;
  const NodeId peer_;
  const session::StreamConfig config_;
  std::shared_ptr<session::StreamGate> gate_;
  std::deque<Bytes> waiting_;
  std::vector<Bytes> sent_;
  std::uint64_t sent_bytes_ = 0;
  bool finishing_ = false;
  bool closed_ = false;
};

}  // namespace netmesh::sim
