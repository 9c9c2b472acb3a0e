#include "session/congestion_controller.h"

#include <gtest/gtest.h>

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kDatagram = 1'200;
constexpr TimePoint kStart{std::chrono::hours(1)};

TEST(NewReno, DoublesPerRoundTripWhileItIsTheLimit) {
  NewReno reno(kDatagram);
  EXPECT_EQ(reno.window(), 10 * kDatagram);
  for (int i = 0; i < 10; ++i) reno.on_acknowledged(kDatagram, kStart, true);
  EXPECT_EQ(reno.window(), 20 * kDatagram);
}

TEST(NewReno, DoesNotGrowWhenTheApplicationIsTheLimit) {
  NewReno reno(kDatagram);
  for (int i = 0; i < 100; ++i) reno.on_acknowledged(kDatagram, kStart, false);
  EXPECT_EQ(reno.window(), 10 * kDatagram);
}

TEST(NewReno, HalvesOncePerRoundTrip) {
  NewReno reno(kDatagram);
  reno.on_lost(kStart + milliseconds(10), kStart);
  EXPECT_EQ(reno.window(), 5 * kDatagram);
  reno.on_lost(kStart + milliseconds(11), kStart + milliseconds(5));
  EXPECT_EQ(reno.window(), 5 * kDatagram) << "sent before the loss was known";
  reno.on_lost(kStart + milliseconds(30), kStart + milliseconds(20));
  EXPECT_EQ(reno.window(), 2 * kDatagram + kDatagram / 2);
}

TEST(NewReno, GrowsByOnePacketPerWindowAfterALoss) {
  NewReno reno(kDatagram);
  reno.on_lost(kStart, kStart - milliseconds(1));
  const std::uint64_t window = reno.window();
  for (std::uint64_t acked = 0; acked < window; acked += kDatagram) {
    reno.on_acknowledged(kDatagram, kStart + milliseconds(1), true);
  }
  EXPECT_EQ(reno.window(), window + kDatagram);
}

TEST(NewReno, KeepsTwoPacketsAndNoMoreThanItsLargestWindow) {
  NewReno reno(kDatagram);
  for (int i = 1; i < 50; ++i) {
    reno.on_lost(kStart + milliseconds(i), kStart + milliseconds(i) - Duration(1));
  }
  EXPECT_EQ(reno.window(), 2 * kDatagram);
  NewReno fast(kDatagram);
  for (int i = 0; i < 100'000; ++i) fast.on_acknowledged(kDatagram, kStart, true);
  EXPECT_EQ(fast.window(), NewReno::kMaxWindowBytes);
  fast.on_persistent_congestion();
  EXPECT_EQ(fast.window(), 2 * kDatagram);
}

}  // namespace
}  // namespace netmesh::session
