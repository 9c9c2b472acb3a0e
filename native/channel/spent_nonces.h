#pragma once
// Requests of a peer that are over: their copies may still be on the way.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace netmesh::channel {

/// Base peers repeat requests that were not answered in time, and the network may let a copy
/// overtake what was asked for after it: a late Subscribe would undo an Unsubscribe. The nonces of
/// the last few requests that are over tell such copies. Without any it takes no memory.
class SpentNonces {
 public:
  /// More than a peer can have asked for, and left again, while a copy was under way.
  static constexpr std::size_t kMost = 32;

  void add(std::uint64_t nonce) {
    if (nonces_.size() < kMost) {
      nonces_.push_back(nonce);
    } else {
      nonces_[oldest_] = nonce;
      oldest_ = (oldest_ + 1) % kMost;
    }
  }
  bool contains(std::uint64_t nonce) const {
    return std::find(nonces_.begin(), nonces_.end(), nonce) != nonces_.end();
  }

 private:
  std::vector<std::uint64_t> nonces_;
  std::size_t oldest_ = 0;
};

}  // namespace netmesh::channel
