#include "binding/redex_events.h"

#include <cstring>

#include "binding/convert.h"

namespace netmesh::binding {
namespace {

constexpr std::size_t kMetaWords = 5;
constexpr std::uint32_t kInlineBit = 0x8000'0000;

}  // namespace

Napi::Object from_events(Napi::Env env, const redex::EventBatch& batch) {
  std::size_t bytes = 0;
  for (const redex::EventView& event : batch) bytes += event.payload.size();
  const std::size_t words = batch.size() * kMetaWords;
  const std::size_t meta_bytes = words * sizeof(std::uint32_t);

  // One block for both, the words first, where they are aligned.
  void* memory = nullptr;
  napi_value block = nullptr;
  check(env, napi_create_arraybuffer(env, meta_bytes + bytes, &memory, &block));
  auto* word = static_cast<std::uint32_t*>(memory);
  auto offset = static_cast<std::uint32_t>(meta_bytes);
  for (const redex::EventView& event : batch) {
    const auto length = static_cast<std::uint32_t>(event.payload.size());
    *word++ = static_cast<std::uint32_t>(event.seq);
    *word++ = static_cast<std::uint32_t>(event.seq >> 32);
    *word++ = offset;
    *word++ = length;
    *word++ = event.checksum | (event.is_inline ? kInlineBit : 0);
    if (length > 0)
      std::memcpy(static_cast<std::byte*>(memory) + offset, event.payload.data(), length);
    offset += length;
  }
  napi_value meta = nullptr;
  check(env, napi_create_typedarray(env, napi_uint32_array, words, block, 0, &meta));
  Napi::Object out = Napi::Object::New(env);
  out.Set("data", Napi::Value(env, block));
  out.Set("meta", Napi::Value(env, meta));
  return out;
}

}  // namespace netmesh::binding
