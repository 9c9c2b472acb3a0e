#include "redex/file.h"

#include <condition_variable>
#include <limits>
#include <utility>

#include "redex/log.h"

namespace netmesh::redex {
namespace {

/// Waits for the one call of a SyncCallback.
class SyncResult {
 public:
  SyncCallback callback() {
    return [this](Expected<void> result) {
      const std::lock_guard lock(mutex_);
      result_ = std::move(result);
      there_.notify_one();
    };
  }
  Expected<void> wait() {
    std::unique_lock lock(mutex_);
    there_.wait(lock, [this] { return result_.has_value(); });
    return *std::move(result_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable there_;
  std::optional<Expected<void>> result_;
};

}  // namespace

File::File(std::string name, std::shared_ptr<Log> log, std::function<void(const File&)> on_close)
    : name_(std::move(name)), log_(std::move(log)), on_close_(std::move(on_close)) {}

File::~File() {
  if (closed()) return;
  log_->end_tails(this);
  log_->detach();
}

Expected<std::uint64_t> File::append(ByteSpan payload) { return append_batch({&payload, 1}); }

Expected<std::uint64_t> File::append_batch(std::span<const ByteSpan> payloads) {
  if (closed()) return fail(file_closed());
  return log_->append({payloads, false, std::nullopt});
}

Expected<std::uint64_t> File::append_inline(std::span<const std::byte, kInlineBytes> payload) {
  if (closed()) return fail(file_closed());
  const ByteSpan bytes = payload;
  return log_->append({{&bytes, 1}, true, std::nullopt});
}

Expected<std::uint64_t> File::append_at(std::uint64_t expected_next,
                                        std::span<const ByteSpan> payloads) {
  if (closed()) return fail(file_closed());
  return log_->append({payloads, false, expected_next});
}

std::uint64_t File::read_range(std::uint64_t start, std::uint64_t end, EventBatch& batch,
                               const ReadLimits& limits) const {
  return start < end ? log_->read_range(start, end, batch, limits) : start;
}

void File::read_range(std::uint64_t start, std::uint64_t end, EventBatch& batch) const {
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max() / 2;
  read_range(start, end, batch, {kAll, kAll});
}

std::unique_ptr<Tail> File::tail(std::uint64_t from_seq, std::function<void()> on_ready) {
  return std::make_unique<Tail>(log_,
                                log_->add_tail(this, from_seq, std::move(on_ready), closed()));
}

std::uint64_t File::length() const { return log_->stats().events; }
std::uint64_t File::next_seq() const { return log_->stats().next_seq; }
FileStats File::stats() const { return log_->stats(); }

Expected<void> File::skip_to(std::uint64_t target) {
  if (closed()) return fail(file_closed());
  log_->skip_to(target);
  return {};
}

void File::sweep_retention() { log_->sweep_retention(); }

void File::sync(SyncCallback done) { log_->sync(std::move(done)); }

Expected<void> File::sync() {
  SyncResult result;
  sync(result.callback());
  return result.wait();
}

void File::close(SyncCallback done) {
  if (closed_.exchange(true, std::memory_order_acq_rel)) {
    done({});
    return;
  }
  log_->end_tails(this);
  if (on_close_) on_close_(*this);
  log_->close(std::move(done));
}

Expected<void> File::close() {
  SyncResult result;
  close(result.callback());
  return result.wait();
}

}  // namespace netmesh::redex
