#pragma once
// Which events a poll wants: JSON filters, compiled once and matched against payloads (spec 40
// §4.3).

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace netmesh::bus {

/// A compiled filter. Immutable and copyable; matching needs a matcher.
class Filter {
 public:
  /// Fails with kInvalidArgument and the detail that follows `Invalid filter: `.
  static Expected<Filter> parse(std::string_view text);

 private:
  friend class FilterMatcher;
  struct Compiled;
  explicit Filter(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

/// Matches payloads one after another, with one parser.
class FilterMatcher {
 public:
  explicit FilterMatcher(Filter filter);
  ~FilterMatcher();
  FilterMatcher(const FilterMatcher&) = delete;
  FilterMatcher& operator=(const FilterMatcher&) = delete;

  /// False for a payload that is no JSON.
  bool matches(ByteSpan payload);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace netmesh::bus
