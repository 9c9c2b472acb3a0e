#pragma once
// Which channels a node publishes, and on what terms (spec 31 §3).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "capability/query.h"
#include "channel/name.h"
#include "identity/entity.h"
#include "identity/subnet.h"

namespace netmesh::channel {

/// Which subnets see a channel (spec 31 §6).
enum class Visibility : std::uint8_t { kSubnetLocal, kParentVisible, kExported, kGlobal };

/// The word of the API, such as `parent-visible`.
std::string_view visibility_name(Visibility visibility);
Expected<Visibility> to_visibility(std::string_view word);

/// The terms of a channel. A value.
struct ChannelConfig {
  ChannelName name;
  /// Also for every name that starts with this one and has no config of its own; the longest such
  /// prefix counts. For channels that come and go, like the replies to a caller.
  bool prefix = false;
  Visibility visibility = Visibility::kGlobal;
  /// For `kExported`: subnets that see the channel, with everything below them, beside the
  /// publisher's own. `[0]` stands for the whole mesh.
  std::vector<identity::SubnetId> export_to = {};
  /// What publishes use that do not say otherwise.
  bool reliable = false;
  std::uint8_t priority = 0;
  /// Payloads per second, with bursts of one second's worth.
  std::optional<std::uint32_t> max_rate_pps = {};
  /// What the publisher, and each subscriber, must have announced.
  std::optional<capability::Filter> publish_caps = {}, subscribe_caps = {};
  /// Subscribers need a SUBSCRIBE token, the publisher a PUBLISH token.
  bool require_token = false;
  /// Whose tokens count, instead of the publisher's own identity. Any at all turn `require_token`
  /// on.
  std::vector<identity::EntityId> token_roots = {};
  /// The last so many payloads are kept for subscribers to come.
  std::uint32_t retain = 0;
  std::size_t max_retained_bytes = std::size_t{1} << 20;

  bool needs_token() const { return require_token || !token_roots.empty(); }
  /// Whoever sees the channel may subscribe.
  bool is_open() const { return !publish_caps && !subscribe_caps && !needs_token(); }
};

/// Whether a node in `dest` gets what a publisher in `source` publishes on these terms.
bool is_visible(const ChannelConfig& config, identity::SubnetId source, identity::SubnetId dest);

/// Configs by name. A config stays where it is until it is replaced or removed. One thread.
class ChannelRegistry {
 public:
  static constexpr std::size_t kMaxTokenRoots = 64;
  static constexpr std::size_t kMaxExports = 64;
  static constexpr std::uint32_t kMaxRetain = 65'536;

  explicit ChannelRegistry(std::size_t max_channels = 65'536) : max_channels_(max_channels) {}

  /// Adds a config, or replaces the one of that name. Changes nothing when it returns an error.
  Expected<const ChannelConfig*> add(ChannelConfig config);
  /// False when there is none of that name.
  bool remove(std::string_view name);

  const ChannelConfig* find_exact(std::string_view name) const;
  /// The config of that name, else that of the longest registered prefix of it, else null.
  const ChannelConfig* find(std::string_view name) const;
  /// The only config with this hash. Null when there are several: a hash decides nothing then.
  const ChannelConfig* by_hash(ChannelHash hash) const;
  const ChannelConfig* by_wire_hash(std::uint16_t hash) const;

  std::size_t size() const { return configs_.size(); }
  /// In the order of names.
  const std::map<std::string, ChannelConfig, std::less<>>& configs() const { return configs_; }

 private:
  template <typename Multimap, typename Hash>
  static const ChannelConfig* only(const Multimap& map, Hash hash);

  std::size_t max_channels_;
  std::map<std::string, ChannelConfig, std::less<>> configs_;
  /// Those that cover longer names, too: a subset of configs_.
  std::map<std::string_view, const ChannelConfig*> prefixes_;
  std::unordered_multimap<ChannelHash, const ChannelConfig*> by_hash_;
  std::unordered_multimap<std::uint16_t, const ChannelConfig*> by_wire_hash_;
};

}  // namespace netmesh::channel
