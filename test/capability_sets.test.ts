import { execFileSync } from 'node:child_process';
import path from 'node:path';

import fc from 'fast-check';

import { InvalidArgumentError } from 'netmesh';
import {
  type CapabilitySetDiff,
  type CapabilitySetWire,
  type StandardPlacement,
  RESERVED_PREFIXES,
  applyCapabilityDiff,
  diffCapabilities,
  emptyCapabilities,
  p,
  placementFilterFromFn,
  predicateToWire,
  requireAxisValue,
  requireTag,
  standardPlacement,
  startsWithReservedPrefix,
  tagFromString,
  tagFromUserString,
  tagKey,
  tagToString,
  withMetadata,
} from 'netmesh/capability-enhancements';
import {
  AXIS_SCHEMA,
  METADATA_RESERVED_KEYS,
  METADATA_RESERVED_PREFIXES,
  isReportClean,
  isReportValid,
  validateCapabilities,
} from 'netmesh/capability-schema';
import { capabilitySets, tagTexts } from './support/capability_arbitraries';

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('a tag', () => {
  test.each([
    ['hardware.gpu', { kind: 'axisPresent', axis: 'hardware', key: 'gpu' }],
    [
      'hardware.gpu.vram_gb=80',
      { kind: 'axisValue', axis: 'hardware', key: 'gpu.vram_gb', value: '80', separator: '=' },
    ],
    [
      'dataforts.region:us=east:1',
      { kind: 'axisValue', axis: 'dataforts', key: 'region', value: 'us=east:1', separator: ':' },
    ],
    ['scope:tenant:foo', { kind: 'reserved', prefix: 'scope:', body: 'tenant:foo' }],
    ['causal:', { kind: 'reserved', prefix: 'causal:', body: '' }],
    ['compute.gpu', { kind: 'legacy', raw: 'compute.gpu' }],
    ['Hardware.gpu', { kind: 'legacy', raw: 'Hardware.gpu' }],
    ['hardware', { kind: 'legacy', raw: 'hardware' }],
    ['hardware.', { kind: 'legacy', raw: 'hardware.' }],
    ['hardware.=x', { kind: 'legacy', raw: 'hardware.=x' }],
    ['hardware.gpu=', { kind: 'legacy', raw: 'hardware.gpu=' }],
    ['dataforts:blob', { kind: 'legacy', raw: 'dataforts:blob' }],
    ['nat:full-cone', { kind: 'legacy', raw: 'nat:full-cone' }],
  ])('%p is taken apart', (text, tag) => {
    // As text: the order of the properties is part of the contract.
    expect(JSON.stringify(tagFromString(text))).toBe(JSON.stringify(tag));
  });

  test('gives its text back', () => {
    fc.assert(fc.property(tagTexts, (text) => tagToString(tagFromString(text)) === text));
  });

  test('of the mesh itself is not for users', () => {
    expect(RESERVED_PREFIXES).toEqual(['causal:', 'fork-of:', 'heat:', 'scope:']);
    expect(refusal(() => tagFromUserString('scope:"x"'))).toBe(
      'tag "scope:\\"x\\"" starts with reserved prefix "scope:"; ' +
        'user code cannot emit reserved-prefix tags',
    );
    expect(startsWithReservedPrefix('heat:x')).toBe('heat:');
    expect(startsWithReservedPrefix('Heat:x')).toBeUndefined();
    expect(tagFromUserString('hardware.gpu')).toEqual(tagFromString('hardware.gpu'));
  });

  test('must not be empty', () => {
    expect(refusal(() => tagFromString(''))).toBe('tagFromString: tag must be non-empty');
    expect(refusal(() => tagFromUserString(''))).toBe('tagFromUserString: tag must be non-empty');
    expect(refusal(() => tagKey('devices', ''))).toBe(
      'tagKey: key must be non-empty (axis=devices)',
    );
    expect(tagKey('devices', 'arm')).toEqual({ axis: 'devices', key: 'arm' });
  });
});

describe('chain helpers', () => {
  test('build a set up without changing what they are given', () => {
    const empty = emptyCapabilities();
    const caps = withMetadata(
      requireAxisValue(requireTag(empty, 'hardware', 'gpu'), 'software', 'os', 'linux'),
      'intent',
      'ml-training',
    );
    expect(caps).toEqual({
      tags: ['hardware.gpu', 'software.os=linux'],
      metadata: { intent: 'ml-training' },
    });
    expect(empty).toEqual({ tags: [], metadata: {} });
    expect(emptyCapabilities()).not.toBe(emptyCapabilities());
  });

  test('tell tags apart by their bytes', () => {
    const caps = { tags: ['b', 'a', 'b', 'software.os=linux'], metadata: {} };
    expect(requireAxisValue(caps, 'software', 'os', 'linux', ':').tags).toEqual([
      'b',
      'a',
      'software.os=linux',
      'software.os:linux',
    ]);
    expect(requireAxisValue(caps, 'software', 'os', 'linux').tags).toEqual([
      'b',
      'a',
      'software.os=linux',
    ]);
    expect(withMetadata(caps, '__proto__', 'x').tags).toEqual(caps.tags);
    expect(Object.entries(withMetadata(caps, '__proto__', 'x').metadata)).toEqual([
      ['__proto__', 'x'],
    ]);
  });

  test('refuse empty names', () => {
    const caps = emptyCapabilities();
    expect(refusal(() => requireTag(caps, 'hardware', ''))).toBe(
      'requireTag: key must be non-empty',
    );
    expect(refusal(() => requireAxisValue(caps, 'hardware', '', 'x'))).toBe(
      'requireAxisValue: key must be non-empty',
    );
    expect(refusal(() => requireAxisValue(caps, 'hardware', 'x', ''))).toBe(
      'requireAxisValue: value must be non-empty',
    );
    expect(refusal(() => withMetadata(caps, '', 'x'))).toBe('withMetadata: key must be non-empty');
  });
});

describe('a difference', () => {
  const set = (...tags: string[]): CapabilitySetWire => ({ tags, metadata: {} });

  test('leads from one set to the other', () => {
    fc.assert(
      fc.property(capabilitySets, capabilitySets, (prev, curr) => {
        const copy = structuredClone(prev);
        const applied = applyCapabilityDiff(prev, diffCapabilities(prev, curr));
        const nothing: CapabilitySetDiff = {
          added_tags: [],
          removed_tags: [],
          metadata_changes: [],
        };
        expect(diffCapabilities(applied, curr)).toEqual(nothing);
        expect(diffCapabilities(curr, applied)).toEqual(nothing);
        expect(new Map(Object.entries(applied.metadata))).toEqual(
          new Map(Object.entries(curr.metadata)),
        );
        expect(prev).toEqual(copy);
        expect(diffCapabilities(prev, prev)).toEqual(nothing);
      }),
      { numRuns: 500 },
    );
  });

  test('does not see separators, but sees values come and go', () => {
    expect(diffCapabilities(set('hardware.k=v'), set('hardware.k:v')).added_tags).toEqual([]);
    expect(diffCapabilities(set('hardware.k='), set('hardware.k:')).added_tags).toEqual([]);
    expect(diffCapabilities(set(), set('hardware.k=v', 'hardware.k:v')).added_tags).toEqual([
      'hardware.k:v',
    ]);
    expect(diffCapabilities(set('hardware.k'), set('hardware.k=v'))).toMatchObject({
      added_tags: ['hardware.k=v'],
      removed_tags: ['hardware.k'],
    });
    expect(diffCapabilities(set('a.k=v'), set('a.k:v')).added_tags).toEqual(['a.k:v']);
  });

  test('sees own metadata only, and sorts it like bytes', () => {
    const metadata = JSON.parse('{"\u{1f600}":"1","\uffee":"2","__proto__":"3"}') as Record<
      string,
      string
    >;
    expect(diffCapabilities(set(), { tags: [], metadata }).metadata_changes).toEqual([
      { kind: 'added', key: '__proto__', value: '3' },
      { kind: 'added', key: '\uffee', value: '2' },
      { kind: 'added', key: '\u{1f600}', value: '1' },
    ]);
  });

  test('applies to the set that it was made from only', () => {
    const prev = { tags: ['hardware.gpu'], metadata: { owner: 'alice' } };
    const diff = diffCapabilities(prev, { tags: ['legacy'], metadata: { owner: 'bob' } });
    expect(refusal(() => applyCapabilityDiff(set(), diff))).toBe(
      'applyCapabilityDiff: the diff is of another set: there is no tag "hardware.gpu"',
    );
    const later = { tags: ['legacy', 'hardware.gpu'], metadata: { owner: 'alice' } };
    expect(refusal(() => applyCapabilityDiff(later, diff))).toMatch(
      /the tag "legacy" is there already$/,
    );
    const other = { tags: ['hardware.gpu'], metadata: { owner: 'carol' } };
    expect(refusal(() => applyCapabilityDiff(other, diff))).toMatch(
      /the metadata "owner" is "carol"$/,
    );
    expect(refusal(() => applyCapabilityDiff(set('hardware.gpu'), diff))).toMatch(
      /the metadata "owner" is not there$/,
    );
  });

  test('is refused for what is no set', () => {
    expect(refusal(() => diffCapabilities(set(''), set()))).toBe(
      'tagFromString: tag must be non-empty',
    );
    expect(refusal(() => diffCapabilities(null as never, set()))).toBe(
      'prev must be { tags, metadata }; got null',
    );
    expect(refusal(() => diffCapabilities(set(), { tags: [1], metadata: {} } as never))).toBe(
      'curr.tags[0] must be a string; got number 1',
    );
    expect(refusal(() => applyCapabilityDiff(set(), {} as never))).toBe(
      'diff.added_tags must be an array of strings; got undefined',
    );
  });
});

describe('validation', () => {
  const check = (...tags: string[]) => validateCapabilities({ tags, metadata: {} });

  test('accepts what fits and reports the rest, in order', () => {
    expect(
      isReportClean(
        check(
          ...['hardware.memory_gb=+00064', 'hardware.storage_gb=18446744073709551615'],
          ...['software.model.007.loaded=true', 'software.model.4294967295.id=x'],
          ...['software.runtime.python=3.11', 'software.tool.0.requires=a,b', 'scope:global'],
        ),
      ),
    ).toBe(true);
    const report = check(
      ...['hardware.memory_gb=1.5', 'hardware.memory_gb=18446744073709551616'],
      ...['software.runtime.python', 'software.runtime.', 'software.model.1'],
      ...['software.model.4294967296.id=x', 'software.model.-1.id=x', 'software.model.1.loaded'],
      ...['devices.arm', 'dataforts.capacity_gb=5', 'hardware.gpu=', 'x'],
    );
    expect(report.errors.map((error) => Object.values(error).join(' '))).toEqual([
      'type_mismatch hardware memory_gb number 1.5',
      'type_mismatch hardware memory_gb number 18446744073709551616',
      'type_mismatch software runtime. string <no value>',
      'index_malformed software model. 4294967296 software.model.4294967296.id=x',
      'index_malformed software model. -1 software.model.-1.id=x',
      'type_mismatch software loaded bool <no value>',
    ]);
    expect(report.warnings.map((warning) => Object.values(warning).join(' '))).toEqual([
      'unknown_key software runtime.',
      'unknown_key software model.1',
      'unknown_key devices arm',
      'unknown_key dataforts capacity_gb',
      'legacy_tag hardware.gpu=',
      'legacy_tag x',
    ]);
    expect(isReportValid(report)).toBe(false);
    expect(isReportValid(check('x'))).toBe(true);
    expect(isReportClean(check('x'))).toBe(false);
  });

  test('warns of reserved metadata and counts its bytes', () => {
    const metadata = { a: 'é'.repeat(2047) + 'x', 'tool::x': '', intent: '' };
    const { warnings } = validateCapabilities({ tags: [], metadata });
    expect(warnings).toEqual([
      { kind: 'metadata_reserved_prefix', key: 'tool::x', prefix: 'tool::' },
      { kind: 'metadata_reserved_key', key: 'intent' },
      { kind: 'metadata_oversize', soft_cap_bytes: 4096, actual_bytes: 4096 + 13 },
    ]);
    const exact = { tags: [], metadata: { a: 'x'.repeat(4095) } };
    expect(isReportClean(validateCapabilities(exact))).toBe(true);
  });

  test('follows another schema', () => {
    const devices = { keys: [{ key: 'arm', valueType: 'presence' as const }], shapes: [] };
    const schema = { ...AXIS_SCHEMA, devices };
    expect(
      isReportClean(validateCapabilities({ tags: ['devices.arm'], metadata: {} }, schema)),
    ).toBe(true);
  });

  test('is refused for what is no set', () => {
    expect(refusal(() => check(''))).toBe('tagFromString: tag must be non-empty');
    expect(refusal(() => validateCapabilities(undefined as never))).toBe(
      'caps must be { tags, metadata }; got undefined',
    );
  });

  test('has the documented schema', () => {
    expect(AXIS_SCHEMA.hardware.keys).toHaveLength(18);
    expect(
      AXIS_SCHEMA.software.shapes.map(({ prefix, subKeys }) => [prefix, subKeys.length]),
    ).toEqual([
      ['runtime.', 0],
      ['framework.', 0],
      ['driver.', 0],
      ['model.', 8],
      ['tool.', 6],
    ]);
    expect(METADATA_RESERVED_KEYS).toEqual([
      'intent',
      'colocate-with',
      'colocate-with-strict',
      'priority',
      'owner',
    ]);
    expect(METADATA_RESERVED_PREFIXES).toEqual(['tool::']);
  });
});

describe('a placement', () => {
  test('is what was asked for until it was built', () => {
    const predicate = p.numericAtLeast({ axis: 'hardware', key: 'memory_gb' }, 64);
    const builder = standardPlacement()
      .requireTag('hardware', 'gpu')
      .requireTag('hardware', 'gpu')
      .requireAxisValue('software', 'os', 'linux')
      .requireAxisValue('software', 'os', 'linux', ':')
      .forbidTag('devices', 'battery')
      .requireMetadata('owner', 'alice')
      .requireMetadata('zone', '1')
      .withPredicate(predicate)
      .withLimit(2.9)
      .withCustomFilterId('mine');
    const built = builder.build();
    const expected: StandardPlacement = {
      requireTags: ['hardware.gpu', 'hardware.gpu', 'software.os=linux', 'software.os:linux'],
      forbidTags: ['devices.battery'],
      requireMetadata: { owner: 'alice', zone: '1' },
      predicate: predicateToWire(predicate),
      limit: 2,
      customFilterId: 'mine',
    };
    expect(built).toEqual(expected);
    builder.requireTag('devices', 'arm').requireMetadata('owner', 'bob').withLimit(0);
    expect(built).toEqual(expected);
    expect(Object.isFrozen(built)).toBe(true);
    expect(builder.build()).toMatchObject({ limit: 0, requireMetadata: { owner: 'bob' } });
    expect(standardPlacement().withPredicate(predicateToWire(predicate)).build().predicate).toEqual(
      expected.predicate,
    );
    expect(Object.keys(standardPlacement().build())).toEqual([
      'requireTags',
      'forbidTags',
      'requireMetadata',
      'predicate',
    ]);
  });

  test.each([-1, NaN, Infinity, '5', undefined])('refuses the limit %p', (limit) => {
    expect(refusal(() => standardPlacement().withLimit(limit as number))).toBe(
      'StandardPlacementBuilder.withLimit: n must be non-negative finite',
    );
  });

  test('refuses what could never be placed', () => {
    const loop = p.and() as { type: 'and'; children: never[] };
    loop.children.push(loop as never);
    expect(refusal(() => standardPlacement().withCustomFilterId(''))).toBe(
      'StandardPlacementBuilder.withCustomFilterId: id must be non-empty',
    );
    refusal(() => standardPlacement().withPredicate(loop));
    refusal(() => standardPlacement().withPredicate({ nodes: [], root_idx: 0 }));
    refusal(() => standardPlacement().withPredicate(p.metadataNumericAtLeast('x', NaN)));
    refusal(() => standardPlacement().requireTag('compute' as 'hardware', 'gpu'));
    refusal(() => standardPlacement().forbidTag('hardware', ''));
    refusal(() => standardPlacement().requireMetadata('x', 5 as never));
  });

  test('names filters one after the other', () => {
    const fn = () => true;
    const first = placementFilterFromFn(fn);
    expect(first.fn).toBe(fn);
    expect(placementFilterFromFn(fn, 'mine').id).toBe('mine');
    const number = (id: string): number => Number(/^pf-(\d+)$/.exec(id)![1]);
    expect(number(placementFilterFromFn(fn).id)).toBe(number(first.id) + 1);
    refusal(() => placementFilterFromFn('x' as never));
    refusal(() => placementFilterFromFn(fn, ''));
  });
});

test('the two modules load no addon and nothing of Node.js that needs one', () => {
  const dist = path.join(__dirname, '..', 'dist');
  const script = `
    const { evaluatePredicate, p } = require('./capability-enhancements.js');
    require('./capability-schema.js');
    const loaded = Object.keys(require.cache).filter((file) => /native|\\.node$/.test(file));
    console.log(JSON.stringify([evaluatePredicate(p.and(), [], {}), loaded]));`;
  const env = { ...process.env, NETMESH_ADDON: '/nowhere', NODE_OPTIONS: '' };
  const output = execFileSync(process.execPath, ['-e', script], {
    cwd: dist,
    env,
    encoding: 'utf8',
  });
  expect(JSON.parse(output)).toEqual([true, []]);
});
