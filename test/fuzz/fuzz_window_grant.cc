// Window grants: every 16 bytes are one, nothing else is.

#include "fuzz.h"
#include "wire/window_grant.h"

using namespace netmesh;
using namespace netmesh::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan message = fuzz::input_bytes(data, size);
  const auto grant = parse_window_grant(message);
  FUZZ_CHECK(grant.has_value() == (size == kWindowGrantBytes));
  if (!grant) return 0;
  std::array<std::byte, kWindowGrantBytes> written;
  write_window_grant(*grant, written);
  FUZZ_CHECK(fuzz::equal(written, message));
  return 0;
}
