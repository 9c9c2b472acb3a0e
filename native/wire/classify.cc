#include "wire/classify.h"

#include "wire/routing.h"

namespace netmesh::wire {
namespace {

constexpr std::size_t kPunchKeepAliveBytes = 14;
constexpr std::size_t kMagicBytes = 2;

}  // namespace

DatagramKind classify(ByteSpan datagram) {
  // Magic and version; no kind of datagram is shorter.
  if (datagram.size() < kMagicBytes + 1) return DatagramKind::kInvalid;
  const auto magic = load_le<std::uint16_t>(datagram.data());

  if (datagram.size() == kPunchKeepAliveBytes && magic == kPunchMagic)
    return DatagramKind::kPunchKeepAlive;
  // A pingwave has no magic: it starts with a node id.
  if (datagram.size() == kPingwaveBytes && magic != kNetMagic) return DatagramKind::kPingwave;
  if (magic == kRoutingMagic && datagram.size() >= kMinRoutedBytes) return DatagramKind::kRouted;
  if (magic == kNetMagic) {
    switch (std::to_integer<std::uint8_t>(datagram[kMagicBytes])) {
      case kBaseVersion:
        return DatagramKind::kBase;
      case kModernVersion:
        return DatagramKind::kModern;
      default:
        return DatagramKind::kInvalid;
    }
  }
  return DatagramKind::kInvalid;
}

}  // namespace netmesh::wire
