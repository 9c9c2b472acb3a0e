#include "session/handshake.h"

#include <gtest/gtest.h>

#include <random>

namespace netmesh::session {
namespace {

class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }

 private:
  std::mt19937_64 engine_;
};

constexpr std::uint8_t kChaCha =
    static_cast<std::uint8_t>(crypto::AeadAlgorithm::kChaCha20Poly1305);
constexpr std::uint8_t kAes = static_cast<std::uint8_t>(crypto::AeadAlgorithm::kAes256Gcm);

HandshakeContext make_context(int identity, std::uint8_t aeads = kChaCha) {
  crypto::initialize();
  const Bytes seed(32, static_cast<std::byte>(identity));
  crypto::Key psk;
  psk.fill(std::byte{0x42});
  HandshakeContext context{identity::LocalIdentity::from_seed(seed), crypto::SecretKey(psk)};
  context.aeads = aeads;
  context.max_datagram = 9'000;
  context.stream_window = 1 << 20;
  context.session_window = 4 << 20;
  context.max_message = 1 << 24;
  return context;
}

class Handshake : public ::testing::Test {
 protected:
  NodeId a_id() const { return a.identity.node_id; }
  NodeId b_id() const { return b.identity.node_id; }

  InitiatorHandshake begin() {
    auto handshake =
        InitiatorHandshake::create(a, b.identity.noise_static.public_key, b_id(), random);
    EXPECT_TRUE(handshake.has_value());
    return std::move(*handshake);
  }

  Expected<ResponderOutcome> answer(ByteSpan message1,
                                    std::optional<NodeId> expected = std::nullopt) {
    return respond(b, message1, routing_id(a_id()), expected, random);
  }

  /// A msg1 with this payload, by somebody who knows the secret. Given the hash that a payload may
  /// sign, `payload` makes it.
  template <typename MakePayload>
  Bytes crafted_message1(MakePayload make_payload) {
    crypto::NoiseInitiator noise(make_prologue(routing_id(a_id()), routing_id(b_id())), a.psk,
                                 b.identity.noise_static.public_key,
                                 crypto::X25519KeyPair::generate(random));
    const crypto::Key hash = noise.hash_before_payload1().value();
    return noise.write_message1(make_payload(hash)).value();
  }

  /// The payload of an honest msg1, with a hook that changes the hello before it is signed.
  template <typename Change>
  Bytes payload(const crypto::Key& hash, NodeId stated, const identity::LocalIdentity& signer,
                Change change) {
    wire::Hello hello;
    hello.aeads = kChaCha;
    hello.max_datagram = 9'000;
    hello.stream_window = 1 << 20;
    hello.session_window = 4 << 20;
    hello.max_message = 1 << 24;
    hello.entity_id = signer.entity_id();
    change(hello);
    Bytes draft;
    wire::write_hello(hello, draft);
    const ByteSpan body = ByteSpan(draft).subspan(6, wire::kHelloFieldBytes);
    hello.signature = signer.signing_key.sign(wire::hello_signed_bytes(true, hash, body));
    Bytes out(8);
    store_le<std::uint64_t>(out.data(), stated.value);
    wire::write_hello(hello, out);
    return out;
  }
  Bytes payload(const crypto::Key& hash) {
    return payload(hash, a_id(), a.identity, [](wire::Hello&) {});
  }

  void expect_refused(const Bytes& message1, const std::string& part) {
    const auto outcome = answer(message1);
    ASSERT_FALSE(outcome.has_value()) << part;
    EXPECT_EQ(outcome.error().kind, ErrorKind::kFatal);
    EXPECT_NE(outcome.error().message.find(part), std::string::npos) << outcome.error().message;
  }

  SeededRandom random{1};
  HandshakeContext a = make_context(1);
  HandshakeContext b = make_context(2);
};

void expect_same_keys(const Established& initiator, const Established& responder) {
  EXPECT_EQ(initiator.session_id, responder.session_id);
  EXPECT_TRUE(
      crypto::equal_constant_time(initiator.send_key.bytes(), responder.receive_key.bytes()));
  EXPECT_TRUE(
      crypto::equal_constant_time(initiator.receive_key.bytes(), responder.send_key.bytes()));
  EXPECT_FALSE(
      crypto::equal_constant_time(initiator.send_key.bytes(), initiator.receive_key.bytes()));
}

TEST_F(Handshake, TwoNetmeshNodesGetAModernSession) {
  const InitiatorHandshake initiator = begin();
  const auto outcome = answer(initiator.message1());
  ASSERT_TRUE(outcome.has_value());
  const auto established = initiator.read_message2(outcome->message2);
  ASSERT_TRUE(established.has_value());
  EXPECT_TRUE(established->modern && outcome->established.modern);
  EXPECT_TRUE(established->initiator && !outcome->established.initiator);
  EXPECT_EQ(established->peer, b_id());
  EXPECT_EQ(outcome->established.peer, a_id());
  expect_same_keys(*established, outcome->established);
  ASSERT_TRUE(established->peer_hello && outcome->established.peer_hello);
  EXPECT_EQ(established->peer_hello->entity_id, b.identity.entity_id());
  EXPECT_EQ(outcome->established.peer_hello->entity_id, a.identity.entity_id());
  EXPECT_EQ(established->peer_hello->stream_window, 1u << 20);
}

TEST_F(Handshake, SizesAreThoseOfTheProtocol) {
  const InitiatorHandshake initiator = begin();
  EXPECT_EQ(initiator.message1().size(), 186u);
  const auto outcome = answer(initiator.message1());
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->message2.size(), 178u);
}

TEST_F(Handshake, PrefersAesWhenBothHaveIt) {
  const std::uint8_t both = kAes | kChaCha;
  const struct {
    std::uint8_t initiator, responder;
    crypto::AeadAlgorithm chosen;
  } cases[] = {{both, both, crypto::AeadAlgorithm::kAes256Gcm},
               {both, kChaCha, crypto::AeadAlgorithm::kChaCha20Poly1305},
               {kChaCha, both, crypto::AeadAlgorithm::kChaCha20Poly1305},
               {kAes, kAes, crypto::AeadAlgorithm::kAes256Gcm}};
  for (const auto& c : cases) {
    a.aeads = c.initiator;
    b.aeads = c.responder;
    const InitiatorHandshake initiator = begin();
    const auto outcome = answer(initiator.message1());
    ASSERT_TRUE(outcome.has_value());
    const auto established = initiator.read_message2(outcome->message2);
    ASSERT_TRUE(established.has_value());
    EXPECT_EQ(established->aead, c.chosen);
    EXPECT_EQ(outcome->established.aead, c.chosen);
  }
  a.aeads = kAes;
  b.aeads = kChaCha;
  expect_refused(begin().message1(), "no AEAD in common");
}

TEST_F(Handshake, AForgedReplyDoesNotSpoilTheAttempt) {
  const InitiatorHandshake initiator = begin();
  const auto outcome = answer(initiator.message1());
  ASSERT_TRUE(outcome.has_value());
  for (std::size_t i = 0; i < outcome->message2.size(); ++i) {
    Bytes forged = outcome->message2;
    forged[i] ^= std::byte{1};
    const auto refused = initiator.read_message2(forged);
    ASSERT_FALSE(refused.has_value());
    // The top bit of a Curve25519 key means nothing, but it is part of the hash.
    ASSERT_EQ(refused.error().kind, ErrorKind::kConnection) << i;
  }
  for (std::size_t length = 0; length < outcome->message2.size(); ++length) {
    ASSERT_FALSE(initiator.read_message2(ByteSpan(outcome->message2).first(length)).has_value());
  }
  EXPECT_TRUE(initiator.read_message2(outcome->message2).has_value());
}

TEST_F(Handshake, ADamagedFirstMessageGetsNoAnswer) {
  const Bytes message1 = begin().message1();
  for (std::size_t i = 0; i < message1.size(); ++i) {
    Bytes damaged = message1;
    damaged[i] ^= std::byte{0x10};
    const auto outcome = answer(damaged);
    ASSERT_FALSE(outcome.has_value());
    ASSERT_EQ(outcome.error().kind, ErrorKind::kConnection) << i;
  }
  for (std::size_t length = 0; length < message1.size(); ++length) {
    ASSERT_FALSE(answer(ByteSpan(message1).first(length)).has_value());
  }
}

TEST_F(Handshake, WrongSecretKeyOrIdDoNotDecrypt) {
  const auto refused = [&](const HandshakeContext& responder, std::uint32_t claimed) {
    const auto outcome = respond(responder, begin().message1(), claimed, std::nullopt, random);
    return !outcome && outcome.error().kind == ErrorKind::kConnection;
  };
  HandshakeContext other_secret = make_context(2);
  crypto::Key psk;
  psk.fill(std::byte{0x43});
  other_secret.psk = crypto::SecretKey(psk);
  EXPECT_TRUE(refused(other_secret, routing_id(a_id())));
  EXPECT_TRUE(refused(b, routing_id(a_id()) ^ 1));
  EXPECT_TRUE(refused(make_context(3), routing_id(a_id())));
}

TEST_F(Handshake, MalformedHellosAreRefusedAndNeverFallBack) {
  for (const std::size_t length : {0u, 3u, 123u, 125u, 0xFFFFu}) {
    expect_refused(crafted_message1([&](const crypto::Key& hash) {
                     Bytes out = payload(hash);
                     store_le<std::uint16_t>(out.data() + 12, static_cast<std::uint16_t>(length));
                     return out;
                   }),
                   length < 124 || length > 124 ? "handshake refused" : "");
  }
  expect_refused(crafted_message1([&](const crypto::Key& hash) {
                   Bytes out = payload(hash);
                   out.resize(8 + 4);  // nothing but the magic
                   return out;
                 }),
                 "malformed hello");
}

TEST_F(Handshake, SignaturesMustVerifyForThisHandshake) {
  expect_refused(crafted_message1([&](const crypto::Key& hash) {
                   Bytes out = payload(hash);
                   out.back() ^= std::byte{1};
                   return out;
                 }),
                 "signature");
  // A hello that was good in another handshake.
  const Bytes other = begin().message1();
  expect_refused(crafted_message1([&](const crypto::Key& hash) {
                   crypto::Key elsewhere = hash;
                   elsewhere[0] ^= std::byte{1};
                   return payload(elsewhere);
                 }),
                 "signature");
  // A field that was changed after it was signed.
  expect_refused(crafted_message1([&](const crypto::Key& hash) {
                   Bytes out = payload(hash);
                   out[8 + 6 + 8] ^= std::byte{1};
                   return out;
                 }),
                 "signature");
}

TEST_F(Handshake, ANodeIdIsProvenByItsIdentity) {
  const HandshakeContext thief = make_context(9);
  expect_refused(crafted_message1([&](const crypto::Key& hash) {
                   return payload(hash, a_id(), thief.identity, [](wire::Hello&) {});
                 }),
                 "not derived from its identity");
  // The low half is in the prologue; the high half must fit, too.
  expect_refused(crafted_message1([&](const crypto::Key& hash) {
                   return payload(hash, NodeId{a_id().value ^ (1ULL << 63)}, a.identity,
                                  [](wire::Hello&) {});
                 }),
                 "not derived from its identity");
  expect_refused(crafted_message1([&](const crypto::Key& hash) {
                   return payload(hash, NodeId{a_id().value ^ 1}, a.identity, [](wire::Hello&) {});
                 }),
                 "does not match its routing id");
}

TEST_F(Handshake, UnusableLimitsAreRefused) {
  const auto refuse = [&](auto change) {
    expect_refused(crafted_message1([&](const crypto::Key& hash) {
                     return payload(hash, a_id(), a.identity, change);
                   }),
                   "unusable limits");
  };
  refuse([](wire::Hello& hello) { hello.version = 2; });
  refuse([](wire::Hello& hello) { hello.max_datagram = 129; });
  refuse([](wire::Hello& hello) { hello.stream_window = 0; });
  refuse([](wire::Hello& hello) { hello.session_window = 0; });
  refuse([](wire::Hello& hello) { hello.stream_window = 1ULL << 62; });
  refuse([](wire::Hello& hello) { hello.session_window = ~0ULL; });
}

TEST_F(Handshake, ExtraBytesAndUnknownFeaturesAreForLaterVersions) {
  const Bytes message1 = crafted_message1([&](const crypto::Key& hash) {
    Bytes out =
        payload(hash, a_id(), a.identity, [](wire::Hello& hello) { hello.features = 0xFFFF'FFFF; });
    out.resize(out.size() + 20);
    return out;
  });
  const auto outcome = answer(message1);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
  EXPECT_TRUE(outcome->established.modern);
}

TEST_F(Handshake, ABasePeerGetsALegacySession) {
  for (const bool sends_id : {false, true}) {
    crypto::NoiseInitiator noise(make_prologue(routing_id(a_id()), routing_id(b_id())), a.psk,
                                 b.identity.noise_static.public_key,
                                 crypto::X25519KeyPair::generate(random));
    Bytes stated;
    if (sends_id) {
      stated.resize(8);
      store_le<std::uint64_t>(stated.data(), a_id().value);
    }
    const Bytes message1 = noise.write_message1(stated).value();
    const auto outcome = answer(message1, sends_id ? std::nullopt : std::optional(a_id()));
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->message2.size(), 48u) << "no hello to those who showed none";
    EXPECT_FALSE(outcome->established.modern);
    EXPECT_EQ(outcome->established.peer, a_id());
    const auto reply = noise.read_message2(outcome->message2);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(outcome->established.session_id.value,
              load_le<std::uint64_t>(reply->result.handshake_hash.data()));
  }
}

TEST_F(Handshake, BasePeersAreRefusedWherePolicySaysSo) {
  b.allow_legacy = false;
  crypto::NoiseInitiator noise(make_prologue(routing_id(a_id()), routing_id(b_id())), a.psk,
                               b.identity.noise_static.public_key,
                               crypto::X25519KeyPair::generate(random));
  Bytes stated(8);
  store_le<std::uint64_t>(stated.data(), a_id().value);
  expect_refused(noise.write_message1(stated).value(), "legacyPeers is 'deny'");
  // And the other way round: a base responder.
  a.allow_legacy = false;
  const InitiatorHandshake initiator = begin();
  crypto::NoiseResponder base(make_prologue(routing_id(a_id()), routing_id(b_id())), b.psk,
                              b.identity.noise_static);
  ASSERT_TRUE(base.read_message1(initiator.message1()).has_value());
  ASSERT_TRUE(base.begin_message2(crypto::X25519KeyPair::generate(random)).has_value());
  const auto refused = initiator.read_message2(base.write_message2({}).message);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::kFatal);
}

TEST_F(Handshake, ABaseResponderGivesALegacySession) {
  const InitiatorHandshake initiator = begin();
  crypto::NoiseResponder base(make_prologue(routing_id(a_id()), routing_id(b_id())), b.psk,
                              b.identity.noise_static);
  ASSERT_TRUE(base.read_message1(initiator.message1()).has_value());
  ASSERT_TRUE(base.begin_message2(crypto::X25519KeyPair::generate(random)).has_value());
  const auto established = initiator.read_message2(base.write_message2({}).message);
  ASSERT_TRUE(established.has_value());
  EXPECT_FALSE(established->modern);
  EXPECT_EQ(established->aead, crypto::AeadAlgorithm::kChaCha20Poly1305);
}

TEST_F(Handshake, AResponderMustBeWhomWeAskedFor) {
  const InitiatorHandshake initiator = begin();
  // Somebody with b's Noise key, but with another identity.
  HandshakeContext impostor = make_context(9);
  impostor.identity.noise_static = b.identity.noise_static.clone();
  impostor.identity.node_id = b_id();
  const auto outcome =
      respond(impostor, initiator.message1(), routing_id(a_id()), std::nullopt, random);
  ASSERT_TRUE(outcome.has_value());
  const auto refused = initiator.read_message2(outcome->message2);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::kFatal);
  EXPECT_NE(refused.error().message.find("another identity"), std::string::npos);
}

TEST_F(Handshake, AcceptTakesNobodyElse) {
  const auto refused = answer(begin().message1(), NodeId{a_id().value ^ (1ULL << 40)});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("another peer than the one accepted"), std::string::npos);
  EXPECT_TRUE(answer(begin().message1(), a_id()).has_value());
}

TEST_F(Handshake, NobodyTalksToItselfOrToZero) {
  const auto to_self =
      InitiatorHandshake::create(b, b.identity.noise_static.public_key, b_id(), random);
  ASSERT_TRUE(to_self.has_value());
  const auto outcome = respond(b, to_self->message1(), routing_id(b_id()), std::nullopt, random);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_NE(outcome.error().message.find("this node"), std::string::npos);

  crypto::NoiseInitiator noise(make_prologue(0, routing_id(b_id())), a.psk,
                               b.identity.noise_static.public_key,
                               crypto::X25519KeyPair::generate(random));
  const Bytes nobody(8);
  const auto zero = respond(b, noise.write_message1(nobody).value(), 0, std::nullopt, random);
  ASSERT_FALSE(zero.has_value());
  EXPECT_EQ(zero.error().kind, ErrorKind::kFatal);
}

TEST_F(Handshake, LowOrderKeysFail) {
  crypto::Key zero{};
  EXPECT_FALSE(InitiatorHandshake::create(a, zero, b_id(), random).has_value());
  crypto::Key one{};
  one[0] = std::byte{1};
  EXPECT_FALSE(InitiatorHandshake::create(a, one, b_id(), random).has_value());
  Bytes message1 = begin().message1();
  std::fill(message1.begin(), message1.begin() + 32, std::byte{0});
  EXPECT_FALSE(answer(message1).has_value());
  const InitiatorHandshake initiator = begin();
  auto outcome = answer(initiator.message1());
  ASSERT_TRUE(outcome.has_value());
  std::fill(outcome->message2.begin(), outcome->message2.begin() + 32, std::byte{0});
  EXPECT_FALSE(initiator.read_message2(outcome->message2).has_value());
}

TEST_F(Handshake, EveryAttemptHasKeysOfItsOwn) {
  const InitiatorHandshake first = begin();
  const InitiatorHandshake second = begin();
  EXPECT_NE(first.message1(), second.message1());
  const auto one = answer(first.message1());
  const auto two = answer(first.message1());
  ASSERT_TRUE(one && two);
  EXPECT_NE(one->established.session_id, two->established.session_id)
      << "two answers to one message are two sessions";
  EXPECT_FALSE(second.read_message2(one->message2).has_value());
}

}  // namespace
}  // namespace netmesh::session
