#pragma once
// The receiving half of one reliable stream: puts bytes in order, cuts them into events, and says
// how far the peer may send.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/slab.h"
#include "base/time.h"
#include "session/message_assembler.h"
#include "session/receive_window.h"
#include "session/session_events.h"

namespace netmesh::session {

/// Exactly once, in order: bytes below `next_` were handed to the assembler, bytes above wait in
/// `segments_`, which never overlap. Memory is bounded by the limit given to the peer.
class ReceiveStream {
 public:
  ReceiveStream(std::uint64_t epoch, const ReceiveWindow& window, std::uint32_t max_message)
      : epoch_(epoch), window_(window), limit_(window.size()), assembler_(max_message) {}

  enum class Result {
    kAccepted,
    kLimitExceeded,    ///< sent beyond the limit, or past its own FIN: protocol violation
    kMessageTooLarge,  ///< an event exceeds what we take: protocol violation
    kTooManySegments,  ///< more gaps than any honest sender leaves: protocol violation
  };

  /// Above this many waiting segments, or one for so many bytes of the window, the peer is taken to
  /// attack our memory.
  static constexpr std::size_t kMaxSegments = 8192;
  static constexpr std::uint64_t kLeastSegmentBytes = 512;

  template <typename Deliver>
  Result receive(std::uint64_t offset, ByteSpan data, bool fin, Deliver deliver) {
    const std::uint64_t end = offset + data.size();
    if (end > limit_ || (final_size_ && end > *final_size_)) return Result::kLimitExceeded;
    if (fin) {
      if ((final_size_ && *final_size_ != end) || end < highest_) return Result::kLimitExceeded;
      final_size_ = end;
    }
    highest_ = std::max(highest_, end);
    if (end <= next_) return Result::kAccepted;
    if (offset > next_) {
      store(offset, data);
      return segments_.size() > max_segments() ? Result::kTooManySegments : Result::kAccepted;
    }
    if (!advance(data.subspan(next_ - offset), deliver)) return Result::kMessageTooLarge;
    while (!segments_.empty() && segments_.begin()->first <= next_) {
      auto node = segments_.extract(segments_.begin());
      const std::uint64_t begin = node.key();
      const Slab& slab = node.mapped();
      if (begin + slab.size() > next_ && !advance(slab.bytes().subspan(next_ - begin), deliver)) {
        return Result::kMessageTooLarge;
      }
    }
    return Result::kAccepted;
  }

  /// The application took events that make `bytes` stream bytes (frame headers included).
  void consume(std::uint64_t bytes) { consumed_ = std::min(consumed_ + bytes, delivered_); }

  /// The limit to tell the peer, when it rose enough to be worth a frame.
  std::optional<std::uint64_t> limit_update() const {
    if (final_size_) return std::nullopt;
    const std::uint64_t wanted =
        std::max(consumed_ + window_.size(), next_ + assembler_.missing_bytes());
    if (wanted < limit_ + window_.step() &&
        !(wanted > limit_ && next_ + assembler_.missing_bytes() > limit_)) {
      return std::nullopt;
    }
    return wanted;
  }
  void set_limit(std::uint64_t limit) { limit_ = std::max(limit_, limit); }
  std::uint64_t limit() const { return limit_; }
  ReceiveWindow& window() { return window_; }

  bool finished() const { return final_size_ && next_ == *final_size_; }
  std::uint64_t epoch() const { return epoch_; }
  std::uint64_t highest() const { return highest_; }
  std::uint64_t delivered_messages() const { return messages_; }
  std::uint64_t unconsumed_bytes() const { return delivered_ - consumed_; }
  /// Received but part of no delivered event yet.
  std::uint64_t partial_bytes() const { return highest_ - delivered_; }

  StreamRef ref = 0;
  bool limit_due = false;
  std::uint64_t grants_sent = 0;
  UnixNanos last_activity_unix = 0;

 private:
  template <typename Deliver>
  bool advance(ByteSpan bytes, Deliver deliver) {
    next_ += bytes.size();
    const bool ok = assembler_.feed(
        bytes, [&](ByteSpan first, ByteSpan second) { deliver(messages_++, first, second); });
    delivered_ = next_ - assembler_.partial_bytes();
    return ok;
  }

  /// Keeps the parts of [offset, offset + size) that are not there yet.
  void store(std::uint64_t offset, ByteSpan data) {
    auto it = segments_.upper_bound(offset);
    if (it != segments_.begin()) {
      auto before = std::prev(it);
      const std::uint64_t covered = before->first + before->second.size();
      if (covered > offset) {
        if (covered >= offset + data.size()) return;
        data = data.subspan(covered - offset);
        offset = covered;
      }
    }
    while (!data.empty()) {
      std::size_t free = data.size();
      if (it != segments_.end())
        free = static_cast<std::size_t>(std::min<std::uint64_t>(free, it->first - offset));
      if (free != 0) {
        Slab slab(free);
        std::memcpy(slab.extend(free), data.data(), free);
        segments_.emplace_hint(it, offset, std::move(slab));
        data = data.subspan(free);
        offset += free;
      }
      if (data.empty() || it == segments_.end()) continue;
      const std::size_t skip = std::min(data.size(), it->second.size());
      data = data.subspan(skip);
      offset += skip;
      ++it;
    }
  }

  std::size_t max_segments() const {
    return std::max(kMaxSegments, static_cast<std::size_t>(window_.size() / kLeastSegmentBytes));
  }

  std::uint64_t epoch_;
  ReceiveWindow window_;
  std::uint64_t limit_;          ///< as told to the peer
  std::uint64_t next_ = 0;       ///< first byte not handed to the assembler
  std::uint64_t highest_ = 0;    ///< one past the highest byte received
  std::uint64_t delivered_ = 0;  ///< bytes of complete events
  std::uint64_t consumed_ = 0;   ///< of those, taken by the application
  std::uint64_t messages_ = 0;
  std::optional<std::uint64_t> final_size_;
  MessageAssembler assembler_;
  std::map<std::uint64_t, Slab> segments_;
};

/// The receiving half of one fire-and-forget stream of a modern session: counts what the
/// application has not taken yet, and reassembles events larger than a packet.
class DatagramReceiver {
 public:
  /// `first_offset`: where the first frame seen begins; the peer's own limit never lies beyond one
  /// window after it, even when an earlier receiver of the same epoch was evicted. What the peer
  /// surely knows is one window from the start: frames may have been lost or overtaken before.
  DatagramReceiver(std::uint64_t epoch, const ReceiveWindow& window, std::uint64_t first_offset)
      : epoch_(epoch),
        window_(window),
        accepted_(first_offset + window.size()),
        limit_(window.size()),
        position_(first_offset) {}

  /// False when the data lies beyond the limit: protocol violation.
  bool arrive(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = offset + length;
    if (end > accepted_ && length > 0) return false;
    position_ = std::max(position_, end);
    return true;
  }
  void delivered(std::uint64_t bytes) { unconsumed_ += bytes; }
  void consume(std::uint64_t bytes) { unconsumed_ -= std::min(bytes, unconsumed_); }

  std::optional<std::uint64_t> limit_update() const {
    const std::uint64_t wanted = wanted_limit();
    if (wanted < limit_ + window_.step()) return std::nullopt;
    return wanted;
  }
  /// The peer said that it is blocked: any progress is worth telling.
  std::optional<std::uint64_t> limit_when_blocked() const {
    const std::uint64_t wanted = wanted_limit();
    return wanted > limit_ - window_.size() / 2 ? std::optional(std::max(wanted, limit_))
                                                : std::nullopt;
  }
  void set_limit(std::uint64_t limit) {
    limit_ = std::max(limit_, limit);
    accepted_ = std::max(accepted_, limit_);
  }
  std::uint64_t limit() const { return limit_; }
  ReceiveWindow& window() { return window_; }
  std::uint64_t epoch() const { return epoch_; }
  std::uint64_t unconsumed_bytes() const { return unconsumed_; }

  StreamRef ref = 0;
  bool limit_due = false;
  std::uint64_t highest_sequence = 0;
  std::uint64_t grants_sent = 0;
  TimePoint last_activity{};
  UnixNanos last_activity_unix = 0;

 private:
  std::uint64_t wanted_limit() const {
    return position_ + window_.size() - std::min(unconsumed_, window_.size());
  }

  std::uint64_t epoch_;
  ReceiveWindow window_;
  std::uint64_t accepted_;  ///< data beyond it is a violation; never below limit_
  std::uint64_t limit_;     ///< as told to the peer
  std::uint64_t position_;  ///< one past the newest byte that the peer sent
  std::uint64_t unconsumed_ = 0;
};

}  // namespace netmesh::session
