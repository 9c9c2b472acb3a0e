#include "sim/rude_peer.h"

#include "wire/frames_testing.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"

namespace netmesh::sim {

RudePeer::RudePeer(World& world, std::uint32_t number)
    : world_(world),
      random_(world.network.random().fork()),
      address_(address_of(number)),
      context_{identity::LocalIdentity::from_seed(config_of(number).identity_seed),
               crypto::SecretKey(config_of(number).psk)} {
  context_.aeads = 1;
  context_.max_datagram = 9'000;
  context_.stream_window = context_.session_window = 1 << 20;
  context_.max_message = 1 << 20;
  world_.network.attach(address_, *this);
}

RudePeer::~RudePeer() { world_.network.detach(address_); }

bool RudePeer::connect(const SimNode& victim) {
  victim_ = victim.address();
  handshake_ = session::InitiatorHandshake::create(context_, victim.machine().public_key(),
                                                   victim.machine().node_id(), random_);
  if (!handshake_) return false;
  world_.network.send(address_, victim_,
                      wire::make_handshake_packet(handshake_->message1(), id().value));
  world_.network.run_until([&] { return seal_.has_value(); }, std::chrono::seconds(5));
  if (!seal_) return false;
  send({wire::PingFrame{}});
  return true;
}

void RudePeer::send(const std::vector<wire::Frame>& frames) {
  Bytes plaintext(8'000);
  ByteWriter writer(plaintext);
  for (const wire::Frame& frame : frames) {
    world_.expect(wire::testing::write_frame(writer, frame), "a crafted frame can be written");
  }
  send_plaintext(writer.written());
}

void RudePeer::send_plaintext(ByteSpan plaintext) {
  Bytes packet(wire::kModernOverheadBytes + plaintext.size());
  const MutableByteSpan bytes(packet);
  wire::write_modern_header({false, session_, PacketNumber{next_}}, packet.data());
  ByteWriter(bytes.subspan(wire::kModernHeaderBytes)).bytes(plaintext);
  seal_->seal(wire::make_nonce(session_, next_++), bytes.first(wire::kModernHeaderBytes),
              bytes.subspan(wire::kModernHeaderBytes, plaintext.size()),
              bytes.last(wire::kTagBytes));
  world_.network.send(address_, victim_, packet);
}

void RudePeer::receive(const Endpoint&, Bytes datagram) {
  if (!seal_) {
    const auto packet = wire::parse_net_packet(datagram);
    if (!packet || !packet->is_handshake() || !handshake_) return;
    auto established = handshake_->read_message2(wire::handshake_message(datagram));
    if (!established) return;
    session_ = established->session_id;
    seal_.emplace(established->aead, established->send_key);
    open_.emplace(established->aead, established->receive_key);
    return;
  }
  const auto header = wire::parse_modern_header(datagram);
  if (!header || header->session_id != session_) return;
  const MutableByteSpan bytes(datagram);
  const MutableByteSpan text =
      bytes.subspan(wire::kModernHeaderBytes, bytes.size() - wire::kModernOverheadBytes);
  const std::uint64_t number = header->packet_number.value;
  if (!open_->open(wire::make_nonce(session_, number), bytes.first(wire::kModernHeaderBytes), text,
                   bytes.last(wire::kTagBytes))) {
    return;  // under a later key, which a rude peer does not follow
  }
  largest_ = std::max(largest_.value_or(0), number);
  numbers_.push_back(number);
  wire::FrameReader reader(text);
  while (const auto frame = reader.next()) {
    if (const auto* stream = std::get_if<wire::StreamFrame>(&*frame)) {
      stream_bytes_ += stream->data.size();
    } else if (const auto* close = std::get_if<wire::CloseFrame>(&*frame)) {
      goodbye_ = {close->code, std::string(reinterpret_cast<const char*>(close->reason.data()),
                                           close->reason.size())};
    }
  }
  if (on_packet) on_packet(number);
}

}  // namespace netmesh::sim
