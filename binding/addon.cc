#include "binding/addon.h"

#include "base/hex.h"
#include "binding/bus.h"
#include "binding/capability.h"
#include "binding/convert.h"
#include "binding/cortex_adapter.h"
#include "binding/cortex_log.h"
#include "binding/identity.h"
#include "binding/legacy_link.h"
#include "binding/node.h"
#include "binding/placement.h"
#include "binding/predicate.h"
#include "binding/redex.h"
#include "binding/redex_inspect.h"
#include "binding/stream.h"

namespace netmesh::binding {
namespace {

Napi::Value generate_key_pair(const Napi::CallbackInfo& info) {
  const runtime::KeyPair pair = runtime::generate_key_pair();
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("publicKey", to_hex(pair.public_key));
  out.Set("secretKey", to_hex(pair.secret_key));
  return out;
}

Napi::Value node_id_of_seed(const Napi::CallbackInfo& info) {
  const ByteSpan seed = to_bytes(info[0], "seed");
  if (seed.size() != 32) throw range_error(info.Env(), "seed must be 32 bytes");
  return from_u64(info.Env(), runtime::node_id_of_seed(seed));
}

Napi::Value platform_info(const Napi::CallbackInfo& info) {
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("aes", runtime::platform_info().aes);
  out.Set("version", NETMESH_VERSION);
  return out;
}

/// Runs once for every environment that loads the addon.
Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto addon = std::make_unique<Addon>();
  const Napi::Function stream_class = StreamWrap::define(env);
  addon->stream_class = Napi::Persistent(stream_class);
  const Napi::Function redex_file_class = RedexFileWrap::define(env);
  addon->redex_file_class = Napi::Persistent(redex_file_class);
  const Napi::Function redex_tail_class = RedexTailWrap::define(env);
  addon->redex_tail_class = Napi::Persistent(redex_tail_class);
  BusDirectory& buses = *addon->buses;
  env.SetInstanceData(addon.release());

  exports.Set("NativeNode", NodeWrap::define(env));
  exports.Set("NativeStream", stream_class);
  exports.Set("NativeRedex", RedexWrap::define(env));
  exports.Set("NativeRedexFile", redex_file_class);
  exports.Set("NativeRedexTail", redex_tail_class);
  exports.Set("NativeTasks", define_tasks_class(env));
  exports.Set("NativeMemories", define_memories_class(env));
  exports.Set("NativeModelLog", ModelLogWrap::define(env));
  exports.Set("encodeBundle", Napi::Function::New<encode_bundle>(env, "encodeBundle"));
  exports.Set("decodeBundle", Napi::Function::New<decode_bundle>(env, "decodeBundle"));
  exports.Set("NativeBus", BusWrap::define(env));
  define_bus_functions(env, exports);
  define_bus_ingest(env, exports, buses);
  define_predicate_functions(env, exports);
  define_placement_functions(env, exports);
  exports.Set("NativeLegacyLink", LegacyLinkWrap::define(env));
  export_redex_inspection(env, exports);
  exports.Set("SEND_BACKPRESSURE", kSendBackpressure);
  exports.Set("SEND_NOT_CONNECTED", kSendNotConnected);
  exports.Set("SEND_SHUT_DOWN", kSendShutDown);
  exports.Set("generateKeyPair", Napi::Function::New<generate_key_pair>(env, "generateKeyPair"));
  exports.Set("nodeIdOfSeed", Napi::Function::New<node_id_of_seed>(env, "nodeIdOfSeed"));
  define_identity(env, exports);
  define_capability(env, exports);
  define_channels(env, exports);
  exports.Set("platformInfo", Napi::Function::New<platform_info>(env, "platformInfo"));
  return exports;
}

NODE_API_MODULE(netmesh, initialize)

}  // namespace
}  // namespace netmesh::binding
