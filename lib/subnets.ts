/**
 * Subnets: where in the hierarchy of a mesh a node lives.
 *
 * @packageDocumentation
 */

import { addon } from './internal/native';
import { calling } from './internal/native_errors';
import * as validate from './internal/validate';
import type { SubnetId, SubnetPolicy } from './types';

export type { SubnetId, SubnetPolicy, SubnetRule } from './types';

const LEVELS = 4;

/** The whole mesh: no subnet. */
export const GLOBAL_SUBNET: SubnetId = Object.freeze({ levels: Object.freeze([0]) }) as SubnetId;

/**
 * A subnet by its levels, the outermost first.
 *
 * @throws `Error` unless there are 1–4 integers of 0–255.
 */
export function subnetId(...levels: number[]): SubnetId {
  if (levels.length < 1 || levels.length > LEVELS) {
    throw validate.invalid(`subnet: levels must have 1–4 entries, got ${levels.length}`);
  }
  levels.forEach((level: unknown, index) => {
    if (typeof level !== 'number' || !Number.isInteger(level) || level < 0 || level > 255) {
      throw validate.invalid(
        `subnet: level ${index} value ${String(level)} must be an integer in [0, 255]`,
      );
    }
  });
  return { levels };
}

/** The four levels, missing ones 0. */
function levelsOf(subnet: SubnetId): number[] {
  validate.subnet(subnet);
  return Array.from({ length: LEVELS }, (_, index) => subnet.levels[index] ?? 0);
}

/** The number of levels up to the deepest that is not zero; 0 for the whole mesh. */
export function subnetDepth(subnet: SubnetId): number {
  const levels = levelsOf(subnet);
  let depth = LEVELS;
  while (depth > 0 && levels[depth - 1] === 0) depth -= 1;
  return depth;
}

/** One level up; the whole mesh is its own parent. */
export function subnetParent(subnet: SubnetId): SubnetId {
  const depth = subnetDepth(subnet);
  const levels = levelsOf(subnet).slice(0, Math.max(depth - 1, 1));
  if (depth <= 1) levels[0] = 0;
  while (levels.length > 1 && levels[levels.length - 1] === 0) levels.pop();
  return { levels };
}

/** Whether two name the same subnet: `[3]` and `[3, 0]` do. */
export function sameSubnet(a: SubnetId, b: SubnetId): boolean {
  const other = levelsOf(b);
  return levelsOf(a).every((level, index) => level === other[index]);
}

/** Whether `descendant` is `ancestor` or lies within it. */
export function isSubnetAncestor(ancestor: SubnetId, descendant: SubnetId): boolean {
  const other = levelsOf(descendant);
  return levelsOf(ancestor)
    .slice(0, subnetDepth(ancestor))
    .every((level, index) => level === other[index]);
}

/** `global`, or the levels up to the deepest that is not zero: `3.7`. */
export function formatSubnet(subnet: SubnetId): string {
  const depth = subnetDepth(subnet);
  return depth === 0 ? 'global' : levelsOf(subnet).slice(0, depth).join('.');
}

/**
 * The subnet that a policy derives from a node's tags: what every peer with this policy takes it for.
 * In each rule the first tag, in byte order, that has the prefix and a listed value decides; later
 * rules overwrite earlier ones of the same level.
 */
export function subnetOfTags(policy: SubnetPolicy, tags: readonly string[]): SubnetId {
  validate.subnetPolicy(policy);
  if (!Array.isArray(tags) || tags.some((tag: unknown) => typeof tag !== 'string')) {
    throw validate.invalid('subnet: tags must be an array of strings');
  }
  const value = calling(() => addon().subnetOfTags(policy.rules, tags));
  const levels = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
  while (levels.length > 1 && levels[levels.length - 1] === 0) levels.pop();
  return { levels };
}
