#include "session/interval_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace netmesh::session {
namespace {

using Numbers = std::set<std::uint64_t>;

/// The intervals that `numbers` make, computed the slow way.
std::vector<Interval> intervals_of(const Numbers& numbers) {
  std::vector<Interval> out;
  for (const std::uint64_t number : numbers) {
    if (!out.empty() && out.back().end == number)
      ++out.back().end;
    else
      out.push_back({number, number + 1});
  }
  return out;
}

TEST(IntervalSet, IsEmptyAtFirstAndTakesEmptyIntervalsAsNothing) {
  IntervalSet set;
  EXPECT_TRUE(set.empty());
  set.add(5, 5);
  set.add(6, 5);
  set.subtract(0, 10);
  set.trim_below(3);
  set.keep_newest(0);
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(set.contains(5));
}

TEST(IntervalSet, JoinsNeighbours) {
  IntervalSet set;
  set.add(0, 2);
  set.add(4, 6);
  EXPECT_EQ(set.interval_count(), 2u);
  set.add(2, 4);
  ASSERT_EQ(set.interval_count(), 1u);
  EXPECT_EQ(set.front(), (Interval{0, 6}));
}

TEST(IntervalSet, ReachesTheEndsOfItsRange) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  IntervalSet set;
  set.add(kMost - 1, kMost);
  set.add(0, 1);
  EXPECT_TRUE(set.contains(0));
  EXPECT_TRUE(set.contains(kMost - 1));
  EXPECT_FALSE(set.contains(kMost));
  set.subtract(0, kMost);
  EXPECT_TRUE(set.empty());
}

TEST(IntervalSet, AgreesWithASetOfNumbers) {
  constexpr std::uint64_t kRange = 60;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    IntervalSet set;
    Numbers model;
    for (int step = 0; step < 200; ++step) {
      const std::uint64_t begin = random() % kRange;
      const std::uint64_t end = begin + random() % 12;
      switch (random() % 6) {
        case 0:
        case 1:
        case 2:
          set.add(begin, end);
          for (std::uint64_t n = begin; n < end; ++n) model.insert(n);
          break;
        case 3:
          set.subtract(begin, end);
          for (std::uint64_t n = begin; n < end; ++n) model.erase(n);
          break;
        case 4:
          if (random() % 8 == 0) {
            set.trim_below(begin / 4);
            model.erase(model.begin(), model.lower_bound(begin / 4));
          }
          break;
        default: {
          if (random() % 8 != 0) break;
          const std::size_t kept = 1 + random() % 4;
          set.keep_newest(kept);
          const auto all = intervals_of(model);
          for (std::size_t i = 0; i + kept < all.size(); ++i) {
            for (std::uint64_t n = all[i].begin; n < all[i].end; ++n) model.erase(n);
          }
        }
      }
      ASSERT_EQ(set.intervals(), intervals_of(model)) << "seed " << seed << " step " << step;
      ASSERT_EQ(set.contains(begin), model.contains(begin)) << "seed " << seed;
      std::vector<Interval> missing, expected;
      set.for_each_missing(begin, end, [&](std::uint64_t b, std::uint64_t e) {
        missing.push_back({b, e});
      });
      for (std::uint64_t n = begin; n < end; ++n) {
        if (model.contains(n)) continue;
        if (!expected.empty() && expected.back().end == n)
          ++expected.back().end;
        else
          expected.push_back({n, n + 1});
      }
      ASSERT_EQ(missing, expected) << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace netmesh::session
