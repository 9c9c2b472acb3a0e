#include "binding/redex_tail.h"

#include <utility>

#include "binding/addon.h"
#include "binding/convert.h"
#include "binding/redex_events.h"

namespace netmesh::binding {

Napi::Function RedexTailWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeRedexTail",
                     {
                         InstanceAccessor<&RedexTailWrap::id>("id"),
                         InstanceMethod<&RedexTailWrap::take>("take"),
                         InstanceMethod<&RedexTailWrap::close>("close"),
                         InstanceMethod<&RedexTailWrap::ref>("ref"),
                         InstanceMethod<&RedexTailWrap::unref>("unref"),
                     });
}

Napi::Object RedexTailWrap::create(Napi::Env env, Parts parts) {
  auto* addon = env.GetInstanceData<Addon>();
  addon->redex_tail_to_wrap = std::make_unique<Parts>(std::move(parts));
  return addon->redex_tail_class.New({});
}

RedexTailWrap::RedexTailWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<RedexTailWrap>(info) {
  auto parts = std::move(info.Env().GetInstanceData<Addon>()->redex_tail_to_wrap);
  if (!parts)
    throw type_error(info.Env(), "NativeRedexTail objects come from NativeRedexFile.tail");
  parts_ = std::move(*parts);
}

Napi::Value RedexTailWrap::id(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), parts_.id);
}

Napi::Value RedexTailWrap::take(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  redex::ReadLimits limits;
  limits.max_events = to_u32(info[0], "maxEvents");
  limits.max_bytes = to_u32(info[1], "maxBytes");
  const redex::TailState state = parts_.tail->take(batch_, limits);
  if (batch_.empty()) return Napi::Number::New(env, static_cast<int>(state));
  Napi::Object out = from_events(env, batch_);
  batch_.clear();
  out.Set("state", Napi::Number::New(env, static_cast<int>(state)));
  return out;
}

void RedexTailWrap::close(const Napi::CallbackInfo&) { parts_.tail->close(); }
void RedexTailWrap::ref(const Napi::CallbackInfo&) { parts_.owner->ref(); }
void RedexTailWrap::unref(const Napi::CallbackInfo&) { parts_.owner->unref(); }

}  // namespace netmesh::binding
