#pragma once
// Who is woken when the socket has datagrams: the I/O thread, or for the length of a conversation
// the application's thread.

#include <memory>

#include "base/error.h"

namespace netmesh::runtime {

/// Two descriptors that become readable with one socket, one of them switched on at a time. A
/// thread switch costs more than handling a small message, so that an application which answers at
/// once is better woken by the socket itself. On Linux each descriptor is an epoll set of its own,
/// and any thread switches (one at a time: the crank lock). Elsewhere the I/O thread is always the
/// one.
class Readiness {
 public:
  static Expected<std::unique_ptr<Readiness>> open(int socket);
  ~Readiness();
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  /// For the I/O thread's loop. Where `nested()` is false this is the socket, and the loop has to
  /// look for writability itself.
  int thread_descriptor() const { return thread_; }
  /// For the application's loop; negative where lending is not possible.
  int application_descriptor() const { return application_; }
  bool nested() const { return application_ >= 0; }

  bool lent() const { return lent_; }
  void lend();
  void take_back();
  /// The I/O thread is woken as well when the socket takes datagrams again.
  void watch_writable(bool wanted);

 private:
  Readiness(int socket, int thread, int application)
      : socket_(socket), thread_(thread), application_(application) {}
  void apply(int set, unsigned events) const;

  int socket_;
  int thread_;
  int application_;
  bool lent_ = false;
  bool writable_ = false;
};

}  // namespace netmesh::runtime
