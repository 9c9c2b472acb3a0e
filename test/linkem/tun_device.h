#pragma once
// A TUN device: whole IP packets, read and written one by one.

#include <cstddef>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace netmesh::linkem {

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_ = -1;
};

/// A TUN device in a network namespace. It is created here and vanishes with this object.
class TunDevice {
 public:
  /// `netns` is a name of `ip netns`, or empty for the namespace of the process. `mtu` is that of
  /// the device, `queue_packets` how many packets of the kernel may wait to be read.
  static Expected<TunDevice> create(const std::string& netns, const std::string& name,
                                    std::size_t mtu, std::size_t queue_packets);

  int fd() const { return fd_.get(); }

  /// Reads one packet into `buffer` and yields its size; 0 when none is there.
  std::size_t read(MutableByteSpan buffer);
  /// Hands one packet to the kernel. False when it does not take it, as when the device is not up.
  bool write(ByteSpan packet);

 private:
  explicit TunDevice(Descriptor fd) : fd_(std::move(fd)) {}

  Descriptor fd_;
};

}  // namespace netmesh::linkem
