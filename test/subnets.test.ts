import fc from 'fast-check';
import {
  GLOBAL_SUBNET,
  type SubnetId,
  type SubnetPolicy,
  formatSubnet,
  isSubnetAncestor,
  sameSubnet,
  subnetDepth,
  subnetId,
  subnetOfTags,
  subnetParent,
} from 'netmesh';
import * as module from 'netmesh/subnets';

const level = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }));
const subnets = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels): SubnetId => ({ levels }));

test('a subnet has its levels, and the whole mesh has none', () => {
  expect(subnetId(3, 7)).toEqual({ levels: [3, 7] });
  expect(GLOBAL_SUBNET).toEqual({ levels: [0] });
  expect(module.subnetId).toBe(subnetId);
});

test.each([
  [[], 'subnet: levels must have 1–4 entries, got 0'],
  [[1, 2, 3, 4, 5], 'subnet: levels must have 1–4 entries, got 5'],
  [[1, 256], 'subnet: level 1 value 256 must be an integer in [0, 255]'],
  [[-1], 'subnet: level 0 value -1 must be an integer in [0, 255]'],
  [[1.5], 'subnet: level 0 value 1.5 must be an integer in [0, 255]'],
  [[NaN], 'subnet: level 0 value NaN must be an integer in [0, 255]'],
])('the levels %p are refused', (levels, message) => {
  expect(() => subnetId(...levels)).toThrow(message);
});

test('depth, parent and text follow the deepest level that is not zero', () => {
  expect([GLOBAL_SUBNET, subnetId(3), subnetId(3, 0, 5)].map(subnetDepth)).toEqual([0, 1, 3]);
  expect(subnetParent(subnetId(3, 0, 5))).toEqual({ levels: [3] });
  expect(subnetParent(subnetId(3))).toEqual(GLOBAL_SUBNET);
  expect(subnetParent(GLOBAL_SUBNET)).toEqual(GLOBAL_SUBNET);
  expect([GLOBAL_SUBNET, subnetId(3, 7), subnetId(3, 0, 5)].map(formatSubnet)).toEqual([
    'global',
    '3.7',
    '3.0.5',
  ]);
});

test('every subnet lies within its parent, the whole mesh and itself', () => {
  fc.assert(
    fc.property(subnets, subnets, (a, b) => {
      expect(isSubnetAncestor(a, a)).toBe(true);
      expect(isSubnetAncestor(GLOBAL_SUBNET, a)).toBe(true);
      expect(isSubnetAncestor(subnetParent(a), a)).toBe(true);
      expect(isSubnetAncestor(a, b) && isSubnetAncestor(b, a)).toBe(sameSubnet(a, b));
    }),
  );
});

describe('a policy', () => {
  const policy: SubnetPolicy = {
    rules: [
      { tagPrefix: 'region:', level: 0, values: { us: 3, eu: 4 } },
      { tagPrefix: 'fleet:', level: 1, values: { blue: 7, green: 8 } },
    ],
  };

  test('derives the subnet of the example', () => {
    expect(subnetOfTags(policy, ['region:us', 'fleet:blue'])).toEqual(subnetId(3, 7));
    expect(subnetOfTags(policy, ['fleet:green'])).toEqual(subnetId(0, 8));
    expect(subnetOfTags(policy, [])).toEqual(GLOBAL_SUBNET);
    expect(subnetOfTags(policy, ['region:usa'])).toEqual(GLOBAL_SUBNET);
  });

  test('does not depend on the order of tags, which count in byte order', () => {
    // In UTF-16 the astral character would come first.
    const astral: SubnetPolicy = {
      rules: [{ tagPrefix: 'r:', level: 0, values: { '\u{1F600}': 1, '\uFF5E': 2 } }],
    };
    expect(subnetOfTags(astral, ['r:\u{1F600}', 'r:\uFF5E'])).toEqual(subnetId(2));
    expect(subnetOfTags(astral, ['r:\uFF5E', 'r:\u{1F600}'])).toEqual(subnetId(2));
  });

  test.each([
    [{ tagPrefix: 'a', level: 4, values: {} }, 'subnet: rule level must be 0..=3, got 4'],
    [
      { tagPrefix: 'a', level: 0, values: { x: 256 } },
      'subnet: rule value for x value 256 exceeds u8 range',
    ],
    [
      { tagPrefix: 'a', level: 0, values: { x: 0 } },
      'subnet: rule value for "x": subnet rule level_value must be in 1..=255 (0 is reserved for unmatched levels)',
    ],
    [{ level: 0, values: {} }, 'subnet: rule needs a string tagPrefix'],
  ])('with the rule %p is refused', (rule, message) => {
    expect(() => subnetOfTags({ rules: [rule as never] }, [])).toThrow(message);
  });

  test('is not asked about what is no list of tags', () => {
    expect(() => subnetOfTags(policy, 'x' as never)).toThrow('array of strings');
    expect(() => subnetOfTags(policy, [5 as never])).toThrow('array of strings');
    expect(() => subnetOfTags(undefined as never, [])).toThrow('subnet: expected a policy');
  });
});
