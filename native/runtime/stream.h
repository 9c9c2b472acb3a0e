#pragma once
// What a stream handle holds.

#include <memory>

#include "runtime/engine.h"
#include "runtime/node.h"
#include "session/stream_gate.h"

namespace netmesh::runtime {

/// The engine outlives its node here, stopped.
struct Stream::Impl {
  std::shared_ptr<Engine> engine;
  std::shared_ptr<session::StreamGate> gate;
};

}  // namespace netmesh::runtime
