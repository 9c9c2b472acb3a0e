// Capabilities across real sockets: what one node announces, others find, and nobody can forge.

import { createPrivateKey, sign as signWith } from 'node:crypto';

import { CapabilityError, Identity, type MeshNode, type MeshNodeConfig } from 'netmesh';
import { LegacyPeer } from './support/legacy_peer';
import { connect, connectedPair, peerEvent, PSK, startNode, take, until } from './support/nodes';

const ANNOUNCEMENT = 0x0c00;
const FAST: Partial<MeshNodeConfig> = { announceIntervalMs: 0 };

/** Started nodes, each connected to the next. */
async function line(count: number, config: Partial<MeshNodeConfig> = FAST): Promise<MeshNode[]> {
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(config)));
  for (const [i, node] of nodes.entries()) {
    const next = nodes[i + 1];
    if (next) await connect(node, next);
  }
  return nodes;
}

function knows(node: MeshNode, other: MeshNode | bigint): boolean {
  const id = typeof other === 'bigint' ? other : other.nodeId();
  return node.findNodes({}).includes(id);
}

describe('announcing over the mesh', () => {
  test('reaches nodes that are no peers, with hardware, models and metadata', async () => {
    const [a, b, c] = (await line(3)) as [MeshNode, MeshNode, MeshNode];
    await a.announceCapabilities({
      hardware: {
        cpuCores: 16,
        memoryGb: 128,
        gpu: { vendor: 'nvidia', model: 'h100', vramGb: 80 },
      },
      models: [{ modelId: 'llama-3-70b', contextLength: 131_072, modalities: ['code'] }],
      tags: ['inference'],
      metadata: { site: 'ghent' },
    });
    await until(() => knows(c, a), 'the far node knows the first');
    const found = { requireGpu: true, gpuVendor: 'nvidia', minVramMb: 40_000 } as const;
    expect(c.findNodes(found)).toEqual([a.nodeId()]);
    expect(b.findNodes({ requireModels: ['llama-3-70b'], minContextLength: 100_000 })).toEqual([
      a.nodeId(),
    ]);
    expect(c.findNodes({ minMemoryGb: 256 })).toEqual([]);
    expect(c.capabilitiesOf(a.nodeId())).toMatchObject({
      tags: expect.arrayContaining(['inference', 'hardware.gpu', 'hardware.memory_gb=128']),
      metadata: { site: 'ghent' },
    });
    expect(c.capabilitiesOf(c.nodeId())).toBeNull();
    expect(c.peers().map(({ nodeId }) => nodeId)).toEqual([b.nodeId()]);
  });

  test('is told to peers that come later, by the node itself and by others', async () => {
    const [a, b] = await connectedPair(FAST, FAST);
    await a.announceCapabilities({ tags: ['early'] });
    await until(() => knows(b, a));
    const late = await startNode(FAST);
    await connect(late, b);
    await until(() => knows(late, a), 'the late node knows the first');
    expect(late.findNodes({ requireTags: ['early'] })).toEqual([a.nodeId()]);
  });

  test('replaces what was announced before', async () => {
    const [a, , c] = (await line(3)) as [MeshNode, MeshNode, MeshNode];
    await a.announceCapabilities({ tags: ['old'] });
    await until(() => knows(c, a));
    await a.announceCapabilities({ tags: ['new'] });
    await until(() => c.findNodes({ requireTags: ['new'] }).length === 1, 'the new tag');
    expect(c.findNodes({ requireTags: ['old'] })).toEqual([]);
  });

  test('sends what is announced in the quiet interval when it ends', async () => {
    const [a, b] = await connectedPair({ announceIntervalMs: 300 }, FAST);
    await a.announceCapabilities({ tags: ['one'] });
    await until(() => b.findNodes({ requireTags: ['one'] }).length === 1);
    const begun = Date.now();
    await a.announceCapabilities({ tags: ['two'] });
    await a.announceCapabilities({ tags: ['three'] });
    await until(() => b.findNodes({ requireTags: ['three'] }).length === 1, 'the last of them');
    expect(Date.now() - begun).toBeGreaterThanOrEqual(150);
    expect(b.stats().announcementsAccepted).toBe(2n);
  });

  test('works alone, and before the node is started', async () => {
    const node = await startNode();
    expect(node.findNodes({})).toEqual([]);
    await node.announceCapabilities({});
    expect(node.findNodes({})).toEqual([node.nodeId()]);
    expect(node.capabilitiesOf(node.nodeId())?.tags).toEqual(['nat:unknown']);
  });

  test('larger than a packet reaches modern peers, and is refused beside a base peer', async () => {
    const [a, b] = await connectedPair(FAST, FAST);
    const tags = Array.from({ length: 1000 }, (_, i) => `shelf.${i}.${'x'.repeat(20)}`);
    await a.announceCapabilities({ tags });
    await until(() => b.findNodes({ requireTags: [tags[999] ?? ''] }).length === 1);

    const peer = new LegacyPeer({ psk: Buffer.from(PSK, 'hex') });
    await peer.bind();
    try {
      const node = await startNode(FAST);
      await peer.connect(node.localAddr(), node.publicKey(), node.nodeId(), { routed: true });
      peer.sendHeartbeat();
      await until(() => node.peerCount() === 1);
      const refused = node.announceCapabilities({ tags });
      await expect(refused).rejects.toThrow(CapabilityError);
      await expect(refused).rejects.toThrow(/bytes exceeds the 8108 bytes that the legacy peer/);
      expect(node.findNodes({})).toEqual([]);
    } finally {
      await peer.close();
    }
  });
});

describe('what is known of others', () => {
  test('goes when its time to live is over', async () => {
    const [a, b] = await connectedPair(FAST, FAST);
    await a.announceCapabilities({ tags: ['brief'] }, { ttlSeconds: 1 });
    await until(() => knows(b, a));
    // It announces itself again while it lives; without it the end comes.
    a.blockPeer(b.localAddr());
    await until(() => !knows(b, a), 'the entry expired');
  });

  test('goes with the peer', async () => {
    const [a, b] = await connectedPair(FAST, FAST);
    await a.announceCapabilities({});
    await until(() => knows(b, a));
    const down = peerEvent(b, 'peer:down');
    await a.shutdown();
    await down;
    expect(b.findNodes({})).toEqual([]);
  });

  test('comes back with a peer that restarted', async () => {
    const identitySeed = Buffer.alloc(32, 9);
    const b = await startNode(FAST);
    for (const tag of ['first', 'second']) {
      const a = await startNode({ ...FAST, identitySeed });
      await connect(a, b);
      await a.announceCapabilities({ tags: [tag] });
      await until(() => b.findNodes({ requireTags: [tag] }).length === 1, `the ${tag} life`);
      await a.shutdown({ drainMs: 0 });
    }
  });

  test('is repeated before it expires', async () => {
    const [a, b] = await connectedPair(FAST, FAST);
    await a.announceCapabilities({}, { ttlSeconds: 1 });
    await until(() => knows(b, a));
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(knows(b, a)).toBe(true);
  });
});

describe('scopes', () => {
  test('choose among tenants, regions and subnets', async () => {
    const rules = [{ tagPrefix: 'rack:', level: 0, values: { one: 1, two: 2 } }];
    const hub = await startNode({ ...FAST, subnet: { levels: [1] }, subnetPolicy: { rules } });
    const [east, west, local] = await Promise.all([
      startNode(FAST),
      startNode(FAST),
      startNode(FAST),
    ]);
    await east.announceCapabilities({ tags: ['scope:region:east', 'rack:one'] });
    await west.announceCapabilities({ tags: ['scope:tenant:acme', 'rack:two'] });
    await local.announceCapabilities({ tags: ['scope:subnet-local', 'rack:one'] });
    for (const node of [east, west, local]) await connect(node, hub);
    await until(() => hub.findNodes({}).length === 3);
    const ids = (...nodes: MeshNode[]): bigint[] =>
      nodes.map((node) => node.nodeId()).sort((x, y) => (x < y ? -1 : 1));
    expect(hub.findNodesScoped({}, { kind: 'region', region: 'east' })).toEqual(ids(east));
    expect(hub.findNodesScoped({}, { kind: 'tenants', tenants: ['acme'] })).toEqual(ids(west));
    expect(hub.findNodesScoped({}, { kind: 'sameSubnet' })).toEqual(ids(east, local));
    expect(hub.findNodesScoped({}, { kind: 'any' })).toEqual(ids(east, west));
    expect(hub.subnetOf(west.nodeId())).toEqual({ levels: [2] });
    expect(hub.subnetOf(hub.nodeId())).toBeNull();
  });
});

describe('questions to the index', () => {
  test('rank, group and add up', async () => {
    const [a, b] = await connectedPair(FAST, FAST);
    await a.announceCapabilities({
      hardware: { memoryGb: 64 },
      tags: ['hardware.gpu.count=8', 'scope:region:eu'],
    });
    await b.announceCapabilities({ hardware: { memoryGb: 256 }, tags: ['hardware.gpu.count=2'] });
    await until(() => knows(a, b) && knows(b, a));
    expect(b.findBestNode({ filter: {}, preferMoreMemory: 1 })).toBe(b.nodeId());
    expect(b.findBestNode({ filter: { minMemoryGb: 512 } })).toBeNull();
    const eu = { kind: 'region', region: 'eu' } as const;
    expect(b.findBestNodeScoped({ filter: { maxMemory: 1 } as object }, eu)).not.toBeNull();
    const total = { kind: 'sumNumericTag', axisKey: 'hardware.gpu.count' } as const;
    expect(a.capabilityAggregate(undefined, { kind: 'class' }, total)).toEqual([
      { bucket: '0x0', value: 10n },
    ]);
    const query = { groupBy: { kind: 'region' }, maxRttMs: 50, limit: 0 } as const;
    expect(a.capabilityCapacityRanking(query)).toEqual([]);
    const near = [{ nodeId: a.nodeId(), rttMs: 3 }];
    expect(b.capabilityCapacityRanking(query, near)).toMatchObject([{ bucket: 'eu', idle: 1n }]);
    const rows = b.capabilityCapacityRanking(query, (id) => (id === b.nodeId() ? 1 : undefined));
    expect(rows).toMatchObject([{ bucket: '(none)', available: 1n }]);
  });

  test('are refused with the field that is wrong', async () => {
    const node = await startNode();
    expect(() => node.findNodes({ minMemoryGb: Number.NaN })).toThrow(CapabilityError);
    expect(() => node.findBestNode({ filter: {}, preferMoreVram: Infinity })).toThrow(
      "capability requirement weight 'preferMoreVram' must be a finite number, got Infinity",
    );
    await expect(node.announceCapabilities(null as never)).rejects.toThrow(CapabilityError);
    await expect(node.announceCapabilities({ tags: [1] } as never)).rejects.toThrow('tags[0]');
    await node.shutdown();
    expect(() => node.findNodes({})).toThrow('MeshNode has been shut down');
    await expect(node.announceCapabilities({})).rejects.toThrow('MeshNode has been shut down');
  });
});

describe('watching', () => {
  test('tells joins, changes and leaves as they happen', async () => {
    const [a, b] = await connectedPair(FAST, FAST);
    const watch = b.watchCapabilities({ requireTags: ['gpu'] });
    const nodeId = a.nodeId();
    await a.announceCapabilities({ tags: ['gpu'] });
    expect(await take(watch, 1)).toEqual([{ kind: 'join', nodeId }]);
    await a.announceCapabilities({ tags: ['gpu', 'warm'] });
    expect(await take(watch, 1)).toEqual([{ kind: 'change', nodeId }]);
    await a.announceCapabilities({ tags: ['cpu'] });
    expect(await take(watch, 1)).toEqual([{ kind: 'leave', nodeId }]);
    await a.announceCapabilities({ tags: ['gpu'] });
    expect(await take(watch, 1)).toEqual([{ kind: 'join', nodeId }]);
    await a.shutdown();
    expect(await take(watch, 1)).toEqual([{ kind: 'leave', nodeId }]);
  });

  test('tells of expiry at once, and ends with its signal and with the node', async () => {
    const [a, b] = await connectedPair(FAST, FAST);
    const abort = new AbortController();
    const watch = b.watchCapabilities({}, { signal: abort.signal });
    await a.announceCapabilities({}, { ttlSeconds: 1 });
    await take(watch, 1);
    a.blockPeer(b.localAddr());
    for (;;) {
      const [event] = await take(watch, 1);
      if (event?.kind === 'leave') break;
    }
    const waiting = watch.next();
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    const other = b.watchCapabilities({});
    const last = other.next();
    await b.shutdown({ drainMs: 0 });
    expect(await last).toEqual({ done: true, value: undefined });
  });
});

describe('what nobody can forge', () => {
  const seed = Buffer.alloc(32, 5);
  const identity = Identity.fromSeed(seed);
  const key = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
    format: 'der',
    type: 'pkcs8',
  });
  let version = 1;
  let peer: LegacyPeer;
  let node: MeshNode;

  interface Claims {
    nodeId?: bigint;
    entityId?: Buffer;
    tags?: string[];
    version?: number;
    signed?: boolean;
    hops?: number;
    tamper?: (text: string) => string;
  }

  /** A document as spec 30 §8 writes it. */
  function announcement(claims: Claims = {}): Buffer {
    const { nodeId = identity.nodeId, entityId = identity.entityId, signed = true } = claims;
    const head =
      `{"node_id":${nodeId},"entity_id":"${entityId.toString('hex')}",` +
      `"version":${claims.version ?? version++},"timestamp_ns":${BigInt(Date.now()) * 1_000_000n},` +
      `"ttl_secs":300,"capabilities":{"tags":${JSON.stringify(claims.tags ?? ['legacy'])},` +
      '"metadata":{}}';
    const signature = signWith(null, Buffer.from(`${head}}`), key).toString('hex');
    const text =
      head +
      (signed ? `,"signature":"${signature}"` : '') +
      (claims.hops === undefined ? '' : `,"hop_count":${claims.hops}`) +
      '}';
    return Buffer.from(claims.tamper ? claims.tamper(text) : text);
  }

  /** Announces it, and waits until the node has judged it. */
  async function told(document: Buffer): Promise<string> {
    const names = [
      'announcementsAccepted',
      'announcementsRepeated',
      'announcementsRefused',
      'announcementsOverLimit',
    ] as const;
    const counts = (): bigint[] => names.map((name) => node.stats()[name] ?? 0n);
    const before = counts();
    peer.sendControl(ANNOUNCEMENT, [document]);
    let changed = -1;
    await until(() => {
      changed = counts().findIndex((count, i) => count !== before[i]);
      return changed >= 0;
    }, 'a verdict');
    return names[changed] ?? '';
  }

  beforeEach(async () => {
    node = await startNode(FAST);
    peer = new LegacyPeer({ psk: Buffer.from(PSK, 'hex'), nodeId: identity.nodeId });
    await peer.bind();
    await peer.connect(node.localAddr(), node.publicKey(), node.nodeId(), { routed: true });
    peer.sendHeartbeat();
    await until(() => node.peerCount() === 1);
  });
  afterEach(() => peer.close());

  test('a base node is believed when it signs, and its identity becomes known', async () => {
    expect(await told(announcement({ tags: ['legacy', 'région'] }))).toBe('announcementsAccepted');
    expect(node.findNodes({ requireTags: ['région'] })).toEqual([identity.nodeId]);
    expect(node.peers()[0]?.entityId).toEqual(identity.entityId);
  });

  test('a replayed or an older one changes nothing', async () => {
    const old = announcement({ tags: ['old'], version: 10 });
    await told(old);
    expect(await told(old)).toBe('announcementsRepeated');
    await told(announcement({ tags: ['new'], version: 11 }));
    expect(await told(old)).toBe('announcementsRepeated');
    expect(await told(announcement({ tags: ['other'], version: 11 }))).toBe(
      'announcementsRepeated',
    );
    expect(node.capabilitiesOf(identity.nodeId)?.tags).toEqual(['new']);
  });

  test('a forged, an unsigned and a stolen one are refused', async () => {
    const tampered = announcement({ tamper: (text) => text.replace('legacy', 'leaked') });
    expect(await told(tampered)).toBe('announcementsRefused');
    expect(await told(announcement({ signed: false }))).toBe('announcementsRefused');
    // A node id that does not follow from the entity, and one that belongs to somebody else.
    expect(await told(announcement({ nodeId: 7n, hops: 1 }))).toBe('announcementsRefused');
    const victim = Identity.generate();
    const stolen = { nodeId: victim.nodeId, entityId: victim.entityId };
    expect(await told(announcement({ ...stolen, hops: 1 }))).toBe('announcementsRefused');
    // Directly only one's own.
    expect(await told(announcement(stolen))).toBe('announcementsRefused');
    expect(await told(Buffer.from('{"node_id":1'))).toBe('announcementsRefused');
    expect(node.findNodes({})).toEqual([]);
    expect(node.peers()[0]?.entityId ?? null).toBeNull();
  });

  test('an unsigned one is taken where signatures are not required', async () => {
    const lax = await startNode({ ...FAST, requireSignedCapabilities: false });
    await peer.close();
    peer = new LegacyPeer({ psk: Buffer.from(PSK, 'hex'), nodeId: identity.nodeId });
    await peer.bind();
    await peer.connect(lax.localAddr(), lax.publicKey(), lax.nodeId(), { routed: true });
    peer.sendControl(ANNOUNCEMENT, [announcement({ signed: false })]);
    await until(() => knows(lax, identity.nodeId));
    // A wrong signature is one wherever.
    const tampered = announcement({ tamper: (text) => text.replace('legacy', 'leaked') });
    peer.sendControl(ANNOUNCEMENT, [tampered]);
    await until(() => lax.stats().announcementsRefused === 1n);
    expect(lax.capabilitiesOf(identity.nodeId)?.tags).toEqual(['legacy']);
  });

  test('a base node is told what modern nodes announce, byte for byte as it expects', async () => {
    await node.announceCapabilities({ tags: ['gpu'] });
    await peer.until(() => peer.controls.some(({ protocol }) => protocol === ANNOUNCEMENT));
    const text = peer.controls.find(({ protocol }) => protocol === ANNOUNCEMENT)?.data.toString();
    expect(text).toMatch(
      new RegExp(
        `^\\{"node_id":${node.nodeId()},"entity_id":"${node.entityId().toString('hex')}",` +
          '"version":\\d+,"timestamp_ns":\\d{19},"ttl_secs":300,"capabilities":' +
          '\\{"tags":\\["gpu","nat:unknown"\\],"metadata":\\{\\}\\},"signature":"[0-9a-f]{128}"\\}$',
      ),
    );
  });
});
