#include "channel/guard.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "channel/channel_testing.h"

namespace netmesh::channel {
namespace {

using testing::Random;

TEST(AuthGuard, ConfirmsByNameWhereHashesAreEqual) {
  AuthGuard guard(1);
  const AuthGuard::Channel granted{ChannelHash(7), 1}, forged{ChannelHash(7), 2};
  guard.grant(NodeId(5), granted);
  EXPECT_TRUE(guard.check(NodeId(5), granted));
  EXPECT_FALSE(guard.check(NodeId(5), forged)) << "same hash, another name";
  EXPECT_FALSE(guard.check(NodeId(6), granted));
  EXPECT_FALSE(guard.revoke(NodeId(5), forged));
  EXPECT_TRUE(guard.revoke(NodeId(5), granted));
  EXPECT_FALSE(guard.check(NodeId(5), granted)) << "whatever the filter still says";
}

TEST(AuthGuard, BehavesLikeAPlainSetThroughGrowthAndShrinking) {
  Random random(5);
  for (const std::uint64_t nodes : {8u, 300u, 20'000u}) {
    AuthGuard guard(random.u64());
    std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>> model;
    const auto pick = [&] {
      // Few hashes, each of several names: collisions are the rule.
      const std::uint64_t name = 1 + random.below(6);
      return std::pair(NodeId(random.below(nodes)),
                       AuthGuard::Channel{ChannelHash(name / 2), name});
    };
    for (const unsigned grants_in_4 : {3u, 1u, 2u, 0u}) {
      for (int step = 0; step < 30'000; ++step) {
        const auto [node, channel] = pick();
        const std::tuple key(node.value, channel.hash.value, channel.name_id);
        if (random.below(4) < grants_in_4) {
          guard.grant(node, channel);
          model.insert(key);
        } else {
          EXPECT_EQ(guard.revoke(node, channel), model.erase(key) == 1);
        }
        ASSERT_EQ(guard.size(), model.size());
        const auto [other, asked] = pick();
        ASSERT_EQ(guard.check(other, asked),
                  model.contains({other.value, asked.hash.value, asked.name_id}));
      }
    }
    for (const auto& [node, hash, name] : model)
      EXPECT_TRUE(guard.revoke(NodeId(node), {ChannelHash(hash), name}));
    EXPECT_EQ(guard.size(), 0u);
  }
}

TEST(AuthGuard, GivesMemoryBack) {
  AuthGuard guard(1);
  const std::size_t empty = guard.memory_bytes();
  for (std::uint64_t n = 0; n < 50'000; ++n) guard.grant(NodeId(n), {ChannelHash(1), 1});
  EXPECT_LT(guard.memory_bytes(), 50'000u * 72);
  for (std::uint64_t n = 0; n < 50'000; ++n) guard.revoke(NodeId(n), {ChannelHash(1), 1});
  EXPECT_LT(guard.memory_bytes(), 16 * empty);
}

}  // namespace
}  // namespace netmesh::channel
