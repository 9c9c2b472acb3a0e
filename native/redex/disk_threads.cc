#include "redex/disk_threads.h"

namespace netmesh::redex {
namespace {

constexpr std::size_t kThreads = 2;

}  // namespace

std::shared_ptr<DiskThreads> DiskThreads::shared() {
  // Never destroyed: a log may outlive the static objects of the process.
  static auto* const mutex = new std::mutex;
  static auto* const current = new std::weak_ptr<DiskThreads>;
  const std::lock_guard lock(*mutex);
  auto threads = current->lock();
  if (!threads) *current = threads = std::make_shared<DiskThreads>();
  return threads;
}

DiskThreads::DiskThreads() : state_(std::make_shared<State>()) {}

DiskThreads::~DiskThreads() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
  }
  for (std::thread& thread : threads_) {
    // The last log may end on one of these threads, which then has nothing left to do.
    if (thread.get_id() == std::this_thread::get_id())
      thread.detach();
    else
      thread.join();
  }
}

void DiskThreads::schedule(const std::shared_ptr<DiskClient>& client, DiskTime when) {
  const std::lock_guard lock(state_->mutex);
  if (client->due_ && *client->due_ <= when) return;
  client->due_ = when;
  if (client->running_) return;  // it is queued when it has returned
  state_->insert(client, when);
  if (state_->idle == 0 && threads_.size() < kThreads)
    threads_.emplace_back([state = state_] { state->work(); });
}

void DiskThreads::State::insert(const std::shared_ptr<DiskClient>& client, DiskTime when) {
  queue.emplace(when, client);
  changed.notify_one();
}

void DiskThreads::State::work() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (queue.empty()) {
      ++idle;
      changed.wait(lock);
      --idle;
      continue;
    }
    const DiskTime when = queue.begin()->first;
    if (when > std::chrono::steady_clock::now()) {
      ++idle;
      changed.wait_until(lock, when);
      --idle;
      continue;
    }
    std::shared_ptr<DiskClient> client = queue.begin()->second.lock();
    queue.erase(queue.begin());
    // An entry that was overtaken by an earlier one is void.
    if (client && client->due_ == when && !client->running_) {
      client->due_.reset();
      client->running_ = true;
      lock.unlock();
      const std::optional<DiskTime> next = client->run();
      lock.lock();
      client->running_ = false;
      if (next && (!client->due_ || *next < *client->due_)) client->due_ = next;
      if (client->due_) insert(client, *client->due_);
    }
    // Its end may be the end of the log, with work of its own.
    lock.unlock();
    client.reset();
    lock.lock();
  }
}

}  // namespace netmesh::redex
