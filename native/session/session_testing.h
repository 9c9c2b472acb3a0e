#pragma once
// Sessions in tests: established without a handshake, events recorded, packets made by hand.

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/hex.h"
#include "session/session.h"
#include "wire/frames_testing.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"

namespace netmesh::session::testing {

/// What a session told its node.
struct RecordedEvents final : SessionEvents {
  struct Stream {
    StreamId id;
    bool reliable = false;
    std::vector<Bytes> messages;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> places;
    bool over = false, finished = false;
  };
  std::deque<Stream> streams;  ///< by ref
  std::vector<std::pair<StreamId, std::uint64_t>> credits;
  int proven = 0;
  std::vector<std::pair<std::uint16_t, Bytes>> controls;
  std::vector<std::uint64_t> tickets;

  void peer_proven() override { ++proven; }
  StreamRef stream_opened(StreamId stream, bool reliable) override {
    streams.push_back({stream, reliable, {}, {}, false, false});
    return static_cast<StreamRef>(streams.size() - 1);
  }
  void deliver(StreamRef ref, std::uint64_t sequence, std::uint32_t index, ByteSpan first,
               ByteSpan second) override {
    Bytes whole(first.begin(), first.end());
    whole.insert(whole.end(), second.begin(), second.end());
    streams.at(ref).messages.push_back(std::move(whole));
    streams.at(ref).places.emplace_back(sequence, index);
  }
  void stream_finished(StreamRef ref, bool finished) override {
    streams.at(ref).over = true;
    streams.at(ref).finished = finished;
  }
  void control(std::uint16_t protocol, ByteSpan first, ByteSpan second) override {
    Bytes whole(first.begin(), first.end());
    whole.insert(whole.end(), second.begin(), second.end());
    controls.emplace_back(protocol, std::move(whole));
  }
  void batch_acknowledged(std::uint64_t ticket) override { tickets.push_back(ticket); }
  void credit_available(StreamId stream, std::uint64_t epoch) override {
    credits.emplace_back(stream, epoch);
  }
};

inline Now at(Duration since_start) {
  return {TimePoint(std::chrono::hours(1)) + since_start,
          1'800'000'000'000'000'000 + since_start.count()};
}

inline crypto::Key filled_key(int byte) {
  crypto::Key key;
  key.fill(static_cast<std::byte>(byte));
  return key;
}

inline wire::Hello usual_hello() {
  wire::Hello hello;
  hello.max_datagram = 65'507 & 0xFFFF;
  hello.stream_window = 4u << 20;
  hello.session_window = 16u << 20;
  hello.max_message = 16u << 20;
  return hello;
}

constexpr SessionId kSession{0x1122'3344'5566'7788};

/// One end of a session whose keys are 0x01.. (initiator to responder) and 0x02.. (back).
inline Established established(bool initiator, std::optional<wire::Hello> hello) {
  Established out;
  out.peer = NodeId{initiator ? 2u : 1u};
  out.session_id = kSession;
  out.initiator = initiator;
  out.modern = hello.has_value();
  out.send_key = crypto::SecretKey(filled_key(initiator ? 1 : 2));
  out.receive_key = crypto::SecretKey(filled_key(initiator ? 2 : 1));
  out.peer_hello = hello;
  return out;
}

/// Event frames of `events`, as the application hands them over; admitted without a gate's credit.
inline OutboundBatch batch_of(const std::vector<Bytes>& events) {
  BatchCost cost;
  std::size_t size = 0;
  for (const Bytes& event : events) {
    cost.add(event.size());
    size += 4 + event.size();
  }
  OutboundBatch batch;
  batch.frames = Slab(size);
  for (const Bytes& event : events) {
    store_le<std::uint32_t>(batch.frames.extend(4), static_cast<std::uint32_t>(event.size()));
    if (!event.empty()) std::memcpy(batch.frames.extend(event.size()), event.data(), event.size());
  }
  batch.cost = cost.bytes();
  batch.event_count = static_cast<std::uint32_t>(events.size());
  batch.packets = static_cast<std::uint32_t>(cost.packets());
  return batch;
}

/// Admits and sends; false when the gate refuses.
inline bool send(Session& session, Now now, StreamGate& gate, const std::vector<Bytes>& events) {
  BatchCost cost;
  for (const Bytes& event : events) cost.add(event.size());
  if (gate.try_admit(cost) != StreamGate::Admission::kAdmitted) return false;
  session.send(now, gate, batch_of(events));
  return true;
}

/// Everything that a session wants to send now.
inline std::vector<Bytes> packets_of(Session& session, Now now) {
  std::vector<Bytes> packets;
  while (session.wants_transmit()) {
    Bytes packet(session.max_packet_bytes());
    const std::size_t size = session.poll_transmit(now, packet);
    if (size == 0) break;
    packet.resize(size);
    packets.push_back(std::move(packet));
  }
  return packets;
}

/// A peer that has the keys and follows no rules.
class Crafter {
 public:
  /// Plays the initiator's side.
  Crafter()
      : seal_(crypto::AeadAlgorithm::kChaCha20Poly1305, crypto::SecretKey(filled_key(1))),
        open_(crypto::AeadAlgorithm::kChaCha20Poly1305, crypto::SecretKey(filled_key(2))) {}

  Bytes packet(ByteSpan plaintext, SessionId session = kSession) {
    Bytes out(wire::kModernOverheadBytes + plaintext.size());
    wire::write_modern_header({false, session, PacketNumber{next_}}, out.data());
    const MutableByteSpan bytes(out);
    ByteWriter(bytes.subspan(wire::kModernHeaderBytes)).bytes(plaintext);
    seal_.seal(wire::make_nonce(session, next_++), bytes.first(wire::kModernHeaderBytes),
               bytes.subspan(wire::kModernHeaderBytes, plaintext.size()),
               bytes.last(wire::kTagBytes));
    return out;
  }
  Bytes packet(const std::vector<wire::Frame>& frames) {
    Bytes plaintext(60'000);
    ByteWriter writer(plaintext);
    for (const wire::Frame& frame : frames) {
      if (!wire::testing::write_frame(writer, frame)) std::abort();
    }
    plaintext.resize(writer.size());
    return packet(ByteSpan(plaintext));
  }
  /// The plaintext of a packet from the other side; empty when it does not open.
  Bytes open(ByteSpan packet) const {
    const auto header = wire::parse_modern_header(packet);
    if (!header || packet.size() < wire::kModernOverheadBytes) return {};
    Bytes text(packet.size() - wire::kModernOverheadBytes);
    std::copy_n(packet.begin() + wire::kModernHeaderBytes, text.size(), text.begin());
    if (!open_.open(wire::make_nonce(header->session_id, header->packet_number.value),
                    packet.first(wire::kModernHeaderBytes), text, packet.last(wire::kTagBytes))) {
      return {};
    }
    return text;
  }
  void skip(std::uint64_t count) { next_ += count; }

 private:
  crypto::AeadKey seal_, open_;
  std::uint64_t next_ = 0;
};

}  // namespace netmesh::session::testing
