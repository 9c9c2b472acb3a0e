#pragma once
// Rows by id, with indices that are made when the first query needs them and kept up from then on:
// an order that nobody asks for costs nothing.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "cortex/query.h"

namespace netmesh::cortex {

/// The rows of a model. `Facets` knows the fields by which rows can be looked up:
///
///     static constexpr std::size_t kKinds;
///     template <typename Each> static void each(const Row&, std::size_t kind, Each each);  //
///     each(value)
///
/// Not thread-safe; selecting counts as changing.
template <typename Row, typename Facets>
class Table {
 public:
  using Rows = std::map<std::uint64_t, Row>;

  std::size_t size() const { return rows_.size(); }
  /// In ascending order of ids.
  const Rows& rows() const { return rows_; }

  const Row* find(std::uint64_t id) const {
    const auto at = rows_.find(id);
    return at == rows_.end() ? nullptr : &at->second;
  }

  /// Calls `change(row, is_new)` on the row of this id, made now if there is none.
  template <typename Change>
  const Row& put(std::uint64_t id, Change change) {
    // Ids that grow, as most do, go to the end without a search.
    if (rows_.empty() || rows_.rbegin()->first < id) {
      Row& row = rows_.emplace_hint(rows_.end(), id, Row{})->second;
      change(row, true);
      enter(row);
      return row;
    }
    const auto [at, is_new] = rows_.try_emplace(id);
    if (!is_new) leave(at->second);
    change(at->second, is_new);
    enter(at->second);
    return at->second;
  }

  /// Calls `change(row)`; false when there is no such row.
  template <typename Change>
  bool update(std::uint64_t id, Change change) {
    const auto at = rows_.find(id);
    if (at == rows_.end()) return false;
    leave(at->second);
    change(at->second);
    enter(at->second);
    return true;
  }

  bool erase(std::uint64_t id) {
    const auto at = rows_.find(id);
    if (at == rows_.end()) return false;
    leave(at->second);
    rows_.erase(at);
    return true;
  }

  void clear() {
    rows_.clear();
    indices_.clear();
  }

  /// The rows that the selection describes and `matches` accepts, ordered and cut at the limit. The
  /// pointers are valid until the next change.
  template <typename Matches>
  std::vector<const Row*> select(const Selection& selection, Matches matches) {
    const CommonFilter& common = selection.common;
    if (common.limit == std::size_t{0} || common.created.nothing() || common.updated.nothing())
      return {};
    const Narrowed narrowed = narrow(selection);
    if (narrowed.nothing) return {};
    if (!narrowed.united.empty()) return select_united(narrowed, common, matches);
    return race(narrowed.facet, common, matches);
  }

 private:
  /// Below this number of candidates, looking at each is cheaper than one more index to keep up.
  static constexpr std::size_t kFewRows = 256;
  /// The kind of facet that every row has.
  static constexpr std::size_t kAll = Facets::kKinds;

  struct Entry {
    std::uint64_t key;
    std::uint64_t id;
    const Row* row;

    friend bool operator<(const Entry& a, const Entry& b) {
      return a.key != b.key ? a.key < b.key : a.id < b.id;
    }
  };
  using Posting = std::set<Entry>;
  using Postings = std::unordered_map<std::string, Posting>;
  using Selected = std::vector<const Row*>;

  struct Index {
    std::size_t kind;
    OrderKey order;
    Postings postings;
  };

  /// Where to look for rows: in one facet (null: among all), or in several together.
  struct Narrowed {
    bool nothing = false;
    const Facet* facet = nullptr;
    std::size_t candidates = 0;
    std::vector<const Posting*> united;
  };

  /// Goes through the entries of a posting within a range of keys, ties always by ascending id.
  class Walk {
   public:
    Walk(const Posting& posting, Range range, bool descending)
        : posting_(posting),
          first_(posting.lower_bound({range.first, 0, nullptr})),
          end_(range.last == std::numeric_limits<std::uint64_t>::max()
                   ? posting.end()
                   : posting.lower_bound({range.last + 1, 0, nullptr})),
          descending_(descending),
          at_(descending ? end_ : first_),
          group_end_(end_),
          next_group_end_(end_) {}

    const Row* next() {
      if (!descending_) return at_ == end_ ? nullptr : (at_++)->row;
      if (at_ == group_end_) {
        if (next_group_end_ == first_) return nullptr;
        begin_group();
      }
      return (at_++)->row;
    }

   private:
    using Iterator = typename Posting::const_iterator;

    /// Rows of one key lie in ascending order of ids: the group before the last one is next.
    void begin_group() {
      group_end_ = next_group_end_;
      at_ = std::prev(group_end_);
      if (at_ != first_ && std::prev(at_)->key == at_->key)
        at_ = posting_.lower_bound({at_->key, 0, nullptr});
      next_group_end_ = at_;
    }

    const Posting& posting_;
    Iterator first_;
    Iterator end_;
    bool descending_;
    Iterator at_;
    Iterator group_end_;
    Iterator next_group_end_;
  };

  static std::uint64_t key_of(const Row& row, OrderKey order) {
    switch (order) {
      case OrderKey::kCreated:
        return row.created_ns;
      case OrderKey::kUpdated:
        return row.updated_ns;
      case OrderKey::kId:
        break;
    }
    return row.id;
  }

  static Entry entry_of(const Row& row, OrderKey order) {
    return {key_of(row, order), row.id, &row};
  }

  template <typename Each>
  static void each_value(const Row& row, std::size_t kind, Each each) {
    if (kind == kAll)
      each(std::string());
    else
      Facets::each(row, kind, each);
  }

  void enter(const Row& row) {
    for (const auto& index : indices_) {
      const Entry entry = entry_of(row, index->order);
      each_value(row, index->kind, [&](const std::string& value) {
        Posting& posting = index->postings[value];
        // Times grow, as ids do.
        posting.emplace_hint(posting.end(), entry);
      });
    }
  }

  void leave(const Row& row) {
    for (const auto& index : indices_) {
      const Entry entry = entry_of(row, index->order);
      each_value(row, index->kind, [&](const std::string& value) {
        const auto posting = index->postings.find(value);
        if (posting == index->postings.end()) return;  // a value that the row has twice
        posting->second.erase(entry);
        if (posting->second.empty()) index->postings.erase(posting);
      });
    }
  }

  Postings& postings(std::size_t kind, OrderKey order) {
    for (const auto& index : indices_) {
      if (index->kind == kind && index->order == order) return index->postings;
    }
    indices_.push_back(std::make_unique<Index>(Index{kind, order, {}}));
    Postings& made = indices_.back()->postings;
    // In order, so that each entry goes to the end of its posting.
    std::vector<Entry> entries;
    entries.reserve(rows_.size());
    for (const auto& [id, row] : rows_) entries.push_back(entry_of(row, order));
    if (order != OrderKey::kId) std::sort(entries.begin(), entries.end());
    for (const Entry& entry : entries) {
      each_value(*entry.row, kind, [&](const std::string& value) {
        Posting& posting = made[value];
        posting.emplace_hint(posting.end(), entry);
      });
    }
    return made;
  }

  const Posting& posting(const Facet* facet, OrderKey order) {
    static const Posting kEmpty;
    const Postings& all = postings(facet == nullptr ? kAll : facet->kind, order);
    const auto at = all.find(facet == nullptr ? std::string() : facet->value);
    return at == all.end() ? kEmpty : at->second;
  }

  /// Picks the facet with the fewest rows.
  Narrowed narrow(const Selection& selection) {
    Narrowed out;
    out.candidates = rows_.size();
    for (const Facet& facet : selection.all_of) {
      const std::size_t count = posting(&facet, OrderKey::kId).size();
      if (count == 0) out.nothing = true;
      if (out.facet == nullptr || count < out.candidates) {
        out.facet = &facet;
        out.candidates = count;
      }
    }
    if (selection.any_of.empty()) return out;
    std::size_t count = 0;
    std::vector<const Posting*> united;
    for (const Facet& facet : selection.any_of) {
      united.push_back(&posting(&facet, OrderKey::kId));
      count += united.back()->size();
    }
    if (count == 0) out.nothing = true;
    if (count < out.candidates) {
      out.facet = nullptr;
      out.candidates = count;
      out.united = std::move(united);
    }
    return out;
  }

  template <typename Matches>
  Selected select_united(const Narrowed& narrowed, const CommonFilter& common, Matches matches) {
    Selected found;
    found.reserve(narrowed.candidates);
    for (const Posting* posting : narrowed.united) {
      for (const Entry& entry : *posting) found.push_back(entry.row);
    }
    // A row may be in several.
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    std::erase_if(found, [&](const Row* row) { return !matches(*row); });
    return arrange(std::move(found), common);
  }

  /// There are several ways through the candidates: in the order that is asked for until the limit
  /// is reached, or through one of the time ranges. Which is the shortest shows when one is at its
  /// end, so all of them advance in step.
  template <typename Matches>
  Selected race(const Facet* facet, const CommonFilter& common, Matches matches) {
    const Range by_key[kOrderKeys] = {Range{}, common.created, common.updated};
    const auto range_of = [&](OrderKey key) { return by_key[static_cast<std::size_t>(key)]; };
    const bool few = facet != nullptr && posting(facet, OrderKey::kId).size() <= kFewRows;
    if (few) return gather(facet, OrderKey::kId, Range{}, common, matches);

    const OrderKey wanted = common.order.key;
    // The rows themselves are an index of all ids.
    if (facet == nullptr && wanted == OrderKey::kId && common.created.everything() &&
        common.updated.everything()) {
      return common.order.descending ? take(rows_.rbegin(), rows_.rend(), common, matches)
                                     : take(rows_.begin(), rows_.end(), common, matches);
    }
    Walk ordered(posting(facet, wanted), range_of(wanted), common.order.descending);
    std::vector<std::pair<OrderKey, Walk>> rivals;
    for (const OrderKey key : {OrderKey::kCreated, OrderKey::kUpdated}) {
      if (key != wanted && !range_of(key).everything())
        rivals.emplace_back(key, Walk(posting(facet, key), range_of(key), false));
    }

    Selected found;
    while (const Row* row = ordered.next()) {
      if (matches(*row)) {
        found.push_back(row);
        if (found.size() == common.limit) return found;
      }
      for (auto& [key, walk] : rivals) {
        if (walk.next() == nullptr) return gather(facet, key, range_of(key), common, matches);
      }
    }
    return found;
  }

  template <typename Iterator, typename Matches>
  static Selected take(Iterator at, Iterator end, const CommonFilter& common, Matches matches) {
    Selected found;
    for (; at != end; ++at) {
      if (!matches(at->second)) continue;
      found.push_back(&at->second);
      if (found.size() == common.limit) break;
    }
    return found;
  }

  template <typename Matches>
  Selected gather(const Facet* facet, OrderKey key, Range range, const CommonFilter& common,
                  Matches matches) {
    Selected found;
    Walk walk(posting(facet, key), range, false);
    while (const Row* row = walk.next()) {
      if (matches(*row)) found.push_back(row);
    }
    return arrange(std::move(found), common);
  }

  static Selected arrange(Selected found, const CommonFilter& common) {
    const auto before = [&](const Row* a, const Row* b) {
      const std::uint64_t key_a = key_of(*a, common.order.key);
      const std::uint64_t key_b = key_of(*b, common.order.key);
      if (key_a != key_b) return common.order.descending ? key_a > key_b : key_a < key_b;
      return a->id < b->id;
    };
    if (common.limit && *common.limit < found.size()) {
      const auto cut = found.begin() + static_cast<std::ptrdiff_t>(*common.limit);
      std::partial_sort(found.begin(), cut, found.end(), before);
      found.erase(cut, found.end());
    } else {
      std::sort(found.begin(), found.end(), before);
    }
    return found;
  }

  Rows rows_;
  std::vector<std::unique_ptr<Index>> indices_;
};

}  // namespace netmesh::cortex
