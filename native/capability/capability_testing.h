#pragma once
// What the tests and benchmarks of this folder share.

#include <random>
#include <string>
#include <vector>

#include "base/hex.h"
#include "base/random.h"
#include "base/time.h"
#include "capability/announcement.h"
#include "crypto/curve.h"

namespace netmesh::capability::testing {

/// Replays the same values for the same seed.
class Random final : public RandomSource {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool flip() { return (engine_() & 1) != 0; }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(below(from.size()))];
  }

 private:
  std::mt19937_64 engine_;
};

inline constexpr std::int64_t kStartNs = 1'700'000'000'000'000'000;

/// An instant so many seconds after the start of a test.
inline Now at(double seconds) {
  const auto ns = static_cast<std::int64_t>(seconds * 1e9);
  return {TimePoint(Duration(1'000'000'000'000 + ns)), kStartNs + ns};
}

inline crypto::Key repeated(unsigned byte) {
  crypto::Key key;
  key.fill(static_cast<std::byte>(byte));
  return key;
}

inline CapabilitySet set_of(std::initializer_list<std::string_view> tags) {
  CapabilitySet set;
  for (const std::string_view tag : tags) set.add_tag(tag);
  return set;
}

/// An unsigned announcement of a node by number.
inline Announcement announcement_of(std::uint64_t node, CapabilitySet set,
                                    std::uint64_t version = 1, std::uint32_t ttl = 300,
                                    std::int64_t made_ns = kStartNs) {
  Announcement out;
  out.node_id = NodeId(node);
  store_le(out.entity_id.data(), node);
  out.version = version;
  out.timestamp_ns = static_cast<std::uint64_t>(made_ns);
  out.ttl_secs = ttl;
  out.capabilities = std::move(set);
  return out;
}

}  // namespace netmesh::capability::testing
