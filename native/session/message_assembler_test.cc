#include "session/message_assembler.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace netmesh::session {
namespace {

constexpr std::uint32_t kLargest = 200'000;

Bytes frame(ByteSpan event) {
  Bytes out(4 + event.size());
  store_le<std::uint32_t>(out.data(), static_cast<std::uint32_t>(event.size()));
  std::copy(event.begin(), event.end(), out.begin() + 4);
  return out;
}

TEST(MessageAssembler, PassesAWholeEventThroughWithoutCopying) {
  MessageAssembler assembler(kLargest);
  const Bytes event(10, std::byte{7});
  const Bytes stream = frame(event);
  int delivered = 0;
  EXPECT_TRUE(assembler.feed(stream, [&](ByteSpan first, ByteSpan second) {
    ++delivered;
    EXPECT_EQ(first.data(), stream.data() + 4);
    EXPECT_EQ(first.size(), 10u);
    EXPECT_TRUE(second.empty());
  }));
  EXPECT_EQ(delivered, 1);
  EXPECT_EQ(assembler.partial_bytes(), 0u);
  EXPECT_EQ(assembler.missing_bytes(), 0u);
}

TEST(MessageAssembler, SaysWhatIsMissingOnceItKnowsTheLength) {
  MessageAssembler assembler(kLargest);
  const Bytes stream = frame(Bytes(100));
  const auto never = [](ByteSpan, ByteSpan) { FAIL(); };
  EXPECT_TRUE(assembler.feed(ByteSpan(stream).first(3), never));
  EXPECT_EQ(assembler.missing_bytes(), 0u);
  EXPECT_EQ(assembler.partial_bytes(), 3u);
  EXPECT_TRUE(assembler.feed(ByteSpan(stream).subspan(3, 1), never));
  EXPECT_EQ(assembler.missing_bytes(), 100u);
  EXPECT_TRUE(assembler.feed(ByteSpan(stream).subspan(4, 30), never));
  EXPECT_EQ(assembler.missing_bytes(), 70u);
  EXPECT_EQ(assembler.partial_bytes(), 34u);
}

TEST(MessageAssembler, RefusesEventsAboveTheLimitAtTheirHeader) {
  const auto feed = [](std::uint32_t length, std::size_t split) {
    MessageAssembler assembler(kLargest);
    Bytes header(4);
    store_le<std::uint32_t>(header.data(), length);
    const auto ignore = [](ByteSpan, ByteSpan) {};
    return assembler.feed(ByteSpan(header).first(split), ignore) &&
           assembler.feed(ByteSpan(header).subspan(split), ignore);
  };
  for (std::size_t split = 0; split <= 4; ++split) {
    EXPECT_TRUE(feed(kLargest, split));
    EXPECT_FALSE(feed(kLargest + 1, split));
    EXPECT_FALSE(feed(0xFFFF'FFFF, split));
  }
}

TEST(MessageAssembler, CutsAnyPiecesIntoTheSameEvents) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Bytes> events;
    Bytes stream;
    for (std::uint64_t n = random() % 30; n > 0; --n) {
      const std::size_t size = std::size_t{random()} % (std::size_t{1} << (random() % 18));
      Bytes event(std::min<std::size_t>(size, kLargest));
      for (std::byte& b : event) b = static_cast<std::byte>(random());
      const Bytes framed = frame(event);
      stream.insert(stream.end(), framed.begin(), framed.end());
      events.push_back(std::move(event));
    }
    MessageAssembler assembler(kLargest);
    std::vector<Bytes> delivered;
    const std::size_t largest_piece = 1 + std::size_t{random()} % 5'000;
    ByteSpan rest = stream;
    std::uint64_t fed = 0, done = 0;
    while (!rest.empty()) {
      const std::size_t size = std::min(rest.size(), 1 + std::size_t{random()} % largest_piece);
      // A copy of exactly this size: reading past it is seen.
      const Bytes piece(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size));
      rest = rest.subspan(size);
      fed += size;
      ASSERT_TRUE(assembler.feed(piece, [&](ByteSpan first, ByteSpan second) {
        Bytes whole(first.begin(), first.end());
        whole.insert(whole.end(), second.begin(), second.end());
        done += 4 + whole.size();
        delivered.push_back(std::move(whole));
      }));
      ASSERT_EQ(assembler.partial_bytes(), fed - done) << "seed " << seed;
    }
    ASSERT_EQ(delivered, events) << "seed " << seed;
  }
}

}  // namespace
}  // namespace netmesh::session
