#include "mesh/token_bucket.h"

#include <gtest/gtest.h>

namespace netmesh::mesh {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{hours(1)};
constexpr TokenBucket::Rate kRate{10, 5};

int taken(TokenBucket& bucket, TimePoint now, int tries, TokenBucket::Rate rate = kRate) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += bucket.take(now, rate) ? 1 : 0;
  return count;
}

TEST(TokenBucket, IsFullAtFirst) {
  TokenBucket bucket;
  EXPECT_EQ(taken(bucket, kStart, 100), 5);
  TokenBucket early;
  EXPECT_EQ(taken(early, TimePoint{}, 100), 5);
}

TEST(TokenBucket, LookingTakesNothing) {
  TokenBucket bucket;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(bucket.has(kStart, kRate));
  EXPECT_EQ(taken(bucket, kStart, 100), 5);
  EXPECT_FALSE(bucket.has(kStart, kRate));
}

TEST(TokenBucket, FillsAtItsRateUpToItsBurst) {
  TokenBucket bucket;
  taken(bucket, kStart, 100);
  EXPECT_EQ(taken(bucket, kStart + milliseconds(99), 100), 0);
  EXPECT_EQ(taken(bucket, kStart + milliseconds(301), 100), 3);
  EXPECT_EQ(taken(bucket, kStart + hours(1000), 100), 5);
}

TEST(TokenBucket, LosesNothingWhenItIsAskedVeryOften) {
  TokenBucket bucket;
  taken(bucket, kStart, 100);
  int count = 0;
  for (int i = 1; i <= 1'000'000; ++i) count += taken(bucket, kStart + microseconds(10 * i), 1);
  EXPECT_NEAR(count, 100, 2);
}

TEST(TokenBucket, AClockThatGoesBackNeitherFillsNorEmptiesIt) {
  TokenBucket bucket;
  EXPECT_EQ(taken(bucket, kStart + seconds(10), 3), 3);
  EXPECT_EQ(taken(bucket, kStart, 100), 2);
  EXPECT_EQ(taken(bucket, kStart + seconds(10), 100), 0);
  EXPECT_EQ(taken(bucket, kStart + seconds(11), 100), 5);
}

TEST(TokenBucket, WithoutABurstNothingPasses) {
  TokenBucket bucket;
  EXPECT_EQ(taken(bucket, kStart, 10, {0, 0}), 0);
  EXPECT_EQ(taken(bucket, kStart + hours(1), 10, {0, 0}), 0);
}

}  // namespace
}  // namespace netmesh::mesh
