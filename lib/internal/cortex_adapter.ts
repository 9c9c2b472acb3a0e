// One open adapter: its waits, its watches, and what keeps the process alive for them.

import type { NativeAdapter, NativeWaitState } from '../../types/native';
import { CortexError } from '../core/errors';
import { onAbort, rejected } from './abort';
import type { CortexSnapshot, FoldProgress } from './cortex_types';
import { classifyArguments } from './native_errors';

const RESOLVED = Promise.resolve();
const REACHED: NativeWaitState = 1;
const STOPPED: NativeWaitState = 2;
const MAX_NAME = 0xffff_ffff;

/** Adapters that somebody waits for: a promise must settle even if nobody holds its adapter. */
const waitedFor = new Set<object>();

interface Wait {
  readonly applied: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Ways to end a wait other than by the event. */
export interface WaitLimits {
  /** The wait fails with `timeoutError` after so long; 0: at once unless it is over already. */
  timeoutMs?: number;
  timeoutError?: () => Error;
  signal?: AbortSignal | undefined;
}

/** What all models' adapters have in common. `native` calls `drain` through a weak reference. */
export class AdapterCore<Row, Filter, Native extends NativeAdapter<Filter>> {
  readonly native: Native;
  readonly #decode: (block: ArrayBuffer) => Row[];
  readonly #waits = new Map<number, Wait>();
  readonly #watches = new Map<number, Watch<Row>>();
  #lastName = 0;
  #waiting = 0;

  constructor(make: (onReady: () => void) => Native, decode: (block: ArrayBuffer) => Row[]) {
    // The addon holds the function for as long as the adapter lives: it must not hold the adapter.
    const self = new WeakRef(this);
    this.native = make(() => {
      self.deref()?.drain();
    });
    this.#decode = decode;
  }

  list(filter: Filter | undefined): Row[] {
    return this.#decode(this.native.list(filter));
  }

  get(id: bigint): Row | null {
    return this.#decode(this.native.get(id))[0] ?? null;
  }

  snapshot(): CortexSnapshot {
    const { bytes, lastSeq } = this.native.snapshot();
    const stateBytes = Buffer.from(bytes);
    return lastSeq === null ? { stateBytes } : { stateBytes, lastSeq };
  }

  progress(): FoldProgress {
    const { folded, applied, errors } = this.native.watermarks();
    return {
      ...(folded === null ? {} : { foldedThrough: folded }),
      ...(applied === null ? {} : { appliedThrough: applied }),
      errors,
    };
  }

  /** Resolves when everything that the log held at its opening is in the state. */
  async catchUp(context: string): Promise<void> {
    const wanted = this.native.openedAt();
    if (wanted === null) return;
    try {
      await this.waitForSeq(wanted, {});
    } catch {
      const { folded } = this.native.watermarks();
      const through = folded === null ? 'None' : `Some(${folded})`;
      this.close();
      throw new CortexError(
        `cortex: ${context}: fold stopped before seq ${wanted}; folded through ${through}`,
      );
    }
  }

  waitForSeq(seq: bigint, limits: WaitLimits): Promise<void> {
    return this.#wait(false, (name) => this.native.waitForSeq(seq, name), limits);
  }

  waitForToken(originHash: bigint, seq: bigint, limits: WaitLimits): Promise<void> {
    return this.#wait(true, (name) => this.native.waitForToken(originHash, seq, name), limits);
  }

  watch(filter: Filter | undefined): Watch<Row> {
    return this.#addWatch(filter, false).watch;
  }

  snapshotAndWatch(filter: Filter | undefined): { block: ArrayBuffer; watch: Watch<Row> } {
    const { block, watch } = this.#addWatch(filter, true);
    return { block: block as ArrayBuffer, watch };
  }

  close(): void {
    this.native.close();
    this.drain();
  }

  drain(): void {
    const { reached, stopped, watches } = this.native.drain();
    for (const name of reached) this.#take(name)?.resolve();
    for (const name of stopped) {
      const wait = this.#take(name);
      wait?.reject(classifyArguments(this.native.stoppedError(wait.applied)));
    }
    for (const name of watches) this.#watches.get(name)?.wake();
  }

  /** Something waits from now on, which keeps the process alive until `release`. */
  hold(): void {
    if (this.#waiting++ > 0) return;
    this.native.ref();
    waitedFor.add(this);
  }

  release(): void {
    if (--this.#waiting > 0) return;
    this.native.unref();
    waitedFor.delete(this);
  }

  #name(): number {
    this.#lastName = this.#lastName === MAX_NAME ? 1 : this.#lastName + 1;
    return this.#lastName;
  }

  #take(name: number): Wait | undefined {
    const wait = this.#waits.get(name);
    if (wait === undefined) return undefined;
    this.#waits.delete(name);
    this.release();
    return wait;
  }

  #wait(
    applied: boolean,
    begin: (name: number) => NativeWaitState,
    { timeoutMs, timeoutError, signal }: WaitLimits,
  ): Promise<void> {
    if (signal?.aborted === true) return rejected(signal.reason);
    const name = this.#name();
    const state = begin(name);
    if (state === REACHED) return RESOLVED;
    if (state === STOPPED) return rejected(classifyArguments(this.native.stoppedError(applied)));
    if (timeoutMs === 0) {
      this.native.cancelWait(name);
      return rejected(timeoutError?.());
    }
    return new Promise((resolve, reject) => {
      const giveUp = (error: unknown): void => {
        // What has been settled natively is on its way here, and is not too late.
        if (this.native.cancelWait(name)) this.#take(name)?.reject(error);
        else this.drain();
      };
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              giveUp(timeoutError?.());
            }, timeoutMs);
      const stopListening = onAbort(signal, () => {
        giveUp(signal?.reason);
      });
      const done = (): void => {
        clearTimeout(timer);
        stopListening();
      };
      this.#waits.set(name, {
        applied,
        resolve: () => {
          done();
          resolve();
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      this.hold();
    });
  }

  #addWatch(
    filter: Filter | undefined,
    withRows: boolean,
  ): { block: ArrayBuffer | undefined; watch: Watch<Row> } {
    const name = this.#name();
    const block = this.native.watch(name, filter, withRows);
    const watch = new Watch<Row>({
      poll: () => {
        const rows = this.native.watchNext(name);
        return rows === undefined || rows === null ? rows : this.#decode(rows);
      },
      hold: () => {
        this.hold();
      },
      release: () => {
        this.release();
      },
      forget: () => {
        this.#watches.delete(name);
        this.native.unwatch(name);
      },
    });
    this.#watches.set(name, watch);
    return { block, watch };
  }
}

/** A stream of the rows of one filter: `next` yields them whenever they have changed. */
export class Watch<Row> {
  readonly #source: WatchSource<Row>;
  #readers: Array<(rows: Row[] | null) => void> = [];
  #closed = false;

  constructor(source: WatchSource<Row>) {
    this.#source = source;
  }

  /** The rows as they are by now, once they differ from those before; null at the end. */
  next(): Promise<Row[] | null> {
    if (this.#closed) return Promise.resolve(null);
    if (this.#readers.length === 0) {
      const rows = this.#source.poll();
      if (rows === null) this.close();
      if (rows !== undefined) return Promise.resolve(rows);
      this.#source.hold();
    }
    return new Promise((resolve) => {
      this.#readers.push(resolve);
    });
  }

  /** Ends the stream; who waits gets null. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#source.forget();
    const readers = this.#readers;
    this.#readers = [];
    if (readers.length > 0) this.#source.release();
    for (const resolve of readers) resolve(null);
  }

  /** There may be something to read. */
  wake(): void {
    while (this.#readers.length > 0) {
      const rows = this.#source.poll();
      if (rows === undefined) return;
      if (rows === null) {
        this.close();
        return;
      }
      this.#readers.shift()?.(rows);
      if (this.#readers.length === 0) this.#source.release();
    }
  }
}

/** What a watch reads from. */
export interface WatchSource<Row> {
  /** The rows when they have changed, undefined when not, null at the end. */
  poll(): Row[] | null | undefined;
  /** A reader begins to wait, and waits no more. */
  hold(): void;
  release(): void;
  /** The watch is over. */
  forget(): void;
}

/** A watch as something to loop over; leaving the loop closes it. */
export function iterate<Row>(
  watch: { next(): Promise<Row[] | null>; close(): void },
  signal?: AbortSignal,
): AsyncIterable<Row[]> {
  return {
    [Symbol.asyncIterator](): AsyncIterator<Row[], undefined> {
      let done = false;
      const end = { done: true, value: undefined } as const;
      const stopListening = onAbort(signal, () => {
        watch.close();
      });
      const finish = (): typeof end => {
        done = true;
        stopListening();
        return end;
      };
      return {
        async next() {
          if (done) return end;
          if (signal?.aborted === true) {
            watch.close();
            finish();
            throw signal.reason;
          }
          const value = await watch.next();
          if (value !== null) return { done: false, value };
          finish();
          signal?.throwIfAborted();
          return end;
        },
        // eslint-disable-next-line @typescript-eslint/require-await -- a promise by contract
        async return() {
          if (!done) watch.close();
          return finish();
        },
      };
    },
  };
}
