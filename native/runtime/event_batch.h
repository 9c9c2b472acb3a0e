#pragma once
// Events of an application as one batch of event frames.

#include "runtime/node.h"
#include "session/stream_gate.h"

namespace netmesh::runtime {

/// Copies the events behind one another, each as a frame; `cost` is theirs.
session::OutboundBatch make_batch(const EventView* events, std::size_t count,
                                  const session::BatchCost& cost);

session::BatchCost cost_of(const EventView* events, std::size_t count);

}  // namespace netmesh::runtime
