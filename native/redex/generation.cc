#include "redex/generation.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>

#include "base/prefetch.h"
#include "redex/errors.h"

namespace netmesh::redex {
namespace {

constexpr std::size_t kNameDigits = 10;
constexpr std::size_t kSmallestMapping = 64 * 1024;
/// Reserved ahead of the last payload: as much as the burst has written so far, within these, and
/// again when half of it is used, so that a helper thread has the time to make it ready.
constexpr std::size_t kSmallestWindow = 64 * 1024;
constexpr std::size_t kLargestWindow = 32 * 1024 * 1024;
/// Windows of this size and above end at a multiple of it: there the system may have large pages.
constexpr std::uint64_t kHugePage = 2 * 1024 * 1024;
/// Appends no further apart than this are one burst; this many, or so many bytes, make a window
/// worth its cost.
constexpr UnixNanos kBurstGap = 1'000'000;
constexpr unsigned kBurstAppends = 64;
constexpr std::uint64_t kBurstBytes = 64 * 1024;
/// Payloads above this are not copied before they are written.
constexpr std::size_t kLargestScratch = 1024 * 1024;
constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::uint32_t>::max();

Error poisoned_error() {
  return io_error(
      "redex segment is poisoned (partial-write rollback could not restore on-disk state to match "
      "in-memory); close and re-open the channel to recover");
}

template <typename T>
tl::unexpected<Error> pass_on(Expected<T>& failed) {
  return tl::unexpected<Error>(std::move(failed).error());
}

}  // namespace

std::string generation_name(std::uint32_t generation) {
  const std::string digits = std::to_string(generation);
  return "v" + std::string(kNameDigits - digits.size(), '0') + digits;
}

std::optional<std::uint32_t> parse_generation_name(const std::string& name) {
  if (name.size() != kNameDigits + 1 || name[0] != 'v') return std::nullopt;
  std::uint64_t number = 0;
  for (const char digit : name.substr(1)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  if (number == 0 || number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

Expected<Generation::Files> Generation::open_files(Storage& storage, const std::string& directory,
                                                   OpenMode mode) {
  auto idx = storage.open(directory + "/idx", mode);
  if (!idx) return pass_on(idx);
  auto dat = storage.open(directory + "/dat", mode);
  if (!dat) return pass_on(dat);
  auto ts = storage.open(directory + "/ts", mode);
  if (!ts) return pass_on(ts);
  return Files{std::move(*idx), std::move(*dat), std::move(*ts)};
}

Expected<std::shared_ptr<Generation>> Generation::open(std::uint32_t number, Files files,
                                                       std::size_t records,
                                                       std::uint64_t dat_bytes) {
  std::shared_ptr<Generation> generation(new Generation(number, std::move(files)));
  generation->records_ = records;
  generation->reader_.dat_bytes = dat_bytes;
  if (auto covered = generation->cover(records, dat_bytes); !covered) return pass_on(covered);
  return generation;
}

UnixNanos Generation::Reader::timestamp_at(std::size_t index) const {
  return static_cast<UnixNanos>(load_le<std::uint64_t>(ts->data() + index * kTimestampBytes));
}

EventView Generation::Reader::view(std::size_t index) const {
  const std::byte* at = record_bytes(index);
  const IndexRecord record = load_record(at);
  EventView event;
  event.seq = record.seq;
  event.timestamp = timestamp_at(index);
  event.checksum = record.checksum();
  event.is_inline = record.is_inline();
  if (record.is_inline()) {
    event.payload = inline_payload(at);
  } else if (record.end() <= dat_bytes) {
    event.payload = {dat->data() + record.offset, record.length};
  }
  // Else someone else wrote to the index; the checksum of nothing will not fit.
  return event;
}

Expected<void> Generation::cover(std::size_t records, std::uint64_t dat_bytes) {
  const auto grow = [this](StorageFile& file, std::shared_ptr<Mapping>& map,
                           std::uint64_t bytes) -> Expected<void> {
    if (map && map->capacity() >= bytes) return {};
    const std::size_t capacity =
        std::max(kSmallestMapping, std::bit_ceil(static_cast<std::size_t>(bytes)));
    auto mapped = file.map(capacity);
    if (!mapped) return pass_on(mapped);
    map = std::move(*mapped);
    prefaulted_records_ = 0;
    prefaulted_dat_bytes_ = 0;
    return {};
  };
  if (auto done = grow(*files_.dat, reader_.dat, dat_bytes); !done) return done;
  if (auto done = grow(*files_.idx, reader_.idx, records * kRecordBytes); !done) return done;
  return grow(*files_.ts, reader_.ts, records * kTimestampBytes);
}

Expected<void> Generation::append(const NewEvents& events) {
  if (poisoned_) return tl::unexpected<Error>(*poisoned_);
  const std::uint64_t bytes = events.inline_payloads ? 0 : events.bytes;
  const std::size_t count = events.payloads.size();
  if (reader_.dat_bytes + bytes > kMaxOffset)
    return fail(segment_offset_overflow(reader_.dat_bytes + bytes));
  if (auto covered = cover(records_ + count, reader_.dat_bytes + bytes); !covered) return covered;

  const bool burst = events.timestamp - last_append_ < kBurstGap;
  streak_ = burst ? streak_ + 1 : 0;
  streak_events_ = burst ? streak_events_ + count : 0;
  streak_bytes_ = burst ? streak_bytes_ + events.bytes : 0;
  last_append_ = events.timestamp;
  if (window_holds(events) ||
      ((has_window() || streak_ >= kBurstAppends || streak_bytes_ >= kBurstBytes) &&
       extend_window(events))) {
    write_window(events);
  } else {
    if (has_window()) {
      if (auto trimmed = trim(); !trimmed) return trimmed;
    }
    if (auto written = write_plain(events); !written) return written;
  }
  records_ += count;
  reader_.dat_bytes += bytes;
  if (window_runs_low()) extend_window({});  // should that fail, there is still the other half
  return {};
}

bool Generation::window_runs_low() const {
  return next_window_bytes_ > 0 && window_dat_bytes_ > 0 &&
         window_dat_bytes_ - reader_.dat_bytes < next_window_bytes_ / 2 &&
         window_dat_bytes_ < kMaxOffset;
}

bool Generation::window_holds(const NewEvents& events) const {
  const std::uint64_t bytes = events.inline_payloads ? 0 : events.bytes;
  return records_ + events.payloads.size() <= window_records_ &&
         reader_.dat_bytes + bytes <= window_dat_bytes_;
}

namespace {

std::uint64_t window_end_for(std::uint64_t used, std::size_t window) {
  const std::uint64_t end = used + window;
  return window < kHugePage ? end : (end + kHugePage - 1) / kHugePage * kHugePage;
}

}  // namespace

bool Generation::extend_window(const NewEvents& events) {
  next_window_bytes_ = std::clamp(next_window_bytes_ * 2, kSmallestWindow, kLargestWindow);
  const std::uint64_t dat_end =
      std::min(window_end_for(reader_.dat_bytes + events.bytes, next_window_bytes_), kMaxOffset);
  // As many records as the payloads so far suggest: those of the burst, or all.
  const std::uint64_t recent = streak_events_ + events.payloads.size();
  const std::uint64_t average = recent > 0 ? (streak_bytes_ + events.bytes) / recent
                                           : reader_.dat_bytes / std::max<std::size_t>(records_, 1);
  const std::size_t more = std::clamp<std::size_t>(
      static_cast<std::size_t>(next_window_bytes_ / std::max<std::uint64_t>(average, 1)), 256,
      kLargestWindow / kRecordBytes);
  const std::size_t record_end = records_ + events.payloads.size() + more;

  // A disk that has no room for this may still have room for the events alone.
  const auto reserved = [&]() -> Expected<void> {
    if (auto done = cover(record_end, dat_end); !done) return done;
    if (auto done = files_.dat->reserve(dat_end); !done) return done;
    if (auto done = files_.idx->reserve(record_end * kRecordBytes); !done) return done;
    return files_.ts->reserve(record_end * kTimestampBytes);
  }();
  if (!reserved) {
    streak_ = 0;
    streak_events_ = 0;
    streak_bytes_ = 0;
    next_window_bytes_ = 0;
    window_records_ = std::max<std::size_t>(window_records_, 1);  // there may be something to trim
    return false;
  }
  window_records_ = record_end;
  window_dat_bytes_ = dat_end;
  return true;
}

void Generation::write_window(const NewEvents& events) {
  std::uint64_t seq = events.first_seq;
  std::uint64_t offset = reader_.dat_bytes;
  std::byte* record_at = reader_.idx->data() + records_ * kRecordBytes;
  std::byte* timestamp_at = reader_.ts->data() + records_ * kTimestampBytes;
  for (const ByteSpan payload : events.payloads) {
    IndexRecord record;
    if (events.inline_payloads) {
      record = inline_record(seq, payload.first<kInlineBytes>());
    } else {
      std::byte* to = reader_.dat->data() + offset;
      prefetch_ahead(to, payload.size());
      if (!payload.empty()) std::memcpy(to, payload.data(), payload.size());
      // Of the copy: the caller's memory may be shared with others who write to it.
      record = {seq, static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(payload.size()),
                checksum28({to, payload.size()})};
      offset += payload.size();
    }
    store_le(timestamp_at, static_cast<std::uint64_t>(events.timestamp));
    // Should the process die in between, the record is not there before what it stands for is.
    std::atomic_signal_fence(std::memory_order_release);
    store_record(record_at, record);
    record_at += kRecordBytes;
    timestamp_at += kTimestampBytes;
    ++seq;
  }
}

Expected<void> Generation::write_plain(const NewEvents& events) {
  const std::size_t count = events.payloads.size();
  const std::size_t index_bytes = count * (kRecordBytes + kTimestampBytes);
  const bool copy = events.bytes <= kLargestScratch;
  scratch_.resize(index_bytes + (copy ? static_cast<std::size_t>(events.bytes) : 0));
  std::byte* const records = scratch_.data();
  std::byte* const timestamps = records + count * kRecordBytes;
  std::byte* const payloads = records + index_bytes;

  std::uint64_t seq = events.first_seq;
  std::uint64_t offset = reader_.dat_bytes;
  std::byte* to = payloads;
  for (std::size_t i = 0; i < count; ++i, ++seq) {
    ByteSpan payload = events.payloads[i];
    if (copy) {
      if (!payload.empty()) std::memcpy(to, payload.data(), payload.size());
      payload = {to, payload.size()};
      to += payload.size();
    }
    IndexRecord record;
    if (events.inline_payloads) {
      record = inline_record(seq, payload.first<kInlineBytes>());
    } else {
      record = {seq, static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(payload.size()),
                checksum28(payload)};
      offset += payload.size();
    }
    store_record(records + i * kRecordBytes, record);
    store_le(timestamps + i * kTimestampBytes, static_cast<std::uint64_t>(events.timestamp));
  }

  const auto written = [&]() -> Expected<void> {
    if (!events.inline_payloads && events.bytes > 0) {
      if (copy) {
        if (auto done = files_.dat->write_at(reader_.dat_bytes, {payloads, to}); !done) return done;
      } else {
        std::uint64_t at = reader_.dat_bytes;
        for (const ByteSpan payload : events.payloads) {
          if (auto done = files_.dat->write_at(at, payload); !done) return done;
          at += payload.size();
        }
      }
    }
    if (auto done = files_.idx->write_at(records_ * kRecordBytes, {records, timestamps}); !done)
      return done;
    return files_.ts->write_at(records_ * kTimestampBytes, {timestamps, payloads});
  }();
  if (scratch_.size() > kLargestScratch / 4) Bytes().swap(scratch_);
  if (written) return {};
  if (!cut_to(records_, reader_.dat_bytes)) poison(poisoned_error());
  return written;
}

Expected<void> Generation::cut_to(std::size_t records, std::uint64_t dat_bytes) {
  auto ts = files_.ts->truncate(records * kTimestampBytes);
  auto idx = files_.idx->truncate(records * kRecordBytes);
  auto dat = files_.dat->truncate(dat_bytes);
  if (!ts) return ts;
  if (!idx) return idx;
  return dat;
}

Expected<void> Generation::copy(const Reader& from, std::size_t first, std::size_t last) {
  constexpr std::size_t kRecordsAtOnce = 16 * 1024;
  constexpr std::size_t kBytesAtOnce = 4 * 1024 * 1024;
  while (first < last) {
    std::size_t end = first;
    Bytes payloads;
    Bytes records;
    Bytes timestamps;
    for (; end < last && end - first < kRecordsAtOnce && payloads.size() < kBytesAtOnce; ++end) {
      const EventView event = from.view(end);
      IndexRecord record = from.record_at(end);
      if (!record.is_inline()) {
        const std::uint64_t offset = reader_.dat_bytes + payloads.size();
        if (offset + event.payload.size() > kMaxOffset)
          return fail(segment_offset_overflow(offset + event.payload.size()));
        record.offset = static_cast<std::uint32_t>(offset);
        payloads.insert(payloads.end(), event.payload.begin(), event.payload.end());
      }
      records.resize(records.size() + kRecordBytes);
      store_record(records.data() + records.size() - kRecordBytes, record);
      timestamps.resize(timestamps.size() + kTimestampBytes);
      store_le(timestamps.data() + timestamps.size() - kTimestampBytes,
               static_cast<std::uint64_t>(event.timestamp));
    }
    const std::size_t count = end - first;
    if (auto covered = cover(records_ + count, reader_.dat_bytes + payloads.size()); !covered)
      return covered;
    if (auto done = files_.dat->write_at(reader_.dat_bytes, payloads); !done) return done;
    if (auto done = files_.idx->write_at(records_ * kRecordBytes, records); !done) return done;
    if (auto done = files_.ts->write_at(records_ * kTimestampBytes, timestamps); !done) return done;
    records_ += count;
    reader_.dat_bytes += payloads.size();
    first = end;
  }
  return {};
}

Expected<void> Generation::undo(std::size_t count, std::uint64_t dat_bytes) {
  records_ -= count;
  reader_.dat_bytes -= dat_bytes;
  window_records_ = 0;
  window_dat_bytes_ = 0;
  auto cut = cut_to(records_, reader_.dat_bytes);
  if (!cut) poison(poisoned_error());
  return cut;
}

Expected<void> Generation::trim() {
  if (!has_window()) return {};
  window_records_ = 0;
  window_dat_bytes_ = 0;
  next_window_bytes_ = 0;
  prefaulted_records_ = 0;
  prefaulted_dat_bytes_ = 0;
  auto cut = cut_to(records_, reader_.dat_bytes);
  // What is left over is zeros, which the next writes replace; but the files' ends are no longer
  // where `write_plain` would look for them.
  if (!cut) poison(poisoned_error());
  return cut;
}

std::array<Generation::Prefault, 3> Generation::take_prefault() {
  const std::size_t records = std::max(prefaulted_records_, records_);
  const std::uint64_t from = std::max(prefaulted_dat_bytes_, reader_.dat_bytes);
  const std::uint64_t to = std::min((from / kHugePage + 1) * kHugePage, window_dat_bytes_);
  prefaulted_records_ = window_records_;
  prefaulted_dat_bytes_ = to;
  return {{{reader_.idx, records * kRecordBytes, window_records_ * kRecordBytes},
           {reader_.ts, records * kTimestampBytes, window_records_ * kTimestampBytes},
           {reader_.dat, static_cast<std::size_t>(from), static_cast<std::size_t>(to)}}};
}

Expected<void> Generation::sync() {
  if (auto done = files_.dat->sync(); !done) return done;
  if (auto done = files_.idx->sync(); !done) return done;
  return files_.ts->sync();
}

}  // namespace netmesh::redex
