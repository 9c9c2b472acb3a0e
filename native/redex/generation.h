#pragma once
// One generation of a log on disk: idx, dat and ts, written and mapped (spec 42 §3.1–3.3).

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "redex/storage.h"
#include "redex/store.h"

namespace netmesh::redex {

/// `v` and ten digits.
std::string generation_name(std::uint32_t generation);
/// The number that such a name stands for.
std::optional<std::uint32_t> parse_generation_name(const std::string& name);

/// The three files of a generation, for appending and reading. Reading goes through mappings.
///
/// Writing has two ways. The plain one writes to the files, which always have exactly the length of
/// what they hold. Under load that costs three system calls per append, so a log that is appended
/// to in quick succession reserves space ahead and writes through the mappings instead; the zeros
/// after the last record are cut off again by `trim`, or by recovery after a crash. Either way the
/// bytes are with the operating system when `append` returns.
///
/// Not locked, except that `sync` is for any thread.
class Generation {
 public:
  struct Files {
    std::unique_ptr<StorageFile> idx, dat, ts;
  };
  /// What the files hold must be sound and exactly `records` and `dat_bytes` long.
  static Expected<std::shared_ptr<Generation>> open(std::uint32_t number, Files files,
                                                    std::size_t records, std::uint64_t dat_bytes);
  static Expected<Files> open_files(Storage& storage, const std::string& directory, OpenMode mode);

  /// The records so far, for reading while more are appended.
  struct Reader {
    std::shared_ptr<Mapping> idx, dat, ts;
    std::uint64_t dat_bytes = 0;

    const std::byte* record_bytes(std::size_t index) const {
      return idx->data() + index * kRecordBytes;
    }
    IndexRecord record_at(std::size_t index) const { return load_record(record_bytes(index)); }
    UnixNanos timestamp_at(std::size_t index) const;
    EventView view(std::size_t index) const;
  };

  std::uint32_t number() const { return number_; }
  std::size_t records() const { return records_; }
  std::uint64_t dat_bytes() const { return reader_.dat_bytes; }
  const Reader& reader() const { return reader_; }

  Expected<void> append(const NewEvents& events);
  /// Appends records `[first, last)` of another generation, with their numbers and times.
  Expected<void> copy(const Reader& from, std::size_t first, std::size_t last);
  /// Forgets the last `count` appended records, which hold the last `dat_bytes` of payload.
  Expected<void> undo(std::size_t count, std::uint64_t dat_bytes);

  /// Whether space is reserved beyond what the files hold.
  bool has_window() const { return window_records_ > 0; }
  /// Gives reserved space back: the files have their exact lengths again.
  Expected<void> trim();
  /// Whether there is reserved space that no helper thread has made ready to be written to.
  bool wants_prefault() const {
    return window_dat_bytes_ > prefaulted_dat_bytes_ && next_window_bytes_ >= kSmallestPrefault;
  }
  struct Prefault {
    std::shared_ptr<const Mapping> mapping;
    std::size_t from = 0;
    std::size_t to = 0;
  };
  /// The next piece of that space in each file, for `Mapping::prefault`; it counts as ready then.
  std::array<Prefault, 3> take_prefault();

  /// dat, idx, ts: a crash in between leaves what recovery can read.
  Expected<void> sync();
  /// After this nothing is written any more; `why` is what every attempt gets.
  void poison(Error why) { poisoned_ = std::move(why); }
  const std::optional<Error>& poisoned() const { return poisoned_; }

 private:
  /// Smaller windows are used up before a helper would be there.
  static constexpr std::size_t kSmallestPrefault = 1024 * 1024;

  Generation(std::uint32_t number, Files files) : number_(number), files_(std::move(files)) {}

  Expected<void> write_plain(const NewEvents& events);
  void write_window(const NewEvents& events);
  bool window_holds(const NewEvents& events) const;
  bool extend_window(const NewEvents& events);
  /// Less than half of what was reserved last is left.
  bool window_runs_low() const;
  /// The mappings cover so much.
  Expected<void> cover(std::size_t records, std::uint64_t dat_bytes);
  Expected<void> cut_to(std::size_t records, std::uint64_t dat_bytes);

  const std::uint32_t number_;
  const Files files_;
  Reader reader_;
  std::size_t records_ = 0;
  std::size_t window_records_ = 0;  ///< end of the reserved space, zero when there is none
  std::uint64_t window_dat_bytes_ = 0;
  std::size_t next_window_bytes_ = 0;
  std::size_t prefaulted_records_ = 0;  ///< as far as a helper has been sent, in these mappings
  std::uint64_t prefaulted_dat_bytes_ = 0;
  unsigned streak_ = 0;  ///< appends in quick succession
  std::uint64_t streak_events_ = 0;
  std::uint64_t streak_bytes_ = 0;
  UnixNanos last_append_ = 0;
  std::optional<Error> poisoned_;
  Bytes scratch_;
};

}  // namespace netmesh::redex
