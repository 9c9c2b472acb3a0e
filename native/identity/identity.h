#pragma once
// An identity as applications hold it: it signs, and it issues, hands on and keeps tokens.

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "identity/subnet.h"
#include "identity/token.h"
#include "identity/token_cache.h"
#include "identity/token_chain.h"

namespace netmesh::identity {

/// The 32 bytes of an entity id, or `identity: entity_id must be 32 bytes, got n`.
Expected<EntityId> to_entity_id(ByteSpan bytes);
/// The hash of a valid channel name, or `identity: invalid channel name: …`.
Expected<std::uint64_t> to_channel_hash(std::string_view name);
/// The bits that scope words stand for, or `identity: unknown scope "x"; expected …`.
Expected<Scope> to_scope(std::span<const std::string> words);
/// The words for the bits that have one, in the documented order.
std::vector<std::string_view> scope_words(Scope scope);

/// What a caller of `Identity::issue` asks for, not judged yet.
struct IssueRequest {
  ByteSpan subject;
  std::span<const std::string> scope;
  std::string_view channel;
  std::uint64_t ttl_seconds = 0;
  std::uint8_t delegation_depth = 0;
};

/// An entity's key with a token cache of its own, which is nobody else's. After `wipe` it still
/// answers who it is, and refuses to sign. Not thread-safe; move-only, as secrets have one place.
class Identity {
 public:
  /// `random` for the key and for the cache's hash seed; not kept.
  static Identity generate(RandomSource& random);
  /// `identity: seed must be 32 bytes, got n` for another length.
  static Expected<Identity> from_seed(ByteSpan seed, RandomSource& random);

  const EntityId& entity_id() const { return entity_id_; }
  NodeId node_id() const { return node_id_; }
  std::uint64_t origin_hash() const { return origin_hash_; }

  /// The secret seed, to be kept by the caller; an error once wiped.
  Expected<ByteSpan> seed() const;
  Expected<crypto::Signature> sign(ByteSpan message) const;
  Expected<PermissionToken> issue(const IssueRequest& request, UnixSeconds now,
                                  RandomSource& random) const;
  /// Hands `parent`, which must be for this identity, on to another.
  Expected<PermissionToken> delegate(ByteSpan parent, ByteSpan new_subject,
                                     std::span<const std::string> scope, UnixSeconds now,
                                     RandomSource& random) const;

  Expected<void> install(ByteSpan token, UnixSeconds now);
  Expected<std::optional<PermissionToken>> look_up(ByteSpan subject, std::string_view channel,
                                                   UnixSeconds now) const;
  TokenCache& cache() { return cache_; }
  const TokenCache& cache() const { return cache_; }

  /// Forgets the secret for good. Idempotent.
  void wipe() { key_.reset(); }
  bool wiped() const { return !key_.has_value(); }

 private:
  Identity(crypto::SigningKey key, RandomSource& random);

  std::optional<crypto::SigningKey> key_;
  EntityId entity_id_{};
  NodeId node_id_;
  std::uint64_t origin_hash_ = 0;
  TokenCache cache_;
};

}  // namespace netmesh::identity
