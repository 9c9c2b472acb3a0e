#include "linkem/link.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <tuple>

#include "linkem/packet_testing.h"

namespace netmesh::linkem {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

struct Arrival {
  TimePoint at;
  std::uint32_t number;
  std::vector<std::byte> bytes;
  bool operator==(const Arrival&) const = default;
};

/// A link in virtual time.
class LinkTest : public ::testing::Test {
 protected:
  Link& make(const Conditions& conditions, std::uint64_t seed = 1) {
    link_.emplace(seed, pool_);
    now_ = kStart;
    link_->set_conditions(now_, conditions);
    arrivals_.clear();
    return *link_;
  }

  Link::Submission send(std::uint32_t number, std::size_t size = 1000) {
    Packet packet = numbered(pool_, number, size);
    const auto submission = link_->submit(now_, packet);
    if (submission != Link::Submission::kTaken) pool_.give_back(std::move(packet));
    return submission;
  }

  /// Lets time pass, from one due packet to the next.
  void run_until(TimePoint end) {
    for (auto due = link_->next_due(); due && *due <= end; due = link_->next_due()) {
      now_ = std::max(now_, *due);
      while (Packet packet = link_->poll(now_)) {
        const auto span = packet.span();
        arrivals_.push_back({now_, number_of(packet), {span.begin(), span.end()}});
        pool_.give_back(std::move(packet));
      }
    }
    now_ = end;
  }
  void run_for(Duration duration) { run_until(now_ + duration); }

  /// Sends `count` packets, one every `interval`, and waits for the last.
  void send_every(Duration interval, std::uint32_t count, std::size_t size = 1000) {
    for (std::uint32_t i = 0; i < count; ++i) {
      send(i, size);
      run_for(interval);
    }
    run_for(seconds(60));
  }

  bool in_order() const {
    return std::is_sorted(arrivals_.begin(), arrivals_.end(),
                          [](const auto& a, const auto& b) { return a.number < b.number; });
  }

  PacketPool pool_{2048};
  std::optional<Link> link_;
  TimePoint now_ = kStart;
  std::vector<Arrival> arrivals_;
};

TEST_F(LinkTest, APerfectLinkDeliversAtOnce) {
  make({});
  send(7);
  EXPECT_EQ(link_->next_due(), kStart);
  run_for(Duration(0));
  ASSERT_EQ(arrivals_.size(), 1u);
  EXPECT_EQ(arrivals_[0].number, 7u);
  EXPECT_EQ(arrivals_[0].at, kStart);
  EXPECT_FALSE(link_->next_due());
  EXPECT_FALSE(link_->poll(now_ + seconds(1)));
}

TEST_F(LinkTest, DelayIsExactAndKeepsTheOrder) {
  make({.delay = milliseconds(20)});
  send_every(microseconds(100), 1000);
  ASSERT_EQ(arrivals_.size(), 1000u);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(arrivals_[i].number, i);
    EXPECT_EQ(arrivals_[i].at, kStart + i * microseconds(100) + milliseconds(20));
  }
}

TEST_F(LinkTest, JitterStaysInItsBoundsVariesAndKeepsTheOrder) {
  make({.delay = milliseconds(20), .jitter = milliseconds(5)});
  send_every(milliseconds(6), 2000);
  ASSERT_EQ(arrivals_.size(), 2000u);
  EXPECT_TRUE(in_order());
  Duration least = seconds(1), most{};
  for (const Arrival& arrival : arrivals_) {
    const Duration took = arrival.at - kStart - arrival.number * milliseconds(6);
    least = std::min(least, took);
    most = std::max(most, took);
  }
  EXPECT_GE(least, milliseconds(20));
  EXPECT_LE(most, milliseconds(25));
  EXPECT_LT(least, microseconds(20'050));
  EXPECT_GT(most, microseconds(24'950));
}

TEST_F(LinkTest, JitterLargerThanTheIntervalStillKeepsTheOrder) {
  make({.delay = milliseconds(1), .jitter = milliseconds(50)});
  send_every(microseconds(10), 5000);
  ASSERT_EQ(arrivals_.size(), 5000u);
  EXPECT_TRUE(in_order());
}

TEST_F(LinkTest, LossComesAtItsRate) {
  constexpr std::uint32_t kPackets = 200'000;
  for (const double loss : {0.001, 0.01, 0.05, 0.2, 0.5}) {
    make({.loss = loss});
    send_every(microseconds(1), kPackets, 64);
    const auto lost = static_cast<double>(link_->counters().lost);
    // Five standard deviations of a binomial distribution.
    const double deviation = std::sqrt(kPackets * loss * (1 - loss));
    EXPECT_NEAR(lost, kPackets * loss, 5 * deviation) << loss;
    EXPECT_EQ(arrivals_.size() + link_->counters().lost, kPackets);
  }
}

TEST_F(LinkTest, BurstsHaveTheLengthAndFrequencyThatAreAskedFor) {
  constexpr std::uint32_t kPackets = 400'000;
  make({.burst_start = 0.01, .burst_end = 0.1});
  send_every(microseconds(1), kPackets, 64);
  std::vector<bool> arrived(kPackets);
  for (const Arrival& arrival : arrivals_) arrived[arrival.number] = true;
  std::uint32_t bursts = 0, lost = 0;
  for (std::uint32_t i = 0; i < kPackets; ++i) {
    if (arrived[i]) continue;
    ++lost;
    if (i == 0 || arrived[i - 1]) ++bursts;
  }
  // Mean length 1 / burst_end; share of time in bursts start / (start + end).
  EXPECT_NEAR(static_cast<double>(lost) / bursts, 10, 0.6);
  EXPECT_NEAR(static_cast<double>(lost) / kPackets, 0.01 / 0.11, 0.006);
  EXPECT_EQ(link_->counters().lost_in_burst, lost);
  EXPECT_EQ(link_->counters().lost, 0u);
}

TEST_F(LinkTest, ALineOfARateIsPacedExactly) {
  // 1000 bytes at 8 Mbit/s take a millisecond.
  make({.bits_per_second = 8'000'000, .queue_bytes = 1'000'000});
  for (std::uint32_t i = 0; i < 100; ++i) send(i);
  EXPECT_EQ(link_->queued_bytes(), 100'000u);
  run_for(seconds(1));
  ASSERT_EQ(arrivals_.size(), 100u);
  for (std::uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(arrivals_[i].at, kStart + (i + 1) * milliseconds(1));
  }
  EXPECT_EQ(link_->queued_bytes(), 0u);
  EXPECT_EQ(link_->counters().max_queue_bytes, 100'000u);
}

TEST_F(LinkTest, AnIdleLineSavesNothingUp) {
  make({.bits_per_second = 8'000'000});
  run_for(seconds(5));
  send(0);
  send(1);
  run_for(seconds(1));
  EXPECT_EQ(arrivals_[0].at, kStart + seconds(5) + milliseconds(1));
  EXPECT_EQ(arrivals_[1].at, kStart + seconds(5) + milliseconds(2));
}

TEST_F(LinkTest, AFullQueueDropsTheNewest) {
  make({.bits_per_second = 8'000'000, .queue_bytes = 3000});
  for (std::uint32_t i = 0; i < 5; ++i) send(i);
  EXPECT_EQ(link_->counters().dropped_by_queue, 2u);
  run_for(seconds(1));
  ASSERT_EQ(arrivals_.size(), 3u);
  EXPECT_EQ(arrivals_.back().number, 2u);
}

TEST_F(LinkTest, AnIdleLineTakesAPacketLargerThanItsQueue) {
  make({.bits_per_second = 8'000'000, .queue_bytes = 0});
  EXPECT_EQ(send(0), Link::Submission::kTaken);
  EXPECT_EQ(send(1), Link::Submission::kDropped);
  run_for(seconds(1));
  EXPECT_EQ(send(2), Link::Submission::kTaken);
}

TEST_F(LinkTest, ANewRateHoldsForWhatStillWaits) {
  make({.bits_per_second = 8'000'000, .queue_bytes = 1'000'000});
  for (std::uint32_t i = 0; i < 4; ++i) send(i);
  run_for(microseconds(500));
  Conditions slower = link_->conditions();
  slower.bits_per_second = 800'000;
  link_->set_conditions(now_, slower);
  run_for(seconds(1));
  ASSERT_EQ(arrivals_.size(), 4u);
  // The first one is on the line already.
  EXPECT_EQ(arrivals_[0].at, kStart + milliseconds(1));
  EXPECT_EQ(arrivals_[1].at, kStart + milliseconds(11));
  EXPECT_EQ(arrivals_[3].at, kStart + milliseconds(31));
}

TEST_F(LinkTest, ALineThatBecomesUnlimitedEmptiesItsQueue) {
  make({.bits_per_second = 8'000, .queue_bytes = 1'000'000});
  for (std::uint32_t i = 0; i < 10; ++i) send(i);
  run_for(milliseconds(1));
  link_->set_conditions(now_, {});
  run_for(Duration(0));
  EXPECT_EQ(arrivals_.size(), 10u);
  EXPECT_TRUE(in_order());
  EXPECT_EQ(link_->queued_bytes(), 0u);
}

TEST_F(LinkTest, WhatIsLostOnTheWayHasUsedTheLine) {
  make({.loss = 0.5, .bits_per_second = 8'000'000, .queue_bytes = 10'000'000});
  for (std::uint32_t i = 0; i < 1000; ++i) send(i);
  run_for(seconds(10));
  for (const Arrival& arrival : arrivals_) {
    EXPECT_EQ(arrival.at, kStart + (arrival.number + 1) * milliseconds(1));
  }
  EXPECT_NEAR(static_cast<double>(arrivals_.size()), 500, 80);
}

TEST_F(LinkTest, HeldBackPacketsAreOvertaken) {
  make({.delay = milliseconds(10), .reorder = 0.1, .reorder_by = milliseconds(5)});
  send_every(milliseconds(1), 2000);
  ASSERT_EQ(arrivals_.size(), 2000u);
  EXPECT_FALSE(in_order());
  std::uint64_t late = 0;
  for (const Arrival& arrival : arrivals_) {
    const Duration took = arrival.at - kStart - arrival.number * milliseconds(1);
    if (took == milliseconds(10)) continue;
    EXPECT_EQ(took, milliseconds(15));
    ++late;
  }
  EXPECT_EQ(late, link_->counters().reordered);
  EXPECT_NEAR(static_cast<double>(late), 200, 70);
}

TEST_F(LinkTest, DuplicatesAreWholeAndCounted) {
  make({.duplicate = 0.25});
  send_every(microseconds(10), 4000);
  std::map<std::uint32_t, int> times;
  for (const Arrival& arrival : arrivals_) ++times[arrival.number];
  EXPECT_EQ(times.size(), 4000u);
  EXPECT_EQ(arrivals_.size(), 4000 + link_->counters().duplicated);
  EXPECT_NEAR(static_cast<double>(link_->counters().duplicated), 1000, 140);
  for (const auto& [number, count] : times) EXPECT_LE(count, 2);
}

TEST_F(LinkTest, CorruptionChangesOneBitAndLeavesTheDuplicateAlone) {
  make({.duplicate = 1, .corrupt = 1});
  for (std::uint32_t i = 0; i < 500; ++i) {
    arrivals_.clear();
    // No IP, so the damage may be anywhere.
    send(0, 100);
    run_for(milliseconds(1));
    ASSERT_EQ(arrivals_.size(), 2u);
    int flipped = 0;
    for (std::size_t at = 0; at < 100; ++at) {
      flipped += __builtin_popcount(
          std::to_integer<unsigned>(arrivals_[0].bytes[at] ^ arrivals_[1].bytes[at]));
    }
    EXPECT_EQ(flipped, 1);
  }
  EXPECT_EQ(link_->counters().corrupted, 500u);
}

TEST_F(LinkTest, PacketsAboveTheMtuStayWithTheCaller) {
  make({.mtu = 1000});
  EXPECT_EQ(send(0, 1000), Link::Submission::kTaken);
  EXPECT_EQ(send(1, 1001), Link::Submission::kTooBig);
  EXPECT_EQ(link_->counters().too_big, 1u);
}

TEST_F(LinkTest, ALinkThatIsDownLosesWhatIsSentAndNothingElse) {
  make({.delay = milliseconds(10)});
  send(0);
  link_->set_conditions(now_, {.delay = milliseconds(10), .down = true});
  send(1);
  run_for(milliseconds(1));
  link_->set_conditions(now_, {.delay = milliseconds(10)});
  send(2);
  run_for(seconds(1));
  ASSERT_EQ(arrivals_.size(), 2u);
  EXPECT_EQ(arrivals_[0].number, 0u);
  EXPECT_EQ(arrivals_[1].number, 2u);
  EXPECT_EQ(link_->counters().lost_while_down, 1u);
}

const Conditions kEverything{
    .loss = 0.05,
    .burst_start = 0.01,
    .burst_end = 0.2,
    .duplicate = 0.05,
    .corrupt = 0.05,
    .delay = milliseconds(20),
    .jitter = milliseconds(3),
    .reorder = 0.05,
    .bits_per_second = 50'000'000,
    .queue_bytes = 100'000,
};

TEST_F(LinkTest, ASeedReplaysExactlyAndAnotherDiffers) {
  const auto run = [&](std::uint64_t seed) {
    make(kEverything, seed);
    send_every(microseconds(150), 3000);
    return arrivals_;
  };
  const auto first = run(42);
  EXPECT_EQ(first, run(42));
  EXPECT_NE(first, run(43));
}

TEST_F(LinkTest, OneConditionDoesNotShiftTheChanceOfAnother) {
  const auto lost_with = [&](const Conditions& conditions) {
    make(conditions, 9);
    send_every(microseconds(150), 3000);
    return link_->counters().lost;
  };
  const auto alone = lost_with({.loss = 0.05});
  EXPECT_EQ(alone, lost_with({.loss = 0.05, .duplicate = 0.5, .corrupt = 0.5, .reorder = 0.3}));
  EXPECT_EQ(alone, lost_with({.loss = 0.05, .jitter = milliseconds(9)}));
}

TEST_F(LinkTest, EveryPacketIsAccountedFor) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    make(kEverything, seed);
    send_every(microseconds(120), 2000);
    const Counters& c = link_->counters();
    EXPECT_EQ(c.packets_in, 2000u);
    EXPECT_EQ(c.packets_in + c.duplicated, c.packets_out + c.lost + c.lost_in_burst +
                                               c.lost_while_down + c.dropped_by_queue + c.too_big +
                                               c.overflowed)
        << "seed " << seed;
    EXPECT_EQ(c.packets_out, arrivals_.size());
    EXPECT_LE(c.max_queue_bytes, kEverything.queue_bytes);
  }
}

TEST_F(LinkTest, HoldsNoMoreThanItsBound) {
  make({.delay = seconds(60)});
  // 300 MiB of packets for 60 s.
  for (std::uint32_t i = 0; i < 300 * 512; ++i) send(i, 2048);
  EXPECT_EQ(link_->counters().overflowed, 44u * 512);
  run_for(seconds(61));
  EXPECT_EQ(arrivals_.size(), 256u * 512);
}

}  // namespace
}  // namespace netmesh::linkem
