// Delivers the batches of a bus: in order within a shard, shards side by side, with retries.

import type { NativeBatch, NativeBus } from '../../../types/native';
import { AdapterError } from '../../core/errors';
import { type Adapter, adapterError, within } from './adapter';

const BASE_BACKOFF_MS = 100;
const MAX_DOUBLINGS = 5;

export interface DispatchLimits {
  /** For one attempt. */
  timeoutMs: number;
  /** Attempts after the first. */
  retries: number;
}

/** What became of events that are not coming back. */
export interface Loss {
  events: number;
  batches: number;
  error: AdapterError;
}

/**
 * The pause before retry `attempt`: 100 ms doubled up to five times, up to a fourth more or less, the
 * same for the same shard and attempt so that shards do not retry in step.
 */
export function backoffMs(shard: number, attempt: number): number {
  const base = BASE_BACKOFF_MS * 2 ** Math.min(attempt, MAX_DOUBLINGS);
  // Knuth's multiplicative hash spreads neighbours.
  const spread = (Math.imul(shard * 31 + attempt + 1, 2_654_435_761) >>> 0) / 2 ** 32;
  return base * (0.75 + spread / 2);
}

/** Moves batches from the addon to the adapter. */
export class Dispatch {
  readonly #native: NativeBus;
  readonly #adapter: Adapter;
  readonly #limits: DispatchLimits;
  /** What each shard is busy with. */
  readonly #lanes = new Map<number, Promise<void>>();
  readonly #flushes = new Map<number, () => void>();
  readonly #stop = new AbortController();
  #loss: Loss | undefined;
  #journalError: string | undefined;

  constructor(native: NativeBus, adapter: Adapter, limits: DispatchLimits) {
    this.#native = native;
    this.#adapter = adapter;
    this.#limits = limits;
  }

  /** The addon has something. */
  drain(): void {
    if (this.#stop.signal.aborted) return;
    const { batches, flushed, journalError } = this.#native.take();
    if (journalError !== undefined && this.#journalError === undefined) {
      process.emitWarning(
        `the journal beside producerNoncePath cannot be written (${journalError}): events wait`,
        { type: 'NetmeshWarning', code: 'NETMESH_BUS_JOURNAL' },
      );
    }
    this.#journalError = journalError;
    for (const batch of batches) this.#enqueue(batch);
    for (const id of flushed) {
      this.#flushes.get(id)?.();
      this.#flushes.delete(id);
    }
  }

  /** Resolves when everything that was emitted before is delivered or given up. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#flushes.set(this.#native.requestFlush(), resolve);
    });
  }

  /** What was given up since the last call. */
  takeLoss(): Loss | undefined {
    const loss = this.#loss;
    this.#loss = undefined;
    return loss;
  }

  /** Why nothing moves, when that is known. */
  get journalError(): string | undefined {
    return this.#journalError;
  }

  /** Gives up pauses and attempts; batches stay as they are. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#lanes.values());
  }

  #enqueue(batch: NativeBatch): void {
    const before = this.#lanes.get(batch.shard);
    const run = before ? before.then(() => this.#deliver(batch)) : this.#deliver(batch);
    const lane = run.finally(() => {
      if (this.#lanes.get(batch.shard) === lane) this.#lanes.delete(batch.shard);
    });
    this.#lanes.set(batch.shard, lane);
  }

  /** Never rejects. */
  async #deliver(batch: NativeBatch): Promise<void> {
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      try {
        await within(
          this.#limits.timeoutMs,
          this.#adapter.onBatch(batch),
          () => new AdapterError('transient', 'the adapter timed out'),
        );
        this.#settle(batch, true);
        return;
      } catch (error) {
        const failure = adapterError('fatal', error);
        if (this.#stop.signal.aborted) return;
        if (!failure.retryable || attempt >= this.#limits.retries) {
          this.#giveUp(batch, failure);
          return;
        }
        await this.#pause(backoffMs(batch.shard, attempt));
      }
    }
  }

  #settle(batch: NativeBatch, delivered: boolean): void {
    if (!this.#stop.signal.aborted) this.#native.settle(batch.token, delivered);
  }

  #giveUp(batch: NativeBatch, error: AdapterError): void {
    const { events = 0, batches = 0 } = this.#loss ?? {};
    this.#loss = { events: events + batch.ends.length, batches: batches + 1, error };
    this.#settle(batch, false);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stop;
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }
}
