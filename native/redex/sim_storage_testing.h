#pragma once
// A disk that loses power.

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "redex/storage.h"

namespace netmesh::redex::testing {

/// A file system in memory that knows what is durable. After `fail_at` operations the power is
/// gone: the one under way may have happened in part, and every later one fails. `restart` gives
/// the disk that is found afterwards: of what was not synced any sectors may be there, old or new,
/// in any combination, and file sizes in between; of names the changes up to some point.
class SimDisk final : public Storage, public std::enable_shared_from_this<SimDisk> {
 public:
  static constexpr std::size_t kSectorBytes = 64;
  static constexpr std::size_t kFileBytes = 512 * 1024;

  explicit SimDisk(std::uint64_t seed) : random_(seed) {}

  /// The power fails in the operation with this number, counted from now.
  void fail_at(std::uint64_t operation) { fail_at_ = operations_ + operation; }
  /// From now on operations that need space fail, as on a full disk.
  void fill(bool full) { full_ = full; }
  std::uint64_t operations() const { return operations_; }
  bool failed() const { return failed_; }
  std::shared_ptr<SimDisk> restart(std::uint64_t seed);

  Expected<void> create_directories(const std::string& path) override;
  Expected<std::string> canonical(const std::string& path) override { return path; }
  Expected<std::unique_ptr<DirectoryLock>> lock(const std::string& directory) override;
  Expected<std::vector<DirectoryEntry>> list(const std::string& directory) override;
  Expected<std::unique_ptr<StorageFile>> open(const std::string& path, OpenMode mode) override;
  Expected<void> rename(const std::string& from, const std::string& to) override;
  Expected<void> remove_file(const std::string& path) override;
  Expected<void> remove_directory(const std::string& path) override;
  Expected<void> sync_directory(const std::string& path) override;

 private:
  friend class SimFile;
  /// What a file holds, and what of it is on disk.
  struct Inode {
    Inode();
    std::shared_ptr<std::byte[]> bytes;
    std::shared_ptr<std::byte[]> durable;
    std::size_t size = 0;
    std::size_t durable_size = 0;
    std::size_t high = 0;  ///< nothing but zeros from here on, in both
  };
  /// Null stands for a directory.
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  /// Counts an operation; false when the power is gone, or goes now.
  bool power();
  static tl::unexpected<Error> no_power();

  std::mt19937_64 random_;
  std::uint64_t operations_ = 0;
  std::uint64_t fail_at_ = ~std::uint64_t{0};
  bool failed_ = false;
  bool full_ = false;
  Names names_;
  /// States of the names since the last sync of a directory, the durable one first.
  std::vector<Names> history_ = {{}};
};

}  // namespace netmesh::redex::testing
