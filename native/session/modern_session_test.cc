#include "session/modern_session.h"

#include <gtest/gtest.h>

#include <functional>

#include "session/session_testing.h"

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::at;
using testing::Crafter;
using testing::established;
using testing::packets_of;
using testing::RecordedEvents;
using testing::send;
using testing::usual_hello;

const PathInfo kFarPath{false, false};

/// The responder's session, and a peer with the right keys and no manners.
struct Victim {
  explicit Victim(SessionConfig config = {}, wire::Hello peer = usual_hello())
      : session(established(false, peer), config, kFarPath, events, at({})) {}

  PacketVerdict receive(Bytes packet) { return session.handle_packet(at({}), packet); }
  PacketVerdict receive(const std::vector<wire::Frame>& frames) {
    return receive(crafter.packet(frames));
  }

  Crafter crafter;
  RecordedEvents events;
  ModernSession session;
};

wire::StreamFrame stream_frame(ByteSpan data, std::uint64_t offset = 0, std::uint64_t epoch = 2,
                               std::uint64_t id = 7) {
  wire::StreamFrame frame;
  frame.stream_id = StreamId{id};
  frame.epoch = epoch;
  frame.offset = offset;
  frame.data = data;
  return frame;
}

wire::DatagramFrame datagram_frame(ByteSpan data, std::uint64_t offset = 0, std::uint64_t epoch = 3,
                                   std::uint64_t id = 7) {
  wire::DatagramFrame frame;
  frame.stream_id = StreamId{id};
  frame.epoch = epoch;
  frame.offset = offset;
  frame.data = data;
  return frame;
}

// --- violations ---

struct Violation {
  const char* name;
  std::uint64_t code;
  std::function<PacketVerdict(Victim&)> commit;
};

SessionConfig tight_config() {
  SessionConfig config;
  config.stream_receive_window = 1'000;
  config.session_receive_window = 1'500;
  config.max_message_bytes = 400;
  config.max_streams = 4;
  return config;
}

std::vector<Violation> violations() {
  static const Bytes zeros(2'000);
  const auto some = [](std::size_t size) { return ByteSpan(zeros).first(size); };
  static const Bytes long_event = [] {
    Bytes header(4);
    store_le<std::uint32_t>(header.data(), 401);
    return header;
  }();
  return {
      {"UnknownFrame", close_code::kFrameEncoding,
       [](Victim& v) {
         const Bytes frame{std::byte{0x7F}};
         return v.receive(v.crafter.packet(ByteSpan(frame)));
       }},
      {"CutFrame", close_code::kFrameEncoding,
       [](Victim& v) {
         const Bytes frame{std::byte{0x10}, std::byte{1}, std::byte{2}};
         return v.receive(v.crafter.packet(ByteSpan(frame)));
       }},
      {"DataBeyondTheStreamsLimit", close_code::kFlowControl,
       [=](Victim& v) { return v.receive({stream_frame(some(1), 1'000)}); }},
      {"DataBeyondTheSessionsLimit", close_code::kFlowControl,
       [=](Victim& v) {
         v.receive({stream_frame(some(900), 100, 2, 1)});
         return v.receive({stream_frame(some(900), 100, 4, 2)});
       }},
      {"AnEndThatMoves", close_code::kFlowControl,
       [=](Victim& v) {
         auto frame = stream_frame(some(10), 20);
         frame.fin = true;
         v.receive({frame});
         return v.receive({stream_frame(some(1), 30)});
       }},
      {"DatagramsBeyondTheLimit", close_code::kFlowControl,
       [=](Victim& v) {
         v.receive({datagram_frame(some(4))});
         return v.receive({datagram_frame(some(4), 997)});
       }},
      {"TooLargeAnEvent", close_code::kMessageTooLarge,
       [](Victim& v) { return v.receive({stream_frame(long_event)}); }},
      {"TooManyStreams", close_code::kTooManyStreams,
       [=](Victim& v) {
         for (std::uint64_t id = 0; id < 8; ++id) {
           EXPECT_EQ(v.receive({stream_frame(some(1), 0, 2 * id + 2, id)}),
                     PacketVerdict::kAccepted);
         }
         return v.receive({stream_frame(some(1), 0, 100, 100)});
       }},
      {"TooManyFireAndForgetStreams", close_code::kTooManyStreams,
       [=](Victim& v) {
         for (std::uint64_t id = 0; id < 8; ++id) {
           EXPECT_EQ(v.receive({datagram_frame(some(4), 0, 2 * id + 3, id)}),
                     PacketVerdict::kAccepted);
         }
         return v.receive({datagram_frame(some(4), 0, 101, 100)});
       }},
      {"AcknowledgingWhatWasNeverSent", close_code::kAcknowledgement,
       [](Victim& v) {
         wire::AckFrame ack;
         ack.range_count = 1;
         ack.ranges[0] = {0, 1'000};
         return v.receive({ack});
       }},
      {"StreamDataUnderAFireAndForgetEpoch", close_code::kStreamState,
       [=](Victim& v) { return v.receive({stream_frame(some(1), 0, 3)}); }},
      {"DatagramsUnderAReliableEpoch", close_code::kStreamState,
       [=](Victim& v) { return v.receive({datagram_frame(some(4), 0, 2)}); }},
      {"ReopeningBeforeTheEnd", close_code::kStreamState,
       [=](Victim& v) {
         v.receive({stream_frame(some(1), 0, 2)});
         return v.receive({stream_frame(some(1), 0, 4)});
       }},
      {"FragmentsThatDisagree", close_code::kStreamState,
       [=](Victim& v) {
         wire::DatagramFragmentFrame frame;
         frame.stream_id = StreamId{7};
         frame.epoch = 3;
         frame.total = 100;
         frame.data = some(10);
         v.receive({frame});
         frame.total = 101;
         frame.fragment_offset = 50;
         return v.receive({frame});
       }},
  };
}

class ViolatedSession : public ::testing::TestWithParam<Violation> {};

TEST_P(ViolatedSession, ClosesAndTellsThePeerWhy) {
  Victim victim(tight_config());
  EXPECT_EQ(GetParam().commit(victim), PacketVerdict::kProtocolViolation);
  ASSERT_TRUE(victim.session.closing().has_value());
  EXPECT_EQ(victim.session.closing()->code, GetParam().code);
  EXPECT_FALSE(victim.session.closing()->by_peer);
  EXPECT_FALSE(victim.session.closing()->reason.empty());

  auto packets = packets_of(victim.session, at(milliseconds(1)));
  ASSERT_EQ(packets.size(), 3u) << "nothing acknowledges a goodbye, so it is said three times";
  EXPECT_FALSE(victim.session.wants_transmit());
  EXPECT_FALSE(victim.session.next_timeout().has_value());

  RecordedEvents events;
  ModernSession peer(established(true, usual_hello()), {}, kFarPath, events, at({}));
  EXPECT_EQ(peer.handle_packet(at({}), packets[1]), PacketVerdict::kAccepted);
  ASSERT_TRUE(peer.closing().has_value());
  EXPECT_TRUE(peer.closing()->by_peer);
  EXPECT_EQ(peer.closing()->code, GetParam().code);
  EXPECT_EQ(peer.closing()->reason, victim.session.closing()->reason);
  EXPECT_TRUE(packets_of(peer, at({})).empty()) << "a goodbye gets no answer";

  // What comes afterwards is nobody's business.
  const Bytes event{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}};
  EXPECT_EQ(victim.receive({stream_frame(event, 0, 200, 200)}), PacketVerdict::kAccepted);
  EXPECT_TRUE(packets_of(victim.session, at({})).empty());
}

INSTANTIATE_TEST_SUITE_P(Every, ViolatedSession, ::testing::ValuesIn(violations()),
                         [](const auto& violation) { return std::string(violation.param.name); });

TEST(ModernSession, MoreGapsThanAnyoneLeavesAreAViolation) {
  Victim victim;
  const Bytes one(1);
  PacketVerdict verdict = PacketVerdict::kAccepted;
  for (std::uint64_t i = 0; verdict == PacketVerdict::kAccepted && i < 20'000; ++i) {
    verdict = victim.receive({stream_frame(one, 2 * i + 1)});
  }
  EXPECT_EQ(verdict, PacketVerdict::kProtocolViolation);
  EXPECT_EQ(victim.session.closing()->code, close_code::kReorderBuffer);
}

TEST(ModernSession, DamagedPacketsNeverCloseAnything) {
  Victim victim;
  const Bytes garbage{std::byte{0x7F}};
  const Bytes packet = victim.crafter.packet(ByteSpan(garbage));
  for (std::size_t i = 0; i < packet.size(); ++i) {
    Bytes damaged = packet;
    damaged[i] ^= std::byte{1};
    const PacketVerdict verdict = victim.receive(damaged);
    EXPECT_TRUE(verdict == PacketVerdict::kAuthenticationFailed ||
                verdict == PacketVerdict::kMalformed)
        << i;
  }
  for (std::size_t length = 0; length < packet.size(); ++length) {
    Bytes cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
    const PacketVerdict verdict = victim.receive(cut);
    EXPECT_TRUE(verdict == PacketVerdict::kAuthenticationFailed ||
                verdict == PacketVerdict::kMalformed);
  }
  EXPECT_FALSE(victim.session.closing().has_value());
  EXPECT_EQ(victim.events.proven, 0);
  EXPECT_EQ(victim.session.stats().packets_received, 0u);
}

TEST(ModernSession, TakesEachPacketOnce) {
  Victim victim;
  const Bytes ping = victim.crafter.packet({wire::PingFrame{}});
  EXPECT_EQ(victim.receive(ping), PacketVerdict::kAccepted);
  EXPECT_EQ(victim.receive(ping), PacketVerdict::kReplay);
  EXPECT_EQ(victim.events.proven, 1);
  victim.crafter.skip(1ULL << 40);
  EXPECT_EQ(victim.receive({wire::PingFrame{}}), PacketVerdict::kAccepted);
  EXPECT_EQ(victim.events.proven, 1);
}

TEST(ModernSession, IsDeafToOtherSessions) {
  Victim victim;
  const Bytes ping{std::byte{1}};
  EXPECT_EQ(victim.receive(victim.crafter.packet(ByteSpan(ping), SessionId{5})),
            PacketVerdict::kMalformed);
}

TEST(ModernSession, FramesBeforeABadOneCount) {
  Victim victim;
  Bytes plaintext(100);
  ByteWriter writer(plaintext);
  Bytes event(4 + 2);
  store_le<std::uint32_t>(event.data(), 2);
  ASSERT_TRUE(wire::testing::write_frame(writer, stream_frame(event)));
  writer.u8(0x7F);
  EXPECT_EQ(victim.receive(victim.crafter.packet(ByteSpan(plaintext).first(writer.size()))),
            PacketVerdict::kProtocolViolation);
  ASSERT_EQ(victim.events.streams.size(), 1u);
  EXPECT_EQ(victim.events.streams[0].messages.size(), 1u);
}

TEST(ModernSession, LateCopiesOfAStreamThatEndedAreIgnored) {
  Victim victim;
  Bytes event(4 + 2);
  store_le<std::uint32_t>(event.data(), 2);
  auto frame = stream_frame(event);
  frame.fin = true;
  EXPECT_EQ(victim.receive({frame}), PacketVerdict::kAccepted);
  EXPECT_EQ(victim.receive({frame}), PacketVerdict::kAccepted);
  EXPECT_EQ(victim.receive({stream_frame(event, 0, 2, 99)}), PacketVerdict::kAccepted)
      << "an epoch is over for every stream";
  ASSERT_EQ(victim.events.streams.size(), 1u);
  EXPECT_TRUE(victim.events.streams[0].finished);
  EXPECT_EQ(victim.events.streams[0].messages.size(), 1u);
  // The next opening is a stream of its own.
  EXPECT_EQ(victim.receive({stream_frame(event, 0, 4)}), PacketVerdict::kAccepted);
  EXPECT_EQ(victim.events.streams.size(), 2u);
}

TEST(ModernSession, AnsweredAtOnceWhenAskedForIt) {
  Victim victim;
  EXPECT_EQ(victim.receive({wire::PingFrame{}, wire::AckNowFrame{}}), PacketVerdict::kAccepted);
  EXPECT_FALSE(victim.session.wants_transmit());
  victim.session.end_of_batch(at({}));
  const auto packets = packets_of(victim.session, at({}));
  ASSERT_EQ(packets.size(), 1u);
  const Bytes text = victim.crafter.open(packets[0]);
  wire::FrameReader reader(text);
  const auto frame = reader.next();
  ASSERT_TRUE(frame.has_value());
  ASSERT_TRUE(std::holds_alternative<wire::AckFrame>(*frame));
  EXPECT_EQ(std::get<wire::AckFrame>(*frame).ranges[0], (wire::PacketRange{0, 0}));
}

// --- two ends ---

/// Two sessions joined by a line that may lose what it is told to.
class Joined : public ::testing::Test {
 protected:
  void join(SessionConfig config = {}, PathInfo path = kFarPath,
            wire::Hello hello = usual_hello()) {
    hello.stream_window = config.stream_receive_window;
    hello.session_window = config.session_receive_window;
    a = std::make_unique<ModernSession>(established(true, hello), config, path, a_events, at(now));
    b = std::make_unique<ModernSession>(established(false, hello), config, path, b_events, at(now));
  }

  /// Carries packets both ways until nobody has any, time standing still.
  void carry() {
    bool any = true;
    while (any) {
      any = false;
      for (const auto& [from, to] : {std::pair{a.get(), b.get()}, std::pair{b.get(), a.get()}}) {
        auto packets = packets_of(*from, at(now));
        for (Bytes& packet : packets) {
          any = true;
          sizes.push_back(packet.size());
          if (lose && lose(packet)) continue;
          ASSERT_EQ(to->handle_packet(at(now), packet), PacketVerdict::kAccepted);
        }
        to->end_of_batch(at(now));
      }
    }
  }

  /// Lets time pass, timeouts included.
  void pass(Duration duration) {
    const Duration end = now + duration;
    while (now < end) {
      now = std::min<Duration>(end, now + milliseconds(1));
      for (ModernSession* session : {a.get(), b.get()}) {
        const auto timeout = session->next_timeout();
        if (timeout && *timeout <= at(now).monotonic) session->handle_timeout(at(now));
      }
      carry();
    }
  }

  std::shared_ptr<StreamGate> open(std::uint64_t id, bool reliable, std::uint32_t window = 0) {
    auto gate = a->open_stream(at(now), {StreamId{id}, reliable, window, 1});
    EXPECT_TRUE(gate.has_value());
    return gate ? *gate : nullptr;
  }

  Duration now{};
  RecordedEvents a_events, b_events;
  std::unique_ptr<ModernSession> a, b;
  std::vector<std::size_t> sizes;
  std::function<bool(const Bytes&)> lose;
};

TEST_F(Joined, TheInitiatorSpeaksFirst) {
  join();
  EXPECT_TRUE(packets_of(*b, at(now)).empty());
  EXPECT_EQ(packets_of(*a, at(now)).size(), 1u);
}

TEST_F(Joined, PacketsKeepToThePathAndToWhatThePeerTakes) {
  const Bytes large(100'000);
  const struct {
    PathInfo path;
    std::uint16_t peer_max;
    std::size_t largest;
  } cases[] = {{{false, false, 1'200}, 9'000, 1'200},
               {{false, true, 16'384}, 9'000, 1'182},
               {{true, false, 16'384}, 65'000, 16'384},
               {{true, true, 16'384}, 65'000, 1'182},
               {{false, false, 16'384}, 700, 700}};
  for (const auto& c : cases) {
    wire::Hello hello = usual_hello();
    hello.max_datagram = c.peer_max;
    join({}, c.path, hello);
    sizes.clear();
    b_events = {};
    const auto gate = open(1, true);
    ASSERT_TRUE(send(*a, at(now), *gate, {large}));
    pass(seconds(1));
    ASSERT_EQ(b_events.streams.size(), 1u);
    EXPECT_EQ(b_events.streams[0].messages.size(), 1u);
    EXPECT_EQ(*std::max_element(sizes.begin(), sizes.end()), c.largest);
    if (c.path.relayed) {
      EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), wire::kMinRoutedModernBytes);
    }
  }
}

TEST_F(Joined, CreditComesBackWithTheAcknowledgement) {
  join();
  const auto gate = open(1, true, 10'000);
  lose = [](const Bytes&) { return true; };
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(5'000)}));
  gate->want_credit(10'000);
  pass(milliseconds(50));
  EXPECT_EQ(gate->credit_remaining(), 10'000u - 5'084);
  EXPECT_TRUE(a_events.credits.empty());
  EXPECT_EQ(a->unacknowledged_bytes(), 5'004u);
  lose = nullptr;
  pass(seconds(2));
  EXPECT_EQ(gate->credit_remaining(), 10'000u);
  ASSERT_EQ(a_events.credits.size(), 1u);
  EXPECT_EQ(a_events.credits[0], std::pair(StreamId{1}, gate->epoch));
  EXPECT_EQ(a->unacknowledged_bytes(), 0u);
}

TEST_F(Joined, AnEventOfManyFragmentsArrivesWholeOrNotAtAll) {
  join();
  const auto gate = open(1, false, 65'536);
  Bytes event(8'108);
  for (std::size_t i = 0; i < event.size(); ++i) event[i] = static_cast<std::byte>(i * 7);
  ASSERT_TRUE(send(*a, at(now), *gate, {event}));
  pass(milliseconds(50));
  ASSERT_EQ(b_events.streams.size(), 1u);
  ASSERT_EQ(b_events.streams[0].messages.size(), 1u);
  EXPECT_EQ(b_events.streams[0].messages[0], event);
  int count = 0;
  lose = [&](const Bytes& packet) { return packet.size() > 1'000 && ++count == 3; };
  ASSERT_TRUE(send(*a, at(now), *gate, {event}));
  pass(seconds(5));
  EXPECT_EQ(b_events.streams[0].messages.size(), 1u) << "one part was lost, and stays lost";
  EXPECT_EQ(gate->credit_remaining(), 65'536u) << "its credit does not";
}

TEST_F(Joined, AnEventThatLostAFragmentIsForgottenInTime) {
  join();
  const auto gate = open(1, false, 65'536);
  int count = 0;
  lose = [&](const Bytes& packet) { return packet.size() > 1'000 && ++count % 7 == 3; };
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(8'108)}));
  pass(seconds(1));
  b->evict_idle(at(now));
  const std::uint64_t dropped = b->stats().events_dropped;
  pass(seconds(10));
  b->evict_idle(at(now));
  EXPECT_EQ(b->stats().events_dropped - dropped, 5u - b_events.streams[0].messages.size());
  EXPECT_LT(b_events.streams[0].messages.size(), 5u);
}

TEST_F(Joined, SequencesAndIndicesNameTheEventsOfAPacket) {
  join();
  carry();
  const auto gate = open(1, false);
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(1), Bytes(2), Bytes(3)}));
  carry();
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(4)}));
  carry();
  ASSERT_EQ(b_events.streams.size(), 1u);
  using Places = std::vector<std::pair<std::uint64_t, std::uint32_t>>;
  EXPECT_EQ(b_events.streams[0].places, (Places{{0, 0}, {0, 1}, {0, 2}, {1, 0}}));
}

TEST_F(Joined, AReopenedStreamFollowsTheOneBeforeIt) {
  join();
  carry();
  auto gate = open(1, true);
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(1)}));
  a->close_stream(at(now), StreamId{1});
  EXPECT_TRUE(gate->closed());
  const auto again = open(1, true);
  EXPECT_NE(gate, again);
  EXPECT_GT(again->epoch, gate->epoch);
  ASSERT_TRUE(send(*a, at(now), *again, {Bytes(2)}));
  EXPECT_FALSE(send(*a, at(now), *gate, {Bytes(3)})) << "the old handle is dead";
  pass(milliseconds(100));
  ASSERT_EQ(b_events.streams.size(), 2u);
  EXPECT_TRUE(b_events.streams[0].finished);
  EXPECT_EQ(b_events.streams[0].messages[0].size(), 1u);
  EXPECT_EQ(b_events.streams[1].messages[0].size(), 2u);
}

TEST_F(Joined, TheFirstOpeningDecides) {
  join();
  const auto gate = open(1, true, 5'000);
  const auto same = open(1, false, 9'000);
  EXPECT_EQ(gate, same);
  EXPECT_TRUE(same->config.reliable);
}

TEST_F(Joined, TheLeastRecentlyUsedStreamGivesWayToANewOne) {
  SessionConfig config;
  config.max_streams = 4;
  join(config);
  std::vector<std::shared_ptr<StreamGate>> gates;
  for (std::uint64_t id = 0; id < 4; ++id) {
    gates.push_back(open(id, true));
    ASSERT_TRUE(send(*a, at(now), *gates.back(), {Bytes(1)}));
    pass(milliseconds(20));
  }
  ASSERT_TRUE(send(*a, at(now), *gates[0], {Bytes(1)}));
  pass(milliseconds(20));
  open(9, true);
  EXPECT_FALSE(gates[0]->closed());
  EXPECT_TRUE(gates[1]->closed());
}

TEST_F(Joined, UnwindowedEventsTravelOnStreamZero) {
  join();
  ASSERT_TRUE(a->send_unwindowed(at(now), testing::batch_of({Bytes(10)}), 10).has_value());
  carry();
  ASSERT_EQ(b_events.streams.size(), 1u);
  EXPECT_EQ(b_events.streams[0].id, StreamId{0});
  EXPECT_FALSE(b_events.streams[0].reliable);
  EXPECT_EQ(a->send_unwindowed(at(now), testing::batch_of({Bytes(9'000)}), 9'000).error().kind,
            ErrorKind::kTooLarge);
}

TEST_F(Joined, AGoodbyeEndsBothSides) {
  join();
  const auto gate = open(1, true);
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(10)}));
  carry();
  a->close(close_code::kGoodbye, "so long");
  carry();
  ASSERT_TRUE(b->closing().has_value());
  EXPECT_TRUE(b->closing()->by_peer);
  EXPECT_EQ(b->closing()->code, close_code::kGoodbye);
  EXPECT_EQ(b->closing()->reason, "so long");
}

TEST_F(Joined, AbandoningEndsEveryStreamOnce) {
  join();
  const auto gate = open(1, true, 100);
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(10)}));
  carry();
  gate->want_credit(1'000);
  a->abandon();
  b->abandon();
  EXPECT_TRUE(gate->closed());
  ASSERT_EQ(b_events.streams.size(), 1u);
  EXPECT_TRUE(b_events.streams[0].over);
  EXPECT_FALSE(b_events.streams[0].finished);
  b_events.streams[0].over = false;
  b->abandon();
  EXPECT_FALSE(b_events.streams[0].over);
  // The session may still hear from the other side.
  pass(seconds(1));
}

TEST_F(Joined, TheWindowGrowsWhileItIsTheLimit) {
  join();
  const auto gate = open(1, true);
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(2'000'000)}));
  // Without round trips of their own length, every answer doubles what may be in flight.
  std::size_t flights = 0;
  while (b_events.streams.empty() || b_events.streams[0].messages.empty()) {
    ASSERT_LT(++flights, 30u) << "2 MB take about eight doublings of 12 KB";
    now += milliseconds(10);
    for (const auto& [from, to] : {std::pair{a.get(), b.get()}, std::pair{b.get(), a.get()}}) {
      auto packets = packets_of(*from, at(now));
      for (Bytes& packet : packets) to->handle_packet(at(now), packet);
      to->end_of_batch(at(now));
      const auto timeout = to->next_timeout();
      if (timeout && *timeout <= at(now).monotonic) to->handle_timeout(at(now));
    }
  }
}

TEST_F(Joined, StatsTellWhatHappened) {
  join();
  const auto gate = open(7, true, 1'000);
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(100)}));
  EXPECT_FALSE(send(*a, at(now), *gate, {Bytes(2'000)}));
  pass(milliseconds(50));
  const auto stats = a->stream_stats(StreamId{7});
  ASSERT_TRUE(stats.has_value());
  EXPECT_EQ(stats->tx_seq, 1u);
  EXPECT_EQ(stats->window, 1'000u);
  EXPECT_EQ(stats->credit_remaining, 1'000u);
  EXPECT_EQ(stats->backpressure_events, 1u);
  EXPECT_EQ(stats->grants_received, 1u);
  EXPECT_FALSE(a->stream_stats(StreamId{8}).has_value());
  EXPECT_EQ(a->all_stream_stats().size(), 1u);
  EXPECT_EQ(b->all_stream_stats().size(), 1u);
  EXPECT_TRUE(a->stats().rtt.has_value());
  a->close_stream(at(now), StreamId{7});
  pass(milliseconds(50));
  EXPECT_FALSE(a->stream_stats(StreamId{7}).has_value());
}

}  // namespace
}  // namespace netmesh::session
