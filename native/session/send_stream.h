#pragma once
// The sending half of one stream of a modern session: what waits, what is in flight, what is lost.

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "session/interval_set.h"
#include "session/stream_gate.h"

namespace netmesh::session {

/// A stretch of a stream's bytes.
struct StreamRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool fin = false;
};

/// Bytes are event frames back to back at increasing offsets. A byte is in exactly one state:
/// unsent (>= next_), in flight, lost (in lost_), or resolved (acknowledged; on fire-and-forget
/// streams also lost for good). Credit of a batch returns when all of its bytes are resolved and so
/// are all bytes before it.
class SendStream {
 public:
  SendStream(std::shared_ptr<StreamGate> gate, std::uint64_t peer_window)
      : gate_(std::move(gate)), max_offset_(peer_window) {}
  ~SendStream() { gate_->release_queue(queued_cost_); }
  SendStream(const SendStream&) = delete;
  SendStream& operator=(const SendStream&) = delete;

  StreamGate& gate() { return *gate_; }
  const StreamGate& gate() const { return *gate_; }
  bool reliable() const { return gate_->config.reliable; }
  StreamId id() const { return gate_->config.stream_id; }
  std::uint64_t epoch() const { return gate_->epoch; }

  void push(OutboundBatch batch);
  /// No more batches: FIN follows the last byte.
  void finish() { finishing_ = true; }
  bool finishing() const { return finishing_; }
  /// Everything sent was resolved, the FIN too.
  bool complete() const;

  /// The peer takes bytes below `max_offset`; smaller values than known are ignored.
  bool raise_limit(std::uint64_t max_offset);
  /// Bytes that wait but may not be sent because of the peer's limit.
  bool blocked() const;
  std::uint64_t max_offset() const { return max_offset_; }

  /// Something to retransmit, or something new within the peer's limit (or a FIN).
  bool has_sendable() const;
  bool has_lost() const { return !lost_.empty() || fin_lost_; }

  /// Reliable: the next stretch to send, at most `max_bytes` long and of new bytes at most
  /// `max_new_bytes`; nothing when nothing may be sent. The bytes count as in flight from now on.
  std::optional<StreamRange> take(std::size_t max_bytes, std::uint64_t max_new_bytes);

  /// Fire-and-forget: the next whole frames that fit `max_bytes`; when not even the first fits, its
  /// length is in `oversized` and nothing is taken.
  struct DatagramTake {
    StreamRange range;
    std::size_t oversized = 0;
  };
  std::optional<DatagramTake> take_frames(std::size_t max_bytes);
  /// Fire-and-forget: takes exactly `length` bytes that `take_frames` called oversized.
  StreamRange take_oversized(std::size_t length);
  std::uint64_t next_sequence() { return sequence_++; }

  /// Copies bytes that are not resolved yet.
  void read(std::uint64_t offset, MutableByteSpan out) const;

  /// The stretch arrived. True when credit came back that the application waits for.
  bool on_acknowledged(const StreamRange& range);
  /// Tickets of batches that were acknowledged whole since the last call.
  std::vector<std::uint64_t> take_settled() { return std::exchange(settled_, {}); }
  /// The stretch must be sent again (reliable), or is gone (fire-and-forget; may return credit).
  bool on_lost(const StreamRange& range);
  /// Sends again what is in flight without calling it lost (a probe).
  void probe(const StreamRange& range);

  /// All that was queued is on its way, and somebody waits to hear that it has arrived. With more
  /// batches under way acknowledgements come by themselves.
  bool awaits_acknowledgement() const {
    constexpr std::size_t kFewBatches = 4;
    return next_ == end_ && !credit_.empty() && credit_.back().ticket != 0 &&
           credit_.size() <= kFewBatches;
  }
  std::uint64_t unacknowledged_bytes() const { return end_ - una_; }
  /// Events of the batches that are not acknowledged whole.
  std::uint64_t unacknowledged_events() const {
    std::uint64_t events = 0;
    for (const CreditEntry& entry : credit_) events += entry.events;
    return events;
  }
  std::uint64_t sent_bytes() const { return next_; }
  std::uint64_t grants_received = 0;
  std::uint64_t grants_sent = 0;
  TimePoint last_activity{};
  UnixNanos last_activity_unix = 0;
  // The session's scheduler keeps these.
  std::int64_t deficit = 0;  ///< bytes that it may still send in this round
  SendStream* next_scheduled = nullptr;
  bool scheduled = false;
  bool blocked_announced = false;

 private:
  struct Chunk {
    std::uint64_t begin = 0;
    Slab bytes;
  };
  struct CreditEntry {
    std::uint64_t end = 0;
    std::uint64_t cost = 0;    ///< room in the session's queue
    std::uint64_t credit = 0;  ///< of the stream's window
    std::uint32_t events = 0;
    std::uint64_t ticket = 0;
  };
  std::size_t next_frame_bytes() const;
  bool resolve(const StreamRange& range);
  std::size_t chunk_index(std::uint64_t offset) const;

  std::shared_ptr<StreamGate> gate_;
  std::deque<Chunk> chunks_;
  std::deque<CreditEntry> credit_;
  std::vector<std::uint64_t> settled_;
  IntervalSet resolved_;  ///< above una_
  IntervalSet lost_;
  std::uint64_t una_ = 0;   ///< all bytes below are resolved
  std::uint64_t next_ = 0;  ///< first byte never sent
  std::uint64_t end_ = 0;   ///< one past the last byte queued
  std::uint64_t max_offset_;
  std::uint64_t sequence_ = 0;
  std::uint64_t queued_cost_ = 0;  ///< of the session's queue, taken by this stream
  bool finishing_ = false;
  bool fin_sent_ = false;
  bool fin_lost_ = false;
  bool fin_acknowledged_ = false;
};

}  // namespace netmesh::session
