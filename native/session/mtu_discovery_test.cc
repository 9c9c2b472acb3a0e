#include "session/mtu_discovery.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;

constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr std::size_t kBase = 1200;

/// Lets a search run over a path that carries `path_bytes`; every probe it sent.
std::vector<std::size_t> search(MtuDiscovery& mtu, std::size_t path_bytes, TimePoint& now) {
  std::vector<std::size_t> probes;
  while (const auto size = mtu.probe_due(now)) {
    if (probes.size() > 1000) break;
    probes.push_back(*size);
    mtu.on_probe_sent();
    EXPECT_FALSE(mtu.probe_due(now)) << "one at a time";
    now += milliseconds(10);
    if (*size <= path_bytes) {
      mtu.on_probe_acknowledged(*size, now);
    } else {
      mtu.on_probe_lost(*size, now);
    }
  }
  return probes;
}

TEST(MtuDiscovery, FindsWhatThePathCarriesAndNeverMore) {
  for (std::size_t path = kBase; path <= 20'000; path += 7) {
    MtuDiscovery mtu(kBase, 16'384);
    TimePoint now = kStart;
    const auto probes = search(mtu, path, now);
    EXPECT_LE(mtu.current(), std::max(path, kBase));
    EXPECT_LE(probes.size(), 40u);
    if (path >= 16'384) {
      EXPECT_EQ(mtu.current(), 16'384u);
    }
  }
}

TEST(MtuDiscovery, FindsTheCommonSizesExactly) {
  for (const std::size_t path : {1'392u, 1'452u, 1'472u, 8'952u, 8'972u, 16'384u}) {
    MtuDiscovery mtu(kBase, 16'384);
    TimePoint now = kStart;
    search(mtu, path, now);
    EXPECT_EQ(mtu.current(), path);
  }
}

TEST(MtuDiscovery, TriesEthernetFirstAndGivesUpSoonAboveIt) {
  MtuDiscovery mtu(kBase, 16'384);
  TimePoint now = kStart;
  const auto probes = search(mtu, 1'472, now);
  ASSERT_FALSE(probes.empty());
  EXPECT_EQ(probes.front(), 1'472u);
  EXPECT_EQ(probes.size(), 1 + MtuDiscovery::kMaxProbes);
}

TEST(MtuDiscovery, NeverExceedsTheCeiling) {
  for (const std::size_t ceiling : {1'000u, 1'200u, 1'201u, 1'300u, 1'472u, 5'000u, 9'000u}) {
    MtuDiscovery mtu(kBase, ceiling);
    TimePoint now = kStart;
    for (const std::size_t probe : search(mtu, 65'000, now)) EXPECT_LE(probe, ceiling);
    EXPECT_EQ(mtu.current(), std::max<std::size_t>(kBase, ceiling));
  }
}

TEST(MtuDiscovery, LooksAgainAfterAWhile) {
  MtuDiscovery mtu(kBase, 16'384);
  TimePoint now = kStart;
  search(mtu, 1'472, now);
  EXPECT_FALSE(mtu.probe_due(now + MtuDiscovery::kRaiseInterval - std::chrono::seconds(1)));
  now += MtuDiscovery::kRaiseInterval;
  search(mtu, 8'972, now);
  EXPECT_EQ(mtu.current(), 8'972u);
}

TEST(MtuDiscovery, FallsBackWhenLargePacketsVanish) {
  MtuDiscovery mtu(kBase, 16'384);
  TimePoint now = kStart;
  search(mtu, 8'972, now);
  // Loss among arrivals is no black hole.
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_FALSE(mtu.on_lost(8'972, now));
    if (i % 5 == 0) mtu.on_acknowledged(8'972);
  }
  // Small packets arriving prove nothing.
  bool fell = false;
  for (unsigned i = 0; i < MtuDiscovery::kBlackHoleLosses && !fell; ++i) {
    mtu.on_acknowledged(kBase);
    fell = mtu.on_lost(8'972, now);
  }
  EXPECT_TRUE(fell);
  EXPECT_EQ(mtu.current(), kBase);
  EXPECT_EQ(mtu.black_holes(), 1u);
  EXPECT_FALSE(mtu.probe_due(now));
  now += MtuDiscovery::kBlackHolePause;
  search(mtu, 1'472, now);
  EXPECT_EQ(mtu.current(), 1'472u);
}

TEST(MtuDiscovery, FallsBackWhenNothingIsHeardAtAll) {
  MtuDiscovery mtu(kBase, 16'384);
  TimePoint now = kStart;
  EXPECT_FALSE(mtu.on_timeout(5, now)) << "nothing to fall back from";
  search(mtu, 1'472, now);
  EXPECT_FALSE(mtu.on_timeout(1, now));
  EXPECT_TRUE(mtu.on_timeout(2, now));
  EXPECT_EQ(mtu.current(), kBase);
}

TEST(MtuDiscovery, IgnoresAnswersToProbesOfAnEarlierSearch) {
  MtuDiscovery mtu(kBase, 16'384);
  EXPECT_FALSE(mtu.on_probe_acknowledged(1'472, kStart));
  EXPECT_EQ(mtu.current(), kBase);
}

}  // namespace
}  // namespace netmesh::session
