#pragma once
// Between JavaScript values and ours, and the single place where failures become JavaScript errors.

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/slab.h"
#include "binding/small_blocks.h"
#include "runtime/node.h"

namespace netmesh::binding {

// --- errors ---

/// An `Error` with the text of `error` and the `code` of its kind.
Napi::Error to_js_error(Napi::Env env, const Error& error);

/// The value, or the failure thrown as a JavaScript error.
template <typename T>
T value_or_throw(Napi::Env env, Expected<T> expected) {
  if (!expected) throw to_js_error(env, expected.error());
  if constexpr (!std::is_void_v<T>) return std::move(*expected);
}

/// A TypeError, `ERR_INVALID_ARG_TYPE`, and a RangeError, `ERR_OUT_OF_RANGE`.
Napi::Error type_error(Napi::Env env, const std::string& text);
Napi::Error range_error(Napi::Env env, const std::string& text);

/// Throws what a Node-API call that failed has to say.
void check(Napi::Env env, napi_status status);

// --- arguments; `name` is for the error text ---

std::uint64_t to_u64(const Napi::Value& value);
std::uint32_t to_u32(const Napi::Value& value, const char* name);
double to_number(const Napi::Value& value, const char* name);
bool to_bool(const Napi::Value& value, const char* name);
std::string to_text(const Napi::Value& value, const char* name);
/// The bytes of a Uint8Array, valid until JavaScript runs again.
ByteSpan to_bytes(const Napi::Value& value, const char* name);
/// Undefined stands for nothing.
std::optional<double> to_optional_number(const Napi::Value& value, const char* name);
runtime::NodeOptions to_node_options(const Napi::Value& value);

/// An array of Uint8Arrays as the runtime takes it. Its memory is used again from call to call.
class EventList {
 public:
  /// Reads elements `from` on until they hold `enough_bytes`. The views are valid until JavaScript
  /// runs again. Throws a TypeError for anything that is not a Uint8Array.
  void read(Napi::Env env, napi_value array, std::uint32_t from, std::size_t enough_bytes);
  const runtime::EventView* data() const { return views_.data(); }
  std::size_t size() const { return views_.size(); }

 private:
  std::vector<napi_value> values_;
  std::vector<runtime::EventView> views_;
};

// --- results ---

Napi::Value from_u64(Napi::Env env, std::uint64_t value);
Napi::Value from_i64(Napi::Env env, std::int64_t value);
Napi::Value from_bytes(Napi::Env env, ByteSpan bytes);
/// An ArrayBuffer of the slab's bytes, without a copy when they are many: JavaScript frees them.
Napi::Value from_slab(Napi::Env env, Slab slab);
Napi::Object from_peer_info(Napi::Env env, const runtime::PeerInfo& peer);
Napi::Object from_stream_stats(Napi::Env env, const runtime::StreamStats& stats);
Napi::Object from_control_event(Napi::Env env, const runtime::ControlEvent& event);
/// Takes the block's memory: JavaScript frees it.
Napi::Object from_block(Napi::Env env, SmallBlocks& pool, runtime::DeliveryBlock block);

}  // namespace netmesh::binding
