#pragma once
// Files of a RedEX log out of a fuzzer's input.

#include "base/bytes.h"
#include "redex/analysis.h"
#include "redex/record.h"

namespace netmesh::fuzz {

/// Copies of their own, so that a sanitizer sees reads beyond the end of any.
struct LogFiles {
  Bytes idx, dat, ts;
};

/// A mask, two 16-bit lengths, then `idx`, `dat` and the rest for `ts`. Records whose bit in the
/// mask is set get the checksum of their payload, which no fuzzer would ever guess.
inline LogFiles read_log_files(ByteReader& in) {
  const std::uint8_t mended = in.u8();
  const std::size_t idx_bytes = in.u16();
  const std::size_t dat_bytes = in.u16();
  const auto take = [&](std::size_t count) {
    const ByteSpan bytes = in.bytes(std::min(count, in.remaining()));
    return Bytes(bytes.begin(), bytes.end());
  };
  LogFiles files;
  files.idx = take(idx_bytes);
  files.dat = take(dat_bytes);
  files.ts = take(in.remaining());
  for (std::size_t i = 0; i < files.idx.size() / redex::kRecordBytes; ++i) {
    if ((mended >> (i % 8) & 1) == 0) continue;
    std::byte* at = files.idx.data() + i * redex::kRecordBytes;
    redex::IndexRecord record = redex::load_record(at);
    ByteSpan payload = redex::inline_payload(at);
    if (!record.is_inline()) {
      if (record.end() > files.dat.size()) continue;
      payload = ByteSpan(files.dat).subspan(record.offset, record.length);
    }
    record.flags_and_checksum =
        (record.flags_and_checksum & ~redex::kChecksumMask) | redex::checksum28(payload);
    redex::store_record(at, record);
  }
  return files;
}

}  // namespace netmesh::fuzz
