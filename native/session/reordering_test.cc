#include "session/reordering.h"

#include <gtest/gtest.h>

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;

TEST(ReorderingTolerance, BeginsWhereRfc9002Does) {
  const ReorderingTolerance tolerance;
  EXPECT_EQ(tolerance.packet_threshold(), 3u);
  EXPECT_EQ(tolerance.time_threshold(milliseconds(80)), milliseconds(90));
}

TEST(ReorderingTolerance, GrowsBeyondWhatItHasSeenUpToABound) {
  ReorderingTolerance tolerance;
  tolerance.on_spurious(10, false);
  EXPECT_GT(tolerance.packet_threshold(), 10u);
  EXPECT_EQ(tolerance.time_threshold(milliseconds(80)), milliseconds(90));
  tolerance.on_spurious(1'000'000, false);
  EXPECT_EQ(tolerance.packet_threshold(), ReorderingTolerance::kMaxPacketThreshold);
  for (int i = 0; i < 10; ++i) tolerance.on_spurious(1, true);
  EXPECT_EQ(tolerance.time_threshold(milliseconds(80)), milliseconds(160));
}

TEST(ReorderingTolerance, ForgetsAfterManyRealLosses) {
  ReorderingTolerance tolerance;
  tolerance.on_spurious(20, false);
  for (unsigned i = 0; i + 1 < ReorderingTolerance::kForgetAfter; ++i)
    tolerance.on_congestion_event();
  EXPECT_GT(tolerance.packet_threshold(), 20u);
  tolerance.on_spurious(20, false);
  tolerance.on_congestion_event();
  EXPECT_GT(tolerance.packet_threshold(), 20u) << "counted from the last proof";
  for (unsigned i = 0; i < ReorderingTolerance::kForgetAfter; ++i) tolerance.on_congestion_event();
  EXPECT_EQ(tolerance.packet_threshold(), ReorderingTolerance::kPacketThreshold);
}

}  // namespace
}  // namespace netmesh::session
