#include "sim/traffic.h"
namespace netmesh::sim {
std::span<const Scenario> hostile_scenarios() { return {}; }
}
