import type { NativeTasks, NativeTaskFilter } from '../../types/native';
import { AdapterCore } from '../internal/cortex_adapter';
import { taskFilter } from '../internal/cortex_filters';
import { decodeTasks } from '../internal/cortex_rows';
import type { Task, TaskFilter } from '../internal/cortex_types';
import { addon } from '../internal/native';
import { explain } from '../internal/native_errors';
import {
  Adapter,
  type OpenArguments,
  SnapshotAndWatchIter,
  WatchIter,
  openCore,
  promised,
} from './adapter';
import { InvalidArgumentError } from './errors';
import type { Redex } from './redex';

type Core = AdapterCore<Task, NativeTaskFilter, NativeTasks>;

const INTERNAL = Symbol('netmesh.internal');

/** The changes of one filter's result, see {@link TasksAdapter.watchTasks}. */
export class TaskWatchIter extends WatchIter<Task> {}

/** A result and what becomes of it, see {@link TasksAdapter.snapshotAndWatchTasks}. */
export class TasksSnapshotAndWatch extends SnapshotAndWatchIter<Task> {}

/**
 * Tasks, folded from the log `cortex/tasks` on a thread of its own. Writing calls return the log's
 * sequence number at once; `waitForSeq` tells when the state has it.
 */
export class TasksAdapter extends Adapter<Task, NativeTaskFilter, NativeTasks> {
  /** @internal */
  constructor(token: symbol, core: Core, originHash: bigint) {
    if (token !== INTERNAL) throw new InvalidArgumentError('use TasksAdapter.open');
    super(core, originHash);
  }

  /** Opens the log and resolves when everything in it is folded. */
  static open(
    redex: Redex,
    originHash: bigint | number,
    persistent?: boolean | null,
  ): Promise<TasksAdapter> {
    return open('TasksAdapter open failed', { redex, originHash, persistent, snapshot: null });
  }

  /** Starts from a snapshot and folds what the log has after it. */
  static openFromSnapshot(
    redex: Redex,
    originHash: bigint | number,
    stateBytes: Uint8Array,
    lastSeq?: bigint | null,
    persistent?: boolean | null,
  ): Promise<TasksAdapter> {
    const snapshot = { stateBytes, lastSeq };
    return open('TasksAdapter open_from_snapshot failed', {
      redex,
      originHash,
      persistent,
      snapshot,
    });
  }

  /** Creates a task, or starts it anew if there is one of this id. */
  create(id: bigint | number, title: string, nowNs: bigint | number): bigint {
    try {
      return this.core.native.create(id as bigint, title, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs }, { title });
    }
  }

  /** Changes the title, if there is such a task. */
  rename(id: bigint | number, newTitle: string, nowNs: bigint | number): bigint {
    try {
      return this.core.native.rename(id as bigint, newTitle, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs }, { newTitle });
    }
  }

  /** Completes the task, if there is such a one. */
  complete(id: bigint | number, nowNs: bigint | number): bigint {
    try {
      return this.core.native.complete(id as bigint, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs });
    }
  }

  /** Removes the task, if there is such a one. */
  delete(id: bigint | number): bigint {
    try {
      return this.core.native.delete(id as bigint);
    } catch (error) {
      throw explain(error, { id });
    }
  }

  /** The rows that match, in order. */
  listTasks(filter?: TaskFilter | null): Task[] {
    return this.core.list(taskFilter(filter));
  }

  /** Follows the rows that match, beginning with those of now. */
  watchTasks(filter?: TaskFilter | null): Promise<TaskWatchIter> {
    return promised(() => Promise.resolve(new TaskWatchIter(this.core.watch(taskFilter(filter)))));
  }

  /** The rows that match and, without a gap between, what becomes of them. */
  snapshotAndWatchTasks(filter?: TaskFilter | null): Promise<TasksSnapshotAndWatch> {
    return promised(() => {
      const { block, watch } = this.core.snapshotAndWatch(taskFilter(filter));
      return Promise.resolve(new TasksSnapshotAndWatch(watch, () => decodeTasks(block)));
    });
  }
}

async function open(context: string, from: OpenArguments): Promise<TasksAdapter> {
  const core: Core = new AdapterCore((onReady) => new (addon().NativeTasks)(onReady), decodeTasks);
  return new TasksAdapter(INTERNAL, core, await openCore(core, context, from));
}
