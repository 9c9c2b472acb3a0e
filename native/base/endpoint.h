#pragma once
// A UDP address: where a datagram came from or goes to.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace netmesh {

/// An IPv4 or IPv6 address with its port. IPv4-mapped IPv6 addresses are normalised to IPv4 by
/// whoever builds one from a socket, so that equal peers compare equal. A value type.
struct Endpoint {
  enum class Family : std::uint8_t { kNone, kIpv4, kIpv6 };

  Family family = Family::kNone;
  std::uint16_t port = 0;
  /// Network byte order; IPv4 uses the first four.
  std::array<std::byte, 16> ip{};
  /// IPv6 scope (interface index) of link-local addresses, 0 otherwise.
  std::uint32_t scope = 0;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;

  bool is_loopback() const;
  bool is_unspecified() const;

  /// `1.2.3.4:5`, `[::1]:5`, `[fe80::1%2]:5` (RFC 5952); empty for `kNone`.
  std::string to_string() const;

  /// Parses a literal `ip:port` or `[ipv6]:port`; IPv4-mapped IPv6 becomes IPv4. Host names,
  /// missing ports, ports above 65535, leading zeros in decimal numbers, zone names, zones of
  /// addresses that are not link-local, and trailing characters are refused.
  static std::optional<Endpoint> parse(std::string_view text);

  static Endpoint ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                       std::uint16_t port);
};

}  // namespace netmesh

template <>
struct std::hash<netmesh::Endpoint> {
  std::size_t operator()(const netmesh::Endpoint& endpoint) const noexcept;
};
