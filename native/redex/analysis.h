#pragma once
// What a log's files hold and what of it is sound (spec 42 §3.7). No I/O.

#include <cstdint>
#include <functional>
#include <vector>

#include "base/bytes.h"

namespace netmesh::redex {

/// What to make of three files. Records are counted from the start of `idx`.
struct Analysis {
  std::size_t records = 0;            ///< whole ones in the file
  std::size_t stray_index_bytes = 0;  ///< after the last whole record
  /// Everything from here on is torn: zeros, numbers that do not go up, payloads that `dat` does
  /// not hold, or a run of wrong checksums that reaches the end.
  std::size_t keep = 0;
  /// Records before `keep` that are damaged, in order.
  std::vector<std::size_t> damaged;
  /// Bytes of `dat` that sound records use.
  std::uint64_t dat_end = 0;
  /// One past the number of the last sound record; zero without one.
  std::uint64_t next_seq = 0;
  /// Of the records before `keep`, how many have a timestamp.
  std::size_t timestamps = 0;
};

/// Called now and then with the records looked at so far; returns false to stop early.
using AnalysisProgress = std::function<bool(std::size_t done, std::size_t total)>;

Analysis analyze(ByteSpan idx, ByteSpan dat, ByteSpan ts, const AnalysisProgress& progress = {});

/// Whether one record's payload lies in `dat` and has its checksum. `at` has `kRecordBytes`.
bool is_sound(const std::byte* at, ByteSpan dat);

}  // namespace netmesh::redex
