#include "wire/window_grant.h"

#include "base/assert.h"

namespace netmesh::wire {

std::optional<WindowGrant> parse_window_grant(ByteSpan message) {
  if (message.size() != kWindowGrantBytes) return std::nullopt;
  ByteReader in(message);
  WindowGrant grant;
  grant.stream_id = StreamId{in.u64()};
  grant.total_consumed = in.u64();
  return grant;
}

void write_window_grant(const WindowGrant& grant, MutableByteSpan out) {
  NM_ASSERT(out.size() >= kWindowGrantBytes);
  ByteWriter to(out.first(kWindowGrantBytes));
  to.u64(grant.stream_id.value);
  to.u64(grant.total_consumed);
}

}  // namespace netmesh::wire
