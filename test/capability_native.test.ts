import { readFileSync } from 'node:fs';
import path from 'node:path';

import fc from 'fast-check';

import { applyCapabilityDiff, diffCapabilities, evaluatePredicate } from 'netmesh';
import { validateCapabilities } from 'netmesh/capability-schema';
import {
  evaluatePredicateWithTrace,
  predicateDebugReport,
  predicateFromRpcHeader,
  predicateFromWire,
  predicateToRpcHeader,
  predicateToWire,
  redactMetadataKeys,
  tagFromString,
  tagToString,
} from 'netmesh/capability-enhancements';
import { addon } from '../lib/internal/native';
import { capabilitySets, predicates, tagTexts } from './support/capability_arbitraries';

// One semantics in two languages: whatever is generated here has to come out the same in both.

const native = addon();

function nativeAccepts(header: string): boolean {
  try {
    native.encodePredicateHeader(header);
    return true;
  } catch (error) {
    expect((error as { code?: string }).code).toBe('ERR_NETMESH_INVALID_ARGUMENT');
    return false;
  }
}

function accepts(header: string): boolean {
  try {
    predicateFromRpcHeader(header);
    return true;
  } catch (error) {
    expect(['InvalidArgumentError', 'SyntaxError']).toContain((error as Error).name);
    return false;
  }
}

test('both evaluate every predicate alike', () => {
  fc.assert(
    fc.property(predicates, fc.array(capabilitySets, { maxLength: 5 }), (predicate, sets) => {
      const header = JSON.stringify(predicateToWire(predicate));
      fc.pre(header.length <= 1024);
      expect(native.evaluatePredicateHeader(header, sets)).toEqual(
        sets.map(({ tags, metadata }) => evaluatePredicate(predicate, tags, metadata)),
      );
    }),
    { numRuns: 2000 },
  );
});

test('each reads what the other writes', () => {
  fc.assert(
    fc.property(predicates, (predicate) => {
      const header = JSON.stringify(predicateToWire(predicate));
      fc.pre(header.length <= 1024);
      const written = native.encodePredicateHeader(predicateToRpcHeader(predicate));
      const again = predicateFromRpcHeader(written);
      // JSON.stringify turns -0 into 0, in both.
      expect(JSON.stringify(predicateToWire(again))).toBe(header);
    }),
    { numRuns: 500 },
  );
});

test('both trace, count and redact alike, letter by letter', () => {
  const keys = fc.subarray(['intent', 'owner', 'toString', '', 'é', 'a=b']);
  fc.assert(
    fc.property(
      predicates,
      fc.array(capabilitySets, { minLength: 1, maxLength: 4 }),
      keys,
      (predicate, sets, redacted) => {
        const header = JSON.stringify(predicateToWire(predicate));
        fc.pre(header.length <= 1024);
        const [first] = sets as [(typeof sets)[number]];
        expect(native.tracePredicateHeader(header, first)).toEqual(
          evaluatePredicateWithTrace(predicate, first.tags, first.metadata).trace,
        );
        expect(native.reportPredicateHeader(header, sets, [])).toEqual(
          predicateDebugReport(predicate, sets),
        );
        expect(native.reportPredicateHeader(header, sets, redacted)).toEqual(
          redactMetadataKeys(predicateDebugReport(predicate, sets), redacted),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test('both write every number of a label alike', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (threshold) => {
      const key = { axis: 'hardware', key: 'x' } as const;
      const nodes = [{ kind: 'numeric_at_least', key, threshold }];
      const header = JSON.stringify({ nodes, root_idx: 0 });
      expect(native.tracePredicateHeader(header, { tags: [], metadata: {} }).label).toBe(
        `NumericAtLeast(hardware.x >= ${threshold})`,
      );
    }),
    { numRuns: 2000 },
  );
});

test('both validate alike', () => {
  const keys = fc.constantFrom(
    ...['hardware.memory_gb', 'hardware.gpu', 'software.runtime.', 'software.runtime.node'],
    ...[
      'software.model.',
      'software.model.0.id',
      'software.model.0.loaded',
      'software.model.0x.id',
    ],
    ...[
      'software.model.4294967296.id',
      'software.tool.007.requires',
      'software.tool.1.x',
      'devices.a',
    ],
  );
  const value = fc.constantFrom(
    ...['', '=', '=x', ':true', '=false', '=18446744073709551615', '=18446744073709551616'],
    ...['=+7', '=-7', '=1.5', '=007', '=+', '=００７'],
  );
  const tag = fc.oneof(
    tagTexts,
    fc.tuple(keys, value).map(([key, text]) => key + text),
  );
  const entry = fc.tuple(
    fc.constantFrom('intent', 'tool::x', 'owner', 'é', 'mine', 'x'.repeat(3000)),
    fc.constantFrom('', 'x', 'é'.repeat(600), 'y'.repeat(4090)),
  );
  fc.assert(
    fc.property(fc.array(tag, { maxLength: 10 }), fc.array(entry), (tags, entries) => {
      const set = { tags, metadata: Object.fromEntries(entries) };
      const found = native.validateCapabilitySet(set);
      const expected = validateCapabilities(set);
      // As texts, as the order of fields counts, too; metadata comes in the order of keys in C++.
      const texts = (list: unknown[]): string[] => list.map((each) => JSON.stringify(each));
      expect(texts(found.errors)).toEqual(texts(expected.errors));
      expect(texts(found.warnings).sort()).toEqual(texts(expected.warnings).sort());
    }),
    { numRuns: 1000 },
  );
  const empty = { tags: [''], metadata: {} };
  expect(() => native.validateCapabilitySet(empty)).toThrow('capability tag must be non-empty');
});

test('both refuse the same headers', () => {
  const damage = fc.tuple(
    fc.nat(),
    fc.nat(12),
    fc.oneof(
      fc.constantFrom('"', '{', '}', '[', ']', ',', ':', '-', '1', '1.0', '1e400', '00', 'null'),
      fc.constantFrom(
        '\\',
        '\\u',
        '\\ud800',
        '\\udc00',
        '\u{feff}',
        ' ',
        '\t',
        '\u00a0',
        '\0',
        '/**/',
      ),
      fc.constantFrom('12345678901234567890123', '-0', '0.5', '4294967296', '"key":1,', '[[[[]]]]'),
    ),
  );
  fc.assert(
    fc.property(predicates, fc.array(damage, { minLength: 1, maxLength: 3 }), (predicate, all) => {
      let header = JSON.stringify(predicateToWire(predicate));
      fc.pre(header.length <= 1024);
      for (const [at, cut, insert] of all) {
        const from = at % (header.length + 1);
        header = header.slice(0, from) + insert + header.slice(from + cut);
      }
      // What travels is UTF-8: a pair that was cut in half is gone in both.
      header = Buffer.from(header).toString();
      expect([header, nativeAccepts(header)]).toEqual([header, accepts(header)]);
    }),
    { numRuns: 3000 },
  );
});

test.each([
  '',
  '[]',
  '{"nodes":[],"root_idx":0}',
  '{"nodes":[{"kind":"metadata_exists","key":"x"}],"root_idx":0,"root_idx":1}',
  '{"nodes":[{"kind":"metadata_exists","key":"x"}],"root_idx":1,"root_idx":0}',
  '{"nodes":[{"kind":"metadata_exists","key":"x"}],"root_idx":0.0}',
  '{"nodes":[{"kind":"metadata_exists","key":"x"}],"root_idx":-0}',
  '{"nodes":[{"kind":"metadata_exists","key":"x","y":"\\ud800"}],"root_idx":0}',
  '{"nodes":[{"kind":"metadata_exists","key":"x"},{"kind":"not","child":7}],"root_idx":0}',
  `{"nodes":[{"kind":"metadata_exists","key":"x"}],"root_idx":0,"z":${'['.repeat(1500)}${']'.repeat(1500)}}`,
  '['.repeat(4096),
])('both agree on the header %#', (header) => {
  expect(nativeAccepts(header)).toBe(accepts(header));
});

test('both take tags apart alike', () => {
  fc.assert(
    fc.property(tagTexts, (text) => {
      const tag = tagFromString(text);
      const { kind, axis, key, separator, value } = native.parseCapabilityTag(text);
      const joined = axis === undefined ? key + value : `${axis}.${key}${separator ?? ''}${value}`;
      expect(joined).toBe(tagToString(tag));
      // The SDK takes an axis tag with an empty part for a legacy one; rendering is the same.
      const hollow = axis !== undefined && (key === '' || (kind === 'value' && value === ''));
      const names = {
        presence: 'axisPresent',
        value: 'axisValue',
        reserved: 'reserved',
        legacy: 'legacy',
      };
      expect(tag.kind).toBe(hollow ? 'legacy' : names[kind]);
    }),
    { numRuns: 1000 },
  );
  expect(() => native.parseCapabilityTag('')).toThrow('capability tag must be non-empty');
});

test('both find the same differences', () => {
  fc.assert(
    fc.property(capabilitySets, capabilitySets, (prev, curr) => {
      const expected = diffCapabilities(prev, curr);
      const diff = native.diffCapabilitySets(prev.tags, prev.metadata, curr.tags, curr.metadata);
      expect(diff).toEqual(expected);
      const applied = applyCapabilityDiff(prev, expected);
      const rest = native.diffCapabilitySets(
        applied.tags,
        applied.metadata,
        curr.tags,
        curr.metadata,
      );
      expect(rest).toEqual({ added_tags: [], removed_tags: [], metadata_changes: [] });
    }),
    { numRuns: 1000 },
  );
});

test('a header that doubles 117 times is answered at once', () => {
  const nodes: unknown[] = [{ kind: 'metadata_exists', key: 'x' }];
  for (let level = 0; level < 117; level++) nodes.push({ kind: 'or', children: [level, level] });
  const header = JSON.stringify({ nodes, root_idx: 117 });
  expect(native.evaluatePredicateHeader(header, [{ tags: [], metadata: {} }])).toEqual([false]);
});

interface Case {
  name: string;
  [field: string]: any;
}

function cases(name: string): Array<[string, Case]> {
  const file = path.join(__dirname, 'fixtures', 'cross_lang_capability', `${name}.json`);
  const fixture = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] };
  return fixture.cases.map((each) => [each.name, each]);
}

test.each(cases('predicate_eval'))('both agree on %s', (_name, fixture) => {
  const { wire, tags, metadata, expected } = fixture;
  const header = predicateToRpcHeader(predicateFromWire(wire));
  expect(native.evaluatePredicateHeader(header, [{ tags, metadata }])).toEqual([expected]);
});

test.each(cases('placement_score'))(
  'a node scores as everywhere else: %s',
  async (_name, fixture) => {
    const { config, candidate, artifact, expected_score } = fixture;
    const nodeId = BigInt(candidate.node_id);
    const { nodes } = await native.rankPlacement(
      { scopeFilter: config.scope_filter },
      [{ nodeId, tags: candidate.tags, metadata: candidate.metadata }],
      { required: artifact.required, optional: artifact.optional },
    );
    expect(nodes).toEqual(
      expected_score === null ? [] : [{ nodeId, score: expect.closeTo(expected_score, 6) }],
    );
  },
);
