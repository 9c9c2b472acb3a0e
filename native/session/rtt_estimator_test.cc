#include "session/rtt_estimator.h"

#include <gtest/gtest.h>

namespace netmesh::session {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kNoDelay{};

TEST(RttEstimator, GuessesBeforeItsFirstSample) {
  const RttEstimator rtt;
  EXPECT_FALSE(rtt.has_sample());
  EXPECT_EQ(rtt.smoothed(), milliseconds(100));
  EXPECT_EQ(rtt.probe_timeout(milliseconds(2)), milliseconds(100 + 200 + 2));
}

TEST(RttEstimator, TakesItsFirstSampleAsItIs) {
  RttEstimator rtt;
  rtt.on_sample(milliseconds(40), milliseconds(10));
  EXPECT_EQ(rtt.smoothed(), milliseconds(40));
  EXPECT_EQ(rtt.minimum(), milliseconds(40));
  EXPECT_EQ(rtt.probe_timeout(kNoDelay), milliseconds(40 + 80));
}

TEST(RttEstimator, WeighsLaterSamplesAsRfc9002Does) {
  RttEstimator rtt;
  rtt.on_sample(milliseconds(40), kNoDelay);
  rtt.on_sample(milliseconds(80), kNoDelay);
  EXPECT_EQ(rtt.smoothed(), milliseconds(45));
  // Variation 20 ms, then 3/4 of it and 1/4 of |40 - 80|.
  EXPECT_EQ(rtt.probe_timeout(kNoDelay), milliseconds(45) + 4 * milliseconds(25));
  EXPECT_EQ(rtt.loss_delay(), milliseconds(80) * 9 / 8);
}

TEST(RttEstimator, SubtractsTheDelayUnlessThatGoesBelowTheMinimum) {
  RttEstimator rtt;
  rtt.on_sample(milliseconds(40), kNoDelay);
  rtt.on_sample(milliseconds(50), milliseconds(10));
  EXPECT_EQ(rtt.smoothed(), milliseconds(40));
  rtt.on_sample(milliseconds(41), milliseconds(10));
  EXPECT_GT(rtt.smoothed(), milliseconds(40)) << "a peer cannot talk our estimate down";
  EXPECT_EQ(rtt.minimum(), milliseconds(40));
}

TEST(RttEstimator, NeverWaitsForLessThanItsTimersCanTell) {
  RttEstimator rtt;
  for (int i = 0; i < 100; ++i) rtt.on_sample(microseconds(20), kNoDelay);
  EXPECT_EQ(rtt.loss_delay(), RttEstimator::kGranularity);
  EXPECT_GE(rtt.probe_timeout(milliseconds(2)), RttEstimator::kSchedulingDelay + milliseconds(2));
}

TEST(RttEstimator, ConvergesOnASteadyPathAfterALongOne) {
  RttEstimator rtt;
  rtt.on_sample(std::chrono::seconds(10), kNoDelay);
  for (int i = 0; i < 200; ++i) rtt.on_sample(milliseconds(10), kNoDelay);
  EXPECT_LT(rtt.smoothed(), milliseconds(11));
  EXPECT_LT(rtt.probe_timeout(kNoDelay), milliseconds(11) + RttEstimator::kSchedulingDelay);
}

}  // namespace
}  // namespace netmesh::session
