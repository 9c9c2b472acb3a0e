#include "channel/guard.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"
#include "crypto/hash.h"

namespace netmesh::channel {
namespace {

constexpr std::size_t kLeastSlots = 64;
constexpr std::size_t kLeastBloomBits = std::size_t{1} << 15;
/// Few strangers pass, and the filter stays small beside the grants.
constexpr std::size_t kBloomBitsPerSlot = 16;

}  // namespace

AuthGuard::AuthGuard(std::uint64_t hash_seed) : seed_(hash_seed) { rebuild(kLeastSlots); }

std::uint64_t AuthGuard::hash_of(const Grant& grant) const {
  return crypto::xxh3_64(grant.node.value, grant.channel.value, seed_);
}

/// Both bits are in one word, so that asking costs one access to memory.
std::uint64_t AuthGuard::bits_of(std::uint64_t hash) {
  return (std::uint64_t{1} << (hash >> 58)) | (std::uint64_t{1} << ((hash >> 52) & 63));
}

bool AuthGuard::may_hold(std::uint64_t hash) const {
  return (~bloom_[hash & (bloom_.size() - 1)] & bits_of(hash)) == 0;
}

void AuthGuard::mark(std::uint64_t hash) { bloom_[hash & (bloom_.size() - 1)] |= bits_of(hash); }

std::size_t AuthGuard::find(std::uint64_t hash, const Grant& grant) const {
  const std::size_t mask = slots_.size() - 1;
  // The low bits went into the filter.
  std::size_t at = (hash >> 20) & mask;
  while (!slots_[at].is_none() && !(slots_[at] == grant)) at = (at + 1) & mask;
  return at;
}

bool AuthGuard::check(NodeId node, ChannelNumber channel) const {
  const Grant grant{node, channel};
  const std::uint64_t hash = hash_of(grant);
  return may_hold(hash) && !slots_[find(hash, grant)].is_none();
}

void AuthGuard::grant(NodeId node, ChannelNumber channel) {
  const Grant grant{node, channel};
  NM_ASSERT(!grant.is_none());
  const std::uint64_t hash = hash_of(grant);
  Grant& slot = slots_[find(hash, grant)];
  if (!slot.is_none()) return;
  slot = grant;
  mark(hash);
  if (++size_ * 4 > slots_.size() * 3) rebuild(slots_.size() * 2);
}

bool AuthGuard::revoke(NodeId node, ChannelNumber channel) {
  const std::size_t mask = slots_.size() - 1;
  const Grant grant{node, channel};
  std::size_t hole = find(hash_of(grant), grant);
  if (slots_[hole].is_none()) return false;
  slots_[hole] = {};
  --size_;
  // What stands behind the hole and could not get its own place moves up.
  for (std::size_t at = (hole + 1) & mask; !slots_[at].is_none(); at = (at + 1) & mask) {
    const std::size_t home = (hash_of(slots_[at]) >> 20) & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    slots_[hole] = std::exchange(slots_[at], {});
    hole = at;
  }
  ++stale_;
  if (slots_.size() > kLeastSlots && size_ * 8 < slots_.size()) {
    rebuild(slots_.size() / 2);
  } else if (stale_ * 2 > slots_.size()) {
    rebuild(slots_.size());
  }
  return true;
}

void AuthGuard::rebuild(std::size_t slots) {
  NM_ASSERT(std::has_single_bit(slots));
  const std::vector<Grant> before = std::exchange(slots_, std::vector<Grant>(slots));
  bloom_.assign(std::max(slots * kBloomBitsPerSlot, kLeastBloomBits) / 64, 0);
  bloom_.shrink_to_fit();
  stale_ = 0;
  for (const Grant& grant : before) {
    if (grant.is_none()) continue;
    const std::uint64_t hash = hash_of(grant);
    slots_[find(hash, grant)] = grant;
    mark(hash);
  }
}

}  // namespace netmesh::channel
