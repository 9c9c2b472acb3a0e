#include "session/loss_recovery.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kDatagram = 1'200;
constexpr TimePoint kStart{std::chrono::hours(1)};

/// Sends packets with one frame each, whose offset is the packet's number.
struct Sender {
  LossRecovery recovery{kDatagram};
  TimePoint now = kStart;
  std::set<std::uint64_t> acked, lost;
  std::vector<std::uint64_t> probed;

  std::uint64_t send(bool ack_eliciting = true) {
    const std::uint64_t number = recovery.next_packet_number();
    SentFrame frame;
    frame.range.offset = number;
    recovery.add_frame(frame);
    recovery.on_sent(now, kDatagram, ack_eliciting);
    return number;
  }

  bool acknowledge(std::vector<wire::PacketRange> ranges, Duration delay = {}) {
    wire::AckFrame ack;
    ack.delay_us = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(delay).count());
    for (const wire::PacketRange& range : ranges) ack.ranges[ack.range_count++] = range;
    return recovery.on_ack(
        now, ack,
        [this](const SentFrame& frame) { EXPECT_TRUE(acked.insert(frame.range.offset).second); },
        [this](const SentFrame& frame) { EXPECT_TRUE(lost.insert(frame.range.offset).second); });
  }

  void time_out() {
    recovery.handle_timeout(
        now,
        [this](const SentFrame& frame) { EXPECT_TRUE(lost.insert(frame.range.offset).second); },
        [this](const SentFrame& frame) { probed.push_back(frame.range.offset); });
  }
};

TEST(LossRecovery, MeasuresTheRoundTripOfTheNewestPacket) {
  Sender s;
  s.send();
  s.send();
  s.now += milliseconds(30);
  EXPECT_TRUE(s.acknowledge({{0, 1}}));
  EXPECT_EQ(s.recovery.rtt().smoothed(), milliseconds(30));
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
  EXPECT_FALSE(s.recovery.next_timeout().has_value());
  EXPECT_EQ(s.acked, (std::set<std::uint64_t>{0, 1}));
}

TEST(LossRecovery, RefusesAcknowledgementsOfWhatWasNeverSent) {
  Sender s;
  EXPECT_FALSE(s.acknowledge({{0, 0}}));
  s.send();
  EXPECT_FALSE(s.acknowledge({{0, 1}}));
  EXPECT_FALSE(s.acknowledge({{~0ULL >> 2, ~0ULL >> 2}}));
  EXPECT_TRUE(s.acknowledge({{0, 0}}));
  EXPECT_TRUE(s.acknowledge({{0, 0}})) << "again is allowed, and nothing";
}

TEST(LossRecovery, DeclaresPacketsLostThatThreeOvertook) {
  Sender s;
  for (int i = 0; i < 5; ++i) s.send();
  s.now += milliseconds(10);
  EXPECT_TRUE(s.acknowledge({{4, 4}}));
  EXPECT_EQ(s.lost, (std::set<std::uint64_t>{0, 1}));
  EXPECT_EQ(s.recovery.packets_lost(), 2u);
  ASSERT_TRUE(s.recovery.next_timeout().has_value());
  EXPECT_EQ(*s.recovery.next_timeout(), kStart + s.recovery.rtt().loss_delay());
  s.now = *s.recovery.next_timeout();
  s.time_out();
  EXPECT_EQ(s.lost, (std::set<std::uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
}

TEST(LossRecovery, LateAcknowledgementsOfLostPacketsChangeNothing) {
  Sender s;
  for (int i = 0; i < 5; ++i) s.send();
  s.now += milliseconds(10);
  EXPECT_TRUE(s.acknowledge({{4, 4}}));
  EXPECT_TRUE(s.acknowledge({{0, 4}}));
  EXPECT_EQ(s.acked, (std::set<std::uint64_t>{2, 3, 4}));
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
}

TEST(LossRecovery, ProbesTwiceAsLateEveryTime) {
  Sender s;
  s.send();
  Duration previous{};
  for (int round = 0; round < 10; ++round) {
    const auto at = s.recovery.next_timeout();
    ASSERT_TRUE(at.has_value());
    const Duration wait = *at - s.now;
    ASSERT_GT(wait, Duration::zero());
    if (round > 0) {
      EXPECT_EQ(wait,
                round > static_cast<int>(LossRecovery::kMaxBackoffShift) ? previous : 2 * previous);
    }
    previous = wait;
    s.now = *at;
    s.time_out();
    EXPECT_TRUE(s.recovery.probe_wanted());
    EXPECT_TRUE(s.recovery.may_send(kDatagram)) << "probes ignore the window";
    s.send();
    s.send();
    EXPECT_FALSE(s.recovery.probe_wanted()) << "two packets each time";
  }
  EXPECT_FALSE(s.probed.empty());
  EXPECT_TRUE(s.lost.empty()) << "a probe is not a loss";
  EXPECT_TRUE(s.acknowledge({{0, s.recovery.next_packet_number() - 1}}));
  s.send();
  EXPECT_EQ(*s.recovery.next_timeout() - s.now,
            s.recovery.rtt().probe_timeout(AckTracker::kMaxAckDelay))
      << "an answer resets the wait";
}

TEST(LossRecovery, DoesNotTimeOutBeforeItsTime) {
  Sender s;
  s.send();
  s.now = *s.recovery.next_timeout() - Duration(1);
  s.time_out();
  EXPECT_FALSE(s.recovery.probe_wanted());
}

TEST(LossRecovery, CountsOnlyWhatAsksForAnAnswer) {
  Sender s;
  for (int i = 0; i < 100; ++i) s.send(false);
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
  EXPECT_FALSE(s.recovery.next_timeout().has_value());
  EXPECT_TRUE(s.acknowledge({{99, 99}}));
  EXPECT_TRUE(s.acked.empty()) << "their frames were forgotten at once";
}

TEST(LossRecovery, KeepsWithinTheWindowAndOpensItAfterASilence) {
  Sender s;
  int sent = 0;
  while (s.recovery.may_send(kDatagram)) {
    s.send();
    ++sent;
  }
  EXPECT_EQ(sent, 10);
  s.recovery.note_window_limited();
  s.now += milliseconds(10);
  EXPECT_TRUE(s.acknowledge({{0, 9}}));
  EXPECT_EQ(s.recovery.controller().window(), 20 * kDatagram);
}

TEST(LossRecovery, FramesOfAPacketThatWasNotSentAreForgotten) {
  Sender s;
  s.send();
  SentFrame frame;
  frame.range.offset = 999;
  s.recovery.add_frame(frame);
  s.recovery.discard_frames();
  s.send();
  EXPECT_TRUE(s.acknowledge({{0, 1}}));
  EXPECT_EQ(s.acked, (std::set<std::uint64_t>{0, 1}));
}

/// Every packet ends up acknowledged or lost, once, and the accounts balance.
TEST(LossRecovery, SettlesEveryPacketOnce) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    Sender s;
    std::map<std::uint64_t, TimePoint> arrivals;  // packets that arrive, and when
    std::set<std::uint64_t> received, eliciting;
    std::uint64_t largest_known = 0;
    for (int step = 0; step < 1'000; ++step) {
      s.now += Duration(random() % 3'000'000);
      switch (random() % 4) {
        case 0:
        case 1: {
          const bool asks = random() % 8 != 0;
          const std::uint64_t number = s.send(asks);
          if (asks) eliciting.insert(number);
          if (random() % 10 < 7) arrivals[number] = s.now + Duration(random() % 40'000'000);
          break;
        }
        case 2: {
          for (auto it = arrivals.begin(); it != arrivals.end();) {
            if (it->second <= s.now) {
              received.insert(it->first);
              it = arrivals.erase(it);
            } else {
              ++it;
            }
          }
          if (received.empty()) break;
          std::vector<wire::PacketRange> ranges;
          for (auto it = received.rbegin(); it != received.rend(); ++it) {
            if (!ranges.empty() && ranges.back().first == *it + 1)
              ranges.back().first = *it;
            else if (ranges.size() == wire::AckFrame::kMaxRanges)
              break;
            else
              ranges.push_back({*it, *it});
          }
          largest_known = *received.rbegin();
          ASSERT_TRUE(s.acknowledge(ranges));
          break;
        }
        default:
          if (const auto at = s.recovery.next_timeout(); at && *at <= s.now) s.time_out();
      }
      std::uint64_t open = 0;
      for (const std::uint64_t number : eliciting) {
        const bool settled = s.acked.contains(number) || s.lost.contains(number);
        ASSERT_FALSE(s.acked.contains(number) && s.lost.contains(number)) << "seed " << seed;
        if (!settled) ++open;
        if (!settled) ASSERT_GT(number + LossRecovery::kPacketThreshold, largest_known);
      }
      ASSERT_EQ(s.recovery.bytes_in_flight(), open * kDatagram) << "seed " << seed;
      ASSERT_EQ(s.recovery.next_timeout().has_value(), open > 0) << "seed " << seed;
    }
    for (const std::uint64_t number : s.acked) ASSERT_TRUE(received.contains(number));
    ASSERT_EQ(s.recovery.packets_lost(), s.lost.size());
  }
}

}  // namespace
}  // namespace netmesh::session
