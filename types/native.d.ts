/**
 * The contract between `binding/` (C++) and `lib/` (TypeScript). Nothing else crosses the addon's
 * edge. Errors thrown by the addon are plain `Error`s with a `code` from `lib/core/errors.ts`.
 */

export interface NativeNodeOptions {
  bindAddr: string;
  /** 32 bytes. */
  psk: Uint8Array;
  /** 32 bytes, or undefined for a random identity. */
  identitySeed?: Uint8Array;
  /** 32 bytes, or undefined for the Noise static key that follows from the identity. */
  noiseSecret?: Uint8Array;
  heartbeatIntervalMs?: number;
  sessionTimeoutMs?: number;
  handshakeTimeoutMs?: number;
  handshakeRetries?: number;
  allowLegacyPeers?: boolean;
  aead?: 'auto' | 'aes-256-gcm' | 'chacha20-poly1305';
  congestion?: 'bbr' | 'cubic';
  streamReceiveWindow?: number;
  sessionReceiveWindow?: number;
  /** How far receive windows may grow by themselves. */
  maxStreamReceiveWindow?: number;
  maxSessionReceiveWindow?: number;
  /** What paths are probed up to, 1200 to 65507. */
  maxDatagramBytes?: number;
  rekeyIntervalMs?: number;
  /** 0: as the AEAD asks. */
  keyUpdatePackets?: number;
  maxMessageBytes?: number;
  maxQueuedBytes?: number;
  maxPeers?: number;
  requireSignedCapabilities?: boolean;
  capabilityGcIntervalMs?: number;
  /** Announcements in closer succession are put together. */
  announceIntervalMs?: number;
  /** How often the rights of subscribers are looked at again. */
  tokenSweepIntervalMs?: number;
  membershipAckTimeoutMs?: number;
  /** How long a subscriber that takes nothing is waited for. */
  publishTimeoutMs?: number;
  /** Four levels, the outermost in the most significant byte. */
  subnet?: number;
  subnetPolicy?: ReadonlyArray<{
    tagPrefix: string;
    level: number;
    values: Record<string, number>;
  }>;
  socketBufferBytes?: number;
  offload?: boolean;
}

export interface NativeCongestionInfo {
  algorithm: 'bbr' | 'cubic';
  phase: string;
  windowBytes: number;
  bytesInFlight: number;
  pacingBytesPerSecond: number | null;
  bandwidthBytesPerSecond: number | null;
  ambientLoss: number;
  spuriousLosses: bigint;
  congestionEvents: bigint;
  undoneEvents: bigint;
  persistentCongestions: bigint;
  probeTimeouts: bigint;
}

export interface NativePeerInfo {
  nodeId: bigint;
  addr: string;
  relayed: boolean;
  security: 'modern' | 'legacy';
  alive: boolean;
  aead: string;
  entityId: Buffer | null;
  rttMs: number | null;
  rttMinMs: number | null;
  bytesSent: bigint;
  bytesReceived: bigint;
  packetsSent: bigint;
  packetsReceived: bigint;
  packetsLost: bigint;
  bytesRetransmitted: bigint;
  connectedAtNs: bigint;
  lastActivityNs: bigint;
  streams: number;
  congestion: NativeCongestionInfo | null;
}

export interface NativeStreamStats {
  streamId: bigint;
  txSeq: bigint;
  rxSeq: bigint;
  inboundPending: bigint;
  lastActivityNs: bigint;
  active: boolean;
  backpressureEvents: bigint;
  creditGrantsReceived: bigint;
  creditGrantsSent: bigint;
  txCreditRemaining: number;
  txWindow: number;
}

/** What one stream had sent or queued at the end and its peer had not acknowledged. */
export interface NativeUnacknowledged {
  peer: bigint;
  streamId: bigint;
  bytes: bigint;
  messages: bigint;
}

/** `at`: how many messages of the same drain come before it. */
export type NativeControlEvent =
  | { kind: 'connectDone'; at: number; request: number; error?: Error }
  | { kind: 'acceptDone'; at: number; request: number; error?: Error; addr: string }
  | { kind: 'peerUp'; at: number; peer: bigint; addr: string; security: 'modern' | 'legacy' }
  | { kind: 'peerDown'; at: number; peer: bigint; reason: string }
  | {
      kind: 'streamOpened';
      at: number;
      ref: number;
      peer: bigint;
      streamId: bigint;
      reliable: boolean;
    }
  | { kind: 'streamFinished'; at: number; ref: number; finished: boolean }
  | { kind: 'credit'; at: number; peer: bigint; streamId: bigint; epoch: bigint }
  | { kind: 'peerMoved'; at: number; peer: bigint; addr: string }
  | {
      kind: 'publishDone';
      at: number;
      request: number;
      error?: Error;
      attempted?: number;
      delivered?: number;
      errors?: Array<{ nodeId: bigint; message: string }>;
    }
  | {
      kind: 'subscribeDone' | 'unsubscribeDone';
      at: number;
      request: number;
      timedOut: boolean;
      replayed: number;
      error?: Error;
    }
  | {
      kind: 'subscriptionSuspended' | 'subscriptionResumed' | 'subscriptionLost';
      at: number;
      peer: bigint;
      streamId: bigint;
      channel: string;
      reason?: string;
    }
  | { kind: 'watchesReady'; at: number }
  | { kind: 'shutdownDone'; at: number; unacknowledged: NativeUnacknowledged[] };

/**
 * Received events. `meta` holds records of 6 words: offset in `data`, length, stream ref, index in
 * packet, low and high half of the packet sequence. Those from `from` to `to` (excluded) are this
 * block's; small blocks share their memory with others.
 */
export interface NativeBlock {
  data: ArrayBuffer;
  meta: Uint32Array;
  from: number;
  to: number;
}

export interface NativeDrain {
  events: NativeControlEvent[];
  blocks: NativeBlock[];
}

/** Results of {@link NativeStream.send} that are not a count. */
export declare const SEND_BACKPRESSURE: -1;
export declare const SEND_NOT_CONNECTED: -2;
export declare const SEND_SHUT_DOWN: -3;

export declare class NativeStream {
  private constructor();
  readonly peerNodeId: bigint;
  readonly streamId: bigint;
  readonly epoch: bigint;
  readonly windowBytes: number;
  readonly maxEventBytes: number;
  /**
   * Sends `events[from..]`. Checks every event first and throws with nothing sent: `TypeError` for a
   * non-Uint8Array, an error with code for one the stream can never carry. With `partial` as many
   * whole events from the front as credit allows, else all or none. Returns the number of events
   * taken (0 is possible only for an empty list), or a negative SEND_ constant when none was.
   */
  send(events: readonly Uint8Array[], from: number, partial: boolean): number;
  /** Asks for one 'credit' event; false when it makes sense to try again at once. */
  wantCredit(nextEventBytes: number): boolean;
  readonly closed: boolean;
}

export declare class NativeNode {
  /** Binds and starts the I/O thread. `onReady` is called on the JavaScript thread when `drain()` has something. */
  constructor(options: NativeNodeOptions, onReady: () => void);
  nodeId(): bigint;
  entityId(): Buffer;
  /** 64 lower-case hex digits. */
  publicKey(): string;
  localAddr(): string;
  start(): void;
  readonly started: boolean;
  /** Returns a request id; the result comes as 'connectDone'. */
  connect(
    addr: string,
    publicKey: Uint8Array,
    peer: bigint,
    routed: boolean,
    timeoutMs?: number,
  ): number;
  accept(peer: bigint): number;
  cancel(request: number): void;
  disconnect(peer: bigint): void;
  addRoute(destination: bigint, nextHop: string): void;
  removeRoute(destination: bigint): void;
  setBlocked(addr: string, blocked: boolean): void;
  peerCount(): number;
  peers(): NativePeerInfo[];
  openStream(
    peer: bigint,
    streamId: bigint,
    reliable: boolean,
    windowBytes: number,
    fairnessWeight: number,
    /** 0 control, 1 high, 2 normal, 3 bulk. */
    priority: number,
  ): NativeStream;
  closeStream(peer: bigint, streamId: bigint): void;
  /** Events on stream 0, no window. */
  sendToAddress(addr: string, events: readonly Uint8Array[]): void;
  sendToPeer(peer: bigint, events: readonly Uint8Array[]): void;
  streamStats(peer: bigint, streamId: bigint): NativeStreamStats | null;
  allStreamStats(peer: bigint): NativeStreamStats[];
  counters(): Record<string, bigint>;
  drain(): NativeDrain;
  /** Triples (stream ref, events, bytes), `count` of them. */
  consume(entries: Float64Array, count: number): void;
  /** A checked config; subnets as numbers. */
  registerChannel(config: object): void;
  unregisterChannel(channel: string): boolean;
  /** These two return a request id; 'subscribeDone' and 'unsubscribeDone' follow. */
  subscribe(
    publisher: bigint,
    channel: string,
    token?: Uint8Array,
    queueGroup?: string,
    replay?: number,
  ): number;
  unsubscribe(publisher: bigint, channel: string): number;
  cancelMembership(request: number): void;
  /** Returns a request id; 'publishDone' follows. `onFailure`: 0 best_effort, 1 fail_fast, 2 collect. */
  publish(
    channel: string,
    payloads: readonly Uint8Array[],
    reliable: boolean | undefined,
    onFailure: number,
    maxInflight: number,
  ): number;
  channels(): Array<{ name: string; registered: boolean } & Record<string, number>>;
  subscribers(channel: string): BigUint64Array;
  subscriptions(): Array<{
    publisherNodeId: bigint;
    channel: string;
    queueGroup?: string;
    active: boolean;
    reliable: boolean;
  }>;
  installCredential(token: Uint8Array): void;
  revokeBelow(issuer: Uint8Array, generation: number): void;
  /** Of a set as `capabilitySetToNapi` makes it. */
  announce(set: object, ttlSeconds: number | undefined, sign: boolean): void;
  /** Ascending; of a filter as `capabilityFilterToNapi` makes it. */
  findNodes(filter: object, scope?: object): BigUint64Array;
  findBestNode(requirement: object, scope?: object): bigint | null;
  capabilityAggregate(
    matcher: object | undefined,
    groupBy: object,
    aggregation: object,
  ): Array<{ bucket: string; value: bigint }>;
  capabilityCapacityRanking(
    query: object,
    rtt?: ReadonlyArray<{ nodeId: bigint; rttMs: number }>,
  ): Array<{
    bucket: string;
    idle: bigint;
    busy: bigint;
    reserved: bigint;
    available: bigint;
    summedCapacity?: bigint;
  }>;
  capabilitiesOf(node: bigint): NativeTagSet | null;
  /** What the policy derived for a peer. */
  subnetOf(node: bigint): number | null;
  /** 'watchesReady' comes when {@link NativeNode.pollWatch} has events. */
  watchCapabilities(filter: object, scope?: object): number;
  unwatchCapabilities(watch: number): void;
  pollWatch(watch: number): Array<{ kind: 'join' | 'change' | 'leave'; nodeId: bigint }>;
  /** As if the peer `from` had sent it; says what became of it. */
  takeAnnouncement(from: bigint, document: Uint8Array): string;
  /** An index entry without capabilities, past all checks. */
  injectSyntheticPeer(node: bigint): void;
  /** 'shutdownDone' follows within `drainMs` and a little. */
  shutdown(drainMs: number): void;
  /** Stops the thread and frees everything, now. Every later call throws. Idempotent. */
  close(): void;
  ref(): void;
  unref(): void;
}

export interface NativeRedexFileOptions {
  persistent: boolean;
  fsyncEveryN?: bigint;
  fsyncEveryBytes?: bigint;
  fsyncIntervalMs?: bigint;
  retentionMaxEvents?: bigint;
  retentionMaxBytes?: bigint;
  retentionMaxAgeMs?: bigint;
}

/**
 * Events of a log, their payloads one after another in `data`. `meta` lies at the start of `data` and
 * holds records of 5 words: low and high half of the sequence number, offset in `data`, length,
 * checksum, whose highest bit stands for an inline payload.
 */
export interface NativeRedexEvents {
  data: ArrayBuffer;
  meta: Uint32Array;
}

export interface NativeRedexFileStats {
  events: bigint;
  firstSeq: bigint;
  nextSeq: bigint;
  payloadBytes: bigint;
  syncedSeq: bigint;
  corruptReads: bigint;
  failedSyncs: bigint;
  compactions: bigint;
}

export declare class NativeRedex {
  /**
   * `onReady` is called on the JavaScript thread, once for everything that has come: finished requests
   * with the error of each, and the ids of tails that have something again.
   */
  constructor(
    persistentDir: string | undefined,
    onReady: (requests: number[], errors: Array<Error | undefined>, tails: number[]) => void,
  );
  openFile(name: string, options: NativeRedexFileOptions): NativeRedexFile;
  /** Of the open files. */
  names(): string[];
}

export declare class NativeRedexFile {
  private constructor();
  append(payload: Uint8Array): bigint;
  /**
   * One batch: the first sequence number; of nothing the next one. An argument costs the addon less than
   * an element of an array, which it has to look up; but there is only so much room on the stack.
   */
  appendEach(...payloads: readonly Uint8Array[]): bigint;
  /** The same for any number of payloads. */
  appendBatch(payloads: readonly Uint8Array[]): bigint;
  /** A part of the range, and where to go on (at or beyond `end` when that was all). */
  readRange(
    start: bigint,
    end: bigint,
    maxEvents: number,
    maxBytes: number,
  ): NativeRedexEvents & { next: bigint };
  len(): bigint;
  stats(): NativeRedexFileStats;
  tail(fromSeq: bigint): NativeRedexTail;
  /** These two return a request id; the result comes through `onReady`. */
  sync(): number;
  close(): number;
  sweepRetention(): void;
  readonly closed: boolean;
  /** What waits keeps the process alive between these two, which all objects of a NativeRedex share. */
  ref(): void;
  unref(): void;
}

/**
 * How a tail stands after {@link NativeRedexTail.take}: 0 there may be more, 1 caught up (`onReady`
 * will say when there is more), 2 ended, 3 lagged.
 */
export type NativeRedexTailState = 0 | 1 | 2 | 3;

export declare class NativeRedexTail {
  private constructor();
  readonly id: number;
  /** The next events and the state after them, or the state alone when there are none. */
  take(
    maxEvents: number,
    maxBytes: number,
  ): NativeRedexTailState | (NativeRedexEvents & { state: NativeRedexTailState });
  close(): void;
  ref(): void;
  unref(): void;
}

/** The stream on which a channel's publisher sends; throws for a name that is none. */
export declare function channelStreamId(channel: string): bigint;

/** Id of the node whose identity has this seed of 32 bytes. */
export declare function nodeIdOfSeed(seed: Uint8Array): bigint;

/** What a check of all records found. Records are counted from the start of the index. */
export interface NativeRedexAnalysis {
  records: number;
  /** From here on everything is torn. */
  keep: number;
  strayIndexBytes: number;
  /** Bytes of payload that sound records use. */
  datEnd: number;
  /** Of the records before `keep`, how many have one. */
  timestamps: number;
  nextSeq: bigint;
  /** Records before `keep` that are damaged. */
  damaged: number[];
}

export interface NativeRedexRepair extends NativeRedexAnalysis {
  migrated: boolean;
  manifestRewritten: boolean;
  cutRecords: number;
  cutPayloadBytes: number;
  filledTimestamps: number;
  compacted: boolean;
}

export interface NativeRedexRecord {
  seq: bigint;
  timestampNs: bigint;
  checksum: number;
  isInline: boolean;
  /** The payload is there and has its checksum. */
  sound: boolean;
  payload: Buffer;
}

type NativeRedexProgress = (done: number, total: number) => void;

/** Directories at or below this one that hold a log. None of these functions but the last changes anything. */
export declare function redexFindLogs(directory: string): string[];
/** `generation` is 0 for the flat layout. */
export declare function redexInspect(directory: string): {
  generation: number;
  manifestValid: boolean;
  indexBytes: number;
  payloadBytes: number;
  timestampBytes: number;
  records: number;
};
export declare function redexVerify(
  directory: string,
  onProgress?: NativeRedexProgress,
): NativeRedexAnalysis;
export declare function redexRead(
  directory: string,
  from: number,
  count: number,
): NativeRedexRecord[];
/** Does what opening the log does; fails when it is open elsewhere. */
export declare function redexRepair(
  directory: string,
  onProgress?: NativeRedexProgress,
): NativeRedexRepair;

export declare function generateKeyPair(): { publicKey: string; secretKey: string };
/** 'GSO/GRO', processor features: what this process runs with. */
export declare function platformInfo(): { aes: boolean; version: string };

/** `order`: 2 × key (id, created, updated) + 1 when descending. Undefined: no condition. */
export interface NativeCommonFilter {
  createdAfterNs?: bigint;
  createdBeforeNs?: bigint;
  updatedAfterNs?: bigint;
  updatedBeforeNs?: bigint;
  order?: number;
  limit?: number;
}

export interface NativeTaskFilter extends NativeCommonFilter {
  /** 0: pending, 1: completed. */
  status?: number;
  titleContains?: string;
}

export interface NativeMemoryFilter extends NativeCommonFilter {
  source?: string;
  contentContains?: string;
  tag?: string;
  anyTag?: string[];
  allTags?: string[];
  pinned?: boolean;
}

export interface NativeSnapshot {
  stateBytes: Uint8Array;
  lastSeq: bigint | null;
}

/** Results of {@link NativeAdapter.waitForSeq} and waitForToken: pending, reached, stopped. */
export type NativeWaitState = 0 | 1 | 2;

/** What has happened since the last drain: names of waits and of watches. */
export interface NativeAdapterNews {
  reached: number[];
  stopped: number[];
  /** Of which `watchNext` may have rows, or the end. */
  watches: number[];
}

/**
 * What tasks and memories have in common. Ids, times and sequence numbers are BigInts or safe integers.
 * Rows come in blocks: two 32-bit counts (rows, words), per row 64-bit id, created, updated, then the
 * words, then text in UTF-8. Bit 8 of a row's first word: all of its text is ASCII.
 */
export declare class NativeAdapter<Filter> {
  /** `onReady` is called on the JavaScript thread when `drain()` has something. */
  constructor(onReady: () => void);
  /** Once, before everything else. */
  open(
    redex: NativeRedex,
    originHash: bigint,
    persistent: boolean,
    snapshot?: NativeSnapshot,
  ): Promise<void>;
  /** The last event that was in the log when it was opened, if there was one to fold. */
  openedAt(): bigint | null;
  delete(id: bigint): bigint;
  list(filter?: Filter): ArrayBuffer;
  get(id: bigint): ArrayBuffer;
  count(): number;
  snapshot(): { bytes: ArrayBuffer; lastSeq: bigint | null };
  watermarks(): { folded: bigint | null; applied: bigint | null; errors: bigint };
  running(): boolean;
  /** A pending wait is settled by name through `drain`. */
  waitForSeq(seq: bigint, waiter: number): NativeWaitState;
  waitForToken(originHash: bigint, seq: bigint, waiter: number): NativeWaitState;
  /** True when the wait was still pending. */
  cancelWait(waiter: number): boolean;
  stoppedError(applied: boolean): Error;
  /** With rows: those of this instant, which `watchNext` then does not repeat. */
  watch(name: number, filter: Filter | undefined, withRows: boolean): ArrayBuffer | undefined;
  /** Undefined: nothing new, `drain` will name the watch. Null: the end. */
  watchNext(name: number): ArrayBuffer | null | undefined;
  unwatch(name: number): void;
  drain(): NativeAdapterNews;
  /** Stops folding. Idempotent. */
  close(): void;
  ref(): void;
  unref(): void;
}

// --- the event bus ---

/** Everything is set: defaults are TypeScript's. */
export interface NativeBusOptions {
  /** Active ones to begin with. */
  shards: number;
  minShards: number;
  /** How many there can be; raised to `shards`. */
  maxShards: number;
  fillRatioThreshold: number;
  underutilizedThreshold: number;
  scaleCooldownMs: number;
  scaleDownDelayMs: number;
  /** Per shard, a power of two of 1024 or more. */
  ringCapacity: number;
  backpressure: 'drop_newest' | 'drop_oldest' | 'fail_producer' | 'sample';
  sampleRate: number;
  validateJson: boolean;
  /** Events leave in batches, see {@link NativeBus.take}; else they are stored, to be polled. */
  dispatch: boolean;
  encoding: 'entry' | 'raw';
  maxPayloadBytes: number;
  /** Bounds of the store, per shard. */
  retainEvents: number;
  retainBytes: number;
  batchMinSize: number;
  batchMaxSize: number;
  batchMaxDelayMs: number;
  batchAdaptive: boolean;
  batchWindowMs: number;
  producerNoncePath?: string;
}

/**
 * Events of the bus's own store. `columns` holds 6 numbers for each: end of its payload in `data`, id,
 * shard, timestamp in ns, wall clock in ms, kind of text (0 ASCII, 1 UTF-8, 2 none).
 */
export interface NativeStorePage {
  data: ArrayBuffer;
  columns: Float64Array;
  nextId?: string;
  hasMore: boolean;
  /** Events behind the cursor that the store no longer had. */
  expired: number;
  failedShards: number[];
}

/** Events on their way out, `ends[i]` the end of the i-th in `data`. Its id is `idPrefix + i`. */
export interface NativeBatch {
  token: number;
  shard: number;
  sequenceStart: bigint;
  idPrefix: string;
  data: ArrayBuffer;
  ends: Uint32Array;
  ascii: boolean;
}

/** What an adapter has fetched of one shard; `nextId` covers what is in it and what it skipped. */
export interface NativeShardPage {
  shard: number;
  ids: readonly string[];
  /** In the form `{"r":…,"t":…,"s":…}`. */
  entries: readonly Uint8Array[];
  nextId?: string;
  hasMore: boolean;
  failed: boolean;
  /** A corrupt entry ends the page instead of being skipped. */
  strict: boolean;
}

/**
 * `columns` holds 7 numbers for each event: index of its page, index in the page, offset and length of
 * the payload in its entry, timestamp, shard, kind of text.
 */
export interface NativeMerged {
  columns: Float64Array;
  nextId?: string;
  hasMore: boolean;
  failedShards: number[];
  stalledShards: number[];
}

/**
 * Emitting takes the number of a bus instead of being its method: Node-API takes longer to find the bus
 * behind an object than the bus takes to store an event.
 *
 * Undefined when the event is accepted, see {@link NativeBus.receipt}, else the reason: 1 ring full,
 * 2 sampled out, 3 unrouted, 4 shut down, 5 not JSON, 6 too large. A `TypeError` for a wrong argument.
 */
export declare function ingestText(bus: number, text: string): number | undefined;
export declare function ingestBytes(bus: number, data: Uint8Array): number | undefined;
export declare function ingestHashed(
  bus: number,
  data: Uint8Array,
  hash: bigint,
): number | undefined;
/**
 * How many were accepted. Arguments, because the elements of an array would cost Node-API a call each;
 * up to 1024 are the fastest.
 */
export declare function ingestTexts(bus: number, ...texts: string[]): number;
export declare function ingestBuffers(bus: number, ...events: Uint8Array[]): number;

export declare class NativeBus {
  /**
   * `onReady` is called on the JavaScript thread when `take()` has something. Throws for options
   * (`invalid configuration: …`) and for the nonce file.
   */
  constructor(options: NativeBusOptions, onReady: () => void);
  /** What the functions that emit know this bus by. */
  readonly number: number;
  /** Shard and timestamp of the last event that `ingestText`, `…Bytes` or `…Hashed` accepted. */
  readonly receipt: Float64Array;
  /** Events go to shards below this number. */
  readonly activeShards: number;
  /** Within the bounds; returns the number there is then. */
  scaleTo(shards: number): number;
  /** Looks at the load since the last call and scales by the policy. */
  scaleByLoad(): number;
  /** Whether nothing waits in the shard's buffer. */
  isDrained(shard: number): boolean;
  /** Throws `Invalid filter: …` and `Poll failed: invalid cursor: …`. */
  poll(
    limit: number,
    cursor: string | undefined,
    filter: string | undefined,
    ordered: boolean,
  ): NativeStorePage;
  latestCursor(): string;
  /** Stores what came from elsewhere, in shard `shard` modulo their number. */
  receive(shard: number, events: readonly Uint8Array[]): void;
  take(): { batches: NativeBatch[]; flushed: number[]; journalError?: string };
  settle(token: number, delivered: boolean): void;
  /** Its number comes in `flushed` when what was emitted before is delivered or lost. */
  requestFlush(): number;
  stats(): Record<string, bigint>;
  readonly nonce: bigint;
  nextSequences(): bigint[];
  /** Nothing is accepted any more. */
  refuse(): void;
  /** Frees everything, now. Every later call throws. Idempotent. */
  close(): void;
  ref(): void;
  unref(): void;
}

/** Words of a row: status, length of the title. Text: the title. */
export declare class NativeTasks extends NativeAdapter<NativeTaskFilter> {
  create(id: bigint, title: string, nowNs: bigint): bigint;
  rename(id: bigint, newTitle: string, nowNs: bigint): bigint;
  complete(id: bigint, nowNs: bigint): bigint;
}

/** Words of a row: pinned, lengths of content and source, number of tags, their lengths. */
export declare class NativeMemories extends NativeAdapter<NativeMemoryFilter> {
  store(
    id: bigint,
    content: string,
    tags: readonly string[],
    source: string,
    nowNs: bigint,
  ): bigint;
  retag(id: bigint, tags: readonly string[], nowNs: bigint): bigint;
  pin(id: bigint, nowNs: bigint): bigint;
  unpin(id: bigint, nowNs: bigint): bigint;
}

/**
 * Some events of a log, in a block as rows are: per event 64-bit sequence number, origin, origin's own
 * sequence number; two words, the event type (256: not an event) and the length of the body; bodies.
 */
export interface NativeModelBatch {
  state: 'more' | 'empty' | 'ended' | 'lagged';
  /** Everything before it has been handed out or passed over. */
  position: bigint;
  events: ArrayBuffer | null;
}

/** The log of a model that JavaScript folds. */
export declare class NativeModelLog {
  /** `onReady` is called once after every batch whose state was 'empty', when there is more. */
  constructor(onReady: () => void);
  open(redex: NativeRedex, channel: string, persistent: boolean): Promise<void>;
  stats(): { events: bigint; firstSeq: bigint; nextSeq: bigint };
  skipTo(seq: bigint): void;
  /** Where `take` goes on; to be called before the first. */
  seek(seq: bigint): void;
  take(maxEvents: number, maxBytes: number): NativeModelBatch;
  append(dispatch: number, originHash: bigint, appSeq: bigint, body: Uint8Array): bigint;
  close(): void;
  ref(): void;
  unref(): void;
}

export declare function encodeBundle(
  tasks: NativeSnapshot | null,
  memories: NativeSnapshot | null,
): Buffer;
export declare function decodeBundle(bundle: Uint8Array): {
  tasks: NativeSnapshot | null;
  memories: NativeSnapshot | null;
};
/** XXH3, 64 bit. */
export declare function hashPayload(data: Uint8Array): bigint;
/** What is wrong with a text that is no JSON. */
export declare function checkJson(text: string): string | undefined;
/** Throws `Invalid filter: …`. */
export declare function checkFilter(filter: string): void;
/** The cursor of positions by shard. */
export declare function encodeCursor(
  shards: readonly number[],
  positions: ReadonlyArray<string | undefined>,
): string;
/** What to ask each shard for: up to `perShard` events behind `after`. */
export declare function planPoll(
  limit: number,
  cursor: string | undefined,
  filter: string | undefined,
  ordered: boolean,
  shards: readonly number[],
): { perShard: number; after: Array<string | undefined> };
export declare function mergePages(
  limit: number,
  cursor: string | undefined,
  filter: string | undefined,
  ordered: boolean,
  shards: readonly number[],
  pages: readonly NativeShardPage[],
): NativeMerged;

/** What came of a datagram. `events` are copies. */
export type NativeLegacyReceived = {
  /** The peer is where this datagram came from. */
  moved: boolean;
} & (
  | { kind: 'ignored' | 'modernPeer' | 'heartbeat' }
  | { kind: 'established'; reply?: Buffer }
  | { kind: 'events'; stream: bigint; events: Buffer[] }
);

/** One end of a link with a bus of net-mesh 0.19; moves no datagrams itself. */
export declare class NativeLegacyLink {
  /** `responderKey`: its public key for the initiator, its secret key for itself; 32 bytes. */
  constructor(initiator: boolean, psk: Uint8Array, responderKey: Uint8Array);
  /** The first packet of a new attempt; empty when the responder's key is unusable. */
  begin(): Buffer;
  handle(datagram: Uint8Array): NativeLegacyReceived;
  /** Packets with the events; those above 8108 bytes are left out. */
  seal(stream: bigint, reliable: boolean, events: readonly Uint8Array[]): Buffer[];
  heartbeat(): Buffer;
}

// --- capabilities: the C++ side, for tests against the TypeScript side ---

export interface NativeCapabilitySet {
  tags: readonly string[];
  metadata: Readonly<Record<string, string>>;
}

/** Decodes the value of a `net-where` header and evaluates it on each set. */
export declare function evaluatePredicateHeader(
  header: string,
  sets: readonly NativeCapabilitySet[],
): boolean[];
export interface NativeClauseTrace {
  label: string;
  result: boolean;
  children: NativeClauseTrace[];
}
/** Decodes the value of a `net-where` header and evaluates it on one set, clause by clause. */
export declare function tracePredicateHeader(
  header: string,
  set: NativeCapabilitySet,
): NativeClauseTrace;
/** Counts its clauses over many sets, without what metadata under `redactKeys` is compared with. */
export declare function reportPredicateHeader(
  header: string,
  sets: readonly NativeCapabilitySet[],
  redactKeys: readonly string[],
): {
  total_candidates: number;
  matched: number;
  clause_stats: Array<{ label: string; evaluated: number; matched: number }>;
};
export declare function validateCapabilitySet(set: NativeCapabilitySet): {
  errors: Array<Record<string, string>>;
  warnings: Array<Record<string, string | number>>;
};
/** Decodes the value of a `net-where` header and writes it again. */
export declare function encodePredicateHeader(header: string): string;
export declare function parseCapabilityTag(tag: string): {
  kind: 'presence' | 'value' | 'reserved' | 'legacy';
  axis?: string;
  /** Of a reserved tag the prefix, of a legacy one all of it. */
  key: string;
  separator?: '=' | ':';
  value: string;
};
export declare function diffCapabilitySets(
  prevTags: readonly string[],
  prevMetadata: Readonly<Record<string, string>>,
  currTags: readonly string[],
  currMetadata: Readonly<Record<string, string>>,
): {
  added_tags: string[];
  removed_tags: string[];
  metadata_changes: Array<Record<string, string>>;
};

// --- placement ---

export interface NativeCandidate extends NativeCapabilitySet {
  nodeId: bigint;
  rttMs?: number;
}

export interface NativePlacement {
  requireTags?: readonly string[];
  forbidTags?: readonly string[];
  requireMetadata?: Readonly<Record<string, string>>;
  /** The wire form as JSON. */
  predicate?: string;
  limit?: number;
  customFilterId?: string;
  scopeFilter?: readonly string[];
  maxRttMs?: number;
  intent?: 'disabled' | 'strict' | 'any-of';
  colocation?: 'ignore' | 'soft-preference' | 'strict-required';
  resource?: 'compute' | 'storage' | 'both';
}

/** A daemon with what it asks for, or a blob of this size. */
export type NativeArtifact =
  { required: NativeCapabilitySet; optional: NativeCapabilitySet } | { sizeBytes: bigint };

/**
 * Registers a filter in the process; false when the id is taken. `judge` is called on this thread for
 * up to 64 candidates at a time, has 5 s, and must not throw. Keeps no process alive.
 */
export declare function registerPlacementFilter(
  id: string,
  judge: (
    candidates: Array<{ nodeId: bigint; tags: string[]; metadata: Record<string, string> }>,
  ) => boolean[],
): boolean;
export declare function unregisterPlacementFilter(id: string): boolean;
export declare function hasPlacementFilter(id: string): boolean;
/** Ranks candidates on another thread: best first, those that cannot be used left out. */
export declare function rankPlacement(
  placement: NativePlacement,
  candidates: readonly NativeCandidate[],
  artifact: NativeArtifact,
): Promise<{ nodes: Array<{ nodeId: bigint; score: number }>; filterMissing: boolean }>;
/** What is in a token's bytes; u64 fields as they are. */
export interface NativeTokenInfo {
  issuer: Buffer;
  subject: Buffer;
  /** The bits that have a word. */
  scope: string[];
  channelHash: bigint;
  issuerGeneration: number;
  /** Unix seconds. */
  notBefore: bigint;
  notAfter: bigint;
  delegationDepth: number;
  nonce: bigint;
  signature: Buffer;
}

/**
 * An Ed25519 identity with a token cache of its own. Errors have the code `ERR_NETMESH_IDENTITY` and
 * a message that starts with `identity: `, or `ERR_NETMESH_TOKEN` and `token: <kind>`.
 */
export declare class NativeIdentity {
  /** Of a seed of 32 bytes, or a fresh one. */
  constructor(seed?: Uint8Array);
  toBytes(): Buffer;
  readonly entityId: Buffer;
  readonly originHash: bigint;
  readonly nodeId: bigint;
  readonly tokenCacheLen: number;
  readonly disposed: boolean;
  sign(message: Uint8Array): Buffer;
  issueToken(
    subject: Uint8Array,
    scope: readonly string[],
    channel: string,
    ttlSeconds: number,
    delegationDepth: number,
  ): Buffer;
  delegateToken(parent: Uint8Array, newSubject: Uint8Array, scope: readonly string[]): Buffer;
  installToken(token: Uint8Array): void;
  lookupToken(subject: Uint8Array, channel: string): Buffer | null;
  /** Returns how many were dropped. */
  evictExpiredTokens(): number;
  /** Wipes the secret. Idempotent. */
  dispose(): void;
}

export declare function parseToken(token: Uint8Array): NativeTokenInfo;
export declare function verifyToken(token: Uint8Array): boolean;
export declare function tokenIsExpired(token: Uint8Array): boolean;
export declare function channelHash(channel: string): bigint;
export declare function encodeTokenChain(tokens: readonly Uint8Array[]): Buffer;
export declare function parseTokenChain(chain: Uint8Array): Buffer[];
/** Throws `token: <kind>` unless the chain lets `presenter` do all of `scope` on the channel. */
export declare function verifyTokenChain(
  chain: Uint8Array,
  scope: readonly string[],
  channel: string,
  presenter: Uint8Array,
  roots: readonly Uint8Array[],
  revocations: ReadonlyArray<readonly [issuer: Uint8Array, generation: number]>,
  skewSeconds: number,
): void;
/** The subnet that rules derive from tags, as a number: level 0 in the highest byte. */
export declare function subnetOfTags(rules: readonly object[], tags: readonly string[]): number;

/** Tags in byte order. */
export interface NativeTagSet {
  tags: string[];
  metadata: Record<string, string>;
}

export interface NativeAggregateRow {
  bucket: string;
  value: bigint;
}

export interface NativeCapacityRow {
  bucket: string;
  idle: bigint;
  busy: bigint;
  reserved: bigint;
  available: bigint;
  summedCapacity?: bigint;
}

/** A capability index without a mesh. Objects are those of `lib/capabilities.ts`, checked there. */
export declare class NativeCapabilityIndex {
  constructor();
  /** True when the node is new. */
  upsert(node: bigint, set: object): boolean;
  remove(node: bigint): boolean;
  findNodes(filter: object): BigUint64Array;
  findNodesScoped(filter: object, scope: object): BigUint64Array;
  findBestNode(requirement: object, scope?: object): bigint | null;
  capabilityAggregate(
    matcher: object | undefined,
    groupBy: object,
    aggregation: object,
  ): NativeAggregateRow[];
  capabilityCapacityRanking(
    query: object,
    rttEntries?: ReadonlyArray<{ nodeId: bigint; rttMs: number }>,
  ): NativeCapacityRow[];
}

export declare function encodeCapabilitySet(set: object): NativeTagSet;
/** A `CapabilitySet` of `lib/capabilities.ts` with all that tags and metadata say. */
export declare function decodeCapabilitySet(
  tags: readonly string[],
  metadata: Readonly<Record<string, string>>,
): object;
/** The lower-case word, or `unknown`. */
export declare function normalizeGpuVendor(vendor: string): string;
