// One bus: the addon's half, its backend, and everyone who waits for it.

import type { NativeBus } from '../../../types/native';
import { AdapterError, BusError, ShutDownError } from '../../core/errors';
import type { BusStats, PollOptions, PollResponseData } from '../../types';
import { addon } from '../native';
import { classify } from '../native_errors';
import * as validate from '../validate';
import { type Adapter, adapterError, within } from './adapter';
import { createAdapter } from './backends';
import type { BusConfig } from './config';
import { Dispatch, type Loss } from './dispatch';
import { type FetchedPage, fromMerged, fromStore } from './events';

/** How long a shard that drops out may take to be empty. */
const SCALE_DOWN_MS = 2000;
const SCALE_DOWN_LOOK_MS = 2;
const MAX_SHARDS = 65_535;
const SHUT_DOWN = 'EventBus has been shut down';

/** A checked request. */
interface Poll {
  limit: number;
  cursor: string | undefined;
  filter: string | undefined;
  ordered: boolean;
}

/** Behind every handle of a bus: `Net`, `NetNode`, streams and channels. */
export class Engine {
  readonly #config: BusConfig;
  readonly #native: NativeBus;
  readonly #adapter: Adapter | undefined;
  readonly #dispatch: Dispatch | undefined;
  /** All there can be, active or not: what was put into one stays readable. */
  readonly #shards: number[];
  #scaling: NodeJS.Timeout | undefined;
  readonly #slot: EngineSlot;
  readonly #watchers = new Set<() => void>();
  #stopWatching: (() => void) | undefined;
  #waking = false;
  /** Polls under way. */
  #polls = 0;
  #idle: (() => void) | undefined;
  #holds = 0;
  #ending: Promise<void> | undefined;

  private constructor(
    config: BusConfig,
    native: NativeBus,
    adapter: Adapter | undefined,
    slot: EngineSlot,
  ) {
    this.#config = config;
    this.#slot = slot;
    this.#native = native;
    this.#adapter = adapter;
    this.#shards = Array.from({ length: config.native.maxShards }, (_, shard) => shard);
    if (config.scaleEveryMs !== undefined) this.#scaling = scaleByLoad(this, config.scaleEveryMs);
    if (adapter) {
      const { adapterTimeoutMs: timeoutMs, batchRetries: retries } = config;
      this.#dispatch = new Dispatch(native, adapter, { timeoutMs, retries });
    }
  }

  static async create(config: BusConfig): Promise<Engine> {
    const slot: EngineSlot = {};
    const native = openNative(config, slot);
    let engine: Engine;
    try {
      const adapter = await createAdapter(
        config.backend,
        config.native.maxShards,
        (shard, events) => {
          native.receive(shard, events);
          slot.strong?.wake();
        },
      );
      if (adapter) await initialise(adapter, config.adapterTimeoutMs);
      engine = new Engine(config, native, adapter, slot);
    } catch (error) {
      native.close();
      throw creationError(error);
    }
    // One that stores its events itself may be collected when nobody holds it any more; one with a
    // backend has to deliver what it has accepted.
    if (engine.#dispatch) slot.strong = engine;
    // The addon may have signalled before anybody could listen.
    engine.#dispatch?.drain();
    return engine;
  }

  /** The addon has batches, or news of them. */
  drain(): void {
    this.#dispatch?.drain();
  }

  get native(): NativeBus {
    this.assertOpen();
    return this.#native;
  }

  /** For calls that report a closed bus by their result. */
  get rawNative(): NativeBus {
    return this.#native;
  }

  get closed(): boolean {
    return this.#ending !== undefined;
  }

  /** Whether somebody waits for events of this bus's own store. */
  get wanted(): boolean {
    return this.#watchers.size > 0;
  }

  /** How many shards events go to now. */
  get activeShards(): number {
    return this.native.activeShards;
  }

  /** Whether waiting for {@link Engine.watch} is enough, or the backend is to be polled as well. */
  get pushes(): boolean {
    return this.#storesEvents;
  }

  get #storesEvents(): boolean {
    return this.#adapter === undefined || this.#config.backend.type === 'mesh';
  }

  assertOpen(): void {
    if (this.#ending) throw new ShutDownError(SHUT_DOWN);
  }

  // --- waking ---

  /** Calls `wake` whenever there may be something new, until the result is called. */
  watch(wake: () => void): () => void {
    if (this.#watchers.size === 0 && this.#adapter && !this.#storesEvents) {
      this.#stopWatching = this.#adapter.watch(() => {
        this.wake();
      });
    }
    this.#watchers.add(wake);
    return () => {
      if (!this.#watchers.delete(wake) || this.#watchers.size > 0) return;
      this.#stopWatching?.();
      this.#stopWatching = undefined;
    };
  }

  /** Soon, once for all that comes until then. */
  wake(): void {
    if (this.#waking || this.#watchers.size === 0) return;
    this.#waking = true;
    queueMicrotask(() => {
      this.#waking = false;
      for (const wake of [...this.#watchers]) wake();
    });
  }

  /** Somebody waits for an event: the process stays alive. */
  hold(): () => void {
    if (this.#holds++ === 0 && !this.closed) this.#native.ref();
    let released = false;
    return () => {
      if (released) return;
      released = true;
      if (--this.#holds === 0 && !this.closed) this.#native.unref();
    };
  }

  // --- polling ---

  checkPoll(options: PollOptions): Poll {
    validate.object(options, 'request');
    const {
      limit,
      cursor,
      filter,
      ordering = 'none',
    } = options as unknown as Record<keyof PollOptions, unknown>;
    if (typeof limit !== 'number') {
      throw validate.invalid(`limit must be a number; got ${validate.describe(limit)}`);
    }
    for (const [name, value] of Object.entries({ cursor, filter })) {
      if (value !== undefined && typeof value !== 'string') {
        throw validate.invalid(`${name} must be a string; got ${validate.describe(value)}`);
      }
    }
    if (ordering !== 'none' && ordering !== 'insertion_ts') {
      const shown = typeof ordering === 'string' ? ordering : validate.describe(ordering);
      throw validate.invalid(`Invalid ordering: ${shown}. Use 'none' or 'insertion_ts'`);
    }
    return {
      limit: limit >>> 0,
      cursor: cursor as string | undefined,
      filter: filter === '' ? undefined : (filter as string | undefined),
      ordered: ordering === 'insertion_ts',
    };
  }

  /** At once where the bus stores its events itself; else undefined. Throws what `poll` rejects with. */
  pollNow(options: PollOptions): PollResponseData | undefined {
    this.assertOpen();
    if (!this.#storesEvents) return undefined;
    const { limit, cursor, filter, ordered } = this.checkPoll(options);
    try {
      return fromStore(this.#native.poll(limit, cursor, filter, ordered));
    } catch (error) {
      throw classify(error);
    }
  }

  async poll(options: PollOptions): Promise<PollResponseData> {
    const now = this.pollNow(options);
    if (now) return now;
    const { limit, cursor, filter, ordered } = this.checkPoll(options);
    const adapter = this.#adapter;
    if (!adapter) throw new BusError('Poll failed: there is nothing to poll');
    this.#polls++;
    try {
      const { planPoll, mergePages } = addon();
      const shards = this.#shards;
      const { perShard, after } = planPoll(limit, cursor, filter, ordered, shards);
      const pages = await Promise.all(
        after.map((position, index) => fetchPage(adapter, shards[index] ?? 0, position, perShard)),
      );
      return fromMerged(mergePages(limit, cursor, filter, ordered, shards, pages), pages);
    } catch (error) {
      throw classify(error);
    } finally {
      if (--this.#polls === 0) this.#idle?.();
    }
  }

  /** The cursor behind everything that is there now. */
  async latestCursor(): Promise<string> {
    this.assertOpen();
    const adapter = this.#adapter;
    if (!adapter || this.#storesEvents) return this.#native.latestCursor();
    const positions = await Promise.all(this.#shards.map((shard) => adapter.latest(shard)));
    return addon().encodeCursor(this.#shards, positions);
  }

  latestCursorNow(): string | undefined {
    this.assertOpen();
    return this.#storesEvents ? this.#native.latestCursor() : undefined;
  }

  // --- scaling ---

  /** Looks at the load; false when the bus has ended. */
  scaleByLoad(): boolean {
    if (this.closed) return false;
    this.#native.scaleByLoad();
    return true;
  }

  /** Returns the shards that get events from now on in addition. */
  scaleUp(count: number): number[] {
    const before = this.activeShards;
    const { maxShards } = this.#config.native;
    const more = validate.integer(count, 'count', 1, MAX_SHARDS);
    if (before >= maxShards) throw new BusError('already at maximum shard count');
    return idsBetween(before, this.#native.scaleTo(Math.min(before + more, maxShards)));
  }

  /** Resolves to the shards that get no more events and have none left in their buffers. */
  async scaleDown(count: number): Promise<number[]> {
    const before = this.activeShards;
    const { minShards } = this.#config.native;
    const fewer = validate.integer(count, 'count', 1, MAX_SHARDS);
    if (before <= minShards) throw new BusError('already at minimum shard count');
    const after = this.#native.scaleTo(Math.max(before - fewer, minShards));
    const left = idsBetween(after, before);
    // A store takes what waits over when it is read; there is nothing to wait for.
    if (!this.#dispatch) return left;
    const deadline = Date.now() + SCALE_DOWN_MS;
    const waiting = (): boolean =>
      !this.closed && left.some((shard) => !this.#native.isDrained(shard));
    while (waiting() && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, SCALE_DOWN_LOOK_MS));
    }
    this.assertOpen();
    return left.filter((shard) => this.#native.isDrained(shard));
  }

  // --- the rest ---

  stats(): BusStats {
    return this.native.stats() as unknown as BusStats;
  }

  /** Resolves when everything emitted before has been taken by the backend, or says what was not. */
  async flush(): Promise<void> {
    this.assertOpen();
    try {
      await this.#drainTo(this.#config.adapterTimeoutMs);
    } catch (error) {
      throw failure('Flush failed: ', error);
    }
  }

  async #drainTo(timeoutMs: number): Promise<void> {
    const dispatch = this.#dispatch;
    const adapter = this.#adapter;
    if (!dispatch || !adapter) return;
    await within(timeoutMs, dispatch.flush(), () => {
      const { eventsPending = 0n } = this.#native.stats();
      const why = dispatch.journalError === undefined ? '' : `; journal: ${dispatch.journalError}`;
      return new AdapterError(
        'fatal',
        `adapter flush timed out (${eventsPending} events and what is under way wait${why})`,
      );
    });
    await within(
      timeoutMs,
      adapter.flush(),
      () => new AdapterError('fatal', 'adapter flush timed out'),
    );
    const loss = dispatch.takeLoss();
    if (loss) throw lossError(loss);
  }

  /** Delivers what was accepted, and frees everything. Any number of times. */
  shutdown(): Promise<void> {
    return (this.#ending ??= this.#shutDown());
  }

  async #shutDown(): Promise<void> {
    // Now, and not after the first await: nothing is accepted from here on.
    this.#native.refuse();
    clearInterval(this.#scaling);
    const held = this.#holds > 0;
    if (!held) this.#native.ref();
    await Promise.resolve();
    let problem: unknown;
    try {
      await this.#drainTo(this.#config.adapterTimeoutMs);
    } catch (error) {
      problem = error;
    }
    if (this.#polls > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    this.#stopWatching?.();
    for (const wake of [...this.#watchers]) wake();
    this.#watchers.clear();
    await this.#dispatch?.stop();
    const adapter = this.#adapter;
    if (adapter) {
      try {
        await within(
          this.#config.adapterTimeoutMs,
          adapter.shutdown(),
          () => new AdapterError('fatal', 'adapter shutdown timed out'),
        );
      } catch (error) {
        problem ??= error;
      }
    }
    this.#native.close();
    this.#slot.strong = undefined;
    if (problem !== undefined) throw failure('Shutdown failed: ', problem);
  }
}

/** How the addon reaches the engine that it works for. */
interface EngineSlot {
  strong?: Engine;
}

const idsBetween = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

/** Neither keeps the process alive nor the bus from being collected. */
function scaleByLoad(engine: Engine, everyMs: number): NodeJS.Timeout {
  const weak = new WeakRef(engine);
  const timer = setInterval(() => {
    if (weak.deref()?.scaleByLoad() !== true) clearInterval(timer);
  }, everyMs);
  return timer.unref();
}

/** Made apart from `create`, whose scope would hold the engine as long as the addon lives. */
function openNative(config: BusConfig, slot: EngineSlot): NativeBus {
  const { NativeBus: Native } = addon();
  try {
    return new Native(config.native, () => slot.strong?.drain());
  } catch (error) {
    throw creationError(error);
  }
}

async function initialise(adapter: Adapter, timeoutMs: number): Promise<void> {
  try {
    await within(
      timeoutMs,
      adapter.init(),
      () => new AdapterError('fatal', 'adapter init timed out'),
    );
  } catch (error) {
    await adapter.shutdown().catch(() => undefined);
    throw error;
  }
}

/** A shard that cannot be read is left where it is, and named. */
async function fetchPage(
  adapter: Adapter,
  shard: number,
  after: string | undefined,
  limit: number,
): Promise<FetchedPage> {
  try {
    return await adapter.pollShard(shard, after, limit);
  } catch {
    return { shard, ids: [], entries: [], hasMore: false, failed: true, strict: false };
  }
}

function failure(prefix: string, error: unknown): BusError {
  const cause = adapterError('fatal', error);
  return new BusError(prefix + cause.message, { cause });
}

function lossError({ events, batches, error }: Loss): AdapterError {
  const detail = error.message.replace(`${error.kind} error: `, '');
  return new AdapterError(
    error.kind === 'backpressure' || error.kind === 'shutdown' ? 'fatal' : error.kind,
    `${detail} (${events} events in ${batches} batches were given up)`,
    { cause: error },
  );
}

/** What `create` rejects with: options by their rule, the rest behind the documented prefix. */
function creationError(error: unknown): unknown {
  const known = classify(error);
  if (known instanceof AdapterError) return failure('Failed to create EventBus: ', known);
  if (!(known instanceof Error)) return known;
  if (known.message.startsWith('invalid configuration: ')) {
    return validate.invalid(`Invalid configuration: ${known.message}`);
  }
  if (known.message.startsWith('failed to load/create producer-nonce file')) {
    return failure('Failed to create EventBus: ', new AdapterError('fatal', known.message));
  }
  return known;
}
