// What nodes announce spreads over the whole mesh, at a bounded cost, and goes when it should.

#include <algorithm>
#include <array>
#include <set>

#include "sim/traffic.h"

namespace netmesh::sim {
namespace {

capability::CapabilitySet tagged(const std::string& tag) {
  capability::CapabilitySet set;
  set.add_tag(tag);
  return set;
}

void announce(World& world, SimNode& node, const std::string& tag) {
  world.expect(
      node.call([&](mesh::Node& machine, Now now) { return machine.announce(now, tagged(tag)); })
          .has_value(),
      node.name() + " may announce");
}

bool finds(const SimNode& node, NodeId other, const std::string& tag = {}) {
  capability::Filter filter;
  if (!tag.empty()) filter.require_tags = {tag};
  const auto found = node.machine().capabilities().find_nodes(filter, node.now().monotonic);
  return std::find(found.begin(), found.end(), other) != found.end();
}

std::size_t known(const SimNode& node) {
  return node.machine().capabilities().find_nodes({}, node.now().monotonic).size();
}

/// Nodes and which of them are linked.
struct Mesh {
  std::vector<SimNode*> nodes;
  std::vector<std::pair<std::size_t, std::size_t>> links;

  bool all_known() const {
    return std::all_of(nodes.begin(), nodes.end(),
                       [&](const SimNode* node) { return known(*node) == nodes.size(); });
  }
  /// Announcements that arrived anywhere.
  std::uint64_t arrived() const {
    std::uint64_t total = 0;
    for (const SimNode* node : nodes) {
      const mesh::NodeCounters counters = node->machine().counters();
      total += counters.announcements_accepted + counters.announcements_repeated;
    }
    return total;
  }
  std::uint64_t refused() const {
    std::uint64_t total = 0;
    for (const SimNode* node : nodes) {
      const mesh::NodeCounters counters = node->machine().counters();
      total += counters.announcements_refused + counters.announcements_over_limit +
               counters.control_not_sent;
    }
    return total;
  }
};

enum class Shape { kLine, kRing, kRandom };

Mesh build(World& world, SimRandom& random, std::size_t count, Shape shape) {
  Mesh mesh;
  for (std::size_t i = 0; i < count; ++i)
    mesh.nodes.push_back(&world.add(static_cast<std::uint32_t>(i + 1)));
  std::set<std::pair<std::size_t, std::size_t>> links;
  const auto link = [&](std::size_t a, std::size_t b) {
    if (a != b) links.insert({std::min(a, b), std::max(a, b)});
  };
  for (std::size_t i = 1; i < count; ++i) link(i - 1, i);
  if (shape != Shape::kLine && count > 2) link(count - 1, 0);
  // A ring keeps it in one piece; three random links more for each node make about eight.
  if (shape == Shape::kRandom) {
    for (std::size_t i = 0; i < count; ++i) {
      for (int more = 0; more < 3; ++more) link(i, random.below(count));
    }
  }
  mesh.links.assign(links.begin(), links.end());
  std::vector<std::pair<SimNode*, mesh::RequestId>> requests;
  for (const auto& [a, b] : mesh.links)
    requests.emplace_back(mesh.nodes[a], mesh.nodes[a]->connect(*mesh.nodes[b]));
  world.run_until(
      "all links stand",
      [&] {
        return std::all_of(requests.begin(), requests.end(), [](const auto& request) {
          const auto* result = request.first->connected(request.second);
          return result != nullptr && result->has_value();
        });
      },
      minutes(1));
  return mesh;
}

void converge(World& world, SimRandom& random, std::size_t count, Shape shape) {
  LinkConfig link;
  link.delay = random.duration(milliseconds(1), milliseconds(30));
  link.jitter = milliseconds(2);
  link.loss = random.chance(0.3) ? 0.05 : 0;
  world.network.set_default_link(link);
  const Mesh mesh = build(world, random, count, shape);
  if (!world.ok()) return;
  for (SimNode* node : mesh.nodes) {
    announce(world, *node, "gpu");
    if (random.chance(0.5)) world.network.run_for(random.duration(Duration(0), milliseconds(20)));
  }
  // As far as announcements are passed on at all; a longer line ends them by their hop count.
  const bool reaches = shape != Shape::kLine || count <= capability::kLastHop;
  if (reaches) {
    world.run_until(
        "everybody knows everybody", [&] { return mesh.all_known(); }, minutes(1));
  } else {
    world.network.run_for(seconds(30));
    world.expect(finds(*mesh.nodes[0], mesh.nodes[capability::kLastHop]->id()),
                 "a node is known as far as it may be");
  }
  if (!world.ok()) return;
  // Every announcement crosses every link at most once in each direction, and once more for the
  // first copies that cross on their way.
  const std::uint64_t crossings = mesh.links.size() * 2 * count;
  world.expect(mesh.arrived() <= crossings,
               "each announcement crosses a link once in each direction");
  world.expect(mesh.refused() == 0, "nothing is refused");
  // No storm: silence until somebody says something again.
  world.network.run_for(seconds(5));
  const std::uint64_t before = mesh.arrived();
  world.network.run_for(seconds(30));
  world.expect(mesh.arrived() == before, "nothing is repeated without need");
  // A change travels like that, too.
  SimNode& changed = *mesh.nodes[random.below(count)];
  announce(world, changed, "changed");
  world.network.run_for(seconds(10));
  world.expect(mesh.arrived() - before <= mesh.links.size() * 2, "a change crosses each link once");
  std::size_t aware = 0;
  for (const SimNode* node : mesh.nodes) aware += finds(*node, changed.id(), "changed") ? 1 : 0;
  world.expect(!reaches || aware == count, "a change reaches everybody");
  // It is repeated before it expires. Of many nodes a single round of that is enough work.
  world.network.run_for(count > 20 ? minutes(2) : minutes(12));
  world.expect(!reaches || mesh.all_known(), "what nodes announced is kept alive");
}

Shape any_shape(SimRandom& random) { return static_cast<Shape>(random.below(3)); }

void two(World& world, SimRandom& random) { converge(world, random, 2, Shape::kLine); }
void twenty(World& world, SimRandom& random) { converge(world, random, 20, any_shape(random)); }
void two_hundred(World& world, SimRandom& random) {
  converge(world, random, 200, random.chance(0.5) ? Shape::kRandom : Shape::kLine);
}

void partition(World& world, SimRandom& random) {
  Mesh mesh = build(world, random, 8, Shape::kLine);
  if (!world.ok()) return;
  for (SimNode* node : mesh.nodes) announce(world, *node, "before");
  world.run_until(
      "everybody knows everybody", [&] { return mesh.all_known(); }, minutes(1));
  if (!world.ok()) return;
  const std::size_t cut = 1 + random.below(6);
  const Endpoint left = mesh.nodes[cut - 1]->address(), right = mesh.nodes[cut]->address();
  world.network.set_partitioned(left, right, true);
  // Shorter than anybody notices, or until what the others said has expired.
  const Duration length = random.chance(0.5) ? seconds(20) : minutes(6);
  world.network.run_for(random.duration(seconds(11), length));
  for (SimNode* node : mesh.nodes) announce(world, *node, "during");
  world.network.run_for(length);
  const auto sees = [&](const SimNode* node, const SimNode* other) {
    return finds(*node, other->id(), "during");
  };
  for (std::size_t i = 0; i < mesh.nodes.size(); ++i) {
    for (std::size_t j = 0; j < mesh.nodes.size(); ++j) {
      const bool together = (i < cut) == (j < cut);
      world.expect(sees(mesh.nodes[i], mesh.nodes[j]) == together,
                   "a partition keeps apart what is apart, and nothing else");
    }
  }
  world.network.set_partitioned(left, right, false);
  world.run_until(
      "the parts grow together",
      [&] {
        return std::all_of(mesh.nodes.begin(), mesh.nodes.end(), [&](const SimNode* node) {
          return std::all_of(mesh.nodes.begin(), mesh.nodes.end(),
                             [&](const SimNode* other) { return sees(node, other); });
        });
      },
      seconds(30));
}

void restarted(World& world, SimRandom& random) {
  Mesh mesh = build(world, random, 5, Shape::kRing);
  if (!world.ok()) return;
  for (SimNode* node : mesh.nodes) announce(world, *node, "first");
  world.run_until(
      "everybody knows everybody", [&] { return mesh.all_known(); }, minutes(1));
  world.network.run_for(random.duration(Duration(0), minutes(3)));
  const NodeId id = mesh.nodes[0]->id();
  world.kill(*mesh.nodes[0]);
  mesh.nodes[0] = nullptr;
  world.network.run_for(random.duration(Duration(0), seconds(20)));
  SimNode& again = world.add(1);
  world.expect(again.id() == id, "the node has its identity again");
  announce(world, again, "second");
  const auto request = again.connect(*mesh.nodes[1]);
  world.run_until(
      "the node is connected", [&] { return again.connected(request) != nullptr; }, seconds(10));
  world.run_until(
      "everybody believes the restarted node",
      [&] {
        return std::all_of(mesh.nodes.begin() + 1, mesh.nodes.end(),
                           [&](const SimNode* node) { return finds(*node, id, "second"); });
      },
      config_of(0).heartbeat_interval);
  world.expect(!finds(*mesh.nodes[2], id, "first"), "nothing is left of its earlier life");
}

/// A peer that dies takes its entry along at its neighbours, and at the others with its time.
void death(World& world, SimRandom& random) {
  Mesh mesh = build(world, random, 4, Shape::kLine);
  if (!world.ok()) return;
  for (SimNode* node : mesh.nodes) announce(world, *node, "alive");
  world.run_until(
      "everybody knows everybody", [&] { return mesh.all_known(); }, minutes(1));
  if (!world.ok()) return;
  const NodeId id = mesh.nodes[0]->id();
  world.kill(*mesh.nodes[0]);
  world.run_until(
      "the neighbour notices", [&] { return !finds(*mesh.nodes[1], id); }, seconds(40));
  world.run_until(
      "the others forget it", [&] { return !finds(*mesh.nodes[3], id); }, minutes(5));
  world.expect(known(*mesh.nodes[1]) == 3, "nobody else is forgotten");
}

constexpr std::array kScenarios{
    Scenario{"capability-two", "two nodes know each other's capabilities", two},
    Scenario{"capability-twenty", "announcements reach twenty nodes at a bounded cost", twenty, 40},
    Scenario{"capability-two-hundred",
             "announcements reach two hundred nodes, or as far as they may travel", two_hundred, 2},
    Scenario{"capability-partition", "parts of a mesh that meet again know each other", partition},
    Scenario{"capability-restart", "a restarted node is believed within a heartbeat", restarted},
    Scenario{"capability-death", "what a dead node announced goes", death},
};

}  // namespace

std::span<const Scenario> capability_scenarios() { return kScenarios; }

}  // namespace netmesh::sim
