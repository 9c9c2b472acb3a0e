#include "bus/dispatcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "bus/bus.h"

namespace netmesh::bus {
namespace {

using namespace std::chrono_literals;

/// The application's side: takes batches when it is signalled.
class Application {
 public:
  std::function<void()> signal() {
    return [this] {
      const std::lock_guard lock(mutex_);
      signalled_ = true;
      changed_.notify_one();
    };
  }
  /// What comes next; empty when nothing comes for a while.
  Dispatcher::Taken wait(Dispatcher& dispatcher, std::chrono::milliseconds patience = 2000ms) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return signalled_; });
    signalled_ = false;
    lock.unlock();
    return dispatcher.take();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool signalled_ = false;
};

BusOptions options() {
  BusOptions out;
  out.shards = 2;
  out.ring_capacity = 1024;
  out.dispatch = true;
  out.encoding = Encoding::kRaw;
  out.batch = {.min_size = 10, .max_size = 100, .max_delay = 5ms};
  return out;
}

std::vector<std::string> events_of(const EncodedBatch& batch) {
  std::vector<std::string> out;
  std::uint32_t start = 0;
  for (const std::uint32_t end : batch.ends) {
    out.emplace_back(reinterpret_cast<const char*>(batch.bytes.data()) + start, end - start);
    start = end;
  }
  return out;
}

TEST(Dispatcher, HandsOverWhatWaitsAfterTheLongestDelay) {
  Application application;
  auto bus = Bus::create(options(), application.signal()).value();
  bus->ingest(as_byte_span("{\"a\":1}"));
  const auto taken = application.wait(*bus->dispatcher());
  ASSERT_EQ(taken.batches.size(), 1u);
  EXPECT_EQ(events_of(taken.batches[0].batch), std::vector<std::string>{"{\"a\":1}"});
  EXPECT_EQ(taken.batches[0].batch.sequence_start, 0u);
  EXPECT_EQ(taken.batches[0].batch.nonce, bus->nonce());
}

TEST(Dispatcher, WritesEntriesByteForByte) {
  Application application;
  BusOptions entries = options();
  entries.encoding = Encoding::kEntry;
  entries.shards = 1;
  auto bus = Bus::create(entries, application.signal()).value();
  const auto ingested = bus->ingest(as_byte_span("{\"a\":1}"));
  const auto taken = application.wait(*bus->dispatcher());
  EXPECT_EQ(events_of(taken.batches.at(0).batch).at(0),
            "{\"r\":{\"a\":1},\"t\":" + std::to_string(ingested.timestamp) + ",\"s\":0}");
}

TEST(Dispatcher, HasAtMostTwoBatchesOfAShardOutAndLetsTheRingFill) {
  Application application;
  BusOptions strict = options();
  strict.shards = 1;
  strict.backpressure = Backpressure::kFailProducer;
  strict.batch = {.min_size = 10, .max_size = 10, .max_delay = 1ms, .adaptive = false};
  auto bus = Bus::create(strict, application.signal()).value();
  std::size_t accepted = 0;
  for (int rounds = 0; rounds < 200; ++rounds) {
    for (int i = 0; i < 10; ++i) {
      if (bus->ingest(as_byte_span("x")).status == IngestStatus::kStored) ++accepted;
    }
    std::this_thread::sleep_for(100us);
  }
  EXPECT_LE(accepted, 1023u + 20u);
  EXPECT_GE(accepted, 1023u);
  const auto taken = application.wait(*bus->dispatcher());
  EXPECT_LE(taken.batches.size(), 2u);
}

TEST(Dispatcher, SaysThatAFlushIsThroughOnceEverythingIsSettled) {
  Application application;
  auto bus = Bus::create(options(), application.signal()).value();
  Dispatcher& dispatcher = *bus->dispatcher();
  const std::uint32_t nothing = dispatcher.request_flush();
  EXPECT_EQ(application.wait(dispatcher).flushed, std::vector<std::uint32_t>{nothing});

  for (int i = 0; i < 5; ++i) bus->ingest(as_byte_span(std::to_string(i)));
  const std::uint32_t flush = dispatcher.request_flush();
  std::vector<OutgoingBatch> batches;
  std::size_t events = 0;
  while (events < 5) {
    for (OutgoingBatch& batch : application.wait(dispatcher).batches) {
      events += batch.batch.size();
      batches.push_back(std::move(batch));
    }
  }
  EXPECT_TRUE(application.wait(dispatcher, 20ms).flushed.empty());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    dispatcher.settle(batches[i].token, true);
    if (i + 1 < batches.size()) EXPECT_TRUE(application.wait(dispatcher, 20ms).flushed.empty());
  }
  EXPECT_EQ(application.wait(dispatcher).flushed, std::vector<std::uint32_t>{flush});
  EXPECT_EQ(dispatcher.counters().events_dispatched, 5u);
}

TEST(Dispatcher, GivesEverySequenceOfAShardToExactlyOneEvent) {
  constexpr int kEvents = 60'000;
  Application application;
  BusOptions busy = options();
  busy.shards = 3;
  busy.backpressure = Backpressure::kFailProducer;
  auto bus = Bus::create(busy, application.signal()).value();
  Dispatcher& dispatcher = *bus->dispatcher();
  std::thread producer([&] {
    for (int n = 0; n < kEvents;) {
      if (bus->ingest(as_byte_span(std::to_string(n))).status == IngestStatus::kStored)
        ++n;
      else
        std::this_thread::yield();
    }
  });
  std::mt19937 random(7);
  std::array<std::uint64_t, 3> next{};
  std::set<std::string> seen;
  std::vector<std::uint32_t> held;
  while (seen.size() < kEvents) {
    auto taken = application.wait(dispatcher, 20ms);
    for (const OutgoingBatch& outgoing : taken.batches) {
      EXPECT_EQ(outgoing.batch.sequence_start, next.at(outgoing.batch.shard));
      next.at(outgoing.batch.shard) += outgoing.batch.size();
      for (std::string& event : events_of(outgoing.batch))
        EXPECT_TRUE(seen.insert(std::move(event)).second);
      held.push_back(outgoing.token);
    }
    // Settled late and out of order.
    std::shuffle(held.begin(), held.end(), random);
    while (!held.empty() && (random() % 4 != 0 || taken.batches.empty())) {
      dispatcher.settle(held.back(), true);
      held.pop_back();
    }
  }
  producer.join();
  EXPECT_EQ(seen.size(), std::size_t{kEvents});
}

TEST(Dispatcher, CountsWhatIsGivenUp) {
  Application application;
  auto bus = Bus::create(options(), application.signal()).value();
  bus->ingest(as_byte_span("x"));
  const auto taken = application.wait(*bus->dispatcher());
  bus->dispatcher()->settle(taken.batches.at(0).token, false);
  const std::uint32_t flush = bus->dispatcher()->request_flush();
  EXPECT_EQ(application.wait(*bus->dispatcher()).flushed, std::vector<std::uint32_t>{flush});
  EXPECT_EQ(bus->dispatcher()->counters().events_lost, 1u);
  EXPECT_EQ(bus->dispatcher()->counters().batches_lost, 1u);
}

TEST(AdaptiveBatchSize, GrowsUnderLoadAndShrinksWithoutIt) {
  const BatchConfig config{.min_size = 100, .max_size = 5000};
  AdaptiveBatchSize size(config);
  TimePoint now{std::chrono::hours(1)};
  EXPECT_EQ(size.target(), 100u);
  for (int i = 0; i < 200; ++i) size.record(now += 1ms, 500);  // 500 000 per second
  EXPECT_GT(size.target(), 2000u);
  EXPECT_LE(size.target(), 2600u);  // the window holds 100 samples, or 101
  for (int i = 0; i < 200; ++i) size.record(now += 10ms, 0);
  EXPECT_EQ(size.target(), 100u);
}

}  // namespace
}  // namespace netmesh::bus
