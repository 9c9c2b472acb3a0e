import fc from 'fast-check';

import {
  BackpressureError,
  ConnectionError,
  EventTooLargeError,
  InvalidArgumentError,
  type MeshNode,
  type MeshStream,
  NotConnectedError,
} from 'netmesh';
import { connectedPair, isPending, peerEvent, rejection, take, until } from './support/nodes';

const SENDS = ['sendOnStream', 'sendWithRetry', 'sendBlocking'] as const;
const BP = Buffer.from('{"t":"bp"}');

function open(from: MeshNode, to: MeshNode, config: object = {}): MeshStream {
  return from.openStream(to.nodeId(), { streamId: 7n, reliability: 'reliable', ...config });
}

/** Keeps a node from hearing another one, so that no credit comes back. */
function isolate(a: MeshNode, b: MeshNode): void {
  a.blockPeer(b.localAddr());
}

describe('opening', () => {
  test('gives a handle that names peer and stream', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b);
    expect(stream.peerNodeId).toBe(b.nodeId());
    expect(stream.streamId).toBe(7n);
  });

  test('again gives the same stream with its first configuration', async () => {
    const [a, b] = await connectedPair();
    open(a, b, { windowBytes: 256 });
    const again = open(a, b, { windowBytes: 1024 });
    await a.sendOnStream(again, [BP]);
    expect(a.streamStats(b.nodeId(), 7n)).toMatchObject({ txWindow: 256 });
  });

  test('without a session is an error that names the peer', async () => {
    const [a] = await connectedPair();
    const error = await rejection(
      Promise.resolve().then(() => a.openStream(0xabcdn, { streamId: 1n })),
    );
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error.message).toBe(
      'open_stream failed: connection error: open_stream: no session for peer 0xabcd',
    );
  });

  test('accepts every 64-bit id', async () => {
    const [a, b] = await connectedPair();
    for (const streamId of [0n, 1n, 0x0001_0000_0000_0000n, 2n ** 63n, 2n ** 64n - 2n]) {
      await a.sendOnStream(open(a, b, { streamId }), [BP]);
    }
    const ids = (await take(b.messages(), 5)).map(({ streamId }) => streamId);
    expect(ids.sort()).toEqual([0n, 1n, 0x0001_0000_0000_0000n, 2n ** 63n, 2n ** 64n - 2n].sort());
  });
});

describe('sendOnStream', () => {
  test('delivers events in order with their boundaries', async () => {
    const [a, b] = await connectedPair();
    const events = ['', 'a', 'bc', 'x'.repeat(5000), '', 'end'].map((text) => Buffer.from(text));
    await a.sendOnStream(open(a, b), events);
    const messages = await take(b.messages(), events.length);
    expect(messages.map(({ data }) => data.toString())).toEqual(events.map(String));
    for (const message of messages) {
      expect(message.peerNodeId).toBe(a.nodeId());
      expect(message.streamId).toBe(7n);
    }
  });

  test('takes any Uint8Array and views of larger buffers', async () => {
    const [a, b] = await connectedPair();
    const whole = Buffer.from('0123456789');
    await a.sendOnStream(open(a, b), [
      new Uint8Array([1, 2, 3]),
      whole.subarray(2, 5),
      new Uint8Array(new SharedArrayBuffer(4)),
    ]);
    const messages = await take(b.messages(), 3);
    expect(messages.map(({ data }) => [...data])).toEqual([
      [1, 2, 3],
      [0x32, 0x33, 0x34],
      [0, 0, 0, 0],
    ]);
  });

  test('copies: a buffer can be used again at once', async () => {
    const [a, b] = await connectedPair();
    const event = Buffer.from('first');
    const sent = a.sendOnStream(open(a, b), [event]);
    event.write('wrong');
    await sent;
    expect((await take(b.messages(), 1))[0]!.data.toString()).toBe('first');
  });

  test('sends nothing for an empty list', async () => {
    const [a, b] = await connectedPair();
    await a.sendOnStream(open(a, b), []);
    expect(a.streamStats(b.nodeId(), 7n)!.txSeq).toBe(0n);
  });

  test('carries both directions of one id', async () => {
    const [a, b] = await connectedPair();
    await a.sendOnStream(open(a, b), [Buffer.from('ping')]);
    await take(b.messages(), 1);
    await b.sendOnStream(open(b, a), [Buffer.from('pong')]);
    expect((await take(a.messages(), 1))[0]).toMatchObject({
      peerNodeId: b.nodeId(),
      streamId: 7n,
      data: Buffer.from('pong'),
    });
  });

  test('sends all or nothing', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 256 });
    // 94 bytes of credit for the first, 14 more for each that shares its packet.
    const many = Array<Buffer>(14).fill(BP);
    await expect(a.sendOnStream(stream, many)).rejects.toBeInstanceOf(BackpressureError);
    expect(a.streamStats(b.nodeId(), 7n)).toMatchObject({
      txSeq: 0n,
      txCreditRemaining: 256,
      backpressureEvents: 1n,
    });
  });

  test('refuses what exceeds the window until credit comes back', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 128 });
    await a.sendOnStream(stream, [BP]);
    expect(a.streamStats(b.nodeId(), 7n)!.txCreditRemaining).toBe(34);
    const error = await rejection(a.sendOnStream(stream, [BP]));
    expect(error).toBeInstanceOf(BackpressureError);
    expect(error.message).toBe('stream would block: stream queue full');
    expect(error.code).toBe('ERR_NETMESH_BACKPRESSURE');
    a.unblockPeer(b.localAddr());
    await take(b.messages(), 1);
    await until(() => a.streamStats(b.nodeId(), 7n)!.txCreditRemaining === 128, 'credit');
    expect(a.streamStats(b.nodeId(), 7n)!.creditGrantsReceived).toBeGreaterThan(0n);
    await a.sendOnStream(stream, [BP]);
  });

  test.each([
    [256, 2, 68],
    [96, 1, 2],
  ])('a window of %i bytes admits %i packets', async (windowBytes, packets, left) => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes });
    for (let i = 0; i < packets; i++) await a.sendOnStream(stream, [BP]);
    expect(a.streamStats(b.nodeId(), 7n)!.txCreditRemaining).toBe(left);
    await expect(a.sendOnStream(stream, [BP])).rejects.toBeInstanceOf(BackpressureError);
  });

  test('without a window never blocks before the queue limit', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 0 });
    for (let i = 0; i < 100; i++) await a.sendOnStream(stream, [Buffer.alloc(8000)]);
    expect(a.streamStats(b.nodeId(), 7n)).toMatchObject({ txCreditRemaining: 0, txWindow: 0 });
  });

  test('is bounded by maxQueuedBytes even without a window', async () => {
    const [a, b] = await connectedPair({ maxQueuedBytes: 65_536 });
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 0 });
    let sent = 0;
    const error = await rejection(
      (async () => {
        for (; sent < 1000; sent++) await a.sendOnStream(stream, [Buffer.alloc(1000)]);
      })(),
    );
    expect(error).toBeInstanceOf(BackpressureError);
    expect(sent).toBeGreaterThan(30);
    expect(sent).toBeLessThan(70);
  });

  test('on a closed stream is NotConnected, also after it was opened again', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b);
    a.closeStream(b.nodeId(), 7n);
    const error = await rejection(a.sendOnStream(stream, [BP]));
    expect(error).toBeInstanceOf(NotConnectedError);
    expect(error.message).toBe('stream not connected: peer session gone');
    const fresh = open(a, b);
    await expect(a.sendOnStream(stream, [BP])).rejects.toBeInstanceOf(NotConnectedError);
    await a.sendOnStream(fresh, [BP]);
    await take(b.messages(), 1);
  });

  test('to a peer that has gone is NotConnected', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b);
    const down = peerEvent(a, 'peer:down');
    await b.shutdown();
    await down;
    for (const send of SENDS) {
      await expect(a[send](stream, [BP])).rejects.toBeInstanceOf(NotConnectedError);
    }
  });

  test('does not overtake sends that wait', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 128 });
    const waiting = a.sendBlocking(stream, [Buffer.from('1st 1st 10'), Buffer.from('2nd 2nd 10')]);
    await expect(a.sendOnStream(stream, [Buffer.from('x')])).rejects.toBeInstanceOf(
      BackpressureError,
    );
    a.unblockPeer(b.localAddr());
    const texts = (await take(b.messages(), 2)).map(({ data }) => data.toString());
    await waiting;
    expect(texts).toEqual(['1st 1st 10', '2nd 2nd 10']);
  });

  test('refuses handles that openStream did not return, and those of other nodes', async () => {
    const [a, b] = await connectedPair();
    const made = { peerNodeId: b.nodeId(), streamId: 7n };
    for (const stream of [made, null, undefined, 7, 'stream', Object.create(open(a, b))]) {
      const error = await rejection(a.sendOnStream(stream as MeshStream, [BP]));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toBe('stream must be a handle that openStream returned');
    }
    await expect(b.sendOnStream(open(a, b), [BP])).rejects.toThrow(
      'stream is a handle of another node',
    );
  });

  test('refuses what is no list of byte arrays, says which element, and sends nothing', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b);
    for (const send of SENDS) {
      const attempt = (events: unknown): Promise<void> => a[send](stream, events as Buffer[]);
      await expect(attempt('text')).rejects.toThrow(
        'events must be an array of Buffer or Uint8Array; got "text"',
      );
      await expect(attempt(BP)).rejects.toThrow('events must be an array');
      await expect(attempt(undefined)).rejects.toThrow('events must be an array');
      for (const [bad, shown] of [
        ['text', '"text"'],
        [5, 'number 5'],
        [null, 'null'],
        [undefined, 'undefined'],
        [new Uint16Array(2), 'an object'],
        [new DataView(new ArrayBuffer(2)), 'an object'],
        [[1, 2], 'an array'],
      ] as const) {
        const error = await rejection(attempt([BP, BP, bad]));
        expect(error).toBeInstanceOf(InvalidArgumentError);
        expect(error.message).toBe(`events[2] must be a Buffer or Uint8Array; got ${shown}`);
      }
    }
    expect(a.streamStats(b.nodeId(), 7n)!.txSeq).toBe(0n);
  });

  test('refuses events that the stream can never carry, before anything is sent', async () => {
    const [a, b] = await connectedPair({ maxMessageBytes: 100_000 }, { maxMessageBytes: 50_000 });
    const stream = open(a, b, { windowBytes: 0 });
    const error = await rejection(a.sendOnStream(stream, [BP, Buffer.alloc(50_001)]));
    expect(error).toBeInstanceOf(EventTooLargeError);
    expect(error.code).toBe('ERR_NETMESH_TOO_LARGE');
    expect(error.message).toContain('event of 50001 bytes exceeds the limit of 50000 bytes');
    expect(a.streamStats(b.nodeId(), 7n)!.txSeq).toBe(0n);
    await a.sendOnStream(stream, [Buffer.alloc(50_000)]);
    expect((await take(b.messages(), 1))[0]!.data).toHaveLength(50_000);
  });

  test('refuses events larger than the whole window, which no waiting would help', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b, { windowBytes: 256 });
    for (const send of SENDS) {
      const error = await rejection(a[send](stream, [BP, Buffer.alloc(200)]));
      expect(error).toBeInstanceOf(BackpressureError);
      expect(error.message).toContain("more than the stream's whole window of 256 bytes");
    }
    expect(a.streamStats(b.nodeId(), 7n)!.txSeq).toBe(0n);
  });

  test('carries messages of 16 MiB and refuses one byte more', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b, { windowBytes: 0 });
    const size = 16 * 1024 * 1024;
    const large = Buffer.alloc(size);
    for (let i = 0; i < size; i += 4096) large.writeUInt32LE(i, i);
    await expect(a.sendOnStream(stream, [Buffer.alloc(size + 1)])).rejects.toBeInstanceOf(
      EventTooLargeError,
    );
    await a.sendOnStream(stream, [large, BP]);
    const [first, second] = await take(b.messages(), 2);
    expect(first!.data.equals(large)).toBe(true);
    expect(second!.data).toEqual(BP);
  });
});

describe('sendWithRetry', () => {
  test('sends a batch larger than the window piece by piece, each event once', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b, { windowBytes: 512 });
    const events = Array.from({ length: 300 }, (_, index) => Buffer.from(`event ${index}`));
    const received = take(b.messages(), 300);
    await a.sendWithRetry(stream, events, 1000);
    expect((await received).map(({ data }) => data.toString())).toEqual(events.map(String));
  });

  test('32 concurrent calls on a small window all succeed, in order', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b, { windowBytes: 512 });
    const received = take(b.messages(), 32 * 3);
    await Promise.all(
      Array.from({ length: 32 }, (_, call) =>
        a.sendWithRetry(
          stream,
          ['a', 'b', 'c'].map((part) => Buffer.from(`call ${call} ${part}`)),
          64,
        ),
      ),
    );
    const texts = (await received).map(({ data }) => data.toString());
    expect(texts).toEqual(
      Array.from({ length: 32 }, (_, call) =>
        ['a', 'b', 'c'].map((part) => `call ${call} ${part}`),
      ).flat(),
    );
    await until(() => a.streamStats(b.nodeId(), 7n)!.txCreditRemaining === 512, 'full credit');
    expect(a.streamStats(b.nodeId(), 7n)!.creditGrantsReceived).toBeGreaterThan(0n);
  });

  test('fails after its retries and says what was sent', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 256 });
    const started = performance.now();
    const error = await rejection(a.sendWithRetry(stream, Array<Buffer>(20).fill(BP), 3));
    expect(performance.now() - started).toBeGreaterThan(5 + 10 + 20 - 3);
    expect(error).toBeInstanceOf(BackpressureError);
    // One packet of 12 frames of 14 bytes costs 248.
    expect(error.eventsSent).toBe(12);
    a.unblockPeer(b.localAddr());
    expect(await take(b.messages(), 12)).toHaveLength(12);
  });

  test('with 0 retries tries once and does not wait', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 100 });
    await a.sendWithRetry(stream, [BP], 0);
    const error = await rejection(a.sendWithRetry(stream, [BP], 0));
    expect(error).toBeInstanceOf(BackpressureError);
    expect(error.eventsSent).toBe(0);
  });

  test('may have its buffers changed as soon as it has returned', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 128 });
    const event = Buffer.from('original');
    const sent = a.sendWithRetry(stream, [event, event, event, event, event], 64);
    event.fill('x');
    a.unblockPeer(b.localAddr());
    await sent;
    const texts = (await take(b.messages(), 5)).map(({ data }) => data.toString());
    expect(texts).toEqual(Array(5).fill('original'));
  });

  test('and sendBlocking wait as long as the peer needs, and can be aborted', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 128 });
    const reason = new Error('enough');
    for (const send of [
      (signal: AbortSignal) => a.sendBlocking(stream, [BP, BP, BP, BP], { signal }),
      (signal: AbortSignal) => a.sendWithRetry(stream, [BP, BP, BP, BP], 100, { signal }),
    ]) {
      const controller = new AbortController();
      const sending = send(controller.signal);
      expect(await isPending(sending)).toBe(true);
      controller.abort(reason);
      await expect(sending).rejects.toBe(reason);
      await expect(send(AbortSignal.abort(reason))).rejects.toBe(reason);
    }
  });

  test('whose stream is closed meanwhile is NotConnected', async () => {
    const [a, b] = await connectedPair();
    isolate(a, b);
    const stream = open(a, b, { windowBytes: 128 });
    const sending = rejection(a.sendBlocking(stream, [BP, BP, BP, BP, BP]));
    a.closeStream(b.nodeId(), 7n);
    const error = await sending;
    expect(error).toBeInstanceOf(NotConnectedError);
    expect(error.eventsSent).toBe(3);
  });

  test('whose peer goes meanwhile is NotConnected', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b, { windowBytes: 128 });
    // Nobody reads at b, so credit does not come back.
    const unread = b.readStream(a.nodeId(), 7n);
    const sending = rejection(a.sendBlocking(stream, Array<Buffer>(100_000).fill(BP)));
    await b.shutdown();
    expect(await sending).toBeInstanceOf(NotConnectedError);
    await unread.return();
  });

  test.each([-1, 1.5, NaN, Infinity, 2 ** 32, '8', null, {}])(
    'refuses %p retries',
    async (maxRetries) => {
      const [a, b] = await connectedPair();
      const stream = open(a, b);
      const error = await rejection(a.sendWithRetry(stream, [BP], maxRetries as number));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error.message).toMatch(/^maxRetries must be an integer in \[0, 4294967295\]; got /);
      expect(a.streamStats(b.nodeId(), 7n)!.txSeq).toBe(0n);
    },
  );

  test('never duplicates, loses or reorders, whatever the sizes and the window', async () => {
    const [a, b] = await connectedPair();
    let streamId = 100n;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 600, max: 20_000 }),
        fc.array(fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 60 }), {
          minLength: 1,
          maxLength: 6,
        }),
        async (windowBytes, batches) => {
          const id = streamId++;
          const stream = a.openStream(b.nodeId(), {
            streamId: id,
            reliability: 'reliable',
            windowBytes,
          });
          const reader = b.readStream(a.nodeId(), id);
          const events = batches.map((sizes, batch) =>
            sizes.map((size, index) => Buffer.from(`${batch}.${index} `.padEnd(size, '.'))),
          );
          const sends = events.map((batch) => a.sendWithRetry(stream, batch, 4096));
          const received = await take(reader, events.flat().length);
          await Promise.all(sends);
          a.closeStream(b.nodeId(), id);
          expect(await reader.next()).toEqual({ value: undefined, done: true });
          expect(received.map(({ data }) => data.toString())).toEqual(events.flat().map(String));
        },
      ),
      { numRuns: 40 },
    );
  });
});

test('16 streams at once each keep their order', async () => {
  const [a, b] = await connectedPair();
  const ids = Array.from({ length: 16 }, (_, index) => BigInt(index + 1));
  const count = 500;
  const readers = ids.map((id) => take(b.readStream(a.nodeId(), id), count));
  await Promise.all(
    ids.map(async (streamId, index) => {
      const stream = open(a, b, { streamId, windowBytes: 1024 * (index + 1) });
      for (let i = 0; i < count; i += 10) {
        await a.sendBlocking(
          stream,
          Array.from({ length: 10 }, (_, k) => Buffer.from(`${streamId}:${i + k}`)),
        );
      }
    }),
  );
  for (const [index, received] of (await Promise.all(readers)).entries()) {
    expect(received.map(({ data }) => data.toString())).toEqual(
      Array.from({ length: count }, (_, i) => `${ids[index]}:${i}`),
    );
  }
  expect(a.allStreamStats(b.nodeId())).toHaveLength(16);
});

test('fire-and-forget streams deliver on a quiet link, each event at most once', async () => {
  const [a, b] = await connectedPair();
  const stream = open(a, b, { reliability: 'fire_and_forget', windowBytes: 0 });
  for (let i = 0; i < 200; i++) {
    await a.sendOnStream(stream, [Buffer.from(String(i))]);
    if (i % 20 === 19) await new Promise((resolve) => setImmediate(resolve));
  }
  const texts = (await take(b.messages(), 200)).map(({ data }) => data.toString());
  expect(new Set(texts).size).toBe(200);
});

describe('statistics of a stream', () => {
  test('have the documented fields and types', async () => {
    const [a, b] = await connectedPair();
    const stream = open(a, b);
    await a.sendOnStream(stream, [BP]);
    await take(b.messages(), 1);
    const stats = a.streamStats(b.nodeId(), 7n)!;
    const kinds = Object.fromEntries(
      Object.entries(stats).map(([key, value]) => [key, typeof value]),
    );
    expect(kinds).toEqual({
      txSeq: 'bigint',
      rxSeq: 'bigint',
      inboundPending: 'bigint',
      lastActivityNs: 'bigint',
      backpressureEvents: 'bigint',
      creditGrantsReceived: 'bigint',
      creditGrantsSent: 'bigint',
      active: 'boolean',
      txCreditRemaining: 'number',
      txWindow: 'number',
    });
    expect(stats.txSeq).toBe(1n);
    expect(stats.txWindow).toBe(65_536);
    const seconds = Number(stats.lastActivityNs / 1_000_000_000n);
    expect(Math.abs(seconds - Date.now() / 1000)).toBeLessThan(60);
  });

  test('are null for an unknown peer or stream', async () => {
    const [a, b] = await connectedPair();
    expect(a.streamStats(1n, 7n)).toBeNull();
    expect(a.streamStats(b.nodeId(), 7n)).toBeNull();
    expect(a.allStreamStats(1n)).toEqual([]);
  });

  test('start again after closing', async () => {
    const [a, b] = await connectedPair();
    await a.sendOnStream(open(a, b), [BP]);
    a.closeStream(b.nodeId(), 7n);
    open(a, b);
    expect(a.streamStats(b.nodeId(), 7n)).toMatchObject({ txSeq: 0n, backpressureEvents: 0n });
  });

  test('of all streams say which stream they are of', async () => {
    const [a, b] = await connectedPair();
    open(a, b, { streamId: 1n });
    open(a, b, { streamId: 2n, windowBytes: 0 });
    const all = a.allStreamStats(b.nodeId()).sort((x, y) => Number(x.streamId - y.streamId));
    expect(all).toEqual([
      expect.objectContaining({ streamId: 1n, txWindow: 65_536 }),
      expect.objectContaining({ streamId: 2n, txWindow: 0 }),
    ]);
  });
});

describe('closing', () => {
  test('does nothing for an unknown peer or stream, or twice', async () => {
    const [a, b] = await connectedPair();
    a.closeStream(1n, 1n);
    a.closeStream(b.nodeId(), 99n);
    open(a, b);
    a.closeStream(b.nodeId(), 7n);
    a.closeStream(b.nodeId(), 7n);
  });
});

describe('events without a stream', () => {
  test('send and sendTo carry JSON, sendRawTo bytes, on stream 0', async () => {
    const [a, b] = await connectedPair();
    await a.send(b.nodeId(), { temperature: 21.5, tags: ['ü'] });
    await a.sendTo(b.localAddr(), [1, null, 'two']);
    await a.sendRawTo(b.localAddr(), new Uint8Array([0, 255]));
    const messages = await take(b.messages(), 3);
    expect(messages.map(({ streamId }) => streamId)).toEqual([0n, 0n, 0n]);
    expect(JSON.parse(messages[0]!.data.toString())).toEqual({ temperature: 21.5, tags: ['ü'] });
    expect(JSON.parse(messages[1]!.data.toString())).toEqual([1, null, 'two']);
    expect([...messages[2]!.data]).toEqual([0, 255]);
  });

  test('to nobody are refused', async () => {
    const [a] = await connectedPair();
    await expect(a.send(5n, {})).rejects.toThrow(/^send failed: connection error: /);
    for (const send of [a.sendTo('127.0.0.1:9', {}), a.sendRawTo('127.0.0.1:9', BP)]) {
      await expect(send).rejects.toThrow('send failed: connection error: unknown peer');
    }
  });

  test('that JSON cannot say are refused', async () => {
    const [a, b] = await connectedPair();
    const circular: { self?: unknown } = {};
    circular.self = circular;
    for (const event of [undefined, () => undefined, Symbol('x'), 5n, circular]) {
      await expect(a.send(b.nodeId(), event)).rejects.toThrow('event is not serializable as JSON');
      await expect(a.sendTo(b.localAddr(), event)).rejects.toThrow('event is not serializable');
    }
  });

  test('follow routes', async () => {
    const [a, b] = await connectedPair();
    a.addRoute(b.nodeId(), b.localAddr());
    await a.send(b.nodeId(), 'routed');
    a.removeRoute(b.nodeId());
    await a.send(b.nodeId(), 'direct');
    const texts = (await take(b.messages(), 2)).map(({ data }) => data.toString());
    expect(texts).toEqual(['"routed"', '"direct"']);
  });
});
