// Appending and reading, without JavaScript.

#include <benchmark/benchmark.h>

#include "redex/redex.h"

namespace netmesh::redex {
namespace {

void append_to_memory(benchmark::State& state) {
  const Bytes payload(static_cast<std::size_t>(state.range(0)), std::byte{7});
  Redex redex;
  FileConfig config;
  config.retention.max_bytes = 64 << 20;
  const auto file = *redex.open_file("bench", config);
  for (auto _ : state) benchmark::DoNotOptimize(file->append(payload));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(append_to_memory)->Arg(64)->Arg(256)->Arg(4096);

}  // namespace
}  // namespace netmesh::redex
