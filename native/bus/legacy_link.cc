#include "bus/legacy_link.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/noise.h"
#include "crypto/system_random.h"
#include "session/replay_window.h"
#include "wire/event_frames.h"
#include "wire/net_packet.h"

namespace netmesh::bus {
namespace {

/// Stands in the payload of msg1, which base peers ignore: this initiator would rather speak the
/// mesh protocol, and a netmesh responder waits for that.
constexpr std::string_view kModernMark = "netmesh-bus";
/// A base msg1 carries no payload; the mesh protocol's carries a hello.
constexpr std::size_t kPlainMessage1Bytes = crypto::kNoiseOverheadBytes;

std::optional<crypto::Key> to_key(ByteSpan bytes) {
  crypto::Key key{};
  if (bytes.size() != key.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

/// Keys of an established link (spec 10 §5.4).
struct Keys {
  Keys(bool initiator, const crypto::Key& hash)
      : session{load_le<std::uint64_t>(hash.data())},
        seal(crypto::AeadAlgorithm::kChaCha20Poly1305,
             crypto::derive_session_key(hash, initiator ? "initiator-tx" : "initiator-rx")),
        open(crypto::AeadAlgorithm::kChaCha20Poly1305,
             crypto::derive_session_key(hash, initiator ? "initiator-rx" : "initiator-tx")) {}
  SessionId session;
  crypto::AeadKey seal;
  crypto::AeadKey open;
  std::uint64_t counter = 0;  ///< of every packet sealed
  session::ReplayWindow replay;
  std::map<std::uint64_t, std::uint64_t> sequences;  ///< next of each stream
};

}  // namespace

struct LegacyLink::State {
  bool initiator = false;
  crypto::Key psk{};
  crypto::Key responder_public{};
  std::optional<crypto::X25519KeyPair> own;  ///< the responder's
  crypto::SystemRandom random;
  std::optional<crypto::NoiseInitiator> attempt;
  std::unique_ptr<Keys> keys;
  /// Of a handshake while a link stands; takes over with its first packet, so that a replayed msg1
  /// does no harm.
  std::unique_ptr<Keys> candidate;

  Received handle_handshake(ByteSpan packet);
  Received handle_message2(ByteSpan message);
  Bytes seal(wire::NetHeader header, ByteSpan plaintext);
};

LegacyLink::LegacyLink() : state_(std::make_unique<State>()) {}
LegacyLink::~LegacyLink() { crypto::wipe(state_->psk); }

Expected<std::unique_ptr<LegacyLink>> LegacyLink::create(bool initiator, ByteSpan psk,
                                                         ByteSpan responder_key) {
  const auto psk_key = to_key(psk);
  const auto key = to_key(responder_key);
  if (!psk_key || !key) return fail(ErrorKind::kInvalidArgument, "keys must be 32 bytes");
  std::unique_ptr<LegacyLink> link(new LegacyLink());
  link->state_->initiator = initiator;
  link->state_->psk = *psk_key;
  if (initiator)
    link->state_->responder_public = *key;
  else
    link->state_->own = crypto::X25519KeyPair::from_secret(*key);
  return link;
}

bool LegacyLink::established() const { return state_->keys != nullptr; }

Bytes LegacyLink::begin() {
  State& state = *state_;
  state.attempt.emplace(ByteSpan(), crypto::SecretKey(state.psk), state.responder_public,
                        crypto::X25519KeyPair::generate(state.random));
  if (!state.attempt->hash_before_payload1()) return {};
  const auto message = state.attempt->write_message1(as_byte_span(kModernMark));
  return message ? wire::make_handshake_packet(*message) : Bytes();
}

LegacyLink::Received LegacyLink::handle(MutableByteSpan datagram) {
  const auto header = wire::parse_net_packet(datagram);
  if (!header) return {};
  if (header->is_handshake()) return state_->handle_handshake(datagram);
  const auto belongs = [&](const auto& each) {
    return each != nullptr && each->session == header->session_id;
  };
  const bool fresh = !belongs(state_->keys);
  if (fresh && !belongs(state_->candidate)) return {};
  Keys& keys = fresh ? *state_->candidate : *state_->keys;
  if (!keys.replay.check(header->counter)) return {};
  const auto aad = wire::net_aad(datagram.first(wire::kNetHeaderBytes));
  const MutableByteSpan text =
      datagram.subspan(wire::kNetHeaderBytes, datagram.size() - wire::kNetOverheadBytes);
  if (!keys.open.open(wire::make_nonce(keys.session, header->counter), aad, text,
                      datagram.last(wire::kTagBytes)) ||
      !keys.replay.commit(header->counter)) {
    return {};
  }
  Received out;
  out.moved = fresh;
  if (fresh) state_->keys = std::move(state_->candidate);
  if (header->is_heartbeat()) {
    out.kind = Kind::kHeartbeat;
    return out;
  }
  if (header->subprotocol_id != wire::subprotocol::kEvents) return out;
  out.kind = Kind::kEvents;
  out.stream = header->stream_id.value;
  wire::EventFrameReader events(text, header->event_count);
  while (const auto event = events.next()) out.events.push_back(*event);
  return out;
}

LegacyLink::Received LegacyLink::State::handle_handshake(ByteSpan packet) {
  const ByteSpan message = wire::handshake_message(packet);
  if (initiator) return handle_message2(message);
  Received out;
  crypto::NoiseResponder noise(ByteSpan(), crypto::SecretKey(psk), *own);
  const auto received = noise.read_message1(message);
  if (!received) {
    // Its prologue names nodes; whether it is genuine is for the mesh protocol to find out.
    if (message.size() > kPlainMessage1Bytes) out.kind = Kind::kModernPeer;
    return out;
  }
  const Bytes& payload = received->payload;
  if (payload.size() == kModernMark.size() &&
      std::memcmp(payload.data(), kModernMark.data(), payload.size()) == 0) {
    return out;
  }
  if (!noise.begin_message2(crypto::X25519KeyPair::generate(random))) return out;
  auto message2 = noise.write_message2({});
  (keys ? candidate : keys) = std::make_unique<Keys>(false, message2.result.handshake_hash);
  out.kind = Kind::kEstablished;
  out.reply = wire::make_handshake_packet(message2.message);
  return out;
}

LegacyLink::Received LegacyLink::State::handle_message2(ByteSpan message) {
  Received out;
  if (!attempt) return out;
  auto message2 = attempt->read_message2(message);
  if (!message2) return out;
  keys = std::make_unique<Keys>(true, message2->result.handshake_hash);
  attempt.reset();
  out.kind = Kind::kEstablished;
  return out;
}

Bytes LegacyLink::State::seal(wire::NetHeader header, ByteSpan plaintext) {
  Bytes out(wire::kNetOverheadBytes + plaintext.size());
  header.session_id = keys->session;
  header.nonce_prefix = wire::nonce_prefix(keys->session);
  header.counter = keys->counter++;
  header.payload_len = static_cast<std::uint16_t>(plaintext.size());
  const MutableByteSpan packet(out);
  wire::write_net_header(header, packet);
  const MutableByteSpan text = packet.subspan(wire::kNetHeaderBytes, plaintext.size());
  std::copy(plaintext.begin(), plaintext.end(), text.begin());
  keys->seal.seal(wire::make_nonce(keys->session, header.counter),
                  wire::net_aad(packet.first(wire::kNetHeaderBytes)), text,
                  packet.last(wire::kTagBytes));
  return out;
}

std::vector<Bytes> LegacyLink::seal(std::uint64_t stream, bool reliable,
                                    std::span<const ByteSpan> events) {
  std::vector<Bytes> packets;
  Bytes plaintext;
  std::uint16_t count = 0;
  const auto emit = [&] {
    if (count == 0) return;
    wire::NetHeader header;
    header.flags = reliable ? wire::flag::kReliable : std::uint8_t{0};
    header.stream_id = StreamId{stream};
    header.sequence = state_->keys->sequences[stream]++;
    header.event_count = count;
    packets.push_back(state_->seal(header, plaintext));
    plaintext.clear();
    count = 0;
  };
  for (const ByteSpan event : events) {
    if (event.size() > kMaxEventBytes) continue;
    const std::size_t frame = wire::kEventFrameHeaderBytes + event.size();
    if (plaintext.size() + frame > wire::kMaxNetPayloadBytes) emit();
    std::array<std::byte, wire::kEventFrameHeaderBytes> length;
    store_le(length.data(), static_cast<std::uint32_t>(event.size()));
    plaintext.insert(plaintext.end(), length.begin(), length.end());
    plaintext.insert(plaintext.end(), event.begin(), event.end());
    ++count;
  }
  emit();
  return packets;
}

Bytes LegacyLink::heartbeat() {
  wire::NetHeader header;
  header.flags = wire::flag::kHeartbeat;
  return state_->seal(header, {});
}

}  // namespace netmesh::bus
