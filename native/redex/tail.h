#pragma once
// Following a log: what it holds from some sequence number on, then every event as it is appended.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "redex/event.h"

namespace netmesh::redex {

class Log;
struct TailCore;

/// How much one call hands out. The first event comes in any case.
struct ReadLimits {
  std::size_t max_events = 1024;
  std::size_t max_bytes = 1024 * 1024;
};

enum class TailState {
  kMore,    ///< there may be more at once
  kEmpty,   ///< caught up; the callback will be called when there is more, or the end
  kEnded,   ///< the file was closed and everything before that was handed out
  kLagged,  ///< the events that come next are gone (`tail_lagged()`); there will be no more
};

/// A reader of its own, at its own pace. It reads from the log, so that it can be any number of
/// events behind and costs nothing while it is. Only retention can overtake it: beyond
/// `kTailGraceEvents` or `kTailGraceBytes` behind the retained range it has lagged.
///
/// One thread at a time may call a tail; any thread may append meanwhile. The callback runs on the
/// thread that appends or closes, once for every `kEmpty`, without locks held. It must not block
/// and must not call the tail; it never runs again once `close` has returned. A tail keeps its log
/// alive.
class Tail {
 public:
  Tail(std::shared_ptr<Log> log, std::shared_ptr<TailCore> core);
  ~Tail();
  Tail(const Tail&) = delete;
  Tail& operator=(const Tail&) = delete;

  /// Replaces `batch` by the next events. After `kEnded` or `kLagged` it is always empty.
  TailState take(EventBatch& batch, const ReadLimits& limits = {});
  /// The sequence number that comes next, unless it is missing in the log.
  std::uint64_t position() const;
  /// Stops. Idempotent.
  void close();

 private:
  const std::shared_ptr<Log> log_;
  const std::shared_ptr<TailCore> core_;
};

/// Waits for a tail on a thread of one's own, as folds do:
///
///     TailSignal signal;
///     auto tail = file.tail(0, signal.callback());
///     for (TailState state; (state = tail->take(batch)) <= TailState::kEmpty;) {
///       fold(batch);
///       if (state == TailState::kEmpty && !signal.wait()) break;  // interrupted
///     }
///
/// Must outlive the tail.
class TailSignal {
 public:
  std::function<void()> callback();
  /// Returns true when the tail has something, false when interrupted or after `timeout`.
  bool wait(std::optional<Duration> timeout = std::nullopt);
  /// Makes this and every later `wait` return false. Any thread.
  void interrupt();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  bool interrupted_ = false;
};

}  // namespace netmesh::redex
