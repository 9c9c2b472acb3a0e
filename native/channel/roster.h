#pragma once
// Who gets the payloads of one channel (spec 31 §4.3).

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace netmesh::channel {

/// The subscribers of a channel: broadcast members, who get everything, and queue groups, of which
/// one member each gets a payload, in turn. A node is in one mode at a time. Everything goes in the
/// order of node ids, so that the same events have the same outcome. `Extra` is what is kept of a
/// member. One thread.
template <typename Extra>
class Roster {
 public:
  struct Member {
    NodeId node;
    Extra extra;
  };
  enum class Joined : unsigned char { kAdded, kMoved, kStayed };

  /// Adds a node, or moves it into another mode; an empty group is broadcast. In any case `extra`
  /// replaces what was kept of it.
  Joined join(NodeId node, std::string_view group, Extra extra) {
    const std::size_t present = locate(node);
    if (present == groups_.size()) {
      insert(group, {node, std::move(extra)});
      ++size_;
      return Joined::kAdded;
    }
    if (groups_[present].name == group) {
      groups_[present].at(node)->extra = std::move(extra);
      return Joined::kStayed;
    }
    erase(present, node);
    insert(group, {node, std::move(extra)});
    return Joined::kMoved;
  }

  /// False when it was no member. A group without members is forgotten.
  bool leave(NodeId node) {
    const std::size_t present = locate(node);
    if (present == groups_.size()) return false;
    erase(present, node);
    --size_;
    return true;
  }

  /// Null when it is no member.
  Member* find(NodeId node) {
    const std::size_t present = locate(node);
    return present == groups_.size() ? nullptr : &*groups_[present].at(node);
  }

  /// The node's queue group, empty for broadcast; nothing when it is no member.
  std::optional<std::string_view> group_of(NodeId node) const {
    const std::size_t present = locate(node);
    if (present == groups_.size()) return std::nullopt;
    return groups_[present].name;
  }

  /// Appends who gets the next payload: every broadcast member for whom `eligible(member)` holds,
  /// and of each group the first such after the one that was chosen last.
  template <typename Eligible>
  void dispatch(Eligible&& eligible, std::vector<NodeId>& out) {
    for (Group& group : groups_) {
      if (group.name.empty()) {
        for (Member& member : group.members) {
          if (eligible(member)) out.push_back(member.node);
        }
      } else if (const auto chosen = group.choose(eligible)) {
        out.push_back(*chosen);
      }
    }
  }

  /// The next eligible member of the queue group of `tried`, who could not be sent to, in the order
  /// of turns and before `first`, who was chosen at first: asked with what it returned it goes once
  /// through the group, and ends. Nothing for a broadcast member.
  template <typename Eligible>
  std::optional<NodeId> stand_in(NodeId first, NodeId tried, Eligible&& eligible) {
    const std::size_t present = locate(tried);
    if (present == groups_.size() || groups_[present].name.empty()) return std::nullopt;
    Group& group = groups_[present];
    auto next = std::next(group.at(tried));
    // Behind `first` there may be a lap to go, else what is left of it.
    const bool wraps = tried >= first;
    for (; wraps && next != group.members.end(); ++next) {
      if (eligible(*next)) return group.last = next->node;
    }
    if (wraps) next = group.members.begin();
    for (const auto end = group.at(first); next < end; ++next) {
      if (eligible(*next)) return group.last = next->node;
    }
    return std::nullopt;
  }

  template <typename Visit>
  void for_each(Visit&& visit) {
    for (Group& group : groups_) {
      for (Member& member : group.members) visit(member);
    }
  }

  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Group& group : groups_) {
      for (const Member& member : group.members) visit(member);
    }
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  /// Queue groups, broadcast not counted.
  std::size_t queue_groups() const {
    return groups_.size() - (!groups_.empty() && groups_.front().name.empty() ? 1 : 0);
  }

 private:
  /// Never empty.
  struct Group {
    std::string name;             ///< empty: broadcast
    std::vector<Member> members;  ///< ascending
    NodeId last;                  ///< the one that was chosen last

    auto at(NodeId node) { return first_not_below(members, node); }
    bool has(NodeId node) const {
      const auto found = first_not_below(members, node);
      return found != members.end() && found->node == node;
    }
    template <typename Eligible>
    std::optional<NodeId> choose(Eligible&& eligible) {
      auto next = first_not_below(members, last);
      if (next != members.end() && next->node == last) ++next;
      for (std::size_t tries = 0; tries < members.size(); ++tries, ++next) {
        if (next == members.end()) next = members.begin();
        if (!eligible(*next)) continue;
        last = next->node;
        return last;
      }
      return std::nullopt;
    }
  };

  template <typename Members>
  static auto first_not_below(Members& members, NodeId node) {
    return std::lower_bound(members.begin(), members.end(), node,
                            [](const Member& member, NodeId id) { return member.node < id; });
  }

  /// The index of the node's group, or the number of groups.
  std::size_t locate(NodeId node) const {
    const auto found = std::find_if(groups_.begin(), groups_.end(),
                                    [&](const Group& group) { return group.has(node); });
    return static_cast<std::size_t>(found - groups_.begin());
  }
  void insert(std::string_view name, Member member) {
    auto group = std::lower_bound(
        groups_.begin(), groups_.end(), name,
        [](const Group& each, std::string_view wanted) { return each.name < wanted; });
    if (group == groups_.end() || group->name != name)
      group = groups_.insert(group, Group{std::string(name), {}, {}});
    group->members.insert(group->at(member.node), std::move(member));
  }
  void erase(std::size_t present, NodeId node) {
    Group& group = groups_[present];
    group.members.erase(group.at(node));
    if (group.members.empty())
      groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(present));
  }

  /// In the order of their names, broadcast first.
  std::vector<Group> groups_;
  std::size_t size_ = 0;
};

}  // namespace netmesh::channel
