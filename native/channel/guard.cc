#include "channel/guard.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/assert.h"

namespace netmesh::channel {
namespace {

constexpr std::size_t kLeastSlots = 64;
constexpr std::size_t kLeastBloomBits = std::size_t{1} << 15;
/// At two probes 1 in 75 strangers passes.
constexpr std::size_t kBloomBitsPerSlot = 16;

}  // namespace

AuthGuard::AuthGuard(std::uint64_t hash_seed) : seed_(hash_seed) { rebuild(kLeastSlots); }

std::uint64_t AuthGuard::hash_of(NodeId node, const Channel& channel) const {
  const std::array<std::uint64_t, 2> key{node.value, channel.hash.value};
  return XXH3_64bits_withSeed(key.data(), sizeof(key), seed_);
}

bool AuthGuard::may_hold(std::uint64_t hash) const {
  const std::size_t mask = bloom_.size() * 64 - 1;
  const std::size_t first = hash & mask;
  const std::size_t second = (hash >> 32) & mask;
  return ((bloom_[first / 64] >> (first % 64)) & (bloom_[second / 64] >> (second % 64)) & 1) != 0;
}

void AuthGuard::mark(std::uint64_t hash) {
  const std::size_t mask = bloom_.size() * 64 - 1;
  for (const std::uint64_t bits : {hash, hash >> 32}) {
    const std::size_t bit = bits & mask;
    bloom_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
}

std::size_t AuthGuard::slot_of(std::uint64_t hash, NodeId node, const Channel& channel) const {
  const std::size_t mask = slots_.size() - 1;
  // The low bits went into the filter.
  std::size_t at = (hash >> 20) & mask;
  while (!slots_[at].is_free() && !(slots_[at].node == node && slots_[at].channel == channel))
    at = (at + 1) & mask;
  return at;
}

bool AuthGuard::check(NodeId node, Channel channel) const {
  const std::uint64_t hash = hash_of(node, channel);
  return may_hold(hash) && !slots_[slot_of(hash, node, channel)].is_free();
}

void AuthGuard::grant(NodeId node, Channel channel) {
  NM_ASSERT(channel.name_id != 0);
  const std::uint64_t hash = hash_of(node, channel);
  Slot& slot = slots_[slot_of(hash, node, channel)];
  if (!slot.is_free()) return;
  slot = {node, channel};
  mark(hash);
  if (++size_ * 4 > slots_.size() * 3) rebuild(slots_.size() * 2);
}

bool AuthGuard::revoke(NodeId node, Channel channel) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = slot_of(hash_of(node, channel), node, channel);
  if (slots_[hole].is_free()) return false;
  slots_[hole] = {};
  --size_;
  // What stands behind the hole and could not get its own place moves up.
  for (std::size_t at = (hole + 1) & mask; !slots_[at].is_free(); at = (at + 1) & mask) {
    const std::size_t home = (hash_of(slots_[at].node, slots_[at].channel) >> 20) & mask;
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
  const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(slots));
  bloom_.assign(std::max(slots * kBloomBitsPerSlot, kLeastBloomBits) / 64, 0);
  bloom_.shrink_to_fit();
  stale_ = 0;
  for (const Slot& slot : before) {
    if (slot.is_free()) continue;
    const std::uint64_t hash = hash_of(slot.node, slot.channel);
    slots_[slot_of(hash, slot.node, slot.channel)] = slot;
    mark(hash);
  }
}

}  // namespace netmesh::channel
