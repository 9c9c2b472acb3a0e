// Subscriptions as feeds: what readers get, how long they live, and what ends them.

import {
  ChannelAuthError,
  ChannelError,
  type ChannelMessage,
  type ChannelSubscription,
  type MeshNode,
  type MeshNodeConfig,
  type SubscribeOptions,
} from 'netmesh';
import { Child } from './support/children';
import {
  connect,
  connectedPair,
  isPending,
  peerEvent,
  rejection,
  startNode,
  take,
  until,
} from './support/nodes';

const QUICK: Partial<MeshNodeConfig> = { heartbeatIntervalMs: 50, sessionTimeoutMs: 400 };

/** A pair of nodes of which the second has joined `lab/x` of the first. */
async function fed(
  options: SubscribeOptions = {},
  { terms = {}, config = {} }: { terms?: object; config?: Partial<MeshNodeConfig> } = {},
): Promise<[MeshNode, MeshNode, ChannelSubscription]> {
  const [publisher, subscriber] = await connectedPair(config, config);
  publisher.registerChannel({ name: 'lab/x', reliable: true, ...terms });
  return [publisher, subscriber, await subscriber.subscribe(publisher.nodeId(), 'lab/x', options)];
}

function publish(node: MeshNode, ...texts: string[]): Promise<unknown> {
  return node.publishMany(
    'lab/x',
    texts.map((text) => Buffer.from(text)),
  );
}

async function texts(feed: ChannelSubscription, count: number): Promise<string[]> {
  return (await take(feed[Symbol.asyncIterator](), count)).map(({ payload }) => payload.toString());
}

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`);

describe('a feed', () => {
  test('yields payloads with who published them, when and in which place', async () => {
    const before = Date.now();
    const [publisher, , feed] = await fed();
    expect(feed.publisherNodeId).toBe(publisher.nodeId());
    expect(feed.channel).toBe('lab/x');
    expect(feed.active).toBe(true);
    await publish(publisher, 'one');
    await publish(publisher, 'two', 'three');
    const messages = await take(feed[Symbol.asyncIterator](), 3);
    expect(messages.map(({ payload }) => payload.toString())).toEqual(['one', 'two', 'three']);
    for (const [i, message] of messages.entries()) {
      expect(message).toMatchObject({ publisherNodeId: publisher.nodeId(), channel: 'lab/x' });
      expect(message.seq - (messages[0]?.seq ?? 0n)).toBe(BigInt(i));
      expect(message.receivedAt.getTime()).toBeGreaterThanOrEqual(before);
      expect(message.receivedAt.getTime()).toBeLessThanOrEqual(Date.now());
    }
    expect(feed.pending).toBe(0);
  });

  test('keeps its payloads from other readers, and from other channels', async () => {
    const [publisher, subscriber, feed] = await fed();
    publisher.registerChannel({ name: 'lab/y', reliable: true });
    await subscriber.subscribeChannel(publisher.nodeId(), 'lab/y');
    const other = subscriber.messages();
    await publish(publisher, 'feed');
    await publisher.publish('lab/y', Buffer.from('message'));
    expect((await take(other, 1)).map(({ data }) => data.toString())).toEqual(['message']);
    expect(await texts(feed, 1)).toEqual(['feed']);
    expect(await subscriber.recv(10)).toEqual([]);
  });

  test('shares its payloads among its iterators', async () => {
    const [publisher, , feed] = await fed();
    const got: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { payload } of feed) {
        got.push(payload.toString());
        if (got.length >= 20) return;
        await Promise.resolve();
      }
    };
    const readers = [read(), read(), read()];
    await publish(publisher, ...range(0, 20));
    await until(() => got.length === 20);
    expect([...got].sort()).toEqual(range(0, 20).sort());
    await feed.close();
    await Promise.all(readers);
  });

  test('is one for all who subscribe to it in a process, until the last of them closes', async () => {
    const [publisher, subscriber, first] = await fed();
    const second = await subscriber.subscribe(publisher.nodeId(), 'lab/x');
    const [a, b] = [first[Symbol.asyncIterator](), second[Symbol.asyncIterator]()];
    const both = Promise.all([a.next(), b.next()]);
    await publish(publisher, 'one', 'two');
    expect((await both).map(({ value }) => value?.payload.toString())).toEqual(['one', 'two']);
    const ended = a.next();
    await first.close();
    expect(await ended).toEqual({ value: undefined, done: true });
    expect(await first[Symbol.asyncIterator]().next()).toEqual({ value: undefined, done: true });
    expect(first.active).toBe(false);
    expect(publisher.subscribers('lab/x')).toEqual([subscriber.nodeId()]);
    await publish(publisher, 'three');
    expect((await b.next()).value?.payload.toString()).toBe('three');
    await second.close();
    expect(publisher.subscribers('lab/x')).toEqual([]);
    expect(await b.next()).toEqual({ value: undefined, done: true });
  });

  test('cannot have two policies', async () => {
    const [publisher, subscriber] = await fed({ overflow: 'drop-oldest', buffer: 7 });
    const error = await rejection(subscriber.subscribe(publisher.nodeId(), 'lab/x'));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error.message).toBe(
      "channel: lab/x is subscribed to already, with overflow 'drop-oldest' and a buffer of 7",
    );
    expect(publisher.subscribers('lab/x')).toEqual([subscriber.nodeId()]);
  });

  test('can be opened again after it was closed', async () => {
    const [publisher, subscriber, feed] = await fed();
    await publish(publisher, 'unread');
    await until(() => feed.pending === 1);
    await feed.close();
    await feed.close();
    await publish(publisher, 'to nobody');
    const again = await subscriber.subscribe(publisher.nodeId(), 'lab/x');
    await publish(publisher, 'new');
    expect(await texts(again, 1)).toEqual(['new']);
    await using disposed = again;
    expect(disposed.dropped).toBe(0);
  });

  test('that was refused leaves the stream to others', async () => {
    const [publisher, subscriber] = await connectedPair();
    const id = publisher.nodeId();
    for (let i = 0; i < 2; i++) {
      await expect(subscriber.subscribe(id, 'lab/x')).rejects.toThrow('channel: unknown channel');
    }
    publisher.registerChannel({ name: 'lab/x', reliable: true });
    const feed = await subscriber.subscribe(id, 'lab/x');
    await publish(publisher, 'x');
    expect(await texts(feed, 1)).toEqual(['x']);
  });
});

describe('a signal', () => {
  test('ends the feed, its iterators and the subscription', async () => {
    const abort = new AbortController();
    const [publisher, , feed] = await fed({ signal: abort.signal });
    const waiting = rejection(feed[Symbol.asyncIterator]().next());
    abort.abort(new Error('enough'));
    expect((await waiting).message).toBe('enough');
    await until(() => publisher.subscribers('lab/x').length === 0);
    expect(feed.active).toBe(false);
    expect((await rejection(feed[Symbol.asyncIterator]().next())).message).toBe('enough');
  });

  test('that comes after the node is gone harms nothing', async () => {
    const abort = new AbortController();
    const [, subscriber, feed] = await fed({ signal: abort.signal });
    await subscriber.shutdown({ drainMs: 0 });
    abort.abort();
    await feed.close();
  });
});

describe('payloads that nobody takes', () => {
  test('are dropped, oldest first, where that was asked for', async () => {
    const [publisher, , feed] = await fed({ overflow: 'drop-oldest', buffer: 10 });
    for (let i = 0; i < 100; i++) await publish(publisher, `${i}`);
    await until(() => feed.dropped === 90);
    expect(feed.pending).toBe(10);
    expect(await texts(feed, 10)).toEqual(range(90, 100));
    // A burst in one go as well.
    await publish(publisher, ...range(0, 50));
    await until(() => feed.dropped === 130);
    expect(await texts(feed, 10)).toEqual(range(40, 50));
  });

  test('hold up their own channel, and neither other subscribers nor other channels', async () => {
    const config = { publishTimeoutMs: 300, maxMessageBytes: 1 << 20 };
    const publisher = await startNode(config);
    const [idle, busy] = await Promise.all([startNode(config), startNode(config)]);
    for (const name of ['lab/x', 'lab/y']) publisher.registerChannel({ name, reliable: true });
    for (const node of [idle, busy]) await connect(node, publisher);
    const id = publisher.nodeId();
    const unread = await idle.subscribe(id, 'lab/x');
    const other = await idle.subscribe(id, 'lab/y');
    const feed = await busy.subscribe(id, 'lab/x');
    const got: number[] = [];
    const reading = (async (): Promise<void> => {
      for await (const { payload } of feed) got.push(payload.readUInt32LE(0));
    })();
    let failed = 0;
    let longest = 0;
    const count = 200;
    for (let i = 0; i < count; i++) {
      const payload = Buffer.alloc(200_000);
      payload.writeUInt32LE(i);
      const begun = Date.now();
      const report = await publisher.publish('lab/x', payload);
      longest = Math.max(longest, Date.now() - begun);
      expect(report.attempted).toBe(2);
      for (const { nodeId, message } of report.errors) {
        expect(nodeId).toBe(idle.nodeId());
        expect(message).toMatch(
          /^connection error: publish: stream 0x[0-9a-f]+ (not acknow|backp)/u,
        );
        failed++;
      }
    }
    await until(() => got.length === count);
    expect(got).toEqual(Array.from({ length: count }, (_, i) => i));
    // 40 MB do not wait anywhere for one who does not read.
    expect(failed).toBeGreaterThan(0);
    expect(longest).toBeLessThan(3000);
    await publisher.publish('lab/y', Buffer.from('free'));
    expect(await texts(other, 1)).toEqual(['free']);
    // What was taken for it before is there, in order, without gaps in what it says it has got.
    const early = await take(unread[Symbol.asyncIterator](), 3);
    expect(early.map(({ payload }) => payload.readUInt32LE(0))).toEqual([0, 1, 2]);
    await feed.close();
    await reading;
  });
});

describe('a feed outlives', () => {
  test('the session, when a new one replaces it', async () => {
    const [publisher, subscriber, feed] = await fed({}, { config: QUICK });
    const reader = feed[Symbol.asyncIterator]();
    await publish(publisher, 'before');
    expect((await reader.next()).value?.payload.toString()).toBe('before');
    const down = peerEvent(subscriber, 'peer:down');
    publisher.blockPeer(subscriber.localAddr());
    subscriber.blockPeer(publisher.localAddr());
    await down;
    await until(() => !feed.active, 'the feed is suspended');
    expect(subscriber.subscriptions()).toMatchObject([{ channel: 'lab/x', active: false }]);
    await until(() => publisher.subscribers('lab/x').length === 0);
    publisher.unblockPeer(subscriber.localAddr());
    subscriber.unblockPeer(publisher.localAddr());
    await connect(subscriber, publisher).catch(() => undefined);
    await until(() => feed.active, 'the feed is active again');
    // The old session may come back before the new one takes over: then a publish may be lost with it.
    let delivered = false;
    for (let i = 0; !delivered; i++) {
      const data = Buffer.from(`after ${i}`);
      const report = await publisher.publish('lab/x', data, { onFailure: 'collect' });
      delivered = report.delivered === 1;
      if (delivered) await publish(publisher, 'end');
      else await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const got: string[] = [];
    for await (const { payload } of feed) {
      got.push(payload.toString());
      if (payload.toString() === 'end') break;
    }
    expect(got.length).toBeGreaterThan(1);
    expect([...new Set(got)]).toEqual(got);
  });

  test.each([true, false])('its publisher, killed or not (said goodbye: %s)', async (polite) => {
    const identitySeed = Buffer.alloc(32, 0x51);
    const first = await startNode({ ...QUICK, identitySeed });
    const bindAddr = first.localAddr();
    const subscriber = await startNode(QUICK);
    await connect(subscriber, first);
    first.registerChannel({ name: 'lab/x', reliable: true, retain: 10 });
    const feed = await subscriber.subscribe(first.nodeId(), 'lab/x');
    const reader = feed[Symbol.asyncIterator]();
    await publish(first, 'first life');
    expect((await reader.next()).value?.payload.toString()).toBe('first life');
    if (!polite) first.blockPeer(subscriber.localAddr());
    await first.shutdown({ drainMs: 0 });

    const second = await startNode({ ...QUICK, identitySeed, bindAddr });
    await connect(subscriber, second).catch(() => undefined);
    // It registers its channel late, and has published before anybody was there.
    await new Promise((resolve) => setTimeout(resolve, 50));
    second.registerChannel({ name: 'lab/x', reliable: true, retain: 10 });
    await publish(second, 'retained');
    await until(() => second.subscribers('lab/x').length === 1, 'the subscription is taken up');
    await publish(second, 'second life');
    const got = (await take(reader, 2)).map(({ payload }) => payload.toString());
    expect(got).toEqual(['retained', 'second life']);
    expect(feed.active).toBe(true);
  });

  test('a restart of its subscriber: the new one subscribes anew, the old one is forgotten', async () => {
    const identitySeed = Buffer.alloc(32, 0x52);
    const publisher = await startNode(QUICK);
    publisher.registerChannel({ name: 'lab/x', reliable: true });
    for (const life of ['first', 'second']) {
      const subscriber = await startNode({ ...QUICK, identitySeed });
      await connect(subscriber, publisher);
      const feed = await subscriber.subscribe(publisher.nodeId(), 'lab/x');
      expect(publisher.subscribers('lab/x')).toEqual([subscriber.nodeId()]);
      await publish(publisher, life);
      expect(await texts(feed, 1)).toEqual([life]);
      const addr = subscriber.localAddr();
      publisher.blockPeer(addr);
      await subscriber.shutdown({ drainMs: 0 });
      publisher.unblockPeer(addr);
    }
    await until(() => publisher.subscribers('lab/x').length === 0, 'the dead one is evicted');
  });
});

test('a feed that is closed while its publisher is away is not asked for again', async () => {
  const [publisher, subscriber, feed] = await fed({}, { config: QUICK });
  publisher.blockPeer(subscriber.localAddr());
  subscriber.blockPeer(publisher.localAddr());
  await until(() => !feed.active);
  await feed.close();
  expect(subscriber.subscriptions()).toEqual([]);
  await until(() => publisher.subscribers('lab/x').length === 0);
  publisher.unblockPeer(subscriber.localAddr());
  subscriber.unblockPeer(publisher.localAddr());
  await connect(subscriber, publisher).catch(() => undefined);
  // The answer to this comes after what a subscription would have asked for.
  await until(() => subscriber.peerCount() === 1);
  publisher.registerChannel({ name: 'lab/y' });
  await subscriber.subscribeChannel(publisher.nodeId(), 'lab/y');
  expect(publisher.subscribers('lab/x')).toEqual([]);
});

test('closing a feed that has ended does nothing to the next one', async () => {
  const [publisher, subscriber, lost] = await fed();
  publisher.unregisterChannel('lab/x');
  await until(() => !lost.active);
  publisher.registerChannel({ name: 'lab/x', reliable: true });
  const feed = await subscriber.subscribe(publisher.nodeId(), 'lab/x');
  await publish(publisher, 'one');
  await until(() => feed.pending === 1);
  await lost.close();
  await publish(publisher, 'two');
  expect(await texts(feed, 2)).toEqual(['one', 'two']);
  expect(publisher.subscribers('lab/x')).toEqual([subscriber.nodeId()]);
});

describe('a feed ends', () => {
  test('with an error when its channel does, after what had come', async () => {
    const [publisher, subscriber, feed] = await fed();
    await publish(publisher, 'one', 'two');
    await until(() => feed.pending === 2);
    expect(publisher.unregisterChannel('lab/x')).toBe(true);
    expect(publisher.unregisterChannel('lab/x')).toBe(false);
    await until(() => !feed.active);
    const reader = feed[Symbol.asyncIterator]();
    expect((await take(reader, 2)).map(({ payload }) => payload.toString())).toEqual([
      'one',
      'two',
    ]);
    const error = await rejection(reader.next());
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).not.toBeInstanceOf(ChannelAuthError);
    expect(error.message).toBe('channel: subscription ended: unregistered');
    expect(await reader.next()).toEqual({ value: undefined, done: true });
    expect(subscriber.subscriptions()).toEqual([]);
    await feed.close();
    await expect(subscriber.subscribe(publisher.nodeId(), 'lab/x')).rejects.toThrow(
      'channel: unknown channel',
    );
  });

  test('with its node, after what had come, and so does everything else', async () => {
    const [publisher, subscriber, feed] = await fed();
    const second = await startNode();
    await connect(second, publisher);
    const other = await second.subscribe(publisher.nodeId(), 'lab/x');
    const waiting = other[Symbol.asyncIterator]().next();
    await until(() => publisher.subscribers('lab/x').length === 2);
    publisher.blockPeer(second.localAddr());
    publisher.blockPeer(subscriber.localAddr());
    const pending = [
      subscriber.subscribeChannel(publisher.nodeId(), 'lab/x'),
      subscriber.unsubscribeChannel(publisher.nodeId(), 'lab/x'),
    ].map(rejection);
    await second.shutdown({ drainMs: 0 });
    await subscriber.shutdown({ drainMs: 0 });
    expect(await waiting).toEqual({ value: undefined, done: true });
    expect(await feed[Symbol.asyncIterator]().next()).toEqual({ value: undefined, done: true });
    for (const error of await Promise.all(pending)) {
      expect(error.message).toBe('MeshNode has been shut down');
    }
    const calls = [
      () => subscriber.subscribe(publisher.nodeId(), 'lab/x'),
      () => subscriber.subscribeChannel(publisher.nodeId(), 'lab/x'),
      () => subscriber.unsubscribeChannel(publisher.nodeId(), 'lab/x'),
      () => subscriber.publish('lab/x', Buffer.from('x')),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow('MeshNode has been shut down');
    expect(() => {
      subscriber.registerChannel({ name: 'lab/x' });
    }).toThrow('MeshNode has been shut down');
  });

  test('with what had come still to be read when its node is shut down', async () => {
    const [publisher, subscriber, feed] = await fed();
    await publish(publisher, 'one', 'two');
    await until(() => feed.pending === 2);
    await subscriber.shutdown({ drainMs: 0 });
    const got: string[] = [];
    for await (const { payload } of feed) got.push(payload.toString());
    expect(got).toEqual(['one', 'two']);
  });

  test('for publishes: those that wait fail when the node is shut down', async () => {
    const [publisher, subscriber] = await fed();
    subscriber.blockPeer(publisher.localAddr());
    const waiting = publisher.publish('lab/x', Buffer.from('x'));
    expect(await isPending(waiting)).toBe(true);
    const failed = rejection(waiting);
    await publisher.shutdown({ drainMs: 0 });
    expect((await failed).message).toBe('MeshNode has been shut down');
  });
});

test('1000 feeds of as many channels get each their own', async () => {
  const [publisher, subscriber] = await connectedPair();
  const names = Array.from({ length: 1000 }, (_, i) => `lab/${i}`);
  for (const name of names) publisher.registerChannel({ name, reliable: true });
  const id = publisher.nodeId();
  const feeds = await Promise.all(names.map((name) => subscriber.subscribe(id, name)));
  const firsts = feeds.map((feed) => feed[Symbol.asyncIterator]().next());
  await Promise.all(names.map((name) => publisher.publish(name, Buffer.from(name))));
  const values = (await Promise.all(firsts)).map(({ value }) => value as ChannelMessage);
  expect(values.map(({ payload }) => payload.toString())).toEqual(names);
  expect(values.map(({ channel }) => channel)).toEqual(names);
  await Promise.all(feeds.map((feed) => feed.close()));
  expect(publisher.channels().every(({ subscribers }) => subscribers === 0)).toBe(true);
});

test('channels() tells of what is published and what is joined, with rates', async () => {
  const publisher = await startNode();
  const reader = await startNode();
  await connect(reader, publisher);
  publisher.registerChannel({ name: 'lab/x', reliable: true });
  reader.registerChannel({ name: 'own' });
  const feed = await reader.subscribe(publisher.nodeId(), 'lab/x', {
    overflow: 'drop-oldest',
    buffer: 2,
  });
  await reader.subscribeChannel(publisher.nodeId(), 'lab/x');
  await publisher.publishMany(
    'lab/x',
    ['a', 'b', 'c', 'd', 'e'].map((text) => Buffer.from(text)),
  );
  await until(() => feed.dropped === 3);
  const [joined, own] = reader.channels();
  expect(joined).toMatchObject({
    name: 'lab/x',
    registered: false,
    published: 0,
    joined: [
      {
        publisherNodeId: publisher.nodeId(),
        active: true,
        reliable: true,
        received: 5,
        dropped: 3,
        pending: 2,
      },
    ],
  });
  expect(joined?.joined[0]?.receivedPerSecond).toBeGreaterThan(0);
  expect(own).toMatchObject({ name: 'own', registered: true, joined: [] });
  const [published] = publisher.channels();
  expect(published).toMatchObject({ name: 'lab/x', published: 5, joined: [] });
  expect(published?.publishedPerSecond).toBeGreaterThan(0);
  expect(reader.channelMetrics()).toContain(
    `netmesh_channel_dropped_total{channel="lab/x",publisher="${publisher.nodeId()}"} 3`,
  );
});

test('feeds go on between processes, and end with the one that published', async () => {
  const reader = await startNode();
  const child = new Child('channel_publisher.cjs', [
    reader.localAddr(),
    reader.publicKey(),
    String(reader.nodeId()),
    '500',
  ]);
  try {
    const up = await peerEvent(reader, 'peer:up');
    const feed = await reader.subscribe(up.nodeId, 'child/count');
    const texts = (await take(feed[Symbol.asyncIterator](), 500)).map(({ payload }) =>
      payload.toString(),
    );
    expect(texts).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
    child.process.kill('SIGKILL');
    await child.ended;
    await feed.close();
    expect(reader.subscriptions()).toEqual([]);
  } finally {
    child.process.kill('SIGKILL');
  }
});
