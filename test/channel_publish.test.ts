// What publishes do: who gets what, what is reported, and what is too much.

import {
  ChannelError,
  type ChannelSubscription,
  type MeshNode,
  type MeshNodeConfig,
  type PublishConfig,
} from 'netmesh';
import { connect, connectedPair, rejection, startNode, take, until } from './support/nodes';

const RELIABLE: PublishConfig = { reliability: 'reliable' };
const hex = (id: bigint): string => `0x${id.toString(16)}`;
const STREAM = 0x6d5b83d90de02ee8n; // of lab/x

/** A publisher and nodes that have joined `lab/x` of it, in the order of their ids. */
async function roster(
  count: number,
  config: Partial<MeshNodeConfig> = {},
  terms: object = {},
): Promise<[MeshNode, MeshNode[]]> {
  const publisher = await startNode(config);
  publisher.registerChannel({ name: 'lab/x', ...terms });
  const subscribers = await Promise.all(Array.from({ length: count }, () => startNode()));
  for (const node of subscribers) {
    await connect(node, publisher);
    await node.subscribeChannel(publisher.nodeId(), 'lab/x');
  }
  subscribers.sort((a, b) => (a.nodeId() < b.nodeId() ? -1 : 1));
  return [publisher, subscribers];
}

const text = (node: MeshNode, count: number): Promise<string[]> =>
  take(node.messages(), count).then((all) => all.map(({ data }) => data.toString()));

describe('a publish', () => {
  test.each<PublishConfig>([{}, RELIABLE])('reaches all subscribers: %o', async (config) => {
    const [publisher, subscribers] = await roster(3);
    const report = await publisher.publish('lab/x', Buffer.from('hello'), config);
    expect(report).toEqual({ attempted: 3, delivered: 3, errors: [] });
    for (const node of subscribers) {
      const [message] = await take(node.messages(), 1);
      expect(message).toEqual({
        peerNodeId: publisher.nodeId(),
        streamId: STREAM,
        data: Buffer.from('hello'),
      });
    }
  });

  test('of many payloads is in their order, like publishes after each other', async () => {
    const [publisher, [subscriber]] = await roster(1, {}, { reliable: true });
    const expected: string[] = [];
    const publishes: Array<Promise<unknown>> = [];
    for (let i = 0; i < 50; i++) {
      const texts = Array.from({ length: 1 + ((i * 7) % 40) }, (_, j) => `${i}/${j}`);
      expected.push(...texts);
      publishes.push(
        publisher.publishMany(
          'lab/x',
          texts.map((each) => Buffer.from(each)),
        ),
      );
    }
    expect(await text(subscriber as MeshNode, expected.length)).toEqual(expected);
    for (const report of await Promise.all(publishes)) {
      expect(report).toEqual({ attempted: 1, delivered: 1, errors: [] });
    }
  });

  test('without payloads or without subscribers does nothing', async () => {
    const [publisher, [subscriber]] = await roster(1);
    expect(await publisher.publishMany('lab/x', [])).toMatchObject({ errors: [] });
    expect(await publisher.publish('lab/unknown', Buffer.from('x'))).toEqual({
      attempted: 0,
      delivered: 0,
      errors: [],
    });
    await publisher.publish('lab/x', Buffer.alloc(0));
    await publisher.publish('lab/x', Buffer.from('end'));
    expect(await text(subscriber as MeshNode, 2)).toEqual(['', 'end']);
  });

  test('takes a copy of its payload', async () => {
    const [publisher, [subscriber]] = await roster(1);
    const payload = Buffer.from('before');
    const published = publisher.publish('lab/x', payload, RELIABLE);
    payload.fill('x');
    await published;
    expect(await text(subscriber as MeshNode, 1)).toEqual(['before']);
  });

  test('is for those who were subscribed when it was made', async () => {
    const [publisher, [early]] = await roster(1, {}, { reliable: true });
    await publisher.publish('lab/x', Buffer.from('one'));
    const late = await startNode();
    await connect(late, publisher);
    await late.subscribeChannel(publisher.nodeId(), 'lab/x');
    await publisher.publish('lab/x', Buffer.from('two'));
    expect(await text(late, 1)).toEqual(['two']);
    expect(await text(early as MeshNode, 2)).toEqual(['one', 'two']);
  });
});

describe('payloads', () => {
  test('may be as large as messages when reliable, as a packet otherwise', async () => {
    const MAX = 100_000;
    const publisher = await startNode({ maxMessageBytes: MAX });
    const subscriber = await startNode({ maxMessageBytes: MAX });
    await connect(subscriber, publisher);
    publisher.registerChannel({ name: 'lab/x' });
    const feed = await subscriber.subscribe(publisher.nodeId(), 'lab/x');
    const reader = feed[Symbol.asyncIterator]();
    const publish = (bytes: number, config: PublishConfig): Promise<unknown> =>
      publisher.publish('lab/x', Buffer.alloc(bytes, 7), config);
    for (const [limit, config] of [
      [8108, { reliability: 'fire_and_forget' }],
      [MAX, RELIABLE],
    ] as Array<[number, PublishConfig]>) {
      expect(await publish(limit, config)).toMatchObject({ delivered: 1 });
      const { value } = await reader.next();
      expect(value?.payload.equals(Buffer.alloc(limit, 7))).toBe(true);
      const error = await rejection(publish(limit + 1, config));
      expect(error).toBeInstanceOf(ChannelError);
      expect(error.message).toContain(
        `channel: payload of ${limit + 1} bytes exceeds the limit of ${limit} bytes`,
      );
    }
    // One that is too large stops all of a publish.
    const many = [Buffer.from('a'), Buffer.alloc(MAX + 1)];
    await expect(publisher.publishMany('lab/x', many, RELIABLE)).rejects.toThrow(ChannelError);
    await publisher.publish('lab/x', Buffer.from('next'), RELIABLE);
    expect((await reader.next()).value?.payload.toString()).toBe('next');
  });
});

describe('what is not reached', () => {
  /** Three subscribers of which the first `failing` cannot be sent to. */
  async function partly(failing: number): Promise<[MeshNode, MeshNode[]]> {
    const [publisher, subscribers] = await roster(3);
    for (const node of subscribers.slice(0, failing)) publisher.blockPeer(node.localAddr());
    return [publisher, subscribers];
  }
  const publish = (node: MeshNode, config: PublishConfig): Promise<any> =>
    node.publish('lab/x', Buffer.from('x'), config);
  const failure = (node: MeshNode): { nodeId: bigint; message: string } => ({
    nodeId: node.nodeId(),
    message: `connection error: publish: peer ${hex(node.nodeId())} is partitioned`,
  });

  test.each<PublishConfig>([{}, RELIABLE])('is in the report: %o', async (config) => {
    const [publisher, [one, two]] = (await partly(2)) as [MeshNode, [MeshNode, MeshNode]];
    for (const onFailure of ['best_effort', 'collect'] as const) {
      const report = await publish(publisher, { ...config, onFailure });
      expect(report).toMatchObject({ attempted: 3, delivered: 1 });
      expect(report.errors).toHaveLength(2);
      expect(report.errors).toEqual(expect.arrayContaining([failure(one), failure(two)]));
    }
    expect(publisher.channels()[0]).toMatchObject({ published: 2, delivered: 2, failed: 4 });
  });

  test('makes a best effort fail only when it is everybody', async () => {
    const [publisher, subscribers] = await partly(3);
    const error = await rejection(publish(publisher, {}));
    expect(error).toBeInstanceOf(ChannelError);
    const first = subscribers.find((node) => error.message.includes(hex(node.nodeId())));
    expect(error.message).toBe(
      `channel: connection error: all 3 peers failed (first: ${hex(first?.nodeId() ?? 0n)}: ${
        failure(first as MeshNode).message
      })`,
    );
    const report = await publish(publisher, { onFailure: 'collect' });
    expect(report).toMatchObject({ attempted: 3, delivered: 0 });
    expect(report.errors).toHaveLength(3);
  });

  test.each<PublishConfig>([{}, RELIABLE])(
    'ends a publish at the first failure when it is told so: %o',
    async (config) => {
      const [publisher] = await partly(3);
      const report = await publish(publisher, { ...config, onFailure: 'fail_fast' });
      expect(report).toMatchObject({ attempted: 3, delivered: 0 });
      expect(report.errors).toHaveLength(1);
    },
  );

  test('is known when the subscriber dies while its acknowledgement is awaited', async () => {
    const [publisher, [one, two]] = (await roster(2, {
      sessionTimeoutMs: 300,
      heartbeatIntervalMs: 100,
      publishTimeoutMs: 20_000,
    })) as [MeshNode, [MeshNode, MeshNode]];
    one.blockPeer(publisher.localAddr());
    const report = await publish(publisher, { ...RELIABLE, onFailure: 'collect' });
    expect(report).toMatchObject({ attempted: 2, delivered: 1 });
    expect(report.errors).toEqual([
      {
        nodeId: one.nodeId(),
        message: `connection error: publish: no session for subscriber ${hex(one.nodeId())}`,
      },
    ]);
    expect(publisher.subscribers('lab/x')).toEqual([two.nodeId()]);
  });

  test.each([1, 2, 32])('does not stop the others with %i in flight', async (maxInflight) => {
    const [publisher, subscribers] = await roster(4, { publishTimeoutMs: 300 });
    const lost = subscribers[1] as MeshNode;
    lost.blockPeer(publisher.localAddr());
    const report = await publish(publisher, { ...RELIABLE, maxInflight, onFailure: 'collect' });
    expect(report).toMatchObject({ attempted: 4, delivered: 3 });
    expect(report.errors).toEqual([
      {
        nodeId: lost.nodeId(),
        message: `connection error: publish: stream ${hex(STREAM)} not acknowledged`,
      },
    ]);
    // Now it is known to be slow, and nobody waits for it again.
    const again = await publish(publisher, { ...RELIABLE, maxInflight, onFailure: 'collect' });
    expect(again.errors).toEqual([
      {
        nodeId: lost.nodeId(),
        message: `connection error: publish: stream ${hex(STREAM)} backpressured`,
      },
    ]);
    // Until it is back.
    lost.unblockPeer(publisher.localAddr());
    let report3;
    do report3 = await publish(publisher, { ...RELIABLE, onFailure: 'collect' });
    while (report3.delivered < 4);
    expect(report3.errors).toEqual([]);
  });
});

describe('a rate', () => {
  test('is a limit for payloads, with a second of burst', async () => {
    const [publisher] = await roster(1, {}, { maxRatePps: 10 });
    const many = (count: number): Promise<unknown> =>
      publisher.publishMany('lab/x', Array<Buffer>(count).fill(Buffer.from('x')));
    await many(10);
    const error = await rejection(many(10));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error.message).toBe('channel: publish rate exceeds maxRatePps of 10');
    expect(publisher.channels()[0]).toMatchObject({ published: 10, rateLimited: 10 });
    // One more every 100 ms.
    const begun = Date.now();
    await until(() => Date.now() - begun > 150);
    await many(1);
  });
});

describe('retained payloads', () => {
  const payloadsOf = async (feed: ChannelSubscription, count: number): Promise<string[]> =>
    (await take(feed[Symbol.asyncIterator](), count)).map(({ payload }) => payload.toString());

  test.each([true, false])('come first to who is late (reliable: %s)', async (reliable) => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x', retain: 5, reliable });
    for (let i = 0; i < 8; i++) await publisher.publish('lab/x', Buffer.from(`${i}`));
    expect(publisher.channels()[0]).toMatchObject({ retained: 5, retainedBytes: 5 });
    const feed = await subscriber.subscribe(publisher.nodeId(), 'lab/x');
    await publisher.publish('lab/x', Buffer.from('new'));
    expect(await payloadsOf(feed, 6)).toEqual(['3', '4', '5', '6', '7', 'new']);
    expect(publisher.channels()[0]).toMatchObject({ replayed: 5 });
  });

  test.each([
    [0, ['new']],
    [2, ['3', '4', 'new']],
    [100, ['0', '1', '2', '3', '4', 'new']],
  ])('are as many as were asked for: %i', async (replay, expected) => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x', retain: 50, reliable: true });
    for (let i = 0; i < 5; i++) await publisher.publish('lab/x', Buffer.from(`${i}`));
    const feed = await subscriber.subscribe(publisher.nodeId(), 'lab/x', { replay });
    await publisher.publish('lab/x', Buffer.from('new'));
    expect(await payloadsOf(feed, expected.length)).toEqual(expected);
  });

  test('do not come for code that was written against 0.19', async () => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x', retain: 5, reliable: true });
    await publisher.publish('lab/x', Buffer.from('old'));
    await subscriber.subscribeChannel(publisher.nodeId(), 'lab/x');
    await publisher.publish('lab/x', Buffer.from('new'));
    expect(await text(subscriber, 1)).toEqual(['new']);
  });

  test('are bounded in bytes as well', async () => {
    const [publisher] = await roster(0, {}, { retain: 100, maxRetainedBytes: 1000 });
    for (let i = 0; i < 20; i++) await publisher.publish('lab/x', Buffer.alloc(300));
    expect(publisher.channels()[0]).toMatchObject({ retained: 3, retainedBytes: 900 });
    publisher.registerChannel({ name: 'lab/x', retain: 1 });
    expect(publisher.channels()[0]).toMatchObject({ retained: 1, retainedBytes: 300 });
  });
});

describe('queue groups', () => {
  test('get each payload once, and their members about as many', async () => {
    const publisher = await startNode();
    publisher.registerChannel({ name: 'lab/x', reliable: true });
    const nodes = await Promise.all(Array.from({ length: 4 }, () => startNode()));
    const [a, b, c, all] = nodes as [MeshNode, MeshNode, MeshNode, MeshNode];
    for (const node of nodes) await connect(node, publisher);
    const id = publisher.nodeId();
    for (const node of [a, b, c]) {
      await node.subscribeChannel(id, 'lab/x', { queueGroup: 'workers' });
    }
    await all.subscribeChannel(id, 'lab/x');
    expect(publisher.channels()[0]).toMatchObject({ subscribers: 4, queueGroups: 1 });
    expect(a.subscriptions()).toMatchObject([{ queueGroup: 'workers' }]);
    const sent: string[] = [];
    for (let i = 0; i < 30; i++) {
      sent.push(`${i}`);
      const report = await publisher.publish('lab/x', Buffer.from(`${i}`));
      expect(report).toMatchObject({ attempted: 2, delivered: 2 });
    }
    expect(await text(all, 30)).toEqual(sent);
    const shares = await Promise.all([a, b, c].map((node) => text(node, 10)));
    expect(shares.flat().sort()).toEqual([...sent].sort());
  });

  test('have another member stand in for one that cannot be reached', async () => {
    const publisher = await startNode();
    publisher.registerChannel({ name: 'lab/x', reliable: true });
    const [a, b] = await Promise.all([startNode(), startNode()]);
    for (const node of [a, b]) {
      await connect(node, publisher);
      await node.subscribeChannel(publisher.nodeId(), 'lab/x', { queueGroup: 'workers' });
    }
    publisher.blockPeer(a.localAddr());
    for (let i = 0; i < 10; i++) {
      const report = await publisher.publish('lab/x', Buffer.from(`${i}`));
      expect(report).toEqual({ attempted: 1, delivered: 1, errors: [] });
    }
    expect(await text(b, 10)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
  });

  test('are left by joining the channel in another way', async () => {
    const [publisher, [subscriber]] = (await roster(1)) as [MeshNode, [MeshNode]];
    const id = publisher.nodeId();
    await subscriber.subscribeChannel(id, 'lab/x', { queueGroup: 'workers' });
    expect(publisher.channels()[0]).toMatchObject({ subscribers: 1, queueGroups: 1 });
    await subscriber.subscribeChannel(id, 'lab/x');
    expect(publisher.channels()[0]).toMatchObject({ subscribers: 1, queueGroups: 0 });
    expect(await publisher.publish('lab/x', Buffer.from('x'))).toMatchObject({ attempted: 1 });
  });
});

test('a channel of high priority overtakes what another one has queued', async () => {
  const publisher = await startNode();
  const subscriber = await startNode();
  await connect(subscriber, publisher);
  publisher.registerChannel({ name: 'bulk', reliable: true });
  publisher.registerChannel({ name: 'alarms', reliable: true, priority: 200 });
  const id = publisher.nodeId();
  for (const name of ['bulk', 'alarms']) await subscriber.subscribeChannel(id, name);
  const payloads = Array<Buffer>(12).fill(Buffer.alloc(1 << 20));
  const bulk = publisher.publishMany('bulk', payloads);
  await publisher.publish('alarms', Buffer.from('fire'));
  // Whichever is delivered first.
  const alarm = publisher.publish('alarms', Buffer.from('fire'));
  expect(await Promise.race([bulk.then(() => 'bulk'), alarm.then(() => 'alarms')])).toBe('alarms');
  const order = (await take(subscriber.messages(), 14)).map(({ data }) => data.length);
  expect(order.indexOf(4)).toBeLessThan(12);
  await bulk;
});

test('channels are told of in the text format of Prometheus', async () => {
  const [publisher] = await roster(2);
  await publisher.publish('lab/x', Buffer.from('x'));
  const metrics = publisher.channelMetrics();
  const lines = metrics.trimEnd().split('\n');
  for (const line of lines) {
    expect(line).toMatch(
      /^(# TYPE netmesh_channel_[a-z_]+ (gauge|counter)|netmesh_channel_[a-z_]+\{channel="lab\/x"\} \d+)$/u,
    );
  }
  expect(lines).toContain('netmesh_channel_subscribers{channel="lab/x"} 2');
  expect(lines).toContain('netmesh_channel_published_total{channel="lab/x"} 1');
  expect(lines).toContain('netmesh_channel_delivered_total{channel="lab/x"} 2');
});
