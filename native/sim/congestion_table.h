#pragma once
// What each congestion controller makes of a set of bottlenecks, as a table.

#include <cstdint>
#include <cstdio>
#include <string>

#include "sim/bulk.h"

namespace netmesh::sim {

/// One bottleneck and who shares it.
struct CongestionCase {
  std::string_view name;
  DumbbellConfig path;
  int netmesh_flows = 1;
  int tcp_flows = 0;
  Duration settle = std::chrono::seconds(5);
  Duration measure = std::chrono::seconds(30);
};

std::span<const CongestionCase> congestion_cases();

DumbbellResult run_case(const CongestionCase& which, session::CongestionAlgorithm algorithm,
                        std::uint64_t seed);

/// Every case under every controller, the median of `seeds` runs, as a Markdown table.
void print_congestion_table(std::FILE* out, std::uint64_t seeds);

}  // namespace netmesh::sim
