#include "session/packet_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "wire/net_packet.h"

namespace netmesh::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr SessionId kSession{0x0123'4567'89AB'CDEF};

crypto::SecretKey secret(int byte) {
  crypto::initialize();
  return crypto::SecretKey(Bytes(crypto::kKeyBytes, static_cast<std::byte>(byte)));
}

Bytes agreed(int byte) { return Bytes(crypto::kKeyBytes, static_cast<std::byte>(byte)); }

struct Packet {
  std::uint64_t number = 0;
  bool phase = false;
  Bytes text, tag;
};

Bytes content(std::uint64_t number) {
  Bytes out(24);
  store_le<std::uint64_t>(out.data(), number);
  return out;
}

/// One direction: the sender's keys, the receiver's, and the packet numbers between them.
struct Direction {
  explicit Direction(crypto::AeadAlgorithm algorithm)
      : sender(algorithm, secret(1), secret(2)), receiver(algorithm, secret(2), secret(1)) {}

  Packet seal(std::uint64_t number) {
    Packet packet{number, sender.send_phase(), content(number), Bytes(wire::kTagBytes)};
    const Bytes aad{std::byte{packet.phase}};
    sender.seal(wire::make_nonce(kSession, number), aad, packet.text, packet.tag);
    return packet;
  }
  Packet seal() { return seal(next++); }
  PacketKeys::Opened open(Packet packet, TimePoint now = kStart) {
    const Bytes aad{std::byte{packet.phase}};
    const auto result =
        receiver.open(now, packet.number, packet.phase, wire::make_nonce(kSession, packet.number),
                      aad, packet.text, packet.tag);
    if (result != PacketKeys::Opened::kFailed) EXPECT_EQ(packet.text, content(packet.number));
    return result;
  }
  void update(ByteSpan fresh = {}) { sender.update_send(next, fresh); }

  PacketKeys sender, receiver;
  std::uint64_t next = 0;
};

class PacketKeysOf : public ::testing::TestWithParam<crypto::AeadAlgorithm> {
 protected:
  void SetUp() override {
    crypto::initialize();
    if (GetParam() == crypto::AeadAlgorithm::kAes256Gcm && !crypto::aes256gcm_available())
      GTEST_SKIP() << "no AES instructions";
  }
};

TEST_P(PacketKeysOf, FollowAnUpdateWithItsFirstPacket) {
  Direction line(GetParam());
  for (int phase = 0; phase < 50; ++phase) {
    const bool updated = phase > 0;
    EXPECT_EQ(line.open(line.seal()),
              updated ? PacketKeys::Opened::kUpdated : PacketKeys::Opened::kVerified);
    EXPECT_EQ(line.open(line.seal()), PacketKeys::Opened::kVerified);
    line.update();
    EXPECT_EQ(line.sender.sealed(), 0u);
  }
  EXPECT_EQ(line.sender.updates(), 50u);
  EXPECT_EQ(line.receiver.updates(), 49u);
  EXPECT_EQ(line.receiver.forgeries(), 0u);
}

TEST_P(PacketKeysOf, MayNotChangeAgainBeforeThePeerHasThePresentKey) {
  Direction line(GetParam());
  EXPECT_FALSE(line.sender.may_update());
  line.next = 10;
  line.sender.on_acknowledged(9);
  EXPECT_TRUE(line.sender.may_update());
  line.update();
  EXPECT_FALSE(line.sender.may_update());
  line.sender.on_acknowledged(9);
  EXPECT_FALSE(line.sender.may_update()) << "an acknowledgement of the last key's packets";
  line.sender.on_acknowledged(10);
  EXPECT_TRUE(line.sender.may_update());
}

TEST_P(PacketKeysOf, OpenStragglersOfThePreviousKeyForTenSeconds) {
  Direction line(GetParam());
  line.open(line.seal());
  const Packet early = line.seal(), late = line.seal(), last = line.seal();
  line.update();
  EXPECT_EQ(line.open(line.seal()), PacketKeys::Opened::kUpdated);
  EXPECT_EQ(line.open(early), PacketKeys::Opened::kVerified);
  EXPECT_EQ(line.open(late, kStart + PacketKeys::kOldKeyLife - milliseconds(1)),
            PacketKeys::Opened::kVerified);
  EXPECT_EQ(line.open(last, kStart + PacketKeys::kOldKeyLife), PacketKeys::Opened::kFailed);
  EXPECT_EQ(line.receiver.forgeries(), 1u);
}

TEST_P(PacketKeysOf, ForgetThePreviousKeyWithoutTraffic) {
  Direction line(GetParam());
  line.open(line.seal());
  const Packet straggler = line.seal();
  line.update();
  line.open(line.seal());
  line.receiver.expire(kStart + PacketKeys::kOldKeyLife);
  EXPECT_EQ(line.open(straggler), PacketKeys::Opened::kFailed);
}

TEST_P(PacketKeysOf, AreNotMovedByForgeries) {
  Direction line(GetParam());
  line.open(line.seal());
  line.next = 100;
  for (int round = 0; round < 20; ++round) {
    // Of either phase, older and newer than everything known.
    for (const bool phase : {false, true}) {
      for (const std::uint64_t number : {std::uint64_t{0}, line.next, line.next + 1'000'000}) {
        Packet forged = line.seal(number);
        forged.phase = phase;
        forged.tag[static_cast<std::size_t>(round) % wire::kTagBytes] ^= std::byte{1};
        EXPECT_EQ(line.open(forged), PacketKeys::Opened::kFailed);
      }
    }
    EXPECT_NE(line.open(line.seal()), PacketKeys::Opened::kFailed) << round;
    if (round % 3 == 2) line.update();
  }
  EXPECT_EQ(line.receiver.forgeries(), 120u);
  EXPECT_FALSE(line.receiver.forgery_limit_reached());
}

TEST_P(PacketKeysOf, APacketUnderTheNextKeyAndTheWrongPhaseBitDoesNotVerify) {
  Direction line(GetParam());
  line.open(line.seal());
  line.update();
  Packet packet = line.seal();
  packet.phase = false;
  EXPECT_EQ(line.open(packet), PacketKeys::Opened::kFailed);
  EXPECT_EQ(line.open(line.seal()), PacketKeys::Opened::kUpdated);
}

TEST_P(PacketKeysOf, AFreshSecretIsMixedInByBothOrTheUpdateFails) {
  Direction both(GetParam()), one(GetParam()), other(GetParam()), different(GetParam());
  for (Direction* line : {&both, &one, &other, &different}) line->open(line->seal());
  both.receiver.agree(agreed(7));
  both.update(agreed(7));
  EXPECT_EQ(both.open(both.seal()), PacketKeys::Opened::kUpdated);
  one.update(agreed(7));
  EXPECT_EQ(one.open(one.seal()), PacketKeys::Opened::kFailed);
  other.receiver.agree(agreed(7));
  other.update();
  EXPECT_EQ(other.open(other.seal()), PacketKeys::Opened::kFailed);
  different.receiver.agree(agreed(7));
  different.update(agreed(8));
  EXPECT_EQ(different.open(different.seal()), PacketKeys::Opened::kFailed);
  // It enters one update and no more.
  both.update();
  EXPECT_EQ(both.open(both.seal()), PacketKeys::Opened::kUpdated);
}

TEST_P(PacketKeysOf, AForgeryBeforeTheAgreementDoesNotFixTheNextKey) {
  Direction line(GetParam());
  line.open(line.seal());
  Packet forged = line.seal();
  forged.phase = true;
  EXPECT_EQ(line.open(forged), PacketKeys::Opened::kFailed);
  line.receiver.agree(agreed(9));
  line.update(agreed(9));
  EXPECT_EQ(line.open(line.seal()), PacketKeys::Opened::kUpdated);
}

/// Packets overtake each other by less than the round trip that an update takes.
TEST_P(PacketKeysOf, OpenEveryPacketWhateverOvertakesWhatWithinARoundTrip) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    Direction line(GetParam());
    constexpr std::uint64_t kDelay = 10, kJitter = 4;
    std::multimap<std::uint64_t, Packet> flying;
    std::multimap<std::uint64_t, std::uint64_t> acknowledgements;
    std::uint64_t sent = 0, opened = 0, updates = 0;
    for (std::uint64_t tick = 0; tick < 400 || !flying.empty(); ++tick) {
      const TimePoint now = kStart + milliseconds(tick);
      while (!acknowledgements.empty() && acknowledgements.begin()->first <= tick) {
        line.sender.on_acknowledged(acknowledgements.begin()->second);
        acknowledgements.erase(acknowledgements.begin());
      }
      if (tick < 400) {
        if (line.sender.may_update() && random() % 3 == 0) {
          const Bytes fresh =
              random() % 2 == 0 ? agreed(static_cast<int>(random() % 250)) : Bytes();
          if (!fresh.empty()) line.receiver.agree(fresh);
          line.update(fresh);
          ++updates;
        }
        for (std::uint64_t n = random() % 4; n > 0; --n) {
          Packet packet = line.seal();
          if (random() % 4 == 0) continue;  // lost
          ++sent;
          flying.emplace(tick + kDelay + random() % kJitter, std::move(packet));
        }
      }
      while (!flying.empty() && flying.begin()->first <= tick) {
        const Packet packet = std::move(flying.begin()->second);
        flying.erase(flying.begin());
        ASSERT_NE(line.open(packet, now), PacketKeys::Opened::kFailed)
            << "seed " << seed << " packet " << packet.number;
        ++opened;
        acknowledgements.emplace(tick + kDelay, packet.number);
      }
    }
    EXPECT_EQ(opened, sent);
    EXPECT_GE(updates, 5u) << "seed " << seed;
    EXPECT_EQ(line.receiver.forgeries(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Both, PacketKeysOf,
                         ::testing::Values(crypto::AeadAlgorithm::kChaCha20Poly1305,
                                           crypto::AeadAlgorithm::kAes256Gcm),
                         [](const auto& aead) {
                           return std::string(aead.param == crypto::AeadAlgorithm::kAes256Gcm
                                                  ? "Aes256Gcm"
                                                  : "ChaCha20Poly1305");
                         });

TEST(PacketKeys, UpdateWellBeforeTheLimitOfTheirCipher) {
  crypto::initialize();
  const PacketKeys chacha(crypto::AeadAlgorithm::kChaCha20Poly1305, secret(1), secret(2));
  EXPECT_EQ(chacha.default_update_after(), PacketKeys::kChaChaUpdateAfter);
  EXPECT_FALSE(chacha.exhausted());
  if (!crypto::aes256gcm_available()) return;
  const PacketKeys aes(crypto::AeadAlgorithm::kAes256Gcm, secret(1), secret(2));
  EXPECT_LE(2 * aes.default_update_after(), PacketKeys::kAesSealLimit);
  EXPECT_FALSE(aes.exhausted());
}

}  // namespace
}  // namespace netmesh::session
