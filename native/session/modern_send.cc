// Sending half of a modern session: streams to frames to packets.

#include <algorithm>

#include "base/assert.h"
#include "session/modern_session.h"
#include "wire/frames.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"

namespace netmesh::session {
namespace {

/// A frame with less data than this is not worth its head while other packets follow.
constexpr std::size_t kMinStreamBytes = 64;
/// Retransmittable frames per packet: bounds the bookkeeping of one packet.
constexpr std::size_t kMaxFramesPerPacket = 64;
/// CLOSE is sent this often, because nothing acknowledges it.
constexpr unsigned kCloseCopies = 3;

}  // namespace

bool ModernSession::wants_transmit() const {
  if (closing_) return closes_left_ > 0;
  if (acks_.due() || session_limit_due_ || !limits_due_.empty() || ping_due_ || peer_info_due_ ||
      rekey_due_ || recovery_.probe_wanted())
    return true;
  if (mtu_probe_bytes_ != 0 && recovery_.may_send(mtu_probe_bytes_)) return true;
  return (!ready_.empty() || fragment_) && recovery_.may_send(datagram_bytes_);
}

std::size_t ModernSession::poll_transmit(Now now, MutableByteSpan out) {
  if (closing_ && closes_left_ == 0) return 0;
  if (keys_.sealed() >= update_after_ || turn_due_) update_keys();
  // A byte stays free for ACK_NOW: full packets are those after which a sender stalls.
  ByteWriter writer(out.subspan(wire::kModernHeaderBytes, payload_budget() - 1));
  if (closing_) {
    --closes_left_;
    wire::write_close(writer, {closing_->code, as_byte_span(closing_->reason)});
    return seal(now, out, writer.size(), false, false);
  }
  if (mtu_probe_bytes_ != 0 && recovery_.may_send(mtu_probe_bytes_))
    return write_mtu_probe(now, out);
  const bool carries_ack = acks_.pending() && wire::write_ack(writer, acks_.frame(now.monotonic));
  if (carries_ack) {
    SentFrame sent;
    sent.kind = SentFrame::Kind::kAck;
    sent.range.offset = acks_.largest();
    recovery_.add_frame(sent);
  }
  bool ack_eliciting = write_control(now, writer);
  if (recovery_.may_send(datagram_bytes_)) {
    if (write_streams(now, writer)) ack_eliciting = true;
    if (!ack_eliciting && recovery_.probe_wanted()) {
      wire::write_ping(writer);
      ack_eliciting = true;
    }
  }
  if (!ack_eliciting && !(carries_ack && acks_.due())) {
    recovery_.discard_frames();
    return 0;
  }
  std::size_t payload = writer.size();
  if (ack_eliciting && (ack_now_ || recovery_.nearly_full(datagram_bytes_))) {
    ByteWriter last(out.subspan(wire::kModernHeaderBytes + payload, 1));
    wire::write_ack_now(last);
    ++payload;
  } else if (payload + 1 == payload_budget()) {
    out[wire::kModernHeaderBytes + payload++] = std::byte{0};  // PADDING: equal sizes make runs
  }
  ack_now_ = false;
  const std::size_t size = seal(now, out, payload, ack_eliciting, carries_ack);
  // Only who fills packets has use for larger ones.
  if (size + kMinStreamBytes >= datagram_bytes_ && mtu_probe_bytes_ == 0)
    mtu_probe_bytes_ = mtu_.probe_due(now.monotonic).value_or(0);
  // Here, because nobody asks for a packet any more once the window is full.
  if (ready_.empty() && !fragment_)
    recovery_.note_idle();
  else if (!recovery_.may_send(datagram_bytes_))
    recovery_.note_limited();
  return size;
}

std::size_t ModernSession::seal(Now now, MutableByteSpan out, std::size_t payload,
                                bool ack_eliciting, bool carries_ack, bool mtu_probe) {
  const std::size_t minimum =
      pad_for_relay_ ? wire::kMinRoutedModernBytes - wire::kModernOverheadBytes : 1;
  if (payload < minimum) {
    std::memset(out.data() + wire::kModernHeaderBytes + payload, 0, minimum - payload);
    payload = minimum;
  }
  const std::uint64_t number = recovery_.next_packet_number();
  wire::write_modern_header({keys_.send_phase(), id_, PacketNumber{number}}, out.data());
  const auto nonce = wire::make_nonce(id_, number);
  keys_.seal(nonce, out.first(wire::kModernHeaderBytes),
             out.subspan(wire::kModernHeaderBytes, payload),
             out.subspan(wire::kModernHeaderBytes + payload, wire::kTagBytes));
  const std::size_t size = payload + wire::kModernOverheadBytes;
  recovery_.on_sent(now.monotonic, size, ack_eliciting, mtu_probe);
  ++stats_.packets_sent;
  stats_.bytes_sent += size;
  if (carries_ack) {
    acks_.on_frame_sent();
    for (StreamId stream : touched_) {
      auto it = streams_.find(stream);
      if (it == streams_.end()) continue;
      it->second.touched = false;
      if (it->second.reliable_in) ++it->second.reliable_in->grants_sent;
      if (it->second.datagram_in) ++it->second.datagram_in->grants_sent;
    }
    touched_.clear();
  }
  return size;
}

bool ModernSession::write_control(Now now, ByteWriter& out) {
  bool wrote = write_life(out);
  if (ping_due_ && wire::write_ping(out)) {
    ping_due_ = false;
    wrote = true;
  }
  if (session_limit_due_) {
    const std::uint64_t partial = session_received_ - session_delivered_;
    session_window_.on_update(now.monotonic, round_trip());
    const std::uint64_t limit =
        std::max(session_limit_, session_consumed_ + partial + session_window_.size());
    if (wire::write_session_limit(out, {limit})) {
      session_limit_ = limit;
      session_limit_due_ = false;
      SentFrame sent;
      sent.kind = SentFrame::Kind::kSessionLimit;
      recovery_.add_frame(sent);
      wrote = true;
    }
  }
  std::size_t frames = 0;
  while (!limits_due_.empty() && frames++ < kMaxFramesPerPacket / 2) {
    const StreamId id = limits_due_.back();
    auto it = streams_.find(id);
    if (it != streams_.end()) {
      StreamEntry& entry = it->second;
      const auto write = [&](auto& half) {
        if (!half || !half->limit_due) return true;
        // A frame that is due always goes out, even when only a lost copy is to be repeated.
        if (const auto limit = half->limit_update()) {
          half->window().on_update(now.monotonic, round_trip());
          half->set_limit(std::max(*limit, half->limit_update().value_or(0)));
          session_window_.grow_to(half->window().size() * 3 / 2);
        }
        if (!wire::write_stream_limit(out, {id, half->epoch(), half->limit()})) return false;
        half->limit_due = false;
        SentFrame sent;
        sent.kind = SentFrame::Kind::kStreamLimit;
        sent.stream_id = id;
        sent.epoch = half->epoch();
        recovery_.add_frame(sent);
        wrote = true;
        return true;
      };
      if (entry.datagram_in && entry.datagram_in->limit_due) {
        entry.datagram_in->set_limit(entry.datagram_in->limit_when_blocked().value_or(0));
      }
      if (!write(entry.reliable_in) || !write(entry.datagram_in)) return wrote;
    }
    limits_due_.pop_back();
  }
  return wrote;
}

bool ModernSession::write_streams(Now, ByteWriter& out) {
  bool wrote = false;
  if (fragment_) {
    wrote = write_fragment(out);
    if (fragment_) return wrote;
  }
  std::size_t frames = 0;
  while (!ready_.empty() && frames < kMaxFramesPerPacket) {
    SendStream& stream = ready_.front(datagram_bytes_);
    if (!stream.has_sendable()) {
      if (!stream.reliable() && stream.blocked() && !stream.blocked_announced) {
        // Tells the peer our position, so that its limit covers what was lost.
        wire::DatagramFrame head;
        head.stream_id = stream.id();
        head.epoch = stream.epoch();
        head.offset = stream.sent_bytes();
        if (!wire::begin_datagram(out, head, 0)) break;  // in the next packet
        stream.blocked_announced = true;
        SentFrame sent;
        sent.kind = SentFrame::Kind::kBlocked;
        sent.stream_id = stream.id();
        sent.epoch = stream.epoch();
        recovery_.add_frame(sent);
        wrote = true;
      }
      ready_.remove(stream);
      continue;
    }
    const std::size_t before = out.size();
    const bool progress =
        stream.reliable() ? write_reliable(out, stream) : write_datagrams(out, stream);
    const std::size_t taken = out.size() - before;
    if (fragment_) {
      ready_.charge(stream, static_cast<std::size_t>(fragment_->total));
      return wrote || progress;
    }
    if (progress) {
      wrote = true;
      ++frames;
      if (stream.gate().config.window_bytes != 0 &&
          stream.gate().credit_remaining() < stream.gate().config.window_bytes / 2) {
        ack_now_ = true;
      }
      if (stream.awaits_acknowledgement()) ack_now_ = true;
    }
    if (!stream.has_sendable()) {
      ready_.remove(stream);
      if (!stream.reliable() && stream.blocked() && !stream.blocked_announced) make_ready(stream);
    } else if (progress) {
      ready_.charge(stream, taken);
    }
    if (!progress && stream.reliable() && !stream.has_lost() && session_sent_ == session_max_) {
      // Waits for the session's limit, not for its turn.
      ready_.remove(stream);
      session_blocked_ = true;
      continue;
    }
    // What does not fit the rest of this packet goes first into the next.
    if (!progress || out.remaining() < kMinStreamBytes) break;
  }
  return wrote;
}

bool ModernSession::write_reliable(ByteWriter& out, SendStream& stream) {
  // The head's size depends on the offset; 2^62 bounds it from above.
  const std::size_t head_bytes =
      wire::stream_frame_overhead(stream.epoch(), stream.sent_bytes() + payload_budget());
  if (out.remaining() <= head_bytes) return false;
  const bool retransmission = stream.has_lost();
  const auto range = stream.take(out.remaining() - head_bytes, session_max_ - session_sent_);
  if (!range) return false;
  wire::StreamFrame head;
  head.stream_id = stream.id();
  head.epoch = stream.epoch();
  head.offset = range->offset;
  head.fin = range->fin;
  const auto target = wire::begin_stream(out, head, range->length);
  NM_ASSERT(target);
  if (!target) return false;
  stream.read(range->offset, *target);
  if (retransmission) {
    stats_.bytes_retransmitted += range->length;
  } else {
    session_sent_ += range->length;
  }
  recovery_.add_frame({SentFrame::Kind::kStream, stream.id(), stream.epoch(), *range});
  return true;
}

bool ModernSession::write_datagrams(ByteWriter& out, SendStream& stream) {
  const std::uint64_t offset = stream.sent_bytes();
  // One more than the sequence drawn below at most: the head never grows between sizing and
  // writing.
  const std::size_t head_bytes = wire::datagram_frame_overhead(stream.epoch(), 1ULL << 61, offset);
  if (out.remaining() <= head_bytes) return false;
  const auto take = stream.take_frames(out.remaining() - head_bytes);
  if (!take) return false;
  if (take->oversized != 0) {
    if (take->oversized + head_bytes <= payload_budget() - 1)
      return false;  // fits the next, empty packet
    const StreamRange range = stream.take_oversized(take->oversized);
    fragment_ = FragmentCursor{stream.id(),  stream.epoch(), stream.next_sequence(),
                               range.offset, range.length,   0};
    return write_fragment(out);
  }
  wire::DatagramFrame head;
  head.stream_id = stream.id();
  head.epoch = stream.epoch();
  head.sequence = stream.next_sequence();
  head.offset = offset;
  const auto target = wire::begin_datagram(out, head, take->range.length);
  NM_ASSERT(target);
  if (!target) return false;
  stream.read(offset, *target);
  recovery_.add_frame({SentFrame::Kind::kDatagram, stream.id(), stream.epoch(), take->range});
  return true;
}

bool ModernSession::write_fragment(ByteWriter& out) {
  FragmentCursor& cursor = *fragment_;
  SendStream* stream = find_sending(cursor.stream_id, cursor.epoch);
  if (stream == nullptr) {
    fragment_.reset();
    return false;
  }
  const std::size_t head_bytes = wire::fragment_frame_overhead(
      cursor.epoch, cursor.sequence, cursor.offset, cursor.total, cursor.sent);
  if (out.remaining() < head_bytes + kMinStreamBytes) return false;
  const std::size_t length = static_cast<std::size_t>(
      std::min<std::uint64_t>(cursor.total - cursor.sent, out.remaining() - head_bytes));
  wire::DatagramFragmentFrame head;
  head.stream_id = cursor.stream_id;
  head.epoch = cursor.epoch;
  head.sequence = cursor.sequence;
  head.offset = cursor.offset;
  head.total = cursor.total;
  head.fragment_offset = cursor.sent;
  const auto target = wire::begin_fragment(out, head, length);
  if (!target) return false;
  stream->read(cursor.offset + cursor.sent, *target);
  recovery_.add_frame({SentFrame::Kind::kDatagram, cursor.stream_id, cursor.epoch,
                       StreamRange{cursor.offset + cursor.sent, length, false}});
  cursor.sent += length;
  if (cursor.sent == cursor.total) fragment_.reset();
  return true;
}

void ModernSession::make_ready(SendStream& stream) {
  if (stream.scheduled) return;
  auto it = streams_.find(stream.id());
  if (it == streams_.end() || it->second.sending() != &stream) return;
  if (!stream.has_sendable() &&
      !(stream.blocked() && !stream.reliable() && !stream.blocked_announced))
    return;
  ready_.add(stream);
}

void ModernSession::drop_ready(SendStream& stream) { ready_.remove(stream); }

SendStream* ModernSession::find_sending(StreamId id, std::uint64_t epoch) {
  auto it = streams_.find(id);
  if (it == streams_.end()) return nullptr;
  StreamEntry& entry = it->second;
  for (const auto& draining : entry.draining) {
    if (draining->epoch() == epoch) return draining.get();
  }
  return entry.current && entry.current->epoch() == epoch ? entry.current.get() : nullptr;
}

void ModernSession::frame_acknowledged(Now now, const SentFrame& frame) {
  switch (frame.kind) {
    case SentFrame::Kind::kAck:
      acks_.on_frame_acknowledged(frame.range.offset);
      return;
    case SentFrame::Kind::kStreamLimit:
    case SentFrame::Kind::kSessionLimit:
    case SentFrame::Kind::kBlocked:
    case SentFrame::Kind::kPeerInfo:
    case SentFrame::Kind::kRekey:
      return;
    case SentFrame::Kind::kMtuProbe:
      mtu_.on_probe_acknowledged(static_cast<std::size_t>(frame.range.length), now.monotonic);
      return;
    case SentFrame::Kind::kStream:
    case SentFrame::Kind::kDatagram:
      break;
  }
  SendStream* stream = find_sending(frame.stream_id, frame.epoch);
  if (stream == nullptr) return;
  if (stream->on_acknowledged(frame.range)) notify_credit(*stream);
  for (const std::uint64_t ticket : stream->take_settled()) events_.batch_acknowledged(ticket);
  if (stream->complete()) settle(frame.stream_id);
}

void ModernSession::frame_lost(Now now, const SentFrame& frame, bool only_probe) {
  switch (frame.kind) {
    case SentFrame::Kind::kAck:
      return;
    case SentFrame::Kind::kSessionLimit:
      session_limit_due_ = true;
      return;
    case SentFrame::Kind::kPeerInfo:
      peer_info_due_ = true;
      return;
    case SentFrame::Kind::kMtuProbe:
      if (!only_probe)
        mtu_.on_probe_lost(static_cast<std::size_t>(frame.range.length), now.monotonic);
      return;
    case SentFrame::Kind::kRekey:
      rekey_due_ = rekey_due_ || rekeying();
      return;
    case SentFrame::Kind::kStreamLimit: {
      auto it = streams_.find(frame.stream_id);
      if (it == streams_.end()) return;
      const auto again = [&](auto& half) {
        if (!half || half->epoch() != frame.epoch || half->limit_due) return;
        half->limit_due = true;
        limits_due_.push_back(frame.stream_id);
      };
      again(it->second.reliable_in);
      again(it->second.datagram_in);
      return;
    }
    case SentFrame::Kind::kBlocked: {
      SendStream* stream = find_sending(frame.stream_id, frame.epoch);
      if (stream == nullptr) return;
      stream->blocked_announced = false;
      make_ready(*stream);
      return;
    }
    case SentFrame::Kind::kStream:
    case SentFrame::Kind::kDatagram:
      break;
  }
  SendStream* stream = find_sending(frame.stream_id, frame.epoch);
  if (stream == nullptr) return;
  if (only_probe) {
    if (stream->reliable()) stream->probe(frame.range);
  } else if (stream->on_lost(frame.range)) {
    notify_credit(*stream);
  }
  make_ready(*stream);
  if (stream->complete()) settle(frame.stream_id);
}

/// Drops what is over under an id and gives the next opening its turn.
void ModernSession::settle(StreamId id) {
  auto it = streams_.find(id);
  if (it == streams_.end()) return;
  StreamEntry& entry = it->second;
  while (!entry.draining.empty() && entry.draining.front()->complete()) {
    drop_ready(*entry.draining.front());
    entry.draining.pop_front();
    --sending_count_;
  }
  if (SendStream* next = entry.sending()) make_ready(*next);
  if (entry.empty()) streams_.erase(it);
}

void ModernSession::notify_credit(SendStream& stream) {
  events_.credit_available(stream.id(), stream.epoch());
}

void ModernSession::notify_blocked_by_queue() {
  if (!queue_was_long_ || queued_->load(std::memory_order_relaxed) >
                              static_cast<std::int64_t>(config_.max_queued_bytes / 2)) {
    return;
  }
  queue_was_long_ = false;
  for (auto& [id, entry] : streams_) {
    if (entry.current && entry.current->gate().take_wanted()) notify_credit(*entry.current);
  }
}

}  // namespace netmesh::session
