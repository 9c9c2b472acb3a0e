// Runs scenarios over seeds and prints a table, or one seed with its timeline.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/congestion_table.h"
#include "sim/plot.h"
#include "sim/scenario.h"

namespace {

using netmesh::sim::Outcome;
using netmesh::sim::Scenario;

constexpr const char* kUsage =
    "Usage: sim [options]\n"
    "\n"
    "  --scenario NAME   only this one, or all whose name begins so (default: all)\n"
    "  --seed N          the first seed (default 1; alone: only this one)\n"
    "  --seeds N         how many seeds (default 200)\n"
    "  --trace           the timeline of every run: packets, losses, window, round trip, pacing\n"
    "  --plot FILE       an SVG of window, in flight, delivery and round trip over time (one run)\n"
    "  --list            the scenarios and what they prove\n"
    "  --table           what the congestion controllers make of a set of bottlenecks (median of\n"
    "                    --seeds runs, default 3)\n";

struct Options {
  std::string_view scenario, plot;
  std::uint64_t seed = 1;
  std::optional<std::uint64_t> seeds;
  bool seed_given = false, trace = false, list = false, help = false, table = false;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--trace")
      options.trace = true;
    else if (name == "--list")
      options.list = true;
    else if (name == "--table")
      options.table = true;
    else if (name == "--help")
      options.help = true;
    else if (i + 1 == argc)
      return std::nullopt;
    else if (name == "--plot")
      options.plot = argv[++i];
    else if (name == "--scenario")
      options.scenario = argv[++i];
    else if (name == "--seed" || name == "--seeds") {
      const auto value = number(argv[++i]);
      if (!value) return std::nullopt;
      if (name == "--seed") {
        options.seed = *value;
        options.seed_given = true;
      } else {
        options.seeds = *value;
      }
    } else {
      return std::nullopt;
    }
  }
  return options;
}

/// Whether every seed passed.
bool run(const Scenario& scenario, const Options& options, std::uint64_t seeds) {
  netmesh::sim::Trace trace(options.trace ? stdout : nullptr, !options.plot.empty());
  const auto started = std::chrono::steady_clock::now();
  std::uint64_t failed = 0, datagrams = 0;
  netmesh::Duration virtual_time{};
  for (std::uint64_t seed = options.seed; seed < options.seed + seeds; ++seed) {
    if (options.trace) {
      std::printf("--- %.*s, seed %llu\n", static_cast<int>(scenario.name.size()),
                  scenario.name.data(), static_cast<unsigned long long>(seed));
    }
    const Outcome outcome = netmesh::sim::run_scenario(scenario, seed, &trace);
    virtual_time += outcome.virtual_time;
    datagrams += outcome.network.sent;
    if (outcome.failures.empty()) continue;
    ++failed;
    std::printf("seed %llu:\n", static_cast<unsigned long long>(seed));
    for (const std::string& failure : outcome.failures) std::printf("  %s\n", failure.c_str());
    std::printf("  replay: %s\n", netmesh::sim::replay_command(scenario, seed).c_str());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::printf("%-4s %-34.*s %6llu seeds %6llu failed %9.1f s simulated %9llu datagrams %7.2f s\n",
              failed == 0 ? "ok" : "FAIL", static_cast<int>(scenario.name.size()),
              scenario.name.data(), static_cast<unsigned long long>(seeds),
              static_cast<unsigned long long>(failed),
              std::chrono::duration<double>(virtual_time).count(),
              static_cast<unsigned long long>(datagrams), took.count());
  std::fflush(stdout);
  if (!options.plot.empty()) {
    const std::string title = std::string(scenario.name) + ", seed " + std::to_string(options.seed);
    const std::string file(options.plot);
    if (!netmesh::sim::write_plot(file, title, trace.samples())) {
      std::fprintf(stderr, "cannot write %s\n", file.c_str());
      return false;
    }
    std::printf("plot: %s\n", file.c_str());
  }
  return failed == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options || options->help) {
    std::fputs(kUsage, options ? stdout : stderr);
    return options ? 0 : 2;
  }
  if (options->list) {
    for (const Scenario& scenario : netmesh::sim::scenarios()) {
      std::printf("%-34.*s %.*s\n", static_cast<int>(scenario.name.size()), scenario.name.data(),
                  static_cast<int>(scenario.says.size()), scenario.says.data());
    }
    return 0;
  }
  if (options->table) {
    netmesh::sim::print_congestion_table(stdout,
                                         std::max<std::uint64_t>(options->seeds.value_or(3), 1));
    return 0;
  }
  std::vector<Scenario> chosen;
  if (const Scenario* exact = netmesh::sim::find_scenario(options->scenario)) {
    chosen.push_back(*exact);
  } else {
    for (const Scenario& scenario : netmesh::sim::scenarios()) {
      if (scenario.name.starts_with(options->scenario)) chosen.push_back(scenario);
    }
  }
  if (chosen.empty()) {
    std::fprintf(stderr, "no scenario of that name; --list shows them\n");
    return 2;
  }
  constexpr std::uint64_t kDefaultSeeds = 200;
  const std::uint64_t seeds = options->seeds.value_or(options->seed_given ? 1 : kDefaultSeeds);
  if (!options->plot.empty() && (chosen.size() != 1 || seeds != 1)) {
    std::fprintf(stderr, "--plot takes one run: --scenario NAME --seed N\n");
    return 2;
  }
  bool passed = true;
  for (const Scenario& scenario : chosen) passed &= run(scenario, *options, seeds);
  return passed ? 0 : 1;
}
