#pragma once
// Named scenarios: a small world, traffic, faults, and what must hold. Tests run each over many
// seeds; `npm run sim` runs any of them, with a timeline.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/network.h"
#include "sim/world.h"

namespace netmesh::sim {

struct Scenario {
  std::string_view name;  ///< lower case with dashes; what --scenario takes
  std::string_view says;  ///< the property, as a sentence
  /// Draws its choices from `random` and reports to `world`.
  void (*run)(World& world, SimRandom& random);
  /// For long runs: how many seeds a test takes where others take 200; 0: as many.
  std::uint64_t test_seeds = 0;
};

/// All of them, by topic.
std::span<const Scenario> scenarios();
/// Null when there is none of that name.
const Scenario* find_scenario(std::string_view name);

struct Outcome {
  std::vector<std::string> failures;
  Duration virtual_time{};
  NetworkStats network;
};

Outcome run_scenario(const Scenario& scenario, std::uint64_t seed, Trace* trace = nullptr);

/// The command that replays one seed with its timeline.
std::string replay_command(const Scenario& scenario, std::uint64_t seed);

/// The parts of `scenarios()`, each in a file of its own.
std::span<const Scenario> reliable_scenarios();
std::span<const Scenario> datagram_scenarios();
std::span<const Scenario> flow_scenarios();
std::span<const Scenario> handshake_scenarios();
std::span<const Scenario> hostile_scenarios();
std::span<const Scenario> life_scenarios();
std::span<const Scenario> path_scenarios();
std::span<const Scenario> keys_scenarios();
std::span<const Scenario> siege_scenarios();
std::span<const Scenario> weather_scenarios();
std::span<const Scenario> legacy_scenarios();
std::span<const Scenario> congestion_scenarios();
std::span<const Scenario> capability_scenarios();
std::span<const Scenario> channel_scenarios();

}  // namespace netmesh::sim
