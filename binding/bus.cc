#include "binding/bus.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "binding/addon.h"
#include "binding/convert.h"
#include "bus/entry.h"
#include "bus/json.h"

namespace netmesh::binding {
namespace {

/// Columns of a page: end of the payload, id, shard, timestamp, wall clock in ms, kind of text.
constexpr std::size_t kPageColumns = 6;

bus::Backpressure to_backpressure(const Napi::Value& value, const char* name) {
  const std::string mode = to_text(value, name);
  if (mode == "drop_newest") return bus::Backpressure::kDropNewest;
  if (mode == "fail_producer") return bus::Backpressure::kFailProducer;
  if (mode == "sample") return bus::Backpressure::kSample;
  return bus::Backpressure::kDropOldest;
}

Duration to_duration(const Napi::Value& value, const char* name) {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::milli>(to_number(value, name)));
}

bus::BusOptions to_bus_options(const Napi::Value& value) {
  if (!value.IsObject()) throw type_error(value.Env(), "options must be an object");
  const auto source = value.As<Napi::Object>();
  const auto text = [&](const char* name) { return to_text(source.Get(name), name); };
  const auto size = [&](const char* name) {
    return static_cast<std::size_t>(to_number(source.Get(name), name));
  };
  bus::BusOptions options;
  options.shards = to_u32(source.Get("shards"), "shards");
  options.ring_capacity = size("ringCapacity");
  options.backpressure = to_backpressure(source.Get("backpressure"), "backpressure");
  options.sample_rate = to_u32(source.Get("sampleRate"), "sampleRate");
  options.validate_json = to_bool(source.Get("validateJson"), "validateJson");
  options.dispatch = to_bool(source.Get("dispatch"), "dispatch");
  options.encoding = text("encoding") == "raw" ? bus::Encoding::kRaw : bus::Encoding::kEntry;
  options.max_payload_bytes = size("maxPayloadBytes");
  options.retention.max_events = size("retainEvents");
  options.retention.max_bytes = size("retainBytes");
  options.batch.min_size = size("batchMinSize");
  options.batch.max_size = size("batchMaxSize");
  options.batch.max_delay = to_duration(source.Get("batchMaxDelayMs"), "batchMaxDelayMs");
  options.batch.adaptive = to_bool(source.Get("batchAdaptive"), "batchAdaptive");
  options.batch.velocity_window = to_duration(source.Get("batchWindowMs"), "batchWindowMs");
  options.scaling.min_shards = to_u32(source.Get("minShards"), "minShards");
  options.scaling.max_shards = to_u32(source.Get("maxShards"), "maxShards");
  options.scaling.fill_ratio_threshold =
      to_number(source.Get("fillRatioThreshold"), "fillRatioThreshold");
  options.scaling.underutilized_threshold =
      to_number(source.Get("underutilizedThreshold"), "underutilizedThreshold");
  options.scaling.cooldown = to_duration(source.Get("scaleCooldownMs"), "scaleCooldownMs");
  options.scaling.scale_down_delay =
      to_duration(source.Get("scaleDownDelayMs"), "scaleDownDelayMs");
  if (!source.Get("producerNoncePath").IsUndefined())
    options.producer_nonce_path = text("producerNoncePath");
  return options;
}

/// Runs `onReady` on the JavaScript thread.
void call_on_ready(napi_env env, napi_value on_ready, void*, void*) {
  if (env == nullptr) return;  // the environment is going away
  napi_value undefined = nullptr;
  if (napi_get_undefined(env, &undefined) != napi_ok) return;
  if (napi_call_function(env, undefined, on_ready, 0, nullptr, nullptr) != napi_pending_exception)
    return;
  // Node would only warn about an exception here; it is as uncaught as any other.
  napi_value exception = nullptr;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok)
    napi_fatal_exception(env, exception);
}

std::optional<std::string> to_optional_text(const Napi::Value& value, const char* name) {
  if (value.IsUndefined()) return std::nullopt;
  return to_text(value, name);
}

/// Arguments `limit, cursor, filter, ordered` from index 0 on.
bus::PollRequest to_poll_request(const Napi::CallbackInfo& info) {
  bus::PollRequest request;
  request.limit = to_u32(info[0], "limit");
  request.cursor = to_optional_text(info[1], "cursor");
  if (const auto filter = to_optional_text(info[2], "filter"); filter && !filter->empty()) {
    auto parsed = bus::Filter::parse(*filter);
    if (!parsed) {
      throw to_js_error(info.Env(),
                        {ErrorKind::kInvalidArgument, "Invalid filter: " + parsed.error().message});
    }
    request.filter = std::move(*parsed);
  }
  request.ordering =
      to_bool(info[3], "ordered") ? bus::Ordering::kInsertionTs : bus::Ordering::kNone;
  return request;
}

Napi::Error poll_error(Napi::Env env, const Error& error) {
  return to_js_error(env, {error.kind, "Poll failed: " + error.message});
}

/// 0: ASCII, 1: other UTF-8, 2: no text.
double text_kind(ByteSpan bytes) {
  if (bus::is_ascii(bytes)) return 0;
  return bus::is_utf8(bytes) ? 1 : 2;
}

Napi::Value to_js(Napi::Env env, const std::optional<std::string>& text) {
  return text ? Napi::Value(Napi::String::New(env, *text)) : env.Undefined();
}

Napi::Object from_page(Napi::Env env, const bus::StorePage& page) {
  std::size_t bytes = 0;
  for (const auto& event : page.events) bytes += event.payload.size();
  auto data = Napi::ArrayBuffer::New(env, bytes);
  auto columns = Napi::Float64Array::New(env, page.events.size() * kPageColumns);
  double* column = columns.Data();
  std::size_t end = 0;
  for (const auto& event : page.events) {
    std::copy(event.payload.begin(), event.payload.end(),
              static_cast<std::byte*>(data.Data()) + end);
    end += event.payload.size();
    *column++ = static_cast<double>(end);
    *column++ = static_cast<double>(event.id);
    *column++ = event.shard;
    *column++ = static_cast<double>(event.timestamp);
    *column++ = static_cast<double>(event.unix_ns) / 1e6;
    *column++ = text_kind(event.payload);
  }
  auto out = Napi::Object::New(env);
  out.Set("data", data);
  out.Set("columns", columns);
  out.Set("nextId", to_js(env, page.next_id));
  out.Set("hasMore", page.has_more);
  out.Set("expired", static_cast<double>(page.expired));
  auto failed = Napi::Array::New(env, page.failed_shards.size());
  for (std::uint32_t i = 0; i < page.failed_shards.size(); ++i)
    failed.Set(i, static_cast<double>(page.failed_shards[i]));
  out.Set("failedShards", failed);
  return out;
}

Napi::Object from_batch(Napi::Env env, bus::OutgoingBatch outgoing) {
  bus::EncodedBatch& batch = outgoing.batch;
  auto data = Napi::ArrayBuffer::New(env, batch.bytes.size());
  std::copy_n(batch.bytes.data(), batch.bytes.size(), static_cast<std::byte*>(data.Data()));
  auto ends = Napi::Uint32Array::New(env, batch.ends.size());
  std::copy(batch.ends.begin(), batch.ends.end(), ends.Data());
  auto out = Napi::Object::New(env);
  out.Set("token", static_cast<double>(outgoing.token));
  out.Set("shard", static_cast<double>(batch.shard));
  out.Set("sequenceStart", from_u64(env, batch.sequence_start));
  out.Set("idPrefix", bus::dedup_prefix(batch.nonce, batch.shard, batch.sequence_start));
  out.Set("data", data);
  out.Set("ends", ends);
  out.Set("ascii", bus::is_ascii(batch.bytes.bytes()));
  return out;
}

}  // namespace

Napi::Function BusWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeBus",
                     {
                         InstanceAccessor<&BusWrap::active_shards>("activeShards"),
                         InstanceMethod<&BusWrap::scale_to>("scaleTo"),
                         InstanceMethod<&BusWrap::scale_by_load>("scaleByLoad"),
                         InstanceMethod<&BusWrap::is_drained>("isDrained"),
                         InstanceAccessor<&BusWrap::number>("number"),
                         InstanceAccessor<&BusWrap::receipt>("receipt"),
                         InstanceMethod<&BusWrap::poll>("poll"),
                         InstanceMethod<&BusWrap::latest_cursor>("latestCursor"),
                         InstanceMethod<&BusWrap::receive>("receive"),
                         InstanceMethod<&BusWrap::take>("take"),
                         InstanceMethod<&BusWrap::settle>("settle"),
                         InstanceMethod<&BusWrap::request_flush>("requestFlush"),
                         InstanceMethod<&BusWrap::stats>("stats"),
                         InstanceAccessor<&BusWrap::nonce>("nonce"),
                         InstanceMethod<&BusWrap::next_sequences>("nextSequences"),
                         InstanceMethod<&BusWrap::refuse>("refuse"),
                         InstanceMethod<&BusWrap::close>("close"),
                         InstanceMethod<&BusWrap::ref>("ref"),
                         InstanceMethod<&BusWrap::unref>("unref"),
                     });
}

BusWrap::BusWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<BusWrap>(info),
      env_(info.Env()),
      ingest_(info.Env(), info.Env().GetInstanceData<Addon>()->buses) {
  const Napi::Env env = info.Env();
  const bus::BusOptions options = to_bus_options(info[0]);
  if (!info[1].IsFunction()) throw type_error(env, "onReady must be a function");

  const auto name = Napi::String::New(env, "netmesh:bus");
  check(env, napi_create_threadsafe_function(env, info[1], nullptr, name, 0, 1, nullptr, nullptr,
                                             nullptr, call_on_ready, &signal_));
  // Whether a bus keeps the process alive is for TypeScript to say.
  napi_unref_threadsafe_function(env, signal_);
  auto created = bus::Bus::create(options, [signal = signal_] {
    napi_call_threadsafe_function(signal, nullptr, napi_tsfn_nonblocking);
  });
  if (!created) {
    napi_release_threadsafe_function(signal_, napi_tsfn_abort);
    throw to_js_error(env, created.error());
  }
  bus_ = std::move(*created);
  ingest_.open(*bus_);
  // Added after the signal's own hook, hence run before it: the thread never signals what is gone.
  napi_add_env_cleanup_hook(env, close_with_environment, this);
}

BusWrap::~BusWrap() { close_now(); }

void BusWrap::close_with_environment(void* self) { static_cast<BusWrap*>(self)->close_now(); }

void BusWrap::close_now() {
  if (!bus_) return;
  napi_remove_env_cleanup_hook(env_, close_with_environment, this);
  ingest_.close();
  bus_.reset();
  napi_release_threadsafe_function(signal_, napi_tsfn_abort);
}

bus::Bus& BusWrap::bus(Napi::Env env) {
  if (!bus_) throw to_js_error(env, {ErrorKind::kShutDown, "EventBus has been shut down"});
  return *bus_;
}

bus::Dispatcher& BusWrap::dispatcher(Napi::Env env) {
  bus::Dispatcher* const found = bus(env).dispatcher();
  if (found == nullptr)
    throw to_js_error(env, {ErrorKind::kFatal, "this bus stores events and sends none"});
  return *found;
}

Napi::Value BusWrap::active_shards(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), bus(info.Env()).active_shards());
}

Napi::Value BusWrap::scale_to(const Napi::CallbackInfo& info) {
  bus::Bus& self = bus(info.Env());
  return Napi::Number::New(info.Env(), self.scale_to(to_u32(info[0], "shards")));
}

Napi::Value BusWrap::scale_by_load(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), bus(info.Env()).scale_by_load());
}

Napi::Value BusWrap::is_drained(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bus::Bus& self = bus(env);
  const std::uint32_t shard = to_u32(info[0], "shard");
  if (shard >= self.shard_ids().size()) {
    throw to_js_error(env, {ErrorKind::kInvalidArgument, "there is no shard of this number"});
  }
  return Napi::Boolean::New(env, self.is_drained(static_cast<bus::ShardId>(shard)));
}

Napi::Value BusWrap::number(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ingest_.number());
}

Napi::Value BusWrap::receipt(const Napi::CallbackInfo&) { return ingest_.receipt(); }

Napi::Value BusWrap::poll(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bus::Bus& self = bus(env);
  auto page = self.poll(to_poll_request(info));
  if (!page) throw poll_error(env, page.error());
  return from_page(env, *page);
}

Napi::Value BusWrap::latest_cursor(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), bus(info.Env()).latest_cursor());
}

void BusWrap::receive(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bus::Bus& self = bus(env);
  const std::uint32_t shard = to_u32(info[0], "shard");
  EventList events;
  events.read(env, info[1], 0, std::numeric_limits<std::size_t>::max());
  payloads_.clear();
  for (std::size_t i = 0; i < events.size(); ++i)
    payloads_.emplace_back(events.data()[i].data, events.data()[i].length);
  self.receive(shard, payloads_);
}

Napi::Value BusWrap::take(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto taken = dispatcher(env).take();
  auto batches = Napi::Array::New(env, taken.batches.size());
  for (std::uint32_t i = 0; i < taken.batches.size(); ++i) {
    const Napi::HandleScope scope(env);
    batches.Set(i, from_batch(env, std::move(taken.batches[i])));
  }
  auto flushed = Napi::Array::New(env, taken.flushed.size());
  for (std::uint32_t i = 0; i < taken.flushed.size(); ++i)
    flushed.Set(i, static_cast<double>(taken.flushed[i]));
  auto out = Napi::Object::New(env);
  out.Set("batches", batches);
  out.Set("flushed", flushed);
  out.Set("journalError", to_js(env, taken.journal_error));
  return out;
}

void BusWrap::settle(const Napi::CallbackInfo& info) {
  dispatcher(info.Env()).settle(to_u32(info[0], "token"), to_bool(info[1], "delivered"));
}

Napi::Value BusWrap::request_flush(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), dispatcher(info.Env()).request_flush());
}

Napi::Value BusWrap::stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bus::BusStats stats = bus(env).stats();
  auto out = Napi::Object::New(env);
  const auto set = [&](const char* name, std::uint64_t value) {
    out.Set(name, from_u64(env, value));
  };
  set("eventsIngested", stats.ingested);
  set("eventsDropped", stats.dropped);
  set("droppedFull", stats.refused_full);
  set("droppedSampled", stats.sampled_out);
  set("droppedUnrouted", stats.unrouted);
  set("droppedInvalid", stats.invalid);
  set("eventsEvicted", stats.evicted);
  set("eventsExpired", stats.expired);
  set("eventsStored", stats.stored);
  set("bytesStored", stats.stored_bytes);
  set("eventsPending", stats.pending);
  set("batchesDispatched", stats.dispatch.batches_dispatched);
  set("eventsDispatched", stats.dispatch.events_dispatched);
  set("batchesLost", stats.dispatch.batches_lost);
  set("eventsLost", stats.dispatch.events_lost);
  set("eventsRecovered", stats.dispatch.events_recovered);
  return out;
}

Napi::Value BusWrap::nonce(const Napi::CallbackInfo& info) {
  return from_u64(info.Env(), bus(info.Env()).nonce());
}

Napi::Value BusWrap::next_sequences(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bus::Dispatcher& source = dispatcher(env);
  const auto ids = bus(env).shard_ids();
  auto out = Napi::Array::New(env, ids.size());
  for (std::uint32_t i = 0; i < ids.size(); ++i)
    out.Set(i, from_u64(env, source.next_sequence(ids[i])));
  return out;
}

void BusWrap::refuse(const Napi::CallbackInfo& info) { bus(info.Env()).refuse(); }
void BusWrap::close(const Napi::CallbackInfo&) { close_now(); }

void BusWrap::ref(const Napi::CallbackInfo& info) {
  bus(info.Env());
  check(info.Env(), napi_ref_threadsafe_function(info.Env(), signal_));
}

void BusWrap::unref(const Napi::CallbackInfo& info) {
  bus(info.Env());
  check(info.Env(), napi_unref_threadsafe_function(info.Env(), signal_));
}

}  // namespace netmesh::binding
