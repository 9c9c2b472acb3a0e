// Hellos: presence follows the magic, what parses is written back, and the signed part is the right
// one.

#include "fuzz.h"
#include "wire/hello.h"

using namespace netmesh;
using namespace netmesh::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan payload = fuzz::input_bytes(data, size);
  const HelloResult result = parse_hello(payload);

  const bool has_magic = size >= 4 && fuzz::equal(payload.first(4), as_byte_span("NMX1"));
  FUZZ_CHECK((result.presence == HelloPresence::kAbsent) == !has_magic);
  FUZZ_CHECK((result.presence == HelloPresence::kPresent) == result.parsed.has_value());
  if (!result.parsed) return 0;

  const Hello& hello = result.parsed->hello;
  const ByteSpan body = result.parsed->body_without_signature;
  FUZZ_CHECK(hello.version != 0);
  FUZZ_CHECK(body.data() == payload.data() + 6 && body.size() >= kHelloFieldBytes);
  FUZZ_CHECK(6 + body.size() + kHelloSignatureBytes <= size);
  FUZZ_CHECK(fuzz::equal(hello.signature, payload.subspan(6 + body.size(), kHelloSignatureBytes)));

  Bytes written;
  write_hello(hello, written);
  FUZZ_CHECK(written.size() == kHelloBytes);
  FUZZ_CHECK(
      fuzz::equal(ByteSpan(written).subspan(6, kHelloFieldBytes), body.first(kHelloFieldBytes)));
  const HelloResult again = parse_hello(written);
  FUZZ_CHECK(again.parsed && again.parsed->hello == hello);

  const std::array<std::byte, 32> hash{};
  const Bytes covered = hello_signed_bytes(true, hash, body);
  FUZZ_CHECK(fuzz::equal(ByteSpan(covered).last(body.size()), body));
  FUZZ_CHECK(covered != hello_signed_bytes(false, hash, body));
  return 0;
}
