#pragma once
// Datagrams in words, for traces.

#include <string>

#include "base/bytes.h"

namespace netmesh::sim {

/// Kind, size and the fields that are readable without keys.
std::string describe(ByteSpan datagram);

}  // namespace netmesh::sim
