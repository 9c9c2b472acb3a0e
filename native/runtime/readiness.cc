#include "runtime/readiness.h"

#include <cerrno>
#include <cstring>
#include <string>

#if defined(__linux__)
#include <sys/epoll.h>
#include <unistd.h>
#endif

namespace netmesh::runtime {

#if defined(__linux__)

Expected<std::unique_ptr<Readiness>> Readiness::open(int socket) {
  const int thread = ::epoll_create1(EPOLL_CLOEXEC);
  const int application = ::epoll_create1(EPOLL_CLOEXEC);
  std::unique_ptr<Readiness> self(new Readiness(socket, thread, application));
  epoll_event readable{};
  readable.events = EPOLLIN;
  epoll_event silent{};
  silent.events = EPOLLET;
  if (thread < 0 || application < 0 || ::epoll_ctl(thread, EPOLL_CTL_ADD, socket, &readable) != 0 ||
      ::epoll_ctl(application, EPOLL_CTL_ADD, socket, &silent) != 0) {
    return fail(ErrorKind::kConnection, std::string("event loop failed: ") + std::strerror(errno));
  }
  return self;
}

Readiness::~Readiness() {
  if (thread_ >= 0) ::close(thread_);
  if (application_ >= 0) ::close(application_);
}

void Readiness::apply(int set, unsigned events) const {
  // Edge-triggered when silent: an error on the socket, which cannot be masked, then wakes once.
  epoll_event event{};
  event.events = events == 0 ? static_cast<unsigned>(EPOLLET) : events;
  ::epoll_ctl(set, EPOLL_CTL_MOD, socket_, &event);
}

void Readiness::lend() {
  if (lent_) return;
  lent_ = true;
  apply(thread_, writable_ ? static_cast<unsigned>(EPOLLOUT) : 0U);
  apply(application_, EPOLLIN);
}

void Readiness::take_back() {
  if (!lent_) return;
  lent_ = false;
  apply(application_, 0);
  apply(thread_, EPOLLIN | (writable_ ? static_cast<unsigned>(EPOLLOUT) : 0U));
}

void Readiness::watch_writable(bool wanted) {
  if (!nested() || writable_ == wanted) return;
  writable_ = wanted;
  apply(thread_, (lent_ ? 0U : static_cast<unsigned>(EPOLLIN)) |
                     (wanted ? static_cast<unsigned>(EPOLLOUT) : 0U));
}

#else

Expected<std::unique_ptr<Readiness>> Readiness::open(int socket) {
  return std::unique_ptr<Readiness>(new Readiness(socket, socket, -1));
}
Readiness::~Readiness() = default;
void Readiness::apply(int, unsigned) const {}
void Readiness::lend() {}
void Readiness::take_back() {}
void Readiness::watch_writable(bool) {}

#endif

}  // namespace netmesh::runtime
