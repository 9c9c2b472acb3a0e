#pragma once
// The JavaScript class NativeBus and the functions around it.

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "binding/bus_ingest.h"
#include "bus/bus.h"

namespace netmesh::binding {

/// Wraps an event bus. It ends with `close`, with the object's collection or with its environment,
/// whichever comes first; each joins the bus's thread.
class BusWrap : public Napi::ObjectWrap<BusWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit BusWrap(const Napi::CallbackInfo& info);
  ~BusWrap() override;

 private:
  Napi::Value active_shards(const Napi::CallbackInfo& info);
  Napi::Value scale_to(const Napi::CallbackInfo& info);
  Napi::Value scale_by_load(const Napi::CallbackInfo& info);
  Napi::Value is_drained(const Napi::CallbackInfo& info);
  Napi::Value number(const Napi::CallbackInfo& info);
  Napi::Value receipt(const Napi::CallbackInfo& info);
  Napi::Value poll(const Napi::CallbackInfo& info);
  Napi::Value latest_cursor(const Napi::CallbackInfo& info);
  void receive(const Napi::CallbackInfo& info);
  Napi::Value take(const Napi::CallbackInfo& info);
  void settle(const Napi::CallbackInfo& info);
  Napi::Value request_flush(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value nonce(const Napi::CallbackInfo& info);
  Napi::Value next_sequences(const Napi::CallbackInfo& info);
  void refuse(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  void ref(const Napi::CallbackInfo& info);
  void unref(const Napi::CallbackInfo& info);

  bus::Bus& bus(Napi::Env env);
  bus::Dispatcher& dispatcher(Napi::Env env);
  void close_now();
  static void close_with_environment(void* self);

  const napi_env env_;
  std::unique_ptr<bus::Bus> bus_;
  napi_threadsafe_function signal_ = nullptr;  ///< outlives `bus_`
  BusIngest ingest_;
  std::vector<ByteSpan> payloads_;
};

/// `hashPayload`, `checkFilter`, `checkJson`, `planPoll`, `mergePages`, `encodeCursor`.
void define_bus_functions(Napi::Env env, Napi::Object exports);

}  // namespace netmesh::binding
