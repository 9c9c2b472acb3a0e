#include "binding/small_blocks.h"

#include <cstring>

namespace netmesh::binding {
namespace {

/// Bytes of one message's record; records lie at multiples of it.
constexpr std::size_t kRecordBytes = runtime::DeliveryBlock::kMetaWords * sizeof(std::uint32_t);

std::size_t record_at(std::size_t bytes) { return (bytes + kRecordBytes - 1) / kRecordBytes; }

std::size_t needed(const runtime::DeliveryBlock& block) {
  return block.bytes.size() + kRecordBytes + block.meta.size() * sizeof(std::uint32_t);
}

}  // namespace

bool SmallBlocks::fits(const runtime::DeliveryBlock& block) {
  return needed(block) <= kPoolBytes / 4;
}

SmallBlocks::Placed SmallBlocks::place(Napi::Env env, const runtime::DeliveryBlock& block) {
  if (kPoolBytes - used_ < needed(block)) {
    const auto data = Napi::ArrayBuffer::New(env, kPoolBytes);
    data_ = Napi::Persistent(data);
    meta_ =
        Napi::Persistent(Napi::Uint32Array::New(env, kPoolBytes / sizeof(std::uint32_t), data, 0));
    memory_ = static_cast<std::byte*>(Napi::ArrayBuffer(data).Data());
    used_ = 0;
  }
  const std::size_t start = used_;
  if (block.bytes.size() > 0) std::memcpy(memory_ + start, block.bytes.data(), block.bytes.size());
  const std::size_t from = record_at(start + block.bytes.size());
  auto* const words = reinterpret_cast<std::uint32_t*>(memory_ + from * kRecordBytes);
  for (std::size_t i = 0; i < block.meta.size(); ++i) {
    const bool is_offset = i % runtime::DeliveryBlock::kMetaWords == 0;
    words[i] = block.meta[i] + (is_offset ? static_cast<std::uint32_t>(start) : 0);
  }
  const std::size_t to = from + block.meta.size() / runtime::DeliveryBlock::kMetaWords;
  used_ = to * kRecordBytes;
  return {data_.Value(), meta_.Value(), from, to};
}

}  // namespace netmesh::binding
