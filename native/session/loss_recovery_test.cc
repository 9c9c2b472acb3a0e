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
  explicit Sender(std::uint64_t seed = 0)
      : recovery(CongestionAlgorithm::kCubic, kDatagram, seed) {}

  LossRecovery recovery;
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

  std::optional<TimePoint> next_timeout() const { return recovery.next_timeout(false, kDatagram); }

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
  EXPECT_FALSE(s.next_timeout().has_value());
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
  ASSERT_TRUE(s.next_timeout().has_value());
  EXPECT_EQ(*s.next_timeout(), kStart + s.recovery.rtt().loss_delay());
  s.now = *s.next_timeout();
  s.time_out();
  EXPECT_EQ(s.lost, (std::set<std::uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
}

TEST(LossRecovery, LateAcknowledgementsOfLostPacketsReachTheStreams) {
  Sender s;
  for (int i = 0; i < 5; ++i) s.send();
  s.now += milliseconds(10);
  EXPECT_TRUE(s.acknowledge({{4, 4}}));
  EXPECT_TRUE(s.acknowledge({{0, 4}}));
  EXPECT_EQ(s.acked, (std::set<std::uint64_t>{0, 1, 2, 3, 4})) << "nothing needs sending again";
  EXPECT_EQ(s.recovery.statistics().spurious_losses, 2u);
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
  EXPECT_TRUE(s.acknowledge({{0, 4}}));
  EXPECT_EQ(s.recovery.statistics().spurious_losses, 2u) << "once each";
}

TEST(LossRecovery, TakesTheReductionBackWhenNothingHadBeenLost) {
  Sender s;
  for (int i = 0; i < 10; ++i) s.send();
  const std::uint64_t window = s.recovery.controller().window();
  s.now += milliseconds(10);
  EXPECT_TRUE(s.acknowledge({{5, 5}}));
  EXPECT_LT(s.recovery.controller().window(), window);
  EXPECT_TRUE(s.acknowledge({{1, 5}}));
  EXPECT_LT(s.recovery.controller().window(), window) << "packet 0 is still missing";
  EXPECT_TRUE(s.acknowledge({{0, 5}}));
  EXPECT_GE(s.recovery.controller().window(), window);
  EXPECT_EQ(s.recovery.statistics().undone_events, 1u);
}

TEST(LossRecovery, ToleratesTheReorderingThatItHasSeen) {
  Sender s;
  for (int i = 0; i < 10; ++i) s.send();
  s.now += milliseconds(10);
  EXPECT_TRUE(s.acknowledge({{6, 9}}));
  EXPECT_EQ(s.recovery.packets_lost(), 6u);
  EXPECT_TRUE(s.acknowledge({{0, 9}}));
  const std::uint64_t first = s.send();
  for (int i = 0; i < 9; ++i) s.send();
  s.now += milliseconds(10);
  EXPECT_TRUE(s.acknowledge({{first + 6, first + 9}, {0, 9}}));
  EXPECT_EQ(s.recovery.packets_lost(), 6u) << "as far apart as before: not lost";
  EXPECT_TRUE(s.acknowledge({{0, first + 9}}));
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
}

TEST(LossRecovery, LeavesNumbersOutAndCatchesWhoAcknowledgesThem) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Sender honest(seed);
    Sender liar(seed);
    std::vector<wire::PacketRange> received;  // newest first
    bool caught = false;
    for (int i = 0; i < 2'000 && !caught; ++i) {
      const std::uint64_t number = honest.send();
      ASSERT_EQ(liar.send(), number);
      if (!received.empty() && received.front().last + 1 == number)
        received.front().last = number;
      else
        received.insert(received.begin(), {number, number});
      honest.now += milliseconds(1);
      liar.now += milliseconds(1);
      ASSERT_TRUE(honest.acknowledge(received)) << "seed " << seed;
      caught = !liar.acknowledge({{0, number}});
    }
    EXPECT_TRUE(caught) << "seed " << seed;
    EXPECT_GT(received.size(), 1u);
  }
}

TEST(LossRecovery, CallsItPersistentCongestionByTimeNotByTimeouts) {
  Sender s;
  // A round trip is known: 20 ms.
  const std::uint64_t known = s.send();
  s.now += milliseconds(20);
  ASSERT_TRUE(s.acknowledge({{known, known}}));
  const auto outage = [&](int probes) {
    for (int i = 0; i < probes; ++i) {
      s.send();
      s.now = *s.next_timeout();
      s.time_out();
    }
    const std::uint64_t number = s.send();
    s.now += milliseconds(20);
    ASSERT_TRUE(s.acknowledge({{number, number}}));
  };
  outage(2);
  EXPECT_EQ(s.recovery.statistics().persistent_congestions, 0u);
  EXPECT_GT(s.recovery.controller().window(), 2 * kDatagram);
  outage(6);
  EXPECT_EQ(s.recovery.statistics().persistent_congestions, 1u);
  EXPECT_EQ(s.recovery.controller().window(), 2 * kDatagram);
}

TEST(LossRecovery, AnAcknowledgementInBetweenEndsTheRunOfLosses) {
  Sender s;
  const std::uint64_t known = s.send();
  s.now += milliseconds(20);
  ASSERT_TRUE(s.acknowledge({{known, known}}));
  const std::uint64_t first = s.send();
  s.now += milliseconds(200);
  const std::uint64_t middle = s.send();
  s.now += milliseconds(200);
  const std::uint64_t last = s.send();
  s.now += milliseconds(200);
  const std::uint64_t newest = s.send();
  s.now += milliseconds(20);
  // All old enough to be lost; what lies between the two that are has arrived.
  ASSERT_TRUE(s.acknowledge({{newest, newest}, {middle, middle}}));
  EXPECT_TRUE(s.lost.contains(first));
  EXPECT_TRUE(s.lost.contains(last));
  EXPECT_EQ(s.recovery.statistics().persistent_congestions, 0u);
}

TEST(LossRecovery, ASleepIsNotARoundTrip) {
  Sender s;
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t number = s.send();
    s.now += milliseconds(20);
    ASSERT_TRUE(s.acknowledge({{number, number}}));
  }
  const std::uint64_t number = s.send();
  s.now += std::chrono::hours(2);
  ASSERT_TRUE(s.acknowledge({{number, number}}));
  EXPECT_EQ(s.recovery.rtt().smoothed(), milliseconds(20));
  const std::uint64_t after = s.send();
  s.now += milliseconds(28);
  ASSERT_TRUE(s.acknowledge({{after, after}}));
  EXPECT_EQ(s.recovery.rtt().smoothed(), milliseconds(21));
}

TEST(LossRecovery, ANewPathStartsFromNothing) {
  Sender s;
  std::uint64_t old = 0;
  for (int i = 0; i < 10; ++i) old = s.send();
  s.now += milliseconds(300);
  s.recovery.reset_path(s.now, kDatagram);
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
  EXPECT_FALSE(s.recovery.rtt().has_sample());
  const std::uint64_t window = s.recovery.controller().window();
  EXPECT_EQ(window, CongestionController::kInitialWindow * kDatagram);
  const std::uint64_t number = s.send();
  s.now += milliseconds(10);
  ASSERT_TRUE(s.acknowledge({{number, number}, {old, old}}));
  EXPECT_EQ(s.recovery.rtt().smoothed(), milliseconds(10));
  EXPECT_EQ(s.lost.size(), 9u) << "their data is sent again";
  EXPECT_GE(s.recovery.controller().window(), window) << "the old path's losses do not count";
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
}

TEST(LossRecovery, PacesLongPathsOnlyAndOnlyForWhatWaits) {
  Sender near;
  for (int i = 0; i < 10; ++i) near.send();
  near.now += std::chrono::microseconds(300);
  ASSERT_TRUE(near.acknowledge({{0, 9}}));
  while (near.recovery.may_send(kDatagram)) near.send();
  EXPECT_FALSE(near.recovery.pacer().blocked());
  EXPECT_GT(near.recovery.bytes_in_flight() + kDatagram, near.recovery.controller().window());

  Sender far;
  for (int i = 0; i < 10; ++i) far.send();
  far.recovery.note_limited();
  far.now += milliseconds(50);
  ASSERT_TRUE(far.acknowledge({{0, 9}}));
  while (far.recovery.may_send(kDatagram)) far.send();
  EXPECT_TRUE(far.recovery.pacer().blocked());
  EXPECT_LT(far.recovery.bytes_in_flight() + kDatagram, far.recovery.controller().window());
  EXPECT_GT(*far.recovery.next_timeout(false, kDatagram), far.now + milliseconds(20));
  const TimePoint release = *far.recovery.next_timeout(true, kDatagram);
  EXPECT_LT(release, far.now + milliseconds(10));
  far.now = release;
  far.time_out();
  EXPECT_TRUE(far.recovery.may_send(kDatagram));
}

TEST(LossRecovery, ProbesTwiceAsLateEveryTime) {
  Sender s;
  s.send();
  Duration previous{};
  for (int round = 0; round < 10; ++round) {
    const auto at = s.next_timeout();
    ASSERT_TRUE(at.has_value());
    const Duration wait = *at - s.now;
    ASSERT_GT(wait, Duration::zero());
    if (round > 0) {
      EXPECT_EQ(wait, std::min<Duration>(2 * previous, LossRecovery::kMaxProbeInterval));
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
  EXPECT_EQ(*s.next_timeout() - s.now, s.recovery.rtt().probe_timeout(AckTracker::kMaxAckDelay))
      << "an answer resets the wait";
}

TEST(LossRecovery, DoesNotTimeOutBeforeItsTime) {
  Sender s;
  s.send();
  s.now = *s.next_timeout() - Duration(1);
  s.time_out();
  EXPECT_FALSE(s.recovery.probe_wanted());
}

TEST(LossRecovery, CountsOnlyWhatAsksForAnAnswer) {
  Sender s;
  for (int i = 0; i < 100; ++i) s.send(false);
  EXPECT_EQ(s.recovery.bytes_in_flight(), 0u);
  EXPECT_FALSE(s.next_timeout().has_value());
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
  s.recovery.note_limited();
  s.now += milliseconds(10);
  EXPECT_TRUE(s.acknowledge({{0, 9}}));
  EXPECT_EQ(s.recovery.controller().window(), 20 * kDatagram);
}

TEST(LossRecovery, CubicGoesOnInPairsAfterAFullWindow) {
  Sender s;
  std::vector<std::uint64_t> sent;  // a number may be skipped now and then
  const auto fill = [&] {
    while (s.recovery.may_send(kDatagram)) sent.push_back(s.send());
    s.recovery.note_limited();
    s.now += std::chrono::microseconds(100);  // too near to be paced
  };
  const auto acknowledge = [&](std::size_t from, std::size_t to) {
    std::vector<wire::PacketRange> ranges;
    for (std::size_t i = to; i-- > from;) {
      if (ranges.empty() || ranges.back().first != sent[i] + 1)
        ranges.push_back({sent[i], sent[i]});
      ranges.back().first = sent[i];
    }
    EXPECT_TRUE(s.acknowledge(ranges));
  };
  fill();
  acknowledge(0, 10);
  fill();
  acknowledge(20, 30);  // the others are lost
  ASSERT_LT(s.recovery.controller().window(), 15 * kDatagram);
  fill();
  ASSERT_EQ(s.recovery.bytes_in_flight(), 14 * kDatagram);

  const std::size_t oldest = sent.size() - 14;
  acknowledge(oldest, oldest + 1);
  const std::uint64_t room = s.recovery.controller().window() - s.recovery.bytes_in_flight();
  EXPECT_GE(room, kDatagram);
  EXPECT_FALSE(s.recovery.may_send(kDatagram)) << "one would fit, and waits for a second";
  acknowledge(oldest + 1, oldest + 2);
  ASSERT_TRUE(s.recovery.may_send(kDatagram));
  s.send();
  EXPECT_TRUE(s.recovery.may_send(kDatagram)) << "the other one of the pair";
  s.send();
  EXPECT_FALSE(s.recovery.may_send(kDatagram));
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
    std::uint64_t largest_threshold = 0;
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
          if (const auto at = s.next_timeout(); at && *at <= s.now) s.time_out();
      }
      largest_threshold = std::max(largest_threshold, s.recovery.tolerance().packet_threshold());
      std::uint64_t open = 0;
      std::uint64_t both = 0;
      for (const std::uint64_t number : eliciting) {
        const bool settled = s.acked.contains(number) || s.lost.contains(number);
        if (s.acked.contains(number) && s.lost.contains(number)) ++both;
        if (!settled) ++open;
        if (!settled) ASSERT_GT(number + largest_threshold, largest_known);
      }
      ASSERT_EQ(s.recovery.bytes_in_flight(), open * kDatagram) << "seed " << seed;
      ASSERT_EQ(s.recovery.statistics().spurious_losses, both) << "seed " << seed;
      ASSERT_EQ(s.next_timeout().has_value(), open > 0) << "seed " << seed;
    }
    for (const std::uint64_t number : s.acked) ASSERT_TRUE(received.contains(number));
    ASSERT_EQ(s.recovery.packets_lost(), s.lost.size());
  }
}

}  // namespace
}  // namespace netmesh::session
