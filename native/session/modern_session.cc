#include "session/modern_session.h"

#include <algorithm>

#include "base/assert.h"
#include "wire/modern_packet.h"

namespace netmesh::session {
namespace {

/// Datagrams between two ends on one machine: the loopback interface carries 64 KiB, and fewer,
/// larger packets cost less per byte until they outgrow the processor's first-level cache.
constexpr std::size_t kLoopbackDatagramBytes = 16384;

/// An event in fragments that is not complete by then lost one for good: they leave together.
constexpr Duration kReassemblyLife = std::chrono::seconds(10);

/// Largest event of a fire-and-forget stream: what a base packet holds, so that streams behave
/// alike towards every peer.
constexpr std::uint32_t kMaxDatagramEvent =
    static_cast<std::uint32_t>(wire::kMaxNetPayloadBytes - wire::kEventFrameHeaderBytes);

}  // namespace

ModernSession::ModernSession(Established established, const SessionConfig& config,
                             const PathInfo& path, SessionEvents& events, Now now)
    : id_(established.session_id),
      peer_(established.peer),
      config_(config),
      events_(events),
      keys_(established.aead, std::move(established.send_key), std::move(established.receive_key)),
      peer_hello_(*established.peer_hello),
      mtu_(search_for(path)),
      recovery_(config.congestion, mtu_.current(), config.seed),
      session_max_(peer_hello_.session_window),
      session_window_(config.session_receive_window, config.max_session_receive_window),
      session_limit_(config.session_receive_window) {
  set_path(path);
  recovery_.watch_sizes(&mtu_);
  // The initiator's first packet proves to the responder that the keys work.
  ping_due_ = established.initiator;
  begin_life(established, now);
}

std::size_t ModernSession::base_bytes(const PathInfo& path) const {
  const std::size_t carried = path.loopback && !path.relayed ? kLoopbackDatagramBytes
                              : path.relayed                 ? wire::kBaseDatagramBytes - 18
                                                             : wire::kBaseDatagramBytes;
  return std::min<std::size_t>(carried, peer_hello_.max_datagram);
}

/// Relays are taken to carry the base size: what lies behind them may change at any time.
MtuDiscovery ModernSession::search_for(const PathInfo& path) const {
  const std::size_t base = base_bytes(path);
  const bool search = !path.loopback && !path.relayed;
  return {base, search ? std::min<std::size_t>(path.max_datagram, peer_hello_.max_datagram) : base};
}

void ModernSession::set_path(const PathInfo& path) {
  mtu_ = search_for(path);
  mtu_probe_bytes_ = 0;
  datagram_bytes_ = mtu_.current();
  pad_for_relay_ = path.relayed;
}

void ModernSession::move_to(Now now, const PathInfo& path) {
  set_path(path);
  recovery_.reset_path(now.monotonic, datagram_bytes_);
  ping_due_ = true;  // measures the new path at once
}

void ModernSession::end_of_batch(Now) { acks_.end_of_batch(); }

void ModernSession::handle_timeout(Now now) {
  if (closing_) return;
  acks_.handle_timeout(now.monotonic);
  if (rekey_at_ && now.monotonic >= *rekey_at_) begin_rekey(now);
  recovery_.handle_timeout(
      now.monotonic, [&](const SentFrame& frame) { frame_lost(now, frame, false); },
      [&](const SentFrame& frame) { frame_lost(now, frame, true); });
  follow_mtu(now);
}

std::optional<TimePoint> ModernSession::next_timeout() const {
  if (closing_) return std::nullopt;
  const auto ack = acks_.next_timeout();
  const auto loss = recovery_.next_timeout(!ready_.empty() || fragment_, datagram_bytes_);
  std::optional<TimePoint> next = rekey_at_;
  for (const auto& at : {ack, loss}) {
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

void ModernSession::heartbeat(Now now) {
  ping_due_ = true;
  keys_.expire(now.monotonic);
}

void ModernSession::close(std::uint64_t code, std::string reason) {
  if (closing_) return;
  reason.resize(std::min<std::size_t>(reason.size(), 255));
  closing_ = CloseInfo{code, std::move(reason), false};
  closes_left_ = 3;
}

std::shared_ptr<StreamGate> ModernSession::make_gate(const StreamConfig& config) {
  const std::uint64_t epoch =
      config.reliable ? ++reliable_openings_ << 1 : (++datagram_openings_ << 1) | 1;
  const std::uint32_t largest = config.reliable
                                    ? std::min(config_.max_message_bytes, peer_hello_.max_message)
                                    : std::min(kMaxDatagramEvent, peer_hello_.max_message);
  if (is_control_stream(config.stream_id)) {
    return std::make_shared<StreamGate>(peer_, config, epoch, kMaxControlMessageBytes,
                                        control_queued_, kMaxControlQueueBytes);
  }
  return std::make_shared<StreamGate>(peer_, config, epoch, largest, queued_,
                                      static_cast<std::int64_t>(config_.max_queued_bytes));
}

Expected<std::shared_ptr<StreamGate>> ModernSession::open_stream(Now now,
                                                                 const StreamConfig& config) {
  auto existing = streams_.find(config.stream_id);
  if (existing != streams_.end() && existing->second.current) {
    existing->second.hidden = false;
    return existing->second.current->gate().shared_from_this();
  }
  if (sending_count_ >= config_.max_streams && !is_control_stream(config.stream_id)) {
    // Spec 10 §7.3: the least recently active stream gives way, if it has nothing on the way.
    StreamEntry* oldest = nullptr;
    for (auto& [id, entry] : streams_) {
      if (!entry.current || is_control_stream(id) || entry.current->unacknowledged_bytes() != 0)
        continue;
      if (oldest == nullptr || entry.current->last_activity < oldest->current->last_activity)
        oldest = &entry;
    }
    if (oldest == nullptr || sending_count_ >= std::size_t{config_.max_streams} * 2) {
      return fail(ErrorKind::kBackpressure,
                  "stream would block: too many open streams in this session");
    }
    close_entry(*oldest);
  }
  auto gate = make_gate(config);
  StreamEntry& entry = streams_[config.stream_id];
  entry.hidden = false;
  const std::uint64_t window = peer_hello_.stream_window;
  entry.current = std::make_unique<SendStream>(gate, window);
  entry.current->last_activity = now.monotonic;
  entry.current->last_activity_unix = now.unix_ns;
  ++sending_count_;
  return gate;
}

void ModernSession::close_entry(StreamEntry& entry) {
  entry.hidden = true;
  if (!entry.current) return;
  SendStream& stream = *entry.current;
  const StreamId id = stream.id();
  if (stream.gate().close()) notify_credit(stream);
  stream.finish();
  if (stream.sent_bytes() == 0 && stream.unacknowledged_bytes() == 0) {
    // Nothing was ever sent: the peer knows nothing of this opening and needs no FIN. Its reader
    // does, when there is one: a reliable opening's number must not stay open at the peer.
    if (!stream.reliable()) {
      drop_ready(stream);
      entry.current.reset();
      --sending_count_;
      settle(id);
      return;
    }
  }
  entry.draining.push_back(std::move(entry.current));
  make_ready(*entry.draining.back());
  settle(id);
}

void ModernSession::close_stream(Now, StreamId id) {
  auto it = streams_.find(id);
  if (it != streams_.end()) close_entry(it->second);
}

void ModernSession::send(Now now, const StreamGate& gate, OutboundBatch batch) {
  SendStream* stream = find_sending(gate.config.stream_id, gate.epoch);
  if (stream == nullptr || &stream->gate() != &gate || closing_) {
    const_cast<StreamGate&>(gate).release_queue(batch.cost);
    return;
  }
  stream->last_activity = now.monotonic;
  stream->last_activity_unix = now.unix_ns;
  stream->push(std::move(batch));
  if (queued_->load(std::memory_order_relaxed) >
      static_cast<std::int64_t>(config_.max_queued_bytes / 4)) {
    queue_was_long_ = true;
  }
  make_ready(*stream);
}

Expected<void> ModernSession::send_unwindowed(Now now, OutboundBatch batch,
                                              std::size_t largest_event) {
  StreamConfig config;
  auto gate = open_stream(now, config);
  if (!gate) return tl::unexpected<Error>(std::move(gate.error()));
  auto admitted = (*gate)->admit_unwindowed(batch.cost, batch.packets, largest_event);
  if (!admitted) return admitted;
  batch.windowed = false;
  send(now, **gate, std::move(batch));
  return {};
}

Expected<void> ModernSession::send_control(Now now, std::uint16_t protocol, ByteSpan message) {
  if (closing_) return fail(ErrorKind::kNotConnected, "connection error: the session ends");
  if ((peer_hello_.features & wire::feature::kControlStreams) == 0)
    return fail(ErrorKind::kNotConnected, "connection error: the peer takes no control messages");
  StreamConfig config;
  config.stream_id = control_stream(protocol);
  config.reliable = true;
  config.window_bytes = 0;
  config.priority = Priority::kControl;
  auto gate = open_stream(now, config);
  if (!gate) return tl::unexpected<Error>(std::move(gate.error()));
  BatchCost cost;
  cost.add(message.size());
  auto admitted = (*gate)->admit_unwindowed(cost.bytes(), cost.packets(), message.size());
  if (!admitted) return admitted;
  OutboundBatch batch;
  const std::size_t frame_bytes = wire::kEventFrameHeaderBytes + message.size();
  batch.frames = Slab(frame_bytes);
  wire::write_event_frame(message, batch.frames.extend(frame_bytes));
  batch.cost = cost.bytes();
  batch.event_count = 1;
  batch.packets = static_cast<std::uint32_t>(cost.packets());
  batch.windowed = false;
  send(now, **gate, std::move(batch));
  return {};
}

void ModernSession::evict_idle(Now now) {
  while (!reassemblies_.empty() && now.monotonic - reassemblies_.front().begun > kReassemblyLife) {
    reassemblies_.pop_front();
    ++stats_.events_dropped;
  }
  std::vector<StreamId> idle;
  for (auto& [id, entry] : streams_) {
    if (entry.current && entry.current->unacknowledged_bytes() == 0 &&
        now.monotonic - entry.current->last_activity > config_.stream_idle_timeout) {
      idle.push_back(id);
    } else if (entry.datagram_in && entry.datagram_in->unconsumed_bytes() == 0 &&
               now.monotonic - entry.datagram_in->last_activity > config_.stream_idle_timeout) {
      idle.push_back(id);
    }
  }
  for (StreamId id : idle) {
    auto it = streams_.find(id);
    if (it == streams_.end()) continue;
    StreamEntry& entry = it->second;
    if (entry.datagram_in && entry.datagram_in->unconsumed_bytes() == 0 &&
        now.monotonic - entry.datagram_in->last_activity > config_.stream_idle_timeout) {
      events_.stream_finished(entry.datagram_in->ref, false);
      entry.datagram_in.reset();
    }
    if (entry.current && entry.current->unacknowledged_bytes() == 0 &&
        now.monotonic - entry.current->last_activity > config_.stream_idle_timeout) {
      close_entry(entry);
    } else {
      settle(id);
    }
  }
}

void ModernSession::abandon() {
  for (auto& [id, entry] : streams_) {
    if (entry.current && entry.current->gate().close()) notify_credit(*entry.current);
    if (entry.reliable_in && !is_control_stream(id))
      events_.stream_finished(entry.reliable_in->ref, false);
    if (entry.datagram_in) events_.stream_finished(entry.datagram_in->ref, false);
  }
  ready_.clear();
  fragment_.reset();
  streams_.clear();
  limits_due_.clear();
  touched_.clear();
  reassemblies_.clear();
}

StreamStatsSnapshot ModernSession::snapshot(StreamId id, const StreamEntry& entry) const {
  StreamStatsSnapshot out;
  out.stream_id = id;
  out.rx_seq = entry.rx_seq;
  if (entry.current) {
    const StreamGate& gate = entry.current->gate();
    out.tx_seq = gate.tx_sequence();
    out.backpressure_events = gate.backpressure_events();
    out.credit_remaining = gate.credit_remaining();
    out.window = gate.config.window_bytes;
    out.grants_received = entry.current->grants_received;
    out.last_activity_unix = entry.current->last_activity_unix;
  }
  const auto include = [&](const auto& half) {
    if (!half) return;
    out.grants_sent += half->grants_sent;
    out.last_activity_unix = std::max(out.last_activity_unix, half->last_activity_unix);
  };
  include(entry.reliable_in);
  include(entry.datagram_in);
  return out;
}

std::optional<StreamStatsSnapshot> ModernSession::stream_stats(StreamId id) const {
  auto it = streams_.find(id);
  if (it == streams_.end() || it->second.hidden || is_control_stream(id)) return std::nullopt;
  return snapshot(id, it->second);
}

std::vector<StreamStatsSnapshot> ModernSession::all_stream_stats() const {
  std::vector<StreamStatsSnapshot> out;
  for (const auto& [id, entry] : streams_) {
    if (!entry.hidden && !is_control_stream(id)) out.push_back(snapshot(id, entry));
  }
  return out;
}

std::size_t ModernSession::stream_count() const {
  return static_cast<std::size_t>(std::count_if(
      streams_.begin(), streams_.end(), [](const auto& s) { return !is_control_stream(s.first); }));
}

SessionStats ModernSession::stats() const {
  SessionStats out = stats_;
  out.packets_lost = recovery_.packets_lost();
  out.congestion = recovery_.congestion_stats();
  if (recovery_.rtt().has_sample()) {
    out.rtt = recovery_.rtt().smoothed();
    out.rtt_min = recovery_.rtt().minimum();
  }
  return out;
}

std::uint64_t ModernSession::stream_backlog(StreamId id) const {
  const auto it = streams_.find(id);
  if (it == streams_.end() || !it->second.current) return 0;
  return it->second.current->unacknowledged_bytes();
}

std::uint64_t ModernSession::unacknowledged_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [id, entry] : streams_) {
    if (is_control_stream(id)) continue;
    for (const auto& stream : entry.draining) total += stream->unacknowledged_bytes();
    if (entry.current) total += entry.current->unacknowledged_bytes();
  }
  return total;
}

std::vector<Unacknowledged> ModernSession::unacknowledged() const {
  std::vector<Unacknowledged> out;
  for (const auto& [id, entry] : streams_) {
    if (is_control_stream(id)) continue;
    Unacknowledged left{id, 0, 0};
    const auto include = [&](const SendStream& stream) {
      left.bytes += stream.unacknowledged_bytes();
      left.events += stream.unacknowledged_events();
    };
    for (const auto& stream : entry.draining) include(*stream);
    if (entry.current) include(*entry.current);
    if (left.bytes != 0) out.push_back(left);
  }
  return out;
}

std::unique_ptr<Session> make_modern_session(Established established, const SessionConfig& config,
                                             const PathInfo& path, SessionEvents& events, Now now) {
  return std::make_unique<ModernSession>(std::move(established), config, path, events, now);
}

}  // namespace netmesh::session
