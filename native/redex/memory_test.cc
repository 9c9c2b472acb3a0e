// Logs in memory: numbering, reading, retention, tails.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "redex/redex_testing.h"

namespace netmesh::redex {
namespace {

using namespace std::chrono_literals;
using testing::Clock;
using testing::payloads;

std::shared_ptr<File> open_memory(const RetentionPolicy& retention = {}, WallClock clock = {}) {
  Redex redex({.clock = std::move(clock)});
  FileConfig config;
  config.retention = retention;
  return *redex.open_file("test/log", config);
}

TEST(Log, NumbersEventsFromZeroAndReadsThemBack) {
  const auto file = open_memory();
  EXPECT_EQ(*file->append(as_byte_span("hello")), 0u);
  EXPECT_EQ(*file->append({}), 1u);
  const ByteSpan batch[] = {as_byte_span("a"), as_byte_span("bc"), as_byte_span("def")};
  EXPECT_EQ(*file->append_batch(batch), 2u);
  EXPECT_EQ(file->length(), 5u);
  EXPECT_EQ(file->next_seq(), 5u);

  EventBatch events;
  file->read_range(0, 100, events);
  EXPECT_EQ(payloads(events), (std::vector<std::string>{"hello", "", "a", "bc", "def"}));
  EXPECT_EQ(events[0].checksum, 0xC62DCFDu);
  EXPECT_FALSE(events[0].is_inline);
  events.clear();
  file->read_range(2, 4, events);
  EXPECT_EQ(payloads(events), (std::vector<std::string>{"a", "bc"}));
  EXPECT_EQ(events[0].seq, 2u);
  EXPECT_EQ(events[0].timestamp, events[1].timestamp);
}

TEST(Log, KeepsEightBytePayloadsInTheIndexOnlyWhenAskedTo) {
  const auto file = open_memory();
  const auto eight = as_byte_span("abcd1234");
  ASSERT_TRUE(file->append(eight));
  ASSERT_TRUE(file->append_inline(eight.first<8>()));
  EventBatch events;
  file->read_range(0, 2, events);
  EXPECT_FALSE(events[0].is_inline);
  EXPECT_TRUE(events[1].is_inline);
  EXPECT_EQ(payloads(events), (std::vector<std::string>{"abcd1234", "abcd1234"}));
  EXPECT_EQ(file->stats().payload_bytes, 8u);
}

TEST(Log, SharesALogBetweenOpensOfOneNameUntilItIsClosed) {
  Redex redex;
  const auto first = *redex.open_file("a/b", {});
  const auto second = *redex.open_file("a/b", {});
  EXPECT_EQ(first, second);
  ASSERT_TRUE(first->append(as_byte_span("x")));
  ASSERT_TRUE(first->close());
  ASSERT_TRUE(first->close());
  EXPECT_EQ(first->append(as_byte_span("x")).error().message, "file closed");
  EXPECT_EQ(first->append_batch({}).error().message, "file closed");
  EXPECT_EQ(first->length(), 1u);
  const auto third = *redex.open_file("a/b", {});
  EXPECT_EQ(third->length(), 0u);
}

TEST(Log, RefusesAConditionalAppendThatComesTooLate) {
  const auto file = open_memory();
  const ByteSpan batch[] = {as_byte_span("a"), as_byte_span("b")};
  EXPECT_EQ(*file->append_at(0, batch), 0u);
  EXPECT_FALSE(file->append_at(1, batch));
  EXPECT_EQ(*file->append_at(2, batch), 2u);
  EXPECT_EQ(file->length(), 4u);
}

TEST(Log, RefusesEventsBeyondTheLastSequenceNumber) {
  const auto file = open_memory();
  constexpr std::uint64_t kLast = ~std::uint64_t{0} - 1;
  ASSERT_TRUE(file->skip_to(kLast));
  const ByteSpan two[] = {as_byte_span("a"), as_byte_span("b")};
  EXPECT_FALSE(file->append_batch(two));
  EXPECT_EQ(file->append(as_byte_span("a")).value_or(0), kLast);
  const auto refused = file->append(as_byte_span("b"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "channel error: sequence numbers are used up");
  EXPECT_EQ(file->length(), 1u);
}

TEST(Log, ReadsInPiecesThatRespectTheLimits) {
  const auto file = open_memory();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(file->append(as_byte_span("0123456789")));
  EventBatch batch;
  EXPECT_EQ(file->read_range(5, 50, batch, {7, 1000}), 12u);
  EXPECT_EQ(batch.size(), 7u);
  batch.clear();
  EXPECT_EQ(file->read_range(5, 50, batch, {100, 35}), 8u);
  EXPECT_EQ(batch.size(), 3u);
  batch.clear();
  EXPECT_EQ(file->read_range(5, 50, batch, {100, 1}), 6u);
  batch.clear();
  EXPECT_EQ(file->read_range(90, 500, batch, {100, 1000}), 500u);
  EXPECT_EQ(batch.size(), 10u);
}

TEST(Log, ViewsOutliveEvictionAndTheLog) {
  auto file = open_memory({.max_events = 1});
  ASSERT_TRUE(file->append(as_byte_span("kept alive")));
  EventBatch batch;
  file->read_range(0, 1, batch);
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(file->append(Bytes(1000)));
  file.reset();
  EXPECT_EQ(payloads(batch), (std::vector<std::string>{"kept alive"}));
}

TEST(Log, ViewsOutliveTheReuseOfMemoryByALargeLog) {
  Redex redex;
  FileConfig config;
  config.retention.max_bytes = 12 << 20;
  const auto file = *redex.open_file("large", config);
  const auto event = [](std::uint64_t seq) { return Bytes(60'000, std::byte(seq * 7 % 251)); };
  std::atomic<bool> done{false};
  std::atomic<int> held{0};
  // Holds what it has read for a while, here and there, and then looks at all of it again.
  std::thread reader([&] {
    while (!done) {
      std::vector<EventBatch> batches(4);
      for (EventBatch& batch : batches) {
        const std::uint64_t first = file->stats().first_seq;
        file->read_range(first, first + 50, batch);
        std::this_thread::sleep_for(1ms);
      }
      for (const EventBatch& batch : batches) {
        for (const EventView& view : batch) {
          ASSERT_TRUE(std::equal(view.payload.begin(), view.payload.end(), event(view.seq).begin()))
              << view.seq;
          ++held;
        }
      }
    }
  });
  for (std::uint64_t seq = 0; seq < 3000 || held < 200; ++seq)
    ASSERT_EQ(*file->append(event(seq)), seq);
  done = true;
  reader.join();
  EXPECT_EQ(file->stats().corrupt_reads, 0u);
}

TEST(Retention, KeepsTheNewestEvents) {
  const auto file = open_memory({.max_events = 3});
  for (char c = 'a'; c <= 'h'; ++c) ASSERT_TRUE(file->append(as_byte_span(std::string(1, c))));
  EventBatch events;
  file->read_range(0, 100, events);
  EXPECT_EQ(payloads(events), (std::vector<std::string>{"f", "g", "h"}));
  EXPECT_EQ(events[0].seq, 5u);
}

TEST(Retention, CountsTheIndexInBytes) {
  const auto file = open_memory({.max_bytes = 75});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(file->append(as_byte_span("12345")));
  EXPECT_EQ(file->length(), 3u);  // 3 x 25
  ASSERT_TRUE(file->append_inline(as_byte_span("12345678").first<8>()));
  EXPECT_EQ(file->length(), 3u);  // 25 + 25 + 20
  ASSERT_TRUE(file->append(as_byte_span(std::string(56, 'x'))));
  EXPECT_EQ(file->length(), 0u);  // the newest alone is too much
  EXPECT_EQ(file->next_seq(), 5u);
}

TEST(Retention, KeepsAnEventExactlyAtTheAgeLimit) {
  const auto clock = std::make_shared<Clock>();
  const auto file = open_memory({.max_age = Duration(100)}, clock->function());
  clock->now = 1000;
  ASSERT_TRUE(file->append(as_byte_span("old")));
  clock->now = 1001;
  ASSERT_TRUE(file->append(as_byte_span("new")));
  clock->now = 1100;
  EXPECT_EQ(file->length(), 2u);
  clock->now = 1101;
  EXPECT_EQ(file->length(), 1u);
  clock->now = 5000;
  EXPECT_EQ(file->length(), 0u);
}

TEST(Retention, OfZeroEventsKeepsNothing) {
  const auto file = open_memory({.max_events = 0});
  EXPECT_EQ(*file->append(as_byte_span("x")), 0u);
  EXPECT_EQ(*file->append(as_byte_span("x")), 1u);
  EXPECT_EQ(file->length(), 0u);
}

TEST(Tail, DeliversWhatIsThereAndThenWhatComes) {
  const auto file = open_memory();
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(file->append(as_byte_span(std::to_string(i))));
  TailSignal signal;
  const auto tail = file->tail(3, signal.callback());
  std::thread writer([&] {
    for (int i = 5000; i < 20000; ++i) file->append(as_byte_span(std::to_string(i))).value();
    EXPECT_TRUE(file->close());
  });
  std::uint64_t next = 3;
  EventBatch batch;
  for (TailState state = TailState::kMore; state != TailState::kEnded;) {
    state = tail->take(batch);
    ASSERT_NE(state, TailState::kLagged);
    for (const EventView& event : batch) {
      ASSERT_EQ(event.seq, next);
      ASSERT_EQ(testing::text(event.payload), std::to_string(next));
      ++next;
    }
    if (state == TailState::kEmpty) ASSERT_TRUE(signal.wait());
  }
  EXPECT_EQ(next, 20000u);
  writer.join();
}

TEST(Tail, WaitsForASequenceNumberThatLiesAhead) {
  const auto file = open_memory();
  int calls = 0;
  const auto tail = file->tail(2, [&] { ++calls; });
  EventBatch batch;
  EXPECT_EQ(tail->take(batch), TailState::kEmpty);
  for (const char* text : {"a", "b"}) ASSERT_TRUE(file->append(as_byte_span(text)));
  EXPECT_EQ(calls, 0);
  ASSERT_TRUE(file->append(as_byte_span("c")));
  ASSERT_TRUE(file->append(as_byte_span("d")));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(tail->take(batch), TailState::kEmpty);
  EXPECT_EQ(payloads(batch), (std::vector<std::string>{"c", "d"}));
}

TEST(Tail, LagsWhenItsFirstEventIsGone) {
  const auto file = open_memory({.max_events = 2});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(file->append({}));
  EventBatch batch;
  EXPECT_EQ(file->tail(0, {})->take(batch), TailState::kLagged);
  EXPECT_EQ(file->tail(2, {})->take(batch), TailState::kLagged);
  EXPECT_EQ(file->tail(3, {})->take(batch), TailState::kEmpty);
  EXPECT_EQ(batch.size(), 2u);
  const auto nothing = open_memory({.max_events = 0});
  ASSERT_TRUE(nothing->append({}));
  EXPECT_EQ(nothing->tail(0, {})->take(batch), TailState::kLagged);
  EXPECT_EQ(nothing->tail(1, {})->take(batch), TailState::kEmpty);
}

TEST(Tail, IsNotOvertakenByRetentionWithinItsGrace) {
  const auto file = open_memory({.max_events = 1});
  const auto tail = file->tail(0, {});
  for (std::size_t i = 0; i < kTailGraceEvents; ++i) ASSERT_TRUE(file->append(as_byte_span("x")));
  EventBatch batch;
  std::uint64_t seen = 0;
  while (tail->take(batch, {100, 1000}) == TailState::kMore) seen += batch.size();
  EXPECT_EQ(seen + batch.size(), kTailGraceEvents);

  for (std::size_t i = 0; i < kTailGraceEvents + 2; ++i) ASSERT_TRUE(file->append({}));
  EXPECT_EQ(tail->take(batch), TailState::kLagged);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(tail->take(batch), TailState::kLagged);
}

TEST(Tail, EndsWithItsFileAfterWhatWasAppended) {
  const auto file = open_memory();
  int calls = 0;
  const auto tail = file->tail(0, [&] { ++calls; });
  EventBatch batch;
  EXPECT_EQ(tail->take(batch), TailState::kEmpty);
  ASSERT_TRUE(file->append(as_byte_span("last")));
  ASSERT_TRUE(file->close());
  EXPECT_EQ(tail->take(batch), TailState::kEnded);
  EXPECT_EQ(batch.size(), 1u);
  EXPECT_EQ(tail->take(batch), TailState::kEnded);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(file->tail(0, {})->take(batch), TailState::kEnded);
  EXPECT_TRUE(batch.empty());
}

TEST(Tail, HearsOfTheEndWhileItWaits) {
  const auto file = open_memory();
  TailSignal signal;
  const auto tail = file->tail(0, signal.callback());
  EventBatch batch;
  ASSERT_EQ(tail->take(batch), TailState::kEmpty);
  std::thread closer([&] { EXPECT_TRUE(file->close()); });
  EXPECT_TRUE(signal.wait());
  EXPECT_EQ(tail->take(batch), TailState::kEnded);
  closer.join();
}

TEST(Tail, DoesNotCallBackOnceClosed) {
  const auto file = open_memory();
  int calls = 0;
  auto tail = file->tail(0, [&] { ++calls; });
  EventBatch batch;
  ASSERT_EQ(tail->take(batch), TailState::kEmpty);
  tail->close();
  ASSERT_TRUE(file->append({}));
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(tail->take(batch), TailState::kEnded);
}

TEST(Tail, ManyOfThemReadOneLogIndependently) {
  const auto file = open_memory();
  constexpr int kTails = 50;
  constexpr std::uint64_t kEvents = 2000;
  std::vector<std::thread> readers;
  std::vector<TailSignal> signals(kTails);
  std::atomic<int> complete{0};
  for (TailSignal& signal : signals) {
    readers.emplace_back([&, tail = file->tail(0, signal.callback())] {
      EventBatch batch;
      std::uint64_t next = 0;
      for (TailState state = TailState::kMore; state != TailState::kEnded;) {
        state = tail->take(batch, {64, 4096});
        for (const EventView& event : batch) next += event.seq == next ? 1 : kEvents;
        if (state == TailState::kEmpty) signal.wait();
      }
      complete += next == kEvents ? 1 : 0;
    });
  }
  for (std::uint64_t i = 0; i < kEvents; ++i) file->append(as_byte_span("event")).value();
  EXPECT_TRUE(file->close());
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(complete, kTails);
}

TEST(SkipTo, DropsWhatIsOlderAndGoesOnFromThere) {
  const auto file = open_memory();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(file->append({}));
  ASSERT_TRUE(file->skip_to(2));
  EXPECT_EQ(file->length(), 3u);
  ASSERT_TRUE(file->skip_to(10));
  EXPECT_EQ(file->length(), 0u);
  EXPECT_EQ(*file->append(as_byte_span("ten")), 10u);
  EventBatch batch;
  EXPECT_EQ(file->tail(0, {})->take(batch), TailState::kLagged);
  EXPECT_EQ(file->tail(10, {})->take(batch), TailState::kEmpty);
  EXPECT_EQ(payloads(batch), (std::vector<std::string>{"ten"}));
}

TEST(Manager, ListsItsOpenFilesAndRefusesBadNamesAndConfigurations) {
  Redex redex;
  ASSERT_TRUE(redex.open_file("b", {}));
  ASSERT_TRUE(redex.open_file("a", {}));
  EXPECT_EQ(redex.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(redex.open_file("A", {}).error().message.substr(0, 22), "invalid channel name: ");
  EXPECT_EQ(redex.open_file("c", {.persistent = true}).error().message,
            "channel error: config.persistent=true requires Redex::with_persistent_dir(...)");
  EXPECT_EQ(redex.find("c"), nullptr);
}

}  // namespace
}  // namespace netmesh::redex
