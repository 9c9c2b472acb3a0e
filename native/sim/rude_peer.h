#pragma once
// A member of the mesh who shakes hands properly and then writes whatever frames it likes.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "session/handshake.h"
#include "sim/network.h"
#include "sim/node.h"
#include "wire/frames.h"

namespace netmesh::sim {

/// Attached to the network at its address while it lives. Its packets are those of a modern
/// session; it keeps no rules but the format. A number per packet, never repeated.
class RudePeer final : public Port {
 public:
  RudePeer(World& world, std::uint32_t number);
  ~RudePeer() override;
  RudePeer(const RudePeer&) = delete;
  RudePeer& operator=(const RudePeer&) = delete;

  /// Shakes hands with `victim` and says one PING; false when there is no answer.
  bool connect(const SimNode& victim);
  NodeId id() const { return context_.identity.node_id; }
  const Endpoint& address() const { return address_; }
  SessionId session() const { return session_; }

  void send(const std::vector<wire::Frame>& frames);
  void send_plaintext(ByteSpan plaintext);
  /// The highest packet number that came from the victim.
  std::optional<std::uint64_t> largest_received() const { return largest_; }
  const std::vector<std::uint64_t>& received_numbers() const { return numbers_; }
  std::uint64_t stream_bytes_received() const { return stream_bytes_; }
  /// The victim's goodbye.
  std::optional<std::pair<std::uint64_t, std::string>> goodbye() const { return goodbye_; }
  /// Called with every packet number that arrives.
  std::function<void(std::uint64_t)> on_packet;

  void receive(const Endpoint& from, Bytes datagram) override;

 private:
  World& world_;
  SimRandom random_;
  Endpoint address_;
  Endpoint victim_;
  session::HandshakeContext context_;
  std::optional<session::InitiatorHandshake> handshake_;
  SessionId session_;
  std::optional<crypto::AeadKey> seal_, open_;
  std::uint64_t next_ = 0;
  std::optional<std::uint64_t> largest_;
  std::vector<std::uint64_t> numbers_;
  std::uint64_t stream_bytes_ = 0;
  std::optional<std::pair<std::uint64_t, std::string>> goodbye_;
};

}  // namespace netmesh::sim
