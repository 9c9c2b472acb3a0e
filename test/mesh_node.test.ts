import { createSocket } from 'node:dgram';

import { ConnectionError, MeshNode, ShutDownError } from 'netmesh';
import { NetMesh, generateNetKeypair } from 'netmesh/core';
import {
  PSK,
  connect,
  connectedPair,
  createNode,
  isPending,
  peerEvent,
  rejection,
  startNode,
  take,
  until,
} from './support/nodes';

const SEED = Buffer.alloc(32, 0x42);

describe('identity', () => {
  test('follows from the seed as the protocol says', async () => {
    const node = await createNode({ identitySeed: SEED });
    expect(node.entityId().toString('hex')).toBe(
      '2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12',
    );
    expect(node.nodeId()).toBe(0xc211b9fddfaef86dn);
    expect(node.publicKey()).toMatch(/^[0-9a-f]{64}$/);
  });

  test('is the same after a restart with the same seed, the public key included', async () => {
    const first = await createNode({ identitySeed: SEED });
    const publicKey = first.publicKey();
    await first.shutdown();
    const second = await createNode({ identitySeed: new Uint8Array(SEED) });
    expect(second.publicKey()).toBe(publicKey);
    expect(second.nodeId()).toBe(0xc211b9fddfaef86dn);
  });

  test('is random without a seed', async () => {
    const [a, b] = await Promise.all([createNode(), createNode()]);
    expect(a.nodeId()).not.toBe(b.nodeId());
    expect(a.publicKey()).not.toBe(b.publicKey());
  });

  test('is not affected by later changes to the seed buffer', async () => {
    const seed = Buffer.from(SEED);
    const creating = createNode({ identitySeed: seed });
    seed.fill(0);
    expect((await creating).nodeId()).toBe(0xc211b9fddfaef86dn);
  });
});

describe('binding', () => {
  test('port 0 gives each node a port of its own', async () => {
    const nodes = await Promise.all(Array.from({ length: 8 }, () => createNode()));
    const addresses = nodes.map((node) => node.localAddr());
    expect(new Set(addresses).size).toBe(8);
    for (const address of addresses) expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
  });

  test('works on IPv6', async () => {
    const [a, b] = await connectedPair({ bindAddr: '[::1]:0' }, { bindAddr: '[::1]:0' });
    expect(a.localAddr()).toMatch(/^\[::1\]:\d+$/);
    expect(a.peers()[0]!.addr).toBe(b.localAddr());
  });

  test('a port in use is refused, and says so', async () => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    try {
      const error = await rejection(createNode({ bindAddr: `127.0.0.1:${socket.address().port}` }));
      expect(error).toBeInstanceOf(ConnectionError);
      expect(error.code).toBe('ERR_NETMESH_CONNECTION');
      expect(error.message).toMatch(
        /^MeshNode creation failed: connection error: bind failed: .*in use/i,
      );
    } finally {
      socket.close();
    }
  });

  test('so is the port of another node', async () => {
    const node = await createNode();
    await expect(createNode({ bindAddr: node.localAddr() })).rejects.toThrow(
      'MeshNode creation failed: connection error: bind failed: ',
    );
  });

  test('a port is free again after shutdown', async () => {
    const first = await createNode();
    const bindAddr = first.localAddr();
    await first.shutdown();
    expect((await createNode({ bindAddr })).localAddr()).toBe(bindAddr);
  });
});

describe('connecting', () => {
  test('accept and connect find each other before start', async () => {
    const [a, b] = await Promise.all([createNode(), createNode()]);
    const [address] = await Promise.all([b.accept(a.nodeId()), connect(a, b)]);
    expect(address).toBe(a.localAddr());
    expect([a.peerCount(), b.peerCount()]).toEqual([1, 1]);
    await Promise.all([a.start(), b.start()]);
    const stream = a.openStream(b.nodeId(), { streamId: 1n });
    await a.sendOnStream(stream, [Buffer.from('hello')]);
    const [message] = await take(b.messages(), 1);
    expect(message!.data.toString()).toBe('hello');
  });

  test('connect may come before accept', async () => {
    const [a, b] = await Promise.all([createNode(), createNode()]);
    const connecting = connect(a, b);
    await until(() => b.stats().datagramsReceived! > 0n);
    await Promise.all([b.accept(a.nodeId()), connecting]);
  });

  test('a started node takes new peers', async () => {
    const [a, b] = await connectedPair();
    expect(a.peerCount()).toBe(1);
    expect(b.peerCount()).toBe(1);
    expect(a.peers()[0]!.nodeId).toBe(b.nodeId());
    expect(b.peers()[0]!.nodeId).toBe(a.nodeId());
  });

  test('connectVia reaches a started node directly', async () => {
    const [a, b] = await Promise.all([startNode(), startNode()]);
    await a.connectVia(b.localAddr(), b.publicKey(), b.nodeId());
    expect(a.peers()[0]).toMatchObject({ nodeId: b.nodeId(), relayed: false });
  });

  test('connectVia reaches a node through a relay, and everything crosses it', async () => {
    const [a, relay, b] = await Promise.all([startNode(), startNode(), startNode()]);
    await Promise.all([connect(a, relay), connect(b, relay)]);
    await a.connectVia(relay.localAddr(), b.publicKey(), b.nodeId());
    expect(a.peers().find(({ nodeId }) => nodeId === b.nodeId())).toMatchObject({
      relayed: true,
      addr: relay.localAddr(),
    });
    const stream = a.openStream(b.nodeId(), { streamId: 7n, reliability: 'reliable' });
    await a.sendWithRetry(stream, [Buffer.from('through the relay')]);
    const [message] = await take(b.messages(), 1);
    expect(message).toMatchObject({ peerNodeId: a.nodeId(), streamId: 7n });
    const back = b.openStream(a.nodeId(), { streamId: 9n, reliability: 'reliable' });
    await b.sendWithRetry(back, [Buffer.from('and back')]);
    const [answer] = await take(a.messages(), 1);
    expect(answer!.data.toString()).toBe('and back');
    expect(relay.stats().forwarded).toBeGreaterThan(0n);
  });

  test('many peers can connect at once', async () => {
    const hub = await startNode();
    const nodes = await Promise.all(Array.from({ length: 20 }, () => startNode()));
    await Promise.all(nodes.map((node) => connect(node, hub)));
    expect(hub.peerCount()).toBe(20);
  });

  test('both sides may connect to each other at the same time', async () => {
    const [a, b] = await Promise.all([startNode(), startNode()]);
    await Promise.all([connect(a, b), connect(b, a)]);
    expect([a.peerCount(), b.peerCount()]).toEqual([1, 1]);
    // The later of the two handshakes may still be replacing the session of the earlier one.
    const received = take(b.messages(), 1);
    do {
      const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
      await a.sendWithRetry(stream, [Buffer.from('hello')]).catch(() => undefined);
    } while (await isPending(received));
    expect((await received)[0]!.data.toString()).toBe('hello');
  });

  test('a wrong PSK, a wrong public key and a wrong node id are handshake time-outs', async () => {
    const target = await startNode();
    const fast = { handshakeTimeoutMs: 50, handshakeRetries: 1 };
    const stranger = await startNode({ ...fast, psk: '43'.repeat(32) });
    const node = await startNode(fast);
    const message = 'connect failed: connection error: handshake timeout';
    await expect(connect(stranger, target)).rejects.toThrow(message);
    await expect(
      node.connect(target.localAddr(), '11'.repeat(32), target.nodeId()),
    ).rejects.toThrow(message);
    await expect(node.connect(target.localAddr(), target.publicKey(), 0x1234n)).rejects.toThrow(
      message,
    );
    expect(target.peerCount()).toBe(0);
  });

  test('nobody there is a time-out after the time that the options give', async () => {
    const node = await createNode({ handshakeTimeoutMs: 40, handshakeRetries: 2 });
    const started = performance.now();
    const error = await rejection(node.connect('127.0.0.1:9', '11'.repeat(32), 1n));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error.message).toBe('connect failed: connection error: handshake timeout');
    // Two attempts and the pause between them.
    expect(performance.now() - started).toBeGreaterThan(150);

    const again = performance.now();
    const limited = await startNode();
    await expect(
      limited.connect('127.0.0.1:9', '11'.repeat(32), 1n, { timeoutMs: 30 }),
    ).rejects.toThrow('connect failed: connection error: handshake timeout');
    expect(performance.now() - again).toBeLessThan(2000);
  });

  test('accept gives up after its time', async () => {
    const node = await createNode({ handshakeTimeoutMs: 20, handshakeRetries: 1 });
    await expect(node.accept(1n)).rejects.toThrow(
      'accept failed: connection error: handshake timeout',
    );
  });

  test('a second connect to the same address replaces the first', async () => {
    const node = await startNode();
    const first = node.connect('127.0.0.1:9', '11'.repeat(32), 1n);
    const second = node.connect('127.0.0.1:9', '11'.repeat(32), 1n, { timeoutMs: 20 });
    await expect(first).rejects.toThrow(
      'connect failed: connection error: handshake channel dropped',
    );
    await expect(second).rejects.toThrow('handshake timeout');
  });

  test('connecting again replaces the session', async () => {
    const [a, b] = await connectedPair();
    const stream = a.openStream(b.nodeId(), { streamId: 1n });
    await connect(a, b);
    expect(a.peerCount()).toBe(1);
    await expect(a.sendOnStream(stream, [Buffer.from('x')])).rejects.toThrow(
      'stream not connected',
    );
    const fresh = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
    await a.sendWithRetry(fresh, [Buffer.from('y')]);
    const [message] = await take(b.messages(), 1);
    expect(message!.data.toString()).toBe('y');
  });

  test('a node cannot connect to itself', async () => {
    const node = await startNode();
    await expect(connect(node, node)).rejects.toThrow(/^connect failed: .*itself/);
  });

  test.each(['connect', 'connectVia', 'accept'] as const)('%s can be aborted', async (method) => {
    const node = await createNode();
    if (method === 'connectVia') await node.start();
    const call = (signal: AbortSignal): Promise<unknown> =>
      method === 'accept'
        ? node.accept(1n, { signal })
        : node[method]('127.0.0.1:9', '11'.repeat(32), 1n, { signal });

    const reason = new Error('enough');
    await expect(call(AbortSignal.abort(reason))).rejects.toBe(reason);

    const controller = new AbortController();
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    const waiting = call(controller.signal);
    expect(await isPending(waiting)).toBe(true);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(remove).toHaveBeenCalled();
    expect(node.peerCount()).toBe(0);
  });
});

describe('starting', () => {
  test('is needed once only', async () => {
    const [a, b] = await connectedPair();
    await a.start();
    await a.start();
    expect(a.peers()[0]!.nodeId).toBe(b.nodeId());
  });

  test('takes effect without being awaited', async () => {
    const [a, b] = await Promise.all([createNode(), createNode()]);
    void b.start();
    void a.start();
    await connect(a, b);
  });

  test('waits for a pending accept, which is served first', async () => {
    const [a, b] = await Promise.all([createNode(), createNode()]);
    const accepted = b.accept(a.nodeId());
    await b.start();
    await connect(a, b);
    expect(await accepted).toBe(a.localAddr());
    // Not started then, so another accept is still possible.
    const aborted = AbortSignal.timeout(10);
    await expect(b.accept(5n, { signal: aborted })).rejects.toHaveProperty('name', 'TimeoutError');
    await b.start();
    await expect(b.accept(5n)).rejects.toThrow('Mesh::accept called after start()');
  });

  test('makes accept fail fast', async () => {
    const node = await startNode();
    const error = await rejection(node.accept(1n));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error.code).toBe('ERR_NETMESH_FATAL');
    expect(error.message).toMatch(
      /^accept failed: fatal error: Mesh::accept called after start\(\) — /,
    );
  });
});

describe('peers', () => {
  test('are described with address, security and traffic', async () => {
    const before = Date.now();
    const [a, b] = await connectedPair({ identitySeed: SEED });
    const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
    const received = take(b.messages(), 50);
    for (let i = 0; i < 50; i++) await a.sendWithRetry(stream, [Buffer.alloc(1000)]);
    await received;
    await until(() => a.peers()[0]!.rttMs !== null, 'a round-trip time');
    const [peer] = a.peers();
    expect(peer).toMatchObject({
      nodeId: b.nodeId(),
      addr: b.localAddr(),
      security: 'modern',
      relayed: false,
      alive: true,
    });
    expect(['aes-256-gcm', 'chacha20-poly1305']).toContain(peer!.aead);
    expect(peer!.entityId).toEqual(b.entityId());
    expect(peer!.rttMs).toBeGreaterThan(0);
    expect(peer!.rttMs).toBeLessThan(1000);
    expect(peer!.rttMinMs).toBeLessThanOrEqual(peer!.rttMs!);
    expect(peer!.bytesOut).toBeGreaterThan(50_000n);
    expect(peer!.packetsOut).toBeGreaterThan(0n);
    expect(peer!.bytesIn).toBeGreaterThan(0n);
    expect(peer!.packetsIn).toBeGreaterThan(0n);
    expect(peer!.connectedAt).toBeInstanceOf(Date);
    expect(peer!.connectedAt.getTime()).toBeGreaterThanOrEqual(before - 1000);
    expect(peer!.lastActivityMs).toBeGreaterThanOrEqual(before - 1000);
    expect(peer!.lastActivityMs).toBeLessThanOrEqual(Date.now() + 1000);
    expect(peer!.streams).toBe(1);
    expect(b.peers()[0]!.bytesIn).toBeGreaterThan(50_000n);
    expect(b.peers()[0]!.entityId).toEqual(a.entityId());
  });

  test.each([
    [undefined, 'bbr'],
    ['bbr', 'bbr'],
    ['cubic', 'cubic'],
  ] as const)('control congestion by %s', async (congestion, algorithm) => {
    const [a, b] = await connectedPair({ congestion });
    const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
    const received = take(b.messages(), 200);
    for (let i = 0; i < 200; i++) await a.sendWithRetry(stream, [Buffer.alloc(4000)]);
    await received;
    await until(() => a.peers()[0]!.congestion!.bytesInFlight === 0, 'the last acknowledgement');
    const { congestion: info } = a.peers()[0]!;
    expect(info).toMatchObject({ algorithm, bytesInFlight: 0, persistentCongestions: 0n });
    expect(info!.windowBytes).toBeGreaterThan(0);
    expect(info!.phase).toMatch(/^[a-z-]+$/);
    expect(info!.ambientLoss).toBeGreaterThanOrEqual(0);
    expect(typeof info!.spuriousLosses).toBe('bigint');
    if (algorithm === 'bbr') expect(info!.bandwidthBytesPerSecond).toBeGreaterThan(0);
    else expect(info!.bandwidthBytesPerSecond).toBeNull();
  });

  test.each(['aes-256-gcm', 'chacha20-poly1305'] as const)(
    'encrypt with %s when one side insists on it',
    async (aead) => {
      const [a, b] = await connectedPair({ aead });
      expect(a.peers()[0]!.aead).toBe(aead);
      expect(b.peers()[0]!.aead).toBe(aead);
      const stream = b.openStream(a.nodeId(), { streamId: 1n });
      await b.sendOnStream(stream, [Buffer.from('hello')]);
      expect((await take(a.messages(), 1))[0]!.data.toString()).toBe('hello');
    },
  );

  test('that share no cipher are refused', async () => {
    const [a, b] = await Promise.all([
      startNode({ aead: 'aes-256-gcm', handshakeTimeoutMs: 100, handshakeRetries: 1 }),
      startNode({ aead: 'chacha20-poly1305' }),
    ]);
    await expect(connect(a, b)).rejects.toThrow('connect failed: connection error: ');
  });

  test('are announced when they come and go', async () => {
    const [a, b] = await Promise.all([startNode(), startNode()]);
    const ups = [peerEvent(a, 'peer:up'), peerEvent(b, 'peer:up')] as const;
    await connect(a, b);
    expect(await ups[0]).toEqual({ nodeId: b.nodeId(), addr: b.localAddr(), security: 'modern' });
    expect(await ups[1]).toEqual({ nodeId: a.nodeId(), addr: a.localAddr(), security: 'modern' });
    const down = peerEvent(b, 'peer:down');
    const id = a.nodeId();
    await a.shutdown();
    const gone = await down;
    expect(gone.nodeId).toBe(id);
    expect(gone.reason).toMatch(/goodbye/);
    expect(b.peerCount()).toBe(0);
  });

  test('can be disconnected, which both sides notice', async () => {
    const [a, b] = await connectedPair();
    const downs = [peerEvent(a, 'peer:down'), peerEvent(b, 'peer:down')] as const;
    a.disconnect(b.nodeId());
    expect((await downs[0]).nodeId).toBe(b.nodeId());
    expect((await downs[1]).nodeId).toBe(a.nodeId());
    expect([a.peerCount(), b.peerCount()]).toEqual([0, 0]);
    a.disconnect(b.nodeId());
    await connect(a, b);
    expect(a.peerCount()).toBe(1);
  });

  test('that are blocked hear and say nothing until they are unblocked', async () => {
    const [a, b] = await connectedPair();
    a.blockPeer(b.localAddr());
    const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
    await a.sendOnStream(stream, [Buffer.from('later')]);
    const received = take(b.messages(), 1);
    expect(await isPending(received)).toBe(true);
    a.unblockPeer(b.localAddr());
    expect((await received)[0]!.data.toString()).toBe('later');
  });

  test('that fall silent are given up', async () => {
    const timing = { heartbeatIntervalMs: 20, sessionTimeoutMs: 60 };
    const [a, b] = await connectedPair(timing, timing);
    const down = peerEvent(a, 'peer:down');
    b.blockPeer(a.localAddr());
    const event = await down;
    expect(event).toEqual({ nodeId: b.nodeId(), reason: expect.stringContaining('timeout') });
    expect(a.peers()[0]!.alive).toBe(false);
    const up = peerEvent(a, 'peer:up');
    b.unblockPeer(a.localAddr());
    await up;
    expect(a.peers()[0]!.alive).toBe(true);
  });

  test('listeners can be removed, and one that throws does not stop the others', async () => {
    const [a, b] = await Promise.all([startNode(), startNode()]);
    const seen: string[] = [];
    const listener = (): void => void seen.push('removed');
    b.on('peer:up', listener).off('peer:up', listener);
    b.on('peer:up', () => seen.push('kept'));
    await connect(a, b);
    await until(() => seen.length > 0);
    expect(seen).toEqual(['kept']);
    expect(() => b.on('peer:sideways' as never, listener)).toThrow(
      'event must be one of "peer:up", "peer:down", "peer:moved"; got "peer:sideways"',
    );
  });
});

describe('shutting down', () => {
  test('makes every method fail, and a second time says so', async () => {
    const node = await startNode();
    await node.shutdown();
    const second = await rejection(node.shutdown());
    expect(second).toBeInstanceOf(ShutDownError);
    expect(second.message).toBe('already shut down');

    const sync: Array<() => unknown> = [
      () => node.entityId(),
      () => node.publicKey(),
      () => node.nodeId(),
      () => node.localAddr(),
      () => node.peerCount(),
      () => node.peers(),
      () => node.stats(),
      () => node.openStream(1n, { streamId: 1n }),
      () => {
        node.closeStream(1n, 1n);
      },
      () => node.streamStats(1n, 1n),
      () => node.allStreamStats(1n),
      () => {
        node.disconnect(1n);
      },
      () => {
        node.addRoute(1n, '127.0.0.1:9');
      },
      () => {
        node.removeRoute(1n);
      },
      () => {
        node.blockPeer('127.0.0.1:9');
      },
      () => {
        node.unblockPeer('127.0.0.1:9');
      },
      () => node.messages(),
      () => node.messageBatches(),
      () => node.readStream(1n, 1n),
      () => node.duplex(1n, { streamId: 1n }),
      () => node.ref(),
      () => node.unref(),
    ];
    for (const call of sync) {
      expect(call).toThrow(ShutDownError);
      expect(call).toThrow('MeshNode has been shut down');
    }
    const stream = {} as never;
    const asynchronous: Array<() => Promise<unknown>> = [
      () => node.connect('127.0.0.1:9', '11'.repeat(32), 1n),
      () => node.connectVia('127.0.0.1:9', '11'.repeat(32), 1n),
      () => node.accept(1n),
      () => node.start(),
      () => node.sendOnStream(stream, []),
      () => node.sendWithRetry(stream, []),
      () => node.sendBlocking(stream, []),
      () => node.send(1n, {}),
      () => node.sendTo('127.0.0.1:9', {}),
      () => node.sendRawTo('127.0.0.1:9', Buffer.alloc(1)),
      () => node.recv(1),
      () => node.recvShard(0, 1),
    ];
    for (const call of asynchronous) {
      await expect(call()).rejects.toThrow('MeshNode has been shut down');
    }
    await node[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
    node.off('peer:up', () => undefined);
  });

  test('rejects pending connects and accepts, and resolves', async () => {
    const node = await createNode();
    const pending = [node.accept(1n), node.connect('127.0.0.1:9', '11'.repeat(32), 2n)];
    const outcomes = Promise.allSettled(pending);
    await node.shutdown();
    for (const outcome of await outcomes) {
      expect(outcome.status).toBe('rejected');
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(ShutDownError);
    }
  });

  test('rejects pending sends and settles every iterator', async () => {
    const [a, b] = await connectedPair();
    const stream = a.openStream(b.nodeId(), {
      streamId: 1n,
      reliability: 'reliable',
      windowBytes: 128,
    });
    a.blockPeer(b.localAddr());
    const sending = a.sendBlocking(stream, Array<Buffer>(10).fill(Buffer.from('{"t":"bp"}')));
    const failed = expect(sending).rejects.toThrow('MeshNode has been shut down');
    const all = a.messages().next();
    const batches = a.messageBatches().next();
    const one = expect(a.readStream(b.nodeId(), 5n).next()).rejects.toThrow(ShutDownError);
    await a.shutdown({ drainMs: 10 });
    await Promise.all([failed, one]);
    expect(await all).toEqual({ value: undefined, done: true });
    expect(await batches).toEqual({ value: undefined, done: true });
  });

  test('delivers what reliable streams have sent before', async () => {
    const [a, b] = await connectedPair();
    const stream = a.openStream(b.nodeId(), {
      streamId: 1n,
      reliability: 'reliable',
      windowBytes: 0,
    });
    await a.sendOnStream(stream, Array<Buffer>(2000).fill(Buffer.alloc(1000, 7)));
    const received = take(b.messages(), 2000);
    await a.shutdown();
    expect((await received).every(({ data }) => data.length === 1000)).toBe(true);
  });

  test('ends in time when the peer is gone', async () => {
    const [a, b] = await connectedPair();
    const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
    a.blockPeer(b.localAddr());
    await a.sendOnStream(stream, [Buffer.from('lost')]);
    const started = performance.now();
    await a.shutdown({ drainMs: 50 });
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test('happens at the end of an await using block', async () => {
    const node = await createNode();
    try {
      expect(node.peerCount()).toBe(0);
    } finally {
      await node[Symbol.asyncDispose]();
    }
    expect(() => node.peerCount()).toThrow('MeshNode has been shut down');
  });
});

describe('stats', () => {
  test('count datagrams, bytes and drops', async () => {
    const [, b] = await connectedPair();
    const stats = b.stats();
    expect(stats.handshakesCompleted).toBe(1n);
    expect(stats.datagramsReceived).toBeGreaterThan(0n);
    for (const value of Object.values(stats)) expect(typeof value).toBe('bigint');
  });
});

describe('the low-level surface', () => {
  test('has the members of its documentation', async () => {
    const [a, b] = await Promise.all(
      [0, 1].map(() => NetMesh.create({ bindAddr: '127.0.0.1:0', psk: PSK })),
    );
    try {
      const target = await createNode();
      await target.start();
      await a!.start();
      await a!.connect(target.localAddr(), target.publicKey(), target.nodeId());
      expect(a!.discoveredNodes()).toBe(1);
      expect(a!.peerCount()).toBe(1);
      expect(a!.nodeId()).not.toBe(b!.nodeId());
      expect(a!.entityId()).toHaveLength(32);
      const stream = a!.openStream(target.nodeId(), { streamId: 4n, reliability: 'reliable' });
      expect(stream.peerNodeId).toBe(target.nodeId());
      expect(stream.streamId).toBe(4n);
      await a!.sendOnStream(stream, [Buffer.from('one')]);
      await a!.sendWithRetry(stream, [Buffer.from('two')], 3);
      await a!.sendBlocking(stream, [Buffer.from('three')]);
      expect(await a!.pushTo(target.localAddr(), Buffer.from('four'))).toBe(true);
      expect(a!.streamStats(target.nodeId(), 4n)).toMatchObject({ active: true, txWindow: 65_536 });
      expect(a!.streamStats(target.nodeId(), 4n)).not.toHaveProperty('streamId');
      a!.addRoute(target.nodeId(), target.localAddr());
      a!.closeStream(target.nodeId(), 4n);
      const texts = (await take(target.messages(), 4)).map(({ data }) => data.toString());
      expect(texts.filter((text) => text !== 'four')).toEqual(['one', 'two', 'three']);
    } finally {
      await Promise.all([a!.shutdown(), b![Symbol.asyncDispose]()]);
    }
  });

  test('polls shard 0 only', async () => {
    const receiver = await NetMesh.create({ bindAddr: '127.0.0.1:0', psk: PSK, numShards: 4 });
    try {
      await receiver.start();
      const sender = await startNode();
      // The address is not part of the low-level surface, so the receiver dials.
      const up = peerEvent(sender, 'peer:up');
      await receiver.connect(sender.localAddr(), sender.publicKey(), sender.nodeId());
      await up;
      for (const streamId of [4n, 5n, 8n]) {
        const stream = sender.openStream(receiver.nodeId(), { streamId, reliability: 'reliable' });
        await sender.sendOnStream(stream, [Buffer.from(`on ${streamId}`)]);
      }
      const got: string[] = [];
      while (got.length < 2) {
        for (const event of await receiver.poll(10)) {
          expect(event.shardId).toBe(0);
          expect(event.id).toMatch(/^\d+:\d+$/);
          expect(event.rawBytes.toString()).toBe(event.raw);
          expect(typeof event.insertionTs).toBe('number');
          got.push(event.raw);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(got.sort()).toEqual(['on 4', 'on 8']);
    } finally {
      await receiver.shutdown();
    }
  });

  test('makes key pairs', () => {
    const pair = generateNetKeypair();
    expect(pair.publicKey).toMatch(/^[0-9a-f]{64}$/);
    expect(pair.secretKey).toMatch(/^[0-9a-f]{64}$/);
    expect(generateNetKeypair()).not.toEqual(pair);
  });
});

test('nodes cannot be constructed directly', () => {
  const Constructor = MeshNode as unknown as new () => MeshNode;
  expect(() => new Constructor()).toThrow('use MeshNode.create');
});
