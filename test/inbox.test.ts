import fc from 'fast-check';

import { NotConnectedError, ShutDownError } from 'netmesh';
import { Reader } from '../lib/internal/async_queue';
import { Inbox, META_WORDS, type StreamInbox } from '../lib/internal/inbox';
import type { MeshMessage } from 'netmesh/stream';
import { isPending } from './support/nodes';

const PEER = 0x1111n;

/** Stands for the addon: makes blocks, and keeps the books of what was consumed. */
class Harness {
  readonly peers = new Set([PEER]);
  readonly inbox: Inbox;
  /** By stream ref. */
  readonly consumed = new Map<number, { events: number; bytes: number }>();
  consumeCalls = 0;

  constructor(shards = 4) {
    this.inbox = new Inbox(
      {
        connected: (peer) => this.peers.has(peer),
        consume: (entries, count) => {
          this.consumeCalls++;
          for (let i = 0; i < count * 3; i += 3) {
            const entry = this.consumed.get(entries[i]!) ?? { events: 0, bytes: 0 };
            entry.events += entries[i + 1]!;
            entry.bytes += entries[i + 2]!;
            this.consumed.set(entries[i]!, entry);
          }
        },
      },
      shards,
    );
  }

  open(ref: number, streamId: bigint, peer = PEER): void {
    this.inbox.streamOpened(ref, peer, streamId);
  }

  /** One drain with messages of several streams, in this order. */
  arrive(...messages: Array<[ref: number, text: string]>): void {
    const data = new ArrayBuffer(messages.reduce((sum, [, text]) => sum + text.length, 0));
    const meta = new Uint32Array(messages.length * META_WORDS);
    let offset = 0;
    messages.forEach(([ref, text], index) => {
      Buffer.from(data).write(text, offset);
      meta.set([offset, text.length, ref, index, 5, 1], index * META_WORDS);
      offset += text.length;
    });
    this.inbox.route(data, meta, 0, messages.length);
    this.inbox.settle();
  }

  messages(): Reader<MeshMessage> {
    return new Reader(this.inbox.messages, undefined, () => undefined);
  }

  readStream(streamId: bigint, peer = PEER): Reader<MeshMessage> {
    const claim = this.inbox.claim(peer, streamId, false);
    return new Reader(claim.supply, undefined, () => {
      this.inbox.release(claim);
    });
  }

  exclusive(streamId: bigint): StreamInbox {
    return this.inbox.claim(PEER, streamId, true);
  }
}

/** The texts that a reader can get without waiting. */
async function drain(reader: Reader<MeshMessage>): Promise<string[]> {
  const texts: string[] = [];
  for (;;) {
    const next = await Promise.race([
      reader.next().then(({ value }) => value?.data.toString() ?? '(end)'),
      new Promise<undefined>((resolve) => setImmediate(resolve, undefined)),
    ]);
    if (next === undefined) return texts;
    texts.push(next);
    if (next === '(end)') return texts;
  }
}

let harness: Harness;

beforeEach(() => {
  harness = new Harness();
});

describe('routing', () => {
  test('a message says peer, stream and bytes', async () => {
    harness.open(3, 7n);
    harness.arrive([3, 'hello']);
    const { value } = await harness.messages().next();
    expect(value).toEqual({ peerNodeId: PEER, streamId: 7n, data: Buffer.from('hello') });
    expect(Buffer.isBuffer(value?.data)).toBe(true);
  });

  test('messages wait until there is a reader', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'a'], [0, 'b']);
    harness.arrive([0, 'c']);
    expect(await drain(harness.messages())).toEqual(['a', 'b', 'c']);
  });

  test('a reader of a stream gets its messages, those that wait included', async () => {
    harness.open(0, 7n);
    harness.open(1, 8n);
    harness.arrive([0, 'a7'], [1, 'a8'], [0, 'b7']);
    const seven = harness.readStream(7n);
    harness.arrive([1, 'b8'], [0, 'c7']);
    expect(await drain(seven)).toEqual(['a7', 'b7', 'c7']);
    expect(await drain(harness.messages())).toEqual(['a8', 'b8']);
  });

  test('a reader can come before its stream', async () => {
    const seven = harness.readStream(7n);
    harness.open(0, 7n);
    harness.open(1, 8n);
    harness.arrive([1, 'other'], [0, 'mine']);
    expect(await drain(seven)).toEqual(['mine']);
  });

  test('streams of the same id of two peers are two streams', async () => {
    harness.peers.add(0x2222n);
    const mine = harness.readStream(7n, 0x2222n);
    harness.open(0, 7n);
    harness.open(1, 7n, 0x2222n);
    harness.arrive([0, 'first'], [1, 'second']);
    expect(await drain(mine)).toEqual(['second']);
    expect(await drain(harness.messages())).toEqual(['first']);
  });

  test('what a reader leaves goes back in its place', async () => {
    harness.open(0, 7n);
    harness.open(1, 8n);
    const seven = harness.readStream(7n);
    harness.arrive([0, 'a7'], [1, 'a8'], [0, 'b7'], [0, 'c7'], [1, 'b8']);
    expect((await seven.next()).value?.data.toString()).toBe('a7');
    await seven.return();
    harness.arrive([0, 'd7']);
    expect(await drain(harness.messages())).toEqual(['a8', 'b7', 'c7', 'b8', 'd7']);
  });

  test('what a reader leaves wakes those who wait', async () => {
    harness.open(0, 7n);
    const seven = harness.readStream(7n);
    harness.arrive([0, 'a']);
    const waiting = harness.messages().next();
    await seven.return();
    expect((await waiting).value?.data.toString()).toBe('a');
  });

  test('readers of one stream share it until the last one leaves', async () => {
    harness.open(0, 7n);
    const [a, b] = [harness.readStream(7n), harness.readStream(7n)];
    harness.arrive([0, '1'], [0, '2'], [0, '3']);
    expect((await a.next()).value?.data.toString()).toBe('1');
    await a.return();
    expect(await drain(b)).toEqual(['2', '3']);
  });

  test('every message goes to exactly one of several iterators', async () => {
    harness.open(0, 7n);
    const readers = [harness.messages(), harness.messages()];
    const waiting = readers.map((reader) => reader.next());
    harness.arrive([0, 'a'], [0, 'b'], [0, 'c']);
    const texts = (await Promise.all(waiting)).map(({ value }) => value?.data.toString());
    expect(texts).toEqual(['a', 'b']);
    expect(await drain(readers[1]!)).toEqual(['c']);
  });

  test('an exclusive reader is alone', () => {
    harness.open(0, 7n);
    harness.exclusive(7n);
    expect(() => harness.readStream(7n)).toThrow('stream 0x7 of peer 0x1111 has a reader already');
    harness.readStream(8n);
    expect(() => harness.exclusive(8n)).toThrow('has a reader already');
  });
});

describe('the end of a stream', () => {
  test('comes after its messages', async () => {
    harness.open(0, 7n);
    const reader = harness.readStream(7n);
    harness.arrive([0, 'a']);
    harness.inbox.streamFinished(0, true);
    expect(await drain(reader)).toEqual(['a', '(end)']);
  });

  test('settles a reader that waits', async () => {
    harness.open(0, 7n);
    const waiting = harness.readStream(7n).next();
    harness.inbox.streamFinished(0, true);
    expect(await waiting).toEqual({ value: undefined, done: true });
  });

  test('is seen by a reader that comes later, once', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'a']);
    harness.inbox.streamFinished(0, true);
    expect(await drain(harness.readStream(7n))).toEqual(['a', '(end)']);

    const next = harness.readStream(7n).next();
    expect(await isPending(next)).toBe(true);
    harness.open(0, 7n);
    harness.arrive([0, 'again']);
    expect((await next).value?.data.toString()).toBe('again');
  });

  test('of a stream without messages is seen as well', async () => {
    harness.open(0, 7n);
    harness.inbox.streamFinished(0, true);
    expect(await drain(harness.readStream(7n))).toEqual(['(end)']);
  });

  test('separates a stream from the next one of its id', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'old']);
    harness.inbox.streamFinished(0, true);
    harness.open(1, 7n);
    harness.arrive([1, 'new']);
    expect(await drain(harness.readStream(7n))).toEqual(['old', '(end)']);
    expect(await drain(harness.readStream(7n))).toEqual(['new']);
  });

  test('of an earlier session is forgotten when the peer comes back', async () => {
    harness.open(0, 7n);
    harness.inbox.streamFinished(0, true);
    harness.inbox.peerDown(PEER);
    harness.inbox.peerUp(PEER);
    expect(await drain(harness.readStream(7n))).toEqual([]);
  });
});

describe('a peer that goes', () => {
  test('fails its readers after what they have not read', async () => {
    harness.open(0, 7n);
    const reader = harness.readStream(7n);
    harness.arrive([0, 'a']);
    harness.inbox.streamFinished(0, false);
    harness.peers.delete(PEER);
    harness.inbox.peerDown(PEER);
    expect((await reader.next()).value?.data.toString()).toBe('a');
    await expect(reader.next()).rejects.toBeInstanceOf(NotConnectedError);
  });

  test('fails readers of streams that never began', async () => {
    const waiting = harness.readStream(7n).next();
    harness.inbox.peerDown(PEER);
    await expect(waiting).rejects.toThrow('stream not connected');
  });

  test('leaves the readers of other peers alone', async () => {
    harness.peers.add(0x2222n);
    const reader = harness.readStream(7n, 0x2222n);
    harness.inbox.peerDown(PEER);
    expect(await drain(reader)).toEqual([]);
  });

  test('is not known to a later reader, unless messages are left', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'left']);
    harness.inbox.streamFinished(0, false);
    harness.peers.delete(PEER);
    harness.inbox.peerDown(PEER);
    const reader = harness.readStream(7n);
    expect((await reader.next()).value?.data.toString()).toBe('left');
    await expect(reader.next()).rejects.toBeInstanceOf(NotConnectedError);
    expect(() => harness.readStream(7n)).toThrow(NotConnectedError);
  });

  test('a stream forgotten while the peer stays goes on when it comes again', async () => {
    harness.open(0, 7n);
    const reader = harness.readStream(7n);
    harness.arrive([0, 'a']);
    harness.inbox.streamFinished(0, false);
    harness.open(2, 7n);
    harness.arrive([2, 'b']);
    expect(await drain(reader)).toEqual(['a', 'b']);
  });

  test('has its messages in the common queue kept, however its ref is used next', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'old']);
    harness.inbox.streamFinished(0, false);
    harness.open(0, 9n, 0x2222n);
    harness.arrive([0, 'new']);
    const reader = harness.messages();
    expect((await reader.next()).value).toMatchObject({ peerNodeId: PEER, streamId: 7n });
    expect((await reader.next()).value).toMatchObject({ peerNodeId: 0x2222n, streamId: 9n });
  });
});

describe('consumption', () => {
  test('is told only when messages are handed over', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'abc'], [0, 'defgh'], [0, '']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(harness.consumeCalls).toBe(0);
    expect(await drain(harness.messages())).toHaveLength(3);
    expect(harness.consumed.get(0)).toEqual({ events: 3, bytes: 8 });
  });

  test('is told in one call when a reader has taken everything', () => {
    harness.open(0, 7n);
    harness.open(1, 8n);
    harness.arrive([0, 'a'], [1, 'bb'], [0, 'c']);
    expect(harness.inbox.batches.take()).toHaveLength(3);
    expect(harness.consumeCalls).toBe(1);
    expect(harness.consumed.get(0)).toEqual({ events: 2, bytes: 2 });
    expect(harness.consumed.get(1)).toEqual({ events: 1, bytes: 2 });
  });

  test('of a part is told soon', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'a'], [0, 'b']);
    await harness.messages().next();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(harness.consumed.get(0)).toEqual({ events: 1, bytes: 1 });
  });

  test('of a stream that has ended is told as well', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'abc']);
    harness.inbox.streamFinished(0, true);
    await harness.messages().next();
    expect(harness.consumed.get(0)).toEqual({ events: 1, bytes: 3 });
  });

  test('of a discarded stream happens by itself, and nobody else reads it', async () => {
    harness.open(0, 7n);
    harness.arrive([0, 'ab']);
    const claim = harness.exclusive(7n);
    harness.inbox.discard(claim);
    harness.arrive([0, 'cde']);
    await new Promise((resolve) => setImmediate(resolve));
    harness.inbox.flush();
    expect(harness.consumed.get(0)).toEqual({ events: 2, bytes: 5 });
    expect(await drain(harness.messages())).toEqual([]);
  });
});

describe('polling', () => {
  test('takes events of one shard, in the form of the low-level interface', () => {
    harness.open(0, 4n);
    harness.open(1, 6n);
    harness.arrive([0, 'zero'], [1, 'two'], [0, 'more']);
    expect(harness.inbox.pollShard(0, 10)).toEqual([
      {
        id: '4294967301:0',
        raw: 'zero',
        rawBytes: Buffer.from('zero'),
        insertionTs: 2 ** 32 + 5,
        shardId: 0,
      },
      expect.objectContaining({ id: '4294967301:2', raw: 'more' }),
    ]);
    expect(harness.inbox.pollShard(2, 10)).toEqual([
      expect.objectContaining({ raw: 'two', shardId: 2 }),
    ]);
    expect(harness.inbox.pollShard(1, 10)).toEqual([]);
  });

  test('puts everything into shard 0 when there are no shards', () => {
    harness = new Harness(0);
    harness.open(0, 6n);
    harness.arrive([0, 'a']);
    expect(harness.inbox.pollShard(0, 10)).toHaveLength(1);
  });

  test('has no text for what is not UTF-8', () => {
    harness.open(0, 4n);
    const data = new Uint8Array([0xff, 0xfe]).buffer;
    harness.inbox.route(data, new Uint32Array([0, 2, 0, 0, 0, 0]), 0, 1);
    harness.inbox.settle();
    expect(harness.inbox.poll(1)).toEqual([
      expect.objectContaining({ raw: '', rawBytes: Buffer.from([0xff, 0xfe]) }),
    ]);
  });

  test('respects the limit and the order of arrival over all shards', async () => {
    harness.open(0, 4n);
    harness.open(1, 6n);
    harness.arrive([0, 'a'], [1, 'b'], [0, 'c']);
    harness.arrive([1, 'd']);
    expect(harness.inbox.pollShard(0, 1).map(({ raw }) => raw)).toEqual(['a']);
    expect(harness.inbox.poll(2).map(({ raw }) => raw)).toEqual(['b', 'c']);
    expect(await drain(harness.messages())).toEqual(['d']);
  });
});

describe('shutting down', () => {
  test('ends the common readers and fails those of streams, after what is left', async () => {
    harness.open(0, 7n);
    harness.open(1, 8n);
    const seven = harness.readStream(7n);
    const all = harness.messages();
    harness.arrive([0, 'a'], [1, 'b']);
    harness.inbox.close(new ShutDownError());
    expect(await drain(all)).toEqual(['b', '(end)']);
    expect((await seven.next()).value?.data.toString()).toBe('a');
    await expect(seven.next()).rejects.toThrow('MeshNode has been shut down');
    expect(harness.consumeCalls).toBe(0);
  });
});

test('whoever reads, each message is read once and in the order of its stream', async () => {
  const step = fc.oneof(
    fc.record({ arrive: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 8 }) }),
    fc.record({ claim: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ release: fc.integer({ min: 0, max: 3 }) }),
    fc.record({
      readStream: fc.integer({ min: 0, max: 3 }),
      count: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ read: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ poll: fc.integer({ min: 0, max: 3 }), limit: fc.integer({ min: 0, max: 4 }) }),
    fc.constant({ batch: true }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      harness = new Harness();
      const sent = [0, 0, 0, 0];
      const got: number[][] = [[], [], [], []];
      const claims = new Map<number, StreamInbox>();
      const note = (streamId: bigint, text: string): void => {
        got[Number(streamId)]!.push(Number(text));
      };
      for (let ref = 0; ref < 4; ref++) harness.open(ref, BigInt(ref));
      for (const each of steps) {
        if ('arrive' in each) {
          harness.arrive(...each.arrive.map((ref): [number, string] => [ref, `${sent[ref]!++}`]));
        } else if ('claim' in each) {
          if (!claims.has(each.claim))
            claims.set(each.claim, harness.exclusive(BigInt(each.claim)));
        } else if ('release' in each) {
          const claim = claims.get(each.release);
          if (claim) harness.inbox.release(claim);
          claims.delete(each.release);
        } else if ('readStream' in each) {
          for (let i = 0; i < each.count; i++) {
            const message = claims.get(each.readStream)?.supply.take();
            if (message) note(message.streamId, message.data.toString());
          }
        } else if ('read' in each) {
          for (let i = 0; i < each.read; i++) {
            const message = harness.inbox.messages.take();
            if (message) note(message.streamId, message.data.toString());
          }
        } else if ('poll' in each) {
          for (const event of harness.inbox.pollShard(each.poll, each.limit)) {
            note(BigInt(event.shardId), event.raw);
          }
        } else {
          for (const message of harness.inbox.batches.take() ?? []) {
            note(message.streamId, message.data.toString());
          }
        }
      }
      for (const claim of claims.values()) harness.inbox.release(claim);
      for (const { streamId, data } of harness.inbox.batches.take() ?? []) {
        note(streamId, data.toString());
      }
      expect(got).toEqual(sent.map((count) => Array.from({ length: count }, (_, i) => i)));
      harness.inbox.flush();
      sent.forEach((count, ref) => {
        expect(harness.consumed.get(ref)?.events ?? 0).toBe(count);
      });
    }),
    { numRuns: 300 },
  );
});
