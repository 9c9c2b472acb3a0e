#include "linkem/emulator.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>

#include "linkem/ip.h"

namespace netmesh::linkem {
namespace {

/// Packets read from one device before the other and what is due get their turn.
constexpr int kBatch = 32;
/// Packets of the kernel that may wait while the emulator is busy elsewhere: it must not lose any
/// itself. 1000 packets are 12 ms at 1 Gbit/s.
constexpr std::size_t kDeviceQueuePackets = 10'000;
constexpr std::size_t kMaxLineBytes = 4096;
/// What a waiting source is known by.
enum Source : std::uint32_t { kDeviceA = kAToB, kDeviceB = kBToA, kStdin, kSignals };

TimePoint now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return TimePoint(std::chrono::duration_cast<Duration>(since));
}

tl::unexpected<Error> system_error(const std::string& what) {
  return fail(ErrorKind::kConnection, what + ": " + std::strerror(errno));
}

bool watch(int poll, int fd, Source source) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = source;
  return ::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0;
}

timespec to_timespec(Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((duration - seconds).count())};
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

void print_counters(const Counters& counters, const Punctuality& punctuality) {
  auto field = [first = true](const char* name, std::uint64_t value) mutable {
    std::printf("%s\"%s\":%llu", first ? "{" : ",", name, static_cast<unsigned long long>(value));
    first = false;
  };
  field("packetsIn", counters.packets_in);
  field("bytesIn", counters.bytes_in);
  field("packetsOut", counters.packets_out);
  field("bytesOut", counters.bytes_out);
  field("lost", counters.lost);
  field("lostInBurst", counters.lost_in_burst);
  field("lostWhileDown", counters.lost_while_down);
  field("droppedByQueue", counters.dropped_by_queue);
  field("tooBig", counters.too_big);
  field("overflowed", counters.overflowed);
  field("duplicated", counters.duplicated);
  field("corrupted", counters.corrupted);
  field("reordered", counters.reordered);
  field("maxQueueBytes", counters.max_queue_bytes);
  field("icmpSent", punctuality.icmp_sent);
  field("undeliverable", punctuality.undeliverable);
  const std::uint64_t packets = std::max<std::uint64_t>(1, counters.packets_out);
  field("lateMeanNs", punctuality.late_total_ns / packets);
  field("lateMaxNs", punctuality.late_max_ns);
  std::printf("}");
}

}  // namespace

Expected<Emulator> Emulator::create(const Options& options) {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&mask, signal);
  if (::sigprocmask(SIG_BLOCK, &mask, nullptr) != 0) return system_error("sigprocmask");
  // Whoever reads the answers may go first; the end of stdin says the same.
  std::signal(SIGPIPE, SIG_IGN);
  Descriptor signals(::signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals) return system_error("signalfd");
  Descriptor poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return system_error("epoll_create1");

  auto a =
      TunDevice::create(options.a.netns, options.a.name, options.device_mtu, kDeviceQueuePackets);
  if (!a) return tl::unexpected(a.error());
  auto b =
      TunDevice::create(options.b.netns, options.b.name, options.device_mtu, kDeviceQueuePackets);
  if (!b) return tl::unexpected(b.error());

  if (!watch(poll.get(), a->fd(), kDeviceA) || !watch(poll.get(), b->fd(), kDeviceB) ||
      !watch(poll.get(), STDIN_FILENO, kStdin) || !watch(poll.get(), signals.get(), kSignals)) {
    return system_error("epoll_ctl (stdin must be a pipe or a terminal)");
  }
  return Emulator(options, std::move(*a), std::move(*b), std::move(signals), std::move(poll));
}

Emulator::Emulator(const Options& options, TunDevice a, TunDevice b, Descriptor signals,
                   Descriptor poll)
    : seed_(options.seed),
      // An ICMP answer must fit, too.
      pool_(std::make_unique<PacketPool>(std::max(options.device_mtu, kMaxTooBigBytes))),
      devices_{std::move(a), std::move(b)},
      signals_(std::move(signals)),
      poll_(std::move(poll)) {
  for (const Direction direction : {kAToB, kBToA}) {
    links_[direction] =
        std::make_unique<Link>(Dice::stream(options.seed, 100 + direction).next(), *pool_);
    links_[direction]->set_conditions(now(), options.conditions[direction]);
  }
}

Expected<void> Emulator::run() {
  // Sleeps end when asked, not up to 50 µs later; and the network does not wait for its users.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  ::setpriority(PRIO_PROCESS, 0, -20);
  std::printf("{\"ready\":true,\"seed\":%llu}\n", static_cast<unsigned long long>(seed_));
  std::fflush(stdout);

  for (bool running = true; running;) {
    std::optional<TimePoint> due;
    for (const auto& link : links_) {
      const auto next = link->next_due();
      if (next && (!due || *next < *due)) due = next;
    }
    timespec timeout{};
    if (due) timeout = to_timespec(std::max(Duration(0), *due - now()));
    std::array<epoll_event, 8> events;
    const int count = ::epoll_pwait2(poll_.get(), events.data(), static_cast<int>(events.size()),
                                     due ? &timeout : nullptr, nullptr);
    if (count < 0 && errno != EINTR) return system_error("epoll_pwait2");
    for (int i = 0; i < count; ++i) {
      switch (events[static_cast<std::size_t>(i)].data.u32) {
        case kDeviceA:
          receive(kAToB);
          break;
        case kDeviceB:
          receive(kBToA);
          break;
        case kStdin:
          running &= read_commands();
          break;
        default:
          running &= read_signal();
      }
    }
    deliver(kAToB);
    deliver(kBToA);
  }
  print_stats(true);
  return {};
}

void Emulator::receive(Direction direction) {
  Link& link = *links_[direction];
  for (int i = 0; i < kBatch; ++i) {
    Packet packet = pool_->take();
    const std::size_t size = devices_[direction].read(packet.span());
    if (size == 0) {
      pool_->give_back(std::move(packet));
      return;
    }
    packet.resize(size);
    const Link::Submission submission = link.submit(now(), packet);
    if (submission == Link::Submission::kTooBig &&
        link.conditions().oversize == OversizePolicy::kIcmp) {
      answer_too_big(direction, packet);
    }
    if (submission != Link::Submission::kTaken) pool_->give_back(std::move(packet));
  }
}

void Emulator::deliver(Direction direction) {
  Link& link = *links_[direction];
  TunDevice& destination = devices_[direction == kAToB ? kBToA : kAToB];
  Punctuality& punctuality = punctuality_[direction];
  for (int i = 0; i < kBatch; ++i) {
    const TimePoint when = now();
    Packet packet = link.poll(when);
    if (!packet) return;
    const auto late = static_cast<std::uint64_t>((when - link.due()).count());
    punctuality.late_total_ns += late;
    punctuality.late_max_ns = std::max(punctuality.late_max_ns, late);
    if (!destination.write(packet.span())) ++punctuality.undeliverable;
    pool_->give_back(std::move(packet));
  }
}

void Emulator::answer_too_big(Direction direction, const Packet& packet) {
  Packet answer = pool_->take();
  const std::size_t mtu = links_[direction]->conditions().mtu;
  const std::size_t size = write_too_big(packet.span(), mtu, answer.span());
  if (size > 0) {
    answer.resize(size);
    if (devices_[direction].write(answer.span())) ++punctuality_[direction].icmp_sent;
  }
  pool_->give_back(std::move(answer));
}

bool Emulator::read_commands() {
  std::array<char, 1024> buffer;
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  if (count == 0) return false;
  partial_line_.append(buffer.data(), static_cast<std::size_t>(count));
  for (std::size_t end; (end = partial_line_.find('\n')) != std::string::npos;) {
    const std::string line = partial_line_.substr(0, end);
    partial_line_.erase(0, end + 1);
    if (!execute(line)) return false;
  }
  if (partial_line_.size() > kMaxLineBytes) {
    std::printf("{\"error\":\"a line has at most %zu bytes\"}\n", kMaxLineBytes);
    std::fflush(stdout);
    return false;
  }
  return true;
}

bool Emulator::execute(std::string_view line) {
  const BothConditions current = {links_[kAToB]->conditions(), links_[kBToA]->conditions()};
  const auto command = parse_command(line, current);
  if (!command) {
    std::printf("{\"error\":%s}\n", json_string(command.error().message).c_str());
  } else if (command->kind == Command::Kind::kQuit) {
    return false;
  } else if (command->kind == Command::Kind::kStats) {
    print_stats(false);
  } else if (command->kind == Command::Kind::kSet) {
    const TimePoint when = now();
    for (const Direction direction : {kAToB, kBToA}) {
      if (command->conditions[direction] != current[direction])
        links_[direction]->set_conditions(when, command->conditions[direction]);
    }
    std::printf("{\"ok\":true}\n");
  }
  std::fflush(stdout);
  return true;
}

bool Emulator::read_signal() {
  signalfd_siginfo info;
  if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return true;
  if (info.ssi_signo != SIGUSR1) return false;
  print_stats(false);
  return true;
}

void Emulator::print_stats(bool final) const {
  std::printf("{\"stats\":{\"ab\":");
  print_counters(links_[kAToB]->counters(), punctuality_[kAToB]);
  std::printf(",\"ba\":");
  print_counters(links_[kBToA]->counters(), punctuality_[kBToA]);
  std::printf("}%s}\n", final ? ",\"final\":true" : "");
  std::fflush(stdout);
}

}  // namespace netmesh::linkem
