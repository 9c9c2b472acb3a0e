import { TasksAdapter as CoreTasksAdapter } from './core/tasks_adapter';
import type { AdapterOptions, CortexSnapshot, Task, TaskFilter } from './internal/cortex_types';
import { managerOf } from './internal/managers';
import { adapterOptions, RowAdapter } from './internal/row_adapter';
import * as validate from './internal/validate';
import type { Redex } from './redex';

/**
 * Tasks over a log. Writing calls append an event and return its sequence number at once;
 * `waitForSeq` tells when queries see it.
 *
 * ```ts
 * const tasks = await TasksAdapter.open(new Redex(), 0xABCDEF01n);
 * await tasks.waitForSeq(tasks.create(1n, 'write docs', 100n));
 * const open = tasks.listTasks({ status: TaskStatus.Pending });
 * ```
 */
export class TasksAdapter extends RowAdapter<Task, TaskFilter, CoreTasksAdapter> {
  /** Opens the log `cortex/tasks` of a manager and folds what it holds. */
  static async open(
    redex: Redex,
    originHash: bigint | number,
    opts?: AdapterOptions | null,
  ): Promise<TasksAdapter> {
    const { persistent } = adapterOptions(opts);
    return new TasksAdapter(await CoreTasksAdapter.open(managerOf(redex), originHash, persistent));
  }

  /** Starts from a snapshot and folds what the log has after it. */
  static async openFromSnapshot(
    redex: Redex,
    originHash: bigint | number,
    snapshot: CortexSnapshot,
    opts?: AdapterOptions | null,
  ): Promise<TasksAdapter> {
    const { stateBytes, lastSeq } = validate.object(snapshot, 'snapshot');
    const { persistent } = adapterOptions(opts);
    return new TasksAdapter(
      await CoreTasksAdapter.openFromSnapshot(
        managerOf(redex),
        originHash,
        stateBytes,
        lastSeq,
        persistent,
      ),
    );
  }

  /** Creates a task, or starts it anew if there is one of this id. */
  create(id: bigint | number, title: string, nowNs: bigint | number): bigint {
    return this.napi.create(id, title, nowNs);
  }

  /** Changes the title, if there is such a task. */
  rename(id: bigint | number, newTitle: string, nowNs: bigint | number): bigint {
    return this.napi.rename(id, newTitle, nowNs);
  }

  /** Completes the task, if there is such a one. */
  complete(id: bigint | number, nowNs: bigint | number): bigint {
    return this.napi.complete(id, nowNs);
  }

  /** The tasks that match, in order. */
  listTasks(filter?: TaskFilter | null): Task[] {
    return this.napi.listTasks(filter);
  }

  protected override openWatch(
    filter?: TaskFilter | null,
  ): ReturnType<CoreTasksAdapter['watchTasks']> {
    return this.napi.watchTasks(filter);
  }

  protected override openSnapshotAndWatch(
    filter?: TaskFilter | null,
  ): ReturnType<CoreTasksAdapter['snapshotAndWatchTasks']> {
    return this.napi.snapshotAndWatchTasks(filter);
  }
}
