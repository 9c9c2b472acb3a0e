// Every scenario over many seeds.

#include "sim/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace netmesh::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr std::uint64_t kDefaultSeeds = 20;
#else
constexpr std::uint64_t kDefaultSeeds = 200;
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
  const std::uint64_t count = setting("NETMESH_SIM_SEEDS", kDefaultSeeds);
  int reports = 0;
  for (std::uint64_t seed = first; seed < first + count && reports < kMaxReports; ++seed) {
    const Outcome outcome = run_scenario(scenario, seed);
    if (outcome.failures.empty()) continue;
    ++reports;
    ADD_FAILURE() << scenario.says << "\nseed " << seed << ": " << outcome.failures.front()
                  << "\nreplay: " << replay_command(scenario, seed);
  }
}

std::string test_name(const ::testing::TestParamInfo<Scenario>& info) {
  std::string name(info.param.name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Simulation, ::testing::ValuesIn(scenarios()), test_name);

}  // namespace
}  // namespace netmesh::sim
