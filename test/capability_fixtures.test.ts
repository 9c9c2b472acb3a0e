import { readFileSync } from 'node:fs';
import path from 'node:path';

import {
  type PredicateWire,
  RPC_WHERE_HEADER,
  diffCapabilities,
  evaluatePredicate,
  evaluatePredicateWithTrace,
  placementFilterFromFn,
  predicateDebugReport,
  predicateDebugReportFromWire,
  predicateFromRpcHeader,
  predicateFromWire,
  predicateToRpcHeader,
  predicateToWire,
  redactMetadataKeys,
} from 'netmesh/capability-enhancements';
import { METADATA_SOFT_CAP_BYTES, validateCapabilities } from 'netmesh/capability-schema';

// The vectors that every implementation of the protocol shares.

interface Fixture {
  abi_version_expected: number;
  header_name?: string;
  schema_metadata_soft_cap_bytes?: number;
  cases: Array<{ name: string } & Record<string, any>>;
}

function load(name: string, abi: number, cases: number): Fixture {
  const file = path.join(__dirname, 'fixtures', 'cross_lang_capability', `${name}.json`);
  const fixture = JSON.parse(readFileSync(file, 'utf8')) as Fixture;
  expect(fixture.abi_version_expected).toBe(abi);
  expect(fixture.cases).toHaveLength(cases);
  return fixture;
}

function byName(fixture: Fixture): Array<[string, Record<string, any>]> {
  return fixture.cases.map((each) => [each.name, each]);
}

const envelope = load('predicate_nrpc_envelope', 2, 18);

describe('a predicate survives the wire', () => {
  test('under the documented header', () => {
    expect(envelope.header_name).toBe(RPC_WHERE_HEADER);
    const wires = envelope.cases.map(({ wire }) => wire as PredicateWire);
    const kinds = wires.flatMap(({ nodes }) => nodes.map(({ kind }) => kind));
    expect(new Set(kinds).size).toBe(17);
  });

  test.each(byName(envelope))('%s', (_name, { wire }) => {
    const predicate = predicateFromWire(wire);
    expect(predicateToWire(predicate)).toEqual(wire);
    expect(predicateFromRpcHeader(predicateToRpcHeader(predicate))).toEqual(predicate);
    expect(JSON.parse(predicateToRpcHeader(predicate))).toEqual(wire);
  });
});

describe('a predicate evaluates as everywhere else', () => {
  test.each(byName(load('predicate_eval', 1, 40)))('%s', (_name, fixture) => {
    const { wire, tags, metadata, expected } = fixture;
    const predicate = predicateFromWire(wire);
    expect(evaluatePredicate(predicate, tags, metadata)).toBe(expected);
    const filter = placementFilterFromFn((candidate) =>
      evaluatePredicate(predicate, candidate.tags, candidate.metadata),
    );
    expect(filter.fn({ nodeId: 1n, tags, metadata })).toBe(expected);
  });
});

describe('a trace is the same as everywhere else', () => {
  test.each(byName(load('predicate_trace', 1, 8)))('%s', (_name, fixture) => {
    const { wire, tags, metadata, expected_result, expected_trace } = fixture;
    expect(evaluatePredicateWithTrace(predicateFromWire(wire), tags, metadata)).toEqual({
      result: expected_result,
      trace: expected_trace,
    });
  });
});

describe('a report counts as everywhere else', () => {
  test.each(byName(load('predicate_debug_report', 1, 6)))('%s', (_name, fixture) => {
    expect(predicateDebugReport(predicateFromWire(fixture.wire), fixture.contexts)).toEqual({
      total_candidates: fixture.expected_total_candidates,
      matched: fixture.expected_matched,
      clause_stats: fixture.expected_clause_stats,
    });
  });
});

describe('a report is redacted as everywhere else', () => {
  test.each(byName(load('predicate_debug_report_redacted', 1, 8)))('%s', (_name, fixture) => {
    const { report, redact_keys, redacted_report } = fixture;
    const redacted = redactMetadataKeys(predicateDebugReportFromWire(report), redact_keys);
    expect(predicateDebugReportFromWire(report)).toEqual(report);
    expect(redacted).toEqual(redacted_report);
    expect(redactMetadataKeys(redacted, redact_keys)).toEqual(redacted);
  });
});

const validation = load('capability_validation', 1, 16);

describe('a capability set is validated as everywhere else', () => {
  const canonical = (list: unknown[]): string[] => list.map((each) => JSON.stringify(each)).sort();

  test('with the documented cap', () => {
    expect(validation.schema_metadata_soft_cap_bytes).toBe(METADATA_SOFT_CAP_BYTES);
  });

  test.each(byName(validation))('%s', (_name, { caps, expected_errors, expected_warnings }) => {
    const { errors, warnings } = validateCapabilities(caps);
    // As texts: the order of the properties is part of the contract.
    expect(canonical(errors)).toEqual(canonical(expected_errors));
    expect(canonical(warnings)).toEqual(canonical(expected_warnings));
  });
});

describe('a difference is the same as everywhere else', () => {
  test.each(byName(load('capability_set_diff', 1, 11)))('%s', (_name, fixture) => {
    expect(diffCapabilities(fixture.prev, fixture.curr)).toEqual({
      added_tags: fixture.expected_added_tags,
      removed_tags: fixture.expected_removed_tags,
      metadata_changes: fixture.expected_metadata_changes,
    });
  });
});
