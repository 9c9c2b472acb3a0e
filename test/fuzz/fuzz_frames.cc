// Frames of modern packets: what is read can be written, and reads back the same.

#include <vector>

#include "fuzz.h"
#include "wire/frames.h"
#include "wire/frames_testing.h"
#include "wire/net_packet.h"

using namespace netmesh;
using namespace netmesh::wire;

namespace {

constexpr std::uint64_t kVarintLimit = 1ULL << 62;

void check_rules(const Frame& frame) {
  if (const auto* ack = std::get_if<AckFrame>(&frame)) {
    FUZZ_CHECK(ack->range_count >= 1 && ack->range_count <= AckFrame::kMaxRanges);
    for (std::size_t i = 0; i < ack->range_count; ++i) {
      FUZZ_CHECK(ack->ranges[i].first <= ack->ranges[i].last && ack->ranges[i].last < kVarintLimit);
      // Newest first, at least one number missing between two ranges.
      if (i > 0) FUZZ_CHECK(ack->ranges[i].last + 1 < ack->ranges[i - 1].first);
    }
  } else if (const auto* stream = std::get_if<StreamFrame>(&frame)) {
    FUZZ_CHECK(stream->offset + stream->data.size() < kVarintLimit);
  } else if (const auto* part = std::get_if<DatagramFragmentFrame>(&frame)) {
    FUZZ_CHECK(part->total <= kMaxNetPayloadBytes && !part->data.empty());
    FUZZ_CHECK(part->fragment_offset + part->data.size() <= part->total);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FrameReader reader(fuzz::input_bytes(data, size));
  // Frames are never longer when written than when read.
  Bytes buffer(size);
  ByteWriter out(buffer);
  std::vector<Frame> frames;
  while (const auto frame = reader.next()) {
    check_rules(*frame);
    FUZZ_CHECK(testing::write_frame(out, *frame));
    frames.push_back(*frame);
  }
  FUZZ_CHECK(!reader.next());
  FUZZ_CHECK(out.ok());

  FrameReader again(out.written());
  for (const Frame& frame : frames) {
    const auto read = again.next();
    FUZZ_CHECK(read && testing::same_frame(*read, frame));
  }
  FUZZ_CHECK(!again.next() && !again.failed());
  return 0;
}
