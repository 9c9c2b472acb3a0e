// A log's whole directory: it always opens, what it then holds was there before, opening it again
// finds nothing more to mend, and it can be appended to.

#include <algorithm>
#include <vector>

#include "fuzz.h"
#include "fuzz_redex.h"
#include "redex/inspect.h"
#include "redex/recovery.h"
#include "redex/sim_storage_testing.h"

using namespace netmesh;
using namespace netmesh::redex;

namespace {

constexpr std::uint8_t kFlat = 1;
constexpr std::uint8_t kManifestOfInput = 2;
constexpr std::uint8_t kNoTimestamps = 4;
constexpr std::uint8_t kNoManifest = 8;
constexpr std::uint8_t kEmptyGenerationBeside = 16;
constexpr std::uint8_t kLeftovers = 32;

constexpr UnixNanos kNow = 1'000'000'000;
const std::string kDirectory = "/log";

void put(Storage& disk, const std::string& path, ByteSpan bytes) {
  auto file = disk.open(path, OpenMode::kCreateEmpty);
  FUZZ_CHECK(file && (*file)->write_at(0, bytes));
}

void put_log(Storage& disk, const std::string& path, const fuzz::LogFiles& files, bool timestamps) {
  FUZZ_CHECK(disk.create_directories(path));
  put(disk, path + "/idx", files.idx);
  put(disk, path + "/dat", files.dat);
  if (timestamps) put(disk, path + "/ts", files.ts);
}

struct Event {
  std::uint64_t seq;
  Bytes payload;
  bool operator==(const Event&) const = default;
};

std::vector<Event> events_of(const RecoveredLog& log) {
  std::vector<Event> out;
  for (std::size_t i = 0; i < log.generation->records(); ++i) {
    const EventView view = log.generation->reader().view(i);
    FUZZ_CHECK(checksum28(view.payload) == view.checksum);
    FUZZ_CHECK(view.timestamp != 0);
    FUZZ_CHECK(view.seq < log.next_seq && (out.empty() || view.seq > out.back().seq));
    out.push_back({view.seq, Bytes(view.payload.begin(), view.payload.end())});
  }
  return out;
}

bool was_there(const fuzz::LogFiles& files, const Event& event) {
  for (std::size_t i = 0; i < files.idx.size() / kRecordBytes; ++i) {
    const std::byte* at = files.idx.data() + i * kRecordBytes;
    const IndexRecord record = load_record(at);
    if (record.seq != event.seq || !is_sound(at, files.dat)) continue;
    const ByteSpan payload = record.is_inline()
                                 ? inline_payload(at)
                                 : ByteSpan(files.dat).subspan(record.offset, record.length);
    if (fuzz::equal(payload, event.payload)) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHeaderBytes = 2 + kManifestBytes + 5;
  if (size < kHeaderBytes) return 0;
  ByteReader in(fuzz::input_bytes(data, size));
  const std::uint8_t layout = in.u8();
  const std::uint32_t generation = 1u + in.u8();
  const ByteSpan manifest = in.bytes(kManifestBytes);
  const fuzz::LogFiles files = fuzz::read_log_files(in);

  const auto disk = std::make_shared<redex::testing::SimDisk>(1);
  FUZZ_CHECK(disk->create_directories(kDirectory));
  const bool flat = (layout & kFlat) != 0;
  put_log(*disk, flat ? kDirectory : kDirectory + "/" + generation_name(generation), files,
          (layout & kNoTimestamps) == 0);
  if ((layout & kNoManifest) == 0) {
    const auto right = encode_manifest(generation);
    put(*disk, kDirectory + "/manifest",
        (layout & kManifestOfInput) != 0 ? manifest : ByteSpan(right));
  }
  if ((layout & kEmptyGenerationBeside) != 0 && !flat)
    put_log(*disk, kDirectory + "/" + generation_name(generation + 1), {}, true);
  if ((layout & kLeftovers) != 0) put(*disk, kDirectory + "/manifest.tmp", manifest);

  const auto before = LogSnapshot::open(disk, kDirectory);
  FUZZ_CHECK(before);
  (void)before->verify();

  std::vector<Event> events;
  {
    auto log = recover(*disk, kDirectory, kNow);
    FUZZ_CHECK(log);
    events = events_of(*log);
    for (const Event& event : events) FUZZ_CHECK(was_there(files, event));
  }
  {
    auto log = recover(*disk, kDirectory, kNow);
    FUZZ_CHECK(log && !log->report.compacted && !log->report.manifest_rewritten);
    FUZZ_CHECK(log->report.cut_records() == 0 && log->report.cut_dat_bytes == 0);
    FUZZ_CHECK(events_of(*log) == events);
    if (log->next_seq == ~std::uint64_t{0}) return 0;  // full: `File` refuses more
    const Bytes payload(1 + size % 20, std::byte{7});
    const std::array<ByteSpan, 1> payloads = {payload};
    FUZZ_CHECK(log->generation->append({payloads, payload.size(), log->next_seq, kNow, false}));
    events.push_back({log->next_seq, payload});
  }
  auto log = recover(*disk, kDirectory, kNow);
  FUZZ_CHECK(log && events_of(*log) == events);
  return 0;
}
