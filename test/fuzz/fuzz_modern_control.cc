// Datagrams outside of sessions: resets, cookie replies, and the cookie in a msg1.

#include "fuzz.h"
#include "wire/modern_control.h"
#include "wire/net_packet.h"

using namespace netmesh;
using namespace netmesh::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input = fuzz::input_bytes(data, size);
  const auto reset = parse_reset(input);
  const auto reply = parse_cookie(input);
  FUZZ_CHECK(!reset || !reply);
  if (reset) {
    FUZZ_CHECK(size == kResetDatagramBytes && modern_kind(input) == ModernKind::kReset);
    const auto again = parse_reset(make_reset(*reset));
    FUZZ_CHECK(again && again->session_id == reset->session_id && again->token == reset->token);
  }
  if (reply) {
    FUZZ_CHECK(size == kCookieDatagramBytes && modern_kind(input) == ModernKind::kCookie);
    const auto again = parse_cookie(make_cookie(*reply));
    FUZZ_CHECK(again && again->attempt == reply->attempt && again->cookie == reply->cookie);
  }
  if (const auto header = parse_net_packet(input); header && header->is_handshake()) {
    Bytes packet(input.begin(), input.end());
    const Cookie cookie = get_cookie(packet);
    Cookie other = cookie;
    for (std::byte& b : other) b = ~b;
    put_cookie(other, packet);
    FUZZ_CHECK(get_cookie(packet) == other);
    FUZZ_CHECK(fuzz::equal(handshake_message(packet), handshake_message(input)));
    put_cookie(cookie, packet);
    FUZZ_CHECK(fuzz::equal(packet, input));
  }
  return 0;
}
