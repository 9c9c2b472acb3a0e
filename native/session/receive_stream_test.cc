#include "session/receive_stream.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace netmesh::session {
namespace {

using Result = ReceiveStream::Result;

constexpr std::uint32_t kLargest = 100'000;

/// Event frames back to back, and the events in them.
struct Content {
  std::vector<Bytes> events;
  Bytes stream;

  void add(Bytes event) {
    Bytes header(4);
    store_le<std::uint32_t>(header.data(), static_cast<std::uint32_t>(event.size()));
    stream.insert(stream.end(), header.begin(), header.end());
    stream.insert(stream.end(), event.begin(), event.end());
    events.push_back(std::move(event));
  }
};

Content random_content(std::mt19937_64& random, std::size_t events, std::size_t largest) {
  Content content;
  for (std::size_t i = 0; i < events; ++i) {
    Bytes event(std::size_t{random()} % (largest + 1));
    for (std::byte& b : event) b = static_cast<std::byte>(random());
    content.add(std::move(event));
  }
  return content;
}

/// Collects what a stream delivers.
struct Collector {
  std::vector<Bytes> events;
  auto sink() {
    return [this](std::uint64_t number, ByteSpan first, ByteSpan second) {
      EXPECT_EQ(number, events.size());
      Bytes whole(first.begin(), first.end());
      whole.insert(whole.end(), second.begin(), second.end());
      events.push_back(std::move(whole));
    };
  }
};

TEST(ReceiveStream, DeliversInOrderWhatComesOutOfOrder) {
  Content content;
  content.add(Bytes(3, std::byte{1}));
  content.add(Bytes(5, std::byte{2}));
  ReceiveStream stream(2, 1'000, kLargest);
  Collector got;
  const ByteSpan bytes = content.stream;
  EXPECT_EQ(stream.receive(7, bytes.subspan(7), true, got.sink()), Result::kAccepted);
  EXPECT_TRUE(got.events.empty());
  EXPECT_FALSE(stream.finished());
  EXPECT_EQ(stream.receive(0, bytes.first(7), false, got.sink()), Result::kAccepted);
  EXPECT_EQ(got.events, content.events);
  EXPECT_TRUE(stream.finished());
  EXPECT_EQ(stream.partial_bytes(), 0u);
}

TEST(ReceiveStream, FinishesWithoutAnyData) {
  ReceiveStream stream(2, 1'000, kLargest);
  Collector got;
  EXPECT_EQ(stream.receive(0, {}, true, got.sink()), Result::kAccepted);
  EXPECT_TRUE(stream.finished());
}

TEST(ReceiveStream, RefusesDataBeyondTheLimit) {
  ReceiveStream stream(2, 10, kLargest);
  Collector got;
  const Bytes data(11);
  EXPECT_EQ(stream.receive(0, ByteSpan(data).first(10), false, got.sink()), Result::kAccepted);
  EXPECT_EQ(stream.receive(0, data, false, got.sink()), Result::kLimitExceeded);
  EXPECT_EQ(stream.receive(10, ByteSpan(data).first(1), false, got.sink()), Result::kLimitExceeded);
}

TEST(ReceiveStream, RefusesAnEndThatMoves) {
  Collector got;
  const Bytes data(20);
  {
    ReceiveStream stream(2, 100, kLargest);
    EXPECT_EQ(stream.receive(10, ByteSpan(data).first(5), true, got.sink()), Result::kAccepted);
    EXPECT_EQ(stream.receive(10, ByteSpan(data).first(5), true, got.sink()), Result::kAccepted);
    EXPECT_EQ(stream.receive(10, ByteSpan(data).first(4), true, got.sink()),
              Result::kLimitExceeded);
  }
  {
    ReceiveStream stream(2, 100, kLargest);
    EXPECT_EQ(stream.receive(10, ByteSpan(data).first(5), true, got.sink()), Result::kAccepted);
    EXPECT_EQ(stream.receive(15, ByteSpan(data).first(1), false, got.sink()),
              Result::kLimitExceeded);
  }
  {
    ReceiveStream stream(2, 100, kLargest);
    EXPECT_EQ(stream.receive(10, ByteSpan(data).first(5), false, got.sink()), Result::kAccepted);
    EXPECT_EQ(stream.receive(0, ByteSpan(data).first(3), true, got.sink()), Result::kLimitExceeded);
  }
}

TEST(ReceiveStream, RefusesEventsAboveTheLargest) {
  ReceiveStream stream(2, 1'000, 50);
  Collector got;
  Bytes header(4);
  store_le<std::uint32_t>(header.data(), 51);
  EXPECT_EQ(stream.receive(2, ByteSpan(header).subspan(2), false, got.sink()), Result::kAccepted);
  EXPECT_EQ(stream.receive(0, ByteSpan(header).first(2), false, got.sink()),
            Result::kMessageTooLarge);
}

TEST(ReceiveStream, RefusesMoreGapsThanAnyHonestSenderLeaves) {
  ReceiveStream stream(2, 1u << 20, kLargest);
  Collector got;
  const Bytes one(1);
  std::uint64_t gaps = 0;
  Result result = Result::kAccepted;
  while (result == Result::kAccepted && gaps <= ReceiveStream::kMaxSegments + 1) {
    result = stream.receive(2 * gaps + 1, one, false, got.sink());
    ++gaps;
  }
  EXPECT_EQ(result, Result::kTooManySegments);
  EXPECT_EQ(gaps, ReceiveStream::kMaxSegments + 1);
}

TEST(ReceiveStream, RaisesItsLimitAsTheApplicationTakesEvents) {
  ReceiveStream stream(2, 1'000, kLargest);
  Collector got;
  Content content;
  content.add(Bytes(996));
  EXPECT_EQ(stream.receive(0, content.stream, false, got.sink()), Result::kAccepted);
  EXPECT_EQ(stream.unconsumed_bytes(), 1'000u);
  EXPECT_FALSE(stream.limit_update().has_value()) << "nothing was taken";
  stream.consume(249);
  EXPECT_FALSE(stream.limit_update().has_value()) << "not worth a frame";
  stream.consume(1);
  EXPECT_EQ(stream.limit_update(), 1'250u);
  stream.set_limit(1'250);
  EXPECT_FALSE(stream.limit_update().has_value());
  stream.consume(1'000'000);
  EXPECT_EQ(stream.limit_update(), 2'000u) << "no more than was delivered";
}

TEST(ReceiveStream, LetsAnEventThroughThatIsLargerThanItsWindow) {
  ReceiveStream stream(2, 100, kLargest);
  Collector got;
  Content content;
  content.add(Bytes(5'000));
  std::uint64_t sent = 0;
  for (int rounds = 0; sent < content.stream.size(); ++rounds) {
    ASSERT_LT(rounds, 3);
    const std::uint64_t end = std::min<std::uint64_t>(stream.limit(), content.stream.size());
    ASSERT_GT(end, sent);
    ASSERT_EQ(
        stream.receive(sent, ByteSpan(content.stream).subspan(sent, end - sent), false, got.sink()),
        Result::kAccepted);
    sent = end;
    if (const auto limit = stream.limit_update()) stream.set_limit(*limit);
  }
  EXPECT_EQ(got.events, content.events);
  EXPECT_EQ(stream.limit(), 5'004u) << "up to the event's end and not beyond";
}

TEST(ReceiveStream, PutsAnyPiecesInAnyOrderTogether) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t largest = std::size_t{1} << (random() % 12);
    const Content content = random_content(random, random() % 40, largest);
    const std::uint64_t window = 64 + random() % 5'000;
    ReceiveStream stream(2, window, kLargest);
    Collector got;
    std::uint64_t consumed_events = 0;
    std::vector<bool> arrived(content.stream.size());
    std::uint64_t steps = 0;
    const std::uint64_t size = content.stream.size();
    while (!stream.finished()) {
      ASSERT_LT(++steps, 200'000u) << "seed " << seed;
      const std::uint64_t limit = std::min(stream.limit(), size);
      // Mostly what comes next, sometimes from anywhere: overlaps, repetitions, gaps.
      std::uint64_t begin = 0;
      while (begin < limit && arrived[begin]) ++begin;
      if (random() % 3 == 0 && limit > 0) begin = random() % limit;
      const std::uint64_t end = std::min(limit, begin + random() % 400);
      const bool fin = end == size;
      const Bytes piece(content.stream.begin() + static_cast<std::ptrdiff_t>(begin),
                        content.stream.begin() + static_cast<std::ptrdiff_t>(end));
      ASSERT_EQ(stream.receive(begin, piece, fin, got.sink()), Result::kAccepted)
          << "seed " << seed;
      for (std::uint64_t i = begin; i < end; ++i) arrived[i] = true;
      if (random() % 4 == 0) {
        while (consumed_events < got.events.size()) {
          stream.consume(4 + got.events[consumed_events++].size());
        }
      }
      if (const auto wanted = stream.limit_update()) {
        ASSERT_GT(*wanted, stream.limit());
        stream.set_limit(*wanted);
      }
      ASSERT_LE(stream.unconsumed_bytes(), window + largest + 4) << "seed " << seed;
    }
    ASSERT_EQ(got.events, content.events) << "seed " << seed;
  }
}

TEST(DatagramReceiver, CountsFromWhereItFirstHears) {
  DatagramReceiver receiver(3, 1'000, 5'000);
  EXPECT_TRUE(receiver.arrive(5'000, 1'000));
  EXPECT_FALSE(receiver.arrive(6'000, 1));
  EXPECT_TRUE(receiver.arrive(100, 1'000)) << "older ones may come late";
}

TEST(DatagramReceiver, TellsABlockedSenderWhereItMayGo) {
  DatagramReceiver receiver(3, 1'000, 0);
  EXPECT_TRUE(receiver.arrive(0, 400));
  receiver.delivered(400);
  // 500 more were sent and lost: the sender says that it stands at 900.
  EXPECT_TRUE(receiver.arrive(900, 0));
  EXPECT_EQ(receiver.limit_when_blocked(), 900u + 1'000 - 400);
  receiver.set_limit(1'500);
  EXPECT_EQ(receiver.limit(), 1'500u);
  receiver.consume(400);
  EXPECT_EQ(receiver.limit_update(), 1'900u);
}

TEST(DatagramReceiver, HoldsTheLimitWhileNobodyReads) {
  DatagramReceiver receiver(3, 1'000, 0);
  for (std::uint64_t at = 0; at < 1'000; at += 100) {
    ASSERT_TRUE(receiver.arrive(at, 100));
    receiver.delivered(100);
    ASSERT_FALSE(receiver.limit_update().has_value());
  }
  EXPECT_EQ(receiver.unconsumed_bytes(), 1'000u);
  EXPECT_FALSE(receiver.arrive(1'000, 1));
  receiver.consume(5'000);
  EXPECT_EQ(receiver.unconsumed_bytes(), 0u);
  EXPECT_EQ(receiver.limit_update(), 2'000u);
}

}  // namespace
}  // namespace netmesh::session
