// Index, payloads and timestamps of a log: what is kept of them is sound and in order, and looking
// at what was kept finds nothing wrong.

#include "fuzz.h"
#include "fuzz_redex.h"

using namespace netmesh;
using namespace netmesh::redex;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader in(fuzz::input_bytes(data, size));
  const fuzz::LogFiles files = fuzz::read_log_files(in);
  const Analysis found = analyze(files.idx, files.dat, files.ts);
  FUZZ_CHECK(found.records * kRecordBytes + found.stray_index_bytes == files.idx.size());
  FUZZ_CHECK(found.keep <= found.records && found.dat_end <= files.dat.size());
  FUZZ_CHECK(found.timestamps <= found.keep);

  Bytes kept;
  std::uint64_t next_seq = 0;
  auto damaged = found.damaged.begin();
  for (std::size_t i = 0; i < found.keep; ++i) {
    const std::byte* at = files.idx.data() + i * kRecordBytes;
    const IndexRecord record = load_record(at);
    std::array<std::byte, kRecordBytes> again;
    store_record(again.data(), record);
    FUZZ_CHECK(fuzz::equal(again, {at, kRecordBytes}));
    if (damaged != found.damaged.end() && *damaged == i) {
      ++damaged;
      continue;
    }
    FUZZ_CHECK(is_sound(at, files.dat));
    FUZZ_CHECK(record.seq >= next_seq);
    FUZZ_CHECK(record.is_inline() || record.end() <= found.dat_end);
    next_seq = record.seq + 1;
    FUZZ_CHECK(next_seq != 0);
    kept.insert(kept.end(), again.begin(), again.end());
  }
  FUZZ_CHECK(damaged == found.damaged.end());
  FUZZ_CHECK(next_seq == found.next_seq);

  const ByteSpan payloads = ByteSpan(files.dat).first(static_cast<std::size_t>(found.dat_end));
  const Analysis second = analyze(kept, payloads, files.ts);
  FUZZ_CHECK(second.keep * kRecordBytes == kept.size() && second.damaged.empty());
  FUZZ_CHECK(second.next_seq == found.next_seq && second.dat_end == found.dat_end);
  return 0;
}
