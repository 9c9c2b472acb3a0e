#include "binding/identity.h"

#include "binding/convert.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"

namespace netmesh::binding {
namespace {

identity::UnixSeconds now_seconds() {
  const UnixNanos now = runtime::read_clocks().unix_ns;
  return now < 0 ? 0 : static_cast<identity::UnixSeconds>(now) / 1'000'000'000;
}

std::vector<std::string> to_words(const Napi::Value& value, const char* name) {
  if (!value.IsArray()) throw type_error(value.Env(), std::string(name) + " must be an array");
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> words;
  for (std::uint32_t i = 0; i < array.Length(); ++i) words.push_back(to_text(array.Get(i), name));
  return words;
}

/// Reading an element or property can run JavaScript, so views are taken of copies.
Bytes copy_of(const Napi::Value& value, const char* name) {
  const ByteSpan bytes = to_bytes(value, name);
  return {bytes.begin(), bytes.end()};
}

template <typename T>
T token_or_throw(Napi::Env env, identity::TokenResult<T> result) {
  if (!result) throw to_js_error(env, identity::to_error(result.error()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

identity::PermissionToken parse(Napi::Env env, const Napi::Value& value) {
  return token_or_throw(env, identity::PermissionToken::parse(to_bytes(value, "token")));
}

Napi::Value from_token(Napi::Env env, const identity::PermissionToken& token) {
  return from_bytes(env, token.encode());
}

Napi::Array from_words(Napi::Env env, identity::Scope scope) {
  Napi::Array out = Napi::Array::New(env);
  std::uint32_t at = 0;
  for (const std::string_view word : identity::scope_words(scope))
    out.Set(at++, Napi::String::New(env, word.data(), word.size()));
  return out;
}

Napi::Value parse_token(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const identity::PermissionToken token = parse(env, info[0]);
  Napi::Object out = Napi::Object::New(env);
  out.Set("issuer", from_bytes(env, token.issuer));
  out.Set("subject", from_bytes(env, token.subject));
  out.Set("scope", from_words(env, token.scope));
  out.Set("channelHash", from_u64(env, token.channel_hash));
  out.Set("issuerGeneration", Napi::Number::New(env, token.issuer_generation));
  out.Set("notBefore", from_u64(env, token.not_before));
  out.Set("notAfter", from_u64(env, token.not_after));
  out.Set("delegationDepth", Napi::Number::New(env, token.delegation_depth));
  out.Set("nonce", from_u64(env, token.nonce));
  out.Set("signature", from_bytes(env, token.signature));
  return out;
}

Napi::Value verify_token(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), parse(info.Env(), info[0]).verify());
}

Napi::Value token_is_expired(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), parse(info.Env(), info[0]).is_expired(now_seconds()));
}

Napi::Value channel_hash(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return from_u64(env, value_or_throw(env, identity::to_channel_hash(to_text(info[0], "channel"))));
}

/// `(tokens: Uint8Array[])`: the bytes of a chain of them.
Napi::Value encode_token_chain(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsArray()) throw type_error(env, "tokens must be an array");
  const auto array = info[0].As<Napi::Array>();
  std::vector<identity::PermissionToken> links;
  for (std::uint32_t i = 0; i < array.Length() && i <= identity::TokenChain::kMaxLinks; ++i)
    links.push_back(parse(env, array.Get(i)));
  return from_bytes(env, token_or_throw(env, identity::TokenChain::of(std::move(links))).encode());
}

/// `(bytes)`: its tokens, root first.
Napi::Value parse_token_chain(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto chain =
      token_or_throw(env, identity::TokenChain::parse(to_bytes(info[0], "token chain")));
  Napi::Array out = Napi::Array::New(env, chain.links().size());
  std::uint32_t at = 0;
  for (const identity::PermissionToken& link : chain.links()) out.Set(at++, from_token(env, link));
  return out;
}

/// `(bytes, scope[], channel, presenter, roots[], revocations: [issuer, floor][], skewSeconds)`.
void verify_token_chain(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Bytes bytes = copy_of(info[0], "token chain");
  const std::vector<std::string> words = to_words(info[1], "scope");
  const std::string channel = to_text(info[2], "channel");
  const Bytes presenter = copy_of(info[3], "presenter");
  if (!info[4].IsArray() || !info[5].IsArray())
    throw type_error(env, "roots and revocations must be arrays");

  identity::TokenChain::Question question;
  question.action = value_or_throw(env, identity::to_scope(words));
  question.channel = value_or_throw(env, identity::to_channel_hash(channel));
  question.presenter = value_or_throw(env, identity::to_entity_id(presenter));
  std::vector<identity::EntityId> roots;
  const auto given_roots = info[4].As<Napi::Array>();
  for (std::uint32_t i = 0; i < given_roots.Length(); ++i) {
    const Bytes root = copy_of(given_roots.Get(i), "root");
    roots.push_back(value_or_throw(env, identity::to_entity_id(root)));
  }
  question.roots = roots;
  identity::RevocationRegistry revocations(runtime::entropy().u64());
  const auto given_floors = info[5].As<Napi::Array>();
  for (std::uint32_t i = 0; i < given_floors.Length(); ++i) {
    const Napi::Value pair = given_floors.Get(i);
    if (!pair.IsArray()) throw type_error(env, "a revocation must be [issuer, generation]");
    const Bytes issuer = copy_of(pair.As<Napi::Array>().Get(0u), "issuer");
    const std::uint32_t floor = to_u32(pair.As<Napi::Array>().Get(1u), "generation");
    if (!revocations.revoke_below(value_or_throw(env, identity::to_entity_id(issuer)), floor)) {
      throw to_js_error(env, {ErrorKind::kIdentity, "identity: more than 65536 revocations"});
    }
  }
  question.revocations = &revocations;
  question.skew_seconds = to_u32(info[6], "skewSeconds");
  const auto chain = token_or_throw(env, identity::TokenChain::parse(bytes));
  token_or_throw(env, chain.verify(question, now_seconds()));
}

identity::SubnetRule to_subnet_rule(const Napi::Value& value) {
  if (!value.IsObject()) throw type_error(value.Env(), "a subnet rule must be an object");
  const auto source = value.As<Napi::Object>();
  identity::SubnetRule rule;
  rule.tag_prefix = to_text(source.Get("tagPrefix"), "tagPrefix");
  rule.level = to_u32(source.Get("level"), "level");
  const Napi::Value values = source.Get("values");
  if (!values.IsObject()) throw type_error(value.Env(), "values must be an object");
  const auto table = values.As<Napi::Object>();
  const Napi::Array keys = table.GetPropertyNames();
  for (std::uint32_t i = 0; i < keys.Length(); ++i) {
    const Napi::Value key = keys.Get(i);
    rule.values[to_text(key, "key")] = to_u32(table.Get(key), "value");
  }
  return rule;
}

/// `(rules, tags)`: the subnet that a policy derives, as its u32.
Napi::Value subnet_of_tags(const Napi::CallbackInfo& info) {
  const identity::SubnetPolicy policy = to_subnet_policy(info[0]);
  const std::vector<std::string> tags = to_words(info[1], "tags");
  std::vector<std::string_view> sorted(tags.begin(), tags.end());
  std::sort(sorted.begin(), sorted.end());
  return Napi::Number::New(info.Env(), policy.assign(sorted).value());
}

}  // namespace

identity::SubnetPolicy to_subnet_policy(const Napi::Value& value) {
  if (!value.IsArray()) throw type_error(value.Env(), "rules must be an array");
  const auto given = value.As<Napi::Array>();
  std::vector<identity::SubnetRule> rules;
  for (std::uint32_t i = 0; i < given.Length(); ++i) rules.push_back(to_subnet_rule(given.Get(i)));
  return value_or_throw(value.Env(), identity::SubnetPolicy::make(std::move(rules)));
}

Napi::Function IdentityWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeIdentity",
                     {
                         InstanceMethod<&IdentityWrap::to_seed>("toBytes"),
                         InstanceAccessor<&IdentityWrap::entity_id>("entityId"),
                         InstanceAccessor<&IdentityWrap::origin_hash>("originHash"),
                         InstanceAccessor<&IdentityWrap::node_id>("nodeId"),
                         InstanceAccessor<&IdentityWrap::token_cache_len>("tokenCacheLen"),
                         InstanceAccessor<&IdentityWrap::disposed>("disposed"),
                         InstanceMethod<&IdentityWrap::sign>("sign"),
                         InstanceMethod<&IdentityWrap::issue_token>("issueToken"),
                         InstanceMethod<&IdentityWrap::delegate_token>("delegateToken"),
                         InstanceMethod<&IdentityWrap::install_token>("installToken"),
                         InstanceMethod<&IdentityWrap::lookup_token>("lookupToken"),
                         InstanceMethod<&IdentityWrap::evict_expired_tokens>("evictExpiredTokens"),
                         InstanceMethod<&IdentityWrap::dispose>("dispose"),
                     });
}

IdentityWrap::IdentityWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<IdentityWrap>(info) {
  RandomSource& random = runtime::entropy();
  if (info[0].IsUndefined()) {
    identity_.emplace(identity::Identity::generate(random));
  } else {
    identity_.emplace(value_or_throw(
        info.Env(), identity::Identity::from_seed(to_bytes(info[0], "seed"), random)));
  }
}

Napi::Value IdentityWrap::to_seed(const Napi::CallbackInfo& info) {
  return from_bytes(info.Env(), value_or_throw(info.Env(), identity_->seed()));
}
Napi::Value IdentityWrap::entity_id(const Napi::CallbackInfo& info) {
  return from_bytes(info.Env(), identity_->entity_id());
}
Napi::Value IdentityWrap::origin_hash(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), identity_->origin_hash());
}
Napi::Value IdentityWrap::node_id(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), identity_->node_id().value);
}
Napi::Value IdentityWrap::token_cache_len(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(identity_->cache().size()));
}
Napi::Value IdentityWrap::disposed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), identity_->wiped());
}

Napi::Value IdentityWrap::sign(const Napi::CallbackInfo& info) {
  return from_bytes(info.Env(),
                    value_or_throw(info.Env(), identity_->sign(to_bytes(info[0], "message"))));
}

Napi::Value IdentityWrap::issue_token(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<std::string> scope = to_words(info[1], "scope");
  const std::string channel = to_text(info[2], "channel");
  const std::uint32_t ttl = to_u32(info[3], "ttlSeconds");
  const std::uint32_t depth = to_u32(info[4], "delegationDepth");
  if (depth > 255) throw range_error(env, "delegationDepth must be an integer in [0, 255]");
  const identity::IssueRequest request{to_bytes(info[0], "subject"), scope, channel, ttl,
                                       static_cast<std::uint8_t>(depth)};
  return from_token(
      env, value_or_throw(env, identity_->issue(request, now_seconds(), runtime::entropy())));
}

Napi::Value IdentityWrap::delegate_token(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<std::string> scope = to_words(info[2], "scope");
  return from_token(env,
                    value_or_throw(env, identity_->delegate(to_bytes(info[0], "parent"),
                                                            to_bytes(info[1], "newSubject"), scope,
                                                            now_seconds(), runtime::entropy())));
}

void IdentityWrap::install_token(const Napi::CallbackInfo& info) {
  value_or_throw(info.Env(), identity_->install(to_bytes(info[0], "token"), now_seconds()));
}

Napi::Value IdentityWrap::lookup_token(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string channel = to_text(info[1], "channel");
  const auto token =
      value_or_throw(env, identity_->look_up(to_bytes(info[0], "subject"), channel, now_seconds()));
  return token ? from_token(env, *token) : env.Null();
}

Napi::Value IdentityWrap::evict_expired_tokens(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(),
                           static_cast<double>(identity_->cache().evict_expired(now_seconds())));
}

void IdentityWrap::dispose(const Napi::CallbackInfo& /*info*/) { identity_->wipe(); }

void define_identity(Napi::Env env, Napi::Object exports) {
  exports.Set("NativeIdentity", IdentityWrap::define(env));
  exports.Set("parseToken", Napi::Function::New<parse_token>(env, "parseToken"));
  exports.Set("verifyToken", Napi::Function::New<verify_token>(env, "verifyToken"));
  exports.Set("tokenIsExpired", Napi::Function::New<token_is_expired>(env, "tokenIsExpired"));
  exports.Set("channelHash", Napi::Function::New<channel_hash>(env, "channelHash"));
  exports.Set("encodeTokenChain", Napi::Function::New<encode_token_chain>(env, "encodeTokenChain"));
  exports.Set("parseTokenChain", Napi::Function::New<parse_token_chain>(env, "parseTokenChain"));
  exports.Set("verifyTokenChain", Napi::Function::New<verify_token_chain>(env, "verifyTokenChain"));
  exports.Set("subnetOfTags", Napi::Function::New<subnet_of_tags>(env, "subnetOfTags"));
}

}  // namespace netmesh::binding
