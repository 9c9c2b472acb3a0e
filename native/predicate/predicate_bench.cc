#include <benchmark/benchmark.h>

#include "predicate/predicate_json.h"

namespace netmesh::predicate {
namespace {

constexpr std::string_view kTypical =
    R"({"nodes":[{"kind":"exists","key":{"axis":"hardware","key":"gpu"}},)"
    R"({"kind":"numeric_at_least","key":{"axis":"hardware","key":"gpu.vram_gb"},"threshold":64.0},)"
    R"({"kind":"semver_compatible","key":{"axis":"software","key":"runtime.python"},"version":"3.10"},)"
    R"({"kind":"metadata_equals","key":"intent","value":"ml-training"},)"
    R"({"kind":"and","children":[0,1,2,3]}],"root_idx":4})";

const std::vector<std::string> kTags = {
    "hardware.cpu_cores=16",      "hardware.memory_gb=64",          "hardware.gpu",
    "hardware.gpu.vendor=nvidia", "hardware.gpu.vram_gb=80",        "software.os=linux",
    "software.model.0.id=llama",  "software.runtime.python=3.11.4", "scope:tenant:acme"};
const Metadata kMetadata = {{"intent", "ml-training"}};

void decode_header(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(from_header(kTypical));
}
BENCHMARK(decode_header);

void sort_out_tags(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(CapabilityView(kTags, kMetadata));
}
BENCHMARK(sort_out_tags);

void evaluate(benchmark::State& state) {
  const auto predicate = *from_header(kTypical);
  const CapabilityView view(kTags, kMetadata);
  for (auto _ : state) benchmark::DoNotOptimize(predicate.matches(view));
}
BENCHMARK(evaluate);

}  // namespace
}  // namespace netmesh::predicate
