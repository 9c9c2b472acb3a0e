#include "sim/congestion_table.h"

#include <algorithm>
#include <array>

#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

constexpr DumbbellConfig path(std::uint64_t megabits, int round_trip_ms, double queue_bdp,
                              double loss = 0) {
  DumbbellConfig config;
  config.bytes_per_second = megabits * 125'000;
  config.round_trip = milliseconds(round_trip_ms);
  config.queue_bytes =
      static_cast<std::uint64_t>(queue_bdp * static_cast<double>(config.bytes_per_second) *
                                 static_cast<double>(round_trip_ms) / 1000);
  config.loss = loss;
  return config;
}

constexpr std::array kCases{
    CongestionCase{"alone: 10 Mbit/s, 40 ms, queue 1 BDP", path(10, 40, 1)},
    CongestionCase{"alone: 10 Mbit/s, 40 ms, queue 1/4 BDP", path(10, 40, 0.25)},
    CongestionCase{"alone: 10 Mbit/s, 40 ms, queue 10 BDP", path(10, 40, 10)},
    CongestionCase{"alone: 10 Mbit/s, 200 ms, queue 1 BDP", path(10, 200, 1)},
    CongestionCase{"alone: 100 Mbit/s, 20 ms, queue 1 BDP", path(100, 20, 1), 1, 0, seconds(3),
                   seconds(10)},
    CongestionCase{"alone: 10 Mbit/s, 40 ms, 0.1 % loss", path(10, 40, 1, 0.001)},
    CongestionCase{"alone: 10 Mbit/s, 40 ms, 1 % loss", path(10, 40, 1, 0.01), 1, 0, seconds(15)},
    CongestionCase{"alone: 10 Mbit/s, 40 ms, 5 % loss", path(10, 40, 1, 0.05), 1, 0, seconds(15)},
    CongestionCase{"alone: 10 Mbit/s, 40 ms, 20 % loss", path(10, 40, 1, 0.2), 1, 0, seconds(15)},
    CongestionCase{"alone: 10 Mbit/s, 40 ms, 40 % loss", path(10, 40, 1, 0.4), 1, 0, seconds(15)},
    CongestionCase{"two alike: 10 Mbit/s, 40 ms, queue 1 BDP", path(10, 40, 1), 2, 0, seconds(15),
                   seconds(40)},
    CongestionCase{"two alike: 10 Mbit/s, 40 ms, queue 1/4 BDP", path(10, 40, 0.25), 2, 0,
                   seconds(15), seconds(40)},
    CongestionCase{"two alike: 20 Mbit/s, 20 ms, queue 4 BDP", path(20, 20, 4), 2, 0, seconds(15),
                   seconds(40)},
    CongestionCase{"four alike: 20 Mbit/s, 40 ms, queue 1 BDP", path(20, 40, 1), 4, 0, seconds(15),
                   seconds(40)},
    CongestionCase{"with TCP CUBIC: 10 Mbit/s, 40 ms, queue 1 BDP", path(10, 40, 1), 1, 1,
                   seconds(15), seconds(90)},
    CongestionCase{"with TCP CUBIC: 10 Mbit/s, 40 ms, queue 2 BDP", path(10, 40, 2), 1, 1,
                   seconds(15), seconds(90)},
    CongestionCase{"with TCP CUBIC: 10 Mbit/s, 40 ms, queue 4 BDP", path(10, 40, 4), 1, 1,
                   seconds(15), seconds(90)},
    CongestionCase{"with TCP CUBIC: 20 Mbit/s, 20 ms, queue 2 BDP", path(20, 20, 2), 1, 1,
                   seconds(15), seconds(90)},
    CongestionCase{"with TCP CUBIC: 20 Mbit/s, 80 ms, queue 1 BDP", path(20, 80, 1), 1, 1,
                   seconds(15), seconds(90)},
    CongestionCase{"with TCP CUBIC: 10 Mbit/s, 40 ms, queue 1/4 BDP", path(10, 40, 0.25), 1, 1,
                   seconds(15), seconds(90)},
};

double milliseconds_of(Duration duration) { return static_cast<double>(duration.count()) * 1e-6; }

}  // namespace

std::span<const CongestionCase> congestion_cases() { return kCases; }

DumbbellResult run_case(const CongestionCase& which, session::CongestionAlgorithm algorithm,
                        std::uint64_t seed) {
  World world(seed);
  Dumbbell dumbbell(world, which.path);
  for (int i = 0; i < which.netmesh_flows; ++i) dumbbell.add_netmesh(algorithm);
  for (int i = 0; i < which.tcp_flows; ++i) dumbbell.add_tcp();
  return dumbbell.run(which.settle, which.measure);
}

void print_congestion_table(std::FILE* out, std::uint64_t seeds) {
  std::fprintf(
      out,
      "| bottleneck | controller | utilisation | share of netmesh | fairness (Jain) | queue "
      "delay, mean (largest) | sent again |\n"
      "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n");
  for (const CongestionCase& which : kCases) {
    for (const auto algorithm :
         {session::CongestionAlgorithm::kCubic, session::CongestionAlgorithm::kBbr}) {
      std::vector<DumbbellResult> results;
      for (std::uint64_t seed = 1; seed <= seeds; ++seed)
        results.push_back(run_case(which, algorithm, seed));
      const auto median = [&](auto value) {
        std::vector<double> values;
        for (const DumbbellResult& result : results) values.push_back(value(result));
        std::sort(values.begin(), values.end());
        return values[values.size() / 2];
      };
      const auto netmesh_share = [&](const DumbbellResult& result) {
        double share = 0;
        for (int i = 0; i < which.netmesh_flows; ++i)
          share += result.shares[static_cast<std::size_t>(i)];
        return share;
      };
      const std::string_view name = session::name_of(algorithm);
      std::fprintf(out, "| %.*s | %.*s | %.0f %% |", static_cast<int>(which.name.size()),
                   which.name.data(), static_cast<int>(name.size()), name.data(),
                   100 * median([](const auto& r) { return r.utilisation; }));
      if (which.tcp_flows != 0)
        std::fprintf(out, " %.0f %% |", 100 * median(netmesh_share));
      else
        std::fprintf(out, " |");
      if (which.netmesh_flows + which.tcp_flows > 1)
        std::fprintf(out, " %.2f |", median([](const auto& r) { return r.jain; }));
      else
        std::fprintf(out, " |");
      std::fprintf(out, " %.1f ms (%.0f) | %.1f %% |\n",
                   median([](const auto& r) { return milliseconds_of(r.mean_queue_delay); }),
                   median([](const auto& r) { return milliseconds_of(r.max_queue_delay); }),
                   100 * median([](const auto& r) { return r.repeated; }));
      std::fflush(out);
    }
  }
}

}  // namespace netmesh::sim
