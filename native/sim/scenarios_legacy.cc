#include "sim/traffic.h"
namespace netmesh::sim {
std::span<const Scenario> legacy_scenarios() { return {}; }
}
