#pragma once
// How much a peer may send ahead of the application: grows with bandwidth times delay.

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace netmesh::session {

/// Begins at what the hello promised and doubles, up to a cap, whenever the application takes a
/// window's worth in less than two round trips: then the window and not the path holds the peer
/// back. Never shrinks, because limits already given stand.
class ReceiveWindow {
 public:
  ReceiveWindow(std::uint64_t initial, std::uint64_t cap)
      : size_(initial), cap_(std::max(initial, cap)) {}

  // NOLINTNEXTLINE(google-explicit-constructor): a plain size is a window that does not grow.
  ReceiveWindow(std::uint64_t fixed) : ReceiveWindow(fixed, fixed) {}

  std::uint64_t size() const { return size_; }
  /// Limits are worth telling when they rise by this much.
  std::uint64_t step() const { return size_ / 4; }

  /// A new limit is told to the peer, a step above the last.
  void on_update(TimePoint now, std::optional<Duration> rtt) {
    if (told_ && rtt && now - told_at_ < *rtt / 2 && size_ < cap_)
      size_ = std::min(cap_, size_ * 2);
    told_ = true;
    told_at_ = now;
  }
  /// A session's window is kept ahead of its streams'.
  void grow_to(std::uint64_t size) { size_ = std::min(cap_, std::max(size_, size)); }

 private:
  std::uint64_t size_;
  std::uint64_t cap_;
  bool told_ = false;
  TimePoint told_at_{};
};

}  // namespace netmesh::session
