/**
 * `NetNode`: the event bus. Emit into shards; poll, subscribe or use typed channels, on memory, Redis
 * Streams, NATS JetStream or a second bus at the other end of an encrypted session.
 *
 * @packageDocumentation
 */

import './internal/async_dispose';
import { InvalidArgumentError } from './core/errors';
import { Net, engineOf } from './core/net';
import { BusReader, checkSubscribe } from './internal/bus/reader';
import { describe, object } from './internal/validate';
import type {
  BusStats,
  EventBusOptions,
  NetNodeConfig,
  PollRequest,
  PollResponseData,
  Receipt,
  StoredEvent,
  SubscribeOpts,
  Transport,
} from './types';

export type {
  BackpressureMode,
  BatchOptions,
  BusStats,
  JetStreamOptions,
  NetNodeConfig,
  PollRequest,
  PollResponseData,
  Receipt,
  RedisOptions,
  RetentionOptions,
  ScalingOptions,
  Stats,
  StoredEvent,
  SubscribeOpts,
  Transport,
} from './types';

/** Events of a bus, from a position on. `for await` waits for those that are still to come. */
export class EventStream implements AsyncIterable<StoredEvent> {
  readonly #reader: BusReader;

  /** Begins where `opts.from` says; what is emitted from now on is part of it. */
  constructor(bus: Net, opts?: SubscribeOpts) {
    this.#reader = new BusReader(engineOf(bus), checkSubscribe(opts));
  }

  /** Ends the stream after what was fetched already. */
  stop(): void {
    this.#reader.stop();
  }

  /** Where another stream would go on: pass it as `from`. Undefined before the first event. */
  get cursor(): string | undefined {
    return this.#reader.cursor;
  }

  /** Events that the store had dropped before this stream came to them. */
  get expired(): number {
    return this.#reader.expired;
  }

  /** Goes on where an iterator before it was left. */
  [Symbol.asyncIterator](): AsyncIterableIterator<StoredEvent> {
    const reader = this.#reader;
    let done = false;
    const iterator: AsyncIterableIterator<StoredEvent> = {
      next: () =>
        done ? Promise.resolve({ value: undefined, done: true as const }) : reader.next(),
      return: () => {
        done = true;
        return Promise.resolve({ value: undefined, done: true as const });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }
}

/** An {@link EventStream} of parsed events. */
export class TypedEventStream<T> implements AsyncIterable<T> {
  readonly #events: EventStream;
  readonly #parse: (raw: string) => T;

  /** `parse` makes a value of the payload; what it throws ends the stream. Default: `JSON.parse`. */
  constructor(bus: Net, opts?: SubscribeOpts, parse?: (raw: string) => T) {
    if (parse !== undefined && typeof parse !== 'function') {
      throw new InvalidArgumentError(`parse must be a function; got ${describe(parse)}`);
    }
    this.#events = new EventStream(bus, opts);
    this.#parse = parse ?? ((raw) => JSON.parse(raw) as T);
  }

  /** {@link EventStream.stop}. */
  stop(): void {
    this.#events.stop();
  }

  /** {@link EventStream.cursor}. */
  get cursor(): string | undefined {
    return this.#events.cursor;
  }

  /** {@link EventStream.expired}. */
  get expired(): number {
    return this.#events.expired;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    const events = this.#events[Symbol.asyncIterator]();
    const parse = this.#parse;
    const end = (): Promise<IteratorReturnResult<undefined>> => {
      void events.return?.();
      return Promise.resolve({ value: undefined, done: true });
    };
    const iterator: AsyncIterableIterator<T> = {
      next: async () => {
        const result = await events.next();
        if (result.done === true) return { value: undefined, done: true };
        try {
          return { value: parse(result.value.raw), done: false };
        } catch (error) {
          await end();
          throw error;
        }
      },
      return: end,
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }
}

/** Events that carry a channel's name in their member `_channel`. */
export class TypedChannel<T> {
  readonly #bus: Net;
  readonly #name: string;
  readonly #validator: ((data: unknown) => T) | undefined;

  constructor(bus: Net, channelName: string, validator?: (data: unknown) => T) {
    engineOf(bus);
    if (typeof channelName !== 'string') {
      throw new InvalidArgumentError(`channel name must be a string; got ${describe(channelName)}`);
    }
    if (validator !== undefined && typeof validator !== 'function') {
      throw new InvalidArgumentError(`validator must be a function; got ${describe(validator)}`);
    }
    this.#bus = bus;
    this.#name = channelName;
    this.#validator = validator;
  }

  get name(): string {
    return this.#name;
  }

  /** Emits the event with `_channel` behind its members; false when it is refused. */
  publish(event: T): boolean {
    return this.#bus.ingestFire(this.#textOf(event));
  }

  /** Emits many; returns how many were accepted. */
  publishBatch(events: readonly T[]): number {
    return this.#bus.ingestBatchFire(events.map((event) => this.#textOf(event)));
  }

  /** The channel's events, checked by the validator. `opts.filter` replaces the channel's own. */
  subscribe(opts?: SubscribeOpts): TypedEventStream<T> {
    const validator = this.#validator;
    const parse = validator && ((raw: string): T => validator(JSON.parse(raw)));
    return new TypedEventStream<T>(this.#bus, this.#options(opts), parse);
  }

  /** The same as stored events. */
  subscribeRaw(opts?: SubscribeOpts): EventStream {
    return new EventStream(this.#bus, this.#options(opts));
  }

  #textOf(event: T): string {
    return JSON.stringify({ ...event, _channel: this.#name });
  }

  #options(opts: SubscribeOpts | undefined): SubscribeOpts {
    const filter = `{"path":"_channel","value":${JSON.stringify(this.#name)}}`;
    return opts === undefined ? { filter } : { filter, ...object(opts, 'options') };
  }
}

/**
 * An event bus.
 *
 * @example
 * ```typescript
 * const node = await NetNode.create({ shards: 4 });
 * node.emit({ token: 'hello', index: 0 });
 * for await (const event of node.subscribe()) console.log(event.raw);
 * ```
 */
export class NetNode {
  readonly #bus: Net;

  private constructor(bus: Net) {
    this.#bus = bus;
  }

  /**
   * Makes a bus. With the `mesh` transport it resolves once the other end has answered.
   *
   * @throws {@link InvalidArgumentError} for a wrong option; `BusError` when the transport cannot be
   * used.
   */
  static async create(config: NetNodeConfig = {}): Promise<NetNode> {
    return new NetNode(await Net.create(coreOptions(config)));
  }

  /** Wraps a bus of the core. */
  static fromNapi(bus: Net): NetNode {
    engineOf(bus);
    return new NetNode(bus);
  }

  /** Emits an object as JSON. Throws when it is refused. */
  emit(event: object): Receipt | null {
    return this.#bus.ingestRawSync(jsonOf(event));
  }

  /** Emits a text, normally JSON, as it is. Throws when it is refused. */
  emitRaw(json: string): Receipt | null {
    return this.#bus.ingestRawSync(json);
  }

  /** Emits bytes, the fastest way for one event. False when they are refused. */
  emitBuffer(data: Uint8Array): boolean {
    return this.#bus.push(data);
  }

  /** Emits objects as JSON; returns how many were accepted. Throws only after `shutdown`. */
  emitBatch(events: readonly object[]): number {
    return this.#bus.ingestRawBatchSync(events.map(jsonOf));
  }

  /** Emits texts; returns how many were accepted. Throws only after `shutdown`. */
  emitRawBatch(jsons: readonly string[]): number {
    return this.#bus.ingestRawBatchSync(jsons);
  }

  /** Emits many payloads, the fastest way of all; returns how many were accepted. */
  emitBufferBatch(events: readonly Uint8Array[]): number {
    return this.#bus.pushBatch(events);
  }

  /** Emits a text; false when it is refused. */
  fire(json: string): boolean {
    return this.#bus.ingestFire(json);
  }

  /** Emits texts; returns how many were accepted. */
  fireBatch(jsons: readonly string[]): number {
    return this.#bus.ingestBatchFire(jsons);
  }

  /** A page of events of all shards. Repeat with `nextId` while `hasMore`. */
  poll(request: PollRequest): Promise<PollResponseData> {
    return engineOf(this.#bus).poll(request);
  }

  /** The first event there is. It stays where it is: the next call returns it again. */
  async pollOne(): Promise<StoredEvent | null> {
    const { events } = await this.poll({ limit: 1 });
    return events[0] ?? null;
  }

  /** Events as they come, from the first that is stored on. */
  subscribe(opts?: SubscribeOpts): EventStream {
    return new EventStream(this.#bus, opts);
  }

  /** The same, parsed as JSON. */
  subscribeTyped<T>(opts?: SubscribeOpts): TypedEventStream<T> {
    return new TypedEventStream<T>(this.#bus, opts);
  }

  /** Events of one kind, see {@link TypedChannel}. */
  channel<T>(name: string, validator?: (data: unknown) => T): TypedChannel<T> {
    return new TypedChannel<T>(this.#bus, name, validator);
  }

  /** Counters. Throws after `shutdown`. */
  stats(): BusStats {
    return this.#bus.stats();
  }

  /** Number of shards that events go to. Throws after `shutdown`. */
  shards(): number {
    return this.#bus.numShards();
  }

  /** `Net.scaleUp`: uses more shards, and returns which. */
  scaleUp(count = 1): number[] {
    return this.#bus.scaleUp(count);
  }

  /** `Net.scaleDown`: uses fewer shards, and resolves to those that are done with. */
  scaleDown(count = 1): Promise<number[]> {
    return this.#bus.scaleDown(count);
  }

  /** What identifies this producer to its backend, see `Net.producer`. */
  producer(): { nonce: bigint; nextSequences: bigint[] } {
    return this.#bus.producer();
  }

  /**
   * Resolves when everything emitted before has been taken by the transport's backend, and rejects
   * with `Flush failed: …` when something was not.
   */
  flush(): Promise<void> {
    return this.#bus.flush();
  }

  /** Delivers what was accepted and frees everything. Any number of times. */
  shutdown(): Promise<void> {
    return this.#bus.shutdown();
  }

  /** {@link NetNode.shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#bus.shutdown();
  }

  /** The bus of the core. */
  get napi(): Net {
    return this.#bus;
  }
}

function jsonOf(event: object): string {
  const text = JSON.stringify(event) as string | undefined;
  if (text === undefined) {
    throw new InvalidArgumentError(`event must be serialisable as JSON; got ${describe(event)}`);
  }
  return text;
}

/** Names of the SDK as those of the core (spec 40 §2.2). */
function coreOptions(config: NetNodeConfig): EventBusOptions {
  const { shards, bufferCapacity, backpressure, transport, ...tuning } = object(config, 'config');
  return {
    ...tuning,
    numShards: shards,
    ringBufferCapacity: bufferCapacity,
    backpressureMode: backpressure,
    ...transportOptions(transport),
  };
}

function transportOptions(transport: Transport = { type: 'memory' }): EventBusOptions {
  object(transport, 'transport');
  switch (transport.type) {
    case 'memory':
      return {};
    case 'redis':
      return { redis: transport };
    case 'jetstream':
      return { jetstream: transport };
    case 'mesh': {
      const { bind, peer, role = 'initiator', ...rest } = transport;
      return { net: { ...rest, bindAddr: bind, peerAddr: peer, role } };
    }
    default:
      throw new InvalidArgumentError(
        'transport.type must be one of "memory", "redis", "jetstream", "mesh"; ' +
          `got ${describe((transport as { type?: unknown }).type)}`,
      );
  }
}
