#include "session/ambient_loss.h"

#include <gtest/gtest.h>

namespace netmesh::session {
namespace {

TEST(AmbientLoss, KnowsNothingWithoutBothKindsOfEvidence) {
  AmbientLoss ambient;
  for (int i = 0; i < 20; ++i) ambient.observe_usual(90, 10);
  EXPECT_EQ(ambient.share(), 0) << "it may be this sender's own doing";
  EXPECT_TRUE(ambient.wants_evidence());
  ambient.observe_slow(90, 10);
  EXPECT_NEAR(ambient.share(), 0.1, 0.001);
  EXPECT_FALSE(ambient.wants_evidence());
}

TEST(AmbientLoss, TakesLossesThatASlowSenderDoesNotSeeForCongestion) {
  AmbientLoss ambient;
  for (int i = 0; i < 20; ++i) ambient.observe_usual(90, 10);
  ambient.observe_slow(100, 0);
  EXPECT_EQ(ambient.share(), 0);
}

TEST(AmbientLoss, IgnoresASingleBurst) {
  AmbientLoss ambient;
  ambient.observe_slow(80, 20);
  ambient.observe_usual(400, 0);
  ambient.observe_usual(50, 50);
  ambient.observe_usual(400, 0);
  EXPECT_EQ(ambient.share(), 0);
}

TEST(AmbientLoss, FollowsAPathThatBecomesClean) {
  AmbientLoss ambient;
  ambient.observe_slow(80, 20);
  for (int i = 0; i < 3; ++i) ambient.observe_usual(80, 20);
  EXPECT_NEAR(ambient.share(), 0.2, 0.001);
  for (int i = 0; i < 2; ++i) ambient.observe_usual(400, 0);
  EXPECT_EQ(ambient.share(), 0);
}

TEST(AmbientLoss, StopsAtHalf) {
  AmbientLoss ambient;
  for (int i = 0; i < 20; ++i) {
    ambient.observe_slow(10, 90);
    ambient.observe_usual(10, 90);
  }
  EXPECT_EQ(ambient.share(), AmbientLoss::kLargest);
}

TEST(AmbientLoss, AllowsForChance) {
  AmbientLoss ambient;
  EXPECT_TRUE(ambient.exceeded(3, 100, 0.02));
  EXPECT_FALSE(ambient.exceeded(2, 100, 0.02));
  ambient.observe_slow(90, 10);
  for (int i = 0; i < 3; ++i) ambient.observe_usual(180, 20);
  EXPECT_FALSE(ambient.exceeded(15, 100, 0.02)) << "ten are usual, sixteen not unlikely";
  EXPECT_TRUE(ambient.exceeded(20, 100, 0.02));
}

}  // namespace
}  // namespace netmesh::session
