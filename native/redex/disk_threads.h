#pragma once
// The threads on which logs sync, compact and clean up.

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace netmesh::redex {

using DiskTime = std::chrono::steady_clock::time_point;

/// Something with work on the disk now and then. `run` does what is due and says when to be called
/// again; it runs on one thread at a time.
class DiskClient {
 public:
  virtual ~DiskClient() = default;
  virtual std::optional<DiskTime> run() = 0;

 private:
  friend class DiskThreads;
  std::optional<DiskTime> due_;
  bool running_ = false;
};

/// Few threads for all logs of the process, started when there is work, ended with the last log.
/// Two, so that a long compaction holds up no other log's sync. A client that is gone is forgotten.
class DiskThreads {
 public:
  static std::shared_ptr<DiskThreads> shared();
  DiskThreads();
  /// Waits for what runs; what is scheduled is not done any more.
  ~DiskThreads();
  DiskThreads(const DiskThreads&) = delete;
  DiskThreads& operator=(const DiskThreads&) = delete;

  /// Calls `run` at `when`, or earlier if it was scheduled for earlier.
  void schedule(const std::shared_ptr<DiskClient>& client, DiskTime when);

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::multimap<DiskTime, std::weak_ptr<DiskClient>> queue;
    unsigned idle = 0;
    bool stopping = false;

    void insert(const std::shared_ptr<DiskClient>& client, DiskTime when);
    void work();
  };
  const std::shared_ptr<State> state_;
  std::vector<std::thread> threads_;
};

}  // namespace netmesh::redex
