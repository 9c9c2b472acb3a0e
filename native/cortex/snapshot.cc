#include "cortex/snapshot.h"

namespace netmesh::cortex {
namespace {

std::size_t max_entry_bytes(const std::optional<BundleEntry>& entry) {
  constexpr std::size_t kTagsAndVarints = 2 + 2 * kMaxVarintBytes;
  return kTagsAndVarints + (entry ? entry->state.size() : 0);
}

std::byte* put_entry(std::byte* at, const std::optional<BundleEntry>& entry) {
  *at++ = static_cast<std::byte>(entry.has_value());
  if (!entry) return at;
  at = put_counted(at, {reinterpret_cast<const char*>(entry->state.data()), entry->state.size()});
  *at++ = static_cast<std::byte>(entry->last_seq.has_value());
  return entry->last_seq ? put_varint(at, *entry->last_seq) : at;
}

std::optional<BundleEntry> read_entry(PostcardReader& in) {
  if (!in.option()) return std::nullopt;
  const ByteSpan state = in.bytes();
  BundleEntry entry;
  entry.state.assign(state.begin(), state.end());
  if (in.option()) entry.last_seq = in.u64();
  return entry;
}

}  // namespace

Expected<SnapshotHeader> read_snapshot_header(ByteSpan bytes) {
  PostcardReader in(bytes);
  SnapshotHeader header;
  header.app_seq = in.u64();
  header.state = in.bytes();
  if (!in.ok()) {
    return fail(ErrorKind::kInvalidArgument,
                "the " + std::to_string(bytes.size()) + " bytes are no snapshot, or part of one");
  }
  return header;
}

Bytes encode_bundle(const Bundle& bundle) {
  Bytes out(max_entry_bytes(bundle.tasks) + max_entry_bytes(bundle.memories));
  std::byte* const end = put_entry(put_entry(out.data(), bundle.tasks), bundle.memories);
  out.resize(static_cast<std::size_t>(end - out.data()));
  return out;
}

Expected<Bundle> decode_bundle(ByteSpan bytes) {
  PostcardReader in(bytes);
  Bundle bundle;
  bundle.tasks = read_entry(in);
  bundle.memories = read_entry(in);
  if (in.ok()) return bundle;
  return fail(ErrorKind::kNetDb, "netdb: decode snapshot bundle: snapshot: the " +
                                     std::to_string(bytes.size()) +
                                     " bytes are no bundle, or part of one");
}

}  // namespace netmesh::cortex
