// Plain Node-API, without the C++ wrapper's bookkeeping: here each call of it is felt.

#include "binding/bus_ingest.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "binding/convert.h"

namespace netmesh::binding {
namespace {

/// Strings up to this size are read without asking for their length first.
constexpr std::size_t kScratchBytes = 16 * 1024;
/// As many arguments as TypeScript hands over at once, and the number of the bus.
constexpr std::size_t kUsualArguments = 1 + 1024;

napi_value throw_type(napi_env env, const char* text) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
  return nullptr;
}

napi_value make_count(napi_env env, std::size_t count) {
  napi_value out = nullptr;
  napi_create_double(env, static_cast<double>(count), &out);
  return out;
}

/// Null, which is undefined to JavaScript, for an event that was accepted; else why not.
napi_value make_reason(napi_env env, bus::IngestStatus status) {
  napi_value out = nullptr;
  napi_create_int32(env, static_cast<std::int32_t>(status), &out);
  return out;
}

bool get_bytes(napi_env env, napi_value value, ByteSpan& out) {
  napi_typedarray_type type = napi_int8_array;
  std::size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    return false;
  }
  out = {static_cast<const std::byte*>(data), length};
  return true;
}

/// Appends the UTF-8 of `value` to `text`; nothing when it is no string.
std::optional<std::size_t> append_text(napi_env env, napi_value value, std::size_t at,
                                       std::vector<std::byte>& text) {
  if (text.size() < at + kScratchBytes) text.resize(at + kScratchBytes);
  char* to = reinterpret_cast<char*>(text.data() + at);
  std::size_t length = 0;
  const std::size_t room = text.size() - at;
  if (napi_get_value_string_utf8(env, value, to, room, &length) != napi_ok) return std::nullopt;
  // One byte is for the terminator, and a character of up to four that did not fit was left out.
  if (length + 5 <= room) return length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return std::nullopt;
  text.resize(at + length + kScratchBytes);
  to = reinterpret_cast<char*>(text.data() + at);
  if (napi_get_value_string_utf8(env, value, to, length + 1, &length) != napi_ok)
    return std::nullopt;
  return length;
}

/// The bus that the first of `arguments` names; null after a TypeError.
BusIngest* find_bus(napi_env env, void* directory, napi_value number) {
  std::uint32_t index = 0;
  if (napi_get_value_uint32(env, number, &index) == napi_ok) {
    if (BusIngest* const found = static_cast<const BusDirectory*>(directory)->find(index))
      return found;
  }
  throw_type(env, "not the number of a bus");
  return nullptr;
}

/// Bus and arguments of a function that takes `N` of them.
template <std::size_t N>
struct Call {
  Call(napi_env env, napi_callback_info info) {
    std::size_t count = 1 + N;
    void* directory = nullptr;
    if (napi_get_cb_info(env, info, &count, all, nullptr, &directory) == napi_ok)
      bus = find_bus(env, directory, all[0]);
  }
  napi_value operator[](std::size_t index) const { return all[1 + index]; }

  BusIngest* bus = nullptr;

 private:
  napi_value all[1 + N] = {};
};

/// The same for as many as there are.
struct CallOfMany {
  CallOfMany(napi_env env, napi_callback_info info) {
    // Asked for their number first: Node-API fills what is asked for in vain, too.
    std::size_t count = 0;
    void* directory = nullptr;
    napi_get_cb_info(env, info, &count, nullptr, nullptr, &directory);
    if (count > usual_.size()) more_.resize(count);
    napi_value* const all = count > usual_.size() ? more_.data() : usual_.data();
    if (count == 0 || napi_get_cb_info(env, info, &count, all, nullptr, nullptr) != napi_ok) {
      throw_type(env, "not the number of a bus");
      return;
    }
    bus = find_bus(env, directory, all[0]);
    arguments = {all + 1, count - 1};
  }

  BusIngest* bus = nullptr;
  std::span<const napi_value> arguments;

 private:
  std::array<napi_value, kUsualArguments> usual_;
  std::vector<napi_value> more_;
};

napi_value ingest_text(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.bus ? call.bus->text(env, call[0]) : nullptr;
}

napi_value ingest_bytes(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.bus ? call.bus->bytes(env, call[0]) : nullptr;
}

napi_value ingest_hashed(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return call.bus ? call.bus->hashed(env, call[0], call[1]) : nullptr;
}

napi_value ingest_texts(napi_env env, napi_callback_info info) {
  const CallOfMany call(env, info);
  return call.bus ? call.bus->texts(env, call.arguments) : nullptr;
}

napi_value ingest_buffers(napi_env env, napi_callback_info info) {
  const CallOfMany call(env, info);
  return call.bus ? call.bus->buffers(env, call.arguments) : nullptr;
}

}  // namespace

// --- BusDirectory ---

std::uint32_t BusDirectory::add(BusIngest* bus) {
  if (free_.empty()) {
    buses_.push_back(bus);
    return static_cast<std::uint32_t>(buses_.size() - 1);
  }
  const std::uint32_t number = free_.back();
  free_.pop_back();
  buses_[number] = bus;
  return number;
}

void BusDirectory::remove(std::uint32_t number) {
  buses_[number] = nullptr;
  free_.push_back(number);
}

// --- BusIngest ---

BusIngest::BusIngest(Napi::Env env, std::shared_ptr<BusDirectory> directory)
    : directory_(std::move(directory)), number_(directory_->add(this)) {
  auto receipt = Napi::Float64Array::New(env, 2);
  receipt_ = Napi::Persistent(receipt);
  last_ = receipt.Data();
}

BusIngest::~BusIngest() { directory_->remove(number_); }

napi_value BusIngest::report(napi_env env, const bus::Ingested& ingested) {
  if (ingested.status != bus::IngestStatus::kStored) return make_reason(env, ingested.status);
  last_[0] = ingested.shard;
  last_[1] = static_cast<double>(ingested.timestamp);
  return nullptr;
}

napi_value BusIngest::text(napi_env env, napi_value text) {
  const auto length = append_text(env, text, 0, text_);
  if (!length) return throw_type(env, "the event must be a string");
  if (bus_ == nullptr) return make_reason(env, bus::IngestStatus::kShutDown);
  return report(env, bus_->ingest({text_.data(), *length}));
}

napi_value BusIngest::bytes(napi_env env, napi_value data) {
  ByteSpan payload;
  if (!get_bytes(env, data, payload)) return throw_type(env, "data must be a Buffer or Uint8Array");
  if (bus_ == nullptr) return make_reason(env, bus::IngestStatus::kShutDown);
  return report(env, bus_->ingest(payload));
}

napi_value BusIngest::hashed(napi_env env, napi_value data, napi_value hash) {
  ByteSpan payload;
  if (!get_bytes(env, data, payload)) return throw_type(env, "data must be a Buffer or Uint8Array");
  std::uint64_t value = 0;
  bool lossless = false;
  if (napi_get_value_bigint_uint64(env, hash, &value, &lossless) != napi_ok)
    return throw_type(env, "hash must be a bigint");
  if (!lossless) return make_reason(env, bus::IngestStatus::kUnrouted);
  if (bus_ == nullptr) return make_reason(env, bus::IngestStatus::kShutDown);
  return report(env, bus_->ingest_hashed(payload, value));
}

napi_value BusIngest::texts(napi_env env, std::span<const napi_value> texts) {
  ends_.clear();
  std::size_t at = 0;
  for (const napi_value text : texts) {
    const auto length = append_text(env, text, at, text_);
    if (!length) return throw_type(env, "events must be an array of strings");
    ends_.push_back(at += *length);
  }
  if (bus_ == nullptr) return make_count(env, 0);
  payloads_.clear();
  std::size_t begin = 0;
  for (const std::size_t end : ends_) {
    payloads_.emplace_back(text_.data() + begin, end - begin);
    begin = end;
  }
  return make_count(env, bus_->ingest_all(payloads_));
}

napi_value BusIngest::buffers(napi_env env, std::span<const napi_value> events) {
  payloads_.resize(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (!get_bytes(env, events[i], payloads_[i]))
      return throw_type(env, "events must be an array of Buffers");
  }
  if (bus_ == nullptr) return make_count(env, 0);
  return make_count(env, bus_->ingest_all(payloads_));
}

void define_bus_ingest(Napi::Env env, Napi::Object exports, BusDirectory& directory) {
  const auto define = [&](const char* name, napi_callback function) {
    napi_value out = nullptr;
    check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, function, &directory, &out));
    exports.Set(name, out);
  };
  define("ingestText", ingest_text);
  define("ingestBytes", ingest_bytes);
  define("ingestHashed", ingest_hashed);
  define("ingestTexts", ingest_texts);
  define("ingestBuffers", ingest_buffers);
}

}  // namespace netmesh::binding
