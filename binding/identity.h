#pragma once
// The JavaScript class NativeIdentity, and the functions for tokens, chains and subnets.

#include <napi.h>

#include "identity/identity.h"

namespace netmesh::binding {

/// Wraps an identity. Its secret is wiped by `dispose`, and when the object is collected.
class IdentityWrap : public Napi::ObjectWrap<IdentityWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// `new NativeIdentity(seed?)`: of this seed, or a fresh one.
  explicit IdentityWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value to_seed(const Napi::CallbackInfo& info);
  Napi::Value entity_id(const Napi::CallbackInfo& info);
  Napi::Value origin_hash(const Napi::CallbackInfo& info);
  Napi::Value node_id(const Napi::CallbackInfo& info);
  Napi::Value token_cache_len(const Napi::CallbackInfo& info);
  Napi::Value disposed(const Napi::CallbackInfo& info);
  Napi::Value sign(const Napi::CallbackInfo& info);
  Napi::Value issue_token(const Napi::CallbackInfo& info);
  Napi::Value delegate_token(const Napi::CallbackInfo& info);
  void install_token(const Napi::CallbackInfo& info);
  Napi::Value lookup_token(const Napi::CallbackInfo& info);
  Napi::Value evict_expired_tokens(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::optional<identity::Identity> identity_;
};

/// An array of rules `{ tagPrefix, level, values }`; throws for what does not fit.
identity::SubnetPolicy to_subnet_policy(const Napi::Value& value);

/// Adds everything of this area to what the addon exports.
void define_identity(Napi::Env env, Napi::Object exports);

}  // namespace netmesh::binding
