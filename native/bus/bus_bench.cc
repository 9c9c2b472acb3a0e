#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "bus/bus.h"
#include "bus/event_ring.h"
#include "bus/filter.h"

namespace netmesh::bus {
namespace {

/// The payload of P7.
const std::string kPayload = R"({"token":"hello","index":0})";

/// One thread pushes in batches and pops: the cost of a ring without anybody else.
void ring_push_pop(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  EventRing ring(1u << 16, Backpressure::kDropNewest);
  std::vector<EventSlot> slots(batch);
  const ByteSpan payload = as_byte_span(kPayload);
  for (auto _ : state) {
    ring.push_all(batch, 0, [&](std::size_t) { return payload; });
    release_slots(slots.data(), ring.pop(slots).count);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * batch));
}
BENCHMARK(ring_push_pop)->Arg(64)->Arg(1000);

/// One event at a time, while another thread drains.
void ring_push_while_drained(benchmark::State& state) {
  EventRing ring(1u << 16, Backpressure::kDropOldest);
  std::atomic<bool> stop{false};
  std::thread consumer([&] {
    std::vector<EventSlot> slots(1000);
    while (!stop.load(std::memory_order_relaxed)) {
      const std::size_t count = ring.pop(slots).count;
      release_slots(slots.data(), count);
      if (count == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  const ByteSpan payload = as_byte_span(kPayload);
  for (auto _ : state) benchmark::DoNotOptimize(ring.push(payload, 0));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  stop = true;
  consumer.join();
}
BENCHMARK(ring_push_while_drained);

/// Hash, shard, clock, ring and store: what `emitBuffer` costs below Node-API.
void bus_ingest(benchmark::State& state) {
  BusOptions options;
  options.shards = 2;
  auto bus = Bus::create(options, [] {}).value();
  const ByteSpan payload = as_byte_span(kPayload);
  for (auto _ : state) benchmark::DoNotOptimize(bus->ingest(payload));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(bus_ingest);

void bus_ingest_batch(benchmark::State& state) {
  BusOptions options;
  options.shards = 2;
  auto bus = Bus::create(options, [] {}).value();
  const std::vector<ByteSpan> payloads(1000, as_byte_span(kPayload));
  for (auto _ : state) benchmark::DoNotOptimize(bus->ingest_all(payloads));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * payloads.size()));
}
BENCHMARK(bus_ingest_batch);

void filter_match(benchmark::State& state) {
  FilterMatcher matcher(Filter::parse(R"({"path":"token","value":"hello"})").value());
  const ByteSpan payload = as_byte_span(kPayload);
  for (auto _ : state) benchmark::DoNotOptimize(matcher.matches(payload));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(filter_match);

}  // namespace
}  // namespace netmesh::bus
