#include "channel/membership.h"

#include <gtest/gtest.h>

#include <set>

#include "channel/channel_testing.h"

namespace netmesh::channel {
namespace {

using testing::hex_of;
using testing::name_of;
using testing::Random;

std::optional<Message> decode_hex(const std::string& hex) { return decode(from_hex(hex).value()); }

std::string again(const std::string& hex) {
  const auto message = decode_hex(hex);
  return message ? hex_of(*message) : "refused";
}

constexpr std::uint64_t kNonce = 0x1122334455667788;
const std::string kSubscribeLabX =
    "00"
    "8877665544332211"
    "05"
    "6c61622f78"
    "0000";

TEST(Membership, HasTheDocumentedBytes) {
  EXPECT_EQ(hex_of(Subscribe{kNonce, name_of("lab/x"), {}, {}}), kSubscribeLabX);
  EXPECT_EQ(hex_of(Subscribe{kNonce, name_of("lab/x"), {}, "workers"}),
            kSubscribeLabX + "07776f726b657273");
  EXPECT_EQ(hex_of(Unsubscribe{42, name_of("lab/x")}),
            "01"
            "2a00000000000000"
            "05"
            "6c61622f78");
  EXPECT_EQ(hex_of(Ack{7, true, AckReason::kNone}),
            "02"
            "0700000000000000"
            "01"
            "00");
  EXPECT_EQ(hex_of(Ack{7, false, AckReason::kUnauthorized}),
            "02"
            "0700000000000000"
            "00"
            "01");
}

TEST(Membership, HasTheBytesOfTheExtension) {
  const Subscribe base{kNonce, name_of("lab/x"), Bytes(2, std::byte{0xAB}), "w"};
  EXPECT_EQ(hex_of(ModernSubscribe{base, 3, 9}),
            "10"
            "8877665544332211"
            "05"
            "6c61622f78"
            "0200"
            "abab"
            "01"
            "77"
            "03000000"
            "0900000000000000");
  const ModernAck ack{
      .base = {7, true, AckReason::kNone}, .reliable = true, .replayed = 2, .epoch = 5};
  EXPECT_EQ(hex_of(ack),
            "11"
            "0700000000000000"
            "01"
            "00"
            "01"
            "02000000"
            "0500000000000000");
  EXPECT_EQ(hex_of(Evicted{7, EvictionReason::kRevoked, name_of("lab/x")}),
            "12"
            "0700000000000000"
            "02"
            "05"
            "6c61622f78");
}

TEST(Membership, ReadsTheFormsOfOldWriters) {
  const std::string without_token = kSubscribeLabX.substr(0, kSubscribeLabX.size() - 4);
  EXPECT_EQ(again(without_token), kSubscribeLabX) << "no token, broadcast";
  EXPECT_EQ(again(without_token + "00"), "refused") << "half a length";
  EXPECT_EQ(again(kSubscribeLabX + "00"), kSubscribeLabX) << "a group of no bytes is broadcast";
  EXPECT_EQ(again(kSubscribeLabX + "0000"), "refused") << "bytes behind the group";
  EXPECT_EQ(again(kSubscribeLabX + "0277"), "refused") << "half a group";
}

TEST(Membership, RefusesWhatIsNotAMessage) {
  for (const char* hex : {
           "", "03", "0f", "13", "ff",
           "02"
           "0700000000000000"
           "02"
           "00",  // neither accepted nor refused
           "02"
           "0700000000000000"
           "00"
           "05",  // an unknown reason
           "02"
           "0700000000000000"
           "01"
           "00"
           "00",  // trailing
           "01"
           "2a00000000000000"
           "05"
           "6c61622f78"
           "00",  // trailing
           "01"
           "2a00000000000000"
           "00",  // no name
           "01"
           "2a00000000000000"
           "05"
           "4c61622f78",  // upper case
           "01"
           "2a00000000000000"
           "06"
           "6c61622f78",  // name cut
           "00"
           "8877665544332211"
           "05"
           "6c61622f78"
           "0100",  // token cut
           "00"
           "8877665544332211"
           "05"
           "6c61622f78"
           "0000"
           "01"
           "ff",  // not UTF-8
           "11"
           "0700000000000000"
           "01"
           "00"
           "00"
           "00000000"
           "0000000000000000",  // no life
           "12"
           "0700000000000000"
           "01"
           "00",  // no name
       })
    EXPECT_EQ(again(hex), "refused") << hex;
}

TEST(Membership, TakesAnEvictionForAReasonOfALaterVersion) {
  const auto message = decode_hex(
      "12"
      "0700000000000000"
      "63"
      "05"
      "6c61622f78");
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<Evicted>(*message).reason, EvictionReason::kUnspecified);
}

std::string random_name(Random& random) {
  static constexpr std::string_view kLetters = "abz019-_.";
  std::string out;
  const std::size_t length = 1 + random.below(random.flip() ? 8 : 255);
  while (out.size() < length) {
    const bool slash =
        !out.empty() && out.back() != '/' && out.size() + 1 < length && random.below(6) == 0;
    out.push_back(slash ? '/' : kLetters[random.below(kLetters.size() - (out.empty() ? 1 : 0))]);
  }
  return ChannelName::parse(out) ? out : random_name(random);
}

std::string random_text(Random& random, std::size_t most) {
  std::string out;
  const std::size_t wanted = random.below(most + 1);
  while (out.size() + 3 <= wanted) out += random.flip() ? "x" : "\xE2\x82\xAC";
  return out;
}

Message random_message(Random& random) {
  const auto credential = [&] {
    Bytes out(random.below(4) == 0 ? random.below(kMaxCredentialBytes + 1) : random.below(400));
    random.fill(out);
    return out;
  };
  const auto subscribe = [&] {
    return Subscribe{random.u64(), name_of(random_name(random)), credential(),
                     random_text(random, random.flip() ? 255 : 0)};
  };
  const Ack ack{random.u64(), random.flip(), static_cast<AckReason>(random.below(5))};
  switch (random.below(6)) {
    case 0:
      return subscribe();
    case 1:
      return Unsubscribe{random.u64(), name_of(random_name(random))};
    case 2:
      return ack;
    case 3:
      return ModernSubscribe{subscribe(), static_cast<std::uint32_t>(random.u64()), random.u64()};
    case 4:
      return ModernAck{.base = ack,
                       .reliable = random.flip(),
                       .replayed = static_cast<std::uint32_t>(random.u64()),
                       .epoch = random.u64() | 1};
    default:
      return Evicted{random.u64(), static_cast<EvictionReason>(random.below(8)),
                     name_of(random_name(random))};
  }
}

TEST(Membership, ReadsBackWhatItWroteAndNothingCutOrExtended) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const Message message = random_message(random);
    const Bytes bytes = encode(message);
    const auto read = decode(bytes);
    ASSERT_TRUE(read) << to_hex(bytes);
    EXPECT_EQ(read->index(), message.index());
    EXPECT_EQ(encode(*read), bytes);

    // Where a Subscribe of base may end: behind the name, and behind the token.
    std::set<std::size_t> legal;
    if (const auto* subscribe = std::get_if<Subscribe>(&message)) {
      const std::size_t name_end = 10 + subscribe->name.text().size();
      legal = {name_end, name_end + 2 + subscribe->credential.size()};
    }
    for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + random.below(1 + bytes.size() / 64)) {
      const bool taken = decode(ByteSpan(bytes).first(cut)).has_value();
      EXPECT_EQ(taken, legal.contains(cut)) << to_hex(bytes) << " cut to " << cut;
    }
    Bytes longer = bytes;
    longer.resize(bytes.size() + 2);
    EXPECT_FALSE(decode(longer));
  }
}

TEST(Membership, SurvivesRandomBytes) {
  Random random(2);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes(random.below(64));
    random.fill(bytes);
    if (!bytes.empty() && random.flip()) bytes[0] = static_cast<std::byte>(random.below(20));
    if (const auto message = decode(bytes)) {
      const auto read = decode(encode(*message));
      ASSERT_TRUE(read);
      EXPECT_EQ(encode(*read), encode(*message));
    }
  }
}

}  // namespace
}  // namespace netmesh::channel
