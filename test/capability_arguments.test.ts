import * as capabilities from 'netmesh/capabilities';
import * as enhancements from 'netmesh/capability-enhancements';
import * as schema from 'netmesh/capability-schema';
import { CapabilityError, InvalidArgumentError } from 'netmesh/errors';

// Whatever is passed to the functions of this area, what comes out is a result or a typed error.

const cyclicObject: Record<string, unknown> = {};
cyclicObject.self = cyclicObject;
cyclicObject.tags = cyclicObject;
cyclicObject.children = [cyclicObject];
const cyclicArray: unknown[] = [];
cyclicArray.push(cyclicArray);

const JUNK: unknown[] = [
  ...[undefined, null, NaN, -1, 5n, '', 'x', true, Symbol('s'), () => true],
  ...[{}, [], cyclicObject, cyclicArray, [cyclicObject], Object.create(null), new Date(0)],
  ...[{ type: 'and' }, { type: 'not', child: 5 }, { type: 'toString' }, { kind: 'axisValue' }],
  ...[{ nodes: 5, root_idx: 0 }, { nodes: [cyclicObject], root_idx: 0 }, { clause_stats: [5n] }],
  ...[{ tags: 5 }, { tags: [5], metadata: {} }, { tags: [], metadata: cyclicObject }],
  ...[{ hardware: cyclicObject }, { models: cyclicArray }, { filter: cyclicObject }],
];

type Callable = (...args: unknown[]) => unknown;

const functions = [enhancements, schema, capabilities].flatMap((module) =>
  Object.entries(module as Record<string, unknown>).filter(
    ([name, value]) => typeof value === 'function' && /^[a-z]/u.test(name),
  ),
);

function expectTyped(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    // A header that is no JSON is a SyntaxError, as documented.
    const typed = [CapabilityError, InvalidArgumentError, SyntaxError];
    if (!typed.some((kind) => error instanceof kind)) throw error;
  }
}

test('there is something to call', () => {
  expect(functions.length).toBeGreaterThan(25);
});

test.each(functions)('%s throws nothing but typed errors', (_name, call) => {
  const callable = call as Callable;
  for (const first of JUNK) {
    for (const second of JUNK) expectTyped(() => callable(first, second, first, second));
  }
});

test('so do the builders, and what they refuse changes nothing', () => {
  const { p, standardPlacement } = enhancements;
  const builder = standardPlacement().requireTag('hardware', 'gpu').withLimit(3);
  const built = builder.build();
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(builder)).filter(
    (name) => !['constructor', 'build'].includes(name),
  );
  for (const name of methods) {
    for (const first of JUNK) {
      for (const second of JUNK) {
        const fresh = standardPlacement().requireTag('hardware', 'gpu').withLimit(3);
        const method = (fresh as unknown as Record<string, Callable>)[name] as Callable;
        let refused = false;
        expectTyped(() => {
          refused = true;
          method.call(fresh, first, second, second);
          refused = false;
        });
        if (refused) expect(fresh.build()).toEqual(built);
      }
    }
  }
  // Predicates are checked when they are used, not when they are built.
  for (const build of Object.values(p)) {
    for (const junk of JUNK) {
      expectTyped(() =>
        enhancements.evaluatePredicate((build as Callable)(junk, junk) as never, [], {}),
      );
    }
  }
});
