// How fast states are folded, queried and saved.

#include <benchmark/benchmark.h>

#include <random>

#include "cortex/adapter.h"

namespace netmesh::cortex {
namespace {

constexpr std::uint64_t kTasks = 100'000;

Bytes created(std::uint64_t id, std::string_view title, std::uint64_t now, std::uint64_t app_seq) {
  Bytes payload(kEventMetaBytes + 3 * kMaxVarintBytes + title.size());
  std::byte* at = put_varint(payload.data() + kEventMetaBytes, id);
  at = put_varint(put_counted(at, title), now);
  payload.resize(static_cast<std::size_t>(at - payload.data()));
  seal_event({TasksModel::kCreated, 0, 1, app_seq}, payload);
  return payload;
}

/// Tasks of which one in a hundred is completed, with random times.
TasksModel::State many_tasks() {
  std::mt19937_64 random(1);
  TasksModel::State state;
  for (std::uint64_t id = 0; id < kTasks; ++id) {
    state.put(id, [&](Task& task, bool) {
      task.id = id;
      task.title.assign("task number " + std::to_string(id));
      task.status = id % 100 == 0 ? TaskStatus::kCompleted : TaskStatus::kPending;
      task.created_ns = task.updated_ns = 1'700'000'000'000'000'000 + random() % 1'000'000'000'000;
    });
  }
  return state;
}

void seal_and_read_an_event(benchmark::State& state) {
  EventReader reader;
  for (auto _ : state) {
    const Bytes payload = created(7, "write the documents", 100, 1);
    benchmark::DoNotOptimize(reader.read(payload));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(seal_and_read_an_event);

void append_and_fold(benchmark::State& state) {
  for (auto _ : state) {
    redex::Redex redex;
    auto tasks = Adapter<TasksModel>::open(redex, {1, {}, {}}, [] {}).value();
    std::uint64_t last = 0;
    for (std::uint64_t id = 0; id < kTasks; ++id) {
      last = tasks
                 ->append("create failed", TasksModel::kCreated, 64,
                          [&](std::byte* at) {
                            at = put_counted(put_varint(at, id), "write the documents");
                            return put_varint(at, 1'700'000'000'000'000'000);
                          })
                 .value();
    }
    while (tasks->watermarks().folded < last) std::this_thread::yield();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kTasks));
}
BENCHMARK(append_and_fold)->Unit(benchmark::kMillisecond)->UseRealTime();

void query(benchmark::State& state, const TaskFilter& filter) {
  TasksModel::State tasks = many_tasks();
  TasksModel::select(tasks, filter);  // makes the index
  std::size_t rows = 0;
  for (auto _ : state) {
    const RowBlock block = TasksModel::pack(TasksModel::select(tasks, filter));
    rows = block.count;
    benchmark::DoNotOptimize(block);
  }
  state.counters["rows"] = static_cast<double>(rows);
}

TaskFilter newest_pending() {
  TaskFilter filter;
  filter.status = TaskStatus::kPending;
  filter.common.order = {OrderKey::kCreated, true};
  filter.common.limit = 20;
  return filter;
}

TaskFilter few_in_time() {
  TaskFilter filter;
  filter.common.created = {1'700'000'500'000'000'000, 1'700'000'500'500'000'000};
  return filter;
}

TaskFilter few_by_title() {
  TaskFilter filter;
  filter.lower_title_part = "number 77777";
  return filter;
}

BENCHMARK_CAPTURE(query, newest_20_of_a_status, newest_pending())->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(query, created_within_a_range, few_in_time())->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(query, title_contains, few_by_title())->Unit(benchmark::kMicrosecond);

void encode_a_snapshot(benchmark::State& state) {
  const TasksModel::State tasks = many_tasks();
  std::size_t bytes = 0;
  for (auto _ : state) {
    const Snapshot snapshot = encode_snapshot<TasksModel>(tasks, 1, 1);
    bytes = snapshot.bytes().size();
    benchmark::DoNotOptimize(snapshot);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}
BENCHMARK(encode_a_snapshot)->Unit(benchmark::kMillisecond);

void decode_a_snapshot(benchmark::State& state) {
  const TasksModel::State tasks = many_tasks();
  const Snapshot snapshot = encode_snapshot<TasksModel>(tasks, 1, 1);
  for (auto _ : state) {
    TasksModel::State decoded;
    benchmark::DoNotOptimize(decode_snapshot<TasksModel>(snapshot.bytes(), decoded));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(snapshot.bytes().size()));
}
BENCHMARK(decode_a_snapshot)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace netmesh::cortex
