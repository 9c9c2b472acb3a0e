// Every scenario over many seeds.

#include "sim/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace netmesh::sim {
namespace {

/// What a scenario's own number of seeds is measured by.
constexpr std::uint64_t kUsualSeeds = 200;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr std::uint64_t kDefaultSeeds = 20;
#else
constexpr std::uint64_t kDefaultSeeds = kUsualSeeds;
#endif
/// Enough to see a pattern.
constexpr int kMaxReports = 3;

std::uint64_t setting(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Simulation : public ::testing::TestWithParam<Scenario> {};

TEST_P(Simulation, HoldsForEverySeed) {
  const Scenario& scenario = GetParam();
  const std::uint64_t first = setting("NETMESH_SIM_FIRST_SEED", 1);
  std::uint64_t count = setting("NETMESH_SIM_SEEDS", kDefaultSeeds);
  // Long scenarios have their share of what is asked for, be it few or many.
  if (scenario.test_seeds != 0)
    count = std::max<std::uint64_t>(1, count * scenario.test_seeds / kUsualSeeds);
  int reports = 0;
  for (std::uint64_t seed = first; seed < first + count && reports < kMaxReports; ++seed) {
    const Outcome outcome = run_scenario(scenario, seed);
    if (outcome.failures.empty()) continue;
    ++reports;
    ADD_FAILURE() << scenario.says << "\nseed " << seed << ": " << outcome.failures.front()
                  << "\nreplay: " << replay_command(scenario, seed);
  }
}

/// A timeline of the run, in one string.
std::string timeline_of(const Scenario& scenario, std::uint64_t seed, Outcome& outcome) {
  std::FILE* file = std::tmpfile();
  Trace trace(file);
  outcome = run_scenario(scenario, seed, &trace);
  std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST_P(Simulation, ReplaysASeedExactly) {
  Outcome first, second;
  const std::string timeline = timeline_of(GetParam(), 3, first);
  EXPECT_EQ(timeline, timeline_of(GetParam(), 3, second));
  EXPECT_FALSE(timeline.empty());
  EXPECT_EQ(first.virtual_time, second.virtual_time);
  EXPECT_EQ(first.network.sent, second.network.sent);
}

TEST(Scenarios, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const Scenario& scenario : scenarios()) {
    EXPECT_TRUE(names.insert(scenario.name).second) << scenario.name;
    EXPECT_FALSE(scenario.says.empty());
    EXPECT_EQ(find_scenario(scenario.name)->run, scenario.run);
  }
  EXPECT_EQ(find_scenario("no-such-thing"), nullptr);
}

std::string test_name(const ::testing::TestParamInfo<Scenario>& info) {
  std::string name(info.param.name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Simulation, ::testing::ValuesIn(scenarios()), test_name);

}  // namespace
}  // namespace netmesh::sim
