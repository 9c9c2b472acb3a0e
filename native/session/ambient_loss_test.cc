#include "session/ambient_loss.h"

#include <gtest/gtest.h>

namespace netmesh::session {
namespace {

TEST(AmbientLoss, KnowsNothingWithoutATest) {
  AmbientLoss ambient;
  for (int i = 0; i < 20; ++i) ambient.observe_usual(90, 10);
  EXPECT_EQ(ambient.share(), 0) << "it may be this sender's own doing";
  EXPECT_TRUE(ambient.wants_evidence());
  ambient.begin_test();
  ambient.observe_slow(180, 20);
  EXPECT_TRUE(ambient.test_complete());
  EXPECT_NEAR(ambient.share(), 0.1, 0.001) << "at once";
  EXPECT_FALSE(ambient.wants_evidence());
}

TEST(AmbientLoss, TakesLossesThatASlowSenderDoesNotSeeForCongestion) {
  AmbientLoss ambient;
  ambient.begin_test();
  ambient.observe_slow(200, 0);
  for (int i = 0; i < 20; ++i) ambient.observe_usual(90, 10);
  EXPECT_EQ(ambient.share(), 0);
  EXPECT_TRUE(ambient.wants_evidence()) << "it may have been luck";
}

TEST(AmbientLoss, PutsUpWithALuckyTest) {
  AmbientLoss ambient;
  ambient.begin_test();
  ambient.observe_slow(116, 4);
  EXPECT_NEAR(ambient.share(), 4.0 / 120, 0.001);
  for (int i = 0; i < 20; ++i) ambient.observe_usual(95, 5);
  EXPECT_NEAR(ambient.share(), 0.05, 0.001) << "5 % may show as 3 %";
  for (int i = 0; i < 20; ++i) ambient.observe_usual(85, 15);
  EXPECT_NEAR(ambient.share(), 4.0 / 120, 0.001) << "15 % may not";
}

TEST(AmbientLoss, KeepsItsVerdictUntilThereIsANewOne) {
  AmbientLoss ambient;
  ambient.begin_test();
  ambient.observe_slow(80, 20);
  EXPECT_FALSE(ambient.test_complete());
  EXPECT_EQ(ambient.share(), 0) << "too little to say";
  ambient.begin_test();  // goes on where the last one broke off
  ambient.observe_slow(80, 20);
  EXPECT_NEAR(ambient.share(), 0.2, 0.001);
  ambient.begin_test();
  EXPECT_FALSE(ambient.test_complete());
  ambient.observe_slow(100, 0);
  EXPECT_NEAR(ambient.share(), 0.2, 0.001);
  ambient.observe_slow(100, 0);
  EXPECT_EQ(ambient.share(), 0);
}

TEST(AmbientLoss, IgnoresASingleBurst) {
  AmbientLoss ambient;
  ambient.begin_test();
  ambient.observe_slow(160, 40);
  for (int i = 0; i < 2; ++i) ambient.observe_usual(400, 0);
  ambient.observe_usual(50, 50);
  EXPECT_EQ(ambient.share(), 0);
}

TEST(AmbientLoss, FollowsAPathThatBecomesClean) {
  AmbientLoss ambient;
  ambient.begin_test();
  ambient.observe_slow(160, 40);
  for (int i = 0; i < 3; ++i) ambient.observe_usual(160, 40);
  EXPECT_NEAR(ambient.share(), 0.2, 0.001);
  for (int i = 0; i < 2; ++i) ambient.observe_usual(400, 0);
  EXPECT_EQ(ambient.share(), 0);
}

TEST(AmbientLoss, StopsAtHalf) {
  AmbientLoss ambient;
  for (int i = 0; i < 20; ++i) {
    ambient.observe_slow(20, 180);
    ambient.observe_usual(10, 90);
  }
  EXPECT_EQ(ambient.share(), AmbientLoss::kLargest);
}

TEST(AmbientLoss, AllowsForChance) {
  AmbientLoss ambient;
  EXPECT_TRUE(ambient.exceeded(3, 100, 0.02));
  EXPECT_FALSE(ambient.exceeded(2, 100, 0.02));
  ambient.begin_test();
  ambient.observe_slow(900, 100);
  EXPECT_FALSE(ambient.exceeded(20, 100, 0.02)) << "ten are usual, twenty-one not unlikely";
  EXPECT_TRUE(ambient.exceeded(22, 100, 0.02));
  EXPECT_FALSE(ambient.exceeded(1'290, 10'000, 0.02));
  EXPECT_TRUE(ambient.exceeded(1'300, 10'000, 0.02)) << "the more packets, the less is chance";
}

}  // namespace
}  // namespace netmesh::session
