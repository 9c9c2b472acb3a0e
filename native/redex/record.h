#pragma once
// The bytes on disk: index records and the manifest (spec 42 §3.2, §3.4).

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "redex/config.h"

namespace netmesh::redex {

inline constexpr std::size_t kRecordBytes = 20;
inline constexpr std::size_t kTimestampBytes = 8;
inline constexpr std::size_t kManifestBytes = 16;

inline constexpr std::uint32_t kInlineFlag = 0x8000'0000;
inline constexpr std::uint32_t kChecksumMask = 0x0FFF'FFFF;

/// The low 28 bits of XXH3-64.
std::uint32_t checksum28(ByteSpan payload);

/// One event in `idx`. What `offset` and `length` mean for an event that is not inline, its eight
/// payload bytes take otherwise.
struct IndexRecord {
  std::uint64_t seq = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t flags_and_checksum = 0;

  bool is_inline() const { return (flags_and_checksum & kInlineFlag) != 0; }
  std::uint32_t checksum() const { return flags_and_checksum & kChecksumMask; }
  /// One past the last byte in `dat`; only for events that are not inline.
  std::uint64_t end() const { return std::uint64_t{offset} + length; }
  /// What the event counts for under `max_bytes`.
  std::uint64_t cost() const { return kRecordBytes + (is_inline() ? 0 : length); }

  friend bool operator==(const IndexRecord&, const IndexRecord&) = default;
};

inline IndexRecord load_record(const std::byte* at) {
  return {load_le<std::uint64_t>(at), load_le<std::uint32_t>(at + 8),
          load_le<std::uint32_t>(at + 12), load_le<std::uint32_t>(at + 16)};
}
inline void store_record(std::byte* at, const IndexRecord& record) {
  store_le(at, record.seq);
  store_le(at + 8, record.offset);
  store_le(at + 12, record.length);
  store_le(at + 16, record.flags_and_checksum);
}
/// A record that carries eight payload bytes itself.
IndexRecord inline_record(std::uint64_t seq, std::span<const std::byte, kInlineBytes> payload);
/// The payload of an inline record that lies at `at`.
inline ByteSpan inline_payload(const std::byte* at) { return {at + 8, kInlineBytes}; }

/// Names the live generation.
std::array<std::byte, kManifestBytes> encode_manifest(std::uint32_t generation);
/// The generation that the first bytes of a manifest name, or nothing when they are not valid.
std::optional<std::uint32_t> decode_manifest(ByteSpan file);

}  // namespace netmesh::redex
