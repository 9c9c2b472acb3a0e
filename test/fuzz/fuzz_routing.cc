// Routing headers and pingwaves: what parses is written back, but for the bits that have no
// meaning.

#include "fuzz.h"
#include "wire/routing.h"

using namespace netmesh;
using namespace netmesh::wire;

namespace {

void check_routing_header(ByteSpan datagram) {
  const auto header = parse_routing_header(datagram);
  if (!header) return;
  FUZZ_CHECK(header->flags <= 0x0F);
  std::array<std::byte, kRoutingHeaderBytes> expected;
  std::copy_n(datagram.begin(), kRoutingHeaderBytes, expected.begin());
  expected[4] &= std::byte{0x0F};
  std::array<std::byte, kRoutingHeaderBytes> written;
  write_routing_header(*header, written);
  FUZZ_CHECK(written == expected);
  FUZZ_CHECK(parse_routing_header(written) == header);
}

void check_pingwave(ByteSpan datagram) {
  const auto pingwave = parse_pingwave(datagram);
  if (!pingwave) return;
  FUZZ_CHECK(pingwave->health <= 3);
  std::array<std::byte, kPingwaveBytes> expected;
  std::copy_n(datagram.begin(), kPingwaveBytes, expected.begin());
  std::fill(expected.begin() + 8, expected.begin() + 32, std::byte{0});
  FUZZ_CHECK(write_pingwave(*pingwave) == expected);
  FUZZ_CHECK(parse_pingwave(expected) == pingwave);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan datagram = fuzz::input_bytes(data, size);
  check_routing_header(datagram);
  check_pingwave(datagram);
  return 0;
}
