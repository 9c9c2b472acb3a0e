#include "mesh/link.h"

#include <gtest/gtest.h>

namespace netmesh::mesh {
namespace {

struct SilentSink final : NodeSink {
  void connect_done(RequestId, Expected<void>) override {}
  void accept_done(RequestId, Expected<Endpoint>) override {}
  void peer_up(NodeId, const Endpoint&, SecurityMode) override {}
  void peer_down(NodeId, DownReason, const std::string&) override {}
  void stream_opened(StreamRef, NodeId, StreamId, bool) override {}
  void deliver(StreamRef, std::uint64_t, std::uint32_t, ByteSpan, ByteSpan) override {}
  void stream_finished(StreamRef, StreamEnd) override {}
  void credit_available(NodeId, StreamId, std::uint64_t) override {}
  void shutdown_done(const std::vector<UnacknowledgedStream>&) override {}
};

struct Fixture : ::testing::Test {
  SilentSink sink;
  StreamRefTable refs;
  Link link{NodeId{1}, sink, refs};
};

using StreamRefs = Fixture;

TEST_F(StreamRefs, AreReusedWhenTheStreamIsOverAndRead) {
  const StreamRef first = refs.add(link, StreamId{7}, true);
  refs.delivered(first);
  refs.delivered(first);
  refs.finished(first);
  EXPECT_NE(refs.add(link, StreamId{8}, true), first) << "two events are not read yet";
  ASSERT_NE(refs.consume(first, 1), nullptr);
  EXPECT_NE(refs.add(link, StreamId{9}, true), first);
  ASSERT_NE(refs.consume(first, 1), nullptr);
  EXPECT_EQ(refs.add(link, StreamId{10}, false), first);
}

TEST_F(StreamRefs, TellWhoseEventsWereRead) {
  const StreamRef ref = refs.add(link, StreamId{7}, true);
  refs.delivered(ref);
  const auto* entry = refs.consume(ref, 1);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->link, &link);
  EXPECT_EQ(entry->stream, StreamId{7});
  EXPECT_TRUE(entry->reliable);
}

TEST_F(StreamRefs, IgnoreNumbersThatMeanNothing) {
  EXPECT_EQ(refs.consume(0, 1), nullptr);
  const StreamRef ref = refs.add(link, StreamId{7}, true);
  EXPECT_EQ(refs.consume(ref + 1, 1), nullptr);
  refs.finished(ref);
  EXPECT_EQ(refs.consume(ref, 1), nullptr);
  EXPECT_EQ(refs.consume(~StreamRef{0}, 1), nullptr);
}

TEST_F(StreamRefs, SurviveMoreReadsThanDeliveries) {
  const StreamRef ref = refs.add(link, StreamId{7}, true);
  refs.delivered(ref);
  ASSERT_NE(refs.consume(ref, 1'000'000), nullptr);
  refs.finished(ref);
  EXPECT_EQ(refs.add(link, StreamId{8}, true), ref);
}

TEST_F(StreamRefs, OutliveTheirSession) {
  const StreamRef ref = refs.add(link, StreamId{7}, true);
  refs.delivered(ref);
  refs.finished(ref);
  refs.forget_link(link);
  const auto* entry = refs.consume(ref, 1);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->link, nullptr);
}

}  // namespace
}  // namespace netmesh::mesh
