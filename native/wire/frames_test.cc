#include "wire/frames.h"

#include <algorithm>
#include <vector>

#include "wire/frames_testing.h"
#include "wire/net_packet.h"
#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::for_each_cut;
using testing::for_each_seed;
using testing::hex;
using testing::mutate;
using testing::Random;
using testing::same_bytes;
using testing::same_frame;
using testing::write_frame;

constexpr std::uint64_t kVarintMax = (1ULL << 62) - 1;
constexpr unsigned kVarintBits = 62;
constexpr std::size_t kRoom = 70'000;

Bytes written(const Frame& frame) {
  Bytes buffer(kRoom);
  ByteWriter out(buffer);
  EXPECT_TRUE(write_frame(out, frame));
  EXPECT_TRUE(out.ok());
  buffer.resize(out.size());
  buffer.shrink_to_fit();
  return buffer;
}

struct Walk {
  std::vector<Frame> frames;
  bool failed = false;
};

Walk walk(ByteSpan plaintext) {
  Walk result;
  FrameReader reader(plaintext);
  while (auto frame = reader.next()) result.frames.push_back(*frame);
  result.failed = reader.failed();
  EXPECT_FALSE(reader.next()) << "a reader at its end stays there";
  EXPECT_EQ(reader.failed(), result.failed);
  return result;
}

void expect_only(ByteSpan plaintext, const Frame& frame) {
  const Walk result = walk(plaintext);
  EXPECT_FALSE(result.failed);
  ASSERT_EQ(result.frames.size(), 1u);
  EXPECT_TRUE(same_frame(result.frames[0], frame));
}

void expect_encoding(const Frame& frame, std::string_view text) {
  EXPECT_EQ(to_hex(written(frame)), to_hex(hex(text)));
  const Bytes bytes = hex(text);
  expect_only(bytes, frame);
}

void expect_malformed(std::string_view text) {
  const Bytes bytes = hex(text);
  const Walk result = walk(bytes);
  EXPECT_TRUE(result.failed) << text;
  EXPECT_TRUE(result.frames.empty()) << text;
}

/// `count` random disjoint, not adjacent ranges, newest first.
AckFrame random_ack(Random& random, std::size_t count) {
  AckFrame ack;
  ack.delay_us = random.magnitude(kVarintBits);
  ack.range_count = count;
  const unsigned bits = 1 + static_cast<unsigned>(random.below(55));
  std::uint64_t at = random.magnitude(bits);
  for (std::size_t i = count; i > 0; --i) {
    const std::uint64_t last = at + random.magnitude(bits);
    ack.ranges[i - 1] = {at, last};
    at = last + 2 + random.magnitude(bits);
  }
  return ack;
}

/// A random frame; `storage` owns its bytes.
Frame random_frame(Random& random, Bytes& storage) {
  const StreamId stream{random.u64()};
  const std::uint64_t epoch = random.magnitude(kVarintBits);
  storage = random.bytes(random.below(40));
  switch (random.below(13)) {
    case 0:
      return PingFrame{};
    case 1:
      return AckNowFrame{};
    case 2:
      return random_ack(random, 1 + random.below(AckFrame::kMaxRanges));
    case 3:
      return CloseFrame{random.magnitude(kVarintBits), storage};
    case 4:
      return StreamFrame{stream, epoch, random.magnitude(kVarintBits) / 2, storage, random.flip()};
    case 5:
      return DatagramFrame{stream, epoch, random.magnitude(kVarintBits),
                           random.magnitude(kVarintBits), storage};
    case 6: {
      if (storage.empty()) storage.resize(1);
      DatagramFragmentFrame frame{
          stream, epoch,  random.magnitude(kVarintBits), random.magnitude(kVarintBits), 0,
          0,      storage};
      frame.fragment_offset = random.below(kMaxNetPayloadBytes - storage.size() + 1);
      const std::uint64_t least = frame.fragment_offset + storage.size();
      frame.total = least + random.below(kMaxNetPayloadBytes - least + 1);
      return frame;
    }
    case 7:
      return StreamLimitFrame{stream, epoch, random.magnitude(kVarintBits)};
    case 8:
      return PathChallengeFrame{random.u64()};
    case 9:
      return PathResponseFrame{random.u64()};
    case 10:
      return PeerInfoFrame{random.array<16>(), random.array<32>()};
    case 11:
      return RekeyFrame{random.flip(), epoch, random.array<32>(), random.array<64>()};
    default:
      return SessionLimitFrame{random.magnitude(kVarintBits)};
  }
}

TEST(Frames, EncodingsAreAsDocumented) {
  expect_encoding(PingFrame{}, "01");
  expect_encoding(AckNowFrame{}, "03");
  expect_encoding(CloseFrame{0, {}}, "04 00 00");
  expect_encoding(CloseFrame{300, as_byte_span("bye")}, "04 412c 03 627965");
  const Bytes data = hex("aabbcc");
  expect_encoding(StreamFrame{StreamId{0x0807060504030201}, 2, 64, data, false},
                  "10 0102030405060708 02 4040 0300 aabbcc");
  expect_encoding(StreamFrame{StreamId{7}, 2, 0, {}, true}, "11 0700000000000000 02 00 0000");
  expect_encoding(DatagramFrame{StreamId{7}, 3, 2, 3, data},
                  "12 0700000000000000 03 02 03 0300 aabbcc");
  expect_encoding(DatagramFragmentFrame{StreamId{7}, 3, 2, 3, 8112, 8109, data},
                  "13 0700000000000000 03 02 03 5fb0 5fad 0300 aabbcc");
  expect_encoding(StreamLimitFrame{StreamId{7}, 2, 65536}, "14 0700000000000000 02 80010000");
  expect_encoding(SessionLimitFrame{1ULL << 30}, "15 c000000040000000");
}

TEST(Frames, EncodingsOfKeysAndPathsAreAsDocumented) {
  expect_encoding(PathChallengeFrame{0x0102'0304'0506'0708}, "16 0807060504030201");
  expect_encoding(PathResponseFrame{0xF1F2'F3F4'F5F6'F7F8}, "17 f8f7f6f5f4f3f2f1");
  PeerInfoFrame info;
  info.reset_token.fill(std::byte{0x11});
  info.static_key.fill(std::byte{0x22});
  const std::string token(32, '1'), key(64, '2'), ephemeral(64, '3'), signature(128, '4');
  expect_encoding(info, "18" + token + key);
  RekeyFrame rekey;
  rekey.generation = 0x1234;
  rekey.ephemeral.fill(std::byte{0x33});
  rekey.signature.fill(std::byte{0x44});
  expect_encoding(rekey, "19 5234" + ephemeral + signature);
  rekey.reply = true;
  expect_encoding(rekey, "1a 5234" + ephemeral + signature);
}

TEST(Frames, KeysAndPathsAtTheirExtremes) {
  for (const std::uint64_t data : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    expect_only(written(PathChallengeFrame{data}), PathChallengeFrame{data});
    expect_only(written(PathResponseFrame{data}), PathResponseFrame{data});
  }
  for (const std::byte fill : {std::byte{0}, std::byte{0xFF}}) {
    PeerInfoFrame info;
    info.reset_token.fill(fill);
    info.static_key.fill(fill);
    expect_only(written(info), info);
    for (const std::uint64_t generation : {std::uint64_t{0}, kVarintMax}) {
      for (const bool reply : {false, true}) {
        RekeyFrame rekey{reply, generation, {}, {}};
        rekey.ephemeral.fill(fill);
        rekey.signature.fill(fill);
        expect_only(written(rekey), rekey);
      }
    }
  }
  Bytes buffer(kRoom);
  ByteWriter out(buffer);
  EXPECT_FALSE(write_rekey(out, RekeyFrame{false, kVarintMax + 1, {}, {}}));
  EXPECT_EQ(out.size(), 0u);
}

TEST(Frames, EveryCutOfKeysAndPathsFails) {
  PeerInfoFrame info;
  info.static_key.fill(std::byte{1});
  for (const Frame& frame :
       {Frame(PathChallengeFrame{1}), Frame(PathResponseFrame{2}), Frame(info),
        Frame(RekeyFrame{false, 1, {}, {}}), Frame(RekeyFrame{true, kVarintMax, {}, {}})}) {
    for_each_cut(written(frame), [](ByteSpan cut) {
      if (cut.empty()) return;
      const Walk result = walk(cut);
      EXPECT_TRUE(result.failed);
      EXPECT_TRUE(result.frames.empty());
    });
  }
}

TEST(Frames, AckEncodingIsAsDocumented) {
  AckFrame ack;
  ack.delay_us = 25;
  ack.range_count = 1;
  ack.ranges[0] = {0, 0};
  expect_encoding(ack, "02 00 19 00 00");
  // 18 and 19 are missing (gap 1), and 9 (gap 0).
  ack.range_count = 3;
  ack.ranges[0] = {20, 24};
  ack.ranges[1] = {10, 17};
  ack.ranges[2] = {8, 8};
  expect_encoding(ack, "02 18 19 02 04 01 07 00 00");
}

TEST(Frames, AcksCarryOneToThirtyTwoRanges) {
  for_each_seed(
      [](Random& random) {
        for (std::size_t count = 1; count <= AckFrame::kMaxRanges; ++count) {
          const Frame ack = random_ack(random, count);
          expect_only(written(ack), ack);
        }
      },
      500);
}

TEST(Frames, AcksReachTheEndsOfTheNumbers) {
  AckFrame ack;
  ack.delay_us = kVarintMax;
  ack.range_count = 1;
  ack.ranges[0] = {0, kVarintMax};
  expect_only(written(ack), ack);
  ack.range_count = 2;
  ack.ranges[0] = {kVarintMax, kVarintMax};
  ack.ranges[1] = {0, 0};
  expect_only(written(ack), ack);
}

TEST(Frames, MalformedAcksAreRefused) {
  expect_malformed("02 03 00 00 04");        // first range longer than its largest number
  expect_malformed("02 05 00 01 01 03 00");  // gap reaches below zero: 4 - 3 - 2
  expect_malformed("02 05 00 01 01 02 01");  // range reaches below zero: 4 - 2 - 2 - 1
  expect_malformed("02 05 00 01 05 00 00");  // nothing is left below 0
  expect_malformed("02 05 00 01 01 ffffffffffffffff ffffffffffffffff");
  expect_only(hex("02 05 00 01 01 02 00"), AckFrame{0, 2, {{{4, 5}, {0, 0}}}});
}

TEST(Frames, AcksOfMoreThanThirtyTwoRangesAreRefused) {
  // Numbers 4000, 3998, 3996, …: every further range is gap 0, length 0.
  const auto with_ranges = [](std::size_t count) {
    Bytes out = hex("02 4fa0 00");
    out.push_back(static_cast<std::byte>(count - 1));
    out.resize(out.size() + 1 + 2 * (count - 1));
    return out;
  };
  EXPECT_FALSE(walk(with_ranges(32)).failed);
  EXPECT_TRUE(walk(with_ranges(33)).failed);
  expect_malformed("02 4fa0 00 ffffffffffffffff 00");
}

TEST(Frames, AnAckIsShortenedToItsNewestRangesWhenRoomIsShort) {
  for_each_seed(
      [](Random& random) {
        const AckFrame ack = random_ack(random, AckFrame::kMaxRanges);
        const Bytes whole = written(ack);
        std::size_t most = 0;
        for (std::size_t room = 0; room <= whole.size(); ++room) {
          Bytes buffer(room);
          ByteWriter out(buffer);
          const bool fits = write_ack(out, ack);
          EXPECT_TRUE(out.ok());
          if (!fits) {
            EXPECT_EQ(out.size(), 0u);
            EXPECT_EQ(most, 0u) << "more room never means less";
            continue;
          }
          const Walk result = walk(out.written());
          ASSERT_EQ(result.frames.size(), 1u);
          const auto& read = std::get<AckFrame>(result.frames[0]);
          EXPECT_GE(read.range_count, most);
          most = read.range_count;
          AckFrame expected = ack;
          expected.range_count = read.range_count;
          EXPECT_TRUE(same_frame(read, expected));
        }
        EXPECT_EQ(most, AckFrame::kMaxRanges);
      },
      200);
}

TEST(Frames, AnAckOfNothingIsNotWritten) {
  Bytes buffer(64);
  ByteWriter out(buffer);
  EXPECT_FALSE(write_ack(out, AckFrame{}));
  EXPECT_EQ(out.size(), 0u);
}

TEST(Frames, VarintsOfEveryLengthAreTaken) {
  for (const std::uint64_t value : std::initializer_list<std::uint64_t>{
           0, 63, 64, 16383, 16384, (1ULL << 30) - 1, 1ULL << 30, kVarintMax}) {
    expect_only(written(SessionLimitFrame{value}), SessionLimitFrame{value});
    expect_only(written(StreamLimitFrame{StreamId{~0ULL}, value, value}),
                StreamLimitFrame{StreamId{~0ULL}, value, value});
    expect_only(written(CloseFrame{value, {}}), CloseFrame{value, {}});
    expect_only(written(DatagramFrame{StreamId{0}, value, value, value, {}}),
                DatagramFrame{StreamId{0}, value, value, value, {}});
  }
  // Longer than needed is allowed, as in QUIC.
  expect_only(hex("15 c000000000000001"), SessionLimitFrame{1});
}

TEST(Frames, StreamsEndBelowTheVarintLimit) {
  const Bytes data(3);
  expect_only(written(StreamFrame{StreamId{1}, 0, kVarintMax - 3, data, false}),
              StreamFrame{StreamId{1}, 0, kVarintMax - 3, data, false});
  expect_only(written(StreamFrame{StreamId{1}, 0, kVarintMax, {}, true}),
              StreamFrame{StreamId{1}, 0, kVarintMax, {}, true});
  expect_malformed("10 0100000000000000 00 fffffffffffffffd 0300 000000");
  expect_malformed("11 0100000000000000 00 ffffffffffffffff 0100 00");
}

TEST(Frames, FragmentsStayInsideTheirWhole) {
  expect_malformed("13 0700000000000000 01 02 03 5fb1 00 0100 aa");    // total 8113
  expect_malformed("13 0700000000000000 01 02 03 03 03 0100 aa");      // begins at the end
  expect_malformed("13 0700000000000000 01 02 03 03 01 0300 aabbcc");  // reaches past the end
  expect_malformed("13 0700000000000000 01 02 03 03 04 0100 aa");      // begins behind the end
  expect_malformed("13 0700000000000000 01 02 03 03 00 0000");         // empty
  expect_malformed("13 0700000000000000 01 02 03 03 ffffffffffffffff 0100 aa");
  const Bytes one = hex("aa");
  expect_only(hex("13 0700000000000000 01 02 03 03 02 0100 aa"),
              DatagramFragmentFrame{StreamId{7}, 1, 2, 3, 3, 2, one});
}

TEST(Frames, EveryUnknownTypeFails) {
  const std::array<unsigned, 16> known{0x00, 0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x12,
                                       0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A};
  for (unsigned type = 0; type < 256; ++type) {
    if (std::find(known.begin(), known.end(), type) != known.end()) continue;
    Bytes plaintext(64);
    plaintext[0] = static_cast<std::byte>(type);
    const Walk result = walk(plaintext);
    EXPECT_TRUE(result.failed) << type;
    EXPECT_TRUE(result.frames.empty()) << type;
  }
}

TEST(Frames, PaddingIsSkippedWherever) {
  const Walk result = walk(hex("00 00 01 00 03 00 00"));
  EXPECT_FALSE(result.failed);
  ASSERT_EQ(result.frames.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<PingFrame>(result.frames[0]));
  EXPECT_TRUE(std::holds_alternative<AckNowFrame>(result.frames[1]));
  EXPECT_TRUE(walk(Bytes(1164)).frames.empty());
  EXPECT_FALSE(walk(Bytes(1164)).failed);
  EXPECT_FALSE(walk({}).failed);
}

TEST(Frames, FramesBeforeAMalformedOneAreYielded) {
  const Walk result = walk(hex("01 03 ff 01"));
  EXPECT_TRUE(result.failed);
  EXPECT_EQ(result.frames.size(), 2u);
}

TEST(Frames, RoundTrip) {
  for_each_seed([](Random& random) {
    Bytes storage;
    const Frame frame = random_frame(random, storage);
    expect_only(written(frame), frame);
  });
}

TEST(Frames, SeveralFramesRoundTripInOnePacket) {
  for_each_seed(
      [](Random& random) {
        std::vector<Bytes> storages(1 + random.below(8));
        std::vector<Frame> sent;
        Bytes buffer(kRoom);
        ByteWriter out(buffer);
        for (Bytes& storage : storages) {
          sent.push_back(random_frame(random, storage));
          ASSERT_TRUE(write_frame(out, sent.back()));
          if (random.flip()) out.zeros(random.below(4));
        }
        const Walk result = walk(out.written());
        EXPECT_FALSE(result.failed);
        ASSERT_EQ(result.frames.size(), sent.size());
        for (std::size_t i = 0; i < sent.size(); ++i)
          EXPECT_TRUE(same_frame(result.frames[i], sent[i])) << i;
      },
      2'000);
}

TEST(Frames, EveryCutFails) {
  for_each_seed(
      [](Random& random) {
        Bytes storage;
        for_each_cut(written(random_frame(random, storage)), [](ByteSpan cut) {
          if (cut.empty()) return;
          const Walk result = walk(cut);
          EXPECT_TRUE(result.failed);
          EXPECT_TRUE(result.frames.empty());
        });
      },
      1'000);
}

TEST(Frames, DamageDoesNoHarm) {
  for_each_seed([](Random& random) {
    Bytes storage;
    Bytes plaintext = written(random_frame(random, storage));
    mutate(random, plaintext);
    // Whatever is read can be written and read again.
    for (const Frame& frame : walk(plaintext).frames) expect_only(written(frame), frame);
  });
}

TEST(Frames, WritersWithoutRoomLeaveTheWriterUnchanged) {
  for_each_seed([](Random& random) {
    Bytes storage;
    const Frame frame = random_frame(random, storage);
    const bool is_ack = std::holds_alternative<AckFrame>(frame);
    const std::size_t size = written(frame).size();
    const std::size_t used = 1 + random.below(10);
    const std::size_t room = random.below(size);
    Bytes buffer(used + room, std::byte{0xA5});
    ByteWriter out(buffer);
    out.zeros(used);
    const bool fits = write_frame(out, frame);
    EXPECT_TRUE(out.ok());
    if (fits) {
      EXPECT_TRUE(is_ack) << "only acks are shortened";
      return;
    }
    EXPECT_EQ(out.size(), used);
    EXPECT_TRUE(same_bytes(ByteSpan(buffer).subspan(used), Bytes(room, std::byte{0xA5})));
  });
}

TEST(Frames, WritersRefuseWhatCannotBeRead) {
  Bytes buffer(kRoom * 2, std::byte{0xA5});
  ByteWriter out(buffer);
  const Bytes data(1);
  const Bytes long_reason(256);
  const std::uint64_t too_big = kVarintMax + 1;
  for (const std::uint64_t value : {too_big, ~std::uint64_t{0}}) {
    EXPECT_FALSE(write_close(out, {value, {}}));
    EXPECT_FALSE(write_session_limit(out, {value}));
    EXPECT_FALSE(write_stream_limit(out, {StreamId{1}, value, 0}));
    EXPECT_FALSE(write_stream_limit(out, {StreamId{1}, 0, value}));
    EXPECT_FALSE(begin_stream(out, {StreamId{1}, value, 0, {}, false}, 1));
    EXPECT_FALSE(begin_stream(out, {StreamId{1}, 0, value, {}, false}, 1));
    EXPECT_FALSE(begin_datagram(out, {StreamId{1}, value, 0, 0, {}}, 1));
    EXPECT_FALSE(begin_datagram(out, {StreamId{1}, 0, value, 0, {}}, 1));
    EXPECT_FALSE(begin_datagram(out, {StreamId{1}, 0, 0, value, {}}, 1));
    EXPECT_FALSE(begin_fragment(out, {StreamId{1}, value, 0, 0, 1, 0, {}}, 1));
    EXPECT_FALSE(begin_fragment(out, {StreamId{1}, 0, value, 0, 1, 0, {}}, 1));
    EXPECT_FALSE(begin_fragment(out, {StreamId{1}, 0, 0, value, 1, 0, {}}, 1));
    EXPECT_FALSE(begin_fragment(out, {StreamId{1}, 0, 0, 0, value, 0, {}}, 1));
    EXPECT_FALSE(begin_fragment(out, {StreamId{1}, 0, 0, 0, 1, value, {}}, 1));
    EXPECT_FALSE(write_ack(out, AckFrame{0, 1, {{{value, value}}}}));
    EXPECT_FALSE(write_ack(out, AckFrame{value, 1, {{{0, 0}}}}));
  }
  EXPECT_FALSE(write_close(out, {0, long_reason}));
  EXPECT_FALSE(begin_stream(out, {StreamId{1}, 0, kVarintMax, {}, false}, 1));
  EXPECT_FALSE(begin_stream(out, {StreamId{1}, 0, 0, {}, false}, 65'536));
  EXPECT_FALSE(begin_datagram(out, {StreamId{1}, 0, 0, 0, {}}, 65'536));
  EXPECT_FALSE(begin_fragment(out, {StreamId{1}, 0, 0, 0, 8113, 0, {}}, 1));
  EXPECT_FALSE(begin_fragment(out, {StreamId{1}, 0, 0, 0, 10, 10, {}}, 1));
  EXPECT_FALSE(begin_fragment(out, {StreamId{1}, 0, 0, 0, 10, 5, {}}, 6));
  EXPECT_FALSE(begin_fragment(out, {StreamId{1}, 0, 0, 0, 10, 5, {}}, 0));
  EXPECT_TRUE(out.ok());
  EXPECT_EQ(out.size(), 0u);
  EXPECT_EQ(buffer[0], std::byte{0xA5});
}

TEST(Frames, TheLongestDataAndReasonFit) {
  const Bytes data(65'535, std::byte{7});
  const Bytes reason(255, std::byte{'x'});
  expect_only(written(StreamFrame{StreamId{1}, 0, 0, data, true}),
              StreamFrame{StreamId{1}, 0, 0, data, true});
  expect_only(written(DatagramFrame{StreamId{1}, 0, 0, 0, data}),
              DatagramFrame{StreamId{1}, 0, 0, 0, data});
  expect_only(written(CloseFrame{1, reason}), CloseFrame{1, reason});
}

TEST(Frames, OverheadsAreExact) {
  for_each_seed([](Random& random) {
    Bytes storage;
    const Frame frame = random_frame(random, storage);
    const std::size_t size = written(frame).size();
    if (const auto* stream = std::get_if<StreamFrame>(&frame)) {
      EXPECT_EQ(size, stream_frame_overhead(stream->epoch, stream->offset) + stream->data.size());
    } else if (const auto* datagram = std::get_if<DatagramFrame>(&frame)) {
      EXPECT_EQ(size,
                datagram_frame_overhead(datagram->epoch, datagram->sequence, datagram->offset) +
                    datagram->data.size());
    } else if (const auto* part = std::get_if<DatagramFragmentFrame>(&frame)) {
      EXPECT_EQ(size, fragment_frame_overhead(part->epoch, part->sequence, part->offset,
                                              part->total, part->fragment_offset) +
                          part->data.size());
    }
  });
}

}  // namespace
}  // namespace netmesh::wire
