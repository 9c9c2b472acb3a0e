#include "identity/revocation.h"

#include <algorithm>

#include "crypto/hash.h"

namespace netmesh::identity {

std::size_t EntityHash::operator()(const EntityId& entity) const noexcept {
  std::array<std::byte, 40> text;
  store_le(text.data(), seed);
  std::copy(entity.begin(), entity.end(), text.begin() + 8);
  return static_cast<std::size_t>(crypto::xxh3_64(text));
}

bool RevocationRegistry::revoke_below(const EntityId& issuer, std::uint32_t floor) {
  if (floor == 0) return true;
  if (auto known = floors_.find(issuer); known != floors_.end()) {
    if (floor > known->second) ++changes_;
    known->second = std::max(known->second, floor);
    return true;
  }
  if (floors_.size() >= kMaxIssuers) return false;
  ++changes_;
  floors_.emplace(issuer, floor);
  return true;
}

std::uint32_t RevocationRegistry::floor(const EntityId& issuer) const {
  if (floors_.empty()) return 0;
  const auto known = floors_.find(issuer);
  return known == floors_.end() ? 0 : known->second;
}

}  // namespace netmesh::identity
