#include "redex/analysis.h"

#include <algorithm>
#include <limits>

#include "redex/record.h"

namespace netmesh::redex {
namespace {

constexpr std::size_t kProgressRecords = 1 << 16;

/// No event has it: there would be no next one.
constexpr std::uint64_t kNoSeq = std::numeric_limits<std::uint64_t>::max();

std::uint64_t seq_of(ByteSpan idx, std::size_t record) {
  return load_le<std::uint64_t>(idx.data() + record * kRecordBytes);
}

bool fits(const IndexRecord& record, std::size_t dat_size) {
  return record.is_inline() || record.end() <= dat_size;
}

/// Where numbers stop going up. A single number out of line, with its neighbours in order, is a
/// damaged record and not the end of the log.
std::size_t end_of_order(ByteSpan idx, std::size_t records, std::vector<std::size_t>& out_of_line) {
  if (records == 0) return 0;
  std::uint64_t last = seq_of(idx, 0);
  if (records > 2 && seq_of(idx, 1) <= last && seq_of(idx, 1) != 0 &&
      seq_of(idx, 1) < seq_of(idx, 2)) {
    out_of_line.push_back(0);
    last = seq_of(idx, 1) - 1;
  }
  for (std::size_t i = 1; i < records; ++i) {
    const std::uint64_t seq = seq_of(idx, i);
    const bool more = i + 1 < records;
    const std::uint64_t next = more ? seq_of(idx, i + 1) : 0;
    const bool goes_on_without = more && next > last;
    if (seq <= last) {
      if (!goes_on_without) return i;
      out_of_line.push_back(i);
    } else if (goes_on_without && next <= seq) {
      out_of_line.push_back(i);
    } else {
      last = seq;
    }
  }
  return records;
}

/// Spec 42 §3.7 step 2: from the end backwards to the first heap record that `dat` holds.
std::size_t end_of_payloads(ByteSpan idx, std::size_t records, std::size_t dat_size) {
  std::size_t cut = records;
  for (std::size_t i = records; i-- > 0;) {
    const IndexRecord record = load_record(idx.data() + i * kRecordBytes);
    if (record.is_inline()) continue;
    if (fits(record, dat_size)) break;
    cut = i;
  }
  return cut;
}

}  // namespace

bool is_sound(const std::byte* at, ByteSpan dat) {
  const IndexRecord record = load_record(at);
  if (record.is_inline()) return checksum28(inline_payload(at)) == record.checksum();
  return fits(record, dat.size()) &&
         checksum28(dat.subspan(record.offset, record.length)) == record.checksum();
}

Analysis analyze(ByteSpan idx, ByteSpan dat, ByteSpan ts, const AnalysisProgress& progress) {
  Analysis out;
  out.records = idx.size() / kRecordBytes;
  out.stray_index_bytes = idx.size() % kRecordBytes;

  std::vector<std::size_t> out_of_line;
  const std::size_t ordered = end_of_order(idx, out.records, out_of_line);
  const std::size_t end = end_of_payloads(idx, ordered, dat.size());

  auto next_out_of_line = out_of_line.begin();
  for (std::size_t i = 0; i < end; ++i) {
    if (i % kProgressRecords == 0 && progress && !progress(i, end)) return out;
    const bool misnumbered = next_out_of_line != out_of_line.end() && *next_out_of_line == i;
    if (misnumbered) ++next_out_of_line;
    const std::byte* at = idx.data() + i * kRecordBytes;
    const IndexRecord record = load_record(at);
    if (misnumbered || record.seq == kNoSeq || !is_sound(at, dat)) {
      out.damaged.push_back(i);
      continue;
    }
    out.keep = i + 1;
    out.next_seq = record.seq + 1;
    if (!record.is_inline()) out.dat_end = std::max(out.dat_end, record.end());
  }
  if (progress) progress(end, end);
  // Damage that reaches the end is a torn tail.
  while (!out.damaged.empty() && out.damaged.back() >= out.keep) out.damaged.pop_back();
  out.timestamps = std::min(out.keep, ts.size() / kTimestampBytes);
  return out;
}

}  // namespace netmesh::redex
