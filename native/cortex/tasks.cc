#include "cortex/tasks.h"

namespace netmesh::cortex {
namespace {

/// Status and ASCII flag, length of the title.
constexpr std::size_t kWordsPerTask = 2;

}  // namespace

std::vector<const Task*> TasksModel::select(State& state, const TaskFilter& filter) {
  Selection selection;
  selection.common = filter.common;
  if (filter.status)
    selection.all_of.push_back({TaskFacets::kStatus, TaskFacets::value_of(*filter.status)});
  return state.select(selection, [&](const Task& task) { return filter.matches(task); });
}

RowBlock TasksModel::pack(const std::vector<const Task*>& rows) {
  std::size_t text_bytes = 0;
  for (const Task* task : rows) text_bytes += task->title.text().size();
  RowBlockWriter out(rows.size(), rows.size() * kWordsPerTask, text_bytes);
  for (const Task* task : rows) {
    const std::string& title = task->title.text();
    out.fixed(task->id, task->created_ns, task->updated_ns);
    out.word(static_cast<std::uint32_t>(task->status) |
             (is_ascii(title) ? RowBlockWriter::kAsciiFlag : 0));
    out.text(title);
  }
  return out.finish();
}

std::size_t TasksModel::row_bytes(const Task& task) {
  return varint_bytes(task.id) + counted_bytes(task.title.text().size()) +
         varint_bytes(static_cast<std::uint64_t>(task.status)) + varint_bytes(task.created_ns) +
         varint_bytes(task.updated_ns);
}

std::byte* TasksModel::put_row(std::byte* at, const Task& task) {
  at = put_varint(at, task.id);
  at = put_counted(at, task.title.text());
  at = put_varint(at, static_cast<std::uint64_t>(task.status));
  at = put_varint(at, task.created_ns);
  return put_varint(at, task.updated_ns);
}

void TasksModel::read_row(PostcardReader& in, Task& task) {
  task.id = in.u64();
  task.title.assign(in.string());
  task.status = static_cast<TaskStatus>(in.variant(kTaskStatuses));
  task.created_ns = in.u64();
  task.updated_ns = in.u64();
}

}  // namespace netmesh::cortex
