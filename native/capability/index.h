#pragma once
// Who can do what, as far as this node has heard (spec 30 §11).

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/time.h"
#include "capability/announcement.h"
#include "capability/postings.h"
#include "capability/profile.h"
#include "capability/query.h"
#include "identity/subnet.h"

namespace netmesh::capability {

/// One change that a watch reports.
struct WatchEvent {
  enum class Kind : std::uint8_t { kJoin, kChange, kLeave };
  Kind kind = Kind::kJoin;
  NodeId node;
  friend bool operator==(const WatchEvent&, const WatchEvent&) = default;
};

using WatchId = StrongNumber<struct WatchIdTag, std::uint32_t>;

/// The capability index of one node: inverted by tag, model and tool, sorted by the numbers that
/// filters ask for. Results are in ascending order of node ids, and what has expired is in none,
/// swept or not. One thread; time is an argument.
class CapabilityIndex {
 public:
  struct Options {
    NodeId self;
    /// Where this node lives, for the scope `sameSubnet`.
    identity::SubnetId own_subnet;
    /// Peers whose subnet is not known yet count as of the same subnet while a policy may tell.
    bool has_subnet_policy = false;
    /// A signed identity costs nothing, so that this bounds what strangers can fill.
    std::size_t max_nodes = 65'536;
    std::size_t max_watches = 1024;
    /// How long an announcement with a time to live of 0 is visible.
    Duration sweep_interval = std::chrono::seconds(60);
  };

  enum class Outcome : std::uint8_t { kAdded, kUpdated, kStale, kExpired, kFull };

  explicit CapabilityIndex(Options options);

  /// Takes an announcement that was checked and stripped. A version that is not newer, or a time to
  /// live that is over, changes nothing. A time to live of 0 stays until the next sweep.
  Outcome upsert(const Announcement& announcement, Now now);
  /// Forgets a node, its version included: whatever it says next is believed.
  bool remove(NodeId node);
  /// Removes what has expired; returns how many.
  std::size_t sweep(TimePoint now);
  /// When the first entry expires.
  std::optional<TimePoint> next_expiry() const;

  void set_subnet(NodeId node, identity::SubnetId subnet);
  void forget_subnet(NodeId node) { subnets_.erase(node); }
  std::optional<identity::SubnetId> subnet_of(NodeId node) const;

  // --- queries ---

  std::vector<NodeId> find_nodes(const Filter& filter, TimePoint now) const;
  std::vector<NodeId> find_nodes_scoped(const Filter& filter, const ScopeFilter& scope,
                                        TimePoint now) const;
  /// The best score, the lowest node id among equals. `requirement` was checked.
  std::optional<NodeId> find_best_node(const Requirement& requirement, TimePoint now) const;
  std::optional<NodeId> find_best_node_scoped(const Requirement& requirement,
                                              const ScopeFilter& scope, TimePoint now) const;
  /// Rows in byte order of their buckets.
  std::vector<AggregateRow> aggregate(const std::optional<TagMatcher>& matcher,
                                      const GroupBy& group_by, const Aggregation& aggregation,
                                      TimePoint now) const;
  /// The most available first, then by bucket.
  std::vector<CapacityRow> capacity_ranking(const CapacityQuery& query, const RttLookup& rtt,
                                            TimePoint now) const;

  // --- single nodes ---

  bool contains(NodeId node) const { return slot_of_.contains(node); }
  /// There is an entry that has not expired.
  bool is_live(NodeId node, TimePoint now) const;
  std::optional<CapabilitySet> capabilities_of(NodeId node) const;
  /// Whether what a node announced fits, tags by meaning, as channel access needs it; nothing when
  /// the node is not known or its announcement has expired.
  std::optional<bool> satisfies(NodeId node, const Filter& filter, TimePoint now) const;
  std::optional<std::uint64_t> version_of(NodeId node) const;
  /// The node with this low half of an origin hash, unless there are several.
  std::optional<NodeId> by_wire_origin(std::uint32_t origin) const;

  // --- watches ---

  /// Reports what matches now as joins, then every change. Fails with `kCapability` when there are
  /// too many watches.
  Expected<WatchId> watch(Filter filter, std::optional<ScopeFilter> scope = {});
  void unwatch(WatchId id) { watches_.erase(id.value); }
  /// What happened since the last call, at most one event per node: the net effect.
  std::vector<WatchEvent> poll_watch(WatchId id, TimePoint now);
  bool has_watches() const { return !watches_.empty(); }
  /// Some watch may have something to report.
  bool watches_ready() const { return watches_ready_; }

  std::size_t size() const { return slot_of_.size(); }
  std::size_t max_nodes() const { return options_.max_nodes; }
  /// Grows with every change; what is derived from the index can be kept as long as it stands
  /// still.
  std::uint64_t mutations() const { return mutations_; }
  std::uint64_t origin_collisions() const { return origin_collisions_; }
  std::size_t memory_bytes() const;

 private:
  static constexpr TimePoint kNever = TimePoint::max();

  struct Entry {
    std::uint64_t version = 0;
    std::uint32_t wire_origin = 0;
    std::vector<WordId> tags, models, tools;  ///< ascending
    std::vector<std::pair<std::string, std::string>> metadata;
  };
  /// Looked at by every query, so kept apart from the rest of the entry.
  struct Hot {
    NodeId node;
    TimePoint expires_at = kNever;
    Numbers numbers;
  };
  struct Watch {
    Filter filter;
    std::optional<ScopeFilter> scope;
    std::unordered_set<NodeId> members;  ///< as the watcher was told
    std::set<NodeId> pending;
  };
  /// Values with their slots, ascending: a range query is a binary search.
  using Column = std::vector<std::pair<std::uint32_t, Slot>>;
  /// A filter with its words looked up.
  struct Plan {
    bool impossible = false;
    NumericConditions numbers;
    std::vector<WordId> tags;
    std::vector<WordId> models, tools;  ///< one of each has to be there
    bool any_model = false, any_tool = false;
    std::optional<ScopeFilter::Kind> scope;
    std::vector<WordId> scope_tags;  ///< ascending
  };

  auto before() const {
    return [this](Slot a, Slot b) { return hot_[a].node < hot_[b].node; };
  }
  /// Without a scope every node is asked, also what is local to another subnet.
  Plan plan(const Filter& filter, const ScopeFilter* scope) const;
  std::optional<NodeId> best(const Plan& plan, const Requirement& requirement, TimePoint now) const;
  bool fits(const Plan& plan, Slot slot) const;
  bool fits_words(const Plan& plan, Slot slot) const;
  bool has_tag(Slot slot, WordId tag) const;
  /// The few nodes that a plan leaves to be judged, in the order of node ids; `scratch` holds them
  /// where no list of the index does.
  std::span<const Slot> candidates(const Plan& plan, std::vector<Slot>& scratch) const;
  bool fits_scope(const Plan& plan, Slot slot) const;
  bool in_own_subnet(NodeId node) const;
  template <typename Visit>
  void for_each_match(const Plan& plan, TimePoint now, Visit&& visit) const;
  /// Every live node that a matcher chooses, in the order of node ids.
  template <typename Visit>
  void for_each_chosen(const std::optional<TagMatcher>& matcher, TimePoint now,
                       Visit&& visit) const;
  class Grouping;

  Slot take_slot(NodeId node);
  void fill(Slot slot, const Announcement& announcement, TimePoint expires_at, bool added);
  void replace_words(Postings& postings, std::vector<WordId>& present, Slot slot,
                     const std::vector<std::string_view>& wanted);
  void set_numbers(Slot slot, const Numbers& numbers);
  void erase_slot(Slot slot);
  void mark_dirty(NodeId node);

  Options options_;
  std::unordered_map<NodeId, Slot> slot_of_;
  std::vector<Hot> hot_;
  std::vector<Entry> entries_;
  std::vector<Slot> free_;
  std::vector<Slot> all_;     ///< in the order of node ids
  std::vector<Slot> global_;  ///< of them those without a scope
  Postings tags_, models_, tools_;
  Column by_memory_, by_vram_, by_context_;
  std::set<std::pair<TimePoint, Slot>> by_expiry_;
  std::unordered_multimap<std::uint32_t, NodeId> by_origin_;
  std::unordered_map<NodeId, identity::SubnetId> subnets_;
  std::map<std::uint32_t, Watch> watches_;
  std::uint32_t next_watch_ = 1;
  bool watches_ready_ = false;
  std::uint64_t mutations_ = 0;
  std::uint64_t origin_collisions_ = 0;
};

}  // namespace netmesh::capability
