#include "session/pacer.h"

#include <gtest/gtest.h>

#include <random>

namespace netmesh::session {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kDatagram = 1'200;
constexpr TimePoint kStart{std::chrono::hours(1)};

/// Sends whenever it may for `duration`, waking up `late` after each release; bytes that left.
std::uint64_t drive(Pacer& pacer, TimePoint& now, Duration duration, Duration late = {},
                    std::uint64_t* wakeups = nullptr, std::uint64_t* largest_burst = nullptr) {
  const TimePoint end = now + duration;
  std::uint64_t sent = 0;
  while (now < end) {
    std::uint64_t burst = 0;
    while (!pacer.blocked() && burst < (1u << 30)) {
      pacer.on_sent(now, kDatagram);
      burst += kDatagram;
    }
    sent += burst;
    if (largest_burst != nullptr) *largest_burst = std::max(*largest_burst, burst);
    if (wakeups != nullptr) ++*wakeups;
    EXPECT_GT(*pacer.release_at(), now);
    now = *pacer.release_at() + late;
    pacer.on_time(now);
  }
  return sent;
}

TEST(Pacer, LetsEverythingPassWithoutARate) {
  Pacer pacer;
  for (int i = 0; i < 10'000; ++i) pacer.on_sent(kStart, kDatagram);
  EXPECT_FALSE(pacer.blocked());
  EXPECT_FALSE(pacer.active());
}

TEST(Pacer, KeepsItsRateAtAnySpeed) {
  for (const std::uint64_t rate :
       {20'000u, 125'000u, 1'250'000u, 12'500'000u, 125'000'000u, 1'250'000'000u}) {
    Pacer pacer;
    TimePoint now = kStart;
    pacer.set_rate(now, rate, kDatagram);
    const std::uint64_t sent = drive(pacer, now, seconds(4));
    EXPECT_NEAR(static_cast<double>(sent), 4.0 * static_cast<double>(rate),
                0.02 * 4.0 * static_cast<double>(rate) + 12'000)
        << rate;
  }
}

TEST(Pacer, KeepsItsRateWithLateTimers) {
  Pacer pacer;
  TimePoint now = kStart;
  pacer.set_rate(now, 12'500'000, kDatagram);
  const std::uint64_t sent = drive(pacer, now, seconds(4), microseconds(600));
  EXPECT_NEAR(static_cast<double>(sent), 50e6, 2e6);
}

TEST(Pacer, MakesUpForTimersThatABusyMachineServesLate) {
  Pacer pacer;
  TimePoint now = kStart;
  pacer.set_rate(now, 12'500'000, kDatagram);
  std::uint64_t burst = 0;
  const std::uint64_t sent = drive(pacer, now, seconds(4), milliseconds(3), nullptr, &burst);
  EXPECT_NEAR(static_cast<double>(sent), 50e6, 2e6);
  EXPECT_LE(burst, 5 * pacer.quantum() + kDatagram) << "but not in bursts of any size";
}

TEST(Pacer, WakesOncePerQuantumAndSendsWholeOnes) {
  Pacer pacer;
  TimePoint now = kStart;
  pacer.set_rate(now, 50'000'000, kDatagram);
  EXPECT_EQ(pacer.quantum(), 50'000u) << "a millisecond's worth";
  std::uint64_t wakeups = 0;
  drive(pacer, now, seconds(1), {}, &wakeups);
  EXPECT_NEAR(static_cast<double>(wakeups), 1'000, 50);
}

TEST(Pacer, BoundsBurstsAfterAPause) {
  Pacer pacer;
  TimePoint now = kStart;
  pacer.set_rate(now, 12'500'000, kDatagram);
  drive(pacer, now, milliseconds(100));
  now += seconds(10);
  pacer.on_time(now);
  std::uint64_t burst = 0;
  drive(pacer, now, milliseconds(10), {}, nullptr, &burst);
  EXPECT_LE(burst, 2 * pacer.quantum() + kDatagram);
  Pacer slow;
  slow.set_rate(now, 50'000, kDatagram);
  now += seconds(100);
  slow.on_time(now);
  burst = 0;
  drive(slow, now, milliseconds(10), {}, nullptr, &burst);
  EXPECT_LE(burst, 11 * kDatagram) << "an initial window";
}

TEST(Pacer, AHigherRateReleasesAtOnceWhatIsDue) {
  Pacer pacer;
  pacer.set_rate(kStart, 10'000, kDatagram);
  while (!pacer.blocked()) pacer.on_sent(kStart, kDatagram);
  const TimePoint before = *pacer.release_at();
  const TimePoint now = kStart + milliseconds(5);
  pacer.set_rate(now, 10'000'000, kDatagram);
  ASSERT_TRUE(pacer.release_at().has_value());
  EXPECT_LT(*pacer.release_at(), before);
  pacer.set_rate(now, kUnlimited, kDatagram);
  EXPECT_FALSE(pacer.blocked());
}

TEST(Pacer, SurvivesLeapsOfTheClockAndOfTheRate) {
  std::mt19937_64 random(1);
  Pacer pacer;
  TimePoint now = kStart;
  for (int i = 0; i < 100'000; ++i) {
    switch (random() % 5) {
      case 0:
        now += Duration(static_cast<std::int64_t>(random() >> (random() % 60 + 4)));
        if (now > kStart + std::chrono::hours(24 * 365)) now = kStart;  // backwards, too
        pacer.on_time(now);
        break;
      case 1:
        pacer.set_rate(now, random() >> (random() % 64), 1'200 + random() % 60'000);
        break;
      default:
        if (!pacer.blocked()) pacer.on_sent(now, random() % 65'536);
    }
    if (pacer.blocked()) {
      ASSERT_GT(*pacer.release_at(), TimePoint::min());
      ASSERT_TRUE(pacer.active());
    }
  }
}

}  // namespace
}  // namespace netmesh::session
