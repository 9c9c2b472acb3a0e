// The options of a bus, checked in the order and with the texts of spec 40 §3.2, before any effect.

import { availableParallelism } from 'node:os';

import type { NativeBusOptions } from '../../../types/native';
import { BusError, InvalidArgumentError } from '../../core/errors';
import type {
  BackendTls,
  BatchOptions,
  EventBusOptions,
  JetStreamOptions,
  NetOptions,
  RedisOptions,
  RetentionOptions,
  ScalingOptions,
} from '../../types';
import * as validate from '../validate';

export interface RedisConfig extends Required<Omit<RedisOptions, 'maxStreamLen' | 'tls'>> {
  maxStreamLen?: number;
  tls?: BackendTls;
}

export interface JetStreamConfig extends Required<
  Omit<JetStreamOptions, 'maxMessages' | 'maxBytes' | 'maxAgeMs' | 'tls'>
> {
  tls?: BackendTls;
  maxMessages?: number;
  maxBytes?: number;
  maxAgeMs?: number;
}

export interface MeshConfig {
  bindAddr: string;
  peerAddr: string;
  psk: Uint8Array;
  initiator: boolean;
  /** Of the responder. */
  publicKey: Uint8Array;
  /** The responder's; empty for the initiator. */
  secretKey: Uint8Array;
  reliable: boolean;
  allowLegacy: boolean;
  heartbeatIntervalMs: number;
  sessionTimeoutMs: number;
}

/** Where the events go, and how. */
export type Backend =
  | { type: 'memory' }
  | { type: 'redis'; config: RedisConfig }
  | { type: 'jetstream'; config: JetStreamConfig }
  | { type: 'mesh'; config: MeshConfig };

export interface BusConfig {
  native: NativeBusOptions;
  backend: Backend;
  adapterTimeoutMs: number;
  batchRetries: number;
  /** Between two looks at the load, where the bus scales by itself. */
  scaleEveryMs: number | undefined;
}

const MAX_SHARDS = 65_535;
const DEFAULT_RING = 1_048_576;
const DEFAULT_RETAIN_EVENTS = 1_048_576;
const DEFAULT_RETAIN_BYTES = 128 * 1024 * 1024;
const DEFAULT_ADAPTER_TIMEOUT_MS = 30_000;
const DEFAULT_RETRIES = 10;
const DEFAULT_SAMPLE_RATE = 10;
const MAX_MS = 0x7fff_ffff;
const MAX_RETRIES = 1000;
const MAX_PAYLOAD = 64 * 1024 * 1024;
/** A message of the mesh is 16 MiB at most; an event and its place in a batch fit into one. */
const MAX_MESH_PAYLOAD = 8 * 1024 * 1024;
const MODES = ['drop_newest', 'drop_oldest', 'fail_producer', 'sample'] as const;

type Raw<T> = { readonly [K in keyof T]?: unknown };

/** As the reference converts a number: fractions are cut, and what does not fit 32 bits wraps. */
function u32(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') {
    throw validate.invalid(`${name} must be a number; got ${validate.describe(value)}`);
  }
  return value >>> 0;
}

function int64(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') {
    throw validate.invalid(`${name} must be a number; got ${validate.describe(value)}`);
  }
  return Number.isFinite(value) ? Math.trunc(value) : 0;
}

function text(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string') {
    throw validate.invalid(`${name} must be a string; got ${validate.describe(value)}`);
  }
  return value;
}

function refuse(rule: string): InvalidArgumentError {
  return new InvalidArgumentError(`Invalid configuration: invalid configuration: ${rule}`);
}

/** Throws what spec 40 §3.2 says, in that order. */
export function parseBusOptions(input: unknown): BusConfig {
  const options = validate.optionsObject(input as Raw<EventBusOptions>, 'options');
  const shards = u32(options.numShards, 'numShards') ?? availableParallelism();
  if (shards > MAX_SHARDS) {
    throw validate.invalid(`num_shards must be <= ${MAX_SHARDS}, got ${shards}`);
  }
  const backpressure = parseMode(options.backpressureMode);
  const mesh =
    options.redis === undefined && options.jetstream === undefined && options.net !== undefined
      ? parseMesh(validate.object(options.net as Raw<NetOptions>, 'net'))
      : undefined;

  if (shards === 0) throw refuse('num_shards must be > 0');
  const ringCapacity = u32(options.ringBufferCapacity, 'ringBufferCapacity') ?? DEFAULT_RING;
  if ((ringCapacity & (ringCapacity - 1)) !== 0) {
    throw refuse('ring_buffer_capacity must be a power of 2');
  }
  if (ringCapacity < 1024) throw refuse('ring_buffer_capacity must be >= 1024');
  const backend = parseBackend(options, mesh);
  const { maxEvents, maxBytes } = parseRetention(options.retention);
  const scaling = parseScaling(options.scaling, shards);
  const { maxShards } = scaling.native;
  const native: NativeBusOptions = {
    shards,
    ...scaling.native,
    ringCapacity,
    backpressure,
    sampleRate: u32(options.sampleRate, 'sampleRate') ?? DEFAULT_SAMPLE_RATE,
    validateJson: parseValidation(options.validate),
    dispatch: backend.type !== 'memory',
    encoding: backend.type === 'mesh' ? 'raw' : 'entry',
    maxPayloadBytes: backend.type === 'mesh' ? MAX_MESH_PAYLOAD : MAX_PAYLOAD,
    retainEvents: Math.max(1, Math.floor(maxEvents / maxShards)),
    retainBytes: Math.max(1, Math.floor(maxBytes / maxShards)),
    ...parseBatch(options.batch),
    producerNoncePath: parsePath(options.producerNoncePath),
  };
  if (native.sampleRate === 0) throw refuse('BackpressureMode::Sample.rate must be > 0');
  return {
    native,
    backend,
    scaleEveryMs: scaling.everyMs,
    adapterTimeoutMs: parseMs(
      options.adapterTimeoutMs,
      'adapterTimeoutMs',
      'adapter_timeout must be > 0',
      DEFAULT_ADAPTER_TIMEOUT_MS,
    ),
    batchRetries:
      options.adapterBatchRetries === undefined
        ? DEFAULT_RETRIES
        : validate.integer(options.adapterBatchRetries, 'adapterBatchRetries', 0, MAX_RETRIES),
  };
}

function parseMode(value: unknown): (typeof MODES)[number] {
  if (value === undefined) return 'drop_oldest';
  if (MODES.includes(value as (typeof MODES)[number])) return value as (typeof MODES)[number];
  const shown = typeof value === 'string' ? value : validate.describe(value);
  throw validate.invalid(`Invalid backpressure mode: ${shown}`);
}

function parseMs(value: unknown, name: string, rule: string, fallback: number): number {
  if (value === undefined) return fallback;
  const ms = validate.milliseconds(value, name, 0, MAX_MS);
  if (ms === 0) throw refuse(rule);
  return ms;
}

function parseValidation(value: unknown): boolean {
  if (value === undefined) return false;
  return validate.oneOf(value, 'validate', ['none', 'json']) === 'json';
}

function parsePath(value: unknown): string | undefined {
  const path = text(value, 'producerNoncePath');
  if (path === '') throw validate.invalid('producerNoncePath must not be empty');
  if (path?.includes('\0') === true) {
    throw validate.invalid('producerNoncePath must not contain a NUL character');
  }
  return path;
}

function parseRetention(value: unknown): Required<RetentionOptions> {
  const raw = validate.optionsObject(value as Raw<RetentionOptions>, 'retention');
  const { maxEvents = DEFAULT_RETAIN_EVENTS, maxBytes = DEFAULT_RETAIN_BYTES } = raw;
  return {
    maxEvents: validate.integer(maxEvents, 'retention.maxEvents', 1, 2 ** 40),
    maxBytes: validate.integer(maxBytes, 'retention.maxBytes', 1, 2 ** 50),
  };
}

type NativeScalingOptions = Pick<
  NativeBusOptions,
  | 'minShards'
  | 'maxShards'
  | 'fillRatioThreshold'
  | 'underutilizedThreshold'
  | 'scaleCooldownMs'
  | 'scaleDownDelayMs'
>;

/** Without the option there are as many shards as at the beginning, for ever. */
function parseScaling(
  value: unknown,
  shards: number,
): { native: NativeScalingOptions; everyMs: number | undefined } {
  const raw = validate.optionsObject(value as Raw<ScalingOptions>, 'scaling');
  const { minShards = value === undefined ? shards : 1, maxShards = shards, auto = true } = raw;
  const rule = (broken: boolean, words: string): void => {
    if (broken) throw refuse(`scaling policy: invalid configuration: ${words}`);
  };
  const count = (given: unknown, name: string): number =>
    validate.integer(given, `scaling.${name}`, 0, MAX_SHARDS);
  const least = count(minShards, 'minShards');
  const most = count(maxShards, 'maxShards');
  rule(least === 0, 'min_shards must be > 0');
  rule(most < least, 'max_shards must be >= min_shards');
  const share = (given: unknown, name: string, fallback: number): number => {
    if (given === undefined) return fallback;
    if (typeof given === 'number' && given >= 0 && given <= 1) return given;
    throw validate.invalid(
      `scaling.${name} must be a number from 0 to 1; got ${validate.describe(given)}`,
    );
  };
  const time = (given: unknown, name: string, words: string, fallback: number): number => {
    if (given === undefined) return fallback;
    const ms = validate.milliseconds(given, `scaling.${name}`, 0, MAX_MS);
    rule(ms === 0, `${words} must be > 0`);
    return ms;
  };
  const fillRatioThreshold = share(raw.fillRatioThreshold, 'fillRatioThreshold', 0.7);
  rule(fillRatioThreshold === 0, 'fill_ratio_threshold must be in (0, 1]');
  const everyMs = time(raw.metricsWindowMs, 'metricsWindowMs', 'metrics_window', 100);
  return {
    native: {
      minShards: Math.min(least, shards),
      maxShards: Math.max(most, shards),
      fillRatioThreshold,
      underutilizedThreshold: share(raw.underutilizedThreshold, 'underutilizedThreshold', 0.1),
      scaleCooldownMs: time(raw.cooldownMs, 'cooldownMs', 'cooldown', 1000),
      scaleDownDelayMs: time(raw.scaleDownDelayMs, 'scaleDownDelayMs', 'scale_down_delay', 10_000),
    },
    everyMs: validate.boolean(auto, 'scaling.auto') && value !== undefined ? everyMs : undefined,
  };
}

type NativeBatchOptions = Pick<
  NativeBusOptions,
  'batchMinSize' | 'batchMaxSize' | 'batchMaxDelayMs' | 'batchAdaptive' | 'batchWindowMs'
>;

function parseBatch(value: unknown): NativeBatchOptions {
  const raw = validate.optionsObject(value as Raw<BatchOptions>, 'batch');
  const { minSize = 1000, adaptive = true, maxDelayMs = 10, velocityWindowMs = 100 } = raw;
  const batchMinSize = validate.integer(minSize, 'batch.minSize', 0, 0xffff_ffff);
  if (batchMinSize === 0) throw refuse('batch min_size must be > 0');
  const { maxSize = Math.max(10_000, batchMinSize) } = raw;
  const batchMaxSize = validate.integer(maxSize, 'batch.maxSize', 0, 0xffff_ffff);
  if (batchMaxSize < batchMinSize) throw refuse('batch max_size must be >= min_size');
  if (batchMaxSize > 1_000_000) throw refuse('batch max_size must be <= 1000000');
  const batchMaxDelayMs = validate.milliseconds(maxDelayMs, 'batch.maxDelayMs', 0, MAX_MS);
  if (batchMaxDelayMs === 0) throw refuse('batch max_delay must be > 0');
  const batchAdaptive = validate.boolean(adaptive, 'batch.adaptive');
  const batchWindowMs = validate.milliseconds(
    velocityWindowMs,
    'batch.velocityWindowMs',
    0,
    MAX_MS,
  );
  if (batchAdaptive && batchWindowMs === 0) {
    throw refuse('batch velocity_window must be > 0 when adaptive');
  }
  return { batchMinSize, batchMaxSize, batchMaxDelayMs, batchAdaptive, batchWindowMs };
}

function parseBackend(options: Raw<EventBusOptions>, mesh: MeshConfig | undefined): Backend {
  if (options.redis !== undefined) {
    const raw = validate.object(options.redis as Raw<RedisOptions>, 'redis');
    return { type: 'redis', config: parseRedis(raw) };
  }
  if (options.jetstream !== undefined) {
    const raw = validate.object(options.jetstream as Raw<JetStreamOptions>, 'jetstream');
    return { type: 'jetstream', config: parseJetStream(raw) };
  }
  return mesh === undefined ? { type: 'memory' } : { type: 'mesh', config: mesh };
}

function parseTls(value: unknown, name: string): BackendTls | undefined {
  if (value === undefined) return undefined;
  const raw = validate.object(value as Raw<BackendTls>, name);
  return {
    ca: text(raw.ca, `${name}.ca`),
    cert: text(raw.cert, `${name}.cert`),
    key: text(raw.key, `${name}.key`),
  };
}

function parseRedis(raw: Raw<RedisOptions>): RedisConfig {
  const config: RedisConfig = {
    url: text(raw.url, 'redis.url') ?? '',
    prefix: text(raw.prefix, 'redis.prefix') ?? 'net',
    pipelineSize: u32(raw.pipelineSize, 'redis.pipelineSize') ?? 1000,
    poolSize: u32(raw.poolSize, 'redis.poolSize') ?? 1,
    connectTimeoutMs: u32(raw.connectTimeoutMs, 'redis.connectTimeoutMs') ?? 5000,
    commandTimeoutMs: u32(raw.commandTimeoutMs, 'redis.commandTimeoutMs') ?? 1000,
    maxStreamLen: u32(raw.maxStreamLen, 'redis.maxStreamLen'),
    tls: parseTls(raw.tls, 'redis.tls'),
  };
  const rule = (broken: boolean, words: string): void => {
    if (broken) throw refuse(`redis adapter: invalid configuration: redis ${words}`);
  };
  rule(config.url === '', 'url must be non-empty');
  rule(config.pipelineSize === 0, 'pipeline_size must be > 0');
  rule(config.poolSize === 0, 'pool_size must be > 0');
  rule(config.connectTimeoutMs === 0, 'connect_timeout must be > 0');
  rule(config.commandTimeoutMs === 0, 'command_timeout must be > 0');
  return config;
}

function parseJetStream(raw: Raw<JetStreamOptions>): JetStreamConfig {
  const config: JetStreamConfig = {
    url: text(raw.url, 'jetstream.url') ?? '',
    prefix: text(raw.prefix, 'jetstream.prefix') ?? 'net',
    connectTimeoutMs: u32(raw.connectTimeoutMs, 'jetstream.connectTimeoutMs') ?? 5000,
    requestTimeoutMs: u32(raw.requestTimeoutMs, 'jetstream.requestTimeoutMs') ?? 5000,
    replicas: u32(raw.replicas, 'jetstream.replicas') ?? 1,
    duplicateWindowMs: u32(raw.duplicateWindowMs, 'jetstream.duplicateWindowMs') ?? 3_600_000,
    maxMessages: int64(raw.maxMessages, 'jetstream.maxMessages'),
    maxBytes: int64(raw.maxBytes, 'jetstream.maxBytes'),
    maxAgeMs: u32(raw.maxAgeMs, 'jetstream.maxAgeMs'),
    tls: parseTls(raw.tls, 'jetstream.tls'),
  };
  const rule = (broken: boolean, words: string): void => {
    if (broken) throw refuse(`jetstream adapter: invalid configuration: jetstream ${words}`);
  };
  const { maxMessages = 0, maxBytes = 0 } = config;
  rule(config.url === '', 'url must be non-empty');
  rule(config.connectTimeoutMs === 0, 'connect_timeout must be > 0');
  rule(config.requestTimeoutMs === 0, 'request_timeout must be > 0');
  rule(config.replicas < 1, 'replicas must be >= 1');
  rule(maxMessages < 0, `max_messages must be non-negative (got ${maxMessages})`);
  rule(maxBytes < 0, `max_bytes must be non-negative (got ${maxBytes})`);
  // What the subject and the stream are called after it.
  if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/u.test(config.prefix)) {
    throw validate.invalid(
      `jetstream.prefix must be letters, digits, "_" and "-", in parts separated by "."; ` +
        `got ${validate.describe(config.prefix)}`,
    );
  }
  return config;
}

function key(value: unknown, name: string): Uint8Array {
  return validate.hex32(value, `Invalid ${name} hex`, `${name} must be exactly 32 bytes`);
}

function parseMesh(raw: Raw<NetOptions>): MeshConfig {
  const bindAddr = meshAddress(raw.bindAddr, 'bind_addr');
  const peerAddr = meshAddress(raw.peerAddr, 'peer_addr');
  const psk = validate.hex32(raw.psk, 'Invalid psk hex', 'psk must be exactly 32 bytes');
  let publicKey: Uint8Array;
  let secretKey: Uint8Array = new Uint8Array();
  if (raw.role === 'initiator') {
    if (raw.peerPublicKey === undefined) {
      throw validate.invalid('peer_public_key is required for initiator');
    }
    publicKey = key(raw.peerPublicKey, 'peer_public_key');
  } else if (raw.role === 'responder') {
    if (raw.secretKey === undefined) throw validate.invalid('secret_key is required for responder');
    if (raw.publicKey === undefined) throw validate.invalid('public_key is required for responder');
    secretKey = key(raw.secretKey, 'secret_key');
    publicKey = key(raw.publicKey, 'public_key');
  } else {
    const shown = typeof raw.role === 'string' ? raw.role : validate.describe(raw.role);
    throw validate.invalid(`Invalid role: ${shown}. Use 'initiator' or 'responder'`);
  }
  return {
    bindAddr,
    peerAddr,
    psk,
    publicKey,
    secretKey,
    initiator: raw.role === 'initiator',
    reliable: raw.reliability === 'light' || raw.reliability === 'full',
    allowLegacy:
      raw.legacyPeers === undefined ||
      validate.oneOf(raw.legacyPeers, 'legacyPeers', ['allow', 'deny']) === 'allow',
    ...meshTimes(raw),
  };
}

function meshAddress(value: unknown, name: string): string {
  try {
    return validate.socketAddress(value, 'address', { anyPort: true });
  } catch (error) {
    const detail = (error as Error).message.replace(/^invalid address: /u, '');
    throw validate.invalid(`Invalid ${name}: ${detail}`);
  }
}

/** These the reference checks when it makes the adapter. */
function meshTimes(raw: Raw<NetOptions>): {
  heartbeatIntervalMs: number;
  sessionTimeoutMs: number;
} {
  const heartbeatIntervalMs = u32(raw.heartbeatIntervalMs, 'heartbeatIntervalMs') ?? 5000;
  const sessionTimeoutMs = u32(raw.sessionTimeoutMs, 'sessionTimeoutMs') ?? 30_000;
  const pool = u32(raw.packetPoolSize, 'packetPoolSize') ?? 64;
  const rule = (broken: boolean, words: string): void => {
    if (broken) {
      throw new BusError(`Failed to create EventBus: fatal error: invalid config: ${words}`);
    }
  };
  rule(pool === 0, 'packet_pool_size must be > 0');
  rule(pool > 16_384, `packet_pool_size ${pool} exceeds upper bound 16384`);
  rule(heartbeatIntervalMs === 0, 'heartbeat_interval must be > 0');
  rule(
    heartbeatIntervalMs < 10,
    `heartbeat_interval ${heartbeatIntervalMs}ms is below the 10ms minimum`,
  );
  rule(sessionTimeoutMs === 0, 'session_timeout must be > 0');
  rule(sessionTimeoutMs <= heartbeatIntervalMs, 'session_timeout must be > heartbeat_interval');
  return { heartbeatIntervalMs, sessionTimeoutMs };
}
