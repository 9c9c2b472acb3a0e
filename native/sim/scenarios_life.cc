#include "sim/traffic.h"
namespace netmesh::sim {
std::span<const Scenario> life_scenarios() { return {}; }
}
