// Receiving half of a modern session: packets to frames to streams.

#include <algorithm>

#include "base/assert.h"
#include "session/modern_session.h"
#include "wire/frames.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"

namespace netmesh::session {
namespace {

/// Bytes of events that have begun but not ended may exceed the session window by this much before
/// the session stops granting: keeps interleaved large events from blocking each other for ever.
constexpr std::uint64_t kMaxPartialBytes = 128u << 20;
/// Fragmented fire-and-forget events being put together at one time; the oldest goes first.
constexpr std::size_t kMaxReassemblies = 64;

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

PacketVerdict ModernSession::handle_packet(Now now, MutableByteSpan packet) {
  const auto header = wire::parse_modern_header(packet);
  if (!header || header->session_id != id_) return PacketVerdict::kMalformed;
  if (!replay_.check(header->packet_number.value)) return PacketVerdict::kReplay;
  const auto nonce = wire::make_nonce(id_, header->packet_number.value);
  const ByteSpan aad = packet.first(wire::kModernHeaderBytes);
  const MutableByteSpan text =
      packet.subspan(wire::kModernHeaderBytes, packet.size() - wire::kModernOverheadBytes);
  const ByteSpan tag = packet.last(wire::kTagBytes);
  switch (keys_.open(now.monotonic, header->packet_number.value, header->key_phase, nonce, aad,
                     text, tag)) {
    case PacketKeys::Opened::kFailed:
      if (keys_.forgery_limit_reached())
        violate(close_code::kKeyLimit, "too many packets that do not verify");
      return PacketVerdict::kAuthenticationFailed;
    case PacketKeys::Opened::kUpdated:
      on_peer_updated();
      break;
    case PacketKeys::Opened::kVerified:
      break;
  }
  newest_ = header->packet_number.value >= replay_.next();
  if (!replay_.commit(header->packet_number.value)) return PacketVerdict::kReplay;
  if (stats_.packets_received++ == 0) events_.peer_proven();
  stats_.bytes_received += packet.size();
  if (closing_) return PacketVerdict::kAccepted;

  bool ack_eliciting = false;
  const PacketVerdict verdict = handle_frames(now, text, ack_eliciting);
  acks_.on_received(header->packet_number.value, ack_eliciting, now.monotonic);
  return verdict;
}

PacketVerdict ModernSession::handle_frames(Now now, ByteSpan plaintext, bool& ack_eliciting) {
  wire::FrameReader reader(plaintext);
  while (auto frame = reader.next()) {
    const bool ok = std::visit(
        Overloaded{
            [&](const wire::PingFrame&) { return ack_eliciting = true; },
            [&](const wire::AckNowFrame&) {
              acks_.on_ack_requested();
              return true;
            },
            [&](const wire::AckFrame& ack) { return on_ack(now, ack); },
            [&](const wire::CloseFrame& close) {
              closing_ = CloseInfo{close.code,
                                   std::string(reinterpret_cast<const char*>(close.reason.data()),
                                               close.reason.size()),
                                   true};
              return true;
            },
            [&](const wire::StreamFrame& stream) {
              ack_eliciting = true;
              return on_stream(now, stream);
            },
            [&](const wire::DatagramFrame& datagram) {
              ack_eliciting = true;
              return on_datagram(now, datagram);
            },
            [&](const wire::DatagramFragmentFrame& fragment) {
              ack_eliciting = true;
              return on_fragment(now, fragment);
            },
            [&](const wire::StreamLimitFrame& limit) {
              ack_eliciting = true;
              on_limit(limit);
              return true;
            },
            [&](const wire::SessionLimitFrame& limit) {
              ack_eliciting = true;
              on_session_limit(limit);
              return true;
            },
            [&](const wire::PathChallengeFrame& challenge) {
              events_.path_challenged(challenge.data);
              return true;
            },
            [&](const wire::PathResponseFrame& response) {
              events_.path_answered(response.data);
              return true;
            },
            [&](const wire::PeerInfoFrame& info) {
              ack_eliciting = true;
              events_.peer_info(info);
              return true;
            },
            [&](const wire::RekeyFrame& rekey) {
              ack_eliciting = true;
              return on_rekey(now, rekey);
            },
        },
        *frame);
    if (!ok) return PacketVerdict::kProtocolViolation;
    if (closing_) return PacketVerdict::kAccepted;
  }
  if (reader.failed()) {
    violate(close_code::kFrameEncoding, "malformed or unknown frame");
    return PacketVerdict::kProtocolViolation;
  }
  return PacketVerdict::kAccepted;
}

void ModernSession::violate(std::uint64_t code, std::string reason) {
  close(code, std::move(reason));
}

void ModernSession::touch(StreamId stream, StreamEntry& entry) {
  entry.hidden = false;
  if (entry.touched) return;
  entry.touched = true;
  touched_.push_back(stream);
}

bool ModernSession::on_stream(Now now, const wire::StreamFrame& frame) {
  if (is_datagram_epoch(frame.epoch)) {
    violate(close_code::kStreamState, "stream data under a fire-and-forget opening");
    return false;
  }
  const std::uint64_t ordinal = frame.epoch >> 1;
  if (finished_epochs_.contains(ordinal)) return true;  // a late copy of a stream that ended
  auto [it, fresh] = streams_.try_emplace(frame.stream_id);
  StreamEntry& entry = it->second;
  if (fresh && streams_.size() > std::size_t{config_.max_streams} * 2) {
    streams_.erase(it);
    violate(close_code::kTooManyStreams, "too many streams");
    return false;
  }
  if (entry.reliable_in && entry.reliable_in->epoch() != frame.epoch) {
    if (frame.epoch < entry.reliable_in->epoch()) return true;
    violate(close_code::kStreamState, "a stream was reopened before its last opening ended");
    return false;
  }
  const bool is_control = is_control_stream(frame.stream_id);
  if (!entry.reliable_in) {
    const auto largest =
        is_control ? std::uint32_t{kMaxControlMessageBytes} : config_.max_message_bytes;
    entry.reliable_in = std::make_unique<ReceiveStream>(frame.epoch, stream_window(), largest);
    if (!is_control) entry.reliable_in->ref = events_.stream_opened(frame.stream_id, true);
  }
  ReceiveStream& stream = *entry.reliable_in;
  const std::uint64_t highest_before = stream.highest();
  const std::uint64_t partial_before = stream.partial_bytes();
  const auto result =
      stream.receive(frame.offset, frame.data, frame.fin,
                     [&](std::uint64_t message, ByteSpan first, ByteSpan second) {
                       entry.rx_seq = message;
                       if (is_control) {
                         events_.control(control_protocol(frame.stream_id), first, second);
                         return;
                       }
                       events_.deliver(stream.ref, message, 0, first, second);
                     });
  switch (result) {
    case ReceiveStream::Result::kAccepted:
      break;
    case ReceiveStream::Result::kLimitExceeded:
      violate(close_code::kFlowControl, "stream data beyond the granted limit or the stream's end");
      return false;
    case ReceiveStream::Result::kMessageTooLarge:
      violate(close_code::kMessageTooLarge, "an event exceeds the announced largest message");
      return false;
    case ReceiveStream::Result::kTooManySegments:
      violate(close_code::kReorderBuffer, "too many gaps in a stream");
      return false;
  }
  const std::uint64_t grown = stream.highest() - highest_before;
  session_received_ += grown;
  session_delivered_ += grown + partial_before - stream.partial_bytes();
  if (session_received_ > session_limit_) {
    violate(close_code::kFlowControl, "session data beyond the granted limit");
    return false;
  }
  if (is_control) {
    // Taken at once: what its readers cannot keep they drop.
    const std::uint64_t taken = stream.unconsumed_bytes();
    stream.consume(taken);
    session_consumed_ += taken;
  }
  stream.last_activity_unix = now.unix_ns;
  touch(frame.stream_id, entry);
  if (stream.finished()) {
    finished_epochs_.add(ordinal, ordinal + 1);
    if (finished_epochs_.interval_count() > std::size_t{config_.max_streams} * 4) {
      violate(close_code::kTooManyStreams, "too many streams ended out of order");
      return false;
    }
    if (!is_control) events_.stream_finished(stream.ref, true);
    entry.reliable_in.reset();
    settle(frame.stream_id);
  } else if (!stream.limit_due && stream.limit_update()) {
    stream.limit_due = true;
    limits_due_.push_back(frame.stream_id);
  }
  update_session_limit();
  return true;
}

void ModernSession::update_session_limit() {
  if (session_limit_due_) return;
  const std::uint64_t partial = std::min(session_received_ - session_delivered_, kMaxPartialBytes);
  const std::uint64_t wanted = session_consumed_ + partial + session_window_.size();
  // Streams that nobody reads may hold more than the rest of the window: a peer that has used up
  // its limit is told of any progress.
  const std::uint64_t worthwhile = session_received_ >= session_limit_ ? 1 : session_window_.step();
  session_limit_due_ = wanted >= session_limit_ + worthwhile;
}

DatagramReceiver* ModernSession::datagram_receiver(Now now, StreamId id, std::uint64_t epoch,
                                                   std::uint64_t offset, StreamEntry** out) {
  if (!is_datagram_epoch(epoch) || is_control_stream(id)) {
    violate(close_code::kStreamState, "datagrams under a reliable opening");
    return nullptr;
  }
  auto [it, fresh] = streams_.try_emplace(id);
  if (fresh && streams_.size() > std::size_t{config_.max_streams} * 2) {
    streams_.erase(it);
    violate(close_code::kTooManyStreams, "too many streams");
    return nullptr;
  }
  StreamEntry& entry = it->second;
  if (entry.datagram_in && entry.datagram_in->epoch() < epoch) {
    events_.stream_finished(entry.datagram_in->ref, true);
    entry.datagram_in.reset();
  }
  if (!entry.datagram_in) {
    entry.datagram_in = std::make_unique<DatagramReceiver>(epoch, stream_window(), offset);
    entry.datagram_in->ref = events_.stream_opened(id, false);
  }
  *out = &entry;
  DatagramReceiver& receiver = *entry.datagram_in;
  receiver.last_activity = now.monotonic;
  receiver.last_activity_unix = now.unix_ns;
  return &receiver;
}

bool ModernSession::on_datagram(Now now, const wire::DatagramFrame& frame) {
  StreamEntry* entry = nullptr;
  DatagramReceiver* receiver =
      datagram_receiver(now, frame.stream_id, frame.epoch, frame.offset, &entry);
  if (receiver == nullptr) return false;
  if (receiver->epoch() > frame.epoch) return true;  // a straggler of an earlier opening
  if (!receiver->arrive(frame.offset, frame.data.size())) {
    violate(close_code::kFlowControl, "datagrams beyond the granted limit");
    return false;
  }
  touch(frame.stream_id, *entry);
  std::optional<std::uint64_t> limit;
  if (frame.data.empty()) {
    limit = receiver->limit_when_blocked();
  } else {
    deliver_datagram(*entry, *receiver, frame.sequence, frame.data);
    limit = receiver->limit_update();
  }
  if (limit && !receiver->limit_due) {
    receiver->limit_due = true;
    limits_due_.push_back(frame.stream_id);
  }
  return true;
}

void ModernSession::deliver_datagram(StreamEntry& entry, DatagramReceiver& receiver,
                                     std::uint64_t sequence, ByteSpan data) {
  entry.rx_seq = std::max(entry.rx_seq, sequence);
  wire::EventFrameReader events(data, data.size());
  std::uint32_t index = 0;
  while (auto event = events.next()) {
    const std::uint64_t cost = event->size() + wire::kEventFrameHeaderBytes;
    if (datagram_unconsumed_ + cost > session_window_.size()) {
      ++stats_.events_dropped;
      continue;
    }
    datagram_unconsumed_ += cost;
    receiver.delivered(cost);
    events_.deliver(receiver.ref, sequence, index++, *event, {});
  }
}

bool ModernSession::on_fragment(Now now, const wire::DatagramFragmentFrame& frame) {
  StreamEntry* entry = nullptr;
  DatagramReceiver* receiver =
      datagram_receiver(now, frame.stream_id, frame.epoch, frame.offset, &entry);
  if (receiver == nullptr) return false;
  if (receiver->epoch() > frame.epoch) return true;
  if (!receiver->arrive(frame.offset, frame.total)) {
    violate(close_code::kFlowControl, "datagrams beyond the granted limit");
    return false;
  }
  touch(frame.stream_id, *entry);
  auto it = std::find_if(reassemblies_.begin(), reassemblies_.end(), [&](const Reassembly& r) {
    return r.stream_id == frame.stream_id && r.epoch == frame.epoch && r.sequence == frame.sequence;
  });
  if (it == reassemblies_.end()) {
    if (reassemblies_.size() == kMaxReassemblies) {
      reassemblies_.pop_front();
      ++stats_.events_dropped;
    }
    it = reassemblies_.insert(
        reassemblies_.end(),
        Reassembly{
            frame.stream_id, frame.epoch, frame.sequence, now.monotonic, Bytes(frame.total), {}});
  }
  if (it->data.size() != frame.total) {
    violate(close_code::kStreamState, "fragments of one event disagree about its length");
    return false;
  }
  std::memcpy(it->data.data() + frame.fragment_offset, frame.data.data(), frame.data.size());
  it->present.add(frame.fragment_offset, frame.fragment_offset + frame.data.size());
  if (it->present.interval_count() == 1 && it->present.front() == Interval{0, frame.total}) {
    const Reassembly whole = std::move(*it);
    reassemblies_.erase(it);
    deliver_datagram(*entry, *receiver, frame.sequence, whole.data);
    if (receiver->limit_update() && !receiver->limit_due) {
      receiver->limit_due = true;
      limits_due_.push_back(frame.stream_id);
    }
  }
  return true;
}

bool ModernSession::on_ack(Now now, const wire::AckFrame& frame) {
  const bool ok = recovery_.on_ack(
      now.monotonic, frame, [&](const SentFrame& sent) { frame_acknowledged(now, sent); },
      [&](const SentFrame& sent) { frame_lost(now, sent, false); });
  if (!ok) {
    violate(close_code::kAcknowledgement, "acknowledgement of a packet that was never sent");
    return false;
  }
  keys_.on_acknowledged(frame.ranges[0].last);
  follow_mtu(now);
  notify_blocked_by_queue();
  return true;
}

void ModernSession::on_session_limit(const wire::SessionLimitFrame& frame) {
  if (frame.max_total <= session_max_) return;
  session_max_ = frame.max_total;
  if (!std::exchange(session_blocked_, false)) return;
  for (auto& [id, entry] : streams_) {
    if (SendStream* stream = entry.sending()) make_ready(*stream);
  }
}

void ModernSession::on_limit(const wire::StreamLimitFrame& frame) {
  SendStream* stream = find_sending(frame.stream_id, frame.epoch);
  if (stream != nullptr && stream->raise_limit(frame.max_offset)) make_ready(*stream);
}

void ModernSession::consume(Now, StreamId id, bool reliable, std::uint64_t events,
                            std::uint64_t bytes) {
  const std::uint64_t stream_bytes = bytes + events * wire::kEventFrameHeaderBytes;
  auto it = streams_.find(id);
  if (reliable) {
    session_consumed_ = std::min(session_consumed_ + stream_bytes, session_delivered_);
    update_session_limit();
    if (it != streams_.end() && it->second.reliable_in) {
      ReceiveStream& stream = *it->second.reliable_in;
      stream.consume(stream_bytes);
      if (!stream.limit_due && stream.limit_update()) {
        stream.limit_due = true;
        limits_due_.push_back(id);
      }
    }
    return;
  }
  datagram_unconsumed_ -= std::min(stream_bytes, datagram_unconsumed_);
  if (it != streams_.end() && it->second.datagram_in) {
    DatagramReceiver& receiver = *it->second.datagram_in;
    receiver.consume(stream_bytes);
    if (!receiver.limit_due && receiver.limit_update()) {
      receiver.limit_due = true;
      limits_due_.push_back(id);
    }
  }
}

}  // namespace netmesh::session
