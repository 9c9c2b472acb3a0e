#include "sim/base_peer.h"

#include <algorithm>

#include "crypto/hash.h"
#include "wire/classify.h"
#include "wire/event_frames.h"

namespace netmesh::sim {
namespace {

/// Spec 10 §4.3: a 0.19 receiver refuses larger forward jumps for good.
constexpr std::uint64_t kReplayWindow = 1024;

/// Spec 10 §5.2.
Bytes prologue(NodeId initiator, NodeId responder) {
  Bytes out(32);
  const ByteSpan label = as_byte_span("net-handshake-v1");
  std::copy(label.begin(), label.end(), out.begin());
  store_le<std::uint64_t>(out.data() + 16, initiator.value & 0xFFFF'FFFFu);
  store_le<std::uint64_t>(out.data() + 24, responder.value & 0xFFFF'FFFFu);
  return out;
}

/// Spec 10 §5.3.
Bytes handshake_packet(ByteSpan message) {
  Bytes packet(wire::kNetHeaderBytes);
  wire::NetHeader header;
  header.flags = wire::flag::kHandshake;
  header.payload_len = static_cast<std::uint16_t>(message.size());
  wire::write_net_header(header, packet);
  packet.insert(packet.end(), message.begin(), message.end());
  return packet;
}

}  // namespace

BasePeer::BasePeer(SimNetwork& network, RandomSource& random, const Endpoint& address, NodeId id,
                   const crypto::Key& psk)
    : network_(network),
      random_(random),
      address_(address),
      id_(id),
      static_(crypto::X25519KeyPair::generate(random)),  // spec 10 §1.1: fresh for every instance
      psk_(psk) {
  network_.attach(address_, *this);
}

BasePeer::~BasePeer() { network_.detach(address_); }

// --- handshakes ---

void BasePeer::connect(const Endpoint& address, const crypto::Key& key, NodeId peer) {
  begin_attempt(address, key, peer, false);
}

void BasePeer::connect_routed(const Endpoint& hop, const crypto::Key& key, NodeId peer) {
  begin_attempt(hop, key, peer, true);
}

void BasePeer::begin_attempt(const Endpoint& address, const crypto::Key& key, NodeId peer,
                             bool routed) {
  attempt_.emplace(Attempt{crypto::NoiseInitiator(prologue(id_, peer), psk_, key,
                                                  crypto::X25519KeyPair::generate(random_)),
                           address, peer, routed});
  Bytes payload;
  if (routed) {
    payload.resize(8);
    store_le<std::uint64_t>(payload.data(), id_.value);
  }
  const auto message = attempt_->noise.write_message1(payload);
  if (message) transmit(address, routed, peer, 16, handshake_packet(*message));
}

void BasePeer::on_handshake(const Endpoint& from, const std::optional<wire::RoutingHeader>& routing,
                            ByteSpan message) {
  if (attempt_ && attempt_->routed == routing.has_value() &&
      (routing ? routing->source == routing_id(attempt_->peer) : from == attempt_->address)) {
    const Attempt& attempt = *attempt_;
    const auto reply = attempt.noise.read_message2(message);
    if (reply) establish(reply->result, attempt.peer, attempt.address, true, attempt.routed);
    attempt_.reset();  // spec 10 §5.8: a reply that does not decrypt consumes the entry, too
    return;
  }
  NodeId peer;
  if (routing) {
    if (!started_ && !accepting_) return;
    peer = NodeId{routing->source};
  } else {
    if (!accepting_) return;
    peer = *accepting_;
  }
  crypto::NoiseResponder noise(prologue(peer, id_), psk_, static_);
  const auto received = noise.read_message1(message);
  if (!received) return;
  if (routing) {
    if (received->payload.size() < 8) return;
    peer = NodeId{load_le<std::uint64_t>(received->payload.data())};
    if (routing_id(peer) != routing->source) return;
  }
  if (routing && session_ && session_->peer == peer &&
      rotation_refused(received->initiator_ephemeral)) {
    return;
  }
  if (!noise.begin_message2(crypto::X25519KeyPair::generate(random_))) return;
  const auto reply = noise.write_message2({});
  ++handshakes_answered_;
  accepting_.reset();
  establish(reply.result, peer, from, false, routing.has_value());
  session_->ephemeral = received->initiator_ephemeral;
  transmit(from, routing.has_value(), peer, 16, handshake_packet(reply.message));
}

/// Spec 10 §5.8: exact replays, and claims to a peer that we connected to and that is active.
bool BasePeer::rotation_refused(const crypto::Key& ephemeral) const {
  constexpr Duration kSessionTimeout = std::chrono::seconds(30);
  return session_->initiator ? network_.now().monotonic - session_->active_at < kSessionTimeout
                             : session_->ephemeral == ephemeral;
}

/// Spec 10 §5.4.
void BasePeer::establish(const crypto::NoiseResult& noise, NodeId peer, const Endpoint& address,
                         bool initiator, bool routed) {
  const crypto::Key prk = crypto::blake2s_keyed(noise.handshake_hash, as_byte_span("net-kdf-v1"));
  const auto derive = [&](std::string_view label) {
    return crypto::SecretKey(crypto::blake2s_keyed(prk, as_byte_span(label)));
  };
  Session session;
  session.id = SessionId{load_le<std::uint64_t>(noise.handshake_hash.data())};
  session.address = address;
  session.peer = peer;
  session.routed = routed;
  session.initiator = initiator;
  session.active_at = network_.now().monotonic;
  session.tx = crypto::AeadKey(crypto::AeadAlgorithm::kChaCha20Poly1305,
                               derive(initiator ? "initiator-tx" : "initiator-rx"));
  session.rx = crypto::AeadKey(crypto::AeadAlgorithm::kChaCha20Poly1305,
                               derive(initiator ? "initiator-rx" : "initiator-tx"));
  session.rx_seen.assign(kReplayWindow, false);
  session_ = std::move(session);
  streams_.clear();
}

// --- streams ---

BasePeer::Stream& BasePeer::stream(StreamId id) {
  auto [it, fresh] = streams_.try_emplace(id);
  if (fresh) it->second.credit = it->second.options.window;
  return it->second;
}

void BasePeer::open(StreamId id, const StreamOptions& options) {
  if (streams_.contains(id)) return;  // the first opening decides
  Stream opened;
  opened.options = options;
  opened.credit = options.window;
  streams_.emplace(id, opened);
}

std::uint32_t BasePeer::credit(StreamId id) const { return streams_.at(id).credit; }

bool BasePeer::send(StreamId id, const std::vector<Bytes>& events) {
  Stream& out = stream(id);
  Bytes plaintext;
  std::uint16_t count = 0;
  const auto flush = [&] {
    if (count == 0) return true;
    const auto needed = static_cast<std::uint32_t>(wire::kNetOverheadBytes + plaintext.size());
    if (out.options.window != 0) {
      if (out.credit < needed) return false;
      out.credit -= needed;
      out.bytes_sent += needed;
    }
    wire::NetHeader header;
    header.flags = out.options.reliable ? wire::flag::kReliable : std::uint8_t{0};
    header.stream_id = id;
    header.sequence = out.tx_sequence++;
    header.event_count = count;
    send_packet(header, plaintext);
    plaintext.clear();
    count = 0;
    return true;
  };
  for (const Bytes& event : events) {
    if (count != 0 && plaintext.size() + 4 + event.size() > wire::kMaxNetPayloadBytes && !flush()) {
      return false;
    }
    Bytes length(4);
    store_le<std::uint32_t>(length.data(), static_cast<std::uint32_t>(event.size()));
    plaintext.insert(plaintext.end(), length.begin(), length.end());
    plaintext.insert(plaintext.end(), event.begin(), event.end());
    ++count;
  }
  return flush();
}

void BasePeer::send_heartbeat() {
  wire::NetHeader header;
  header.flags = wire::flag::kHeartbeat;
  send_packet(header, {});
}

void BasePeer::send_grant(StreamId id, std::uint64_t total_consumed) {
  Bytes plaintext(4 + wire::kWindowGrantBytes);
  store_le<std::uint32_t>(plaintext.data(), wire::kWindowGrantBytes);
  store_le<std::uint64_t>(plaintext.data() + 4, id.value);
  store_le<std::uint64_t>(plaintext.data() + 12, total_consumed);
  wire::NetHeader header;
  header.subprotocol_id = wire::subprotocol::kWindowGrant;
  header.stream_id = wire::kControlStream;
  header.sequence = session_->control_sequence++;
  header.event_count = 1;
  send_packet(header, plaintext);
}

void BasePeer::send_packet(wire::NetHeader header, ByteSpan plaintext) {
  Session& session = *session_;
  header.session_id = session.id;
  header.counter = session.tx_counter++;
  header.nonce_prefix = wire::nonce_prefix(session.id);
  header.payload_len = static_cast<std::uint16_t>(plaintext.size());
  Bytes packet(wire::kNetOverheadBytes + plaintext.size());
  wire::write_net_header(header, packet);
  std::copy(plaintext.begin(), plaintext.end(), packet.begin() + wire::kNetHeaderBytes);
  const MutableByteSpan bytes(packet);
  session.tx.seal(wire::make_nonce(session.id, header.counter),
                  wire::net_aad(bytes.first(wire::kNetHeaderBytes)),
                  bytes.subspan(wire::kNetHeaderBytes, plaintext.size()),
                  bytes.last(wire::kTagBytes));
  // Spec 10 §13: only routed batches get a routing header in 0.19. A peer behind a relay would
  // otherwise hear nothing, so this one wraps everything, which receivers accept.
  transmit(session.address, session.routed && !(header.is_heartbeat()), session.peer, 8, packet);
}

void BasePeer::transmit(const Endpoint& to, bool routed, NodeId peer, std::uint8_t ttl,
                        ByteSpan packet) {
  Bytes datagram;
  if (routed) {
    datagram.resize(wire::kRoutingHeaderBytes);
    wire::write_routing_header({ttl, 0, 0, 0, routing_id(id_), peer}, datagram);
  }
  datagram.insert(datagram.end(), packet.begin(), packet.end());
  network_.send(address_, to, datagram);
}

// --- what arrived ---

void BasePeer::receive(const Endpoint& from, Bytes datagram) {
  std::optional<wire::RoutingHeader> routing;
  if (wire::classify(datagram) == wire::DatagramKind::kRouted) {
    routing = wire::parse_routing_header(datagram);
    if (!routing || routing->destination != id_) return;
    datagram.erase(datagram.begin(), datagram.begin() + wire::kRoutingHeaderBytes);
  }
  const auto header = wire::parse_net_packet(datagram);
  if (!header) {
    ++dropped_;
    return;
  }
  if (header->is_handshake()) {
    on_handshake(from, routing, wire::handshake_message(datagram));
  } else if (routing && header->is_heartbeat()) {
    ++dropped_;  // spec 10 §12.1
  } else {
    on_packet(from, datagram);
  }
}

void BasePeer::on_packet(const Endpoint&, Bytes& packet) {
  const auto header = wire::parse_net_packet(packet);
  if (!session_ || header->session_id != session_->id) {
    ++dropped_;
    return;
  }
  Session& session = *session_;
  const std::uint64_t counter = header->counter;
  const bool fresh = counter >= session.rx_next ? counter - session.rx_next <= kReplayWindow
                                                : session.rx_next - 1 - counter < kReplayWindow &&
                                                      !session.rx_seen[counter % kReplayWindow];
  const MutableByteSpan bytes(packet);
  const MutableByteSpan text = bytes.subspan(wire::kNetHeaderBytes, header->payload_len);
  if (!fresh || counter == ~std::uint64_t{0} ||
      !session.rx.open(wire::make_nonce(session.id, counter),
                       wire::net_aad(bytes.first(wire::kNetHeaderBytes)), text,
                       bytes.last(wire::kTagBytes))) {
    ++dropped_;
    return;
  }
  for (; session.rx_next <= counter; ++session.rx_next) {
    session.rx_seen[session.rx_next % kReplayWindow] = false;
  }
  session.rx_seen[counter % kReplayWindow] = true;
  session.active_at = network_.now().monotonic;
  if (header->is_heartbeat()) {
    ++heartbeats_;
    return;
  }
  wire::EventFrameReader reader(text, header->event_count);
  if (header->subprotocol_id == wire::subprotocol::kWindowGrant) {
    while (const auto message = reader.next()) on_grant(*message);
    return;
  }
  Stream& in = stream(header->stream_id);
  in.consumed += wire::kNetOverheadBytes + header->payload_len;
  packet_payloads_.push_back(header->payload_len);
  while (const auto event = reader.next()) {
    events_.push_back({header->stream_id, header->sequence,
                       (header->flags & wire::flag::kReliable) != 0,
                       Bytes(event->begin(), event->end())});
  }
  if (grants && in.options.window != 0) send_grant(header->stream_id, in.consumed);
}

/// Spec 10 §9.4.
void BasePeer::on_grant(ByteSpan message) {
  const auto grant = wire::parse_window_grant(message);
  if (!grant) return;
  grants_received_.push_back(*grant);
  const auto it = streams_.find(grant->stream_id);
  if (it == streams_.end() || it->second.options.window == 0) return;
  Stream& out = it->second;
  const std::uint64_t consumed = std::min(grant->total_consumed, out.bytes_sent);
  if (consumed <= out.max_consumed_seen) return;
  const std::uint64_t delta = consumed - out.max_consumed_seen;
  out.max_consumed_seen = consumed;
  out.credit =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(out.credit + delta, out.options.window));
}

}  // namespace netmesh::sim
