#include "session/receive_window.h"

#include <gtest/gtest.h>

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

TEST(ReceiveWindow, DoublesWhileItHoldsThePeerBackUpToItsCap) {
  ReceiveWindow window(1'000, 7'000);
  TimePoint now = kStart;
  std::uint64_t before = window.size();
  for (int i = 0; i < 10; ++i) {
    window.on_update(now, milliseconds(100));
    EXPECT_LE(window.size(), 2 * before);
    before = window.size();
    now += milliseconds(40);  // a quarter of the window in less than half a round trip
  }
  EXPECT_EQ(window.size(), 7'000u);
}

TEST(ReceiveWindow, StaysWhileTheApplicationOrThePathIsSlower) {
  ReceiveWindow window(1'000, 1'000'000);
  TimePoint now = kStart;
  for (int i = 0; i < 100; ++i) {
    window.on_update(now, milliseconds(100));
    now += milliseconds(51);
  }
  EXPECT_EQ(window.size(), 1'000u);
}

TEST(ReceiveWindow, StaysWhenTheRoundTripIsUnknown) {
  ReceiveWindow window(1'000, 1'000'000);
  for (int i = 0; i < 100; ++i) window.on_update(kStart, std::nullopt);
  EXPECT_EQ(window.size(), 1'000u);
}

TEST(ReceiveWindow, APlainSizeDoesNotGrow) {
  ReceiveWindow window = 1'000;
  for (int i = 0; i < 100; ++i) window.on_update(kStart, milliseconds(100));
  window.grow_to(5'000);
  EXPECT_EQ(window.size(), 1'000u);
}

TEST(ReceiveWindow, ACapBelowTheInitialSizeChangesNothing) {
  ReceiveWindow window(1'000, 10);
  EXPECT_EQ(window.size(), 1'000u);
  window.grow_to(900);
  EXPECT_EQ(window.size(), 1'000u);
}

}  // namespace
}  // namespace netmesh::session
