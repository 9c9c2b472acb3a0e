/**
 * Append-only logs: `Redex` opens them by channel name, `RedexFile` is one.
 *
 * @packageDocumentation
 */

import './internal/async_dispose';
import type { RedexFile as CoreRedexFile } from './core/redex';
import {
  type RedexEventJs,
  type RedexFileConfigJs,
  type RedexFileStatsJs,
  Redex as CoreRedex,
} from './core/redex';
import { onAbort } from './internal/abort';
import type { ClosableIterator } from './internal/async_queue';
import type { TailReader } from './internal/redex_tail';
import { abortSignal, describe } from './internal/validate';
import { RedexError } from './core/errors';

/** One event of a log. */
export type RedexEvent = RedexEventJs;
/** What can be chosen when a log is opened. */
export type RedexFileConfig = Omit<RedexFileConfigJs, 'replication'>;
/** A log's state at one instant. */
export type RedexFileStats = RedexFileStatsJs;

/** Options of {@link Redex}. */
export interface RedexOptions {
  /** Where persistent logs live. Created when the first one is opened. */
  persistentDir?: string;
}

/** Options of {@link RedexFile.tail}. */
export interface RedexTailOptions {
  /** Ends the iteration with the signal's reason when aborted. */
  signal?: AbortSignal;
}

/**
 * Opens logs by channel name.
 *
 * ```ts
 * const redex = new Redex({ persistentDir: '/var/lib/app/events' });
 * const file = redex.openFile('analytics/clicks', { persistent: true, fsyncIntervalMs: 100 });
 * ```
 */
export class Redex {
  /** The same in `netmesh/core`. */
  readonly napi: CoreRedex;

  constructor(opts?: RedexOptions | null) {
    if (opts !== undefined && opts !== null && typeof opts !== 'object') {
      throw new RedexError(`redex: config: expected an object, got ${describe(opts)}`);
    }
    this.napi = new CoreRedex(opts?.persistentDir);
  }

  /**
   * Opens a log. A name that is open already gives the same log, whatever `config` says.
   *
   * @throws RedexError for a bad name or configuration, when another process has the log open, and
   *   when the disk fails.
   */
  openFile(name: string, config?: RedexFileConfig | null): RedexFile {
    if (config === undefined || config === null || typeof config !== 'object') {
      return new RedexFile(this.napi.openFile(name, config));
    }
    return new RedexFile(this.napi.openFile(name, { ...config, replication: undefined }));
  }

  /** Names of the open logs, sorted. */
  openFiles(): string[] {
    return this.napi.openFiles();
  }
}

/** A log: append, read, follow. Handles of one name share everything. */
export class RedexFile {
  /** The same in `netmesh/core`. */
  readonly napi: CoreRedexFile;

  constructor(inner: CoreRedexFile) {
    this.napi = inner;
  }

  /**
   * Appends one event and returns its sequence number. A persistent log has handed the bytes to the
   * operating system by then: they survive the process.
   */
  append(payload: Uint8Array): bigint {
    return this.napi.append(payload);
  }

  /** Appends all events or none. The first sequence number, or null for an empty list. */
  appendBatch(payloads: readonly Uint8Array[]): bigint | null {
    return this.napi.appendBatch(payloads);
  }

  /** Appends, and resolves with the sequence number when the event is on disk. */
  appendDurable(payload: Uint8Array): Promise<bigint> {
    return this.napi.appendDurable(payload);
  }

  /** Retained events from `start` up to `end`, excluded. Works on a closed log. */
  readRange(start: bigint, end: bigint): RedexEvent[] {
    return this.napi.readRange(start, end);
  }

  /** How many events are retained. */
  len(): bigint {
    return this.napi.len();
  }

  /** Where the log stands. */
  stats(): RedexFileStats {
    return this.napi.stats();
  }

  /** Gives back the space of evicted events now. The limits hold without it. */
  sweepRetention(): void {
    this.napi.sweepRetention();
  }

  /** True once {@link RedexFile.close} was called. */
  get closed(): boolean {
    return this.napi.closed;
  }

  /**
   * Follows the log: what it retains from `fromSeq` on, then every event that is appended, each once
   * and in order. Ends when the log is closed. Leaving the loop releases the tail.
   *
   * ```ts
   * for await (const event of await file.tail(0n)) console.log(event.seq, event.payload);
   * ```
   *
   * @throws RedexError from the iteration when retention has taken what would have come next.
   */
  async tail(
    fromSeq?: bigint | null,
    options?: RedexTailOptions,
  ): Promise<ClosableIterator<RedexEvent>> {
    const signal = abortSignal(options?.signal);
    const { reader } = await this.napi.tail(fromSeq);
    return new Tail(reader, signal);
  }

  /** Resolves when everything appended so far is on disk. At once for a log in memory. */
  sync(): Promise<void> {
    return this.napi.sync();
  }

  /** Refuses appends and ends tails, both before it returns; resolves when all is on disk. */
  close(): Promise<void> {
    return this.napi.close();
  }

  /** {@link RedexFile.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

class Tail implements ClosableIterator<RedexEvent> {
  readonly #reader: TailReader;
  readonly #signal: AbortSignal | undefined;
  readonly #stopListening: () => void;
  #done = false;
  /** The signal fired while nobody waited: the next `next()` says so. */
  #abortPending = false;

  constructor(reader: TailReader, signal: AbortSignal | undefined) {
    this.#reader = reader;
    this.#signal = signal;
    const abort = (): void => {
      this.#done = true;
      this.#abortPending = !reader.abort(signal?.reason);
    };
    this.#stopListening = onAbort(signal, abort);
    if (signal?.aborted === true) abort();
  }

  async next(): Promise<IteratorResult<RedexEvent, undefined>> {
    if (this.#abortPending) {
      this.#abortPending = false;
      throw this.#signal?.reason;
    }
    if (this.#done) return { value: undefined, done: true };
    const value = await this.#reader.next();
    if (value !== null) return { value, done: false };
    this.#finish();
    return { value: undefined, done: true };
  }

  return(): Promise<IteratorResult<RedexEvent, undefined>> {
    this.#abortPending = false;
    this.#finish();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#stopListening();
    this.#reader.close();
  }
}
