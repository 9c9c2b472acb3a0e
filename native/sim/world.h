#pragma once
// A simulated world: a network, the nodes in it, and what went wrong.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mesh/node.h"
#include "sim/network.h"

namespace netmesh::sim {

class SimNode;

/// 10.0.0.0/8, far from each other: datagrams of 1200 bytes.
Endpoint address_of(std::uint32_t number);
/// One machine's loopback: datagrams of 8192 bytes.
Endpoint loopback_address_of(std::uint16_t number);

/// Identity `number`, the pre-shared key that all simulated nodes know, and defaults otherwise.
mesh::NodeConfig config_of(std::uint64_t number);

/// Owns everything in a run. Checks report here; a run with failures failed.
class World {
 public:
  explicit World(std::uint64_t seed, Trace* trace = nullptr);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  SimNetwork network;

  /// Adds a node, attached to the network under `address`.
  SimNode& add(std::string name, const Endpoint& address, mesh::NodeConfig config);
  /// The common case: node `number` with its own identity and address, started.
  SimNode& add(std::uint32_t number);
  /// The node is gone without a goodbye, like a process that was killed.
  void kill(SimNode& node);

  /// Adds to what is sampled for timelines and plots, besides the sessions of all nodes.
  using Sampler = std::function<void(std::vector<PathSample>&)>;
  void add_sampler(Sampler sampler) { samplers_.push_back(std::move(sampler)); }

  /// Notes a failure unless `ok`; returns `ok`.
  bool expect(bool ok, std::string_view what);
  void fail(std::string what);
  const std::vector<std::string>& failures() const { return failures_; }
  bool ok() const { return failures_.empty(); }

  /// Runs until `done`; a failure named `what` when `limit` passes first. Ends early on failures.
  bool run_until(std::string_view what, const std::function<bool()>& done, Duration limit);

 private:
  friend class SimNode;
  void sample_paths();

  mesh::TransmitBatch batch_;  ///< lent to the node that transmits
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<std::string> failures_;
  std::vector<Sampler> samplers_;
};

}  // namespace netmesh::sim
