#pragma once
// Randomness for what has no node around it.

#include "base/random.h"

namespace netmesh::runtime {

/// The operating system's randomness. Any thread; lives as long as the process.
RandomSource& entropy();

}  // namespace netmesh::runtime
