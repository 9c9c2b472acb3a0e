#pragma once
// Room for small received blocks, so that a lone message costs JavaScript's collector almost
// nothing.

#include <napi.h>

#include <cstddef>

#include "runtime/node.h"

namespace netmesh::binding {

/// Like Node's pool for small Buffers: blocks and their metadata are copied one after another into
/// one ArrayBuffer, which is replaced when it is full. Messages that are kept keep it alive.
class SmallBlocks {
 public:
  static constexpr std::size_t kPoolBytes = 16 * 1024;

  /// Where a block was put: `meta` is a Uint32Array over all of `data`, in which the records of the
  /// block's messages are those from `from` to `to`.
  struct Placed {
    Napi::Value data;
    Napi::Value meta;
    std::size_t from;
    std::size_t to;
  };
  /// Whether a block is small enough to be placed.
  static bool fits(const runtime::DeliveryBlock& block);
  Placed place(Napi::Env env, const runtime::DeliveryBlock& block);

 private:
  Napi::Reference<Napi::ArrayBuffer> data_;
  Napi::Reference<Napi::Uint32Array> meta_;
  std::byte* memory_ = nullptr;
  std::size_t used_ = kPoolBytes;
};

}  // namespace netmesh::binding
