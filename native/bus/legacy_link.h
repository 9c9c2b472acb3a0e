#pragma once
// The point-to-point protocol of net-mesh 0.19's event bus (spec 10 §16, spec 40 §13), without I/O.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace netmesh::bus {

/// One end of a link between two buses: a handshake without prologue, then event packets. Whoever
/// drives it moves the datagrams and keeps the time. Fire and forget, as the protocol is: nothing
/// is acknowledged or sent again.
class LegacyLink {
 public:
  /// The largest event that one packet carries; larger ones cannot be sent.
  static constexpr std::size_t kMaxEventBytes = 8108;

  /// `responder_key`: the initiator knows the responder's public key, the responder its own secret.
  /// Fails with kInvalidArgument when a key is not 32 bytes.
  static Expected<std::unique_ptr<LegacyLink>> create(bool initiator, ByteSpan psk,
                                                      ByteSpan responder_key);
  ~LegacyLink();
  LegacyLink(const LegacyLink&) = delete;
  LegacyLink& operator=(const LegacyLink&) = delete;

  /// The initiator's first packet; each call begins a new attempt. Empty when the key is unusable.
  Bytes begin();

  enum class Kind : std::uint8_t {
    kIgnored,      ///< not for this link, forged, replayed or malformed
    kEstablished,  ///< the handshake is complete; `reply` goes back where the datagram came from
    kModernPeer,   ///< an initiator that speaks the mesh protocol asks for a session
    kHeartbeat,
    kEvents,
  };
  struct Received {
    Kind kind = Kind::kIgnored;
    Bytes reply;
    /// The first packet under keys of a new handshake: the peer is where it came from.
    bool moved = false;
    std::uint64_t stream = 0;
    std::vector<ByteSpan> events;  ///< in the datagram, which was decrypted in place
  };
  Received handle(MutableByteSpan datagram);

  bool established() const;
  /// Packs events greedily into packets. Events above kMaxEventBytes are left out.
  std::vector<Bytes> seal(std::uint64_t stream, bool reliable, std::span<const ByteSpan> events);
  Bytes heartbeat();

 private:
  LegacyLink();
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace netmesh::bus
