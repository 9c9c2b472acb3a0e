#pragma once
// How much handshake work strangers may cause.

#include <array>
#include <cstdint>
#include <vector>

#include "base/endpoint.h"
#include "base/time.h"
#include "mesh/token_bucket.h"

namespace netmesh::mesh {

/// Token buckets per source, per address and for everybody together. Memory is constant: sources
/// share buckets by a keyed hash, so a flood of forged addresses costs no memory and cannot aim at
/// one victim's bucket. A handshake costs about 0.2 ms of processor time.
///
/// In quiet times a first message is worked on at once. Above `kUnprovenPerSecond` the node is
/// under pressure: modern initiators have to prove their address by a cookie first, base ones,
/// which know no cookies, share a budget of their own by address.
class HandshakeLimiter {
 public:
  static constexpr TokenBucket::Rate kSource{32, 64};
  static constexpr TokenBucket::Rate kTotal{8000, 8000};
  static constexpr std::uint32_t kUnprovenPerSecond = 500;
  static constexpr TokenBucket::Rate kLegacyUnderPressure{250, 250};
  static constexpr TokenBucket::Rate kLegacyAddress{8, 16};
  /// Of initiators with a cookie, by address without port; this machine's own are exempt.
  static constexpr TokenBucket::Rate kAddress{256, 512};

  HandshakeLimiter(std::uint64_t hash_key, std::uint32_t unproven_per_second)
      : hash_key_(hash_key), unproven_rate_{unproven_per_second, 2 * unproven_per_second} {}

  enum class Verdict {
    kAdmit,
    kProveAddress,  ///< answer with a cookie, do no work
    kRefuse,
  };
  enum class Kind {
    kReply,   ///< from an address that we asked
    kModern,  ///< a first message that may carry a cookie
    kLegacy,  ///< a first message that cannot
  };

  /// Whether one more handshake message from `source` may be worked on now. `proven`: it carries a
  /// valid cookie.
  Verdict admit(const Endpoint& source, Kind kind, bool proven, TimePoint now) {
    if (!bucket(sources_, source).has(now, kSource) || !total_.has(now, kTotal))
      return Verdict::kRefuse;
    if (kind != Kind::kReply && !proven && !unproven_.take(now, unproven_rate_)) {
      if (kind == Kind::kModern) return Verdict::kProveAddress;
      if (!bucket(addresses(), without_port(source)).take(now, kLegacyAddress) ||
          !legacy_.take(now, kLegacyUnderPressure)) {
        return Verdict::kRefuse;
      }
    }
    if (proven && !source.is_loopback() &&
        !bucket(addresses(), without_port(source)).take(now, kAddress)) {
      return Verdict::kRefuse;
    }
    bucket(sources_, source).take(now, kSource);
    total_.take(now, kTotal);
    return Verdict::kAdmit;
  }

  /// First messages need a cookie now.
  bool under_pressure(TimePoint now) { return !unproven_.has(now, unproven_rate_); }

 private:
  static constexpr std::size_t kBuckets = 4096;

  static Endpoint without_port(Endpoint source) {
    source.port = 0;
    return source;
  }
  /// Made when first needed: most nodes never come under pressure.
  std::vector<TokenBucket>& addresses() {
    if (addresses_.empty()) addresses_.resize(kBuckets);
    return addresses_;
  }
  template <typename Buckets>
  TokenBucket& bucket(Buckets& buckets, const Endpoint& source) const {
    std::uint64_t hash = std::hash<Endpoint>{}(source) ^ hash_key_;
    hash ^= hash >> 33;
    hash *= 0xFF51AFD7ED558CCDULL;
    hash ^= hash >> 29;
    return buckets[hash % buckets.size()];
  }

  std::uint64_t hash_key_;
  TokenBucket::Rate unproven_rate_;
  std::array<TokenBucket, kBuckets> sources_{};
  std::vector<TokenBucket> addresses_;
  TokenBucket total_;
  TokenBucket unproven_;
  TokenBucket legacy_;
};

}  // namespace netmesh::mesh
