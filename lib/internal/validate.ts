// Every check of what callers pass in. Each throws an InvalidArgumentError that says what was wrong
// and what is allowed, and none has an effect. Texts in spec 10 §15.2 are taken from there.

import { isUint8Array } from 'node:util/types';

import { InvalidArgumentError } from '../core/errors';

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const U32_MAX = 0xffff_ffff;

/** A value for a message: its type, and itself when that is short. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number' || typeof value === 'boolean') return `${typeof value} ${value}`;
  if (typeof value === 'bigint') return `bigint ${value}n`;
  if (typeof value !== 'string') return typeof value === 'object' ? 'an object' : typeof value;
  return value.length > 40 ? `a string of ${value.length} characters` : JSON.stringify(value);
}

/** A number as it is, anything else described. */
function show(value: unknown): string {
  return typeof value === 'number' ? String(value) : describe(value);
}

export function invalid(message: string): InvalidArgumentError {
  return new InvalidArgumentError(message);
}

/** An unsigned 64-bit integer. */
export function u64(value: unknown, name: string): bigint {
  if (typeof value !== 'bigint') {
    throw invalid(`expected non-negative BigInt for ${name}, got ${describe(value)}`);
  }
  if (value < 0n) throw invalid(`expected non-negative BigInt for ${name}, got ${value}n`);
  if (value > U64_MAX) throw invalid(`BigInt value exceeds u64 range: ${name} is ${value}n`);
  return value;
}

/** An unsigned 64-bit integer, which may also come as a number that is safe. */
export function u64OrInteger(value: unknown, name: string): bigint {
  return typeof value === 'number' && Number.isSafeInteger(value)
    ? u64(BigInt(value), name)
    : u64(value, name);
}

/** The value, checked, or undefined for undefined and null. */
export function optional<T, R>(value: T | null | undefined, check: (value: T) => R): R | undefined {
  return value === undefined || value === null ? undefined : check(value);
}

/** A string. */
export function string(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalid(`${name} must be a string; got ${describe(value)}`);
  return value;
}

/** An array of strings. */
export function strings(value: unknown, name: string): string[] {
  if (!Array.isArray(value)) {
    throw invalid(`${name} must be an array of strings; got ${describe(value)}`);
  }
  return value.map((each, index) => string(each, `${name}[${index}]`));
}

/** An integer between two bounds, both allowed. */
export function integer(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw invalid(`${name} must be an integer in [${min}, ${max}]; got ${show(value)}`);
  }
  return value;
}

/** A duration in milliseconds; fractions are fine. */
export function milliseconds(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw invalid(`${name} must be milliseconds in [${min}, ${max}]; got ${show(value)}`);
  }
  return value;
}

export function u32(value: unknown, name: string): number {
  return integer(value, name, 0, U32_MAX);
}

export function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean')
    throw invalid(`${name} must be a boolean; got ${describe(value)}`);
  return value;
}

/** One of a few strings. */
export function oneOf<T extends string>(value: unknown, name: string, allowed: readonly T[]): T {
  if (!allowed.includes(value as T)) {
    const list = allowed.map((each) => `"${each}"`).join(', ');
    throw invalid(`${name} must be one of ${list}; got ${describe(value)}`);
  }
  return value as T;
}

/** An object, not an array. */
export function object<T extends object>(value: T, name: string): T {
  const given: unknown = value;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid(`${name} must be an object; got ${describe(given)}`);
  }
  return value;
}

/** An options object, or nothing. */
export function optionsObject<T extends object>(value: T | undefined, name: string): Partial<T> {
  return value === undefined ? {} : object(value, name);
}

/** The `signal` of an options object. A `vm` context may have an AbortSignal of its own. */
export function abortSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  if (!isAbortSignal(value)) throw invalid(`signal must be an AbortSignal; got ${describe(value)}`);
  return value;
}

function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof value.aborted === 'boolean' &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function'
  );
}

/** 32 bytes in hexadecimal digits of either case. */
export function hex32(value: unknown, malformed: string, wrongLength: string): Uint8Array {
  if (typeof value !== 'string') {
    throw invalid(`${malformed}: expected a string, got ${describe(value)}`);
  }
  const bad = /[^0-9a-fA-F]/u.exec(value);
  if (bad) {
    throw invalid(`${malformed}: invalid character ${JSON.stringify(bad[0])} at ${bad.index}`);
  }
  if (value.length % 2 !== 0) throw invalid(`${malformed}: odd number of digits`);
  if (value.length !== 64) throw invalid(wrongLength);
  return Buffer.from(value, 'hex');
}

export function psk(value: unknown): Uint8Array {
  return hex32(value, 'invalid PSK hex', 'PSK must be 32 bytes (64 hex chars)');
}

export function publicKey(value: unknown): Uint8Array {
  return hex32(value, 'invalid public key hex', 'public key must be 32 bytes');
}

export function identitySeed(value: unknown): Uint8Array {
  if (!isUint8Array(value)) {
    throw invalid(`identity_seed must be 32 bytes, got ${describe(value)}`);
  }
  if (value.length !== 32) throw invalid(`identity_seed must be 32 bytes, got ${value.length}`);
  return value;
}

export function numShards(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 65_535) {
    throw invalid(`num_shards must be in [0, 65535]; got ${show(value)}`);
  }
  return value;
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`, 'u');
/** Shape only: the addon parses what is inside. */
const IPV6 = /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%[0-9A-Za-z]+)?$/u;

/** A literal `ip:port` or `[ipv6]:port`; host names are refused. */
export function socketAddress(
  value: unknown,
  what: string,
  options?: { anyPort: boolean },
): string {
  const syntax = `invalid ${what}: invalid socket address syntax`;
  if (typeof value !== 'string') {
    throw invalid(`${syntax}: expected "ip:port", got ${describe(value)}`);
  }
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/u.exec(value);
  const ip = parts && (parts[1] !== undefined ? IPV6.test(parts[1]) : IPV4.test(parts[2] ?? ''));
  if (!parts || !ip || Number(parts[3]) > 65_535) {
    throw invalid(`${syntax}: expected "ip:port" or "[ipv6]:port", got ${describe(value)}`);
  }
  if (Number(parts[3]) === 0 && options?.anyPort !== true) {
    throw invalid(`invalid ${what}: port must not be 0 in ${describe(value)}`);
  }
  return value;
}

export function reliability(value: unknown): boolean {
  if (value === undefined || value === 'fire_and_forget') return false;
  if (value === 'reliable') return true;
  const shown = typeof value === 'string' ? value : describe(value);
  throw invalid(`unknown reliability mode "${shown}"; expected "fire_and_forget" or "reliable"`);
}

/** A list of events; the elements are the addon's to check, see {@link badEvent}. */
export function eventList(events: unknown): readonly Uint8Array[] {
  if (!Array.isArray(events)) {
    throw invalid(`events must be an array of Buffer or Uint8Array; got ${describe(events)}`);
  }
  return events as readonly Uint8Array[];
}

/** The error for the first element that is no event, if there is one. */
export function badEvent(events: readonly unknown[]): InvalidArgumentError | undefined {
  for (let index = 0; index < events.length; index++) {
    if (!isUint8Array(events[index])) {
      return invalid(
        `events[${index}] must be a Buffer or Uint8Array; got ${describe(events[index])}`,
      );
    }
  }
  return undefined;
}

/** One event's bytes. */
export function bytes(value: unknown, name: string): Uint8Array {
  if (!isUint8Array(value)) {
    throw invalid(`${name} must be a Buffer or Uint8Array; got ${describe(value)}`);
  }
  return value;
}

/** A subnet id, with the texts of spec 30 §5.2. */
export function subnet(value: unknown): void {
  const levels = (value as { levels?: unknown } | null)?.levels;
  if (!Array.isArray(levels)) throw invalid('subnet: expected { levels: number[] }');
  if (levels.length === 0) throw invalid('subnet: levels must have at least one entry');
  if (levels.length > 4) {
    throw invalid(`subnet: levels must have at most 4 entries, got ${levels.length}`);
  }
  levels.forEach((level: unknown, index) => {
    if (!isU8(level)) throw invalid(`subnet: level ${index} value ${show(level)} exceeds u8 range`);
  });
}

/** A subnet policy, with the texts of spec 30 §5.2. */
export function subnetPolicy(value: unknown): void {
  const rules = (value as { rules?: unknown } | null)?.rules;
  if (!Array.isArray(rules)) throw invalid('subnet: expected a policy { rules: SubnetRule[] }');
  for (const rule of rules as unknown[]) subnetRule(rule);
}

function subnetRule(value: unknown): void {
  const rule = value as { tagPrefix?: unknown; level?: unknown; values?: unknown } | null;
  if (typeof rule?.tagPrefix !== 'string') throw invalid('subnet: rule needs a string tagPrefix');
  const { level, values } = rule;
  if (!isU8(level)) throw invalid(`subnet: rule level value ${show(level)} exceeds u8 range`);
  if (level > 3) throw invalid(`subnet: rule level must be 0..=3, got ${level}`);
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw invalid('subnet: rule needs values, an object of numbers');
  }
  for (const [key, each] of Object.entries(values) as Array<[string, unknown]>) {
    if (!isU8(each)) {
      throw invalid(`subnet: rule value for ${key} value ${show(each)} exceeds u8 range`);
    }
    if (each === 0) {
      throw invalid(
        `subnet: rule value for "${key}": subnet rule level_value must be in 1..=255 ` +
          '(0 is reserved for unmatched levels)',
      );
    }
  }
}

function isU8(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255;
}
