#include "binding/redex_file.h"

#include <utility>

#include "binding/addon.h"
#include "binding/redex_events.h"
#include "binding/redex_tail.h"

namespace netmesh::binding {
namespace {

/// What `append` works on. A function of each object that knows it saves looking it up in the
/// object, a fifth of an append. The function may outlive the object.
struct AppendTarget {
  std::shared_ptr<redex::Redex> manager;
  std::shared_ptr<redex::File> file;
};

napi_value append_one(napi_env raw_env, napi_callback_info info) {
  const Napi::Env env(raw_env);
  try {
    std::size_t count = 1;
    napi_value payload = nullptr;
    void* data = nullptr;
    check(env, napi_get_cb_info(env, info, &count, &payload, nullptr, &data));
    const auto& file = static_cast<const AppendTarget*>(data)->file;
    return from_u64(env, value_or_throw(env, file->append(to_bytes({env, payload}, "payload"))));
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
    return nullptr;
  }
}

Napi::Value append_function(Napi::Env env, std::unique_ptr<AppendTarget> target) {
  napi_value function = nullptr;
  check(env,
        napi_create_function(env, "append", NAPI_AUTO_LENGTH, append_one, target.get(), &function));
  check(env, napi_add_finalizer(
                 env, function, target.get(),
                 [](napi_env, void* data, void*) { delete static_cast<AppendTarget*>(data); },
                 nullptr, nullptr));
  (void)target.release();
  return {env, function};
}

}  // namespace

Napi::Function RedexFileWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeRedexFile",
                     {
                         InstanceMethod<&RedexFileWrap::append_each>("appendEach"),
                         InstanceMethod<&RedexFileWrap::append_batch>("appendBatch"),
                         InstanceMethod<&RedexFileWrap::read_range>("readRange"),
                         InstanceMethod<&RedexFileWrap::length>("len"),
                         InstanceMethod<&RedexFileWrap::stats>("stats"),
                         InstanceMethod<&RedexFileWrap::tail>("tail"),
                         InstanceMethod<&RedexFileWrap::sync>("sync"),
                         InstanceMethod<&RedexFileWrap::close>("close"),
                         InstanceMethod<&RedexFileWrap::sweep_retention>("sweepRetention"),
                         InstanceAccessor<&RedexFileWrap::closed>("closed"),
                         InstanceMethod<&RedexFileWrap::ref>("ref"),
                         InstanceMethod<&RedexFileWrap::unref>("unref"),
                     });
}

Napi::Object RedexFileWrap::create(Napi::Env env, Parts parts) {
  auto* addon = env.GetInstanceData<Addon>();
  addon->redex_file_to_wrap = std::make_unique<Parts>(std::move(parts));
  return addon->redex_file_class.New({});
}

RedexFileWrap::RedexFileWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<RedexFileWrap>(info) {
  const auto parts = std::move(info.Env().GetInstanceData<Addon>()->redex_file_to_wrap);
  if (!parts)
    throw type_error(info.Env(), "NativeRedexFile objects come from NativeRedex.openFile");
  parts_ = std::move(*parts);
  auto target = std::make_unique<AppendTarget>(AppendTarget{parts_.manager, parts_.file});
  Value().Set("append", append_function(info.Env(), std::move(target)));
}

Napi::Value RedexFileWrap::append_each(const Napi::CallbackInfo& info) {
  const std::size_t count = info.Length();
  views_.resize(count);
  for (std::size_t i = 0; i < count; ++i) view_payload(info.Env(), i, info[i]);
  return append_views(info.Env());
}

Napi::Value RedexFileWrap::append_batch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const napi_value array = info[0];
  bool is_array = false;
  check(env, napi_is_array(env, array, &is_array));
  if (!is_array) throw type_error(env, "payloads must be an array of Uint8Arrays");
  std::uint32_t count = 0;
  check(env, napi_get_array_length(env, array, &count));
  // Elements first: reading one can run JavaScript, which could come back here or detach memory
  // that a view was taken of.
  std::vector<napi_value> values = std::move(values_);
  values.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    napi_value element = nullptr;
    check(env, napi_get_element(env, array, i, &element));
    values.push_back(element);
  }
  views_.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) view_payload(env, i, values[i]);
  values_ = std::move(values);
  return append_views(env);
}

void RedexFileWrap::view_payload(Napi::Env env, std::size_t at, napi_value payload) {
  napi_typedarray_type type = napi_int8_array;
  std::size_t size = 0;
  void* data = nullptr;
  const napi_status status =
      napi_get_typedarray_info(env, payload, &type, &size, &data, nullptr, nullptr);
  if (status != napi_ok || type != napi_uint8_array)
    throw type_error(env, "payloads[" + std::to_string(at) + "] must be a Uint8Array");
  views_[at] = {static_cast<const std::byte*>(data), size};
}

Napi::Value RedexFileWrap::append_views(Napi::Env env) {
  return from_u64(env, value_or_throw(env, parts_.file->append_batch(views_)));
}

Napi::Value RedexFileWrap::read_range(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  redex::ReadLimits limits;
  limits.max_events = to_u32(info[2], "maxEvents");
  limits.max_bytes = to_u32(info[3], "maxBytes");
  const std::uint64_t next =
      parts_.file->read_range(to_u64(info[0]), to_u64(info[1]), batch_, limits);
  Napi::Object out = from_events(env, batch_);
  batch_.clear();
  out.Set("next", from_u64(env, next));
  return out;
}

Napi::Value RedexFileWrap::length(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), parts_.file->length());
}

Napi::Value RedexFileWrap::stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const redex::FileStats stats = parts_.file->stats();
  Napi::Object out = Napi::Object::New(env);
  out.Set("events", from_u64(env, stats.events));
  out.Set("firstSeq", from_u64(env, stats.first_seq));
  out.Set("nextSeq", from_u64(env, stats.next_seq));
  out.Set("payloadBytes", from_u64(env, stats.payload_bytes));
  out.Set("syncedSeq", from_u64(env, stats.synced_seq));
  out.Set("corruptReads", from_u64(env, stats.corrupt_reads));
  out.Set("failedSyncs", from_u64(env, stats.failed_syncs));
  out.Set("compactions", from_u64(env, stats.compactions));
  return out;
}

Napi::Value RedexFileWrap::tail(const Napi::CallbackInfo& info) {
  const std::uint32_t id = parts_.owner->next_id();
  auto tail = parts_.file->tail(to_u64(info[0]),
                                [mailbox = parts_.owner->mailbox(), id] { mailbox->add_tail(id); });
  return RedexTailWrap::create(info.Env(), {id, std::move(tail), parts_.owner});
}

Napi::Value RedexFileWrap::sync(const Napi::CallbackInfo& info) {
  const std::uint32_t id = parts_.owner->next_id();
  parts_.file->sync([mailbox = parts_.owner->mailbox(), id](Expected<void> result) {
    mailbox->add_done(id, std::move(result));
  });
  return Napi::Number::New(info.Env(), id);
}

Napi::Value RedexFileWrap::close(const Napi::CallbackInfo& info) {
  const std::uint32_t id = parts_.owner->next_id();
  parts_.file->close([mailbox = parts_.owner->mailbox(), id](Expected<void> result) {
    mailbox->add_done(id, std::move(result));
  });
  return Napi::Number::New(info.Env(), id);
}

void RedexFileWrap::sweep_retention(const Napi::CallbackInfo&) { parts_.file->sweep_retention(); }

Napi::Value RedexFileWrap::closed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), parts_.file->closed());
}

void RedexFileWrap::ref(const Napi::CallbackInfo&) { parts_.owner->ref(); }
void RedexFileWrap::unref(const Napi::CallbackInfo&) { parts_.owner->unref(); }

}  // namespace netmesh::binding
