#pragma once
// What scenarios share: pairs of nodes, rough links, and flows whose delivery is checked.

#include <memory>
#include <string>
#include <vector>

#include "sim/node.h"
#include "sim/scenario.h"
#include "sim/sender.h"

namespace netmesh::sim {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// 30 % lost, a tenth repeated, some damaged, all out of order.
LinkConfig rough_link();

/// Connects `a` to `b` and waits; false (and a failure) when that does not work out.
bool connect(World& world, SimNode& a, SimNode& b, const mesh::ConnectOptions& options = {});

/// Until packets of the session between the two have arrived at both.
bool wait_for_session(World& world, SimNode& a, SimNode& b);

/// The session that two nodes have now, and the check that it is still the one.
class SameSession {
 public:
  SameSession(const SimNode& a, const SimNode& b) : a_(a), b_(b), events_(count()) {}
  void check(World& world) const;

 private:
  std::size_t count() const { return a_.peer_events().size() + b_.peer_events().size(); }

  const SimNode& a_;
  const SimNode& b_;
  const std::size_t events_;
};

/// A message of `size` random bytes.
Bytes random_message(SimRandom& random, std::size_t size);
/// 0 to `largest`, mostly of every magnitude alike: empty and tiny ones are as frequent as large.
std::size_t random_size(SimRandom& random, std::size_t largest);

/// One opening of one stream from `from` to `to`, and the check that it arrived as it was sent.
class Flow {
 public:
  /// `opening`: how often this stream was opened before.
  Flow(SimNode& from, SimNode& to, const session::StreamConfig& config, std::size_t opening = 0);

  StreamSender& sender() { return *sender_; }
  const ReceivedStream* received() const;
  /// Pushes a message of about `size` bytes, less when the stream could not carry it.
  void push(SimRandom& random, std::size_t size);

  /// All that was sent was delivered, and the end reported when the sender closed.
  bool complete() const;
  /// Reliable: what was delivered is what was sent first, in order, nothing twice.
  void check_prefix(World& world) const;
  /// The same, and nothing is missing.
  void check_complete(World& world) const;
  std::string name() const;

 private:
  SimNode& from_;
  SimNode& to_;
  const session::StreamConfig config_;
  const std::size_t opening_;
  std::unique_ptr<StreamSender> sender_;
};

/// Runs until all of `flows` are complete, and checks each.
bool finish_flows(World& world, const std::vector<std::unique_ptr<Flow>>& flows, Duration limit);

}  // namespace netmesh::sim
