#include "redex/sim_storage_testing.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "redex/errors.h"

namespace netmesh::redex::testing {
namespace {

class SimMapping final : public Mapping {
 public:
  explicit SimMapping(std::shared_ptr<std::byte[]> bytes)
      : Mapping(bytes.get(), SimDisk::kFileBytes), bytes_(std::move(bytes)) {}
  void prefault(std::size_t, std::size_t) const override {}

 private:
  const std::shared_ptr<std::byte[]> bytes_;
};

}  // namespace

class SimFile final : public StorageFile {
 public:
  SimFile(std::shared_ptr<SimDisk> disk, std::shared_ptr<SimDisk::Inode> inode)
      : disk_(std::move(disk)), inode_(std::move(inode)) {}

  Expected<std::uint64_t> size() override { return inode_->size; }

  Expected<void> write_at(std::uint64_t offset, ByteSpan bytes) override {
    const auto at = static_cast<std::size_t>(offset);
    if (at + bytes.size() > SimDisk::kFileBytes) return fail(io_error("File too large"));
    const bool grows = at + bytes.size() > inode_->size;
    if (!disk_->power()) {
      if (disk_->operations_ == disk_->fail_at_)
        put(at, bytes.first(disk_->random_() % (bytes.size() + 1)));
      return SimDisk::no_power();
    }
    if (disk_->full_ && grows) {
      // As much as fits.
      put(at, bytes.first(disk_->random_() % (bytes.size() + 1)));
      return fail(io_error("No space left on device"));
    }
    put(at, bytes);
    return {};
  }

  Expected<void> truncate(std::uint64_t size) override {
    if (!disk_->power()) return SimDisk::no_power();
    resize(static_cast<std::size_t>(size));
    return {};
  }

  Expected<void> reserve(std::uint64_t size) override {
    if (!disk_->power()) return SimDisk::no_power();
    if (disk_->full_) return fail(io_error("No space left on device"));
    if (size > SimDisk::kFileBytes) return fail(io_error("File too large"));
    if (size > inode_->size) resize(static_cast<std::size_t>(size));
    return {};
  }

  Expected<void> sync() override {
    if (!disk_->power()) return SimDisk::no_power();
    std::memcpy(inode_->durable.get(), inode_->bytes.get(), inode_->high);
    inode_->durable_size = inode_->size;
    return {};
  }

  Expected<std::shared_ptr<Mapping>> map(std::size_t) override {
    return std::make_shared<SimMapping>(inode_->bytes);
  }

 private:
  void put(std::size_t at, ByteSpan bytes) {
    if (bytes.empty()) return;
    std::memcpy(inode_->bytes.get() + at, bytes.data(), bytes.size());
    inode_->size = std::max(inode_->size, at + bytes.size());
    inode_->high = std::max(inode_->high, inode_->size);
  }
  void resize(std::size_t size) {
    if (size < inode_->size) std::memset(inode_->bytes.get() + size, 0, inode_->size - size);
    inode_->size = size;
    inode_->high = std::max(inode_->high, size);
  }

  const std::shared_ptr<SimDisk> disk_;
  const std::shared_ptr<SimDisk::Inode> inode_;
};

/// Zeros that cost nothing until they are written to.
std::shared_ptr<std::byte[]> zeros() {
  auto* const bytes = static_cast<std::byte*>(std::calloc(SimDisk::kFileBytes, 1));
  if (bytes == nullptr) throw std::bad_alloc();
  return {bytes, [](std::byte* gone) { std::free(gone); }};
}

SimDisk::Inode::Inode() : bytes(zeros()), durable(zeros()) {}

bool SimDisk::power() {
  ++operations_;
  failed_ = failed_ || operations_ >= fail_at_;
  return !failed_;
}

tl::unexpected<Error> SimDisk::no_power() { return fail(io_error("Input/output error")); }

Expected<void> SimDisk::create_directories(const std::string& path) {
  if (names_.count(path) > 0) return {};
  if (!power()) return no_power();
  names_[path] = nullptr;
  history_.push_back(names_);
  return {};
}

Expected<std::unique_ptr<DirectoryLock>> SimDisk::lock(const std::string&) {
  return std::make_unique<DirectoryLock>();
}

Expected<std::vector<DirectoryEntry>> SimDisk::list(const std::string& directory) {
  std::vector<DirectoryEntry> entries;
  const std::string prefix = directory + "/";
  for (const auto& [name, inode] : names_) {
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    const std::string rest = name.substr(prefix.size());
    if (rest.find('/') == std::string::npos) entries.push_back({rest, !inode, inode != nullptr});
  }
  return entries;
}

Expected<std::unique_ptr<StorageFile>> SimDisk::open(const std::string& path, OpenMode mode) {
  auto at = names_.find(path);
  if (at == names_.end()) {
    if (mode == OpenMode::kRead) return fail(io_error("No such file or directory"));
    if (!power()) return no_power();
    if (full_) return fail(io_error("No space left on device"));
    at = names_.emplace(path, std::make_shared<Inode>()).first;
    history_.push_back(names_);
  } else if (mode == OpenMode::kCreateEmpty) {
    if (!power()) return no_power();
    std::memset(at->second->bytes.get(), 0, at->second->size);
    at->second->size = 0;
  }
  return std::make_unique<SimFile>(shared_from_this(), at->second);
}

Expected<void> SimDisk::rename(const std::string& from, const std::string& to) {
  if (!power()) return no_power();
  const auto at = names_.find(from);
  if (at == names_.end()) return fail(io_error("No such file or directory"));
  names_[to] = at->second;
  names_.erase(from);
  history_.push_back(names_);
  return {};
}

Expected<void> SimDisk::remove_file(const std::string& path) {
  if (!power()) return no_power();
  names_.erase(path);
  history_.push_back(names_);
  return {};
}

Expected<void> SimDisk::remove_directory(const std::string& path) { return remove_file(path); }

Expected<void> SimDisk::sync_directory(const std::string&) {
  if (!power()) return no_power();
  history_ = {names_};
  return {};
}

std::shared_ptr<SimDisk> SimDisk::restart(std::uint64_t seed) {
  auto next = std::make_shared<SimDisk>(seed);
  std::mt19937_64& random = next->random_;
  for (const auto& [name, inode] : history_[random() % history_.size()]) {
    if (!inode) {
      next->names_[name] = nullptr;
      continue;
    }
    auto found = std::make_shared<Inode>();
    const std::size_t low = std::min(inode->durable_size, inode->size);
    const std::size_t high = std::max(inode->durable_size, inode->size);
    const auto pick = random() % 3;
    found->size = pick == 0 ? low : pick == 1 ? high : low + random() % (high - low + 1);
    // All old, all new, or any mixture.
    const auto share = random() % 5;
    for (std::size_t at = 0; at < found->size; at += kSectorBytes) {
      const bool current = random() % 4 < share;
      const std::size_t count = std::min(kSectorBytes, found->size - at);
      std::memcpy(found->bytes.get() + at, (current ? inode->bytes : inode->durable).get() + at,
                  count);
    }
    std::memcpy(found->durable.get(), found->bytes.get(), found->size);
    found->high = found->size;
    found->durable_size = found->size;
    next->names_[name] = std::move(found);
  }
  next->history_ = {next->names_};
  return next;
}

}  // namespace netmesh::redex::testing
