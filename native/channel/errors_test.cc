#include "channel/errors.h"

#include <gtest/gtest.h>

namespace netmesh::channel {
namespace {

TEST(ChannelErrors, HaveTheDocumentedTexts) {
  const NodeId node(0xc211b9fddfaef86d);
  const StreamId stream(0x5c198de0f70642e9);
  const std::pair<Error, const char*> cases[] = {
      {refused(AckReason::kUnauthorized), "channel: unauthorized"},
      {refused(AckReason::kUnknownChannel), "channel: unknown channel"},
      {refused(AckReason::kRateLimited), "channel: rate limited"},
      {refused(AckReason::kTooManyChannels), "channel: too many channels"},
      {refused(AckReason::kNone), "channel: rejected (None)"},
      {invalid_name("channel name is empty"), "channel: invalid name: channel name is empty"},
      {invalid_visibility("x"),
       "channel: invalid visibility \"x\" (expected subnet-local | parent-visible | exported | "
       "global)"},
      {invalid_reliability("x"), "channel: invalid reliability \"x\""},
      {invalid_on_failure("x"), "channel: invalid on_failure \"x\""},
      {no_session_to_publisher(node),
       "channel: connection error: no session to publisher 0xc211b9fddfaef86d"},
      {ack_timeout(std::chrono::seconds(5), "lab/x"),
       "channel: connection error: membership ack timeout (5s) for channel lab/x"},
      {ack_timeout(std::chrono::milliseconds(250), "a"),
       "channel: connection error: membership ack timeout (250ms) for channel a"},
      {publish_denied(), "channel: connection error: channel: publish denied by channel ACL"},
      {publish_rate_exceeded(1000), "channel: publish rate exceeds maxRatePps of 1000"},
      {all_peers_failed(3, NodeId(0xa), "connection error: " + backpressured_text(stream)),
       "channel: connection error: all 3 peers failed (first: 0xa: connection error: publish: "
       "stream 0x5c198de0f70642e9 backpressured)"},
  };
  for (const auto& [error, text] : cases) {
    EXPECT_EQ(error.message, text);
    const bool denied = error.message == "channel: unauthorized";
    EXPECT_EQ(error.kind, denied ? ErrorKind::kChannelDenied : ErrorKind::kChannel) << text;
  }
}

TEST(ChannelErrors, SayWhyOneSubscriberWasNotReached) {
  EXPECT_EQ(no_session_text(NodeId(0xab)), "publish: no session for subscriber 0xab");
  EXPECT_EQ(partitioned_text(NodeId(0xab)), "publish: peer 0xab is partitioned");
  EXPECT_EQ(stream_closed_text(StreamId(0xab)), "publish: stream 0xab closed");
  EXPECT_EQ(send_failed_text("no buffers"), "publish send failed: no buffers");
  EXPECT_EQ(hex_number(0), "0x0");
  EXPECT_EQ(hex_number(~std::uint64_t{0}), "0xffffffffffffffff");
}

}  // namespace
}  // namespace netmesh::channel
