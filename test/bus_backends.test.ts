import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import {
  AdapterError,
  BusError,
  NetNode,
  type NetNodeConfig,
  RedisStreamDedup,
  type StoredEvent,
  type Transport,
} from 'netmesh';

import { openBus } from './support/buses';
import { Child } from './support/children';
import { rejection, take } from './support/nodes';
import { type Server, freePort, missing, startNats, startRedis } from './support/servers';

// Buses over real servers, which these tests start, hold still and kill.

jest.setTimeout(60_000);

interface Backend {
  name: string;
  program: string;
  start: (...extra: string[]) => Promise<Server>;
  transport: (port: number, more?: object) => Transport;
  /** Whether the server itself drops repeated events. */
  deduplicates: boolean;
}

const REDIS: Backend = {
  name: 'Redis',
  program: 'redis-server',
  start: startRedis,
  transport: (port, more) => ({ type: 'redis', url: `redis://127.0.0.1:${port}`, ...more }),
  deduplicates: false,
};
const JETSTREAM: Backend = {
  name: 'JetStream',
  program: 'nats-server',
  start: startNats,
  transport: (port, more) => ({ type: 'jetstream', url: `nats://127.0.0.1:${port}`, ...more }),
  deduplicates: true,
};

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'netmesh-bus-'));
  folders.push(made);
  return made;
}
afterAll(() => {
  for (const each of folders) rmSync(each, { recursive: true, force: true });
});

let prefixes = 0;
/** Streams of its own for each test. */
const prefix = (): string => `test${++prefixes}`;

async function readAll(bus: NetNode, request: { limit?: number; filter?: string } = {}) {
  const events: StoredEvent[] = [];
  let cursor: string | undefined;
  let more = true;
  while (more) {
    const page = await bus.poll({ limit: 500, ...request, cursor });
    events.push(...page.events);
    cursor = page.nextId;
    more = page.hasMore;
  }
  return events;
}

const numbersOf = (events: StoredEvent[]): number[] =>
  events.map(({ raw }) => (JSON.parse(raw) as { n: number }).n);
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);
const sorted = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b);

/** Drops what was delivered before, as a consumer of this backend has to. */
function unique(backend: Backend, events: StoredEvent[]): StoredEvent[] {
  if (backend.deduplicates) return events;
  const dedup = new RedisStreamDedup(1_000_000);
  return events.filter(({ dedupId }) => !dedup.isDuplicate(dedupId!));
}

for (const backend of [REDIS, JETSTREAM]) {
  const absent = missing(backend.program);
  (absent ? describe.skip : describe)(`on ${backend.name}`, () => {
    let server: Server;

    beforeAll(async () => {
      server = await backend.start();
    });

    const open = (config: NetNodeConfig = {}, more: object = {}): Promise<NetNode> =>
      openBus({
        shards: 2,
        transport: backend.transport(server.port, { prefix: prefix(), ...more }),
        ...config,
      });

    test('what is flushed can be read, byte for byte, by every bus of the prefix', async () => {
      const common = prefix();
      const bus = await open({}, { prefix: common });
      const texts = [
        '{"n":1}',
        '{ "spaced" : 1.0 }',
        '[1,\n2]',
        'null',
        '"ü🌱"',
        '12345678901234567890123',
      ];
      for (const text of texts) bus.emitRaw(text);
      await bus.flush();
      const reader = await open({}, { prefix: common });
      const events = await readAll(reader);
      expect(events.map(({ raw }) => raw).sort()).toEqual([...texts].sort());
      const { nonce } = bus.producer();
      for (const { dedupId, shardId } of events) {
        expect(dedupId).toMatch(new RegExp(`^${nonce.toString(16)}:${shardId}:\\d+:\\d+$`));
      }
      expect(new Set(events.map(({ dedupId }) => dedupId)).size).toBe(texts.length);
      expect(bus.stats()).toMatchObject({ eventsDispatched: 6n, eventsLost: 0n });
    });

    test('sequences count events without gaps in each shard', async () => {
      const bus = await open({ shards: 1, batch: { minSize: 3, maxSize: 3, adaptive: false } });
      for (const n of range(0, 10)) bus.emit({ n });
      await bus.flush();
      const ids = (await readAll(bus)).map(({ dedupId }) =>
        dedupId!.split(':').slice(2).map(Number),
      );
      expect(ids.map(([start, index]) => start! + index!)).toEqual(range(0, 10));
      expect(bus.producer().nextSequences).toEqual([10n]);
    });

    test('pages visit every event once, whatever limit, filter and order', async () => {
      const common = prefix();
      const buses = await Promise.all(
        range(0, 3).map(() => open({ shards: 3 }, { prefix: common })),
      );
      for (const n of range(0, 600)) buses[n % 3]!.emit({ n, odd: n % 2 === 1 });
      await Promise.all(buses.map((bus) => bus.flush()));
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 700 }).map((limit) => Math.max(limit, 20)),
          fc.constantFrom<'none' | 'insertion_ts'>('none', 'insertion_ts'),
          fc.boolean(),
          async (limit, ordering, filtered) => {
            const filter = filtered ? '{"path":"odd","value":true}' : undefined;
            const seen: number[] = [];
            let cursor: string | undefined;
            for (let more = true; more;) {
              const page = await buses[0]!.poll({ limit, cursor, ordering, filter });
              seen.push(...numbersOf(page.events));
              cursor = page.nextId;
              more = page.hasMore;
            }
            expect(sorted(seen)).toEqual(range(0, 600).filter((n) => !filtered || n % 2 === 1));
          },
        ),
        { numRuns: 12 },
      );
    });

    test('an event wakes a stream that waits, of another bus, without long polling', async () => {
      const common = prefix();
      const producer = await open({ batch: { maxDelayMs: 1 } }, { prefix: common });
      const consumer = await open({}, { prefix: common });
      // Polling alone would take far longer.
      const stream = consumer.subscribe({ pollIntervalMs: 20_000, maxBackoffMs: 20_000 });
      const events = stream[Symbol.asyncIterator]();
      const first = take(events, 1);
      await new Promise((resolve) => setTimeout(resolve, 150));
      for (const n of range(0, 20)) {
        const sent = Date.now();
        producer.emit({ n });
        const [event] = n === 0 ? await first : await take(events, 1);
        expect(numbersOf([event!])).toEqual([n]);
        expect(Date.now() - sent).toBeLessThan(5000);
      }
      stream.stop();
    });

    test('a stream from the end sees only what comes after', async () => {
      const bus = await open();
      for (const n of range(0, 10)) bus.emit({ n });
      await bus.flush();
      const stream = bus.subscribe({ from: 'latest' });
      const next = take(stream[Symbol.asyncIterator](), 2);
      await new Promise((resolve) => setTimeout(resolve, 100));
      bus.emitBatch([{ n: 10 }, { n: 11 }]);
      expect(sorted(numbersOf(await next))).toEqual([10, 11]);
      stream.stop();
    });

    test('shutdown delivers what was accepted', async () => {
      const common = prefix();
      const bus = await open({}, { prefix: common });
      const texts = range(0, 5000).map((n) => JSON.stringify({ n }));
      const accepted = bus.emitRawBatch(texts.slice(0, 1500));
      await bus.shutdown();
      const reader = await open({}, { prefix: common });
      expect((await readAll(reader)).length).toBe(accepted);
    });

    test('a shard that cannot be read is named, and stays where it is', async () => {
      const bus = await open(
        { adapterTimeoutMs: 1000 },
        { requestTimeoutMs: 300, commandTimeoutMs: 300 },
      );
      for (const n of range(0, 10)) bus.emit({ n });
      await bus.flush();
      const { nextId } = await bus.poll({ limit: 10, ordering: 'insertion_ts' });
      server.pause(true);
      try {
        const page = await bus.poll({ limit: 10, cursor: nextId });
        expect(page).toEqual({ events: [], nextId, hasMore: false, failedShards: [0, 1] });
      } finally {
        server.pause(false);
      }
      expect(await readAll(bus)).toHaveLength(10);
    });

    test('a server that holds still for a while costs no event', async () => {
      const bus = await open({}, { commandTimeoutMs: 200, requestTimeoutMs: 200 });
      bus.emit({ n: 0 });
      await bus.flush();
      server.pause(true);
      for (const n of range(1, 500)) bus.emit({ n });
      await new Promise((resolve) => setTimeout(resolve, 600));
      server.pause(false);
      await bus.flush();
      const events = unique(backend, await readAll(bus));
      expect(sorted(numbersOf(events))).toEqual(range(0, 500));
      expect(bus.stats().eventsLost).toBe(0n);
    });

    test('while the server is away the ring fills, and says so as it was told to', async () => {
      const bus = await open(
        { shards: 1, backpressure: 'fail_producer', batch: { minSize: 100, maxSize: 100 } },
        { commandTimeoutMs: 5000, requestTimeoutMs: 5000 },
      );
      bus.emit({ n: 0 });
      await bus.flush();
      server.pause(true);
      try {
        let accepted = 1;
        // Two batches are on their way, the ring holds 1023.
        while (bus.fire(JSON.stringify({ n: accepted })) && accepted < 100_000) {
          accepted++;
          if (accepted % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        }
        expect(accepted).toBeGreaterThanOrEqual(1023);
        expect(accepted).toBeLessThan(1023 + 400);
        expect(() => bus.emit({})).toThrow('Ingestion failed: backpressure: ring buffer full');
        expect(bus.emitBuffer(Buffer.from('x'))).toBe(false);
        expect(bus.stats()).toMatchObject({ eventsDropped: 3n, droppedFull: 3n });
        server.pause(false);
        await bus.flush();
        expect(sorted(numbersOf(unique(backend, await readAll(bus))))).toEqual(range(0, accepted));
      } finally {
        server.pause(false);
      }
    });

    test('drop_oldest keeps the newest events and counts what it evicts', async () => {
      const bus = await open(
        { shards: 1, batch: { minSize: 100, maxSize: 100 } },
        { commandTimeoutMs: 5000, requestTimeoutMs: 5000 },
      );
      bus.emit({ n: 0 });
      await bus.flush();
      server.pause(true);
      for (const n of range(1, 3001)) bus.emit({ n });
      server.pause(false);
      await bus.flush();
      const numbers = numbersOf(unique(backend, await readAll(bus)));
      const { eventsEvicted, eventsIngested } = bus.stats();
      expect(eventsIngested).toBe(3001n);
      expect(BigInt(numbers.length) + eventsEvicted).toBe(3001n);
      expect(numbers.slice(-1000)).toEqual(range(2001, 3001));
    });

    test('batches that are given up are counted, and flush says so once', async () => {
      const bus = await open(
        { adapterBatchRetries: 0 },
        { commandTimeoutMs: 100, requestTimeoutMs: 100 },
      );
      bus.emit({ n: 0 });
      await bus.flush();
      server.pause(true);
      try {
        bus.emitBatch([{ n: 1 }, { n: 2 }]);
        const error = await rejection(bus.flush());
        expect(error).toBeInstanceOf(BusError);
        expect(error.message).toMatch(
          /^Flush failed: transient error: .*\(\d events in \d batches were given up\)$/,
        );
        expect(error.cause).toBeInstanceOf(AdapterError);
      } finally {
        server.pause(false);
      }
      expect(bus.stats()).toMatchObject({ eventsLost: 2n });
      bus.emit({ n: 3 });
      await bus.flush();
    });

    test('a producer that is killed and started again loses and repeats nothing it had journaled', async () => {
      const common = prefix();
      const nonce = path.join(folder(), 'producer.nonce');
      const total = 30_000;
      const run = (): Child =>
        new Child('bus_producer.cjs', [
          JSON.stringify(backend.transport(server.port, { prefix: common })),
          nonce,
          String(total),
        ]);
      for (const ms of [60, 90, 120]) {
        const child = run();
        await child.printed('started');
        await new Promise((resolve) => setTimeout(resolve, ms));
        child.process.kill('SIGKILL');
        expect((await child.ended).signal).toBe('SIGKILL');
      }
      const last = await run().ended;
      expect(last).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('done') });
      expect(last.stdout).not.toContain('started at 0');
      const reader = await open({ shards: 1 }, { prefix: common });
      const events = await readAll(reader, { limit: 5000 });
      const numbers = numbersOf(unique(backend, events));
      expect(numbers).toEqual(range(0, total));
    });
  });

  (absent ? describe.skip : describe)(`${backend.name} that comes and goes`, () => {
    test('a server that is killed and started again gets every event', async () => {
      const server = await backend.start();
      const bus = await openBus({
        shards: 2,
        bufferCapacity: 65_536,
        transport: backend.transport(server.port, { commandTimeoutMs: 500, requestTimeoutMs: 500 }),
      });
      let emitted = 0;
      const emitSome = async (): Promise<void> => {
        for (let round = 0; round < 40; round++) {
          for (let i = 0; i < 50; i++) bus.emit({ n: emitted++ });
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      };
      await emitSome();
      const running = emitSome();
      await server.stop('SIGKILL');
      await running;
      await server.start();
      await emitSome();
      await bus.flush();
      expect(bus.stats().eventsLost).toBe(0n);
      const events = unique(backend, await readAll(bus));
      expect(sorted(numbersOf(events))).toEqual(range(0, emitted));
    });

    test('a server that is not there, or is another one, fails the creation', async () => {
      const port = await freePort();
      const error = await rejection(NetNode.create({ transport: backend.transport(port) }));
      expect(error).toBeInstanceOf(BusError);
      expect(error.message).toMatch(/^Failed to create EventBus: connection error: /);
      const sockets: Socket[] = [];
      const silent = createServer((socket) => sockets.push(socket.resume()));
      silent.listen(0, '127.0.0.1');
      await new Promise((resolve) => silent.once('listening', resolve));
      const { port: silentPort } = silent.address() as { port: number };
      const late = await rejection(
        NetNode.create({
          transport: backend.transport(silentPort, {
            connectTimeoutMs: 300,
            commandTimeoutMs: 300,
          }),
          adapterTimeoutMs: 1000,
        }),
      );
      expect(late.message).toMatch(/^Failed to create EventBus: (connection|fatal) error: /);
      // The client of NATS leaves a connection open on which no server has introduced itself.
      if (backend === JETSTREAM) for (const socket of sockets) socket.destroy();
      // Ends once no connection is left.
      await new Promise((resolve) => silent.close(resolve));
    });

    test('a URL that is none, or of another protocol, fails the creation', async () => {
      for (const url of ['not a url', 'http://127.0.0.1:1']) {
        const error = await rejection(
          NetNode.create({ transport: backend.transport(1, { url, connectTimeoutMs: 500 }) }),
        );
        expect(error.message).toMatch(/^Failed to create EventBus: connection error: /);
      }
    });

    test('a wrong password fails the creation, and does not appear in the error', async () => {
      const server = await (backend === REDIS
        ? backend.start('--requirepass', 'right')
        : backend.start('--user', 'me', '--pass', 'right'));
      const scheme = backend === REDIS ? 'redis' : 'nats';
      const url = (password: string): string =>
        `${scheme}://${backend === REDIS ? '' : 'me'}:${password}@127.0.0.1:${server.port}`;
      const wrong = await rejection(
        NetNode.create({ transport: backend.transport(0, { url: url('wr0ng-s3cret') }) }),
      );
      expect(wrong.message).toMatch(/^Failed to create EventBus: connection error: /);
      expect(wrong.message).not.toContain('s3cret');
      const bus = await openBus({ transport: backend.transport(0, { url: url('right') }) });
      bus.emit({ n: 1 });
      await bus.flush();
      expect(await readAll(bus)).toHaveLength(1);
    });
  });
}

(missing('redis-server') ? describe.skip : describe)('the entries in Redis', () => {
  test('have the documented key, fields and bytes, and a reader takes others in its stride', async () => {
    const server = await startRedis();
    const bus = await openBus({ shards: 1, transport: REDIS.transport(server.port) });
    const { timestamp } = bus.emitRaw('{"a":1}')!;
    await bus.flush();
    const { createClient } = await import('redis');
    const client = createClient({ url: `redis://127.0.0.1:${server.port}`, RESP: 2 });
    await client.connect();
    const entries = (await client.xRange('net:shard:0', '-', '+'))!;
    const id = `${bus.producer().nonce.toString(16)}:0:0:0`;
    expect(entries[0]!.message).toEqual({
      d: `{"r":{"a":1},"t":${timestamp},"s":0}`,
      dedup_id: id,
    });
    expect(Object.keys(entries[0]!.message)).toEqual(['d', 'dedup_id']);
    const add = (fields: Record<string, string>) => client.xAdd('net:shard:0', '*', fields);
    await add({ other: 'x', d: '{"s":7,"x":[1],"r": [ 1.0 , "a" ] ,"t":5}' });
    await add({ d: 'nonsense' });
    await add({ nothing: 'x' });
    await add({ d: '{"r":1' });
    await add({ d: '{"r":true}' });
    const events = await readAll(bus, { limit: 1 });
    expect(
      events.map(({ raw, insertionTs, shardId, dedupId }) => [raw, insertionTs, shardId, dedupId]),
    ).toEqual([
      ['{"a":1}', timestamp, 0, id],
      ['[ 1.0 , "a" ]', 5, 7, undefined],
      ['true', 0, 0, undefined],
    ]);
    client.destroy();
  });

  test('are trimmed when that is asked for', async () => {
    const server = await startRedis();
    const bus = await openBus({
      shards: 1,
      bufferCapacity: 8192,
      transport: REDIS.transport(server.port, { maxStreamLen: 100, pipelineSize: 37 }),
    });
    for (const n of range(0, 5000)) bus.emit({ n });
    await bus.flush();
    const events = await readAll(bus);
    // Redis trims whole nodes of its tree, of 100 entries by default.
    expect(events.length).toBeLessThan(400);
    expect(numbersOf(events).at(-1)).toBe(4999);
  });

  test('cannot be written when the key is no stream, and that is not tried again', async () => {
    const server = await startRedis();
    const { createClient } = await import('redis');
    const client = createClient({ url: `redis://127.0.0.1:${server.port}` });
    await client.connect();
    await client.set('net:shard:0', 'text');
    const bus = await openBus({ shards: 1, transport: REDIS.transport(server.port) });
    bus.emit({ n: 1 });
    const error = await rejection(bus.flush());
    expect(error.message).toMatch(
      /^Flush failed: fatal error: .*1 events in 1 batches were given up/,
    );
    client.destroy();
  });
});

(missing('nats-server') ? describe.skip : describe)('the streams in JetStream', () => {
  test('have the documented names and limits, and messages their headers', async () => {
    const server = await startNats();
    const bus = await openBus({
      shards: 2,
      transport: JETSTREAM.transport(server.port, {
        prefix: 'app',
        maxMessages: 5000,
        maxAgeMs: 60_000,
      }),
    });
    for (const n of range(0, 20)) bus.emit({ n });
    await bus.flush();
    const nats = await import('@nats-io/transport-node');
    const { jetstreamManager } = await import('@nats-io/jetstream');
    const client = await nats.connect({ servers: `127.0.0.1:${server.port}` });
    const manager = await jetstreamManager(client);
    const { config } = await manager.streams.info('app_shard_1');
    expect(config).toMatchObject({
      name: 'app_shard_1',
      subjects: ['app.shard.1'],
      retention: 'limits',
      storage: 'file',
      discard: 'old',
      num_replicas: 1,
      allow_direct: true,
      max_msgs: 5000,
      max_age: 60_000_000_000,
      duplicate_window: 60_000_000_000,
    });
    const message = await manager.streams.getMessage('app_shard_1', { seq: 1 });
    expect(message!.subject).toBe('app.shard.1');
    expect(message!.header.get('Nats-Msg-Id')).toBe(`${bus.producer().nonce.toString(16)}:1:0:0`);
    expect(message!.string()).toMatch(/^\{"r":\{"n":\d+\},"t":\d+,"s":1\}$/);
    await client.close();
  });

  test('may have gaps, unreadable records and no direct access', async () => {
    const server = await startNats();
    const nats = await import('@nats-io/transport-node');
    const { jetstream, jetstreamManager } = await import('@nats-io/jetstream');
    const client = await nats.connect({ servers: `127.0.0.1:${server.port}` });
    const manager = await jetstreamManager(client);
    await manager.streams.add({
      name: 'net_shard_0',
      subjects: ['net.shard.0'],
      allow_direct: false,
    });
    const bus = await openBus({ shards: 1, transport: JETSTREAM.transport(server.port) });
    for (const n of range(0, 30)) bus.emit({ n });
    await bus.flush();
    await jetstream(client).publish('net.shard.0', 'nonsense');
    for (const seq of [1, 5, 6, 7, 20]) await manager.streams.deleteMessage('net_shard_0', seq);
    bus.emit({ n: 30 });
    await bus.flush();
    const kept = range(0, 31).filter((n) => ![0, 4, 5, 6, 19].includes(n));
    for (const limit of [1, 4, 100]) {
      expect(numbersOf(await readAll(bus, { limit }))).toEqual(kept);
    }
    await client.close();
  });

  test('stop a reader at a record that is corrupt', async () => {
    const server = await startNats();
    const bus = await openBus({ shards: 1, transport: JETSTREAM.transport(server.port) });
    bus.emit({ n: 0 });
    await bus.flush();
    const nats = await import('@nats-io/transport-node');
    const { jetstream } = await import('@nats-io/jetstream');
    const client = await nats.connect({ servers: `127.0.0.1:${server.port}` });
    await jetstream(client).publish('net.shard.0', '{"r":1,"t":1,"s":70000}');
    bus.emit({ n: 1 });
    await bus.flush();
    const page = await bus.poll({ limit: 10 });
    expect(numbersOf(page.events)).toEqual([0]);
    expect(page.hasMore).toBe(true);
    await expect(bus.poll({ limit: 10, cursor: page.nextId })).resolves.toMatchObject({
      events: [],
      nextId: page.nextId,
    });
    await client.close();
  });
});
