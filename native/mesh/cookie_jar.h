#pragma once
// Cookies for handshakes under pressure: a round trip that proves the source address before any
// Diffie-Hellman, and costs no memory.

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/random.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "wire/modern_control.h"

namespace netmesh::mesh {

/// A cookie is a MAC over the source address and the attempt, under a secret that only this node
/// knows. It is good for the present and the previous secret's time.
class CookieJar {
 public:
  static constexpr Duration kSecretLife = std::chrono::minutes(1);

  explicit CookieJar(RandomSource& random) : random_(random) {}

  wire::Cookie make(const Endpoint& source, const wire::AttemptTag& attempt, TimePoint now) {
    rotate(now);
    return mac(current_, source, attempt);
  }
  bool valid(const wire::Cookie& cookie, const Endpoint& source, const wire::AttemptTag& attempt,
             TimePoint now) {
    rotate(now);
    return crypto::equal_constant_time(cookie, mac(current_, source, attempt)) ||
           crypto::equal_constant_time(cookie, mac(previous_, source, attempt));
  }

 private:
  void rotate(TimePoint now) {
    if (made_at_ && now - *made_at_ < kSecretLife) return;
    const bool stale = !made_at_ || now - *made_at_ >= 2 * kSecretLife;
    if (stale) {
      random_.fill(previous_.mutable_bytes());
    } else {
      previous_ = std::move(current_);
    }
    random_.fill(current_.mutable_bytes());
    made_at_ = now;
  }
  static wire::Cookie mac(const crypto::SecretKey& secret, const Endpoint& source,
                          const wire::AttemptTag& attempt) {
    std::array<std::byte, 1 + 2 + 16 + 4 + 16> input{};
    ByteWriter writer(input);
    writer.u8(static_cast<std::uint8_t>(source.family));
    writer.u16(source.port);
    writer.bytes(source.ip);
    writer.u32(source.scope);
    writer.bytes(attempt);
    const crypto::Key digest = crypto::blake2s_keyed(secret.bytes(), input);
    wire::Cookie cookie;
    std::copy_n(digest.begin(), cookie.size(), cookie.begin());
    return cookie;
  }

  RandomSource& random_;
  crypto::SecretKey current_;
  crypto::SecretKey previous_;
  std::optional<TimePoint> made_at_;
};

}  // namespace netmesh::mesh
