#pragma once
// A set of numbers kept as sorted, disjoint, non-adjacent half-open intervals.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace netmesh::session {

struct Interval {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  ///< excluded
  friend bool operator==(const Interval&, const Interval&) = default;
};

/// Offsets or packet numbers that were received, acknowledged or lost. Operations cost O(log n) to
/// find and O(n) to insert; n is the number of gaps, which windows bound.
class IntervalSet {
 public:
  bool empty() const { return intervals_.empty(); }
  std::size_t interval_count() const { return intervals_.size(); }
  const std::vector<Interval>& intervals() const { return intervals_; }
  const Interval& front() const { return intervals_.front(); }
  const Interval& back() const { return intervals_.back(); }
  void clear() { intervals_.clear(); }

  bool contains(std::uint64_t value) const {
    auto it = first_ending_after(value);
    return it != intervals_.end() && it->begin <= value;
  }

  /// Adds [begin, end); empty intervals add nothing.
  void add(std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) return;
    if (intervals_.empty() || begin > intervals_.back().end) {
      intervals_.push_back({begin, end});
      return;
    }
    // The first interval that touches or follows [begin, end).
    auto it = std::lower_bound(intervals_.begin(), intervals_.end(), begin,
                               [](const Interval& i, std::uint64_t b) { return i.end < b; });
    if (it == intervals_.end() || it->begin > end) {
      intervals_.insert(it, {begin, end});
      return;
    }
    it->begin = std::min(it->begin, begin);
    it->end = std::max(it->end, end);
    auto next = it + 1;
    auto last = next;
    while (last != intervals_.end() && last->begin <= it->end) {
      it->end = std::max(it->end, last->end);
      ++last;
    }
    intervals_.erase(next, last);
  }

  /// Removes [begin, end).
  void subtract(std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) return;
    auto it = intervals_.begin() + (first_ending_after(begin) - intervals_.cbegin());
    while (it != intervals_.end() && it->begin < end) {
      if (it->begin < begin && it->end > end) {
        const Interval tail{end, it->end};
        it->end = begin;
        intervals_.insert(it + 1, tail);
        return;
      }
      if (it->begin < begin) {
        it->end = begin;
        ++it;
      } else if (it->end > end) {
        it->begin = end;
        return;
      } else {
        it = intervals_.erase(it);
      }
    }
  }

  /// Drops everything below `value`.
  void trim_below(std::uint64_t value) { subtract(0, value); }
  /// Drops the lowest intervals until at most `count` are left.
  void keep_newest(std::size_t count) {
    if (intervals_.size() > count) {
      intervals_.erase(intervals_.begin(), intervals_.end() - static_cast<std::ptrdiff_t>(count));
    }
  }

  /// Calls `visit(begin, end)` for every part of [begin, end) that is not in the set, in order.
  template <typename Visit>
  void for_each_missing(std::uint64_t begin, std::uint64_t end, Visit visit) const {
    auto it = first_ending_after(begin);
    while (begin < end) {
      if (it == intervals_.end() || it->begin >= end) {
        visit(begin, end);
        return;
      }
      if (it->begin > begin) visit(begin, it->begin);
      begin = it->end;
      ++it;
    }
  }

 private:
  std::vector<Interval>::const_iterator first_ending_after(std::uint64_t value) const {
    return std::upper_bound(intervals_.begin(), intervals_.end(), value,
                            [](std::uint64_t v, const Interval& i) { return v < i.end; });
  }

  std::vector<Interval> intervals_;
};

}  // namespace netmesh::session
