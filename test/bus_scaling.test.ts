import {
  BusError,
  InvalidArgumentError,
  NetNode,
  type NetNodeConfig,
  type StoredEvent,
} from 'netmesh';

import { openBus } from './support/buses';
import { rejection } from './support/nodes';
import { missing, startNats, startRedis } from './support/servers';

// The number of shards changes while events flow: nothing is lost, nothing comes twice.

jest.setTimeout(60_000);

const SCALING = { minShards: 1, maxShards: 5, auto: false };
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);
const sorted = (numbers: number[]): number[] => [...numbers].sort((a, b) => a - b);
const numberOf = ({ raw }: StoredEvent): number => (JSON.parse(raw) as { n: number }).n;

/** Emits, scales and reads in turns, with one cursor from the first event to the last. */
async function scaleWhileEventsFlow(bus: NetNode, total: number): Promise<StoredEvent[]> {
  const seen: StoredEvent[] = [];
  let cursor: string | undefined;
  const read = async (): Promise<boolean> => {
    const page = await bus.poll({ limit: 150, cursor });
    seen.push(...page.events);
    cursor = page.nextId;
    return page.hasMore;
  };
  let emitted = 0;
  for (let round = 0; emitted < total; round++) {
    const batch = range(emitted, Math.min(emitted + 97, total));
    expect(bus.emitBatch(batch.map((n) => ({ n })))).toBe(batch.length);
    emitted += batch.length;
    const wanted = 1 + ((round * 3) % 5);
    const now = bus.shards();
    // Not awaited: the next events are emitted while shards drain.
    if (wanted > now) expect(bus.scaleUp(wanted - now)).toEqual(range(now, wanted));
    if (wanted < now) void bus.scaleDown(now - wanted).catch(() => undefined);
    expect(bus.shards()).toBe(wanted);
    await read();
  }
  await bus.flush();
  while (await read());
  return seen;
}

function expectExactlyOnce(events: StoredEvent[], total: number): void {
  expect(sorted(events.map(numberOf))).toEqual(range(0, total));
  expect(new Set(events.map(({ shardId }) => shardId))).toEqual(new Set(range(0, 5)));
}

describe('a bus that scales', () => {
  test('on memory keeps every event and every cursor', async () => {
    const bus = await openBus({ shards: 1, scaling: SCALING });
    expectExactlyOnce(await scaleWhileEventsFlow(bus, 5000), 5000);
    expect(bus.stats()).toMatchObject({ eventsIngested: 5000n, eventsDropped: 0n });
  });

  const servers = [
    ['Redis', 'redis-server', startRedis, 'redis'],
    ['JetStream', 'nats-server', startNats, 'jetstream'],
  ] as const;
  for (const [name, program, start, type] of servers) {
    (missing(program) ? test.skip : test)(
      `on ${name} sends each event once, with sequences without gaps`,
      async () => {
        const server = await start();
        const url = `${type === 'redis' ? 'redis' : 'nats'}://127.0.0.1:${server.port}`;
        const config: NetNodeConfig = {
          shards: 2,
          bufferCapacity: 8192,
          scaling: SCALING,
          transport: { type, url },
        };
        const bus = await openBus(config);
        const events = await scaleWhileEventsFlow(bus, 2000);
        expectExactlyOnce(events, 2000);
        const sequences = new Map<number, number[]>();
        for (const { shardId, dedupId = '' } of events) {
          const [start = 0, index = 0] = dedupId.split(':').slice(2).map(Number);
          sequences.set(shardId, [...(sequences.get(shardId) ?? []), start + index]);
        }
        for (const each of sequences.values()) expect(each).toEqual(range(0, each.length));
        // Another bus that knows of as many shards reads the same.
        const reader = await openBus({ ...config, shards: 1 });
        const page = await reader.poll({ limit: 10_000 });
        expectExactlyOnce(page.events, 2000);
      },
    );
  }

  test('wakes a stream for events of shards that were added after it began', async () => {
    const bus = await openBus({ shards: 1, scaling: SCALING });
    const stream = bus.subscribe();
    const events = stream[Symbol.asyncIterator]();
    const first = events.next();
    expect(bus.scaleUp(4)).toEqual([1, 2, 3, 4]);
    const shards = new Set<number>();
    for (let n = 0; n < 50; n++) {
      bus.emit({ n });
      const { value } = n === 0 ? await first : await events.next();
      expect(numberOf(value)).toBe(n);
      shards.add(value!.shardId);
    }
    expect(shards.size).toBe(5);
    stream.stop();
  });

  test('takes a cursor of before a change, or of another number of shards', async () => {
    const bus = await openBus({ shards: 5, scaling: SCALING });
    for (const n of range(0, 100)) bus.emit({ n });
    const { nextId, events } = await bus.poll({ limit: 60 });
    await expect(bus.scaleDown(4)).resolves.toEqual([1, 2, 3, 4]);
    for (const n of range(100, 120)) bus.emit({ n });
    const rest = await bus.poll({ limit: 1000, cursor: nextId });
    expect(sorted([...events, ...rest.events].map(numberOf))).toEqual(range(0, 120));
  });

  test('stays within its bounds and says so', async () => {
    const bus = await openBus({ shards: 2, scaling: { ...SCALING, maxShards: 3 } });
    expect(bus.scaleUp(100)).toEqual([2]);
    expect(() => bus.scaleUp()).toThrow(new BusError('already at maximum shard count'));
    await expect(bus.scaleDown(100)).resolves.toEqual([1, 2]);
    const least = await rejection(bus.scaleDown());
    expect(least).toEqual(new BusError('already at minimum shard count'));
    expect(() => bus.scaleUp(0)).toThrow(InvalidArgumentError);
    expect(() => bus.scaleUp(1.5)).toThrow(InvalidArgumentError);
    await expect(bus.scaleDown(-1)).rejects.toThrow(InvalidArgumentError);
    expect(bus.shards()).toBe(1);
    await bus.shutdown();
    expect(() => bus.scaleUp()).toThrow('EventBus has been shut down');
    const fixed = await openBus({ shards: 2 });
    expect(() => fixed.scaleUp()).toThrow('already at maximum shard count');
    await expect(fixed.scaleDown()).rejects.toThrow('already at minimum shard count');
  });

  test('refuses a policy that makes no sense', async () => {
    const refused = async (scaling: object): Promise<string> =>
      (await rejection(NetNode.create({ shards: 2, scaling }))).message;
    const prefix =
      'Invalid configuration: invalid configuration: scaling policy: invalid configuration: ';
    expect(await refused({ minShards: 0 })).toBe(`${prefix}min_shards must be > 0`);
    expect(await refused({ minShards: 5, maxShards: 4 })).toBe(
      `${prefix}max_shards must be >= min_shards`,
    );
    expect(await refused({ fillRatioThreshold: 0 })).toBe(
      `${prefix}fill_ratio_threshold must be in (0, 1]`,
    );
    expect(await refused({ cooldownMs: 0 })).toBe(`${prefix}cooldown must be > 0`);
    expect(await refused({ metricsWindowMs: 0 })).toBe(`${prefix}metrics_window must be > 0`);
    for (const scaling of [
      { maxShards: 65_536 },
      { minShards: -1 },
      { underutilizedThreshold: 1.5 },
      { fillRatioThreshold: NaN },
      { auto: 'yes' },
    ]) {
      expect(await refused(scaling)).toMatch(/^scaling\.\w+ must be /);
    }
  });

  (missing('redis-server') ? test.skip : test)(
    'by its load uses more shards while its server is slow, and fewer when nothing comes',
    async () => {
      const server = await startRedis();
      const bus = await openBus({
        shards: 1,
        backpressure: 'fail_producer',
        batch: { minSize: 50, maxSize: 50 },
        scaling: { maxShards: 3, cooldownMs: 20, scaleDownDelayMs: 100, metricsWindowMs: 10 },
        transport: {
          type: 'redis',
          url: `redis://127.0.0.1:${server.port}`,
          commandTimeoutMs: 10_000,
        },
      });
      server.pause(true);
      const accepted: number[] = [];
      let n = 0;
      const shardsBecome = async (wanted: number, meanwhile: () => void): Promise<void> => {
        while (bus.shards() !== wanted) {
          meanwhile();
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      };
      await shardsBecome(3, () => {
        // An event that its full shard refuses is left out: another one may have another shard.
        for (let i = 0; i < 50; i++, n++) {
          if (bus.fire(JSON.stringify({ n }))) accepted.push(n);
        }
      });
      server.pause(false);
      await bus.flush();
      await shardsBecome(1, () => undefined);
      const { events } = await bus.poll({ limit: 100_000 });
      expect(sorted(events.map(numberOf))).toEqual(accepted);
    },
  );
});
