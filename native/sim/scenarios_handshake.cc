#include "sim/traffic.h"
namespace netmesh::sim {
std::span<const Scenario> handshake_scenarios() { return {}; }
}
