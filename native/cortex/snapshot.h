#pragma once
// Snapshots of one model and bundles of both (spec 42 §9.3, §9.5): postcard, byte for byte.

#include <optional>

#include "base/assert.h"
#include "base/error.h"
#include "base/slab.h"
#include "cortex/postcard.h"

namespace netmesh::cortex {

/// What a snapshot says besides the rows.
struct SnapshotHeader {
  std::uint64_t app_seq = 0;
  ByteSpan state;
};

/// Splits `varint(app_seq) varint(length) state`.
Expected<SnapshotHeader> read_snapshot_header(ByteSpan bytes);

/// A snapshot in a block of its own.
struct Snapshot {
  Slab block;
  /// The last event that the state contains, when there is one.
  std::optional<std::uint64_t> last_seq;

  ByteSpan bytes() const { return block.bytes(); }
};

/// Encodes all rows of a model's state, in ascending order of ids.
template <typename Model>
Snapshot encode_snapshot(const typename Model::State& state, std::uint64_t app_seq,
                         std::optional<std::uint64_t> last_seq) {
  std::size_t size = varint_bytes(state.size());
  for (const auto& [id, row] : state.rows()) size += varint_bytes(id) + Model::row_bytes(row);
  const std::size_t total = varint_bytes(app_seq) + counted_bytes(size);
  Snapshot out;
  out.last_seq = last_seq;
  out.block = Slab(total);
  std::byte* at = out.block.extend(total);
  at = put_varint(put_varint(put_varint(at, app_seq), size), state.size());
  for (const auto& [id, row] : state.rows()) at = Model::put_row(put_varint(at, id), row);
  NM_ASSERT(at == out.block.data() + total);
  return out;
}

/// Decodes what `encode_snapshot` wrote, or what another implementation did in any order of rows;
/// the last of several rows of one id counts.
template <typename Model>
Expected<std::uint64_t> decode_snapshot(ByteSpan bytes, typename Model::State& state) {
  const std::string name(Model::kName);
  const auto header = read_snapshot_header(bytes);
  if (!header) {
    return fail(ErrorKind::kInvalidArgument,
                "encode failed: " + name + " snapshot unwrap: " + header.error().message);
  }
  const auto bad = [](const char* why) {
    return fail(ErrorKind::kInvalidArgument,
                std::string("encode failed: deserialize snapshot: ") + why);
  };
  PostcardReader in(header->state);
  const std::size_t count = in.count(1);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const std::uint64_t id = in.u64();
    typename Model::Row row;
    Model::read_row(in, row);
    if (!in.ok()) break;
    if (row.id != id) return bad("a row stands under the id of another");
    state.put(id, [&](typename Model::Row& target, bool) { target = std::move(row); });
  }
  if (!in.ok()) return bad("the bytes end or break off within a row");
  return header->app_seq;
}

/// One model's part of a bundle.
struct BundleEntry {
  Bytes state;
  std::optional<std::uint64_t> last_seq;

  friend bool operator==(const BundleEntry&, const BundleEntry&) = default;
};

/// What `NetDb` saves: a snapshot of each model that it has.
struct Bundle {
  std::optional<BundleEntry> tasks;
  std::optional<BundleEntry> memories;

  friend bool operator==(const Bundle&, const Bundle&) = default;
};

Bytes encode_bundle(const Bundle& bundle);
Expected<Bundle> decode_bundle(ByteSpan bytes);

}  // namespace netmesh::cortex
