#include "sim/node.h"

#include <algorithm>

#include "sim/sender.h"
#include "wire/event_frames.h"

namespace netmesh::sim {
namespace {

/// A machine that asks to be woken more often without time passing never lets time pass.
constexpr unsigned kMaxTimeoutsAtInstant = 32;
constexpr unsigned kMaxIdlePolls = 1000;
/// How often a paced reader reads.
constexpr Duration kReadInterval = std::chrono::milliseconds(10);

std::string short_id(NodeId id) {
  char text[20];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(id.value >> 32));
  return text;
}

const char* reason_name(mesh::DownReason reason) {
  switch (reason) {
    case mesh::DownReason::kGoodbye:
      return "goodbye";
    case mesh::DownReason::kTimeout:
      return "timeout";
    case mesh::DownReason::kReplaced:
      return "replaced";
    case mesh::DownReason::kProtocolViolation:
      return "protocol violation";
    case mesh::DownReason::kShutdown:
      return "shutdown";
    case mesh::DownReason::kRestarted:
      return "restarted";
  }
  return "?";
}

}  // namespace

SimNode::SimNode(World& world, std::string name, const Endpoint& address, mesh::NodeConfig config)
    : world_(world),
      name_(std::move(name)),
      address_(address),
      random_(world.network.random().fork()),
      timer_random_(world.network.random().fork()),
      machine_(std::make_unique<mesh::Node>(std::move(config), random_, *this, now())),
      self_(std::make_shared<SimNode*>(this)) {
  world_.network.attach(address_, *this);
}

SimNode::~SimNode() {
  machine_.reset();  // while there is still somebody to tell
  *self_ = nullptr;
  world_.network.detach(address_);
}

Now SimNode::now() const {
  const Now now = world_.network.now();
  return {now.monotonic + clock_offset_, now.unix_ns + clock_offset_.count()};
}

void SimNode::jump(Duration duration) {
  clock_offset_ += duration;
  timer_at_.reset();
  settle();
}

void SimNode::start() {
  call([](mesh::Node& machine, Now at) { machine.start(at); });
}

mesh::RequestId SimNode::connect(const SimNode& peer, const mesh::ConnectOptions& options) {
  return call([&](mesh::Node& machine, Now at) {
    return machine.connect(at, peer.address(), peer.public_key(), peer.id(), options);
  });
}

mesh::RequestId SimNode::connect_via(const SimNode& relay, const SimNode& peer) {
  mesh::ConnectOptions options;
  options.routed = true;
  return call([&](mesh::Node& machine, Now at) {
    return machine.connect(at, relay.address(), peer.public_key(), peer.id(), options);
  });
}

Expected<mesh::RequestId> SimNode::accept(const SimNode& peer) {
  return call([&](mesh::Node& machine, Now at) { return machine.accept(at, peer.id()); });
}

void SimNode::shutdown(Duration drain) {
  call([&](mesh::Node& machine, Now at) { machine.shutdown(at, drain); });
}

mesh::RequestId SimNode::publish(const channel::ChannelName& name,
                                 const std::vector<Bytes>& payloads,
                                 const mesh::PublishOptions& options) {
  std::size_t total = 0;
  std::vector<std::uint32_t> sizes;
  for (const Bytes& payload : payloads) {
    sizes.push_back(static_cast<std::uint32_t>(payload.size()));
    total += wire::kEventFrameHeaderBytes + payload.size();
  }
  Slab frames(total);
  for (const Bytes& payload : payloads)
    wire::write_event_frame(payload, frames.extend(wire::kEventFrameHeaderBytes + payload.size()));
  const mesh::RequestId request = next_publish_++;
  call([&](mesh::Node& machine, Now at) {
    machine.publish(at, request, name, std::move(frames), sizes, options);
  });
  return request;
}

Expected<channel::RequestId> SimNode::subscribe(NodeId publisher,
                                                const channel::ChannelName& name) {
  return call(
      [&](mesh::Node& machine, Now at) { return machine.subscribe(at, publisher, name, {}); });
}

// --- what happened ---

const Expected<mesh::PublishReport>* SimNode::published(mesh::RequestId request) const {
  const auto it = publishes_.find(request);
  return it == publishes_.end() ? nullptr : &it->second;
}

bool SimNode::is_up(NodeId peer) const {
  const auto it = up_.find(peer);
  return it != up_.end() && it->second;
}

const Expected<void>* SimNode::connected(mesh::RequestId request) const {
  const auto it = connects_.find(request);
  return it == connects_.end() ? nullptr : &it->second;
}

const Expected<Endpoint>* SimNode::accepted(mesh::RequestId request) const {
  const auto it = accepts_.find(request);
  return it == accepts_.end() ? nullptr : &it->second;
}

std::optional<PeerEvent> SimNode::last_down(NodeId peer) const {
  for (auto it = peer_events_.rbegin(); it != peer_events_.rend(); ++it) {
    if (it->peer == peer && it->kind == PeerEvent::Kind::kDown) return *it;
  }
  return std::nullopt;
}

const ReceivedStream* SimNode::stream(NodeId peer, StreamId id, std::size_t opening) const {
  for (const ReceivedStream& stream : streams_) {
    if (stream.peer == peer && stream.id == id && opening-- == 0) return &stream;
  }
  return nullptr;
}

// --- the crank ---

void SimNode::receive(const Endpoint& from, Bytes datagram) {
  inbox_.emplace_back(from, std::move(datagram));
  if (batch_scheduled_) return;
  batch_scheduled_ = true;
  world_.network.after(batch_delay, [self = self_] {
    if (*self != nullptr) (*self)->handle_inbox();
  });
}

void SimNode::handle_inbox() {
  batch_scheduled_ = false;
  std::vector<std::pair<Endpoint, Bytes>> datagrams;
  datagrams.swap(inbox_);
  for (auto& [from, bytes] : datagrams) machine_->handle_datagram(now(), from, bytes);
  machine_->end_of_batch(now());
  settle();
}

void SimNode::settle() {
  if (settling_) return;
  settling_ = true;
  bool more = true;
  while (more && world_.ok()) {
    more = false;
    if (!credit_events_.empty()) {
      std::vector<CreditEvent> events;
      events.swap(credit_events_);
      const std::vector<StreamSender*> senders = senders_;
      for (const CreditEvent& event : events) {
        for (StreamSender* sender : senders) {
          if (sender->gate_ && sender->peer_ == event.peer && sender->gate_->epoch == event.epoch &&
              sender->config_.stream_id == event.stream) {
            sender->pump();
          }
        }
      }
      more = true;
    }
    if (!reading_.paused && reading_.bytes_per_second == 0 && read(~std::uint64_t{0}) != 0) {
      more = true;
    }
    transmit();
    if (!credit_events_.empty()) more = true;
  }
  settling_ = false;
  pace();
  rearm();
}

void SimNode::transmit() {
  mesh::TransmitBatch& batch = world_.batch_;
  unsigned idle = 0;
  bool more = true;
  while (more) {
    batch.clear();
    more = machine_->poll_transmit(now(), batch);
    if (more && batch.empty() &&
        !expect(++idle < kMaxIdlePolls, "poll_transmit promises datagrams and gives none")) {
      return;
    }
    for (const mesh::TransmitBatch::Datagram& datagram : batch.datagrams()) {
      world_.network.send(address_, datagram.to, batch.bytes_of(datagram));
    }
  }
}

void SimNode::rearm() {
  const auto wanted = machine_->next_timeout();
  if (!wanted) return;
  const TimePoint at = std::max(*wanted, now().monotonic);
  if (timer_at_ && *timer_at_ <= at) return;
  timer_at_ = at;
  const std::uint64_t generation = ++timer_generation_;
  const Duration late = timer_random_.duration(Duration::zero(), timer_slack);
  world_.network.after(at - now().monotonic + late, [self = self_, generation] {
    if (*self != nullptr && (*self)->timer_generation_ == generation) (*self)->on_timer();
  });
}

void SimNode::on_timer() {
  timer_at_.reset();
  const TimePoint at = now().monotonic;
  const auto wanted = machine_->next_timeout();
  if (!wanted || *wanted > at) {
    rearm();
    return;
  }
  timeouts_at_instant_ = at == last_timeout_ ? timeouts_at_instant_ + 1 : 1;
  last_timeout_ = at;
  if (!expect(timeouts_at_instant_ < kMaxTimeoutsAtInstant,
              "timeouts repeat without time passing")) {
    return;
  }
  ++timeouts_handled_;
  machine_->handle_timeout(now());
  settle();
}

// --- reading ---

void SimNode::set_reading(const Reading& reading) {
  reading_ = reading;
  settle();
}

void SimNode::set_neglected(StreamId stream, bool neglected) {
  if (neglected) {
    neglected_.insert(stream);
  } else {
    neglected_.erase(stream);
  }
  settle();
}

std::uint64_t SimNode::read(std::uint64_t bytes) {
  std::uint64_t taken = 0;
  std::deque<Unread> kept;
  while (!unread_.empty() && taken < bytes) {
    // One call for a run of events of one stream, as the runtime does.
    const mesh::StreamRef ref = unread_.front().ref;
    ReceivedStream& stream = *by_ref_.at(ref);
    const bool neglected = neglected_.contains(stream.id);
    std::uint64_t run_bytes = 0;
    std::uint64_t run_events = 0;
    while (!unread_.empty() && unread_.front().ref == ref && taken < bytes) {
      if (neglected) {
        kept.push_back(unread_.front());
      } else {
        run_bytes += unread_.front().bytes;
        taken += unread_.front().bytes + wire::kEventFrameHeaderBytes;
        ++run_events;
      }
      unread_.pop_front();
    }
    if (neglected) continue;
    stream.unread_bytes -= run_bytes;
    stream.unread_events -= run_events;
    unread_bytes_ -= run_bytes + run_events * wire::kEventFrameHeaderBytes;
    machine_->consume(now(), ref, run_events, run_bytes);
  }
  unread_.insert(unread_.begin(), kept.begin(), kept.end());
  if (taken != 0) settle();
  return taken;
}

void SimNode::pace() {
  if (pacing_ || reading_.paused || reading_.bytes_per_second == 0 || unread_.empty()) return;
  pacing_ = true;
  world_.network.after(kReadInterval, [self = self_] {
    if (*self == nullptr) return;
    SimNode& node = **self;
    node.pacing_ = false;
    if (!node.reading_.paused) {
      node.read(node.reading_.bytes_per_second * static_cast<std::uint64_t>(kReadInterval.count()) /
                1'000'000'000);
    }
    node.pace();
  });
}

// --- NodeSink ---

void SimNode::connect_done(mesh::RequestId request, Expected<void> result) {
  note(result ? "connected" : "connect failed: " + result.error().message);
  expect(connects_.emplace(request, std::move(result)).second, "a connect was resolved twice");
}

void SimNode::accept_done(mesh::RequestId request, Expected<Endpoint> result) {
  note(result ? "accepted" : "accept failed: " + result.error().message);
  expect(accepts_.emplace(request, std::move(result)).second, "an accept was resolved twice");
}

void SimNode::peer_up(NodeId peer, const Endpoint& address, mesh::SecurityMode mode) {
  note("peer up: " + short_id(peer) +
       (mode == mesh::SecurityMode::kModern ? " modern" : " legacy"));
  expect(!is_up(peer), "peer_up for a peer that is up");
  up_[peer] = true;
  PeerEvent event;
  event.kind = PeerEvent::Kind::kUp;
  event.peer = peer;
  event.mode = mode;
  event.address = address;
  event.at = world_.network.elapsed();
  peer_events_.push_back(std::move(event));
}

void SimNode::peer_down(NodeId peer, mesh::DownReason reason, const std::string& text) {
  note("peer down: " + short_id(peer) + " " + reason_name(reason) + ": " + text);
  expect(is_up(peer), "peer_down for a peer that is not up");
  up_[peer] = false;
  if (reason != mesh::DownReason::kTimeout) {
    for (const auto& [ref, stream] : by_ref_) {
      expect(stream->peer != peer || stream->end, "a peer went down before its streams ended");
    }
  }
  PeerEvent event;
  event.kind = PeerEvent::Kind::kDown;
  event.peer = peer;
  event.reason = reason;
  event.text = text;
  event.at = world_.network.elapsed();
  peer_events_.push_back(std::move(event));
}

void SimNode::stream_opened(mesh::StreamRef ref, NodeId peer, StreamId stream, bool reliable) {
  note("stream " + std::to_string(stream.value) + " of " + short_id(peer) + " opened, ref " +
       std::to_string(ref));
  if (const auto old = by_ref_.find(ref); old != by_ref_.end()) {
    expect(old->second->end.has_value(), "a stream ref was reused while its stream lives");
    expect(old->second->unread_events == 0, "a stream ref was reused before everything was read");
  }
  expect(is_up(peer), "stream_opened for a peer that is not up");
  streams_.emplace_back();
  ReceivedStream& received = streams_.back();
  received.peer = peer;
  received.id = stream;
  received.reliable = reliable;
  by_ref_[ref] = &received;
}

void SimNode::deliver(mesh::StreamRef ref, std::uint64_t sequence, std::uint32_t index,
                      ByteSpan first, ByteSpan second) {
  const auto it = by_ref_.find(ref);
  if (!expect(it != by_ref_.end() && !it->second->end, "delivery on a stream that is not open")) {
    return;
  }
  ReceivedStream& stream = *it->second;
  const std::uint64_t size = first.size() + second.size();
  stream.bytes += size;
  stream.unread_bytes += size;
  ++stream.unread_events;
  ReceivedMessage message{sequence, index, {}};
  if (keep_messages) {
    message.bytes.reserve(size);
    message.bytes.insert(message.bytes.end(), first.begin(), first.end());
    message.bytes.insert(message.bytes.end(), second.begin(), second.end());
  }
  stream.messages.push_back(std::move(message));
  unread_.push_back({ref, size});
  unread_bytes_ += size + wire::kEventFrameHeaderBytes;
  most_unread_ = std::max(most_unread_, unread_bytes_);
}

void SimNode::stream_finished(mesh::StreamRef ref, mesh::StreamEnd end) {
  const auto it = by_ref_.find(ref);
  if (!expect(it != by_ref_.end() && !it->second->end, "the end of a stream that is not open")) {
    return;
  }
  note("stream " + std::to_string(it->second->id.value) + " of " + short_id(it->second->peer) +
       (end == mesh::StreamEnd::kFinished ? " finished" : " gone") + " after " +
       std::to_string(it->second->messages.size()) + " messages");
  it->second->end = end;
}

void SimNode::credit_available(NodeId peer, StreamId stream, std::uint64_t epoch) {
  ++credit_count_;
  credit_events_.push_back({peer, stream, epoch});
}

void SimNode::publish_done(mesh::RequestId request, Expected<mesh::PublishReport> report) {
  if (!report) note("publish failed: " + report.error().message);
  expect(publishes_.emplace(request, std::move(report)).second, "a publish was reported twice");
}

void SimNode::subscription_event(const channel::Subscriber::Event& event) {
  subscription_events_.push_back(event);
}

void SimNode::shutdown_done(const std::vector<mesh::UnacknowledgedStream>& left) {
  std::uint64_t unacknowledged_bytes = 0;
  for (const auto& stream : left) unacknowledged_bytes += stream.bytes;
  note("shut down, unacknowledged: " + std::to_string(unacknowledged_bytes));
  expect(!shut_down_, "shutdown was reported twice");
  shut_down_ = unacknowledged_bytes;
}

bool SimNode::expect(bool ok, std::string_view what) {
  if (!ok) world_.fail(name_ + ": " + std::string(what));
  return ok;
}

void SimNode::note(const std::string& what) const { world_.network.note(name_, what); }

}  // namespace netmesh::sim
