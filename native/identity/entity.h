#pragma once
// Who a node is: the entity key and the numbers derived from it (spec 10 §1).

#include <cstdint>

#include "base/ids.h"
#include "crypto/curve.h"

namespace netmesh::identity {

/// An Ed25519 public key: the long-lived name of a node's owner.
using EntityId = crypto::Key;

/// `u64le(BLAKE2s(key = "net-node-id-v1", entity_id)[0..8])`.
NodeId derive_node_id(const EntityId& entity);
/// `u64le(BLAKE2s(key = "net-origin-v1", entity_id)[0..8])`; headers carry its low 32 bits.
std::uint64_t derive_origin_hash(const EntityId& entity);
/// The Noise static key of a node, from its identity seed: stable across restarts.
/// `BLAKE2s(key = seed, "netmesh-noise-static-v1")` as an X25519 secret.
crypto::X25519KeyPair derive_noise_static(ByteSpan seed32);

/// A node's own identity: the signing key and all that follows from it.
struct LocalIdentity {
  crypto::SigningKey signing_key;
  crypto::X25519KeyPair noise_static;
  NodeId node_id;
  std::uint64_t origin_hash = 0;

  /// `noise_secret32`: an X25519 secret to use instead of the one that follows from the seed, or
  /// nothing.
  static LocalIdentity from_seed(ByteSpan seed32, ByteSpan noise_secret32 = {});
  const EntityId& entity_id() const { return signing_key.public_key(); }
};

}  // namespace netmesh::identity
