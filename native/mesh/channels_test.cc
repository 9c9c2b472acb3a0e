#include <gtest/gtest.h>

#include <memory>

#include "mesh/node_testing.h"

namespace netmesh::mesh {
namespace {

using testing::carry;
using testing::TestNode;

constexpr std::uint32_t kPayloadBytes = 5;

/// A publisher and the members of one queue group, each with a session.
struct QueueGroup : ::testing::Test {
  void SetUp() override {
    publisher.node.start(publisher.now());
    everybody = {&publisher};
    for (int number = 2; number <= 5; ++number) {
      members.push_back(std::make_unique<TestNode>(number));
      everybody.push_back(members.back().get());
    }
    ASSERT_TRUE(publisher.node.broker().register_channel({.name = name}));
    for (const auto& member : members) {
      member->node.start(member->now());
      member->connect(publisher);
      carry(everybody);
      ASSERT_TRUE(member->node.subscribe(member->now(), publisher.node.node_id(), name,
                                         {.credential = {}, .queue_group = "workers"}));
      carry(everybody);
    }
    ASSERT_EQ(publisher.node.broker().subscriptions(), members.size());
  }
  PublishReport publish() {
    Slab frames(4 + kPayloadBytes);
    std::byte* at = frames.extend(4 + kPayloadBytes);
    store_le(at, kPayloadBytes);
    std::memset(at + 4, 'x', kPayloadBytes);
    const RequestId request = ++requests;
    publisher.node.publish(publisher.now(), request, name, std::move(frames), {kPayloadBytes},
                           {.reliable = false, .on_failure = OnFailure::kCollect});
    carry(everybody);
    return publisher.sink.publishes.at(request).value();
  }

  const channel::ChannelName name = channel::ChannelName::parse("jobs").value();
  TestNode publisher{1};
  std::vector<std::unique_ptr<TestNode>> members;
  std::vector<TestNode*> everybody;
  RequestId requests = 1000;
};

TEST_F(QueueGroup, HasEachMemberTriedOnceWhenNoneCanBeReached) {
  for (const auto& member : members) publisher.node.set_blocked(member->address, true);
  const PublishReport report = publish();
  EXPECT_EQ(report.attempted, 1u);
  EXPECT_EQ(report.delivered, 0u);
  EXPECT_EQ(report.failures.size(), 1u);
}

TEST_F(QueueGroup, HasThePayloadGoToWhoeverCanBeReached) {
  for (const auto& member : members) publisher.node.set_blocked(member->address, true);
  publisher.node.set_blocked(members[2]->address, false);
  for (int i = 0; i < 8; ++i) {
    const PublishReport report = publish();
    EXPECT_EQ(report.attempted, 1u);
    EXPECT_EQ(report.delivered, 1u);
    EXPECT_TRUE(report.failures.empty());
  }
  EXPECT_EQ(members[2]->sink.delivered, 8u);
}

}  // namespace
}  // namespace netmesh::mesh
