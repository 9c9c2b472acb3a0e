// The real file system.

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "redex/errors.h"
#include "redex/storage.h"

namespace netmesh::redex {
namespace {

constexpr mode_t kDirectoryMode = 0777;  // less the process's umask
constexpr mode_t kFileMode = 0666;

std::string text_of(int code) {
  char buffer[256];
  // The GNU and the XSI variant differ in what they return.
  const auto result = strerror_r(code, buffer, sizeof(buffer));
  if constexpr (std::is_same_v<decltype(result), char* const>) {
    return result;
  } else {
    return buffer;
  }
}

tl::unexpected<Error> fail_with(int code, const std::string& path) {
  return fail(io_error(text_of(code) + ": " + path));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

int open_retrying(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

class PosixMapping final : public Mapping {
 public:
  PosixMapping(std::byte* data, std::size_t capacity) : Mapping(data, capacity) {}
  ~PosixMapping() override { ::munmap(data_, capacity_); }
  void prefault(std::size_t from, std::size_t to) const override {
#if defined(MADV_POPULATE_WRITE)
    constexpr std::size_t kPage = 4096;
    constexpr std::size_t kHugePage = 2 * 1024 * 1024;
    to = std::min(to, capacity_);
    if (from >= to) return;
    from = from / kPage * kPage;
#if defined(MADV_HUGEPAGE)
    // One fault for 2 MiB instead of 512, where the file system can.
    const std::size_t huge_from = from / kHugePage * kHugePage;
    const std::size_t huge_to = to / kHugePage * kHugePage;
    if (huge_from < huge_to) ::madvise(data_ + huge_from, huge_to - huge_from, MADV_HUGEPAGE);
#endif
    ::madvise(data_ + from, to - from, MADV_POPULATE_WRITE);
#else
    (void)from;
    (void)to;
#endif
  }
};

class PosixFile final : public StorageFile {
 public:
  PosixFile(Descriptor fd, std::string path, bool writable)
      : fd_(std::move(fd)), path_(std::move(path)), writable_(writable) {}

  Expected<std::uint64_t> size() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return fail_with(errno, path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Expected<void> write_at(std::uint64_t offset, ByteSpan bytes) override {
    if (auto allowed = check_limit(offset + bytes.size()); !allowed) return allowed;
    while (!bytes.empty()) {
      const ssize_t written =
          ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail_with(errno, path_);
      if (written == 0) return fail_with(ENOSPC, path_);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    return {};
  }

  Expected<void> truncate(std::uint64_t size) override {
    if (auto allowed = check_limit(size); !allowed) return allowed;
    int result = 0;
    do {
      result = ::ftruncate(fd_.get(), static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    if (result != 0) return fail_with(errno, path_);
    return {};
  }

  Expected<void> reserve(std::uint64_t size) override {
    if (auto allowed = check_limit(size); !allowed) return allowed;
#if defined(__linux__)
    const auto present = this->size();
    if (!present) return tl::unexpected<Error>(present.error());
    if (size <= *present) return {};
    int result = 0;
    do {
      result = ::fallocate(fd_.get(), 0, static_cast<off_t>(*present),
                           static_cast<off_t>(size - *present));
    } while (result != 0 && errno == EINTR);
    if (result != 0) return fail_with(errno, path_);
    return {};
#else
    return fail_with(ENOTSUP, path_);
#endif
  }

  Expected<void> sync() override {
    int result = 0;
    do {
#if defined(__linux__)
      result = ::fdatasync(fd_.get());
#elif defined(F_FULLFSYNC)
      result = ::fcntl(fd_.get(), F_FULLFSYNC);
#else
      result = ::fsync(fd_.get());
#endif
    } while (result != 0 && errno == EINTR);
    if (result != 0) return fail_with(errno, path_);
    return {};
  }

  Expected<std::shared_ptr<Mapping>> map(std::size_t capacity) override {
    void* data = ::mmap(nullptr, capacity, writable_ ? PROT_READ | PROT_WRITE : PROT_READ,
                        MAP_SHARED, fd_.get(), 0);
    if (data == MAP_FAILED) return fail_with(errno, path_);
    return std::make_shared<PosixMapping>(static_cast<std::byte*>(data), capacity);
  }

 private:
  /// Growing beyond the process's limit would raise SIGXFSZ, whose default ends the process.
  Expected<void> check_limit(std::uint64_t size) const {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        size <= limit.rlim_cur)
      return {};
    return fail_with(EFBIG, path_);
  }

  const Descriptor fd_;
  const std::string path_;
  const bool writable_;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;
};

class PosixStorage final : public Storage {
 public:
  Expected<void> create_directories(const std::string& path) override {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end);
      if (::mkdir(part.c_str(), kDirectoryMode) != 0) {
        const int code = errno;
        struct stat status {};
        const bool there = ::stat(part.c_str(), &status) == 0;
        if (!there) return fail_with(code, part);
        if (!S_ISDIR(status.st_mode)) return fail_with(ENOTDIR, part);
      }
      if (end == std::string::npos) return {};
    }
  }

  Expected<std::string> canonical(const std::string& path) override {
    char* resolved = ::realpath(path.c_str(), nullptr);
    if (resolved == nullptr) return fail_with(errno, path);
    std::string out = resolved;
    std::free(resolved);
    return out;
  }

  Expected<std::unique_ptr<DirectoryLock>> lock(const std::string& directory) override {
    Descriptor fd(open_retrying(directory, O_RDONLY | O_DIRECTORY));
    if (fd.get() < 0) return fail_with(errno, directory);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        return fail({ErrorKind::kRedexInUse, "channel error: " + directory +
                                                 " is in use by another process (a log has one "
                                                 "writer)"});
      }
      // Some network file systems lock no directories: there it is for the user to have one writer.
      if (errno != ENOTSUP && errno != EBADF && errno != EINVAL && errno != ENOLCK)
        return fail_with(errno, directory);
    }
    return std::make_unique<PosixLock>(std::move(fd));
  }

  Expected<std::vector<DirectoryEntry>> list(const std::string& directory) override {
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) return fail_with(errno, directory);
    std::vector<DirectoryEntry> entries;
    int code = 0;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(dir);
      if (entry == nullptr) {
        code = errno;
        break;
      }
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat status {};
      if (::lstat((directory + "/" + name).c_str(), &status) != 0) continue;  // gone meanwhile
      entries.push_back({name, S_ISDIR(status.st_mode), S_ISREG(status.st_mode)});
    }
    ::closedir(dir);
    if (code != 0) return fail_with(code, directory);
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  Expected<std::unique_ptr<StorageFile>> open(const std::string& path, OpenMode mode) override {
    const int flags = mode == OpenMode::kRead        ? O_RDONLY
                      : mode == OpenMode::kReadWrite ? O_RDWR | O_CREAT
                                                     : O_RDWR | O_CREAT | O_TRUNC;
    Descriptor fd(open_retrying(path, flags | O_NOFOLLOW));
    if (fd.get() < 0) return fail_with(errno, path);
    return std::make_unique<PosixFile>(std::move(fd), path, mode != OpenMode::kRead);
  }

  Expected<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return fail_with(errno, from);
    return {};
  }

  Expected<void> remove_file(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_with(errno, path);
    return {};
  }

  Expected<void> remove_directory(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return fail_with(errno, path);
    return {};
  }

  Expected<void> sync_directory(const std::string& path) override {
    const Descriptor fd(open_retrying(path, O_RDONLY | O_DIRECTORY));
    if (fd.get() < 0) return fail_with(errno, path);
    if (::fsync(fd.get()) != 0) return fail_with(errno, path);
    return {};
  }
};

}  // namespace

std::shared_ptr<Storage> Storage::posix() {
  static const auto storage = std::make_shared<PosixStorage>();
  return storage;
}

}  // namespace netmesh::redex
