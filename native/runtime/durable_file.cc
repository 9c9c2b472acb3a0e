#include "runtime/durable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace netmesh::runtime {
namespace {

constexpr mode_t kPrivate = 0600;

tl::unexpected<Error> system_failure(int error = errno) {
  return fail(ErrorKind::kFatal, std::generic_category().message(error));
}

/// A descriptor that is closed when it is not handed on.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

int open_retrying(const std::string& path, int flags) {
  int descriptor = 0;
  do descriptor = ::open(path.c_str(), flags | O_CLOEXEC, kPrivate);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

Expected<void> write_all(int descriptor, ByteSpan bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_failure();
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

Expected<Bytes> read_exactly(int descriptor, std::uint64_t offset, std::size_t length) {
  Bytes out(length);
  std::size_t at = 0;
  while (at < length) {
    const ssize_t count =
        ::pread(descriptor, out.data() + at, length - at, static_cast<off_t>(offset + at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure();
    if (count == 0) break;
    at += static_cast<std::size_t>(count);
  }
  out.resize(at);
  return out;
}

/// A rename is on the disk once its folder is.
void sync_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor descriptor(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (descriptor.get() >= 0) ::fsync(descriptor.get());
}

/// Whether the path still leads to the file that is open: whoever replaced it holds the new one.
bool is_current(const std::string& path, int descriptor) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

}  // namespace

Expected<DurableFile> DurableFile::open(const std::string& path) {
  for (;;) {
    Descriptor descriptor(open_retrying(path, O_RDWR | O_CREAT));
    if (descriptor.get() < 0) return system_failure();
    if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return fail(ErrorKind::kFatal, "in use by another process");
      return system_failure();
    }
    if (!is_current(path, descriptor.get())) continue;
    struct stat status {};
    if (::fstat(descriptor.get(), &status) != 0) return system_failure();
    return DurableFile(path, descriptor.release(), static_cast<std::uint64_t>(status.st_size));
  }
}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

DurableFile::DurableFile(DurableFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

DurableFile& DurableFile::operator=(DurableFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

Expected<Bytes> DurableFile::read(std::uint64_t offset, std::size_t length) const {
  return read_exactly(descriptor_, offset, length);
}

Expected<void> DurableFile::append(std::span<const ByteSpan> parts, bool sync) {
  std::uint64_t end = size_;
  for (const ByteSpan part : parts) {
    if (auto written = write_all(descriptor_, part, end); !written) {
      // What is there of it must not be taken for something later.
      if (::ftruncate(descriptor_, static_cast<off_t>(size_)) != 0) return system_failure();
      return written;
    }
    end += part.size();
  }
  if (sync && ::fdatasync(descriptor_) != 0) {
    const int error = errno;
    if (::ftruncate(descriptor_, static_cast<off_t>(size_)) != 0) return system_failure();
    return system_failure(error);
  }
  size_ = end;
  return {};
}

Expected<void> DurableFile::truncate(std::uint64_t size) {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return system_failure();
  size_ = size;
  return {};
}

Expected<void> DurableFile::replace(ByteSpan content) {
  const std::string temporary = path_ + '.' + std::to_string(::getpid()) + ".tmp";
  Descriptor next(open_retrying(temporary, O_RDWR | O_CREAT | O_TRUNC));
  if (next.get() < 0) return system_failure();
  const auto discard = [&](tl::unexpected<Error> error) -> Expected<void> {
    ::unlink(temporary.c_str());
    return error;
  };
  // Locked before anyone can find it.
  if (::flock(next.get(), LOCK_EX | LOCK_NB) != 0) return discard(system_failure());
  if (auto written = write_all(next.get(), content, 0); !written)
    return discard(tl::unexpected<Error>(written.error()));
  if (::fsync(next.get()) != 0) return discard(system_failure());
  if (::rename(temporary.c_str(), path_.c_str()) != 0) return discard(system_failure());
  sync_folder(path_);
  ::close(std::exchange(descriptor_, next.release()));
  size_ = content.size();
  return {};
}

Expected<std::optional<Bytes>> read_small_file(const std::string& path, std::size_t limit) {
  const Descriptor descriptor(open_retrying(path, O_RDONLY));
  if (descriptor.get() < 0) {
    if (errno == ENOENT) return std::optional<Bytes>();
    return system_failure();
  }
  auto bytes = read_exactly(descriptor.get(), 0, limit + 1);
  if (!bytes) return tl::unexpected<Error>(bytes.error());
  return std::optional<Bytes>(std::move(*bytes));
}

Expected<void> write_file_atomically(const std::string& path, ByteSpan content,
                                     const std::string& unique_suffix) {
  const std::string temporary = path + unique_suffix;
  const Descriptor descriptor(open_retrying(temporary, O_WRONLY | O_CREAT | O_EXCL));
  if (descriptor.get() < 0) return system_failure();
  auto written = write_all(descriptor.get(), content, 0);
  if (written && ::fsync(descriptor.get()) != 0) written = system_failure();
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = system_failure();
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  sync_folder(path);
  return {};
}

}  // namespace netmesh::runtime
