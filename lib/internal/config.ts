import type { NativeNodeOptions } from '../../types/native';
import type { MeshOptions, SubnetId, SubnetPolicy } from '../types';
import * as validate from './validate';

/** A checked configuration: what the addon takes, and what stays on this side. */
export interface NodeConfig {
  readonly native: NativeNodeOptions;
  readonly numShards: number;
  /** Options whose features read them later. */
  readonly features: Readonly<Pick<MeshOptions, 'reflexOverride' | 'tryPortMapping'>>;
}

/** An option for other parts of the SDK: an X25519 secret to use as the node's Noise static key. */
export const NOISE_SECRET = Symbol('netmesh.noiseSecret');

const DEFAULT_SHARDS = 4;
/** Shorter periods would only spin. */
const MIN_PERIOD_MS = 10;
/** The longest delay of a timer in Node.js. */
const MAX_MS = 0x7fff_ffff;
/** Room for one packet of the base protocol, and a limit that no sum of windows overflows. */
const MIN_WINDOW_BYTES = 16 * 1024;
const MAX_WINDOW_BYTES = 2 ** 40;
/** What every path is taken to carry, and what one UDP datagram holds. */
const MIN_DATAGRAM_BYTES = 1200;
const MAX_DATAGRAM_BYTES = 65_507;
/** Half of what one AES-256-GCM key may seal (RFC 9001 §6.6). */
const MAX_PACKETS_PER_KEY = 2 ** 22;
const MAX_BYTES_32 = 0x7fff_ffff;
const MAX_MESSAGE_BYTES = 0x4000_0000;
const MAX_RETRIES = 1000;
/** What a sweep interval of 0 stands for. */
const GC_INTERVAL_OF_ZERO_MS = 1000;

/** Checks every option before anything happens; nothing but own copies of the bytes is kept. */
export function parseConfig(input: unknown): NodeConfig {
  if (typeof input !== 'object' || input === null) {
    throw validate.invalid(`config must be an object; got ${validate.describe(input)}`);
  }
  const config = input as Partial<Record<keyof MeshOptions, unknown>>;
  return {
    native: nativeOptions(config),
    numShards: optional(config.numShards, validate.numShards) ?? DEFAULT_SHARDS,
    features: featureOptions(config),
  };
}

type RawConfig = Partial<Record<keyof MeshOptions, unknown>>;

function nativeOptions(config: RawConfig): NativeNodeOptions {
  const period = (name: keyof MeshOptions): number | undefined => {
    const value = optional(config[name], (raw) => validate.milliseconds(raw, name, 0, MAX_MS));
    return value === undefined ? undefined : Math.max(value, MIN_PERIOD_MS);
  };
  const int = (name: keyof MeshOptions, min: number, max: number): number | undefined =>
    optional(config[name], (raw) => validate.integer(raw, name, min, max));

  /** A window that is given without a cap is exact. */
  const windowCap = (
    initial: 'streamReceiveWindowBytes' | 'sessionReceiveWindowBytes',
    cap: 'maxStreamReceiveWindowBytes' | 'maxSessionReceiveWindowBytes',
  ): number | undefined => {
    const bytes = int(cap, MIN_WINDOW_BYTES, MAX_WINDOW_BYTES);
    const least = int(initial, MIN_WINDOW_BYTES, MAX_WINDOW_BYTES);
    if (bytes !== undefined && least !== undefined && bytes < least) {
      throw validate.invalid(`${cap} must not be below ${initial}; got ${bytes} and ${least}`);
    }
    return bytes ?? least;
  };

  return {
    bindAddr: validate.socketAddress(config.bindAddr, 'bind address', { anyPort: true }),
    psk: validate.psk(config.psk),
    noiseSecret: (config as { [NOISE_SECRET]?: Uint8Array })[NOISE_SECRET],
    identitySeed: optional(config.identitySeed, (raw) =>
      Uint8Array.from(validate.identitySeed(raw)),
    ),
    heartbeatIntervalMs: period('heartbeatIntervalMs'),
    sessionTimeoutMs: period('sessionTimeoutMs'),
    handshakeTimeoutMs: optional(config.handshakeTimeoutMs, (raw) =>
      validate.milliseconds(raw, 'handshakeTimeoutMs', 1, MAX_MS),
    ),
    handshakeRetries: int('handshakeRetries', 0, MAX_RETRIES),
    allowLegacyPeers: optional(
      config.legacyPeers,
      (raw) => validate.oneOf(raw, 'legacyPeers', ['allow', 'deny']) === 'allow',
    ),
    aead: optional(config.aead, (raw) =>
      validate.oneOf(raw, 'aead', ['auto', 'aes-256-gcm', 'chacha20-poly1305']),
    ),
    maxStreamReceiveWindow: windowCap('streamReceiveWindowBytes', 'maxStreamReceiveWindowBytes'),
    maxSessionReceiveWindow: windowCap('sessionReceiveWindowBytes', 'maxSessionReceiveWindowBytes'),
    maxDatagramBytes: int('maxDatagramBytes', MIN_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES),
    rekeyIntervalMs: period('rekeyIntervalMs'),
    keyUpdatePackets: int('keyUpdatePackets', 1, MAX_PACKETS_PER_KEY),
    congestion: optional(config.congestion, (raw) =>
      validate.oneOf(raw, 'congestion', ['bbr', 'cubic']),
    ),
    maxMessageBytes: int('maxMessageBytes', 1, MAX_MESSAGE_BYTES),
    streamReceiveWindow: int('streamReceiveWindowBytes', MIN_WINDOW_BYTES, MAX_WINDOW_BYTES),
    sessionReceiveWindow: int('sessionReceiveWindowBytes', MIN_WINDOW_BYTES, MAX_WINDOW_BYTES),
    maxQueuedBytes: int('maxQueuedBytes', MIN_WINDOW_BYTES, MAX_WINDOW_BYTES),
    socketBufferBytes: int('socketBufferBytes', 1, MAX_BYTES_32),
    requireSignedCapabilities: optional(config.requireSignedCapabilities, (raw) =>
      validate.boolean(raw, 'requireSignedCapabilities'),
    ),
    capabilityGcIntervalMs: optional(config.capabilityGcIntervalMs, (raw) => {
      const ms = validate.milliseconds(raw, 'capabilityGcIntervalMs', 0, MAX_MS);
      return ms === 0 ? GC_INTERVAL_OF_ZERO_MS : Math.max(ms, MIN_PERIOD_MS);
    }),
    announceIntervalMs: optional(config.announceIntervalMs, (raw) =>
      validate.milliseconds(raw, 'announceIntervalMs', 0, MAX_MS),
    ),
    tokenSweepIntervalMs: period('tokenSweepIntervalMs'),
    membershipAckTimeoutMs: period('membershipAckTimeoutMs'),
    publishTimeoutMs: period('publishTimeoutMs'),
    subnet: optional(config.subnet, subnetValue),
    subnetPolicy: optional(config.subnetPolicy, (raw) => {
      validate.subnetPolicy(raw);
      return structuredClone((raw as SubnetPolicy).rules);
    }),
  };
}

/** The levels as the addon takes them: the outermost in the most significant byte. */
function subnetValue(raw: unknown): number {
  validate.subnet(raw);
  const { levels } = raw as SubnetId;
  return [0, 1, 2, 3].reduce((value, index) => value * 256 + (levels[index] ?? 0), 0);
}

function featureOptions(config: RawConfig): NodeConfig['features'] {
  const { reflexOverride } = config;
  if (reflexOverride !== undefined) validate.socketAddress(reflexOverride, 'reflex_override');
  return {
    reflexOverride: reflexOverride as string | undefined,
    tryPortMapping: optional(config.tryPortMapping, (raw) =>
      validate.boolean(raw, 'tryPortMapping'),
    ),
  };
}

function optional<T>(value: unknown, check: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : check(value);
}
