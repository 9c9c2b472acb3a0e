#pragma once
// A model over a log: events in, a state to query and to watch.

#include <algorithm>
#include <map>
#include <variant>

#include "cortex/errors.h"
#include "cortex/fold.h"
#include "cortex/memories.h"
#include "cortex/snapshot.h"
#include "cortex/tasks.h"
#include "redex/redex.h"

namespace netmesh::cortex {

/// Writes that wait to be seen, per adapter (spec 42 §6.5).
inline constexpr std::size_t kMaxTokenWaits = 1024;

/// A snapshot to begin with.
struct SnapshotView {
  ByteSpan state;
  std::optional<std::uint64_t> last_seq;
};

struct OpenOptions {
  std::uint64_t origin_hash = 0;
  redex::FileConfig file;
  std::optional<SnapshotView> snapshot;
};

/// What a watch has to say.
struct WatchResult {
  enum class State { kRows, kNothing, kEnded };
  State state = State::kNothing;
  RowBlock rows;
};

/// What has happened since the last call.
struct AdapterNews {
  std::vector<Settled> settled;
  /// Watches that may have rows; all of them once the fold has stopped.
  std::vector<std::uint32_t> watches;
};

/// Tasks or memories. One thread at a time calls an adapter, any thread may append to its log;
/// `ready` is called on any thread.
template <typename Model>
class Adapter final : private FoldTarget {
 public:
  using Filter = typename Model::Filter;
  using Row = typename Model::Row;

  /// Opens the model's channel and begins to fold it. `caught_up_at` tells when everything that is
  /// in the log by now is in the state.
  static Expected<std::unique_ptr<Adapter>> open(redex::Redex& redex, const OpenOptions& options,
                                                 Fold::Ready ready);
  ~Adapter() override { close(); }
  Adapter(const Adapter&) = delete;
  Adapter& operator=(const Adapter&) = delete;

  std::uint64_t origin_hash() const { return origin_hash_; }
  /// The last event that was in the log when it was opened, if it still has to be folded.
  std::optional<std::uint64_t> opened_at() const { return opened_at_; }

  /// Appends an event whose body `put(at)` writes into at most `max_body` bytes, returning its end.
  /// Returns the log's sequence number.
  template <typename Put>
  Expected<std::uint64_t> append(std::string_view context, std::uint8_t dispatch,
                                 std::size_t max_body, Put put);

  std::size_t count() const;
  RowBlock list(const Filter& filter);
  /// One row or none.
  RowBlock get(std::uint64_t id);
  Snapshot snapshot() const;
  Watermarks watermarks() const;
  bool running() const { return fold_->running(); }

  WaitState wait_for_seq(std::uint64_t seq, std::uint32_t waiter);
  /// An error text, or how the wait stands.
  Expected<WaitState> wait_for_token(std::uint64_t origin_hash, std::uint64_t seq,
                                     std::uint32_t waiter);
  bool cancel_wait(std::uint32_t waiter) { return fold_->cancel(waiter); }
  /// Why a wait cannot be over any more.
  Error stopped_error(WaitFor what) const;

  /// Begins to watch a filter: `watch_next` returns its rows at first and whenever they have
  /// changed, never twice the same in a row. With `first`, the rows of this instant go there
  /// instead.
  void watch(std::uint32_t name, Filter filter, RowBlock* first);
  WatchResult watch_next(std::uint32_t name);
  void unwatch(std::uint32_t name);

  /// To be called whenever `ready` was.
  AdapterNews take_news();

  /// Stops folding; queries still work. Idempotent.
  void close();

 private:
  struct Watch {
    Filter filter;
    Bytes last;
    bool has_last = false;
    bool dirty = true;
    /// Its reader waits.
    bool armed = false;
  };

  Adapter(std::uint64_t origin_hash, std::shared_ptr<redex::File> file)
      : origin_hash_(origin_hash), file_(std::move(file)) {}

  FoldResult apply(const redex::EventView& event) override;
  bool end_of_batch() override { return std::exchange(watch_news_, false); }
  void touch(const Row& row);
  static bool remember(Watch& watch, const RowBlock& rows);

  const std::uint64_t origin_hash_;
  const std::shared_ptr<redex::File> file_;
  std::optional<std::uint64_t> opened_at_;
  std::atomic<std::uint64_t> app_seq_{0};
  bool closed_ = false;
  Bytes scratch_;

  // With the fold's lock:
  typename Model::State state_;
  EventReader reader_;
  std::map<std::uint32_t, Watch> watches_;
  bool watch_news_ = false;

  std::unique_ptr<Fold> fold_;
};

extern template class Adapter<TasksModel>;
extern template class Adapter<MemoriesModel>;

template <typename Model>
template <typename Put>
Expected<std::uint64_t> Adapter<Model>::append(std::string_view context, std::uint8_t dispatch,
                                               std::size_t max_body, Put put) {
  // Larger buffers are not kept.
  constexpr std::size_t kMaxKeptBytes = 64 * 1024;
  if (closed_) return cortex_error(context, "adapter closed");
  const std::size_t room = kEventMetaBytes + max_body;
  if (scratch_.size() < room) scratch_.resize(room);
  std::byte* const end = put(scratch_.data() + kEventMetaBytes);
  const MutableByteSpan payload(scratch_.data(), static_cast<std::size_t>(end - scratch_.data()));
  // Reserved before the append, so that no two writers ever use one number; a failure leaves a gap.
  const std::uint64_t app_seq = app_seq_.fetch_add(1, std::memory_order_relaxed);
  seal_event({dispatch, 0, origin_hash_, app_seq}, payload);
  const auto seq = file_->append(payload);
  if (scratch_.size() > kMaxKeptBytes) scratch_ = Bytes();
  if (!seq) return cortex_error(context, seq.error());
  return *seq;
}

}  // namespace netmesh::cortex
