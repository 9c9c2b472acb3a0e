#include "redex/recovery.h"

#include <algorithm>
#include <array>
#include <limits>

#include "redex/errors.h"

namespace netmesh::redex {
namespace {

constexpr std::array kFileNames = {"idx", "dat", "ts"};

template <typename T>
tl::unexpected<Error> pass_on(Expected<T>& failed) {
  return tl::unexpected<Error>(std::move(failed).error());
}

/// Names in a directory, as far as they matter.
struct Contents {
  /// An index and its payloads. Timestamps can be made up.
  bool all = false;
  bool any = false;
  /// Something that is not a generation's: perhaps a channel that happens to be called like one.
  bool others = false;
};

Contents contents_of(const std::vector<DirectoryEntry>& entries) {
  std::size_t found = 0;
  bool timestamps = false;
  Contents out;
  for (const DirectoryEntry& entry : entries) {
    const bool ours =
        std::find(kFileNames.begin(), kFileNames.end(), entry.name) != kFileNames.end();
    if (!ours || !entry.regular_file) {
      out.others = true;
      continue;
    }
    ++found;
    timestamps = timestamps || entry.name == "ts";
  }
  out.all = found - (timestamps ? 1 : 0) == kFileNames.size() - 1;
  out.any = found > 0;
  return out;
}

Expected<bool> is_complete(Storage& storage, const std::string& directory,
                           std::uint32_t generation) {
  auto entries = storage.list(directory + "/" + generation_name(generation));
  if (!entries) return pass_on(entries);
  return contents_of(*entries).all;
}

std::optional<std::uint32_t> read_manifest(Storage& storage, const std::string& directory) {
  auto file = storage.open(directory + "/manifest", OpenMode::kRead);
  if (!file) return std::nullopt;
  const auto size = (*file)->size();
  if (!size || *size < kManifestBytes) return std::nullopt;
  auto mapping = (*file)->map(kManifestBytes);
  if (!mapping) return std::nullopt;
  return decode_manifest({(*mapping)->data(), kManifestBytes});
}

/// Generations in a directory, the highest first.
std::vector<std::uint32_t> generations_in(const std::vector<DirectoryEntry>& entries) {
  std::vector<std::uint32_t> out;
  for (const DirectoryEntry& entry : entries) {
    if (!entry.directory) continue;
    if (const auto number = parse_generation_name(entry.name)) out.push_back(*number);
  }
  std::sort(out.rbegin(), out.rend());
  return out;
}

Expected<void> create_generation(Storage& storage, const std::string& directory,
                                 std::uint32_t generation, OpenMode mode) {
  const std::string path = directory + "/" + generation_name(generation);
  if (auto made = storage.create_directories(path); !made) return made;
  auto files = Generation::open_files(storage, path, mode);
  if (!files) return pass_on(files);
  for (StorageFile* file : {files->dat.get(), files->idx.get(), files->ts.get()}) {
    if (auto synced = file->sync(); !synced) return synced;
  }
  if (auto synced = storage.sync_directory(path); !synced) return synced;
  return storage.sync_directory(directory);
}

Expected<void> migrate_flat_layout(Storage& storage, const std::string& directory) {
  const std::string path = directory + "/" + generation_name(1);
  if (auto made = storage.create_directories(path); !made) return made;
  auto entries = storage.list(directory);
  if (!entries) return pass_on(entries);
  for (const DirectoryEntry& entry : *entries) {
    const bool ours =
        std::find(kFileNames.begin(), kFileNames.end(), entry.name) != kFileNames.end();
    if (!ours || !entry.regular_file) continue;
    if (auto moved = storage.rename(directory + "/" + entry.name, path + "/" + entry.name); !moved)
      return moved;
  }
  return create_generation(storage, directory, 1, OpenMode::kReadWrite);
}

/// Whole files as bytes, through mappings.
struct MappedFiles {
  std::array<std::shared_ptr<Mapping>, 3> mappings;
  std::array<ByteSpan, 3> bytes;  ///< idx, dat, ts

  static Expected<MappedFiles> map(const Generation::Files& files) {
    MappedFiles out;
    const std::array sources = {files.idx.get(), files.dat.get(), files.ts.get()};
    for (std::size_t i = 0; i < sources.size(); ++i) {
      auto size = sources[i]->size();
      if (!size) return pass_on(size);
      if (*size == 0) continue;
      auto mapping = sources[i]->map(static_cast<std::size_t>(*size));
      if (!mapping) return pass_on(mapping);
      out.bytes[i] = {(*mapping)->data(), static_cast<std::size_t>(*size)};
      out.mappings[i] = std::move(*mapping);
    }
    return out;
  }
};

Expected<void> cut(StorageFile& file, std::uint64_t size) {
  if (auto done = file.truncate(size); !done) return done;
  return file.sync();
}

/// Gives every kept record a timestamp; a zero is one that a crash took.
Expected<std::size_t> complete_timestamps(StorageFile& file, ByteSpan ts, std::size_t keep,
                                          UnixNanos now) {
  Bytes rewritten;
  std::size_t filled = 0;
  for (std::size_t i = 0; i < keep; ++i) {
    const std::size_t at = i * kTimestampBytes;
    const bool there =
        at + kTimestampBytes <= ts.size() && load_le<std::uint64_t>(ts.data() + at) != 0;
    if (there) continue;
    if (rewritten.empty()) {
      rewritten.resize(keep * kTimestampBytes);
      const ByteSpan known = ts.first(std::min(ts.size(), rewritten.size()));
      std::copy(known.begin(), known.end(), rewritten.begin());
    }
    store_le(rewritten.data() + at, static_cast<std::uint64_t>(now));
    ++filled;
  }
  if (filled > 0) {
    if (auto done = file.write_at(0, rewritten); !done) return pass_on(done);
    if (auto done = file.sync(); !done) return pass_on(done);
  }
  if (ts.size() > keep * kTimestampBytes) {
    if (auto done = file.truncate(keep * kTimestampBytes); !done) return pass_on(done);
  }
  return filled;
}

/// Copies what is sound into a new generation and makes it the live one.
Expected<std::shared_ptr<Generation>> leave_out_damage(Storage& storage,
                                                       const std::string& directory,
                                                       const Generation& damaged,
                                                       const Analysis& analysis) {
  if (damaged.number() == std::numeric_limits<std::uint32_t>::max())
    return fail(io_error("generation numbers are used up"));
  const std::uint32_t next = damaged.number() + 1;
  const std::string path = directory + "/" + generation_name(next);
  if (auto made = storage.create_directories(path); !made) return pass_on(made);
  auto files = Generation::open_files(storage, path, OpenMode::kCreateEmpty);
  if (!files) return pass_on(files);
  auto generation = Generation::open(next, std::move(*files), 0, 0);
  if (!generation) return generation;
  std::size_t from = 0;
  for (const std::size_t bad : analysis.damaged) {
    if (auto copied = (*generation)->copy(damaged.reader(), from, bad); !copied)
      return pass_on(copied);
    from = bad + 1;
  }
  if (auto copied = (*generation)->copy(damaged.reader(), from, analysis.keep); !copied)
    return pass_on(copied);
  if (auto synced = (*generation)->sync(); !synced) return pass_on(synced);
  if (auto synced = storage.sync_directory(path); !synced) return pass_on(synced);
  if (auto written = write_manifest(storage, directory, next); !written) return pass_on(written);
  return generation;
}

void remove_leftovers(Storage& storage, const std::string& directory, std::uint32_t live) {
  // None of this matters for what the log holds; what cannot be removed stays.
  auto entries = storage.list(directory);
  if (!entries) return;
  for (const std::uint32_t number : generations_in(*entries)) {
    if (number != live) (void)remove_generation(storage, directory, number);
  }
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name == "manifest.tmp" && entry.regular_file)
      (void)storage.remove_file(directory + "/" + entry.name);
  }
}

}  // namespace

Expected<void> write_manifest(Storage& storage, const std::string& directory,
                              std::uint32_t generation) {
  const std::string temporary = directory + "/manifest.tmp";
  {
    auto file = storage.open(temporary, OpenMode::kCreateEmpty);
    if (!file) return pass_on(file);
    if (auto done = (*file)->write_at(0, encode_manifest(generation)); !done) return done;
    if (auto done = (*file)->sync(); !done) return done;
  }
  // The names inside the generation are durable; its own name has to be before it is pointed at.
  if (auto done = storage.sync_directory(directory); !done) return done;
  if (auto done = storage.rename(temporary, directory + "/manifest"); !done) return done;
  // The rename has happened: whether it is durable yet changes nothing for those who read now.
  (void)storage.sync_directory(directory);
  return {};
}

Expected<void> remove_generation(Storage& storage, const std::string& directory,
                                 std::uint32_t generation) {
  const std::string path = directory + "/" + generation_name(generation);
  auto entries = storage.list(path);
  if (!entries) return pass_on(entries);
  if (contents_of(*entries).others) return {};  // a channel of that name, say
  for (const char* name : kFileNames) {
    if (auto done = storage.remove_file(path + "/" + name); !done) return done;
  }
  return storage.remove_directory(path);
}

Expected<std::uint32_t> find_live_generation(Storage& storage, const std::string& directory,
                                             bool& manifest_valid) {
  manifest_valid = false;
  auto entries = storage.list(directory);
  if (!entries) return pass_on(entries);
  const std::vector<std::uint32_t> present = generations_in(*entries);
  if (const auto named = read_manifest(storage, directory)) {
    if (std::find(present.begin(), present.end(), *named) != present.end()) {
      auto complete = is_complete(storage, directory, *named);
      if (!complete) return pass_on(complete);
      manifest_valid = *complete;
      if (*complete) return *named;
    }
  }
  for (const std::uint32_t number : present) {
    auto complete = is_complete(storage, directory, number);
    if (!complete) return pass_on(complete);
    if (*complete) return number;
  }
  return 0u;
}

Expected<bool> has_flat_layout(Storage& storage, const std::string& directory) {
  auto entries = storage.list(directory);
  if (!entries) return pass_on(entries);
  return contents_of(*entries).any;
}

Expected<RecoveredLog> recover(Storage& storage, const std::string& directory, UnixNanos now,
                               const AnalysisProgress& progress) {
  RecoveredLog out;
  bool manifest_valid = false;
  auto live = find_live_generation(storage, directory, manifest_valid);
  if (!live) return pass_on(live);
  if (*live == 0) {
    auto flat = has_flat_layout(storage, directory);
    if (!flat) return pass_on(flat);
    out.report.migrated = *flat;
    out.report.created = !*flat;
    *live = 1;
    auto made = *flat ? migrate_flat_layout(storage, directory)
                      : create_generation(storage, directory, 1, OpenMode::kReadWrite);
    if (!made) return pass_on(made);
  }
  if (!manifest_valid) {
    out.report.manifest_rewritten = !out.report.created && !out.report.migrated;
    auto written = write_manifest(storage, directory, *live);
    if (!written) return pass_on(written);
  }

  auto files = Generation::open_files(storage, directory + "/" + generation_name(*live),
                                      OpenMode::kReadWrite);
  if (!files) return pass_on(files);
  auto mapped = MappedFiles::map(*files);
  if (!mapped) return pass_on(mapped);
  const auto [idx, dat, ts] = mapped->bytes;
  const Analysis analysis = analyze(idx, dat, ts, progress);
  out.report.analysis = analysis;
  out.next_seq = analysis.next_seq;

  // Cut idx before dat: a record must never point at what is gone.
  if (analysis.keep * kRecordBytes != idx.size()) {
    if (auto done = cut(*files->idx, analysis.keep * kRecordBytes); !done) return pass_on(done);
  }
  if (analysis.dat_end < dat.size()) {
    out.report.cut_dat_bytes = dat.size() - analysis.dat_end;
    if (auto done = cut(*files->dat, analysis.dat_end); !done) return pass_on(done);
  }
  auto filled = complete_timestamps(*files->ts, ts, analysis.keep, now);
  if (!filled) return pass_on(filled);
  out.report.filled_timestamps = *filled;

  auto generation = Generation::open(*live, std::move(*files), analysis.keep, analysis.dat_end);
  if (!generation) return pass_on(generation);
  out.generation = std::move(*generation);
  if (!analysis.damaged.empty()) {
    auto sound = leave_out_damage(storage, directory, *out.generation, analysis);
    if (!sound) return pass_on(sound);
    out.generation = std::move(*sound);
    out.report.compacted = true;
  }
  remove_leftovers(storage, directory, out.generation->number());
  return out;
}

}  // namespace netmesh::redex
