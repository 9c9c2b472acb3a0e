import './internal/async_dispose';
import { TasksAdapter as CoreTasksAdapter } from './core/tasks_adapter';
import type { WriteToken } from './core/write_token';
import { iterate } from './internal/cortex_adapter';
import type {
  AdapterOptions,
  CortexSnapshot,
  FoldProgress,
  Task,
  TaskFilter,
  SnapshotAndWatch,
} from './internal/cortex_types';
import { managerOf } from './internal/managers';
import * as validate from './internal/validate';
import type { Redex } from './redex';
import type { WaitOptions } from './types';

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
export class TasksAdapter {
  /** The same in `netmesh/core`. */
  readonly napi: CoreTasksAdapter;

  constructor(inner: CoreTasksAdapter) {
    this.napi = inner;
  }

  /** Opens the log `cortex/tasks` of a manager and folds what it holds. */
  static async open(
    redex: Redex,
    originHash: bigint | number,
    opts?: AdapterOptions | null,
  ): Promise<TasksAdapter> {
    const { persistent } = options(opts);
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
    const { persistent } = options(opts);
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

  /** Removes the task, if there is such a one. */
  delete(id: bigint | number): bigint {
    return this.napi.delete(id);
  }

  /** Resolves when the event is folded, whether or not it could be applied. */
  waitForSeq(seq: bigint | number, opts?: WaitOptions): Promise<void> {
    return this.napi.waitForSeq(seq, opts);
  }

  /**
   * Resolves when the write is applied; rejects with a `CortexError` after `deadlineMs`. 0 asks only
   * whether it is.
   */
  waitForToken(token: WriteToken, deadlineMs: number, opts?: WaitOptions): Promise<void> {
    return this.napi.waitForToken(token, deadlineMs, opts);
  }

  /** The number of tasks. */
  count(): number {
    return this.napi.count();
  }

  /** The task of this id, or null. */
  get(id: bigint | number): Task | null {
    return this.napi.get(id);
  }

  /** The tasks that match, in order. */
  listTasks(filter?: TaskFilter | null): Task[] {
    return this.napi.listTasks(filter);
  }

  /** The state, to be restored from later. */
  snapshot(): CortexSnapshot {
    return this.napi.snapshot();
  }

  /**
   * Follows the tasks that match: those of now, then all that match whenever that has changed. A slow
   * reader gets the newest. Ends when the adapter closes; leaving the loop ends it, too.
   */
  async watch(filter?: TaskFilter | null, opts?: WaitOptions): Promise<AsyncIterable<Task[]>> {
    const signal = signalOf(opts);
    return iterate(await this.napi.watchTasks(filter), signal);
  }

  /** The tasks that match, and what becomes of them from that instant on. */
  async snapshotAndWatch(
    filter?: TaskFilter | null,
    opts?: WaitOptions,
  ): Promise<SnapshotAndWatch<Task>> {
    const signal = signalOf(opts);
    const inner = await this.napi.snapshotAndWatchTasks(filter);
    return { snapshot: inner.snapshot, updates: iterate(inner, signal) };
  }

  /** False once the adapter or its log is closed. */
  isRunning(): boolean {
    return this.napi.isRunning();
  }

  /** How far the fold is, and what it skipped. */
  progress(): FoldProgress {
    return this.napi.progress();
  }

  /** Stops writing and folding; queries still answer, watches end. Idempotent. */
  close(): void {
    this.napi.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.napi[Symbol.asyncDispose]();
  }
}

function options(opts: AdapterOptions | null | undefined): AdapterOptions {
  return validate.optionsObject(opts ?? undefined, 'options');
}

function signalOf(opts: WaitOptions | undefined): AbortSignal | undefined {
  return validate.abortSignal(validate.optionsObject(opts, 'options').signal);
}
