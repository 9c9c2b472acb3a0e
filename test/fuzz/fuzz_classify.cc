// The classification of datagrams against the rules of spec 10 §2, and against the parsers behind
// it.

#include "fuzz.h"
#include "wire/classify.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"
#include "wire/routing.h"

using namespace netmesh;
using namespace netmesh::wire;

namespace {

/// The rules once more, on single bytes.
DatagramKind expected_kind(const std::uint8_t* data, std::size_t size) {
  const auto starts_with = [&](std::uint8_t first, std::uint8_t second) {
    return size >= 2 && data[0] == first && data[1] == second;
  };
  if (size == 14 && starts_with(0x50, 0x48)) return DatagramKind::kPunchKeepAlive;
  if (size == 72 && !starts_with(0x45, 0x4E)) return DatagramKind::kPingwave;
  if (size >= 82 && starts_with(0x52, 0x54)) return DatagramKind::kRouted;
  if (size >= 3 && starts_with(0x45, 0x4E) && data[2] == 1) return DatagramKind::kBase;
  if (size >= 3 && starts_with(0x45, 0x4E) && data[2] == 2) return DatagramKind::kModern;
  return DatagramKind::kInvalid;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan datagram = fuzz::input_bytes(data, size);
  const DatagramKind kind = classify(datagram);
  FUZZ_CHECK(kind == expected_kind(data, size));

  if (parse_net_packet(datagram)) FUZZ_CHECK(kind == DatagramKind::kBase);
  if (kind == DatagramKind::kRouted) FUZZ_CHECK(parse_routing_header(datagram));
  if (const auto header = parse_modern_header(datagram)) {
    FUZZ_CHECK(kind == DatagramKind::kModern);
    std::array<std::byte, kModernHeaderBytes> written;
    write_modern_header(*header, written.data());
    written[3] |= datagram[3] & std::byte{0xFE};  // flag bits without a meaning are not kept
    FUZZ_CHECK(fuzz::equal(written, datagram.first(kModernHeaderBytes)));
  } else {
    FUZZ_CHECK(kind != DatagramKind::kModern || size < kModernOverheadBytes);
  }
  return 0;
}
