#include "redex/inspect.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "redex/errors.h"

namespace netmesh::redex {
namespace {

template <typename T>
tl::unexpected<Error> pass_on(Expected<T>& failed) {
  return tl::unexpected<Error>(std::move(failed).error());
}

bool is_log(const std::vector<DirectoryEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const DirectoryEntry& entry) {
    return entry.regular_file &&
           (entry.name == "manifest" || entry.name == "idx" || entry.name == "dat");
  });
}

Expected<void> find_below(Storage& storage, const std::string& directory,
                          std::vector<std::string>& found) {
  auto entries = storage.list(directory);
  if (!entries) return pass_on(entries);
  bool generations = false;
  for (const DirectoryEntry& entry : *entries) {
    if (!entry.directory) continue;
    const std::string path = directory + "/" + entry.name;
    if (parse_generation_name(entry.name)) {
      auto inside = storage.list(path);
      const bool files = inside && is_log(*inside) &&
                         std::none_of(inside->begin(), inside->end(),
                                      [](const auto& each) { return each.name == "manifest"; });
      generations = generations || files;
      if (files) continue;
    }
    if (auto below = find_below(storage, path, found); !below) return below;
  }
  if (generations || is_log(*entries)) found.push_back(directory);
  return {};
}

}  // namespace

Expected<LogSnapshot> LogSnapshot::open(const std::shared_ptr<Storage>& storage,
                                        const std::string& directory) {
  LogSnapshot out;
  auto live = find_live_generation(*storage, directory, out.manifest_valid_);
  if (!live) return pass_on(live);
  out.generation_ = *live;
  std::string path = directory;
  if (*live == 0) {
    auto flat = has_flat_layout(*storage, directory);
    if (!flat) return pass_on(flat);
    if (!*flat) return fail(channel_error(directory + " holds no log"));
  } else {
    path += "/" + generation_name(*live);
  }
  const std::array<std::pair<const char*, ByteSpan*>, 3> files = {
      {{"idx", &out.idx_}, {"dat", &out.dat_}, {"ts", &out.ts_}}};
  auto entries = storage->list(path);
  if (!entries) return pass_on(entries);
  for (const auto& [name, bytes] : files) {
    const bool there = std::any_of(
        entries->begin(), entries->end(),
        [&, file = name](const auto& entry) { return entry.name == file && entry.regular_file; });
    if (!there) continue;
    auto file = storage->open(path + "/" + name, OpenMode::kRead);
    if (!file) return pass_on(file);
    auto size = (*file)->size();
    if (!size) return pass_on(size);
    if (*size == 0) continue;
    auto mapping = (*file)->map(static_cast<std::size_t>(*size));
    if (!mapping) return pass_on(mapping);
    *bytes = {(*mapping)->data(), static_cast<std::size_t>(*size)};
    out.mappings_.push_back(std::move(*mapping));
  }
  return out;
}

EventView LogSnapshot::event(std::size_t index) const {
  const std::byte* at = idx_.data() + index * kRecordBytes;
  const IndexRecord record = load_record(at);
  EventView event;
  event.seq = record.seq;
  event.checksum = record.checksum();
  event.is_inline = record.is_inline();
  if ((index + 1) * kTimestampBytes <= ts_.size()) {
    event.timestamp =
        static_cast<UnixNanos>(load_le<std::uint64_t>(ts_.data() + index * kTimestampBytes));
  }
  if (record.is_inline()) {
    event.payload = inline_payload(at);
  } else if (record.end() <= dat_.size()) {
    event.payload = dat_.subspan(record.offset, record.length);
  }
  return event;
}

bool LogSnapshot::sound(std::size_t index) const {
  return is_sound(idx_.data() + index * kRecordBytes, dat_);
}

Analysis LogSnapshot::verify(const AnalysisProgress& progress) const {
  return analyze(idx_, dat_, ts_, progress);
}

Expected<std::vector<std::string>> find_logs(Storage& storage, const std::string& directory) {
  std::vector<std::string> found;
  if (auto done = find_below(storage, directory, found); !done) return pass_on(done);
  std::sort(found.begin(), found.end());
  return found;
}

Expected<RecoveryReport> repair_log(const std::shared_ptr<Storage>& storage,
                                    const std::string& directory,
                                    const AnalysisProgress& progress) {
  // Nothing is made where there is nothing to mend.
  if (auto there = LogSnapshot::open(storage, directory); !there) return pass_on(there);
  auto lock = storage->lock(directory);
  if (!lock) return pass_on(lock);
  const UnixNanos now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count();
  auto recovered = recover(*storage, directory, now, progress);
  if (!recovered) return pass_on(recovered);
  return recovered->report;
}

}  // namespace netmesh::redex
