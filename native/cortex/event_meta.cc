#include "cortex/event_meta.h"

#include "crypto/hash.h"

namespace netmesh::cortex {
namespace {

constexpr std::size_t kPadAt = 2;
constexpr std::size_t kChecksumAt = 20;
/// Buffers above this size are not kept for the next event.
constexpr std::size_t kMaxKeptBytes = 64 * 1024;

std::uint32_t low_half(std::uint64_t hash) { return static_cast<std::uint32_t>(hash); }

}  // namespace

void seal_event(const EventMeta& meta, MutableByteSpan payload) {
  ByteWriter out(payload.first(kEventMetaBytes));
  out.u8(meta.dispatch);
  out.u8(meta.flags);
  out.u16(0);
  out.u64(meta.origin_hash);
  out.u64(meta.app_seq);
  out.u32(0);
  store_le(payload.data() + kChecksumAt, low_half(crypto::xxh3_64(payload)));
}

std::optional<Event> EventReader::read(ByteSpan payload) {
  if (payload.size() < kEventMetaBytes) {
    defect_ = EventDefect::kTooShort;
    return std::nullopt;
  }
  ByteReader in(payload);
  Event event;
  event.meta.dispatch = in.u8();
  event.meta.flags = in.u8();
  in.skip(sizeof(std::uint16_t));
  event.meta.origin_hash = in.u64();
  event.meta.app_seq = in.u64();
  const std::uint32_t checksum = in.u32();
  event.body = in.rest();

  // Version 2 covers the bytes as they were when the checksum was not there yet.
  scratch_.assign(payload.begin(), payload.end());
  std::memset(scratch_.data() + kPadAt, 0, sizeof(std::uint16_t));
  std::memset(scratch_.data() + kChecksumAt, 0, sizeof(std::uint32_t));
  const bool valid = checksum == low_half(crypto::xxh3_64(scratch_)) ||
                     checksum == low_half(crypto::xxh3_64(event.body));
  if (scratch_.capacity() > kMaxKeptBytes) scratch_ = Bytes();
  if (valid) return event;
  defect_ = EventDefect::kChecksum;
  return std::nullopt;
}

}  // namespace netmesh::cortex
