#include "session/control_message.h"

#include <gtest/gtest.h>

#include "session/legacy_session.h"
#include "session/modern_session.h"
#include "session/session_testing.h"

namespace netmesh::session {
namespace {

using testing::at;
using testing::established;
using testing::packets_of;
using testing::RecordedEvents;
using testing::usual_hello;

constexpr std::uint16_t kProtocol = 0x0C00;

Bytes filled(std::size_t size, unsigned seed) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i * 31 + seed);
  return out;
}

wire::Hello hello_with_control() {
  wire::Hello hello = usual_hello();
  hello.features = wire::feature::kControlStreams;
  return hello;
}

/// Two ends of a modern session.
struct Pair {
  explicit Pair(const wire::Hello& hello = hello_with_control())
      : a(established(true, hello), {}, {}, a_events, at({})),
        b(established(false, hello), {}, {}, b_events, at({})) {}

  /// Everything there and back; packets for which `lose` says so do not arrive.
  template <typename Lose>
  void exchange(Duration time, Lose lose) {
    for (bool silent = false; !silent;) {
      silent = true;
      for (auto [from, to] : {std::pair<ModernSession*, ModernSession*>{&a, &b}, {&b, &a}}) {
        for (Bytes& packet : packets_of(*from, at(time))) {
          silent = false;
          if (!lose()) to->handle_packet(at(time), packet);
        }
        to->end_of_batch(at(time));
      }
    }
  }
  void exchange(Duration time = {}) {
    exchange(time, [] { return false; });
  }

  RecordedEvents a_events, b_events;
  ModernSession a, b;
};

TEST(ControlMessages, OfModernSessionsArriveInOrderWhateverIsLost) {
  Pair pair;
  std::vector<Bytes> sent;
  for (unsigned i = 0; i < 50; ++i) {
    sent.push_back(filled(i * 97, i));
    ASSERT_TRUE(pair.a.send_control(at({}), kProtocol, sent.back()));
  }
  unsigned packets = 0;
  for (int turn = 0; turn < 40; ++turn) {
    const Duration time = std::chrono::milliseconds(200) * turn;
    pair.a.handle_timeout(at(time));
    pair.b.handle_timeout(at(time));
    pair.exchange(time, [&] { return ++packets % 3 == 0; });
  }
  ASSERT_EQ(pair.b_events.controls.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(pair.b_events.controls[i].first, kProtocol);
    EXPECT_EQ(pair.b_events.controls[i].second, sent[i]) << i;
  }
}

TEST(ControlMessages, AreNoStreamsForTheApplication) {
  Pair pair;
  ASSERT_TRUE(pair.a.send_control(at({}), kProtocol, filled(100, 1)));
  EXPECT_EQ(pair.a.unacknowledged_bytes(), 0u) << "nobody waits for them at the end";
  EXPECT_TRUE(pair.a.unacknowledged().empty());
  pair.exchange();
  for (const ModernSession* session : {&pair.a, &pair.b}) {
    EXPECT_EQ(session->stream_count(), 0u);
    EXPECT_TRUE(session->all_stream_stats().empty());
    EXPECT_FALSE(session->stream_stats(control_stream(kProtocol)));
  }
  EXPECT_TRUE(pair.b_events.streams.empty());
  pair.b.abandon();
  EXPECT_TRUE(pair.b_events.streams.empty());
}

TEST(ControlMessages, MayBeLargeAndAreBounded) {
  Pair pair;
  const Bytes largest = filled(kMaxControlMessageBytes, 7);
  ASSERT_TRUE(pair.a.send_control(at({}), kProtocol, largest));
  const auto refused =
      pair.a.send_control(at({}), kProtocol, filled(kMaxControlMessageBytes + 1, 7));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kTooLarge);
  pair.exchange();
  ASSERT_EQ(pair.b_events.controls.size(), 1u);
  EXPECT_EQ(pair.b_events.controls[0].second, largest);
  // What waits is bounded as well.
  std::size_t taken = 0;
  while (pair.a.send_control(at({}), kProtocol, largest)) ++taken;
  EXPECT_LE(taken * kMaxControlMessageBytes, kMaxControlQueueBytes);
  EXPECT_GE((taken + 2) * kMaxControlMessageBytes, kMaxControlQueueBytes);
  pair.exchange();
  EXPECT_EQ(pair.b_events.controls.size(), taken + 1);
  EXPECT_TRUE(pair.a.send_control(at({}), kProtocol, largest)) << "there is room again";
}

TEST(ControlMessages, NeedNoReaderForAnyNumberOfBytes) {
  Pair pair;
  const Bytes message = filled(kMaxControlMessageBytes, 1);
  // More than stream and session window together.
  const std::size_t count = (32u << 20) / message.size();
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_TRUE(pair.a.send_control(at({}), kProtocol, message));
    pair.exchange(std::chrono::milliseconds(i));
  }
  EXPECT_EQ(pair.b_events.controls.size(), count);
}

TEST(ControlMessages, AreNotSentToPeersThatDoNotKnowThem) {
  Pair pair(usual_hello());
  const auto refused = pair.a.send_control(at({}), kProtocol, filled(10, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kNotConnected);
  pair.exchange();
  EXPECT_TRUE(pair.b_events.streams.empty());
}

TEST(ControlMessages, DoNotComeAsDatagrams) {
  RecordedEvents events;
  ModernSession session(established(false, hello_with_control()), {}, {}, events, at({}));
  testing::Crafter crafter;
  wire::DatagramFrame frame;
  frame.stream_id = control_stream(kProtocol);
  frame.epoch = 3;
  const Bytes data = filled(8, 0);
  frame.data = data;
  Bytes packet = crafter.packet(std::vector<wire::Frame>{frame});
  EXPECT_EQ(session.handle_packet(at({}), packet), PacketVerdict::kProtocolViolation);
}

TEST(ControlMessages, OfBaseSessionsAreOnePacketEachUnderTheirNumber) {
  RecordedEvents a_events, b_events;
  LegacySession a(established(true, {}), {}, {}, a_events);
  LegacySession b(established(false, {}), {}, {}, b_events);
  const std::vector<Bytes> sent{filled(0, 0), filled(8108, 1), filled(300, 2)};
  for (const Bytes& message : sent) ASSERT_TRUE(a.send_control(at({}), kProtocol, message));
  EXPECT_FALSE(a.send_control(at({}), kProtocol, filled(8109, 0)));
  std::vector<Bytes> packets = packets_of(a, at({}));
  ASSERT_EQ(packets.size(), sent.size());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const auto header = wire::parse_net_packet(packets[i]);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->subprotocol_id, kProtocol);
    EXPECT_EQ(header->stream_id, StreamId{kProtocol});
    EXPECT_EQ(header->sequence, i);
    EXPECT_EQ(header->flags, 0);
    EXPECT_EQ(b.handle_packet(at({}), packets[i]), PacketVerdict::kAccepted);
  }
  ASSERT_EQ(b_events.controls.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(b_events.controls[i].second, sent[i]);
  EXPECT_TRUE(b_events.streams.empty());
}

TEST(ControlMessages, TicketsComeBackOnceTheWholeBatchHasArrived) {
  Pair pair;
  const auto gate = *pair.a.open_stream(at({}), {StreamId{5}, true, 0, 1});
  for (std::uint64_t ticket = 1; ticket <= 3; ++ticket) {
    OutboundBatch batch = testing::batch_of({filled(5000, 1), filled(70'000, 2)});
    ASSERT_TRUE(gate->admit_unwindowed(batch.cost, batch.packets, 70'000));
    batch.windowed = false;
    batch.ticket = ticket;
    pair.a.send(at({}), *gate, std::move(batch));
  }
  EXPECT_GT(pair.a.stream_backlog(StreamId{5}), 3u * 75'000);
  EXPECT_TRUE(pair.a_events.tickets.empty());
  // Paced, so that it takes a while.
  for (int turn = 0; turn < 100; ++turn) {
    const Duration time = std::chrono::milliseconds(20) * turn;
    pair.a.handle_timeout(at(time));
    pair.b.handle_timeout(at(time));
    pair.exchange(time);
  }
  EXPECT_EQ(pair.a_events.tickets, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(pair.a.stream_backlog(StreamId{5}), 0u);
}

}  // namespace
}  // namespace netmesh::session
