#include "linkem/tun_device.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace netmesh::linkem {
namespace {

tl::unexpected<Error> system_error(const std::string& what) {
  return fail(ErrorKind::kConnection, what + ": " + std::strerror(errno));
}

/// Moves this thread into a network namespace for as long as it lives.
class NamespaceVisit {
 public:
  static Expected<NamespaceVisit> enter(const std::string& name) {
    NamespaceVisit visit;
    if (name.empty()) return visit;
    const std::string path = "/run/netns/" + name;
    const Descriptor there(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!there) return system_error(path);
    visit.home_ = Descriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!visit.home_) return system_error("/proc/thread-self/ns/net");
    if (::setns(there.get(), CLONE_NEWNET) != 0) {
      visit.home_ = Descriptor();
      return system_error("cannot enter the network namespace " + name);
    }
    return visit;
  }
  NamespaceVisit(NamespaceVisit&&) = default;
  NamespaceVisit& operator=(NamespaceVisit&&) = delete;
  ~NamespaceVisit() {
    // Cannot fail: the descriptor is that of a namespace that this thread was in.
    if (home_) (void)::setns(home_.get(), CLONE_NEWNET);
  }

 private:
  NamespaceVisit() = default;
  Descriptor home_;
};

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Expected<TunDevice> TunDevice::create(const std::string& netns, const std::string& name,
                                      std::size_t mtu, std::size_t queue_packets) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return fail(ErrorKind::kInvalidArgument,
                "a device name has 1 to 15 characters, not \"" + name + "\"");
  }
  const auto visit = NamespaceVisit::enter(netns);
  if (!visit) return tl::unexpected(visit.error());

  Descriptor fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return system_error("/dev/net/tun");
  ifreq request = request_for(name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    return system_error("cannot create the device " + name);
  }
  // Device settings go through any socket of the namespace.
  const Descriptor control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control) return system_error("socket");
  request = request_for(name);
  request.ifr_mtu = static_cast<int>(mtu);
  if (::ioctl(control.get(), SIOCSIFMTU, &request) != 0) {
    return system_error("cannot set the MTU of " + name);
  }
  request = request_for(name);
  request.ifr_qlen = static_cast<int>(queue_packets);
  if (::ioctl(control.get(), SIOCSIFTXQLEN, &request) != 0) {
    return system_error("cannot set the queue of " + name);
  }
  return TunDevice(std::move(fd));
}

std::size_t TunDevice::read(MutableByteSpan buffer) {
  const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

bool TunDevice::write(ByteSpan packet) {
  return ::write(fd_.get(), packet.data(), packet.size()) == static_cast<ssize_t>(packet.size());
}

}  // namespace netmesh::linkem
