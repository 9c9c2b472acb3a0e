import './internal/async_dispose';
import { MemoriesAdapter as CoreMemoriesAdapter } from './core/memories_adapter';
import type { WriteToken } from './core/write_token';
import { iterate } from './internal/cortex_adapter';
import type {
  AdapterOptions,
  CortexSnapshot,
  FoldProgress,
  Memory,
  MemoryFilter,
  SnapshotAndWatch,
} from './internal/cortex_types';
import { managerOf } from './internal/managers';
import * as validate from './internal/validate';
import type { Redex } from './redex';
import type { WaitOptions } from './types';

/**
 * Memories over a log. Writing calls append an event and return its sequence number at once;
 * `waitForSeq` tells when queries see it.
 *
 * ```ts
 * const memories = await MemoriesAdapter.open(new Redex(), 0xABCDEF01n);
 * await memories.waitForSeq(memories.store(1n, 'likes tea', ['taste'], 'alice', 100n));
 * const tastes = memories.listMemories({ tag: 'taste' });
 * ```
 */
export class MemoriesAdapter {
  /** The same in `netmesh/core`. */
  readonly napi: CoreMemoriesAdapter;

  constructor(inner: CoreMemoriesAdapter) {
    this.napi = inner;
  }

  /** Opens the log `cortex/memories` of a manager and folds what it holds. */
  static async open(
    redex: Redex,
    originHash: bigint | number,
    opts?: AdapterOptions | null,
  ): Promise<MemoriesAdapter> {
    const { persistent } = options(opts);
    return new MemoriesAdapter(
      await CoreMemoriesAdapter.open(managerOf(redex), originHash, persistent),
    );
  }

  /** Starts from a snapshot and folds what the log has after it. */
  static async openFromSnapshot(
    redex: Redex,
    originHash: bigint | number,
    snapshot: CortexSnapshot,
    opts?: AdapterOptions | null,
  ): Promise<MemoriesAdapter> {
    const { stateBytes, lastSeq } = validate.object(snapshot, 'snapshot');
    const { persistent } = options(opts);
    return new MemoriesAdapter(
      await CoreMemoriesAdapter.openFromSnapshot(
        managerOf(redex),
        originHash,
        stateBytes,
        lastSeq,
        persistent,
      ),
    );
  }

  /** Stores a memory; one of this id keeps its age and its pin. */
  store(
    id: bigint | number,
    content: string,
    tags: readonly string[],
    source: string,
    nowNs: bigint | number,
  ): bigint {
    return this.napi.store(id, content, tags, source, nowNs);
  }

  /** Replaces all tags, if there is such a memory. */
  retag(id: bigint | number, tags: readonly string[], nowNs: bigint | number): bigint {
    return this.napi.retag(id, tags, nowNs);
  }

  /** Pins the memory, if there is such a one. */
  pin(id: bigint | number, nowNs: bigint | number): bigint {
    return this.napi.pin(id, nowNs);
  }

  /** Unpins the memory, if there is such a one. */
  unpin(id: bigint | number, nowNs: bigint | number): bigint {
    return this.napi.unpin(id, nowNs);
  }

  /** Removes the memory, if there is such a one. */
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

  /** The number of memories. */
  count(): number {
    return this.napi.count();
  }

  /** The memory of this id, or null. */
  get(id: bigint | number): Memory | null {
    return this.napi.get(id);
  }

  /** The memories that match, in order. */
  listMemories(filter?: MemoryFilter | null): Memory[] {
    return this.napi.listMemories(filter);
  }

  /** The state, to be restored from later. */
  snapshot(): CortexSnapshot {
    return this.napi.snapshot();
  }

  /**
   * Follows the memories that match: those of now, then all that match whenever that has changed. A slow
   * reader gets the newest. Ends when the adapter closes; leaving the loop ends it, too.
   */
  async watch(filter?: MemoryFilter | null, opts?: WaitOptions): Promise<AsyncIterable<Memory[]>> {
    const signal = signalOf(opts);
    return iterate(await this.napi.watchMemories(filter), signal);
  }

  /** The memories that match, and what becomes of them from that instant on. */
  async snapshotAndWatch(
    filter?: MemoryFilter | null,
    opts?: WaitOptions,
  ): Promise<SnapshotAndWatch<Memory>> {
    const signal = signalOf(opts);
    const inner = await this.napi.snapshotAndWatchMemories(filter);
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
