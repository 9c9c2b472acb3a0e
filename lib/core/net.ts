import { isUint8Array } from 'node:util/types';

import '../internal/async_dispose';
import { Engine } from '../internal/bus/engine';
import { parseBusOptions } from '../internal/bus/config';
import { addon } from '../internal/native';
import * as validate from '../internal/validate';
import type {
  BusStats,
  EventBusOptions,
  HashedEvent,
  PollOptions,
  PollResponse,
  Receipt,
  StoredEvent,
} from '../types';
import { BackpressureError, BusError, InvalidArgumentError, ShutDownError } from './errors';

/** What a single ingest returns. */
export type IngestResult = Receipt;

const INTERNAL = Symbol('netmesh.internal');
const SHUT_DOWN = 4;
/** Events that go to the addon in one call. */
const PORTION = 1024;
/** Why the addon refused, by its number. */
const REASONS = [
  '',
  'backpressure: ring buffer full',
  'event dropped due to sampling',
  'event has no routable shard',
  'event bus is shutting down',
  'serialization error: the payload is not valid JSON',
  'serialization error: the payload is too large',
] as const;

/**
 * The engine behind a {@link Net}.
 *
 * @internal
 */
export let engineOf: (bus: Net) => Engine;

/**
 * An event bus, the low-level surface: `NetNode` wraps it. Single-event methods throw when the event
 * is refused; `push…` and `…Fire` return what was accepted instead, and never throw for that.
 */
export class Net {
  readonly #engine: Engine;
  /** What the addon knows this bus by. */
  readonly #number: number;
  readonly #receipt: Float64Array;
  // At hand: looking them up among the addon's exports would be felt.
  readonly #ingestText = addon().ingestText;
  readonly #ingestBytes = addon().ingestBytes;
  readonly #ingestBuffers = addon().ingestBuffers;

  static {
    engineOf = (bus) => {
      if (typeof bus !== 'object' || bus === null || !(#engine in bus)) {
        throw new InvalidArgumentError('bus must be a Net that Net.create made');
      }
      return bus.#engine;
    };
  }

  private constructor(token: symbol, engine: Engine) {
    if (token !== INTERNAL) throw new InvalidArgumentError('use Net.create');
    this.#engine = engine;
    const { number, receipt } = engine.rawNative;
    this.#number = number;
    this.#receipt = receipt;
  }

  /**
   * Checks the options, connects to the backend and makes the bus.
   *
   * @throws {@link InvalidArgumentError} for a wrong option, with nothing done; {@link BusError},
   * `Failed to create EventBus: …`, when the backend cannot be used.
   */
  static async create(options?: EventBusOptions): Promise<Net> {
    return new Net(INTERNAL, await Engine.create(parseBusOptions(options)));
  }

  /** Hashes a payload for {@link Net.pushWithHash}. Works after `shutdown`, too. */
  prehash(data: Buffer): HashedEvent {
    validate.bytes(data, 'data');
    return { data, hash: addon().hashPayload(data) };
  }

  /** {@link Net.push} with a hash that is taken as it is; false for one that is no u64. */
  pushWithHash(data: Buffer, hash: bigint): boolean {
    try {
      return this.#accepted(addon().ingestHashed(this.#number, data, hash));
    } catch (error) {
      throw argumentError(error);
    }
  }

  /** Emits one event. The bytes are copied and not looked at. */
  push(data: Uint8Array): boolean {
    try {
      return this.#accepted(this.#ingestBytes(this.#number, data));
    } catch (error) {
      throw argumentError(error);
    }
  }

  /** Emits many events; returns how many were accepted. */
  pushBatch(events: readonly Uint8Array[]): number {
    return this.#acceptedMany(
      emitMany(this.#ingestBuffers, this.#number, events, isUint8Array, 'Buffers'),
    );
  }

  /** Emits a text as it is. */
  ingestRawSync(json: string): IngestResult {
    this.#engine.assertOpen();
    let reason: number | undefined;
    try {
      reason = this.#ingestText(this.#number, json);
    } catch (error) {
      throw argumentError(error);
    }
    if (reason !== undefined) throw ingestError(reason);
    if (this.#engine.wanted) this.#engine.wake();
    const [shardId = 0, timestamp = 0] = this.#receipt;
    return { shardId, timestamp };
  }

  /** Emits many texts; returns how many were accepted. */
  ingestRawBatchSync(events: readonly string[]): number {
    this.#engine.assertOpen();
    return this.ingestBatchFire(events);
  }

  /** Emits a text; false when it is refused. */
  ingestFire(json: string): boolean {
    try {
      return this.#accepted(this.#ingestText(this.#number, json));
    } catch (error) {
      throw argumentError(error);
    }
  }

  /** Emits many texts; returns how many were accepted, 0 after `shutdown`. */
  ingestBatchFire(events: readonly string[]): number {
    return this.#acceptedMany(
      emitMany(addon().ingestTexts, this.#number, events, isString, 'strings'),
    );
  }

  /** {@link Net.ingestRawSync} as a promise. */
  // An async method, so that every failure is a rejection.
  // eslint-disable-next-line @typescript-eslint/require-await -- see above
  async ingestRaw(json: string): Promise<IngestResult> {
    return this.ingestRawSync(json);
  }

  /** Emits a text that has to be JSON. */
  // eslint-disable-next-line @typescript-eslint/require-await -- every failure is a rejection
  async ingest(event: string): Promise<IngestResult> {
    this.#engine.assertOpen();
    if (typeof event !== 'string') {
      throw validate.invalid(`event must be a string; got ${validate.describe(event)}`);
    }
    const problem = addon().checkJson(event);
    if (problem !== undefined) throw validate.invalid(`Invalid JSON: ${problem}`);
    return this.ingestRawSync(event);
  }

  /** {@link Net.ingestRawBatchSync} as a promise. */
  // eslint-disable-next-line @typescript-eslint/require-await -- every failure is a rejection
  async ingestRawBatch(events: readonly string[]): Promise<number> {
    return this.ingestRawBatchSync(events);
  }

  /** A page of events of all shards. */
  async poll(options: PollOptions): Promise<PollResponse> {
    const { events, ...rest } = await this.#engine.poll(options);
    return { events: events.map(withBytes), ...rest };
  }

  /** Number of shards that events go to. */
  numShards(): number {
    return this.#engine.activeShards;
  }

  /**
   * Spreads events over `count` more shards from now on, up to `scaling.maxShards`; returns which.
   *
   * @throws `BusError` (`already at maximum shard count`).
   */
  scaleUp(count = 1): number[] {
    return this.#engine.scaleUp(count);
  }

  /**
   * Spreads events over `count` shards fewer from now on, down to `scaling.minShards`. Resolves to
   * those that are done with, after at most 2 s; what others still hold is delivered later. Nothing
   * is lost, and everything stays readable.
   *
   * @throws `BusError` (`already at minimum shard count`).
   */
  scaleDown(count = 1): Promise<number[]> {
    return this.#engine.scaleDown(count);
  }

  /** Counters. */
  stats(): BusStats {
    return this.#engine.stats();
  }

  /**
   * What identifies this producer to its backend: the nonce, and by shard the sequence number of its
   * next event, which counts on across restarts with `producerNoncePath`.
   */
  producer(): { nonce: bigint; nextSequences: bigint[] } {
    const { native } = this.#engine;
    return { nonce: native.nonce, nextSequences: native.nextSequences() };
  }

  /**
   * Resolves when everything emitted before has been taken by the backend. Rejects with
   * `Flush failed: …` when something was given up since the last flush, or the backend takes too long.
   */
  flush(): Promise<void> {
    return this.#engine.flush();
  }

  /** Delivers what was accepted, waits for polls under way, frees everything. Any number of times. */
  shutdown(): Promise<void> {
    return this.#engine.shutdown();
  }

  /** {@link Net.shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#engine.shutdown();
  }

  #accepted(reason: number | undefined): boolean {
    if (reason !== undefined) return false;
    if (this.#engine.wanted) this.#engine.wake();
    return true;
  }

  #acceptedMany(count: number): number {
    if (count > 0 && this.#engine.wanted) this.#engine.wake();
    return count;
  }
}

/** Without narrowing to `any[]`. */
const isArray: (value: unknown) => boolean = Array.isArray;
const isString = (value: unknown): boolean => typeof value === 'string';

/**
 * Hands events to the addon as arguments, which it reads at no cost. Many go in portions, for the sake of
 * the stack; all of them are checked before the first goes, so that a wrong one has no effect.
 */
function emitMany<T>(
  ingest: (bus: number, ...events: T[]) => number,
  bus: number,
  events: readonly T[],
  isRight: (event: unknown) => boolean,
  what: string,
): number {
  const wrong = (): Error => validate.invalid(`events must be an array of ${what}`);
  if (!isArray(events)) throw wrong();
  try {
    if (events.length <= PORTION) return ingest(bus, ...events);
    for (const event of events) if (!isRight(event)) throw wrong();
    let accepted = 0;
    for (let at = 0; at < events.length; at += PORTION) {
      accepted += ingest(bus, ...events.slice(at, at + PORTION));
    }
    return accepted;
  } catch (error) {
    throw argumentError(error);
  }
}

/** The addon refuses arguments of a wrong type with a plain TypeError. */
function argumentError(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message: string };
  return code === 'ERR_INVALID_ARG_TYPE' ? new InvalidArgumentError(message) : error;
}

function ingestError(reason: number): Error {
  if (reason === SHUT_DOWN) return new ShutDownError('EventBus has been shut down');
  const message = `Ingestion failed: ${REASONS[reason] ?? 'unknown'}`;
  return reason <= 2 ? new BackpressureError(message) : new BusError(message);
}

/** The core's events have their bytes as a member of their own. */
function withBytes(event: StoredEvent): StoredEvent {
  const { id, raw, rawBytes, insertionTs, shardId, emittedAtMs, dedupId } = event;
  return {
    id,
    raw,
    rawBytes,
    insertionTs,
    shardId,
    ...(emittedAtMs !== undefined && { emittedAtMs }),
    ...(dedupId !== undefined && { dedupId }),
  };
}
