#include "identity/entity.h"

#include <string_view>

#include "crypto/hash.h"

namespace netmesh::identity {
namespace {

std::uint64_t labelled_number(std::string_view label, const EntityId& entity) {
  const crypto::Key digest = crypto::blake2s_keyed(as_byte_span(label), entity);
  return load_le<std::uint64_t>(digest.data());
}

}  // namespace

NodeId derive_node_id(const EntityId& entity) {
  return NodeId(labelled_number("net-node-id-v1", entity));
}

std::uint64_t derive_origin_hash(const EntityId& entity) {
  return labelled_number("net-origin-v1", entity);
}

crypto::X25519KeyPair derive_noise_static(ByteSpan seed32) {
  crypto::Key digest = crypto::blake2s_keyed(seed32, as_byte_span("netmesh-noise-static-v1"));
  crypto::X25519KeyPair pair = crypto::X25519KeyPair::from_secret(digest);
  crypto::wipe(digest);
  return pair;
}

LocalIdentity LocalIdentity::from_seed(ByteSpan seed32, ByteSpan noise_secret32) {
  crypto::SigningKey signing_key = crypto::SigningKey::from_seed(seed32);
  const EntityId entity = signing_key.public_key();
  crypto::X25519KeyPair noise_static = noise_secret32.empty()
                                           ? derive_noise_static(seed32)
                                           : crypto::X25519KeyPair::from_secret(noise_secret32);
  return {std::move(signing_key), std::move(noise_static), derive_node_id(entity),
          derive_origin_hash(entity)};
}

}  // namespace netmesh::identity
