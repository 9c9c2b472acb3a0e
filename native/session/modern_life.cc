// What happens to a modern session over time: its keys change, its path is tested, its peer learns
// how to notice our restart.

#include <algorithm>

#include "crypto/hash.h"
#include "session/modern_session.h"

namespace netmesh::session {
namespace {

constexpr std::string_view kResetLabel = "netmesh-reset-v1";

}  // namespace

wire::ResetToken reset_token(const crypto::SecretKey& key, SessionId session) {
  std::array<std::byte, kResetLabel.size() + 8> input{};
  ByteWriter writer(input);
  writer.bytes(as_byte_span(kResetLabel));
  writer.u64(session.value);
  const crypto::Key digest = crypto::blake2s_keyed(key.bytes(), input);
  wire::ResetToken token;
  std::copy_n(digest.begin(), token.size(), token.begin());
  return token;
}

void ModernSession::begin_life(const Established& established, Now now) {
  handshake_hash_ = established.handshake_hash;
  initiator_ = established.initiator;
  const std::uint32_t features = peer_hello_.features;
  update_after_ = PacketKeys::kAesSealLimit;
  if ((features & wire::feature::kKeyUpdate) != 0) {
    update_after_ =
        config_.key_update_packets != 0 ? config_.key_update_packets : keys_.default_update_after();
    if (config_.identity != nullptr) rekey_at_ = now.monotonic + config_.rekey_interval;
  }
  peer_info_due_ = (features & wire::feature::kReset) != 0 && config_.reset_key != nullptr &&
                   config_.identity != nullptr;
}

bool ModernSession::write_life(ByteWriter& out) {
  bool wrote = false;
  const auto record = [&](SentFrame::Kind kind) {
    SentFrame sent;
    sent.kind = kind;
    recovery_.add_frame(sent);
    wrote = true;
  };
  if (peer_info_due_) {
    wire::PeerInfoFrame info;
    info.reset_token = reset_token(*config_.reset_key, id_);
    info.static_key = config_.identity->noise_static.public_key;
    if (wire::write_peer_info(out, info)) {
      peer_info_due_ = false;
      record(SentFrame::Kind::kPeerInfo);
    }
  }
  if (rekey_due_ && rekeying()) {
    const wire::RekeyFrame& frame = rekey_reply_ ? *rekey_reply_ : rekey_request_->frame();
    if (wire::write_rekey(out, frame)) {
      rekey_due_ = false;
      record(SentFrame::Kind::kRekey);
    }
  }
  return wrote;
}

std::size_t ModernSession::write_path_packet(Now now, MutableByteSpan out,
                                             const wire::Frame& frame) {
  if (closing_ || (peer_hello_.features & wire::feature::kPathValidation) == 0 ||
      out.size() < wire::kMinRoutedModernBytes) {
    return 0;
  }
  const MutableByteSpan payload =
      out.subspan(wire::kModernHeaderBytes, out.size() - wire::kModernOverheadBytes);
  ByteWriter writer(payload);
  if (const auto* challenge = std::get_if<wire::PathChallengeFrame>(&frame)) {
    wire::write_path_challenge(writer, *challenge);
  } else if (const auto* response = std::get_if<wire::PathResponseFrame>(&frame)) {
    wire::write_path_response(writer, *response);
  } else {
    return 0;
  }
  // RFC 9000 §8.2.1: padded, so that an answer shows that the path carries full packets. Nothing
  // tells whether it is lost: it neither asks for an acknowledgement nor counts as in flight.
  std::fill(payload.begin() + static_cast<std::ptrdiff_t>(writer.size()), payload.end(),
            std::byte{0});
  return seal(now, out, payload.size(), false, false);
}

void ModernSession::begin_rekey(Now now) {
  rekey_at_ = now.monotonic + config_.rekey_interval;
  if (rekeying() || agreed_) return;
  rekey_request_ = std::make_unique<KeyAgreement>(
      *config_.identity, AgreementBinding{handshake_hash_, agreements_ + 1}, *config_.random);
  rekey_due_ = true;
}

bool ModernSession::on_rekey(Now now, const wire::RekeyFrame& frame) {
  if (config_.identity == nullptr || !rekey_at_) return true;
  if (frame.generation != agreements_ + 1) return true;  // a late copy
  if (frame.reply) {
    if (!rekey_request_ || agreed_ || rekey_turned_) return true;
    agreed_ = rekey_request_->finish(peer_hello_.entity_id, frame);
    if (!agreed_) {
      violate(close_code::kRekey, "a key agreement is not signed by the peer");
      return false;
    }
    keys_.agree(agreed_->bytes());
    turn_due_ = ping_due_ = true;
    return true;
  }
  if (rekey_reply_) {
    rekey_due_ = true;  // our answer was lost, or the request came twice
    return true;
  }
  if (rekey_request_ && initiator_) return true;  // both asked: the session's initiator goes on
  auto answer = answer_agreement(*config_.identity, peer_hello_.entity_id,
                                 {handshake_hash_, frame.generation}, frame, *config_.random);
  if (!answer) {
    violate(close_code::kRekey, "a key agreement is not signed by the peer");
    return false;
  }
  rekey_request_.reset();
  rekey_reply_ = std::make_unique<wire::RekeyFrame>(answer->reply);
  agreed_ = std::move(answer->agreed);
  keys_.agree(agreed_->bytes());
  peer_turned_ = false;
  rekey_due_ = true;
  rekey_at_ = now.monotonic + config_.rekey_interval;
  return true;
}

/// The peer turned its phase. If it answered an agreement of ours or got our answer, it has the
/// secret, and so may we use it.
void ModernSession::on_peer_updated() {
  if (rekey_reply_ && agreed_) {
    peer_turned_ = true;
    turn_due_ = ping_due_ = true;
  } else if (rekey_request_ && rekey_turned_) {
    finish_rekey();
  }
}

void ModernSession::update_keys() {
  const std::uint64_t number = recovery_.next_packet_number();
  if (keys_.may_update()) {
    if (agreed_ && (rekey_request_ || peer_turned_)) {
      keys_.update_send(number, agreed_->bytes());
      agreed_.reset();
      turn_due_ = false;
      if (rekey_reply_) {
        finish_rekey();
      } else {
        rekey_turned_ = true;
      }
      return;
    }
    // A plain update during an agreement would leave the peer in doubt which one it is.
    if (!rekeying() && (peer_hello_.features & wire::feature::kKeyUpdate) != 0) {
      keys_.update_send(number, {});
      return;
    }
  }
  if (keys_.exhausted() && !closing_) close(close_code::kKeyLimit, "the session's key is used up");
}

void ModernSession::finish_rekey() {
  rekey_request_.reset();
  rekey_reply_.reset();
  rekey_due_ = turn_due_ = peer_turned_ = rekey_turned_ = false;
  ++agreements_;
}

/// Takes up what the recovery learned about sizes, and wants a probe when one is due.
void ModernSession::follow_mtu(Now now) {
  if (mtu_.current() != datagram_bytes_) {
    datagram_bytes_ = mtu_.current();
    recovery_.set_datagram_bytes(now.monotonic, datagram_bytes_);
  }
}

/// One PING, padded: nothing else, because it may well be lost.
std::size_t ModernSession::write_mtu_probe(Now now, MutableByteSpan out) {
  const std::size_t size = std::exchange(mtu_probe_bytes_, 0);
  const MutableByteSpan payload =
      out.subspan(wire::kModernHeaderBytes, size - wire::kModernOverheadBytes);
  ByteWriter writer(payload);
  wire::write_ping(writer);
  std::memset(payload.data() + writer.size(), 0, payload.size() - writer.size());
  SentFrame sent;
  sent.kind = SentFrame::Kind::kMtuProbe;
  sent.range.length = size;
  recovery_.add_frame(sent);
  mtu_.on_probe_sent();
  return seal(now, out, payload.size(), true, false, true);
}

}  // namespace netmesh::session
