#pragma once
// Cuts the bytes of a reliable stream into its events.

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/slab.h"
#include "wire/event_frames.h"

namespace netmesh::session {

/// Fed with stream bytes in order; calls back once per complete event. An event inside one piece is
/// passed through without a copy. The buffer of an unfinished event grows with the bytes that have
/// arrived, never with the length that the peer merely announced.
class MessageAssembler {
 public:
  explicit MessageAssembler(std::uint32_t max_message) : max_message_(max_message) {}

  /// False when an event announces more than `max_message` bytes: the session must be closed.
  /// `deliver(first, second)` gets an event's bytes as `first ‖ second`.
  template <typename Deliver>
  [[nodiscard]] bool feed(ByteSpan bytes, Deliver deliver) {
    while (!bytes.empty()) {
      if (header_size_ < wire::kEventFrameHeaderBytes) {
        if (header_size_ == 0 && bytes.size() >= wire::kEventFrameHeaderBytes) {
          const std::size_t length = load_le<std::uint32_t>(bytes.data());
          if (length > max_message_) return false;
          if (bytes.size() - wire::kEventFrameHeaderBytes >= length) {
            deliver(bytes.subspan(wire::kEventFrameHeaderBytes, length), ByteSpan{});
            bytes = bytes.subspan(wire::kEventFrameHeaderBytes + length);
            continue;
          }
        }
        const std::size_t take =
            std::min(wire::kEventFrameHeaderBytes - header_size_, bytes.size());
        std::memcpy(header_.data() + header_size_, bytes.data(), take);
        header_size_ += take;
        bytes = bytes.subspan(take);
        if (header_size_ < wire::kEventFrameHeaderBytes) return true;
        length_ = load_le<std::uint32_t>(header_.data());
        if (length_ > max_message_) return false;
        if (length_ == 0) {
          header_size_ = 0;
          deliver(ByteSpan{}, ByteSpan{});
        }
        continue;
      }
      const std::size_t missing = length_ - partial_.size();
      if (bytes.size() >= missing) {
        deliver(partial_.bytes(), bytes.first(missing));
        bytes = bytes.subspan(missing);
        header_size_ = 0;
        partial_ = partial_.capacity() > kKeepBytes ? Slab() : std::move(partial_);
        partial_.clear();
        continue;
      }
      append(bytes);
      return true;
    }
    return true;
  }

  /// Bytes fed but not delivered yet, frame header included.
  std::uint64_t partial_bytes() const { return header_size_ + partial_.size(); }
  /// Bytes still missing of the event that has begun; 0 when none has or its length is not known.
  std::uint64_t missing_bytes() const {
    return header_size_ == wire::kEventFrameHeaderBytes ? length_ - partial_.size() : 0;
  }

 private:
  /// A buffer up to this size is kept for the next event.
  static constexpr std::size_t kKeepBytes = 64 * 1024;

  void append(ByteSpan bytes) {
    if (partial_.room() < bytes.size()) {
      const std::size_t wanted =
          std::max({partial_.size() + bytes.size(), partial_.capacity() * 2, std::size_t{2048}});
      Slab grown(std::min(wanted, std::max(length_, partial_.size() + bytes.size())));
      if (partial_.size() != 0)
        std::memcpy(grown.extend(partial_.size()), partial_.data(), partial_.size());
      partial_ = std::move(grown);
    }
    std::memcpy(partial_.extend(bytes.size()), bytes.data(), bytes.size());
  }

  std::uint32_t max_message_;
  std::array<std::byte, wire::kEventFrameHeaderBytes> header_{};
  std::size_t header_size_ = 0;
  std::size_t length_ = 0;  ///< valid when the header is complete
  Slab partial_;            ///< bytes of the unfinished event
};

}  // namespace netmesh::session
