// Event frames: what is read, written again, is the beginning of what came in.

#include "fuzz.h"
#include "wire/event_frames.h"

using namespace netmesh;
using namespace netmesh::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader input(fuzz::input_bytes(data, size));
  const std::size_t count = input.u16();
  const ByteSpan plaintext = input.rest();

  EventFrameReader reader(plaintext, count);
  Bytes written;
  std::size_t read = 0;
  while (const auto event = reader.next()) {
    ++read;
    const std::size_t at = written.size();
    written.resize(at + kEventFrameHeaderBytes);
    store_le<std::uint32_t>(written.data() + at, static_cast<std::uint32_t>(event->size()));
    written.insert(written.end(), event->begin(), event->end());
  }
  FUZZ_CHECK(read <= count);
  FUZZ_CHECK(written.size() <= plaintext.size());
  FUZZ_CHECK(fuzz::equal(written, plaintext.first(written.size())));
  FUZZ_CHECK(!reader.next());

  if (read < count) {
    // It stopped at a frame that is not whole.
    ByteReader rest(plaintext.subspan(written.size()));
    const std::size_t length = rest.u32();
    FUZZ_CHECK(!rest.ok() || rest.remaining() < length);
  }
  return 0;
}
