#pragma once
// From a node's options to the configurations of its parts.

#include "base/error.h"
#include "mesh/node.h"
#include "runtime/node.h"
#include "runtime/udp_socket.h"

namespace netmesh::runtime {

struct NodeSetup {
  UdpOptions udp;
  mesh::NodeConfig machine;
};

/// Checks every option and fills in a random identity where none is given. The secrets in `options`
/// are wiped. Errors are kInvalidArgument with the texts of spec 10 §15.2 where it has them.
Expected<NodeSetup> check_options(NodeOptions& options);

/// A span of time that an option or argument gives in milliseconds: at least `least`, cut to a
/// range that cannot overflow. NaN, infinities and negative numbers are refused.
Expected<Duration> to_duration(const char* name, double milliseconds, Duration least);

}  // namespace netmesh::runtime
