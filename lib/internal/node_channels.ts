// What a node's channel methods check before the addon is called.

import { capabilityFilterToNapi } from '../capabilities';
import type { CapabilityFilter } from '../capabilities';
import { ChannelError } from '../core/errors';
import { Token, TokenChain } from '../identity';
import type {
  ChannelConfig,
  ChannelInfo,
  ChannelMessage,
  Credential,
  PublishConfig,
  PublishReport,
  SubscribeChannelOptions,
  SubscribeOptions,
  SubnetId,
} from '../types';
import { onAbort } from './abort';
import './async_dispose';
import type { ClosableIterator } from './async_queue';
import { type ChannelFeed, type FeedPolicy, isGone } from './channels';
import { addon } from './native';
import { classify } from './native_errors';
import type { Node } from './node';
import * as validate from './validate';

const RELIABILITIES: Record<string, boolean> = { fire_and_forget: false, reliable: true };
const ON_FAILURE = ['best_effort', 'fail_fast', 'collect'];
const DEFAULT_MAX_INFLIGHT = 32;
const DEFAULT_BUFFER = 1024;
const MAX_BUFFER = 1_000_000;
const MAX_RETAIN = 65_536;
const U32_MAX = 0xffff_ffff;

function refuse(what: string): ChannelError {
  return new ChannelError(`channel: ${what}`);
}

function call<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw classify(error);
  }
}

/** An integer in a range; a ChannelError otherwise. */
function integer(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw refuse(`${name} must be an integer in [${min}, ${max}], got ${validate.describe(value)}`);
  }
  return value;
}

function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') {
    throw refuse(`${name} must be a boolean, got ${validate.describe(value)}`);
  }
  return value;
}

function maybe<T, R>(value: T | undefined, check: (value: T) => R): R | undefined {
  return value === undefined ? undefined : check(value);
}

function subnetValue(subnet: SubnetId): number {
  validate.subnet(subnet);
  return [0, 1, 2, 3].reduce((value, index) => value * 256 + (subnet.levels[index] ?? 0), 0);
}

function list<T>(value: unknown, name: string): T[] {
  if (!Array.isArray(value)) {
    throw refuse(`${name} must be an array, got ${validate.describe(value)}`);
  }
  return value as T[];
}

/** The bytes of a credential in any of its forms. */
function credential(token: SubscribeChannelOptions['token']): Uint8Array | undefined {
  if (token === undefined) return undefined;
  if (token instanceof Token || token instanceof TokenChain) return token.bytes;
  return validate.bytes(token, 'token');
}

export function registerChannel(node: Node, config: ChannelConfig): void {
  const { native } = node;
  if (typeof config !== 'object' || config === null) {
    throw refuse(`config must be an object, got ${validate.describe(config)}`);
  }
  const caps = (filter: CapabilityFilter): object => capabilityFilterToNapi(filter);
  const checked = {
    name: channelName(config.name),
    prefix: maybe(config.prefix, (value) => flag(value, 'prefix')),
    visibility: maybe(config.visibility, String),
    exportTo: maybe(config.exportTo, (subnets) =>
      list<SubnetId>(subnets, 'exportTo').map(subnetValue),
    ),
    reliable: maybe(config.reliable, (value) => flag(value, 'reliable')),
    requireToken: maybe(config.requireToken, (value) => flag(value, 'requireToken')),
    tokenRoots: maybe(config.tokenRoots, (roots) =>
      list<Uint8Array>(roots, 'tokenRoots').map((root) => validate.bytes(root, 'tokenRoots')),
    ),
    priority: maybe(config.priority, (value) => integer(value, 'priority', 0, 255)),
    maxRatePps: maybe(config.maxRatePps, (value) => integer(value, 'maxRatePps', 0, U32_MAX)),
    publishCaps: maybe(config.publishCaps, caps),
    subscribeCaps: maybe(config.subscribeCaps, caps),
    retain: maybe(config.retain, (value) => integer(value, 'retain', 0, MAX_RETAIN)),
    maxRetainedBytes: maybe(config.maxRetainedBytes, (value) =>
      integer(value, 'maxRetainedBytes', 0, U32_MAX),
    ),
  };
  call(() => {
    native.registerChannel(checked);
  });
  node.channels.rates.begin(checked.name);
}

function channelName(name: unknown): string {
  if (typeof name === 'string') return name;
  throw refuse(`invalid name: must be a string, got ${validate.describe(name)}`);
}

export function subscribeChannel(
  node: Node,
  publisherNodeId: bigint,
  channel: string,
  options?: SubscribeChannelOptions,
): Promise<void> {
  node.assertOpen();
  const publisher = validate.u64(publisherNodeId, 'publisherNodeId');
  const name = channelName(channel);
  const { token, queueGroup, signal } = validate.optionsObject(options, 'options');
  if (queueGroup !== undefined) validate.string(queueGroup, 'queueGroup');
  validate.abortSignal(signal);
  return node.channels.subscribe(publisher, name, { token: credential(token), queueGroup, signal });
}

export function unsubscribeChannel(
  node: Node,
  publisherNodeId: bigint,
  channel: string,
): Promise<void> {
  node.assertOpen();
  const publisher = validate.u64(publisherNodeId, 'publisherNodeId');
  return node.channels.unsubscribe(publisher, channelName(channel));
}

export function publish(
  node: Node,
  channel: string,
  payloads: readonly Uint8Array[],
  config?: PublishConfig,
): Promise<PublishReport> {
  node.assertOpen();
  const name = channelName(channel);
  validate.eventList(payloads);
  const {
    reliability,
    onFailure = 'best_effort',
    maxInflight = DEFAULT_MAX_INFLIGHT,
  } = validate.optionsObject(config, 'config');
  const reliable = reliability === undefined ? undefined : RELIABILITIES[reliability];
  if (reliability !== undefined && reliable === undefined) {
    throw refuse(`invalid reliability ${JSON.stringify(reliability)}`);
  }
  const policy = ON_FAILURE.indexOf(onFailure);
  if (policy < 0) throw refuse(`invalid on_failure ${JSON.stringify(onFailure)}`);
  const inflight = Math.max(validate.u32(maxInflight, 'maxInflight'), 1);
  return node.channels.publish(name, payloads, reliable, policy, inflight);
}

/** A channel of one publisher that this node has joined, see `MeshNode.subscribe`. */
export class ChannelSubscription implements AsyncIterable<ChannelMessage> {
  readonly #node: Node;
  readonly #feed: ChannelFeed;
  readonly #signal: AbortSignal | undefined;
  readonly #readers = new Set<ClosableIterator<ChannelMessage>>();
  readonly #stopListening: () => void;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(node: Node, feed: ChannelFeed, signal: AbortSignal | undefined) {
    this.#node = node;
    this.#feed = feed;
    this.#signal = signal;
    this.#stopListening = onAbort(signal, () => {
      // Its readers, which listen as well, are to end with the signal's reason.
      queueMicrotask(() => {
        this.close().catch(() => undefined);
      });
    });
  }

  /** Whose channel it is. */
  get publisherNodeId(): bigint {
    return this.#feed.publisher;
  }

  get channel(): string {
    return this.#feed.channel;
  }

  /** Whether the publisher has this node on its list now; false while it is away. */
  get active(): boolean {
    return this.#closing === undefined && this.#feed.active;
  }

  /** Payloads that were dropped because nobody took them (`drop-oldest`). */
  get dropped(): number {
    return this.#feed.inbox.dropped;
  }

  /** Payloads that wait to be taken. */
  get pending(): number {
    return this.#feed.inbox.count;
  }

  /**
   * Iterates over the payloads. Several iterators share them: each gets what the others did not. Ends
   * with `close()`, with the signal and with the node; throws when the publisher ends the subscription.
   */
  [Symbol.asyncIterator](): ClosableIterator<ChannelMessage> {
    const readers = this.#readers;
    const reader = this.#feed.reader(this.#signal, (closed) => readers.delete(closed));
    // One that the signal has ended already says so itself.
    if (this.#signal?.aborted === true) return reader;
    if (this.#closing) void reader.return();
    else readers.add(reader);
    return reader;
  }

  /** Leaves the channel and ends all iterators. Any number of times. */
  close(): Promise<void> {
    this.#closing ??= this.#leave();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #leave(): Promise<void> {
    const node = this.#node;
    this.#stopListening();
    for (const reader of [...this.#readers]) void reader.return();
    if (!node.channels.leave(this.#feed) || node.ending) return;
    try {
      await node.channels.unsubscribe(this.#feed.publisher, this.#feed.channel);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

/** Joins a channel and claims its payloads. */
export async function subscribe(
  node: Node,
  publisherNodeId: bigint,
  channel: string,
  options?: SubscribeOptions,
): Promise<ChannelSubscription> {
  node.assertOpen();
  const publisher = validate.u64(publisherNodeId, 'publisherNodeId');
  const name = channelName(channel);
  const given = validate.optionsObject(options, 'options');
  const { token, queueGroup, signal, replay = MAX_RETAIN, buffer = DEFAULT_BUFFER } = given;
  const { overflow = 'backpressure' } = given;
  if (queueGroup !== undefined) validate.string(queueGroup, 'queueGroup');
  validate.abortSignal(signal);
  signal?.throwIfAborted();
  integer(buffer, 'buffer', 1, MAX_BUFFER);
  integer(replay, 'replay', 0, MAX_RETAIN);
  if (overflow !== 'backpressure' && overflow !== 'drop-oldest') {
    throw refuse(`invalid overflow ${JSON.stringify(overflow)}`);
  }
  const policy: FeedPolicy = { overflow, buffer };
  const streamId = call(() => addon().channelStreamId(name));
  const bytes = credential(token);
  const { channels } = node;
  // Payloads may come before the answer.
  const feed =
    channels.join(publisher, streamId, policy) ?? channels.open(publisher, name, streamId, policy);
  try {
    await channels.subscribe(publisher, name, { token: bytes, queueGroup, replay, signal });
  } catch (error) {
    channels.leave(feed);
    throw error;
  }
  return new ChannelSubscription(node, feed, signal);
}

export function unregisterChannel(node: Node, channel: string): boolean {
  const { native } = node;
  return call(() => native.unregisterChannel(channelName(channel)));
}

const GAUGES = ['subscribers', 'queueGroups', 'retained', 'retainedBytes'] as const;
const COUNTERS = [
  'published',
  'delivered',
  'failed',
  'denied',
  'rateLimited',
  'accepted',
  'refused',
  'evicted',
  'replayed',
  'skippedVisibility',
  'skippedGuard',
  'skippedToken',
] as const;

type NativeChannel = Omit<ChannelInfo, 'publishedPerSecond' | 'joined'>;

/** Of a channel that is not published here. */
const NOT_PUBLISHED = {
  registered: false,
  ...Object.fromEntries([...GAUGES, ...COUNTERS].map((key) => [key, 0])),
} as Omit<NativeChannel, 'name'>;

export function channelsOf(node: Node): ChannelInfo[] {
  const { native, channels } = node;
  const infos = new Map<string, ChannelInfo>();
  const add = (channel: NativeChannel): ChannelInfo => {
    const publishedPerSecond = channels.rates.rate(channel.name, channel.published);
    const info = { ...channel, publishedPerSecond, joined: [] };
    infos.set(channel.name, info);
    return info;
  };
  for (const channel of native.channels()) add(channel as unknown as NativeChannel);
  for (const { channel: name, ...joined } of native.subscriptions()) {
    const feed = channels.feedOf(joined.publisherNodeId, name);
    const received = feed?.inbox.received ?? 0;
    (infos.get(name) ?? add({ name, ...NOT_PUBLISHED })).joined.push({
      ...joined,
      received,
      receivedPerSecond: feed ? channels.rates.rate(feed.rateName, received) : 0,
      dropped: feed?.inbox.dropped ?? 0,
      pending: feed?.inbox.count ?? 0,
    });
  }
  return [...infos.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function subscribers(node: Node, channel: string): bigint[] {
  return Array.from(node.native.subscribers(channelName(channel)));
}

export function installToken(node: Node, token: Credential): void {
  const { native } = node;
  const bytes = credential(token) ?? validate.bytes(token, 'token');
  call(() => {
    native.installCredential(bytes);
  });
}

export function revokeTokens(node: Node, issuer: Uint8Array, generation: number): void {
  const { native } = node;
  const entity = validate.bytes(issuer, 'issuer');
  validate.u32(generation, 'generation');
  call(() => {
    native.revokeBelow(entity, generation);
  });
}

const metricName = (key: string): string =>
  `netmesh_channel_${key.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`)}`;

/** In the text format of Prometheus. Channel names need no escaping. */
export function metrics(node: Node): string {
  const channels = channelsOf(node);
  const lines: string[] = [];
  const write = (key: (typeof GAUGES)[number] | (typeof COUNTERS)[number], type: string): void => {
    const name = metricName(key) + (type === 'counter' ? '_total' : '');
    lines.push(`# TYPE ${name} ${type}`);
    for (const channel of channels)
      lines.push(`${name}{channel="${channel.name}"} ${channel[key]}`);
  };
  for (const key of GAUGES) write(key, 'gauge');
  for (const key of COUNTERS) write(key, 'counter');
  for (const key of ['received', 'dropped'] as const) {
    const name = `netmesh_channel_${key}_total`;
    lines.push(`# TYPE ${name} counter`);
    for (const { name: channel, joined } of channels) {
      for (const { publisherNodeId, [key]: count } of joined) {
        lines.push(`${name}{channel="${channel}",publisher="${publisherNodeId}"} ${count}`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}
