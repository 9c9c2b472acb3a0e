#pragma once
// Which tokens of an issuer count no more (spec 30 §2.3).

#include <cstdint>
#include <unordered_map>

#include "identity/entity.h"

namespace netmesh::identity {

/// Hashes public keys, which others choose: a secret seed keeps them from choosing collisions.
struct EntityHash {
  std::uint64_t seed = 0;
  std::size_t operator()(const EntityId& entity) const noexcept;
};

/// A floor per issuer: tokens of a lower generation are revoked. Floors only rise. One thread.
class RevocationRegistry {
 public:
  /// A floor must not be forgotten, so beyond this many issuers new ones are refused.
  static constexpr std::size_t kMaxIssuers = 65'536;

  explicit RevocationRegistry(std::uint64_t hash_seed = 0) : floors_(0, EntityHash{hash_seed}) {}

  /// Revokes what `issuer` signed under generations below `floor`; a lower floor than the present
  /// one changes nothing. False when the registry is full.
  bool revoke_below(const EntityId& issuer, std::uint32_t floor);
  std::uint32_t floor(const EntityId& issuer) const;
  bool is_revoked(const EntityId& issuer, std::uint32_t generation) const {
    return generation < floor(issuer);
  }
  std::size_t size() const { return floors_.size(); }
  /// Grows whenever a floor rises: what was concluded before may not hold any more.
  std::uint64_t changes() const { return changes_; }

 private:
  std::unordered_map<EntityId, std::uint32_t, EntityHash> floors_;
  std::uint64_t changes_ = 0;
};

}  // namespace netmesh::identity
