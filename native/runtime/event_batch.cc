#include "runtime/event_batch.h"

#include <cstring>

namespace netmesh::runtime {

session::OutboundBatch make_batch(const EventView* events, std::size_t count,
                                  const session::BatchCost& cost) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) bytes += wire::kEventFrameHeaderBytes + events[i].length;

  session::OutboundBatch batch;
  batch.frames = Slab(bytes);
  for (std::size_t i = 0; i < count; ++i) {
    const EventView& event = events[i];
    std::byte* at = batch.frames.extend(wire::kEventFrameHeaderBytes + event.length);
    wire::write_event_frame({event.data, event.length}, at);
  }
  batch.cost = cost.bytes();
  batch.event_count = static_cast<std::uint32_t>(count);
  batch.packets = static_cast<std::uint32_t>(cost.packets());
  return batch;
}

session::BatchCost cost_of(const EventView* events, std::size_t count) {
  session::BatchCost cost;
  for (std::size_t i = 0; i < count; ++i) cost.add(events[i].length);
  return cost;
}

}  // namespace netmesh::runtime
