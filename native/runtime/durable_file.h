#pragma once
// Small files that must survive crashes: locked against other processes, synced, replaced as a
// whole.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace netmesh::runtime {

/// A file that one process at a time has open. Errors are kFatal with the system's text.
class DurableFile {
 public:
  /// Opens or creates, and locks. Fails with `in use by another process` when it is locked.
  static Expected<DurableFile> open(const std::string& path);
  ~DurableFile();
  DurableFile(DurableFile&& other) noexcept;
  DurableFile& operator=(DurableFile&& other) noexcept;

  std::uint64_t size() const { return size_; }
  Expected<Bytes> read(std::uint64_t offset, std::size_t length) const;
  /// Appends, and with `sync` waits until the bytes are on the disk. After a failure the file is as
  /// before.
  Expected<void> append(std::span<const ByteSpan> parts, bool sync = true);
  Expected<void> truncate(std::uint64_t size);
  /// Puts `content` in the place of all there was; after a crash the file is the old or the new
  /// one.
  Expected<void> replace(ByteSpan content);

 private:
  DurableFile(std::string path, int descriptor, std::uint64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// All of a file; nothing when there is none. Fails when it is longer than `limit`.
Expected<std::optional<Bytes>> read_small_file(const std::string& path, std::size_t limit);
/// Writes a file beside `path`, syncs it and renames it over: others see all of it or none.
Expected<void> write_file_atomically(const std::string& path, ByteSpan content,
                                     const std::string& unique_suffix);

}  // namespace netmesh::runtime
