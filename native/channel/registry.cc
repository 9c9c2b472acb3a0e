#include "channel/registry.h"

#include <algorithm>
#include <array>

#include "channel/errors.h"

namespace netmesh::channel {
namespace {

struct VisibilityWord {
  Visibility value;
  std::string_view word;
};
constexpr std::array<VisibilityWord, 4> kVisibilities{{
    {Visibility::kSubnetLocal, "subnet-local"},
    {Visibility::kParentVisible, "parent-visible"},
    {Visibility::kExported, "exported"},
    {Visibility::kGlobal, "global"},
}};

Expected<void> check(const ChannelConfig& config) {
  const auto too_many = [](const char* what, std::size_t count, std::size_t limit) {
    return tl::unexpected(invalid_config("invalid " + std::string(what) + ": " +
                                         std::to_string(count) + " exceeds the limit of " +
                                         std::to_string(limit)));
  };
  if (config.token_roots.size() > ChannelRegistry::kMaxTokenRoots)
    return too_many("tokenRoots", config.token_roots.size(), ChannelRegistry::kMaxTokenRoots);
  if (config.export_to.size() > ChannelRegistry::kMaxExports)
    return too_many("exportTo", config.export_to.size(), ChannelRegistry::kMaxExports);
  if (config.retain > ChannelRegistry::kMaxRetain)
    return too_many("retain", config.retain, ChannelRegistry::kMaxRetain);
  if (!config.export_to.empty() && config.visibility != Visibility::kExported)
    return tl::unexpected(invalid_config("exportTo needs the visibility exported"));
  if (config.max_rate_pps == std::uint32_t{0})
    return tl::unexpected(invalid_config("invalid maxRatePps: 0 would allow nothing"));
  return {};
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
  const auto length = std::min(a.size(), b.size());
  const auto end = a.begin() + static_cast<std::ptrdiff_t>(length);
  return static_cast<std::size_t>(std::mismatch(a.begin(), end, b.begin()).first - a.begin());
}

template <typename Multimap>
void erase_entry(Multimap& map, typename Multimap::key_type key, const ChannelConfig* config) {
  const auto [from, to] = map.equal_range(key);
  const auto found =
      std::find_if(from, to, [&](const auto& entry) { return entry.second == config; });
  if (found != to) map.erase(found);
}

}  // namespace

std::string_view visibility_name(Visibility visibility) {
  const auto found =
      std::find_if(kVisibilities.begin(), kVisibilities.end(),
                   [&](const VisibilityWord& each) { return each.value == visibility; });
  return found->word;
}

Expected<Visibility> to_visibility(std::string_view word) {
  const auto found = std::find_if(kVisibilities.begin(), kVisibilities.end(),
                                  [&](const VisibilityWord& each) { return each.word == word; });
  if (found == kVisibilities.end()) return tl::unexpected(invalid_visibility(word));
  return found->value;
}

bool is_visible(const ChannelConfig& config, identity::SubnetId source, identity::SubnetId dest) {
  switch (config.visibility) {
    case Visibility::kGlobal:
      return true;
    case Visibility::kSubnetLocal:
      return source == dest;
    case Visibility::kParentVisible:
      return dest.is_ancestor_of(source);
    case Visibility::kExported:
      return source == dest ||
             std::any_of(config.export_to.begin(), config.export_to.end(),
                         [&](identity::SubnetId each) { return each.is_ancestor_of(dest); });
  }
  return false;
}

Expected<const ChannelConfig*> ChannelRegistry::add(ChannelConfig config) {
  if (auto sound = check(config); !sound) return tl::unexpected(sound.error());
  const auto known = configs_.find(config.name.text());
  if (known == configs_.end() && configs_.size() >= max_channels_) {
    return tl::unexpected(
        invalid_config("more than " + std::to_string(max_channels_) + " registered channels"));
  }
  if (known == configs_.end()) {
    std::string key = config.name.text();
    const auto added = configs_.emplace(std::move(key), std::move(config)).first;
    const ChannelConfig* at = &added->second;
    if (at->prefix) prefixes_.emplace(added->first, at);
    by_hash_.emplace(at->name.hash(), at);
    by_wire_hash_.emplace(wire_hash(at->name.hash()), at);
    return at;
  }
  // The name stays, so what is found by its hashes does, too.
  known->second = std::move(config);
  prefixes_.erase(known->first);
  if (known->second.prefix) prefixes_.emplace(known->first, &known->second);
  return &known->second;
}

bool ChannelRegistry::remove(std::string_view name) {
  const auto known = configs_.find(name);
  if (known == configs_.end()) return false;
  const ChannelConfig* config = &known->second;
  prefixes_.erase(known->first);
  erase_entry(by_hash_, config->name.hash(), config);
  erase_entry(by_wire_hash_, wire_hash(config->name.hash()), config);
  configs_.erase(known);
  return true;
}

const ChannelConfig* ChannelRegistry::find_exact(std::string_view name) const {
  const auto found = configs_.find(name);
  return found == configs_.end() ? nullptr : &found->second;
}

const ChannelConfig* ChannelRegistry::find(std::string_view name) const {
  if (const ChannelConfig* exact = find_exact(name)) return exact;
  // What is not above `key` and no prefix of the name rules out all prefixes longer than what it
  // has in common with the name.
  std::string_view key = name;
  for (auto at = prefixes_.upper_bound(key); at != prefixes_.begin();
       at = prefixes_.upper_bound(key)) {
    --at;
    if (name.starts_with(at->first)) return at->second;
    key = name.substr(0, common_prefix(name, at->first));
  }
  return nullptr;
}

template <typename Multimap, typename Hash>
const ChannelConfig* ChannelRegistry::only(const Multimap& map, Hash hash) {
  const auto [from, to] = map.equal_range(hash);
  if (from == to || std::next(from) != to) return nullptr;
  return from->second;
}

const ChannelConfig* ChannelRegistry::by_hash(ChannelHash hash) const {
  return only(by_hash_, hash);
}

const ChannelConfig* ChannelRegistry::by_wire_hash(std::uint16_t hash) const {
  return only(by_wire_hash_, hash);
}

}  // namespace netmesh::channel
