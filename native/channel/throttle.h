#pragma once
// Peers that keep asking for what they may not have are not listened to for a while (spec 31 §5.3).

#include <cstdint>
#include <unordered_map>

#include "base/ids.h"
#include "base/time.h"

namespace netmesh::channel {

/// Counts failed Subscribes per peer. Outlives the peer's sessions: who comes back under the same
/// identity has not been forgotten. One thread.
class FailureThrottle {
 public:
  /// A limit that is never reached.
  static constexpr std::uint16_t kNever = 65'535;

  struct Options {
    std::uint16_t failures = 16;
    Duration window = std::chrono::seconds(60);
    Duration penalty = std::chrono::seconds(30);
    /// Beyond this many peers with recent failures, those of others are not counted.
    std::size_t max_peers = 65'536;
  };

  explicit FailureThrottle(Options options) : options_(options) {}

  /// True while the peer is to be refused. What it was blamed for is forgotten afterwards.
  bool is_throttled(NodeId peer, TimePoint now);
  /// One more failure; the last one of a window starts the penalty.
  void blame(NodeId peer, TimePoint now);
  void forgive(NodeId peer) { states_.erase(peer); }
  /// Drops what counts no more.
  void sweep(TimePoint now);
  std::size_t size() const { return states_.size(); }

 private:
  struct State {
    TimePoint window_start;
    TimePoint throttled_until = TimePoint::min();
    std::uint16_t failures = 0;
  };
  bool is_over(const State& state, TimePoint now) const;

  Options options_;
  std::unordered_map<NodeId, State> states_;
  TimePoint swept_at_;
};

}  // namespace netmesh::channel
