#include <benchmark/benchmark.h>

#include "crypto/aead.h"
#include "crypto/crypto_testing.h"
#include "crypto/curve.h"
#include "crypto/hash.h"
#include "crypto/noise.h"
#include "crypto/system_random.h"

namespace netmesh::crypto {
namespace {

constexpr std::size_t kAadBytes = 52;  // of a packet, spec 10 §4.2

/// What every AEAD benchmark needs; `range(0)` is the algorithm, `range(1)` the payload size.
struct AeadSetup {
  explicit AeadSetup(const benchmark::State& state)
      : key(static_cast<AeadAlgorithm>(state.range(0)), random.secret()),
        nonce(random.bytes(kAeadNonceBytes)),
        aad(random.bytes(kAadBytes)),
        text(random.bytes(static_cast<std::size_t>(state.range(1)))) {}

  testing::SeededRandom random{1};
  AeadKey key;
  Bytes nonce, aad, text;
  std::array<std::byte, kAeadTagBytes> tag{};
};

bool usable(benchmark::State& state) {
  const bool aes = static_cast<AeadAlgorithm>(state.range(0)) == AeadAlgorithm::kAes256Gcm;
  if (aes && !aes256gcm_available()) {
    state.SkipWithError("no AES instructions");
    return false;
  }
  state.SetLabel(aes ? "AES-256-GCM" : "ChaCha20-Poly1305");
  return true;
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(1));
}

void seal(benchmark::State& state) {
  if (!usable(state)) return;
  AeadSetup setup(state);
  for (auto _ : state) {
    setup.key.seal(setup.nonce, setup.aad, setup.text, setup.tag);
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}

void open(benchmark::State& state) {
  if (!usable(state)) return;
  AeadSetup setup(state);
  setup.key.seal(setup.nonce, setup.aad, setup.text, setup.tag);
  const Bytes sealed = setup.text;
  for (auto _ : state) {
    // Opening works in place: each round starts from the ciphertext again. The copy is part of the
    // time.
    std::memcpy(setup.text.data(), sealed.data(), sealed.size());
    if (!setup.key.open(setup.nonce, setup.aad, setup.text, setup.tag))
      state.SkipWithError("does not verify");
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}

void packet_sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"algorithm", "bytes"});
  for (const auto algorithm : {AeadAlgorithm::kChaCha20Poly1305, AeadAlgorithm::kAes256Gcm}) {
    for (const std::int64_t size : {64, 256, 1024, 8000})
      benchmark->Args({static_cast<std::int64_t>(algorithm), size});
  }
}
BENCHMARK(seal)->Apply(packet_sizes);
BENCHMARK(open)->Apply(packet_sizes);

void x25519_agreement(benchmark::State& state) {
  SystemRandom random;
  const auto ours = X25519KeyPair::generate(random);
  const auto theirs = X25519KeyPair::generate(random);
  SecretKey shared;
  for (auto _ : state) benchmark::DoNotOptimize(x25519(shared, ours.secret, theirs.public_key));
}
BENCHMARK(x25519_agreement);

void x25519_generate(benchmark::State& state) {
  SystemRandom random;
  for (auto _ : state) benchmark::DoNotOptimize(X25519KeyPair::generate(random).public_key);
}
BENCHMARK(x25519_generate);

void ed25519_sign(benchmark::State& state) {
  SystemRandom random;
  const SigningKey key = SigningKey::generate(random);
  const Bytes message(256);
  for (auto _ : state) benchmark::DoNotOptimize(key.sign(message));
}
BENCHMARK(ed25519_sign);

void ed25519_verify(benchmark::State& state) {
  SystemRandom random;
  const SigningKey key = SigningKey::generate(random);
  const Bytes message(256);
  const Signature signature = key.sign(message);
  for (auto _ : state)
    benchmark::DoNotOptimize(verify_signature(key.public_key(), message, signature));
}
BENCHMARK(ed25519_verify);

/// One handshake, both ends: key generation, two messages, two agreements on each side.
void noise_handshake(benchmark::State& state) {
  SystemRandom random;
  const SecretKey psk(testing::repeated(0x42));
  const auto responder_static = X25519KeyPair::generate(random);
  const Bytes prologue(32);
  const Bytes payload(190);
  for (auto _ : state) {
    NoiseInitiator initiator(prologue, psk, responder_static.public_key,
                             X25519KeyPair::generate(random));
    const auto message1 = initiator.write_message1(payload);
    NoiseResponder responder(prologue, psk, responder_static);
    if (!responder.read_message1(*message1) ||
        !responder.begin_message2(X25519KeyPair::generate(random))) {
      state.SkipWithError("handshake failed");
      break;
    }
    const auto message2 = responder.write_message2(payload);
    benchmark::DoNotOptimize(initiator.read_message2(message2.message));
  }
}
BENCHMARK(noise_handshake)->Unit(benchmark::kMicrosecond);

/// What a responder spends on a msg1 that does not verify: the price of a forged handshake.
void noise_refuse_message1(benchmark::State& state) {
  SystemRandom random;
  const SecretKey psk(testing::repeated(0x42));
  const auto responder_static = X25519KeyPair::generate(random);
  const Bytes prologue(32);
  Bytes message =
      NoiseInitiator(prologue, psk, responder_static.public_key, X25519KeyPair::generate(random))
          .write_message1({})
          .value();
  message.back() ^= std::byte{1};
  for (auto _ : state) {
    NoiseResponder responder(prologue, psk, responder_static);
    benchmark::DoNotOptimize(responder.read_message1(message));
  }
}
BENCHMARK(noise_refuse_message1)->Unit(benchmark::kMicrosecond);

void blake2s_keyed_32_bytes(benchmark::State& state) {
  const Key data{};
  for (auto _ : state)
    benchmark::DoNotOptimize(blake2s_keyed(as_byte_span("net-node-id-v1"), data));
}
BENCHMARK(blake2s_keyed_32_bytes);

}  // namespace
}  // namespace netmesh::crypto
