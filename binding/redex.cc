#include "binding/redex.h"

#include <limits>
#include <utility>

#include "binding/convert.h"
#include "binding/redex_file.h"

namespace netmesh::binding {
namespace {

std::optional<std::uint64_t> optional_u64(const Napi::Object& source, const char* name) {
  const Napi::Value value = source.Get(name);
  if (value.IsUndefined()) return std::nullopt;
  return to_u64(value);
}

/// Milliseconds, as long as nanoseconds can say.
std::optional<Duration> optional_ms(const Napi::Object& source, const char* name) {
  const auto value = optional_u64(source, name);
  if (!value) return std::nullopt;
  constexpr std::uint64_t kNanosPerMs = 1'000'000;
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return Duration(
      static_cast<std::int64_t>(*value > kMost / kNanosPerMs ? kMost : *value * kNanosPerMs));
}

redex::FileConfig to_file_config(const Napi::Value& value) {
  if (!value.IsObject()) throw type_error(value.Env(), "options must be an object");
  const auto source = value.As<Napi::Object>();
  redex::FileConfig config;
  config.persistent = to_bool(source.Get("persistent"), "persistent");
  config.fsync.every_n = optional_u64(source, "fsyncEveryN");
  config.fsync.every_bytes = optional_u64(source, "fsyncEveryBytes");
  config.fsync.interval = optional_ms(source, "fsyncIntervalMs");
  config.retention.max_events = optional_u64(source, "retentionMaxEvents");
  config.retention.max_bytes = optional_u64(source, "retentionMaxBytes");
  config.retention.max_age = optional_ms(source, "retentionMaxAgeMs");
  return config;
}

}  // namespace

Napi::Function RedexWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeRedex",
                     {
                         InstanceMethod<&RedexWrap::open_file>("openFile"),
                         InstanceMethod<&RedexWrap::names>("names"),
                     });
}

RedexWrap::RedexWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RedexWrap>(info) {
  const Napi::Env env = info.Env();
  redex::RedexOptions options;
  if (!info[0].IsUndefined()) options.persistent_dir = to_text(info[0], "persistentDir");
  if (!info[1].IsFunction()) throw type_error(env, "onReady must be a function");
  owner_ = std::make_shared<RedexMailboxOwner>(env, info[1].As<Napi::Function>());
  redex_ = std::make_shared<redex::Redex>(std::move(options));
}

Napi::Value RedexWrap::open_file(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string name = to_text(info[0], "name");
  const redex::FileConfig config = to_file_config(info[1]);
  auto file = value_or_throw(env, redex_->open_file(name, config));
  return RedexFileWrap::create(env, {std::move(file), redex_, owner_});
}

Napi::Value RedexWrap::names(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<std::string> names = redex_->names();
  Napi::Array out = Napi::Array::New(env, names.size());
  for (std::uint32_t i = 0; i < names.size(); ++i) out.Set(i, names[i]);
  return out;
}

}  // namespace netmesh::binding
