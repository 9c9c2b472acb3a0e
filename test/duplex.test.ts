import { createHash, randomBytes } from 'node:crypto';
import { Duplex, Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';

import { InvalidArgumentError, type MeshNode, NotConnectedError } from 'netmesh';
import type { DuplexOptions, MeshDuplex } from 'netmesh/stream';
import { connectedPair, isPending, rejection, take, until } from './support/nodes';

const CONFIG = { streamId: 7n, reliability: 'reliable' } as const;

function duplexPair(
  a: MeshNode,
  b: MeshNode,
  options?: DuplexOptions,
  config: object = {},
): [MeshDuplex, MeshDuplex] {
  return [
    a.duplex(b.nodeId(), { ...CONFIG, ...config }, options),
    b.duplex(a.nodeId(), { ...CONFIG, ...config }, options),
  ];
}

/** Unlike `for await`, this leaves the writable half alone. */
async function collectChunks(readable: Readable): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  readable.on('data', (chunk: Buffer) => chunks.push(chunk));
  await finished(readable, { writable: false });
  return chunks;
}

async function collect(readable: Readable): Promise<Buffer> {
  return Buffer.concat(await collectChunks(readable));
}

test('a duplex is a Node.js stream that names peer and stream', async () => {
  const [a, b] = await connectedPair();
  const duplex = a.duplex(b.nodeId(), CONFIG);
  expect(duplex).toBeInstanceOf(Duplex);
  expect(duplex.peerNodeId).toBe(b.nodeId());
  expect(duplex.streamId).toBe(7n);
});

test('bytes travel both ways and each side ends by itself', async () => {
  const [a, b] = await connectedPair();
  const [left, right] = duplexPair(a, b);
  left.end('from left');
  expect((await collect(right)).toString()).toBe('from left');
  right.write('from ');
  right.end('right');
  expect((await collect(left)).toString()).toBe('from right');
  await Promise.all([finished(left), finished(right)]);
});

test.each([0, 1, 65_536, 3_000_000])('%i bytes arrive as they were sent', async (size) => {
  const [a, b] = await connectedPair();
  const [left, right] = duplexPair(a, b);
  const content = randomBytes(size);
  const received = collect(right);
  await pipeline(
    Readable.from(content.length > 0 ? [content] : []),
    new Writable({
      write(chunk: Buffer, _encoding, callback) {
        if (left.write(chunk)) callback();
        else left.once('drain', callback);
      },
      final(callback) {
        left.end(callback);
      },
    }),
  );
  expect((await received).equals(content)).toBe(true);
});

test('a pipeline of 32 MiB keeps its hash and never buffers much', async () => {
  const [a, b] = await connectedPair();
  const [left, right] = duplexPair(a, b);
  const total = 32 * 1024 * 1024;
  const chunk = randomBytes(1024 * 1024);
  const sent = createHash('sha256');
  let largest = 0;
  async function* source(): AsyncGenerator<Buffer> {
    for (let at = 0; at < total; at += chunk.length) {
      sent.update(chunk);
      largest = Math.max(largest, left.writableLength, right.readableLength);
      yield chunk;
      await Promise.resolve();
    }
  }
  const received = createHash('sha256');
  let bytes = 0;
  const sink = new Writable({
    write(data: Buffer, _encoding, callback) {
      received.update(data);
      bytes += data.length;
      callback();
    },
  });
  await Promise.all([
    pipeline(source, left as NodeJS.WritableStream),
    pipeline(right as NodeJS.ReadableStream, sink),
  ]);
  expect(bytes).toBe(total);
  expect(received.digest('hex')).toBe(sent.digest('hex'));
  expect(largest).toBeLessThan(4 * 1024 * 1024);
});

test('an unread stream stops the writer, and reading lets it go on', async () => {
  const [a, b] = await connectedPair({}, { streamReceiveWindowBytes: 65_536 });
  const [left, right] = duplexPair(a, b, {}, { windowBytes: 65_536 });
  let written = 0;
  const chunk = Buffer.alloc(16 * 1024);
  const write = (): void => {
    left.write(chunk, () => {
      written += chunk.length;
      if (written < 2_000_000) write();
      else left.end();
    });
  };
  write();
  let before = -1;
  await until(() => {
    const still = written === before && written > 0;
    before = written;
    return still;
  });
  expect(written).toBeLessThan(400_000);
  expect((await collect(right)).length).toBe(written);
  expect(written).toBeGreaterThanOrEqual(2_000_000);
});

test('in object mode writes are messages', async () => {
  const [a, b] = await connectedPair();
  const [left, right] = duplexPair(a, b, { objectMode: true });
  left.write(Buffer.from('one'));
  left.write('two');
  left.write(Buffer.alloc(0));
  left.end(new Uint8Array([51]));
  expect((await collectChunks(right)).map(String)).toEqual(['one', 'two', '', '3']);
  const failed = new Promise((resolve) => right.once('error', resolve));
  right.write({ not: 'bytes' });
  expect(await failed).toBeInstanceOf(InvalidArgumentError);
});

test('a duplex reads what sendOnStream sends and is read by readStream', async () => {
  const [a, b] = await connectedPair();
  const duplex = b.duplex(a.nodeId(), CONFIG);
  const stream = a.openStream(b.nodeId(), CONFIG);
  await a.sendOnStream(stream, [Buffer.from('plain')]);
  const [chunk] = (await take(duplex[Symbol.asyncIterator](), 1)) as Buffer[];
  expect(chunk!.toString()).toBe('plain');

  const reader = a.readStream(b.nodeId(), 8n);
  const other = b.duplex(a.nodeId(), { ...CONFIG, streamId: 8n });
  other.end('written');
  expect((await take(reader, 1))[0]!.data.toString()).toBe('written');
  expect((await reader.next()).done).toBe(true);
});

test('the loss of the session destroys it with NotConnectedError', async () => {
  const [a, b] = await connectedPair();
  const [left, right] = duplexPair(a, b);
  left.write('hello');
  const failed = new Promise((resolve) => right.once('error', resolve));
  right.resume();
  const closed = new Promise((resolve) => left.once('close', resolve));
  await a.shutdown();
  expect(await failed).toBeInstanceOf(NotConnectedError);
  expect(right.destroyed).toBe(true);
  // A shutdown of its own node is no error.
  await closed;
  expect(left.errored).toBeNull();
});

test('a signal destroys it with its reason', async () => {
  const [a, b] = await connectedPair();
  const controller = new AbortController();
  const remove = jest.spyOn(controller.signal, 'removeEventListener');
  const duplex = a.duplex(b.nodeId(), CONFIG, { signal: controller.signal });
  const failed = new Promise((resolve) => duplex.once('error', resolve));
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await failed).toBe(reason);
  expect(remove).toHaveBeenCalled();
  expect(() => a.duplex(b.nodeId(), CONFIG, { signal: AbortSignal.abort(reason) })).toThrow(reason);
});

test('destroying it lets a waiting write go and tells the peer', async () => {
  const [a, b] = await connectedPair({}, { streamReceiveWindowBytes: 16_384 });
  const duplex = a.duplex(b.nodeId(), { ...CONFIG, windowBytes: 4096 });
  const reader = b.readStream(a.nodeId(), 7n);
  const written = rejection(
    new Promise((resolve, reject) => {
      duplex.write(Buffer.alloc(1_000_000), (error) => {
        if (error) reject(error);
        else resolve(undefined);
      });
    }),
  );
  expect(await isPending(written)).toBe(true);
  duplex.destroy();
  await written;
  // Only what was sent, then the end.
  let bytes = 0;
  for await (const { data } of reader) bytes += data.length;
  expect(bytes).toBeLessThan(1_000_000);
});

test('what a destroyed duplex has not read holds nobody up and shows up nowhere', async () => {
  const [a, b] = await connectedPair(
    {},
    { streamReceiveWindowBytes: 16_384, sessionReceiveWindowBytes: 32_768 },
  );
  const stream = a.openStream(b.nodeId(), CONFIG);
  const duplex = b.duplex(a.nodeId(), CONFIG);
  await a.sendOnStream(stream, [Buffer.from('first')]);
  await take(duplex[Symbol.asyncIterator](), 1);
  duplex.destroy();
  for (let i = 0; i < 200; i++) await a.sendBlocking(stream, [Buffer.alloc(1000)]);
  expect(await isPending(b.messages().next())).toBe(true);
});

test('a stream has one duplex at a time, and can have another one later', async () => {
  const [a, b] = await connectedPair();
  const [left, right] = duplexPair(a, b);
  expect(() => b.duplex(a.nodeId(), CONFIG)).toThrow('has a reader already');
  expect(() => b.readStream(a.nodeId(), 7n)).toThrow('has a reader already');
  left.end('one');
  right.end();
  expect((await collect(right)).toString()).toBe('one');
  await collect(left);
  const [again, other] = duplexPair(a, b);
  again.end('two');
  other.end();
  expect((await collect(other)).toString()).toBe('two');
});

test('wrong arguments are refused before the stream is opened', async () => {
  const [a, b] = await connectedPair();
  const call =
    (options: unknown, config: unknown = CONFIG) =>
    () =>
      a.duplex(b.nodeId(), config as typeof CONFIG, options as DuplexOptions);
  expect(call('x')).toThrow('options must be an object; got "x"');
  expect(call({ objectMode: 1 })).toThrow('objectMode must be a boolean; got number 1');
  expect(call({ highWaterMark: -1 })).toThrow('highWaterMark must be an integer');
  expect(call({ signal: {} })).toThrow('signal must be an AbortSignal');
  expect(call({}, { streamId: 1 })).toThrow('expected non-negative BigInt for streamId');
  expect(a.allStreamStats(b.nodeId())).toEqual([]);
  expect(() => a.duplex(5n, CONFIG)).toThrow('open_stream failed: connection error: ');
});
