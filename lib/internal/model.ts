// An open model: reads its log batch by batch, folds, and tells those who wait and watch.

import '../internal/async_dispose';
import type { NativeModelLog } from '../../types/native';
import { CortexError } from '../core/errors';
import type { Redex as CoreRedex } from '../core/redex';
import type { EventInfo } from '../model';
import type { WaitOptions } from '../types';
import { WriteToken } from '../core/write_token';
import { rejected } from './abort';
import { iterate } from './cortex_adapter';
import { RowReader } from './cortex_rows';
import type { CortexSnapshot, FoldProgress, SnapshotAndWatch } from './cortex_types';
import { FoldMarks } from './model_marks';
import { IndexedRows, type IndexFunction, type ModelKey, type ModelRows } from './model_rows';
import { nativeManagerOf } from './managers';
import { addon } from './native';
import { classifyArguments } from './native_errors';
import { type ModelQuery, checkQuery, select } from './model_query';
import { readSnapshot, rowsOf, writeSnapshot } from './model_snapshot';
import { ModelWaits, type WaitFor, waitTimedOut } from './model_waits';
import { ModelWatches } from './model_watches';
import * as validate from './validate';

/** Codes of applications' own events. */
export const FIRST_CODE = 0x80;
export const LAST_CODE = 0xff;

const DEFECTIVE = 0x100;
const BATCH_EVENTS = 512;
const BATCH_BYTES = 256 * 1024;
/** The event loop has its turn after so long. */
const SLICE_MS = 4;
const U64_MAX = 0xffff_ffff_ffff_ffffn;
const MAX_MS = 0x7fff_ffff;

/** A definition, checked. */
export interface ModelShape<Row> {
  readonly name: string;
  readonly codes: ReadonlyMap<string, number>;
  readonly names: ReadonlyMap<number, string>;
  readonly checks: ReadonlyMap<string, ((value: unknown) => unknown) | undefined>;
  readonly folds: Readonly<
    Record<string, (rows: ModelRows<Row>, payload: unknown, info: EventInfo) => void>
  >;
  readonly indexes: Readonly<Record<string, IndexFunction<Row>>>;
  readonly stopOnError: boolean;
  readonly encode: (value: unknown) => Uint8Array;
  readonly decode: (bytes: Buffer) => unknown;
}

/** Models that somebody waits for: a promise must settle even if nobody holds its model. */
const waitedFor = new Set<object>();

/** An open model. Its rows are frozen objects, the same ones from call to call until they change. */
export class Model<Events extends object, Row, IndexName extends string = string> {
  readonly #shape: ModelShape<Row>;
  readonly #originHash: bigint;
  readonly #log: NativeModelLog;
  readonly #rows: IndexedRows<Row>;
  readonly #marks = new FoldMarks();
  readonly #waits: ModelWaits;
  readonly #watches: ModelWatches<Row>;
  #appSeq = 0n;
  #running = false;
  #closed = false;
  /** Why the fold has stopped, when an event is to blame. */
  #failure: unknown;
  #scheduled = false;
  #folding = false;
  #waiting = 0;

  private constructor(shape: ModelShape<Row>, originHash: bigint) {
    this.#shape = shape;
    this.#originHash = originHash;
    this.#rows = new IndexedRows(shape.indexes);
    const holder = {
      hold: () => {
        this.#hold();
      },
      release: () => {
        this.#release();
      },
    };
    this.#waits = new ModelWaits(this.#marks, holder);
    this.#watches = new ModelWatches(this.#rows, holder, () => this.#running);
    // The addon holds the function for as long as the log lives: it must not hold the model.
    const self = new WeakRef(this);
    this.#log = new (addon().NativeModelLog)(() => {
      const model = self.deref();
      if (model !== undefined) model.#pump();
    });
  }

  /** @internal */
  static async open<Row>(
    shape: ModelShape<Row>,
    redex: CoreRedex,
    originHash: bigint,
    persistent: boolean,
    snapshot: CortexSnapshot | undefined,
  ): Promise<Model<object, Row>> {
    const model = new Model<object, Row>(shape, originHash);
    const context = snapshot === undefined ? 'open failed' : 'open_from_snapshot failed';
    const restored = snapshot && model.#restore(context, snapshot);
    try {
      const channel = `cortex/models/${shape.name}`;
      await model.#log.open(nativeManagerOf(redex), channel, persistent);
      await model.#begin(restored?.lastSeq);
    } catch (error) {
      throw model.#error(context, error);
    }
    return model;
  }

  /** Who writes here. */
  get originHash(): bigint {
    return this.#originHash;
  }

  /**
   * Appends an event and returns its sequence number at once; `waitForSeq` tells when it is folded.
   *
   * @throws CortexError when the payload is refused or cannot be stored, or the model is closed.
   */
  append<Name extends keyof Events & string>(name: Name, payload: Events[Name]): bigint {
    const code = this.#shape.codes.get(name);
    if (code === undefined) {
      throw validate.invalid(
        `event must be one of ${[...this.#shape.codes.keys()].join(', ')}; got ${validate.describe(name)}`,
      );
    }
    if (this.#closed) throw this.#error(`append ${name} failed`, new Error('adapter closed'));
    try {
      const checked = this.#check(name, payload);
      const body = this.#shape.encode(checked);
      return this.#log.append(code, this.#originHash, this.#appSeq++, body);
    } catch (error) {
      throw this.#error(`append ${name} failed`, error);
    }
  }

  /** The row of this key, or undefined. */
  get(key: ModelKey): Row | undefined {
    return this.#rows.get(key);
  }

  /** The number of rows. */
  count(): number {
    return this.#rows.size;
  }

  /** The rows that match, in order. */
  list(query?: ModelQuery<Row, IndexName> | null): Row[] {
    return select(this.#rows, checkQuery(this.#rows, query));
  }

  /** Resolves when the event is folded, whether or not it could be applied. */
  async waitForSeq(seq: bigint | number, opts?: WaitOptions): Promise<void> {
    const wanted = validate.u64OrInteger(seq, 'seq');
    await this.#wait({ seq: wanted, applied: false, signal: signalOf(opts) });
  }

  /** Resolves when the write is applied, rejects after `deadlineMs`; 0 asks only whether it is. */
  async waitForToken(token: WriteToken, deadlineMs: number, opts?: WaitOptions): Promise<void> {
    if (!(token instanceof WriteToken)) {
      throw validate.invalid(`token must be a WriteToken; got ${validate.describe(token)}`);
    }
    const deadline = validate.milliseconds(deadlineMs, 'deadlineMs', 0, MAX_MS);
    if (token.originHash !== this.#originHash) {
      const hex = (origin: bigint): string => origin.toString(16).padStart(16, '0');
      throw new CortexError(
        `cortex: wait_for_token: token origin ${hex(token.originHash)} != ` +
          `adapter origin ${hex(this.#originHash)}`,
      );
    }
    const signal = signalOf(opts);
    await this.#wait({ seq: token.seq, applied: true, timeoutMs: deadline, signal });
  }

  /**
   * Follows the rows that match: those of now, then all that match whenever that has changed. A slow
   * reader gets the newest. Ends when the model closes; leaving the loop ends it, too.
   */
  // Async, so that every failure is a rejection.
  // eslint-disable-next-line @typescript-eslint/require-await -- see above
  async watch(
    query?: ModelQuery<Row, IndexName> | null,
    opts?: WaitOptions,
  ): Promise<AsyncIterable<Row[]>> {
    const signal = signalOf(opts);
    return iterate(this.#watches.open(checkQuery(this.#rows, query), undefined), signal);
  }

  /** The rows that match, and what becomes of them from that instant on. */
  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async snapshotAndWatch(
    query?: ModelQuery<Row, IndexName> | null,
    opts?: WaitOptions,
  ): Promise<SnapshotAndWatch<Row>> {
    const signal = signalOf(opts);
    const checked = checkQuery(this.#rows, query);
    const snapshot = select(this.#rows, checked);
    return { snapshot, updates: iterate(this.#watches.open(checked, [...snapshot]), signal) };
  }

  /** The state, to be restored from later. */
  snapshot(): CortexSnapshot {
    let stateBytes: Buffer;
    try {
      stateBytes = writeSnapshot(this.#appSeq, this.#shape.encode([...this.#rows.entries()]));
    } catch (error) {
      throw this.#error('snapshot failed', error);
    }
    // Folds may add up: what the state contains must not be folded again, even behind a skipped event.
    const { folded } = this.#marks;
    return folded === undefined ? { stateBytes } : { stateBytes, lastSeq: folded };
  }

  /** How far the fold is, and what it skipped. */
  progress(): FoldProgress {
    return this.#marks.progress();
  }

  /** False once the model or its log is closed, or a fold function has thrown. */
  isRunning(): boolean {
    return this.#running;
  }

  /** Stops writing and folding; queries still answer, watches end. The log stays open. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#log.close();
    this.#stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  // --- folding ---

  async #begin(lastSeq: bigint | undefined): Promise<void> {
    const marks = this.#marks;
    let stats = this.#log.stats();
    marks.start = stats.firstSeq;
    if (lastSeq !== undefined) {
      if (stats.events === 0n && stats.nextSeq <= lastSeq) {
        // An empty log goes on where the snapshot ends.
        this.#log.skipTo(lastSeq + 1n);
        stats = this.#log.stats();
      }
      if (stats.nextSeq > lastSeq) {
        marks.start = lastSeq + 1n > stats.firstSeq ? lastSeq + 1n : stats.firstSeq;
        marks.restored(lastSeq);
      } else {
        // Shorter than the snapshot, so from its end on.
        marks.start = stats.nextSeq;
        if (stats.nextSeq > 0n) marks.restored(stats.nextSeq - 1n);
      }
    }
    this.#log.seek(marks.start);
    this.#running = true;
    const wanted = stats.nextSeq;
    if (wanted > marks.start) await this.#wait({ seq: wanted - 1n, applied: false });
    else this.#pump();
  }

  /** Folds until there is nothing more, or for a while. */
  #pump(): void {
    if (this.#folding) return;
    const until = performance.now() + SLICE_MS;
    while (this.#running) {
      if (!this.#foldSome()) return;
      if (performance.now() < until) continue;
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#pump();
      });
      return;
    }
  }

  /** Folds one batch; true when there may be more. */
  #foldSome(): boolean {
    const batch = this.#log.take(BATCH_EVENTS, BATCH_BYTES);
    this.#folding = true;
    try {
      if (batch.events !== null) this.#fold(new RowReader(batch.events));
    } finally {
      this.#folding = false;
    }
    if (this.#running && batch.position > this.#marks.start) {
      this.#marks.passOver(batch.position - 1n);
    }
    if (batch.state === 'lagged') {
      // Retention has overtaken the fold: on with what is left, and nothing after counts as applied.
      this.#marks.count();
      this.#log.seek(this.#log.stats().firstSeq);
    } else if (batch.state === 'ended') {
      this.#running = false;
    }
    this.#tell();
    return batch.state === 'more' || batch.state === 'lagged';
  }

  #fold(events: RowReader): void {
    for (let i = 0; i < events.count && this.#running; i++) {
      const seq = events.fixed(i, 0);
      const originHash = events.fixed(i, 1);
      const appSeq = events.fixed(i, 2);
      const code = events.word();
      const body = events.bytes();
      const outcome = this.#apply(code, body, { seq, originHash });
      if (outcome === 'stop') {
        this.#running = false;
        return;
      }
      this.#marks.advance(seq, outcome === 'applied');
      if (outcome !== 'applied') continue;
      if (originHash === this.#originHash && appSeq !== U64_MAX && appSeq >= this.#appSeq) {
        this.#appSeq = appSeq + 1n;
      }
    }
  }

  #apply(code: number, body: Buffer, info: EventInfo): 'applied' | 'skipped' | 'stop' {
    const name = this.#shape.names.get(code);
    if (code !== DEFECTIVE && name === undefined) return 'applied';
    let payload: unknown;
    try {
      if (name === undefined) throw new TypeError('not an event');
      payload = this.#check(name, this.#shape.decode(body));
    } catch {
      this.#marks.count();
      return 'skipped';
    }
    try {
      this.#shape.folds[name]?.(this.#rows, payload, info);
    } catch (error) {
      this.#rows.rollback();
      this.#marks.count();
      if (!this.#shape.stopOnError) return 'skipped';
      this.#failure = error;
      return 'stop';
    }
    this.#watches.touch(this.#rows.commit());
    return 'applied';
  }

  #check(name: string, payload: unknown): unknown {
    const check = this.#shape.checks.get(name);
    return check === undefined ? payload : check(payload);
  }

  #tell(): void {
    if (!this.#running) {
      this.#stop();
      return;
    }
    this.#waits.settle();
    this.#watches.tell();
  }

  #stop(): void {
    this.#running = false;
    this.#waits.stop(this.#failure);
    this.#watches.stop();
  }

  // --- waiting ---

  #wait(what: WaitFor): Promise<void> {
    const { seq, applied, signal } = what;
    if (signal?.aborted === true) return rejected(signal.reason);
    // Folding on the spot is faster than being told.
    if (this.#running && !this.#marks.reached(seq, applied) && !this.#folding) this.#pump();
    if (this.#marks.reached(seq, applied)) return Promise.resolve();
    if (!this.#running) return rejected(this.#marks.stoppedError(applied, this.#failure));
    if (what.timeoutMs === 0) return rejected(waitTimedOut());
    return this.#waits.add(what);
  }

  /** Something waits from now on, which keeps the process alive. */
  #hold(): void {
    if (this.#waiting++ > 0) return;
    this.#log.ref();
    waitedFor.add(this);
  }

  #release(): void {
    if (--this.#waiting > 0) return;
    this.#log.unref();
    waitedFor.delete(this);
  }

  // --- snapshots ---

  #restore(context: string, snapshot: CortexSnapshot): { lastSeq: bigint | undefined } {
    const lastSeq =
      snapshot.lastSeq === undefined || snapshot.lastSeq === null
        ? undefined
        : validate.u64(snapshot.lastSeq, 'lastSeq');
    if (lastSeq === U64_MAX) {
      throw this.#error(context, new Error('snapshot last_seq at u64::MAX; cannot resume'));
    }
    try {
      const { appSeq, state } = readSnapshot(snapshot.stateBytes);
      for (const [key, row] of rowsOf(this.#shape.decode(state))) this.#rows.set(key, row as Row);
      this.#rows.commit();
      this.#appSeq = appSeq;
    } catch (error) {
      throw this.#error(context, error);
    }
    return { lastSeq };
  }

  /** `cortex: <model> <context>: <detail>` */
  #error(context: string, cause: unknown): unknown {
    if (cause instanceof CortexError) return cause;
    const known = classifyArguments(cause);
    const message = known instanceof Error ? known.message : String(known);
    const code = (cause as { code?: unknown } | null)?.code;
    const fromLog = typeof code === 'string' && code.startsWith('ERR_NETMESH_REDEX');
    const detail = fromLog && !message.startsWith('redex: ') ? `redex: ${message}` : message;
    return new CortexError(`cortex: ${this.#shape.name} ${context}: ${detail}`, { cause });
  }
}

function signalOf(opts: WaitOptions | undefined): AbortSignal | undefined {
  return validate.abortSignal(validate.optionsObject(opts, 'options').signal);
}
