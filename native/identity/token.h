#pragma once
// Permission tokens: who lets whom do what on which channel, until when (spec 30 §2).

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

#include "base/error.h"
#include "base/time.h"
#include "identity/entity.h"

namespace netmesh::identity {

/// Seconds since the Unix epoch, the resolution of tokens.
using UnixSeconds = std::uint64_t;

/// Whole seconds; 0 for a clock before 1970.
inline UnixSeconds unix_seconds(Now now) {
  return static_cast<UnixSeconds>(std::max<UnixNanos>(now.unix_ns, 0)) / 1'000'000'000;
}

/// What a token lets its subject do: a set of bits. Unknown bits are kept and mean nothing.
using Scope = std::uint32_t;
inline constexpr Scope kScopePublish = 0x01;
inline constexpr Scope kScopeSubscribe = 0x02;
inline constexpr Scope kScopeAdmin = 0x04;
inline constexpr Scope kScopeDelegate = 0x08;
/// The token is for every channel.
inline constexpr Scope kScopeWildcard = 0x10;
/// Everything that applications can name; not the wildcard.
inline constexpr Scope kScopeAll = 0x0F;

/// True when `have` holds all of `want`. Asking for nothing is never granted.
constexpr bool scope_contains(Scope have, Scope want) { return want != 0 && (have & want) == want; }

/// Why a token is refused.
enum class TokenFailure : std::uint8_t {
  kInvalidFormat,
  kInvalidSignature,
  kNotYetValid,
  kExpired,
  kDelegationExhausted,
  kDelegationNotAllowed,
  kNotAuthorized,
  kZeroTtl,
  kReadOnly,
  kRevoked,
  kTtlTooLong,
};

/// The word for a failure as callers see it, such as `invalid_signature`.
std::string_view token_failure_name(TokenFailure failure);
/// `token: <word>`, of kind `kToken`.
Error to_error(TokenFailure failure);

template <typename T>
using TokenResult = tl::expected<T, TokenFailure>;

inline constexpr std::size_t kTokenBytes = 169;
inline constexpr std::size_t kTokenSignedBytes = 105;

/// A token as it is, valid or not. A value.
struct PermissionToken {
  EntityId issuer{};
  EntityId subject{};
  Scope scope = 0;
  /// XXH3-64 of the channel's name; 0 has no special meaning.
  std::uint64_t channel_hash = 0;
  /// Compared with the issuer's revocation floor.
  std::uint32_t issuer_generation = 0;
  UnixSeconds not_before = 0;
  /// The first second in which the token is dead.
  UnixSeconds not_after = 0;
  /// How many more times the right may be handed on.
  std::uint8_t delegation_depth = 0;
  std::uint64_t nonce = 0;
  crypto::Signature signature{};

  /// Takes exactly 169 bytes and judges nothing in them.
  static TokenResult<PermissionToken> parse(ByteSpan bytes);
  std::array<std::byte, kTokenBytes> encode() const;

  /// The signature is the issuer's; strict (spec 30 §1). Says nothing about time.
  bool verify() const;
  /// `verify`, then the window, widened by `skew_seconds` at both ends.
  TokenResult<void> check_valid(UnixSeconds now, std::uint64_t skew_seconds = 0) const;
  /// The window alone, for a token whose signature was checked before.
  TokenResult<void> check_window(UnixSeconds now, std::uint64_t skew_seconds = 0) const;
  /// The clock alone; a forged token expires, too.
  bool is_expired(UnixSeconds now) const { return now >= not_after; }
  /// The scope holds `action`, and the token is for this channel or for all.
  bool authorizes(Scope action, std::uint64_t channel) const;

  friend bool operator==(const PermissionToken&, const PermissionToken&) = default;
};

/// What to put into a new token.
struct TokenGrant {
  EntityId subject{};
  Scope scope = 0;
  std::uint64_t channel_hash = 0;
  std::uint64_t ttl_seconds = 0;
  std::uint8_t delegation_depth = 0;
};

/// Signs a token that is valid from `now` on. Fails with `kZeroTtl`.
TokenResult<PermissionToken> issue_token(const crypto::SigningKey& issuer, const TokenGrant& grant,
                                         UnixSeconds now, std::uint64_t nonce);

/// Hands a right on: no wider and no longer than `parent`, signed by its subject. Checks in the
/// documented order: validity, depth, the delegate scope, the signer.
TokenResult<PermissionToken> delegate_token(const PermissionToken& parent,
                                            const crypto::SigningKey& signer,
                                            const EntityId& new_subject, Scope requested,
                                            UnixSeconds now, std::uint64_t nonce);

/// The hash that stands for a channel in tokens: XXH3-64 of its name.
std::uint64_t channel_hash_of(std::string_view name);

}  // namespace netmesh::identity
