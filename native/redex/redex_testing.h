#pragma once
// What the tests of logs share.

#include <string>
#include <vector>

#include "redex/redex.h"

namespace netmesh::redex::testing {

inline std::string text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::vector<std::string> payloads(const EventBatch& batch) {
  std::vector<std::string> out;
  for (const EventView& event : batch) out.push_back(text(event.payload));
  return out;
}

/// A clock that a test sets.
struct Clock : std::enable_shared_from_this<Clock> {
  UnixNanos now = 1;
  WallClock function() {
    return [self = shared_from_this()] { return self->now; };
  }
};

}  // namespace netmesh::redex::testing
