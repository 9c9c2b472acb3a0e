// Channels with `requireToken`: whose tokens count, for whom, for what and how long.

import {
  ChannelAuthError,
  ChannelError,
  delegateToken,
  Identity,
  type IssueTokenOptions,
  type MeshNode,
  type MeshNodeConfig,
  type Token,
  TokenChain,
  TokenError,
} from 'netmesh';
import { connect, rejection, startNode, take, until } from './support/nodes';

const SWEEP_MS = 100;

interface Someone {
  node: MeshNode;
  identity: Identity;
}

/** A node whose identity can issue tokens. */
async function someone(seed: number, config: Partial<MeshNodeConfig> = {}): Promise<Someone> {
  const identitySeed = Buffer.alloc(32, seed);
  const node = await startNode({ announceIntervalMs: 0, identitySeed, ...config });
  return { node, identity: Identity.fromSeed(identitySeed) };
}

/** A publisher of `lab/x`, which asks for tokens, and a node that is connected to it. */
async function guarded(terms: object = {}): Promise<{ owner: Someone; guest: Someone }> {
  const owner = await someone(1, { tokenSweepIntervalMs: SWEEP_MS });
  const guest = await someone(2);
  await connect(guest.node, owner.node);
  owner.node.registerChannel({ name: 'lab/x', reliable: true, requireToken: true, ...terms });
  return { owner, guest };
}

const issue = (issuer: Identity, subject: Identity, more: Partial<IssueTokenOptions> = {}): Token =>
  issuer.issueToken({
    subject: subject.entityId,
    scope: ['subscribe'],
    channel: 'lab/x',
    ttlSeconds: 60,
    ...more,
  });

const join = (
  { node }: Someone,
  owner: Someone,
  token?: Token | TokenChain | Uint8Array,
): Promise<void> =>
  node.subscribeChannel(owner.node.nodeId(), 'lab/x', token === undefined ? {} : { token });

async function refuses(call: Promise<unknown>): Promise<void> {
  const error = await rejection(call);
  expect(error).toBeInstanceOf(ChannelAuthError);
  expect(error.message).toBe('channel: unauthorized');
}

/** Waits until a token with one second to live has expired. */
async function expired(token: Token): Promise<void> {
  await until(() => token.isExpired(), 'the token expired');
}

describe('a channel that asks for tokens lets in', () => {
  test('who shows one that its publisher issued, and delivers to him', async () => {
    const { owner, guest } = await guarded();
    await refuses(join(guest, owner));
    await join(guest, owner, issue(owner.identity, guest.identity));
    expect(await owner.node.publish('lab/x', Buffer.from('secret'))).toMatchObject({
      attempted: 1,
      delivered: 1,
    });
    const [message] = await take(guest.node.messages(), 1);
    expect(message?.data.toString()).toBe('secret');
    // The publisher remembers it.
    await guest.node.unsubscribeChannel(owner.node.nodeId(), 'lab/x');
    await join(guest, owner);
  });

  test('who shows its bytes, or a chain of it alone', async () => {
    const { owner, guest } = await guarded();
    const token = issue(owner.identity, guest.identity);
    await join(guest, owner, token.toBuffer());
    await guest.node.unsubscribeChannel(owner.node.nodeId(), 'lab/x');
    await join(guest, owner, TokenChain.of([token]));
    await guest.node.unsubscribeChannel(owner.node.nodeId(), 'lab/x');
    await join(guest, owner, TokenChain.of([token]).bytes);
  });

  test('who was handed the right on, over several hands', async () => {
    const { owner, guest } = await guarded();
    const [one, two] = [
      Identity.fromSeed(Buffer.alloc(32, 7)),
      Identity.fromSeed(Buffer.alloc(32, 8)),
    ];
    const root = issue(owner.identity, one, {
      scope: ['subscribe', 'delegate'],
      delegationDepth: 2,
    });
    const chain = TokenChain.of([root])
      .delegate(one, two.entityId, ['subscribe', 'delegate'])
      .delegate(two, guest.identity.entityId, ['subscribe']);
    expect(chain.tokens).toHaveLength(3);
    // The last link alone leads back to nobody who counts.
    await refuses(join(guest, owner, chain.tokens[2]));
    await refuses(join(guest, owner, TokenChain.of(chain.tokens.slice(1))));
    await join(guest, owner, chain);
    expect(await owner.node.publish('lab/x', Buffer.from('x'))).toMatchObject({ delivered: 1 });
  });

  test('whom another root lets, when it is one of the roots', async () => {
    const authority = Identity.fromSeed(Buffer.alloc(32, 9));
    const { owner, guest } = await guarded({ tokenRoots: [authority.entityId] });
    // With roots of its own the publisher is none.
    await refuses(join(guest, owner, issue(owner.identity, guest.identity)));
    await join(guest, owner, issue(authority, guest.identity));
    expect(owner.node.subscribers('lab/x')).toEqual([guest.node.nodeId()]);
  });

  test('nobody else', async () => {
    const { owner, guest } = await guarded();
    const stranger = Identity.fromSeed(Buffer.alloc(32, 3));
    const brief = issue(owner.identity, guest.identity, { ttlSeconds: 1 });
    const delegable = issue(owner.identity, stranger, {
      scope: ['subscribe', 'delegate'],
      delegationDepth: 1,
    });
    const tampered = issue(owner.identity, guest.identity).toBuffer();
    tampered[168] = (tampered[168] ?? 0) ^ 1;
    const foreign = delegateToken(stranger, delegable, stranger.entityId, ['subscribe']);
    const wrong: Array<Token | TokenChain | Uint8Array> = [
      issue(owner.identity, stranger),
      issue(owner.identity, guest.identity, { channel: 'lab/y' }),
      issue(owner.identity, guest.identity, { scope: ['publish'] }),
      issue(guest.identity, guest.identity),
      issue(stranger, guest.identity),
      TokenChain.of([delegable, foreign]),
      tampered,
    ];
    await expired(brief);
    for (const token of [...wrong, brief]) await refuses(join(guest, owner, token));
    expect(owner.node.subscribers('lab/x')).toEqual([]);
    expect(owner.node.channels()[0]).toMatchObject({ accepted: 0, refused: wrong.length + 1 });
    // Nothing of it was remembered.
    await refuses(join(guest, owner));
  });
});

describe('a subscriber whose right ends', () => {
  /** A guest with a feed, and a payload every few milliseconds. */
  async function watched(token: (owner: Identity, guest: Identity) => Token | TokenChain) {
    const { owner, guest } = await guarded();
    const other = await someone(4);
    await connect(other.node, owner.node);
    await join(other, owner, issue(owner.identity, other.identity));
    const credential = token(owner.identity, guest.identity);
    const feed = await guest.node.subscribe(owner.node.nodeId(), 'lab/x', { token: credential });
    const reader = feed[Symbol.asyncIterator]();
    await owner.node.publish('lab/x', Buffer.from('x'));
    expect((await reader.next()).value?.payload.toString()).toBe('x');
    return { owner, guest, other, feed, reader };
  }

  const expectEnd = async (
    { owner, guest, other, reader }: Awaited<ReturnType<typeof watched>>,
    reason: string,
  ): Promise<void> => {
    const error = await rejection(reader.next());
    expect(error).toBeInstanceOf(ChannelAuthError);
    expect(error.message).toBe(`channel: unauthorized (subscription ended: ${reason})`);
    expect(owner.node.subscribers('lab/x')).toEqual([other.node.nodeId()]);
    expect(guest.node.subscriptions()).toEqual([]);
    expect(await owner.node.publish('lab/x', Buffer.from('x'))).toMatchObject({ attempted: 1 });
    expect(owner.node.channels()[0]).toMatchObject({ evicted: 1 });
    await refuses(join(guest, owner));
  };

  test('by time is out within the sweep interval, and is told', async () => {
    const world = await watched((owner, guest) => issue(owner, guest, { ttlSeconds: 2 }));
    const begun = Date.now();
    await expectEnd(world, 'expired');
    expect(Date.now() - begun).toBeLessThan(2000 + 1000 + SWEEP_MS + 1000);
  });

  test('by revocation of its issuer is out within the sweep interval, and is told', async () => {
    const world = await watched((owner, guest) => {
      const middle = Identity.fromSeed(Buffer.alloc(32, 7));
      const root = issue(owner, middle, { scope: ['subscribe', 'delegate'], delegationDepth: 1 });
      return TokenChain.of([root]).delegate(middle, guest.entityId, ['subscribe']);
    });
    const middle = Identity.fromSeed(Buffer.alloc(32, 7));
    const begun = Date.now();
    world.owner.node.revokeTokens(middle.entityId, 1);
    await expectEnd(world, 'revoked');
    expect(Date.now() - begun).toBeLessThan(SWEEP_MS + 1000);
  });

  test('of a single token by revocation is out as well, and everybody with him', async () => {
    const { owner, guest, reader } = await watched((root, subject) => issue(root, subject));
    owner.node.revokeTokens(owner.identity.entityId, 1);
    const error = await rejection(reader.next());
    expect(error.message).toBe('channel: unauthorized (subscription ended: revoked)');
    await until(() => owner.node.subscribers('lab/x').length === 0);
    await refuses(join(guest, owner, issue(owner.identity, guest.identity)));
  });

  test('gets nothing of what is published from then on, sweep or not', async () => {
    const owner = await someone(1, { tokenSweepIntervalMs: 3_600_000 });
    const guest = await someone(2);
    await connect(guest.node, owner.node);
    owner.node.registerChannel({ name: 'lab/x', requireToken: true });
    await join(guest, owner, issue(owner.identity, guest.identity));
    expect(await owner.node.publish('lab/x', Buffer.from('x'))).toMatchObject({ attempted: 1 });
    owner.node.revokeTokens(owner.identity.entityId, 1);
    expect(await owner.node.publish('lab/x', Buffer.from('x'))).toEqual({
      attempted: 0,
      delivered: 0,
      errors: [],
    });
    expect(owner.node.channels()[0]).toMatchObject({ skippedToken: 1, evicted: 1 });
    expect(owner.node.subscribers('lab/x')).toEqual([]);
  });

  test('stays when a renewed token comes in time', async () => {
    const { owner, guest } = await guarded();
    const brief = issue(owner.identity, guest.identity, { ttlSeconds: 1 });
    const feed = await guest.node.subscribe(owner.node.nodeId(), 'lab/x', { token: brief });
    await join(guest, owner, issue(owner.identity, guest.identity));
    await expired(brief);
    // Two sweeps later.
    await new Promise((resolve) => setTimeout(resolve, 3 * SWEEP_MS));
    await owner.node.publish('lab/x', Buffer.from('x'));
    const [message] = await take(feed[Symbol.asyncIterator](), 1);
    expect(message?.payload.toString()).toBe('x');
  });

  test('that a new requirement does not cover is out at the next publish', async () => {
    const { owner, guest } = await guarded({ requireToken: false });
    await join(guest, owner);
    owner.node.registerChannel({ name: 'lab/x', requireToken: true });
    expect(await owner.node.publish('lab/x', Buffer.from('x'))).toMatchObject({ attempted: 0 });
    expect(owner.node.subscribers('lab/x')).toEqual([]);
  });
});

describe('a publisher', () => {
  const publish = ({ node }: Someone): Promise<unknown> => node.publish('lab/x', Buffer.from('x'));
  const denied = async (owner: Someone): Promise<void> => {
    const error = await rejection(publish(owner));
    expect(error.constructor).toBe(ChannelError);
    expect(error.message).toBe('channel: connection error: channel: publish denied by channel ACL');
  };

  test('needs a right of its own where others are the roots', async () => {
    const authority = Identity.fromSeed(Buffer.alloc(32, 9));
    const { owner, guest } = await guarded({ tokenRoots: [authority.entityId] });
    await join(guest, owner, issue(authority, guest.identity));
    await denied(owner);
    const wrong = [
      issue(authority, owner.identity),
      issue(authority, owner.identity, { scope: ['publish'], channel: 'lab/y' }),
      issue(authority, guest.identity, { scope: ['publish'] }),
      issue(owner.identity, owner.identity, { scope: ['publish'] }),
    ];
    for (const token of wrong) {
      owner.node.installToken(token);
      await denied(owner);
    }
    owner.node.installToken(issue(authority, owner.identity, { scope: ['publish'] }));
    expect(await publish(owner)).toMatchObject({ attempted: 1, delivered: 1 });
    expect(owner.node.channels()[0]).toMatchObject({ denied: 1 + wrong.length, published: 1 });
    owner.node.revokeTokens(authority.entityId, 1);
    await denied(owner);
  });

  test('may have been handed its right on', async () => {
    const authority = Identity.fromSeed(Buffer.alloc(32, 9));
    const middle = Identity.fromSeed(Buffer.alloc(32, 10));
    const { owner } = await guarded({ tokenRoots: [authority.entityId] });
    const root = issue(authority, middle, { scope: ['publish', 'delegate'], delegationDepth: 1 });
    const chain = TokenChain.of([root]).delegate(middle, owner.identity.entityId, ['publish']);
    owner.node.installToken(chain.bytes);
    expect(await publish(owner)).toMatchObject({ attempted: 0 });
    owner.node.revokeTokens(middle.entityId, 1);
    await denied(owner);
  });

  test('cannot install what is no token, or was tampered with', async () => {
    const { node, identity } = await someone(1);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(168), Buffer.alloc(170)]) {
      expect(() => {
        node.installToken(bytes);
      }).toThrow(TokenError);
    }
    const tampered = issue(identity, identity).toBuffer();
    tampered[100] = (tampered[100] ?? 0) ^ 1;
    expect(() => {
      node.installToken(tampered);
    }).toThrow('token: invalid_signature');
    expect(() => {
      node.installToken('token' as never);
    }).toThrow();
    expect(() => {
      node.revokeTokens(Buffer.alloc(31), 1);
    }).toThrow('must be 32 bytes, got 31');
  });
});
