#pragma once
// Credentials that lead back to a trusted root, link by link (spec 30 §2.5).

#include <span>
#include <vector>

#include "identity/revocation.h"
#include "identity/token.h"

namespace netmesh::identity {

/// A token and the delegations that led to it, root first. As a credential it is worth what its
/// weakest link allows. A bare token is a chain of one.
class TokenChain {
 public:
  static constexpr std::size_t kMaxLinks = 8;
  /// A live token may not span more than a year: what lasts longer cannot be revoked by waiting.
  static constexpr std::uint64_t kMaxWindowSeconds = 365ULL * 24 * 3600;
  static constexpr std::uint64_t kMaxSkewSeconds = 300;

  /// Who is to be let do what, and whom the verifier trusts.
  struct Question {
    Scope action = 0;
    std::uint64_t channel = 0;
    EntityId presenter{};
    std::span<const EntityId> roots;
    const RevocationRegistry* revocations = nullptr;
    /// Capped at kMaxSkewSeconds.
    std::uint64_t skew_seconds = 0;
  };

  /// 1 to 8 tokens, else `kInvalidFormat`. How they fit together is for `verify` to say.
  static TokenResult<TokenChain> of(std::vector<PermissionToken> links);
  /// A count and as many tokens, or one bare token: the lengths tell them apart.
  static TokenResult<TokenChain> parse(ByteSpan bytes);
  /// `count ‖ tokens`, also for a chain of one.
  Bytes encode() const;

  /// Cheap checks come first, so that a stranger's chain costs no signature verification.
  TokenResult<void> verify(const Question& question, UnixSeconds now) const;
  /// All but the signatures, for a chain that has verified before: time passes, rights are revoked,
  /// roots change, and signatures stay right.
  TokenResult<void> check(const Question& question, UnixSeconds now) const;

  const std::vector<PermissionToken>& links() const { return links_; }

 private:
  explicit TokenChain(std::vector<PermissionToken> links) : links_(std::move(links)) {}
  TokenResult<void> check_links(const Question& question) const;
  TokenResult<void> check_handovers() const;

  std::vector<PermissionToken> links_;
};

}  // namespace netmesh::identity
