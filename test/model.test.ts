import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import * as fc from 'fast-check';
import {
  CortexError,
  InvalidArgumentError,
  Redex,
  WriteToken,
  defineModel,
  event,
  rowsOf,
} from 'netmesh';
import type { Model, ModelRows } from 'netmesh/cortex';

const ORIGIN = 7n;

interface Item {
  readonly sku: string;
  readonly quantity: number;
  readonly tags: readonly string[];
}

interface Events {
  stocked: { sku: string; quantity: number; tags?: string[] };
  sold: { sku: string; quantity: number };
  dropped: { sku: string };
}

function definition() {
  return {
    name: 'inventory',
    events: {
      stocked: event<Events['stocked']>({
        check: (value) => {
          const payload = value as Events['stocked'];
          if (!(payload.quantity > 0)) throw new RangeError('quantity must be above 0');
          return payload;
        },
      }),
      sold: event<Events['sold']>(),
      dropped: event<Events['dropped']>({ code: 200 }),
    },
    fold: {
      stocked: (rows: ModelRows<Item>, { sku, quantity, tags }: Events['stocked']) => {
        const known = rows.get(sku);
        rows.set(sku, {
          sku,
          quantity: (known?.quantity ?? 0) + quantity,
          tags: tags ?? known?.tags ?? [],
        });
      },
      sold: (rows: ModelRows<Item>, { sku, quantity }: Events['sold']) => {
        const known = rows.get(sku);
        rows.set(sku, { sku, tags: [], ...known, quantity: (known?.quantity ?? 0) - quantity });
        if (known === undefined || known.quantity < quantity) throw new Error(`not enough ${sku}`);
      },
      dropped: (rows: ModelRows<Item>, { sku }: Events['dropped']) => {
        rows.delete(sku);
      },
    },
    indexes: {
      quantity: (item: Item) => item.quantity,
      tag: (item: Item) => item.tags,
    },
  };
}

const inventory = defineModel(definition());
const lenient = defineModel({ ...definition(), onFoldError: 'continue' });

const open: Array<{ close(): void }> = [];
function closing<T extends { close(): void }>(it: T): T {
  open.push(it);
  return it;
}
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const opened = async (redex = new Redex(), of = inventory) => closing(await of.open(redex, ORIGIN));

test('a model folds its events into rows', async () => {
  const items = await opened();
  expect(items.append('stocked', { sku: 'tea', quantity: 5, tags: ['drink'] })).toBe(0n);
  items.append('stocked', { sku: 'cup', quantity: 2 });
  await items.waitForSeq(items.append('sold', { sku: 'tea', quantity: 1 }));
  expect(items.get('tea')).toEqual({ sku: 'tea', quantity: 4, tags: ['drink'] });
  expect(items.list().map(({ sku }) => sku)).toEqual(['tea', 'cup']);
  await items.waitForSeq(items.append('dropped', { sku: 'tea' }));
  expect(items.count()).toBe(1);
  expect(items.get('tea')).toBeUndefined();
});

test('its events are sealed, typed and in JSON in its log', async () => {
  const redex = new Redex();
  const items = await opened(redex);
  items.append('stocked', { sku: 'tea', quantity: 5 });
  items.append('dropped', { sku: 'tea' });
  const [stocked, dropped] = redex.openFile('cortex/models/inventory').readRange(0n, 2n);
  expect(stocked!.payload[0]).toBe(128);
  expect(stocked!.payload.readBigUInt64LE(4)).toBe(ORIGIN);
  expect(stocked!.payload.readBigUInt64LE(12)).toBe(0n);
  expect(stocked!.payload.subarray(24).toString()).toBe('{"sku":"tea","quantity":5}');
  expect(dropped!.payload[0]).toBe(200);
  expect(dropped!.payload.readBigUInt64LE(12)).toBe(1n);
});

test('queries use indexes, conditions, orders and limits', async () => {
  const items = await opened();
  const stock: Array<[string, number, string[]]> = [
    ['a', 3, ['x', 'y']],
    ['b', 1, ['y']],
    ['c', 2, []],
    ['d', 3, ['y']],
  ];
  for (const [sku, quantity, tags] of stock) items.append('stocked', { sku, quantity, tags });
  await items.waitForSeq(items.append('stocked', { sku: 'a', quantity: 1 }));
  const skus = (query: Parameters<typeof items.list>[0]) => items.list(query).map(({ sku }) => sku);
  expect(skus({ by: { tag: 'y' } })).toEqual(['a', 'b', 'd']);
  expect(skus({ by: { tag: 'y', quantity: 3 } })).toEqual(['d']);
  expect(skus({ by: { quantity: 9 } })).toEqual([]);
  expect(skus({ where: ({ quantity }) => quantity > 2 })).toEqual(['a', 'd']);
  expect(skus({ orderBy: ({ quantity }) => quantity })).toEqual(['b', 'c', 'd', 'a']);
  expect(skus({ orderBy: () => 1, descending: true })).toEqual(['a', 'b', 'c', 'd']);
  expect(skus({ descending: true, limit: 2 })).toEqual(['d', 'c']);
  expect(skus({ by: { tag: 'y' }, limit: 0 })).toEqual([]);
  // @ts-expect-error The types know the indexes.
  expect(() => items.list({ by: { color: 'red' } })).toThrow(
    'by.color is no index; there are: quantity, tag',
  );
});

test('rows are frozen, since everybody gets the same ones', async () => {
  const items = await opened();
  await items.waitForSeq(items.append('stocked', { sku: 'tea', quantity: 5 }));
  expect(() => {
    (items.get('tea') as { quantity: number }).quantity = 1;
  }).toThrow(TypeError);
  expect(items.list()[0]).toBe(items.get('tea'));
});

test('a payload that the check refuses is not appended', async () => {
  const redex = new Redex();
  const items = await opened(redex);
  expect(() => items.append('stocked', { sku: 'tea', quantity: -1 })).toThrow(
    'cortex: inventory append stocked failed: quantity must be above 0',
  );
  expect(() => items.append('sold', { sku: 'tea', quantity: Infinity })).toThrow(CortexError);
  expect(() => items.append('sold', (() => 1) as any)).toThrow(CortexError);
  expect(() => items.append('sold', undefined as any)).toThrow(CortexError);
  expect(() => items.append('sold', { $bigint: '5' } as any)).toThrow(CortexError);
  expect(() => items.append('stolen' as any, {} as any)).toThrow(InvalidArgumentError);
  expect(redex.openFile('cortex/models/inventory').len()).toBe(0n);
});

test('a fold that throws changes nothing and stops the fold', async () => {
  const items = await opened();
  await items.waitForSeq(items.append('stocked', { sku: 'tea', quantity: 5 }));
  const bad = items.append('sold', { sku: 'tea', quantity: 9 });
  const failure = await items.waitForSeq(bad).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CortexError);
  expect(failure).toMatchObject({
    message: 'cortex: wait_for_seq: fold task stopped; folded_through=Some(0)',
    cause: new Error('not enough tea'),
  });
  expect(items.isRunning()).toBe(false);
  expect(items.get('tea')?.quantity).toBe(5);
});

test('a fold that throws can be passed over', async () => {
  const items = await opened(new Redex(), lenient);
  items.append('stocked', { sku: 'tea', quantity: 5, tags: ['drink'] });
  items.append('sold', { sku: 'tea', quantity: 9 });
  items.append('sold', { sku: 'cup', quantity: 9 });
  await items.waitForSeq(items.append('sold', { sku: 'tea', quantity: 2 }));
  expect(items.list()).toEqual([{ sku: 'tea', quantity: 3, tags: ['drink'] }]);
  expect(items.list({ by: { quantity: 3 } })).toHaveLength(1);
  expect(items.list({ by: { quantity: -4 } })).toHaveLength(0);
  expect(items.progress()).toEqual({ foldedThrough: 3n, appliedThrough: 0n, errors: 2n });
});

test('payloads that are no events are skipped and counted', async () => {
  const redex = new Redex();
  const items = await opened(redex);
  const file = redex.openFile('cortex/models/inventory');
  file.append(Buffer.from('short'));
  file.append(Buffer.alloc(40, 1));
  await items.waitForSeq(items.append('stocked', { sku: 'tea', quantity: 5 }));
  expect(items.count()).toBe(1);
  expect(items.progress().errors).toBe(2n);
});

test('several writers of one log see each other', async () => {
  const redex = new Redex();
  const a = closing(await inventory.open(redex, 1));
  const b = closing(await inventory.open(redex, 2));
  a.append('stocked', { sku: 'a', quantity: 1 });
  const last = b.append('stocked', { sku: 'b', quantity: 2 });
  await Promise.all([a.waitForSeq(last), b.waitForSeq(last)]);
  expect(a.list()).toEqual(b.list());
  await b.waitForToken(new WriteToken(2n, last), 1000);
  await expect(a.waitForToken(new WriteToken(2n, last), 1000)).rejects.toThrow('token origin');
  await expect(a.waitForToken(new WriteToken(1n, 99n), 5)).rejects.toThrow(
    'cortex: wait_for_token: read-your-writes wait timed out',
  );
});

test('a long log is folded without holding up the event loop', async () => {
  const redex = new Redex();
  const writer = await opened(redex);
  let last = 0n;
  for (let i = 0; i < 20_000; i++) last = writer.append('stocked', { sku: `s${i}`, quantity: 1 });
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const reader = await opened(redex);
  await writer.waitForSeq(last);
  clearInterval(timer);
  expect(reader.count()).toBe(20_000);
  expect(writer.count()).toBe(20_000);
  expect(turns).toBeGreaterThan(0);
});

describe('watches', () => {
  test('begin with the rows of now and follow relevant changes only', async () => {
    const items = await opened();
    const reader = (await items.watch({ by: { tag: 'x' } }))[Symbol.asyncIterator]();
    expect((await reader.next()).value).toEqual([]);
    const next = reader.next();
    items.append('stocked', { sku: 'other', quantity: 1 });
    await items.waitForSeq(items.append('stocked', { sku: 'a', quantity: 1, tags: ['x'] }));
    expect((await next).value).toEqual([{ sku: 'a', quantity: 1, tags: ['x'] }]);
    const end = reader.next();
    items.close();
    expect(await end).toEqual({ done: true, value: undefined });
  });

  test('lose nothing between a snapshot and what follows', async () => {
    const items = await opened();
    for (let round = 0; round < 20; round++) {
      const { snapshot, updates } = await items.snapshotAndWatch();
      items.append('stocked', { sku: `s${round}`, quantity: 1 });
      expect(snapshot).toHaveLength(round);
      for await (const rows of updates) {
        expect(rows).toHaveLength(round + 1);
        break;
      }
    }
  });

  test('end when the log does', async () => {
    const redex = new Redex();
    const items = await opened(redex);
    const { updates } = await items.snapshotAndWatch();
    const reader = updates[Symbol.asyncIterator]();
    const end = reader.next();
    await redex.openFile('cortex/models/inventory').close();
    expect((await end).done).toBe(true);
    expect(items.isRunning()).toBe(false);
  });
});

describe('snapshots', () => {
  type Items = Model<Events, Item, 'quantity' | 'tag'>;
  type Step = { kind: keyof Events; sku: string; quantity: number };

  const steps = fc.array(
    fc.record({
      kind: fc.constantFrom<keyof Events>('stocked', 'sold', 'dropped'),
      sku: fc.constantFrom('a', 'b', 'c', 'ü'),
      quantity: fc.integer({ min: 1, max: 5 }),
    }),
    { maxLength: 40 },
  );
  const run = async (items: Items, list: Step[]): Promise<void> => {
    let last: bigint | undefined;
    for (const { kind, sku, quantity } of list) last = items.append(kind, { sku, quantity });
    if (last !== undefined) await items.waitForSeq(last);
  };

  test('and the tail of the log are the full replay, on the same log and on an empty one', async () => {
    await fc.assert(
      fc.asyncProperty(steps, steps, async (before, after) => {
        const redex = new Redex();
        const items = await lenient.open(redex, ORIGIN);
        await run(items, before);
        const snapshot = items.snapshot();
        const elsewhere = await lenient.openFromSnapshot(new Redex(), ORIGIN, snapshot);
        await run(items, after);
        await run(elsewhere, after);
        const replayed = await lenient.openFromSnapshot(redex, ORIGIN, snapshot);
        const anew = await lenient.open(redex, ORIGIN);
        for (const each of [replayed, elsewhere, anew]) {
          expect(each.list()).toEqual(items.list());
          expect(each.list({ by: { quantity: 2 } })).toEqual(items.list({ by: { quantity: 2 } }));
          each.close();
        }
        items.close();
      }),
      { numRuns: 60 },
    );
  });

  test('cut at every length are refused', async () => {
    const items = await opened();
    await items.waitForSeq(items.append('stocked', { sku: 'tea', quantity: 5 }));
    const { stateBytes } = items.snapshot();
    for (let size = 0; size < stateBytes.length; size++) {
      const cut = { stateBytes: stateBytes.subarray(0, size) };
      await expect(inventory.openFromSnapshot(new Redex(), ORIGIN, cut)).rejects.toThrow(
        /^cortex: inventory open_from_snapshot failed: /,
      );
    }
    const foreign = { stateBytes: Buffer.from('000231' + '32', 'hex') };
    await expect(inventory.openFromSnapshot(new Redex(), ORIGIN, foreign)).rejects.toBeInstanceOf(
      CortexError,
    );
  });
});

test('bigints are kept in events, rows and snapshots', async () => {
  const ledger = defineModel({
    name: 'ledger',
    rows: rowsOf<{ amount: bigint }>(),
    events: { booked: event<{ id: bigint; amount: bigint }>() },
    fold: {
      booked: (rows, { id, amount }, { seq }) => {
        rows.set(id, { amount: amount + seq });
      },
    },
  });
  const redex = new Redex();
  const book = closing(await ledger.open(redex, ORIGIN));
  const big = 2n ** 100n;
  await book.waitForSeq(book.append('booked', { id: 1n, amount: -big }));
  expect(book.get(1n)).toEqual({ amount: -big });
  const restored = closing(await ledger.openFromSnapshot(redex, ORIGIN, book.snapshot()));
  expect(restored.get(1n)).toEqual({ amount: -big });
});

test('a codec of one’s own decides the bytes', async () => {
  const raw = defineModel({
    name: 'raw',
    rows: rowsOf<{ text: string }>(),
    events: { said: event<string>() },
    fold: {
      said: (rows, text, { seq }) => {
        rows.set(seq, { text });
      },
    },
    codec: {
      encode: (value) =>
        Buffer.from(
          `!${JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? Number(v) : v))}`,
        ),
      decode: (bytes) => JSON.parse(bytes.subarray(1).toString()) as unknown,
    },
  });
  const redex = new Redex();
  const model = closing(await raw.open(redex, ORIGIN));
  await model.waitForSeq(model.append('said', 'hi'));
  expect(model.get(0n)).toEqual({ text: 'hi' });
  const [stored] = redex.openFile('cortex/models/raw').readRange(0n, 1n);
  expect(stored!.payload.subarray(24).toString()).toBe('!"hi"');
});

test('a persistent model is there again when it is opened again', async () => {
  const persistentDir = mkdtempSync(path.join(tmpdir(), 'netmesh-model-'));
  try {
    const redex = new Redex({ persistentDir });
    const items = closing(await inventory.open(redex, ORIGIN, { persistent: true }));
    items.append('stocked', { sku: 'tea', quantity: 5 });
    items.close();
    await redex.openFile('cortex/models/inventory', { persistent: true }).close();
    const other = new Redex({ persistentDir });
    const again = closing(await inventory.open(other, ORIGIN, { persistent: true }));
    expect(again.get('tea')?.quantity).toBe(5);
    await other.openFile('cortex/models/inventory', { persistent: true }).close();
  } finally {
    rmSync(persistentDir, { recursive: true });
  }
  await expect(inventory.open(new Redex(), ORIGIN, { persistent: true })).rejects.toThrow(
    'cortex: inventory open failed: redex: channel error: config.persistent=true requires',
  );
});

test('definitions that do not hold together are refused', () => {
  const { events, fold } = definition();
  const define: any = defineModel;
  for (const bad of [
    undefined,
    {},
    { name: '', events, fold },
    { name: 'Upper', events, fold },
    { name: 'a//b', events, fold },
    { name: 'a/../b', events, fold },
    { name: 'x'.repeat(300), events, fold },
    { name: 'x', events, fold: { ...fold, sold: 5 } },
    { name: 'x', events, fold: { ...fold, other: () => 1 } },
    { name: 'x', events: { ...events, more: {} }, fold },
    { name: 'x', events: { ...events, sold: { code: 128 } }, fold },
    { name: 'x', events: { ...events, sold: { code: 5 } }, fold },
    { name: 'x', events, fold, indexes: { quantity: 'quantity' } },
    { name: 'x', events, fold, onFoldError: 'retry' },
    { name: 'x', events, fold, codec: {} },
  ]) {
    expect(() => define(bad)).toThrow(InvalidArgumentError);
  }
  expect(() => event({ code: 300 })).toThrow(InvalidArgumentError);
  expect(() => event({ check: 5 as any })).toThrow(InvalidArgumentError);
});

test('a closed model refuses writes and still answers', async () => {
  const items = await opened();
  await items.waitForSeq(items.append('stocked', { sku: 'tea', quantity: 5 }));
  const wait = items.waitForSeq(9n);
  items.close();
  items.close();
  await expect(wait).rejects.toThrow(
    'cortex: wait_for_seq: fold task stopped; folded_through=Some(0)',
  );
  expect(() => items.append('sold', { sku: 'tea', quantity: 1 })).toThrow(
    'cortex: inventory append sold failed: adapter closed',
  );
  expect(items.get('tea')?.quantity).toBe(5);
});
