import fc from 'fast-check';
import { AdapterError, BackpressureError, BusError, InvalidArgumentError, NetNode } from 'netmesh';
import { RedisStreamDedup, ShutDownError, type StoredEvent } from 'netmesh';
import { Net } from 'netmesh/core';

import { addon } from '../lib/internal/native';
import { openBus } from './support/buses';
import { isPending, rejection, take } from './support/nodes';

// The bus on its default transport, memory: what is emitted stays in the bus and can be read.

async function readAll(bus: NetNode, request: { limit?: number; filter?: string } = {}) {
  const events: StoredEvent[] = [];
  let cursor: string | undefined;
  let more = true;
  while (more) {
    const page = await bus.poll({ limit: 100, ...request, cursor });
    events.push(...page.events);
    cursor = page.nextId;
    more = page.hasMore;
  }
  return { events, cursor };
}

const rawOf = ({ raw }: StoredEvent): string => raw;

// --- emitting ---

test('every way to emit leads to the same events', async () => {
  const bus = await openBus({ shards: 4 });
  expect(bus.emit({ a: 1 })).toEqual({ shardId: 3, timestamp: expect.any(Number) });
  expect(bus.emitRaw('{"a":2}')).toEqual({ shardId: 0, timestamp: expect.any(Number) });
  expect(bus.emitBuffer(Buffer.from('{"a":3}'))).toBe(true);
  expect(bus.emitBatch([{ b: 1 }, { b: 2 }])).toBe(2);
  expect(bus.emitRawBatch(['{"b":3}'])).toBe(1);
  expect(bus.emitBufferBatch([Buffer.from('{"b":4}'), new Uint8Array()])).toBe(2);
  expect(bus.fire('{"c":1}')).toBe(true);
  expect(bus.fireBatch(['{"c":2}', '{"c":3}'])).toBe(2);
  const { events } = await readAll(bus);
  expect(events.map(rawOf).sort()).toEqual(
    [
      '',
      '{"a":1}',
      '{"a":2}',
      '{"a":3}',
      '{"b":1}',
      '{"b":2}',
      '{"b":3}',
      '{"b":4}',
      '{"c":1}',
      '{"c":2}',
      '{"c":3}',
    ].sort(),
  );
});

test.each([
  ['', 0, 0x2d06800538d394c2n],
  ['{"a":1}', 3, 0xc5e3762ffc8453c6n],
  ['{"a":2}', 0, 0x12c7c1dc69f1e404n],
  ['{"a":3}', 1, 0x73ef164be41cf971n],
  ['null', 2, 0xb785b6ec423c44e1n],
  ['{"token":"hello","index":0}', 0, 0x27f318accc2948abn],
])('the payload %j of four shards goes to shard %i', async (payload, shardId, hash) => {
  const bus = await openBus({ shards: 4 });
  expect(bus.emitRaw(payload)?.shardId).toBe(shardId);
  const hashed = bus.napi.prehash(Buffer.from(payload));
  expect(hashed).toEqual({ data: Buffer.from(payload), hash });
});

test('a hash given by the caller decides the shard, and one that is no u64 is refused', async () => {
  const bus = await openBus({ shards: 4 });
  const data = Buffer.from('x');
  expect(bus.napi.pushWithHash(data, 0xffff_ffff_ffff_ffffn)).toBe(true);
  expect(bus.napi.pushWithHash(data, -1n)).toBe(false);
  expect(bus.napi.pushWithHash(data, 1n << 64n)).toBe(false);
  const { events } = await bus.poll({ limit: 10 });
  expect(events.map(({ shardId }) => shardId)).toEqual([3]);
});

test('timestamps increase strictly in a shard, and the date of an emission is known', async () => {
  const bus = await openBus({ shards: 1 });
  const before = Date.now();
  const stamps = Array.from({ length: 1000 }, () => bus.emitRaw('x')!.timestamp);
  bus.emitBufferBatch(Array.from({ length: 1000 }, () => Buffer.from('y')));
  const { events } = await bus.poll({ limit: 10_000 });
  const polled = events.map(({ insertionTs }) => insertionTs);
  expect(polled.slice(0, 1000)).toEqual(stamps);
  expect(polled.every((stamp, index) => index === 0 || stamp > polled[index - 1]!)).toBe(true);
  for (const { emittedAtMs } of events) {
    expect(emittedAtMs).toBeGreaterThanOrEqual(before - 1);
    expect(emittedAtMs).toBeLessThanOrEqual(Date.now() + 1);
  }
});

test('bytes that are no text are kept, with an empty text', async () => {
  const bus = await openBus();
  const bytes = Buffer.from([0xff, 0x00, 0xfe]);
  bus.emitBuffer(bytes);
  bus.emitRaw('grün 🌱');
  const { events } = await readAll(bus);
  expect(events.find(({ raw }) => raw === '')?.rawBytes).toEqual(bytes);
  expect(events.find(({ raw }) => raw !== '')?.raw).toBe('grün 🌱');
});

/** Around what goes to the addon in one call. */
const LENGTHS = [0, 1, 1023, 1024, 1025, 2048, 5000];

test.each(LENGTHS)('a batch of %i keeps its order in each way to emit one', async (length) => {
  const bus = await openBus({ shards: 1 });
  const texts = Array.from({ length }, (_, n) => `{"n":${n}}`);
  expect(bus.emitBufferBatch(texts.map((text) => Buffer.from(text)))).toBe(length);
  expect(bus.emitRawBatch(texts)).toBe(length);
  expect(bus.fireBatch(texts)).toBe(length);
  expect(bus.emitBatch(texts.map((text) => JSON.parse(text) as object))).toBe(length);
  const { events } = await readAll(bus, { limit: 10_000 });
  expect(events.map(rawOf)).toEqual([...texts, ...texts, ...texts, ...texts]);
});

test.each(LENGTHS.filter((length) => length > 0))(
  'a batch of %i with one wrong event is refused as a whole',
  async (length) => {
    const bus = await openBus({ shards: 1 });
    const buffers: unknown[] = Array.from({ length }, () => Buffer.from('x'));
    const texts: unknown[] = Array.from({ length }, () => 'x');
    for (const wrong of [7, null, {}, new Uint16Array(1), new DataView(new ArrayBuffer(1))]) {
      buffers[length - 1] = wrong;
      texts[length - 1] = wrong;
      expect(() => bus.emitBufferBatch(buffers as Uint8Array[])).toThrow(
        new InvalidArgumentError('events must be an array of Buffers'),
      );
      expect(() => bus.fireBatch(texts as string[])).toThrow(
        new InvalidArgumentError('events must be an array of strings'),
      );
    }
    expect(() => bus.emitBufferBatch(new Array<Buffer>(length))).toThrow(InvalidArgumentError);
    for (const wrong of [undefined, 'text', { length: 1, 0: Buffer.from('x') }, new Set(['x'])]) {
      expect(() => bus.emitBufferBatch(wrong as never)).toThrow(InvalidArgumentError);
      expect(() => bus.fireBatch(wrong as never)).toThrow(InvalidArgumentError);
    }
    expect(bus.stats().eventsIngested).toBe(0n);
  },
);

test('events that change while a batch reads them do no harm', async () => {
  const bus = await openBus({ shards: 1 });
  const moved = Buffer.from(new ArrayBuffer(64)).fill('a');
  const events: Uint8Array[] = [moved];
  // Reading the second takes the memory of the first away, and emits as well.
  Object.defineProperty(events, 1, {
    enumerable: true,
    get: () => {
      structuredClone(moved.buffer, { transfer: [moved.buffer] });
      bus.emitBufferBatch([Buffer.from('inner')]);
      return Buffer.from('last');
    },
  });
  expect(bus.emitBufferBatch(events)).toBe(2);
  expect((await readAll(bus)).events.map(rawOf)).toEqual(['inner', '', 'last']);
});

test('buses side by side, and those that come and go, keep their events apart', async () => {
  const kept = await Promise.all(Array.from({ length: 3 }, () => openBus({ shards: 1 })));
  for (let round = 0; round < 20; round++) {
    const passing = await NetNode.create({ shards: 1 });
    passing.emitBuffer(Buffer.from('passing'));
    for (const [index, bus] of kept.entries()) bus.emitBuffer(Buffer.from(`${index}:${round}`));
    await passing.shutdown();
    expect(passing.emitBuffer(Buffer.from('late'))).toBe(false);
    expect(passing.fire('late')).toBe(false);
    expect(passing.emitBufferBatch([Buffer.from('late')])).toBe(0);
    expect(passing.fireBatch(['late'])).toBe(0);
  }
  for (const [index, bus] of kept.entries()) {
    const { events } = await readAll(bus);
    expect(events.map(rawOf)).toEqual(
      Array.from({ length: 20 }, (_, round) => `${index}:${round}`),
    );
  }
});

test.each([1_000_000, 0xffff_ffff, -1, '0', undefined, {}])(
  'the addon emits into no bus of the number %p',
  (number) => {
    const { ingestBytes, ingestText, ingestHashed, ingestBuffers, ingestTexts } = addon();
    const bus = number as number;
    const bytes = Buffer.from('x');
    for (const emit of [
      () => ingestBytes(bus, bytes),
      () => ingestText(bus, 'x'),
      () => ingestHashed(bus, bytes, 1n),
      () => ingestBuffers(bus, bytes, bytes),
      () => ingestTexts(bus, 'x', 'x'),
      () => (ingestBuffers as () => number)(),
    ]) {
      expect(emit).toThrow('not the number of a bus');
    }
  },
);

test('the bytes of a caller are copied', async () => {
  const bus = await openBus();
  const bytes = Buffer.from('before');
  bus.emitBuffer(bytes);
  bytes.fill('x');
  expect((await bus.pollOne())?.raw).toBe('before');
});

test('long texts and bytes of many sizes come back as they were', async () => {
  const bus = await openBus({ shards: 3 });
  const sizes = [0, 1, 15_000, 16_383, 16_384, 16_385, 65_000, 65_536, 70_000, 1_000_000];
  const texts = sizes.map((size) => 'ä'.repeat(size / 2) + 'x'.repeat(size % 2));
  for (const text of texts) expect(bus.emitRaw(text)).not.toBeNull();
  expect(bus.emitRawBatch(texts)).toBe(texts.length);
  const { events } = await readAll(bus);
  expect(events.map(rawOf).sort()).toEqual([...texts, ...texts].sort());
});

test('with validation a payload that is no JSON is refused, and counted', async () => {
  const bus = await openBus({ validate: 'json' });
  expect(() => bus.emitRaw('{"a":')).toThrow(BusError);
  expect(() => bus.emitRaw('{"a":')).toThrow(
    'Ingestion failed: serialization error: the payload is not valid JSON',
  );
  expect(bus.emitBuffer(Buffer.from('nonsense'))).toBe(false);
  expect(bus.emitRawBatch(['1', 'x', '2'])).toBe(2);
  expect(bus.emitRaw('123456789012345678901234567890')).not.toBeNull();
  expect(bus.stats()).toMatchObject({
    eventsIngested: 3n,
    eventsDropped: 4n,
    droppedInvalid: 4n,
  });
});

test('the core checks JSON where its documentation says so', async () => {
  const bus = await Net.create({ numShards: 1 });
  await expect(bus.ingest('{"a":1}')).resolves.toEqual({
    shardId: 0,
    timestamp: expect.any(Number),
  });
  await expect(bus.ingest('{"a":')).rejects.toThrow(/^Invalid JSON: /);
  await expect(bus.ingestRaw('{"a":')).resolves.toMatchObject({ shardId: 0 });
  await expect(bus.ingestRawBatch(['1', '2'])).resolves.toBe(2);
  await bus.shutdown();
});

// --- polling ---

test('the core hands out the bytes as a member of each event', async () => {
  const bus = await Net.create({ numShards: 1 });
  bus.push(Buffer.from('{"a":1}'));
  const { events, nextId, hasMore } = await bus.poll({ limit: 10 });
  expect(Object.keys(events[0]!)).toEqual(
    expect.arrayContaining(['id', 'raw', 'rawBytes', 'insertionTs', 'shardId']),
  );
  expect(events[0]!.rawBytes).toEqual(Buffer.from('{"a":1}'));
  expect(nextId).toBe('eyIwIjoiMSJ9');
  expect(hasMore).toBe(false);
  await bus.shutdown();
});

test('the events of the SDK have the four documented members', async () => {
  const bus = await openBus({ shards: 1 });
  const { timestamp } = bus.emitRaw('{"a":1}')!;
  const { events } = await bus.poll({ limit: 1 });
  expect({ ...events[0] }).toEqual({
    id: '1',
    raw: '{"a":1}',
    insertionTs: timestamp,
    shardId: 0,
  });
});

test('a limit of 0 is an empty page, whatever the cursor', async () => {
  const bus = await openBus();
  bus.emitRaw('1');
  await expect(bus.poll({ limit: 0, cursor: 'nonsense' })).resolves.toEqual({
    events: [],
    nextId: undefined,
    hasMore: false,
  });
});

test('without progress the cursor comes back as it was', async () => {
  const bus = await openBus({ shards: 2 });
  expect((await bus.poll({ limit: 5 })).nextId).toBeUndefined();
  bus.emitRaw('1');
  const { nextId } = await bus.poll({ limit: 5 });
  await expect(bus.poll({ limit: 5, cursor: nextId })).resolves.toEqual({
    events: [],
    nextId,
    hasMore: false,
  });
});

test('pollOne returns the first event each time and takes nothing away', async () => {
  const bus = await openBus({ shards: 1 });
  await expect(bus.pollOne()).resolves.toBeNull();
  bus.emitRawBatch(['1', '2', '3']);
  expect((await bus.pollOne())?.raw).toBe('1');
  expect((await bus.pollOne())?.raw).toBe('1');
  expect((await readAll(bus)).events.map(rawOf)).toEqual(['1', '2', '3']);
});

test('pages by any limit, filter and order visit every event exactly once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 200 }),
      fc.constantFrom<'none' | 'insertion_ts'>('none', 'insertion_ts'),
      fc.boolean(),
      async (shards, limit, kinds, ordering, filtered) => {
        const bus = await NetNode.create({ shards, bufferCapacity: 1024 });
        // Emitted while they are read.
        const texts = kinds.map((kind, n) => JSON.stringify({ kind, n }));
        const filter = filtered ? '{"path":"kind","value":1}' : undefined;
        const seen: string[] = [];
        let cursor: string | undefined;
        let emitted = 0;
        for (;;) {
          const next = Math.min(texts.length, emitted + 17);
          bus.emitRawBatch(texts.slice(emitted, next));
          emitted = next;
          const page = await bus.poll({ limit, cursor, ordering, filter });
          expect(page.events.length).toBeLessThanOrEqual(limit);
          seen.push(...page.events.map(rawOf));
          if (page.nextId === undefined && cursor !== undefined) throw new Error('cursor lost');
          cursor = page.nextId;
          if (!page.hasMore && emitted === texts.length) break;
        }
        const wanted = texts.filter((_, n) => !filtered || kinds[n] === 1);
        expect([...seen].sort()).toEqual([...wanted].sort());
        await bus.shutdown();
      },
    ),
    { numRuns: 60 },
  );
});

test('ordered pages are sorted by the time of emission', async () => {
  const bus = await openBus({ shards: 4 });
  for (let n = 0; n < 300; n++) bus.emit({ n });
  const { events } = await bus.poll({ limit: 1000, ordering: 'insertion_ts' });
  const stamps = events.map(({ insertionTs }) => insertionTs);
  expect(stamps).toHaveLength(300);
  expect(stamps).toEqual([...stamps].sort((a, b) => a - b));
});

test('matches that are far apart are all found', async () => {
  const bus = await openBus({ shards: 2 });
  for (let n = 0; n < 5000; n++) bus.emit({ n, rare: n % 1000 === 999 });
  const filter = '{"path":"rare","value":true}';
  const { events } = await readAll(bus, { limit: 2, filter });
  expect(
    events.map(({ raw }) => (JSON.parse(raw) as { n: number }).n).sort((a, b) => a - b),
  ).toEqual([999, 1999, 2999, 3999, 4999]);
});

const DOCUMENT = {
  a: 1,
  f: 1.5,
  s: 'x',
  n: null,
  o: { p: [10, { q: true }] },
  '': { '': 5 },
  big: 1,
};

test.each([
  ['{"path":"a","value":1}', true],
  ['{"path":"a","value":1.0}', false],
  ['{"path":"f","value":1.5}', true],
  ['{"path":"s","value":"x"}', true],
  ['{"path":"n","value":null}', true],
  ['{"path":"missing","value":null}', false],
  ['{"$not":{"path":"missing","value":null}}', true],
  ['{"path":"o.p.0","value":10}', true],
  ['{"path":"o.p.1.q","value":true}', true],
  ['{"path":"o.p.2","value":10}', false],
  ['{"path":".","value":5}', true],
  ['{"path":"o","value":{"p":[10,{"q":true}]}}', true],
  ['{"path":"o","value":{"p":[{"q":true},10]}}', false],
  ['{"$eq":{"path":"a","value":1}}', true],
  ['{"$and":[{"path":"a","value":1},{"path":"s","value":"x"}]}', true],
  ['{"$and":[{"path":"a","value":1},{"path":"s","value":"y"}]}', false],
  ['{"$and":[]}', false],
  ['{"$or":[]}', false],
  ['{"$or":[{"path":"a","value":2},{"path":"s","value":"x"}]}', true],
  ['{"$not":{"$and":[]}}', true],
  ['{"path":"a","value":1,"unknown":[]}', true],
])('the filter %s matches: %s', async (filter, matches) => {
  const bus = await openBus({ shards: 1 });
  bus.emit(DOCUMENT);
  const { events } = await bus.poll({ limit: 10, filter });
  expect(events).toHaveLength(matches ? 1 : 0);
});

test('numbers of any size can be filtered by', async () => {
  const bus = await openBus({ shards: 1 });
  bus.emitRawBatch([
    '{"n":18446744073709551615}',
    '{"n":-9223372036854775808}',
    '{"n":123456789012345678901234567890}',
    '{"n":0.0}',
  ]);
  const find = async (value: string) =>
    (await bus.poll({ limit: 10, filter: `{"path":"n","value":${value}}` })).events.map(rawOf);
  expect(await find('18446744073709551615')).toEqual(['{"n":18446744073709551615}']);
  expect(await find('18446744073709551614')).toEqual([]);
  expect(await find('-9223372036854775808')).toEqual(['{"n":-9223372036854775808}']);
  expect(await find('123456789012345678901234567890')).toHaveLength(1);
  expect(await find('1.2345678901234568e29')).toHaveLength(1);
  expect(await find('-0.0')).toEqual(['{"n":0.0}']);
});

test('the store keeps its newest events and says how many a reader has missed', async () => {
  const bus = await openBus({ shards: 1, retention: { maxEvents: 100 } });
  for (let n = 0; n < 250; n++) bus.emitRaw(String(n));
  const page = await bus.poll({ limit: 1000 });
  expect(page.events.map(rawOf)).toEqual(Array.from({ length: 100 }, (_, n) => String(n + 150)));
  expect(page.expired).toBe(150);
  expect(bus.stats()).toMatchObject({ eventsExpired: 150n, eventsStored: 100n });
});

test('the store keeps within its bytes', async () => {
  const bus = await openBus({ shards: 2, retention: { maxBytes: 100_000 } });
  for (let n = 0; n < 2000; n++) bus.emitRaw(String(n).padStart(1000));
  const { eventsStored, bytesStored } = bus.stats();
  expect(bytesStored).toBeLessThanOrEqual(100_000n);
  expect(eventsStored).toBeGreaterThanOrEqual(90n);
});

// --- streams ---

test('a stream yields what was emitted before and after it was made', async () => {
  const bus = await openBus({ shards: 1 });
  bus.emitRaw('1');
  const events = bus.subscribe()[Symbol.asyncIterator]();
  bus.emitRaw('2');
  expect((await take(events, 2)).map(rawOf)).toEqual(['1', '2']);
  const next = events.next();
  expect(await isPending(next)).toBe(true);
  bus.emitRaw('3');
  expect((await next).value?.raw).toBe('3');
});

test('a stream begins at the end or at a cursor when told so', async () => {
  const bus = await openBus({ shards: 2 });
  for (let n = 0; n < 10; n++) bus.emit({ n });
  const { nextId } = await bus.poll({ limit: 4 });
  const latest = bus.subscribe({ from: 'latest' })[Symbol.asyncIterator]();
  const middle = bus.subscribe({ from: nextId })[Symbol.asyncIterator]();
  bus.emit({ n: 10 });
  expect((await take(latest, 1)).map(rawOf)).toEqual(['{"n":10}']);
  expect(await take(middle, 7)).toHaveLength(7);
});

test('leaving a loop and entering another one loses nothing', async () => {
  const bus = await openBus({ shards: 1 });
  bus.emitRawBatch(['1', '2', '3', '4']);
  const stream = bus.subscribe();
  for await (const { raw } of stream) {
    if (raw === '2') break;
  }
  const rest: string[] = [];
  for await (const { raw } of stream) {
    rest.push(raw);
    if (raw === '4') stream.stop();
  }
  expect(rest).toEqual(['3', '4']);
});

test('the cursor of a stream is the place behind the event yielded last', async () => {
  const bus = await openBus({ shards: 3 });
  for (let n = 0; n < 50; n++) bus.emit({ n });
  const stream = bus.subscribe({ limit: 20 });
  const events = stream[Symbol.asyncIterator]();
  expect(stream.cursor).toBeUndefined();
  const first = await take(events, 27);
  const rest = bus.subscribe({ from: stream.cursor })[Symbol.asyncIterator]();
  const all = [...first, ...(await take(rest, 23))].map(rawOf);
  expect(new Set(all).size).toBe(50);
});

test('stop yields what was fetched, ends waiting readers, and stays', async () => {
  const bus = await openBus({ shards: 1 });
  bus.emitRawBatch(['1', '2', '3']);
  const stream = bus.subscribe();
  const events = stream[Symbol.asyncIterator]();
  expect((await events.next()).value?.raw).toBe('1');
  stream.stop();
  bus.emitRaw('4');
  expect((await take(events, 2)).map(rawOf)).toEqual(['2', '3']);
  expect((await events.next()).done).toBe(true);
  const waiting = bus.subscribe({ from: 'latest' });
  const next = waiting[Symbol.asyncIterator]().next();
  waiting.stop();
  expect((await next).done).toBe(true);
});

test('a signal ends a stream with its reason', async () => {
  const bus = await openBus();
  const controller = new AbortController();
  const stream = bus.subscribe({ signal: controller.signal });
  const next = stream[Symbol.asyncIterator]().next();
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await rejection(next)).toBe(reason);
  expect((await stream[Symbol.asyncIterator]().next()).done).toBe(true);
  const aborted = bus.subscribe({ signal: AbortSignal.abort(reason) });
  expect(await rejection(aborted[Symbol.asyncIterator]().next())).toBe(reason);
});

test('a filtered stream gets past any number of other events', async () => {
  const bus = await openBus({ shards: 2 });
  for (let n = 0; n < 20_000; n++) bus.emit({ n });
  bus.emit({ n: -1 });
  const stream = bus.subscribe({ limit: 5, filter: '{"path":"n","value":-1}' });
  expect((await take(stream[Symbol.asyncIterator](), 1)).map(rawOf)).toEqual(['{"n":-1}']);
});

test('several streams each see every event, several readers of one share them', async () => {
  const bus = await openBus({ shards: 2 });
  const collect = async (stream: AsyncIterable<StoredEvent>, into: string[]) => {
    for await (const { raw } of stream) into.push(raw);
  };
  const streams = [bus.subscribe({ limit: 7 }), bus.subscribe({ limit: 100 })];
  const shared = bus.subscribe();
  const [a, b, c]: [string[], string[], string[]] = [[], [], []];
  const runs = [
    collect(streams[0]!, a),
    collect(streams[1]!, b),
    collect(shared, c),
    collect(shared, c),
  ];
  for (let n = 0; n < 500; n++) {
    bus.emit({ n });
    if (n % 50 === 0) await new Promise(setImmediate);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const stream of [...streams, shared]) stream.stop();
  await Promise.all(runs);
  for (const seen of [a, b, c]) {
    expect(seen).toHaveLength(500);
    expect(new Set(seen).size).toBe(500);
  }
});

test('typed streams parse, and end with what their parser throws', async () => {
  const bus = await openBus({ shards: 1 });
  bus.emit({ token: 'a', index: 1 });
  bus.emitRaw('nonsense');
  const events = bus.subscribeTyped<{ token: string; index: number }>()[Symbol.asyncIterator]();
  expect((await events.next()).value).toEqual({ token: 'a', index: 1 });
  expect(await rejection(events.next())).toBeInstanceOf(SyntaxError);
  expect((await events.next()).done).toBe(true);
});

// --- channels ---

test('a channel yields its own events, the name behind the members of the event', async () => {
  const bus = await openBus({ shards: 2 });
  const temps = bus.channel<{ celsius: number }>('sensors/"temp"');
  expect(temps.name).toBe('sensors/"temp"');
  expect(bus.channel('other').publish({ celsius: 1 })).toBe(true);
  expect(temps.publish({ celsius: 20, _channel: 'forged' } as { celsius: number })).toBe(true);
  expect(temps.publishBatch([{ celsius: 21 }, { celsius: 22 }])).toBe(2);
  const seen = await take(temps.subscribe()[Symbol.asyncIterator](), 3);
  expect(seen.map(({ celsius }) => celsius).sort()).toEqual([20, 21, 22]);
  expect(seen[0]).toMatchObject({ _channel: 'sensors/"temp"' });
  const raw = await take(
    temps.subscribeRaw({ ordering: 'insertion_ts' })[Symbol.asyncIterator](),
    1,
  );
  expect(raw[0]!.raw).toBe('{"celsius":20,"_channel":"sensors/\\"temp\\""}');
});

test('the filter of a subscription replaces the filter of its channel', async () => {
  const bus = await openBus({ shards: 1 });
  const channel = bus.channel<{ n: number }>('one');
  bus.emit({ n: 5 });
  channel.publish({ n: 6 });
  const stream = channel.subscribe({ filter: '{"path":"n","value":5}' });
  expect(await take(stream[Symbol.asyncIterator](), 1)).toEqual([{ n: 5 }]);
});

test('a validator makes the events of a channel, and ends it by throwing', async () => {
  const bus = await openBus({ shards: 1 });
  const channel = bus.channel<{ n: number }>('checked', (data) => {
    const { n } = data as { n: unknown };
    if (typeof n !== 'number') throw new RangeError('no number');
    return { n };
  });
  channel.publish({ n: 1 });
  channel.publish({ n: 'x' as unknown as number });
  const events = channel.subscribe()[Symbol.asyncIterator]();
  expect((await events.next()).value).toEqual({ n: 1 });
  expect(await rejection(events.next())).toBeInstanceOf(RangeError);
});

// --- the end ---

test('after shutdown methods throw, reject or say no, as documented', async () => {
  const bus = await NetNode.create({ shards: 1 });
  bus.emitRaw('1');
  const waiting = bus.subscribe({ from: 'latest' })[Symbol.asyncIterator]().next();
  const ended = rejection(waiting);
  await bus.shutdown();
  await bus.shutdown();
  await bus[Symbol.asyncDispose]();
  expect(await ended).toBeInstanceOf(ShutDownError);
  const message = 'EventBus has been shut down';
  for (const call of [
    () => bus.emit({}),
    () => bus.emitRaw('1'),
    () => bus.emitBatch([{}]),
    () => bus.emitRawBatch(['1']),
    () => bus.stats(),
    () => bus.shards(),
  ]) {
    expect(call).toThrow(message);
    expect(call).toThrow(ShutDownError);
  }
  expect(bus.emitBuffer(Buffer.from('1'))).toBe(false);
  expect(bus.emitBufferBatch([Buffer.from('1')])).toBe(0);
  expect(bus.fire('1')).toBe(false);
  expect(bus.fireBatch(['1'])).toBe(0);
  expect(bus.napi.pushWithHash(Buffer.from('1'), 1n)).toBe(false);
  expect(bus.napi.prehash(Buffer.from('{"a":1}')).hash).toBe(0xc5e3762ffc8453c6n);
  for (const promise of [bus.poll({ limit: 1 }), bus.pollOne(), bus.flush()]) {
    await expect(promise).rejects.toThrow(message);
  }
  const next = bus.subscribe()[Symbol.asyncIterator]().next();
  await expect(next).rejects.toThrow(message);
});

test('a bus of the core can be wrapped', async () => {
  const core = await Net.create({ numShards: 3 });
  const bus = NetNode.fromNapi(core);
  expect(bus.napi).toBe(core);
  expect(bus.shards()).toBe(3);
  expect(core.numShards()).toBe(3);
  bus.emitRaw('1');
  expect(core.stats().eventsIngested).toBe(1n);
  await bus.shutdown();
  expect(() => core.numShards()).toThrow('EventBus has been shut down');
});

// --- bad input ---

const VALID_NET = {
  bindAddr: '127.0.0.1:0',
  peerAddr: '127.0.0.1:9',
  psk: '00'.repeat(32),
  role: 'initiator',
  peerPublicKey: '01'.repeat(32),
};

test.each([
  [{ numShards: 70_000 }, 'num_shards must be <= 65535, got 70000'],
  [{ numShards: -1 }, 'num_shards must be <= 65535, got 4294967295'],
  [{ backpressureMode: 'block' }, 'Invalid backpressure mode: block'],
  [{ numShards: 0 }, 'Invalid configuration: invalid configuration: num_shards must be > 0'],
  [
    { ringBufferCapacity: 3000 },
    'Invalid configuration: invalid configuration: ring_buffer_capacity must be a power of 2',
  ],
  [
    { ringBufferCapacity: 512 },
    'Invalid configuration: invalid configuration: ring_buffer_capacity must be >= 1024',
  ],
  [
    { redis: { url: '' } },
    'Invalid configuration: invalid configuration: redis adapter: invalid configuration: ' +
      'redis url must be non-empty',
  ],
  [{ redis: { url: 'x', pipelineSize: 0 } }, 'redis pipeline_size must be > 0'],
  [{ redis: { url: 'x', connectTimeoutMs: 0 } }, 'redis connect_timeout must be > 0'],
  [{ redis: { url: 'x', commandTimeoutMs: 0 } }, 'redis command_timeout must be > 0'],
  [{ jetstream: { url: '' } }, 'jetstream url must be non-empty'],
  [{ jetstream: { url: 'x', connectTimeoutMs: 0 } }, 'jetstream connect_timeout must be > 0'],
  [{ jetstream: { url: 'x', requestTimeoutMs: 0 } }, 'jetstream request_timeout must be > 0'],
  [{ jetstream: { url: 'x', replicas: 0 } }, 'jetstream replicas must be >= 1'],
  [
    { jetstream: { url: 'x', maxMessages: -1 } },
    'jetstream max_messages must be non-negative (got -1)',
  ],
  [{ jetstream: { url: 'x', maxBytes: -5 } }, 'jetstream max_bytes must be non-negative (got -5)'],
  [{ net: { ...VALID_NET, bindAddr: 'localhost:1' } }, 'Invalid bind_addr: '],
  [{ net: { ...VALID_NET, peerAddr: '1.2.3.4' } }, 'Invalid peer_addr: '],
  [{ net: { ...VALID_NET, psk: 'xy' } }, 'Invalid psk hex: '],
  [{ net: { ...VALID_NET, psk: '00' } }, 'psk must be exactly 32 bytes'],
  [
    { net: { ...VALID_NET, peerPublicKey: undefined } },
    'peer_public_key is required for initiator',
  ],
  [{ net: { ...VALID_NET, peerPublicKey: 'zz' } }, 'Invalid peer_public_key hex: '],
  [{ net: { ...VALID_NET, peerPublicKey: '00' } }, 'peer_public_key must be exactly 32 bytes'],
  [{ net: { ...VALID_NET, role: 'responder' } }, 'secret_key is required for responder'],
  [
    { net: { ...VALID_NET, role: 'responder', secretKey: '00'.repeat(32) } },
    'public_key is required for responder',
  ],
  [{ net: { ...VALID_NET, role: 'both' } }, "Invalid role: both. Use 'initiator' or 'responder'"],
  [
    { net: { ...VALID_NET, packetPoolSize: 0 } },
    'Failed to create EventBus: fatal error: invalid config: packet_pool_size must be > 0',
  ],
  [{ net: { ...VALID_NET, packetPoolSize: 20_000 } }, 'packet_pool_size 20000 exceeds upper bound'],
  [{ net: { ...VALID_NET, heartbeatIntervalMs: 0 } }, 'heartbeat_interval must be > 0'],
  [
    { net: { ...VALID_NET, heartbeatIntervalMs: 5 } },
    'heartbeat_interval 5ms is below the 10ms minimum',
  ],
  [{ net: { ...VALID_NET, sessionTimeoutMs: 0 } }, 'session_timeout must be > 0'],
  [
    { net: { ...VALID_NET, heartbeatIntervalMs: 100, sessionTimeoutMs: 100 } },
    'session_timeout must be > heartbeat_interval',
  ],
  [{ adapterTimeoutMs: 0 }, 'adapter_timeout must be > 0'],
  [{ batch: { minSize: 0 } }, 'batch min_size must be > 0'],
  [{ batch: { minSize: 10, maxSize: 5 } }, 'batch max_size must be >= min_size'],
  [{ batch: { maxDelayMs: 0 } }, 'batch max_delay must be > 0'],
  [{ sampleRate: 0 }, 'BackpressureMode::Sample.rate must be > 0'],
  [{ retention: { maxEvents: 0 } }, 'retention.maxEvents must be an integer in [1, '],
  [{ validate: 'xml' }, 'validate must be one of "none", "json"; got "xml"'],
  [{ adapterBatchRetries: -1 }, 'adapterBatchRetries must be an integer in [0, 1000]; got -1'],
  [{ numShards: 'two' }, 'numShards must be a number; got "two"'],
  [{ producerNoncePath: '' }, 'producerNoncePath must not be empty'],
  [null, 'options must be an object; got null'],
] as Array<[any, string]>)('the options %j are refused', async (options, message) => {
  const error = await rejection(Net.create(options));
  expect(error.message).toContain(message);
  expect([InvalidArgumentError, BusError]).toContain(error.constructor);
});

test('options of the SDK are refused like those of the core', async () => {
  expect((await rejection(NetNode.create({ shards: 0 }))).message).toContain(
    'num_shards must be > 0',
  );
  expect((await rejection(NetNode.create({ transport: { type: 'x' } as any }))).message).toBe(
    'transport.type must be one of "memory", "redis", "jetstream", "mesh"; got "x"',
  );
  expect(await rejection(NetNode.create(null as any))).toBeInstanceOf(InvalidArgumentError);
});

test('requests that make no sense are refused', async () => {
  const bus = await openBus();
  bus.emitRaw('1');
  const cases: Array<[any, string]> = [
    [{ limit: 1, ordering: 'random' }, "Invalid ordering: random. Use 'none' or 'insertion_ts'"],
    [{ limit: 1, filter: '{}' }, 'Invalid filter: data did not match any variant of untagged enum'],
    [{ limit: 1, filter: '{"$and":[{}]}' }, 'Invalid filter: data did not match any variant'],
    [{ limit: 1, filter: '[' }, 'Invalid filter: '],
    [{ limit: 1, filter: '{"path":"a"}' }, 'Invalid filter: data did not match any variant'],
    [{ limit: 1, filter: '{"path":1,"value":1}' }, 'Invalid filter: data did not match'],
    [{ limit: 1, filter: 7 }, 'filter must be a string; got number 7'],
    [{ limit: 1, cursor: '%%%' }, 'Poll failed: invalid cursor: not base64'],
    [{ limit: 1, cursor: b64('{') }, 'Poll failed: invalid cursor: '],
    [{ limit: 1, cursor: b64('[]') }, 'Poll failed: invalid cursor: not an object'],
    [{ limit: 1, cursor: b64('{"x":"1"}') }, 'shard key "x" is not a valid u16'],
    [{ limit: 1, cursor: b64('{"65536":"1"}') }, 'shard key "65536" is not a valid u16'],
    [
      { limit: 1, cursor: b64('{"00":"1"}') },
      'non-canonical shard key "00" (parses to 0, canonical form is 0)',
    ],
    [
      { limit: 1, cursor: b64('{"+1":"1"}') },
      'non-canonical shard key "+1" (parses to 1, canonical form is 1)',
    ],
    [{ limit: 1, cursor: b64('{"0":5}') }, 'Poll failed: invalid cursor: '],
    [{ limit: 'all' }, 'limit must be a number; got "all"'],
    [undefined, 'request must be an object; got undefined'],
  ];
  for (const [request, message] of cases) {
    const error = await rejection(bus.poll(request));
    expect(error.message).toContain(message);
    expect(error).toBeInstanceOf(InvalidArgumentError);
  }
  for (const options of [
    { limit: 0 },
    { from: 5 },
    { ordering: 'x' },
    { signal: {} },
    { pollIntervalMs: -1 },
    'x',
  ] as any[]) {
    expect(() => bus.subscribe(options)).toThrow(InvalidArgumentError);
  }
  const wrongCursor = bus.subscribe({ from: 'nowhere' })[Symbol.asyncIterator]();
  await expect(wrongCursor.next()).rejects.toThrow('Poll failed: invalid cursor: ');
  expect((await wrongCursor.next()).done).toBe(true);
});

function b64(text: string): string {
  return Buffer.from(text).toString('base64');
}

test('positions of shards that a bus does not have stay in its cursors', async () => {
  const bus = await openBus({ shards: 1 });
  bus.emitRaw('1');
  const { nextId } = await bus.poll({ limit: 1, cursor: b64('{"7":"5-1"}') });
  expect(JSON.parse(Buffer.from(nextId!, 'base64').toString())).toEqual({ 0: '1', 7: '5-1' });
});

test('a position in the format of another backend marks its shard as failed', async () => {
  const bus = await openBus({ shards: 1 });
  bus.emitRaw('1');
  const cursor = b64('{"0":"1702123456789-0"}');
  await expect(bus.poll({ limit: 1, cursor })).resolves.toEqual({
    events: [],
    nextId: cursor,
    hasMore: false,
    failedShards: [0],
  });
});

test('events that cannot be emitted throw before anything happens', async () => {
  const bus = await openBus();
  const circular: { self?: unknown } = {};
  circular.self = circular;
  expect(() => bus.emit(circular)).toThrow(TypeError);
  expect(() => bus.emit(undefined as any)).toThrow(InvalidArgumentError);
  expect(() => bus.emit({ big: 1n } as any)).toThrow(TypeError);
  for (const call of [
    () => bus.emitRaw(5 as any),
    () => bus.emitBuffer('text' as any),
    () => bus.emitBuffer(new Uint16Array(2) as any),
    () => bus.emitBatch([{}, undefined] as any),
    () => bus.emitRawBatch(['1', 2] as any),
    () => bus.emitRawBatch('12' as any),
    () => bus.emitBufferBatch([Buffer.from('1'), 'x'] as any),
    () => bus.fire(undefined as any),
    () => bus.channel(5 as any),
    () => bus.channel('x', 'y' as any),
    () => NetNode.fromNapi({} as any),
  ]) {
    expect(call).toThrow(TypeError);
  }
  expect(bus.stats().eventsIngested).toBe(0n);
});

test('errors of backends say whether it makes sense to try again', () => {
  expect(new AdapterError('transient', 'late').message).toBe('transient error: late');
  expect(new AdapterError('backpressure').message).toBe('backend backpressure');
  expect(new AdapterError('shutdown').message).toBe('adapter is shut down');
  expect(new AdapterError('transient').retryable).toBe(true);
  expect(new AdapterError('fatal').retryable).toBe(false);
  expect(new BackpressureError()).toBeInstanceOf(Error);
});

// --- RedisStreamDedup ---

test('the deduplication window behaves like a list of the ids that came last', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      fc.array(fc.integer({ min: 0, max: 30 }).map(String), { maxLength: 300 }),
      (capacity, ids) => {
        const dedup = new RedisStreamDedup(capacity);
        const model: string[] = [];
        for (const id of ids) {
          const seen = model.includes(id);
          expect(dedup.isDuplicate(id)).toBe(seen);
          if (!seen) model.push(id);
          if (model.length > dedup.capacity) model.shift();
          expect(dedup.len).toBe(model.length);
        }
      },
    ),
  );
});

test('the capacity of the deduplication window has bounds', () => {
  expect(new RedisStreamDedup().capacity).toBe(4096);
  expect(new RedisStreamDedup(0).capacity).toBe(1);
  expect(new RedisStreamDedup(1e9).capacity).toBe(16_777_216);
  const dedup = new RedisStreamDedup(2);
  expect(dedup.isEmpty).toBe(true);
  expect(dedup.isDuplicate('')).toBe(false);
  expect(dedup.isDuplicate('')).toBe(true);
  dedup.clear();
  expect(dedup.len).toBe(0);
  expect(dedup.isDuplicate('')).toBe(false);
  expect(() => new RedisStreamDedup('x' as any)).toThrow(InvalidArgumentError);
  expect(() => dedup.isDuplicate(5 as any)).toThrow(InvalidArgumentError);
});
