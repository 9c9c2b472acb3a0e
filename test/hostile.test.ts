import { createSocket, type Socket } from 'node:dgram';
import { randomBytes } from 'node:crypto';

import type { MeshNode } from 'netmesh';
import { connect, connectedPair, startNode, take, until } from './support/nodes';

let socket: Socket;

beforeEach(async () => {
  socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
});

afterEach(() => {
  socket.close();
});

function send(to: MeshNode, datagram: Uint8Array): Promise<void> {
  const port = Number(to.localAddr().split(':')[1]);
  return new Promise((resolve, reject) => {
    socket.send(datagram, port, '127.0.0.1', (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Sends a few at a time, so that the kernel's buffer does not drop what the test wants to be seen. */
async function flood(to: MeshNode, datagrams: Uint8Array[]): Promise<void> {
  const before = to.stats().datagramsReceived!;
  for (let i = 0; i < datagrams.length; i += 50) {
    await Promise.all(datagrams.slice(i, i + 50).map((datagram) => send(to, datagram)));
    await until(
      () => to.stats().datagramsReceived! >= before + BigInt(Math.min(i + 50, datagrams.length)),
    );
  }
}

/** The header of a packet of the base protocol. */
function header(fields: {
  flags?: number;
  session?: bigint;
  payload?: number;
  events?: number;
}): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt16LE(0x4e45, 0);
  bytes[2] = 1;
  bytes[3] = fields.flags ?? 0;
  bytes.writeBigUInt64LE(fields.session ?? 0n, 24);
  bytes.writeUInt16LE(fields.payload ?? 0, 60);
  bytes.writeUInt16LE(fields.events ?? 0, 62);
  return bytes;
}

function dropped(node: MeshNode): bigint {
  return Object.entries(node.stats())
    .filter(([name]) => name.startsWith('dropped'))
    .reduce((sum, [, value]) => sum + value, 0n);
}

test('garbage is dropped and counted, and sessions go on', async () => {
  const [a, b] = await connectedPair();
  const before = dropped(b);
  const garbage = [
    Buffer.alloc(0),
    Buffer.from('hello'),
    Buffer.alloc(14, 0x50),
    Buffer.alloc(72),
    Buffer.alloc(8192, 0xff),
    Buffer.alloc(60_000, 0x45),
    header({}),
    header({ payload: 0xffff }),
    header({ payload: 9, events: 1 }),
    Buffer.concat([header({ payload: 9, events: 1 }), Buffer.alloc(25)]),
    Buffer.concat([header({ flags: 0x10, payload: 48 }), randomBytes(48)]),
    Buffer.concat([header({ flags: 0x10 }), randomBytes(10)]),
    Buffer.concat([header({ flags: 0x20 }), randomBytes(16)]),
    Buffer.concat([Buffer.from('5254', 'hex'), randomBytes(100)]),
    Buffer.concat([
      Buffer.from('5254', 'hex'),
      Buffer.alloc(16),
      header({ flags: 0x10, payload: 56 }),
      randomBytes(56),
    ]),
    ...Array.from({ length: 1000 }, (_, index) => randomBytes((index * 37) % 1500)),
    ...Array.from({ length: 500 }, (_, index) =>
      Buffer.concat([Buffer.from('454e01', 'hex'), randomBytes(61 + ((index * 13) % 400))]),
    ),
  ];
  await flood(b, garbage);
  expect(dropped(b) - before).toBeGreaterThan(1000n);
  expect(b.peerCount()).toBe(1);
  const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
  await a.sendOnStream(stream, [Buffer.from('still here')]);
  expect((await take(b.messages(), 1))[0]!.data.toString()).toBe('still here');
});

test('every prefix and every flipped byte of a real datagram is harmless', async () => {
  // A relay of our own records what a node sends.
  const target = await startNode();
  const node = await startNode({ handshakeTimeoutMs: 200, handshakeRetries: 1 });
  const recorded = new Promise<Buffer>((resolve) => socket.once('message', resolve));
  const { port } = socket.address();
  const failing = node.connect(`127.0.0.1:${port}`, target.publicKey(), target.nodeId());
  failing.catch(() => undefined);
  const datagram = await recorded;
  const variants = [
    ...Array.from({ length: datagram.length }, (_, length) => datagram.subarray(0, length)),
    ...Array.from({ length: datagram.length }, (_, index) => {
      const copy = Buffer.from(datagram);
      copy[index]! ^= 0xff;
      return copy;
    }),
  ];
  await flood(target, variants);
  await expect(failing).rejects.toThrow('handshake timeout');
  await connect(node, target);
});

test('a flood of bogus handshakes does not keep real ones out', async () => {
  const target = await startNode();
  const bogus = Array.from({ length: 3000 }, () =>
    Buffer.concat([header({ flags: 0x10, payload: 48 }), randomBytes(48)]),
  );
  await flood(target, bogus);
  const node = await startNode({ bindAddr: '127.0.0.2:0' });
  await connect(node, target);
  expect(target.peerCount()).toBe(1);
});

test('replayed datagrams are delivered once', async () => {
  // A man in the middle that sends everything twice.
  const target = await startNode();
  const targetPort = Number(target.localAddr().split(':')[1]);
  let nodePort = 0;
  socket.on('message', (message, { port }) => {
    const to = port === targetPort ? nodePort : targetPort;
    if (port !== targetPort) nodePort = port;
    socket.send(message, to, '127.0.0.1');
    socket.send(message, to, '127.0.0.1');
  });
  const node = await startNode();
  await node.connect(`127.0.0.1:${socket.address().port}`, target.publicKey(), target.nodeId());
  for (const [streamId, reliability] of [
    [1n, 'reliable'],
    [2n, 'fire_and_forget'],
  ] as const) {
    const stream = node.openStream(target.nodeId(), { streamId, reliability });
    for (let i = 0; i < 20; i++) await node.sendOnStream(stream, [Buffer.from(`${streamId}.${i}`)]);
  }
  const texts = (await take(target.messages(), 40)).map(({ data }) => data.toString());
  expect(new Set(texts).size).toBe(40);
  expect(target.stats().droppedReplay).toBeGreaterThan(0n);
});

test('a link that loses, repeats and reorders still carries a reliable stream whole', async () => {
  const target = await startNode();
  const targetPort = Number(target.localAddr().split(':')[1]);
  let nodePort = 0;
  let counter = 0;
  socket.on('message', (message, { port }) => {
    const to = port === targetPort ? nodePort : targetPort;
    if (port !== targetPort) nodePort = port;
    const turn = counter++ % 10;
    // Three of ten are lost once the handshake is through, one comes twice, one comes late.
    if (counter > 10 && turn < 3) return;
    const delay = turn === 4 ? 3 : 0;
    setTimeout(() => {
      try {
        socket.send(message, to, '127.0.0.1');
        if (turn === 5) socket.send(message, to, '127.0.0.1');
      } catch {
        // The test is over.
      }
    }, delay);
  });
  const node = await startNode();
  await node.connect(`127.0.0.1:${socket.address().port}`, target.publicKey(), target.nodeId());
  const stream = node.openStream(target.nodeId(), { streamId: 1n, reliability: 'reliable' });
  const events = Array.from({ length: 400 }, (_, index) => Buffer.from(`${index}`.padEnd(700)));
  const received = take(target.messages(), events.length);
  await node.sendBlocking(stream, events);
  expect((await received).map(({ data }) => data.toString())).toEqual(events.map(String));
}, 60_000);
