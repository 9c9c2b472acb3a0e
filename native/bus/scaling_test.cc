#include "bus/scaling.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <thread>

#include "bus/bus.h"

namespace netmesh::bus {
namespace {

using namespace std::chrono_literals;

ScalingPolicy policy() {
  ScalingPolicy out;
  out.min_shards = 1;
  out.max_shards = 8;
  out.cooldown = 1s;
  out.scale_down_delay = 10s;
  return out;
}

constexpr ShardLoad kFull{0.9, 1000};
constexpr ShardLoad kBusy{0.3, 1000};
constexpr ShardLoad kIdle{0, 0};

TEST(ShardScaler, AddsHalfAsManyShardsAsAreOverloadedWhenMostAre) {
  ShardScaler scaler(policy());
  const ShardScaler::Instant now{1h};
  EXPECT_EQ(scaler.decide(now, std::vector{kFull, kFull, kBusy, kBusy}), 4u);
  EXPECT_EQ(scaler.decide(now, std::vector{kFull, kFull, kFull, kFull}), 6u);
  EXPECT_EQ(scaler.decide(now, std::vector{kFull}), 2u);
  EXPECT_EQ(scaler.decide(now, std::vector(7, kFull)), 8u);
  EXPECT_EQ(scaler.decide(now, std::vector(8, kFull)), 8u);
}

TEST(ShardScaler, WaitsForTheCooldownAfterAChange) {
  ShardScaler scaler(policy());
  const ShardScaler::Instant now{1h};
  scaler.changed(now);
  EXPECT_EQ(scaler.decide(now + 999ms, std::vector{kFull}), 1u);
  EXPECT_EQ(scaler.decide(now + 1s, std::vector{kFull}), 2u);
}

TEST(ShardScaler, TakesShardsAwayOnlyWhenMostWereIdleAllTheTime) {
  ShardScaler scaler(policy());
  const ShardScaler::Instant now{1h};
  const std::vector idle(4, kIdle);
  EXPECT_EQ(scaler.decide(now, idle), 4u);
  EXPECT_EQ(scaler.decide(now + 9s, std::vector(4, kBusy)), 4u);
  EXPECT_EQ(scaler.decide(now + 10s, idle), 4u);
  EXPECT_EQ(scaler.decide(now + 19s, idle), 4u);
  EXPECT_EQ(scaler.decide(now + 20s, idle), 2u);
  EXPECT_EQ(scaler.decide(now + 40s, std::vector{kIdle}), 1u);
}

TEST(ShardScaler, NamesTheRuleThatAPolicyBreaks) {
  const auto rule = [](auto&& change) {
    BusOptions options;
    change(options.scaling);
    return Bus::create(options, [] {}).error().message;
  };
  const std::string prefix = "invalid configuration: scaling policy: invalid configuration: ";
  EXPECT_EQ(rule([](ScalingPolicy& p) { p.fill_ratio_threshold = std::nan(""); }),
            prefix + "fill_ratio_threshold must be in (0, 1]");
  EXPECT_EQ(rule([](ScalingPolicy& p) { p.min_shards = 0; }), prefix + "min_shards must be > 0");
  EXPECT_EQ(rule([](ScalingPolicy& p) { p.cooldown = 0ns; }), prefix + "cooldown must be > 0");
}

std::string text_of(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

constexpr int kEach = 20'000;

/// Emits 20000 numbers from each of two threads. `change` is called again and again while they do,
/// each time with at least half of a stretch still to come, and `serve` all the time.
template <typename Change, typename Serve>
void emit_from_two_threads(Bus& bus, Change&& change, Serve&& serve) {
  constexpr int kStretch = 1000;
  std::atomic<int> allowed{0};
  std::array<std::atomic<int>, 2> emitted{};
  std::vector<std::thread> producers;
  for (int producer = 0; producer < 2; ++producer) {
    producers.emplace_back([&, producer] {
      for (int n = 0; n < kEach;) {
        while (n >= allowed) std::this_thread::yield();
        std::vector<std::string> texts;
        for (int i = 0; i < 1 + n % 7 && n + i < kEach; ++i)
          texts.push_back(std::to_string(producer * kEach + n + i));
        std::vector<ByteSpan> payloads;
        for (const auto& text : texts) payloads.push_back(as_byte_span(text));
        if (texts.size() == 1) {
          EXPECT_EQ(bus.ingest(payloads[0]).status, IngestStatus::kStored);
        } else {
          EXPECT_EQ(bus.ingest_all(payloads), payloads.size());
        }
        emitted[static_cast<std::size_t>(producer)] = n += static_cast<int>(texts.size());
      }
    });
  }
  while (allowed < kEach) {
    allowed += kStretch;
    while (emitted[0] < allowed - kStretch / 2 || emitted[1] < allowed - kStretch / 2) serve();
    change();
  }
  for (auto& producer : producers) producer.join();
}

TEST(Scaling, LosesAndRepeatsNothingInTheStoreAndKeepsCursorsGood) {
  BusOptions options;
  options.shards = 2;
  options.scaling.max_shards = 6;
  options.ring_capacity = 1024;
  options.backpressure = Backpressure::kFailProducer;
  auto bus = Bus::create(options, [] {}).value();
  std::map<int, int> seen;
  PollRequest request;
  request.limit = 700;
  const auto read = [&] {
    const auto page = bus->poll(request).value();
    for (const auto& event : page.events) ++seen[std::stoi(text_of(event.payload))];
    request.cursor = page.next_id;
    return page.has_more;
  };
  std::uint32_t step = 0;
  emit_from_two_threads(
      *bus, [&] { bus->scale_to(1 + ++step * 5 % 6); }, read);
  while (read()) continue;
  EXPECT_EQ(seen.size(), 2u * kEach);
  for (const auto& [number, times] : seen) ASSERT_EQ(times, 1) << number;
  EXPECT_EQ(bus->stats().ingested, 2u * kEach);
}

TEST(Scaling, SendsEveryEventOnceWithSequencesWithoutGaps) {
  BusOptions options;
  options.shards = 1;
  options.scaling.max_shards = 5;
  options.ring_capacity = 1u << 16;
  options.backpressure = Backpressure::kFailProducer;
  options.dispatch = true;
  options.encoding = Encoding::kRaw;
  options.batch = {.min_size = 10, .max_size = 500, .max_delay = 1ms};
  auto bus = Bus::create(options, [] {}).value();
  std::map<int, int> seen;
  std::map<ShardId, std::uint64_t> next;
  const auto deliver = [&] {
    auto taken = bus->dispatcher()->take();
    for (const auto& [token, batch] : taken.batches) {
      EXPECT_EQ(batch.sequence_start, next[batch.shard]);
      next[batch.shard] += batch.size();
      std::uint32_t start = 0;
      for (const std::uint32_t end : batch.ends) {
        ++seen[std::stoi(text_of(batch.bytes.bytes().subspan(start, end - start)))];
        start = end;
      }
      bus->dispatcher()->settle(token, true);
    }
    return !taken.flushed.empty();
  };
  std::uint32_t step = 0;
  emit_from_two_threads(
      *bus, [&] { bus->scale_to(1 + ++step * 3 % 5); }, deliver);
  bus->dispatcher()->request_flush();
  while (!deliver()) std::this_thread::yield();
  EXPECT_EQ(seen.size(), 2u * kEach);
  for (const auto& [number, times] : seen) ASSERT_EQ(times, 1) << number;
  EXPECT_EQ(next.size(), 5u);
}

TEST(Scaling, SendsWhatWaitsInAShardThatDropsOutAtOnce) {
  BusOptions options;
  options.shards = 2;
  options.ring_capacity = 1024;
  options.dispatch = true;
  options.batch = {.min_size = 1000, .max_size = 1000, .max_delay = 1h};
  auto bus = Bus::create(options, [] {}).value();
  ASSERT_EQ(bus->ingest_hashed(as_byte_span("1"), ~0ULL).shard, 1);
  EXPECT_EQ(bus->scale_to(1), 1u);
  std::vector<OutgoingBatch> batches;
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (batches.empty() && std::chrono::steady_clock::now() < deadline)
    batches = bus->dispatcher()->take().batches;
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].batch.shard, 1);
  EXPECT_TRUE(bus->is_drained(1));
  EXPECT_EQ(bus->ingest_hashed(as_byte_span("2"), ~0ULL).shard, 0);
}

TEST(Scaling, FollowsTheLoad) {
  BusOptions options;
  options.scaling.max_shards = 3;
  options.scaling.cooldown = 1ns;
  options.scaling.scale_down_delay = 1ns;
  options.ring_capacity = 1024;
  options.dispatch = true;
  options.batch = {.min_size = 10, .max_size = 10, .max_delay = 1ms};
  auto bus = Bus::create(options, [] {}).value();
  EXPECT_EQ(bus->scale_by_load(), 1u);
  // Nothing is settled: two batches are made and the ring fills.
  for (int n = 0; n < 1000; ++n) bus->ingest(as_byte_span(std::to_string(n)));
  EXPECT_EQ(bus->scale_by_load(), 2u);
  bus->dispatcher()->request_flush();
  for (bool done = false; !done;) {
    const auto taken = bus->dispatcher()->take();
    for (const auto& each : taken.batches) bus->dispatcher()->settle(each.token, true);
    done = !taken.flushed.empty();
  }
  bus->scale_by_load();
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (bus->scale_by_load() > 1) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

}  // namespace
}  // namespace netmesh::bus
