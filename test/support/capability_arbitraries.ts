import fc from 'fast-check';

import {
  TAXONOMY_AXES,
  p,
  type CapabilitySetWire,
  type Predicate,
  type TagKey,
} from 'netmesh/capability-enhancements';

// Few names and values, so that predicates meet the tags that they ask about, and odd ones among them.

const KEYS = ['gpu', 'gpu.vram_gb', 'memory_gb', 'os', 'model.0.id', 'toString', '', 'a=b', 'a:b'];
export const VALUES = [
  ...[
    '',
    '0',
    '1',
    '-1',
    '+7',
    '64',
    '80.5',
    '.5',
    '1.',
    '.',
    '1e3',
    '1e',
    '0x10',
    '0b1',
    '1_0',
    ' 5',
  ],
  ...['inf', '-Infinity', 'NaN', '+nan', 'infinit', '1e400', '-1e400', '1e-400', '1e-320'],
  ...['1.2', '1.2.3', '1.2.3-rc1', '1.2.3+b-1', 'v1', '0.2.3', '0.2.5', '0.0.3', '1.2.3.4', '1..2'],
  ...['01.002', ' 1 . 2 ', '\u00a01.2\u2003', '\u00851', '\ufeff1', '-', '1.18446744073709551616'],
  ...['18446744073709551615.0', 'linux', 'linux-6.6', 'é', '\u{1f600}', '\uffee', 'a=b:c', 'true'],
];
const METADATA_KEYS = ['intent', 'owner', 'toString', '__proto__', 'constructor', '', 'é'];

const text = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...VALUES) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }) },
);
const threshold = fc.oneof(
  fc.constantFrom(
    0,
    -0,
    1,
    0.5,
    16,
    64,
    80.5,
    1000,
    1e21,
    1e-7,
    -1,
    5e-324,
    1.7976931348623157e308,
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
export const tagKeys: fc.Arbitrary<TagKey> = fc.record(
  { axis: fc.constantFrom(...TAXONOMY_AXES), key: fc.constantFrom(...KEYS) },
  { noNullPrototype: true },
);
const metadataKey = fc.constantFrom(...METADATA_KEYS);

const leaves: fc.Arbitrary<Predicate> = fc.oneof(
  tagKeys.map(p.exists),
  fc.tuple(tagKeys, text).map(([key, value]) => p.equals(key, value)),
  fc.tuple(tagKeys, threshold).map(([key, t]) => p.numericAtLeast(key, t)),
  fc.tuple(tagKeys, threshold).map(([key, t]) => p.numericAtMost(key, t)),
  fc.tuple(tagKeys, threshold, threshold).map(([key, a, b]) => p.numericInRange(key, a, b)),
  fc.tuple(tagKeys, text).map(([key, v]) => p.semverAtLeast(key, v)),
  fc.tuple(tagKeys, text).map(([key, v]) => p.semverAtMost(key, v)),
  fc.tuple(tagKeys, text).map(([key, v]) => p.semverCompatible(key, v)),
  fc.tuple(tagKeys, text).map(([key, v]) => p.stringPrefix(key, v)),
  fc.tuple(tagKeys, text).map(([key, v]) => p.stringMatches(key, v)),
  metadataKey.map(p.metadataExists),
  fc.tuple(metadataKey, text).map(([key, v]) => p.metadataEquals(key, v)),
  fc.tuple(metadataKey, text).map(([key, v]) => p.metadataMatches(key, v)),
  fc.tuple(metadataKey, threshold).map(([key, t]) => p.metadataNumericAtLeast(key, t)),
);

/** Predicates with every kind of node; all of them survive JSON. */
export const predicates: fc.Arbitrary<Predicate> = fc.letrec<{ tree: Predicate }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaves,
    fc.array(tie('tree'), { maxLength: 4 }).map((children) => p.and(...children)),
    fc.array(tie('tree'), { maxLength: 4 }).map((children) => p.or(...children)),
    tie('tree').map(p.not),
  ),
})).tree;

/** Tags of every form. */
export const tagTexts: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(tagKeys, fc.constantFrom('=', ':'), text)
      .map(([{ axis, key }, separator, value]) => `${axis}.${key}${separator}${value}`),
  },
  { weight: 2, arbitrary: tagKeys.map(({ axis, key }) => `${axis}.${key}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...['scope:tenant:foo', 'scope:region:eu', 'scope:', 'causal:00ab:17', 'causal:00ab[1..2]'],
      ...['heat:a=0.85', 'fork-of:1', 'legacy', 'compute.gpu', 'hardware', 'Hardware.gpu', '.gpu'],
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }) },
);

export const capabilitySets: fc.Arbitrary<CapabilitySetWire> = fc
  .tuple(
    fc.array(tagTexts, { maxLength: 12 }),
    fc.array(fc.tuple(metadataKey, text), { maxLength: 5 }),
  )
  .map(([tags, metadata]) => ({ tags, metadata: Object.fromEntries(metadata) }));
