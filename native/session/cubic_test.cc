#include "session/cubic.h"

#include <gtest/gtest.h>

#include <cmath>

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kDatagram = 1'200;
constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr Duration kRtt = milliseconds(50);

/// A controller with a path that acknowledges whole windows, one per round trip.
struct Path {
  Cubic cubic{kDatagram};
  TimePoint now = kStart;
  std::uint64_t delivered = 0;

  /// One round trip in which the window was full.
  void round(bool limited = true, Duration rtt = kRtt) {
    now += rtt;
    const std::uint64_t begin = delivered;
    for (std::uint64_t left = cubic.window() / kDatagram; left > 0; --left)
      acknowledge(begin, limited, rtt);
  }
  void acknowledge(std::uint64_t prior_delivered, bool limited, Duration rtt) {
    delivered += kDatagram;
    AckSample sample;
    sample.now = now;
    sample.bytes = sample.bytes_after_event = kDatagram;
    sample.window_limited = limited;
    sample.rtt = sample.smoothed_rtt = sample.min_rtt = rtt;
    sample.delivered = delivered;
    sample.prior_delivered = prior_delivered;
    cubic.on_acknowledged(sample);
  }
  void lose(bool new_event = true) {
    LossSample sample;
    sample.now = now;
    sample.bytes = kDatagram;
    sample.new_event = new_event;
    cubic.on_lost(sample);
  }
  double datagrams() const {
    return static_cast<double>(cubic.window()) / static_cast<double>(kDatagram);
  }
};

TEST(Cubic, DoublesPerRoundTripInSlowStart) {
  Path path;
  EXPECT_EQ(path.cubic.window(), 10 * kDatagram);
  path.round();
  EXPECT_EQ(path.cubic.window(), 20 * kDatagram);
  path.round();
  EXPECT_EQ(path.cubic.window(), 40 * kDatagram);
  EXPECT_STREQ(path.cubic.state().phase, "slow-start");
}

TEST(Cubic, DoesNotGrowWhenTheApplicationIsTheLimit) {
  Path path;
  for (int i = 0; i < 20; ++i) path.round(false);
  EXPECT_EQ(path.cubic.window(), 10 * kDatagram);
}

TEST(Cubic, KeepsSevenTenthsOfTheWindowOncePerEvent) {
  Path path;
  for (int i = 0; i < 4; ++i) path.round();
  const double before = path.datagrams();
  path.lose();
  EXPECT_NEAR(path.datagrams(), 0.7 * before, 1);
  path.lose(false);
  EXPECT_NEAR(path.datagrams(), 0.7 * before, 1) << "the same round trip";
}

TEST(Cubic, ReturnsToThePlateauWhenTheCurveSays) {
  Path path;
  while (path.datagrams() < 600) path.round();
  const double plateau = path.datagrams();
  path.lose();
  const double k = std::cbrt(plateau * 0.3 / 0.4);
  double at_half = 0;
  for (double t = 0; t < k; t += 0.05) {
    path.round();
    if (at_half == 0 && t >= k / 2) at_half = path.datagrams();
  }
  EXPECT_NEAR(path.datagrams(), plateau, plateau * 0.02);
  // Concave: 7/8 of the way in half of the time.
  EXPECT_NEAR(at_half, plateau * (1 - 0.3 / 8), plateau * 0.02);
  for (double t = 0; t < k; t += 0.05) path.round();
  EXPECT_NEAR(path.datagrams(), plateau * 1.3, plateau * 0.05) << "convex beyond";
}

TEST(Cubic, IsNoSlowerThanRenoOnShortPaths) {
  Path path;
  while (path.datagrams() < 20) path.round(true, milliseconds(5));
  path.lose();
  const double before = path.datagrams();
  constexpr int kRounds = 40;
  for (int i = 0; i < kRounds; ++i) path.round(true, milliseconds(5));
  // 0.53 datagrams a round trip up to the old window, then one.
  EXPECT_GT(path.datagrams(), before + 0.5 * kRounds);
}

TEST(Cubic, MakesRoomForOthersWhenThePlateauSinks) {
  Path path;
  while (path.datagrams() < 600) path.round();
  path.lose();
  path.round();
  path.lose();  // below the old plateau: the next one is lower still than the window was
  const double at_second = path.datagrams() / 0.7;
  for (int i = 0; i < 60; ++i) path.round();
  const double k = std::cbrt((at_second * 0.85 - at_second * 0.7) / 0.4);
  EXPECT_LT(k, 3.0 * 60 * 0.05);
  EXPECT_LT(path.datagrams(), at_second) << "it lingers at 0.85 of where it was";
}

TEST(Cubic, DoesNotRiseWhileTheApplicationPauses) {
  Path busy;
  Path pausing;
  for (Path* path : {&busy, &pausing}) {
    while (path->datagrams() < 600) path->round();
    path->lose();
    for (int i = 0; i < 20; ++i) path->round();
  }
  const double before = pausing.datagrams();
  pausing.now += std::chrono::minutes(1);
  SentSample sent;
  sent.now = pausing.now;
  pausing.cubic.on_sent(sent);
  busy.round();
  pausing.round();
  EXPECT_NEAR(pausing.datagrams(), busy.datagrams(), before * 0.01);
}

TEST(Cubic, PutsTheWindowBackAfterASpuriousEvent) {
  Path path;
  while (path.datagrams() < 300) path.round();
  const std::uint64_t before = path.cubic.window();
  path.lose();
  path.now += milliseconds(10);
  path.cubic.on_spurious(path.now);
  EXPECT_EQ(path.cubic.window(), before);
  path.cubic.on_spurious(path.now);
  EXPECT_EQ(path.cubic.window(), before) << "once";
  EXPECT_STREQ(path.cubic.state().phase, "slow-start");
}

TEST(Cubic, StartsSlowlyAfterPersistentCongestion) {
  Path path;
  while (path.datagrams() < 300) path.round();
  path.lose();
  const std::uint64_t threshold = path.cubic.window();
  path.cubic.on_persistent_congestion(path.now);
  EXPECT_EQ(path.cubic.window(), 2 * kDatagram);
  path.round();
  EXPECT_EQ(path.cubic.window(), 4 * kDatagram);
  EXPECT_EQ(path.cubic.state().slow_start_threshold, threshold);
}

TEST(Cubic, StaysBetweenItsLimits) {
  Path path;
  for (int i = 0; i < 100; ++i) path.lose();
  EXPECT_EQ(path.cubic.window(), 2 * kDatagram);
  Path fast;
  for (int i = 0; i < 40 && fast.cubic.window() < Cubic::kMaxWindowBytes; ++i) fast.round();
  fast.round();
  EXPECT_EQ(fast.cubic.window(), Cubic::kMaxWindowBytes);
}

TEST(Cubic, LeavesSlowStartWhenTheRoundTripGrows) {
  Path path;
  Duration rtt = kRtt;
  int rounds = 0;
  for (; rounds < 30 && path.cubic.state().slow_start_threshold == kUnlimited; ++rounds) {
    path.round(true, rtt);
    if (path.datagrams() > 100) rtt += milliseconds(8);
  }
  EXPECT_LT(rounds, 15);
  EXPECT_LT(path.datagrams(), 1'000) << "without it the window would go on doubling";
}

TEST(Cubic, TakesJitterForWhatItIs) {
  Path path;
  for (int i = 0; i < 4; ++i) path.round();
  path.round(true, kRtt + milliseconds(10));
  EXPECT_STREQ(path.cubic.state().phase, "conservative-slow-start");
  path.round();
  EXPECT_STREQ(path.cubic.state().phase, "slow-start");
}

TEST(Cubic, PacesALittleFasterThanTheWindow) {
  Path path;
  for (int i = 0; i < 3; ++i) path.round();
  const auto per_second = [&] { return static_cast<double>(path.cubic.window()) / 0.05; };
  EXPECT_NEAR(static_cast<double>(path.cubic.pacing_rate()), 2 * per_second(), 1'000);
  path.lose();
  path.round();
  EXPECT_NEAR(static_cast<double>(path.cubic.pacing_rate()), 1.25 * per_second(), 1'000);
}

TEST(Cubic, CountsItsFirstWindowInDatagramsOfThePath) {
  Path path;
  path.cubic.set_datagram_bytes(1'452);
  EXPECT_EQ(path.cubic.window(), 14'520u);
  path.round();
  const std::uint64_t window = path.cubic.window();
  path.cubic.set_datagram_bytes(9'000);
  EXPECT_EQ(path.cubic.window(), std::max<std::uint64_t>(window, 18'000));
}

}  // namespace
}  // namespace netmesh::session
