// What every kind of predicate node is called on either side of the wire, what it holds and what it
// costs: the one table behind checking, encoding and decoding.

import { describe, invalid } from '../validate';
import type { PredicateLeaf } from './predicate';

type FieldType = 'tagKey' | 'string' | 'number';

interface LeafShape {
  /** The name on the wire. */
  readonly kind: string;
  /** In their order on the wire. */
  readonly fields: ReadonlyArray<readonly [name: string, type: FieldType]>;
  /** How much dearer than others it is to evaluate; part of the protocol, as traces show the order. */
  readonly cost: number;
}

const KEY = ['key', 'tagKey'] as const;
const METADATA_KEY = ['key', 'string'] as const;
const VALUE = ['value', 'string'] as const;
const THRESHOLD = ['threshold', 'number'] as const;
const VERSION = ['version', 'string'] as const;
const PATTERN = ['pattern', 'string'] as const;

export const LEAF_SHAPES: Readonly<Record<PredicateLeaf['type'], LeafShape>> = {
  exists: { kind: 'exists', fields: [KEY], cost: 20 },
  equals: { kind: 'equals', fields: [KEY, VALUE], cost: 21 },
  numericAtLeast: { kind: 'numeric_at_least', fields: [KEY, THRESHOLD], cost: 30 },
  numericAtMost: { kind: 'numeric_at_most', fields: [KEY, THRESHOLD], cost: 30 },
  numericInRange: {
    kind: 'numeric_in_range',
    fields: [KEY, ['min', 'number'], ['max', 'number']],
    cost: 30,
  },
  semverAtLeast: { kind: 'semver_at_least', fields: [KEY, VERSION], cost: 60 },
  semverAtMost: { kind: 'semver_at_most', fields: [KEY, VERSION], cost: 60 },
  semverCompatible: { kind: 'semver_compatible', fields: [KEY, VERSION], cost: 60 },
  stringPrefix: { kind: 'string_prefix', fields: [KEY, ['prefix', 'string']], cost: 40 },
  stringMatches: { kind: 'string_matches', fields: [KEY, PATTERN], cost: 50 },
  metadataExists: { kind: 'metadata_exists', fields: [METADATA_KEY], cost: 10 },
  metadataEquals: { kind: 'metadata_equals', fields: [METADATA_KEY, VALUE], cost: 11 },
  metadataMatches: { kind: 'metadata_matches', fields: [METADATA_KEY, PATTERN], cost: 45 },
  metadataNumericAtLeast: {
    kind: 'metadata_numeric_at_least',
    fields: [METADATA_KEY, THRESHOLD],
    cost: 25,
  },
};

/** Costs of composites stop here. */
export const MAX_COST = 0xffff_ffff;

/** Distinct nodes of one predicate. A header holds about 150; deep trees of 10 000 are fine. */
export const MAX_PREDICATE_NODES = 65_536;

export function isLeafType(type: unknown): type is PredicateLeaf['type'] {
  return typeof type === 'string' && Object.hasOwn(LEAF_SHAPES, type);
}

/** A type's name on the wire and back. */
export const LEAF_TYPE_OF_KIND: ReadonlyMap<string, PredicateLeaf['type']> = new Map(
  Object.entries(LEAF_SHAPES).map(([type, { kind }]) => [kind, type as PredicateLeaf['type']]),
);

/** Throws unless the fields of a leaf, on either side, have the types that `type` asks for. */
export function checkLeafFields(
  type: PredicateLeaf['type'],
  node: Readonly<Record<string, unknown>>,
  where: string,
): void {
  for (const [name, fieldType] of LEAF_SHAPES[type].fields) {
    const value = node[name];
    if (fieldType === 'tagKey') checkTagKey(value, where);
    else if (typeof value !== fieldType) {
      throw invalid(`${where}: ${name} must be a ${fieldType}; got ${describe(value)}`);
    }
  }
}

function checkTagKey(value: unknown, where: string): void {
  const key = value as { axis?: unknown; key?: unknown } | null | undefined;
  if (typeof key?.axis !== 'string' || typeof key.key !== 'string') {
    throw invalid(`${where}: key must be { axis, key }, two strings; got ${describe(value)}`);
  }
}
