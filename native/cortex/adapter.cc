#include "cortex/adapter.h"

namespace netmesh::cortex {
namespace {

constexpr std::uint64_t kNoSeq = std::numeric_limits<std::uint64_t>::max();

/// Where to begin, and what counts as folded then.
struct Start {
  std::uint64_t seq = 0;
  std::optional<std::uint64_t> last_seq;
};

/// A snapshot may meet a log that is not the one it was taken from (spec 42 §9.4): new events must
/// be seen whatever the log holds.
Expected<Start> find_start(redex::File& file, const std::optional<SnapshotView>& snapshot) {
  redex::FileStats stats = file.stats();
  if (!snapshot || !snapshot->last_seq) return Start{stats.first_seq, std::nullopt};
  const std::uint64_t last = *snapshot->last_seq;
  if (stats.next_seq <= last && stats.events == 0) {
    // An empty log goes on where the snapshot ends.
    if (auto skipped = file.skip_to(last + 1); !skipped) return tl::unexpected(skipped.error());
    stats = file.stats();
  }
  if (stats.next_seq > last) return Start{std::max(last + 1, stats.first_seq), last};
  // Shorter than the snapshot, so from its end on.
  const auto before = stats.next_seq == 0 ? std::nullopt : std::optional(stats.next_seq - 1);
  return Start{stats.next_seq, before};
}

}  // namespace

template <typename Model>
Expected<std::unique_ptr<Adapter<Model>>> Adapter<Model>::open(redex::Redex& redex,
                                                               const OpenOptions& options,
                                                               Fold::Ready ready) {
  const std::string context = std::string(Model::kAdapterName) +
                              (options.snapshot ? " open_from_snapshot failed" : " open failed");
  typename Model::State state;
  std::uint64_t app_seq = 0;
  if (options.snapshot) {
    // Checked before anything is opened.
    auto decoded = decode_snapshot<Model>(options.snapshot->state, state);
    if (!decoded) return cortex_error(context, decoded.error());
    if (options.snapshot->last_seq == kNoSeq)
      return cortex_error(context, "snapshot last_seq at u64::MAX; cannot resume");
    app_seq = *decoded;
  }
  auto file = redex.open_file(std::string(Model::kChannel), options.file);
  if (!file) return cortex_error(context, file.error());
  const auto start = find_start(**file, options.snapshot);
  if (!start) return cortex_error(context, start.error());

  std::unique_ptr<Adapter> adapter(new Adapter(options.origin_hash, *file));
  adapter->state_ = std::move(state);
  adapter->app_seq_ = app_seq;
  if (const std::uint64_t next = (*file)->next_seq(); next > start->seq)
    adapter->opened_at_ = next - 1;
  FoldTarget& target = *adapter;
  adapter->fold_ =
      std::make_unique<Fold>(*file, start->seq, start->last_seq, target, std::move(ready));
  adapter->fold_->start();
  return adapter;
}

template <typename Model>
FoldResult Adapter<Model>::apply(const redex::EventView& view) {
  const std::optional<Event> event = reader_.read(view.payload);
  if (!event || !Model::apply(state_, *event, [this](const Row& row) { touch(row); }))
    return FoldResult::kDefective;
  if (event->meta.origin_hash == origin_hash_ && event->meta.app_seq != kNoSeq) {
    const std::uint64_t next = event->meta.app_seq + 1;
    std::uint64_t known = app_seq_.load(std::memory_order_relaxed);
    while (known < next && !app_seq_.compare_exchange_weak(known, next)) {
    }
  }
  return FoldResult::kApplied;
}

template <typename Model>
void Adapter<Model>::touch(const Row& row) {
  for (auto& [name, watch] : watches_) {
    if (watch.dirty || !watch.filter.matches(row)) continue;
    watch.dirty = true;
    watch_news_ = watch_news_ || watch.armed;
  }
}

template <typename Model>
std::size_t Adapter<Model>::count() const {
  const Fold::Lock lock(*fold_);
  return state_.size();
}

template <typename Model>
RowBlock Adapter<Model>::list(const Filter& filter) {
  const Fold::Lock lock(*fold_);
  return Model::pack(Model::select(state_, filter));
}

template <typename Model>
RowBlock Adapter<Model>::get(std::uint64_t id) {
  const Fold::Lock lock(*fold_);
  const Row* row = state_.find(id);
  return Model::pack(row == nullptr ? std::vector<const Row*>() : std::vector<const Row*>{row});
}

template <typename Model>
Snapshot Adapter<Model>::snapshot() const {
  const Fold::Lock lock(*fold_);
  return encode_snapshot<Model>(state_, app_seq_.load(), fold_->watermarks().applied);
}

template <typename Model>
Watermarks Adapter<Model>::watermarks() const {
  const Fold::Lock lock(*fold_);
  return fold_->watermarks();
}

template <typename Model>
WaitState Adapter<Model>::wait_for_seq(std::uint64_t seq, std::uint32_t waiter) {
  return fold_->wait(seq, WaitFor::kFolded, waiter);
}

template <typename Model>
Expected<WaitState> Adapter<Model>::wait_for_token(std::uint64_t origin_hash, std::uint64_t seq,
                                                   std::uint32_t waiter) {
  constexpr std::string_view kContext = "wait_for_token";
  if (origin_hash != origin_hash_) {
    const auto hex = [](std::uint64_t value) {
      char text[17];
      std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
      return std::string(text);
    };
    return cortex_error(
        kContext, "token origin " + hex(origin_hash) + " != adapter origin " + hex(origin_hash_));
  }
  {
    const Fold::Lock lock(*fold_);
    if (fold_->waiting(WaitFor::kApplied) >= kMaxTokenWaits)
      return cortex_error(kContext, "read-your-writes wait-queue saturated; retry later");
  }
  return fold_->wait(seq, WaitFor::kApplied, waiter);
}

template <typename Model>
Error Adapter<Model>::stopped_error(WaitFor what) const {
  const Watermarks marks = watermarks();
  if (what == WaitFor::kFolded) {
    return cortex_error("wait_for_seq",
                        "fold task stopped; folded_through=" + describe_seq(marks.folded))
        .value();
  }
  return cortex_error("wait_for_token",
                      marks.applied
                          ? "fold task stopped before reaching token seq (applied through " +
                                std::to_string(*marks.applied) + ")"
                          : "fold task stopped before applying any event")
      .value();
}

template <typename Model>
bool Adapter<Model>::remember(Watch& watch, const RowBlock& rows) {
  const ByteSpan bytes = rows.bytes.bytes();
  if (watch.has_last &&
      std::equal(bytes.begin(), bytes.end(), watch.last.begin(), watch.last.end()))
    return false;
  watch.last.assign(bytes.begin(), bytes.end());
  watch.has_last = true;
  return true;
}

template <typename Model>
void Adapter<Model>::watch(std::uint32_t name, Filter filter, RowBlock* first) {
  const Fold::Lock lock(*fold_);
  Watch& watch = watches_[name];
  watch.filter = std::move(filter);
  if (first == nullptr) return;
  *first = Model::pack(Model::select(state_, watch.filter));
  remember(watch, *first);
  watch.dirty = false;
}

template <typename Model>
WatchResult Adapter<Model>::watch_next(std::uint32_t name) {
  using State = WatchResult::State;
  const Fold::Lock lock(*fold_);
  const auto at = watches_.find(name);
  if (at == watches_.end()) return {State::kEnded, {}};
  Watch& watch = at->second;
  if (std::exchange(watch.dirty, false)) {
    RowBlock rows = Model::pack(Model::select(state_, watch.filter));
    if (remember(watch, rows)) {
      watch.armed = false;
      return {State::kRows, std::move(rows)};
    }
  }
  if (!fold_->running()) {
    watches_.erase(at);
    return {State::kEnded, {}};
  }
  watch.armed = true;
  return {};
}

template <typename Model>
void Adapter<Model>::unwatch(std::uint32_t name) {
  const Fold::Lock lock(*fold_);
  watches_.erase(name);
}

template <typename Model>
AdapterNews Adapter<Model>::take_news() {
  fold_->acknowledge();
  AdapterNews news;
  news.settled = fold_->take_settled();
  const Fold::Lock lock(*fold_);
  for (const auto& [name, watch] : watches_) {
    if ((watch.dirty && watch.armed) || !fold_->running()) news.watches.push_back(name);
  }
  return news;
}

template <typename Model>
void Adapter<Model>::close() {
  closed_ = true;
  if (fold_) fold_->stop();
}

template class Adapter<TasksModel>;
template class Adapter<MemoriesModel>;

}  // namespace netmesh::cortex
