#include "runtime/engine.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace netmesh::runtime {
namespace {

/// Received bytes handled before the crank is let go and acknowledgements leave: long enough for
/// batches to pay, short enough for a waiting caller not to notice (about 100 µs of decryption).
constexpr std::size_t kBytesPerHold = 128 * 1024;
/// How often the I/O thread steps aside for an application thread that has not woken up yet.
constexpr int kMaxYields = 64;
/// Sends up to this size may leave from the application's own thread: a thread switch costs more
/// than encrypting them.
constexpr std::size_t kDirectSendBytes = 4 * 1024;
/// A send after such a pause answers something; sends in shorter succession are a stream, which the
/// I/O thread packs into fewer and larger packets.
constexpr Duration kConversationPause = std::chrono::microseconds(50);
/// Least time between turns for timers while the kernel takes no datagrams.
constexpr Duration kBlockedPause = std::chrono::milliseconds(1);

/// A quarter of the smallest receive window: no limit moves for less.
constexpr std::uint64_t kConsumedWorthTelling = 4 * 1024;
/// How long the application's thread may leave a lent socket alone before the I/O thread takes
/// over: bounds what a busy application delays. Each turn of the application's thread begins it
/// anew.
constexpr Duration kLoan = std::chrono::milliseconds(10);
/// More than this at once is no conversation; the I/O thread is better at it.
constexpr std::size_t kMaxLentBytes = 16 * 1024;
/// After a message smaller than this the socket is not asked for another one: there is none in a
/// conversation, and the loop asks by itself.
constexpr std::size_t kLentLookAgainBytes = 2 * 1024;
/// Largest datagram, or run of them, that the kernel hands over.
constexpr std::size_t kLentBufferBytes = 64 * 1024;

}  // namespace

Engine::Control::Control(const Engine& engine) : lock_(engine.crank_, std::defer_lock) {
  engine.waiting_.fetch_add(1, std::memory_order_relaxed);
  lock_.lock();
  engine.waiting_.fetch_sub(1, std::memory_order_relaxed);
}

Expected<std::shared_ptr<Engine>> Engine::create(NodeSetup setup, std::function<void()> on_ready) {
  const auto failed = [](const Error& error) {
    return fail(error.kind, "MeshNode creation failed: connection error: " + error.message);
  };
  auto socket = UdpSocket::open(setup.udp);
  if (!socket) return failed(socket.error());
  auto readiness = Readiness::open((*socket)->descriptor());
  if (!readiness) return failed(readiness.error());
  std::shared_ptr<Engine> self(
      new Engine(std::move(setup), std::move(*socket), std::move(*readiness), std::move(on_ready)));
  auto reactor = Reactor::create(*self->readiness_, *self);
  if (!reactor) return failed(reactor.error());
  self->reactor_ = std::move(*reactor);
  if (const auto started = self->reactor_->start(); !started) return failed(started.error());
  return self;
}

Engine::Engine(NodeSetup setup, std::unique_ptr<UdpSocket> socket,
               std::unique_ptr<Readiness> readiness, std::function<void()> on_ready)
    : inbox_(std::move(on_ready)),
      socket_(std::move(socket)),
      readiness_(std::move(readiness)),
      batch_(std::make_unique<mesh::TransmitBatch>()),
      machine_(
          std::make_unique<mesh::Node>(std::move(setup.machine), random_, inbox_, read_clocks())) {}

Engine::~Engine() { stop(); }

void Engine::stop() {
  refuse_work();
  if (reactor_) reactor_->stop();
  const Control control(*this);
  machine_.reset();
  reactor_.reset();
  readiness_.reset();
  socket_.reset();
  batch_.reset();
}

bool Engine::send(std::shared_ptr<const session::StreamGate> gate, session::OutboundBatch batch) {
  if (!accepts_work()) return false;
  const bool small = batch.frames.size() <= kDirectSendBytes;
  const bool first = outbox_.push(Outbox::Send{std::move(gate), std::move(batch)});
  if (reactor_->parked())
    nudge(is_conversation(monotonic_now()) && small && first);
  else
    sent_to_busy_thread_ = true;
  return true;
}

bool Engine::publish(Outbox::Publish publish) {
  if (!accepts_work()) return false;
  outbox_.push(std::move(publish));
  if (reactor_->parked())
    nudge(false);
  else
    sent_to_busy_thread_ = true;
  return true;
}

void Engine::consume(const ConsumedEntry* entries, std::size_t count) {
  if (count == 0 || !reactor_) return;
  const bool first = outbox_.push(entries, count);
  for (std::size_t i = 0; i < count; ++i) consumed_since_nudge_ += entries[i].bytes;
  // Too little to open a window: it is told along with whatever is done next.
  if (consumed_since_nudge_ < kConsumedWorthTelling) return;
  consumed_since_nudge_ = 0;
  if (reactor_->parked()) nudge(first);
}

Drained Engine::drain() {
  drained_since_send_ = true;
  return inbox_.drain();
}

/// Whether a send belongs to an exchange of single messages, where latency counts.
bool Engine::is_conversation(TimePoint now) {
  const bool answer = std::exchange(drained_since_send_, false);
  answers_ = answer;
  const bool burst = std::exchange(sent_to_busy_thread_, false);
  const Duration pause = now - std::exchange(last_send_, now);
  return answer || (!burst && pause >= kConversationPause);
}

/// The I/O thread sleeps and there is work. In a conversation this thread does it at once.
void Engine::nudge(bool conversation) {
  if (conversation) {
    const std::unique_lock lock(crank_, std::try_to_lock);
    if (lock.owns_lock()) {
      const Now now = read_clocks();
      apply_outbox(now);
      if (lending_allowed_ && answers_) {
        readiness_->lend();
        lent_until_ = now.monotonic + kLoan;
      }
      if (!finish(now)) return;
    } else if (!reactor_->parked()) {
      return;  // it has just woken up, and looks for work before it sleeps again
    }
  }
  reactor_->wake();
}

/// The crank for the I/O thread, after whoever waits for it.
std::unique_lock<std::mutex> Engine::take_crank() {
  for (int i = 0; i < kMaxYields && waiting_.load(std::memory_order_relaxed) > 0; ++i)
    std::this_thread::yield();
  return std::unique_lock(crank_);
}

ReactorClient::Turn Engine::turn(bool readable) {
  UdpSocket::ReceiveResult received{{}, true};
  if (readable) received = socket_->receive();

  std::size_t next = 0;
  bool more = false;
  bool blocked = false;
  do {
    const auto lock = take_crank();
    const Now now = read_clocks();
    apply_outbox(now);
    std::size_t bytes = 0;
    while (next < received.datagrams.size() && bytes < kBytesPerHold) {
      bytes += received.datagrams[next].bytes.size();
      handle_datagrams(now, received.datagrams[next++]);
    }
    if (bytes > 0) machine_->end_of_batch(now);
    if (next == received.datagrams.size()) handle_timeout_if_due(now);
    watch_loan(now);
    more = finish(now);
    blocked = blocked_;
    readiness_->watch_writable(blocked);
  } while (next < received.datagrams.size());
  return {(more && !blocked) || !received.exhausted, blocked};
}

/// After the datagrams, which may be what a timeout waits for.
void Engine::handle_timeout_if_due(Now now) {
  const auto timeout = machine_->next_timeout();
  if (timeout && *timeout <= now.monotonic) machine_->handle_timeout(now);
}

/// I/O thread: takes the socket back from an application that has left it alone or has begun to
/// send in bulk.
void Engine::watch_loan(Now now) {
  if (readiness_->lent() && (now.monotonic >= lent_until_ || applied_bytes_ > kDirectSendBytes)) {
    readiness_->take_back();
  }
}

void Engine::application_turn() {
  const Control control(*this);
  if (!machine_ || !readiness_->lent()) return;
  if (application_buffer_.empty()) application_buffer_.resize(kLentBufferBytes);
  const Now now = read_clocks();
  apply_outbox(now);
  std::size_t bytes = 0;
  while (bytes <= kMaxLentBytes) {
    const auto received = socket_->receive_one(application_buffer_);
    if (!received) break;
    bytes += received->bytes.size();
    handle_datagrams(now, *received);
    if (received->segment_bytes == received->bytes.size() && bytes < kLentLookAgainBytes) break;
  }
  if (bytes > 0) machine_->end_of_batch(now);
  handle_timeout_if_due(now);
  if (bytes > kMaxLentBytes)
    readiness_->take_back();
  else
    lent_until_ = now.monotonic + kLoan;
  if (finish(now)) reactor_->wake();
}

void Engine::handle_datagrams(Now now, const UdpSocket::Received& received) {
  MutableByteSpan rest = received.bytes;
  do {
    const std::size_t length = std::min(received.segment_bytes, rest.size());
    machine_->handle_datagram(now, received.from, rest.first(length));
    rest = rest.subspan(length);
  } while (!rest.empty());
}

void Engine::apply_outbox(Now now) {
  outbox_.take(work_);
  for (const ConsumedEntry& entry : work_.consumed) {
    machine_->consume(now, mesh::StreamRef{entry.stream_ref}, entry.events, entry.bytes);
  }
  applied_bytes_ = 0;
  for (Outbox::Send& send : work_.sends) {
    applied_bytes_ += send.batch.frames.size();
    machine_->send(now, *send.gate, std::move(send.batch));
  }
  for (Outbox::Publish& publish : work_.publishes) {
    applied_bytes_ += publish.frames.size();
    machine_->publish(now, publish.request, publish.name, std::move(publish.frames), publish.sizes,
                      publish.options);
  }
  work_.clear();
}

/// After the machine was given something: hands over what came of it, first to the application,
/// because it waits longer for its thread to wake up. True when there is more to transmit.
bool Engine::finish(Now now) {
  inbox_.publish();
  const bool more = transmit(now);
  inbox_.publish();
  // With more to do there is no sleep to end, unless the kernel's buffer is full. What is overdue
  // then must wait for it.
  if (more && !blocked_) return true;
  auto deadline = machine_->next_timeout();
  if (deadline && blocked_) deadline = std::max(*deadline, now.monotonic + kBlockedPause);
  // In a conversation the deadlines move with every message and none should wake the I/O thread.
  const bool lent = readiness_->lent();
  if (lent) deadline = std::min(deadline.value_or(lent_until_), lent_until_);
  reactor_->arm(now.monotonic, deadline, lent);
  return more;
}

/// Sends what was left over, and one batch more. True when another batch would follow.
bool Engine::transmit(Now now) {
  if (!flush()) return true;
  const bool more = machine_->poll_transmit(now, *batch_);
  return !flush() || more;
}

/// Empties the batch into the socket; false when the kernel's buffer is full.
bool Engine::flush() {
  if (unsent_from_ < batch_->datagrams().size())
    unsent_from_ = socket_->send(*batch_, unsent_from_);
  blocked_ = unsent_from_ < batch_->datagrams().size();
  if (blocked_) return false;
  batch_->clear();
  unsent_from_ = 0;
  return true;
}

}  // namespace netmesh::runtime
