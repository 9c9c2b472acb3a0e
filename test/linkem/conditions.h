#pragma once
// What a link does to its packets, and the text in which it is asked for.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace netmesh::linkem {

/// What a packet above the MTU meets.
enum class OversizePolicy {
  kSilent,  ///< a black hole: nobody is told
  kIcmp,    ///< "fragmentation needed" or "packet too big" goes back to the sender
};

/// What corruption does to a packet.
enum class CorruptionStyle {
  kPayload,  ///< flips a bit of the payload and repairs the checksums: it reaches the application
  kWire,     ///< flips a bit anywhere: checksums notice nearly always, so it is mostly a loss
};

/// One direction of a link. Probabilities are per packet, in [0, 1].
///
/// A packet is checked against the MTU, waits in a drop-tail queue for a line of `bits_per_second`,
/// and may be lost, damaged, repeated or held back on the way. What is lost on the way has used the
/// line.
struct Conditions {
  double loss = 0;
  /// Gilbert–Elliott: in the bad state `burst_loss` applies instead of `loss`. The mean length of a
  /// burst is 1 / `burst_end` packets.
  double burst_start = 0;
  double burst_end = 1;
  double burst_loss = 1;
  double duplicate = 0;
  double corrupt = 0;
  CorruptionStyle corruption = CorruptionStyle::kPayload;
  Duration delay{};
  /// Up to this much more, uniformly; packets keep their order all the same.
  Duration jitter{};
  /// Held back by `reorder_by` while later packets pass.
  double reorder = 0;
  Duration reorder_by = std::chrono::milliseconds(5);
  std::uint64_t bits_per_second = 0;  ///< of whole IP packets; 0: unlimited
  std::uint64_t queue_bytes = 256 * 1024;
  std::size_t mtu = 0;  ///< 0: that of the device
  OversizePolicy oversize = OversizePolicy::kSilent;
  bool down = false;  ///< everything is lost

  bool operator==(const Conditions&) const = default;
};

/// Applies `name=value`, for example `loss=1%`, `delay=20ms`, `rate=100mbit`. `conditions` is
/// untouched when it fails; the error says what is allowed.
Expected<void> apply_condition(Conditions& conditions, std::string_view text);

/// Every name that `apply_condition` knows, with the form of its value, for `--help`.
extern const char* const kConditionsHelp;

}  // namespace netmesh::linkem
