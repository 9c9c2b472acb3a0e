// Reading a bus from a cursor on, page by page, woken by what comes in.

import type { PollResponseData, StoredEvent, SubscribeOpts } from '../../types';
import { onAbort, rejected } from '../abort';
import * as validate from '../validate';
import { addon } from '../native';
import { classify } from '../native_errors';
import type { Engine } from './engine';

const DEFAULT_LIMIT = 100;
const DEFAULT_INTERVAL_MS = 5;
const DEFAULT_MAX_BACKOFF_MS = 100;
const MAX_MS = 0x7fff_ffff;

/** Checked options. */
interface ReaderConfig {
  limit: number;
  filter: string | undefined;
  ordering: 'none' | 'insertion_ts';
  from: string;
  signal: AbortSignal | undefined;
  intervalMs: number;
  maxBackoffMs: number;
}

export function checkSubscribe(input: unknown): ReaderConfig {
  const raw = validate.optionsObject(
    input as Partial<Record<keyof SubscribeOpts, unknown>> | undefined,
    'options',
  );
  const { limit = DEFAULT_LIMIT, ordering = 'none', filter = '', from = 'earliest' } = raw;
  const { pollIntervalMs = DEFAULT_INTERVAL_MS, maxBackoffMs = DEFAULT_MAX_BACKOFF_MS } = raw;
  if (typeof filter !== 'string') {
    throw validate.invalid(`filter must be a string; got ${validate.describe(filter)}`);
  }
  if (typeof from !== 'string') {
    throw validate.invalid(
      `from must be "earliest", "latest" or a cursor; got ${validate.describe(from)}`,
    );
  }
  if (ordering !== 'none' && ordering !== 'insertion_ts') {
    const shown = typeof ordering === 'string' ? ordering : validate.describe(ordering);
    throw validate.invalid(`Invalid ordering: ${shown}. Use 'none' or 'insertion_ts'`);
  }
  return {
    limit: validate.integer(limit, 'limit', 1, 0xffff_ffff),
    filter: filter === '' ? undefined : filter,
    ordering,
    from,
    signal: validate.abortSignal(raw.signal),
    intervalMs: validate.milliseconds(pollIntervalMs, 'pollIntervalMs', 0, MAX_MS),
    maxBackoffMs: validate.milliseconds(maxBackoffMs, 'maxBackoffMs', 0, MAX_MS),
  };
}

interface Waiter {
  resolve: (result: IteratorResult<StoredEvent, undefined>) => void;
  reject: (reason: unknown) => void;
}

/**
 * The position of one consumer, and the page that it has fetched and not yielded. Several iterators
 * may take turns; an event goes to one of them.
 */
export class BusReader {
  readonly #engine: Engine;
  readonly #config: ReaderConfig;
  /** Of the page in hand: the cursor that it was fetched with. */
  #before: string | undefined;
  /** Behind the page in hand. */
  #cursor: string | undefined;
  #page: readonly StoredEvent[] = [];
  #at = 0;
  #expired = 0;
  /** Resolves to the first cursor, where that takes a while. */
  #starting: Promise<void> | undefined;
  #stopped = false;
  #failure: { reason: unknown } | undefined;
  readonly #waiters: Waiter[] = [];
  #reading = false;
  /** Something came while a read was under way. */
  #again = false;
  #backoff: number;
  #timer: NodeJS.Timeout | undefined;
  #stopWatching: (() => void) | undefined;
  #release: (() => void) | undefined;
  #stopListening: () => void = () => undefined;

  constructor(engine: Engine, config: ReaderConfig) {
    this.#engine = engine;
    this.#config = config;
    this.#backoff = config.intervalMs;
    if (config.signal?.aborted === true) {
      this.#fail(config.signal.reason);
    } else {
      this.#stopListening = onAbort(config.signal, () => {
        this.#fail(config.signal?.reason);
      });
      this.#begin();
    }
  }

  /** The next event; waits for it. */
  next(): Promise<IteratorResult<StoredEvent, undefined>> {
    const event = this.#take();
    if (event) return Promise.resolve({ value: event, done: false });
    if (this.#failure) {
      const { reason } = this.#failure;
      this.#failure = undefined;
      this.#stopped = true;
      return rejected(reason);
    }
    if (this.#stopped) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#release ??= this.#engine.hold();
      this.#stopWatching ??= this.#engine.watch(() => {
        this.#backoff = this.#config.intervalMs;
        this.#read();
      });
      this.#read();
    });
  }

  /** What is in hand is still yielded, then the reader ends. */
  stop(): void {
    this.#stopped = true;
    this.#settleWaiters();
  }

  /** Where a new reader would go on after what was yielded. */
  get cursor(): string | undefined {
    if (this.#at >= this.#page.length) return this.#cursor;
    const positions = decodePositions(this.#before);
    for (const { shardId, id } of this.#page.slice(0, this.#at)) positions.set(shardId, id);
    return positions.size === 0
      ? undefined
      : addon().encodeCursor([...positions.keys()], [...positions.values()]);
  }

  /** Events that retention had dropped before they were read. */
  get expired(): number {
    return this.#expired;
  }

  #begin(): void {
    const { from } = this.#config;
    if (from === 'earliest') return;
    if (from !== 'latest') {
      this.#cursor = from;
      return;
    }
    try {
      this.#cursor = this.#engine.latestCursorNow();
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#cursor !== undefined) return;
    this.#starting = this.#engine.latestCursor().then(
      (cursor) => {
        this.#cursor = cursor;
        this.#starting = undefined;
      },
      (error: unknown) => {
        this.#fail(error);
      },
    );
  }

  #take(): StoredEvent | undefined {
    const event = this.#page[this.#at];
    if (!event) return undefined;
    this.#at++;
    if (this.#at === this.#page.length) this.#page = [];
    if (this.#page.length === 0) this.#at = 0;
    return event;
  }

  /** Fetches until there is something to yield, for as long as somebody waits. */
  #read(): void {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiters.length === 0) return;
    // Without a promise where the events are at hand.
    if (!this.#starting) {
      try {
        for (;;) {
          const page = this.#engine.pollNow(this.#request());
          if (!page) break;
          const more = this.#adopt(page);
          if (this.#waiters.length === 0 || !more) return;
        }
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
    this.#reading = true;
    void this.#readAsync().finally(() => {
      this.#reading = false;
      if (this.#waiters.length === 0) return;
      if (this.#again) {
        this.#again = false;
        this.#read();
        return;
      }
      // Backends that push are looked after all the same: a wake-up may get lost with a connection.
      this.#timer = setTimeout(() => {
        this.#read();
      }, this.#backoff);
      this.#backoff = Math.min(this.#backoff * 2, Math.max(this.#config.maxBackoffMs, 1));
    });
  }

  async #readAsync(): Promise<void> {
    try {
      await this.#starting;
      while (this.#waiters.length > 0 && !this.#failure) {
        this.#again = false;
        const page = await this.#engine.poll(this.#request());
        if (page.events.length > 0) this.#backoff = this.#config.intervalMs;
        if (!this.#adopt(page)) return;
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #request(): {
    limit: number;
    cursor?: string;
    filter?: string;
    ordering: 'none' | 'insertion_ts';
  } {
    const { limit, filter, ordering } = this.#config;
    return { limit, cursor: this.#cursor, filter, ordering };
  }

  /** Yields what a page has; true when asking for the next one at once makes sense. */
  #adopt(page: PollResponseData): boolean {
    const moved = page.nextId !== this.#cursor;
    // Never overwrites a page in hand: readers fetch only when they have nothing left.
    this.#before = this.#cursor;
    this.#cursor = page.nextId;
    this.#page = page.events;
    this.#at = 0;
    this.#expired += page.expired ?? 0;
    while (this.#waiters.length > 0) {
      const event = this.#take();
      if (!event) break;
      this.#waiters.shift()?.resolve({ value: event, done: false });
    }
    if (this.#waiters.length === 0) this.#rest();
    return page.hasMore && moved;
  }

  /** Nobody waits: nothing is watched, and the process may end. */
  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#release?.();
    this.#release = undefined;
  }

  #fail(reason: unknown): void {
    if (this.#failure || this.#stopped) return;
    this.#stopListening();
    const [first, ...others] = this.#waiters.splice(0);
    this.#rest();
    if (first) {
      this.#stopped = true;
      first.reject(classify(reason));
    } else {
      this.#failure = { reason: classify(reason) };
    }
    for (const waiter of others) waiter.resolve({ value: undefined, done: true });
  }

  #settleWaiters(): void {
    this.#stopListening();
    this.#rest();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ value: undefined, done: true });
  }
}

/** Positions of a cursor that the addon has accepted before. */
function decodePositions(cursor: string | undefined): Map<number, string> {
  if (cursor === undefined) return new Map();
  const positions = JSON.parse(Buffer.from(cursor, 'base64').toString()) as Record<string, string>;
  return new Map(Object.entries(positions).map(([shard, id]) => [Number(shard), id]));
}
