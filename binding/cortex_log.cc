#include "binding/cortex_log.h"

#include <utility>

#include "binding/convert.h"
#include "binding/cortex_values.h"
#include "binding/redex.h"

namespace netmesh::binding {
namespace {

const char* name_of(redex::TailState state) {
  switch (state) {
    case redex::TailState::kMore:
      return "more";
    case redex::TailState::kEmpty:
      return "empty";
    case redex::TailState::kEnded:
      return "ended";
    case redex::TailState::kLagged:
      break;
  }
  return "lagged";
}

std::uint8_t to_u8(const Napi::Value& value, const char* name) {
  const std::uint32_t number = to_u32(value, name);
  if (number > 255) throw range_error(value.Env(), std::string(name) + " must be in [0, 255]");
  return static_cast<std::uint8_t>(number);
}

}  // namespace

class ModelLogWrap::OpenWorker : public Napi::AsyncWorker {
 public:
  OpenWorker(ModelLogWrap& wrap, Napi::Env env, RedexWrap& redex, std::string channel,
             redex::FileConfig config)
      : Napi::AsyncWorker(env),
        wrap_(wrap),
        keep_(Napi::Persistent(wrap.Value())),
        deferred_(env),
        redex_(redex.redex()),
        keep_redex_(Napi::Persistent(redex.Value())),
        channel_(std::move(channel)),
        config_(config),
        signal_(wrap.signal_) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    result_ =
        cortex::ModelLog::open(redex_, channel_, config_, [signal = signal_] { (*signal)(); });
  }

  void OnOK() override {
    if (!*result_) {
      deferred_.Reject(to_js_error(Env(), result_->error()).Value());
      return;
    }
    if (wrap_.signal_) wrap_.log_ = std::move(**result_);
    deferred_.Resolve(Env().Undefined());
  }

 private:
  ModelLogWrap& wrap_;
  Napi::ObjectReference keep_;
  Napi::Promise::Deferred deferred_;
  redex::Redex& redex_;
  Napi::ObjectReference keep_redex_;
  const std::string channel_;
  const redex::FileConfig config_;
  const std::shared_ptr<ReadySignal> signal_;
  std::optional<Expected<std::unique_ptr<cortex::ModelLog>>> result_;
};

Napi::Function ModelLogWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeModelLog",
                     {
                         InstanceMethod<&ModelLogWrap::open>("open"),
                         InstanceMethod<&ModelLogWrap::stats>("stats"),
                         InstanceMethod<&ModelLogWrap::skip_to>("skipTo"),
                         InstanceMethod<&ModelLogWrap::seek>("seek"),
                         InstanceMethod<&ModelLogWrap::take>("take"),
                         InstanceMethod<&ModelLogWrap::append>("append"),
                         InstanceMethod<&ModelLogWrap::close>("close"),
                         InstanceMethod<&ModelLogWrap::ref>("ref"),
                         InstanceMethod<&ModelLogWrap::unref>("unref"),
                     });
}

ModelLogWrap::ModelLogWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ModelLogWrap>(info), env_(info.Env()) {
  signal_ = std::make_shared<ReadySignal>(info.Env(), info[0], "netmesh:model");
  // Added after the signal's own hook, hence run before it.
  napi_add_env_cleanup_hook(env_, close_with_environment, this);
}

ModelLogWrap::~ModelLogWrap() { close_now(); }

void ModelLogWrap::close_with_environment(void* self) {
  static_cast<ModelLogWrap*>(self)->close_now();
}

void ModelLogWrap::close_now() {
  if (!signal_) return;
  napi_remove_env_cleanup_hook(env_, close_with_environment, this);
  log_.reset();
  signal_->close();
  signal_.reset();
}

cortex::ModelLog& ModelLogWrap::log(Napi::Env env) {
  if (!log_) throw to_js_error(env, {ErrorKind::kCortex, "cortex: the model is not open"});
  return *log_;
}

Napi::Value ModelLogWrap::open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  RedexWrap* redex = info[0].IsObject() ? RedexWrap::Unwrap(info[0].As<Napi::Object>()) : nullptr;
  if (redex == nullptr) throw type_error(env, "redex must be a NativeRedex");
  redex::FileConfig config;
  config.persistent = to_bool(info[2], "persistent");
  auto* worker = new OpenWorker(*this, env, *redex, to_text(info[1], "channel"), config);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Value ModelLogWrap::stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const redex::FileStats stats = log(env).stats();
  Napi::Object out = Napi::Object::New(env);
  out.Set("events", from_u64(env, stats.events));
  out.Set("firstSeq", from_u64(env, stats.first_seq));
  out.Set("nextSeq", from_u64(env, stats.next_seq));
  return out;
}

void ModelLogWrap::skip_to(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  value_or_throw(env, log(env).skip_to(to_u64(info[0])));
}

void ModelLogWrap::seek(const Napi::CallbackInfo& info) { log(info.Env()).seek(to_u64(info[0])); }

Napi::Value ModelLogWrap::take(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::uint32_t max_events = to_u32(info[0], "maxEvents");
  const std::uint32_t max_bytes = to_u32(info[1], "maxBytes");
  cortex::ModelLog::Batch batch = log(env).take(max_events, max_bytes);
  Napi::Object out = Napi::Object::New(env);
  out.Set("state", name_of(batch.state));
  out.Set("position", from_u64(env, batch.position));
  out.Set("events",
          batch.events.count == 0 ? env.Null() : from_slab(env, std::move(batch.events.bytes)));
  return out;
}

Napi::Value ModelLogWrap::append(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  cortex::EventMeta meta;
  meta.dispatch = to_u8(info[0], "dispatch");
  meta.origin_hash = to_u64(info[1]);
  meta.app_seq = to_u64(info[2]);
  return from_u64(env, value_or_throw(env, log(env).append(meta, to_bytes(info[3], "body"))));
}

void ModelLogWrap::close(const Napi::CallbackInfo&) {
  if (log_) log_->close();
}

void ModelLogWrap::ref(const Napi::CallbackInfo& info) {
  if (signal_) signal_->ref(info.Env());
}

void ModelLogWrap::unref(const Napi::CallbackInfo& info) {
  if (signal_) signal_->unref(info.Env());
}

}  // namespace netmesh::binding
