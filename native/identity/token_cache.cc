#include "identity/token_cache.h"

#include <algorithm>

#include "crypto/hash.h"

namespace netmesh::identity {

std::size_t TokenCache::KeyHash::operator()(const Key& key) const noexcept {
  std::array<std::byte, 48> text;
  store_le(text.data(), seed);
  store_le(text.data() + 8, key.slot);
  std::copy(key.subject.begin(), key.subject.end(), text.begin() + 16);
  return static_cast<std::size_t>(crypto::xxh3_64(text));
}

TokenCache::TokenCache(Options options) : options_(options), slots_(0, KeyHash{options.hash_seed}) {
  options_.skew_seconds = std::min(options_.skew_seconds, kMaxSkewSeconds);
}

TokenResult<TokenCache::Stored> TokenCache::insert(const PermissionToken& token, UnixSeconds now) {
  if (!token.verify()) return tl::unexpected(TokenFailure::kInvalidSignature);
  const bool wildcard = scope_contains(token.scope, kScopeWildcard);
  const Key key{token.subject, wildcard ? 0 : token.channel_hash};

  auto slot = slots_.find(key);
  if (slot == slots_.end()) {
    if (slots_.size() >= kMaxSlots && !make_room(now)) return Stored::kNoRoom;
    slot = slots_.try_emplace(key).first;
  }
  has_wildcards_ = has_wildcards_ || wildcard;
  ++changes_;
  Tokens& tokens = slot->second;
  const auto same = std::find_if(tokens.begin(), tokens.end(), [&](const PermissionToken& other) {
    return other.scope == token.scope;
  });
  if (same != tokens.end()) {
    *same = token;
    return Stored::kReplaced;
  }
  if (tokens.size() >= kMaxTokensPerSlot) {
    const auto dead = std::find_if(tokens.begin(), tokens.end(), [&](const PermissionToken& other) {
      return other.is_expired(now);
    });
    if (dead == tokens.end()) return Stored::kNoRoom;
    tokens.erase(dead);
    --size_;
  }
  tokens.push_back(token);
  ++size_;
  return Stored::kAdded;
}

TokenResult<void> TokenCache::check(const EntityId& subject, Scope action, std::uint64_t channel,
                                    UnixSeconds now, const RevocationRegistry* revocations) const {
  return answer({subject, action, channel, revocations, nullptr}, now);
}

TokenResult<void> TokenCache::check_issued_by(std::span<const EntityId> issuers,
                                              const EntityId& subject, Scope action,
                                              std::uint64_t channel, UnixSeconds now,
                                              const RevocationRegistry* revocations) const {
  return answer({subject, action, channel, revocations, &issuers}, now);
}

TokenResult<void> TokenCache::answer(const Question& question, UnixSeconds now) const {
  if (permits(find(question.subject, question.channel), question, now)) return {};
  if (has_wildcards_ && permits(find(question.subject, 0), question, now)) return {};
  return tl::unexpected(TokenFailure::kNotAuthorized);
}

bool TokenCache::contains(const PermissionToken& token) const {
  const bool wildcard = scope_contains(token.scope, kScopeWildcard);
  const Tokens* tokens = find(token.subject, wildcard ? 0 : token.channel_hash);
  return tokens != nullptr && std::find(tokens->begin(), tokens->end(), token) != tokens->end();
}

std::optional<PermissionToken> TokenCache::get(const EntityId& subject, std::uint64_t channel,
                                               UnixSeconds now) const {
  const Tokens* tokens = find(subject, channel);
  if (tokens == nullptr || tokens->empty()) return std::nullopt;
  const auto valid = std::find_if(tokens->begin(), tokens->end(), [&](const PermissionToken& each) {
    return each.check_window(now, options_.skew_seconds).has_value();
  });
  return valid == tokens->end() ? tokens->front() : *valid;
}

std::size_t TokenCache::evict_expired(UnixSeconds now) {
  ++changes_;
  const std::size_t before = size_;
  for (auto slot = slots_.begin(); slot != slots_.end();) {
    Tokens& tokens = slot->second;
    size_ -=
        std::erase_if(tokens, [&](const PermissionToken& token) { return token.is_expired(now); });
    slot = tokens.empty() ? slots_.erase(slot) : std::next(slot);
  }
  return before - size_;
}

void TokenCache::clear() {
  ++changes_;
  slots_.clear();
  size_ = 0;
  has_wildcards_ = false;
}

const TokenCache::Tokens* TokenCache::find(const EntityId& subject, std::uint64_t slot) const {
  const auto found = slots_.find(Key{subject, slot});
  return found == slots_.end() ? nullptr : &found->second;
}

bool TokenCache::permits(const Tokens* tokens, const Question& question, UnixSeconds now) const {
  if (tokens == nullptr) return false;
  const auto trusted = [&](const EntityId& issuer) {
    return question.issuers == nullptr ||
           std::find(question.issuers->begin(), question.issuers->end(), issuer) !=
               question.issuers->end();
  };
  return std::any_of(tokens->begin(), tokens->end(), [&](const PermissionToken& token) {
    // That it is the subject's follows from where it is kept.
    return token.authorizes(question.action, question.channel) && trusted(token.issuer) &&
           token.check_window(now, options_.skew_seconds).has_value() &&
           (question.revocations == nullptr ||
            !question.revocations->is_revoked(token.issuer, token.issuer_generation));
  });
}

bool TokenCache::make_room(UnixSeconds now) {
  if (swept_at_ != now) {
    swept_at_ = now;
    evict_expired(now);
  }
  return slots_.size() < kMaxSlots;
}

}  // namespace netmesh::identity
