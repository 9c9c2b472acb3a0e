// Patterns over tags, up to the first line break, and what they search, after it. A pattern that is
// found in a text is found in it between others, unless it looks at its ends.

#include <string>

#include "capability/pattern.h"
#include "fuzz.h"

using namespace netmesh;
using namespace netmesh::capability;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\n'), input.size());
  const std::string_view text = input.substr(0, end);
  const std::string_view subject = input.substr(std::min(end + 1, input.size())).substr(0, 256);

  const auto pattern = Pattern::compile(text);
  if (!pattern) return 0;
  const bool found = pattern->found_in(subject);
  if (text.find_first_of("^$\\") != std::string_view::npos) return 0;
  // Bytes that are no UTF-8 may become some beside others.
  for (const char c : subject)
    if (static_cast<unsigned char>(c) >= 0x80) return 0;
  if (found) FUZZ_CHECK(pattern->found_in("x=" + std::string(subject) + ".y"));
  return 0;
}
