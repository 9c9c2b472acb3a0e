// Keys and paths of modern sessions over time: two ends on a line that loses and reorders, and a
// peer that has the keys and no manners.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "session/modern_session.h"
#include "session/session_testing.h"
#include "wire/modern_control.h"

namespace netmesh::session {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::at;
using testing::Crafter;
using testing::established;
using testing::packets_of;
using testing::RecordedEvents;
using testing::send;
using testing::usual_hello;

const PathInfo kFarPath{false, false, wire::kBaseDatagramBytes};

class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }

 private:
  std::mt19937_64 engine_;
};

/// What a node brings into its sessions for them to change keys.
struct Self {
  explicit Self(int number)
      : identity(identity::LocalIdentity::from_seed(Bytes(32, static_cast<std::byte>(number)))),
        reset_key(Bytes(32, static_cast<std::byte>(0x80 + number))),
        random(static_cast<std::uint64_t>(number)) {}

  SessionConfig config(SessionConfig base) {
    base.identity = &identity;
    base.random = &random;
    base.reset_key = &reset_key;
    return base;
  }
  wire::Hello hello() const {
    wire::Hello hello = usual_hello();
    hello.features = wire::feature::kAll;
    hello.entity_id = identity.entity_id();
    return hello;
  }

  identity::LocalIdentity identity;
  crypto::SecretKey reset_key;
  SeededRandom random;
};

/// Two sessions on a line with delay, jitter and loss in virtual time.
class Line {
 public:
  struct Shape {
    Duration delay = milliseconds(10);
    Duration jitter{};
    double loss = 0;
  };

  Line(std::uint64_t seed, SessionConfig config, Shape line)
      : shape(line),
        random(seed),
        a(established(true, right.hello()), left.config(config), kFarPath, a_events, at({})),
        b(established(false, left.hello()), right.config(config), kFarPath, b_events, at({})) {}

  void run(Duration duration) {
    const Duration end = now + duration;
    while (true) {
      turn(a, true);
      turn(b, false);
      Duration next = end;
      if (!flying.empty()) next = std::min(next, flying.begin()->first);
      for (const ModernSession* session : {&a, &b}) {
        if (const auto timeout = session->next_timeout())
          next = std::min<Duration>(next, *timeout - at({}).monotonic);
      }
      // A timer may be due and have nothing to do; time passes all the same.
      now = std::max(next, now + microseconds(100));
      if (now >= end) break;
      arrive();
      for (ModernSession* session : {&a, &b}) {
        if (session->next_timeout() && *session->next_timeout() <= at(now).monotonic)
          session->handle_timeout(at(now));
      }
    }
    now = end;
  }

  Shape shape;
  std::mt19937_64 random;
  Self left{1}, right{2};
  RecordedEvents a_events, b_events;
  ModernSession a, b;
  Duration now{};
  std::map<PacketVerdict, int> verdicts;
  /// Phases as they were sent, by direction (true: from a) and packet number.
  std::map<bool, std::map<std::uint64_t, bool>> phases;

  int turns(bool from_a) const {
    int count = 0;
    bool phase = false;
    for (const auto& [number, bit] : phases.at(from_a)) {
      if (std::exchange(phase, bit) != bit) ++count;
    }
    return count;
  }

 private:
  struct Flight {
    bool to_b;
    Bytes bytes;
  };

  bool chance(double probability) {
    return static_cast<double>(random() >> 11) * 0x1.0p-53 < probability;
  }
  void turn(ModernSession& from, bool from_a) {
    for (Bytes& packet : packets_of(from, at(now))) {
      const auto header = wire::parse_modern_header(packet);
      phases[from_a][header->packet_number.value] = header->key_phase;
      if (chance(shape.loss)) continue;
      const auto jitter = static_cast<std::int64_t>(
          shape.jitter.count() == 0 ? 0
                                    : random() % static_cast<std::uint64_t>(shape.jitter.count()));
      flying.emplace(now + shape.delay + Duration(jitter), Flight{from_a, std::move(packet)});
    }
  }
  void arrive() {
    while (!flying.empty() && flying.begin()->first <= now) {
      Flight flight = std::move(flying.begin()->second);
      flying.erase(flying.begin());
      ModernSession& to = flight.to_b ? b : a;
      ++verdicts[to.handle_packet(at(now), flight.bytes)];
      to.end_of_batch(at(now));
    }
  }

  std::multimap<Duration, Flight> flying;
};

/// A reliable flow in one direction, and what must have come of it.
struct Traffic {
  Traffic(ModernSession& from, RecordedEvents& at_peer, Now now)
      : session(from), received(at_peer), gate(*from.open_stream(now, {StreamId{5}, true, 0, 1})) {}

  void offer(Line& line) {
    Bytes message(line.random() % 3'000);
    for (std::byte& b : message) b = static_cast<std::byte>(line.random());
    ASSERT_TRUE(send(session, at(line.now), *gate, {message}));
    sent.push_back(std::move(message));
  }
  void expect_delivered() const {
    ASSERT_EQ(received.streams.size(), 1u);
    EXPECT_EQ(received.streams[0].messages, sent);
  }

  ModernSession& session;
  RecordedEvents& received;
  std::shared_ptr<StreamGate> gate;
  std::vector<Bytes> sent;
};

void expect_alive(const Line& line) {
  for (const ModernSession* session : {&line.a, &line.b}) {
    EXPECT_FALSE(session->closing().has_value())
        << (session->closing() ? session->closing()->reason : "");
  }
}

void converse(Line& line, int messages) {
  Traffic forth(line.a, line.b_events, at(line.now)), back(line.b, line.a_events, at(line.now));
  for (int i = 0; i < messages; ++i) {
    forth.offer(line);
    back.offer(line);
    line.run(milliseconds(line.random() % 20));
  }
  line.run(seconds(60));
  forth.expect_delivered();
  back.expect_delivered();
  expect_alive(line);
}

TEST(KeysInUse, ChangeEveryFewPacketsAndNoPacketIsTakenForAForgery) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SessionConfig config;
    config.key_update_packets = 1 + seed % 5;
    // What overtakes does so by less than the round trip that an update takes.
    Line line(seed, config, {milliseconds(10), milliseconds(8), 0.2});
    converse(line, 40);
    EXPECT_GE(line.turns(true), 10);
    EXPECT_GE(line.turns(false), 10);
    EXPECT_EQ(line.verdicts.size(), 1u);
    EXPECT_GT(line.verdicts[PacketVerdict::kAccepted], 0);
  }
}

TEST(KeysInUse, ChangeUnderHeavyReorderingWithoutLosingAnything) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SessionConfig config;
    config.key_update_packets = 2;
    // Packets may come after two further updates: their key is gone, and they count as lost.
    Line line(seed, config, {milliseconds(1), milliseconds(60), 0.3});
    converse(line, 40);
    EXPECT_GE(line.turns(true), 5);
    EXPECT_EQ(line.verdicts[PacketVerdict::kProtocolViolation], 0);
  }
}

TEST(KeysInUse, AreAgreedUponAnewByBothSidesAtOnce) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SessionConfig config;
    config.rekey_interval = milliseconds(100);
    Line line(seed, config, {milliseconds(10), milliseconds(8), seed % 2 == 0 ? 0.3 : 0.0});
    // Long enough for several exchanges: under loss one may take a second, and a turn that waits
    // for the next packet waits for ever once nobody speaks (a node's heartbeats are not here).
    converse(line, 120);
    const int least = seed % 2 == 0 ? 8 : 15;
    EXPECT_GE(line.turns(true), least);
    EXPECT_GE(line.turns(false), least);
    EXPECT_NEAR(line.turns(true), line.turns(false), 1);
    EXPECT_EQ(line.verdicts.size(), 1u);
  }
}

TEST(KeysInUse, RatchetsAndAgreementsDoNotMistakeEachOther) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    SessionConfig config;
    config.key_update_packets = 1 + seed % 7;
    config.rekey_interval = milliseconds(20 + 15 * (seed % 9));
    Line line(seed, config, {milliseconds(5), milliseconds(seed % 3 == 0 ? 40 : 4), 0.25});
    converse(line, 40);
    EXPECT_GE(line.turns(true), 10);
    EXPECT_GE(line.turns(false), 10);
    EXPECT_EQ(line.verdicts[PacketVerdict::kProtocolViolation], 0);
  }
}

TEST(KeysInUse, AreAgreedUponWhileNothingElseIsSaid) {
  SessionConfig config;
  config.rekey_interval = seconds(3600);
  Line line(1, config, {});
  line.run(seconds(1));
  for (int hour = 0; hour < 5; ++hour) {
    for (int beat = 0; beat < 720; ++beat) {
      line.a.heartbeat(at(line.now));
      line.b.heartbeat(at(line.now));
      line.run(seconds(5));
    }
  }
  expect_alive(line);
  EXPECT_NEAR(line.turns(true), 5, 1);
  EXPECT_NEAR(line.turns(false), 5, 1);
}

TEST(KeysInUse, NeverChangeTowardsAPeerThatDoesNotKnowHow) {
  SessionConfig config;
  config.key_update_packets = 1;
  config.rekey_interval = milliseconds(1);
  Self self(1);
  RecordedEvents events, peer_events;
  ModernSession session(established(true, usual_hello()), self.config(config), kFarPath, events,
                        at({}));
  ModernSession peer(established(false, usual_hello()), {}, kFarPath, peer_events, at({}));
  for (int i = 0; i < 50; ++i) {
    session.heartbeat(at(milliseconds(10 * i)));
    if (session.next_timeout()) session.handle_timeout(at(milliseconds(10 * i)));
    for (Bytes& packet : packets_of(session, at(milliseconds(10 * i)))) {
      EXPECT_FALSE(wire::parse_modern_header(packet)->key_phase);
      EXPECT_EQ(peer.handle_packet(at(milliseconds(10 * i)), packet), PacketVerdict::kAccepted);
    }
    peer.end_of_batch(at(milliseconds(10 * i)));
    for (Bytes& packet : packets_of(peer, at(milliseconds(10 * i))))
      EXPECT_EQ(session.handle_packet(at(milliseconds(10 * i)), packet), PacketVerdict::kAccepted);
  }
}

// --- against a peer with the right keys ---

struct Victim {
  explicit Victim(SessionConfig config = {})
      : session(established(false, peer.hello()), self.config(config), kFarPath, events, at({})) {}

  PacketVerdict receive(const std::vector<wire::Frame>& frames) {
    Bytes packet = crafter.packet(frames);
    return session.handle_packet(at(now), packet);
  }
  /// Frames of everything that it wants to send.
  std::vector<wire::Frame> sent() {
    texts.clear();
    std::vector<wire::Frame> frames;
    for (const Bytes& packet : packets_of(session, at(now))) {
      texts.push_back(crafter.open(packet));
      wire::FrameReader reader(texts.back());
      while (const auto frame = reader.next()) frames.push_back(*frame);
      EXPECT_FALSE(reader.failed());
    }
    return frames;
  }
  template <typename Wanted>
  std::optional<Wanted> sent_one() {
    for (const wire::Frame& frame : sent()) {
      if (const auto* wanted = std::get_if<Wanted>(&frame)) return *wanted;
    }
    return std::nullopt;
  }
  void expect_closed_with_reason() {
    ASSERT_TRUE(session.closing().has_value());
    EXPECT_EQ(session.closing()->code, close_code::kRekey);
    EXPECT_FALSE(session.closing()->by_peer);
    const auto close = sent_one<wire::CloseFrame>();
    ASSERT_TRUE(close.has_value());
    EXPECT_EQ(close->code, close_code::kRekey);
    EXPECT_EQ(
        std::string(reinterpret_cast<const char*>(close->reason.data()), close->reason.size()),
        session.closing()->reason);
  }

  Self self{1}, peer{2};
  Crafter crafter;
  RecordedEvents events;
  std::deque<Bytes> texts;
  Duration now{};
  ModernSession session;
};

TEST(KeyAgreementInSession, AForgedRequestClosesWithAReasonThatBothCanRead) {
  Victim victim;
  wire::RekeyFrame forged;
  forged.generation = 1;
  EXPECT_EQ(victim.receive({forged}), PacketVerdict::kProtocolViolation);
  victim.expect_closed_with_reason();
}

TEST(KeyAgreementInSession, AForgedReplyClosesWithAReasonThatBothCanRead) {
  SessionConfig config;
  config.rekey_interval = seconds(1);
  Victim victim(config);
  victim.receive({wire::PingFrame{}});
  victim.now = seconds(1);
  victim.session.handle_timeout(at(victim.now));
  const auto request = victim.sent_one<wire::RekeyFrame>();
  ASSERT_TRUE(request.has_value());
  EXPECT_FALSE(request->reply);
  EXPECT_EQ(request->generation, 1u);
  wire::RekeyFrame forged;
  forged.reply = true;
  forged.generation = 1;
  EXPECT_EQ(victim.receive({forged}), PacketVerdict::kProtocolViolation);
  victim.expect_closed_with_reason();
}

TEST(KeyAgreementInSession, OtherGenerationsAndUnaskedRepliesAreIgnored) {
  Victim victim;
  victim.receive({wire::PingFrame{}});
  for (const std::uint64_t generation :
       {std::uint64_t{0}, std::uint64_t{2}, (std::uint64_t{1} << 62) - 1}) {
    for (const bool reply : {false, true}) {
      wire::RekeyFrame frame;
      frame.reply = reply;
      frame.generation = generation;
      EXPECT_EQ(victim.receive({frame}), PacketVerdict::kAccepted);
    }
  }
  wire::RekeyFrame unasked;
  unasked.reply = true;
  unasked.generation = 1;
  EXPECT_EQ(victim.receive({unasked}), PacketVerdict::kAccepted);
  EXPECT_FALSE(victim.sent_one<wire::RekeyFrame>().has_value());
  EXPECT_FALSE(victim.session.closing().has_value());
}

TEST(KeyAgreementInSession, ARepeatedRequestGetsTheSameReplyForNoFurtherWork) {
  Victim victim;
  victim.receive({wire::PingFrame{}});
  AgreementBinding binding;
  binding.generation = 1;
  const KeyAgreement request(victim.peer.identity, binding, victim.peer.random);
  ASSERT_EQ(victim.receive({request.frame()}), PacketVerdict::kAccepted);
  const auto first = victim.sent_one<wire::RekeyFrame>();
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(request.finish(victim.self.identity.entity_id(), *first).has_value());
  for (int i = 0; i < 5; ++i) {
    // Even another request, or a forged one: one agreement at a time.
    wire::RekeyFrame again = request.frame();
    if (i > 2) again.signature[0] ^= std::byte{1};
    ASSERT_EQ(victim.receive({again}), PacketVerdict::kAccepted);
    const auto reply = victim.sent_one<wire::RekeyFrame>();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(*reply, *first);
  }
}

TEST(PeerInfo, TellsTheTokenOfThisSessionsReset) {
  Victim victim;
  const auto info = victim.sent_one<wire::PeerInfoFrame>();
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->reset_token, reset_token(victim.self.reset_key, testing::kSession));
  EXPECT_EQ(info->static_key, victim.self.identity.noise_static.public_key);
  // No other session's, no other node's.
  EXPECT_NE(info->reset_token, reset_token(victim.self.reset_key, SessionId{1}));
  EXPECT_NE(info->reset_token, reset_token(victim.peer.reset_key, testing::kSession));
}

TEST(PathPackets, FillWhatTheyAreGivenAndAskForNothing) {
  Victim victim;
  victim.receive({wire::PingFrame{}});
  victim.sent();
  const std::uint64_t in_flight = victim.session.stats().congestion->in_flight;
  for (const std::size_t room : {std::size_t{64}, std::size_t{300}, wire::kBaseDatagramBytes}) {
    Bytes out(room);
    ASSERT_EQ(victim.session.write_path_packet(at({}), out, wire::PathChallengeFrame{room}), room);
    const Bytes text = victim.crafter.open(out);
    wire::FrameReader reader(text);
    const auto frame = reader.next();
    ASSERT_TRUE(frame && std::holds_alternative<wire::PathChallengeFrame>(*frame));
    EXPECT_EQ(std::get<wire::PathChallengeFrame>(*frame).data, room);
    EXPECT_FALSE(reader.next() || reader.failed());
  }
  EXPECT_EQ(victim.session.stats().congestion->in_flight, in_flight);
  Bytes tiny(63);
  EXPECT_EQ(victim.session.write_path_packet(at({}), tiny, wire::PathChallengeFrame{1}), 0u);
  Bytes out(1'200);
  EXPECT_EQ(victim.session.write_path_packet(at({}), out, wire::PingFrame{}), 0u);
  victim.session.close(0, "over");
  EXPECT_EQ(victim.session.write_path_packet(at({}), out, wire::PathResponseFrame{1}), 0u);
}

}  // namespace
}  // namespace netmesh::session
