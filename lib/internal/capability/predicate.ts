// The predicate tree and the functions that build it.

import type { TagKey } from './taxonomy';

/** A question about the tags and metadata of a node; {@link p} builds them. */
export type Predicate =
  | { type: 'exists'; key: TagKey }
  | { type: 'equals'; key: TagKey; value: string }
  | { type: 'numericAtLeast'; key: TagKey; threshold: number }
  | { type: 'numericAtMost'; key: TagKey; threshold: number }
  | { type: 'numericInRange'; key: TagKey; min: number; max: number }
  | { type: 'semverAtLeast'; key: TagKey; version: string }
  | { type: 'semverAtMost'; key: TagKey; version: string }
  | { type: 'semverCompatible'; key: TagKey; version: string }
  | { type: 'stringPrefix'; key: TagKey; prefix: string }
  | { type: 'stringMatches'; key: TagKey; pattern: string }
  | { type: 'metadataExists'; key: string }
  | { type: 'metadataEquals'; key: string; value: string }
  | { type: 'metadataMatches'; key: string; pattern: string }
  | { type: 'metadataNumericAtLeast'; key: string; threshold: number }
  | { type: 'and'; children: Predicate[] }
  | { type: 'or'; children: Predicate[] }
  | { type: 'not'; child: Predicate };

/** A predicate without parts. */
export type PredicateLeaf = Exclude<Predicate, { type: 'and' | 'or' | 'not' }>;

/** Builds predicates. Nothing is checked here: evaluating and encoding do that. */
export const p = {
  /** A tag with this key is there, with or without a value. */
  exists: (key: TagKey): Predicate => ({ type: 'exists', key }),
  /** A value of the key is exactly `value`. */
  equals: (key: TagKey, value: string): Predicate => ({ type: 'equals', key, value }),
  /** A value of the key is a number of at least `threshold`. */
  numericAtLeast: (key: TagKey, threshold: number): Predicate => ({
    type: 'numericAtLeast',
    key,
    threshold,
  }),
  /** A value of the key is a number of at most `threshold`. */
  numericAtMost: (key: TagKey, threshold: number): Predicate => ({
    type: 'numericAtMost',
    key,
    threshold,
  }),
  /** A value of the key is a number from `min` to `max`, both included. */
  numericInRange: (key: TagKey, min: number, max: number): Predicate => ({
    type: 'numericInRange',
    key,
    min,
    max,
  }),
  /** A value of the key is a version not before `version`. */
  semverAtLeast: (key: TagKey, version: string): Predicate => ({
    type: 'semverAtLeast',
    key,
    version,
  }),
  /** A value of the key is a version not after `version`. */
  semverAtMost: (key: TagKey, version: string): Predicate => ({
    type: 'semverAtMost',
    key,
    version,
  }),
  /** A value of the key is a version that `^version` allows. */
  semverCompatible: (key: TagKey, version: string): Predicate => ({
    type: 'semverCompatible',
    key,
    version,
  }),
  /** A value of the key begins with `prefix`. */
  stringPrefix: (key: TagKey, prefix: string): Predicate => ({ type: 'stringPrefix', key, prefix }),
  /** A value of the key contains `pattern`, taken literally. */
  stringMatches: (key: TagKey, pattern: string): Predicate => ({
    type: 'stringMatches',
    key,
    pattern,
  }),
  /** The metadata has the key. */
  metadataExists: (key: string): Predicate => ({ type: 'metadataExists', key }),
  /** The metadata has the key with exactly `value`. */
  metadataEquals: (key: string, value: string): Predicate => ({
    type: 'metadataEquals',
    key,
    value,
  }),
  /** The metadata has the key, and its value contains `pattern`, taken literally. */
  metadataMatches: (key: string, pattern: string): Predicate => ({
    type: 'metadataMatches',
    key,
    pattern,
  }),
  /** The metadata has the key, and its value is a number of at least `threshold`. */
  metadataNumericAtLeast: (key: string, threshold: number): Predicate => ({
    type: 'metadataNumericAtLeast',
    key,
    threshold,
  }),
  /** All hold; true without any. */
  and: (...children: Predicate[]): Predicate => ({ type: 'and', children }),
  /** At least one holds; false without any. */
  or: (...children: Predicate[]): Predicate => ({ type: 'or', children }),
  /** `child` does not hold. */
  not: (child: Predicate): Predicate => ({ type: 'not', child }),
} as const;
