import '../internal/async_dispose';
import type { NativeStream, NativeStreamStats } from '../../types/native';
import { rejected } from '../internal/abort';
import { parseConfig } from '../internal/config';
import { addon } from '../internal/native';
import { classify, classifyWithPrefix } from '../internal/native_errors';
import * as channels from '../internal/node_channels';
import * as filters from '../internal/placement_filters';
import type { PlacementFilterFn } from '../internal/capability/placement';
import { Node } from '../internal/node';
import * as capabilities from '../internal/node_capabilities';
import { SEND_BACKPRESSURE, type SendLane, sendError, sendFailure } from '../internal/retry';
import * as validate from '../internal/validate';
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
} from '../capabilities';
import type {
  AnnounceOptions,
  ChannelConfig,
  ConnectOptions,
  MeshOptions,
  MeshStream,
  PublishConfig,
  PublishReport,
  RttEntry,
  ShutdownOptions,
  ShutdownReport,
  StoredEvent,
  StreamConfig,
  StreamPriority,
  StreamStats,
  WaitOptions,
} from '../types';
import { InvalidArgumentError } from './errors';

/** Options of {@link NetMesh.openStream}. */
export type StreamOptions = StreamConfig;
/** What {@link NetMesh.streamStats} returns. */
export type NetStreamStats = StreamStats;

const DEFAULT_WINDOW_BYTES = 65_536;
const DEFAULT_WEIGHT = 1;
const DEFAULT_PRIORITY = 'normal';
/** Highest first, as the addon counts them. */
const PRIORITIES: StreamPriority[] = ['control', 'high', 'normal', 'bulk'];
const DEFAULT_DRAIN_MS = 2000;
const MAX_MS = 0x7fff_ffff;
const BLOCKING_RETRIES = 4096;
const RESOLVED = Promise.resolve();
/** Shows that a constructor was called from here. */
const INTERNAL = Symbol('netmesh.internal');

/**
 * The node behind a {@link NetMesh}.
 *
 * @internal
 */
export let nodeOf: (mesh: NetMesh) => Node;

/**
 * The addon's stream of a handle, with the line of its waiting sends; throws for what is no handle
 * of this node.
 *
 * @internal
 */
export let streamOf: (node: Node, stream: MeshStream) => { native: NativeStream; lane: SendLane };

/** An open stream: the handle that the sending methods take. */
export class NetStream implements MeshStream {
  readonly #node: Node;
  readonly #native: NativeStream;
  readonly #lane: SendLane;

  static {
    const isHandle = (value: unknown): value is NetStream =>
      typeof value === 'object' && value !== null && #native in value;
    streamOf = (node, stream) => {
      if (!isHandle(stream)) {
        throw new InvalidArgumentError('stream must be a handle that openStream returned');
      }
      if (stream.#node !== node) {
        throw new InvalidArgumentError('stream is a handle of another node');
      }
      return { native: stream.#native, lane: stream.#lane };
    };
  }

  /** @internal */
  constructor(token: symbol, node: Node, native: NativeStream) {
    if (token !== INTERNAL) throw new InvalidArgumentError('streams come from openStream');
    this.#node = node;
    this.#native = native;
    this.#lane = node.lane(native);
  }

  /** The peer at the other end. */
  get peerNodeId(): bigint {
    return this.#native.peerNodeId;
  }

  /** The id under which the stream was opened. */
  get streamId(): bigint {
    return this.#native.streamId;
  }
}

/**
 * Runs a call of which even the checks reject rather than throw.
 *
 * @internal
 */
export function promised<T>(run: () => Promise<T>): Promise<T> {
  try {
    return run();
  } catch (error) {
    return rejected(error);
  }
}

/**
 * A node of the mesh, the low-level surface. `MeshNode` wraps it and adds message iterators,
 * events and more.
 */
export class NetMesh {
  readonly #node: Node;

  static {
    nodeOf = (mesh) => mesh.#node;
  }

  private constructor(token: symbol, node: Node) {
    if (token !== INTERNAL) throw new InvalidArgumentError('use NetMesh.create');
    this.#node = node;
  }

  /**
   * Binds the socket of a new node.
   *
   * @throws {@link InvalidArgumentError} for a wrong option, with nothing done; `ConnectionError`
   * when the address cannot be bound.
   */
  // An async method, so that every failure is a rejection.
  // eslint-disable-next-line @typescript-eslint/require-await -- see above
  static async create(options: MeshOptions): Promise<NetMesh> {
    return new NetMesh(INTERNAL, new Node(parseConfig(options)));
  }

  /** The node's id, derived from its identity. */
  nodeId(): bigint {
    return this.#node.native.nodeId();
  }

  /** The Noise static key that peers need to connect: 64 lower-case hexadecimal digits. */
  publicKey(): string {
    return this.#node.native.publicKey();
  }

  /** The node's ed25519 public key, 32 bytes. */
  entityId(): Buffer {
    return this.#node.native.entityId();
  }

  /** Number of known peers, failed ones included until they are forgotten. */
  peerCount(): number {
    return this.#node.native.peerCount();
  }

  /** Number of nodes known from the mesh. */
  discoveredNodes(): number {
    return this.#node.native.peers().length;
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
  subscribeChannel(publisherNodeId: bigint, channel: string, token?: Uint8Array): Promise<void> {
    return promised(() =>
      channels.subscribeChannel(this.#node, publisherNodeId, channel, { token }),
    );
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

  /** {@link NetMesh.publish} of several payloads at once, in this order. */
  publishMany(
    channel: string,
    payloads: readonly Uint8Array[],
    config?: PublishConfig,
  ): Promise<PublishReport> {
    return promised(() => channels.publish(this.#node, channel, payloads, config));
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
    return promised(() => {
      capabilities.announce(this.#node, caps, options);
      return RESOLVED;
    });
  }

  /** The nodes, this one included, that announced what the filter asks; in ascending order. */
  findNodes(filter: CapabilityFilter): bigint[] {
    return capabilities.findNodes(this.#node, filter);
  }

  /** {@link NetMesh.findNodes} among the nodes of a scope. */
  findNodesScoped(filter: CapabilityFilter, scope: ScopeFilter): bigint[] {
    return capabilities.findNodes(this.#node, filter, scope);
  }

  /** The matching node with the best score, the lowest id among equals; null when none matches. */
  findBestNode(requirement: CapabilityRequirement): bigint | null {
    return capabilities.findBestNode(this.#node, requirement);
  }

  /** {@link NetMesh.findBestNode} among the nodes of a scope. */
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
  /** An announcement as the peer `from` would have sent it: for tests and measurements. */
  testInjectAnnouncement(from: bigint, document: Uint8Array): string {
    const { native } = this.#node;
    return native.takeAnnouncement(
      validate.u64(from, 'from'),
      validate.bytes(document, 'document'),
    );
  }

  /** Puts a node without capabilities into the index for five minutes: for tests. */
  testInjectSyntheticPeer(nodeId: bigint): void {
    const { native } = this.#node;
    native.injectSyntheticPeer(validate.u64(nodeId, 'nodeId'));
  }

  /** Performs the handshake with a peer at a known address. */
  connect(
    peerAddr: string,
    peerPublicKey: string,
    peerNodeId: bigint,
    options?: ConnectOptions,
  ): Promise<void> {
    return promised(() => connect(this.#node, false, peerAddr, peerPublicKey, peerNodeId, options));
  }

  /** Waits for one peer's handshake; only before {@link NetMesh.start}. Resolves to its address. */
  accept(peerNodeId: bigint, options?: WaitOptions): Promise<string> {
    return promised(() => {
      this.#node.assertOpen();
      const peer = validate.u64(peerNodeId, 'peerNodeId');
      const signal = validate.abortSignal(validate.optionsObject(options, 'options').signal);
      return this.#node.accept(peer, signal);
    });
  }

  /** Starts receiving. Takes effect at once; does nothing the second time or during an `accept`. */
  start(): Promise<void> {
    return promised(() => {
      this.#node.start();
      return RESOLVED;
    });
  }

  /** Opens a stream, or looks up the one that is open. */
  openStream(peerNodeId: bigint, options: StreamOptions): NetStream {
    const { native } = this.#node;
    const peer = validate.u64(peerNodeId, 'peerNodeId');
    validate.object(options, 'stream config');
    const streamId = validate.u64(options.streamId, 'streamId');
    const reliable = validate.reliability(options.reliability);
    const {
      windowBytes = DEFAULT_WINDOW_BYTES,
      fairnessWeight = DEFAULT_WEIGHT,
      priority = DEFAULT_PRIORITY,
    } = options;
    validate.u32(windowBytes, 'windowBytes');
    validate.integer(fairnessWeight, 'fairnessWeight', 0, 255);
    const weight = Math.max(fairnessWeight, 1);
    const level = PRIORITIES.indexOf(validate.oneOf(priority, 'priority', PRIORITIES));
    try {
      const stream = native.openStream(peer, streamId, reliable, windowBytes, weight, level);
      return new NetStream(INTERNAL, this.#node, stream);
    } catch (error) {
      throw classifyWithPrefix('open_stream failed: ', error);
    }
  }

  /** Closes a stream. Does nothing for an unknown peer or stream. */
  closeStream(peerNodeId: bigint, streamId: bigint): void {
    this.#node.assertOpen();
    this.#node.closeStream(
      validate.u64(peerNodeId, 'peerNodeId'),
      validate.u64(streamId, 'streamId'),
    );
  }

  /** Sends all events or, when the window is full, none. */
  sendOnStream(stream: MeshStream, events: readonly Uint8Array[]): Promise<void> {
    try {
      const node = this.#node;
      node.assertOpen();
      const { native, lane } = streamOf(node, stream);
      validate.eventList(events);
      // Waiting sends come first: to overtake them would change the order on the wire.
      const result = lane.busy ? SEND_BACKPRESSURE : native.send(events, 0, false);
      return result >= 0 ? RESOLVED : Promise.reject(sendError(result, 0));
    } catch (error) {
      return Promise.reject(sendFailure(events, error));
    }
  }

  /** Sends all events, waiting for credit up to `maxRetries` times; no event is sent twice. */
  sendWithRetry(
    stream: MeshStream,
    events: readonly Uint8Array[],
    maxRetries: number,
    options?: WaitOptions,
  ): Promise<void> {
    return promised(() => {
      const node = this.#node;
      node.assertOpen();
      const { native, lane } = streamOf(node, stream);
      validate.eventList(events);
      validate.u32(maxRetries, 'maxRetries');
      const signal = validate.abortSignal(validate.optionsObject(options, 'options').signal);
      // The addon looks at them when it is this call's turn: too late to refuse.
      const bad = lane.busy ? validate.badEvent(events) : undefined;
      if (bad) throw bad;
      return lane.send(native, events, { maxRetries, signal });
    });
  }

  /** {@link NetMesh.sendWithRetry} with 4096 retries: about 13 minutes of patience. */
  sendBlocking(
    stream: MeshStream,
    events: readonly Uint8Array[],
    options?: WaitOptions,
  ): Promise<void> {
    return this.sendWithRetry(stream, events, BLOCKING_RETRIES, options);
  }

  /** Snapshot of a stream; null when the peer or the stream is unknown. */
  streamStats(peerNodeId: bigint, streamId: bigint): NetStreamStats | null {
    const { native } = this.#node;
    const stats = native.streamStats(
      validate.u64(peerNodeId, 'peerNodeId'),
      validate.u64(streamId, 'streamId'),
    );
    return stats && withoutId(stats);
  }

  /** Sends one event on stream 0 of the peer at exactly this address, without a window. */
  pushTo(peerAddr: string, data: Uint8Array): Promise<boolean> {
    return promised(() => {
      const { native } = this.#node;
      const addr = validate.socketAddress(peerAddr, 'address');
      const event = validate.bytes(data, 'data');
      try {
        native.sendToAddress(addr, [event]);
      } catch (error) {
        throw classifyWithPrefix('send failed: ', error);
      }
      return Promise.resolve(true);
    });
  }

  /** Takes up to `limit` received events of shard 0, oldest first. */
  poll(limit: number): Promise<StoredEvent[]> {
    return promised(() => {
      this.#node.assertOpen();
      return Promise.resolve(this.#node.inbox.pollShard(0, validate.u32(limit, 'limit')));
    });
  }

  /** Sends packets for a node through another one. */
  addRoute(destNodeId: bigint, nextHopAddr: string): void {
    const { native } = this.#node;
    const destination = validate.u64(destNodeId, 'destNodeId');
    const nextHop = validate.socketAddress(nextHopAddr, 'next hop address');
    try {
      native.addRoute(destination, nextHop);
    } catch (error) {
      throw classify(error);
    }
  }

  /**
   * Registers a filter that placements may name, see `standardPlacement().withCustomFilterId`. All nodes
   * of the process share one registry of at most 1024 filters. False when the id is taken, or the
   * registry is full. `fn` is called on this thread, while somebody else waits for at most 5 s; only
   * `true` lets a node be used. The filter stays until it is unregistered or this thread ends.
   */
  registerPlacementFilter(id: string, fn: PlacementFilterFn): boolean {
    this.#node.assertOpen();
    return filters.registerPlacementFilter(id, fn);
  }

  /** True when the filter was there. Placements that are under way go on with it. */
  unregisterPlacementFilter(id: string): boolean {
    this.#node.assertOpen();
    return filters.unregisterPlacementFilter(id);
  }

  /** Whether a filter is registered under this id, by whichever node. */
  hasPlacementFilter(id: string): boolean {
    this.#node.assertOpen();
    return filters.hasPlacementFilter(id);
  }

  /**
   * Ends the node: pending calls are rejected, what reliable streams have sent is delivered within
   * `drainMs`, peers are told. Rejects with `already shut down` the second time. With `drainMs` it
   * resolves to a report of what was not acknowledged in that time.
   */
  shutdown(options: ShutdownOptions & { drainMs: number }): Promise<ShutdownReport>;
  shutdown(options?: ShutdownOptions): Promise<void>;
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport | void> {
    return promised(() => {
      const { drainMs = DEFAULT_DRAIN_MS } = validate.optionsObject(options, 'options');
      validate.milliseconds(drainMs, 'drainMs', 0, MAX_MS);
      const ended = this.#node.shutdown(drainMs);
      return options?.drainMs === undefined ? ended.then(() => undefined) : ended;
    });
  }

  /** {@link NetMesh.shutdown}, any number of times. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#node.ending ?? this.shutdown());
  }
}

/**
 * Checks and starts a direct or routed handshake.
 *
 * @internal
 */
export function connect(
  node: Node,
  routed: boolean,
  addr: string,
  publicKey: string,
  peerNodeId: bigint,
  options: ConnectOptions | undefined,
): Promise<void> {
  node.assertOpen();
  const target = validate.socketAddress(addr, 'peer address');
  const key = validate.publicKey(publicKey);
  const peer = validate.u64(peerNodeId, 'peerNodeId');
  const { timeoutMs, signal } = validate.optionsObject(options, 'options');
  if (timeoutMs !== undefined) validate.milliseconds(timeoutMs, 'timeoutMs', 1, MAX_MS);
  validate.abortSignal(signal);
  return node.connect(target, key, peer, { routed, timeoutMs, signal });
}

function withoutId(stats: NativeStreamStats): NetStreamStats {
  const rest: NetStreamStats & { streamId?: bigint } = stats;
  delete rest.streamId;
  return rest;
}

/** An X25519 key pair in hexadecimal, for the single-peer transport. */
export function generateNetKeypair(): { publicKey: string; secretKey: string } {
  return addon().generateKeyPair();
}
