#pragma once
// What the machine tells the application: events and received bytes, handed over in batches.

#include <atomic>
#include <functional>
#include <mutex>

#include "mesh/node_sink.h"
#include "runtime/node.h"

namespace netmesh::runtime {

/// The machine writes through NodeSink, under the crank lock; `publish` hands everything written so
/// far to the application, which takes it with `drain`. How much can wait is bounded by the receive
/// windows, which the application's `consume` opens again.
class Inbox final : public mesh::NodeSink {
 public:
  /// Blocks that fill up under load, and the block that a lone small message gets.
  static constexpr std::size_t kBlockBytes = 256 * 1024;
  static constexpr std::size_t kSmallBlockBytes = 4 * 1024;

  /// `on_ready` is called by `publish` when `drain` turns from empty to non-empty.
  explicit Inbox(std::function<void()> on_ready) : on_ready_(std::move(on_ready)) {}

  void connect_done(mesh::RequestId request, Expected<void> result) override;
  void accept_done(mesh::RequestId request, Expected<Endpoint> result) override;
  void peer_up(NodeId peer, const Endpoint& address, mesh::SecurityMode mode) override;
  void peer_down(NodeId peer, mesh::DownReason reason, const std::string& text) override;
  void stream_opened(mesh::StreamRef ref, NodeId peer, StreamId stream, bool reliable) override;
  void deliver(mesh::StreamRef ref, std::uint64_t sequence, std::uint32_t index, ByteSpan first,
               ByteSpan second) override;
  void stream_finished(mesh::StreamRef ref, mesh::StreamEnd end) override;
  void credit_available(NodeId peer, StreamId stream, std::uint64_t epoch) override;
  void watches_ready() override;
  void publish_done(mesh::RequestId request, Expected<mesh::PublishReport> report) override;
  void subscription_event(const channel::Subscriber::Event& event) override;
  void shutdown_done(const std::vector<mesh::UnacknowledgedStream>& left) override;
  void path_changed(NodeId peer, const Endpoint& address) override;

  /// Crank lock held.
  void publish();
  /// Application thread.
  Drained drain();

 private:
  ControlEvent& add_event(ControlEvent::Kind kind);
  DeliveryBlock& block_for(std::size_t bytes);
  /// Appends `written_` to `ready_`, with its mutex held.
  void append_to_ready();

  const std::function<void()> on_ready_;

  // Crank lock.
  Drained written_;
  std::uint32_t written_messages_ = 0;

  std::mutex mutex_;
  Drained ready_;
  std::uint32_t ready_messages_ = 0;
  /// Whether `ready_` was filled when last seen: then the application is busy and blocks will fill
  /// up.
  std::atomic<bool> application_busy_{false};
};

}  // namespace netmesh::runtime
