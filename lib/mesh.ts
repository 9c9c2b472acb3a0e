/**
 * `MeshNode`: a node of the mesh, with streams, messages and events.
 *
 * @packageDocumentation
 */

import './internal/async_dispose';
import { capabilityFilterToNapi, scopeFilterToNapi } from './capabilities';
import type {
  AggregateRow,
  Aggregation,
  CapabilityFilter,
  CapabilityRequirement,
  CapabilitySet,
  CapacityQuery,
  CapacityRow,
  GroupBy,
  ScopeFilter,
  TagMatcher,
} from './capabilities';
import { InvalidArgumentError } from './core/errors';
import { NetMesh, connect, nodeOf, promised, streamOf } from './core/net_mesh';
import { Reader } from './internal/async_queue';
import { classify, classifyWithPrefix } from './internal/native_errors';
import type { Node } from './internal/node';
import * as capabilities from './internal/node_capabilities';
import * as channels from './internal/node_channels';
import type { ChannelSubscription } from './internal/node_channels';
import * as validate from './internal/validate';
import type * as StreamModuleExports from './stream';
import type { DuplexOptions, MeshDuplex, MeshMessage, MessageIterator } from './stream';
import type {
  AnnounceOptions,
  AnnouncedCapabilities,
  CapabilityEvent,
  ChannelConfig,
  ChannelInfo,
  ConnectOptions,
  Credential,
  MeshNodeConfig,
  MeshNodeEvents,
  MeshStream,
  NodeStats,
  PeerInfo,
  PublishConfig,
  PublishReport,
  RttEntry,
  ShutdownOptions,
  ShutdownReport,
  StoredEvent,
  StreamConfig,
  StreamStats,
  StreamStatsEntry,
  SubnetId,
  SubscribeChannelOptions,
  SubscribeOptions,
  SubscriptionInfo,
  WaitOptions,
} from './types';

export type { ChannelSubscription } from './internal/node_channels';
export {
  BackpressureError,
  ChannelAuthError,
  ChannelError,
  NotConnectedError,
} from './core/errors';
export type { DuplexOptions, MeshDuplex, MeshMessage, MessageIterator } from './stream';
export type {
  AnnounceOptions,
  AnnouncedCapabilities,
  CapabilityEvent,
  ChannelConfig,
  ChannelInfo,
  ChannelMessage,
  CongestionInfo,
  Credential,
  OnFailure,
  PublishConfig,
  PublishReport,
  SubscribeChannelOptions,
  SubscribeOptions,
  SubscriptionInfo,
  Visibility,
  ConnectOptions,
  MeshNodeConfig,
  MeshNodeEvents,
  MeshStream,
  NodeStats,
  PeerDownEvent,
  PeerInfo,
  PeerMovedEvent,
  PeerSecurity,
  PeerUpEvent,
  Reliability,
  RttEntry,
  ShutdownOptions,
  ShutdownReport,
  StoredEvent,
  StreamConfig,
  StreamPriority,
  StreamStats,
  StreamStatsEntry,
  UnacknowledgedStream,
  WaitOptions,
} from './types';

const DEFAULT_RETRIES = 8;
const NANOS_PER_MILLI = 1_000_000n;
/** Shows that the constructor was called from here. */
const INTERNAL = Symbol('netmesh.internal');

type StreamModule = typeof StreamModuleExports;
type Listener<K extends keyof MeshNodeEvents> = (...args: MeshNodeEvents[K]) => void;

/**
 * A node on the mesh: one UDP socket, encrypted sessions with many peers, many streams to each.
 *
 * Every method throws, or rejects with, `MeshNode has been shut down` once {@link MeshNode.shutdown}
 * was called. Wrong arguments are refused before anything happens.
 *
 * @example
 * ```typescript
 * const node = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
 * await node.start();
 * await node.connect(peerAddr, peerPublicKey, peerNodeId);
 *
 * const stream = node.openStream(peerNodeId, { streamId: 7n, reliability: 'reliable' });
 * await node.sendWithRetry(stream, [Buffer.from('hello')]);
 *
 * for await (const { peerNodeId, streamId, data } of node.messages()) {
 *   console.log(peerNodeId, streamId, data.toString());
 * }
 * ```
 */
export class MeshNode {
  private native: NetMesh;
  readonly #node: Node;

  private constructor(token: symbol, native: NetMesh) {
    if (token !== INTERNAL) throw new InvalidArgumentError('use MeshNode.create');
    this.native = native;
    this.#node = nodeOf(native);
  }

  /**
   * Binds the socket of a new node.
   *
   * @throws `InvalidArgumentError` for a wrong option, with nothing done; `ConnectionError` when
   * the address cannot be bound.
   */
  static async create(config: MeshNodeConfig): Promise<MeshNode> {
    return new MeshNode(INTERNAL, await NetMesh.create(config));
  }

  /** The node's ed25519 public key, 32 bytes. */
  entityId(): Buffer {
    return this.native.entityId();
  }

  /** The Noise static key that peers need to connect: 64 lower-case hexadecimal digits. */
  publicKey(): string {
    return this.native.publicKey();
  }

  /** The node's id, derived from its identity. */
  nodeId(): bigint {
    return this.native.nodeId();
  }

  /** The address that the socket is bound to, with the port that the system chose. */
  localAddr(): string {
    return this.#node.native.localAddr();
  }

  // --- peers ---

  /**
   * Performs the handshake with a peer at a known address. It must be started, or be waiting in
   * {@link MeshNode.accept}.
   *
   * @throws `ConnectionError`, its message beginning with `connect failed: `.
   */
  connect(
    peerAddr: string,
    peerPublicKey: string,
    peerNodeId: bigint,
    options?: ConnectOptions,
  ): Promise<void> {
    return this.native.connect(peerAddr, peerPublicKey, peerNodeId, options);
  }

  /**
   * The same through a relay, or to a started node that is reached directly: the handshake travels
   * behind a routing header.
   */
  async connectVia(
    relayAddr: string,
    peerPublicKey: string,
    peerNodeId: bigint,
    options?: ConnectOptions,
  ): Promise<void> {
    await connect(this.#node, true, relayAddr, peerPublicKey, peerNodeId, options);
  }

  /**
   * Waits for the handshake of one peer; only before {@link MeshNode.start}, after which peers need
   * no `accept`. Resolves to the peer's address.
   */
  accept(peerNodeId: bigint, options?: WaitOptions): Promise<string> {
    return this.native.accept(peerNodeId, options);
  }

  /**
   * Starts receiving, and keeps the process alive until {@link MeshNode.shutdown} or
   * {@link MeshNode.unref}. Takes effect at once; does nothing the second time or while an
   * `accept` is pending.
   */
  start(): Promise<void> {
    return this.native.start();
  }

  /** Ends the session with a peer, which is told. Does nothing when there is none. */
  disconnect(peerNodeId: bigint): void {
    this.#node.native.disconnect(validate.u64(peerNodeId, 'peerNodeId'));
  }

  /** Number of known peers, failed ones included until they are forgotten. */
  peerCount(): number {
    return this.native.peerCount();
  }

  /** The known peers: address, security, round-trip times, traffic. */
  peers(): PeerInfo[] {
    return this.#node.native.peers().map((peer) => ({
      nodeId: peer.nodeId,
      addr: peer.addr,
      security: peer.security,
      aead: peer.aead,
      entityId: peer.entityId,
      relayed: peer.relayed,
      alive: peer.alive,
      rttMs: peer.rttMs,
      rttMinMs: peer.rttMinMs,
      bytesIn: peer.bytesReceived,
      bytesOut: peer.bytesSent,
      packetsIn: peer.packetsReceived,
      packetsOut: peer.packetsSent,
      packetsLost: peer.packetsLost,
      bytesRetransmitted: peer.bytesRetransmitted,
      connectedAt: new Date(toMillis(peer.connectedAtNs)),
      lastActivityMs: toMillis(peer.lastActivityNs),
      streams: peer.streams,
      congestion: peer.congestion,
    }));
  }

  /** Sends packets for a node through another one. */
  addRoute(destNodeId: bigint, nextHopAddr: string): void {
    this.native.addRoute(destNodeId, nextHopAddr);
  }

  /** Forgets a route. Does nothing when there is none. */
  removeRoute(destNodeId: bigint): void {
    this.#node.native.removeRoute(validate.u64(destNodeId, 'destNodeId'));
  }

  /** Drops everything from and to an address, as if the network had been cut. */
  blockPeer(peerAddr: string): void {
    this.#setBlocked(peerAddr, true);
  }

  /** Undoes {@link MeshNode.blockPeer}. */
  unblockPeer(peerAddr: string): void {
    this.#setBlocked(peerAddr, false);
  }

  // --- channels ---

  /** Registers a channel that this node publishes, or changes its terms. */
  registerChannel(config: ChannelConfig): void {
    channels.registerChannel(this.#node, config);
  }

  /**
   * Joins a channel of a connected publisher. What it publishes arrives like other messages; `subscribe`
   * of `MeshNode` is made for reading it.
   *
   * @throws `ChannelAuthError` when the publisher does not let this node join; `ChannelError` otherwise.
   */
  subscribeChannel(
    publisherNodeId: bigint,
    channel: string,
    options?: SubscribeChannelOptions,
  ): Promise<void> {
    return promised(() => channels.subscribeChannel(this.#node, publisherNodeId, channel, options));
  }

  /** Leaves a channel. Resolves for one that was never joined. */
  unsubscribeChannel(publisherNodeId: bigint, channel: string): Promise<void> {
    return promised(() => channels.unsubscribeChannel(this.#node, publisherNodeId, channel));
  }

  /**
   * Sends a payload to all subscribers of a channel. Reliable publishes resolve once every modern
   * subscriber has it, or is known not to; subscribers that are not reached are in the report.
   *
   * @throws `ChannelError` when nobody was reached (`best_effort`), when this node may not publish, or
   * for a payload that is too large.
   */
  publish(channel: string, payload: Uint8Array, config?: PublishConfig): Promise<PublishReport> {
    return promised(() =>
      channels.publish(this.#node, channel, [validate.bytes(payload, 'payload')], config),
    );
  }

  /** {@link MeshNode.publish} of several payloads at once, in this order. */
  publishMany(
    channel: string,
    payloads: readonly Uint8Array[],
    config?: PublishConfig,
  ): Promise<PublishReport> {
    return promised(() => channels.publish(this.#node, channel, payloads, config));
  }

  /** Ends a channel with its subscriptions. False when there was none of this name. */
  unregisterChannel(channel: string): boolean {
    return channels.unregisterChannel(this.#node, channel);
  }

  /**
   * Joins a channel of a connected publisher and reads it. The subscription outlives sessions: it is
   * asked for again when the publisher is back.
   *
   * @example
   * ```typescript
   * const feed = await node.subscribe(publisher.nodeId(), 'sensors/temp');
   * for await (const { payload, seq } of feed) console.log(seq, payload.toString());
   * ```
   *
   * @throws As {@link MeshNode.subscribeChannel}.
   */
  subscribe(
    publisherNodeId: bigint,
    channel: string,
    options?: SubscribeOptions,
  ): Promise<ChannelSubscription> {
    return channels.subscribe(this.#node, publisherNodeId, channel, options);
  }

  /** The channels that this node publishes or has joined, with subscribers, counters and rates. */
  channels(): ChannelInfo[] {
    return channels.channelsOf(this.#node);
  }

  /** Who has joined a channel of this node, in ascending order. */
  subscribers(channel: string): bigint[] {
    return channels.subscribers(this.#node, channel);
  }

  /** The channels of other nodes that this node has joined. */
  subscriptions(): SubscriptionInfo[] {
    return this.#node.native.subscriptions();
  }

  /**
   * Keeps a token, or a chain of them, that lets this node publish on a channel with `requireToken`.
   *
   * @throws `TokenError` for what is malformed or not signed by its issuer.
   */
  installToken(token: Credential): void {
    channels.installToken(this.#node, token);
  }

  /** Tokens of `issuer` with a lower generation count no more, for subscribers as well. */
  revokeTokens(issuer: Uint8Array, generation: number): void {
    channels.revokeTokens(this.#node, issuer, generation);
  }

  /** Channels, subscribers, rates and drops in the text format of Prometheus. */
  channelMetrics(): string {
    return channels.metrics(this.#node);
  }

  // --- capabilities ---

  /**
   * Makes `caps` what this node can do: signs it, tells the peers, and through them the mesh. Repeats
   * itself before it expires. Announcements within `announceIntervalMs` are sent as one at its end.
   *
   * @throws `CapabilityError` for a malformed set, or one too large for a connected peer, with nothing
   * changed.
   */
  announceCapabilities(caps: CapabilitySet, options?: AnnounceOptions): Promise<void> {
    return this.native.announceCapabilities(caps, options);
  }

  /** The nodes, this one included, that announced what the filter asks; in ascending order. */
  findNodes(filter: CapabilityFilter): bigint[] {
    return capabilities.findNodes(this.#node, filter);
  }

  /** {@link MeshNode.findNodes} among the nodes of a scope. */
  findNodesScoped(filter: CapabilityFilter, scope: ScopeFilter): bigint[] {
    return capabilities.findNodes(this.#node, filter, scope);
  }

  /** The matching node with the best score, the lowest id among equals; null when none matches. */
  findBestNode(requirement: CapabilityRequirement): bigint | null {
    return capabilities.findBestNode(this.#node, requirement);
  }

  /** {@link MeshNode.findBestNode} among the nodes of a scope. */
  findBestNodeScoped(requirement: CapabilityRequirement, scope: ScopeFilter): bigint | null {
    return capabilities.findBestNode(this.#node, requirement, scope);
  }

  /** Groups the known nodes that `matcher` chooses, all without one, and computes a number of each group. */
  capabilityAggregate(
    matcher: TagMatcher | undefined | null,
    groupBy: GroupBy,
    aggregation: Aggregation,
  ): AggregateRow[] {
    return capabilities.aggregate(this.#node, matcher, groupBy, aggregation);
  }

  /**
   * Ranks groups of nodes by how many are available. With `maxRttMs` only nodes that `rtt` gives a
   * shorter time for count: a list, or a function that is asked for every known node.
   */
  capabilityCapacityRanking(
    query: CapacityQuery,
    rtt?: readonly RttEntry[] | ((nodeId: bigint) => number | undefined),
  ): CapacityRow[] {
    return capabilities.capacityRanking(this.#node, query, rtt);
  }
  /** What a node has announced, this one included; null when nothing is known of it. */
  capabilitiesOf(nodeId: bigint): AnnouncedCapabilities | null {
    return capabilities.capabilitiesOf(this.#node, nodeId);
  }

  /** The subnet that `subnetPolicy` derived for a peer from its tags; null while it is unknown. */
  subnetOf(nodeId: bigint): SubnetId | null {
    return capabilities.subnetOf(this.#node, nodeId);
  }

  /**
   * Reports which nodes match from now on: first those that do as `join`, then each change as it
   * happens. Of several changes of a node that nobody has read, one is left. Ends with the signal, with
   * `return()`, or with the node.
   *
   * @example
   * ```typescript
   * for await (const { kind, nodeId } of node.watchCapabilities({ requireGpu: true })) {
   *   console.log(kind, nodeId);
   * }
   * ```
   */
  watchCapabilities(
    filter: CapabilityFilter,
    options?: WaitOptions & { scope?: ScopeFilter },
  ): MessageIterator<CapabilityEvent> {
    const node = this.#node;
    node.assertOpen();
    const asked = capabilityFilterToNapi(filter);
    const { signal, scope } = validate.optionsObject(options, 'options');
    validate.abortSignal(signal);
    const within = scope === undefined ? undefined : scopeFilterToNapi(scope);
    let watch: ReturnType<Node['watches']['open']>;
    try {
      watch = node.watches.open(asked, within);
    } catch (error) {
      throw classify(error);
    }
    return new Reader(watch.supply, signal, () => {
      node.watches.close(watch.id);
    });
  }

  // --- sending ---

  /**
   * Opens a stream to a connected peer, or looks it up: the first opening decides its
   * configuration.
   *
   * @throws `ConnectionError` when there is no session with the peer.
   */
  openStream(peerNodeId: bigint, config: StreamConfig): MeshStream {
    return this.native.openStream(peerNodeId, config);
  }

  /** Closes a stream after what was sent on it. Does nothing for an unknown peer or stream. */
  closeStream(peerNodeId: bigint, streamId: bigint): void {
    this.native.closeStream(peerNodeId, streamId);
  }

  /**
   * Sends all events or none. The returned promise is already settled; the bytes are copied, so
   * the buffers may be used again at once.
   *
   * @throws `BackpressureError` when the stream's window is full; `NotConnectedError` when the
   * session or the stream is gone; `EventTooLargeError` for an event that the stream can never
   * carry.
   */
  sendOnStream(stream: MeshStream, events: readonly Uint8Array[]): Promise<void> {
    return this.native.sendOnStream(stream, events);
  }

  /**
   * Sends all events, waiting for credit up to `maxRetries` times (default 8, pauses of 5 to
   * 200 ms; less when credit comes sooner). Goes on at the first event not sent, never sends one
   * twice, and keeps the order of calls on one stream. Buffers may be used again as soon as the
   * call has returned.
   *
   * @throws As {@link MeshNode.sendOnStream}; a `BackpressureError` says in `eventsSent` how many
   * events were sent.
   */
  sendWithRetry(
    stream: MeshStream,
    events: readonly Uint8Array[],
    maxRetries: number = DEFAULT_RETRIES,
    options?: WaitOptions,
  ): Promise<void> {
    return this.native.sendWithRetry(stream, events, maxRetries, options);
  }

  /** {@link MeshNode.sendWithRetry} with 4096 retries: about 13 minutes of patience. */
  sendBlocking(
    stream: MeshStream,
    events: readonly Uint8Array[],
    options?: WaitOptions,
  ): Promise<void> {
    return this.native.sendBlocking(stream, events, options);
  }

  /** Sends one event as JSON, on stream 0 of the peer at exactly this address. */
  async sendTo(peerAddr: string, event: unknown): Promise<void> {
    this.#node.assertOpen();
    await this.sendRawTo(peerAddr, toJson(event));
  }

  /** Sends one event on stream 0 of the peer at exactly this address. */
  async sendRawTo(peerAddr: string, data: Uint8Array): Promise<void> {
    await this.native.pushTo(peerAddr, data);
  }

  /** Sends one event as JSON, on stream 0 of a peer, through relays where needed. */
  // An async method, so that every failure is a rejection.
  // eslint-disable-next-line @typescript-eslint/require-await -- see above
  async send(nodeId: bigint, event: unknown): Promise<void> {
    const { native } = this.#node;
    const peer = validate.u64(nodeId, 'nodeId');
    const data = toJson(event);
    try {
      native.sendToPeer(peer, [data]);
    } catch (error) {
      throw classifyWithPrefix('send failed: ', error);
    }
  }

  // --- receiving ---

  /**
   * The messages that no stream has readers of its own for, in order of arrival on each stream.
   * Several iterators share them. Ends when the node is shut down.
   *
   * @example
   * ```typescript
   * for await (const { peerNodeId, data } of node.messages({ signal })) handle(peerNodeId, data);
   * ```
   */
  messages(options?: WaitOptions): MessageIterator<MeshMessage> {
    return this.#read(options, this.#node.inbox.messages);
  }

  /** {@link MeshNode.messages} in arrays, as they arrive: the fastest way to receive. */
  messageBatches(options?: WaitOptions): MessageIterator<MeshMessage[]> {
    return this.#read(options, this.#node.inbox.batches);
  }

  /**
   * The messages of one stream, which from now on go to no other reader. Ends when the peer closes
   * the stream.
   *
   * @throws `NotConnectedError` when the peer is unknown; the iterator does when the session goes
   * before the stream is closed.
   */
  readStream(
    peerNodeId: bigint,
    streamId: bigint,
    options?: WaitOptions,
  ): MessageIterator<MeshMessage> {
    this.#node.assertOpen();
    const peer = validate.u64(peerNodeId, 'peerNodeId');
    const stream = validate.u64(streamId, 'streamId');
    const signal = validate.abortSignal(validate.optionsObject(options, 'options').signal);
    const { inbox } = this.#node;
    const claim = inbox.claim(peer, stream, false);
    return new Reader(claim.supply, signal, () => {
      inbox.release(claim);
    });
  }

  /**
   * Opens a stream as a Node.js `Duplex`: writes wait for the peer, unread data makes it wait.
   * `'end'` comes when the peer closes its half, `end()` closes ours.
   *
   * @throws As {@link MeshNode.openStream}; `InvalidArgumentError` when the stream has a reader
   * already.
   */
  duplex(peerNodeId: bigint, config: StreamConfig, options?: DuplexOptions): MeshDuplex {
    const node = this.#node;
    node.assertOpen();
    const { signal, objectMode, highWaterMark } = validate.optionsObject(options, 'options');
    validate.abortSignal(signal);
    signal?.throwIfAborted();
    if (objectMode !== undefined) validate.boolean(objectMode, 'objectMode');
    if (highWaterMark !== undefined) validate.u32(highWaterMark, 'highWaterMark');
    const { native, lane } = streamOf(node, this.native.openStream(peerNodeId, config));
    const { streamId } = native;
    const { inbox } = node;
    const claim = inbox.claim(peerNodeId, streamId, true);
    const close = (): void => {
      if (!node.ending) node.closeStream(peerNodeId, streamId);
    };
    // Only who uses it pays for loading node:stream.
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- see above
    const { MeshDuplex: Duplex } = require('./stream') as StreamModule;
    const link = { native, lane, inbox, claim, close };
    return new Duplex(link, { signal, objectMode, highWaterMark });
  }

  /** Takes up to `limit` received events of all shards, oldest first. */
  // eslint-disable-next-line @typescript-eslint/require-await -- so that every failure is a rejection
  async recv(limit: number): Promise<StoredEvent[]> {
    this.#node.assertOpen();
    return this.#node.inbox.poll(validate.u32(limit, 'limit'));
  }

  /** Takes up to `limit` received events of one shard, oldest first. */
  // eslint-disable-next-line @typescript-eslint/require-await -- so that every failure is a rejection
  async recvShard(shard: number, limit: number): Promise<StoredEvent[]> {
    this.#node.assertOpen();
    const index = validate.integer(shard, 'shard', 0, 65_535);
    return this.#node.inbox.pollShard(index, validate.u32(limit, 'limit'));
  }

  // --- observing ---

  /** Snapshot of a stream; null when the peer or the stream is unknown. */
  streamStats(peerNodeId: bigint, streamId: bigint): StreamStats | null {
    return this.native.streamStats(peerNodeId, streamId);
  }

  /** Snapshots of all streams of a peer; empty when it is unknown. */
  allStreamStats(peerNodeId: bigint): StreamStatsEntry[] {
    return this.#node.native.allStreamStats(validate.u64(peerNodeId, 'peerNodeId'));
  }

  /** Counters of the node since its creation, dropped datagrams by cause included. */
  stats(): NodeStats {
    return this.#node.native.counters();
  }

  /** Calls `listener` at every event of this name. */
  on<K extends keyof MeshNodeEvents>(event: K, listener: Listener<K>): this {
    this.#node.events.on(checkEvent(event), listener);
    return this;
  }

  /** Calls `listener` at the next event of this name. */
  once<K extends keyof MeshNodeEvents>(event: K, listener: Listener<K>): this {
    this.#node.events.once(checkEvent(event), listener);
    return this;
  }

  /** Undoes one {@link MeshNode.on} or {@link MeshNode.once}. */
  off<K extends keyof MeshNodeEvents>(event: K, listener: Listener<K>): this {
    this.#node.events.off(checkEvent(event), listener);
    return this;
  }

  // --- life cycle ---

  /** Undoes {@link MeshNode.unref}. */
  ref(): this {
    this.#node.ref();
    return this;
  }

  /** Lets the process exit although this node is started or has calls pending. */
  unref(): this {
    this.#node.unref();
    return this;
  }

  /**
   * Ends the node: pending calls are rejected, what reliable streams have sent is delivered within
   * `drainMs`, peers are told. Rejects with `already shut down` the second time. With `drainMs` it
   * resolves to a report of what was not acknowledged in that time.
   */
  shutdown(options: ShutdownOptions & { drainMs: number }): Promise<ShutdownReport>;
  shutdown(options?: ShutdownOptions): Promise<void>;
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport | void> {
    return this.native.shutdown(options);
  }

  /** {@link MeshNode.shutdown}, any number of times: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.native[Symbol.asyncDispose]();
  }

  /** @internal */
  _testInjectSyntheticPeer(nodeId: bigint): void {
    this.native.testInjectSyntheticPeer(nodeId);
  }

  /** @internal */
  _testInjectAnnouncement(from: bigint, document: Uint8Array): string {
    return this.native.testInjectAnnouncement(from, document);
  }

  #read<T>(
    options: WaitOptions | undefined,
    supply: ConstructorParameters<typeof Reader<T>>[0],
  ): MessageIterator<T> {
    this.#node.assertOpen();
    const signal = validate.abortSignal(validate.optionsObject(options, 'options').signal);
    return new Reader(supply, signal, () => undefined);
  }

  #setBlocked(peerAddr: string, blocked: boolean): void {
    const { native } = this.#node;
    const addr = validate.socketAddress(peerAddr, 'peer address');
    try {
      native.setBlocked(addr, blocked);
    } catch (error) {
      throw classify(error);
    }
  }
}

const EVENTS: ReadonlyArray<keyof MeshNodeEvents> = ['peer:up', 'peer:down', 'peer:moved'];

function checkEvent<K extends keyof MeshNodeEvents>(event: K): K {
  return validate.oneOf(event, 'event', EVENTS) as K;
}

function toMillis(nanos: bigint): number {
  return Number(nanos / NANOS_PER_MILLI);
}

/** The event as JSON text in UTF-8; throws for what JSON cannot say. */
function toJson(event: unknown): Buffer {
  // Declared to return a string, but undefined for functions and the like.
  const stringify: (value: unknown) => string | undefined = JSON.stringify;
  let text: string | undefined;
  try {
    text = stringify(event);
  } catch (error) {
    throw validate.invalid(`event is not serializable as JSON: ${(error as Error).message}`);
  }
  if (text === undefined) {
    throw validate.invalid(`event is not serializable as JSON: ${validate.describe(event)}`);
  }
  return Buffer.from(text);
}
