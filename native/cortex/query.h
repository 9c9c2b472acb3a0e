#pragma once
// What every query over rows has in common (spec 42 §7.1).

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace netmesh::cortex {

/// By what rows are ordered.
enum class OrderKey : std::uint8_t { kId, kCreated, kUpdated };
inline constexpr std::size_t kOrderKeys = 3;

/// Rows of equal key come in the order of their ids, in both directions.
struct Order {
  OrderKey key = OrderKey::kId;
  bool descending = false;
};

/// A range of numbers, both ends included.
struct Range {
  std::uint64_t first = 0;
  std::uint64_t last = std::numeric_limits<std::uint64_t>::max();

  bool contains(std::uint64_t value) const { return first <= value && value <= last; }
  bool nothing() const { return first > last; }
  bool everything() const { return *this == Range{}; }
  friend bool operator==(const Range&, const Range&) = default;
};

/// The conditions that tasks and memories share.
struct CommonFilter {
  Range created;
  Range updated;
  Order order;
  std::optional<std::size_t> limit;

  template <typename Row>
  bool in_time(const Row& row) const {
    return created.contains(row.created_ns) && updated.contains(row.updated_ns);
  }
};

/// Rows that have one value in one field: a facet. Kinds are numbered by each model.
struct Facet {
  std::size_t kind = 0;
  std::string value;
};

/// How to find the rows of a filter. What `matches` tests beyond it is tested row by row.
struct Selection {
  /// Each row has all of these.
  std::vector<Facet> all_of;
  /// Each row has one of these, unless there are none.
  std::vector<Facet> any_of;
  CommonFilter common;
};

}  // namespace netmesh::cortex
