#pragma once
// What is remembered of packets on their way.

#include <cstdint>

#include "base/ids.h"
#include "base/time.h"
#include "session/delivery_rate.h"
#include "session/send_stream.h"

namespace netmesh::session {

/// What a sent packet carried that matters when it is acknowledged or lost.
struct SentFrame {
  enum class Kind : std::uint8_t {
    kStream,
    kDatagram,
    kStreamLimit,
    kSessionLimit,
    kAck,
    kBlocked,
    kPeerInfo,
    kRekey,
    kMtuProbe,  ///< range.length = bytes of its packet
  };
  Kind kind = Kind::kStream;
  StreamId stream_id;
  std::uint64_t epoch = 0;
  StreamRange range;  ///< kAck: offset = newest packet number acknowledged by it
};

/// One packet number, from sending until it is settled.
struct SentPacket {
  enum class State : std::uint8_t {
    kInFlight,
    kAcknowledged,
    kLost,
    kUnanswered,  ///< asked for no acknowledgement
    kSkipped,     ///< never sent
  };
  TimePoint sent_at;
  std::uint64_t first_frame = 0;
  DeliverySnapshot path;
  std::uint32_t bytes = 0;
  std::uint16_t frame_count = 0;
  State state = State::kInFlight;
  bool mtu_probe = false;  ///< its loss tells about sizes, not about congestion
};

/// Events on the way of packets, counted.
struct LossStatistics {
  std::uint64_t packets_lost = 0;       ///< declared lost, rightly or not
  std::uint64_t spurious_losses = 0;    ///< of those, acknowledged after all
  std::uint64_t congestion_events = 0;  ///< at most one per round trip
  std::uint64_t undone_events = 0;      ///< of those, taken back: nothing had been lost
  std::uint64_t persistent_congestions = 0;
  std::uint64_t probe_timeouts = 0;
};

}  // namespace netmesh::session
