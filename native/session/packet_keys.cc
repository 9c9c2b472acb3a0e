#include "session/packet_keys.h"

#include <algorithm>

#include "crypto/hash.h"

namespace netmesh::session {
namespace {

constexpr std::string_view kUpdateLabel = "netmesh-key-update-v1";

}  // namespace

PacketKeys::PacketKeys(crypto::AeadAlgorithm algorithm, crypto::SecretKey send,
                       crypto::SecretKey receive)
    : algorithm_(algorithm),
      send_secret_(std::move(send)),
      seal_key_(algorithm, send_secret_),
      present_{std::move(receive), {}} {
  present_.key = crypto::AeadKey(algorithm, present_.secret);
}

crypto::SecretKey PacketKeys::next_secret(const crypto::SecretKey& present, ByteSpan agreed) {
  std::array<std::byte, kUpdateLabel.size() + crypto::kKeyBytes> input{};
  ByteWriter writer(input);
  writer.bytes(as_byte_span(kUpdateLabel));
  writer.bytes(agreed);
  crypto::Key digest = crypto::blake2s_keyed(present.bytes(), writer.written());
  crypto::SecretKey out(digest);
  crypto::wipe(digest);
  crypto::wipe(input);
  return out;
}

void PacketKeys::update_send(std::uint64_t next_number, ByteSpan agreed) {
  send_secret_ = next_secret(send_secret_, agreed);
  seal_key_ = crypto::AeadKey(algorithm_, send_secret_);
  send_phase_ = !send_phase_;
  send_phase_begin_ = next_number;
  phase_acknowledged_ = false;
  sealed_ = 0;
  ++updates_;
}

PacketKeys::Opened PacketKeys::open(TimePoint now, std::uint64_t number, bool phase, ByteSpan nonce,
                                    ByteSpan aad, MutableByteSpan text, ByteSpan tag) {
  if (phase == receive_phase_) {
    if (!present_.key.open(nonce, aad, text, tag)) {
      ++forgeries_;
      return Opened::kFailed;
    }
    lowest_ = std::min(lowest_.value_or(number), number);
    return Opened::kVerified;
  }
  if (lowest_ && number < *lowest_) {
    expire(now);
    if (previous_ && previous_->open(nonce, aad, text, tag)) return Opened::kVerified;
    ++forgeries_;
    return Opened::kFailed;
  }
  if (!next_) {
    next_.emplace();
    next_->secret = next_secret(present_.secret, agreed_ ? agreed_->bytes() : ByteSpan());
    next_->key = crypto::AeadKey(algorithm_, next_->secret);
  }
  if (!next_->key.open(nonce, aad, text, tag)) {
    ++forgeries_;
    return Opened::kFailed;
  }
  previous_ = std::move(present_.key);
  previous_until_ = now + kOldKeyLife;
  present_ = std::move(*next_);
  next_.reset();
  agreed_.reset();
  receive_phase_ = phase;
  lowest_ = number;
  ++updates_;
  return Opened::kUpdated;
}

void PacketKeys::agree(ByteSpan agreed) {
  agreed_.emplace(agreed);
  next_.reset();
}

void PacketKeys::expire(TimePoint now) {
  if (previous_ && now >= previous_until_) previous_.reset();
}

}  // namespace netmesh::session
