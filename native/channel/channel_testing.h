#pragma once
// What the tests and benchmarks of this folder share.

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/hex.h"
#include "base/random.h"
#include "capability/capability_set.h"
#include "channel/broker.h"
#include "channel/subscriber.h"
#include "identity/entity.h"

namespace netmesh::channel::testing {

/// Replays the same values for the same seed.
class Random final : public RandomSource {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(engine_());
  }
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool flip() { return (engine_() & 1) != 0; }

 private:
  std::mt19937_64 engine_;
};

inline constexpr std::uint64_t kStartSeconds = 1'700'000'000;

/// An instant so many seconds after the start of a test.
inline Now at(double seconds) {
  const auto ns = static_cast<std::int64_t>(seconds * 1e9);
  return {TimePoint(Duration(1'000'000'000'000 + ns)),
          static_cast<std::int64_t>(kStartSeconds) * 1'000'000'000 + ns};
}

inline ChannelName name_of(std::string_view text) { return ChannelName::parse(text).value(); }

/// A channel open to all, as far as nothing else is changed.
inline ChannelConfig config_of(std::string_view text) { return {.name = name_of(text)}; }

inline capability::Filter requires_tag(std::string tag) {
  capability::Filter filter;
  filter.require_tags.push_back(std::move(tag));
  return filter;
}

inline identity::LocalIdentity identity_of(std::uint64_t number) {
  crypto::Key seed{};
  store_le(seed.data(), number + 1);
  return identity::LocalIdentity::from_seed(seed);
}

/// A token of `issuer` for `subject`.
inline identity::PermissionToken token_of(const identity::LocalIdentity& issuer,
                                          const identity::EntityId& subject,
                                          std::string_view channel, identity::Scope scope,
                                          std::uint64_t ttl = 300, std::uint8_t depth = 0,
                                          std::uint64_t nonce = 1) {
  const identity::TokenGrant grant{subject, scope, name_of(channel).hash().value, ttl, depth};
  return identity::issue_token(issuer.signing_key, grant, kStartSeconds, nonce).value();
}

inline Bytes bytes_of(const identity::PermissionToken& token) {
  const auto raw = token.encode();
  return {raw.begin(), raw.end()};
}

inline std::string hex_of(const Message& message) { return to_hex(encode(message)); }

/// Surroundings of a broker that a test sets up.
struct TestHost final : BrokerHost {
  std::optional<identity::SubnetId> subnet_of(NodeId peer) const override {
    const auto known = subnets.find(peer);
    return known == subnets.end() ? std::nullopt : std::optional(known->second);
  }
  std::optional<bool> satisfies(NodeId node, const capability::Filter& filter,
                                TimePoint /*now*/) const override {
    const auto known = capabilities.find(node);
    if (known == capabilities.end()) return std::nullopt;
    return capability::matches(filter, known->second);
  }

  std::map<NodeId, identity::SubnetId> subnets;
  std::map<NodeId, capability::CapabilitySet> capabilities;
};

}  // namespace netmesh::channel::testing
