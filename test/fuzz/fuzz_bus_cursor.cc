// Cursors from anywhere: what is accepted means the same after the way into text and back.

#include "bus/cursor.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::bus;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto cursor = decode_cursor(input)) {
    const auto again = decode_cursor(encode_cursor(*cursor));
    FUZZ_CHECK(again && *again == *cursor);
  }
  // Positions of any kind of text, and their order.
  const std::size_t half = size / 2;
  const std::string a(input.substr(0, half)), b(input.substr(half));
  FUZZ_CHECK(compare_positions(a, a) == 0);
  const auto there = compare_positions(a, b), back = compare_positions(b, a);
  FUZZ_CHECK((there < 0) == (back > 0) && (there == 0) == (back == 0));
  return 0;
}
