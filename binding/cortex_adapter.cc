#include "binding/cortex_adapter.h"

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "binding/convert.h"
#include "binding/cortex_values.h"
#include "binding/ready_signal.h"
#include "binding/redex.h"
#include "cortex/adapter.h"

namespace netmesh::binding {
namespace {

/// Results of the wait methods, see WAIT_… in types/native.d.ts.
constexpr int kWaitPending = 0;
constexpr int kWaitReached = 1;
constexpr int kWaitStopped = 2;

Napi::Value from_wait_state(Napi::Env env, cortex::WaitState state) {
  switch (state) {
    case cortex::WaitState::kReached:
      return Napi::Number::New(env, kWaitReached);
    case cortex::WaitState::kStopped:
      return Napi::Number::New(env, kWaitStopped);
    case cortex::WaitState::kPending:
      break;
  }
  return Napi::Number::New(env, kWaitPending);
}

Napi::Value from_optional_u64(Napi::Env env, const std::optional<std::uint64_t>& value) {
  return value ? from_u64(env, *value) : env.Null();
}

cortex::WaitFor to_wait_for(const Napi::Value& value) {
  return to_bool(value, "applied") ? cortex::WaitFor::kApplied : cortex::WaitFor::kFolded;
}

std::optional<cortex::BundleEntry> to_bundle_entry(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  const Napi::Value last_seq = object.Get("lastSeq");
  cortex::BundleEntry entry;
  if (!last_seq.IsNull() && !last_seq.IsUndefined()) entry.last_seq = to_u64(last_seq);
  const ByteSpan state = to_bytes(object.Get("stateBytes"), "stateBytes");
  entry.state.assign(state.begin(), state.end());
  return entry;
}

Napi::Value from_bundle_entry(Napi::Env env, const std::optional<cortex::BundleEntry>& entry) {
  if (!entry) return env.Null();
  Napi::Object out = Napi::Object::New(env);
  out.Set("stateBytes", from_bytes(env, entry->state));
  out.Set("lastSeq", from_optional_u64(env, entry->last_seq));
  return out;
}

template <typename Model>
class AdapterWrap : public Napi::ObjectWrap<AdapterWrap<Model>> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit AdapterWrap(const Napi::CallbackInfo& info);
  ~AdapterWrap() override;

 private:
  using Adapter = cortex::Adapter<Model>;
  using Methods = std::vector<Napi::ClassPropertyDescriptor<AdapterWrap>>;
  class OpenWorker;

  Adapter& adapter(Napi::Env env);

  /// Appends an event of at most `max_body` bytes that `put` writes.
  template <typename Put>
  Napi::Value append(Napi::Env env, const char* context, std::uint8_t dispatch,
                     std::size_t max_body, Put put);
  /// An event that consists of an id and, if `timed`, of a time.
  Napi::Value append_plain(const Napi::CallbackInfo& info, const char* context,
                           std::uint8_t dispatch, bool timed);

  Napi::Value create(const Napi::CallbackInfo& info);
  Napi::Value rename(const Napi::CallbackInfo& info);
  Napi::Value complete(const Napi::CallbackInfo& info);
  Napi::Value store(const Napi::CallbackInfo& info);
  Napi::Value retag(const Napi::CallbackInfo& info);
  Napi::Value pin(const Napi::CallbackInfo& info);
  Napi::Value unpin(const Napi::CallbackInfo& info);
  Napi::Value remove(const Napi::CallbackInfo& info);

  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value opened_at(const Napi::CallbackInfo& info);
  Napi::Value list(const Napi::CallbackInfo& info);
  Napi::Value get(const Napi::CallbackInfo& info);
  Napi::Value count(const Napi::CallbackInfo& info);
  Napi::Value snapshot(const Napi::CallbackInfo& info);
  Napi::Value watermarks(const Napi::CallbackInfo& info);
  Napi::Value running(const Napi::CallbackInfo& info);
  Napi::Value wait_for_seq(const Napi::CallbackInfo& info);
  Napi::Value wait_for_token(const Napi::CallbackInfo& info);
  Napi::Value cancel_wait(const Napi::CallbackInfo& info);
  Napi::Value stopped_error(const Napi::CallbackInfo& info);
  Napi::Value watch(const Napi::CallbackInfo& info);
  Napi::Value watch_next(const Napi::CallbackInfo& info);
  void unwatch(const Napi::CallbackInfo& info);
  Napi::Value drain(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  void ref(const Napi::CallbackInfo& info);
  void unref(const Napi::CallbackInfo& info);

  static void close_with_environment(void* self);
  void close_now();
  /// Takes in what an OpenWorker has opened, unless it is too late.
  void opened(std::unique_ptr<Adapter> adapter);

  const napi_env env_;
  std::shared_ptr<ReadySignal> signal_;
  std::unique_ptr<Adapter> adapter_;
  TextArgument text_;
  TextArgument second_text_;
};

/// Opens an adapter on a thread of libuv's pool.
template <typename Model>
class AdapterWrap<Model>::OpenWorker : public Napi::AsyncWorker {
 public:
  OpenWorker(AdapterWrap& wrap, Napi::Env env, RedexWrap& redex, cortex::OpenOptions options,
             std::optional<cortex::BundleEntry> snapshot)
      : Napi::AsyncWorker(env),
        wrap_(wrap),
        keep_(Napi::Persistent(wrap.Value())),
        deferred_(env),
        redex_(redex.redex()),
        keep_redex_(Napi::Persistent(redex.Value())),
        options_(std::move(options)),
        snapshot_(std::move(snapshot)),
        signal_(wrap.signal_) {
    if (snapshot_) options_.snapshot = cortex::SnapshotView{snapshot_->state, snapshot_->last_seq};
  }

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    result_ = Adapter::open(redex_, options_, [signal = signal_] { (*signal)(); });
  }

  void OnOK() override {
    if (*result_) {
      wrap_.opened(std::move(**result_));
      deferred_.Resolve(Env().Undefined());
    } else {
      deferred_.Reject(to_js_error(Env(), result_->error()).Value());
    }
  }

 private:
  AdapterWrap& wrap_;
  Napi::ObjectReference keep_;
  Napi::Promise::Deferred deferred_;
  redex::Redex& redex_;
  Napi::ObjectReference keep_redex_;
  cortex::OpenOptions options_;
  const std::optional<cortex::BundleEntry> snapshot_;
  const std::shared_ptr<ReadySignal> signal_;
  std::optional<Expected<std::unique_ptr<Adapter>>> result_;
};

template <typename Model>
Napi::Function AdapterWrap<Model>::define(Napi::Env env) {
  using Self = AdapterWrap<Model>;
  Methods all = {
      Self::template InstanceMethod<&Self::open>("open"),
      Self::template InstanceMethod<&Self::opened_at>("openedAt"),
      Self::template InstanceMethod<&Self::remove>("delete"),
      Self::template InstanceMethod<&Self::list>("list"),
      Self::template InstanceMethod<&Self::get>("get"),
      Self::template InstanceMethod<&Self::count>("count"),
      Self::template InstanceMethod<&Self::snapshot>("snapshot"),
      Self::template InstanceMethod<&Self::watermarks>("watermarks"),
      Self::template InstanceMethod<&Self::running>("running"),
      Self::template InstanceMethod<&Self::wait_for_seq>("waitForSeq"),
      Self::template InstanceMethod<&Self::wait_for_token>("waitForToken"),
      Self::template InstanceMethod<&Self::cancel_wait>("cancelWait"),
      Self::template InstanceMethod<&Self::stopped_error>("stoppedError"),
      Self::template InstanceMethod<&Self::watch>("watch"),
      Self::template InstanceMethod<&Self::watch_next>("watchNext"),
      Self::template InstanceMethod<&Self::unwatch>("unwatch"),
      Self::template InstanceMethod<&Self::drain>("drain"),
      Self::template InstanceMethod<&Self::close>("close"),
      Self::template InstanceMethod<&Self::ref>("ref"),
      Self::template InstanceMethod<&Self::unref>("unref"),
  };
  const auto add = [&](auto method) { all.push_back(method); };
  if constexpr (std::is_same_v<Model, cortex::TasksModel>) {
    add(Self::template InstanceMethod<&Self::create>("create"));
    add(Self::template InstanceMethod<&Self::rename>("rename"));
    add(Self::template InstanceMethod<&Self::complete>("complete"));
    return Self::DefineClass(env, "NativeTasks", all);
  } else {
    add(Self::template InstanceMethod<&Self::store>("store"));
    add(Self::template InstanceMethod<&Self::retag>("retag"));
    add(Self::template InstanceMethod<&Self::pin>("pin"));
    add(Self::template InstanceMethod<&Self::unpin>("unpin"));
    return Self::DefineClass(env, "NativeMemories", all);
  }
}

template <typename Model>
AdapterWrap<Model>::AdapterWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<AdapterWrap<Model>>(info), env_(info.Env()) {
  signal_ = std::make_shared<ReadySignal>(info.Env(), info[0], "netmesh:cortex");
  // Added after the signal's own hook, hence run before it.
  napi_add_env_cleanup_hook(env_, close_with_environment, this);
}

template <typename Model>
AdapterWrap<Model>::~AdapterWrap() {
  close_now();
}

template <typename Model>
void AdapterWrap<Model>::close_with_environment(void* self) {
  static_cast<AdapterWrap*>(self)->close_now();
}

template <typename Model>
void AdapterWrap<Model>::close_now() {
  if (!signal_) return;
  napi_remove_env_cleanup_hook(env_, close_with_environment, this);
  adapter_.reset();
  signal_->close();
  signal_.reset();
}

template <typename Model>
void AdapterWrap<Model>::opened(std::unique_ptr<Adapter> adapter) {
  if (signal_) adapter_ = std::move(adapter);
}

template <typename Model>
typename AdapterWrap<Model>::Adapter& AdapterWrap<Model>::adapter(Napi::Env env) {
  if (!adapter_) throw to_js_error(env, {ErrorKind::kCortex, "cortex: the adapter is not open"});
  return *adapter_;
}

template <typename Model>
Napi::Value AdapterWrap<Model>::open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  RedexWrap* redex = info[0].IsObject() ? RedexWrap::Unwrap(info[0].As<Napi::Object>()) : nullptr;
  if (redex == nullptr) throw type_error(env, "redex must be a NativeRedex");
  cortex::OpenOptions options;
  options.origin_hash = to_u64_or_integer(info[1]);
  options.file.persistent = to_bool(info[2], "persistent");
  auto* worker = new OpenWorker(*this, env, *redex, std::move(options), to_bundle_entry(info[3]));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

template <typename Model>
Napi::Value AdapterWrap<Model>::opened_at(const Napi::CallbackInfo& info) {
  return from_optional_u64(info.Env(), adapter(info.Env()).opened_at());
}

template <typename Model>
template <typename Put>
Napi::Value AdapterWrap<Model>::append(Napi::Env env, const char* context, std::uint8_t dispatch,
                                       std::size_t max_body, Put put) {
  return from_u64(env, value_or_throw(env, adapter(env).append(context, dispatch, max_body, put)));
}

template <typename Model>
Napi::Value AdapterWrap<Model>::append_plain(const Napi::CallbackInfo& info, const char* context,
                                             std::uint8_t dispatch, bool timed) {
  const std::uint64_t id = to_u64_or_integer(info[0]);
  const std::uint64_t now = timed ? to_u64_or_integer(info[1]) : 0;
  return append(info.Env(), context, dispatch, 2 * cortex::kMaxVarintBytes, [&](std::byte* at) {
    at = cortex::put_varint(at, id);
    return timed ? cortex::put_varint(at, now) : at;
  });
}

template <typename Model>
Napi::Value AdapterWrap<Model>::create(const Napi::CallbackInfo& info) {
  const std::uint64_t id = to_u64_or_integer(info[0]);
  const std::uint64_t now = to_u64_or_integer(info[2]);
  const std::string_view title = text_.read(info[1], "title");
  return append(info.Env(), "create failed", Model::kCreated,
                3 * cortex::kMaxVarintBytes + title.size(), [&](std::byte* at) {
                  at = cortex::put_counted(cortex::put_varint(at, id), title);
                  return cortex::put_varint(at, now);
                });
}

template <typename Model>
Napi::Value AdapterWrap<Model>::rename(const Napi::CallbackInfo& info) {
  const std::uint64_t id = to_u64_or_integer(info[0]);
  const std::uint64_t now = to_u64_or_integer(info[2]);
  const std::string_view title = text_.read(info[1], "newTitle");
  return append(info.Env(), "rename failed", Model::kRenamed,
                3 * cortex::kMaxVarintBytes + title.size(), [&](std::byte* at) {
                  at = cortex::put_counted(cortex::put_varint(at, id), title);
                  return cortex::put_varint(at, now);
                });
}

template <typename Model>
Napi::Value AdapterWrap<Model>::complete(const Napi::CallbackInfo& info) {
  return append_plain(info, "complete failed", Model::kCompleted, true);
}

template <typename Model>
Napi::Value AdapterWrap<Model>::store(const Napi::CallbackInfo& info) {
  const std::uint64_t id = to_u64_or_integer(info[0]);
  const std::uint64_t now = to_u64_or_integer(info[4]);
  const std::vector<std::string> tags = to_texts(info[2], "tags");
  const std::string_view content = text_.read(info[1], "content");
  const std::string_view source = second_text_.read(info[3], "source");
  const std::size_t room =
      4 * cortex::kMaxVarintBytes + content.size() + source.size() + cortex::tags_bytes(tags);
  return append(info.Env(), "store failed", Model::kStored, room, [&](std::byte* at) {
    at = cortex::put_counted(cortex::put_varint(at, id), content);
    at = cortex::put_counted(cortex::put_tags(at, tags), source);
    return cortex::put_varint(at, now);
  });
}

template <typename Model>
Napi::Value AdapterWrap<Model>::retag(const Napi::CallbackInfo& info) {
  const std::uint64_t id = to_u64_or_integer(info[0]);
  const std::uint64_t now = to_u64_or_integer(info[2]);
  const std::vector<std::string> tags = to_texts(info[1], "tags");
  return append(info.Env(), "retag failed", Model::kRetagged,
                2 * cortex::kMaxVarintBytes + cortex::tags_bytes(tags), [&](std::byte* at) {
                  at = cortex::put_tags(cortex::put_varint(at, id), tags);
                  return cortex::put_varint(at, now);
                });
}

template <typename Model>
Napi::Value AdapterWrap<Model>::pin(const Napi::CallbackInfo& info) {
  return append_plain(info, "pin failed", Model::kPinned, true);
}

template <typename Model>
Napi::Value AdapterWrap<Model>::unpin(const Napi::CallbackInfo& info) {
  return append_plain(info, "unpin failed", Model::kUnpinned, true);
}

template <typename Model>
Napi::Value AdapterWrap<Model>::remove(const Napi::CallbackInfo& info) {
  return append_plain(info, "delete failed", Model::kDeleted, false);
}

template <typename Model>
Napi::Value AdapterWrap<Model>::list(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Model* const model = nullptr;
  return from_slab(env, adapter(env).list(to_filter(info[0], model)).bytes);
}

template <typename Model>
Napi::Value AdapterWrap<Model>::get(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return from_slab(env, adapter(env).get(to_u64_or_integer(info[0])).bytes);
}

template <typename Model>
Napi::Value AdapterWrap<Model>::count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(adapter(info.Env()).count()));
}

template <typename Model>
Napi::Value AdapterWrap<Model>::snapshot(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  cortex::Snapshot snapshot = adapter(env).snapshot();
  Napi::Object out = Napi::Object::New(env);
  out.Set("lastSeq", from_optional_u64(env, snapshot.last_seq));
  out.Set("bytes", from_slab(env, std::move(snapshot.block)));
  return out;
}

template <typename Model>
Napi::Value AdapterWrap<Model>::watermarks(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const cortex::Watermarks marks = adapter(env).watermarks();
  Napi::Object out = Napi::Object::New(env);
  out.Set("folded", from_optional_u64(env, marks.folded));
  out.Set("applied", from_optional_u64(env, marks.applied));
  out.Set("errors", from_u64(env, marks.errors));
  return out;
}

template <typename Model>
Napi::Value AdapterWrap<Model>::running(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), adapter_ != nullptr && adapter_->running());
}

template <typename Model>
Napi::Value AdapterWrap<Model>::wait_for_seq(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return from_wait_state(
      env, adapter(env).wait_for_seq(to_u64_or_integer(info[0]), to_u32(info[1], "waiter")));
}

template <typename Model>
Napi::Value AdapterWrap<Model>::wait_for_token(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::uint64_t origin = to_u64_or_integer(info[0]);
  const std::uint64_t seq = to_u64_or_integer(info[1]);
  const auto state = adapter(env).wait_for_token(origin, seq, to_u32(info[2], "waiter"));
  return from_wait_state(env, value_or_throw(env, state));
}

template <typename Model>
Napi::Value AdapterWrap<Model>::cancel_wait(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Napi::Boolean::New(env, adapter(env).cancel_wait(to_u32(info[0], "waiter")));
}

template <typename Model>
Napi::Value AdapterWrap<Model>::stopped_error(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return to_js_error(env, adapter(env).stopped_error(to_wait_for(info[0]))).Value();
}

template <typename Model>
Napi::Value AdapterWrap<Model>::watch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Model* const model = nullptr;
  const std::uint32_t name = to_u32(info[0], "name");
  auto filter = to_filter(info[1], model);
  const bool with_rows = to_bool(info[2], "withRows");
  cortex::RowBlock rows;
  adapter(env).watch(name, std::move(filter), with_rows ? &rows : nullptr);
  return with_rows ? from_slab(env, std::move(rows.bytes)) : env.Undefined();
}

template <typename Model>
Napi::Value AdapterWrap<Model>::watch_next(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  cortex::WatchResult result = adapter(env).watch_next(to_u32(info[0], "name"));
  switch (result.state) {
    case cortex::WatchResult::State::kRows:
      return from_slab(env, std::move(result.rows.bytes));
    case cortex::WatchResult::State::kEnded:
      return env.Null();
    case cortex::WatchResult::State::kNothing:
      break;
  }
  return env.Undefined();
}

template <typename Model>
void AdapterWrap<Model>::unwatch(const Napi::CallbackInfo& info) {
  adapter(info.Env()).unwatch(to_u32(info[0], "name"));
}

template <typename Model>
Napi::Value AdapterWrap<Model>::drain(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const cortex::AdapterNews news = adapter(env).take_news();
  Napi::Array reached = Napi::Array::New(env);
  Napi::Array stopped = Napi::Array::New(env);
  for (const cortex::Settled& each : news.settled) {
    Napi::Array& list = each.reached ? reached : stopped;
    list.Set(list.Length(), Napi::Number::New(env, each.waiter));
  }
  Napi::Array watches = Napi::Array::New(env);
  for (const std::uint32_t name : news.watches)
    watches.Set(watches.Length(), Napi::Number::New(env, name));
  Napi::Object out = Napi::Object::New(env);
  out.Set("reached", reached);
  out.Set("stopped", stopped);
  out.Set("watches", watches);
  return out;
}

template <typename Model>
void AdapterWrap<Model>::close(const Napi::CallbackInfo&) {
  if (adapter_) adapter_->close();
}

template <typename Model>
void AdapterWrap<Model>::ref(const Napi::CallbackInfo& info) {
  if (signal_) signal_->ref(info.Env());
}

template <typename Model>
void AdapterWrap<Model>::unref(const Napi::CallbackInfo& info) {
  if (signal_) signal_->unref(info.Env());
}

}  // namespace

Napi::Function define_tasks_class(Napi::Env env) {
  return AdapterWrap<cortex::TasksModel>::define(env);
}

Napi::Function define_memories_class(Napi::Env env) {
  return AdapterWrap<cortex::MemoriesModel>::define(env);
}

Napi::Value encode_bundle(const Napi::CallbackInfo& info) {
  return from_bytes(info.Env(),
                    cortex::encode_bundle({to_bundle_entry(info[0]), to_bundle_entry(info[1])}));
}

Napi::Value decode_bundle(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const cortex::Bundle bundle =
      value_or_throw(env, cortex::decode_bundle(to_bytes(info[0], "bundle")));
  Napi::Object out = Napi::Object::New(env);
  out.Set("tasks", from_bundle_entry(env, bundle.tasks));
  out.Set("memories", from_bundle_entry(env, bundle.memories));
  return out;
}

}  // namespace netmesh::binding
