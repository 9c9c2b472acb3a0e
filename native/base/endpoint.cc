#include "base/endpoint.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "base/bytes.h"

// Text forms are parsed and printed here rather than by the system's inet_* functions: the result
// is then the same on every platform, and the core needs no socket headers.

namespace netmesh {
namespace {

constexpr std::size_t kIpv6Groups = 8;

std::uint8_t octet(std::byte b) { return std::to_integer<std::uint8_t>(b); }

/// Takes a decimal number without leading zeros off the front of `text`.
std::optional<std::uint32_t> take_decimal(std::string_view& text, std::uint32_t maximum) {
  std::uint64_t value = 0;
  std::size_t length = 0;
  while (length < text.size() && text[length] >= '0' && text[length] <= '9') {
    value = value * 10 + static_cast<std::uint64_t>(text[length] - '0');
    if (value > maximum) return std::nullopt;
    ++length;
  }
  if (length == 0 || (length > 1 && text[0] == '0')) return std::nullopt;
  text.remove_prefix(length);
  return static_cast<std::uint32_t>(value);
}

bool take_character(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// Takes `a.b.c.d` off the front of `text` into the four bytes at `out`.
bool take_ipv4(std::string_view& text, std::byte* out) {
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0 && !take_character(text, '.')) return false;
    const auto value = take_decimal(text, 255);
    if (!value) return false;
    out[i] = static_cast<std::byte>(*value);
  }
  return true;
}

std::optional<std::uint16_t> take_group(std::string_view& text) {
  unsigned value = 0;
  std::size_t length = 0;
  for (; length < text.size(); ++length) {
    const char c = text[length];
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A') + 10;
    } else {
      break;
    }
    if (length == 4) return std::nullopt;
    value = value << 4 | digit;
  }
  if (length == 0) return std::nullopt;
  text.remove_prefix(length);
  return static_cast<std::uint16_t>(value);
}

/// The whole of `text` as an IPv6 address (RFC 4291 §2.2, all three forms).
bool parse_ipv6(std::string_view text, std::array<std::byte, 16>& out) {
  std::array<std::byte, 16> groups{};
  std::size_t count = 0;              // groups read so far
  std::optional<std::size_t> gap_at;  // how many groups stood before "::"

  if (text.starts_with("::")) {
    gap_at = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (count == kIpv6Groups) return false;
    const std::string_view here = text;
    const auto group = take_group(text);
    if (!group) return false;
    if (!text.empty() && text.front() == '.') {
      // The last 32 bits in IPv4 notation.
      if (count > kIpv6Groups - 2) return false;
      text = here;
      if (!take_ipv4(text, groups.data() + 2 * count) || !text.empty()) return false;
      count += 2;
      break;
    }
    groups[2 * count] = static_cast<std::byte>(*group >> 8);
    groups[2 * count + 1] = static_cast<std::byte>(*group & 0xFF);
    ++count;
    if (text.empty()) break;
    if (text.starts_with("::")) {
      if (gap_at) return false;
      gap_at = count;
      text.remove_prefix(2);
    } else if (!take_character(text, ':') || text.empty()) {
      return false;
    }
  }
  if (gap_at ? count == kIpv6Groups : count != kIpv6Groups) return false;
  out.fill(std::byte{0});
  const std::size_t before = 2 * gap_at.value_or(count);
  const std::size_t after = 2 * count - before;
  std::copy_n(groups.begin(), before, out.begin());
  std::copy_n(groups.data() + before, after, out.data() + (out.size() - after));
  return true;
}

bool is_ipv4_mapped(const std::array<std::byte, 16>& ip) {
  return std::all_of(ip.begin(), ip.begin() + 10, [](std::byte b) { return b == std::byte{0}; }) &&
         ip[10] == std::byte{0xFF} && ip[11] == std::byte{0xFF};
}

bool is_link_local(const std::array<std::byte, 16>& ip) {
  return ip[0] == std::byte{0xFE} && (ip[1] & std::byte{0xC0}) == std::byte{0x80};
}

std::string ipv4_text(const std::byte* ip) {
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) text += '.';
    text += std::to_string(octet(ip[i]));
  }
  return text;
}

/// RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups
/// shortened.
std::string ipv6_text(const std::array<std::byte, 16>& ip) {
  std::array<unsigned, kIpv6Groups> groups{};
  for (std::size_t i = 0; i < kIpv6Groups; ++i) {
    groups[i] = static_cast<unsigned>(octet(ip[2 * i])) << 8 | octet(ip[2 * i + 1]);
  }
  std::size_t gap_at = kIpv6Groups;
  std::size_t gap_length = 1;
  for (std::size_t i = 0; i < kIpv6Groups;) {
    std::size_t end = i;
    while (end < kIpv6Groups && groups[end] == 0) ++end;
    if (end - i > gap_length) {
      gap_at = i;
      gap_length = end - i;
    }
    i = end + 1;
  }
  std::string text;
  for (std::size_t i = 0; i < kIpv6Groups; ++i) {
    if (i == gap_at) {
      text += "::";
      i += gap_length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    std::array<char, 8> digits{};
    std::snprintf(digits.data(), digits.size(), "%x", groups[i]);
    text += digits.data();
  }
  return text;
}

}  // namespace

bool Endpoint::is_loopback() const {
  if (family == Family::kIpv4) return ip[0] == std::byte{127};
  if (family != Family::kIpv6 || ip[15] != std::byte{1}) return false;
  return std::all_of(ip.begin(), ip.end() - 1, [](std::byte b) { return b == std::byte{0}; });
}

bool Endpoint::is_unspecified() const {
  return family != Family::kNone &&
         std::all_of(ip.begin(), ip.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::string Endpoint::to_string() const {
  switch (family) {
    case Family::kIpv4:
      return ipv4_text(ip.data()) + ':' + std::to_string(port);
    case Family::kIpv6: {
      std::string text("[");
      text += ipv6_text(ip);
      if (scope != 0) text += '%' + std::to_string(scope);
      return text + "]:" + std::to_string(port);
    }
    case Family::kNone:
      break;
  }
  return {};
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  Endpoint endpoint;
  if (take_character(text, '[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    std::string_view address = text.substr(0, close);
    text.remove_prefix(close + 1);

    const std::size_t percent = address.find('%');
    if (!parse_ipv6(address.substr(0, percent), endpoint.ip)) return std::nullopt;
    endpoint.family = Family::kIpv6;
    if (percent != std::string_view::npos) {
      std::string_view zone = address.substr(percent + 1);
      const auto scope = take_decimal(zone, std::numeric_limits<std::uint32_t>::max());
      if (!scope || !zone.empty() || !is_link_local(endpoint.ip)) return std::nullopt;
      endpoint.scope = *scope;
    }
    if (is_ipv4_mapped(endpoint.ip)) {
      endpoint.family = Family::kIpv4;
      std::copy_n(endpoint.ip.begin() + 12, 4, endpoint.ip.begin());
      std::fill(endpoint.ip.begin() + 4, endpoint.ip.end(), std::byte{0});
    }
  } else {
    if (!take_ipv4(text, endpoint.ip.data())) return std::nullopt;
    endpoint.family = Family::kIpv4;
  }
  if (!take_character(text, ':')) return std::nullopt;
  const auto port = take_decimal(text, std::numeric_limits<std::uint16_t>::max());
  if (!port || !text.empty()) return std::nullopt;
  endpoint.port = static_cast<std::uint16_t>(*port);
  return endpoint;
}

Endpoint Endpoint::ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                        std::uint16_t port) {
  Endpoint endpoint;
  endpoint.family = Family::kIpv4;
  endpoint.port = port;
  endpoint.ip[0] = std::byte{a};
  endpoint.ip[1] = std::byte{b};
  endpoint.ip[2] = std::byte{c};
  endpoint.ip[3] = std::byte{d};
  return endpoint;
}

}  // namespace netmesh

std::size_t std::hash<netmesh::Endpoint>::operator()(
    const netmesh::Endpoint& endpoint) const noexcept {
  // Each step is a bijection of the running value, so endpoints that differ in one word only never
  // collide.
  const auto mix = [](std::uint64_t x) {
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93ULL;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93ULL;
    return x ^ (x >> 32);
  };
  const std::uint64_t rest = static_cast<std::uint64_t>(endpoint.scope) << 32 |
                             static_cast<std::uint64_t>(endpoint.port) << 8 |
                             static_cast<std::uint64_t>(endpoint.family);
  std::uint64_t h = mix(rest + 0x9E3779B97F4A7C15ULL);
  h = mix(h ^ netmesh::load_le<std::uint64_t>(endpoint.ip.data()));
  h = mix(h ^ netmesh::load_le<std::uint64_t>(endpoint.ip.data() + 8));
  return static_cast<std::size_t>(h);
}
