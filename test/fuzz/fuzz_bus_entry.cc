// Entries of a backend, whoever wrote them: a payload is a slice of its entry, and what is written
// again is read as the same.

#include <vector>

#include "bus/entry.h"
#include "bus/json.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::bus;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input = fuzz::input_bytes(data, size);
  const auto entry = read_entry(input);
  if (!entry) return 0;
  FUZZ_CHECK(entry->payload.empty() ||
             (entry->payload.data() >= input.data() &&
              entry->payload.data() + entry->payload.size() <= input.data() + input.size()));
  std::vector<std::byte> bytes(entry->payload.size() + kMaxEntryOverhead);
  bytes.resize(write_entry(entry->payload, entry->timestamp, entry->shard, bytes.data()));
  const auto again = read_entry(bytes);
  FUZZ_CHECK(again && again->timestamp == entry->timestamp && again->shard == entry->shard);
  FUZZ_CHECK(fuzz::equal(again->payload, entry->payload));
  return 0;
}
