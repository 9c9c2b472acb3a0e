#include "channel/guard.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "channel/channel_testing.h"

namespace netmesh::channel {
namespace {

using testing::Random;

TEST(AuthGuard, IsExactWhateverItsFilterSays) {
  AuthGuard guard(1);
  const ChannelNumber granted(1), other(2);
  guard.grant(NodeId(5), granted);
  EXPECT_TRUE(guard.check(NodeId(5), granted));
  EXPECT_FALSE(guard.check(NodeId(5), other));
  EXPECT_FALSE(guard.check(NodeId(6), granted));
  EXPECT_FALSE(guard.revoke(NodeId(5), other));
  EXPECT_TRUE(guard.revoke(NodeId(5), granted));
  EXPECT_FALSE(guard.check(NodeId(5), granted)) << "its bits are still set";
}

TEST(AuthGuard, BehavesLikeAPlainSetThroughGrowthAndShrinking) {
  Random random(5);
  for (const std::uint64_t nodes : {8u, 300u, 20'000u}) {
    AuthGuard guard(random.u64());
    std::set<std::pair<NodeId, ChannelNumber>> model;
    const auto pick = [&] {
      return std::pair(NodeId(random.below(nodes)), ChannelNumber(1 + random.below(6)));
    };
    for (const unsigned grants_in_4 : {3u, 1u, 2u, 0u}) {
      for (int step = 0; step < 30'000; ++step) {
        const auto key = pick();
        if (random.below(4) < grants_in_4) {
          guard.grant(key.first, key.second);
          model.insert(key);
        } else {
          EXPECT_EQ(guard.revoke(key.first, key.second), model.erase(key) == 1);
        }
        ASSERT_EQ(guard.size(), model.size());
        const auto asked = pick();
        ASSERT_EQ(guard.check(asked.first, asked.second), model.contains(asked));
      }
    }
    for (const auto& [node, channel] : model) EXPECT_TRUE(guard.revoke(node, channel));
    EXPECT_EQ(guard.size(), 0u);
  }
}

TEST(AuthGuard, GivesMemoryBack) {
  AuthGuard guard(1);
  const std::size_t empty = guard.memory_bytes();
  for (std::uint64_t n = 0; n < 50'000; ++n) guard.grant(NodeId(n), ChannelNumber(1));
  EXPECT_LT(guard.memory_bytes(), 50'000u * 50);
  for (std::uint64_t n = 0; n < 50'000; ++n) guard.revoke(NodeId(n), ChannelNumber(1));
  EXPECT_LT(guard.memory_bytes(), 16 * empty);
}

}  // namespace
}  // namespace netmesh::channel
