// What became of each clause of a predicate.

import { EvaluationContext, evaluateTable, type Evaluation } from './evaluate';
import type { Predicate, PredicateLeaf } from './predicate';
import { type PredicateRow, type PredicateTable, leafOf, tableOf } from './predicate_table';
import type { TagKey } from './taxonomy';

/**
 * The answer of one clause and of those of its parts that ran, in the order in which they ran. Parts
 * that could not change the answer are not there.
 */
export interface ClauseTrace {
  label: string;
  result: boolean;
  children: ClauseTrace[];
}

function nameOf({ axis, key }: TagKey): string {
  return `${axis}.${key}`;
}

function leafLabel(leaf: PredicateLeaf): string {
  switch (leaf.type) {
    case 'exists':
      return `Exists(${nameOf(leaf.key)})`;
    case 'equals':
      return `Equals(${nameOf(leaf.key)}=${leaf.value})`;
    case 'numericAtLeast':
      return `NumericAtLeast(${nameOf(leaf.key)} >= ${leaf.threshold})`;
    case 'numericAtMost':
      return `NumericAtMost(${nameOf(leaf.key)} <= ${leaf.threshold})`;
    case 'numericInRange':
      return `NumericInRange(${nameOf(leaf.key)} in [${leaf.min}, ${leaf.max}])`;
    case 'semverAtLeast':
      return `SemverAtLeast(${nameOf(leaf.key)} >= ${leaf.version})`;
    case 'semverAtMost':
      return `SemverAtMost(${nameOf(leaf.key)} <= ${leaf.version})`;
    case 'semverCompatible':
      return `SemverCompatible(${nameOf(leaf.key)} ~= ${leaf.version})`;
    case 'stringPrefix':
      return `StringPrefix(${nameOf(leaf.key)} starts with ${JSON.stringify(leaf.prefix)})`;
    case 'stringMatches':
      return `StringMatches(${nameOf(leaf.key)} contains ${JSON.stringify(leaf.pattern)})`;
    case 'metadataExists':
      return `MetadataExists(${leaf.key})`;
    case 'metadataEquals':
      return `MetadataEquals(${leaf.key}=${leaf.value})`;
    case 'metadataMatches':
      return `MetadataMatches(${leaf.key} contains ${JSON.stringify(leaf.pattern)})`;
    case 'metadataNumericAtLeast':
      return `MetadataNumericAtLeast(${leaf.key} >= ${leaf.threshold})`;
  }
}

/** The label of a row in traces and reports. */
export function labelOf(row: PredicateRow): string {
  if (row.composite === undefined) return leafLabel(leafOf(row));
  if (row.composite === 'not') return 'Not';
  return `${row.composite === 'and' ? 'And' : 'Or'}(${row.children.length} clauses)`;
}

/** Every row that ran, as one object: a row that is used twice is one trace in two places. */
function traceOf(table: PredicateTable, evaluation: Evaluation): ClauseTrace {
  const traces: ClauseTrace[] = [];
  table.forEach((row, index) => {
    const children = row.byCost
      .slice(0, evaluation.ran(index))
      .map((child) => traces[child] as ClauseTrace);
    traces.push({ label: labelOf(row), result: evaluation.verdict(index), children });
  });
  return traces[table.length - 1] as ClauseTrace;
}

/**
 * {@link evaluatePredicate}, with the verdict of every clause that ran. The cheapest parts of an `and` or
 * `or` run first.
 *
 * @throws InvalidArgumentError as {@link evaluatePredicate} does.
 */
export function evaluatePredicateWithTrace(
  pred: Predicate,
  tags: readonly string[],
  metadata: Readonly<Record<string, string>>,
): { result: boolean; trace: ClauseTrace } {
  const table = tableOf(pred);
  const evaluation = evaluateTable(table, new EvaluationContext(tags, metadata));
  return { result: evaluation.result, trace: traceOf(table, evaluation) };
}
