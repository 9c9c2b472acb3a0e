#pragma once
// Event frames: `u32le length ‖ bytes`, the unit of what applications send (spec 10 §6).

#include <cstring>
#include <optional>

#include "base/bytes.h"

namespace netmesh::wire {

inline constexpr std::size_t kEventFrameHeaderBytes = 4;

/// Iterates over at most `count` frames and stops at the first truncated one, as base receivers do.
class EventFrameReader {
 public:
  EventFrameReader(ByteSpan plaintext, std::size_t count) : rest_(plaintext), left_(count) {}

  std::optional<ByteSpan> next() {
    if (left_ == 0 || rest_.size() < kEventFrameHeaderBytes) return std::nullopt;
    const std::size_t length = load_le<std::uint32_t>(rest_.data());
    if (rest_.size() - kEventFrameHeaderBytes < length) return std::nullopt;
    ByteSpan event = rest_.subspan(kEventFrameHeaderBytes, length);
    rest_ = rest_.subspan(kEventFrameHeaderBytes + length);
    --left_;
    return event;
  }

 private:
  ByteSpan rest_;
  std::size_t left_;
};

/// Writes one frame; `to` has room for head and event.
inline void write_event_frame(ByteSpan event, std::byte* to) {
  store_le(to, static_cast<std::uint32_t>(event.size()));
  if (!event.empty()) std::memcpy(to + kEventFrameHeaderBytes, event.data(), event.size());
}

}  // namespace netmesh::wire
