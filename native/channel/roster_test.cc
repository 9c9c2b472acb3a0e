#include "channel/roster.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "channel/channel_testing.h"

namespace netmesh::channel {
namespace {

using testing::Random;
using TestRoster = Roster<int>;
using Joined = TestRoster::Joined;

std::vector<NodeId> dispatch(TestRoster& roster) {
  std::vector<NodeId> out;
  roster.dispatch([](const auto& /*member*/) { return true; }, out);
  return out;
}

TEST(Roster, TakesTurnsInAQueueGroupAndReachesEveryBroadcastMember) {
  TestRoster roster;
  for (std::uint64_t n : {30, 10, 20}) roster.join(NodeId(n), "workers", 0);
  roster.join(NodeId(5), "", 0);
  roster.join(NodeId(99), "loggers", 0);
  for (std::uint64_t turn : {10, 20, 30, 10}) {
    EXPECT_EQ(dispatch(roster), (std::vector{NodeId(5), NodeId(99), NodeId(turn)}));
  }
  EXPECT_EQ(roster.queue_groups(), 2u);
}

TEST(Roster, GivesEachMemberOfAGroupItsShareWhileOthersComeAndGo) {
  TestRoster roster;
  std::map<NodeId, int> got;
  for (std::uint64_t n = 1; n <= 8; ++n) roster.join(NodeId(n), "g", 0);
  for (int i = 0; i < 800; ++i) {
    for (const NodeId node : dispatch(roster)) ++got[node];
    if (i % 7 == 0) roster.join(NodeId(100), "g", 0);
    if (i % 7 == 3) roster.leave(NodeId(100));
  }
  for (std::uint64_t n = 1; n <= 8; ++n) {
    EXPECT_GT(got[NodeId(n)], 85);
    EXPECT_LT(got[NodeId(n)], 105);
  }
}

TEST(Roster, PicksAnotherMemberWhenOneMayNot) {
  TestRoster roster;
  for (std::uint64_t n : {1, 2, 3}) roster.join(NodeId(n), "g", 0);
  std::vector<NodeId> out;
  roster.dispatch([](const auto& member) { return member.node != NodeId(1); }, out);
  EXPECT_EQ(out, std::vector{NodeId(2)});
  out.clear();
  roster.dispatch([](const auto& /*member*/) { return false; }, out);
  EXPECT_TRUE(out.empty());
}

TEST(Roster, FindsEveryStandInOfAGroupOnceWhoeverCameFirst) {
  TestRoster roster;
  for (std::uint64_t n : {10, 20, 30, 40}) roster.join(NodeId(n), "g", 0);
  roster.join(NodeId(5), "", 0);
  const auto anybody = [](const auto& /*member*/) { return true; };
  for (std::uint64_t first : {10, 20, 30, 40}) {
    std::set<NodeId> tried{NodeId(first)};
    NodeId last(first);
    while (const auto next = roster.stand_in(NodeId(first), last, anybody)) {
      ASSERT_TRUE(tried.insert(*next).second) << "twice";
      last = *next;
    }
    EXPECT_EQ(tried.size(), 4u) << first;
  }
  const auto only_ten = [](const auto& member) { return member.node == NodeId(10); };
  EXPECT_EQ(roster.stand_in(NodeId(30), NodeId(40), only_ten), NodeId(10));
  EXPECT_EQ(roster.stand_in(NodeId(10), NodeId(30), only_ten), std::nullopt);
  roster.leave(NodeId(30));
  EXPECT_EQ(roster.stand_in(NodeId(30), NodeId(20), anybody), std::nullopt)
      << "who came first has left";
  EXPECT_EQ(roster.stand_in(NodeId(30), NodeId(40), anybody), NodeId(10));
  EXPECT_EQ(roster.stand_in(NodeId(30), NodeId(30), anybody), std::nullopt) << "no member any more";
  EXPECT_EQ(roster.stand_in(NodeId(5), NodeId(5), anybody), std::nullopt)
      << "nobody stands in for a broadcast member";
}

TEST(Roster, BehavesLikeAPlainMapOfModes) {
  Random random(4);
  TestRoster roster;
  std::map<NodeId, std::pair<std::string, int>> model;
  const std::vector<std::string> groups{"", "a", "b", "c"};
  for (int step = 0; step < 20'000; ++step) {
    const NodeId node(random.below(40));
    const auto known = model.find(node);
    if (random.below(3) != 0) {
      const std::string& group = groups[random.below(groups.size())];
      const Joined expected = known == model.end()           ? Joined::kAdded
                              : known->second.first == group ? Joined::kStayed
                                                             : Joined::kMoved;
      EXPECT_EQ(roster.join(node, group, step), expected);
      model[node] = {group, step};
    } else {
      EXPECT_EQ(roster.leave(node), model.erase(node) == 1);
    }
    ASSERT_EQ(roster.size(), model.size());
    const auto group = roster.group_of(node);
    const auto now = model.find(node);
    ASSERT_EQ(group.has_value(), now != model.end());
    if (group) {
      EXPECT_EQ(*group, now->second.first);
      EXPECT_EQ(roster.find(node)->extra, now->second.second);
    }

    std::set<NodeId> broadcast;
    std::map<std::string, std::set<NodeId>> members;
    for (const auto& [id, mode] : model) {
      if (mode.first.empty()) {
        broadcast.insert(id);
      } else {
        members[mode.first].insert(id);
      }
    }
    EXPECT_EQ(roster.queue_groups(), members.size());
    const auto chosen = dispatch(roster);
    ASSERT_EQ(chosen.size(), broadcast.size() + members.size());
    for (const NodeId id : chosen) {
      if (broadcast.erase(id) == 1) continue;
      EXPECT_EQ(members.erase(model.at(id).first), 1u) << "one of each group";
    }
    EXPECT_TRUE(broadcast.empty() && members.empty());
  }
}

}  // namespace
}  // namespace netmesh::channel
