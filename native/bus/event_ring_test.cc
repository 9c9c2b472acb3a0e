#include "bus/event_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bus/event_log.h"

namespace netmesh::bus {
namespace {

std::string text_of(const EventSlot& slot) {
  const ByteSpan bytes = slot.payload();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Everything in the ring, oldest first.
std::vector<std::string> drain(EventRing& ring) {
  std::vector<std::string> out;
  std::array<EventSlot, 7> slots;
  while (const std::size_t count = ring.pop(slots).count) {
    for (std::size_t i = 0; i < count; ++i) out.push_back(text_of(slots[i]));
    release_slots(slots.data(), count);
  }
  return out;
}

std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> out;
  for (int n = from; n < to; ++n) out.push_back(std::to_string(n));
  return out;
}

TEST(EventRing, HoldsOneEventLessThanItHasSlots) {
  EventRing ring(8, Backpressure::kDropNewest);
  for (int n = 0; n < 7; ++n)
    EXPECT_EQ(ring.push(as_byte_span(std::to_string(n)), 0).result, PushResult::kStored);
  EXPECT_EQ(ring.push(as_byte_span("7"), 0).result, PushResult::kFull);
  EXPECT_EQ(drain(ring), numbers(0, 7));
  EXPECT_EQ(ring.counters().refused, 1u);
}

TEST(EventRing, MakesRoomByDroppingTheOldest) {
  EventRing ring(8, Backpressure::kDropOldest);
  for (int n = 0; n < 20; ++n)
    EXPECT_TRUE(is_stored(ring.push(as_byte_span(std::to_string(n)), 0).result));
  EXPECT_EQ(drain(ring), numbers(13, 20));
  EXPECT_EQ(ring.counters().evicted, 13u);
  EXPECT_EQ(ring.counters().stored, 20u);
}

TEST(EventRing, KeepsASampleOfWhatMeetsAFullRing) {
  EventRing ring(8, Backpressure::kSample, 5);
  std::vector<std::string> kept;
  for (int n = 0; n < 107; ++n) {
    const std::string text = std::to_string(n);
    if (is_stored(ring.push(as_byte_span(text), 0).result)) kept.push_back(text);
  }
  EXPECT_EQ(kept.size(), 7u + 20u);
  EXPECT_EQ(drain(ring), std::vector<std::string>(kept.end() - 7, kept.end()));
  EXPECT_EQ(ring.counters().sampled_out, 80u);
}

TEST(EventRing, GivesTimestampsThatIncreaseWhateverTheClockDoes) {
  EventRing ring(1024, Backpressure::kDropNewest);
  EXPECT_EQ(ring.push({}, 100).timestamp, 100u);
  EXPECT_EQ(ring.push({}, 100).timestamp, 101u);
  EXPECT_EQ(ring.push({}, 50).timestamp, 102u);
  EXPECT_EQ(ring.push({}, 1000).timestamp, 1000u);
}

TEST(EventRing, UsesUpATimestampForAnEventThatIsRefused) {
  EventRing ring(2, Backpressure::kDropNewest);
  EXPECT_EQ(ring.push({}, 5).timestamp, 5u);
  EXPECT_EQ(ring.push({}, 5).timestamp, 6u);
  drain(ring);
  EXPECT_EQ(ring.push({}, 5).timestamp, 7u);
}

TEST(EventRing, NumbersEventsAcrossPopsAndEvictions) {
  EventRing ring(8, Backpressure::kDropOldest);
  for (int n = 0; n < 5; ++n) ring.push(as_byte_span("x"), 0);
  std::array<EventSlot, 3> slots;
  EXPECT_EQ(ring.pop(slots).first, 0u);
  release_slots(slots.data(), 3);
  for (int n = 0; n < 10; ++n) ring.push(as_byte_span("x"), 0);
  EXPECT_EQ(ring.span().first, 8u);
  EXPECT_EQ(ring.span().next, 15u);
  EXPECT_EQ(ring.pop(slots).first, 8u);
  release_slots(slots.data(), 3);
}

TEST(EventRing, CarriesPayloadsOfAnySize) {
  EventRing ring(1024, Backpressure::kDropNewest);
  std::vector<std::string> sent;
  for (std::size_t size :
       {0ul, 1ul, 16'383ul, 16'384ul, 16'385ul, 60'000ul, 65'536ul, 1'000'000ul}) {
    for (char c : {'a', 'b', 'c', 'd', 'e'}) sent.emplace_back(size, c);
  }
  for (const std::string& text : sent) ring.push(as_byte_span(text), 0);
  EXPECT_EQ(drain(ring), sent);
}

TEST(EventRing, LosesAndRepeatsNothingBetweenProducersAndAConsumer) {
  constexpr int kProducers = 3, kEach = 30'000;
  EventRing ring(1024, Backpressure::kDropNewest);
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (std::uint32_t n = 0; n < kEach;) {
        std::array<std::byte, 8> payload;
        store_le(payload.data(), static_cast<std::uint32_t>(p));
        store_le(payload.data() + 4, n);
        if (is_stored(ring.push(payload, 0).result))
          ++n;
        else
          std::this_thread::yield();
      }
    });
  }
  std::array<std::uint32_t, kProducers> next{};
  std::uint64_t last_timestamp = 0;
  int seen = 0;
  std::array<EventSlot, 100> slots;
  while (seen < kProducers * kEach) {
    const std::size_t count = ring.pop(slots).count;
    for (std::size_t i = 0; i < count; ++i) {
      const ByteSpan payload = slots[i].payload();
      const auto p = load_le<std::uint32_t>(payload.data());
      ASSERT_EQ(load_le<std::uint32_t>(payload.data() + 4), next.at(p)++);
      ASSERT_GT(slots[i].timestamp, last_timestamp);
      last_timestamp = slots[i].timestamp;
    }
    release_slots(slots.data(), count);
    seen += static_cast<int>(count);
    if (count == 0) std::this_thread::yield();
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_TRUE(ring.empty());
}

// --- EventLog ---

void fill(EventLog& log, EventRing& ring, int from, int to) {
  std::array<EventSlot, 1> slot;
  for (int n = from; n < to; ++n) {
    ring.push(as_byte_span(std::to_string(n)), 0);
    ASSERT_EQ(ring.pop(slot).count, 1u);
    log.append(slot);
  }
}

std::vector<std::string> texts_of(const EventLog::Read& read) {
  std::vector<std::string> out;
  for (const LogEntry& entry : read.entries) {
    out.push_back(text_of(entry.slot));
    release_slots(&entry.slot, 1);
  }
  return out;
}

TEST(EventLog, ReadsFromAnyPlaceInOrder) {
  EventRing ring(8, Backpressure::kDropNewest);
  EventLog log({.max_events = 1000, .max_bytes = 1 << 20});
  fill(log, ring, 0, 300);
  EXPECT_EQ(log.last_id(), 300u);
  EXPECT_EQ(texts_of(log.read(0, 10)), numbers(0, 10));
  const auto middle = log.read(150, 100);
  EXPECT_TRUE(middle.more);
  EXPECT_EQ(middle.entries.front().id, 151u);
  EXPECT_EQ(texts_of(middle), numbers(150, 250));
  const auto end = log.read(290, 100);
  EXPECT_FALSE(end.more);
  EXPECT_EQ(texts_of(end), numbers(290, 300));
  EXPECT_TRUE(log.read(300, 10).entries.empty());
  EXPECT_TRUE(log.read(5000, 10).entries.empty());
}

TEST(EventLog, DropsTheOldestBeyondItsCountAndSaysSo) {
  EventRing ring(8, Backpressure::kDropNewest);
  EventLog log({.max_events = 100, .max_bytes = 1 << 20});
  fill(log, ring, 0, 1000);
  EXPECT_EQ(log.size(), 100u);
  EXPECT_EQ(log.expired(), 900u);
  const auto read = log.read(50, 3);
  EXPECT_EQ(read.expired, 850u);
  EXPECT_EQ(texts_of(read), numbers(900, 903));
}

TEST(EventLog, DropsTheOldestBeyondItsBytesButNeverTheNewest) {
  EventRing ring(8, Backpressure::kDropNewest);
  EventLog log({.max_events = 1000, .max_bytes = 100});
  fill(log, ring, 0, 50);
  EXPECT_LE(log.bytes(), 100u);
  EXPECT_EQ(log.size(), 3u);
  const std::string large(5000, 'x');
  ring.push(as_byte_span(large), 0);
  std::array<EventSlot, 1> slot;
  ring.pop(slot);
  log.append(slot);
  EXPECT_EQ(log.size(), 1u);
  EXPECT_EQ(texts_of(log.read(0, 5)), std::vector<std::string>{large});
}

TEST(EventLog, KeepsWhatItsBoundsAllowHoweverItsEventsArrive) {
  // Against a queue that applies the bounds in the plainest way.
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](std::size_t bound) {
      return static_cast<std::size_t>(random() % bound);
    };
    const Retention bounds{.max_events = 1 + below(300), .max_bytes = 1 + below(20'000)};
    EventRing ring(1024, Backpressure::kDropNewest);
    EventLog log(bounds);
    std::deque<std::string> wanted;
    std::size_t bytes = 0;
    std::uint64_t appended = 0;
    for (int round = 0; round < 30; ++round) {
      std::vector<EventSlot> slots(1 + below(random() % 4 == 0 ? 900 : 20));
      for (std::size_t i = 0; i < slots.size(); ++i) {
        // Most share a segment; some have one of their own.
        std::string text(below(random() % 50 == 0 ? 40'000 : 60), 'x');
        text += std::to_string(appended++);
        ring.push(as_byte_span(text), 0);
        bytes += text.size() + sizeof(EventSlot);
        wanted.push_back(std::move(text));
      }
      ASSERT_EQ(ring.pop(slots).count, slots.size());
      log.append(slots);
      while (wanted.size() > 1 && (wanted.size() > bounds.max_events || bytes > bounds.max_bytes)) {
        bytes -= wanted.front().size() + sizeof(EventSlot);
        wanted.pop_front();
      }
      ASSERT_EQ(log.size(), wanted.size());
      ASSERT_EQ(log.bytes(), bytes);
      ASSERT_EQ(log.last_id(), appended);
      ASSERT_EQ(log.expired(), appended - wanted.size());
      ASSERT_EQ(texts_of(log.read(0, 1000)),
                std::vector<std::string>(wanted.begin(), wanted.end()));
    }
  }
}

TEST(EventLog, KeepsAPageReadableThatItHasDropped) {
  EventRing ring(8, Backpressure::kDropNewest);
  EventLog log({.max_events = 2, .max_bytes = 1 << 20});
  fill(log, ring, 0, 2);
  const auto page = log.read(0, 2);
  fill(log, ring, 2, 10'000);
  EXPECT_EQ(texts_of(page), numbers(0, 2));
}

}  // namespace
}  // namespace netmesh::bus
