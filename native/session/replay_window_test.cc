#include "session/replay_window.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace netmesh::session {
namespace {

TEST(ReplayWindow, TakesEachCounterOnce) {
  ReplayWindow window;
  EXPECT_TRUE(window.check(0));
  EXPECT_TRUE(window.commit(0));
  EXPECT_FALSE(window.check(0));
  EXPECT_FALSE(window.commit(0));
  EXPECT_EQ(window.next(), 1u);
}

TEST(ReplayWindow, ForgetsWhatIsOlderThanItsSize) {
  ReplayWindow window;
  EXPECT_TRUE(window.commit(5'000));
  EXPECT_TRUE(window.check(5'000 - 1'023));
  EXPECT_FALSE(window.check(5'000 - 1'024)) << "too old to know";
  EXPECT_FALSE(window.check(0));
}

TEST(ReplayWindow, TakesAnyForwardJumpButTheLastCounter) {
  ReplayWindow window;
  EXPECT_TRUE(window.commit(0));
  EXPECT_TRUE(window.commit(1ULL << 40));
  EXPECT_FALSE(window.check(0));
  EXPECT_FALSE(window.commit(ReplayWindow::kForbidden));
  EXPECT_TRUE(window.commit(ReplayWindow::kForbidden - 1));
  EXPECT_FALSE(window.check(ReplayWindow::kForbidden));
  EXPECT_TRUE(window.commit(ReplayWindow::kForbidden - 2));
}

TEST(ReplayWindow, CheckChangesNothing) {
  ReplayWindow window;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(window.check(77));
  EXPECT_EQ(window.next(), 0u);
}

TEST(ReplayWindow, AgreesWithAModelThatRemembersEverything) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 random(seed);
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t highest = 0;
    bool any = false;
    for (int step = 0; step < 3'000; ++step) {
      std::uint64_t counter = 0;
      switch (random() % 8) {
        case 0:
          counter = highest + random() % 3'000;
          break;
        case 1:
          counter = random() % (highest + 1);
          break;
        default:
          counter = highest + 10 - std::min<std::uint64_t>(highest + 10, random() % 1'100);
      }
      const bool expected = !any || counter > highest ||
                            (highest - counter < ReplayWindow::kSize && !seen.contains(counter));
      ASSERT_EQ(window.check(counter), expected) << "seed " << seed << " step " << step;
      if (random() % 4 == 0) continue;  // did not authenticate
      ASSERT_EQ(window.commit(counter), expected) << "seed " << seed << " step " << step;
      if (!expected) continue;
      seen.insert(counter);
      highest = any ? std::max(highest, counter) : counter;
      any = true;
      ASSERT_EQ(window.next(), highest + 1);
    }
  }
}

}  // namespace
}  // namespace netmesh::session
