#pragma once
// Polling many shards as one: what to ask each for, and how the answers become one page
// (spec 40 §4.1).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "bus/cursor.h"
#include "bus/filter.h"

namespace netmesh::bus {

enum class Ordering : std::uint8_t { kNone, kInsertionTs };

struct PollRequest {
  std::size_t limit = 0;
  std::optional<std::string> cursor;  ///< as the caller gave it
  std::optional<Filter> filter;
  Ordering ordering = Ordering::kNone;
};

/// What a poll asks its shards for.
struct PollPlan {
  struct Shard {
    ShardId shard = 0;
    std::optional<std::string> after;  ///< exclusive; nothing: from the beginning
  };
  std::vector<Shard> shards;
  std::size_t per_shard = 0;  ///< events to fetch from each
  Cursor start;               ///< the decoded cursor
};

/// Fails with `invalid cursor: …`. A limit of 0 makes a plan without shards.
Expected<PollPlan> plan_poll(const PollRequest& request, const std::vector<ShardId>& shards);

struct PageEvent {
  std::string id;
  ByteSpan payload;
  std::uint64_t timestamp = 0;
};

/// What one shard answered. `next_id` covers every event of the page and what was skipped before,
/// and never an event that is not in the page.
struct ShardPage {
  ShardId shard = 0;
  std::vector<PageEvent> events;
  std::optional<std::string> next_id;
  bool has_more = false;
  bool failed = false;
};

struct PollResult {
  /// An event of `pages[page].events[event]`.
  struct Pick {
    std::uint32_t page;
    std::uint32_t event;
  };
  std::vector<Pick> events;
  std::optional<std::string> next_id;
  bool has_more = false;
  std::vector<ShardId> failed_shards;
  std::vector<ShardId> stalled_shards;  ///< said that they have more, and gave nothing
};

/// Filters, orders, truncates, and makes the next cursor. `pages` answer the shards of `plan`.
PollResult merge_pages(const PollRequest& request, const PollPlan& plan,
                       const std::vector<ShardPage>& pages);

}  // namespace netmesh::bus
