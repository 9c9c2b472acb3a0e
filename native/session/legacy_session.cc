#include "session/legacy_session.h"

#include <algorithm>

#include "base/assert.h"
#include "session/control_message.h"
#include "wire/event_frames.h"
#include "wire/routing.h"

namespace netmesh::session {
namespace {

/// Spec 10 §7.3: grants for an id closed less than this ago are dropped, even after a reopening.
constexpr Duration kGrantQuarantine = std::chrono::seconds(2);
/// The quarantine list is bounded by what can be closed at all; above this the oldest are
/// forgotten.
constexpr std::size_t kMaxQuarantined = 8192;
constexpr std::uint32_t kMaxEventBytes =
    static_cast<std::uint32_t>(wire::kMaxNetPayloadBytes - wire::kEventFrameHeaderBytes);
constexpr std::uint32_t kMaxRelayedEventBytes =
    kMaxEventBytes - static_cast<std::uint32_t>(wire::kRoutingHeaderBytes);

/// Subprotocols that base nodes handle apart from events (spec 10 §8.2).
bool is_control_subprotocol(std::uint16_t id) {
  switch (id) {
    case 0x0500:
    case 0x0A00:
    case 0x0C00:
    case 0x0D00:
    case 0x0D01:
    case 0x0E00:
    case 0x0F00:
      return true;
    default:
      return false;
  }
}

}  // namespace

LegacySession::LegacySession(Established established, const SessionConfig& config,
                             const PathInfo& path, SessionEvents& events)
    : id_(established.session_id),
      peer_(established.peer),
      config_(config),
      path_(path),
      events_(events),
      seal_key_(crypto::AeadAlgorithm::kChaCha20Poly1305, established.send_key),
      open_key_(crypto::AeadAlgorithm::kChaCha20Poly1305, established.receive_key) {}

PacketVerdict LegacySession::handle_packet(Now now, MutableByteSpan packet) {
  const auto header = wire::parse_net_packet(packet);
  if (!header || header->is_handshake() || header->session_id != id_)
    return PacketVerdict::kMalformed;
  if (!replay_.check(header->counter)) return PacketVerdict::kReplay;
  const auto aad = wire::net_aad(packet.first(wire::kNetHeaderBytes));
  const auto nonce = wire::make_nonce(id_, header->counter);
  const MutableByteSpan text =
      packet.subspan(wire::kNetHeaderBytes, packet.size() - wire::kNetOverheadBytes);
  if (!open_key_.open(nonce, aad, text, packet.last(wire::kTagBytes)))
    return PacketVerdict::kAuthenticationFailed;
  if (!replay_.commit(header->counter)) return PacketVerdict::kReplay;
  if (stats_.packets_received++ == 0) events_.peer_proven();
  stats_.bytes_received += packet.size();
  now_ = now.monotonic;
  if (closing_ || header->is_heartbeat()) return PacketVerdict::kAccepted;
  if (header->subprotocol_id == wire::subprotocol::kWindowGrant) {
    apply_grants(text, header->event_count);
  } else if (is_control_subprotocol(header->subprotocol_id)) {
    wire::EventFrameReader messages(text, header->event_count);
    while (auto message = messages.next()) events_.control(header->subprotocol_id, *message, {});
  } else {
    dispatch_events(now, *header, text);
  }
  return PacketVerdict::kAccepted;
}

void LegacySession::dispatch_events(Now now, const wire::NetHeader& header, ByteSpan plaintext) {
  auto [it, fresh] = streams_.try_emplace(header.stream_id);
  if (fresh && streams_.size() > config_.max_streams) {
    // The least recently active stream gives way (spec 10 §7.3).
    auto oldest = streams_.end();
    for (auto candidate = streams_.begin(); candidate != streams_.end(); ++candidate) {
      if (candidate == it || candidate->second.opening) continue;
      if (oldest == streams_.end() ||
          candidate->second.last_activity < oldest->second.last_activity)
        oldest = candidate;
    }
    if (oldest == streams_.end()) {
      streams_.erase(it);
      ++stats_.events_dropped;
      return;
    }
    if (oldest->second.receiving) events_.stream_finished(oldest->second.ref, false);
    streams_.erase(oldest);
  }
  Stream& stream = it->second;
  if (!stream.receiving) {
    stream.receiving = true;
    stream.ref =
        events_.stream_opened(header.stream_id, (header.flags & wire::flag::kReliable) != 0);
  }
  stream.last_activity = now.monotonic;
  stream.last_activity_unix = now.unix_ns;
  stream.rx_seq = std::max(stream.rx_seq, header.sequence);
  stream.accepted += wire::kNetOverheadBytes + header.payload_len;
  wire::EventFrameReader events(plaintext, header.event_count);
  std::uint32_t index = 0;
  while (auto event = events.next()) {
    const std::uint64_t cost = event->size() + wire::kEventFrameHeaderBytes;
    if (unconsumed_ + cost > config_.session_receive_window) {
      ++stats_.events_dropped;
      ++index;
      continue;
    }
    unconsumed_ += cost;
    stream.unconsumed += cost;
    events_.deliver(stream.ref, header.sequence, index++, *event, {});
  }
  want_grant(header.stream_id, stream);
}

void LegacySession::want_grant(StreamId id, Stream& stream) {
  // Credit returns on arrival as long as the application keeps up, later when it does not.
  if (stream.grant_due || stream.granted == stream.accepted) return;
  if (stream.opening && stream.opening->gate->config.window_bytes == 0)
    return;  // spec 10 §9.4: window 0 grants nothing
  if (stream.unconsumed > config_.stream_receive_window) return;
  stream.grant_due = true;
  grants_due_.push_back(id);
}

bool LegacySession::quarantined(StreamId id, TimePoint now) {
  auto it = recently_closed_.find(id);
  if (it == recently_closed_.end()) return false;
  if (now - it->second < kGrantQuarantine) return true;
  recently_closed_.erase(it);
  return false;
}

void LegacySession::apply_grants(ByteSpan plaintext, std::size_t count) {
  wire::EventFrameReader messages(plaintext, count);
  while (auto message = messages.next()) {
    const auto grant = wire::parse_window_grant(*message);
    if (!grant || quarantined(grant->stream_id, now_)) continue;
    auto it = streams_.find(grant->stream_id);
    if (it == streams_.end()) continue;
    Stream& stream = it->second;
    ++stream.grants_received;
    if (!stream.opening || stream.opening->gate->config.window_bytes == 0) continue;
    StreamGate& gate = *stream.opening->gate;
    Opening& opening = *stream.opening;
    const std::uint64_t before = opening.settled;
    std::uint64_t settled = std::min(grant->total_consumed + opening.written_off, opening.tx_bytes);
    if (settled <= before) continue;
    if (opening.probe_from) {
      // What was sent before the probe and did not arrive before it never will.
      const std::uint64_t lost = std::min(*opening.probe_from - before, opening.tx_bytes - settled);
      opening.written_off += lost;
      settled += lost;
      opening.probe_from.reset();
    }
    opening.settled = settled;
    opening.probes = 0;
    opening.progress_at = now_;
    const std::uint64_t delta = settled - before;
    if (gate.restore_credit(delta)) events_.credit_available(grant->stream_id, gate.epoch);
  }
}

bool LegacySession::wants_transmit() const {
  // Base peers know no goodbye: a session that closes only has to send what it took.
  return ((!queue_.empty() || !control_.empty()) && !paced_until_) ||
         (!closing_ && (heartbeat_due_ || !grants_due_.empty()));
}

std::size_t LegacySession::poll_transmit(Now now, MutableByteSpan out) {
  if (closing_) return write_events(now, out);
  if (heartbeat_due_) {
    heartbeat_due_ = false;
    wire::NetHeader header;
    header.flags = wire::flag::kHeartbeat;
    return seal(now, out, header);
  }
  if (!grants_due_.empty()) {
    if (const std::size_t size = write_grant(now, out)) return size;
  }
  if (!control_.empty()) return write_control(now, out);
  return write_events(now, out);
}

std::size_t LegacySession::seal(Now, MutableByteSpan out, wire::NetHeader header) {
  const std::uint64_t counter = counter_++;
  header.session_id = id_;
  header.nonce_prefix = wire::nonce_prefix(id_);
  header.counter = counter;
  wire::write_net_header(header, out);
  const auto aad = wire::net_aad(out.first(wire::kNetHeaderBytes));
  const auto nonce = wire::make_nonce(id_, counter);
  seal_key_.seal(nonce, aad, out.subspan(wire::kNetHeaderBytes, header.payload_len),
                 out.subspan(wire::kNetHeaderBytes + header.payload_len, wire::kTagBytes));
  const std::size_t size = wire::kNetOverheadBytes + header.payload_len;
  ++stats_.packets_sent;
  stats_.bytes_sent += size;
  return size;
}

std::size_t LegacySession::write_grant(Now now, MutableByteSpan out) {
  while (!grants_due_.empty()) {
    const StreamId id = grants_due_.back();
    grants_due_.pop_back();
    auto it = streams_.find(id);
    if (it == streams_.end()) continue;
    Stream& stream = it->second;
    stream.grant_due = false;
    stream.granted = stream.accepted;
    ++stream.grants_sent;
    ByteWriter writer(out.subspan(wire::kNetHeaderBytes));
    writer.u32(wire::kWindowGrantBytes);
    wire::write_window_grant({id, stream.accepted}, writer.reserve(wire::kWindowGrantBytes));
    wire::NetHeader header;
    header.subprotocol_id = wire::subprotocol::kWindowGrant;
    header.stream_id = wire::kControlStream;
    header.sequence = grant_sequence_++;
    header.payload_len = static_cast<std::uint16_t>(writer.size());
    header.event_count = 1;
    return seal(now, out, header);
  }
  return 0;
}

std::size_t LegacySession::max_control_bytes() const {
  return path_.relayed ? kMaxRelayedEventBytes : kMaxEventBytes;
}

Expected<void> LegacySession::send_control(Now, std::uint16_t protocol, ByteSpan message) {
  if (closing_) return fail(ErrorKind::kNotConnected, "connection error: the session ends");
  if (message.size() > max_control_bytes()) {
    return fail(ErrorKind::kTooLarge, "a control message of " + std::to_string(message.size()) +
                                          " bytes exceeds the limit of " +
                                          std::to_string(max_control_bytes()) + " bytes");
  }
  if (control_bytes_ + message.size() > kMaxControlQueueBytes)
    return fail(ErrorKind::kBackpressure, "stream would block: too many control messages wait");
  control_bytes_ += message.size();
  control_.push_back({protocol, Bytes(message.begin(), message.end())});
  return {};
}

std::size_t LegacySession::write_control(Now now, MutableByteSpan out) {
  const ControlMessage& message = control_.front();
  const std::size_t size = wire::kEventFrameHeaderBytes + message.bytes.size();
  if (!pace(now.monotonic, wire::kNetOverheadBytes + size)) return 0;
  wire::write_event_frame(message.bytes, out.data() + wire::kNetHeaderBytes);
  wire::NetHeader header;
  header.subprotocol_id = message.protocol;
  header.stream_id = StreamId(message.protocol);
  header.sequence = control_sequences_[message.protocol]++;
  header.payload_len = static_cast<std::uint16_t>(size);
  header.event_count = 1;
  control_bytes_ -= message.bytes.size();
  control_.pop_front();
  return seal(now, out, header);
}

std::size_t LegacySession::write_events(Now now, MutableByteSpan out) {
  const std::size_t routing = path_.relayed ? wire::kRoutingHeaderBytes : 0;
  const std::size_t budget = wire::kMaxNetPayloadBytes - routing;
  // Small events fill packets that cross any path whole; a large one travels alone, in fragments.
  const std::size_t packed =
      path_.loopback ? budget : wire::kBaseDatagramBytes - wire::kNetOverheadBytes - routing;
  while (!queue_.empty()) {
    Queued& head = queue_.front();
    Opening& opening = *head.opening;
    const ByteSpan frames = head.batch.frames.bytes();
    const std::size_t begin = head.position;
    std::size_t end = begin;
    std::size_t count = 0;
    while (end < frames.size()) {
      const std::size_t frame =
          wire::kEventFrameHeaderBytes + load_le<std::uint32_t>(frames.data() + end);
      if (frame > budget && count == 0) {
        // Only when the path became a relayed one after the event was admitted.
        ++stats_.events_dropped;
        end += frame;
        head.position = end;
        break;
      }
      if (count != 0 && end - begin + frame > packed) break;
      end += frame;
      ++count;
    }
    if (count != 0) {
      const std::size_t size = end - begin;
      if (!pace(now.monotonic, wire::kNetOverheadBytes + size)) return 0;
      std::memcpy(out.data() + wire::kNetHeaderBytes, frames.data() + begin, size);
      wire::NetHeader header;
      header.flags = opening.gate->config.reliable ? wire::flag::kReliable : std::uint8_t{0};
      header.stream_id = opening.gate->config.stream_id;
      header.sequence = opening.tx_seq++;
      header.payload_len = static_cast<std::uint16_t>(size);
      header.event_count = static_cast<std::uint16_t>(count);
      header.channel_hash = opening.gate->config.channel_hash;
      if (header.channel_hash != 0 && config_.identity != nullptr)
        header.origin_hash = static_cast<std::uint32_t>(config_.identity->origin_hash);
      if (head.windowed) {
        if (opening.tx_bytes == opening.settled) opening.progress_at = now.monotonic;
        opening.tx_bytes += wire::kNetOverheadBytes + size;
        if (opening.gate->config.window_bytes != 0 && !stall_check_at_)
          stall_check_at_ = now.monotonic + kStall;
      }
      head.position = end;
      if (end == frames.size()) pop_queue();
      return seal(now, out, header);
    }
    if (head.position == frames.size()) pop_queue();
  }
  return 0;
}

/// Takes `bytes` from the burst allowance, or arms the timer for when it is there.
bool LegacySession::pace(TimePoint now, std::size_t bytes) {
  const auto elapsed = std::chrono::duration<double>(std::max(now - paced_at_, Duration::zero()));
  const double refill = elapsed.count() * static_cast<double>(kBytesPerSecond);
  if (refill >= 1) {
    burst_left_ = refill >= static_cast<double>(kBurstBytes)
                      ? kBurstBytes
                      : std::min(kBurstBytes, burst_left_ + static_cast<std::uint64_t>(refill));
    paced_at_ = now;
  }
  if (burst_left_ >= bytes) {
    burst_left_ -= bytes;
    return true;
  }
  // Half a burst at a time: a timer per packet would cost more than it spreads.
  constexpr double kWait =
      static_cast<double>(kBurstBytes) / 2 / static_cast<double>(kBytesPerSecond);
  paced_until_ = now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(kWait));
  return false;
}

void LegacySession::handle_timeout(Now now) {
  if (paced_until_ && now.monotonic >= *paced_until_) paced_until_.reset();
  if (stall_check_at_ && now.monotonic >= *stall_check_at_) probe_stalls(now);
}

std::optional<TimePoint> LegacySession::next_timeout() const {
  if (paced_until_ && stall_check_at_) return std::min(*paced_until_, *stall_check_at_);
  return paced_until_ ? paced_until_ : stall_check_at_;
}

/// Base receivers never return the credit of what was lost. A sender that waits for credit and
/// hears nothing may send one packet more; its grant tells what had been lost.
void LegacySession::probe_stalls(Now now) {
  stall_check_at_.reset();
  if (closing_) return;
  for (auto& [id, stream] : streams_) {
    if (!stream.opening) continue;
    Opening& opening = *stream.opening;
    StreamGate& gate = *opening.gate;
    if (gate.config.window_bytes == 0 || opening.tx_bytes == opening.settled) continue;
    stall_check_at_ = now.monotonic + kStall;
    const Duration wait = std::min(kStall * (1 << std::min(opening.probes, 4u)), kMaxStall);
    if (now.monotonic - opening.progress_at < wait) continue;
    if (gate.credit_remaining() >= gate.config.window_bytes / 2 && !gate.waiting()) continue;
    opening.probe_from = opening.tx_bytes;
    opening.progress_at = now.monotonic;
    ++opening.probes;
    if (gate.restore_credit(
            std::min<std::uint64_t>(gate.config.window_bytes, wire::kMaxNetPacketBytes))) {
      events_.credit_available(id, gate.epoch);
    }
  }
}

void LegacySession::pop_queue() {
  const Queued head = std::move(queue_.front());
  queue_.pop_front();
  StreamGate& gate = *head.opening->gate;
  gate.release_queue(head.batch.cost);
  if (gate.take_wanted()) events_.credit_available(gate.config.stream_id, gate.epoch);
}

void LegacySession::heartbeat(Now) {
  // Base nodes drop routed heartbeats (spec 10 §12.1).
  heartbeat_due_ = !path_.relayed;
}

void LegacySession::close(std::uint64_t code, std::string reason) {
  if (!closing_) closing_ = CloseInfo{code, std::move(reason), false};
}

std::shared_ptr<StreamGate> LegacySession::make_gate(const StreamConfig& config) {
  return std::make_shared<StreamGate>(peer_, config, ++epochs_,
                                      path_.relayed ? kMaxRelayedEventBytes : kMaxEventBytes,
                                      queued_, static_cast<std::int64_t>(config_.max_queued_bytes));
}

Expected<std::shared_ptr<StreamGate>> LegacySession::open_stream(Now now,
                                                                 const StreamConfig& config) {
  Stream& stream = streams_[config.stream_id];
  stream.last_activity = now.monotonic;
  stream.last_activity_unix = now.unix_ns;
  if (!stream.opening) {
    stream.opening = std::make_shared<Opening>();
    stream.opening->gate = make_gate(config);
  }
  return stream.opening->gate;
}

void LegacySession::close_stream(Now now, StreamId id) {
  auto it = streams_.find(id);
  if (it == streams_.end()) return;
  Stream& stream = it->second;
  if (stream.opening && stream.opening->gate->close())
    events_.credit_available(id, stream.opening->gate->epoch);
  if (stream.receiving) events_.stream_finished(stream.ref, false);
  streams_.erase(it);
  if (recently_closed_.size() < kMaxQuarantined) recently_closed_[id] = now.monotonic;
}

void LegacySession::send(Now now, const StreamGate& gate, OutboundBatch batch) {
  auto it = streams_.find(gate.config.stream_id);
  if (it == streams_.end() || !it->second.opening || it->second.opening->gate.get() != &gate ||
      closing_) {
    const_cast<StreamGate&>(gate).release_queue(batch.cost);
    return;
  }
  it->second.last_activity = now.monotonic;
  it->second.last_activity_unix = now.unix_ns;
  queue_.push_back({it->second.opening, std::move(batch), 0, true});
}

Expected<void> LegacySession::send_unwindowed(Now now, OutboundBatch batch,
                                              std::size_t largest_event) {
  StreamConfig config;
  auto gate = open_stream(now, config);
  if (!gate) return tl::unexpected<Error>(std::move(gate.error()));
  auto admitted = (*gate)->admit_unwindowed(batch.cost, batch.packets, largest_event);
  if (!admitted) return admitted;
  queue_.push_back({streams_[config.stream_id].opening, std::move(batch), 0, false});
  return {};
}

void LegacySession::consume(Now, StreamId id, bool, std::uint64_t events, std::uint64_t bytes) {
  const std::uint64_t taken = bytes + events * wire::kEventFrameHeaderBytes;
  unconsumed_ -= std::min(taken, unconsumed_);
  auto it = streams_.find(id);
  if (it == streams_.end()) return;
  it->second.unconsumed -= std::min(taken, it->second.unconsumed);
  want_grant(id, it->second);
}

void LegacySession::evict_idle(Now now) {
  std::vector<StreamId> idle;
  for (const auto& [id, stream] : streams_) {
    if (now.monotonic - stream.last_activity > config_.stream_idle_timeout) idle.push_back(id);
  }
  for (StreamId id : idle) close_stream(now, id);
  std::erase_if(recently_closed_, [&](const auto& entry) {
    return now.monotonic - entry.second >= kGrantQuarantine;
  });
}

void LegacySession::abandon() {
  for (auto& [id, stream] : streams_) {
    if (stream.opening && stream.opening->gate->close())
      events_.credit_available(id, stream.opening->gate->epoch);
    if (stream.receiving) events_.stream_finished(stream.ref, false);
  }
  streams_.clear();
  queue_.clear();
  control_.clear();
  control_bytes_ = 0;
  grants_due_.clear();
}

StreamStatsSnapshot LegacySession::snapshot(StreamId id, const Stream& stream) const {
  StreamStatsSnapshot out;
  out.stream_id = id;
  out.rx_seq = stream.rx_seq;
  out.grants_received = stream.grants_received;
  out.grants_sent = stream.grants_sent;
  out.last_activity_unix = stream.last_activity_unix;
  if (stream.opening) {
    const StreamGate& gate = *stream.opening->gate;
    out.tx_seq = gate.tx_sequence();
    out.backpressure_events = gate.backpressure_events();
    out.credit_remaining = gate.credit_remaining();
    out.window = gate.config.window_bytes;
  }
  return out;
}

std::optional<StreamStatsSnapshot> LegacySession::stream_stats(StreamId id) const {
  auto it = streams_.find(id);
  if (it == streams_.end()) return std::nullopt;
  return snapshot(id, it->second);
}

std::vector<StreamStatsSnapshot> LegacySession::all_stream_stats() const {
  std::vector<StreamStatsSnapshot> out;
  for (const auto& [id, stream] : streams_) out.push_back(snapshot(id, stream));
  return out;
}

std::unique_ptr<Session> make_legacy_session(Established established, const SessionConfig& config,
                                             const PathInfo& path, SessionEvents& events, Now) {
  return std::make_unique<LegacySession>(std::move(established), config, path, events);
}

}  // namespace netmesh::session
