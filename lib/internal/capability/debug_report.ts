// How often each clause of a predicate ran and held, over many nodes.

import { describe, invalid } from '../validate';
import { EvaluationContext, evaluateTable, type EvalContextWire } from './evaluate';
import { byCodePoint } from './order';
import type { Predicate } from './predicate';
import { tableOf } from './predicate_table';
import { labelOf } from './trace';

/** How often the clauses of one label ran, and how often they held. */
export interface ClauseStats {
  label: string;
  evaluated: number;
  matched: number;
}

/** The statistics of a predicate over a number of nodes; clauses by label, in alphabetical order. */
export interface PredicateDebugReport {
  total_candidates: number;
  matched: number;
  clause_stats: ClauseStats[];
}

/** Sums up clauses of equal labels and sorts them. */
export function mergeStats(stats: Iterable<ClauseStats>): ClauseStats[] {
  const merged = new Map<string, ClauseStats>();
  for (const { label, evaluated, matched } of stats) {
    const entry = merged.get(label);
    if (entry === undefined) merged.set(label, { label, evaluated, matched });
    else {
      entry.evaluated += evaluated;
      entry.matched += matched;
    }
  }
  return [...merged.values()].sort((a, b) => byCodePoint(a.label, b.label));
}

/**
 * Evaluates a predicate on each of `contexts` and counts what became of its clauses. A clause that
 * is used in several places counts once for each.
 *
 * @throws InvalidArgumentError as {@link evaluatePredicate} does.
 */
export function predicateDebugReport(
  pred: Predicate,
  contexts: readonly EvalContextWire[],
): PredicateDebugReport {
  const table = tableOf(pred);
  if (!Array.isArray(contexts)) {
    throw invalid(`contexts must be an array; got ${describe(contexts)}`);
  }
  const evaluated = new Float64Array(table.length);
  const matched = new Float64Array(table.length);
  let matchedRoots = 0;
  for (const context of contexts as readonly EvalContextWire[]) {
    const evaluation = evaluateTable(table, new EvaluationContext(context.tags, context.metadata));
    if (evaluation.result) matchedRoots++;
    // Each row runs once for every way that leads to it; parents come after their children.
    const ways = new Float64Array(table.length);
    ways[table.length - 1] = 1;
    for (let index = table.length - 1; index >= 0; index--) {
      const count = ways[index] ?? 0;
      if (count === 0) continue;
      evaluated[index] = (evaluated[index] ?? 0) + count;
      if (evaluation.verdict(index)) matched[index] = (matched[index] ?? 0) + count;
      const byCost = table[index]?.byCost ?? [];
      const ran = evaluation.ran(index);
      for (let at = 0; at < ran; at++) {
        const child = byCost[at] ?? 0;
        ways[child] = (ways[child] ?? 0) + count;
      }
    }
  }
  const stats = table.map((row, index) => ({
    label: labelOf(row),
    evaluated: evaluated[index] ?? 0,
    matched: matched[index] ?? 0,
  }));
  return {
    total_candidates: contexts.length,
    matched: matchedRoots,
    clause_stats: mergeStats(stats.filter((entry) => entry.evaluated > 0)),
  };
}

/** JSON, or what it is where there is none: a value that contains itself, a bigint. */
function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? describe(value);
  } catch {
    return describe(value);
  }
}

function isStats(value: unknown): value is ClauseStats {
  const entry = value as Partial<ClauseStats> | null | undefined;
  return (
    typeof entry?.label === 'string' &&
    typeof entry.evaluated === 'number' &&
    typeof entry.matched === 'number'
  );
}

/**
 * A report that has been JSON in between; fields that are not known are left out.
 *
 * @throws InvalidArgumentError when it is none.
 */
export function predicateDebugReportFromWire(wire: unknown): PredicateDebugReport {
  const report = wire as Partial<PredicateDebugReport> | null | undefined;
  const stats: unknown = report?.clause_stats;
  if (
    typeof report?.total_candidates !== 'number' ||
    typeof report.matched !== 'number' ||
    !Array.isArray(stats)
  ) {
    throw invalid(
      'predicateDebugReportFromWire: expected ' +
        '{ total_candidates: number, matched: number, clause_stats: array }',
    );
  }
  return {
    total_candidates: report.total_candidates,
    matched: report.matched,
    clause_stats: stats.map((entry: unknown) => {
      if (!isStats(entry)) {
        throw invalid(`predicateDebugReportFromWire: bad clause_stats entry ${asJson(entry)}`);
      }
      const { label, evaluated, matched } = entry;
      return { label, evaluated, matched };
    }),
  };
}

/** Throws unless `value` is a report. */
export function checkReport(value: unknown, what: string): asserts value is PredicateDebugReport {
  const stats: unknown = (value as Partial<PredicateDebugReport> | null | undefined)?.clause_stats;
  if (!Array.isArray(stats) || !stats.every(isStats)) {
    throw invalid(`${what} must be a debug report; got ${describe(value)}`);
  }
}

function percent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(1)}%`;
}

/**
 * A report as text for a terminal, each line ended.
 *
 * @throws InvalidArgumentError when `report` is none.
 */
export function renderDebugReport(report: PredicateDebugReport): string {
  checkReport(report, 'report');
  const { total_candidates: total, matched, clause_stats: stats } = report;
  const lines = [
    'Predicate evaluation report',
    '─'.repeat(41),
    `Total candidates: ${total}`,
    `Matched:          ${matched} (${percent(matched, total)})`,
    '',
    'Per-clause stats (alphabetical):',
    ...stats.map(
      ({ label, evaluated, matched: held }) =>
        `  ${label.padEnd(60)} evaluated ${String(evaluated).padStart(5)}, ` +
        `matched ${String(held).padStart(5)} (${percent(held, evaluated)})`,
    ),
  ];
  return lines.join('\n') + '\n';
}
