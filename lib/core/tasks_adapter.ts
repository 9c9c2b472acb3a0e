import '../internal/async_dispose';
import type { NativeTasks, NativeTaskFilter } from '../../types/native';
import { AdapterCore, type Watch } from '../internal/cortex_adapter';
import { taskFilter } from '../internal/cortex_filters';
import { decodeTasks } from '../internal/cortex_rows';
import type { CortexSnapshot, FoldProgress, Task, TaskFilter } from '../internal/cortex_types';
import { nativeManagerOf } from '../internal/managers';
import { addon } from '../internal/native';
import { classifyArguments, explain } from '../internal/native_errors';
import * as validate from '../internal/validate';
import type { WaitOptions } from '../types';
import { CortexError, InvalidArgumentError } from './errors';
import type { Redex } from './redex';
import { WriteToken } from './write_token';

type Core = AdapterCore<Task, NativeTaskFilter, NativeTasks>;

const MAX_MS = 0x7fff_ffff;
const INTERNAL = Symbol('netmesh.internal');

function timedOut(): CortexError {
  return new CortexError('cortex: wait_for_token: read-your-writes wait timed out');
}

/** The changes of one filter's result, see {@link TasksAdapter.watchTasks}. */
export class TaskWatchIter {
  readonly #watch: Watch<Task>;

  /** @internal */
  constructor(watch: Watch<Task>) {
    this.#watch = watch;
  }

  /**
   * The rows, at first and whenever they have changed since; a reader that is slow gets the newest.
   * Null once this or the adapter is closed.
   */
  next(): Promise<Task[] | null> {
    return this.#watch.next();
  }

  /** Ends the stream. Idempotent. */
  close(): void {
    this.#watch.close();
  }
}

/** A result and what becomes of it, see {@link TasksAdapter.snapshotAndWatchTasks}. */
export class TasksSnapshotAndWatch {
  readonly #core: Core;
  readonly #block: ArrayBuffer;
  readonly #watch: Watch<Task>;

  /** @internal */
  constructor(core: Core, block: ArrayBuffer, watch: Watch<Task>) {
    this.#core = core;
    this.#block = block;
    this.#watch = watch;
  }

  /** The rows as they were at the call; a fresh copy each time. */
  get snapshot(): Task[] {
    return this.#core.decode(this.#block);
  }

  /** The rows, whenever they have changed since; null once this or the adapter is closed. */
  next(): Promise<Task[] | null> {
    return this.#watch.next();
  }

  /** Ends the stream. Idempotent. */
  close(): void {
    this.#watch.close();
  }
}

/**
 * Tasks, folded from the log `cortex/tasks` on a thread of its own. Writing calls return the log's
 * sequence number at once; `waitForSeq` tells when the state has it.
 */
export class TasksAdapter {
  readonly #core: Core;
  readonly #originHash: bigint;

  private constructor(token: symbol, core: Core, originHash: bigint) {
    if (token !== INTERNAL) throw new InvalidArgumentError('use TasksAdapter.open');
    this.#core = core;
    this.#originHash = originHash;
  }

  /** Opens the log and resolves when everything in it is folded. */
  static open(
    redex: Redex,
    originHash: bigint | number,
    persistent?: boolean | null,
  ): Promise<TasksAdapter> {
    return TasksAdapter.#open('TasksAdapter open failed', redex, originHash, persistent);
  }

  /** Starts from a snapshot and folds what the log has after it. */
  static async openFromSnapshot(
    redex: Redex,
    originHash: bigint | number,
    stateBytes: Uint8Array,
    lastSeq?: bigint | null,
    persistent?: boolean | null,
  ): Promise<TasksAdapter> {
    const snapshot = {
      stateBytes: validate.bytes(stateBytes, 'stateBytes'),
      lastSeq: lastSeq === undefined || lastSeq === null ? null : validate.u64(lastSeq, 'lastSeq'),
    };
    const context = 'TasksAdapter open_from_snapshot failed';
    return TasksAdapter.#open(context, redex, originHash, persistent, snapshot);
  }

  static async #open(
    context: string,
    redex: Redex,
    originHash: bigint | number,
    persistent: boolean | null | undefined,
    snapshot?: { stateBytes: Uint8Array; lastSeq: bigint | null },
  ): Promise<TasksAdapter> {
    const native = nativeManagerOf(redex);
    const origin = validate.u64OrInteger(originHash, 'originHash');
    const onDisk = validate.boolean(persistent ?? false, 'persistent');
    const core: Core = new AdapterCore(
      (onReady) => new (addon().NativeTasks)(onReady),
      decodeTasks,
    );
    try {
      await core.native.open(native, origin, onDisk, snapshot);
    } catch (error) {
      throw classifyArguments(error);
    }
    await core.catchUp(context);
    return new TasksAdapter(INTERNAL, core, origin);
  }

  /** Who writes here. */
  get originHash(): bigint {
    return this.#originHash;
  }

  /** Creates a task, or starts it anew if there is one of this id. */
  create(id: bigint | number, title: string, nowNs: bigint | number): bigint {
    try {
      return this.#core.native.create(id as bigint, title, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs }, { title });
    }
  }

  /** Changes the title, if there is such a task. */
  rename(id: bigint | number, newTitle: string, nowNs: bigint | number): bigint {
    try {
      return this.#core.native.rename(id as bigint, newTitle, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs }, { newTitle });
    }
  }

  /** Completes the task, if there is such a one. */
  complete(id: bigint | number, nowNs: bigint | number): bigint {
    try {
      return this.#core.native.complete(id as bigint, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs });
    }
  }

  /** Removes the task, if there is such a one. */
  delete(id: bigint | number): bigint {
    try {
      return this.#core.native.delete(id as bigint);
    } catch (error) {
      throw explain(error, { id });
    }
  }

  /** Resolves when the event is folded, whether or not it could be applied. */
  waitForSeq(seq: bigint | number, options?: WaitOptions): Promise<void> {
    return this.#promised(() =>
      this.#core.waitForSeq(validate.u64OrInteger(seq, 'seq'), { signal: signalOf(options) }),
    );
  }

  /**
   * Resolves when the write is applied, and rejects after `deadlineMs`; 0 asks only whether it is. The
   * token must be of this adapter's origin.
   */
  waitForToken(token: WriteToken, deadlineMs: number, options?: WaitOptions): Promise<void> {
    return this.#promised(() => {
      if (!(token instanceof WriteToken)) {
        throw validate.invalid(`token must be a WriteToken; got ${validate.describe(token)}`);
      }
      return this.#core.waitForToken(token.originHash, token.seq, {
        timeoutMs: validate.milliseconds(deadlineMs, 'deadlineMs', 0, MAX_MS),
        timeoutError: timedOut,
        signal: signalOf(options),
      });
    });
  }

  /** Stops folding and writing; queries still answer, watches end. The log stays open. Idempotent. */
  close(): void {
    this.#core.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** False once the adapter or its log is closed. */
  isRunning(): boolean {
    return this.#core.native.running();
  }

  /** How far the fold is, and what it skipped. */
  progress(): FoldProgress {
    return this.#core.progress();
  }

  /** The rows that match, in order. */
  listTasks(filter?: TaskFilter | null): Task[] {
    return this.#core.list(taskFilter(filter));
  }

  /** The row of this id, or null. */
  get(id: bigint | number): Task | null {
    return this.#core.get(validate.u64OrInteger(id, 'id'));
  }

  /** The number of rows. */
  count(): number {
    return this.#core.native.count();
  }

  /** The state, to be restored from later. */
  snapshot(): CortexSnapshot {
    return this.#core.snapshot();
  }

  /** Follows the rows that match, beginning with those of now. */
  watchTasks(filter?: TaskFilter | null): Promise<TaskWatchIter> {
    return this.#promised(() => {
      const watch = this.#core.watch(taskFilter(filter));
      return Promise.resolve(new TaskWatchIter(watch));
    });
  }

  /** The rows that match and, without a gap between, what becomes of them. */
  snapshotAndWatchTasks(filter?: TaskFilter | null): Promise<TasksSnapshotAndWatch> {
    return this.#promised(() => {
      const { block, watch } = this.#core.snapshotAndWatch(taskFilter(filter));
      return Promise.resolve(new TasksSnapshotAndWatch(this.#core, block, watch));
    });
  }

  #promised<T>(run: () => Promise<T>): Promise<T> {
    try {
      return run();
    } catch (error) {
      return Promise.reject(classifyArguments(error));
    }
  }
}

function signalOf(options: WaitOptions | undefined): AbortSignal | undefined {
  return validate.abortSignal(validate.optionsObject(options, 'options').signal);
}
