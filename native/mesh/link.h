#pragma once
// One session of one peer with the path it travels, and the receiving streams it feeds.

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/endpoint.h"
#include "base/ids.h"
#include "base/time.h"
#include "crypto/secret.h"
#include "mesh/node_sink.h"
#include "session/session.h"

namespace netmesh::mesh {

struct Link;

/// A message for one of the node's own machines.
struct ControlMessage {
  std::uint16_t protocol = 0;
  Bytes bytes;
};

/// An address from which a peer's packets began to come, until it proves that it is there.
struct PathProbe {
  Endpoint to;
  std::uint64_t data = 0;  ///< of the challenge
  unsigned attempts = 0;
  TimePoint next{};
  std::uint64_t received = 0, sent = 0;  ///< bytes, for the amplification limit
};

/// The node's receiving streams over all sessions, by the small numbers that the sink sees. A
/// number is reused once its stream has ended and everything delivered under it was consumed.
class StreamRefTable {
 public:
  struct Entry {
    Link* link = nullptr;  ///< null once the session is gone
    StreamId stream;
    bool reliable = false;
    bool live = false;              ///< before stream_finished
    std::uint64_t outstanding = 0;  ///< events delivered, not consumed
  };

  StreamRef add(Link& link, StreamId stream, bool reliable) {
    StreamRef ref;
    if (free_.empty()) {
      ref = static_cast<StreamRef>(entries_.size());
      entries_.emplace_back();
    } else {
      ref = free_.back();
      free_.pop_back();
    }
    entries_[ref] = Entry{&link, stream, reliable, true, 0};
    return ref;
  }
  void delivered(StreamRef ref) { ++entries_[ref].outstanding; }
  void finished(StreamRef ref) {
    entries_[ref].live = false;
    release_if_over(ref);
  }
  void forget_link(const Link& link) {
    for (StreamRef ref = 0; ref < entries_.size(); ++ref) {
      if (entries_[ref].link == &link) entries_[ref].link = nullptr;
    }
  }
  /// Events of a stream that were delivered and not consumed yet.
  std::uint64_t outstanding(const Link& link, StreamId stream) const {
    std::uint64_t total = 0;
    for (const Entry& entry : entries_) {
      if (entry.link == &link && entry.stream == stream) total += entry.outstanding;
    }
    return total;
  }
  /// The entry, after `events` of it were consumed; null for numbers that are not in use.
  const Entry* consume(StreamRef ref, std::uint64_t events) {
    if (ref >= entries_.size()) return nullptr;
    Entry& entry = entries_[ref];
    if (!entry.live && entry.outstanding == 0) return nullptr;
    entry.outstanding -= std::min(events, entry.outstanding);
    last_ = entry;
    release_if_over(ref);
    return &last_;
  }

 private:
  void release_if_over(StreamRef ref) {
    if (entries_[ref].live || entries_[ref].outstanding != 0) return;
    entries_[ref] = Entry{};
    free_.push_back(ref);
  }

  std::vector<Entry> entries_;
  std::vector<StreamRef> free_;
  Entry last_;
};

/// Owned by the node's peer table, as a peer's active session or as one that waits for its first
/// authenticated packet. Implements what the session reports by handing it to the sink.
struct Link final : session::SessionEvents {
  Link(NodeId peer_id, NodeSink& node_sink, StreamRefTable& ref_table)
      : peer(peer_id), sink(node_sink), refs(ref_table) {}
  ~Link() override {
    if (session) session->abandon();
    refs.forget_link(*this);
  }

  const NodeId peer;
  NodeSink& sink;
  StreamRefTable& refs;
  std::unique_ptr<session::Session> session;
  Endpoint address;
  bool relayed = false;
  bool initiator = false;
  bool confirmed = false;  ///< the peer is known to have the keys
  std::function<void(Link&)> on_confirmed;
  std::function<void(Link&)> on_revived;
  std::vector<ControlMessage> control_messages;  ///< of the packet at hand
  std::vector<std::uint64_t> settled_tickets;    ///< likewise
  crypto::Key message1_digest{};                 ///< responder: of the msg1 that made it
  Bytes message2;  ///< responder: the reply datagram, for a repeated msg1
  std::optional<crypto::Key> entity_id;
  UnixNanos connected_at_ns = 0;
  TimePoint created_at{};
  TimePoint last_heard{};
  UnixNanos last_activity_ns = 0;
  bool alive = true;

  std::optional<PathProbe> probe;
  std::optional<std::uint64_t> challenged, answered;  ///< by the packet at hand
  bool peer_info_known = false;
  wire::PeerInfoFrame peer_state;

  bool queued_to_transmit = false;
  bool in_batch = false;
  std::optional<TimePoint> armed;  ///< its entry in the node's timer set

  void peer_proven() override {
    if (std::exchange(confirmed, true)) return;
    if (on_confirmed) on_confirmed(*this);
  }
  /// A silent peer is heard again; it is up before anything of it is told.
  void revive() {
    if (std::exchange(alive, true)) return;
    if (on_revived) on_revived(*this);
  }
  session::StreamRef stream_opened(StreamId stream, bool reliable) override {
    revive();
    const StreamRef ref = refs.add(*this, stream, reliable);
    sink.stream_opened(ref, peer, stream, reliable);
    return ref;
  }
  void deliver(session::StreamRef ref, std::uint64_t sequence, std::uint32_t index, ByteSpan first,
               ByteSpan second) override {
    revive();
    refs.delivered(ref);
    sink.deliver(ref, sequence, index, first, second);
  }
  void stream_finished(session::StreamRef ref, bool finished) override {
    sink.stream_finished(ref, finished ? StreamEnd::kFinished : StreamEnd::kSessionGone);
    refs.finished(ref);
  }
  void credit_available(StreamId stream, std::uint64_t epoch) override {
    sink.credit_available(peer, stream, epoch);
  }
  void batch_acknowledged(std::uint64_t ticket) override { settled_tickets.push_back(ticket); }
  void control(std::uint16_t protocol, ByteSpan first, ByteSpan second) override {
    Bytes& bytes = control_messages.emplace_back(ControlMessage{protocol, {}}).bytes;
    bytes.reserve(first.size() + second.size());
    bytes.assign(first.begin(), first.end());
    bytes.insert(bytes.end(), second.begin(), second.end());
  }
  void path_challenged(std::uint64_t data) override { challenged = data; }
  void path_answered(std::uint64_t data) override { answered = data; }
  void peer_info(const wire::PeerInfoFrame& info) override {
    peer_state = info;
    peer_info_known = true;
  }
};

}  // namespace netmesh::mesh
