#pragma once
// Emitting into buses from JavaScript: functions that are called millions of times per second.

#include <napi.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "bus/bus.h"

namespace netmesh::binding {

class BusIngest;

/// The buses of one environment by number. A number is an argument that costs next to nothing to
/// read, and unlike a pointer one that JavaScript can get wrong without harm; the object behind a
/// method call costs as much as storing the event.
class BusDirectory {
 public:
  /// The number is free again after `remove`.
  std::uint32_t add(BusIngest* bus);
  void remove(std::uint32_t number);
  /// Null for a number that nobody has.
  BusIngest* find(std::uint32_t number) const {
    return number < buses_.size() ? buses_[number] : nullptr;
  }

 private:
  std::vector<BusIngest*> buses_;
  std::vector<std::uint32_t> free_;
};

/// The emitting half of a NativeBus: where what JavaScript hands over becomes payloads.
class BusIngest {
 public:
  /// Accepts nothing before `open`, and nothing after `close`.
  BusIngest(Napi::Env env, std::shared_ptr<BusDirectory> directory);
  ~BusIngest();
  BusIngest(const BusIngest&) = delete;
  BusIngest& operator=(const BusIngest&) = delete;

  void open(bus::Bus& bus) { bus_ = &bus; }
  void close() { bus_ = nullptr; }

  /// In the directory.
  std::uint32_t number() const { return number_; }
  /// Shard and timestamp of the last single event that was accepted.
  Napi::Value receipt() const { return receipt_.Value(); }

  // What is left of the arguments of the function of the same name, see types/native.d.ts.
  napi_value text(napi_env env, napi_value text);
  napi_value bytes(napi_env env, napi_value data);
  napi_value hashed(napi_env env, napi_value data, napi_value hash);
  napi_value texts(napi_env env, std::span<const napi_value> texts);
  napi_value buffers(napi_env env, std::span<const napi_value> events);

 private:
  napi_value report(napi_env env, const bus::Ingested& ingested);

  /// Nobody says which ends last with an environment, a bus or the addon's own data.
  const std::shared_ptr<BusDirectory> directory_;
  const std::uint32_t number_;
  bus::Bus* bus_ = nullptr;
  Napi::Reference<Napi::Float64Array> receipt_;
  double* last_ = nullptr;  ///< in `receipt_`
  // Scratch.
  std::vector<std::byte> text_;
  std::vector<std::size_t> ends_;  ///< of the strings in `text_`
  std::vector<ByteSpan> payloads_;
};

/// `ingestText`, `ingestBytes`, `ingestHashed`, `ingestTexts`, `ingestBuffers`. The directory
/// outlives them.
void define_bus_ingest(Napi::Env env, Napi::Object exports, BusDirectory& directory);

}  // namespace netmesh::binding
