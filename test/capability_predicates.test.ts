import fc from 'fast-check';

import { InvalidArgumentError } from 'netmesh';
import {
  type ClauseTrace,
  type Predicate,
  type PredicateWire,
  type TagKey,
  TAXONOMY_AXES,
  evaluatePredicate,
  evaluatePredicateWithTrace,
  filterByPredicate,
  p,
  predicateDebugReport,
  predicateDebugReportFromWire,
  predicateFromRpcHeader,
  predicateFromRpcHeaders,
  predicateFromWire,
  predicateToRpcHeader,
  predicateToWire,
  redactMetadataKeys,
  renderDebugReport,
  whereHeader,
} from 'netmesh/capability-enhancements';
import { capabilitySets, predicates } from './support/capability_arbitraries';

const gpu: TagKey = { axis: 'hardware', key: 'gpu' };
const memory: TagKey = { axis: 'hardware', key: 'memory_gb' };
const python: TagKey = { axis: 'software', key: 'runtime.python' };

function refusal(action: () => unknown): InvalidArgumentError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    return error as InvalidArgumentError;
  }
  throw new Error('nothing was thrown');
}

// --- a second opinion: recursive, without indices, from the documented rules alone ---

function naiveValues(tags: readonly string[], { axis, key }: TagKey): string[] {
  return tags.flatMap((tag) => {
    const match = /^([a-z]+)\.([^=:]*)[=:]([^]*)$/u.exec(tag);
    return match?.[1] === axis && match[2] === key ? [match[3]!] : [];
  });
}

function naiveNumber(text: string): number {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) {
    if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
    return NaN;
  }
  return parseFloat(text);
}

function naiveVersion(text: string): bigint[] | undefined {
  const parts = text.split(/[-+]/)[0]!.split('.');
  // White_Space of Unicode: JavaScript's, with NEL and without the byte order mark.
  const trimmed = parts.map((part) =>
    part.replace(/^(?:(?!\ufeff)[\s\u0085])+|(?:(?!\ufeff)[\s\u0085])+$/gu, ''),
  );
  if (trimmed.length > 3 || !trimmed.every((part) => /^\d+$/.test(part))) return undefined;
  const numbers = [...trimmed, '0', '0'].slice(0, 3).map(BigInt);
  return numbers.every((number) => number < 2n ** 64n) ? numbers : undefined;
}

function naiveOrder(a: bigint[], b: bigint[]): number {
  const at = a.findIndex((part, index) => part !== b[index]);
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1;
}

function naiveSemver(pred: Predicate & { version: string }, value: string): boolean {
  const have = naiveVersion(value);
  const want = naiveVersion(pred.version);
  if (!have || !want) return false;
  const order = naiveOrder(have, want);
  if (pred.type === 'semverAtLeast') return order >= 0;
  if (pred.type === 'semverAtMost') return order <= 0;
  const fixed = want[0]! > 0n ? 1 : want[1]! > 0n ? 2 : 3;
  return order >= 0 && have.slice(0, fixed).join() === want.slice(0, fixed).join();
}

function naive(pred: Predicate, tags: string[], metadata: Record<string, string>): boolean {
  const some = (test: (value: string) => boolean): boolean =>
    naiveValues(tags, (pred as { key: TagKey }).key).some(test);
  const own = (test: (value: string) => boolean): boolean => {
    const entry = Object.entries(metadata).find(([key]) => key === (pred as { key: string }).key);
    return entry !== undefined && test(entry[1]);
  };
  switch (pred.type) {
    case 'and':
      return pred.children.every((child) => naive(child, tags, metadata));
    case 'or':
      return pred.children.some((child) => naive(child, tags, metadata));
    case 'not':
      return !naive(pred.child, tags, metadata);
    case 'exists': {
      const { axis, key } = pred.key;
      return some(() => true) || (!/[=:]/.test(key) && tags.includes(`${axis}.${key}`));
    }
    case 'equals':
      return some((value) => value === pred.value);
    case 'numericAtLeast':
      return some((value) => naiveNumber(value) >= pred.threshold);
    case 'numericAtMost':
      return some((value) => naiveNumber(value) <= pred.threshold);
    case 'numericInRange':
      return some((value) => naiveNumber(value) >= pred.min && naiveNumber(value) <= pred.max);
    case 'semverAtLeast':
    case 'semverAtMost':
    case 'semverCompatible':
      return some((value) => naiveSemver(pred, value));
    case 'stringPrefix':
      return some((value) => value.startsWith(pred.prefix));
    case 'stringMatches':
      return some((value) => value.includes(pred.pattern));
    case 'metadataExists':
      return own(() => true);
    case 'metadataEquals':
      return own((value) => value === pred.value);
    case 'metadataMatches':
      return own((value) => value.includes(pred.pattern));
    case 'metadataNumericAtLeast':
      return own((value) => naiveNumber(value) >= pred.threshold);
  }
}

describe('evaluation', () => {
  test('agrees with a naive interpreter', () => {
    fc.assert(
      fc.property(predicates, capabilitySets, (predicate, { tags, metadata }) => {
        expect(evaluatePredicate(predicate, tags, metadata)).toBe(naive(predicate, tags, metadata));
      }),
      { numRuns: 2000 },
    );
  });

  test('and its trace and its report agree', () => {
    fc.assert(
      fc.property(predicates, fc.array(capabilitySets, { maxLength: 4 }), (predicate, sets) => {
        const counts = new Map<string, { evaluated: number; matched: number }>();
        const count = ({ label, result, children }: ClauseTrace): void => {
          const entry = counts.get(label) ?? { evaluated: 0, matched: 0 };
          counts.set(label, entry);
          entry.evaluated++;
          if (result) entry.matched++;
          children.forEach(count);
        };
        let matched = 0;
        for (const { tags, metadata } of sets) {
          const { result, trace } = evaluatePredicateWithTrace(predicate, tags, metadata);
          expect(result).toBe(evaluatePredicate(predicate, tags, metadata));
          expect(trace.result).toBe(result);
          if (result) matched++;
          count(trace);
        }
        const report = predicateDebugReport(predicate, sets);
        expect(report).toMatchObject({ total_candidates: sets.length, matched });
        expect(Object.fromEntries(counts)).toEqual(
          Object.fromEntries(report.clause_stats.map(({ label, ...rest }) => [label, rest])),
        );
      }),
    );
  });

  test.each([
    ['2.3.5', '2.1.0', true],
    ['2.0.0', '1.13.0', false],
    ['0.5.1', '0.4.0', false],
    ['0.2.5', '0.2.3', true],
    ['1.2.5', '0.2.3', false],
    ['0.0.4', '0.0.3', false],
    ['0.0.3', '0.0.3', true],
    ['1.2.3-rc1', '1.2.3', true],
    ['v1.2.3', '1.2.3', false],
    ['1.2.3.4', '1', false],
  ])('finds %p compatible with %p: %p', (value, version, expected) => {
    const tags = [`software.runtime.python=${value}`];
    expect(evaluatePredicate(p.semverCompatible(python, version), tags, {})).toBe(expected);
  });

  test.each(['1', '1.', '.5', '+1500', '1e6', '1.5e-3', 'inf', 'Infinity', '+INF'])(
    'takes %p for a positive number',
    (value) => {
      expect(
        evaluatePredicate(p.numericAtLeast(memory, 1e-9), [`hardware.memory_gb=${value}`], {}),
      ).toBe(true);
    },
  );

  test.each(['', ' 5 ', '0x1p3', '0x10', '0b11', '0o7', '1_000', '1abc', '1e', '.', 'NaN', '5\n'])(
    'takes %p for no number',
    (value) => {
      const tags = [`hardware.memory_gb=${value}`];
      const leaf = p.numericInRange(memory, -Infinity, Infinity);
      expect(evaluatePredicate(leaf, tags, {})).toBe(false);
      expect(evaluatePredicate(p.not(leaf), tags, {})).toBe(true);
    },
  );

  test('lets any of several values of a key satisfy a leaf', () => {
    const tags = ['hardware.memory_gb=8', 'hardware.memory_gb:128'];
    expect(evaluatePredicate(p.numericAtLeast(memory, 64), tags, {})).toBe(true);
    expect(evaluatePredicate(p.equals(memory, '128'), tags, {})).toBe(true);
  });

  test('finds no value in a tag that has none', () => {
    for (const leaf of [p.equals(gpu, ''), p.stringPrefix(gpu, ''), p.stringMatches(gpu, '')]) {
      expect(evaluatePredicate(leaf, ['hardware.gpu'], {})).toBe(false);
      expect(evaluatePredicate(leaf, ['hardware.gpu='], {})).toBe(true);
    }
    expect(evaluatePredicate(p.exists(gpu), ['hardware.gpu'], {})).toBe(true);
    expect(evaluatePredicate(p.exists(gpu), ['hardware.gpu.vendor=x', 'gpu'], {})).toBe(false);
  });

  test('sees own metadata only', () => {
    for (const key of ['toString', '__proto__', 'constructor']) {
      expect(evaluatePredicate(p.metadataExists(key), [], {})).toBe(false);
      const own = JSON.parse(`{"${key}": "x"}`) as Record<string, string>;
      expect(evaluatePredicate(p.metadataEquals(key, 'x'), [], own)).toBe(true);
    }
  });

  test('never lets NaN compare', () => {
    const tags = ['hardware.memory_gb=nan'];
    expect(evaluatePredicate(p.numericAtLeast(memory, 0), tags, {})).toBe(false);
    expect(evaluatePredicate(p.numericAtLeast(memory, NaN), ['hardware.memory_gb=1'], {})).toBe(
      false,
    );
  });

  test('keeps the rows that match, in their order', () => {
    const rows = [1, 128, 64].map((gb) => ({ tags: [`hardware.memory_gb=${gb}`], metadata: {} }));
    expect(filterByPredicate(rows, p.numericAtLeast(memory, 64))).toEqual([rows[1], rows[2]]);
    expect(filterByPredicate(rows, null)).toEqual(rows);
    expect(filterByPredicate(rows, undefined)).not.toBe(rows);
  });
});

describe('a deep or entangled predicate', () => {
  /** Every level uses the one below twice: 2^levels leaves when it is written out. */
  function bomb(levels: number): PredicateWire {
    const nodes: PredicateWire['nodes'] = [{ kind: 'metadata_exists', key: 'x' }];
    for (let level = 0; level < levels; level++)
      nodes.push({ kind: 'and', children: [level, level] });
    return { nodes, root_idx: nodes.length - 1 };
  }

  test('that doubles 117 times fits a header and is evaluated, traced and counted at once', () => {
    const header = JSON.stringify(bomb(117));
    expect(header.length).toBeLessThanOrEqual(4096);
    const predicate = predicateFromRpcHeader(header);
    expect(evaluatePredicate(predicate, [], { x: '' })).toBe(true);
    expect(evaluatePredicate(predicate, [], {})).toBe(false);

    const { trace } = evaluatePredicateWithTrace(predicate, [], { x: '' });
    let depth = 0;
    for (let at: ClauseTrace | undefined = trace; at; at = at.children[1]) depth++;
    expect(depth).toBe(118);

    const report = predicateDebugReport(predicate, [{ tags: [], metadata: { x: '' } }]);
    expect(report.clause_stats.find(({ label }) => label === 'MetadataExists(x)')).toEqual({
      label: 'MetadataExists(x)',
      evaluated: 2 ** 117,
      matched: 2 ** 117,
    });
    expect(refusal(() => predicateToWire(predicate)).message).toBe(
      'predicate has more than 65536 nodes when it is written out',
    );
  });

  /** How often a predicate asks for metadata. */
  function questions(predicate: Predicate): number {
    let asked = 0;
    const metadata = new Proxy<Record<string, string>>(
      { x: '' },
      {
        get: (target, key) => {
          asked++;
          return Reflect.get(target, key) as unknown;
        },
      },
    );
    expect(evaluatePredicate(predicate, [], metadata)).toBe(true);
    return asked;
  }

  test('asks no more often than it has different nodes', () => {
    // The check of the argument looks at the one key, too.
    const once = questions(p.metadataExists('x'));
    for (const levels of [1, 10, 117, 50_000]) {
      expect(questions(predicateFromWire(bomb(levels)))).toBe(once);
    }
    const leaves = Array.from({ length: 1000 }, () => p.metadataExists('x'));
    expect(questions(p.and(...leaves))).toBe(once + 999);
    expect(questions(p.and(...leaves, ...leaves, p.or(...leaves)))).toBe(once + 999);
  });

  test('of 50 000 levels survives the wire', () => {
    let deep = p.metadataExists('x');
    for (let level = 0; level < 50_000; level++) deep = p.not(deep);
    const wire = predicateToWire(deep);
    expect(wire.nodes).toHaveLength(50_001);
    expect(evaluatePredicate(predicateFromWire(wire), [], { x: '' })).toBe(true);
    expect(evaluatePredicateWithTrace(deep, [], {}).result).toBe(false);
  });

  test('of more than 65 536 nodes is refused', () => {
    const wide = p.or(...Array.from({ length: 65_536 }, (_, i) => p.metadataExists(String(i))));
    expect(refusal(() => evaluatePredicate(wide, [], {})).message).toBe(
      'predicate has more than 65536 nodes',
    );
    const nodes = Array.from({ length: 65_537 }, () => ({ kind: 'metadata_exists', key: '' }));
    expect(refusal(() => predicateFromWire({ nodes, root_idx: 0 } as PredicateWire)).message).toBe(
      'predicateFromWire: more than 65536 nodes',
    );
  });

  test('that contains itself is refused everywhere', () => {
    const loop = p.and(p.metadataExists('x')) as Predicate & { children: Predicate[] };
    loop.children.push(p.not(p.or(loop)));
    const actions = [
      () => evaluatePredicate(loop, [], {}),
      () => evaluatePredicateWithTrace(loop, [], {}),
      () => predicateDebugReport(loop, []),
      () => predicateToWire(loop),
      () => predicateToRpcHeader(loop),
    ];
    for (const action of actions) {
      expect(refusal(action).message).toBe('predicate is cyclic: it contains itself');
    }
  });

  test('that uses a part twice writes it twice', () => {
    const part = p.exists(gpu);
    expect(predicateToWire(p.and(part, p.not(part)))).toEqual({
      nodes: [
        { kind: 'exists', key: gpu },
        { kind: 'exists', key: gpu },
        { kind: 'not', child: 1 },
        { kind: 'and', children: [0, 2] },
      ],
      root_idx: 3,
    });
  });
});

describe('the wire form', () => {
  test('gives every predicate back', () => {
    fc.assert(
      fc.property(predicates, (predicate) => {
        const wire = predicateToWire(predicate);
        expect(wire.root_idx).toBe(wire.nodes.length - 1);
        expect(predicateFromWire(wire)).toEqual(predicate);
        expect(predicateToWire(predicateFromWire(wire))).toEqual(wire);
        // JSON knows no -0.
        const json = JSON.parse(JSON.stringify(wire)) as PredicateWire;
        expect(JSON.stringify(predicateToWire(predicateFromWire(json)))).toBe(JSON.stringify(wire));
      }),
    );
  });

  test('has the documented bytes', () => {
    expect(whereHeader(p.exists(gpu))).toEqual({
      name: 'net-where',
      value: Buffer.from(
        '7b226e6f646573223a5b7b226b696e64223a22657869737473222c226b6579223a7b2261786973223a226861' +
          '726477617265222c226b6579223a22677075227d7d5d2c22726f6f745f696478223a307d',
        'hex',
      ),
    });
    const all = p.and(
      p.exists(gpu),
      p.numericAtLeast(memory, 64),
      p.metadataEquals('intent', 'ml-training'),
    );
    expect(predicateToRpcHeader(all)).toHaveLength(265);
  });

  test.each<[unknown, string]>([
    [{ nodes: [], root_idx: 0 }, 'predicateFromWire: root_idx 0 out of range [0, 0)'],
    [{ nodes: [{}], root_idx: 1 }, 'predicateFromWire: root_idx 1 out of range [0, 1)'],
    [{ nodes: [{}], root_idx: -1 }, 'predicateFromWire: root_idx -1 out of range [0, 1)'],
    [{ nodes: [{}], root_idx: 0.5 }, 'predicateFromWire: root_idx 0.5 out of range [0, 1)'],
    ...[0, 1, 7, -1, 0.5, NaN, Infinity, -Infinity].map((child): [unknown, string] => [
      { nodes: [{ kind: 'not', child }], root_idx: 0 },
      `predicateFromWire: child index ${child} not strictly less than self 0`,
    ]),
    [
      {
        nodes: [
          { kind: 'exists', key: gpu },
          { kind: 'or', children: [0, '0'] },
        ],
        root_idx: 1,
      },
      'predicateFromWire: child index "0" not strictly less than self 1',
    ],
    [{ root_idx: 0 }, 'predicateFromWire: nodes must be an array; got undefined'],
    [null, 'predicateFromWire: nodes must be an array; got undefined'],
    [{ nodes: [null], root_idx: 0 }, 'predicateFromWire: node 0 must be an object; got null'],
    [
      { nodes: [{ kind: 'regex' }], root_idx: 0 },
      'predicateFromWire: node 0 has the unknown kind "regex"',
    ],
    [
      { nodes: [{ kind: 'toString' }], root_idx: 0 },
      'predicateFromWire: node 0 has the unknown kind "toString"',
    ],
    [
      { nodes: [{ kind: 'exists', key: { axis: 'compute', key: 'gpu' } }], root_idx: 0 },
      'predicateFromWire: node 0 has the unknown axis "compute"; ' +
        'axes are hardware, software, devices, dataforts',
    ],
    [
      { nodes: [{ kind: 'exists', key: 'gpu' }], root_idx: 0 },
      'predicateFromWire: node 0 (exists): key must be { axis, key }, two strings; got "gpu"',
    ],
    [
      { nodes: [{ kind: 'numeric_at_least', key: memory, threshold: null }], root_idx: 0 },
      'predicateFromWire: node 0 (numeric_at_least): threshold must be a number; got null',
    ],
    [
      { nodes: [{ kind: 'and', children: 0 }], root_idx: 0 },
      'predicateFromWire: node 0 (and): children must be an array of indices',
    ],
  ])('%j is refused', (wire, message) => {
    expect(refusal(() => predicateFromWire(wire as PredicateWire)).message).toBe(message);
  });

  test('is checked also where the root does not lead, and may have any root', () => {
    const nodes: unknown[] = [
      { kind: 'exists', key: gpu, more: 1 },
      { kind: 'metadata_exists', key: 'x' },
    ];
    expect(predicateFromWire({ nodes, root_idx: 0 } as PredicateWire)).toEqual(p.exists(gpu));
    nodes.push({ kind: 'not', child: 5 });
    refusal(() => predicateFromWire({ nodes, root_idx: 0 } as PredicateWire));
  });
});

describe('the header', () => {
  test('is refused above 4096 bytes, before it is read', () => {
    const text = (bytes: number): string => {
      const empty = JSON.stringify(predicateToWire(p.metadataExists('')));
      return 'x'.repeat(bytes - empty.length);
    };
    const largest = predicateToRpcHeader(p.metadataExists(text(4096)));
    expect(largest).toHaveLength(4096);
    expect(predicateFromRpcHeader(largest)).toEqual(p.metadataExists(text(4096)));
    expect(refusal(() => predicateToRpcHeader(p.metadataExists(text(4097)))).message).toBe(
      'predicate wire encoding 4097 bytes exceeds header cap 4096',
    );
    expect(refusal(() => predicateFromRpcHeader('x'.repeat(4097))).message).toBe(
      'predicate wire payload 4097 bytes exceeds header cap 4096',
    );
  });

  test.each([NaN, Infinity, -Infinity])('is refused for the threshold %p', (value) => {
    const predicate = p.or(p.numericInRange(memory, 0, value));
    expect(refusal(() => predicateToRpcHeader(predicate)).message).toBe(
      `predicate node 0 (numeric_in_range): max must be finite; got ${value}`,
    );
    refusal(() => whereHeader(predicate));
    const header = predicateToRpcHeader(p.numericInRange(memory, 0, 7));
    refusal(() => predicateFromRpcHeader(header.replace('7', value < 0 ? '-1e999' : '1e999')));
  });

  test('is refused for half a surrogate pair, and only for that', () => {
    refusal(() => predicateToRpcHeader(p.metadataEquals('a', '\ud800')));
    refusal(() => predicateToRpcHeader(p.exists({ axis: 'devices', key: 'x\udc00' })));
    const header = predicateToRpcHeader(p.metadataEquals('a', 'X'));
    refusal(() => predicateFromRpcHeader(header.replace('X', '\\ud800')));
    for (const text of ['\u{1f600}', '\\ud800']) {
      const predicate = p.metadataEquals('a', text);
      expect(predicateFromRpcHeader(predicateToRpcHeader(predicate))).toEqual(predicate);
    }
  });

  test('says what is wrong with it', () => {
    // By name: Jest runs the test in a realm of its own.
    expect(() => predicateFromRpcHeader('{')).toThrow(
      expect.objectContaining({ name: 'SyntaxError' }),
    );
    expect(() => predicateFromRpcHeader('{}')).toThrow(TypeError);
    refusal(() => predicateFromRpcHeader(Buffer.from('{}') as unknown as string));
  });

  test('is the first of its name', () => {
    const header = whereHeader(p.exists(gpu));
    const other = whereHeader(p.metadataExists('x'));
    expect(predicateFromRpcHeaders([])).toBeUndefined();
    expect(predicateFromRpcHeaders([{ ...other, name: 'Net-Where' }, header, other])).toEqual(
      p.exists(gpu),
    );
    expect(predicateFromRpcHeaders([[other.name, other.value]])).toEqual(p.metadataExists('x'));
    refusal(() => predicateFromRpcHeaders([{ name: 'net-where', value: Buffer.from([0xff]) }]));
    refusal(() => predicateFromRpcHeaders([{ name: 'net-where', value: Buffer.alloc(4097) }]));
    refusal(() => predicateFromRpcHeaders([['net-where', '{}' as unknown as Uint8Array]]));
  });
});

describe('evaluation refuses', () => {
  test.each<[unknown, string]>([
    [undefined, 'predicate must be an object that p builds; got undefined'],
    ['gpu', 'predicate must be an object that p builds; got "gpu"'],
    [{ type: 'regex' }, 'predicate has no type "regex"'],
    [{ type: 'toString' }, 'predicate has no type "toString"'],
    [{ type: 'not' }, 'predicate must be an object that p builds; got undefined'],
    [{ type: 'and', children: 5 }, 'predicate and: children must be an array; got number 5'],
    [
      { type: 'exists', key: 'gpu' },
      'predicate exists: key must be { axis, key }, two strings; got "gpu"',
    ],
    [
      { type: 'numericAtLeast', key: memory, threshold: '64' },
      'predicate numericAtLeast: threshold must be a number; got "64"',
    ],
    [
      { type: 'metadataExists', key: gpu },
      'predicate metadataExists: key must be a string; got an object',
    ],
  ])('the predicate %j', (predicate, message) => {
    expect(refusal(() => evaluatePredicate(predicate as Predicate, [], {})).message).toBe(message);
  });

  test.each<[unknown, unknown, string]>([
    ['x', {}, 'tags must be an array of strings; got "x"'],
    [[5], {}, 'tags[0] must be a string; got number 5'],
    [[], null, 'metadata must be an object of strings; got null'],
    [[], { a: 1 }, 'metadata["a"] must be a string; got number 1'],
  ])('the tags %j and metadata %j', (tags, metadata, message) => {
    const predicate = p.exists(gpu);
    expect(
      refusal(() =>
        evaluatePredicate(predicate, tags as string[], metadata as Record<string, string>),
      ).message,
    ).toBe(message);
  });
});

describe('a trace', () => {
  test.each<[Predicate, string]>([
    [p.exists(gpu), 'Exists(hardware.gpu)'],
    [p.equals(gpu, 'a"b'), 'Equals(hardware.gpu=a"b)'],
    [p.numericAtLeast(memory, 64), 'NumericAtLeast(hardware.memory_gb >= 64)'],
    [p.numericAtMost(memory, 1e21), 'NumericAtMost(hardware.memory_gb <= 1e+21)'],
    [
      p.numericInRange(memory, 0.5, Infinity),
      'NumericInRange(hardware.memory_gb in [0.5, Infinity])',
    ],
    [p.semverAtLeast(python, '3.1'), 'SemverAtLeast(software.runtime.python >= 3.1)'],
    [p.semverAtMost(python, '3.1'), 'SemverAtMost(software.runtime.python <= 3.1)'],
    [p.semverCompatible(python, '3.1'), 'SemverCompatible(software.runtime.python ~= 3.1)'],
    [p.stringPrefix(gpu, 'a"'), 'StringPrefix(hardware.gpu starts with "a\\"")'],
    [p.stringMatches(gpu, 'a'), 'StringMatches(hardware.gpu contains "a")'],
    [p.metadataExists('k'), 'MetadataExists(k)'],
    [p.metadataEquals('k', 'v'), 'MetadataEquals(k=v)'],
    [p.metadataMatches('k', 'v'), 'MetadataMatches(k contains "v")'],
    [p.metadataNumericAtLeast('k', 5), 'MetadataNumericAtLeast(k >= 5)'],
    [p.and(), 'And(0 clauses)'],
    [p.or(p.and(), p.and()), 'Or(2 clauses)'],
    [p.not(p.and()), 'Not'],
  ])('of %j is labelled', (predicate, label) => {
    expect(evaluatePredicateWithTrace(predicate, [], {}).trace.label).toBe(label);
  });

  test('runs the cheapest parts first, ties as declared, and leaves out the rest', () => {
    const predicate = p.and(
      p.semverAtLeast(python, '3'),
      p.numericAtLeast(memory, 1),
      p.numericAtMost(memory, 9),
      p.metadataExists('missing'),
    );
    const { trace } = evaluatePredicateWithTrace(
      p.or(predicate, p.not(p.metadataExists('missing'))),
      ['hardware.memory_gb=5'],
      {},
    );
    expect(trace).toEqual({
      label: 'Or(2 clauses)',
      result: true,
      children: [
        {
          label: 'Not',
          result: true,
          children: [{ label: 'MetadataExists(missing)', result: false, children: [] }],
        },
      ],
    });
    const run = evaluatePredicateWithTrace(predicate, ['hardware.memory_gb=5'], { missing: '' });
    expect(run.trace.children.map(({ label }) => label.split('(')[0])).toEqual([
      'MetadataExists',
      'NumericAtLeast',
      'NumericAtMost',
      'SemverAtLeast',
    ]);
  });
});

describe('a report', () => {
  const row = (label: string) => ({ label, evaluated: 2, matched: 1 });
  const report = (...labels: string[]) => ({
    total_candidates: 2,
    matched: 1,
    clause_stats: labels.map(row),
  });

  test('is redacted whatever the value looks like', () => {
    const values = ['', 'secret', 'line\nbreak', 'a)b=c', '=', '<redacted>'];
    const labels = values.flatMap((value) => [
      p.metadataEquals('k', value),
      p.metadataMatches('k', value),
    ]);
    const predicate = p.or(...labels, p.metadataEquals('a=b', 'secret'), p.not(p.and()));
    const full = predicateDebugReport(predicate, [{ tags: [], metadata: {} }]);
    const redacted = redactMetadataKeys(full, ['k', 'a=b']);
    expect(redacted.clause_stats).toEqual([
      { label: 'And(0 clauses)', evaluated: 1, matched: 1 },
      { label: 'MetadataEquals(a=b=<redacted>)', evaluated: 1, matched: 0 },
      { label: 'MetadataEquals(k=<redacted>)', evaluated: values.length, matched: 0 },
      { label: 'MetadataMatches(k contains "<redacted>")', evaluated: values.length, matched: 0 },
      { label: 'Not', evaluated: 1, matched: 0 },
      { label: `Or(${labels.length + 2} clauses)`, evaluated: 1, matched: 0 },
    ]);
    expect(redactMetadataKeys(redacted, ['k', 'a=b'])).toEqual(redacted);
  });

  test('shows nothing of a redacted value, for any predicate', () => {
    const secret = fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => `§${text}§`);
    fc.assert(
      fc.property(secret, fc.array(predicates, { maxLength: 3 }), (value, others) => {
        const predicate = p.or(
          p.metadataEquals('k', value),
          p.metadataMatches('k', value),
          ...others,
        );
        const full = predicateDebugReport(predicate, [{ tags: [], metadata: {} }]);
        const redacted = redactMetadataKeys(full, ['other', 'k']);
        expect(JSON.stringify(redacted)).not.toContain('§');
        expect(redactMetadataKeys(redacted, ['other', 'k'])).toEqual(redacted);
      }),
    );
  });

  test('is sorted like the bytes of its labels', () => {
    const labels = ['\u{1f600}', '\uffee', 'b', 'a'];
    expect(
      redactMetadataKeys(report(...labels), []).clause_stats.map(({ label }) => label),
    ).toEqual(['a', 'b', '\uffee', '\u{1f600}']);
  });

  test('reads as documented', () => {
    const text = renderDebugReport({
      total_candidates: 4,
      matched: 1,
      clause_stats: [
        { label: 'Exists(hardware.gpu)', evaluated: 4, matched: 2 },
        row('x'.repeat(70)),
      ],
    });
    expect(text).toBe(
      [
        'Predicate evaluation report',
        '\u2500'.repeat(41),
        'Total candidates: 4',
        'Matched:          1 (25.0%)',
        '',
        'Per-clause stats (alphabetical):',
        `  Exists(hardware.gpu)${' '.repeat(40)} evaluated     4, matched     2 (50.0%)`,
        `  ${'x'.repeat(70)} evaluated     2, matched     1 (50.0%)`,
        '',
      ].join('\n'),
    );
    expect(renderDebugReport(predicateDebugReport(p.and(), []))).toContain(
      'Matched:          0 (0.0%)',
    );
  });

  test.each([null, 5, {}, { total_candidates: 1, matched: 1 }, { ...report(), matched: '1' }])(
    '%j is none',
    (wire) => {
      expect(refusal(() => predicateDebugReportFromWire(wire)).message).toBe(
        'predicateDebugReportFromWire: expected ' +
          '{ total_candidates: number, matched: number, clause_stats: array }',
      );
    },
  );

  test('with a bad entry is none', () => {
    const wire = { ...report(), clause_stats: [{ label: 'x', evaluated: '1', matched: 0 }] };
    expect(refusal(() => predicateDebugReportFromWire(wire)).message).toBe(
      'predicateDebugReportFromWire: bad clause_stats entry {"label":"x","evaluated":"1","matched":0}',
    );
  });
});

test('builders check nothing', () => {
  const key = { axis: 'compute', key: '' } as unknown as TagKey;
  expect(p.numericAtLeast(key, NaN)).toEqual({ type: 'numericAtLeast', key, threshold: NaN });
  expect(evaluatePredicate(p.exists(key), ['compute.'], {})).toBe(false);
  expect(TAXONOMY_AXES).toEqual(['hardware', 'software', 'devices', 'dataforts']);
});
