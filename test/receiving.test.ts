import { InvalidArgumentError, type MeshNode, type MeshStream, NotConnectedError } from 'netmesh';
import type { MeshMessage } from 'netmesh';
import { connectedPair, isPending, peerEvent, startNode, take, until } from './support/nodes';

function open(from: MeshNode, to: MeshNode, streamId = 7n, windowBytes?: number): MeshStream {
  return from.openStream(to.nodeId(), { streamId, reliability: 'reliable', windowBytes });
}

function texts(messages: MeshMessage[]): string[] {
  return messages.map(({ data }) => data.toString());
}

function numbers(count: number, from = 0): Buffer[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(String(from + index)));
}

describe('messages', () => {
  test('of all peers and streams say where they come from', async () => {
    const [a, b] = await connectedPair();
    const c = await startNode();
    await c.connect(b.localAddr(), b.publicKey(), b.nodeId());
    await a.sendOnStream(open(a, b, 1n), [Buffer.from('a1')]);
    await c.sendOnStream(open(c, b, 2n), [Buffer.from('c2')]);
    const received = await take(b.messages(), 2);
    const [fromA, fromC] = received.sort((x) => (x.peerNodeId === a.nodeId() ? -1 : 1));
    expect(fromA).toEqual({ peerNodeId: a.nodeId(), streamId: 1n, data: Buffer.from('a1') });
    expect(fromC).toEqual({ peerNodeId: c.nodeId(), streamId: 2n, data: Buffer.from('c2') });
  });

  test('that came before anyone read are there later', async () => {
    const [a, b] = await connectedPair();
    await a.sendOnStream(open(a, b), numbers(1000));
    await until(() => b.allStreamStats(a.nodeId())[0]?.rxSeq !== undefined);
    expect(texts(await take(b.messages(), 1000))).toEqual(numbers(1000).map(String));
  });

  test('in batches are the same messages', async () => {
    const [a, b] = await connectedPair();
    const batches = b.messageBatches();
    const got: MeshMessage[] = [];
    const reading = (async () => {
      for await (const batch of batches) {
        expect(batch.length).toBeGreaterThan(0);
        got.push(...batch);
        if (got.length === 5000) return;
      }
    })();
    const stream = open(a, b);
    for (let i = 0; i < 5000; i += 100) await a.sendBlocking(stream, numbers(100, i));
    await reading;
    expect(texts(got)).toEqual(numbers(5000).map(String));
    expect(got[0]).toEqual({ peerNodeId: a.nodeId(), streamId: 7n, data: Buffer.from('0') });
  });

  test('go to exactly one of several iterators', async () => {
    const [a, b] = await connectedPair();
    const got: string[] = [];
    const readers = Array.from({ length: 4 }, async () => {
      for await (const { data } of b.messages()) {
        got.push(data.toString());
        await Promise.resolve();
      }
    });
    await a.sendBlocking(open(a, b), numbers(2000));
    await until(() => got.length === 2000);
    await b.shutdown();
    await Promise.all(readers);
    expect(got.sort((x, y) => Number(x) - Number(y))).toEqual(numbers(2000).map(String));
  });

  test('not taken by an iterator that was left go to the next one', async () => {
    const [a, b] = await connectedPair();
    await a.sendOnStream(open(a, b), numbers(10));
    for await (const { data } of b.messages()) {
      if (data.toString() === '4') break;
    }
    expect(texts(await take(b.messages(), 5))).toEqual(['5', '6', '7', '8', '9']);
  });

  test('end when the node is shut down, after those that are there', async () => {
    const [a, b] = await connectedPair();
    await a.sendOnStream(open(a, b), numbers(3));
    const iterator = b.messages();
    expect(texts(await take(iterator, 1))).toEqual(['0']);
    await b.shutdown();
    const rest: string[] = [];
    for await (const { data } of iterator) rest.push(data.toString());
    expect(rest).toEqual(['1', '2']);
  });

  test('stay valid while later ones arrive', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b);
    const kept: Buffer[] = [];
    const reading = (async () => {
      for await (const { data } of b.messages()) {
        kept.push(data);
        if (kept.length === 3000) return;
      }
    })();
    for (let i = 0; i < 3000; i += 50) await a.sendBlocking(stream, numbers(50, i));
    await reading;
    expect(kept.map(String)).toEqual(numbers(3000).map(String));
  });

  test.each(['messages', 'messageBatches'] as const)('%s can be aborted', async (method) => {
    const [, b] = await connectedPair();
    const controller = new AbortController();
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    const waiting = b[method]({ signal: controller.signal }).next();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(remove).toHaveBeenCalled();
    await expect(b[method]({ signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason);
  });

  test.each([null, 'signal', 5, {}, { aborted: false }])(
    'refuse %p as a signal',
    async (signal) => {
      const node = await startNode();
      const options = { signal } as unknown as { signal: AbortSignal };
      for (const call of [
        () => node.messages(options),
        () => node.messageBatches(options),
        () => node.readStream(1n, 1n, options),
      ]) {
        expect(call).toThrow(InvalidArgumentError);
        expect(call).toThrow(/^signal must be an AbortSignal; got /);
      }
      expect(() => node.messages([] as never)).toThrow('options must be an object; got an array');
    },
  );
});

describe('a slow reader', () => {
  test('holds the sender up, and memory stays bounded', async () => {
    const windows = { streamReceiveWindowBytes: 65_536, sessionReceiveWindowBytes: 131_072 };
    const [a, b] = await connectedPair({ maxQueuedBytes: 65_536 }, windows);
    const stream = open(a, b, 7n, 0);
    const event = Buffer.alloc(1000);
    let sent = 0;
    const controller = new AbortController();
    const sending = (async () => {
      for (;;) {
        await a.sendBlocking(stream, [event], { signal: controller.signal });
        sent++;
      }
    })().catch(() => undefined);
    // Two equal counts in a row: the sender stands still.
    let before = -1;
    await until(() => {
      const still = sent === before && sent > 0;
      before = sent;
      return still;
    });
    // What is in the receive window, in the queue, and a little under way.
    expect(sent).toBeLessThan(400);
    const reader = b.messages();
    await take(reader, sent);
    const standing = sent;
    await until(() => sent > standing, 'the sender to go on');
    controller.abort();
    await sending;
  });

  test('of one stream does not hold up another stream', async () => {
    const [a, b] = await connectedPair({}, { streamReceiveWindowBytes: 65_536 });
    b.readStream(a.nodeId(), 1n);
    const blocked = a.sendBlocking(
      open(a, b, 1n, 0),
      Array<Buffer>(100_000).fill(Buffer.alloc(1000)),
    );
    blocked.catch(() => undefined);
    const reader = b.readStream(a.nodeId(), 2n);
    const stream = open(a, b, 2n);
    for (let i = 0; i < 100; i++) await a.sendBlocking(stream, numbers(1, i));
    expect(await take(reader, 100)).toHaveLength(100);
    expect(await isPending(blocked)).toBe(true);
  });
});

describe('readStream', () => {
  test('gets one stream and leaves the others', async () => {
    const [a, b] = await connectedPair();
    const reader = b.readStream(a.nodeId(), 2n);
    await a.sendOnStream(open(a, b, 1n), [Buffer.from('other')]);
    await a.sendOnStream(open(a, b, 2n), [Buffer.from('mine')]);
    expect(texts(await take(reader, 1))).toEqual(['mine']);
    expect(texts(await take(b.messages(), 1))).toEqual(['other']);
  });

  test('ends when the peer closes the stream, after its last message', async () => {
    const [a, b] = await connectedPair();
    const reader = b.readStream(a.nodeId(), 7n);
    await a.sendOnStream(open(a, b), numbers(100));
    a.closeStream(b.nodeId(), 7n);
    const got: string[] = [];
    for await (const { data } of reader) got.push(data.toString());
    expect(got).toEqual(numbers(100).map(String));
  });

  test('sees messages and the end of a stream that is closed already', async () => {
    const [a, b] = await connectedPair();
    await a.sendOnStream(open(a, b, 7n), numbers(3));
    a.closeStream(b.nodeId(), 7n);
    await a.sendOnStream(open(a, b, 8n), [Buffer.from('after')]);
    expect(texts(await take(b.readStream(a.nodeId(), 8n), 1))).toEqual(['after']);
    const got: string[] = [];
    for await (const { data } of b.readStream(a.nodeId(), 7n)) got.push(data.toString());
    expect(got).toEqual(['0', '1', '2']);
  });

  test('of an id that is opened again is a new stream', async () => {
    const [a, b] = await connectedPair();
    for (const round of ['one', 'two', 'three']) {
      const reader = b.readStream(a.nodeId(), 7n);
      await a.sendWithRetry(open(a, b), [Buffer.from(round)]);
      a.closeStream(b.nodeId(), 7n);
      const got: string[] = [];
      for await (const { data } of reader) got.push(data.toString());
      expect(got).toEqual([round]);
    }
  });

  test('fails when the session goes before the end of the stream', async () => {
    const [a, b] = await connectedPair();
    const reader = b.readStream(a.nodeId(), 7n);
    await a.sendOnStream(open(a, b), numbers(1));
    await take(reader, 1);
    const failed = expect(reader.next()).rejects.toBeInstanceOf(NotConnectedError);
    await a.shutdown();
    await failed;
  });

  test('refuses a peer that is not known', async () => {
    const [a, b] = await connectedPair();
    expect(() => b.readStream(5n, 7n)).toThrow(NotConnectedError);
    const down = peerEvent(b, 'peer:down');
    const id = a.nodeId();
    await a.shutdown();
    await down;
    expect(() => b.readStream(id, 7n)).toThrow(NotConnectedError);
  });

  test('can be aborted, and leaves the rest to others', async () => {
    const [a, b] = await connectedPair();
    const controller = new AbortController();
    const reader = b.readStream(a.nodeId(), 7n, { signal: controller.signal });
    await a.sendOnStream(open(a, b), numbers(3));
    await take(reader, 1);
    controller.abort('enough');
    await expect(reader.next()).rejects.toBe('enough');
    expect(texts(await take(b.messages(), 2))).toEqual(['1', '2']);
  });
});

describe('recv', () => {
  test('takes events of all shards or of one', async () => {
    const [a, b] = await connectedPair({}, { numShards: 2 });
    const reader = b.messages();
    const arrived = reader.next();
    await a.sendOnStream(open(a, b, 1n), [Buffer.from('odd'), Buffer.from('odder')]);
    await arrived;
    await reader.return();
    await a.sendOnStream(open(a, b, 2n), [Buffer.from('even')]);
    const got: string[] = [];
    while (got.length < 2) {
      got.push(...(await b.recv(1)).map(({ raw }) => raw));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(got).toEqual(['odder', 'even']);
    await a.sendOnStream(open(a, b, 3n), [Buffer.from('three')]);
    const shard: string[] = [];
    while (shard.length < 1) {
      expect(await b.recvShard(0, 10)).toEqual([]);
      shard.push(...(await b.recvShard(1, 10)).map(({ raw }) => raw));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(shard).toEqual(['three']);
    expect(await b.recvShard(60_000, 10)).toEqual([]);
    expect(await b.recv(0)).toEqual([]);
  });

  test.each([-1, NaN, 1.5, 2 ** 32, '1', null, undefined])(
    'refuses a limit of %p',
    async (limit) => {
      const node = await startNode();
      const message = /^limit must be an integer in \[0, 4294967295\]; got /;
      await expect(node.recv(limit as number)).rejects.toThrow(message);
      await expect(node.recvShard(0, limit as number)).rejects.toThrow(message);
      await expect(node.recvShard(70_000, 1)).rejects.toThrow(
        'shard must be an integer in [0, 65535]; got 70000',
      );
    },
  );
});
