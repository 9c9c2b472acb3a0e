#include "identity/identity.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/channel_name.h"

namespace netmesh::identity {
namespace {

struct ScopeWord {
  std::string_view word;
  Scope bit;
};
constexpr std::array<ScopeWord, 4> kScopeWords{{{"publish", kScopePublish},
                                                {"subscribe", kScopeSubscribe},
                                                {"admin", kScopeAdmin},
                                                {"delegate", kScopeDelegate}}};

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(ErrorKind::kIdentity, "identity: " + what);
}

tl::unexpected<Error> refuse(TokenFailure failure) {
  return tl::unexpected<Error>(to_error(failure));
}

constexpr const char* kWiped = "the identity was disposed and holds no secret any more";

template <typename T>
Expected<T> lift(TokenResult<T> result) {
  if (!result) return refuse(result.error());
  return std::move(*result);
}

}  // namespace

Expected<EntityId> to_entity_id(ByteSpan bytes) {
  EntityId entity;
  if (bytes.size() != entity.size())
    return refuse("entity_id must be 32 bytes, got " + std::to_string(bytes.size()));
  std::copy(bytes.begin(), bytes.end(), entity.begin());
  return entity;
}

Expected<std::uint64_t> to_channel_hash(std::string_view name) {
  if (auto valid = check_channel_name(name); !valid)
    return refuse("invalid channel name: " + valid.error().message);
  return channel_hash_of(name);
}

Expected<Scope> to_scope(std::span<const std::string> words) {
  Scope scope = 0;
  for (const std::string& word : words) {
    const auto* known = std::find_if(kScopeWords.begin(), kScopeWords.end(),
                                     [&](const ScopeWord& each) { return each.word == word; });
    if (known == kScopeWords.end()) {
      return refuse("unknown scope \"" + word +
                    "\"; expected publish | subscribe | admin | delegate");
    }
    scope |= known->bit;
  }
  return scope;
}

std::vector<std::string_view> scope_words(Scope scope) {
  std::vector<std::string_view> words;
  for (const auto& [word, bit] : kScopeWords) {
    if ((scope & bit) != 0) words.push_back(word);
  }
  return words;
}

Identity::Identity(crypto::SigningKey key, RandomSource& random)
    : key_(std::move(key)),
      entity_id_(key_->public_key()),
      node_id_(derive_node_id(entity_id_)),
      origin_hash_(derive_origin_hash(entity_id_)),
      cache_(TokenCache::Options{.skew_seconds = 0, .hash_seed = random.u64()}) {}

Identity Identity::generate(RandomSource& random) {
  return Identity(crypto::SigningKey::generate(random), random);
}

Expected<Identity> Identity::from_seed(ByteSpan seed, RandomSource& random) {
  if (seed.size() != crypto::kKeyBytes)
    return refuse("seed must be 32 bytes, got " + std::to_string(seed.size()));
  return Identity(crypto::SigningKey::from_seed(seed), random);
}

Expected<ByteSpan> Identity::seed() const {
  if (!key_) return refuse(kWiped);
  return key_->seed();
}

Expected<crypto::Signature> Identity::sign(ByteSpan message) const {
  if (!key_) return refuse(kWiped);
  return key_->sign(message);
}

Expected<PermissionToken> Identity::issue(const IssueRequest& request, UnixSeconds now,
                                          RandomSource& random) const {
  const auto subject = to_entity_id(request.subject);
  if (!subject) return tl::unexpected(subject.error());
  const auto scope = to_scope(request.scope);
  if (!scope) return tl::unexpected(scope.error());
  const auto channel = to_channel_hash(request.channel);
  if (!channel) return tl::unexpected(channel.error());
  if (!key_) return refuse(TokenFailure::kReadOnly);
  const TokenGrant grant{*subject, *scope, *channel, request.ttl_seconds, request.delegation_depth};
  return lift(issue_token(*key_, grant, now, random.u64()));
}

Expected<PermissionToken> Identity::delegate(ByteSpan parent, ByteSpan new_subject,
                                             std::span<const std::string> scope, UnixSeconds now,
                                             RandomSource& random) const {
  const auto subject = to_entity_id(new_subject);
  if (!subject) return tl::unexpected(subject.error());
  const auto requested = to_scope(scope);
  if (!requested) return tl::unexpected(requested.error());
  const auto token = PermissionToken::parse(parent);
  if (!token) return refuse(token.error());
  if (!key_) return refuse(TokenFailure::kReadOnly);
  return lift(delegate_token(*token, *key_, *subject, *requested, now, random.u64()));
}

Expected<void> Identity::install(ByteSpan token, UnixSeconds now) {
  const auto parsed = PermissionToken::parse(token);
  if (!parsed) return refuse(parsed.error());
  if (const auto stored = cache_.insert(*parsed, now); !stored) return refuse(stored.error());
  return {};
}

Expected<std::optional<PermissionToken>> Identity::look_up(ByteSpan subject,
                                                           std::string_view channel,
                                                           UnixSeconds now) const {
  const auto entity = to_entity_id(subject);
  if (!entity) return tl::unexpected(entity.error());
  const auto hash = to_channel_hash(channel);
  if (!hash) return tl::unexpected(hash.error());
  return cache_.get(*entity, *hash, now);
}

}  // namespace netmesh::identity
