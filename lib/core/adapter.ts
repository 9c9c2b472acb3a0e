import '../internal/async_dispose';
import type { NativeAdapter } from '../../types/native';
import { rejected } from '../internal/abort';
import type { AdapterCore, Watch } from '../internal/cortex_adapter';
import type { CortexSnapshot, FoldProgress } from '../internal/cortex_types';
import { nativeManagerOf } from '../internal/managers';
import { classifyArguments } from '../internal/native_errors';
import * as validate from '../internal/validate';
import type { WaitOptions } from '../types';
import { CortexError } from './errors';
import type { Redex } from './redex';
import { WriteToken } from './write_token';

const MAX_MS = 0x7fff_ffff;

function timedOut(): CortexError {
  return new CortexError('cortex: wait_for_token: read-your-writes wait timed out');
}

/** Where an adapter opens, and from what. */
export interface OpenArguments {
  redex: Redex;
  originHash: bigint | number;
  persistent: boolean | null | undefined;
  /** Null: from the beginning of the log. */
  snapshot: { stateBytes: Uint8Array; lastSeq: bigint | null | undefined } | null;
}

/** Opens `core`, resolving with the origin when it has caught up with its log. */
export async function openCore<Row, Filter>(
  core: AdapterCore<Row, Filter, NativeAdapter<Filter>>,
  context: string,
  { redex, originHash, persistent, snapshot }: OpenArguments,
): Promise<bigint> {
  const manager = nativeManagerOf(redex);
  const origin = validate.u64OrInteger(originHash, 'originHash');
  const onDisk = validate.boolean(persistent ?? false, 'persistent');
  const restored = snapshot && {
    stateBytes: validate.bytes(snapshot.stateBytes, 'stateBytes'),
    lastSeq: validate.optional(snapshot.lastSeq, (seq) => validate.u64(seq, 'lastSeq')) ?? null,
  };
  try {
    await core.native.open(manager, origin, onDisk, restored ?? undefined);
  } catch (error) {
    throw classifyArguments(error);
  }
  await core.catchUp(context);
  return origin;
}

/** What the adapters of all models have in common. */
export abstract class Adapter<Row, Filter, Native extends NativeAdapter<Filter>> {
  readonly #core: AdapterCore<Row, Filter, Native>;
  readonly #originHash: bigint;

  /** @internal */
  protected constructor(core: AdapterCore<Row, Filter, Native>, originHash: bigint) {
    this.#core = core;
    this.#originHash = originHash;
  }

  /** @internal */
  protected get core(): AdapterCore<Row, Filter, Native> {
    return this.#core;
  }

  /** Who writes here. */
  get originHash(): bigint {
    return this.#originHash;
  }

  /** Resolves when the event is folded, whether or not it could be applied. */
  waitForSeq(seq: bigint | number, options?: WaitOptions): Promise<void> {
    return promised(() =>
      this.#core.waitForSeq(validate.u64OrInteger(seq, 'seq'), { signal: signalOf(options) }),
    );
  }

  /**
   * Resolves when the write is applied, and rejects after `deadlineMs`; 0 asks only whether it is. The
   * token must be of this adapter's origin.
   */
  waitForToken(token: WriteToken, deadlineMs: number, options?: WaitOptions): Promise<void> {
    return promised(() => {
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

  /** The row of this id, or null. */
  get(id: bigint | number): Row | null {
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

  /** How far the fold is, and what it skipped. */
  progress(): FoldProgress {
    return this.#core.progress();
  }

  /** False once the adapter or its log is closed. */
  isRunning(): boolean {
    return this.#core.native.running();
  }

  /** Stops folding and writing; queries still answer, watches end. The log stays open. Idempotent. */
  close(): void {
    this.#core.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/** The changes of one filter's result. */
export class WatchIter<Row> {
  readonly #watch: Watch<Row>;

  /** @internal */
  constructor(watch: Watch<Row>) {
    this.#watch = watch;
  }

  /**
   * The rows, at first and whenever they have changed since; a reader that is slow gets the newest.
   * Null once this or the adapter is closed.
   */
  next(): Promise<Row[] | null> {
    return this.#watch.next();
  }

  /** Ends the stream. Idempotent. */
  close(): void {
    this.#watch.close();
  }
}

/** A result and what becomes of it: `next` yields the rows whenever they have changed since. */
export class SnapshotAndWatchIter<Row> extends WatchIter<Row> {
  readonly #decode: () => Row[];

  /** @internal */
  constructor(watch: Watch<Row>, decode: () => Row[]) {
    super(watch);
    this.#decode = decode;
  }

  /** The rows as they were at the call; a fresh copy each time. */
  get snapshot(): Row[] {
    return this.#decode();
  }
}

/** Runs a call of which even the checks reject rather than throw. */
export function promised<T>(run: () => Promise<T>): Promise<T> {
  try {
    return run();
  } catch (error) {
    return rejected(classifyArguments(error));
  }
}

function signalOf(options: WaitOptions | undefined): AbortSignal | undefined {
  return validate.abortSignal(validate.optionsObject(options, 'options').signal);
}
