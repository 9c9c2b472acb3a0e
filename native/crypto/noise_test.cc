#include "crypto/noise.h"

#include <gtest/gtest.h>

#include "crypto/crypto_testing.h"
#include "crypto/hash.h"
#include "crypto/noise_reference_testing.h"

namespace netmesh::crypto {
namespace {

using testing::hex;
using testing::key_of;
using testing::repeated;
using testing::SeededRandom;
using testing::reference::HandshakeState;
using testing::reference::Octets;

// ---- Worked examples of spec 10 §17: fixed keys, three prologue and payload combinations.

struct HandshakeVector {
  const char* what;
  std::string_view prologue, payload1, message1, message2, hash, initiator_tx, initiator_rx;
  std::uint64_t session_id;
  std::uint32_t nonce_prefix;
};

constexpr std::string_view kMeshPrologue =
    "6e65742d68616e647368616b652d763122222222000000004444444400000000";

constexpr HandshakeVector kVectors[] = {
    {"direct (17.1)", kMeshPrologue, "",
     "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20 "
     "0527c4694d73ff335cc7ed7377fa25ab",
     "7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14 "
     "3ca8adb125dc8dcc7252ad49dd6678f0",
     "938dc7e349fcf79e50446a8a7706a378d5ff907f80a085fa6c322a98707b2e74",
     "3ece07da762fc208ae2ebc10453ae346b4949238cbb58b57da44719067ad006f",
     "703090e2b75d405abc236bb10a38209c4bf56332e1f1f587bcc57c15a404089c", 0x9ef7fc49e3c78d93,
     0x7d3071da},
    {"routed (17.3)", kMeshPrologue, "2222222211111111",
     "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"
     "58ab13949e65443e7f1d65be24fa5d7ae597b33460c529f5",
     "7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14 "
     "7d8a852a31724cf0d4f7344c74c72410",
     "86841eb4952e7db58ea39223389225088059606a61ba0c7eefc311580a9e19f8",
     "b2a85764a5fd523a54b080389ff8cabf4bcf6797c9b2a8188c11539d83448bb2",
     "36a148bc4143a333d4633aa9a3be5fc33e717d2cb59e14a2f32708838a6ae890", 0xb57d2e95b41e8486,
     0x0163aa13},
    {"single-peer adapter (17.4)", "", "",
     "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20 "
     "00c8b3a98c8de02622cf8a5a308744a7",
     "7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14 "
     "eb5d3ba41791596b2717dbb98b178c59",
     "e4fe064a0a1eb744fe707257483f4488fa468449a2966690821546a9ec21d16e",
     "35aa776dd4c888df92ddb0bb240d55c2ed7665e12789e643b4ed90d3605c7a99",
     "963020284dd3651e314b804b64ff9cf447bc8f38935ddfec9739358f4a4e9ef0", 0x44b71e0a4a06fee4,
     0x0eb1e0ee}};

TEST(NoiseVectors, StartFromTheHashOfTheProtocolName) {
  EXPECT_EQ(to_hex(NoiseSymmetricState().hash()),
            "9f486163ad384eff8b2517806c4f1891d25608cd674d8707e02ddf030a0ca948");
}

TEST(NoiseVectors, ProduceTheMessagesKeysAndSessionIdsOfTheSpecification) {
  const SecretKey psk(repeated(0x42));
  const X25519KeyPair responder_static = X25519KeyPair::from_secret(repeated(0x11));
  for (const HandshakeVector& v : kVectors) {
    SCOPED_TRACE(v.what);
    NoiseInitiator initiator(hex(v.prologue), psk, responder_static.public_key,
                             X25519KeyPair::from_secret(repeated(0x22)));
    const auto message1 = initiator.write_message1(hex(v.payload1));
    ASSERT_TRUE(message1);
    EXPECT_EQ(to_hex(*message1), to_hex(hex(v.message1)));

    NoiseResponder responder(hex(v.prologue), psk, responder_static);
    const auto read1 = responder.read_message1(*message1);
    ASSERT_TRUE(read1);
    EXPECT_EQ(to_hex(read1->payload), v.payload1);
    ASSERT_TRUE(responder.begin_message2(X25519KeyPair::from_secret(repeated(0x33))));
    const auto message2 = responder.write_message2({});
    EXPECT_EQ(to_hex(message2.message), to_hex(hex(v.message2)));

    const auto read2 = initiator.read_message2(message2.message);
    ASSERT_TRUE(read2);
    for (const Key& h : {read2->result.handshake_hash, message2.result.handshake_hash}) {
      EXPECT_EQ(to_hex(h), v.hash);
      EXPECT_EQ(to_hex(derive_session_key(h, "initiator-tx").bytes()), v.initiator_tx);
      EXPECT_EQ(to_hex(derive_session_key(h, "initiator-rx").bytes()), v.initiator_rx);
      const auto id = load_le<std::uint64_t>(h.data());
      EXPECT_EQ(id, v.session_id);
      EXPECT_EQ(static_cast<std::uint32_t>(id) ^ static_cast<std::uint32_t>(id >> 32),
                v.nonce_prefix);
    }
  }
}

// ---- Against the independent implementation.

Octets octets(ByteSpan bytes) {
  Octets out(bytes.size());
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}
Bytes bytes_of(const Octets& from) {
  const auto span = std::as_bytes(std::span(from));
  return {span.begin(), span.end()};
}
std::string hex_of(const Octets& from) { return to_hex(bytes_of(from)); }

/// The inputs of one handshake, drawn from a seed.
struct Scenario {
  explicit Scenario(std::uint64_t seed)
      : random(seed),
        prologue(random.bytes(random.below(80))),
        psk(random.secret()),
        responder_static(X25519KeyPair::generate(random)),
        initiator_ephemeral(X25519KeyPair::generate(random)),
        responder_ephemeral(X25519KeyPair::generate(random)),
        payload1(random.bytes(random.below(random.below(4) == 0 ? 4000 : 200))),
        payload2(random.bytes(random.below(random.below(4) == 0 ? 4000 : 200))) {
    if (random.below(5) == 0) payload1.clear();
    if (random.below(5) == 0) payload2.clear();
  }

  NoiseInitiator initiator() const {
    return NoiseInitiator(prologue, psk, responder_static.public_key, initiator_ephemeral.clone());
  }
  NoiseResponder responder() const { return NoiseResponder(prologue, psk, responder_static); }
  HandshakeState reference_initiator() const {
    HandshakeState state;
    state.initialize(true, octets(prologue), {}, octets(initiator_ephemeral.secret.bytes()),
                     octets(responder_static.public_key), octets(psk.bytes()));
    return state;
  }
  HandshakeState reference_responder() const {
    HandshakeState state;
    state.initialize(false, octets(prologue), octets(responder_static.secret.bytes()),
                     octets(responder_ephemeral.secret.bytes()), {}, octets(psk.bytes()));
    return state;
  }

  SeededRandom random;
  Bytes prologue;
  SecretKey psk;
  X25519KeyPair responder_static, initiator_ephemeral, responder_ephemeral;
  Bytes payload1, payload2;
};

void expect_same(const NoiseResult& result, const HandshakeState& reference) {
  const auto [first, second] = reference.symmetric.split();
  EXPECT_EQ(to_hex(result.handshake_hash), hex_of(reference.symmetric.h));
  EXPECT_EQ(to_hex(result.initiator_to_responder.bytes()), hex_of(first));
  EXPECT_EQ(to_hex(result.responder_to_initiator.bytes()), hex_of(second));
}

TEST(NoiseAgainstReference, OurInitiatorUnderstandsTheReferenceResponder) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    const Scenario s(seed);
    NoiseInitiator initiator = s.initiator();
    HandshakeState twin = s.reference_initiator();
    HandshakeState responder = s.reference_responder();

    const auto hash1 = initiator.hash_before_payload1();
    ASSERT_TRUE(hash1);
    const auto message1 = initiator.write_message1(s.payload1);
    ASSERT_TRUE(message1);
    EXPECT_EQ(to_hex(*message1), hex_of(twin.write_message(octets(s.payload1))));
    EXPECT_EQ(to_hex(*hash1), hex_of(twin.hash_before_payload));
    EXPECT_EQ(bytes_of(responder.read_message(octets(*message1))), s.payload1);

    const Octets message2 = responder.write_message(octets(s.payload2));
    const auto read2 = initiator.read_message2(bytes_of(message2));
    ASSERT_TRUE(read2);
    EXPECT_EQ(read2->payload, s.payload2);
    EXPECT_EQ(to_hex(read2->hash_before_payload), hex_of(responder.hash_before_payload));
    expect_same(read2->result, responder);
    EXPECT_EQ(bytes_of(twin.read_message(message2)), s.payload2);
    expect_same(read2->result, twin);
  }
}

TEST(NoiseAgainstReference, OurResponderUnderstandsTheReferenceInitiator) {
  for (std::uint64_t seed = 1000; seed < 1150; ++seed) {
    SCOPED_TRACE(seed);
    const Scenario s(seed);
    HandshakeState initiator = s.reference_initiator();
    HandshakeState twin = s.reference_responder();
    NoiseResponder responder = s.responder();

    const Octets message1 = initiator.write_message(octets(s.payload1));
    const auto read1 = responder.read_message1(bytes_of(message1));
    ASSERT_TRUE(read1);
    EXPECT_EQ(read1->payload, s.payload1);
    EXPECT_EQ(read1->initiator_ephemeral, s.initiator_ephemeral.public_key);
    EXPECT_EQ(to_hex(read1->hash_before_payload), hex_of(initiator.hash_before_payload));
    EXPECT_EQ(bytes_of(twin.read_message(message1)), s.payload1);

    const auto hash2 = responder.begin_message2(s.responder_ephemeral.clone());
    ASSERT_TRUE(hash2);
    const auto message2 = responder.write_message2(s.payload2);
    EXPECT_EQ(to_hex(message2.message), hex_of(twin.write_message(octets(s.payload2))));
    EXPECT_EQ(to_hex(*hash2), hex_of(twin.hash_before_payload));
    expect_same(message2.result, twin);
    EXPECT_EQ(bytes_of(initiator.read_message(octets(message2.message))), s.payload2);
    expect_same(message2.result, initiator);
  }
}

TEST(Noise, BothEndsAgreeOnEverything) {
  for (std::uint64_t seed = 2000; seed < 2050; ++seed) {
    SCOPED_TRACE(seed);
    const Scenario s(seed);
    NoiseInitiator initiator = s.initiator();
    NoiseResponder responder = s.responder();
    const auto hash1 = initiator.hash_before_payload1();
    const auto message1 = initiator.write_message1(s.payload1);
    const auto read1 = responder.read_message1(message1.value());
    ASSERT_TRUE(read1);
    EXPECT_EQ(read1->hash_before_payload, hash1);
    const auto hash2 = responder.begin_message2(s.responder_ephemeral.clone());
    const auto message2 = responder.write_message2(s.payload2);
    const auto read2 = initiator.read_message2(message2.message);
    ASSERT_TRUE(read2);
    EXPECT_EQ(read2->hash_before_payload, hash2);
    EXPECT_EQ(read2->result.handshake_hash, message2.result.handshake_hash);
    EXPECT_EQ(to_hex(read2->result.initiator_to_responder.bytes()),
              to_hex(message2.result.initiator_to_responder.bytes()));
    EXPECT_NE(to_hex(read2->result.initiator_to_responder.bytes()),
              to_hex(read2->result.responder_to_initiator.bytes()));
  }
}

// ---- Refusals.

TEST(NoiseResponder, RefusesMessage1WithAnyByteAltered) {
  const Scenario s(3);
  NoiseInitiator initiator = s.initiator();
  Bytes message = initiator.write_message1(s.payload1).value();
  ASSERT_TRUE(s.responder().read_message1(message));
  for (std::byte& b : message) {
    for (const std::byte bit : {std::byte{0x01}, std::byte{0x80}}) {
      b ^= bit;
      EXPECT_FALSE(s.responder().read_message1(message));
      b ^= bit;
    }
  }
}

TEST(NoiseResponder, RefusesMessage1OfAnyOtherLength) {
  const Scenario s(4);
  NoiseInitiator initiator = s.initiator();
  Bytes message = initiator.write_message1(s.payload1).value();
  for (std::size_t cut = 0; cut < message.size(); ++cut) {
    EXPECT_FALSE(s.responder().read_message1(ByteSpan(message).first(cut))) << cut;
  }
  message.push_back(std::byte{0});
  EXPECT_FALSE(s.responder().read_message1(message));
  EXPECT_FALSE(s.responder().read_message1(Bytes(65536)));
}

TEST(NoiseResponder, RefusesAnotherPskPrologueOrStaticKey) {
  Scenario s(5);
  NoiseInitiator initiator = s.initiator();
  const Bytes message = initiator.write_message1(s.payload1).value();
  EXPECT_FALSE(
      NoiseResponder(s.prologue, s.random.secret(), s.responder_static).read_message1(message));
  EXPECT_FALSE(
      NoiseResponder(as_byte_span("another"), s.psk, s.responder_static).read_message1(message));
  EXPECT_FALSE(
      NoiseResponder(s.prologue, s.psk, X25519KeyPair::generate(s.random)).read_message1(message));
  EXPECT_TRUE(s.responder().read_message1(message));
}

TEST(NoiseResponder, IsSpentAfterAFailureAndAfterEachStep) {
  const Scenario s(6);
  NoiseInitiator initiator = s.initiator();
  const Bytes message = initiator.write_message1(s.payload1).value();

  NoiseResponder failed = s.responder();
  EXPECT_FALSE(failed.begin_message2(s.responder_ephemeral.clone())) << "before msg1";
  Bytes altered = message;
  altered.back() ^= std::byte{1};
  EXPECT_FALSE(failed.read_message1(altered));
  EXPECT_FALSE(failed.read_message1(message));
  EXPECT_FALSE(failed.begin_message2(s.responder_ephemeral.clone()));

  NoiseResponder responder = s.responder();
  EXPECT_TRUE(responder.read_message1(message));
  EXPECT_FALSE(responder.read_message1(message));
  EXPECT_TRUE(responder.begin_message2(s.responder_ephemeral.clone()));
  EXPECT_FALSE(responder.begin_message2(s.responder_ephemeral.clone()));
}

TEST(NoiseInitiator, RefusesMessage2WithAnyByteAlteredAndStaysUsable) {
  const Scenario s(7);
  NoiseInitiator initiator = s.initiator();
  NoiseResponder responder = s.responder();
  ASSERT_TRUE(responder.read_message1(initiator.write_message1(s.payload1).value()));
  ASSERT_TRUE(responder.begin_message2(s.responder_ephemeral.clone()));
  const auto genuine = responder.write_message2(s.payload2);

  Bytes message = genuine.message;
  for (std::byte& b : message) {
    for (const std::byte bit : {std::byte{0x01}, std::byte{0x80}}) {
      b ^= bit;
      EXPECT_FALSE(initiator.read_message2(message));
      b ^= bit;
    }
  }
  for (std::size_t cut = 0; cut < message.size(); ++cut) {
    EXPECT_FALSE(initiator.read_message2(ByteSpan(message).first(cut))) << cut;
  }
  message.push_back(std::byte{0});
  EXPECT_FALSE(initiator.read_message2(message));

  const auto read2 = initiator.read_message2(genuine.message);
  ASSERT_TRUE(read2);
  EXPECT_EQ(read2->payload, s.payload2);
  EXPECT_EQ(read2->result.handshake_hash, genuine.result.handshake_hash);
}

TEST(NoiseInitiator, RefusesMessage2BeforeMessage1IsWritten) {
  const Scenario s(8);
  EXPECT_FALSE(s.initiator().read_message2(Bytes(48)));
}

TEST(NoiseInitiator, RefusesAPayloadThatDoesNotFitANoiseMessage) {
  const Scenario s(9);
  NoiseInitiator initiator = s.initiator();
  EXPECT_FALSE(initiator.write_message1(Bytes(65535 - kNoiseOverheadBytes + 1)));
  const auto message = initiator.write_message1(Bytes(65535 - kNoiseOverheadBytes));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->size(), 65535u);
  EXPECT_TRUE(s.responder().read_message1(*message));
}

TEST(Noise, RefusesLowOrderPublicKeys) {
  const Scenario s(10);
  for (const char* text : {"0000000000000000000000000000000000000000000000000000000000000000",
                           "0100000000000000000000000000000000000000000000000000000000000000",
                           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                           "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    SCOPED_TRACE(text);
    const Key point = key_of(text);

    NoiseInitiator towards_bad_static(s.prologue, s.psk, point, s.initiator_ephemeral.clone());
    EXPECT_FALSE(towards_bad_static.hash_before_payload1());
    EXPECT_FALSE(towards_bad_static.write_message1(s.payload1));

    // Messages that would verify if an all-zero shared secret were let through.
    const auto forge = [&](bool first) {
      NoiseSymmetricState state;
      state.mix_hash(s.prologue);
      state.mix_hash(s.responder_static.public_key);
      state.mix_key_and_hash(s.psk.bytes());
      Bytes message;
      const auto ephemeral_and_shared = [&](const Key& ephemeral, const Key& shared,
                                            ByteSpan payload) {
        message.assign(ephemeral.begin(), ephemeral.end());
        state.mix_hash(ephemeral);
        state.mix_key(ephemeral);
        state.mix_key(shared);
        state.encrypt_and_hash(payload, message);
      };
      if (first) {
        ephemeral_and_shared(point, Key{}, s.payload1);
      } else {
        SecretKey shared;
        EXPECT_TRUE(x25519(shared, s.initiator_ephemeral.secret, s.responder_static.public_key));
        Key es{};
        std::memcpy(es.data(), shared.bytes().data(), es.size());
        ephemeral_and_shared(s.initiator_ephemeral.public_key, es, s.payload1);
        ephemeral_and_shared(point, Key{}, s.payload2);
      }
      return message;
    };
    EXPECT_FALSE(s.responder().read_message1(forge(true)));
    NoiseInitiator initiator = s.initiator();
    ASSERT_TRUE(initiator.write_message1(s.payload1));
    EXPECT_FALSE(initiator.read_message2(forge(false)));
  }
}

TEST(NoiseSymmetricState, CountsMessagesUnderOneKeyAsTheReferenceDoes) {
  SeededRandom random(13);
  const Bytes input = random.bytes(32);
  NoiseSymmetricState writer;
  writer.mix_key(input);
  NoiseSymmetricState reader = writer.clone();
  testing::reference::SymmetricState reference;
  reference.initialize_symmetric("Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s");
  reference.mix_key(octets(input));
  for (int i = 0; i < 300; ++i) {
    const Bytes payload = random.bytes(20);
    Bytes ciphertext, plaintext;
    writer.encrypt_and_hash(payload, ciphertext);
    EXPECT_EQ(to_hex(ciphertext), hex_of(reference.encrypt_and_hash(octets(payload)))) << i;
    ASSERT_TRUE(reader.decrypt_and_hash(ciphertext, plaintext)) << i;
    EXPECT_EQ(plaintext, payload);
  }
}

TEST(NoiseSymmetricState, CloneDoesNotAffectItsOrigin) {
  SeededRandom random(11);
  NoiseSymmetricState state;
  state.mix_key(random.bytes(32));
  NoiseSymmetricState copy = state.clone();
  Bytes from_copy, from_state;
  copy.encrypt_and_hash(as_byte_span("payload"), from_copy);
  state.encrypt_and_hash(as_byte_span("payload"), from_state);
  EXPECT_EQ(from_copy, from_state) << "same key, nonce and hash";
  EXPECT_EQ(copy.hash(), state.hash());
  copy.mix_hash(as_byte_span("more"));
  EXPECT_NE(copy.hash(), state.hash());
}

TEST(NoiseSymmetricState, AppendsAndLeavesWhatWasThere) {
  SeededRandom random(12);
  NoiseSymmetricState writer;
  writer.mix_key(random.bytes(32));
  NoiseSymmetricState reader = writer.clone();
  Bytes ciphertext;
  writer.encrypt_and_hash(as_byte_span("payload"), ciphertext);
  Bytes altered = ciphertext;
  altered[0] ^= std::byte{1};

  Bytes out = hex("aabb");
  NoiseSymmetricState failing = reader.clone();
  EXPECT_FALSE(failing.decrypt_and_hash(altered, out));
  EXPECT_EQ(out, hex("aabb"));
  EXPECT_FALSE(reader.clone().decrypt_and_hash(ByteSpan(ciphertext).first(15), out));
  EXPECT_TRUE(reader.decrypt_and_hash(ciphertext, out));
  EXPECT_EQ(to_hex(out), "aabb" + to_hex(as_byte_span("payload")));
}

}  // namespace
}  // namespace netmesh::crypto
