import { InvalidArgumentError, MeshNode, NotConnectedError, type StreamPriority } from 'netmesh';
import { Child } from './support/children';
import { PSK, connectedPair, peerEvent, rejection, startNode, take, until } from './support/nodes';

jest.setTimeout(60_000);

describe('keys that change', () => {
  test.each(['aes-256-gcm', 'chacha20-poly1305'] as const)(
    'lose nothing: ratchets every 20 packets and agreements every 20 ms, %s',
    async (aead) => {
      const config = { keyUpdatePackets: 20, rekeyIntervalMs: 20, aead };
      const [a, b] = await connectedPair(config, config);
      const send = async (from: MeshNode, to: MeshNode): Promise<void> => {
        const received = take(to.messages(), 3000);
        const stream = from.openStream(to.nodeId(), { streamId: 1n, reliability: 'reliable' });
        for (let i = 0; i < 3000; i++) {
          await from.sendBlocking(stream, [Buffer.from(String(i).padEnd(500))]);
          // Long enough for many agreements.
          if (i % 30 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        }
        const texts = (await received).map(({ data }) => Number(data.toString()));
        expect(texts).toEqual(Array.from({ length: 3000 }, (_, i) => i));
      };
      await Promise.all([send(a, b), send(b, a)]);
      for (const node of [a, b]) {
        expect(node.stats()).toMatchObject({ droppedAuthentication: 0n, protocolViolations: 0n });
      }
    },
  );
});

describe('a shutdown with drainMs', () => {
  test('reports nothing when everything was acknowledged', async () => {
    const [a, b] = await connectedPair();
    const received = take(b.messages(), 100);
    const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
    await a.sendBlocking(
      stream,
      Array.from({ length: 100 }, () => Buffer.alloc(1000)),
    );
    expect(await a.shutdown({ drainMs: 5000 })).toEqual({ unacknowledged: [] });
    await received;
  });

  test('reports by stream what was not', async () => {
    const [a, b] = await connectedPair({}, { streamReceiveWindowBytes: 16 * 1024 });
    // Nobody reads stream 7 beyond what its reader asked for, so its window fills up.
    const reader = b.readStream(a.nodeId(), 7n);
    const stream = a.openStream(b.nodeId(), {
      streamId: 7n,
      reliability: 'reliable',
      windowBytes: 1 << 20,
    });
    const sends = 100;
    for (let i = 0; i < sends; i++) await a.sendOnStream(stream, [Buffer.alloc(1000)]);
    const { unacknowledged } = await a.shutdown({ drainMs: 100 });
    expect(unacknowledged).toHaveLength(1);
    const [left] = unacknowledged;
    expect(left).toMatchObject({ peerNodeId: b.nodeId(), streamId: 7n });
    // What is not reported was delivered, and only that: each event has a 4-byte frame.
    const delivered: unknown[] = [];
    const reading = (async () => {
      for await (const message of reader) delivered.push(message);
    })();
    // The stream never came to its end.
    expect(await rejection(reading)).toBeInstanceOf(NotConnectedError);
    expect(delivered.length).toBe(sends - Number(left!.messages));
    expect(left!.bytes).toBeGreaterThan(0n);
    expect(left!.bytes).toBeLessThanOrEqual(left!.messages * 1004n);
  });

  test('and one without resolve to a report and to nothing', async () => {
    const [a, b] = await Promise.all([startNode(), startNode()]);
    await expect(a.shutdown()).resolves.toBeUndefined();
    await expect(b.shutdown({ drainMs: 10 })).resolves.toEqual({ unacknowledged: [] });
  });
});

describe('a peer that is killed and started again', () => {
  const ready = async (child: Child): Promise<{ addr: string; key: string; id: bigint }> => {
    let line = '';
    child.process.stdout!.on('data', (chunk: Buffer) => (line += chunk.toString()));
    await child.printed('\n');
    const [, addr, key, id] = /ready (\S+) (\S+) (\d+)/.exec(line)!;
    return { addr: addr!, key: key!, id: BigInt(id!) };
  };

  test('is recognised at the next packet, and its session replaced', async () => {
    const node = await startNode({ heartbeatIntervalMs: 200, sessionTimeoutMs: 60_000 });
    const first = new Child('restarting.cjs', ['0', '77']);
    const { addr, key, id } = await ready(first);
    await node.connect(addr, key, id);
    await node.sendOnStream(node.openStream(id, { streamId: 1n, reliability: 'reliable' }), [
      Buffer.from('one'),
    ]);
    await first.printed('got one');
    first.process.kill('SIGKILL');
    await first.ended;

    const down = peerEvent(node, 'peer:down');
    const up = peerEvent(node, 'peer:up');
    const second = new Child('restarting.cjs', [addr.split(':')[1]!, '77']);
    await ready(second);
    const began = Date.now();
    expect(await down).toMatchObject({ nodeId: id, reason: expect.stringContaining('restarted') });
    expect(await up).toMatchObject({ nodeId: id, security: 'modern' });
    expect(Date.now() - began).toBeLessThan(5000); // a heartbeat; the session timeout is a minute
    expect(node.stats()).toMatchObject({ peersRestarted: 1n });
    await node.sendOnStream(node.openStream(id, { streamId: 1n, reliability: 'reliable' }), [
      Buffer.from('two'),
    ]);
    await second.printed('got two');
    second.process.kill('SIGKILL');
    await second.ended;
  });
});

test('a send that waits for the credit of a peer that fell silent is told so', async () => {
  const [a, b] = await connectedPair({ heartbeatIntervalMs: 50, sessionTimeoutMs: 300 });
  const stream = a.openStream(b.nodeId(), {
    streamId: 1n,
    reliability: 'reliable',
    windowBytes: 20_000,
  });
  a.blockPeer(b.localAddr());
  b.blockPeer(a.localAddr());
  const events = Array.from({ length: 100 }, () => Buffer.alloc(1000));
  const error = await rejection(a.sendBlocking(stream, events));
  expect(error).toBeInstanceOf(NotConnectedError);
});

describe('priorities', () => {
  test('let a small urgent message pass megabytes that wait', async () => {
    // A narrow session window keeps the bulk waiting at the sender.
    const [a, b] = await connectedPair(
      {},
      { sessionReceiveWindowBytes: 1 << 20, streamReceiveWindowBytes: 1 << 20 },
    );
    const order: bigint[] = [];
    const open = (streamId: bigint, priority: StreamPriority) =>
      a.openStream(b.nodeId(), { streamId, reliability: 'reliable', windowBytes: 0, priority });
    const bulk = open(1n, 'bulk');
    const urgent = open(2n, 'control');
    const total = 400;
    const reading = (async () => {
      for await (const { streamId } of b.messages()) {
        order.push(streamId);
        if (order.length === total + 1) return;
      }
    })();
    await a.sendOnStream(
      bulk,
      Array.from({ length: total }, () => Buffer.alloc(50_000)),
    );
    await a.sendOnStream(urgent, [Buffer.from('now')]);
    await reading;
    const place = order.indexOf(2n);
    // 20 MB of bulk; what was on its way already is at most the two windows.
    expect(place).toBeGreaterThanOrEqual(0);
    expect(place).toBeLessThan(total / 2);
  });
});

describe('options of the transport', () => {
  const create = (extra: object): Promise<MeshNode> =>
    MeshNode.create({ bindAddr: '127.0.0.1:0', psk: PSK, ...extra });

  test.each([
    [{ maxDatagramBytes: 1199 }, 'maxDatagramBytes'],
    [{ maxDatagramBytes: 65_508 }, 'maxDatagramBytes'],
    [{ maxDatagramBytes: 1400.5 }, 'maxDatagramBytes'],
    [{ rekeyIntervalMs: -1 }, 'rekeyIntervalMs'],
    [{ rekeyIntervalMs: NaN }, 'rekeyIntervalMs'],
    [{ keyUpdatePackets: 0 }, 'keyUpdatePackets'],
    [{ keyUpdatePackets: 2 ** 22 + 1 }, 'keyUpdatePackets'],
    [{ maxStreamReceiveWindowBytes: 1000 }, 'maxStreamReceiveWindowBytes'],
    [
      { streamReceiveWindowBytes: 1 << 20, maxStreamReceiveWindowBytes: 1 << 19 },
      'maxStreamReceiveWindowBytes must not be below streamReceiveWindowBytes',
    ],
    [
      { sessionReceiveWindowBytes: 1 << 20, maxSessionReceiveWindowBytes: 1 << 19 },
      'maxSessionReceiveWindowBytes must not be below sessionReceiveWindowBytes',
    ],
    [{ congestion: 'reno' }, 'congestion'],
  ])('%j is refused', async (extra, message) => {
    const error = await rejection(create(extra));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toContain(message);
  });

  test.each(['urgent', 1, null, {}])('the priority %p is refused', async (priority) => {
    const [a, b] = await connectedPair();
    expect(() =>
      a.openStream(b.nodeId(), { streamId: 1n, priority: priority as StreamPriority }),
    ).toThrow(InvalidArgumentError);
  });

  test('caps are taken', async () => {
    const node = await startNode({
      maxDatagramBytes: 1200,
      rekeyIntervalMs: 1000,
      keyUpdatePackets: 1,
      maxStreamReceiveWindowBytes: 1 << 26,
      maxSessionReceiveWindowBytes: 1 << 27,
      congestion: 'cubic',
    });
    await until(() => node.peerCount() === 0);
  });
});
