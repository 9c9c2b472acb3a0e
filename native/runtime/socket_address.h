#pragma once
// Between Endpoint and the operating system's socket addresses.

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>

#include "base/endpoint.h"

namespace netmesh::runtime {

/// Room for an IPv4 or IPv6 address in the system's form.
union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

/// Writes `endpoint` for a socket of `family` (AF_INET or AF_INET6) and returns the length. IPv4
/// addresses are mapped for IPv6 sockets. 0: the socket cannot reach such an address.
socklen_t to_socket_address(const Endpoint& endpoint, int family, SocketAddress& out);

/// IPv4-mapped addresses become IPv4; families other than the two become `kNone`.
Endpoint from_socket_address(const SocketAddress& address);

}  // namespace netmesh::runtime
