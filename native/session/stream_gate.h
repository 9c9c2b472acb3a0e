#pragma once
// Admission to one outgoing stream: the only state that the application's thread and the I/O
// thread share, all of it atomic, so that backpressure is known synchronously.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/slab.h"
#include "wire/event_frames.h"
#include "wire/net_packet.h"

namespace netmesh::session {

/// Which streams of a session go first: a class sends only while those above have nothing to send.
enum class Priority : std::uint8_t { kControl, kHigh, kNormal, kBulk };
inline constexpr std::size_t kPriorityClasses = 4;

/// What the application asked for when it opened a stream.
struct StreamConfig {
  StreamId stream_id;
  bool reliable = false;
  std::uint32_t window_bytes = 65'536;  ///< 0: no window, bounded by the session's queue alone
  std::uint32_t fairness_weight = 1;
  Priority priority = Priority::kNormal;
  /// What base packets of a channel carry for routing them to its readers; 0 for other streams.
  std::uint16_t channel_hash = 0;
};

/// The running cost of a batch in base packets: events are packed greedily into packets of at most
/// 8112 plaintext bytes, each costing 80 bytes more (spec 10 §6.2, §9.1). Extension streams keep
/// the same arithmetic, so that windows mean the same for every peer; an event larger than a
/// packet costs as one packet of its own size.
class BatchCost {
 public:
  /// Adds one event of `length` bytes.
  void add(std::size_t length) {
    const std::size_t frame = wire::kEventFrameHeaderBytes + length;
    if (packets_ == 0 || current_ + frame > wire::kMaxNetPayloadBytes) {
      ++packets_;
      current_ = 0;
      bytes_ += wire::kNetOverheadBytes;
    }
    current_ += frame;
    bytes_ += frame;
  }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t packets() const { return packets_; }

 private:
  std::uint64_t bytes_ = 0;
  std::uint64_t packets_ = 0;
  std::size_t current_ = 0;
};

/// Shared by the stream's handle (application thread: `try_admit`, reads) and its session (I/O
/// thread: `restore`, `close`). Outlives neither by more than the shared pointer.
class StreamGate : public std::enable_shared_from_this<StreamGate> {
 public:
  /// `max_event` is the largest event the stream can ever carry; `session_queued` counts the bytes
  /// that wait in the session, over all of its streams, and `session_cap` bounds it.
  StreamGate(NodeId peer_id, const StreamConfig& stream_config, std::uint64_t open_epoch,
             std::uint32_t max_event, std::shared_ptr<std::atomic<std::int64_t>> session_queued,
             std::int64_t session_cap)
      : peer(peer_id),
        config(stream_config),
        epoch(open_epoch),
        max_event_bytes(max_event),
        credit_(stream_config.window_bytes),
        session_queued_(std::move(session_queued)),
        session_cap_(session_cap) {}

  const NodeId peer;
  const StreamConfig config;
  const std::uint64_t epoch;
  const std::uint32_t max_event_bytes;

  enum class Admission { kAdmitted, kBackpressure, kClosed };

  /// Application thread. Takes `cost` credit or counts one backpressure event.
  Admission try_admit(const BatchCost& cost, bool count_rejection = true) {
    return try_admit(cost.bytes(), cost.packets(), count_rejection);
  }
  Admission try_admit(std::uint64_t cost, std::uint64_t packets, bool count_rejection = true) {
    if (closed_.load(std::memory_order_acquire)) return Admission::kClosed;
    const auto bytes = static_cast<std::int64_t>(cost);
    if (!fits(bytes)) {
      if (count_rejection) backpressure_events_.fetch_add(1, std::memory_order_relaxed);
      return Admission::kBackpressure;
    }
    if (config.window_bytes != 0) credit_.fetch_sub(bytes, std::memory_order_acq_rel);
    session_queued_->fetch_add(bytes, std::memory_order_acq_rel);
    tx_sequence_.fetch_add(packets, std::memory_order_relaxed);
    return Admission::kAdmitted;
  }

  /// Crank lock held: takes room in the session's queue but no credit (spec 10 §6.3, `pushTo`).
  Expected<void> admit_unwindowed(std::uint64_t cost, std::uint64_t packets,
                                  std::size_t largest_event) {
    if (largest_event > max_event_bytes) {
      return fail(ErrorKind::kTooLarge, "send failed: event of " + std::to_string(largest_event) +
                                            " bytes exceeds the limit of " +
                                            std::to_string(max_event_bytes) + " bytes");
    }
    const auto bytes = static_cast<std::int64_t>(cost);
    if (session_queued_->load(std::memory_order_acquire) + bytes > session_cap_) {
      return fail(ErrorKind::kBackpressure, "stream would block: stream queue full");
    }
    session_queued_->fetch_add(bytes, std::memory_order_acq_rel);
    tx_sequence_.fetch_add(packets, std::memory_order_relaxed);
    return {};
  }

  /// Application thread: whether `bytes` of credit are there now.
  bool fits(std::int64_t bytes) const {
    if (config.window_bytes != 0 && credit_.load(std::memory_order_acquire) < bytes) return false;
    return session_queued_->load(std::memory_order_acquire) + bytes <= session_cap_;
  }

  /// Application thread: asks for one `credit_available` once `bytes` of credit are there and a
  /// fourth of the window with them, so that a sender at the edge of its window wakes for a
  /// worthwhile amount. Check `fits` again afterwards, because credit may have come in between.
  void want_credit(std::int64_t bytes) {
    const std::int64_t worthwhile = static_cast<std::int64_t>(config.window_bytes) / 4;
    credit_wanted_.store(std::max({bytes, worthwhile, std::int64_t{1}}), std::memory_order_seq_cst);
  }

  /// I/O thread: gives `bytes` of credit back, never above the window. True when the application
  /// waits for it (and no longer does).
  bool restore_credit(std::uint64_t bytes) {
    if (config.window_bytes != 0) {
      const auto window = static_cast<std::int64_t>(config.window_bytes);
      std::int64_t credit = credit_.load(std::memory_order_relaxed);
      while (!credit_.compare_exchange_weak(
          credit,
          bytes >= config.window_bytes
              ? window
              : std::min(window, credit + static_cast<std::int64_t>(bytes)),
          std::memory_order_seq_cst)) {
      }
    }
    return take_wanted();
  }

  /// I/O thread: `bytes` left the session's queue.
  void release_queue(std::uint64_t bytes) {
    session_queued_->fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_seq_cst);
  }

  /// I/O thread: whether the application waits for credit; it no longer does afterwards.
  bool take_wanted() {
    const std::int64_t wanted = credit_wanted_.load(std::memory_order_seq_cst);
    if (wanted == 0 || !fits(std::min(wanted, largest_wait()))) return false;
    return credit_wanted_.exchange(0, std::memory_order_seq_cst) != 0;
  }

  /// I/O thread: no more sends; waiting applications are told by the caller when this returns true.
  bool close() {
    closed_.store(true, std::memory_order_release);
    return credit_wanted_.exchange(0, std::memory_order_seq_cst) != 0;
  }

  /// I/O thread: the application waits for credit.
  bool waiting() const { return credit_wanted_.load(std::memory_order_seq_cst) != 0; }

  bool closed() const { return closed_.load(std::memory_order_acquire); }
  std::uint64_t tx_sequence() const { return tx_sequence_.load(std::memory_order_relaxed); }
  std::uint64_t backpressure_events() const {
    return backpressure_events_.load(std::memory_order_relaxed);
  }
  /// Credit left, 0 for streams without a window.
  std::uint32_t credit_remaining() const {
    const std::int64_t credit = credit_.load(std::memory_order_acquire);
    return config.window_bytes == 0 || credit < 0 ? 0 : static_cast<std::uint32_t>(credit);
  }

 private:
  /// No wait is for more than the whole window or half of the session's queue.
  std::int64_t largest_wait() const {
    const std::int64_t cap = session_cap_ / 2;
    return config.window_bytes == 0 ? cap : std::min<std::int64_t>(config.window_bytes, cap);
  }

  std::atomic<std::int64_t> credit_;
  std::atomic<bool> closed_{false};
  std::atomic<std::int64_t> credit_wanted_{0};  ///< bytes waited for; 0 when nobody waits
  std::atomic<std::uint64_t> tx_sequence_{0};
  std::atomic<std::uint64_t> backpressure_events_{0};
  const std::shared_ptr<std::atomic<std::int64_t>> session_queued_;
  const std::int64_t session_cap_;
};

/// Admitted events on their way to the I/O thread: event frames back to back.
struct OutboundBatch {
  Slab frames;
  std::uint64_t cost = 0;  ///< credit taken for them
  std::uint32_t event_count = 0;
  std::uint32_t packets = 0;  ///< base packets they stand for
  bool windowed = true;       ///< whether the stream's credit was debited
  /// Reliable streams of modern sessions: `SessionEvents::batch_acknowledged` says it back once the
  /// peer has all of the batch. 0: nobody wants to know.
  std::uint64_t ticket = 0;
};

}  // namespace netmesh::session
