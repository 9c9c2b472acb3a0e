// Filters and payloads of any kind, one line of each: a filter gives the same answer each time, and
// the opposite one inside of `$not`.

#include "bus/filter.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::bus;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  const std::string text(input.substr(0, line));
  const auto filter = Filter::parse(text);
  if (!filter) return 0;
  const std::string payload(line == std::string_view::npos ? "" : input.substr(line + 1));
  FilterMatcher matcher(*filter);
  const bool matches = matcher.matches(as_byte_span(payload));
  FUZZ_CHECK(!matcher.matches(as_byte_span("no JSON")));
  FUZZ_CHECK(matcher.matches(as_byte_span(payload)) == matches);
  // Refused only when it is nested too deeply then.
  if (const auto opposite = Filter::parse("{\"$not\":" + text + "}")) {
    FilterMatcher other(*opposite);
    const bool is_json = matches || other.matches(as_byte_span(payload));
    FUZZ_CHECK(!is_json || other.matches(as_byte_span(payload)) != matches);
  }
  return 0;
}
