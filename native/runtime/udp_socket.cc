#include "runtime/udp_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "runtime/socket_address.h"

// How the fast path works: DESIGN §1 "I/O"; the socket options are described in Linux'
// Documentation/networking/segmentation-offloads and udp(7).

namespace netmesh::runtime {
namespace {

/// Messages (runs or single datagrams) per sendmmsg call.
constexpr std::size_t kMaxMessages = 64;
/// The kernel's UDP_MAX_SEGMENTS before Linux 6.9.
constexpr std::size_t kMaxSegments = 64;
/// One segmented send is one IP packet inside the kernel: 65535 less the IPv4 and UDP headers.
constexpr std::size_t kMaxRunBytes = 65'507;
/// Every path of IPv6 carries this much, so a kernel that refuses such segments refuses all.
constexpr std::size_t kSmallSegmentBytes = 1232;

std::string os_error_text(int error) { return std::generic_category().message(error); }

/// Non-blocking, and not inherited by programs that the process starts; -1 on failure.
int open_descriptor(int family) {
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
  return ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
#else
  const int descriptor = ::socket(family, SOCK_DGRAM, IPPROTO_UDP);
  if (descriptor < 0) return -1;
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  return descriptor;
#endif
}

bool set_option(int descriptor, int level, int name, int value) {
  return ::setsockopt(descriptor, level, name, &value, sizeof(value)) == 0;
}

void set_kernel_buffers(int descriptor, std::uint32_t bytes) {
  const int value = static_cast<int>(std::min<std::uint32_t>(bytes, 1u << 30));
#if defined(SO_RCVBUFFORCE)
  const bool forced = set_option(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, value) &&
                      set_option(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, value);
  if (forced) return;
#endif
  // As much as the system's limit allows; less is slower, not wrong.
  set_option(descriptor, SOL_SOCKET, SO_RCVBUF, value);
  set_option(descriptor, SOL_SOCKET, SO_SNDBUF, value);
}

/// Whether routers may cut datagrams. Without leave, datagrams carry don't-fragment whatever path
/// MTU the kernel has learnt: sessions find the path MTU themselves (RFC 8899 §4.6.1).
void set_fragmentation(int descriptor, int family, bool allowed) {
#if defined(IP_MTU_DISCOVER) && defined(IP_PMTUDISC_PROBE)
  set_option(descriptor, IPPROTO_IP, IP_MTU_DISCOVER,
             allowed ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
#if defined(IPV6_MTU_DISCOVER) && defined(IPV6_PMTUDISC_PROBE)
  if (family == AF_INET6)
    set_option(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
               allowed ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE);
#endif
#endif
  static_cast<void>(descriptor);
  static_cast<void>(family);
  static_cast<void>(allowed);
}

/// How long each of the datagrams is that the kernel coalesced into one message of `bytes` bytes.
std::size_t segment_bytes_of([[maybe_unused]] msghdr& header, std::size_t bytes) {
  std::size_t segment_bytes = bytes;
#if defined(UDP_GRO)
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO) continue;
    int value = 0;
    std::memcpy(&value, CMSG_DATA(control), sizeof(value));
    if (value > 0) segment_bytes = std::min(bytes, static_cast<std::size_t>(value));
  }
#endif
  return segment_bytes;
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

/// Errors by which kernels refuse a segmented send: segments above the path's MTU, no checksum
/// offload on the way, or too many bytes.
bool refuses_segments(int error) {
  return error == EINVAL || error == EIO || error == EMSGSIZE || error == EOPNOTSUPP;
}

}  // namespace

struct UdpSocket::AtomicCounters {
  std::atomic<std::uint64_t> send_calls{0}, receive_calls{0}, send_blocked{0};
  std::atomic<std::uint64_t> dropped_too_big{0}, dropped_unreachable{0}, dropped_other{0};
  std::atomic<std::uint64_t> receive_errors{0}, receive_truncated{0};

  /// One writer per counter, so no locked instruction is needed.
  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t count = 1) {
    counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
};

/// The arguments of the system calls, prepared once.
struct UdpSocket::Calls {
#if defined(__linux__)
  using Message = mmsghdr;
  static msghdr& header(Message& message) { return message.msg_hdr; }
  static constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(int));
#else
  using Message = msghdr;
  static msghdr& header(Message& message) { return message; }
  static constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(int));
#endif

  struct Out {
    SocketAddress to;
    iovec bytes;
    alignas(cmsghdr) std::array<std::byte, kControlBytes> control;
    std::size_t end;  ///< index of the datagram after this message
    std::size_t segments;
    bool may_fragment;
  };
  struct In {
    SocketAddress from;
    iovec bytes;
    alignas(cmsghdr) std::array<std::byte, kControlBytes> control;
  };

  std::array<Message, kMaxMessages> out_messages{};
  std::array<Out, kMaxMessages> out{};
  std::vector<Message> in_messages;
  std::vector<In> in;

  struct Free {
    void operator()(std::byte* block) const { std::free(block); }
  };
  /// All receive slots; malloc'ed, so that pages come into being only when datagrams need them.
  std::unique_ptr<std::byte, Free> slots;
};

Expected<std::unique_ptr<UdpSocket>> UdpSocket::open(const UdpOptions& options) {
  const auto failed = [](const char* step, int error) {
    return fail(ErrorKind::kConnection, std::string(step) + " failed: " + os_error_text(error));
  };
  const int family = options.bind_to.family == Endpoint::Family::kIpv6 ? AF_INET6 : AF_INET;
  const int descriptor = open_descriptor(family);
  if (descriptor < 0) return failed("socket", errno);
  std::unique_ptr<UdpSocket> self(new UdpSocket(descriptor, family, options));
  if (family == AF_INET6) {
    // The wildcard serves both protocols, as the addresses of a mesh are mixed.
    set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, options.bind_to.is_unspecified() ? 0 : 1);
  }
  set_kernel_buffers(descriptor, options.kernel_buffer_bytes);
  set_fragmentation(descriptor, family, false);

  SocketAddress address;
  socklen_t length = to_socket_address(options.bind_to, family, address);
  // No SO_REUSEADDR: two nodes on one port would steal each other's datagrams without a word.
  if (::bind(descriptor, &address.any, length) != 0) return failed("bind", errno);
  length = sizeof(address);
  if (::getsockname(descriptor, &address.any, &length) != 0) return failed("bind", errno);
  self->local_ = from_socket_address(address);

  if (options.offload) self->detect_offload();
  return self;
}

UdpSocket::UdpSocket(int descriptor, int family, const UdpOptions& options)
    : descriptor_(descriptor),
      family_(family),
      receive_slot_bytes_(options.receive_slot_bytes),
      batch_calls_(options.batch_calls),
      calls_(std::make_unique<Calls>()),
      counters_(std::make_unique<AtomicCounters>()) {
  const std::size_t slots = std::max<std::size_t>(options.receive_slots, 1);
  calls_->slots.reset(static_cast<std::byte*>(std::malloc(slots * receive_slot_bytes_)));
  if (!calls_->slots) throw std::bad_alloc();
  calls_->in.resize(slots);
  calls_->in_messages.resize(slots);
  received_.reserve(slots);
  for (std::size_t i = 0; i < slots; ++i) {
    Calls::In& in = calls_->in[i];
    in.bytes = {calls_->slots.get() + i * receive_slot_bytes_, receive_slot_bytes_};
    msghdr& header = Calls::header(calls_->in_messages[i]);
    header = {};
    header.msg_name = &in.from;
    header.msg_iov = &in.bytes;
    header.msg_iovlen = 1;
    header.msg_control = in.control.data();
  }
}

UdpSocket::~UdpSocket() { close(); }

void UdpSocket::close() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  descriptor_ = -1;
}

void UdpSocket::detect_offload() {
#if defined(UDP_SEGMENT)
  // Zero means "no segmentation unless a message asks for it"; old kernels do not know the option.
  if (set_option(descriptor_, IPPROTO_UDP, UDP_SEGMENT, 0)) max_segment_bytes_ = kMaxRunBytes;
#endif
#if defined(UDP_GRO)
  receives_coalesced_ = set_option(descriptor_, IPPROTO_UDP, UDP_GRO, 1);
#endif
}

/// How many datagrams from `first` on fit into one segmented send.
std::size_t UdpSocket::run_length(const mesh::TransmitBatch& batch, std::size_t first) const {
  const auto& datagrams = batch.datagrams();
  const auto& head = datagrams[first];
  if (head.length == 0 || head.length > max_segment_bytes_ || head.may_fragment) return 1;
  const std::size_t limit =
      std::min({datagrams.size() - first, kMaxSegments, kMaxRunBytes / head.length});
  std::size_t count = 1;
  while (count < limit) {
    const auto& before = datagrams[first + count - 1];
    const auto& next = datagrams[first + count];
    const bool adjacent = next.offset == before.offset + before.length;
    if (!adjacent || next.length == 0 || next.length > head.length || next.to != head.to ||
        next.may_fragment) {
      break;
    }
    ++count;
    if (next.length < head.length) break;
  }
  return count;
}

/// Fills messages from datagram `first` on; returns how many.
std::size_t UdpSocket::prepare(mesh::TransmitBatch& batch, std::size_t first) {
  const auto& datagrams = batch.datagrams();
  const std::size_t most = batch_calls_ ? kMaxMessages : 1;
  std::size_t count = 0;
  while (count < most && first < datagrams.size()) {
    Calls::Out& out = calls_->out[count];
    const auto& head = datagrams[first];
    if (head.may_fragment && count > 0) break;  // sent by itself
    const socklen_t address_length = to_socket_address(head.to, family_, out.to);
    if (address_length == 0 || head.to.port == 0) {
      if (count > 0) break;  // what is prepared goes first, so that the result stays one index
      count_dropped(EAFNOSUPPORT, 1);
      ++first;
      continue;
    }
    out.segments = run_length(batch, first);
    out.end = first + out.segments;
    out.may_fragment = head.may_fragment;
    const auto& last = datagrams[out.end - 1];
    out.bytes = {batch.bytes_of(head).data(), last.offset + last.length - head.offset};

    msghdr& header = Calls::header(calls_->out_messages[count]);
    header = {};
    header.msg_name = &out.to;
    header.msg_namelen = address_length;
    header.msg_iov = &out.bytes;
    header.msg_iovlen = 1;
#if defined(UDP_SEGMENT)
    if (out.segments > 1) {
      header.msg_control = out.control.data();
      header.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
      cmsghdr* control = CMSG_FIRSTHDR(&header);
      control->cmsg_level = IPPROTO_UDP;
      control->cmsg_type = UDP_SEGMENT;
      control->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
      const auto segment_bytes = static_cast<std::uint16_t>(head.length);
      std::memcpy(CMSG_DATA(control), &segment_bytes, sizeof(segment_bytes));
    }
#endif
    first = out.end;
    ++count;
    if (out.may_fragment) break;
  }
  return count;
}

std::size_t UdpSocket::send(mesh::TransmitBatch& batch, std::size_t first) {
  const std::size_t total = batch.datagrams().size();
  if (descriptor_ < 0) {
    count_dropped(EBADF, total - first);
    return total;
  }
  while (first < total) {
    const std::size_t messages = prepare(batch, first);
    if (messages == 0) return total;  // none of the rest can be addressed
    AtomicCounters::add(counters_->send_calls);
    const bool may_fragment = calls_->out[0].may_fragment;
    if (may_fragment) set_fragmentation(descriptor_, family_, true);
    std::size_t sent = 0;
    int error = 0;
#if defined(__linux__)
    if (messages > 1) {
      const int result = ::sendmmsg(descriptor_, calls_->out_messages.data(),
                                    static_cast<unsigned>(messages), MSG_DONTWAIT);
      if (result < 0)
        error = errno;
      else
        sent = static_cast<std::size_t>(result);
    } else
#endif
        if (::sendmsg(descriptor_, &Calls::header(calls_->out_messages[0]), MSG_DONTWAIT) < 0) {
      error = errno;
    } else {
      sent = 1;
    }
    if (may_fragment) set_fragmentation(descriptor_, family_, false);
    if (sent > 0) {
      first = calls_->out[sent - 1].end;
      continue;
    }
    const std::size_t head = calls_->out[0].end - calls_->out[0].segments;
    if (error == EINTR) continue;
    if (calls_->out[0].segments > 1 && refuses_segments(error)) {
      // One datagram by itself tells a refused offload from a destination that takes nothing at
      // all.
      const int alone = send_alone(batch, head);
      if (alone == 0)
        refuse_segments(error, batch.datagrams()[head].length);
      else if (!would_block(alone))
        count_dropped(alone, 1);
      first = would_block(alone) ? head : head + 1;
      error = alone;
    } else if (!would_block(error)) {
      count_dropped(error, calls_->out[0].segments);
      first = calls_->out[0].end;
    }
    if (would_block(error)) {
      AtomicCounters::add(counters_->send_blocked);
      return head;
    }
  }
  return first;
}

int UdpSocket::send_alone(mesh::TransmitBatch& batch, std::size_t index) {
  const auto& datagram = batch.datagrams()[index];
  SocketAddress to;
  const socklen_t length = to_socket_address(datagram.to, family_, to);
  AtomicCounters::add(counters_->send_calls);
  while (::sendto(descriptor_, batch.bytes_of(datagram).data(), datagram.length, MSG_DONTWAIT,
                  &to.any, length) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/// The kernel refused a run but took its datagrams singly: asks for less from now on.
void UdpSocket::refuse_segments(int error, std::size_t segment_bytes) {
  const bool all = error == EIO || error == EOPNOTSUPP || segment_bytes <= kSmallSegmentBytes;
  max_segment_bytes_ = all ? 0 : std::min(max_segment_bytes_, segment_bytes - 1);
}

void UdpSocket::count_dropped(int error, std::size_t datagrams) {
  switch (error) {
    case EMSGSIZE:
      return AtomicCounters::add(counters_->dropped_too_big, datagrams);
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return AtomicCounters::add(counters_->dropped_unreachable, datagrams);
    default:
      return AtomicCounters::add(counters_->dropped_other, datagrams);
  }
}

std::optional<UdpSocket::Received> UdpSocket::receive_one(MutableByteSpan buffer) {
  if (descriptor_ < 0) return std::nullopt;
  SocketAddress from;
  iovec bytes{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<std::byte, Calls::kControlBytes> control;
  msghdr header{};
  header.msg_name = &from;
  header.msg_namelen = sizeof(from);
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = receives_coalesced_ ? Calls::kControlBytes : 0;
  AtomicCounters::add(counters_->receive_calls);
  const ssize_t result = ::recvmsg(descriptor_, &header, MSG_DONTWAIT);
  if (result < 0) {
    if (!would_block(errno) && errno != EINTR) AtomicCounters::add(counters_->receive_errors);
    return std::nullopt;
  }
  if ((header.msg_flags & MSG_TRUNC) != 0) {
    AtomicCounters::add(counters_->receive_truncated);
    return std::nullopt;
  }
  const auto length = static_cast<std::size_t>(result);
  return Received{from_socket_address(from), buffer.first(length),
                  segment_bytes_of(header, length)};
}

UdpSocket::ReceiveResult UdpSocket::receive() {
  received_.clear();
  if (descriptor_ < 0) return {received_, true};
  const std::size_t slots = batch_calls_ ? calls_->in.size() : 1;
  for (std::size_t i = 0; i < slots; ++i) {
    msghdr& header = Calls::header(calls_->in_messages[i]);
    header.msg_namelen = sizeof(SocketAddress);
    header.msg_controllen = receives_coalesced_ ? Calls::kControlBytes : 0;
    header.msg_flags = 0;
  }

  AtomicCounters::add(counters_->receive_calls);
  std::size_t count = 0;
#if defined(__linux__)
  const int result = ::recvmmsg(descriptor_, calls_->in_messages.data(),
                                static_cast<unsigned>(slots), MSG_DONTWAIT, nullptr);
  if (result > 0) count = static_cast<std::size_t>(result);
#else
  const ssize_t result =
      ::recvmsg(descriptor_, &Calls::header(calls_->in_messages[0]), MSG_DONTWAIT);
  std::size_t plain_bytes = 0;
  if (result >= 0) {
    count = 1;
    plain_bytes = static_cast<std::size_t>(result);
  }
#endif
  if (result < 0) {
    if (errno == EINTR) return {received_, false};
    if (would_block(errno)) return {received_, true};
    // An error report of the network for something sent earlier; reading it has cleared it.
    AtomicCounters::add(counters_->receive_errors);
    return {received_, false};
  }

  for (std::size_t i = 0; i < count; ++i) {
    msghdr& header = Calls::header(calls_->in_messages[i]);
    if ((header.msg_flags & MSG_TRUNC) != 0) {
      AtomicCounters::add(counters_->receive_truncated);
      continue;
    }
#if defined(__linux__)
    const std::size_t bytes = calls_->in_messages[i].msg_len;
#else
    const std::size_t bytes = plain_bytes;
#endif
    const std::size_t segment_bytes = segment_bytes_of(header, bytes);
    auto* const start = static_cast<std::byte*>(calls_->in[i].bytes.iov_base);
    received_.push_back({from_socket_address(calls_->in[i].from), {start, bytes}, segment_bytes});
  }
  return {received_, count < calls_->in.size() && batch_calls_};
}

UdpCounters UdpSocket::counters() const {
  const auto read = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  UdpCounters out;
  out.send_calls = read(counters_->send_calls);
  out.receive_calls = read(counters_->receive_calls);
  out.send_blocked = read(counters_->send_blocked);
  out.dropped_too_big = read(counters_->dropped_too_big);
  out.dropped_unreachable = read(counters_->dropped_unreachable);
  out.dropped_other = read(counters_->dropped_other);
  out.receive_errors = read(counters_->receive_errors);
  out.receive_truncated = read(counters_->receive_truncated);
  return out;
}

}  // namespace netmesh::runtime
