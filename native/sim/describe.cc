#include "sim/describe.h"

#include <cstdio>

#include "wire/classify.h"
#include "wire/modern_packet.h"
#include "wire/net_packet.h"
#include "wire/routing.h"

namespace netmesh::sim {
namespace {

std::string numbered(const char* what, std::uint64_t session, std::uint64_t number) {
  char text[96];
  std::snprintf(text, sizeof text, "%s session %016llx number %llu", what,
                static_cast<unsigned long long>(session), static_cast<unsigned long long>(number));
  return text;
}

std::string kind(ByteSpan datagram) {
  switch (wire::classify(datagram)) {
    case wire::DatagramKind::kInvalid:
      return "invalid";
    case wire::DatagramKind::kPunchKeepAlive:
      return "punch keep-alive";
    case wire::DatagramKind::kPingwave:
      return "pingwave";
    case wire::DatagramKind::kRouted: {
      const auto header = wire::parse_routing_header(datagram);
      if (!header) return "routed, malformed";
      char text[64];
      std::snprintf(text, sizeof text, "routed %08x to %016llx ttl %u: ", header->source,
                    static_cast<unsigned long long>(header->destination.value), header->ttl);
      return text + kind(datagram.subspan(wire::kRoutingHeaderBytes));
    }
    case wire::DatagramKind::kModern: {
      const auto header = wire::parse_modern_header(datagram);
      return header ? numbered("modern", header->session_id.value, header->packet_number.value)
                    : "modern, malformed";
    }
    case wire::DatagramKind::kBase: {
      const auto header = wire::parse_net_packet(datagram);
      if (!header) return "base, malformed";
      if (header->is_handshake()) return "handshake";
      return numbered(header->is_heartbeat()        ? "heartbeat"
                      : header->subprotocol_id != 0 ? "control"
                                                    : "base",
                      header->session_id.value, header->counter);
    }
  }
  return "unknown";
}

}  // namespace

std::string describe(ByteSpan datagram) {
  return kind(datagram) + ", " + std::to_string(datagram.size()) + " bytes";
}

}  // namespace netmesh::sim
