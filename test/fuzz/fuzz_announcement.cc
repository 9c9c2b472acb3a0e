// Announcements: what parses survives being written and read again, fits its bounds, and neither
// describing, stripping nor indexing it breaks anything.

#include "capability/index.h"
#include "capability/inventory.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::capability;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static AnnouncementParser parser;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto parsed = parser.parse(text);
  if (!parsed) return 0;
  FUZZ_CHECK(parsed->capabilities.tags.size() <= kMaxAnnouncementTags);
  FUZZ_CHECK(!parsed->capabilities.tags.contains(""));

  const auto again = parser.parse(parsed->encode());
  FUZZ_CHECK(again && *again == *parsed);

  const Description described = describe(parsed->capabilities);
  for (const std::string& tag : described.tags) FUZZ_CHECK(parsed->capabilities.tags.contains(tag));

  strip_for_index(parsed->capabilities);
  CapabilityIndex index({.self = NodeId(1), .own_subnet = {}});
  const Now now{TimePoint(Duration(1)), static_cast<std::int64_t>(parsed->timestamp_ns >> 1)};
  const auto outcome = index.upsert(*parsed, now);
  FUZZ_CHECK(outcome == CapabilityIndex::Outcome::kAdded);
  FUZZ_CHECK(index.capabilities_of(parsed->node_id) == parsed->capabilities);
  FUZZ_CHECK(index.find_nodes({}, now.monotonic).size() == 1);
  index.aggregate({}, {GroupBy::Kind::kTagStem, "hardware", ""}, {}, now.monotonic);
  FUZZ_CHECK(index.remove(parsed->node_id) && index.size() == 0);
  return 0;
}
