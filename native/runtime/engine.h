#pragma once
// A node's machine, its socket and its I/O thread, and the lock under which the machine's crank is
// turned: by the I/O thread as a rule, by the application's thread for a moment (DESIGN §1).

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "crypto/system_random.h"
#include "mesh/node.h"
#include "mesh/transmit_batch.h"
#include "runtime/clock.h"
#include "runtime/inbox.h"
#include "runtime/options.h"
#include "runtime/outbox.h"
#include "runtime/reactor.h"
#include "runtime/udp_socket.h"

namespace netmesh::runtime {

/// Stream handles may be used later than their node: after `stop` the engine is an empty shell
/// whose calls do nothing.
class Engine final : private ReactorClient {
 public:
  static Expected<std::shared_ptr<Engine>> create(NodeSetup setup, std::function<void()> on_ready);
  ~Engine() override;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // --- application thread ---

  /// Queues an admitted batch. False after `stop`.
  bool send(std::shared_ptr<const session::StreamGate> gate, session::OutboundBatch batch);
  /// Queues a publish; its report comes through the inbox. False after `stop`.
  bool publish(Outbox::Publish publish);
  void consume(const ConsumedEntry* entries, std::size_t count);
  Drained drain();
  /// Readable when the application's thread should call `application_turn`; negative where the I/O
  /// thread always does the receiving. Before `stop`.
  int application_descriptor() const { return readiness_->application_descriptor(); }
  /// The application's loop watches that descriptor, so the socket may be lent to it.
  void allow_lending() { lending_allowed_ = true; }
  /// Receives and answers what the lent socket has.
  void application_turn();

  /// Runs `call(machine)` with the crank at rest; nothing happens after `stop`.
  template <typename Call>
  void inspect(Call&& call) const {
    const Control control(*this);
    if (machine_) call(static_cast<const mesh::Node&>(*machine_));
  }
  /// The same for calls that change the machine; the I/O thread then does what follows from them.
  template <typename Call>
  void command(Call&& call) {
    {
      const Control control(*this);
      if (!machine_) return;
      const Now now = read_clocks();
      apply_outbox(now);  // what was sent before stays before
      call(*machine_, now);
    }
    reactor_->wake();
  }

  /// Nothing new is begun from here on.
  void refuse_work() { accepts_work_.store(false, std::memory_order_release); }
  bool accepts_work() const { return accepts_work_.load(std::memory_order_acquire); }
  /// Joins the thread, closes the socket and frees the machine. Any number of times.
  void stop();

  /// Before `stop`.
  const UdpSocket& socket() const { return *socket_; }

 private:
  /// Holds the crank for the application: the I/O thread lets waiting callers in between its
  /// batches.
  class Control {
   public:
    explicit Control(const Engine& engine);

   private:
    std::unique_lock<std::mutex> lock_;
  };

  Engine(NodeSetup setup, std::unique_ptr<UdpSocket> socket, std::unique_ptr<Readiness> readiness,
         std::function<void()> on_ready);

  // ReactorClient, on the I/O thread.
  Turn turn(bool readable) override;
  bool has_work() const override { return outbox_.has_work(); }

  std::unique_lock<std::mutex> take_crank();
  void nudge(bool conversation);
  bool is_conversation(TimePoint now);

  // With the crank lock held.
  void apply_outbox(Now now);
  void handle_datagrams(Now now, const UdpSocket::Received& received);
  bool finish(Now now);
  void handle_timeout_if_due(Now now);
  void watch_loan(Now now);
  bool transmit(Now now);
  bool flush();

  crypto::SystemRandom random_;
  Inbox inbox_;
  Outbox outbox_;
  std::unique_ptr<UdpSocket> socket_;     ///< gone after `stop`
  std::unique_ptr<Readiness> readiness_;  ///< switched under the crank lock; gone after `stop`
  std::unique_ptr<Reactor> reactor_;      ///< gone after `stop`
  std::atomic<bool> accepts_work_{true};

  mutable std::mutex crank_;
  mutable std::atomic<int> waiting_{0};  ///< application threads that want the crank

  // Guarded by crank_; gone after `stop`.
  std::unique_ptr<mesh::TransmitBatch> batch_;
  std::unique_ptr<mesh::Node> machine_;
  Outbox::Work work_;
  std::size_t unsent_from_ = 0;    ///< datagrams of `batch_` before it are gone
  bool blocked_ = false;           ///< the kernel's buffer was full
  std::size_t applied_bytes_ = 0;  ///< of events, by the last `apply_outbox`
  TimePoint lent_until_{};         ///< while the socket is lent: when the I/O thread takes it back

  // Application thread.
  bool lending_allowed_ = false;
  std::uint64_t consumed_since_nudge_ = 0;
  bool answers_ = false;  ///< the last send came after a drain
  Bytes application_buffer_;
  bool drained_since_send_ = false;
  bool sent_to_busy_thread_ = false;
  TimePoint last_send_{};
};

}  // namespace netmesh::runtime
