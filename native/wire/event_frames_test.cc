#include "wire/event_frames.h"

#include <algorithm>
#include <vector>

#include "wire/wire_testing.h"

namespace netmesh::wire {
namespace {

using testing::concat;
using testing::for_each_seed;
using testing::hex;
using testing::mutate;
using testing::Random;
using testing::same_bytes;

void append_event(Bytes& out, ByteSpan event) {
  std::array<std::byte, kEventFrameHeaderBytes> length;
  store_le<std::uint32_t>(length.data(), static_cast<std::uint32_t>(event.size()));
  out.insert(out.end(), length.begin(), length.end());
  out.insert(out.end(), event.begin(), event.end());
}

std::vector<Bytes> read_all(ByteSpan plaintext, std::size_t count) {
  std::vector<Bytes> events;
  EventFrameReader reader(plaintext, count);
  while (const auto event = reader.next()) events.emplace_back(event->begin(), event->end());
  return events;
}

TEST(EventFrames, AnEventIsLengthThenBytes) {
  const auto events = read_all(hex("05000000 68656c6c6f"), 1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(same_bytes(events[0], as_byte_span("hello")));
}

TEST(EventFrames, AnEmptyEventIsAnEvent) {
  EXPECT_EQ(read_all(hex("00000000"), 1).size(), 1u);
  EXPECT_EQ(read_all(hex("00000000 00000000"), 2).size(), 2u);
  EXPECT_TRUE(read_all({}, 1).empty());
}

TEST(EventFrames, NoMoreThanTheCountIsRead) {
  const Bytes three = hex("01000000 61 01000000 62 01000000 63");
  EXPECT_EQ(read_all(three, 0).size(), 0u);
  EXPECT_EQ(read_all(three, 2).size(), 2u);
  EXPECT_EQ(read_all(three, 3).size(), 3u);
  EXPECT_EQ(read_all(three, 2028).size(), 3u);
}

TEST(EventFrames, ATruncatedFrameEndsTheRead) {
  EXPECT_EQ(read_all(hex("01000000 61 02000000 62"), 2).size(), 1u);
  EXPECT_EQ(read_all(hex("01000000 61 020000"), 2).size(), 1u);
  EXPECT_EQ(read_all(hex("ffffffff 61"), 1).size(), 0u);
}

TEST(EventFrames, RoundTripAndEveryCut) {
  for_each_seed([](Random& random) {
    std::vector<Bytes> sent;
    Bytes plaintext;
    std::vector<std::size_t> ends;
    for (std::uint64_t i = random.below(6); i > 0; --i) {
      sent.push_back(random.bytes(random.below(12)));
      append_event(plaintext, sent.back());
      ends.push_back(plaintext.size());
    }
    EXPECT_EQ(read_all(plaintext, sent.size()), sent);
    const std::size_t cut = random.below(plaintext.size() + 1);
    const Bytes prefix(plaintext.begin(), plaintext.begin() + static_cast<std::ptrdiff_t>(cut));
    const auto whole = static_cast<std::size_t>(
        std::count_if(ends.begin(), ends.end(), [cut](std::size_t end) { return end <= cut; }));
    const auto read = read_all(prefix, sent.size());
    ASSERT_EQ(read.size(), whole);
    EXPECT_TRUE(std::equal(read.begin(), read.end(), sent.begin()));
  });
}

TEST(EventFrames, DamageDoesNoHarm) {
  for_each_seed([](Random& random) {
    Bytes plaintext = hex("01000000 61 00000000 05000000 68656c6c6f");
    mutate(random, plaintext);
    std::size_t total = 0;
    for (const Bytes& event : read_all(plaintext, 2028))
      total += kEventFrameHeaderBytes + event.size();
    EXPECT_LE(total, plaintext.size());
  });
}

}  // namespace
}  // namespace netmesh::wire
