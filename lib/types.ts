/**
 * The plain types of the SDK: options that go in, reports that come out.
 *
 * @packageDocumentation
 */

import type { CapabilityFilter } from './capabilities';
import type { Token, TokenChain } from './identity';

/** Reliability mode chosen at stream-open time. */
export type Reliability = 'fire_and_forget' | 'reliable';

/** Classes of streams, highest first. */
export type StreamPriority = 'control' | 'high' | 'normal' | 'bulk';

/** Per-stream configuration for `MeshNode.openStream`. */
export interface StreamConfig {
  /** Caller-chosen stream identifier. No value range has a reserved meaning. */
  streamId: bigint;
  /** Default: `'fire_and_forget'`. */
  reliability?: Reliability;
  /**
   * Initial send-credit window in bytes. Default: 65536. `0` removes the window: only
   * `maxQueuedBytes` bounds what may be under way.
   */
  windowBytes?: number;
  /** Share of the connection relative to the other streams, 0…255; 0 counts as 1. Default: 1. */
  fairnessWeight?: number;
  /**
   * A stream sends only while no stream of a higher class towards the same peer has something to
   * send. Default: `'normal'`.
   */
  priority?: StreamPriority;
}

/** A stream handle: pass it back to `sendOnStream`, `sendWithRetry` and `sendBlocking`. */
export interface MeshStream {
  /** The peer at the other end. */
  readonly peerNodeId: bigint;
  /** The id under which the stream was opened. */
  readonly streamId: bigint;
}

/** Snapshot of one stream. */
export interface StreamStats {
  /** Packets sent: the next sequence number. */
  txSeq: bigint;
  /** Highest sequence number received. */
  rxSeq: bigint;
  /** Events received and not yet taken by the application. */
  inboundPending: bigint;
  /** Unix time of the last activity, nanoseconds. */
  lastActivityNs: bigint;
  /** True while the stream exists. */
  active: boolean;
  /** Cumulative backpressure rejections since the stream was opened. */
  backpressureEvents: bigint;
  /** Bytes of send credit still available; 0 on a stream without a window. */
  txCreditRemaining: number;
  /** Configured credit window in bytes; 0: none. */
  txWindow: number;
  /** Window grants received from the peer. */
  creditGrantsReceived: bigint;
  /** Window grants sent to the peer. */
  creditGrantsSent: bigint;
}

/** {@link StreamStats} of one of several streams. */
export interface StreamStatsEntry extends StreamStats {
  /** The stream that the numbers are of. */
  streamId: bigint;
}

/** A position in the subnet hierarchy: 1–4 levels of 0–255. */
export interface SubnetId {
  /** From the outermost level inwards. */
  levels: number[];
}

/** Derives one level of a peer's subnet from a tag of its capabilities. */
export interface SubnetRule {
  /** The part of the tag before the value. */
  tagPrefix: string;
  /** The level that the rule sets, 0–3. */
  level: number;
  /** Tag value → level value, 1–255. */
  values: Record<string, number>;
}

/** How the subnets of peers are derived from their capabilities. */
export interface SubnetPolicy {
  /** Applied in order. */
  rules: SubnetRule[];
}

/** Options for `MeshNode.create`. */
export interface MeshNodeConfig {
  /** Local address, `ip:port` or `[ipv6]:port`; port 0 lets the system choose. */
  bindAddr: string;
  /** The pre-shared key of the mesh: 64 hexadecimal digits. */
  psk: string;
  /** Default: 5000. Values below 10 count as 10. */
  heartbeatIntervalMs?: number;
  /** How long a peer may be silent. Default: 30000. Values below 10 count as 10. */
  sessionTimeoutMs?: number;
  /** Number of shards that `NetMesh.poll` and `MeshNode.recvShard` see, 0…65535. Default: 4. */
  numShards?: number;
  /** Sweep interval of the capability index. Default: 60000. */
  capabilityGcIntervalMs?: number;
  /**
   * Shortest time between two broadcasts of this node's capabilities; what is announced in between is
   * sent when it is over. Default: 10000.
   */
  announceIntervalMs?: number;
  /** How often the rights of a channel's subscribers are looked at again. Default: 30000. */
  tokenSweepIntervalMs?: number;
  /** How long a publisher is waited for to answer a subscribe or unsubscribe. Default: 5000. */
  membershipAckTimeoutMs?: number;
  /** How long a reliable publish waits for a subscriber that takes nothing. Default: 5000. */
  publishTimeoutMs?: number;
  /** Drop capability announcements that carry no signature; wrong ones are dropped always. Default: true. */
  requireSignedCapabilities?: boolean;
  /** Pins this node to a subnet. */
  subnet?: SubnetId;
  /** Derives the subnets of peers from their capabilities. */
  subnetPolicy?: SubnetPolicy;
  /**
   * Seed of the node's identity, 32 bytes, secret. The same seed gives the same `entityId`,
   * `nodeId` and `publicKey`. Default: a random one.
   */
  identitySeed?: Uint8Array;

  /** How long one handshake attempt may take. Default: 5000. */
  handshakeTimeoutMs?: number;
  /** Handshake attempts; 0 counts as 1. Default: 3. */
  handshakeRetries?: number;
  /**
   * Whether peers that speak only the base protocol may connect. Such sessions have neither
   * forward secrecy nor a proven identity. Default: `'allow'`, with a process warning per peer.
   */
  legacyPeers?: 'allow' | 'deny';
  /** Cipher of the sessions. Default: `'auto'`, the fastest that both ends have. */
  aead?: 'auto' | 'aes-256-gcm' | 'chacha20-poly1305';
  /**
   * Congestion control of the sessions, of what this node sends: `'bbr'` models the bottleneck and
   * keeps its queue short, `'cubic'` fills the queue until packets are lost, as most TCP does.
   * Default: `'bbr'`.
   */
  congestion?: 'bbr' | 'cubic';
  /** Largest message that this node takes. Default: 16 MiB. */
  maxMessageBytes?: number;
  /**
   * Bytes that one stream may have received and not yet handed over. Default: 4 MiB at first,
   * growing to `maxStreamReceiveWindowBytes` on long fast paths; a value given here is exact unless
   * that is given, too.
   */
  streamReceiveWindowBytes?: number;
  /** The same over all streams of one peer. Default: 16 MiB at first. */
  sessionReceiveWindowBytes?: number;
  /** How far a stream's window may grow. Default: 32 MiB. */
  maxStreamReceiveWindowBytes?: number;
  /** How far a session's window may grow. Default: 64 MiB. */
  maxSessionReceiveWindowBytes?: number;
  /**
   * Largest UDP payload that paths are probed for, 1200…65507; 1200 leaves every path at 1200.
   * Default: 16384.
   */
  maxDatagramBytes?: number;
  /** How often sessions agree upon fresh keys. Default: 3600000 (an hour). */
  rekeyIntervalMs?: number;
  /** Packets under one key before it is ratcheted, 1…4194304. Default: what the cipher asks for. */
  keyUpdatePackets?: number;
  /** Bytes that may wait for one peer, sent but not acknowledged included. Default: 64 MiB. */
  maxQueuedBytes?: number;
  /** Buffer asked of the kernel for each direction of the socket. Default: 4 MiB. */
  socketBufferBytes?: number;
}

/** Options for `NetMesh.create`. */
export interface MeshOptions extends MeshNodeConfig {
  /** Public address to tell peers instead of the discovered one, `ip:port`. */
  reflexOverride?: string;
  /** Ask the router to map the port. */
  tryPortMapping?: boolean;
}

/** How a session is protected: with every extension of netmesh, or as the base protocol does. */
export type PeerSecurity = 'modern' | 'legacy';

/** How a session treats the path to its peer, for this node's direction. */
export interface CongestionInfo {
  algorithm: 'bbr' | 'cubic';
  /** What the algorithm is doing now, such as `'startup'` or `'avoidance'`; for people. */
  phase: string;
  /** Bytes that may be in flight, and those that are. */
  windowBytes: number;
  bytesInFlight: number;
  /** Speed at which packets leave; null while the path is so short that they are not paced. */
  pacingBytesPerSecond: number | null;
  /** The bottleneck's speed as BBR estimates it; null before that, and under CUBIC. */
  bandwidthBytesPerSecond: number | null;
  /** Share of packets, 0 to 1, that the path loses whatever the speed; 0 under CUBIC. */
  ambientLoss: number;
  /** Packets that were declared lost and arrived after all. */
  spuriousLosses: bigint;
  /** Times that loss made the session slow down, and those that were taken back as spurious. */
  congestionEvents: bigint;
  undoneEvents: bigint;
  /** Times that nothing had got through for so long that the path counted as new. */
  persistentCongestions: bigint;
  /** Times that an acknowledgement was so late that the session asked again. */
  probeTimeouts: bigint;
}

/** A peer as `MeshNode.peers` reports it. */
export interface PeerInfo {
  nodeId: bigint;
  /** Where its packets go, `ip:port`; with {@link PeerInfo.relayed} the address of the relay. */
  addr: string;
  security: PeerSecurity;
  /** Cipher of the session. */
  aead: string;
  /** 32 bytes, proven by signature; null on legacy sessions. */
  entityId: Buffer | null;
  /** True when packets reach it through another node. */
  relayed: boolean;
  /** False once nothing was heard from it for too long. */
  alive: boolean;
  /** Smoothed round-trip time in milliseconds; null before the first measurement. */
  rttMs: number | null;
  /** Smallest round-trip time seen, milliseconds. */
  rttMinMs: number | null;
  bytesIn: bigint;
  bytesOut: bigint;
  packetsIn: bigint;
  packetsOut: bigint;
  packetsLost: bigint;
  bytesRetransmitted: bigint;
  /** When the session was established. */
  connectedAt: Date;
  /** Unix time of the last authenticated packet, milliseconds. */
  lastActivityMs: number;
  /** Streams of the session. */
  streams: number;
  /** Null on legacy sessions, which have no congestion control. */
  congestion: CongestionInfo | null;
}

/** Counters of a node by name, all monotonic: datagrams and bytes, and what was dropped, by cause. */
export type NodeStats = Readonly<Record<string, bigint>>;

/** An event as polling returns it, of a bus or of `NetMesh`. */
export interface StoredEvent {
  /**
   * Of a bus: its position in the shard, a number or whatever the backend calls it. Of `NetMesh`:
   * `"<sequence>:<index in its packet>"`, which repeats across streams and peers.
   */
  id: string;
  /** The payload as text; empty when it is not valid UTF-8. */
  raw: string;
  /** The payload. */
  readonly rawBytes: Buffer;
  /** Of a bus: {@link Receipt.timestamp}. Of `NetMesh`: the packet's sequence on its stream. */
  insertionTs: number;
  /** Of `NetMesh`: stream id modulo `numShards`. */
  shardId: number;
  /** Unix time in milliseconds of the emission, where the transport knows it. */
  readonly emittedAtMs?: number;
  /** The same for every delivery of the event, where the backend has it. */
  readonly dedupId?: string;
}

// --- the event bus ---

/** What happens to an event whose shard's buffer is full. */
export type BackpressureMode = 'drop_newest' | 'drop_oldest' | 'fail_producer' | 'sample';

/** How much the memory transport keeps of what was emitted, over all shards. */
export interface RetentionOptions {
  /** Default: 1 048 576, at least one per shard. */
  maxEvents?: number;
  /** Payload bytes and 24 for each event. Default: 128 MiB. */
  maxBytes?: number;
}

/** How many shards a bus uses, and when it changes that by itself. */
export interface ScalingOptions {
  /** Default: 1. */
  minShards?: number;
  /** How many shards there can be; all of them are read. Default, and at least: those it begins with. */
  maxShards?: number;
  /** Scales by load. Default: true. */
  auto?: boolean;
  /** A buffer that is fuller than this share is overloaded, 0 to 1. Default: 0.7. */
  fillRatioThreshold?: number;
  /** A buffer that is emptier than this share and got nothing is idle, 0 to 1. Default: 0.1. */
  underutilizedThreshold?: number;
  /** Between two changes. Default: 1000. */
  cooldownMs?: number;
  /** How long most shards have to be idle before some are taken away. Default: 10000. */
  scaleDownDelayMs?: number;
  /** Between two looks at the load. Default: 100. */
  metricsWindowMs?: number;
}

/** How events are gathered into batches for a backend. */
export interface BatchOptions {
  /** Default: 1000. */
  minSize?: number;
  /** Default: 10000; at most 1 000 000. */
  maxSize?: number;
  /** How long the first event of a batch waits for others. Default: 10. */
  maxDelayMs?: number;
  /** Batches grow with the rate of events; otherwise they are `maxSize`. Default: true. */
  adaptive?: boolean;
  /** Over which time the rate is measured. Default: 100. */
  velocityWindowMs?: number;
}

/** What a TLS connection to a backend takes beside the URL, in PEM. */
export interface BackendTls {
  /** Certificates to trust instead of the system's. */
  ca?: string;
  /** Certificate and key of this client. */
  cert?: string;
  key?: string;
}

/** Redis Streams: one stream per shard, `<prefix>:shard:<n>`. */
export interface RedisOptions {
  /** `redis://` or `rediss://`, with optional credentials and database. */
  url: string;
  /** Default: `net`. */
  prefix?: string;
  /** Events in one MULTI/EXEC transaction at most. Default: 1000. */
  pipelineSize?: number;
  /** Connections for polling, shared by the shards. Default: 1. */
  poolSize?: number;
  /** Default: 5000. */
  connectTimeoutMs?: number;
  /** For each write of a batch, each poll and each health check. Default: 1000. */
  commandTimeoutMs?: number;
  /** Approximate number of entries that a stream keeps (`MAXLEN ~`). Default: no limit. */
  maxStreamLen?: number;
  /** With a `rediss://` URL. */
  tls?: BackendTls;
}

/** NATS JetStream: one stream per shard, `<prefix>_shard_<n>`. */
export interface JetStreamOptions {
  /** `nats://` or `tls://`, with optional credentials. */
  url: string;
  /** Default: `net`. */
  prefix?: string;
  /** Default: 5000. */
  connectTimeoutMs?: number;
  /** For each request to JetStream. Default: 5000. */
  requestTimeoutMs?: number;
  /** Limits of streams that this bus creates. Default: none. */
  maxMessages?: number;
  maxBytes?: number;
  maxAgeMs?: number;
  /** Of streams that this bus creates. Default: 1. */
  replicas?: number;
  /** How long the server remembers ids, in streams that this bus creates. Default: one hour. */
  duplicateWindowMs?: number;
  /** With a `tls://` URL. */
  tls?: BackendTls;
}

/** A second bus at the other end of an encrypted session. */
export interface MeshTransportOptions {
  /** Local address, `ip:port`. */
  bind: string;
  /** Address of the other bus; a responder learns it from the handshake. */
  peer: string;
  /** 64 hexadecimal digits, the same at both ends. */
  psk: string;
  /** Default: `initiator`. */
  role?: 'initiator' | 'responder';
  /** The responder's public key; for the initiator. */
  peerPublicKey?: string;
  /** The responder's own key pair, see `generateNetKeypair`. */
  secretKey?: string;
  publicKey?: string;
  /** Default: `none`. Towards another netmesh bus events are delivered reliably in any case. */
  reliability?: 'none' | 'light' | 'full';
  /** Default: 5000. */
  heartbeatIntervalMs?: number;
  /** Default: 30000. */
  sessionTimeoutMs?: number;
  /**
   * Whether the other end may be a bus of net-mesh 0.19, whose link has neither acknowledgements nor
   * forward secrecy. Default: `allow`, with a process warning.
   */
  legacyPeers?: 'allow' | 'deny';
  /** Accepted and without effect: packets always travel in batches. */
  batchedIo?: boolean;
  /** 1 to 16384; accepted and without effect. */
  packetPoolSize?: number;
}

/** Where the events of a bus go. */
export type Transport =
  | { type: 'memory' }
  | ({ type: 'redis' } & RedisOptions)
  | ({ type: 'jetstream' } & JetStreamOptions)
  | ({ type: 'mesh' } & MeshTransportOptions);

/** What the SDK's and the core's options have in common. */
export interface BusTuning {
  /** What the memory transport keeps. */
  retention?: RetentionOptions;
  batch?: BatchOptions;
  /** Default: the number of shards stays as it is. */
  scaling?: ScalingOptions;
  /** With `json`, payloads that are no JSON are refused. Default: `none`. */
  validate?: 'none' | 'json';
  /** With backpressure `sample`: one of so many events is kept while a buffer is full. Default: 10. */
  sampleRate?: number;
  /** For one attempt to deliver a batch, and for flushing and closing the backend. Default: 30000. */
  adapterTimeoutMs?: number;
  /** How often a batch is tried again when the backend says that it may pass. Default: 10. */
  adapterBatchRetries?: number;
  /** File that makes the producer the same one after a restart. */
  producerNoncePath?: string;
}

/** Options of `NetNode.create`. */
export interface NetNodeConfig extends BusTuning {
  /** Default: one per processor. */
  shards?: number;
  /** Events that a shard's buffer holds, a power of two of 1024 or more. Default: 1 048 576. */
  bufferCapacity?: number;
  /** Default: `drop_oldest`. */
  backpressure?: BackpressureMode;
  /** Default: `{ type: 'memory' }`. */
  transport?: Transport;
}

/** Options of `Net.create`. */
export interface EventBusOptions extends BusTuning {
  numShards?: number;
  ringBufferCapacity?: number;
  backpressureMode?: string;
  redis?: RedisOptions;
  jetstream?: JetStreamOptions;
  net?: NetOptions;
}

/** The mesh transport as the core names its options. */
export interface NetOptions {
  bindAddr: string;
  peerAddr: string;
  psk: string;
  role: string;
  peerPublicKey?: string;
  secretKey?: string;
  publicKey?: string;
  reliability?: string;
  heartbeatIntervalMs?: number;
  sessionTimeoutMs?: number;
  legacyPeers?: string;
  batchedIo?: boolean;
  packetPoolSize?: number;
}

/** Where an event went. */
export interface Receipt {
  shardId: number;
  /** Nanoseconds since the shard began; strictly increasing in a shard. */
  timestamp: number;
}

/** What to poll. */
export interface PollRequest {
  limit: number;
  /** `nextId` of the page before. Default: from the beginning. */
  cursor?: string;
  /** JSON, for example `{"path":"kind","value":"order"}`. */
  filter?: string;
  ordering?: 'none' | 'insertion_ts';
}

/** A page of events. */
export interface PollResponseData {
  events: StoredEvent[];
  /** Cursor for the next poll. */
  nextId?: string;
  hasMore: boolean;
  /** Shards that could not be read; they keep their position. Absent when there are none. */
  failedShards?: number[];
  /** Events between the cursor and this page that the store no longer had. Absent when none. */
  expired?: number;
}

/** {@link PollResponseData} by the name that the core has for it. */
export type PollResponse = PollResponseData;

/** Options of `Net.poll`. */
export interface PollOptions {
  limit: number;
  cursor?: string;
  filter?: string;
  ordering?: string;
}

/** A payload with its hash, see `Net.prehash`. */
export interface HashedEvent {
  data: Buffer;
  hash: bigint;
}

/** Counters of a bus, all monotonic but those that say "now". */
export interface BusStats {
  /** Accepted into a buffer. */
  eventsIngested: bigint;
  /** Refused: the sum of the four below. */
  eventsDropped: bigint;
  /** Refused by a full buffer. */
  droppedFull: bigint;
  /** Passed over by sampling. */
  droppedSampled: bigint;
  /** There was no shard. */
  droppedUnrouted: bigint;
  /** Not JSON where that is asked for, or too large. */
  droppedInvalid: bigint;
  /** Accepted, then dropped from a full buffer for newer events. */
  eventsEvicted: bigint;
  /** Dropped from the store by retention. */
  eventsExpired: bigint;
  /** In the store now. */
  eventsStored: bigint;
  bytesStored: bigint;
  /** In buffers now. */
  eventsPending: bigint;
  /** Taken by the backend. */
  batchesDispatched: bigint;
  eventsDispatched: bigint;
  /** Given up after all attempts. */
  batchesLost: bigint;
  eventsLost: bigint;
  /** Found in the journal of an earlier process, and sent again. */
  eventsRecovered: bigint;
}

/** The two counters that 0.19 has, and the rest. */
export type Stats = BusStats;

/** Options of `NetNode.subscribe`. */
export interface SubscribeOpts {
  /** Events per page. Default: 100. */
  limit?: number;
  filter?: string;
  ordering?: 'none' | 'insertion_ts';
  /** Where to begin: `earliest`, `latest` or a cursor. Default: `earliest`. */
  from?: string;
  /** Ends the stream; it rejects with the signal's reason. */
  signal?: AbortSignal;
  /** First pause before polling a backend that does not push. Default: 5. */
  pollIntervalMs?: number;
  /** Longest pause. Default: 100. */
  maxBackoffMs?: number;
}

/** Something that can be given up. */
export interface WaitOptions {
  /** Gives up when aborted; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of `connect` and `connectVia`. */
export interface ConnectOptions extends WaitOptions {
  /** Over all attempts. Default: `handshakeRetries` × `handshakeTimeoutMs` and the pauses between. */
  timeoutMs?: number;
}

/** What one stream had sent or queued when its node ended, and the peer had not acknowledged. */
export interface UnacknowledgedStream {
  peerNodeId: bigint;
  streamId: bigint;
  /** Bytes of messages and their frames. */
  bytes: bigint;
  /** Messages of the sends that were not acknowledged whole. */
  messages: bigint;
}

/** What `shutdown` reports. */
export interface ShutdownReport {
  /** Empty when everything was acknowledged; base peers acknowledge nothing and are left out. */
  unacknowledged: UnacknowledgedStream[];
}

/** Options of `shutdown`. */
export interface ShutdownOptions {
  /** How long reliable streams may take to deliver what was sent. Default: 2000. */
  drainMs?: number;
}

/** A peer became reachable. */
export interface PeerUpEvent {
  nodeId: bigint;
  addr: string;
  security: PeerSecurity;
}

/** A peer is gone. */
export interface PeerDownEvent {
  nodeId: bigint;
  /** For people: goodbye, timeout, replaced session, … */
  reason: string;
}

/** A peer proved that it is at another address now; its streams go on. */
export interface PeerMovedEvent {
  nodeId: bigint;
  addr: string;
}

/** Events of a node and what their listeners get. */
/** Who may see a channel. */
export type Visibility = 'subnet-local' | 'parent-visible' | 'exported' | 'global';
/** What a publish does about subscribers that it does not reach. */
export type OnFailure = 'best_effort' | 'fail_fast' | 'collect';

/** The terms of a channel that this node publishes. */
export interface ChannelConfig {
  /** 1–255 of `a-z 0-9 - _ . /`, in segments between slashes. */
  name: string;
  /** Covers every longer name that has no config of its own, too. Default: false. */
  prefix?: boolean;
  /** Which subnets may subscribe and receive. Default: `'global'`. */
  visibility?: Visibility;
  /** With `visibility: 'exported'`: the subnets, with those below them, that the channel is for. */
  exportTo?: SubnetId[];
  /** Whether publishes are reliable unless they say otherwise. Default: false. */
  reliable?: boolean;
  /** Subscribers must show a token for SUBSCRIBE, this node must have one for PUBLISH. */
  requireToken?: boolean;
  /** Entity ids whose tokens count. Default: this node's own. */
  tokenRoots?: Uint8Array[];
  /** 0–255; from 128 on before other streams, below that a larger share of them. Default: 0. */
  priority?: number;
  /** Payloads per second; a publish above it is refused. */
  maxRatePps?: number;
  /** What this node must have announced to publish. */
  publishCaps?: CapabilityFilter;
  /** What subscribers must have announced. */
  subscribeCaps?: CapabilityFilter;
  /** How many of the last payloads are kept for new subscribers. Default: 0. */
  retain?: number;
  /** Default: 1 MiB. */
  maxRetainedBytes?: number;
}

/** A credential: what an issuer signed. */
export type Credential = Token | TokenChain | Uint8Array;

/** Options of `MeshNode.subscribeChannel`. */
export interface SubscribeChannelOptions extends WaitOptions {
  token?: Credential;
  /** Each payload goes to one member of a group. Default: every subscriber gets every payload. */
  queueGroup?: string;
}

/** Options of `MeshNode.subscribe`. */
export interface SubscribeOptions extends SubscribeChannelOptions {
  /** What happens when payloads are not taken: the publisher waits, or the oldest go. Default: `'backpressure'`. */
  overflow?: 'backpressure' | 'drop-oldest';
  /** Payloads that wait before the oldest go, with `'drop-oldest'`. Default: 1024. */
  buffer?: number;
  /** How many retained payloads to get first, at most. Default: all. */
  replay?: number;
}

/** One payload of a channel. */
export interface ChannelMessage {
  publisherNodeId: bigint;
  channel: string;
  payload: Buffer;
  /** Counts the payloads of the channel in this session with the publisher. */
  seq: bigint;
  receivedAt: Date;
}

/** Options of `MeshNode.publish`. */
export interface PublishConfig {
  /** Default: as the channel is registered, else `'fire_and_forget'`. */
  reliability?: Reliability;
  /** Default: `'best_effort'`. */
  onFailure?: OnFailure;
  /** Subscribers whose acknowledgement is awaited at a time. Default: 32. */
  maxInflight?: number;
}

/** What became of a publish. */
export interface PublishReport {
  /** Subscribers that were to get it. */
  attempted: number;
  /** Those that got it: acknowledged when reliable and modern, sent otherwise. */
  delivered: number;
  errors: Array<{ nodeId: bigint; message: string }>;
}

/** A channel that this node publishes or has joined, as it is now. */
export interface ChannelInfo {
  name: string;
  /** Published here: what follows, but `joined`, is about that. */
  registered: boolean;
  subscribers: number;
  queueGroups: number;
  retained: number;
  retainedBytes: number;
  /** Counted since the channel is there. */
  published: number;
  delivered: number;
  failed: number;
  denied: number;
  rateLimited: number;
  accepted: number;
  refused: number;
  evicted: number;
  replayed: number;
  /** Recipients that were left out: by subnet, by the guard, by their token. */
  skippedVisibility: number;
  skippedGuard: number;
  skippedToken: number;
  /** Payloads per second since `channels()` was last called, a second ago or more. */
  publishedPerSecond: number;
  /** The publishers at which this node has joined the channel. */
  joined: JoinedChannel[];
}

/** A channel of another node, with what came of it through `subscribe`. */
export interface JoinedChannel {
  publisherNodeId: bigint;
  queueGroup?: string;
  /** False while the publisher is away. */
  active: boolean;
  reliable: boolean;
  received: number;
  receivedPerSecond: number;
  /** Payloads that nobody took in time (`drop-oldest`). */
  dropped: number;
  /** Payloads that wait to be taken. */
  pending: number;
}

/** A channel that this node has joined. */
export interface SubscriptionInfo {
  publisherNodeId: bigint;
  channel: string;
  queueGroup?: string;
  /** False while the publisher is away. */
  active: boolean;
  reliable: boolean;
}

/** One change that `MeshNode.watchCapabilities` reports. */
export interface CapabilityEvent {
  /** The node matches now, matches and changed, or does not match any more. */
  kind: 'join' | 'change' | 'leave';
  nodeId: bigint;
}

/** Options of `MeshNode.announceCapabilities`. */
export interface AnnounceOptions {
  /** How long others keep it unless it is announced again, which happens by itself. Default: 300. */
  ttlSeconds?: number;
  /** Sign it; others drop it otherwise, unless told not to. Default: true. */
  sign?: boolean;
}

/** What a node has announced. */
export interface AnnouncedCapabilities {
  /** In byte order. */
  tags: string[];
  metadata: Record<string, string>;
}

/** How far away a node is, for `MeshNode.capabilityCapacityRanking`. */
export interface RttEntry {
  nodeId: bigint;
  rttMs: number;
}

export interface MeshNodeEvents {
  'peer:up': [event: PeerUpEvent];
  'peer:down': [event: PeerDownEvent];
  'peer:moved': [event: PeerMovedEvent];
}
