#include "sim/scenario.h"

namespace netmesh::sim {

std::span<const Scenario> scenarios() {
  static const std::vector<Scenario> all = [] {
    std::vector<Scenario> list;
    for (const auto part :
         {reliable_scenarios(), datagram_scenarios(), flow_scenarios(), handshake_scenarios(),
          hostile_scenarios(), life_scenarios(), path_scenarios(), keys_scenarios(),
          siege_scenarios(), weather_scenarios(), legacy_scenarios(), congestion_scenarios(),
          capability_scenarios(), channel_scenarios()}) {
      list.insert(list.end(), part.begin(), part.end());
    }
    return list;
  }();
  return all;
}

const Scenario* find_scenario(std::string_view name) {
  for (const Scenario& scenario : scenarios()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

Outcome run_scenario(const Scenario& scenario, std::uint64_t seed, Trace* trace) {
  World world(seed, trace);
  SimRandom random(~seed);
  scenario.run(world, random);
  return {world.failures(), world.network.elapsed(), world.network.stats()};
}

std::string replay_command(const Scenario& scenario, std::uint64_t seed) {
  return "npm run sim -- --scenario " + std::string(scenario.name) + " --seed " +
         std::to_string(seed) + " --trace";
}

}  // namespace netmesh::sim
