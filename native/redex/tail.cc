#include "redex/tail.h"

#include <utility>

#include "redex/log.h"

namespace netmesh::redex {

Tail::Tail(std::shared_ptr<Log> log, std::shared_ptr<TailCore> core)
    : log_(std::move(log)), core_(std::move(core)) {}

Tail::~Tail() { close(); }

TailState Tail::take(EventBatch& batch, const ReadLimits& limits) {
  return log_->take(*core_, batch, limits);
}

std::uint64_t Tail::position() const { return log_->position(*core_); }

void Tail::close() { log_->close_tail(core_); }

std::function<void()> TailSignal::callback() {
  return [this] {
    const std::lock_guard lock(mutex_);
    ready_ = true;
    changed_.notify_one();
  };
}

bool TailSignal::wait(std::optional<Duration> timeout) {
  std::unique_lock lock(mutex_);
  const auto changed = [this] { return ready_ || interrupted_; };
  if (timeout)
    changed_.wait_for(lock, *timeout, changed);
  else
    changed_.wait(lock, changed);
  return std::exchange(ready_, false) && !interrupted_;
}

void TailSignal::interrupt() {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  changed_.notify_all();
}

}  // namespace netmesh::redex
