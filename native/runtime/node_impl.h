#pragma once
// The inside of runtime::Node, shared by its .cc files.

#include <algorithm>
#include <memory>
#include <string>

#include "runtime/engine.h"
#include "runtime/event_batch.h"
#include "runtime/node.h"

namespace netmesh::runtime {

inline tl::unexpected<Error> shut_down() {
  return fail(ErrorKind::kShutDown, "MeshNode has been shut down");
}

/// The engine, and what stays known after it has stopped.
struct Node::Impl {
  std::shared_ptr<Engine> engine;
  NodeId node_id;
  crypto::Key entity_id{};
  crypto::Key public_key{};
  std::uint32_t max_message_bytes = 0;
  std::uint32_t next_publish = 1;

  /// Events for stream 0, which has no window of its own; `find_peer(machine)` says whose.
  template <typename FindPeer>
  Expected<void> send_unwindowed(const EventView* events, std::size_t count, FindPeer&& find_peer) {
    if (!engine->accepts_work()) return shut_down();
    std::size_t largest = 0;
    for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, events[i].length);
    if (largest > max_message_bytes) {
      return fail(ErrorKind::kTooLarge, "send failed: event of " + std::to_string(largest) +
                                            " bytes exceeds the limit of " +
                                            std::to_string(max_message_bytes) + " bytes");
    }
    session::OutboundBatch batch = make_batch(events, count, cost_of(events, count));
    batch.windowed = false;
    Expected<void> result = shut_down();
    engine->command([&](mesh::Node& machine, Now now) {
      const std::optional<NodeId> peer = find_peer(machine);
      if (!peer)
        result = fail(ErrorKind::kNotConnected, "send failed: connection error: unknown peer");
      else if (count == 0)
        result = {};
      else
        result = machine.send_unwindowed(now, *peer, std::move(batch), largest);
    });
    return result;
  }
};

}  // namespace netmesh::runtime
