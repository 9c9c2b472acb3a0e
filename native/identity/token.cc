#include "identity/token.h"

#include <limits>
#include <string>

#include "crypto/hash.h"

namespace netmesh::identity {
namespace {

std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum < a ? std::numeric_limits<std::uint64_t>::max() : sum;
}

std::uint64_t saturating_sub(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

void sign(PermissionToken& token, const crypto::SigningKey& key) {
  const auto encoded = token.encode();
  token.signature = key.sign(ByteSpan(encoded).first(kTokenSignedBytes));
}

}  // namespace

std::string_view token_failure_name(TokenFailure failure) {
  switch (failure) {
    case TokenFailure::kInvalidFormat:
      return "invalid_format";
    case TokenFailure::kInvalidSignature:
      return "invalid_signature";
    case TokenFailure::kNotYetValid:
      return "not_yet_valid";
    case TokenFailure::kExpired:
      return "expired";
    case TokenFailure::kDelegationExhausted:
      return "delegation_exhausted";
    case TokenFailure::kDelegationNotAllowed:
      return "delegation_not_allowed";
    case TokenFailure::kNotAuthorized:
      return "not_authorized";
    case TokenFailure::kZeroTtl:
      return "zero_ttl";
    case TokenFailure::kReadOnly:
      return "read_only";
    case TokenFailure::kRevoked:
      return "revoked";
    case TokenFailure::kTtlTooLong:
      return "ttl_too_long";
  }
  return "invalid_format";
}

Error to_error(TokenFailure failure) {
  return {ErrorKind::kToken, "token: " + std::string(token_failure_name(failure))};
}

TokenResult<PermissionToken> PermissionToken::parse(ByteSpan bytes) {
  if (bytes.size() != kTokenBytes) return tl::unexpected(TokenFailure::kInvalidFormat);
  ByteReader reader(bytes);
  PermissionToken token;
  token.issuer = reader.array<32>();
  token.subject = reader.array<32>();
  token.scope = reader.u32();
  token.channel_hash = reader.u64();
  token.issuer_generation = reader.u32();
  token.not_before = reader.u64();
  token.not_after = reader.u64();
  token.delegation_depth = reader.u8();
  token.nonce = reader.u64();
  token.signature = reader.array<64>();
  return token;
}

std::array<std::byte, kTokenBytes> PermissionToken::encode() const {
  std::array<std::byte, kTokenBytes> out;
  ByteWriter writer(out);
  writer.bytes(issuer);
  writer.bytes(subject);
  writer.u32(scope);
  writer.u64(channel_hash);
  writer.u32(issuer_generation);
  writer.u64(not_before);
  writer.u64(not_after);
  writer.u8(delegation_depth);
  writer.u64(nonce);
  writer.bytes(signature);
  return out;
}

bool PermissionToken::verify() const {
  const auto encoded = encode();
  return crypto::verify_signature(issuer, ByteSpan(encoded).first(kTokenSignedBytes), signature);
}

TokenResult<void> PermissionToken::check_valid(UnixSeconds now, std::uint64_t skew_seconds) const {
  if (!verify()) return tl::unexpected(TokenFailure::kInvalidSignature);
  return check_window(now, skew_seconds);
}

TokenResult<void> PermissionToken::check_window(UnixSeconds now, std::uint64_t skew_seconds) const {
  if (now < saturating_sub(not_before, skew_seconds))
    return tl::unexpected(TokenFailure::kNotYetValid);
  if (now >= saturating_add(not_after, skew_seconds)) return tl::unexpected(TokenFailure::kExpired);
  return {};
}

bool PermissionToken::authorizes(Scope action, std::uint64_t channel) const {
  if (!scope_contains(scope, action)) return false;
  return scope_contains(scope, kScopeWildcard) || channel_hash == channel;
}

TokenResult<PermissionToken> issue_token(const crypto::SigningKey& issuer, const TokenGrant& grant,
                                         UnixSeconds now, std::uint64_t nonce) {
  if (grant.ttl_seconds == 0) return tl::unexpected(TokenFailure::kZeroTtl);
  PermissionToken token;
  token.issuer = issuer.public_key();
  token.subject = grant.subject;
  token.scope = grant.scope;
  token.channel_hash = grant.channel_hash;
  token.not_before = now;
  token.not_after = saturating_add(now, grant.ttl_seconds);
  token.delegation_depth = grant.delegation_depth;
  token.nonce = nonce;
  sign(token, issuer);
  return token;
}

TokenResult<PermissionToken> delegate_token(const PermissionToken& parent,
                                            const crypto::SigningKey& signer,
                                            const EntityId& new_subject, Scope requested,
                                            UnixSeconds now, std::uint64_t nonce) {
  if (auto valid = parent.check_valid(now); !valid) return tl::unexpected(valid.error());
  if (parent.delegation_depth == 0) return tl::unexpected(TokenFailure::kDelegationExhausted);
  if (!scope_contains(parent.scope, kScopeDelegate))
    return tl::unexpected(TokenFailure::kDelegationNotAllowed);
  if (signer.public_key() != parent.subject) return tl::unexpected(TokenFailure::kNotAuthorized);
  PermissionToken child = parent;
  child.issuer = signer.public_key();
  child.subject = new_subject;
  child.scope = parent.scope & requested;
  child.not_before = now;
  child.delegation_depth = static_cast<std::uint8_t>(parent.delegation_depth - 1);
  child.nonce = nonce;
  sign(child, signer);
  return child;
}

std::uint64_t channel_hash_of(std::string_view name) { return crypto::xxh3_64(as_byte_span(name)); }

}  // namespace netmesh::identity
