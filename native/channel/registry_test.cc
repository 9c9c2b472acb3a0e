#include "channel/registry.h"

#include <gtest/gtest.h>

#include "channel/channel_testing.h"

namespace netmesh::channel {
namespace {

using identity::SubnetId;
using testing::config_of;
using testing::name_of;
using testing::Random;

const std::string* found(const ChannelConfig* config) {
  return config == nullptr ? nullptr : &config->name.text();
}

std::string error_of(const ChannelConfig& config) {
  ChannelRegistry registry;
  const auto added = registry.add(config);
  EXPECT_EQ(registry.size(), added ? 1u : 0u);
  return added ? "" : added.error().message;
}

TEST(ChannelRegistry, FindsByHashWhatOnlyOneNameHas) {
  // Two names of one wire hash, found by trying.
  std::map<std::uint16_t, std::string> seen;
  std::string first, second;
  for (int i = 0; second.empty(); ++i) {
    const std::string text = "c" + std::to_string(i);
    const auto [at, fresh] = seen.emplace(wire_hash(name_of(text).hash()), text);
    if (!fresh) first = at->second, second = text;
  }
  const std::uint16_t wire = wire_hash(name_of(first).hash());

  ChannelRegistry registry;
  ASSERT_TRUE(registry.add(config_of(first)));
  ASSERT_TRUE(registry.add(config_of(first))) << "again";
  EXPECT_EQ(*found(registry.by_hash(name_of(first).hash())), first)
      << "registering again does not count twice";
  EXPECT_EQ(*found(registry.by_wire_hash(wire)), first);
  ASSERT_TRUE(registry.add(config_of(second)));
  EXPECT_EQ(registry.by_wire_hash(wire), nullptr) << "ambiguous, so nothing";
  EXPECT_EQ(*found(registry.by_hash(name_of(second).hash())), second);
  EXPECT_TRUE(registry.remove(second));
  EXPECT_EQ(*found(registry.by_wire_hash(wire)), first);
  EXPECT_FALSE(registry.remove(second));
}

TEST(ChannelRegistry, ReplacesAConfigInPlace) {
  ChannelRegistry registry;
  const ChannelConfig* before = *registry.add(config_of("a"));
  ChannelConfig changed = config_of("a");
  changed.reliable = true;
  EXPECT_EQ(*registry.add(changed), before);
  EXPECT_TRUE(before->reliable);
  EXPECT_EQ(registry.size(), 1u);
}

TEST(ChannelRegistry, CoversLongerNamesOnlyWhereAConfigSaysSo) {
  ChannelRegistry registry;
  registry.add(config_of("svc")).value();
  EXPECT_EQ(registry.find("svc.replies.1"), nullptr);
  ChannelConfig prefix = config_of("svc.replies.");
  prefix.prefix = true;
  registry.add(prefix).value();
  EXPECT_EQ(*found(registry.find("svc.replies.1")), "svc.replies.");
  EXPECT_EQ(registry.find_exact("svc.replies.1"), nullptr);
  EXPECT_EQ(registry.find("svc.reply"), nullptr);
  registry.add(config_of("svc.replies.1")).value();
  EXPECT_EQ(*found(registry.find("svc.replies.1")), "svc.replies.1") << "the exact name wins";
  prefix.prefix = false;
  registry.add(prefix).value();
  EXPECT_EQ(registry.find("svc.replies.2"), nullptr) << "not a prefix any more";
}

TEST(ChannelRegistry, FindsTheLongestPrefixLikeALinearSearchDoes) {
  Random random(3);
  const auto random_word = [&] {
    std::string out;
    for (std::size_t length = 1 + random.below(7); out.size() < length;)
      out.push_back("ab."[random.below(3)]);
    return ChannelName::parse(out) ? out : std::string("a");
  };
  for (int round = 0; round < 200; ++round) {
    ChannelRegistry registry;
    std::map<std::string, bool> model;
    for (int i = 0; i < 30; ++i) {
      ChannelConfig config = config_of(random_word());
      config.prefix = random.flip();
      model[config.name.text()] = config.prefix;
      registry.add(config).value();
      if (random.below(4) == 0) {
        const std::string gone = random_word();
        EXPECT_EQ(registry.remove(gone), model.erase(gone) == 1);
      }
    }
    for (int i = 0; i < 50; ++i) {
      const std::string name = random_word();
      const std::string* best = nullptr;
      for (const auto& [text, prefix] : model) {
        if (prefix && name.starts_with(text) && (best == nullptr || text.size() > best->size()))
          best = &text;
      }
      const auto exact = model.find(name);
      if (exact != model.end()) best = &exact->first;
      const std::string* got = found(registry.find(name));
      ASSERT_EQ(got == nullptr, best == nullptr) << name;
      if (best != nullptr) EXPECT_EQ(*got, *best) << name;
    }
  }
}

TEST(ChannelRegistry, RefusesConfigsThatCannotBeMeantAndChangesNothing) {
  ChannelConfig config = config_of("a");
  config.max_rate_pps = 0;
  EXPECT_EQ(error_of(config), "channel: invalid maxRatePps: 0 would allow nothing");
  config = config_of("a");
  config.token_roots.resize(65);
  EXPECT_EQ(error_of(config), "channel: invalid tokenRoots: 65 exceeds the limit of 64");
  config = config_of("a");
  config.retain = 65'537;
  EXPECT_EQ(error_of(config), "channel: invalid retain: 65537 exceeds the limit of 65536");
  config = config_of("a");
  config.export_to = {SubnetId(1)};
  EXPECT_EQ(error_of(config), "channel: exportTo needs the visibility exported");
  config.visibility = Visibility::kExported;
  EXPECT_EQ(error_of(config), "");
  config.export_to.resize(65);
  EXPECT_EQ(error_of(config), "channel: invalid exportTo: 65 exceeds the limit of 64");

  ChannelRegistry small(2);
  small.add(config_of("a")).value();
  small.add(config_of("b")).value();
  EXPECT_EQ(small.add(config_of("c")).error().message, "channel: more than 2 registered channels");
  EXPECT_TRUE(small.add(config_of("a"))) << "replacing needs no room";
}

TEST(Visibility, HasWordsAndRefusesOthers) {
  for (const char* word : {"subnet-local", "parent-visible", "exported", "global"})
    EXPECT_EQ(visibility_name(to_visibility(word).value()), word);
  EXPECT_EQ(to_visibility("Global").error().message,
            "channel: invalid visibility \"Global\" (expected subnet-local | parent-visible | "
            "exported | global)");
}

TEST(Visibility, FollowsTheTreeOfSubnets) {
  // Every pair of subnets over a small tree, against the definitions.
  std::vector<SubnetId> tree{SubnetId()};
  for (std::uint32_t a : {3u, 4u}) {
    tree.emplace_back(a << 24);
    for (std::uint32_t b : {7u, 8u}) {
      tree.emplace_back(a << 24 | b << 16);
      for (std::uint32_t c : {2u, 5u}) tree.emplace_back(a << 24 | b << 16 | c << 8);
    }
  }
  ChannelConfig config = config_of("a");
  const auto sees = [&](Visibility visibility, SubnetId source, SubnetId dest) {
    config.visibility = visibility;
    return is_visible(config, source, dest);
  };
  for (const SubnetId source : tree) {
    for (const SubnetId dest : tree) {
      bool above = dest == SubnetId();
      for (SubnetId up = source; !above && !up.is_global(); up = up.parent()) above = up == dest;
      EXPECT_TRUE(sees(Visibility::kGlobal, source, dest));
      EXPECT_EQ(sees(Visibility::kSubnetLocal, source, dest), source == dest);
      EXPECT_EQ(sees(Visibility::kParentVisible, source, dest), above);
      config.export_to.clear();
      EXPECT_EQ(sees(Visibility::kExported, source, dest), source == dest);
      config.export_to = {SubnetId(0x04000000), SubnetId(0x03070200)};
      const bool listed = dest.level(0) == 4 || dest == SubnetId(0x03070200);
      EXPECT_EQ(sees(Visibility::kExported, source, dest), source == dest || listed);
      config.export_to = {SubnetId()};
      EXPECT_TRUE(sees(Visibility::kExported, source, dest));
    }
  }
  const SubnetId publisher(0x03070200);
  EXPECT_TRUE(sees(Visibility::kParentVisible, publisher, SubnetId(0x03070000)));
  EXPECT_FALSE(sees(Visibility::kParentVisible, publisher, SubnetId(0x03070300)));
  EXPECT_FALSE(sees(Visibility::kParentVisible, publisher, SubnetId(0x03070205)));
}

}  // namespace
}  // namespace netmesh::channel
