// Membership of channels across real sockets: who may join what, and what is said when not.

import {
  ChannelAuthError,
  type ChannelConfig,
  ChannelError,
  type MeshNode,
  type MeshNodeConfig,
  type SubnetRule,
} from 'netmesh';
import { connect, connectedPair, peerEvent, rejection, startNode, until } from './support/nodes';

const FAST: Partial<MeshNodeConfig> = { announceIntervalMs: 0 };
const hex = (id: bigint): string => `0x${id.toString(16)}`;

/** Expects a rejection of exactly this class and text. */
async function refused(
  call: Promise<unknown>,
  type: typeof ChannelError,
  message: string | RegExp,
): Promise<void> {
  const error = await rejection(call);
  expect(error).toBeInstanceOf(type);
  expect(error.constructor).toBe(type);
  if (typeof message === 'string') expect(error.message).toBe(message);
  else expect(error.message).toMatch(message);
}

describe('what is wrong by itself', () => {
  const NAMES: Array<[string, string]> = [
    ['', 'channel name is empty'],
    ['a'.repeat(256), 'channel name too long (256 > 255)'],
    ['/a', "invalid channel name format: must not start or end with '/'"],
    ['a/', "invalid channel name format: must not start or end with '/'"],
    ['a//b', "invalid channel name format: must not contain '//'"],
    [
      'sensors/Fast',
      "invalid channel name format: uppercase character 'F' not allowed — channel names are lowercase only",
    ],
    ['a b', "invalid character ' ' in channel name"],
    ['a/é', "invalid character 'é' in channel name"],
    ['a/../b', 'invalid channel name format: segment ".." is reserved'],
    ['a/.', 'invalid channel name format: segment "." is reserved'],
    // The first rule that is broken is the one that is told.
    ['/A', "invalid channel name format: must not start or end with '/'"],
    ['a b/C', "invalid character ' ' in channel name"],
  ];

  test('a name is refused by every call with the rule that it breaks, before any traffic', async () => {
    const node = await startNode();
    const stranger = 0xabcn;
    for (const [name, rule] of NAMES) {
      const message = `channel: invalid name: ${rule}`;
      // With a good name it would be that there is no session.
      await refused(node.subscribeChannel(stranger, name), ChannelError, message);
      await refused(node.subscribe(stranger, name), ChannelError, message);
      await refused(node.unsubscribeChannel(stranger, name), ChannelError, message);
      await refused(node.publish(name, Buffer.from('x')), ChannelError, message);
      await refused(node.publishMany(name, [Buffer.from('x')]), ChannelError, message);
      expect(() => {
        node.registerChannel({ name });
      }).toThrow(message);
      expect(() => node.unregisterChannel(name)).toThrow(message);
    }
    expect(node.stats().datagramsSent).toBe(0n);
    expect(node.channels()).toEqual([]);
    expect(node.subscriptions()).toEqual([]);
  });

  test.each<[object, string]>([
    [
      { visibility: 'secret' },
      'channel: invalid visibility "secret" (expected subnet-local | parent-visible | exported | global)',
    ],
    [{ reliable: 1 }, 'channel: reliable must be a boolean, got number 1'],
    [{ priority: 256 }, 'channel: priority must be an integer in [0, 255], got number 256'],
    [{ priority: 1.5 }, 'channel: priority must be an integer in [0, 255], got number 1.5'],
    [{ maxRatePps: 0 }, 'channel: invalid maxRatePps: 0 would allow nothing'],
    [{ retain: -1 }, 'channel: retain must be an integer in [0, 65536], got number -1'],
    [{ requireToken: 'yes' }, 'channel: requireToken must be a boolean, got "yes"'],
    [{ tokenRoots: {} }, 'channel: tokenRoots must be an array, got '],
    [{ tokenRoots: [Buffer.alloc(31)] }, 'channel: tokenRoots must be 32 bytes, got 31'],
  ])('terms are refused: %o', async (terms, message) => {
    const node = await startNode();
    let error: unknown;
    try {
      node.registerChannel({ name: 'lab/x', ...terms });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ChannelError);
    expect((error as Error).message).toContain(message);
    expect(node.channels()).toEqual([]);
  });

  test('the words of a publish', async () => {
    const node = await startNode();
    const data = Buffer.from('x');
    const publish = (config: object): Promise<unknown> => node.publish('lab/x', data, config);
    await refused(publish({ reliability: 'x' }), ChannelError, 'channel: invalid reliability "x"');
    await refused(publish({ onFailure: 'x' }), ChannelError, 'channel: invalid on_failure "x"');
    await expect(publish({ maxInflight: -1 })).rejects.toThrow('maxInflight');
    await expect(node.publish('lab/x', 'text' as never)).rejects.toThrow('payload');
    await expect(node.publishMany('lab/x', 'text' as never)).rejects.toThrow(/array/);
  });

  test('a subscription is refused whose options are wrong', async () => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x' });
    const id = publisher.nodeId();
    const subscribe = (options: object): Promise<unknown> =>
      subscriber.subscribe(id, 'lab/x', options);
    await refused(
      subscribe({ overflow: 'explode' }),
      ChannelError,
      'channel: invalid overflow "explode"',
    );
    await refused(
      subscribe({ buffer: 0 }),
      ChannelError,
      'channel: buffer must be an integer in [1, 1000000], got number 0',
    );
    await refused(
      subscribe({ replay: -1 }),
      ChannelError,
      'channel: replay must be an integer in [0, 65536], got number -1',
    );
    await expect(subscribe({ queueGroup: 7 })).rejects.toThrow('queueGroup');
    await expect(subscribe({ queueGroup: 'g'.repeat(256) })).rejects.toThrow(/255/);
    await expect(subscribe({ signal: AbortSignal.abort(new Error('mine')) })).rejects.toThrow(
      'mine',
    );
    await expect(subscriber.subscribeChannel(7 as never, 'lab/x')).rejects.toThrow(
      'publisherNodeId',
    );
    expect(publisher.subscribers('lab/x')).toEqual([]);
    expect(subscriber.subscriptions()).toEqual([]);
  });

  test.each([
    ['of no token', Buffer.alloc(5)],
    ['one byte short', Buffer.alloc(168)],
    ['one byte long', Buffer.alloc(170)],
  ])('a token is refused whose bytes are %s, before any traffic', async (_, token) => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x' });
    for (const call of ['subscribeChannel', 'subscribe'] as const) {
      const error = await rejection(subscriber[call](publisher.nodeId(), 'lab/x', { token }));
      expect(error.message).toBe('token: invalid_format');
      expect(error).not.toBeInstanceOf(ChannelError);
    }
    expect(publisher.channels()[0]).toMatchObject({ accepted: 0, refused: 0 });
  });
});

describe('joining and leaving', () => {
  test('is on the rosters of both sides, and may be repeated', async () => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x', reliable: true });
    const id = publisher.nodeId();
    await subscriber.subscribeChannel(id, 'lab/x');
    await subscriber.subscribeChannel(id, 'lab/x');
    expect(publisher.subscribers('lab/x')).toEqual([subscriber.nodeId()]);
    expect(subscriber.subscriptions()).toEqual([
      { publisherNodeId: id, channel: 'lab/x', active: true, reliable: true },
    ]);
    expect(publisher.channels()).toMatchObject([
      { name: 'lab/x', registered: true, subscribers: 1, queueGroups: 0, accepted: 2 },
    ]);
    // Once on the roster, whatever was asked how often.
    expect(await publisher.publish('lab/x', Buffer.from('x'))).toMatchObject({ attempted: 1 });
    await subscriber.unsubscribeChannel(id, 'lab/x');
    expect(publisher.subscribers('lab/x')).toEqual([]);
    expect(subscriber.subscriptions()).toEqual([]);
    const report = await publisher.publish('lab/x', Buffer.from('x'));
    expect(report).toEqual({ attempted: 0, delivered: 0, errors: [] });
  });

  test('what was never joined can be left', async () => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x' });
    await subscriber.unsubscribeChannel(publisher.nodeId(), 'lab/x');
    await subscriber.unsubscribeChannel(publisher.nodeId(), 'lab/unknown');
    expect(publisher.channels().map(({ name }) => name)).toEqual(['lab/x']);
  });

  test('needs a session: not with oneself, a stranger or a peer that is gone', async () => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x' });
    const message = (id: bigint): string =>
      `channel: connection error: no session to publisher ${hex(id)}`;
    const own = subscriber.nodeId();
    for (const id of [own, 0xabcn]) {
      await refused(subscriber.subscribeChannel(id, 'lab/x'), ChannelError, message(id));
      await refused(subscriber.subscribe(id, 'lab/x'), ChannelError, message(id));
      await refused(subscriber.unsubscribeChannel(id, 'lab/x'), ChannelError, message(id));
    }
    const id = publisher.nodeId();
    const down = peerEvent(subscriber, 'peer:down');
    await publisher.shutdown({ drainMs: 0 });
    await down;
    await refused(subscriber.subscribeChannel(id, 'lab/x'), ChannelError, message(id));
  });

  test('a publisher that does not answer is given up, with the channel in the text', async () => {
    const [publisher, subscriber] = await connectedPair({}, { membershipAckTimeoutMs: 1000 });
    publisher.registerChannel({ name: 'lab/x' });
    publisher.blockPeer(subscriber.localAddr());
    const text = 'channel: connection error: membership ack timeout (1s) for channel lab/x';
    await refused(subscriber.subscribeChannel(publisher.nodeId(), 'lab/x'), ChannelError, text);
    await refused(subscriber.subscribe(publisher.nodeId(), 'lab/x'), ChannelError, text);
    expect(subscriber.subscriptions()).toEqual([]);
  });

  test('a request that is given up by its signal leaves nothing behind', async () => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x' });
    publisher.blockPeer(subscriber.localAddr());
    const abort = new AbortController();
    const { signal } = abort;
    const asked = subscriber.subscribeChannel(publisher.nodeId(), 'lab/x', { signal });
    setTimeout(() => {
      abort.abort(new Error('changed my mind'));
    }, 20);
    await expect(asked).rejects.toThrow('changed my mind');
    publisher.unblockPeer(subscriber.localAddr());
    // It may have been let in meanwhile; then it is taken back.
    await subscriber.unsubscribeChannel(publisher.nodeId(), 'lab/x');
    expect(publisher.subscribers('lab/x')).toEqual([]);
    expect(subscriber.subscriptions()).toEqual([]);
  });

  test('several publishers may have channels of one name', async () => {
    const [one, subscriber] = await connectedPair();
    const two = await startNode();
    await connect(subscriber, two);
    for (const node of [one, two]) node.registerChannel({ name: 'lab/x' });
    const feeds = [
      await subscriber.subscribe(one.nodeId(), 'lab/x'),
      await subscriber.subscribe(two.nodeId(), 'lab/x'),
    ];
    await one.publish('lab/x', Buffer.from('one'), { reliability: 'reliable' });
    await two.publish('lab/x', Buffer.from('two'), { reliability: 'reliable' });
    const got = await Promise.all(feeds.map((feed) => feed[Symbol.asyncIterator]().next()));
    expect(got.map(({ value }) => value?.payload.toString())).toEqual(['one', 'two']);
    expect(got.map(({ value }) => value?.publisherNodeId)).toEqual([one.nodeId(), two.nodeId()]);
  });

  test('a prefix is no name: only what is registered can be joined', async () => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x' });
    await refused(
      subscriber.subscribeChannel(publisher.nodeId(), 'lab'),
      ChannelError,
      'channel: unknown channel',
    );
  });
});

describe('refusals', () => {
  test('of an unknown channel, then of everything for who failed 16 times', async () => {
    const [publisher, subscriber] = await connectedPair();
    publisher.registerChannel({ name: 'lab/x' });
    const id = publisher.nodeId();
    const subscribe = (name: string): Promise<void> => subscriber.subscribeChannel(id, name);
    for (let i = 0; i < 15; i++) {
      await refused(subscribe('lab/unknown'), ChannelError, 'channel: unknown channel');
    }
    // A success in between is forgiveness.
    await subscribe('lab/x');
    for (let i = 0; i < 16; i++) {
      await refused(subscribe('lab/unknown'), ChannelError, 'channel: unknown channel');
    }
    await refused(subscribe('lab/unknown'), ChannelError, 'channel: rate limited');
    await refused(subscribe('lab/x'), ChannelError, 'channel: rate limited');
    // Others are not concerned, and leaving is never refused.
    const other = await startNode();
    await connect(other, publisher);
    await other.subscribeChannel(id, 'lab/x');
    await subscriber.unsubscribeChannel(id, 'lab/x');
    expect(publisher.subscribers('lab/x')).toEqual([other.nodeId()]);
  });

  test('of the 1025th channel, unless it is held already', async () => {
    const [publisher, subscriber] = await connectedPair();
    const id = publisher.nodeId();
    const names = Array.from({ length: 1025 }, (_, i) => `lab/${i}`);
    for (const name of names) publisher.registerChannel({ name });
    await Promise.all(names.slice(0, 1024).map((name) => subscriber.subscribeChannel(id, name)));
    await refused(
      subscriber.subscribeChannel(id, 'lab/1024'),
      ChannelError,
      'channel: too many channels',
    );
    await subscriber.subscribeChannel(id, 'lab/7');
    await subscriber.unsubscribeChannel(id, 'lab/7');
    await subscriber.subscribeChannel(id, 'lab/1024');
    expect(subscriber.subscriptions()).toHaveLength(1024);
  });

  test('of who lacks the capabilities that subscribers must have', async () => {
    const [publisher, subscriber] = await connectedPair(FAST, FAST);
    publisher.registerChannel({ name: 'lab/gpu', subscribeCaps: { requireGpu: true } });
    const subscribe = (): Promise<void> =>
      subscriber.subscribeChannel(publisher.nodeId(), 'lab/gpu');
    await refused(subscribe(), ChannelAuthError, 'channel: unauthorized');
    const announced = async (tags: string[]): Promise<void> => {
      await subscriber.announceCapabilities({ tags });
      const what = tags[0] ?? '';
      await until(() => publisher.findNodes({ requireTags: [what] }).length === 1, what);
    };
    await announced(['slow']);
    await refused(subscribe(), ChannelAuthError, 'channel: unauthorized');
    await announced(['quick', 'hardware.gpu']);
    await subscribe();
    expect(publisher.subscribers('lab/gpu')).toEqual([subscriber.nodeId()]);
  });

  test('of publishes by who lacks the capabilities for them', async () => {
    const [publisher, subscriber] = await connectedPair(FAST, FAST);
    publisher.registerChannel({ name: 'lab/x', publishCaps: { requireTags: ['sensor'] } });
    await subscriber.subscribeChannel(publisher.nodeId(), 'lab/x');
    const publish = (): Promise<unknown> => publisher.publish('lab/x', Buffer.from('x'));
    const denied = 'channel: connection error: channel: publish denied by channel ACL';
    await refused(publish(), ChannelError, denied);
    await publisher.announceCapabilities({ tags: ['sensor'] });
    expect(await publish()).toMatchObject({ attempted: 1, delivered: 1 });
    await publisher.announceCapabilities({ tags: ['retired'] });
    await refused(publish(), ChannelError, denied);
    expect(publisher.channels()[0]).toMatchObject({ denied: 2, published: 1 });
  });
});

describe('visibility', () => {
  const rules: SubnetRule[] = [
    { tagPrefix: 'region:', level: 0, values: { eu: 3 } },
    { tagPrefix: 'site:', level: 1, values: { ghent: 7, lyon: 8 } },
    { tagPrefix: 'room:', level: 2, values: { lab: 2, hall: 3 } },
    { tagPrefix: 'desk:', level: 3, values: { five: 5 } },
  ];
  /** Who is where, seen from a publisher in 3.7.2. */
  const PLACES: Record<string, string[]> = {
    same: ['region:eu', 'site:ghent', 'room:lab'],
    parent: ['region:eu', 'site:ghent'],
    sibling: ['region:eu', 'site:ghent', 'room:hall'],
    child: ['region:eu', 'site:ghent', 'room:lab', 'desk:five'],
    other: ['region:eu', 'site:lyon'],
    global: [],
  };
  const ADMITS: Array<[Omit<ChannelConfig, 'name'>, string[]]> = [
    [{ visibility: 'global' }, ['same', 'parent', 'sibling', 'child', 'other', 'global']],
    [{ visibility: 'subnet-local' }, ['same']],
    [{ visibility: 'parent-visible' }, ['same', 'parent', 'global']],
    [{ visibility: 'exported', exportTo: [{ levels: [3, 8] }] }, ['same', 'other']],
    [
      { visibility: 'exported', exportTo: [{ levels: [3, 7] }] },
      ['same', 'parent', 'sibling', 'child'],
    ],
  ];

  test('lets in whom it names, and delivers to nobody else', async () => {
    const publisher = await startNode({
      ...FAST,
      subnet: { levels: [3, 7, 2] },
      subnetPolicy: { rules },
    });
    const id = publisher.nodeId();
    const subscribers = new Map<string, MeshNode>();
    for (const [place, tags] of Object.entries(PLACES)) {
      const node = await startNode(FAST);
      subscribers.set(place, node);
      await node.announceCapabilities({ tags: [...tags, place] });
      await connect(node, publisher);
    }
    await until(() => publisher.findNodes({}).length === subscribers.size);
    for (const [index, [terms, admitted]] of ADMITS.entries()) {
      const name = `places/${index}`;
      publisher.registerChannel({ name, ...terms });
      const joined: string[] = [];
      for (const [place, node] of subscribers) {
        if (admitted.includes(place)) {
          await node.subscribeChannel(id, name);
          joined.push(place);
        } else {
          const call = node.subscribeChannel(id, name);
          await refused(call, ChannelAuthError, 'channel: unauthorized');
        }
      }
      expect(joined).toEqual(admitted.filter((place) => joined.includes(place)));
      expect(await publisher.publish(name, Buffer.from('x'))).toMatchObject({
        attempted: admitted.length,
        delivered: admitted.length,
      });
    }
  });

  test('is judged anew at every publish', async () => {
    const publisher = await startNode({
      ...FAST,
      subnet: { levels: [3, 7] },
      subnetPolicy: { rules },
    });
    const subscriber = await startNode(FAST);
    await connect(subscriber, publisher);
    await subscriber.announceCapabilities({ tags: ['region:eu', 'site:ghent'] });
    await until(() => publisher.subnetOf(subscriber.nodeId())?.levels.length === 2);
    publisher.registerChannel({ name: 'lab/x', visibility: 'subnet-local' });
    await subscriber.subscribeChannel(publisher.nodeId(), 'lab/x');
    const publish = (): Promise<unknown> =>
      publisher.publish('lab/x', Buffer.from('x'), { reliability: 'reliable' });
    expect(await publish()).toMatchObject({ attempted: 1 });
    await subscriber.announceCapabilities({ tags: ['region:eu', 'site:lyon'] });
    await until(() => publisher.subnetOf(subscriber.nodeId())?.levels[1] === 8);
    // Left out, and no failure.
    expect(await publish()).toEqual({ attempted: 0, delivered: 0, errors: [] });
    expect(publisher.channels()[0]).toMatchObject({ skippedVisibility: 1 });
    publisher.registerChannel({ name: 'lab/x', visibility: 'global' });
    expect(await publish()).toMatchObject({ attempted: 1 });
  });

  test('ends a feed when the sweep finds that the subscriber moved away', async () => {
    const publisher = await startNode({
      ...FAST,
      subnet: { levels: [3, 7] },
      subnetPolicy: { rules },
      tokenSweepIntervalMs: 50,
    });
    const subscriber = await startNode(FAST);
    await connect(subscriber, publisher);
    await subscriber.announceCapabilities({ tags: ['region:eu', 'site:ghent'] });
    await until(() => publisher.subnetOf(subscriber.nodeId())?.levels.length === 2);
    publisher.registerChannel({ name: 'lab/x', visibility: 'subnet-local' });
    const feed = await subscriber.subscribe(publisher.nodeId(), 'lab/x');
    const ended = rejection(feed[Symbol.asyncIterator]().next());
    await subscriber.announceCapabilities({ tags: ['region:eu', 'site:lyon'] });
    const error = await ended;
    expect(error).toBeInstanceOf(ChannelAuthError);
    expect(error.message).toBe('channel: unauthorized (subscription ended: visibility)');
    expect(publisher.channels()[0]).toMatchObject({ subscribers: 0, evicted: 1 });
  });
});
