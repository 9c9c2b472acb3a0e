#pragma once
// Path MTU by probing: datagrams grow from what every path carries to what this one does
// (RFC 8899).

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace netmesh::session {

/// One per direct modern path. Sizes are UDP payloads. The session sends a probe when one is due,
/// tells what became of it, and reports every other packet above the base size, so that a path
/// that begins to swallow large packets is noticed.
class MtuDiscovery {
 public:
  /// RFC 8899 §5.1.2 MAX_PROBES.
  static constexpr unsigned kMaxProbes = 3;
  /// RFC 8899 §5.1.1 PMTU_RAISE_TIMER: when a finished search begins anew.
  static constexpr Duration kRaiseInterval = std::chrono::minutes(10);
  /// After a black hole; the path may have changed for a while only.
  static constexpr Duration kBlackHolePause = std::chrono::minutes(1);
  /// So many large packets lost with none acknowledged in between are a black hole, and so are
  /// this many probe timeouts in a row.
  static constexpr unsigned kBlackHoleLosses = 12;
  static constexpr unsigned kBlackHoleTimeouts = 2;

  /// No search when `ceiling` is not above `base`.
  MtuDiscovery(std::size_t base, std::size_t ceiling);

  std::size_t current() const { return current_; }
  /// The size of the probe that should leave now, if any.
  std::optional<std::size_t> probe_due(TimePoint now);
  void on_probe_sent() { probe_in_flight_ = true; }
  /// True when `current` rose.
  bool on_probe_acknowledged(std::size_t size, TimePoint now);
  void on_probe_lost(std::size_t size, TimePoint now);

  void on_acknowledged(std::size_t size) {
    if (size > base_) large_losses_ = 0;
  }
  /// True when `current` fell back to the base.
  bool on_lost(std::size_t size, TimePoint now);
  bool on_timeout(unsigned in_a_row, TimePoint now);

  std::uint64_t black_holes() const { return black_holes_; }

 private:
  bool fall_back(TimePoint now);
  void choose_next(TimePoint now);

  std::size_t base_;
  std::size_t ceiling_;
  std::size_t current_;
  std::size_t failed_;     ///< smallest size known not to pass; ceiling_ + 1 when none is
  std::size_t probe_ = 0;  ///< the size under test; 0: the search rests until `resume_at_`
  unsigned attempts_ = 0;
  bool probe_in_flight_ = false;
  unsigned large_losses_ = 0;
  std::uint64_t black_holes_ = 0;
  TimePoint resume_at_{};
};

}  // namespace netmesh::session
