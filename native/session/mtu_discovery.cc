#include "session/mtu_discovery.h"

#include <algorithm>
#include <array>
#include <utility>

namespace netmesh::session {
namespace {

/// What common links carry, less the IP and UDP headers: PPPoE and tunnels, Ethernet (IPv6, IPv4),
/// FDDI and token ring bridges, jumbo frames (IPv6, IPv4), loopback-like links.
constexpr std::array<std::size_t, 7> kCommonSizes{1392, 1452, 1472, 4444, 8952, 8972, 16384};
/// Ethernet is so common that it is tried first.
constexpr std::size_t kFirstGuess = 1472;
/// Between what passes and what does not, closer than this is not worth a probe.
constexpr std::size_t kGranularity = 16;
constexpr std::size_t kRelativeGranularity = 16;  ///< or a sixteenth of the size

}  // namespace

MtuDiscovery::MtuDiscovery(std::size_t base, std::size_t ceiling)
    : base_(base), ceiling_(std::max(base, ceiling)), current_(base), failed_(ceiling_ + 1) {
  choose_next({});
}

void MtuDiscovery::choose_next(TimePoint now) {
  attempts_ = 0;
  probe_ = 0;
  if (failed_ == ceiling_ + 1) {
    // Nothing failed yet: upwards along the common sizes.
    if (current_ < kFirstGuess && kFirstGuess <= ceiling_) {
      probe_ = kFirstGuess;
      return;
    }
    const auto next = std::upper_bound(kCommonSizes.begin(), kCommonSizes.end(), current_);
    if (next != kCommonSizes.end() && *next <= ceiling_) {
      probe_ = *next;
    } else if (current_ < ceiling_) {
      probe_ = ceiling_;
    }
  } else {
    const auto common = std::upper_bound(kCommonSizes.begin(), kCommonSizes.end(), current_);
    const std::size_t gap = failed_ - current_;
    if (common != kCommonSizes.end() && *common < failed_) {
      probe_ = *common;
    } else if (current_ != kFirstGuess &&
               gap > std::max(kGranularity, current_ / kRelativeGranularity)) {
      // A link that carries Ethernet's size and not the next common one is an Ethernet.
      probe_ = current_ + gap / 2;
    }
  }
  if (probe_ == 0) resume_at_ = now + kRaiseInterval;
}

std::optional<std::size_t> MtuDiscovery::probe_due(TimePoint now) {
  if (probe_in_flight_) return std::nullopt;
  if (probe_ == 0) {
    if (current_ >= ceiling_ || now < resume_at_) return std::nullopt;
    failed_ = ceiling_ + 1;
    choose_next(now);
    if (probe_ == 0) return std::nullopt;
  }
  return probe_;
}

bool MtuDiscovery::on_probe_acknowledged(std::size_t size, TimePoint now) {
  if (!std::exchange(probe_in_flight_, false) || size != probe_) return false;
  large_losses_ = 0;
  current_ = size;
  choose_next(now);
  return true;
}

void MtuDiscovery::on_probe_lost(std::size_t size, TimePoint now) {
  if (!std::exchange(probe_in_flight_, false) || size != probe_ || ++attempts_ < kMaxProbes) return;
  failed_ = size;
  choose_next(now);
}

bool MtuDiscovery::on_lost(std::size_t size, TimePoint now) {
  if (size <= base_ || current_ <= base_ || ++large_losses_ < kBlackHoleLosses) return false;
  return fall_back(now);
}

bool MtuDiscovery::on_timeout(unsigned in_a_row, TimePoint now) {
  if (current_ <= base_ || in_a_row < kBlackHoleTimeouts) return false;
  return fall_back(now);
}

bool MtuDiscovery::fall_back(TimePoint now) {
  current_ = base_;
  large_losses_ = 0;
  probe_ = 0;
  probe_in_flight_ = false;
  attempts_ = 0;
  resume_at_ = now + kBlackHolePause;
  ++black_holes_;
  return true;
}

}  // namespace netmesh::session
