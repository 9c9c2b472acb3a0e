#include "redex/event.h"

#include <algorithm>

#include "redex/record.h"

namespace netmesh::redex {

std::size_t EventBatch::drop_corrupt(std::size_t first) {
  const auto from = events_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto kept = std::remove_if(from, events_.end(), [](const EventView& event) {
    return checksum28(event.payload) != event.checksum;
  });
  const auto dropped = static_cast<std::size_t>(events_.end() - kept);
  events_.erase(kept, events_.end());
  return dropped;
}

}  // namespace netmesh::redex
