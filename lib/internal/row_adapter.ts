// What the adapters of tasks and of memories have in common.

import './async_dispose';
import type { WriteToken } from '../core/write_token';
import type { WaitOptions } from '../types';
import { iterate } from './cortex_adapter';
import type {
  AdapterOptions,
  CortexSnapshot,
  FoldProgress,
  SnapshotAndWatch,
} from './cortex_types';
import * as validate from './validate';

/** What an adapter of `netmesh/core` offers whatever its rows are. */
interface CoreAdapter<Row> {
  delete(id: bigint | number): bigint;
  waitForSeq(seq: bigint | number, opts?: WaitOptions): Promise<void>;
  waitForToken(token: WriteToken, deadlineMs: number, opts?: WaitOptions): Promise<void>;
  count(): number;
  get(id: bigint | number): Row | null;
  snapshot(): CortexSnapshot;
  isRunning(): boolean;
  progress(): FoldProgress;
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A watch of `netmesh/core`. */
interface CoreWatch<Row> {
  next(): Promise<Row[] | null>;
  close(): void;
}

/** Rows that are folded from a log, with an id each. */
export abstract class RowAdapter<Row, Filter, Core extends CoreAdapter<Row>> {
  /** The same in `netmesh/core`. */
  readonly napi: Core;

  constructor(inner: Core) {
    this.napi = inner;
  }

  protected abstract openWatch(filter?: Filter | null): Promise<CoreWatch<Row>>;
  protected abstract openSnapshotAndWatch(
    filter?: Filter | null,
  ): Promise<CoreWatch<Row> & { readonly snapshot: Row[] }>;

  /** Removes the row of this id, if there is such a one. */
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

  /** The number of rows. */
  count(): number {
    return this.napi.count();
  }

  /** The row of this id, or null. */
  get(id: bigint | number): Row | null {
    return this.napi.get(id);
  }

  /** The state, to be restored from later. */
  snapshot(): CortexSnapshot {
    return this.napi.snapshot();
  }

  /**
   * Follows the rows that match: those of now, then all that match whenever that has changed. A slow
   * reader gets the newest. Ends when the adapter closes; leaving the loop ends it, too.
   */
  async watch(filter?: Filter | null, opts?: WaitOptions): Promise<AsyncIterable<Row[]>> {
    const signal = signalOf(opts);
    return iterate(await this.openWatch(filter), signal);
  }

  /** The rows that match, and what becomes of them from that instant on. */
  async snapshotAndWatch(
    filter?: Filter | null,
    opts?: WaitOptions,
  ): Promise<SnapshotAndWatch<Row>> {
    const signal = signalOf(opts);
    const inner = await this.openSnapshotAndWatch(filter);
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

/** @throws when `opts` is no object */
export function adapterOptions(opts: AdapterOptions | null | undefined): AdapterOptions {
  return validate.optionsObject(opts ?? undefined, 'options');
}

function signalOf(opts: WaitOptions | undefined): AbortSignal | undefined {
  return validate.abortSignal(validate.optionsObject(opts, 'options').signal);
}
