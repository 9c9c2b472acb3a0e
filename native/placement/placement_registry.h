#pragma once
// Filters that applications have registered, and placements that ask them.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "placement/placement.h"

namespace netmesh::placement {

/// Says which nodes may be used. Asked from any thread but the application's own.
class PlacementFilter {
 public:
  virtual ~PlacementFilter() = default;
  /// One verdict per candidate: true to use it. Blocks for at most `timeout`; whoever has no
  /// verdict by then is not used.
  virtual std::vector<bool> judge(std::span<const Candidate> candidates,
                                  std::chrono::milliseconds timeout) = 0;
};

/// Filters by id. Any thread may call; one in the process serves all nodes.
class PlacementRegistry {
 public:
  /// What is allowed to be registered at a time.
  static constexpr std::size_t kMaxFilters = 1024;

  static PlacementRegistry& process();

  /// False when the id is taken or the registry is full.
  bool add(const std::string& id, std::shared_ptr<PlacementFilter> filter);
  /// True when it was there. Placements that are under way go on with it.
  bool remove(std::string_view id);
  /// The same, unless another filter has the id by now.
  bool remove(std::string_view id, const PlacementFilter* filter);
  bool contains(std::string_view id) const;
  std::shared_ptr<PlacementFilter> find(std::string_view id) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<PlacementFilter>, std::less<>> filters_;
};

/// Candidates per call of a filter, so that an application's thread is not held for long.
inline constexpr std::size_t kFilterBatch = 64;
/// How long a call of a filter may take.
inline constexpr std::chrono::milliseconds kFilterTimeout{5000};

struct Ranking {
  std::vector<Ranked> nodes;
  /// The placement names a filter that is not registered, so that no node can be used.
  bool filter_missing = false;
};

/// The nodes that can be used, best first: by score, then by round-trip time (measured before not
/// measured), then by id. Only nodes that everything else allows are shown to the custom filter.
/// Blocks while it is asked: never on the application's thread. Gives up at the first batch that
/// times out.
Ranking rank(const Placement& placement, std::span<const Candidate> candidates,
             const Artifact& artifact, const PlacementRegistry& registry);

}  // namespace netmesh::placement
