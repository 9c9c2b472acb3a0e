#include "identity/token_chain.h"

#include <algorithm>

namespace netmesh::identity {

TokenResult<TokenChain> TokenChain::of(std::vector<PermissionToken> links) {
  if (links.empty() || links.size() > kMaxLinks)
    return tl::unexpected(TokenFailure::kInvalidFormat);
  return TokenChain(std::move(links));
}

TokenResult<TokenChain> TokenChain::parse(ByteSpan bytes) {
  if (bytes.size() % kTokenBytes == 1) {
    const auto count = static_cast<std::size_t>(bytes[0]);
    if (count != bytes.size() / kTokenBytes) return tl::unexpected(TokenFailure::kInvalidFormat);
    bytes = bytes.subspan(1);
  } else if (bytes.size() != kTokenBytes) {
    return tl::unexpected(TokenFailure::kInvalidFormat);
  }
  std::vector<PermissionToken> links;
  for (; !bytes.empty() && links.size() <= kMaxLinks; bytes = bytes.subspan(kTokenBytes))
    links.push_back(*PermissionToken::parse(bytes.first(kTokenBytes)));
  return of(std::move(links));
}

Bytes TokenChain::encode() const {
  Bytes out;
  out.reserve(1 + links_.size() * kTokenBytes);
  out.push_back(static_cast<std::byte>(links_.size()));
  for (const PermissionToken& link : links_) {
    const auto bytes = link.encode();
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

TokenResult<void> TokenChain::verify(const Question& question, UnixSeconds now) const {
  if (auto sound = check(question, now); !sound) return sound;
  for (const PermissionToken& link : links_) {
    if (!link.verify()) return tl::unexpected(TokenFailure::kInvalidSignature);
  }
  return {};
}

TokenResult<void> TokenChain::check(const Question& question, UnixSeconds now) const {
  const auto& roots = question.roots;
  if (std::find(roots.begin(), roots.end(), links_.front().issuer) == roots.end())
    return tl::unexpected(TokenFailure::kNotAuthorized);
  if (links_.back().subject != question.presenter)
    return tl::unexpected(TokenFailure::kNotAuthorized);

  const std::uint64_t skew = std::min(question.skew_seconds, kMaxSkewSeconds);
  for (const PermissionToken& link : links_) {
    if (auto window = link.check_window(now, skew); !window) return window;
    if (link.not_after - std::min(link.not_before, link.not_after) > kMaxWindowSeconds)
      return tl::unexpected(TokenFailure::kTtlTooLong);
  }
  if (auto links = check_links(question); !links) return links;
  return check_handovers();
}

TokenResult<void> TokenChain::check_links(const Question& question) const {
  for (const PermissionToken& link : links_) {
    if (question.revocations != nullptr &&
        question.revocations->is_revoked(link.issuer, link.issuer_generation))
      return tl::unexpected(TokenFailure::kRevoked);
    if (!link.authorizes(question.action, question.channel))
      return tl::unexpected(TokenFailure::kNotAuthorized);
  }
  return {};
}

TokenResult<void> TokenChain::check_handovers() const {
  for (std::size_t i = 1; i < links_.size(); ++i) {
    const PermissionToken& parent = links_[i - 1];
    const PermissionToken& child = links_[i];
    if (child.issuer != parent.subject) return tl::unexpected(TokenFailure::kNotAuthorized);
    if (!scope_contains(parent.scope, kScopeDelegate))
      return tl::unexpected(TokenFailure::kDelegationNotAllowed);
    if (child.delegation_depth >= parent.delegation_depth)
      return tl::unexpected(TokenFailure::kDelegationExhausted);
    const bool nested =
        child.not_before >= parent.not_before && child.not_after <= parent.not_after;
    if (!nested) return tl::unexpected(TokenFailure::kNotAuthorized);
  }
  return {};
}

}  // namespace netmesh::identity
