#pragma once
// Whether a node may have the payloads of a channel: asked for every recipient of every payload
// (spec 31 §5.1).

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "channel/name.h"

namespace netmesh::channel {

/// A set of grants, with a Bloom filter in front that answers most strangers. Grants are confirmed
/// exactly: by node, by hash, and by a number that stands for the channel's exact name, since names
/// with equal hashes can be made. One thread.
class AuthGuard {
 public:
  struct Channel {
    ChannelHash hash;
    /// Another one for every name, and never used again.
    std::uint64_t name_id = 0;
    friend bool operator==(const Channel&, const Channel&) = default;
  };

  /// `hash_seed`: secret and random, so that nobody can choose colliding node ids.
  explicit AuthGuard(std::uint64_t hash_seed = 0);

  /// Idempotent.
  void grant(NodeId node, Channel channel);
  /// False when there was no such grant.
  bool revoke(NodeId node, Channel channel);
  bool check(NodeId node, Channel channel) const;

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const {
    return slots_.capacity() * sizeof(Slot) + bloom_.capacity() * sizeof(std::uint64_t);
  }

 private:
  struct Slot {
    NodeId node;
    Channel channel;
    bool is_free() const { return channel.name_id == 0; }
  };

  std::uint64_t hash_of(NodeId node, const Channel& channel) const;
  bool may_hold(std::uint64_t hash) const;
  void mark(std::uint64_t hash);
  /// The slot of a grant, or the free one where it would go.
  std::size_t slot_of(std::uint64_t hash, NodeId node, const Channel& channel) const;
  void rebuild(std::size_t slots);

  std::uint64_t seed_;
  /// Open addressing with linear probing; a power of two, at most three quarters full.
  std::vector<Slot> slots_;
  /// Two bits per grant. Bits of revoked grants stay until the next rebuild.
  std::vector<std::uint64_t> bloom_;
  std::size_t size_ = 0;
  std::size_t stale_ = 0;  ///< revoked since the last rebuild
};

}  // namespace netmesh::channel
