/**
 * The plain types of the SDK: options that go in, reports that come out.
 *
 * @packageDocumentation
 */

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
  /** Drop capability announcements that carry no signature. */
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

/** An event as `NetMesh.poll` returns it. */
export interface StoredEvent {
  /** `"<sequence>:<index in its packet>"`; repeats across streams and peers. */
  id: string;
  /** The payload as text; empty when it is not valid UTF-8. */
  raw: string;
  /** The payload. */
  rawBytes: Buffer;
  /** The packet's sequence number on its stream. */
  insertionTs: number;
  /** Stream id modulo `numShards`. */
  shardId: number;
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
export interface MeshNodeEvents {
  'peer:up': [event: PeerUpEvent];
  'peer:down': [event: PeerDownEvent];
  'peer:moved': [event: PeerMovedEvent];
}
