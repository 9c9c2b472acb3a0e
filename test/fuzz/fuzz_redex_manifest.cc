// The manifest and the names of generations: whatever is accepted is what we would have written.

#include "fuzz.h"
#include "redex/generation.h"
#include "redex/record.h"

using namespace netmesh;
using namespace netmesh::redex;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input = fuzz::input_bytes(data, size);
  if (const auto generation = decode_manifest(input)) {
    FUZZ_CHECK(*generation != 0);
    FUZZ_CHECK(fuzz::equal(encode_manifest(*generation), input.first(kManifestBytes)));
  }
  const std::string name(reinterpret_cast<const char*>(data), size);
  if (const auto generation = parse_generation_name(name))
    FUZZ_CHECK(*generation != 0 && generation_name(*generation) == name);

  ByteReader in(input);
  if (size < 6) return 0;
  const std::uint32_t number = in.u32();
  auto manifest = encode_manifest(number);
  FUZZ_CHECK(decode_manifest(manifest).value_or(0) == number);
  FUZZ_CHECK(number == 0 || parse_generation_name(generation_name(number)) == number);
  // No single changed byte passes.
  const std::size_t at = in.u8() % kManifestBytes;
  const auto flip = std::byte{in.u8()};
  manifest[at] ^= flip;
  FUZZ_CHECK(flip == std::byte{0} || !decode_manifest(manifest));
  return 0;
}
