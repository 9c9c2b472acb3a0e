#pragma once
// One direction of the emulated link. A machine without clock or devices: time and packets come in,
// packets come out.

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/time.h"
#include "linkem/conditions.h"
#include "linkem/dice.h"
#include "linkem/packet.h"

namespace netmesh::linkem {

/// What happened to the packets of one direction. `packets_in` + `duplicated` ends up in exactly
/// one of delivered, `lost`, `lost_in_burst`, `lost_while_down`, `dropped_by_queue`, `too_big`,
/// `overflowed`, or is still under way.
struct Counters {
  std::uint64_t packets_in = 0, bytes_in = 0;
  std::uint64_t packets_out = 0, bytes_out = 0;
  std::uint64_t lost = 0;           ///< by chance, outside bursts
  std::uint64_t lost_in_burst = 0;  ///< by chance, in bursts
  std::uint64_t lost_while_down = 0;
  std::uint64_t dropped_by_queue = 0;  ///< the queue before the line was full
  std::uint64_t too_big = 0;           ///< above the MTU
  std::uint64_t overflowed = 0;        ///< more under way than the emulator holds
  std::uint64_t duplicated = 0, corrupted = 0, reordered = 0;
  std::uint64_t max_queue_bytes = 0;
};

/// Gilbert–Elliott loss: two states, each with a probability of loss, one draw per packet for each
/// transition and each loss.
class LossModel {
 public:
  explicit LossModel(std::uint64_t seed) : dice_(seed) {}

  enum class Fate { kPasses, kLost, kLostInBurst };
  Fate next(const Conditions& conditions);

 private:
  Dice dice_;
  bool bad_ = false;
};

/// One direction: queue → line → way.
///
/// The fate of the n-th packet on the line depends on the seed, n and the conditions, not on time.
class Link {
 public:
  /// `pool` outlives the link.
  Link(std::uint64_t seed, PacketPool& pool);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  const Conditions& conditions() const { return conditions_; }
  /// Applies to packets that leave the queue from now on; those on the way keep their fate.
  void set_conditions(TimePoint now, const Conditions& conditions);

  /// What became of a packet at once.
  enum class Submission { kTaken, kDropped, kTooBig };
  /// Takes a packet; the caller keeps one that is not taken.
  Submission submit(TimePoint now, Packet& packet);

  /// When `poll` will have something next; nothing when nothing is under way.
  std::optional<TimePoint> next_due() const;
  /// When the packet returned last by `poll` was due.
  TimePoint due() const { return last_due_; }
  /// The next packet that is due; an empty one when none is.
  Packet poll(TimePoint now);

  const Counters& counters() const { return counters_; }
  std::uint64_t queued_bytes() const { return queued_bytes_; }

 private:
  struct Waiting {
    TimePoint since;
    Packet packet;
  };
  struct InFlight {
    TimePoint due;
    std::uint64_t order;
    Packet packet;
  };
  static bool later(const InFlight& a, const InFlight& b) {
    return a.due != b.due ? a.due > b.due : a.order > b.order;
  }

  Duration time_on_line(std::size_t bytes) const;
  /// Puts the head of the queue onto the line when that is free.
  void begin_transmission();
  void run_line(TimePoint now);
  /// The packet has left the line at `at`.
  void launch(TimePoint at, Packet packet);
  void fly(TimePoint due, Packet packet, bool in_order);
  const InFlight* earliest() const;

  /// Held at most, queue included: a long fat path at 10 Gbit/s and 200 ms.
  static constexpr std::uint64_t kMaxHeldBytes = 256 * 1024 * 1024;

  PacketPool& pool_;
  Conditions conditions_;
  Counters counters_;
  LossModel loss_;
  Dice duplicates_, damage_, jitter_, reorder_;

  /// The first one is on the line while `line_free_` is set.
  std::deque<Waiting> queue_;
  std::uint64_t queued_bytes_ = 0;
  /// When the packet on the line will have left it.
  std::optional<TimePoint> line_busy_until_;
  /// When the line was last left; transmissions do not begin before.
  TimePoint line_free_{};

  /// In order of `due`.
  std::deque<InFlight> in_order_;
  /// Held back or repeated; a heap, earliest first.
  std::vector<InFlight> out_of_order_;
  std::uint64_t next_order_ = 0;
  std::uint64_t held_bytes_ = 0;
  TimePoint last_in_order_{};
  TimePoint last_due_{};
};

}  // namespace netmesh::linkem
