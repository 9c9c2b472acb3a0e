import { randomBytes } from 'node:crypto';
import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';

import fc from 'fast-check';
import { BusError, NetNode, type NetNodeConfig, type StoredEvent, type Transport } from 'netmesh';
import { generateNetKeypair } from 'netmesh/core';

import {
  SeenRuns,
  batchMessage,
  parseMessage,
  storedMessage,
} from '../lib/internal/bus/mesh_messages';
import { openBus } from './support/buses';
import * as wire from './support/legacy_wire';
import { rejection, take, until } from './support/nodes';

// Two buses at the ends of one encrypted session, and one bus with a peer of net-mesh 0.19.

const PSK = '42'.repeat(32);

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

interface Ends {
  initiator: Transport;
  responder: Transport;
  keys: { publicKey: string; secretKey: string };
  ports: [initiator: number, responder: number];
}

async function ends(more: object = {}): Promise<Ends> {
  const keys = generateNetKeypair();
  const ports: [number, number] = [await freePort(), await freePort()];
  const [a, b] = ports.map((port) => `127.0.0.1:${port}`) as [string, string];
  const { publicKey } = keys;
  return {
    keys,
    ports,
    initiator: { type: 'mesh', bind: a, peer: b, psk: PSK, peerPublicKey: publicKey, ...more },
    responder: { type: 'mesh', bind: b, peer: a, psk: PSK, role: 'responder', ...keys, ...more },
  };
}

async function pair(config: NetNodeConfig = {}, more: object = {}): Promise<[NetNode, NetNode]> {
  const { initiator, responder } = await ends(more);
  return Promise.all([
    openBus({ shards: 2, ...config, transport: initiator }),
    openBus({ shards: 2, ...config, transport: responder }),
  ]);
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);
const numbersOf = (events: StoredEvent[]): number[] =>
  events.map(({ raw }) => (JSON.parse(raw) as { n: number }).n);
const sorted = (numbers: number[]): number[] => [...numbers].sort((a, b) => a - b);

async function readAll(bus: NetNode, limit = 100): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  let cursor: string | undefined;
  for (let more = true; more;) {
    const page = await bus.poll({ limit, cursor });
    events.push(...page.events);
    cursor = page.nextId;
    more = page.hasMore;
  }
  return events;
}

test('each bus reads what the other one has emitted and flushed, shard by shard', async () => {
  const [a, b] = await pair();
  for (const n of range(0, 500)) a.emit({ n });
  b.emit({ n: -1 });
  const binary = Buffer.from([0xff, 0x00]);
  b.emitBuffer(binary);
  await Promise.all([a.flush(), b.flush()]);
  for (const limit of [1, 7, 1000]) {
    expect(sorted(numbersOf(await readAll(b, limit)))).toEqual(range(0, 500));
  }
  const back = await readAll(a);
  expect(back.map(({ raw }) => raw).sort()).toEqual(['', '{"n":-1}']);
  expect(back.find(({ raw }) => raw === '')!.rawBytes).toEqual(binary);
  const shards = new Set((await readAll(b)).map(({ shardId }) => shardId));
  expect([...shards].sort()).toEqual([0, 1]);
  expect(a.stats()).toMatchObject({ eventsDispatched: 500n, eventsLost: 0n });
});

test('pollOne takes nothing away, and a filter loses nothing', async () => {
  const [a, b] = await pair();
  for (const n of range(0, 50)) a.emit({ n, even: n % 2 === 0 });
  await a.flush();
  expect(await b.pollOne()).toEqual(await b.pollOne());
  const filter = '{"path":"even","value":true}';
  const { events } = await b.poll({ limit: 5, filter });
  expect(events).toHaveLength(5);
  expect(await readAll(b)).toHaveLength(50);
});

test('an event wakes a stream at the other end', async () => {
  const [a, b] = await pair({ batch: { maxDelayMs: 1 } });
  const stream = b.subscribe({ pollIntervalMs: 20_000, maxBackoffMs: 20_000 });
  const events = stream[Symbol.asyncIterator]();
  for (const n of range(0, 20)) {
    const next = take(events, 1);
    a.emit({ n });
    expect(numbersOf(await next)).toEqual([n]);
  }
  stream.stop();
});

test('events of a megabyte, and a hundred thousand small ones, arrive', async () => {
  const [a, b] = await pair({ bufferCapacity: 131_072 });
  const large = 'x'.repeat(3_000_000);
  a.emitRaw(large);
  for (const n of range(0, 100_000)) a.emit({ n });
  await a.flush();
  const events = await readAll(b, 5000);
  expect(events).toHaveLength(100_001);
  expect(events.some(({ raw }) => raw === large)).toBe(true);
  expect(() => a.emitRaw('x'.repeat(9_000_000))).toThrow('the payload is too large');
});

test('a peer that ends and comes back gets what was emitted meanwhile, once', async () => {
  const { initiator, responder } = await ends({ heartbeatIntervalMs: 100, sessionTimeoutMs: 400 });
  const [a, first] = await Promise.all([
    openBus({ shards: 1, transport: initiator, batch: { minSize: 10, maxSize: 10 } }),
    openBus({ shards: 1, transport: responder }),
  ]);
  for (const n of range(0, 100)) a.emit({ n });
  await a.flush();
  expect(numbersOf(await readAll(first))).toEqual(range(0, 100));
  await first.shutdown();
  for (const n of range(100, 300)) a.emit({ n });
  const second = await openBus({ shards: 1, transport: responder });
  await a.flush();
  expect(numbersOf(await readAll(second))).toEqual(range(100, 300));
  expect(a.stats().eventsLost).toBe(0n);
});

test('with nobody at the other end the creation fails in time', async () => {
  const { initiator, responder } = await ends();
  const results = await Promise.all(
    [initiator, { ...responder, bind: '127.0.0.1:0' } as Transport].map((transport) =>
      rejection(NetNode.create({ transport, adapterTimeoutMs: 500 })),
    ),
  );
  for (const error of results) {
    expect(error).toBeInstanceOf(BusError);
    expect(error.message).toBe('Failed to create EventBus: fatal error: adapter init timed out');
  }
});

test('another pre-shared key or another secret key is no peer', async () => {
  const { responder, initiator } = await ends();
  const results = await Promise.allSettled([
    NetNode.create({
      transport: { ...initiator, psk: '43'.repeat(32) } as Transport,
      adapterTimeoutMs: 1500,
    }),
    NetNode.create({ transport: responder, adapterTimeoutMs: 1500 }),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
}, 30_000);

test('an address that is taken fails the creation', async () => {
  const { initiator, ports } = await ends();
  const squatter = createSocket('udp4');
  await new Promise<void>((resolve) => squatter.bind(ports[0], '127.0.0.1', resolve));
  const error = await rejection(NetNode.create({ transport: initiator }));
  expect(error.message).toMatch(/^Failed to create EventBus: connection error: /);
  squatter.close();
});

// --- with 0.19 ---

/** One end of the single-peer protocol, written from the specification alone. */
class OldBus {
  readonly received: Array<{ stream: bigint; events: Buffer[]; reliable: boolean }> = [];
  heartbeats = 0;
  session: wire.LegacySession | undefined;
  readonly #socket: Socket;

  constructor(
    readonly port: number,
    readonly peerPort: number,
    readonly keys: { publicKey: string; secretKey: string },
  ) {
    this.#socket = createSocket('udp4');
  }

  get #handshake(): wire.HandshakeKeys {
    return { psk: Buffer.from(PSK, 'hex'), initiatorId: 0n, responderId: 0n, emptyPrologue: true };
  }

  async open(initiator: boolean): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.bind(this.port, '127.0.0.1', resolve));
    const responder = Buffer.from(this.keys.publicKey, 'hex');
    const attempt = initiator
      ? new wire.Initiator(
          this.#handshake,
          responder,
          new wire.KeyPair(randomBytes(32)),
          Buffer.alloc(0),
        )
      : undefined;
    this.#socket.on('message', (packet, from) => {
      try {
        this.#handle(packet, from, attempt);
      } catch (error) {
        // What does not decrypt is dropped.
        if (!(error instanceof Error)) throw error;
      }
    });
    if (attempt) this.send(wire.handshakePacket(attempt.message1));
  }

  send(packet: Buffer): void {
    this.#socket.send(packet, this.peerPort, '127.0.0.1');
  }

  emit(stream: bigint, sequence: bigint, events: string[]): Buffer {
    const packet = this.session!.seal(
      { streamId: stream, sequence },
      events.map((each) => Buffer.from(each)),
    );
    this.send(packet);
    return packet;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(resolve));
  }

  #handle(packet: Buffer, _from: RemoteInfo, attempt: wire.Initiator | undefined): void {
    const header = wire.readHeader(packet);
    if ((header.flags & wire.FLAG.handshake) !== 0) {
      const message = packet.subarray(wire.HEADER_BYTES);
      if (attempt) {
        this.session ??= new wire.LegacySession(attempt.readMessage2(message), true);
      } else {
        const own = new wire.KeyPair(Buffer.from(this.keys.secretKey, 'hex'));
        const { message2, h } = wire.respond(
          this.#handshake,
          own,
          new wire.KeyPair(randomBytes(32)),
          message,
        );
        this.session = new wire.LegacySession(h, false);
        this.send(wire.handshakePacket(message2));
      }
      return;
    }
    const events = this.session!.open(packet, header);
    if ((header.flags & wire.FLAG.heartbeat) !== 0) this.heartbeats++;
    else {
      const reliable = (header.flags & wire.FLAG.reliable) !== 0;
      this.received.push({ stream: header.streamId, events, reliable });
    }
  }
}

/** What a test does not want on its screen, and wants to know of. */
function warnings(): string[] {
  const seen: string[] = [];
  jest.spyOn(process, 'emitWarning').mockImplementation((text) => {
    seen.push(String(text));
  });
  return seen;
}
afterEach(() => {
  jest.restoreAllMocks();
});

test.each([true, false])(
  'a bus of 0.19 is understood (it begins: %s)',
  async (oldBegins) => {
    const warned = warnings();
    const { initiator, responder, keys, ports } = await ends({
      heartbeatIntervalMs: 50,
      reliability: 'full',
    });
    const [oldPort, newPort] = oldBegins ? ports : [ports[1], ports[0]];
    const old = new OldBus(oldPort, newPort, keys);
    const transport = oldBegins ? responder : initiator;
    const opening = openBus({ shards: 2, transport });
    if (oldBegins) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      await old.open(true);
    } else {
      await old.open(false);
    }
    const bus = await opening;
    await until(() => old.session !== undefined);

    for (const n of range(0, 1000)) bus.emit({ n });
    await bus.flush();
    const countOf = (): number => old.received.flatMap(({ events }) => events).length;
    await until(() => countOf() === 1000);
    expect(new Set(old.received.map(({ stream }) => stream))).toEqual(new Set([0n, 1n]));
    expect(old.received.every(({ reliable }) => reliable)).toBe(true);
    const texts = old.received.flatMap(({ events }) => events.map(String));
    expect(sorted(texts.map((text) => (JSON.parse(text) as { n: number }).n))).toEqual(
      range(0, 1000),
    );
    await until(() => old.heartbeats > 1);

    old.emit(0n, 0n, ['{"n":1}', '{"n":2}']);
    const replayed = old.emit(1n, 0n, ['{"n":3}']);
    old.emit(0n, 1n, ['{"n":4}']);
    old.send(replayed);
    old.send(Buffer.from('nonsense'));
    await until(() => bus.stats().eventsStored === 4n);
    await new Promise((resolve) => setTimeout(resolve, 20));
    // Their own order in each stream, and the two streams in two shards.
    const events = await readAll(bus, 1);
    expect(events.map(({ shardId, raw }) => [shardId, raw])).toEqual([
      [0, '{"n":1}'],
      [0, '{"n":2}'],
      [0, '{"n":4}'],
      [1, '{"n":3}'],
    ]);
    expect(warned).toEqual([expect.stringContaining('speaks only the base protocol')]);
    await old.close();
  },
  30_000,
);

test('an event that 0.19 cannot take is named, and the others arrive', async () => {
  warnings();
  const { initiator, keys, ports } = await ends();
  const old = new OldBus(ports[1], ports[0], keys);
  await old.open(false);
  const bus = await openBus({ shards: 1, transport: initiator });
  bus.emitRaw('"small"');
  bus.emitRaw(`"${'x'.repeat(8107)}"`);
  const error = await rejection(bus.flush());
  expect(error.message).toMatch(/1 of the \d events of a batch exceed 8108 bytes/);
  await until(() => old.received.length > 0);
  expect(old.received[0]!.events.map(String)).toEqual(['"small"']);
  await old.close();
}, 30_000);

test('a bus that refuses 0.19 does not talk to it', async () => {
  const { initiator, keys, ports } = await ends({ legacyPeers: 'deny' });
  const old = new OldBus(ports[1], ports[0], keys);
  await old.open(false);
  const opening = NetNode.create({ transport: initiator, adapterTimeoutMs: 1000 });
  await expect(opening).rejects.toThrow('Failed to create EventBus: ');
  expect(old.session).toBeUndefined();
  await old.close();
});

// --- messages between netmesh buses ---

test('batches and confirmations survive the way into bytes and back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 }),
      fc.integer({ min: 0, max: 65_535 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (events, shard, nonce, sequence) => {
        let end = 0;
        const ends = events.map((event) => (end += event.length));
        const run = { shard, nonce, sequence, count: events.length };
        const message = batchMessage(run, ends, Buffer.concat(events));
        expect(parseMessage(message)).toEqual({
          kind: 'batch',
          events: events.map((each) => Buffer.from(each)),
          ...run,
        });
        expect(parseMessage(storedMessage(run))).toEqual({ kind: 'stored', ...run });
      },
    ),
  );
});

test('a message that is cut short or made up is none, and never throws', () => {
  const whole = batchMessage(
    { shard: 1, nonce: 2n, sequence: 3n, count: 2 },
    [1, 3],
    Buffer.from('abc'),
  );
  for (let length = 0; length < whole.length; length++) {
    expect(parseMessage(whole.subarray(0, length))).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      parseMessage(Buffer.from(bytes));
    }),
  );
});

test('runs that come again are known, whole or in part', () => {
  const seen = new SeenRuns();
  const run = (sequence: bigint, count: number) => ({ shard: 0, nonce: 1n, sequence, count });
  expect(seen.note(run(0n, 10))).toBe(0);
  expect(seen.note(run(0n, 10))).toBe(10);
  expect(seen.note(run(5n, 10))).toBe(5);
  expect(seen.note(run(20n, 5))).toBe(0);
  expect(seen.note(run(15n, 5))).toBe(5);
  expect(seen.note({ ...run(0n, 10), nonce: 2n })).toBe(0);
});
