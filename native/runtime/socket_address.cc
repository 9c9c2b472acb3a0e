#include "runtime/socket_address.h"

#include <cstring>

#include "base/bytes.h"

namespace netmesh::runtime {
namespace {

constexpr std::size_t kMappedPrefixBytes = 12;

}  // namespace

socklen_t to_socket_address(const Endpoint& endpoint, int family, SocketAddress& out) {
  if (endpoint.family == Endpoint::Family::kNone) return 0;
  if (family == AF_INET) {
    if (endpoint.family != Endpoint::Family::kIpv4) return 0;
    out.v4 = {};
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(endpoint.port);
    std::memcpy(&out.v4.sin_addr, endpoint.ip.data(), sizeof(out.v4.sin_addr));
    return sizeof(out.v4);
  }
  out.v6 = {};
  out.v6.sin6_family = AF_INET6;
  out.v6.sin6_port = htons(endpoint.port);
  if (endpoint.family == Endpoint::Family::kIpv4) {
    out.v6.sin6_addr.s6_addr[10] = 0xFF;
    out.v6.sin6_addr.s6_addr[11] = 0xFF;
    std::memcpy(&out.v6.sin6_addr.s6_addr[kMappedPrefixBytes], endpoint.ip.data(), sizeof(in_addr));
  } else {
    std::memcpy(&out.v6.sin6_addr, endpoint.ip.data(), sizeof(out.v6.sin6_addr));
    out.v6.sin6_scope_id = endpoint.scope;
  }
  return sizeof(out.v6);
}

Endpoint from_socket_address(const SocketAddress& address) {
  Endpoint endpoint;
  if (address.any.sa_family == AF_INET) {
    endpoint.family = Endpoint::Family::kIpv4;
    endpoint.port = ntohs(address.v4.sin_port);
    std::memcpy(endpoint.ip.data(), &address.v4.sin_addr, sizeof(address.v4.sin_addr));
  } else if (address.any.sa_family == AF_INET6) {
    endpoint.port = ntohs(address.v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr)) {
      endpoint.family = Endpoint::Family::kIpv4;
      std::memcpy(endpoint.ip.data(), &address.v6.sin6_addr.s6_addr[kMappedPrefixBytes],
                  sizeof(in_addr));
    } else {
      endpoint.family = Endpoint::Family::kIpv6;
      std::memcpy(endpoint.ip.data(), &address.v6.sin6_addr, sizeof(address.v6.sin6_addr));
      // Only link-local addresses have a scope; the kernel reports one for them alone.
      if (IN6_IS_ADDR_LINKLOCAL(&address.v6.sin6_addr)) endpoint.scope = address.v6.sin6_scope_id;
    }
  }
  return endpoint;
}

}  // namespace netmesh::runtime
