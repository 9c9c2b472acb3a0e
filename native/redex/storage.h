#pragma once
// The disk as logs use it, behind an interface, so that tests can have one that fails.

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace netmesh::redex {

/// A stretch of a file in memory, from its beginning. What lies beyond the file's end must not be
/// touched. Stays valid when the file is closed or removed.
class Mapping {
 public:
  virtual ~Mapping() = default;
  std::byte* data() const { return data_; }
  std::size_t capacity() const { return capacity_; }
  /// Makes the pages of `[from, to)` ready to be written to, large ones where there are such. A
  /// hint; any thread.
  virtual void prefault(std::size_t from, std::size_t to) const = 0;

 protected:
  Mapping(std::byte* data, std::size_t capacity) : data_(data), capacity_(capacity) {}
  std::byte* const data_;
  const std::size_t capacity_;
};

/// An open file. Writing and mapping see the same bytes. `sync` is for any thread, the rest for one
/// at a time.
class StorageFile {
 public:
  virtual ~StorageFile() = default;
  virtual Expected<std::uint64_t> size() = 0;
  /// May have written a part when it fails.
  virtual Expected<void> write_at(std::uint64_t offset, ByteSpan bytes) = 0;
  /// Shorter, or longer with zeros that take no space yet.
  virtual Expected<void> truncate(std::uint64_t size) = 0;
  /// Makes the file `size` long with zeros that have their space: writing to them through a mapping
  /// cannot fail. Not every file system can.
  virtual Expected<void> reserve(std::uint64_t size) = 0;
  /// Makes the contents durable, also what was written through mappings.
  virtual Expected<void> sync() = 0;
  /// At least up to the present size; `capacity` is what it should have room for.
  virtual Expected<std::shared_ptr<Mapping>> map(std::size_t capacity) = 0;
};

struct DirectoryEntry {
  std::string name;
  bool directory = false;
  bool regular_file = false;
};

/// Holds a directory against other processes until it goes.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

enum class OpenMode { kRead, kReadWrite, kCreateEmpty };

/// Failures are `kRedexIo` with the operating system's text; a lock that another process has is
/// `kRedexInUse`. Any thread.
class Storage {
 public:
  virtual ~Storage() = default;
  /// The real file system.
  static std::shared_ptr<Storage> posix();

  virtual Expected<void> create_directories(const std::string& path) = 0;
  /// One name for one directory.
  virtual Expected<std::string> canonical(const std::string& path) = 0;
  virtual Expected<std::unique_ptr<DirectoryLock>> lock(const std::string& directory) = 0;
  virtual Expected<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;
  virtual Expected<std::unique_ptr<StorageFile>> open(const std::string& path, OpenMode mode) = 0;
  virtual Expected<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Expected<void> remove_file(const std::string& path) = 0;
  virtual Expected<void> remove_directory(const std::string& path) = 0;
  /// Makes names in the directory durable.
  virtual Expected<void> sync_directory(const std::string& path) = 0;
};

}  // namespace netmesh::redex
