// Checks of what callers pass to logs. The texts are those of spec 42 §4.3 and §4.4.

import { isUint8Array } from 'node:util/types';

import type { NativeRedexFileOptions } from '../../types/native';
import { RedexError } from '../core/errors';
import type { RedexFileConfigJs } from '../core/redex';
import { describe } from './validate';

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const U32_MAX = 0xffff_ffff;

/** Why a value is no unsigned 64-bit integer; integers that a number holds exactly are one. */
function u64Problem(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return undefined;
  if (typeof value !== 'bigint') return `expected non-negative BigInt, got ${describe(value)}`;
  if (value < 0n) return 'expected non-negative BigInt';
  return value > U64_MAX ? 'BigInt value exceeds u64 range' : undefined;
}

/** An unsigned 64-bit integer in a plain position, whose errors have no prefix. */
export function u64Argument(value: bigint | number): bigint {
  const problem = u64Problem(value);
  if (problem !== undefined) throw new Error(problem);
  return BigInt(value);
}

/** The same for an argument or option of a log, by its documented name. */
export function redexU64(value: bigint | number, field: string): bigint {
  const problem = u64Problem(value);
  if (problem !== undefined) throw new RedexError(`redex: config.${field}: ${problem}`);
  return BigInt(value);
}

/** A payload, whose bytes are read before the call returns. */
export function payloadProblem(value: unknown, name: string): string | undefined {
  if (isUint8Array(value)) return undefined;
  return `${name} must be a Buffer or Uint8Array; got ${describe(value)}`;
}

/** Like `null`, an option that is not there. */
function isUnset(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function optionalU64(value: bigint | number | null | undefined, field: string): bigint | undefined {
  return isUnset(value) ? undefined : redexU64(value, field);
}

/** What the addon opens a log with; throws a RedexError before anything happened. */
export function parseFileConfig(
  config: RedexFileConfigJs | null | undefined,
): NativeRedexFileOptions {
  if (isUnset(config)) return { persistent: false };
  if (typeof config !== 'object' || Array.isArray(config)) {
    throw new RedexError(`redex: config: expected an object, got ${describe(config)}`);
  }
  const { persistent, fsyncIntervalMs } = config;
  if (!isUnset(persistent) && typeof persistent !== 'boolean') {
    throw new RedexError(
      `redex: config.persistent: expected a boolean, got ${describe(persistent)}`,
    );
  }
  const fsyncEveryN = optionalU64(config.fsyncEveryN, 'fsync_every_n');
  if (fsyncEveryN !== undefined && !isUnset(fsyncIntervalMs)) {
    throw new RedexError(
      'redex: config: fsync_every_n and fsync_interval_ms are mutually exclusive',
    );
  }
  if (fsyncEveryN === 0n) throw new RedexError('redex: config: fsync_every_n must be > 0');
  let interval: bigint | undefined;
  if (!isUnset(fsyncIntervalMs)) {
    if (fsyncIntervalMs === 0) throw new RedexError('redex: config: fsync_interval_ms must be > 0');
    if (!Number.isInteger(fsyncIntervalMs) || fsyncIntervalMs < 0 || fsyncIntervalMs > U32_MAX) {
      throw new RedexError(
        `redex: config.fsync_interval_ms: expected an integer in [1, ${U32_MAX}], ` +
          `got ${describe(fsyncIntervalMs)}`,
      );
    }
    interval = BigInt(fsyncIntervalMs);
  }
  return {
    persistent: persistent ?? false,
    fsyncEveryN,
    fsyncIntervalMs: interval,
    retentionMaxEvents: optionalU64(config.retentionMaxEvents, 'retention_max_events'),
    retentionMaxBytes: optionalU64(config.retentionMaxBytes, 'retention_max_bytes'),
    retentionMaxAgeMs: optionalU64(config.retentionMaxAgeMs, 'retention_max_age_ms'),
  };
}
