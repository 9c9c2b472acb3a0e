#include "session/bbr.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "session/bottleneck_testing.h"

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Bottleneck;

constexpr double kMegabit = 125'000;

TEST(Bbr, FindsTheRateOfTheBottleneckWithinASecond) {
  for (const double megabits : {1.0, 10.0, 100.0}) {
    Bottleneck path(CongestionAlgorithm::kBbr, megabits * kMegabit, milliseconds(40));
    path.run(seconds(3));
    EXPECT_NEAR(static_cast<double>(path.recovery.controller().state().bandwidth),
                megabits * kMegabit, 0.1 * megabits * kMegabit);
    const std::uint64_t before = path.delivered_bytes;
    path.run(seconds(4));
    EXPECT_GT(static_cast<double>(path.delivered_bytes - before), 0.9 * 4 * megabits * kMegabit);
  }
}

TEST(Bbr, LeavesTheQueueEmptyMostOfTheTime) {
  Bottleneck path(CongestionAlgorithm::kBbr, 10 * kMegabit, milliseconds(40));
  path.queue_bytes = 4 * path.bdp();
  path.run(seconds(4));
  path.reset_queue_statistics();
  path.run(seconds(10));
  EXPECT_LT(path.mean_queue_bytes(), 0.4 * static_cast<double>(path.bdp()));
}

TEST(Bbr, GoesThroughItsPhases) {
  Bottleneck path(CongestionAlgorithm::kBbr, 10 * kMegabit, milliseconds(40));
  std::set<std::string> seen;
  EXPECT_STREQ(path.recovery.controller().state().phase, "startup");
  for (int i = 0; i < 2'000; ++i) {
    path.run(milliseconds(10));
    seen.insert(path.recovery.controller().state().phase);
  }
  for (const char* phase :
       {"startup", "drain", "probe-down", "probe-cruise", "probe-refill", "probe-up"}) {
    EXPECT_TRUE(seen.contains(phase)) << phase;
  }
}

TEST(Bbr, LooksAtTheRoundTripAgainWhenItHasRisen) {
  Bottleneck path(CongestionAlgorithm::kBbr, 10 * kMegabit, milliseconds(40));
  path.run(seconds(4));
  path.round_trip = milliseconds(60);  // another route: every sample is higher from now on
  bool probed = false;
  std::uint64_t least = ~std::uint64_t{0};
  for (int i = 0; i < 1'200; ++i) {
    path.run(milliseconds(10));
    if (std::string(path.recovery.controller().state().phase) != "probe-rtt") continue;
    probed = true;
    least = std::min(least, path.recovery.bytes_in_flight());
  }
  EXPECT_TRUE(probed);
  EXPECT_LT(least, path.bdp());
  const std::uint64_t before = path.delivered_bytes;
  path.run(seconds(4));
  EXPECT_GT(static_cast<double>(path.delivered_bytes - before), 0.85 * 4 * 10 * kMegabit)
      << "the longer path is filled as well";
}

TEST(Bbr, FollowsABottleneckThatBecomesFaster) {
  Bottleneck path(CongestionAlgorithm::kBbr, 5 * kMegabit, milliseconds(40));
  path.run(seconds(5));
  path.bytes_per_second = 20 * kMegabit;
  path.run(seconds(12));
  EXPECT_GT(static_cast<double>(path.recovery.controller().state().bandwidth), 17 * kMegabit);
}

TEST(Bbr, FollowsABottleneckThatBecomesSlower) {
  Bottleneck path(CongestionAlgorithm::kBbr, 20 * kMegabit, milliseconds(40));
  path.run(seconds(5));
  path.bytes_per_second = 5 * kMegabit;
  path.run(seconds(12));
  EXPECT_LT(static_cast<double>(path.recovery.controller().state().bandwidth), 6 * kMegabit);
  path.reset_queue_statistics();
  path.run(seconds(5));
  EXPECT_LT(path.mean_queue_bytes(), static_cast<double>(path.bdp()));
}

TEST(Bbr, DoesNotTakeAPausingApplicationForASlowPath) {
  Bottleneck path(CongestionAlgorithm::kBbr, 10 * kMegabit, milliseconds(40));
  path.run(seconds(4));
  const auto estimate = [&] {
    return static_cast<double>(path.recovery.controller().state().bandwidth);
  };
  const double before = estimate();
  for (int i = 0; i < 100; ++i) {
    path.offer(3 * Bottleneck::kDatagram);  // a little every 100 ms
    path.run(milliseconds(100));
  }
  EXPECT_GT(estimate(), 0.9 * before);
  path.unlimited();
  const std::uint64_t delivered = path.delivered_bytes;
  path.run(seconds(1));
  EXPECT_GT(static_cast<double>(path.delivered_bytes - delivered), 0.8 * 10 * kMegabit)
      << "and has its rate at once";
}

TEST(Bbr, StaysBelowWhatOverflowsAShortQueue) {
  Bottleneck path(CongestionAlgorithm::kBbr, 10 * kMegabit, milliseconds(40));
  path.queue_bytes = path.bdp() / 4;
  path.run(seconds(5));
  const std::uint64_t sent = path.sent_packets;
  const std::uint64_t lost = path.recovery.packets_lost();
  path.run(seconds(20));
  EXPECT_LT(static_cast<double>(path.recovery.packets_lost() - lost),
            0.02 * static_cast<double>(path.sent_packets - sent));
  EXPECT_LT(path.recovery.controller().state().inflight_high, 2 * path.bdp());
}

TEST(Bbr, TellsNoiseFromCongestionWithinTwoSeconds) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (const double loss : {0.05, 0.2, 0.3}) {
      Bottleneck path(CongestionAlgorithm::kBbr, 100 * kMegabit, milliseconds(20), seed);
      path.loss = loss;
      path.run(seconds(2));
      EXPECT_NEAR(path.recovery.controller().state().ambient_loss, loss, 0.1) << seed;
      const std::uint64_t before = path.delivered_bytes;
      path.run(seconds(2));
      EXPECT_GT(static_cast<double>(path.delivered_bytes - before), 0.8 * 2 * 100 * kMegabit)
          << "seed " << seed << ", loss " << loss;
    }
  }
}

TEST(Bbr, CountsNoiseAsCarriedRatherThanOverestimatingTheRate) {
  Bottleneck path(CongestionAlgorithm::kBbr, 100 * kMegabit, milliseconds(20));
  path.loss = 0.2;  // before the bottleneck: 125 Mbit/s have to leave
  path.run(seconds(3));
  for (int i = 0; i < 50; ++i) {
    path.run(milliseconds(100));
    EXPECT_LT(static_cast<double>(path.recovery.controller().state().bandwidth),
              1.15 * 125 * kMegabit);
  }
  path.reset_queue_statistics();
  path.run(seconds(5));
  EXPECT_LT(path.mean_queue_bytes(), 0.6 * static_cast<double>(path.bdp()));
}

TEST(Bbr, DoesNotTakeTheOverflowOfAShortQueueForNoise) {
  for (const double queue : {0.1, 0.25, 0.5}) {
    Bottleneck path(CongestionAlgorithm::kBbr, 20 * kMegabit, milliseconds(40));
    path.queue_bytes = static_cast<std::uint64_t>(queue * static_cast<double>(path.bdp()));
    for (int i = 0; i < 300; ++i) {
      path.run(milliseconds(100));
      ASSERT_LT(path.recovery.controller().state().ambient_loss, 0.03) << queue;
    }
  }
}

TEST(Bbr, KeepsALineBusyThatLosesOneInTen) {
  Bottleneck path(CongestionAlgorithm::kBbr, 10 * kMegabit, milliseconds(40));
  path.loss = 0.1;
  path.run(seconds(20));
  const std::uint64_t before = path.delivered_bytes;
  path.run(seconds(20));
  EXPECT_GT(static_cast<double>(path.delivered_bytes - before), 0.7 * 20 * 10 * kMegabit);
  EXPECT_NEAR(path.recovery.controller().state().ambient_loss, 0.1, 0.05);
}

TEST(Bbr, ForgetsTheNoiseOfAPathThatHasBecomeClean) {
  Bottleneck path(CongestionAlgorithm::kBbr, 10 * kMegabit, milliseconds(40));
  path.loss = 0.1;
  path.run(seconds(30));
  EXPECT_GT(path.recovery.controller().state().ambient_loss, 0.03);
  path.loss = 0;
  path.run(seconds(15));
  EXPECT_LT(path.recovery.controller().state().ambient_loss, 0.01);
}

TEST(Bbr, KeepsRoomForTheDelaysOfSchedulersOnShortPaths) {
  Bottleneck path(CongestionAlgorithm::kBbr, 1'000 * kMegabit, std::chrono::microseconds(50));
  path.queue_bytes = 1 << 20;
  path.run(milliseconds(200));
  EXPECT_FALSE(path.recovery.pacer().active());
  EXPECT_GE(path.recovery.controller().window(), 200'000u) << "2 ms at 1 Gbit/s";
}

TEST(Bbr, NeverExceedsItsLimits) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    Bottleneck path(CongestionAlgorithm::kBbr, 10 * kMegabit, milliseconds(40), seed);
    for (int i = 0; i < 60; ++i) {
      switch (random() % 6) {
        case 0:
          path.bytes_per_second = static_cast<double>(10'000 + random() % 20'000'000);
          break;
        case 1:
          path.round_trip = Duration(static_cast<std::int64_t>(random() % 300'000'000 + 10'000));
          break;
        case 2:
          path.loss = static_cast<double>(random() % 50) / 100;
          break;
        case 3:
          path.queue_bytes = 1'500 + random() % 200'000;
          break;
        case 4:
          path.offer(random() % 50'000);
          break;
        default:
          path.unlimited();
      }
      path.run(milliseconds(static_cast<std::int64_t>(random() % 500)));
      const auto& controller = path.recovery.controller();
      ASSERT_GE(controller.window(), 4 * Bottleneck::kDatagram) << "seed " << seed;
      ASSERT_LE(controller.window(), CongestionController::kMaxWindowBytes) << "seed " << seed;
      ASSERT_GT(controller.pacing_rate(), 0u) << "seed " << seed;
      ASSERT_LE(controller.state().ambient_loss, AmbientLoss::kLargest) << "seed " << seed;
      ASSERT_LE(path.recovery.bytes_in_flight(), path.largest_allowed + 2 * Bottleneck::kDatagram)
          << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace netmesh::session
