#pragma once
// A TCP connection as the common kernels have it, to compete with: CUBIC with HyStart, selective
// acknowledgement, delayed acknowledgements, retransmission timeout.

#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "sim/network.h"

namespace netmesh::sim {

/// One bulk transfer from `from` to `to`, never short of data. Written against RFC 9438, 6675 and
/// 6298 on its own, not with the session's controllers: it is what they are compared with.
class TcpFlow {
 public:
  static constexpr std::size_t kSegmentBytes = 1'500;

  TcpFlow(SimNetwork& network, const Endpoint& from, const Endpoint& to);
  ~TcpFlow();
  TcpFlow(const TcpFlow&) = delete;
  TcpFlow& operator=(const TcpFlow&) = delete;

  void start();
  /// Bytes that the receiver has in order.
  std::uint64_t received_bytes() const;
  std::uint64_t segments_sent() const;
  std::uint64_t segments_repeated() const;
  /// In bytes.
  std::uint64_t window() const;
  std::uint64_t in_flight() const;
  Duration smoothed_rtt() const;

 private:
  class Sender;
  class Receiver;
  std::unique_ptr<Receiver> receiver_;
  std::unique_ptr<Sender> sender_;
};

}  // namespace netmesh::sim
