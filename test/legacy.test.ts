import { createHash, createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';

import fc from 'fast-check';
import { BackpressureError, EventTooLargeError, type MeshNode } from 'netmesh';
import { blake2s, hmac } from './support/blake2s';
import { LegacyPeer } from './support/legacy_peer';
import {
  CONTROL_STREAM,
  FLAG,
  Initiator,
  KeyPair,
  LegacySession,
  PROTOCOL_NAME,
  SUBPROTOCOL_GRANT,
  aad,
  handshakePacket,
  prologue,
  readHeader,
  respond,
  routingHeader,
  u64le,
} from './support/legacy_wire';
import {
  PSK,
  createNode,
  isPending,
  peerEvent,
  rejection,
  startNode,
  take,
  until,
} from './support/nodes';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

describe('BLAKE2s', () => {
  test('is that of OpenSSL when there is no key', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
        const expected = createHash('blake2s256').update(data).digest();
        expect(blake2s(data).equals(expected)).toBe(true);
      }),
    );
  });

  test('is that of its reference test vectors when there is one', () => {
    const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
    expect(blake2s(Buffer.alloc(0), key).toString('hex')).toBe(
      '48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49',
    );
    expect(blake2s(Buffer.from([0]), key).toString('hex')).toBe(
      '40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1',
    );
  });

  test('makes the HMAC of OpenSSL', () => {
    const [key, data] = [randomBytes(32), randomBytes(100)];
    const inner = (pad: number): Buffer =>
      Buffer.alloc(64, pad).map((b, i) => b ^ (key[i] ?? 0)) as Buffer;
    const digest = (...parts: Buffer[]): Buffer =>
      createHash('blake2s256').update(Buffer.concat(parts)).digest();
    expect(hmac(key, data)).toEqual(digest(inner(0x5c), digest(inner(0x36), data)));
  });
});

describe('the worked examples of the specification', () => {
  const psk = Buffer.alloc(32, 0x42);
  const responder = new KeyPair(Buffer.alloc(32, 0x11));
  const initiatorEphemeral = new KeyPair(Buffer.alloc(32, 0x22));
  const responderEphemeral = new KeyPair(Buffer.alloc(32, 0x33));
  const initiatorId = 0x1111111122222222n;
  const responderId = 0x3333333344444444n;
  const keys = { psk, initiatorId, responderId };

  function handshake(payload: Buffer, emptyPrologue = false) {
    const all = { ...keys, emptyPrologue };
    const initiator = new Initiator(all, responder.publicKey, initiatorEphemeral, payload);
    const response = respond(all, responder, responderEphemeral, initiator.message1);
    return {
      message1: initiator.message1.toString('hex'),
      message2: response.message2.toString('hex'),
      payload: response.payload,
      h: response.h,
      initiatorHash: initiator.readMessage2(response.message2),
    };
  }

  test.each([
    [0x42, '2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12', 0xc211b9fddfaef86dn],
    [0x00, '3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29', 0x2a22743fee3e433dn],
  ])('identity of seed %i', async (byte, entityId, nodeId) => {
    const seed = Buffer.alloc(32, byte);
    const der = Buffer.concat([hex('302e020100300506032b657004220420'), seed]);
    const publicKey = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
      .export({ format: 'der', type: 'spki' })
      .subarray(12);
    expect(publicKey.toString('hex')).toBe(entityId);
    expect(blake2s(publicKey, Buffer.from('net-node-id-v1')).readBigUInt64LE(0)).toBe(nodeId);
    const node = await createNode({ identitySeed: seed });
    expect(node.entityId().toString('hex')).toBe(entityId);
    expect(node.nodeId()).toBe(nodeId);
  });

  test('keys', () => {
    expect(blake2s(Buffer.from(PROTOCOL_NAME)).toString('hex')).toBe(
      '9f486163ad384eff8b2517806c4f1891d25608cd674d8707e02ddf030a0ca948',
    );
    expect(responder.publicKey.toString('hex')).toBe(
      '7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13',
    );
    expect(initiatorEphemeral.publicKey.toString('hex')).toBe(
      '0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20',
    );
    expect(responderEphemeral.publicKey.toString('hex')).toBe(
      '7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14',
    );
  });

  test('the direct handshake', () => {
    expect(prologue(initiatorId, responderId).toString('hex')).toBe(
      '6e65742d68616e647368616b652d763122222222000000004444444400000000',
    );
    const { message1, message2, h, initiatorHash } = handshake(Buffer.alloc(0));
    expect(message1).toBe(
      '0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20' +
        '0527c4694d73ff335cc7ed7377fa25ab',
    );
    const packet = handshakePacket(hex(message1));
    expect(packet).toHaveLength(112);
    expect(packet.subarray(0, 64)).toEqual(
      hex(`454e0110 00000000 00000000 000000000000000000000000
           0000000000000000 0000000000000000 0000000000000000
           00000000 00000000 00000000 30000000`),
    );
    expect(message2).toBe(
      '7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14' +
        '3ca8adb125dc8dcc7252ad49dd6678f0',
    );
    expect(h.toString('hex')).toBe(
      '938dc7e349fcf79e50446a8a7706a378d5ff907f80a085fa6c322a98707b2e74',
    );
    expect(initiatorHash).toEqual(h);
    const session = new LegacySession(h, true);
    expect(session.sendKey.toString('hex')).toBe(
      '3ece07da762fc208ae2ebc10453ae346b4949238cbb58b57da44719067ad006f',
    );
    expect(session.receiveKey.toString('hex')).toBe(
      '703090e2b75d405abc236bb10a38209c4bf56332e1f1f587bcc57c15a404089c',
    );
    expect(session.id).toBe(0x9ef7fc49e3c78d93n);
    expect(session.noncePrefix.toString('hex')).toBe('da71307d');
  });

  test('packets on that session', () => {
    const { h } = handshake(Buffer.alloc(0));
    const initiator = new LegacySession(h, true);
    const target = new LegacySession(h, false);

    const data = initiator.seal({ streamId: 7n, flags: FLAG.reliable }, [Buffer.from('hello')]);
    expect(aad(data)).toEqual(
      hex(`454e01010000000000000000 938dc7e349fcf79e 0700000000000000 0000000000000000
           00000000 00000000 0000 0000 0900 0100`),
    );
    expect(data).toEqual(
      hex(`454e01010000000000000000 da71307d0000000000000000 938dc7e349fcf79e
           0700000000000000 0000000000000000 0000000000000000 0000000009000100
           052af7ee1383fe06fe c273df69fe61303c50c09f526ace9f6e`),
    );
    expect(target.open(data, readHeader(data)).map(String)).toEqual(['hello']);

    const heartbeat = initiator.seal({ flags: FLAG.heartbeat });
    expect(heartbeat).toEqual(
      hex(`454e01200000000000000000 da71307d0100000000000000 938dc7e349fcf79e
           0000000000000000 0000000000000000 0000000000000000 0000000000000000
           4b1fe1ebc165c1ac74bc3909916ea928`),
    );
    expect(target.open(heartbeat, readHeader(heartbeat))).toEqual([]);

    const grant = target.seal({ subprotocol: SUBPROTOCOL_GRANT, streamId: CONTROL_STREAM }, [
      Buffer.concat([u64le(7n), u64le(89n)]),
    ]);
    expect(grant).toEqual(
      hex(`454e010000000000000b0000 da71307d0000000000000000 938dc7e349fcf79e
           ffffffffffffffff 0000000000000000 0000000000000000 0000000014000100
           f1f4c91954d4f5fb7fa08b507b2198c6f5a79aba 4d7accf32d1cc80ad3e39cd624b2e525`),
    );
  });

  test('the routed handshake', () => {
    expect(routingHeader(16, initiatorId, responderId)).toEqual(
      hex('5254 10 00 00 00 22222222 4444444433333333'),
    );
    const { message1, message2, payload, h } = handshake(u64le(initiatorId));
    expect(message1).toBe(
      '0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20' +
        '58ab13949e65443e7f1d65be24fa5d7ae597b33460c529f5',
    );
    expect(payload).toEqual(u64le(initiatorId));
    expect(message2).toBe(
      '7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14' +
        '7d8a852a31724cf0d4f7344c74c72410',
    );
    expect(h.toString('hex')).toBe(
      '86841eb4952e7db58ea39223389225088059606a61ba0c7eefc311580a9e19f8',
    );
    const session = new LegacySession(h, true);
    expect(session.sendKey.toString('hex')).toBe(
      'b2a85764a5fd523a54b080389ff8cabf4bcf6797c9b2a8188c11539d83448bb2',
    );
    expect(session.receiveKey.toString('hex')).toBe(
      '36a148bc4143a333d4633aa9a3be5fc33e717d2cb59e14a2f32708838a6ae890',
    );
    expect(session.id).toBe(0xb57d2e95b41e8486n);
    expect(session.noncePrefix.toString('hex')).toBe('13aa6301');
  });

  test('the handshake of the single-peer transport', () => {
    const { message1, message2, h } = handshake(Buffer.alloc(0), true);
    expect(message1.slice(64)).toBe('00c8b3a98c8de02622cf8a5a308744a7');
    expect(message2.slice(64)).toBe('eb5d3ba41791596b2717dbb98b178c59');
    expect(h.toString('hex')).toBe(
      'e4fe064a0a1eb744fe707257483f4488fa468449a2966690821546a9ec21d16e',
    );
    const session = new LegacySession(h, true);
    expect(session.sendKey.toString('hex')).toBe(
      '35aa776dd4c888df92ddb0bb240d55c2ed7665e12789e643b4ed90d3605c7a99',
    );
    expect(session.id).toBe(0x44b71e0a4a06fee4n);
    expect(session.noncePrefix.toString('hex')).toBe('eee0b10e');
  });
});

// --- over real sockets ---

const psk = Buffer.from(PSK, 'hex');
let peers: LegacyPeer[] = [];
// Jest gives tests a process object of their own, so its 'warning' events say nothing here.
let warn: jest.SpiedFunction<typeof process.emitWarning>;

beforeEach(() => {
  warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
});

afterEach(async () => {
  warn.mockRestore();
  await Promise.all(peers.map((peer) => peer.close()));
  peers = [];
});

async function legacyPeer(
  options: { psk?: Buffer; grants?: boolean; nodeId?: bigint } = {},
): Promise<LegacyPeer> {
  const peer = new LegacyPeer({ psk, ...options });
  await peer.bind();
  peers.push(peer);
  return peer;
}

/** The four ways to a session between a node and a base peer. */
const WAYS: Record<
  string,
  (node: MeshNode, peer: LegacyPeer, timeoutMs?: number) => Promise<unknown>
> = {
  'the peer connects to accept()': (node, peer, timeoutMs) =>
    Promise.all([
      node.accept(peer.nodeId),
      peer.connect(node.localAddr(), node.publicKey(), node.nodeId(), { timeoutMs }),
    ]).then(() => node.start()),

  'the peer connects to a started node by the routed handshake': async (node, peer, timeoutMs) => {
    await node.start();
    const up = peerEvent(node, 'peer:up');
    await peer.connect(node.localAddr(), node.publicKey(), node.nodeId(), {
      routed: true,
      timeoutMs,
    });
    await up;
  },

  'the node connects to a peer that accepts': async (node, peer) => {
    await node.start();
    await Promise.all([
      peer.accept(node.nodeId()),
      node.connect(peer.addr, peer.publicKey, peer.nodeId),
    ]);
  },

  'the node connects by the routed handshake': async (node, peer) => {
    await node.start();
    peer.serveRouted();
    await node.connectVia(peer.addr, peer.publicKey, peer.nodeId);
  },
};

/** A started node and a base peer with a session. */
async function session(
  config: Parameters<typeof createNode>[0] = {},
  options: { grants?: boolean } = {},
): Promise<[MeshNode, LegacyPeer]> {
  const [node, peer] = [await createNode(config), await legacyPeer(options)];
  await WAYS['the peer connects to accept()']!(node, peer);
  return [node, peer];
}

describe.each(Object.keys(WAYS))('%s', (way) => {
  test('and both exchange events, grants and heartbeats', async () => {
    const node = await createNode({ heartbeatIntervalMs: 20 });
    const peer = await legacyPeer();
    await WAYS[way]!(node, peer);
    expect(node.peers()).toEqual([
      expect.objectContaining({
        nodeId: peer.nodeId,
        addr: peer.addr,
        security: 'legacy',
        aead: 'chacha20-poly1305',
        entityId: null,
        alive: true,
        rttMs: null,
        congestion: null,
      }),
    ]);

    // From the peer.
    peer.sendEvents(7n, [Buffer.from('one'), Buffer.from('')], { reliable: true });
    peer.sendEvents(7n, [Buffer.from('three')]);
    const received = await take(node.messages(), 3);
    expect(received.map(({ data }) => data.toString())).toEqual(['one', '', 'three']);
    expect(received[0]).toMatchObject({ peerNodeId: peer.nodeId, streamId: 7n });
    await peer.until(
      () => peer.grants.some(({ consumed }) => consumed === 80n + 11n + 80n + 9n),
      'grant',
    );
    expect(peer.grants.every(({ streamId }) => streamId === 7n)).toBe(true);

    // From the node.
    const stream = node.openStream(peer.nodeId, { streamId: 9n, reliability: 'reliable' });
    await node.sendOnStream(stream, [Buffer.from('four'), Buffer.from('five')]);
    await node.sendOnStream(stream, [Buffer.from('six')]);
    await peer.until(() => peer.received(9n).length === 3, 'events');
    expect(peer.received(9n)).toEqual(['four', 'five', 'six']);
    await until(() => node.streamStats(peer.nodeId, 9n)!.txCreditRemaining === 65_536, 'credit');
    expect(node.streamStats(peer.nodeId, 9n)!.creditGrantsReceived).toBeGreaterThan(0n);

    // Heartbeats, except behind a routing header.
    await peer.until(() => peer.heartbeats >= 2, 'heartbeats');
    peer.sendHeartbeat();
    await until(() => node.stats().droppedAuthentication === 0n);
    expect(peer.drops).toEqual([]);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledWith(
      expect.stringContaining(`peer 0x${peer.nodeId.toString(16)} at ${peer.addr}`),
      { type: 'NetmeshWarning', code: 'NETMESH_LEGACY_PEER' },
    );
  });

  test("and legacyPeers: 'deny' refuses it", async () => {
    const node = await createNode({
      legacyPeers: 'deny',
      handshakeTimeoutMs: 100,
      handshakeRetries: 1,
    });
    const peer = await legacyPeer();
    const error = await rejection(WAYS[way]!(node, peer, 200));
    if (way.startsWith('the node')) {
      expect(error.message).toBe(
        "connect failed: connection error: handshake refused: the peer is a legacy node and legacyPeers is 'deny'",
      );
    } else {
      expect(error.message).toMatch(/handshake timeout$/);
    }
    expect(node.peerCount()).toBe(0);
  });
});

describe('what a node tells a base peer', () => {
  test('has the bytes of the specification: header fields, packing, sequences', async () => {
    const [node, peer] = await session();
    const reliable = node.openStream(peer.nodeId, { streamId: 1n, reliability: 'reliable' });
    const plain = node.openStream(peer.nodeId, { streamId: 2n });
    await node.sendOnStream(reliable, [Buffer.from('a')]);
    await node.sendOnStream(reliable, [Buffer.from('b')]);
    await node.sendOnStream(plain, [Buffer.from('c')]);
    await node.send(peer.nodeId, 'd');
    await peer.until(() => peer.packets.length >= 4);
    for (const { header } of peer.packets) {
      expect(header).toMatchObject({
        priority: 0,
        hopTtl: 0,
        hopCount: 0,
        fragFlags: 0,
        subprotocol: 0,
        channelHash: 0,
        subnetId: 0,
        originHash: 0,
        fragmentId: 0,
        fragmentOffset: 0,
        eventCount: 1,
      });
      expect(header.noncePrefix).toEqual(peer.session!.noncePrefix);
    }
    const of = (id: bigint) => peer.packets.filter(({ header }) => header.streamId === id);
    expect(of(1n).map(({ header }) => [header.flags, header.sequence])).toEqual([
      [FLAG.reliable, 0n],
      [FLAG.reliable, 1n],
    ]);
    expect(of(2n).map(({ header }) => [header.flags, header.sequence])).toEqual([[0, 0n]]);
    expect(of(0n).map(({ header }) => [header.flags, header.sequence])).toEqual([[0, 0n]]);
    expect(peer.received(0n)).toEqual(['"d"']);
    const counters = peer.packets.map(({ header }) => header.counter);
    expect(new Set(counters).size).toBe(counters.length);
  });

  test('never exceeds a packet of the base protocol', async () => {
    const [node, peer] = await session();
    const stream = node.openStream(peer.nodeId, { streamId: 1n, windowBytes: 0 });
    const sizes = [8108, 1, 8108, 8107, 0, ...Array<number>(300).fill(100)];
    const events = sizes.map((size, index) => Buffer.alloc(size, index));
    await node.sendOnStream(stream, events);
    await peer.until(
      () => peer.packets.flatMap((packet) => packet.events).length === events.length,
    );
    expect(peer.packets.flatMap((packet) => packet.events)).toEqual(events);
    for (const { header, bytes } of peer.packets) {
      expect(header.payloadLength).toBeLessThanOrEqual(8112);
      expect(bytes).toBe(64 + header.payloadLength + 16);
    }
    expect(peer.drops).toEqual([]);
  });

  test('is never an event that such a packet cannot hold', async () => {
    const [node, peer] = await session();
    const stream = node.openStream(peer.nodeId, { streamId: 1n, windowBytes: 0 });
    const error = await rejection(
      node.sendOnStream(stream, [Buffer.from('a'), Buffer.alloc(8109)]),
    );
    expect(error).toBeInstanceOf(EventTooLargeError);
    expect(error.message).toContain('event of 8109 bytes exceeds the limit of 8108 bytes');
    await node.sendOnStream(stream, [Buffer.from('after')]);
    await peer.until(() => peer.packets.length > 0);
    expect(peer.received(1n)).toEqual(['after']);
  });

  test('waits for its grants', async () => {
    const [node, peer] = await session({}, { grants: false });
    const stream = node.openStream(peer.nodeId, { streamId: 1n, windowBytes: 256 });
    const event = Buffer.from('{"t":"bp"}');
    await node.sendOnStream(stream, [event]);
    await node.sendOnStream(stream, [event]);
    await expect(node.sendOnStream(stream, [event])).rejects.toBeInstanceOf(BackpressureError);
    const waiting = node.sendBlocking(stream, [event, event, event]);
    expect(await isPending(waiting)).toBe(true);
    await peer.until(() => peer.packets.length >= 2);
    // Of another stream, of the past, and beyond what was sent: no credit, some, all of it.
    peer.sendGrant(2n, 1_000_000n);
    peer.sendGrant(1n, 94n);
    peer.sendGrant(1n, 2n ** 64n - 1n);
    await waiting;
    await peer.until(() => peer.received(1n).length === 5);
    expect(node.streamStats(peer.nodeId, 1n)).toMatchObject({ txWindow: 256 });
  });

  test('is granted as the application consumes', async () => {
    const [node, peer] = await session({ streamReceiveWindowBytes: 16_384 });
    const event = Buffer.alloc(1000);
    for (let i = 0; i < 60; i++) peer.sendEvents(5n, [event]);
    await until(() => (node.streamStats(peer.nodeId, 5n)?.rxSeq ?? 0n) === 59n);
    const held = peer.grants.at(-1)?.consumed ?? 0n;
    expect(held).toBeLessThan(60n * 1084n);
    await take(node.messages(), 60);
    await peer.until(() => peer.grants.at(-1)?.consumed === 60n * 1084n, 'the last grant');
  });
});

describe('what a base peer tells a node', () => {
  test('is delivered once, however often it is replayed, and counted', async () => {
    const [node, peer] = await session();
    const datagram = peer.sendEvents(1n, [Buffer.from('once')]);
    for (let i = 0; i < 5; i++) peer.sendRaw(datagram);
    peer.sendEvents(1n, [Buffer.from('twice')]);
    const texts = (await take(node.messages(), 2)).map(({ data }) => data.toString());
    expect(texts).toEqual(['once', 'twice']);
    expect(node.stats().droppedReplay).toBe(5n);
  });

  test('changes nothing when it was tampered with', async () => {
    const [node, peer] = await session();
    for (let at = 0; at < 100; at += 3) {
      const datagram = Buffer.from(peer.session!.seal({ streamId: 1n }, [Buffer.alloc(16)]));
      // The nonce prefix and the hop count are not authenticated.
      if (at === 6 || (at >= 12 && at < 16)) continue;
      datagram[at]! ^= 0x55;
      peer.sendRaw(datagram);
    }
    peer.sendEvents(1n, [Buffer.from('intact')]);
    expect((await take(node.messages(), 1))[0]!.data.toString()).toBe('intact');
    expect(node.peerCount()).toBe(1);
  });

  test('may have other values in the fields that are not authenticated or not used', async () => {
    const [node, peer] = await session();
    const datagram = peer.session!.seal({ streamId: 1n, channelHash: 0xbeef }, [Buffer.from('x')]);
    datagram[6] = 9;
    datagram.fill(0xee, 12, 16);
    peer.sendRaw(datagram);
    expect((await take(node.messages(), 1))[0]!.data.toString()).toBe('x');
  });

  test('may jump far ahead in the packet counter', async () => {
    const [node, peer] = await session();
    const reader = node.messages();
    peer.sendEvents(1n, [Buffer.from('before')]);
    await take(reader, 1);
    for (const jump of [2000n, 1_000_000n, 2n ** 40n]) {
      peer.session!.counter += jump;
      peer.sendEvents(1n, [Buffer.from(`after ${jump}`)]);
      expect((await take(reader, 1))[0]!.data.toString()).toBe(`after ${jump}`);
    }
  });

  test('is delivered as events under unknown subprotocol numbers', async () => {
    const [node, peer] = await session();
    peer.sendRaw(
      peer.session!.seal({ streamId: 3n, subprotocol: 0xf123 }, [Buffer.from('vendor')]),
    );
    expect((await take(node.messages(), 1))[0]).toMatchObject({
      streamId: 3n,
      data: Buffer.from('vendor'),
    });
  });

  test('may be grants of wrong lengths, which are ignored', async () => {
    const [node, peer] = await session({}, { grants: false });
    const stream = node.openStream(peer.nodeId, { streamId: 1n, windowBytes: 100 });
    await node.sendOnStream(stream, [Buffer.from('a')]);
    for (const length of [0, 1, 15, 17, 24]) {
      peer.sendRaw(
        peer.session!.seal({ subprotocol: SUBPROTOCOL_GRANT, streamId: CONTROL_STREAM }, [
          Buffer.alloc(length, 0xff),
        ]),
      );
    }
    peer.sendEvents(2n, [Buffer.from('done')]);
    await take(node.messages(), 1);
    expect(node.streamStats(peer.nodeId, 1n)).toMatchObject({
      creditGrantsReceived: 0n,
      txCreditRemaining: 100 - 85,
    });
  });

  test('may come from another address of the same peer', async () => {
    const [node, peer] = await session();
    const other = await legacyPeer();
    const datagram = peer.session!.seal({ streamId: 1n }, [Buffer.from('moved')]);
    const [address, port] = node.localAddr().split(':');
    other.sendDatagram({ address: address!, port: Number(port) }, datagram);
    expect((await take(node.messages(), 1))[0]).toMatchObject({ peerNodeId: peer.nodeId });
  });

  test('may reopen a stream with its sequence at 0 again', async () => {
    const [node, peer] = await session();
    const reader = node.messages();
    peer.sendRaw(peer.session!.seal({ streamId: 1n, sequence: 0n }, [Buffer.from('first')]));
    peer.sendRaw(peer.session!.seal({ streamId: 1n, sequence: 1n }, [Buffer.from('second')]));
    peer.sendRaw(peer.session!.seal({ streamId: 1n, sequence: 0n }, [Buffer.from('again')]));
    const texts = (await take(reader, 3)).map(({ data }) => data.toString());
    expect(texts).toEqual(['first', 'second', 'again']);
  });
});

test('a base peer that falls silent is given up, and comes back with a heartbeat', async () => {
  const [node, peer] = await session({ heartbeatIntervalMs: 20, sessionTimeoutMs: 50 });
  const down = await peerEvent(node, 'peer:down');
  expect(down).toEqual({ nodeId: peer.nodeId, reason: expect.stringContaining('timeout') });
  const up = peerEvent(node, 'peer:up');
  peer.sendHeartbeat();
  expect((await up).security).toBe('legacy');
});

test('a base peer with another key is not heard', async () => {
  const node = await startNode();
  const stranger = await legacyPeer({ psk: Buffer.alloc(32, 0x43) });
  await expect(
    stranger.connect(node.localAddr(), node.publicKey(), node.nodeId(), {
      routed: true,
      timeoutMs: 100,
    }),
  ).rejects.toThrow('handshake timeout');
  expect(node.peerCount()).toBe(0);
  expect(node.stats().droppedHandshake).toBeGreaterThan(0n);
});

test('a base peer whose routed node id does not fit its routing id is refused', async () => {
  const node = await startNode();
  const peer = await legacyPeer();
  const ephemeral = new KeyPair(randomBytes(32));
  const keys = { psk, initiatorId: peer.nodeId, responderId: node.nodeId() };
  const initiator = new Initiator(
    keys,
    Buffer.from(node.publicKey(), 'hex'),
    ephemeral,
    u64le(peer.nodeId ^ 1n),
  );
  const [address, port] = node.localAddr().split(':');
  peer.sendDatagram(
    { address: address!, port: Number(port) },
    Buffer.concat([
      routingHeader(16, peer.nodeId, node.nodeId()),
      handshakePacket(initiator.message1),
    ]),
  );
  await until(() => node.stats().droppedHandshake === 1n);
  expect(node.peerCount()).toBe(0);
});

test('a base peer gets the hello where it ignores it', async () => {
  const node = await startNode();
  const peer = await legacyPeer();
  const [{ payload }] = await Promise.all([
    peer.accept(node.nodeId()),
    node.connect(peer.addr, peer.publicKey, peer.nodeId),
  ]);
  expect(payload.readBigUInt64LE(0)).toBe(node.nodeId());
  expect(payload.subarray(8, 12).toString()).toBe('NMX1');
});
