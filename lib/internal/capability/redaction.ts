// Takes what predicates ask about metadata out of reports that leave the house.

import { checkTags } from './capability_set';
import { checkReport, mergeStats, type PredicateDebugReport } from './debug_report';

/** What stands between a metadata key and the value in the labels that show one, and what ends them. */
const LABELS = [
  { begin: 'MetadataEquals(', middle: '=', end: ')', quote: '' },
  { begin: 'MetadataMatches(', middle: ' contains "', end: '")', quote: '"' },
  { begin: 'MetadataNumericAtLeast(', middle: ' >= ', end: ')', quote: '' },
] as const;

function redactLabel(label: string, keys: readonly string[]): string {
  for (const { begin, middle, end, quote } of LABELS) {
    if (!label.startsWith(begin) || !label.endsWith(end)) continue;
    for (const key of keys) {
      const head = begin + key + middle;
      if (label.startsWith(head) && label.length >= head.length + end.length) {
        return `${head}<redacted>${quote})`;
      }
    }
  }
  return label;
}

/**
 * A copy of a report in which `<redacted>` stands for every value that clauses compare metadata under
 * one of `keys` with; clauses that become equal are summed up. Values of any form are covered, also
 * empty ones and those with line breaks. Where the label leaves open where the key ends, the shortest
 * key counts, so that rather too much is taken out than too little. Labels about tags stay as they are.
 *
 * @throws InvalidArgumentError when `report` is none, or `keys` is not an array of strings.
 */
export function redactMetadataKeys(
  report: PredicateDebugReport,
  keys: readonly string[],
): PredicateDebugReport {
  checkReport(report, 'report');
  checkTags(keys, 'keys');
  const shortestFirst = [...keys].sort((a, b) => a.length - b.length);
  return {
    total_candidates: report.total_candidates,
    matched: report.matched,
    clause_stats: mergeStats(
      report.clause_stats.map((entry) => ({
        ...entry,
        label: redactLabel(entry.label, shortestFirst),
      })),
    ),
  };
}
