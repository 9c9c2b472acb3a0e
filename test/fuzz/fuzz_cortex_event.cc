// Events of tasks and memories: what is no event changes nothing, what is one is sealed the same
// again, and the rows that come of it survive a snapshot.

#include "cortex/memories.h"
#include "cortex/snapshot.h"
#include "cortex/tasks.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::cortex;

namespace {

/// Folds bodies of any kind into a state and saves it.
template <typename Model>
void fold(ByteSpan input) {
  typename Model::State state;
  ByteReader in(input);
  while (in.remaining() > 0) {
    const std::uint8_t dispatch = in.u8();
    const ByteSpan body = in.bytes(std::min<std::size_t>(in.u8(), in.remaining()));
    const std::size_t before = state.size();
    const bool decoded = Model::apply(state, Event{{dispatch, 0, 1, 0}, body}, [](const auto&) {});
    FUZZ_CHECK(decoded || state.size() == before);
  }
  const Snapshot snapshot = encode_snapshot<Model>(state, 7, std::nullopt);
  typename Model::State again;
  FUZZ_CHECK(decode_snapshot<Model>(snapshot.bytes(), again) == 7U);
  FUZZ_CHECK(again.size() == state.size());
  const Snapshot second = encode_snapshot<Model>(again, 7, std::nullopt);
  FUZZ_CHECK(fuzz::equal(snapshot.bytes(), second.bytes()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input = fuzz::input_bytes(data, size);
  EventReader reader;
  if (const auto event = reader.read(input)) {
    FUZZ_CHECK(event->body.size() + kEventMetaBytes == size);
    Bytes sealed(input.begin(), input.end());
    seal_event(event->meta, sealed);
    const auto again = EventReader().read(sealed);
    FUZZ_CHECK(again && again->meta == event->meta && fuzz::equal(again->body, event->body));
  }
  fold<TasksModel>(input);
  fold<MemoriesModel>(input);
  return 0;
}
