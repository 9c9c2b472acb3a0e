// Channels with peers of the base protocol (net-mesh 0.19), byte for byte, on plain UDP sockets.

import {
  ChannelAuthError,
  ChannelError,
  Identity,
  type MeshNode,
  type MeshNodeConfig,
} from 'netmesh';
import { LegacyPeer } from './support/legacy_peer';
import { FLAG } from './support/legacy_wire';
import { PSK, rejection, startNode, take, until } from './support/nodes';

const MEMBERSHIP = 0x0a00;
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/gu, ''), 'hex');

/** The vectors of the specification: name, stream of its publishes, the low 16 bits for headers. */
const CHANNELS: Array<[string, bigint, number]> = [
  ['sensors/temp', 0xe477434ef307172dn, 0x172d],
  ['lab/x', 0x6d5b83d90de02ee8n, 0x2ee8],
  ['lab/open', 0x57d14d5a8457b61fn, 0xb61f],
  ['events/inference', 0x5c198de0f70642e9n, 0x42e9],
  ['sensors/lidar', 0xec21e8ac7fa5e5d8n, 0xe5d8],
  ['sensors/lidar/front', 0x9e976e6550443f32n, 0x3f32],
];
const SUBSCRIBE = hex('00 8877665544332211 05 6c61622f78 0000');
const SUBSCRIBE_WORKERS = hex('00 8877665544332211 05 6c61622f78 0000 07 776f726b657273');
const UNSUBSCRIBE = hex('01 2a00000000000000 05 6c61622f78');

const peers: LegacyPeer[] = [];

afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.close()));
});

/** A base peer with a session to a node. */
async function joined(node: MeshNode): Promise<LegacyPeer> {
  const peer = new LegacyPeer({ psk: Buffer.from(PSK, 'hex') });
  peers.push(peer);
  await peer.bind();
  await peer.connect(node.localAddr(), node.publicKey(), node.nodeId(), { routed: true });
  peer.sendHeartbeat();
  await until(() => node.peers().some(({ nodeId }) => nodeId === peer.nodeId));
  return peer;
}

async function pair(config: Partial<MeshNodeConfig> = {}): Promise<[MeshNode, LegacyPeer]> {
  const node = await startNode(config);
  return [node, await joined(node)];
}

/** The membership messages that a peer has got. */
const told = (peer: LegacyPeer): Buffer[] =>
  peer.controls.filter(({ protocol }) => protocol === MEMBERSHIP).map(({ data }) => data);

/** The next membership message after `before` of them. */
async function answer(peer: LegacyPeer, before: number): Promise<Buffer> {
  await peer.until(() => told(peer).length > before, 'a membership message');
  return told(peer)[before] as Buffer;
}

async function ask(peer: LegacyPeer, message: Buffer): Promise<string> {
  const before = told(peer).length;
  peer.sendControl(MEMBERSHIP, [message]);
  return (await answer(peer, before)).toString('hex');
}

const nonceOf = (message: Buffer): Buffer => message.subarray(1, 9);

function ack(nonce: Buffer, accepted = 1, reason = 0): Buffer {
  return Buffer.concat([Buffer.from([2]), nonce, Buffer.from([accepted, reason])]);
}

const publish = (node: MeshNode, channel: string, text: string): Promise<unknown> =>
  node.publish(channel, Buffer.from(text));

describe('a base subscriber', () => {
  test('joins and leaves with the bytes of the specification', async () => {
    const [node, peer] = await pair();
    node.registerChannel({ name: 'lab/x' });
    expect(await ask(peer, SUBSCRIBE)).toBe('0288776655443322110100');
    expect(node.subscribers('lab/x')).toEqual([peer.nodeId]);
    expect(await ask(peer, SUBSCRIBE)).toBe('0288776655443322110100');
    expect(node.channels()[0]).toMatchObject({ subscribers: 1, queueGroups: 0 });
    expect(await ask(peer, UNSUBSCRIBE)).toBe('022a000000000000000100');
    expect(node.subscribers('lab/x')).toEqual([]);
    expect(await ask(peer, UNSUBSCRIBE)).toBe('022a000000000000000100');
    // The form without a token, which old peers send.
    const old = hex('00 0700000000000000 05 6c61622f78');
    expect(await ask(peer, old)).toBe('0207000000000000000100');
  });

  test('may join a queue group', async () => {
    const [node, peer] = await pair();
    const other = await joined(node);
    node.registerChannel({ name: 'lab/x' });
    for (const each of [peer, other]) {
      expect(await ask(each, SUBSCRIBE_WORKERS)).toBe('0288776655443322110100');
    }
    expect(node.channels()[0]).toMatchObject({ subscribers: 2, queueGroups: 1 });
    for (let i = 0; i < 10; i++) await publish(node, 'lab/x', `${i}`);
    const all = (): string[] =>
      [peer, other].flatMap((each) => each.received(0x6d5b83d90de02ee8n)).sort();
    await until(() => all().length === 10);
    expect(all()).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
  });

  test('is refused with the reason', async () => {
    const [node, peer] = await pair();
    node.registerChannel({ name: 'lab/x', requireToken: true });
    expect(await ask(peer, SUBSCRIBE)).toBe('0288776655443322110001');
    const unknown = hex('00 0700000000000000 05 6c61622f79 0000');
    expect(await ask(peer, unknown)).toBe('0207000000000000000002');
    for (let i = 0; i < 14; i++) await ask(peer, unknown);
    expect(await ask(peer, unknown)).toBe('0207000000000000000003');
    expect(await ask(peer, SUBSCRIBE)).toBe('0288776655443322110003');
    expect(await ask(peer, UNSUBSCRIBE)).toBe('022a000000000000000100');
  });

  test('gets no answer to what it cannot mean', async () => {
    const [node, peer] = await pair();
    node.registerChannel({ name: 'lab/x' });
    const bad = [
      '00', // nothing behind the type
      '00 8877665544332211 05 6c61622f', // a name that is cut
      '00 8877665544332211 05 6c61622f78 00', // half a token length
      '00 8877665544332211 05 6c61622f78 0100', // a token that is not there
      '00 8877665544332211 05 6c61622f78 0000 02 61', // a group that is cut
      '00 8877665544332211 05 6c61622f78 0000 01 6161', // and one too long
      '00 8877665544332211 05 6c61622f58 0000', // an upper case letter
      '00 8877665544332211 00 0000', // no name
      '01 2a00000000000000 05 6c61622f78 00', // more than an Unsubscribe
      '02 0700000000000000 02 00', // neither accepted nor not
      '02 0700000000000000 00 05', // a reason that is none
      '02 0700000000000000 01 00 00', // more than an Ack
      '63 0700000000000000', // a type that is none
    ].map(hex);
    peer.sendControl(MEMBERSHIP, bad);
    // Of several messages in a packet each is taken for itself.
    peer.sendControl(MEMBERSHIP, [...bad, SUBSCRIBE, ...bad, UNSUBSCRIBE]);
    // A copy of the Subscribe that was held up on its way does not undo that.
    peer.sendControl(MEMBERSHIP, [SUBSCRIBE]);
    const another = hex('00 0700000000000000 05 6c61622f79 0000');
    peer.sendControl(MEMBERSHIP, [another]);
    await peer.until(() => told(peer).some((message) => message[1] === 7));
    expect(node.subscribers('lab/x')).toEqual([]);
    expect(told(peer).map((message) => message.toString('hex'))).toEqual([
      '0288776655443322110100',
      '022a000000000000000100',
      '0207000000000000000002',
    ]);
  });

  test.each(CHANNELS)('gets publishes of %s as 0.19 sends them', async (name, streamId, hash) => {
    const identitySeed = Buffer.alloc(32, 0x42);
    const identity = Identity.fromSeed(identitySeed);
    const [node, peer] = await pair({ identitySeed });
    node.registerChannel({ name });
    const request = Buffer.concat([
      hex('00 0700000000000000'),
      Buffer.from([name.length]),
      Buffer.from(name),
      hex('0000'),
    ]);
    expect(await ask(peer, request)).toBe('0207000000000000000100');
    for (const sequence of [0n, 1n]) {
      const report = await publish(node, name, 'reading');
      expect(report).toEqual({ attempted: 1, delivered: 1, errors: [] });
      await peer.until(() => BigInt(peer.packets.length) > sequence);
      const packet = peer.packets[Number(sequence)];
      expect(packet?.events).toEqual([Buffer.from('reading')]);
      expect(packet?.header).toMatchObject({
        streamId,
        sequence,
        flags: 0,
        subprotocol: 0,
        channelHash: hash,
        originHash: Number(identity.originHash & 0xffff_ffffn),
      });
    }
  });

  test('gets a batch as one packet, and reliable ones with the flag', async () => {
    const [node, peer] = await pair();
    node.registerChannel({ name: 'lab/x', reliable: true });
    await ask(peer, SUBSCRIBE);
    const payloads = ['one', 'two', 'three'].map((text) => Buffer.from(text));
    const report = await node.publishMany('lab/x', payloads);
    expect(report).toEqual({ attempted: 1, delivered: 1, errors: [] });
    await peer.until(() => peer.packets.length > 0);
    expect(peer.packets[0]?.events).toEqual(payloads);
    expect(peer.packets[0]?.header.flags).toBe(FLAG.reliable);
    expect(peer.packets[0]?.header.channelHash).toBe(0x2ee8);
    // The fields of other packets say nothing of channels.
    const stream = node.openStream(peer.nodeId, { streamId: 7n, reliability: 'reliable' });
    await node.sendOnStream(stream, [Buffer.from('x')]);
    await peer.until(() => peer.packets.length > 1);
    expect(peer.packets[1]?.header).toMatchObject({ streamId: 7n, channelHash: 0 });
  });

  test('whose window is full is reported, and no more is sent to it', async () => {
    const [node, peer] = await pair();
    node.registerChannel({ name: 'lab/x' });
    await ask(peer, SUBSCRIBE);
    peer.grantsOn = false;
    const payload = Buffer.alloc(8000);
    let sent = 0;
    let error: any;
    while (error === undefined) {
      const published = node.publish('lab/x', payload);
      error = await published.then(() => undefined).catch((reason: unknown) => reason);
      if (error === undefined) sent++;
    }
    expect(error).toBeInstanceOf(ChannelError);
    expect(error.message).toBe(
      `channel: connection error: all 1 peers failed (first: 0x${peer.nodeId.toString(16)}: ` +
        'connection error: publish: stream 0x6d5b83d90de02ee8 backpressured)',
    );
    // 64 KiB of packets: 8004 bytes of frames and 80 around them, each.
    expect(sent).toBe(8);
    await peer.until(() => peer.packets.length === sent);
    peer.sendGrant(0x6d5b83d90de02ee8n, peer.consumed(0x6d5b83d90de02ee8n));
    await until(
      () => node.streamStats(peer.nodeId, 0x6d5b83d90de02ee8n)?.txCreditRemaining === 65_536,
    );
    await node.publish('lab/x', payload);
  });
});

describe('a base publisher', () => {
  /** Answers the next request that it gets. */
  async function reply(peer: LegacyPeer, accepted: number, reason: number): Promise<Buffer> {
    const request = await answer(peer, told(peer).length);
    peer.sendControl(MEMBERSHIP, [ack(nonceOf(request), accepted, reason)]);
    return request;
  }

  test('is asked with the bytes of the specification, and what it publishes arrives', async () => {
    const [node, peer] = await pair();
    const asked = node.subscribe(peer.nodeId, 'lab/x');
    const request = await reply(peer, 1, 0);
    expect(request.toString('hex')).toBe(`00${nonceOf(request).toString('hex')}056c61622f780000`);
    const feed = await asked;
    for (const text of ['one', 'two']) {
      peer.sendEvents(0x6d5b83d90de02ee8n, [Buffer.from(text), Buffer.from(`${text}!`)]);
    }
    const got = await take(feed[Symbol.asyncIterator](), 4);
    expect(got.map(({ payload }) => payload.toString())).toEqual(['one', 'one!', 'two', 'two!']);
    expect(got[0]).toMatchObject({ publisherNodeId: peer.nodeId, channel: 'lab/x' });

    const left = feed.close();
    const farewell = await reply(peer, 1, 0);
    expect(farewell.toString('hex')).toBe(`01${nonceOf(farewell).toString('hex')}056c61622f78`);
    expect(nonceOf(farewell)).not.toEqual(nonceOf(request));
    await left;
  });

  test('is asked for a queue group behind the token', async () => {
    const [node, peer] = await pair();
    const asked = node.subscribeChannel(peer.nodeId, 'lab/x', { queueGroup: 'workers' });
    const request = await reply(peer, 1, 0);
    expect(request.subarray(9).toString('hex')).toBe('056c61622f78000007776f726b657273');
    await asked;
    expect(node.subscriptions()).toEqual([
      {
        publisherNodeId: peer.nodeId,
        channel: 'lab/x',
        queueGroup: 'workers',
        active: true,
        reliable: false,
      },
    ]);
  });

  test.each([
    [1, ChannelAuthError, 'channel: unauthorized'],
    [2, ChannelError, 'channel: unknown channel'],
    [3, ChannelError, 'channel: rate limited'],
    [4, ChannelError, 'channel: too many channels'],
    [0, ChannelError, 'channel: rejected (None)'],
  ])('may refuse with reason %i', async (reason, type, message) => {
    const [node, peer] = await pair();
    const failed = rejection(node.subscribeChannel(peer.nodeId, 'lab/x'));
    await reply(peer, 0, reason);
    const error = await failed;
    expect(error.constructor).toBe(type);
    expect(error.message).toBe(message);
    expect(node.subscriptions()).toEqual([]);
  });

  test('is asked again when it does not answer, with the same bytes', async () => {
    const [node, peer] = await pair();
    const asked = node.subscribeChannel(peer.nodeId, 'lab/x');
    // As if the first one had been lost, and the second answer.
    await peer.until(() => told(peer).length === 3, 'the second repetition');
    const [first, second, third] = told(peer) as [Buffer, Buffer, Buffer];
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    peer.sendControl(MEMBERSHIP, [ack(nonceOf(third)), ack(nonceOf(third))]);
    await asked;
    expect(node.subscriptions()).toMatchObject([{ active: true }]);
  });

  test('cannot be answered for by another peer, or with another nonce', async () => {
    const [node, peer] = await pair({ membershipAckTimeoutMs: 1000 });
    const other = await joined(node);
    const failed = rejection(node.subscribeChannel(peer.nodeId, 'lab/x'));
    const request = await answer(peer, 0);
    other.sendControl(MEMBERSHIP, [ack(nonceOf(request))]);
    peer.sendControl(MEMBERSHIP, [
      ack(Buffer.alloc(8, 7)),
      Buffer.concat([ack(nonceOf(request)), Buffer.from([0])]),
    ]);
    expect((await failed).message).toBe(
      'channel: connection error: membership ack timeout (1s) for channel lab/x',
    );
    // Too late.
    peer.sendControl(MEMBERSHIP, [ack(nonceOf(request))]);
    const again = node.subscribeChannel(peer.nodeId, 'lab/y');
    await peer.until(() => told(peer).some((message) => message.includes('lab/y')));
    const next = told(peer).find((message) => message.includes('lab/y')) as Buffer;
    peer.sendControl(MEMBERSHIP, [ack(nonceOf(next))]);
    await again;
    expect(node.subscriptions().map(({ channel }) => channel)).toEqual(['lab/y']);
  });

  test('cannot use the messages of modern peers', async () => {
    const [node, peer] = await pair();
    node.registerChannel({ name: 'lab/x' });
    const asked = node.subscribe(peer.nodeId, 'lab/x');
    await reply(peer, 1, 0);
    const feed = await asked;
    for (const type of [16, 17, 18, 19]) {
      peer.sendControl(MEMBERSHIP, [Buffer.concat([Buffer.from([type]), Buffer.alloc(40)])]);
    }
    expect(await ask(peer, SUBSCRIBE)).toBe('0288776655443322110100');
    expect(feed.active).toBe(true);
  });
});
