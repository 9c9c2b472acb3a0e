#pragma once
// What a node's machine tells its driver, in order, from within the machine's own calls.

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "base/ids.h"
#include "channel/subscriber.h"

namespace netmesh::mesh {

/// Names a pending `connect` or `accept` of one node; never 0.
using RequestId = std::uint32_t;
/// Names the receiving half of one stream of one session until `stream_finished`; reused later.
using StreamRef = std::uint32_t;

enum class SecurityMode { kLegacy, kModern };

enum class DownReason {
  kGoodbye,            ///< the peer said it leaves
  kTimeout,            ///< nothing heard for too long
  kReplaced,           ///< a new handshake replaced the session
  kProtocolViolation,  ///< either side broke the protocol; the text says how
  kShutdown,           ///< this node was shut down
  kRestarted,          ///< the peer lost its state; a new session follows
};

/// What became of one publish (spec 31 §7).
struct PublishReport {
  struct Failure {
    NodeId node;
    std::string text;
  };
  std::uint32_t attempted = 0;
  std::uint32_t delivered = 0;  ///< acknowledged, for reliable publishes to modern peers
  std::vector<Failure> failures;
};

/// What a stream had sent or queued when its node ended, and its peer had not acknowledged.
struct UnacknowledgedStream {
  NodeId peer;
  StreamId stream;
  std::uint64_t bytes = 0, events = 0;
};

enum class StreamEnd {
  kFinished,     ///< the peer closed the stream; everything it sent was delivered
  kSessionGone,  ///< the session ended first
};

/// Implemented by the runtime (queues for JavaScript) and by the simulator. Calls must not call
/// back into the node.
class NodeSink {
 public:
  virtual ~NodeSink() = default;

  virtual void connect_done(RequestId request, Expected<void> result) = 0;
  /// On success the address from which the peer connected.
  virtual void accept_done(RequestId request, Expected<Endpoint> result) = 0;

  virtual void peer_up(NodeId peer, const Endpoint& address, SecurityMode mode) = 0;
  virtual void peer_down(NodeId peer, DownReason reason, const std::string& text) = 0;
  /// The peer proved that it is at another address now.
  virtual void path_changed(NodeId /*peer*/, const Endpoint& /*address*/) {}

  /// Precedes the first message of a stream.
  virtual void stream_opened(StreamRef ref, NodeId peer, StreamId stream, bool reliable) = 0;
  /// One event. Its bytes are `first ‖ second`, valid only during the call. `sequence` and `index`:
  /// the packet sequence on the stream and the event's place in it (spec 10 §8.3).
  virtual void deliver(StreamRef ref, std::uint64_t sequence, std::uint32_t index, ByteSpan first,
                       ByteSpan second) = 0;
  virtual void stream_finished(StreamRef ref, StreamEnd end) = 0;

  /// The sender half of this stream has credit again or was closed; asked for by `want_credit`.
  virtual void credit_available(NodeId peer, StreamId stream, std::uint64_t epoch) = 0;
  // NOLINTNEXTLINE(performance-unnecessary-value-param): who overrides it keeps the report
  virtual void publish_done(RequestId /*request*/, Expected<PublishReport> /*report*/) {}
  /// What this node's own subscriptions go through.
  virtual void subscription_event(const channel::Subscriber::Event& /*event*/) {}
  /// A watch on capabilities has something to report; once until one is polled.
  virtual void watches_ready() {}
  /// After `Node::shutdown`: every goodbye is on its way, and what was sent was acknowledged or
  /// given up; `left` is what was given up, by peer and stream.
  virtual void shutdown_done(const std::vector<UnacknowledgedStream>& left) = 0;
};

}  // namespace netmesh::mesh
