// Who goes first in a modern session: priorities and weights as they show on the wire.

#include <gtest/gtest.h>

#include <map>

#include "session/modern_session.h"
#include "session/session_testing.h"

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;
using testing::at;
using testing::Crafter;
using testing::established;
using testing::RecordedEvents;
using testing::send;
using testing::usual_hello;

const PathInfo kFarPath{false, false, wire::kBaseDatagramBytes};

/// A session whose packets are opened by a peer that acknowledges at once.
class Scheduling : public ::testing::Test {
 protected:
  Scheduling() : session(established(false, roomy()), roomy_config(), kFarPath, events, at({})) {
    receive(wire::PingFrame{});
  }

  static wire::Hello roomy() {
    wire::Hello hello = usual_hello();
    hello.stream_window = hello.session_window = 1u << 30;
    return hello;
  }
  static SessionConfig roomy_config() {
    SessionConfig config;
    config.max_queued_bytes = 1u << 30;
    return config;
  }

  std::shared_ptr<StreamGate> open(std::uint64_t id, Priority priority, std::uint32_t weight = 1,
                                   bool reliable = true) {
    return *session.open_stream(at({}), {StreamId{id}, reliable, 0, weight, priority});
  }
  /// Data bytes by stream in the next packet; nothing when the window is closed.
  std::optional<std::map<std::uint64_t, std::size_t>> next_packet() {
    Bytes packet(session.max_packet_bytes());
    const std::size_t size = session.wants_transmit() ? session.poll_transmit(at(now), packet) : 0;
    if (size == 0) return std::nullopt;
    packet.resize(size);
    newest = wire::parse_modern_header(packet)->packet_number.value;
    const Bytes text = crafter.open(packet);
    EXPECT_FALSE(text.empty());
    std::map<std::uint64_t, std::size_t> bytes;
    wire::FrameReader reader(text);
    while (const auto frame = reader.next()) {
      if (const auto* stream = std::get_if<wire::StreamFrame>(&*frame)) {
        bytes[stream->stream_id.value] += stream->data.size();
      } else if (const auto* event = std::get_if<wire::DatagramFrame>(&*frame)) {
        bytes[event->stream_id.value] += event->data.size();
      } else if (const auto* part = std::get_if<wire::DatagramFragmentFrame>(&*frame)) {
        bytes[part->stream_id.value] += part->data.size();
      }
    }
    return bytes;
  }
  void receive(const wire::Frame& frame) {
    Bytes packet = crafter.packet({frame});
    ASSERT_EQ(session.handle_packet(at(now), packet), PacketVerdict::kAccepted);
  }
  void acknowledge() {
    now += milliseconds(10);
    wire::AckFrame ack;
    ack.range_count = 1;
    ack.ranges[0] = {0, newest};
    receive(ack);
  }
  /// Sends until `total` bytes of streams have left; bytes by stream.
  std::map<std::uint64_t, std::size_t> drain(std::size_t total) {
    std::map<std::uint64_t, std::size_t> sum;
    std::size_t all = 0;
    for (int idle = 0; all < total && idle < 1'000;) {
      const auto packet = next_packet();
      if (!packet) {
        if (const auto due = session.next_timeout(); due && *due <= at(now).monotonic)
          session.handle_timeout(at(now));
        acknowledge();
        ++idle;
        continue;
      }
      for (const auto& [id, bytes] : *packet) {
        sum[id] += bytes;
        all += bytes;
      }
    }
    return sum;
  }
  void backlog(StreamGate& gate, std::size_t bytes, std::size_t event = 60'000) {
    for (std::size_t left = bytes; left > 0; left -= std::min(left, event)) {
      ASSERT_TRUE(send(session, at(now), gate, {Bytes(std::min(left, event))}));
    }
  }

  Crafter crafter;
  RecordedEvents events;
  Duration now{};
  std::uint64_t newest = 0;
  ModernSession session;
};

TEST_F(Scheduling, AnUrgentMessageBehindABulkBacklogLeavesInTheNextPacket) {
  const auto bulk = open(1, Priority::kBulk);
  const auto urgent = open(2, Priority::kHigh);
  backlog(*bulk, 8'000'000);
  for (int round = 0; round < 8; ++round) {
    while (next_packet()) {
    }  // as full as the window lets it
    ASSERT_TRUE(send(session, at(now), *urgent, {Bytes(64)}));
    EXPECT_FALSE(next_packet()) << "the window is full";
    acknowledge();
    const auto packet = next_packet();
    ASSERT_TRUE(packet.has_value());
    EXPECT_EQ(packet->at(2), 68u);
    EXPECT_GT(packet->at(1), 0u) << "and what is left of it is used";
  }
}

TEST_F(Scheduling, EveryClassGoesBeforeThoseBelow) {
  const Priority classes[] = {Priority::kBulk, Priority::kNormal, Priority::kHigh,
                              Priority::kControl};
  std::vector<std::shared_ptr<StreamGate>> gates;
  for (std::uint64_t i = 0; i < 4; ++i) {
    gates.push_back(open(i, classes[i]));
    backlog(*gates.back(), 100'000);
  }
  for (std::uint64_t expected = 4; expected-- > 0;) {
    const auto sent = drain(95'000);
    EXPECT_GE(sent.at(expected), 90'000u) << expected;
    const std::size_t rest = 100'008 - sent.at(expected);  // two events, with their lengths
    if (rest > 0) drain(rest);
  }
}

TEST_F(Scheduling, WeightsOneAndThreeShareBytesOneToThree) {
  const auto light = open(1, Priority::kNormal, 1), heavy = open(2, Priority::kNormal, 3);
  backlog(*light, 2'000'000);
  backlog(*heavy, 2'000'000);
  const auto sent = drain(2'000'000);
  EXPECT_NEAR(static_cast<double>(sent.at(2)) / static_cast<double>(sent.at(1)), 3.0, 0.1);
}

TEST_F(Scheduling, EventsInFragmentsTakeNoMoreThanTheirShare) {
  const auto events_of_many_packets = open(1, Priority::kNormal, 1, false);
  const auto bytes = open(2, Priority::kNormal, 1);
  backlog(*events_of_many_packets, 1'000'000, 8'108);
  backlog(*bytes, 1'000'000);
  const auto sent = drain(1'000'000);
  EXPECT_NEAR(static_cast<double>(sent.at(2)) / static_cast<double>(sent.at(1)), 1.0, 0.1);
}

TEST_F(Scheduling, ManyStreamsOfOneClassAllMakeProgress) {
  std::vector<std::shared_ptr<StreamGate>> gates;
  for (std::uint64_t id = 0; id < 100; ++id) {
    gates.push_back(open(id, Priority::kNormal));
    backlog(*gates.back(), 20'000);
  }
  const auto sent = drain(1'000'000);
  ASSERT_EQ(sent.size(), 100u);
  for (const auto& [id, count] : sent) EXPECT_NEAR(static_cast<double>(count), 10'000, 2'500) << id;
}

}  // namespace
}  // namespace netmesh::session
