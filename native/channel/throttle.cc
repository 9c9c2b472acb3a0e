#include "channel/throttle.h"

namespace netmesh::channel {
namespace {
constexpr Duration kSweepInterval = std::chrono::seconds(1);
}  // namespace

bool FailureThrottle::is_over(const State& state, TimePoint now) const {
  if (state.throttled_until != TimePoint::min()) return state.throttled_until <= now;
  return state.window_start + options_.window < now;
}

bool FailureThrottle::is_throttled(NodeId peer, TimePoint now) {
  const auto known = states_.find(peer);
  if (known == states_.end() || known->second.throttled_until == TimePoint::min()) return false;
  if (!is_over(known->second, now)) return true;
  states_.erase(known);
  return false;
}

void FailureThrottle::blame(NodeId peer, TimePoint now) {
  if (options_.failures == kNever) return;
  auto known = states_.find(peer);
  if (known == states_.end()) {
    // Looked through once a second at most: a flood of failures is not to cost a search each.
    const bool full = states_.size() >= options_.max_peers;
    if (full && now >= swept_at_ + kSweepInterval) sweep(now);
    if (states_.size() >= options_.max_peers) return;
    known = states_.emplace(peer, State{.window_start = now}).first;
  }
  State& state = known->second;
  if (is_over(state, now)) state = State{.window_start = now};
  if (++state.failures >= options_.failures) state.throttled_until = now + options_.penalty;
}

void FailureThrottle::sweep(TimePoint now) {
  swept_at_ = now;
  std::erase_if(states_, [&](const auto& entry) { return is_over(entry.second, now); });
}

}  // namespace netmesh::channel
