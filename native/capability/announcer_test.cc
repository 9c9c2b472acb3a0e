#include "capability/announcer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "capability/capability_testing.h"

namespace netmesh::capability {
namespace {

using testing::at;
using testing::Random;
using testing::set_of;

/// A node of a network that delivers at once and loses nothing unless told so.
struct TestNode final : AnnouncerHost {
  TestNode(std::uint64_t seed, const Announcer::Options& options)
      : random(seed),
        identity(
            identity::LocalIdentity::from_seed(testing::repeated(static_cast<unsigned>(seed)))),
        index(CapabilityIndex::Options{.self = identity.node_id, .own_subnet = {}}),
        announcer(identity, index, *this, random, options) {}
  TestNode(std::uint64_t seed, const crypto::Key& key)
      : random(seed),
        identity(identity::LocalIdentity::from_seed(key)),
        index(CapabilityIndex::Options{.self = identity.node_id, .own_subnet = {}}),
        announcer(identity, index, *this, random, {}) {}

  std::optional<NodeId> next_hop(NodeId /*origin*/) const override { return std::nullopt; }
  bool is_blocked(NodeId peer) const override { return blocked.contains(peer); }
  NodeId id() const { return identity.node_id; }
  bool knows(const TestNode& other, Now now) const {
    const auto found = index.find_nodes({}, now.monotonic);
    return std::find(found.begin(), found.end(), other.id()) != found.end();
  }

  Random random;
  identity::LocalIdentity identity;
  CapabilityIndex index;
  std::set<NodeId> blocked;
  Announcer announcer;
};

class TestNetwork {
 public:
  explicit TestNetwork(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      crypto::Key key = testing::repeated(7);
      store_le(key.data(), std::uint64_t{i});
      add(std::make_unique<TestNode>(i, key));
    }
  }

  TestNode& operator[](std::size_t i) { return *nodes[i]; }
  void add(std::unique_ptr<TestNode> node) {
    by_id[node->id()] = node.get();
    nodes.push_back(std::move(node));
  }
  void link(std::size_t a, std::size_t b, bool large = true) {
    nodes[a]->announcer.peer_up(now, nodes[b]->id(), {large, {}});
    nodes[b]->announcer.peer_up(now, nodes[a]->id(), {large, {}});
    links.insert({nodes[a]->id(), nodes[b]->id()});
    links.insert({nodes[b]->id(), nodes[a]->id()});
  }
  void unlink(std::size_t a, std::size_t b) {
    nodes[a]->announcer.peer_down(nodes[b]->id());
    nodes[b]->announcer.peer_down(nodes[a]->id());
    links.erase({nodes[a]->id(), nodes[b]->id()});
    links.erase({nodes[b]->id(), nodes[a]->id()});
  }
  void announce(std::size_t i, CapabilitySet set) {
    ASSERT_TRUE(nodes[i]->announcer.announce(now, std::move(set)));
  }
  /// Delivers until the network is silent. Every link takes equally long: what was sent in one
  /// round arrives before anything of the next is sent.
  void settle() {
    for (;;) {
      std::vector<std::pair<NodeId, Announcer::Transmit>> round;
      for (const auto& node : nodes) {
        while (auto out = node->announcer.poll_transmit()) round.emplace_back(node->id(), *out);
      }
      if (round.empty()) return;
      messages += round.size();
      for (const auto& [from, out] : round) {
        if (links.contains({from, out.to}))
          by_id.at(out.to)->announcer.handle(now, from, *out.document);
      }
    }
  }
  /// Lets time pass to `seconds`, with every timeout when it is due.
  void run_to(double seconds) {
    const Now end = at(seconds);
    for (;;) {
      settle();
      std::optional<TimePoint> next;
      for (const auto& node : nodes) {
        const auto due = node->announcer.next_timeout();
        if (due && (!next || *due < *next)) next = due;
      }
      if (!next || *next > end.monotonic) break;
      const Duration step = std::max(*next - now.monotonic, Duration(0));
      now = {now.monotonic + step, now.unix_ns + step.count()};
      for (const auto& node : nodes) node->announcer.handle_timeout(now);
    }
    now = end;
  }
  bool everybody_knows_everybody() {
    return std::all_of(nodes.begin(), nodes.end(), [&](const auto& node) {
      return node->index.find_nodes({}, now.monotonic).size() == nodes.size();
    });
  }

  Now now = at(0);
  std::vector<std::unique_ptr<TestNode>> nodes;
  std::map<NodeId, TestNode*> by_id;
  std::set<std::pair<NodeId, NodeId>> links;
  std::size_t messages = 0;
};

TEST(Announcer, IsFoundFromTwoHopsAwayAndOffersTheRoute) {
  TestNetwork net(3);
  net.link(0, 1);
  net.link(1, 2);
  net.announce(0, set_of({"gpu"}));
  net.settle();
  Filter gpu;
  gpu.require_tags = {"gpu", "nat:unknown"};
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(net[i].index.find_nodes(gpu, net.now.monotonic), std::vector{net[0].id()}) << i;

  const auto pinned = net[1].announcer.poll_event();
  ASSERT_TRUE(pinned);
  EXPECT_EQ(std::get<Announcer::PeerIdentified>(*pinned).entity, net[0].identity.entity_id());
  EXPECT_EQ(net[1].announcer.entity_of(net[0].id()), net[0].identity.entity_id());
  const auto offer = net[2].announcer.poll_event();
  ASSERT_TRUE(offer);
  const auto& route = std::get<Announcer::RouteOffer>(*offer);
  EXPECT_EQ(route.node, net[0].id());
  EXPECT_EQ(route.via, net[1].id());
  EXPECT_EQ(route.metric, 3u);
  EXPECT_EQ(net[2].announcer.entity_of(net[1].id()), std::nullopt) << "a forwarder proves nothing";
}

TEST(Announcer, ReachesEveryNodeOfALineARingAndARandomGraphWithoutAStorm) {
  Random random(11);
  for (const std::size_t count : {2u, 16u, 60u}) {
    for (int shape = 0; shape < 3; ++shape) {
      // A line is as long as announcements reach.
      if (shape == 0 && count > 16) continue;
      TestNetwork net(count);
      std::set<std::pair<std::size_t, std::size_t>> edges;
      for (std::size_t i = 0; i + 1 < count; ++i) edges.insert({i, i + 1});
      if (shape == 1 && count > 2 && count <= 30) edges.insert({0, count - 1});
      if (shape == 2 || count > 30) {
        for (std::size_t i = 0; i < 3 * count; ++i) {
          const auto a = static_cast<std::size_t>(random.below(count));
          const auto b = static_cast<std::size_t>(random.below(count));
          if (a != b) edges.insert({std::min(a, b), std::max(a, b)});
        }
      }
      for (const auto& [a, b] : edges) net.link(a, b);
      net.settle();
      for (std::size_t i = 0; i < count; ++i) net.announce(i, set_of({"x"}));
      net.settle();
      EXPECT_TRUE(net.everybody_knows_everybody()) << count << " nodes, shape " << shape;
      EXPECT_LE(net.messages, 2 * count * edges.size()) << "each link at most once each way";
      const std::size_t before = net.messages;
      net.settle();
      EXPECT_EQ(net.messages, before);
    }
  }
}

TEST(Announcer, StopsForwardingAfterFifteenHops) {
  TestNetwork net(20);
  for (std::size_t i = 0; i + 1 < 20; ++i) net.link(i, i + 1);
  net.announce(0, {});
  net.settle();
  EXPECT_TRUE(net[16].knows(net[0], net.now));
  EXPECT_FALSE(net[17].knows(net[0], net.now));
}

TEST(Announcer, SendsAnUpdateInsideTheQuietIntervalWhenThatEnds) {
  TestNetwork net(2);
  net.link(0, 1);
  net.announce(0, set_of({"first"}));
  net.run_to(2);
  net.announce(0, set_of({"second"}));
  net.run_to(5);
  net.announce(0, set_of({"third"}));
  net.run_to(9.9);
  EXPECT_TRUE(net[1].index.capabilities_of(net[0].id())->tags.contains("first"));
  EXPECT_TRUE(net[0].index.capabilities_of(net[0].id())->tags.contains("third"))
      << "at home at once";
  net.run_to(10);
  EXPECT_TRUE(net[1].index.capabilities_of(net[0].id())->tags.contains("third"));
  EXPECT_EQ(net[0].announcer.counters().broadcasts, 2u);
}

TEST(Announcer, RefreshesAShortLifeNoMoreThanAFewTimes) {
  TestNetwork net(2);
  net.link(0, 1);
  ASSERT_TRUE(net[0].announcer.announce(net.now, set_of({"brief"}), 1));
  for (int tenths = 1; tenths <= 600; ++tenths) {
    net.run_to(tenths / 10.0);
    ASSERT_TRUE(net[1].knows(net[0], net.now)) << tenths;
  }
  EXPECT_LE(net[0].announcer.counters().broadcasts, 60u * 4u);
}

TEST(Announcer, RefreshesBeforeItExpiresAndExpiresWhenItIsGone) {
  TestNetwork net(2);
  net.link(0, 1);
  net.announce(0, {});
  net.run_to(3600);
  EXPECT_TRUE(net[1].knows(net[0], net.now));
  EXPECT_LE(net[0].announcer.counters().broadcasts, 3600u / 90u + 1u);
  net.links.clear();
  net.run_to(3600 + 301);
  EXPECT_FALSE(net[1].knows(net[0], net.now));
}

TEST(Announcer, IsBelievedAtOnceAfterARestart) {
  TestNetwork net(3);
  net.link(0, 1);
  net.link(1, 2);
  net.announce(0, set_of({"old"}));
  net.run_to(5);
  // The same identity starts again, and nobody has noticed that it was gone.
  crypto::Key key = testing::repeated(7);
  store_le(key.data(), std::uint64_t{0});
  net.nodes[0] = std::make_unique<TestNode>(99, key);
  net.by_id[net[0].id()] = net.nodes[0].get();
  net[0].announcer.peer_up(net.now, net[1].id(), {true, {}});
  net.announce(0, set_of({"new"}));
  net.settle();
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(net[i].index.capabilities_of(net[0].id())->tags.contains("new")) << i;
}

TEST(Announcer, IntroducesWhatItKnowsToALateJoiner) {
  TestNetwork net(100);
  for (std::size_t i = 1; i < 99; ++i) net.link(0, i);
  for (std::size_t i = 0; i < 99; ++i) net.announce(i, {});
  net.run_to(3);
  net.link(99, 0);
  net.announce(99, {});
  net.run_to(4);
  EXPECT_TRUE(net.everybody_knows_everybody());
  EXPECT_GE(net[0].announcer.counters().introductions, 98u);
}

TEST(Announcer, ForgetsAPeerThatWentDownWholly) {
  TestNetwork net(2);
  net.link(0, 1);
  net.announce(0, {});
  net.settle();
  net.unlink(0, 1);
  EXPECT_FALSE(net[1].knows(net[0], net.now));
  EXPECT_EQ(net[1].announcer.entity_of(net[0].id()), std::nullopt);
  net.link(0, 1);
  net.settle();
  EXPECT_TRUE(net[1].knows(net[0], net.now)) << "the same version is believed again";
}

TEST(Announcer, SendsNothingToABlockedPeer) {
  TestNetwork net(2);
  net[0].blocked.insert(net[1].id());
  net.link(0, 1);
  net.announce(0, {});
  net.settle();
  EXPECT_FALSE(net[1].knows(net[0], net.now));
}

TEST(Announcer, DerivesTheSubnetsOfDirectPeers) {
  Announcer::Options options;
  options.subnet_policy = identity::SubnetPolicy::make({{"region:", 0, {{"us", 3}}}}).value();
  TestNode node(50, options);
  TestNode peer(51, Announcer::Options());
  node.announcer.peer_up(at(0), peer.id(), {});
  peer.announcer.peer_up(at(0), node.id(), {});
  ASSERT_TRUE(peer.announcer.announce(at(0), set_of({"region:us"})));
  node.announcer.handle(at(0), peer.id(), *peer.announcer.poll_transmit()->document);
  EXPECT_EQ(node.index.subnet_of(peer.id()), identity::SubnetId(0x03000000));
  node.announcer.peer_down(peer.id());
  EXPECT_EQ(node.index.subnet_of(peer.id()), std::nullopt);
}

/// One node that two others talk to, one of them dishonest.
struct Attack : ::testing::Test {
  Attack()
      : victim(1, Announcer::Options()),
        honest(2, Announcer::Options()),
        mallory(3, Announcer::Options()) {
    victim.announcer.peer_up(now, honest.id(), {});
    victim.announcer.peer_up(now, mallory.id(), {});
  }
  Announcement made_by(const TestNode& node, std::uint64_t version = 5) const {
    Announcement a;
    a.node_id = node.id();
    a.entity_id = node.identity.entity_id();
    a.version = version;
    a.timestamp_ns = static_cast<std::uint64_t>(now.unix_ns);
    a.ttl_secs = 300;
    a.capabilities = set_of({"gpu"});
    a.sign(node.identity.signing_key);
    return a;
  }
  Received handle(const Announcement& a, const TestNode& from) {
    return victim.announcer.handle(now, from.id(), a.encode());
  }

  Now now = at(0);
  TestNode victim, honest, mallory;
};

TEST_F(Attack, ForgedAnnouncementsChangeNothing) {
  Announcement a = made_by(honest);
  a.hop_count = 1;
  a.capabilities.add_tag("forged");
  EXPECT_EQ(handle(a, mallory), Received::kForged);
  EXPECT_EQ(victim.index.size(), 0u);
  EXPECT_FALSE(victim.announcer.poll_transmit());
  a = made_by(honest);
  EXPECT_EQ(handle(a, honest), Received::kIndexed) << "the forgery did not use up the version";
}

TEST_F(Attack, AStolenNodeIdIsRefused) {
  Announcement a = made_by(mallory);
  a.node_id = honest.id();
  a.sign(mallory.identity.signing_key);
  EXPECT_EQ(handle(a, mallory), Received::kForeign);
  a.hop_count = 1;
  EXPECT_EQ(handle(a, mallory), Received::kWrongNodeId);
  EXPECT_EQ(handle(made_by(victim), mallory), Received::kForeign);
  a = made_by(victim);
  a.hop_count = 2;
  EXPECT_EQ(handle(a, mallory), Received::kOwn);
}

TEST_F(Attack, UnsignedAnnouncementsCountOnlyWhereAllowed) {
  Announcement a = made_by(honest);
  a.signature.reset();
  EXPECT_EQ(handle(a, honest), Received::kUnsigned);
  Announcer::Options lenient;
  lenient.require_signed = false;
  TestNode other(9, lenient);
  other.announcer.peer_up(now, honest.id(), {});
  EXPECT_EQ(other.announcer.handle(now, honest.id(), a.encode()), Received::kIndexed);
  EXPECT_EQ(other.announcer.entity_of(honest.id()), std::nullopt) << "and pin nobody";
  a.version = 6;
  a.entity_id = mallory.identity.entity_id();
  EXPECT_EQ(other.announcer.handle(now, honest.id(), a.encode()), Received::kWrongNodeId);
}

TEST_F(Attack, ReplaysAreSeenAndAddNoLife) {
  const Announcement a = made_by(honest);
  EXPECT_EQ(handle(a, honest), Received::kIndexed);
  EXPECT_EQ(handle(a, honest), Received::kSeen);
  EXPECT_EQ(handle(made_by(honest, 4), honest), Received::kSeen) << "an older version";
  now = at(700);
  victim.announcer.handle_timeout(now);
  Announcement replay = a;
  replay.hop_count = 1;
  EXPECT_EQ(handle(replay, mallory), Received::kExpired) << "after its version was forgotten";
}

TEST_F(Attack, AForwardedCopyDoesNotSuppressTheDirectOne) {
  Announcement a = made_by(honest);
  a.hop_count = 1;
  EXPECT_EQ(handle(a, mallory), Received::kIndexed);
  EXPECT_EQ(victim.announcer.entity_of(honest.id()), std::nullopt);
  a.hop_count = 0;
  EXPECT_EQ(handle(a, honest), Received::kIndexed);
  EXPECT_EQ(victim.announcer.entity_of(honest.id()), honest.identity.entity_id());
}

TEST_F(Attack, AnInflatedHopCountDoesNotShortenTheReach) {
  TestNode next(4, Announcer::Options());
  victim.announcer.peer_up(now, next.id(), {});
  Announcement a = made_by(honest);
  a.hop_count = 14;
  EXPECT_EQ(handle(a, mallory), Received::kIndexed);
  while (victim.announcer.poll_transmit()) {
  }
  a.hop_count = 0;
  EXPECT_EQ(handle(a, honest), Received::kIndexed);
  bool passed_on = false;
  while (const auto out = victim.announcer.poll_transmit()) {
    if (out->to == next.id())
      passed_on = AnnouncementParser().parse(*out->document)->hop_count == 1;
  }
  EXPECT_TRUE(passed_on);
}

TEST_F(Attack, APeerIsHeldToTheIdentityOfItsHandshake) {
  victim.announcer.peer_up(now, honest.id(), {true, testing::repeated(1)});
  EXPECT_EQ(handle(made_by(honest), honest), Received::kWrongIdentity);
}

TEST_F(Attack, AFloodIsLimitedPerPeer) {
  Announcer::Options options;
  options.peer_burst = 10;
  options.peer_rate_per_second = 1;
  TestNode target(5, options);
  target.announcer.peer_up(now, mallory.id(), {});
  target.announcer.peer_up(now, honest.id(), {});
  Announcement a = made_by(honest);
  a.hop_count = 1;
  a.capabilities.add_tag("forged");
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(target.announcer.handle(now, mallory.id(), a.encode()), Received::kForged);
  EXPECT_EQ(target.announcer.handle(now, mallory.id(), a.encode()), Received::kRateLimited);
  EXPECT_EQ(target.announcer.handle(now, honest.id(), made_by(honest).encode()),
            Received::kIndexed);
  EXPECT_EQ(target.announcer.handle(at(1), mallory.id(), a.encode()), Received::kForged);
}

TEST_F(Attack, GarbageAndStrangersAreDropped) {
  EXPECT_EQ(victim.announcer.handle(now, mallory.id(), "{"), Received::kMalformed);
  EXPECT_EQ(victim.announcer.handle(now, NodeId(77), made_by(honest).encode()), Received::kForeign);
}

TEST(Announcer, RefusesWhatDoesNotFitWithoutAnyEffect) {
  TestNetwork net(3);
  net.link(0, 1, true);
  net.announce(0, set_of({"small"}));
  net.run_to(20);
  CapabilitySet large;
  large.add_tag(std::string(9000, 'x'));
  net.announce(0, large);
  net.settle();
  EXPECT_TRUE(net[1].index.capabilities_of(net[0].id())->tags.contains(std::string(9000, 'x')))
      << "modern peers take large ones";
  net.run_to(40);
  net.link(0, 2, false);
  net.settle();
  EXPECT_EQ(net[0].announcer.counters().skipped_too_large, 1u);
  large.add_tag("y");
  const auto legacy = net[0].announcer.announce(net.now, large);
  ASSERT_FALSE(legacy);
  EXPECT_EQ(legacy.error().kind, ErrorKind::kCapability);
  EXPECT_NE(legacy.error().message.find("exceeds the 8108 bytes that the legacy peer"),
            std::string::npos);
  large.add_tag(std::string(70'000, 'z'));
  EXPECT_NE(net[0].announcer.announce(net.now, large).error().message.find("65536"),
            std::string::npos);
  CapabilitySet many;
  for (int i = 0; i < 3000; ++i) many.add_tag(std::to_string(i));
  EXPECT_EQ(net[0].announcer.announce(net.now, many).error().message,
            "capability: 3001 tags exceed the limit of 2048");
  EXPECT_FALSE(net[0].announcer.baseline().tags.contains("y")) << "what was refused left no trace";
}

TEST(Announcer, AnnouncesAgainWhenItsEnvironmentChanges) {
  TestNetwork net(2);
  net.link(0, 1);
  net[0].announcer.set_environment(net.now, {{"echo"}, "cone", {}});
  net.settle();
  EXPECT_EQ(net.messages, 0u) << "nothing was announced yet";
  net.announce(0, set_of({"nat:symmetric", "x"}));
  net.settle();
  EXPECT_EQ(net[1].index.capabilities_of(net[0].id())->tags,
            (TagSet{"nat:cone", "nrpc:echo", "x"}));
  net[0].announcer.set_environment(net.now, {{}, "open", Endpoint::ipv4(1, 2, 3, 4, 5)}, true);
  net.settle();
  EXPECT_EQ(net[1].index.capabilities_of(net[0].id())->tags, (TagSet{"nat:open", "x"}));
}

}  // namespace
}  // namespace netmesh::capability
