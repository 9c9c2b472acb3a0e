#pragma once
// A real mesh::Node on a simulated network, with an application that records what it is told.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mesh/node.h"
#include "sim/network.h"
#include "sim/world.h"

namespace netmesh::sim {

class StreamSender;

struct ReceivedMessage {
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  Bytes bytes;
};

/// One receiving half of a stream, from `stream_opened` to `stream_finished`.
struct ReceivedStream {
  NodeId peer;
  StreamId id;
  bool reliable = false;
  std::vector<ReceivedMessage> messages;  ///< without bytes when the node does not keep them
  std::uint64_t bytes = 0;
  std::uint64_t unread_bytes = 0, unread_events = 0;
  std::optional<mesh::StreamEnd> end;
};

struct PeerEvent {
  enum class Kind { kUp, kDown };
  Kind kind = Kind::kUp;
  NodeId peer;
  mesh::SecurityMode mode = mesh::SecurityMode::kLegacy;
  Endpoint address;
  mesh::DownReason reason = mesh::DownReason::kGoodbye;
  std::string text;
  Duration at{};
};

/// How fast the application takes what is delivered.
struct Reading {
  bool paused = false;
  std::uint64_t bytes_per_second = 0;  ///< 0: at once
};

/// Turns the crank of one machine: datagrams in, timeouts, datagrams out, and reads its messages.
/// Owned by a World. Rules of the sink's contract are checked on the way.
class SimNode final : public mesh::NodeSink, public Port {
 public:
  SimNode(World& world, std::string name, const Endpoint& address, mesh::NodeConfig config);
  ~SimNode() override;
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  const std::string& name() const { return name_; }
  const Endpoint& address() const { return address_; }
  NodeId id() const { return machine_->node_id(); }
  const crypto::Key& public_key() const { return machine_->public_key(); }
  mesh::Node& machine() { return *machine_; }
  const mesh::Node& machine() const { return *machine_; }
  World& world() { return world_; }
  Now now() const;
  /// This node's clock leaps ahead, the network's does not: its machine was asleep.
  void jump(Duration duration);

  /// Calls `run(machine, now)`, then lets everything happen that follows from it at once.
  template <typename Run>
  auto call(Run run) {
    if constexpr (std::is_void_v<decltype(run(*machine_, now()))>) {
      run(*machine_, now());
      settle();
    } else {
      auto result = run(*machine_, now());
      settle();
      return result;
    }
  }

  void start();
  mesh::RequestId connect(const SimNode& peer, const mesh::ConnectOptions& options = {});
  /// Through `relay`, which must know the way.
  mesh::RequestId connect_via(const SimNode& relay, const SimNode& peer);
  Expected<mesh::RequestId> accept(const SimNode& peer);
  void shutdown(Duration drain = std::chrono::seconds(5));
  /// As the application does: `published` tells how it went.
  mesh::RequestId publish(const channel::ChannelName& name, const std::vector<Bytes>& payloads,
                          const mesh::PublishOptions& options = {});
  Expected<channel::RequestId> subscribe(NodeId publisher, const channel::ChannelName& name);

  // --- what happened ---
  bool is_up(const SimNode& peer) const { return is_up(peer.id()); }
  bool is_up(NodeId peer) const;
  /// The outcome of a connect, once there is one.
  const Expected<void>* connected(mesh::RequestId request) const;
  const Expected<Endpoint>* accepted(mesh::RequestId request) const;
  const std::vector<PeerEvent>& peer_events() const { return peer_events_; }
  std::optional<PeerEvent> last_down(NodeId peer) const;
  /// The outcome of a publish, once there is one.
  const Expected<mesh::PublishReport>* published(mesh::RequestId request) const;
  /// What this node's subscriptions went through, in order.
  const std::vector<channel::Subscriber::Event>& subscription_events() const {
    return subscription_events_;
  }
  const std::deque<ReceivedStream>& streams() const { return streams_; }
  /// The `opening`-th time (from 0) that `peer` used `id`; null before that.
  const ReceivedStream* stream(NodeId peer, StreamId id, std::size_t opening = 0) const;
  std::optional<std::uint64_t> shut_down() const { return shut_down_; }
  std::uint64_t timeouts_handled() const { return timeouts_handled_; }
  std::uint64_t credit_events() const { return credit_count_; }

  // --- reading ---
  void set_reading(const Reading& reading);
  /// Takes up to `bytes` bytes of events, at least one event; what was taken.
  std::uint64_t read(std::uint64_t bytes);
  /// The application does not look at this stream, whatever it does with others.
  void set_neglected(StreamId stream, bool neglected);
  std::uint64_t unread_bytes() const { return unread_bytes_; }
  /// The most that ever waited to be read, with event frame headers as flow control counts them.
  std::uint64_t most_unread() const { return most_unread_; }
  bool keep_messages = true;

  /// How long the I/O thread lets datagrams gather before it handles them as one batch.
  Duration batch_delay{};
  /// Timers of real loops are late; up to this much here.
  Duration timer_slack{};

  // --- Port ---
  void receive(const Endpoint& from, Bytes datagram) override;

 private:
  friend class StreamSender;
  struct Unread {
    mesh::StreamRef ref;
    std::uint64_t bytes;
  };
  struct CreditEvent {
    NodeId peer;
    StreamId stream;
    std::uint64_t epoch;
  };

  // --- NodeSink ---
  void connect_done(mesh::RequestId request, Expected<void> result) override;
  void accept_done(mesh::RequestId request, Expected<Endpoint> result) override;
  void peer_up(NodeId peer, const Endpoint& address, mesh::SecurityMode mode) override;
  void peer_down(NodeId peer, mesh::DownReason reason, const std::string& text) override;
  void stream_opened(mesh::StreamRef ref, NodeId peer, StreamId stream, bool reliable) override;
  void deliver(mesh::StreamRef ref, std::uint64_t sequence, std::uint32_t index, ByteSpan first,
               ByteSpan second) override;
  void stream_finished(mesh::StreamRef ref, mesh::StreamEnd end) override;
  void credit_available(NodeId peer, StreamId stream, std::uint64_t epoch) override;
  void publish_done(mesh::RequestId request, Expected<mesh::PublishReport> report) override;
  void subscription_event(const channel::Subscriber::Event& event) override;
  void shutdown_done(const std::vector<mesh::UnacknowledgedStream>& left) override;

  void settle();
  void transmit();
  void rearm();
  void on_timer();
  void handle_inbox();
  void pace();
  bool expect(bool ok, std::string_view what);
  void note(const std::string& what) const;

  World& world_;
  const std::string name_;
  const Endpoint address_;
  SimRandom random_;  ///< the machine's own
  SimRandom timer_random_;
  Duration clock_offset_{};
  std::unique_ptr<mesh::Node> machine_;
  /// Expires with the node: events in the queue that name it then do nothing.
  std::shared_ptr<SimNode*> self_;

  std::vector<std::pair<Endpoint, Bytes>> inbox_;
  bool batch_scheduled_ = false;
  bool settling_ = false;
  std::optional<TimePoint> timer_at_;
  std::uint64_t timer_generation_ = 0;
  TimePoint last_timeout_{};
  unsigned timeouts_at_instant_ = 0;
  std::uint64_t timeouts_handled_ = 0;

  std::map<mesh::RequestId, Expected<void>> connects_;
  std::map<mesh::RequestId, Expected<Endpoint>> accepts_;
  std::map<mesh::RequestId, Expected<mesh::PublishReport>> publishes_;
  mesh::RequestId next_publish_ = 1;
  std::vector<channel::Subscriber::Event> subscription_events_;
  std::map<NodeId, bool> up_;
  std::vector<PeerEvent> peer_events_;
  std::deque<ReceivedStream> streams_;  ///< in the order of their opening
  std::map<mesh::StreamRef, ReceivedStream*> by_ref_;
  std::optional<std::uint64_t> shut_down_;

  Reading reading_;
  std::deque<Unread> unread_;
  std::set<StreamId> neglected_;
  std::uint64_t unread_bytes_ = 0, most_unread_ = 0;
  bool pacing_ = false;

  std::vector<CreditEvent> credit_events_;
  std::uint64_t credit_count_ = 0;
  std::vector<StreamSender*> senders_;
};

}  // namespace netmesh::sim
