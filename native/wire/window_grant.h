#pragma once
// Subprotocol 0x0B00: what a base receiver has accepted on a stream (spec 10 §9.3).

#include <optional>

#include "base/bytes.h"
#include "base/ids.h"

namespace netmesh::wire {

inline constexpr std::size_t kWindowGrantBytes = 16;
inline constexpr StreamId kControlStream{0xFFFF'FFFF'FFFF'FFFFULL};

struct WindowGrant {
  StreamId stream_id;
  std::uint64_t total_consumed = 0;  ///< cumulative on-wire bytes, 80 + payload per packet

  friend bool operator==(const WindowGrant&, const WindowGrant&) = default;
};

/// Nothing unless exactly 16 bytes.
std::optional<WindowGrant> parse_window_grant(ByteSpan message);
void write_window_grant(const WindowGrant& grant, MutableByteSpan out);

}  // namespace netmesh::wire
