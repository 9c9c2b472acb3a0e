// Acknowledgements by a peer that has the keys and lies.

#include <gtest/gtest.h>

#include <random>

#include "session/session_testing.h"

namespace netmesh::session::testing {
namespace {

/// A responder with much to send; the peer is made by hand.
struct Liar : ::testing::Test {
  std::unique_ptr<Session> make(CongestionAlgorithm algorithm) {
    SessionConfig config;
    config.seed = 99;
    config.congestion = algorithm;
    Established keys = established(false, usual_hello());
    return make_modern_session(std::move(keys), config, PathInfo{}, events, at({}));
  }
  RecordedEvents events;
  Crafter peer;
};

wire::AckFrame ack_of(std::uint64_t first, std::uint64_t last, std::uint64_t delay_us = 0) {
  wire::AckFrame ack;
  ack.delay_us = delay_us;
  ack.ranges[ack.range_count++] = {first, last};
  return ack;
}

TEST_F(Liar, IsCaughtAcknowledgingEverythingBeforeItArrives) {
  for (const auto algorithm : {CongestionAlgorithm::kCubic, CongestionAlgorithm::kBbr}) {
    peer = Crafter();
    const auto session = make(algorithm);
    StreamConfig config{StreamId{1}, true, 0, 1};
    const auto gate = *session->open_stream(at({}), config);
    Duration now{};
    for (int round = 0; round < 500 && !session->closing(); ++round) {
      now += std::chrono::milliseconds(10);
      send(*session, at(now), *gate, {Bytes(20'000)});
      std::uint64_t newest = 0;
      for (const Bytes& packet : packets_of(*session, at(now)))
        newest = wire::parse_modern_header(packet)->packet_number.value;
      if (newest == 0) {
        session->handle_timeout(at(now));
        continue;
      }
      Bytes ack = peer.packet({wire::Frame(ack_of(0, newest))});
      session->handle_packet(at(now + std::chrono::microseconds(1)), ack);
      session->end_of_batch(at(now));
    }
    ASSERT_TRUE(session->closing().has_value());
    EXPECT_EQ(session->closing()->code, close_code::kAcknowledgement);
    EXPECT_FALSE(session->closing()->by_peer);
  }
}

TEST_F(Liar, GainsNothingByAbsurdDelays) {
  const auto session = make(CongestionAlgorithm::kBbr);
  StreamConfig config{StreamId{1}, true, 0, 1};
  const auto gate = *session->open_stream(at({}), config);
  Duration now{};
  for (int round = 0; round < 20; ++round) {
    send(*session, at(now), *gate, {Bytes(500)});
    std::uint64_t newest = 0;
    for (const Bytes& packet : packets_of(*session, at(now)))
      newest = wire::parse_modern_header(packet)->packet_number.value;
    now += std::chrono::milliseconds(30);
    Bytes ack = peer.packet({wire::Frame(ack_of(newest, newest, (1ULL << 62) - 1))});
    EXPECT_EQ(session->handle_packet(at(now), ack), PacketVerdict::kAccepted);
  }
  ASSERT_TRUE(session->stats().rtt.has_value());
  EXPECT_GE(*session->stats().rtt, std::chrono::milliseconds(22)) << "at most 8 ms are believed";
  EXPECT_EQ(*session->stats().rtt_min, std::chrono::milliseconds(30));
}

/// Random acknowledgements, most of them nonsense: accounts stay consistent, or the session ends.
TEST_F(Liar, CannotBreakTheAccounts) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    peer = Crafter();
    const auto session =
        make(seed % 2 == 0 ? CongestionAlgorithm::kBbr : CongestionAlgorithm::kCubic);
    StreamConfig config{StreamId{1}, true, 0, 1};
    const auto gate = *session->open_stream(at({}), config);
    Duration now{};
    std::uint64_t newest = 0;
    for (int step = 0; step < 300 && !session->closing(); ++step) {
      now += Duration(static_cast<std::int64_t>(random() % 50'000'000));
      send(*session, at(now), *gate, {Bytes(random() % 10'000)});
      for (const Bytes& packet : packets_of(*session, at(now)))
        newest = wire::parse_modern_header(packet)->packet_number.value;
      wire::AckFrame ack;
      ack.delay_us = random() >> (random() % 62 + 2);
      std::uint64_t top = newest;
      while (ack.range_count < 32 && random() % 4 != 0) {
        const std::uint64_t last = top - std::min(top, random() % 5);
        const std::uint64_t first = last - std::min(last, random() % 9);
        ack.ranges[ack.range_count++] = {first, last};
        if (first < 3) break;
        top = first - 2;
      }
      if (ack.range_count == 0) continue;
      Bytes packet = peer.packet({wire::Frame(ack)});
      session->handle_packet(at(now), packet);
      session->end_of_batch(at(now));
      if (const auto due = session->next_timeout(); due && *due <= at(now).monotonic)
        session->handle_timeout(at(now));
      const SessionStats stats = session->stats();
      ASSERT_TRUE(stats.congestion.has_value());
      ASSERT_LE(stats.congestion->in_flight, stats.bytes_sent) << "seed " << seed;
      ASSERT_LE(stats.congestion->window, 32u << 20) << "seed " << seed;
      ASSERT_LE(stats.congestion->spurious_losses, stats.packets_lost) << "seed " << seed;
      ASSERT_LE(stats.congestion->delivered, stats.bytes_sent) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace netmesh::session::testing
