#pragma once
// The tasks model (spec 42 §7): its events, its state, its queries.

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

enum class TaskStatus : std::uint8_t { kPending, kCompleted };
inline constexpr std::uint8_t kTaskStatuses = 2;

struct Task {
  std::uint64_t id = 0;
  SearchText title;
  TaskStatus status = TaskStatus::kPending;
  std::uint64_t created_ns = 0;
  std::uint64_t updated_ns = 0;
};

/// Conditions, all of which hold.
struct TaskFilter {
  std::optional<TaskStatus> status;
  /// Lower-cased by whoever makes the filter; without one, or with an empty one, every title
  /// matches.
  std::string lower_title_part;
  CommonFilter common;

  bool matches(const Task& task) const {
    return (!status || task.status == *status) && common.in_time(task) &&
           task.title.contains(lower_title_part);
  }
};

struct TaskFacets {
  static constexpr std::size_t kStatus = 0;
  static constexpr std::size_t kKinds = 1;

  static std::string value_of(TaskStatus status) {
    return status == TaskStatus::kPending ? "pending" : "completed";
  }
  template <typename Each>
  static void each(const Task& task, std::size_t, Each each) {
    each(value_of(task.status));
  }
};

/// The model as adapters drive it.
struct TasksModel {
  using Row = Task;
  using Filter = TaskFilter;
  using State = Table<Task, TaskFacets>;

  static constexpr std::string_view kChannel = "cortex/tasks";
  static constexpr std::string_view kName = "tasks";
  static constexpr std::string_view kAdapterName = "TasksAdapter";

  static constexpr std::uint8_t kCreated = 0x01;
  static constexpr std::uint8_t kRenamed = 0x02;
  static constexpr std::uint8_t kCompleted = 0x03;
  static constexpr std::uint8_t kDeleted = 0x04;

  /// Applies one event. False, with nothing changed, when its body does not decode. `touch` is told
  /// about the row before and after; null where there is none.
  template <typename Touch>
  static bool apply(State& state, const Event& event, Touch touch);

  /// The rows of a filter, in its order.
  static std::vector<const Task*> select(State& state, const TaskFilter& filter);
  static RowBlock pack(const std::vector<const Task*>& rows);

  /// The bytes that `put_row` writes.
  static std::size_t row_bytes(const Task& task);
  static std::byte* put_row(std::byte* at, const Task& task);
  /// One row of a snapshot; the reader turns not ok when there is none.
  static void read_row(PostcardReader& in, Task& task);
};

template <typename Touch>
bool TasksModel::apply(State& state, const Event& event, Touch touch) {
  PostcardReader in(event.body);
  const std::uint8_t dispatch = event.meta.dispatch;
  if (dispatch < kCreated || dispatch > kDeleted) return true;
  const std::uint64_t id = in.u64();
  const bool has_title = dispatch == kCreated || dispatch == kRenamed;
  const std::string_view title = has_title ? in.string() : std::string_view();
  const std::uint64_t now_ns = dispatch == kDeleted ? 0 : in.u64();
  if (!in.ok()) return false;

  const Task* before = state.find(id);
  if (before != nullptr)
    touch(*before);
  else if (dispatch != kCreated)
    return true;
  switch (dispatch) {
    case kCreated:
      touch(state.put(id, [&](Task& task, bool) {
        task.id = id;
        task.title.assign(title);
        task.status = TaskStatus::kPending;
        task.created_ns = task.updated_ns = now_ns;
      }));
      return true;
    case kDeleted:
      state.erase(id);
      return true;
    default:
      state.update(id, [&](Task& task) {
        if (has_title) task.title.assign(title);
        if (dispatch == kCompleted) task.status = TaskStatus::kCompleted;
        task.updated_ns = now_ns;
      });
      touch(*before);
      return true;
  }
}

}  // namespace netmesh::cortex
