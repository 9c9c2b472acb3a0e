#pragma once
// What a session tells the node that owns it.

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "wire/frames.h"

namespace netmesh::session {

using StreamRef = std::uint32_t;

/// Implemented by mesh/ once per peer. Calls must not call back into the session.
class SessionEvents {
 public:
  virtual ~SessionEvents() = default;
  /// The first packet of the peer verified: it has the keys, too. Comes before anything else.
  virtual void peer_proven() = 0;
  /// A receiving half exists; the returned ref goes into every later call about it.
  virtual StreamRef stream_opened(StreamId stream, bool reliable) = 0;
  virtual void deliver(StreamRef ref, std::uint64_t sequence, std::uint32_t index, ByteSpan first,
                       ByteSpan second) = 0;
  /// `finished`: by the peer's FIN; else evicted or the session ended.
  virtual void stream_finished(StreamRef ref, bool finished) = 0;
  virtual void credit_available(StreamId stream, std::uint64_t epoch) = 0;
  /// The peer asks for `data` back at the address from which this packet came.
  virtual void path_challenged(std::uint64_t /*data*/) {}
  /// The peer got our challenge at the address to which it was sent.
  virtual void path_answered(std::uint64_t /*data*/) {}
  /// The peer has all of the batch that was sent with this ticket.
  virtual void batch_acknowledged(std::uint64_t /*ticket*/) {}
  /// A whole message of a control protocol; its bytes are `first ‖ second`, valid during the call.
  virtual void control(std::uint16_t /*protocol*/, ByteSpan /*first*/, ByteSpan /*second*/) {}
  /// How the peer would tell us that it lost its state.
  virtual void peer_info(const wire::PeerInfoFrame& /*info*/) {}
};

}  // namespace netmesh::session
