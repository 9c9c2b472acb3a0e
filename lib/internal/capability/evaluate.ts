// Evaluation: every row of a predicate's table is answered at most once per node asked about.

import { checkMetadata, checkTags } from './capability_set';
import { parseFloat64 } from './number';
import type { Predicate, PredicateLeaf } from './predicate';
import { type PredicateTable, leafOf, tableOf } from './predicate_table';
import { type Version, compareVersions, isCompatible, parseVersion } from './semver';
import { TagIndex } from './tag_index';
import type { TagKey } from './taxonomy';
import { describe, invalid } from '../validate';

/** The tags and metadata that a predicate is asked about. */
export interface EvalContextWire {
  tags: string[];
  metadata: Record<string, string>;
}

/** A context whose tags are read when the first question about them comes. */
export class EvaluationContext {
  readonly metadata: Readonly<Record<string, string>>;
  readonly #tags: readonly string[];
  #index: TagIndex | undefined;

  /** @throws InvalidArgumentError for anything but texts. */
  constructor(tags: readonly string[], metadata: Readonly<Record<string, string>>) {
    checkTags(tags, 'tags');
    checkMetadata(metadata, 'metadata');
    this.#tags = tags;
    this.metadata = metadata;
  }

  get tags(): TagIndex {
    return (this.#index ??= new TagIndex(this.#tags));
  }
}

function someNumber(
  context: EvaluationContext,
  key: TagKey,
  test: (n: number) => boolean,
): boolean {
  return context.tags.values(key).some((value) => {
    const number = parseFloat64(value);
    return number !== undefined && test(number);
  });
}

function someVersion(
  context: EvaluationContext,
  key: TagKey,
  reference: string,
  test: (version: Version, reference: Version) => boolean,
): boolean {
  const wanted = parseVersion(reference);
  if (wanted === undefined) return false;
  return context.tags.values(key).some((value) => {
    const version = parseVersion(value);
    return version !== undefined && test(version, wanted);
  });
}

function ownValue(metadata: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(metadata, key) ? metadata[key] : undefined;
}

function evaluateLeaf(leaf: PredicateLeaf, context: EvaluationContext): boolean {
  switch (leaf.type) {
    case 'exists':
      return context.tags.has(leaf.key);
    case 'equals':
      return context.tags.values(leaf.key).includes(leaf.value);
    case 'numericAtLeast':
      return someNumber(context, leaf.key, (number) => number >= leaf.threshold);
    case 'numericAtMost':
      return someNumber(context, leaf.key, (number) => number <= leaf.threshold);
    case 'numericInRange':
      return someNumber(context, leaf.key, (number) => number >= leaf.min && number <= leaf.max);
    case 'semverAtLeast':
      return someVersion(context, leaf.key, leaf.version, (a, b) => compareVersions(a, b) >= 0);
    case 'semverAtMost':
      return someVersion(context, leaf.key, leaf.version, (a, b) => compareVersions(a, b) <= 0);
    case 'semverCompatible':
      return someVersion(context, leaf.key, leaf.version, isCompatible);
    case 'stringPrefix':
      return context.tags.values(leaf.key).some((value) => value.startsWith(leaf.prefix));
    case 'stringMatches':
      return context.tags.values(leaf.key).some((value) => value.includes(leaf.pattern));
    case 'metadataExists':
      return ownValue(context.metadata, leaf.key) !== undefined;
    case 'metadataEquals':
      return ownValue(context.metadata, leaf.key) === leaf.value;
    case 'metadataMatches':
      return ownValue(context.metadata, leaf.key)?.includes(leaf.pattern) ?? false;
    case 'metadataNumericAtLeast': {
      const value = ownValue(context.metadata, leaf.key);
      const number = value === undefined ? undefined : parseFloat64(value);
      return number !== undefined && number >= leaf.threshold;
    }
  }
}

const UNKNOWN = 0;
const FALSE = 1;
const TRUE = 2;

/** What one evaluation found out. */
export interface Evaluation {
  /** The answer of the whole predicate. */
  readonly result: boolean;
  /** The answer of a row that ran. */
  verdict(row: number): boolean;
  /** How many of a row's `byCost` children were looked at before the answer was clear. */
  ran(row: number): number;
}

/**
 * Evaluates a table, cheapest children first, until the answer is clear. The time is linear in the table,
 * also where rows are used in many places.
 */
export function evaluateTable(table: PredicateTable, context: EvaluationContext): Evaluation {
  const verdicts = new Uint8Array(table.length);
  const ran = new Uint32Array(table.length);
  const root = table.length - 1;
  const path = [root];
  for (let index = path.at(-1); index !== undefined; index = path.at(-1)) {
    const row = table[index];
    if (row === undefined) break;
    if (row.composite === undefined) {
      verdicts[index] = evaluateLeaf(leafOf(row), context) ? TRUE : FALSE;
      path.pop();
      continue;
    }
    const decisive = row.composite === 'or' ? TRUE : FALSE;
    const { byCost } = row;
    let at = ran[index] ?? 0;
    let last = UNKNOWN;
    let pending = -1;
    while (at < byCost.length) {
      const child = byCost[at] ?? 0;
      last = verdicts[child] ?? UNKNOWN;
      if (last === UNKNOWN) {
        pending = child;
        break;
      }
      at++;
      if (last === decisive) break;
    }
    ran[index] = at;
    if (pending >= 0) {
      path.push(pending);
      continue;
    }
    if (row.composite === 'not') verdicts[index] = last === TRUE ? FALSE : TRUE;
    else if (last === decisive) verdicts[index] = decisive;
    else verdicts[index] = row.composite === 'and' ? TRUE : FALSE;
    path.pop();
  }
  return {
    result: verdicts[root] === TRUE,
    verdict: (index) => verdicts[index] === TRUE,
    ran: (index) => ran[index] ?? 0,
  };
}

/**
 * Whether a predicate holds for these tags and metadata. Several values of one key: any of them may
 * satisfy a leaf. Values that are no number or version satisfy none. Takes time linear in the number of
 * different nodes of the predicate, however often it uses each of them.
 *
 * @throws InvalidArgumentError when the predicate is malformed, cyclic or has more than 65 536 nodes,
 * or the tags or metadata are no texts.
 */
export function evaluatePredicate(
  pred: Predicate,
  tags: readonly string[],
  metadata: Readonly<Record<string, string>>,
): boolean {
  return evaluateTable(tableOf(pred), new EvaluationContext(tags, metadata)).result;
}

/**
 * The rows for which the predicate holds, in their order; all of them when there is no predicate.
 *
 * @throws InvalidArgumentError as {@link evaluatePredicate} does.
 */
export function filterByPredicate<
  T extends { tags: readonly string[]; metadata: Readonly<Record<string, string>> },
>(rows: readonly T[], pred: Predicate | null | undefined): T[] {
  if (!Array.isArray(rows)) throw invalid(`rows must be an array; got ${describe(rows)}`);
  if (pred === null || pred === undefined) return [...(rows as readonly T[])];
  const table = tableOf(pred);
  return (rows as readonly T[]).filter(
    (row) => evaluateTable(table, new EvaluationContext(row?.tags, row?.metadata)).result,
  );
}
