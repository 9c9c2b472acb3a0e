#pragma once
// Transfers that never run out of data, and what they make of a bottleneck.

#include <memory>
#include <string>
#include <vector>

#include "sim/node.h"
#include "sim/tcp_flow.h"
#include "sim/world.h"

namespace netmesh::sim {

/// One reliable stream from `from` to `to` that is kept full.
class BulkFlow {
 public:
  BulkFlow(SimNode& from, SimNode& to);
  ~BulkFlow();
  BulkFlow(const BulkFlow&) = delete;
  BulkFlow& operator=(const BulkFlow&) = delete;

  void start();
  void stop() { *running_ = false; }
  /// Payload that the receiver has.
  std::uint64_t received_bytes() const;
  /// How the sender sees the path; nothing while there is no session.
  std::optional<mesh::PeerInfo> info() const;

 private:
  void refill();

  SimNode& from_;
  SimNode& to_;
  std::shared_ptr<session::StreamGate> gate_;
  std::shared_ptr<bool> running_ = std::make_shared<bool>(false);
};

/// A bottleneck between senders on the left and receivers on the right, as in every textbook.
struct DumbbellConfig {
  std::uint64_t bytes_per_second = 1'250'000;
  Duration round_trip = std::chrono::milliseconds(40);
  std::uint64_t queue_bytes = 50'000;
  double loss = 0;         ///< at random, in the direction of the data
  double loss_behind = 0;  ///< the same, of what has left the bottleneck
  double ack_loss = 0;     ///< in the other direction
  Duration jitter{};
};

/// What one run showed, over the time that was measured.
struct DumbbellResult {
  std::vector<double> shares;  ///< of what all flows received together
  double utilisation = 0;      ///< of the bottleneck, in payload
  Duration mean_queue_delay{}, max_queue_delay{};
  double repeated = 0;  ///< share of packets that were sent again
  double jain = 1;      ///< fairness over all flows
};

/// Pairs of netmesh nodes and TCP connections that share the bottleneck.
class Dumbbell {
 public:
  Dumbbell(World& world, const DumbbellConfig& config);

  /// A pair with a session and a stream that is full once started.
  BulkFlow& add_netmesh(session::CongestionAlgorithm algorithm);
  TcpFlow& add_tcp();

  /// Starts every flow that has not been, lets them settle for `settle`, measures for `measure`.
  DumbbellResult run(Duration settle, Duration measure);

  World& world() { return world_; }
  std::size_t line() const { return line_; }
  SimNode& sender(std::size_t flow) { return *netmesh_[flow].from; }
  SimNode& receiver(std::size_t flow) { return *netmesh_[flow].to; }
  BulkFlow& netmesh(std::size_t flow) { return *netmesh_[flow].flow; }

 private:
  struct NetmeshPair {
    SimNode* from;
    SimNode* to;
    std::unique_ptr<BulkFlow> flow;
    bool started = false;
  };
  struct TcpPair {
    std::shared_ptr<TcpFlow> flow;
    bool started = false;
  };
  void link(const Endpoint& from, const Endpoint& to);
  void start_all();
  std::vector<std::uint64_t> received() const;
  std::pair<std::uint64_t, std::uint64_t> packets() const;

  World& world_;
  DumbbellConfig config_;
  std::size_t line_;
  std::uint32_t next_address_ = 1;
  std::vector<NetmeshPair> netmesh_;
  std::vector<TcpPair> tcp_;
};

}  // namespace netmesh::sim
