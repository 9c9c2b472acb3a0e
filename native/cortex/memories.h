#pragma once
// The memories model (spec 42 §8): its events, its state, its queries.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cortex/event_meta.h"
#include "cortex/postcard.h"
#include "cortex/row_block.h"
#include "cortex/table.h"
#include "cortex/utf8.h"

namespace netmesh::cortex {

struct Memory {
  std::uint64_t id = 0;
  SearchText content;
  /// In the order given, duplicates included.
  std::vector<std::string> tags;
  std::string source;
  std::uint64_t created_ns = 0;
  std::uint64_t updated_ns = 0;
  bool pinned = false;

  bool has_tag(std::string_view tag) const {
    return std::find(tags.begin(), tags.end(), tag) != tags.end();
  }
};

/// Conditions, all of which hold.
struct MemoryFilter {
  std::optional<std::string> source;
  /// Lower-cased by whoever makes the filter; an empty one matches everything.
  std::string lower_content_part;
  std::optional<std::string> tag;
  /// At least one of them, unless there are none.
  std::vector<std::string> any_tag;
  std::vector<std::string> all_tags;
  std::optional<bool> pinned;
  CommonFilter common;

  bool matches(const Memory& memory) const;
};

struct MemoryFacets {
  static constexpr std::size_t kSource = 0;
  static constexpr std::size_t kTag = 1;
  static constexpr std::size_t kPinned = 2;
  static constexpr std::size_t kKinds = 3;

  static std::string value_of(bool pinned) { return pinned ? "pinned" : "unpinned"; }
  template <typename Each>
  static void each(const Memory& memory, std::size_t kind, Each each) {
    if (kind == kSource) each(memory.source);
    if (kind == kPinned) each(value_of(memory.pinned));
    if (kind == kTag) {
      for (const std::string& tag : memory.tags) each(tag);
    }
  }
};

/// The model as adapters drive it; members as in TasksModel.
struct MemoriesModel {
  using Row = Memory;
  using Filter = MemoryFilter;
  using State = Table<Memory, MemoryFacets>;

  static constexpr std::string_view kChannel = "cortex/memories";
  static constexpr std::string_view kName = "memories";
  static constexpr std::string_view kAdapterName = "MemoriesAdapter";

  static constexpr std::uint8_t kStored = 0x10;
  static constexpr std::uint8_t kRetagged = 0x11;
  static constexpr std::uint8_t kPinned = 0x12;
  static constexpr std::uint8_t kUnpinned = 0x13;
  static constexpr std::uint8_t kDeleted = 0x14;

  template <typename Touch>
  static bool apply(State& state, const Event& event, Touch touch);

  static std::vector<const Memory*> select(State& state, const MemoryFilter& filter);
  static RowBlock pack(const std::vector<const Memory*>& rows);

  static std::size_t row_bytes(const Memory& memory);
  static std::byte* put_row(std::byte* at, const Memory& memory);
  static void read_row(PostcardReader& in, Memory& memory);
};

/// A vector of strings, as bodies and snapshots have them.
std::vector<std::string> read_tags(PostcardReader& in);
std::byte* put_tags(std::byte* at, const std::vector<std::string>& tags);
std::size_t tags_bytes(const std::vector<std::string>& tags);

template <typename Touch>
bool MemoriesModel::apply(State& state, const Event& event, Touch touch) {
  PostcardReader in(event.body);
  const std::uint8_t dispatch = event.meta.dispatch;
  if (dispatch < kStored || dispatch > kDeleted) return true;
  const std::uint64_t id = in.u64();
  const std::string_view content = dispatch == kStored ? in.string() : std::string_view();
  std::vector<std::string> tags;
  if (dispatch == kStored || dispatch == kRetagged) tags = read_tags(in);
  const std::string_view source = dispatch == kStored ? in.string() : std::string_view();
  const std::uint64_t now_ns = dispatch == kDeleted ? 0 : in.u64();
  if (!in.ok()) return false;

  const Memory* before = state.find(id);
  if (before != nullptr)
    touch(*before);
  else if (dispatch != kStored)
    return true;
  switch (dispatch) {
    case kStored:
      touch(state.put(id, [&](Memory& memory, bool is_new) {
        memory.id = id;
        memory.content.assign(content);
        memory.tags = std::move(tags);
        memory.source = source;
        memory.updated_ns = now_ns;
        // Storing again changes what is remembered, not since when, nor whether it is pinned.
        if (is_new) memory.created_ns = now_ns;
      }));
      return true;
    case kDeleted:
      state.erase(id);
      return true;
    default:
      state.update(id, [&](Memory& memory) {
        if (dispatch == kRetagged)
          memory.tags = std::move(tags);
        else
          memory.pinned = dispatch == kPinned;
        memory.updated_ns = now_ns;
      });
      touch(*before);
      return true;
  }
}

}  // namespace netmesh::cortex
