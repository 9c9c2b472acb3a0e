#include "bus/poll.h"

#include <algorithm>
#include <numeric>

namespace netmesh::bus {
namespace {

/// A shard is never asked for more at once (spec 40 §4.1).
constexpr std::size_t kMaxPerShard = 10'000;
/// More than a fair share is fetched, since shards are uneven and filters reject.
constexpr std::size_t kOverfetch = 2;
constexpr std::size_t kOverfetchFiltered = 3;

/// A page whose ids have another format than the position it was fetched after cannot be compared
/// with it: another backend answers under the same name.
bool changes_format(const Cursor& start, const ShardPage& page) {
  const auto position = start.find(page.shard);
  if (position == start.end()) return false;
  const PositionFormat format = position_format(position->second);
  if (page.next_id && position_format(*page.next_id) != format) return true;
  return std::any_of(page.events.begin(), page.events.end(),
                     [&](const PageEvent& event) { return position_format(event.id) != format; });
}

class Merge {
 public:
  Merge(const PollRequest& request, const PollPlan& plan, const std::vector<ShardPage>& pages)
      : request_(request),
        plan_(plan),
        pages_(pages),
        usable_(pages.size(), true),
        matches_(pages.size()),
        taken_(pages.size(), 0) {}

  PollResult run() {
    if (plan_.shards.empty()) return std::move(result_);  // a limit of 0
    refuse_unusable();
    collect();
    choose();
    if (request_.ordering == Ordering::kInsertionTs) order();
    finish(next_cursor());
    return std::move(result_);
  }

 private:
  void refuse_unusable() {
    for (std::size_t i = 0; i < pages_.size(); ++i) {
      if (!pages_[i].failed && !changes_format(plan_.start, pages_[i])) continue;
      usable_[i] = false;
      result_.failed_shards.push_back(pages_[i].shard);
    }
  }

  void collect() {
    std::optional<FilterMatcher> matcher;
    if (request_.filter) matcher.emplace(*request_.filter);
    for (std::size_t page = 0; page < pages_.size(); ++page) {
      if (!usable_[page]) continue;
      const auto& events = pages_[page].events;
      for (std::uint32_t event = 0; event < events.size(); ++event) {
        if (!matcher || matcher->matches(events[event].payload)) matches_[page].push_back(event);
      }
      total_ += matches_[page].size();
    }
  }

  /// Up to `limit` matches, of every shard the first ones, so that its position says it all: the
  /// timestamps of several producers need not increase with the ids.
  void choose() {
    std::vector<std::uint32_t> order(pages_.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return pages_[a].shard < pages_[b].shard; });
    result_.events.reserve(std::min(request_.limit, total_));
    if (request_.ordering == Ordering::kNone) {
      for (const std::uint32_t page : order) {
        while (has_next(page) && result_.events.size() < request_.limit) take(page);
      }
      return;
    }
    const auto later = [&](std::uint32_t a, std::uint32_t b) { return before(next(b), next(a)); };
    std::erase_if(order, [&](std::uint32_t page) { return !has_next(page); });
    std::make_heap(order.begin(), order.end(), later);
    while (!order.empty() && result_.events.size() < request_.limit) {
      std::pop_heap(order.begin(), order.end(), later);
      take(order.back());
      if (has_next(order.back()))
        std::push_heap(order.begin(), order.end(), later);
      else
        order.pop_back();
    }
  }

  void order() {
    std::stable_sort(result_.events.begin(), result_.events.end(),
                     [&](const auto& a, const auto& b) { return before(a, b); });
  }

  /// A shard all of whose matches are handed over stands behind everything that was fetched, so
  /// that what was rejected or cannot be read is never fetched again. One that was cut off stands
  /// behind the last event handed over.
  Cursor next_cursor() const {
    Cursor cursor = plan_.start;
    for (std::size_t i = 0; i < pages_.size(); ++i) {
      if (!usable_[i]) continue;
      const ShardPage& page = pages_[i];
      if (taken_[i] == matches_[i].size() && page.next_id)
        cursor[page.shard] = *page.next_id;
      else if (taken_[i] > 0)
        cursor[page.shard] = page.events[matches_[i][taken_[i] - 1]].id;
    }
    return cursor;
  }

  void finish(const Cursor& cursor) {
    const bool moved = cursor != plan_.start;
    const bool progress = !result_.events.empty() || moved;
    bool more = total_ > request_.limit;
    for (std::size_t i = 0; i < pages_.size(); ++i) {
      if (!usable_[i] || !pages_[i].has_more) continue;
      more = true;
      if (pages_[i].events.empty() && !pages_[i].next_id)
        result_.stalled_shards.push_back(pages_[i].shard);
    }
    if (request_.filter && result_.events.empty() && moved) more = true;
    result_.has_more = more && progress;
    result_.next_id = progress ? encode_cursor(cursor) : request_.cursor;
  }

  bool has_next(std::uint32_t page) const { return taken_[page] < matches_[page].size(); }
  PollResult::Pick next(std::uint32_t page) const { return {page, matches_[page][taken_[page]]}; }
  void take(std::uint32_t page) {
    result_.events.push_back(next(page));
    ++taken_[page];
  }

  bool before(const PollResult::Pick& a, const PollResult::Pick& b) const {
    const PageEvent& left = event_of(a);
    const PageEvent& right = event_of(b);
    if (left.timestamp != right.timestamp) return left.timestamp < right.timestamp;
    if (a.page != b.page) return pages_[a.page].shard < pages_[b.page].shard;
    return compare_positions(left.id, right.id) < 0;
  }

  const PageEvent& event_of(const PollResult::Pick& pick) const {
    return pages_[pick.page].events[pick.event];
  }

  const PollRequest& request_;
  const PollPlan& plan_;
  const std::vector<ShardPage>& pages_;
  std::vector<bool> usable_;
  std::vector<std::vector<std::uint32_t>> matches_;  ///< by page: which events pass the filter
  std::vector<std::size_t> taken_;                   ///< by page: how many of them are handed over
  std::size_t total_ = 0;                            ///< matches of all pages
  PollResult result_;
};

}  // namespace

Expected<PollPlan> plan_poll(const PollRequest& request, const std::vector<ShardId>& shards) {
  PollPlan plan;
  if (request.limit == 0 || shards.empty()) return plan;
  if (request.cursor) {
    auto cursor = decode_cursor(*request.cursor);
    if (!cursor) return tl::unexpected<Error>(std::move(cursor.error()));
    plan.start = std::move(*cursor);
  }
  const std::size_t share = (request.limit + shards.size() - 1) / shards.size();
  plan.per_shard = std::min(kMaxPerShard, std::max<std::size_t>(1, share) *
                                              (request.filter ? kOverfetchFiltered : kOverfetch));
  for (const ShardId shard : shards) {
    const auto position = plan.start.find(shard);
    plan.shards.push_back({shard, position == plan.start.end()
                                      ? std::nullopt
                                      : std::optional<std::string>(position->second)});
  }
  return plan;
}

PollResult merge_pages(const PollRequest& request, const PollPlan& plan,
                       const std::vector<ShardPage>& pages) {
  return Merge(request, plan, pages).run();
}

}  // namespace netmesh::bus
