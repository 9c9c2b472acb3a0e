#pragma once
// How much handshake work strangers may cause.

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/endpoint.h"
#include "base/time.h"

namespace netmesh::mesh {

/// Token buckets per source address and one for all sources together. Memory is constant: sources
/// share buckets by a keyed hash, so a flood of forged addresses costs no memory and cannot aim at
/// one victim's bucket. A handshake costs about 0.2 ms of processor time.
class HandshakeLimiter {
 public:
  static constexpr std::uint32_t kSourceBurst = 64;
  static constexpr std::uint32_t kSourcePerSecond = 32;
  static constexpr std::uint32_t kTotalBurst = 8000;
  static constexpr std::uint32_t kTotalPerSecond = 8000;

  explicit HandshakeLimiter(std::uint64_t hash_key) : hash_key_(hash_key) {
    total_.tokens = kTotalBurst;
  }

  /// Whether one more handshake message from `source` may be worked on now.
  bool admit(const Endpoint& source, TimePoint now) {
    std::uint64_t hash = std::hash<Endpoint>{}(source) ^ hash_key_;
    hash ^= hash >> 33;
    hash *= 0xFF51AFD7ED558CCDULL;
    hash ^= hash >> 29;
    Bucket& bucket = sources_[hash % sources_.size()];
    bucket.refill(now, kSourcePerSecond, kSourceBurst);
    total_.refill(now, kTotalPerSecond, kTotalBurst);
    if (bucket.tokens < 1 || total_.tokens < 1) return false;
    bucket.tokens -= 1;
    total_.tokens -= 1;
    return true;
  }

 private:
  struct Bucket {
    TimePoint filled_at = TimePoint::min();
    float tokens = 0;

    void refill(TimePoint now, std::uint32_t per_second, std::uint32_t burst) {
      if (filled_at == TimePoint::min()) {
        tokens = static_cast<float>(burst);
      } else if (now > filled_at) {
        const auto elapsed = std::chrono::duration<float>(now - filled_at).count();
        tokens =
            std::min(static_cast<float>(burst), tokens + elapsed * static_cast<float>(per_second));
      }
      filled_at = now;
    }
  };

  std::uint64_t hash_key_;
  std::array<Bucket, 4096> sources_{};
  Bucket total_;
};

}  // namespace netmesh::mesh
