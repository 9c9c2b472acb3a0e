#include "redex/record.h"

#include <cstring>

#include "crypto/hash.h"

namespace netmesh::redex {
namespace {

constexpr std::uint8_t kManifestVersion = 1;
constexpr std::size_t kManifestHashedBytes = 12;
constexpr std::size_t kManifestPadBytes = 3;

std::uint32_t manifest_checksum(ByteSpan hashed) {
  return static_cast<std::uint32_t>(crypto::xxh3_64(hashed));
}

}  // namespace

std::uint32_t checksum28(ByteSpan payload) {
  return static_cast<std::uint32_t>(crypto::xxh3_64(payload)) & kChecksumMask;
}

IndexRecord inline_record(std::uint64_t seq, std::span<const std::byte, kInlineBytes> payload) {
  return {seq, load_le<std::uint32_t>(payload.data()), load_le<std::uint32_t>(payload.data() + 4),
          checksum28(payload) | kInlineFlag};
}

std::array<std::byte, kManifestBytes> encode_manifest(std::uint32_t generation) {
  std::array<std::byte, kManifestBytes> out;
  ByteWriter writer(out);
  writer.bytes(as_byte_span("REDM"));
  writer.u8(kManifestVersion);
  writer.u32(generation);
  writer.zeros(kManifestPadBytes);
  writer.u32(manifest_checksum(writer.written()));
  return out;
}

std::optional<std::uint32_t> decode_manifest(ByteSpan file) {
  if (file.size() < kManifestBytes) return std::nullopt;
  const std::uint32_t generation = load_le<std::uint32_t>(file.data() + 5);
  // Every byte is determined by the generation.
  const auto expected = encode_manifest(generation);
  if (generation == 0 || std::memcmp(file.data(), expected.data(), kManifestBytes) != 0)
    return std::nullopt;
  static_assert(kManifestHashedBytes + 4 == kManifestBytes);
  return generation;
}

}  // namespace netmesh::redex
