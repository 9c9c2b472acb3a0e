// Noise messages. Either the input is the message, or it is a list of edits to a valid one: then
// the message must be refused exactly when the edits changed it, and a refused msg2 must do no
// harm.

#include "crypto/noise.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::crypto;

namespace {

constexpr std::size_t kPrologueBytes = 32;

SecretKey filled_key(std::uint8_t value) {
  const Bytes bytes(kKeyBytes, std::byte{value});
  return SecretKey(bytes);
}

/// A fixed pair of nodes, the one of spec 10 §17.
struct Pair {
  Bytes prologue;
  SecretKey psk = filled_key(0x42);
  X25519KeyPair responder_static = X25519KeyPair::from_secret(filled_key(0x11).bytes());
  X25519KeyPair initiator_ephemeral = X25519KeyPair::from_secret(filled_key(0x22).bytes());
  X25519KeyPair responder_ephemeral = X25519KeyPair::from_secret(filled_key(0x33).bytes());

  Pair() {
    const ByteSpan label = as_byte_span("net-handshake-v1");
    prologue.assign(label.begin(), label.end());
    prologue.resize(kPrologueBytes);
    store_le<std::uint64_t>(prologue.data() + 16, 0x22222222);
    store_le<std::uint64_t>(prologue.data() + 24, 0x44444444);
  }
  NoiseInitiator initiator() const {
    return {prologue, psk, responder_static.public_key, initiator_ephemeral.clone()};
  }
  NoiseResponder responder() const { return {prologue, psk, responder_static}; }
};

/// Applies `u16 position ‖ u8 xor` edits; a position past the end cuts or extends the message.
void edit(ByteReader& edits, Bytes& message) {
  while (edits.remaining() >= 3 && !message.empty()) {
    const std::size_t position = edits.u16();
    const std::uint8_t value = edits.u8();
    if (position < message.size()) {
      message[position] ^= std::byte{value};
    } else if ((position & 1) != 0) {
      message.resize(std::min<std::size_t>(value, message.size()));
    } else {
      message.push_back(std::byte{value});
    }
  }
  message.shrink_to_fit();
}

void check_message1(const Pair& pair, ByteReader& input, bool structured) {
  if (!structured) {
    const ByteSpan message = input.rest();
    NoiseResponder responder = pair.responder();
    if (const auto read = responder.read_message1(message)) {
      FUZZ_CHECK(read->payload.size() + kNoiseOverheadBytes == message.size());
      FUZZ_CHECK(fuzz::equal(read->initiator_ephemeral, message.first(kKeyBytes)));
    }
    return;
  }
  const ByteSpan payload = input.bytes(std::min<std::size_t>(input.u8(), input.remaining()));
  NoiseInitiator initiator = pair.initiator();
  const auto valid = initiator.write_message1(payload);
  FUZZ_CHECK(valid);
  Bytes message = *valid;
  edit(input, message);

  NoiseResponder responder = pair.responder();
  const auto read = responder.read_message1(message);
  FUZZ_CHECK(read.has_value() == (message == *valid));
  if (read) FUZZ_CHECK(fuzz::equal(read->payload, payload));
}

void check_message2(const Pair& pair, ByteReader& input, bool structured) {
  const ByteSpan payload =
      structured ? input.bytes(std::min<std::size_t>(input.u8(), input.remaining())) : ByteSpan{};
  NoiseInitiator initiator = pair.initiator();
  const auto message1 = initiator.write_message1({});
  FUZZ_CHECK(message1);
  NoiseResponder responder = pair.responder();
  FUZZ_CHECK(responder.read_message1(*message1));
  FUZZ_CHECK(responder.begin_message2(pair.responder_ephemeral.clone()));
  const NoiseResponder::Message2 valid = responder.write_message2(payload);

  Bytes message = valid.message;
  if (structured) {
    edit(input, message);
  } else {
    const ByteSpan raw = input.rest();
    message.assign(raw.begin(), raw.end());
  }
  const auto read = initiator.read_message2(message);
  if (structured) FUZZ_CHECK(read.has_value() == (message == valid.message));
  if (read) FUZZ_CHECK(read->payload.size() + kNoiseOverheadBytes == message.size());

  const auto after = initiator.read_message2(valid.message);
  FUZZ_CHECK(after && fuzz::equal(after->payload, payload));
  FUZZ_CHECK(after->result.handshake_hash == valid.result.handshake_hash);
  FUZZ_CHECK(fuzz::equal(after->result.initiator_to_responder.bytes(),
                         valid.result.initiator_to_responder.bytes()));
  FUZZ_CHECK(fuzz::equal(after->result.responder_to_initiator.bytes(),
                         valid.result.responder_to_initiator.bytes()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  initialize();
  static const Pair pair;
  ByteReader input(fuzz::input_bytes(data, size));
  const std::uint8_t mode = input.u8();
  const bool structured = (mode & 2) != 0;
  if ((mode & 1) == 0) {
    check_message1(pair, input, structured);
  } else {
    check_message2(pair, input, structured);
  }
  return 0;
}
