#pragma once
// A lock for critical sections of a few dozen nanoseconds.

#include <atomic>
#include <thread>

namespace netmesh::bus {

/// Satisfies Lockable. A waiter spins for a moment and then gives its processor away, so that a
/// holder that lost its own is not waited for at full speed.
class SpinLock {
 public:
  void lock() {
    for (unsigned spins = 0; held_.exchange(true, std::memory_order_acquire); ++spins) {
      while (held_.load(std::memory_order_relaxed)) {
        if (++spins < kSpinsBeforeYield)
          relax();
        else
          std::this_thread::yield();
      }
    }
  }
  bool try_lock() { return !held_.exchange(true, std::memory_order_acquire); }
  void unlock() { held_.store(false, std::memory_order_release); }

 private:
  static constexpr unsigned kSpinsBeforeYield = 128;

  static void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }

  std::atomic<bool> held_{false};
};

}  // namespace netmesh::bus
