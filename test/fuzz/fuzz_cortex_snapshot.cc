// Snapshots and bundles from elsewhere: decoding never reads beyond the input, and what decodes is
// encoded to something that decodes to the same.

#include "cortex/memories.h"
#include "cortex/snapshot.h"
#include "cortex/tasks.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::cortex;

namespace {

template <typename Model>
void check(ByteSpan input) {
  typename Model::State state;
  const auto app_seq = decode_snapshot<Model>(input, state);
  if (!app_seq) return;
  const Snapshot first = encode_snapshot<Model>(state, *app_seq, std::nullopt);
  typename Model::State again;
  FUZZ_CHECK(decode_snapshot<Model>(first.bytes(), again) == *app_seq);
  const Snapshot second = encode_snapshot<Model>(again, *app_seq, std::nullopt);
  FUZZ_CHECK(fuzz::equal(first.bytes(), second.bytes()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input = fuzz::input_bytes(data, size);
  check<TasksModel>(input);
  check<MemoriesModel>(input);
  if (const auto bundle = decode_bundle(input)) {
    FUZZ_CHECK(decode_bundle(encode_bundle(*bundle)) == *bundle);
    if (bundle->tasks) check<TasksModel>(bundle->tasks->state);
    if (bundle->memories) check<MemoriesModel>(bundle->memories->state);
  }
  return 0;
}
