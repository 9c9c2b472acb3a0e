#include "channel/throttle.h"

#include <gtest/gtest.h>

#include "channel/channel_testing.h"
#include "channel/history.h"
#include "channel/rate_limit.h"

namespace netmesh::channel {
namespace {

TimePoint at(double seconds) { return testing::at(seconds).monotonic; }
constexpr NodeId kPeer{7};

TEST(FailureThrottle, RefusesForHalfAMinuteAfterTheSixteenthFailureOfAWindow) {
  FailureThrottle throttle({});
  for (int i = 0; i < 15; ++i) throttle.blame(kPeer, at(i));
  EXPECT_FALSE(throttle.is_throttled(kPeer, at(20)));
  throttle.blame(kPeer, at(20));
  EXPECT_TRUE(throttle.is_throttled(kPeer, at(20)));
  EXPECT_FALSE(throttle.is_throttled(NodeId(8), at(20))) << "others are not";
  EXPECT_TRUE(throttle.is_throttled(kPeer, at(49.9)));
  EXPECT_FALSE(throttle.is_throttled(kPeer, at(50)));
  EXPECT_EQ(throttle.size(), 0u) << "all is forgotten";
}

TEST(FailureThrottle, StartsANewWindowAfterAMinute) {
  FailureThrottle throttle({.failures = 3});
  throttle.blame(kPeer, at(0));
  throttle.blame(kPeer, at(60));
  throttle.blame(kPeer, at(60.5));
  EXPECT_FALSE(throttle.is_throttled(kPeer, at(60.5))) << "the first one is over a minute old";
  throttle.blame(kPeer, at(61));
  throttle.blame(kPeer, at(62));
  EXPECT_TRUE(throttle.is_throttled(kPeer, at(62)));
}

TEST(FailureThrottle, ForgivesAndCanBeSwitchedOff) {
  FailureThrottle throttle({.failures = 2});
  throttle.blame(kPeer, at(0));
  throttle.forgive(kPeer);
  throttle.blame(kPeer, at(1));
  EXPECT_FALSE(throttle.is_throttled(kPeer, at(1)));
  FailureThrottle off({.failures = FailureThrottle::kNever});
  for (int i = 0; i < 100'000; ++i) off.blame(kPeer, at(0));
  EXPECT_FALSE(off.is_throttled(kPeer, at(0)));
}

TEST(FailureThrottle, StaysWithinItsBoundAndMakesRoomOfWhatIsOver) {
  FailureThrottle throttle({.failures = 1, .max_peers = 10});
  for (std::uint64_t n = 0; n < 20; ++n) throttle.blame(NodeId(n), at(0));
  EXPECT_EQ(throttle.size(), 10u);
  throttle.blame(NodeId(100), at(31));
  EXPECT_EQ(throttle.size(), 1u);
  EXPECT_TRUE(throttle.is_throttled(NodeId(100), at(31)));
}

TEST(RateLimit, LetsThroughOneBurstAndThenTheRate) {
  RateLimit limit;
  int passed = 0;
  for (int i = 0; i < 1000; ++i) passed += limit.take(at(0), 100, 1) ? 1 : 0;
  EXPECT_EQ(passed, 100);
  EXPECT_FALSE(limit.take(at(0.009), 100, 1));
  EXPECT_TRUE(limit.take(at(0.01), 100, 1));
  for (int ms = 10; ms < 10'000; ++ms) passed += limit.take(at(ms / 1000.0), 100, 1) ? 1 : 0;
  EXPECT_NEAR(passed, 1100, 2);
}

TEST(RateLimit, MakesALongBatchWaitForTheWholeBurstAndPaysForItAfterwards) {
  RateLimit limit;
  EXPECT_TRUE(limit.take(at(0), 10, 50)) << "five seconds' worth";
  EXPECT_FALSE(limit.take(at(3.9), 10, 1));
  EXPECT_TRUE(limit.take(at(4.15), 10, 1));
  EXPECT_FALSE(limit.take(at(4.2), 10, 50));
  EXPECT_TRUE(limit.take(at(5.2), 10, 50));
}

Payload payload_of(std::size_t size) {
  return std::make_shared<const Bytes>(size, std::byte{static_cast<unsigned char>(size)});
}

TEST(History, KeepsTheNewestWithinItsBounds) {
  History history;
  for (std::size_t n = 1; n <= 10; ++n) history.add(payload_of(n), {4, 1000});
  EXPECT_EQ(history.size(), 4u);
  EXPECT_EQ(history.bytes(), 7u + 8 + 9 + 10);
  const auto last = history.last(2);
  ASSERT_EQ(last.size(), 2u);
  EXPECT_EQ(last[0]->size(), 9u);
  EXPECT_EQ(last[1]->size(), 10u);
  EXPECT_EQ(history.last(100).size(), 4u);
  history.add(payload_of(5), {4, 16});
  EXPECT_EQ(history.bytes(), 15u) << "10 and 5";
  history.add(payload_of(17), {4, 16});
  EXPECT_EQ(history.size(), 0u) << "no gap, so nothing";
  EXPECT_EQ(history.bytes(), 0u);
}

}  // namespace
}  // namespace netmesh::channel
