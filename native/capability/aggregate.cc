// Aggregation and capacity ranking over the index (spec 30 §13).

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <memory>
#include <tuple>

#include "capability/decimal.h"
#include "capability/index.h"
#include "capability/pattern.h"
#include "predicate/tag.h"

namespace netmesh::capability {
namespace {

using predicate::Tag;

/// Longer tags are not searched: what a pattern runs over comes from strangers.
constexpr std::size_t kMaxSearchedBytes = 256;

struct AxisKey {
  std::string axis;
  std::string key;
};

/// `axis.key`, the key in as many parts as it likes.
std::optional<AxisKey> split_axis_key(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot + 1 == text.size()) return std::nullopt;
  if (!predicate::parse_axis(text.substr(0, dot))) return std::nullopt;
  return AxisKey{std::string(text.substr(0, dot)), std::string(text.substr(dot + 1))};
}

/// A version of semver 2.0.0 without build metadata, in the order of precedence.
struct Version {
  std::uint64_t major = 0, minor = 0, patch = 0;
  std::string pre;

  static std::optional<Version> parse(std::string_view text);
  std::strong_ordering operator<=>(const Version& other) const;
};

std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t at = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

bool is_number(std::string_view text) { return parse_decimal<std::uint64_t>(text).has_value(); }

std::optional<std::uint64_t> version_number(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return parse_decimal<std::uint64_t>(text);
}

std::optional<Version> Version::parse(std::string_view text) {
  text = text.substr(0, text.find('+'));
  Version out;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    out.pre = text.substr(dash + 1);
    if (out.pre.empty()) return std::nullopt;
    text = text.substr(0, dash);
  }
  if (std::count(text.begin(), text.end(), '.') != 2) return std::nullopt;
  const auto major = version_number(take_until(text, '.'));
  const auto minor = version_number(take_until(text, '.'));
  const auto patch = version_number(text);
  if (!major || !minor || !patch) return std::nullopt;
  std::tie(out.major, out.minor, out.patch) = std::tuple(*major, *minor, *patch);
  return out;
}

std::strong_ordering compare_pre(std::string_view a, std::string_view b) {
  // A release comes after what was released before it.
  if (a.empty() || b.empty()) return b.size() <=> a.size();
  while (!a.empty() && !b.empty()) {
    const std::string_view x = take_until(a, '.');
    const std::string_view y = take_until(b, '.');
    const auto nx = parse_decimal<std::uint64_t>(x);
    const auto ny = parse_decimal<std::uint64_t>(y);
    if (nx && ny && *nx != *ny) return *nx <=> *ny;
    if (nx.has_value() != ny.has_value())
      return is_number(x) ? std::strong_ordering::less : std::strong_ordering::greater;
    if (!nx && x != y) return x.compare(y) <=> 0;
  }
  return a.size() <=> b.size();
}

std::strong_ordering Version::operator<=>(const Version& other) const {
  const auto numbers =
      std::tie(major, minor, patch) <=> std::tie(other.major, other.minor, other.patch);
  return numbers != 0 ? numbers : compare_pre(pre, other.pre);
}

std::string hex(std::uint64_t value) {
  char buffer[16];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, 16).ptr;
  return "0x" + std::string(buffer, end);
}

std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  return a > std::numeric_limits<std::uint64_t>::max() - b
             ? std::numeric_limits<std::uint64_t>::max()
             : a + b;
}

bool is_on(const Tag& tag, std::string_view axis) {
  return tag.on_axis() && predicate::to_string(tag.axis) == axis;
}

/// The value of an axis-value tag with this axis and key.
std::optional<std::string_view> value_of(std::string_view text, const AxisKey& wanted) {
  const Tag tag = predicate::take_apart(text);
  if (tag.kind != Tag::Kind::kValue || !is_on(tag, wanted.axis) || tag.key != wanted.key)
    return std::nullopt;
  return tag.value;
}

}  // namespace

// --- matchers ---

struct CompiledMatcher::Impl {
  TagMatcher matcher;
  std::optional<Pattern> pattern;  ///< none for a bad pattern, which matches nothing
  std::optional<AxisKey> axis_key;
  std::optional<Version> min, max;
};

CompiledMatcher::CompiledMatcher(const TagMatcher& matcher)
    : impl_(std::make_unique<Impl>(Impl{matcher, {}, {}, {}, {}})) {
  if (matcher.kind == TagMatcher::Kind::kRegex) impl_->pattern = Pattern::compile(matcher.value);
  if (matcher.kind == TagMatcher::Kind::kVersionRange) {
    impl_->axis_key = split_axis_key(matcher.value);
    if (matcher.min) impl_->min = Version::parse(*matcher.min);
    if (matcher.max) impl_->max = Version::parse(*matcher.max);
  }
}
CompiledMatcher::~CompiledMatcher() = default;
CompiledMatcher::CompiledMatcher(CompiledMatcher&&) noexcept = default;

bool CompiledMatcher::matches(std::string_view text) const {
  const TagMatcher& matcher = impl_->matcher;
  switch (matcher.kind) {
    case TagMatcher::Kind::kExact:
      return text == matcher.value;
    case TagMatcher::Kind::kPrefix:
      return text.starts_with(matcher.value);
    case TagMatcher::Kind::kAxis:
      return is_on(predicate::take_apart(text), matcher.value);
    case TagMatcher::Kind::kAxisKey: {
      const Tag tag = predicate::take_apart(text);
      return is_on(tag, matcher.value) && tag.key == matcher.key;
    }
    case TagMatcher::Kind::kRegex:
      return impl_->pattern && text.size() <= kMaxSearchedBytes && impl_->pattern->found_in(text);
    case TagMatcher::Kind::kVersionRange: {
      const auto value = impl_->axis_key ? value_of(text, *impl_->axis_key) : std::nullopt;
      const auto version = value ? Version::parse(*value) : std::nullopt;
      return version && (!impl_->min || *version >= *impl_->min) &&
             (!impl_->max || *version <= *impl_->max);
    }
  }
  return false;
}

// --- words ---

namespace {

/// A function of words, computed once for each that comes up: many nodes share few words.
template <typename T>
class PerWord {
 public:
  explicit PerWord(std::size_t id_bound) : values_(id_bound) {}
  template <typename Compute>
  const T& of(WordId id, Compute&& compute) {
    std::optional<T>& value = values_[id];
    if (!value) value.emplace(compute());
    return *value;
  }

 private:
  std::vector<std::optional<T>> values_;
};

/// What one tag says about `axis.key`.
struct WordValue {
  std::optional<std::string_view> text;
  std::optional<std::uint64_t> number;
};

WordValue word_value(std::string_view word, const AxisKey& wanted) {
  WordValue out;
  out.text = value_of(word, wanted);
  if (out.text) out.number = parse_decimal<std::uint64_t>(*out.text);
  return out;
}

/// The bucket that a tag alone puts a node into.
std::optional<std::string> bucket_of_word(std::string_view word, const GroupBy& group_by) {
  switch (group_by.kind) {
    case GroupBy::Kind::kRegion: {
      constexpr std::string_view kPrefix = "scope:region:";
      if (!word.starts_with(kPrefix) || word.size() == kPrefix.size()) return std::nullopt;
      return std::string(word.substr(kPrefix.size()));
    }
    case GroupBy::Kind::kTagStem: {
      const std::string& stem = group_by.value;
      if (!word.starts_with(stem)) return std::nullopt;
      if (word.size() == stem.size()) return "(present)";
      if (word[stem.size()] != '.') return std::nullopt;
      const std::string_view rest = word.substr(stem.size() + 1);
      const std::string_view segment = rest.substr(0, rest.find_first_of(".=:"));
      return segment.empty() ? std::nullopt : std::optional<std::string>(segment);
    }
    case GroupBy::Kind::kTagValue: {
      const auto value = value_of(word, {group_by.value, group_by.key});
      return value ? std::optional<std::string>(*value) : std::nullopt;
    }
    case GroupBy::Kind::kClass:
    case GroupBy::Kind::kState:
    case GroupBy::Kind::kPublisher:
      break;
  }
  return std::nullopt;
}

}  // namespace

// --- buckets ---

template <typename Visit>
void CapabilityIndex::for_each_chosen(const std::optional<TagMatcher>& matcher, TimePoint now,
                                      Visit&& visit) const {
  std::optional<CompiledMatcher> compiled;
  if (matcher) compiled.emplace(*matcher);
  PerWord<bool> verdicts(compiled ? tags_.id_bound() : 0);
  const auto matches_word = [&](WordId id) {
    return verdicts.of(id, [&] { return compiled->matches(tags_.word(id)); });
  };
  for (const Slot slot : all_) {
    if (hot_[slot].expires_at <= now) continue;
    const auto& tags = entries_[slot].tags;
    if (!compiled || std::any_of(tags.begin(), tags.end(), matches_word)) visit(slot);
  }
}

/// The buckets of nodes, as numbers while they are counted.
class CapabilityIndex::Grouping {
 public:
  Grouping(const CapabilityIndex& index, const GroupBy& group_by)
      : index_(index), group_by_(group_by), of_word_(index.tags_.id_bound()) {}

  /// The buckets of a node, each once; valid until the next call.
  const std::vector<std::uint32_t>& of(Slot slot) {
    found_.clear();
    switch (group_by_.kind) {
      case GroupBy::Kind::kClass:
        found_.push_back(bucket("0x0"));
        return found_;
      case GroupBy::Kind::kState:
        found_.push_back(bucket("idle"));
        return found_;
      case GroupBy::Kind::kPublisher:
        found_.push_back(bucket(hex(index_.hot_[slot].node.value)));
        return found_;
      case GroupBy::Kind::kRegion:
      case GroupBy::Kind::kTagStem:
      case GroupBy::Kind::kTagValue:
        break;
    }
    for (const WordId id : index_.entries_[slot].tags) {
      const auto& number = of_word_.of(id, [&]() -> std::optional<std::uint32_t> {
        const auto name = bucket_of_word(index_.tags_.word(id), group_by_);
        return name ? std::optional(bucket(*name)) : std::nullopt;
      });
      if (number && std::find(found_.begin(), found_.end(), *number) == found_.end())
        found_.push_back(*number);
    }
    if (group_by_.kind == GroupBy::Kind::kRegion) keep_first_region();
    return found_;
  }

  /// Every bucket with its number, in byte order.
  const std::map<std::string, std::uint32_t>& buckets() const { return numbers_; }

 private:
  /// A node is in one region: the first by its name.
  void keep_first_region() {
    if (found_.empty()) found_.push_back(bucket("(none)"));
    const auto first = std::min_element(
        found_.begin(), found_.end(),
        [this](std::uint32_t a, std::uint32_t b) { return *names_[a] < *names_[b]; });
    found_.front() = *first;
    found_.resize(1);
  }
  std::uint32_t bucket(const std::string& name) {
    const auto [at, added] = numbers_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
    if (added) names_.push_back(&at->first);
    return at->second;
  }

  const CapabilityIndex& index_;
  const GroupBy& group_by_;
  PerWord<std::optional<std::uint32_t>> of_word_;
  std::map<std::string, std::uint32_t> numbers_;
  std::vector<const std::string*> names_;  ///< the keys of numbers_
  std::vector<std::uint32_t> found_;
};

// --- aggregation ---

std::vector<AggregateRow> CapabilityIndex::aggregate(const std::optional<TagMatcher>& matcher,
                                                     const GroupBy& group_by,
                                                     const Aggregation& aggregation,
                                                     TimePoint now) const {
  using Kind = Aggregation::Kind;
  struct Bucket {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
    std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t most = 0;
    bool any = false;
    std::set<std::string_view> values;
  };
  const bool distinct = aggregation.kind == Kind::kDistinctValues;
  const std::optional<AxisKey> wanted =
      distinct ? AxisKey{aggregation.value, aggregation.key} : split_axis_key(aggregation.value);
  const bool reads_tags =
      wanted && aggregation.kind != Kind::kCount && aggregation.kind != Kind::kDistinctPublishers;

  Grouping grouping(*this, group_by);
  PerWord<WordValue> values(reads_tags ? tags_.id_bound() : 0);
  std::vector<Bucket> buckets;
  for_each_chosen(matcher, now, [&](Slot slot) {
    for (const std::uint32_t number : grouping.of(slot)) {
      if (number >= buckets.size()) buckets.resize(number + 1);
      Bucket& bucket = buckets[number];
      ++bucket.count;
      if (!reads_tags) continue;
      for (const WordId id : entries_[slot].tags) {
        const WordValue& value = values.of(id, [&] { return word_value(tags_.word(id), *wanted); });
        if (distinct && value.text) bucket.values.insert(*value.text);
        if (!value.number) continue;
        bucket.any = true;
        bucket.sum = saturating_add(bucket.sum, *value.number);
        bucket.least = std::min(bucket.least, *value.number);
        bucket.most = std::max(bucket.most, *value.number);
      }
    }
  });

  const auto result = [&](const Bucket& bucket) -> std::uint64_t {
    switch (aggregation.kind) {
      case Kind::kCount:
      case Kind::kDistinctPublishers:  // an entry is a node
        return bucket.count;
      case Kind::kDistinctValues:
        return bucket.values.size();
      case Kind::kSumNumericTag:
        return bucket.sum;
      case Kind::kMinNumericTag:
        return bucket.any ? bucket.least : 0;
      case Kind::kMaxNumericTag:
        return bucket.most;
    }
    return 0;
  };
  std::vector<AggregateRow> rows;
  rows.reserve(buckets.size());
  // A region that is not the first of any node has a number and no node.
  for (const auto& [name, number] : grouping.buckets()) {
    if (number < buckets.size() && buckets[number].count > 0)
      rows.push_back({name, result(buckets[number])});
  }
  return rows;
}

std::vector<CapacityRow> CapabilityIndex::capacity_ranking(const CapacityQuery& query,
                                                           const RttLookup& rtt,
                                                           TimePoint now) const {
  const std::optional<AxisKey> summed =
      query.sum_axis_key ? split_axis_key(*query.sum_axis_key) : std::nullopt;
  const auto near_enough = [&](NodeId node) {
    if (!query.max_rtt_ms) return true;
    const auto ms = rtt ? rtt(node) : std::nullopt;
    return ms && *ms <= static_cast<double>(*query.max_rtt_ms);
  };

  Grouping grouping(*this, query.group_by);
  PerWord<WordValue> values(summed ? tags_.id_bound() : 0);
  std::vector<CapacityRow> by_number;
  for_each_chosen(query.matcher, now, [&](Slot slot) {
    if (!near_enough(hot_[slot].node)) return;
    std::uint64_t capacity = 0;
    if (summed) {
      for (const WordId id : entries_[slot].tags) {
        const WordValue& value = values.of(id, [&] { return word_value(tags_.word(id), *summed); });
        capacity = saturating_add(capacity, value.number.value_or(0));
      }
    }
    for (const std::uint32_t number : grouping.of(slot)) {
      if (number >= by_number.size()) by_number.resize(number + 1);
      CapacityRow& row = by_number[number];
      // Nodes do not announce a state yet: every one is idle.
      ++row.idle;
      ++row.available;
      if (summed) row.summed_capacity = saturating_add(row.summed_capacity.value_or(0), capacity);
    }
  });

  std::vector<CapacityRow> rows;
  for (const auto& [name, number] : grouping.buckets()) {
    if (number >= by_number.size() || by_number[number].available == 0) continue;
    by_number[number].bucket = name;
    rows.push_back(std::move(by_number[number]));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const CapacityRow& a, const CapacityRow& b) {
    return a.available > b.available;
  });
  if (query.limit != 0 && rows.size() > query.limit) rows.resize(query.limit);
  return rows;
}

}  // namespace netmesh::capability
