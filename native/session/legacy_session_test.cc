#include "session/legacy_session.h"

#include <gtest/gtest.h>

#include "crypto/hash.h"
#include "session/session_testing.h"

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::at;
using testing::packets_of;
using testing::RecordedEvents;
using testing::send;

Bytes hex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ' ' && c != '\n') digits.push_back(c);
  }
  return from_hex(digits).value();
}

/// The keys of spec 10 §17.1.
Established worked_example(bool initiator) {
  const Bytes hash = hex("938dc7e349fcf79e50446a8a7706a378d5ff907f80a085fa6c322a98707b2e74");
  Established out;
  out.peer = NodeId{initiator ? 0x3333'3333'4444'4444u : 0x1111'1111'2222'2222u};
  out.session_id = SessionId{0x9ef7'fc49'e3c7'8d93};
  out.initiator = initiator;
  const char* send_label = initiator ? "initiator-tx" : "initiator-rx";
  const char* receive_label = initiator ? "initiator-rx" : "initiator-tx";
  out.send_key = crypto::derive_session_key(hash, send_label);
  out.receive_key = crypto::derive_session_key(hash, receive_label);
  return out;
}

class WorkedExample : public ::testing::Test {
 protected:
  void SetUp() override {
    crypto::initialize();
    a = std::make_unique<LegacySession>(worked_example(true), SessionConfig{}, PathInfo{},
                                        a_events);
    b = std::make_unique<LegacySession>(worked_example(false), SessionConfig{}, PathInfo{},
                                        b_events);
  }

  std::shared_ptr<StreamGate> open(LegacySession& session, std::uint64_t id, bool reliable,
                                   std::uint32_t window) {
    auto gate = session.open_stream(at({}), {StreamId{id}, reliable, window, 1});
    EXPECT_TRUE(gate.has_value());
    return *gate;
  }

  RecordedEvents a_events, b_events;
  std::unique_ptr<LegacySession> a, b;
};

TEST_F(WorkedExample, PacketsAreThoseOfTheSpecification) {
  const auto gate = open(*a, 7, true, 65'536);
  ASSERT_TRUE(send(*a, at({}), *gate, {hex("68656c6c6f")}));
  auto packets = packets_of(*a, at({}));
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(to_hex(packets[0]),
            to_hex(hex("454e01010000000000000000 da71307d0000000000000000 938dc7e349fcf79e"
                       "0700000000000000 0000000000000000 0000000000000000 0000000009000100"
                       "052af7ee1383fe06fe c273df69fe61303c50c09f526ace9f6e")));
  a->heartbeat(at({}));
  const auto beats = packets_of(*a, at({}));
  ASSERT_EQ(beats.size(), 1u);
  EXPECT_EQ(to_hex(beats[0]),
            to_hex(hex("454e01200000000000000000 da71307d0100000000000000 938dc7e349fcf79e"
                       "0000000000000000 0000000000000000 0000000000000000 0000000000000000"
                       "4b1fe1ebc165c1ac74bc3909916ea928")));
  EXPECT_EQ(b->handle_packet(at({}), packets[0]), PacketVerdict::kAccepted);
  b->end_of_batch(at({}));
  ASSERT_EQ(b_events.streams.size(), 1u);
  EXPECT_TRUE(b_events.streams[0].reliable);
  auto grants = packets_of(*b, at({}));
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(
      to_hex(grants[0]),
      to_hex(hex("454e010000000000000b0000 da71307d0000000000000000 938dc7e349fcf79e"
                 "ffffffffffffffff 0000000000000000 0000000000000000 0000000014000100"
                 "f1f4c91954d4f5fb7fa08b507b2198c6f5a79aba 4d7accf32d1cc80ad3e39cd624b2e525")));
  EXPECT_EQ(gate->credit_remaining(), 65'536u - 89);
  EXPECT_EQ(a->handle_packet(at({}), grants[0]), PacketVerdict::kAccepted);
  EXPECT_EQ(gate->credit_remaining(), 65'536u);
}

TEST_F(WorkedExample, BatchesArePackedGreedilyOnOneMachine) {
  a->set_path({.loopback = true});
  const auto gate = open(*a, 1, false, 0);
  std::vector<Bytes> events(3, Bytes(4'000));
  events.emplace_back(100);
  events.emplace_back(8'108);
  events.emplace_back(0);
  ASSERT_TRUE(send(*a, at({}), *gate, events));
  const auto packets = packets_of(*a, at({}));
  std::vector<std::size_t> payloads;
  std::vector<unsigned> counts;
  for (const Bytes& packet : packets) {
    const auto header = wire::parse_net_packet(packet);
    ASSERT_TRUE(header.has_value());
    EXPECT_EQ(header->sequence, payloads.size());
    EXPECT_EQ(header->counter, payloads.size());
    payloads.push_back(header->payload_len);
    counts.push_back(header->event_count);
  }
  EXPECT_EQ(payloads, (std::vector<std::size_t>{8'008, 4'004 + 104, 8'112, 4}));
  EXPECT_EQ(counts, (std::vector<unsigned>{2, 2, 1, 1}));
}

TEST_F(WorkedExample, SmallEventsFillPacketsThatNeedNoFragmentsAndLargeOnesTravelAlone) {
  const auto gate = open(*a, 1, false, 0);
  ASSERT_TRUE(send(*a, at({}), *gate,
                   {Bytes(500), Bytes(500), Bytes(500), Bytes(3'000), Bytes(10), Bytes(20)}));
  std::vector<std::size_t> payloads;
  for (const Bytes& packet : packets_of(*a, at({})))
    payloads.push_back(wire::parse_net_packet(packet)->payload_len);
  EXPECT_EQ(payloads, (std::vector<std::size_t>{1'008, 504, 3'004, 38}));
}

TEST_F(WorkedExample, BurstsArePaced) {
  const auto gate = open(*a, 1, false, 0);
  const std::vector<Bytes> events(1'000, Bytes(1'000));
  ASSERT_TRUE(send(*a, at({}), *gate, events));
  const auto bytes_in = [](const std::vector<Bytes>& packets) {
    std::size_t sum = 0;
    for (const Bytes& packet : packets) sum += packet.size();
    return sum;
  };
  const std::size_t burst = bytes_in(packets_of(*a, at({})));
  EXPECT_LE(burst, LegacySession::kBurstBytes);
  EXPECT_GT(burst, LegacySession::kBurstBytes - 1'200);
  std::size_t total = burst;
  Duration now{};
  while (total < 1'000u * 1'004u) {
    const auto next = a->next_timeout();
    ASSERT_TRUE(next.has_value());
    ASSERT_GT(*next, at(now).monotonic);
    now = *next - at({}).monotonic;
    a->handle_timeout(at(now));
    const std::size_t more = bytes_in(packets_of(*a, at(now)));
    EXPECT_LE(more, LegacySession::kBurstBytes);
    total += more;
  }
  const double elapsed = std::chrono::duration<double>(now).count();
  const double rate = static_cast<double>(total - burst) / elapsed;
  EXPECT_NEAR(rate, static_cast<double>(LegacySession::kBytesPerSecond),
              0.05 * static_cast<double>(LegacySession::kBytesPerSecond));
}

TEST_F(WorkedExample, CreditOfLostPacketsComesBackAfterAStall) {
  constexpr std::uint32_t kWindow = 20'000;
  const auto gate = open(*a, 1, false, kWindow);
  // Half of the window is lost for good; the peer grants the rest.
  ASSERT_TRUE(send(*a, at({}), *gate, {Bytes(5'000), Bytes(5'000)}));
  EXPECT_EQ(packets_of(*a, at({})).size(), 2u);
  ASSERT_TRUE(send(*a, at({}), *gate, {Bytes(5'000)}));
  for (Bytes& packet : packets_of(*a, at({}))) b->handle_packet(at({}), packet);
  for (Bytes& packet : packets_of(*b, at({}))) a->handle_packet(at({}), packet);
  const std::uint32_t drained = gate->credit_remaining();
  EXPECT_LT(drained, kWindow - 10'000);
  BatchCost cost;
  cost.add(9'000 - 1'000);
  ASSERT_TRUE(gate->try_admit(cost) == StreamGate::Admission::kAdmitted);  // 1 packet still fits
  gate->release_queue(cost.bytes());
  gate->want_credit(5'000);

  // Nobody answers: after the stall one packet more may leave, and its grant settles the rest.
  Duration now = milliseconds(1);
  while (gate->credit_remaining() < 8'000) {
    ASSERT_TRUE(a->next_timeout().has_value());
    now = std::max(now, *a->next_timeout() - at({}).monotonic);
    ASSERT_LT(now, seconds(5));
    a->handle_timeout(at(now));
  }
  ASSERT_TRUE(send(*a, at(now), *gate, {Bytes(2'000)}));
  for (Bytes& packet : packets_of(*a, at(now))) b->handle_packet(at(now), packet);
  for (Bytes& packet : packets_of(*b, at(now))) a->handle_packet(at(now), packet);
  EXPECT_GE(gate->credit_remaining(), kWindow - 9'000);
}

TEST_F(WorkedExample, NothingLongerThanAPacketIsTaken) {
  EXPECT_EQ(open(*a, 1, false, 0)->max_event_bytes, 8'108u);
  EXPECT_EQ(a->send_unwindowed(at({}), testing::batch_of({Bytes(8'109)}), 8'109).error().kind,
            ErrorKind::kTooLarge);
  a->set_path({false, true});
  EXPECT_EQ(open(*a, 2, false, 0)->max_event_bytes, 8'090u);
}

TEST_F(WorkedExample, DamagedPacketsChangeNothing) {
  const auto gate = open(*a, 7, true, 0);
  ASSERT_TRUE(send(*a, at({}), *gate, {hex("68656c6c6f")}));
  const Bytes packet = packets_of(*a, at({})).at(0);
  // hop_count is not authenticated, and the nonce's prefix is rebuilt by the receiver.
  const auto free = [](std::size_t i) { return i == 6 || (i >= 12 && i < 16); };
  for (std::size_t i = 0; i < packet.size(); ++i) {
    if (free(i)) continue;
    Bytes damaged = packet;
    damaged[i] ^= std::byte{1};
    EXPECT_NE(b->handle_packet(at({}), damaged), PacketVerdict::kAccepted) << i;
  }
  EXPECT_TRUE(b_events.streams.empty());
  EXPECT_EQ(b_events.proven, 0);
  Bytes good = packet;
  for (std::size_t i = 0; i < good.size(); ++i) {
    if (free(i)) good[i] ^= std::byte{0xFF};
  }
  EXPECT_EQ(b->handle_packet(at({}), good), PacketVerdict::kAccepted);
  EXPECT_EQ(b_events.proven, 1);
}

TEST_F(WorkedExample, IdleStreamsAreEvicted) {
  const auto gate = open(*a, 7, true, 1'000);
  a->evict_idle(at(seconds(300)));
  EXPECT_FALSE(gate->closed());
  a->evict_idle(at(seconds(301)));
  EXPECT_TRUE(gate->closed());
  EXPECT_EQ(a->stream_count(), 0u);
}

TEST_F(WorkedExample, APeerCannotFillTheStreamTable) {
  SessionConfig config;
  config.max_streams = 16;
  LegacySession receiver(worked_example(false), config, PathInfo{}, b_events);
  for (std::uint64_t id = 0; id < 100; ++id) {
    const auto gate = open(*a, id, false, 0);
    ASSERT_TRUE(send(*a, at(seconds(static_cast<long>(id))), *gate, {Bytes(1)}));
    for (Bytes& packet : packets_of(*a, at({}))) {
      EXPECT_EQ(receiver.handle_packet(at(seconds(static_cast<long>(id))), packet),
                PacketVerdict::kAccepted);
    }
    EXPECT_LE(receiver.stream_count(), 16u);
  }
  EXPECT_EQ(b_events.streams.size(), 100u);
  EXPECT_TRUE(b_events.streams[0].over) << "the least recently active gave way";
  EXPECT_FALSE(b_events.streams[99].over);
}

TEST_F(WorkedExample, ClosingSendsWhatWasTakenAndNothingMore) {
  const auto gate = open(*a, 7, true, 0);
  ASSERT_TRUE(send(*a, at({}), *gate, {Bytes(10)}));
  a->close(close_code::kGoodbye, "so long");
  EXPECT_TRUE(a->wants_transmit());
  EXPECT_EQ(packets_of(*a, at({})).size(), 1u);
  a->heartbeat(at({}));
  EXPECT_FALSE(a->wants_transmit()) << "0.19 knows no goodbye";
}

}  // namespace
}  // namespace netmesh::session
