#pragma once
// Whether a node may have the payloads of a channel: asked for every recipient of every payload
// (spec 31 §5.1).

#include <cstdint>
#include <vector>

#include "base/ids.h"

namespace netmesh::channel {

/// Stands for a channel's exact name, as hashes do not: names with equal hashes can be made. Every
/// name gets another number, and none is used again; 0 is none.
using ChannelNumber = StrongNumber<struct ChannelNumberTag, std::uint64_t>;

/// A set of grants, with a Bloom filter in front that turns most strangers away. One thread.
class AuthGuard {
 public:
  /// `hash_seed`: secret and random, so that nobody can choose colliding node ids.
  explicit AuthGuard(std::uint64_t hash_seed = 0);

  /// Idempotent.
  void grant(NodeId node, ChannelNumber channel);
  /// False when there was no such grant.
  bool revoke(NodeId node, ChannelNumber channel);
  bool check(NodeId node, ChannelNumber channel) const;

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const {
    return slots_.capacity() * sizeof(Grant) + bloom_.capacity() * sizeof(std::uint64_t);
  }

 private:
  struct Grant {
    NodeId node;
    ChannelNumber channel;
    bool is_none() const { return channel == ChannelNumber(); }
    friend bool operator==(const Grant&, const Grant&) = default;
  };

  std::uint64_t hash_of(const Grant& grant) const;
  static std::uint64_t bits_of(std::uint64_t hash);
  bool may_hold(std::uint64_t hash) const;
  void mark(std::uint64_t hash);
  /// The slot of a grant, or the free one where it would go.
  std::size_t find(std::uint64_t hash, const Grant& grant) const;
  void rebuild(std::size_t slots);

  std::uint64_t seed_;
  /// Open addressing with linear probing; a power of two, at most three quarters full.
  std::vector<Grant> slots_;
  /// Two bits per grant. Bits of revoked grants stay until the next rebuild.
  std::vector<std::uint64_t> bloom_;
  std::size_t size_ = 0;
  std::size_t stale_ = 0;  ///< revoked since the last rebuild
};

}  // namespace netmesh::channel
