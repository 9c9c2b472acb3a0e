import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { WorkerProcess } from './process.mjs';

const SDK = new URL('../../dist/index.js', import.meta.url);
const CAPABILITIES = new URL('../../dist/capabilities.js', import.meta.url);

/** Nodes that the index holds. */
export const NODES = 10_000;
/** Fed before memory is read for the first time: what the first nodes bring in once. */
const FIRST_NODES = 256;
/** Each may send 8192 announcements at once. */
const NEIGHBOURS = 3;
const UPDATES = 2_000;
/** Announcements per call to the process that is measured. */
const CHUNK = 256;
const QUERIES = 2_000;
const SLOW_QUERIES = 100;
/** Tags that one node in as many has. */
const POOLS = 100;
const TENANTS = 20;
const REGIONS = 8;
/** Has come as far as it goes, so that nothing is passed on to the other neighbours. */
const HOP_COUNT = 15;
const TTL_SECONDS = 3_600;
const CONFIG = { bindAddr: '127.0.0.1:0', psk: '42'.repeat(32) };

/** Replays the same numbers for the same seed. */
class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed;
  }

  /** @param {number} bound */
  below(bound) {
    // xorshift32
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    this.#state >>>= 0;
    return this.#state % bound;
  }
}

/**
 * What a synthetic node can do: a machine, its software, a model, and tags that few share.
 *
 * @param {Random} random
 * @param {number} at
 */
function capabilitiesOf(random, at) {
  const cpuCores = 8 << random.below(4);
  const gpu = {
    vendor: 'nvidia',
    model: random.below(2) === 0 ? 'a100' : 'h100',
    vramGb: random.below(2) === 0 ? 40 : 80,
  };
  return {
    hardware: {
      cpuCores,
      cpuThreads: 2 * cpuCores,
      memoryGb: 16 << random.below(6),
      ...(random.below(4) === 0 && { gpu }),
    },
    software: { os: 'linux', osVersion: '6.1', runtimes: [['node', `20.${random.below(20)}`]] },
    models: [{ modelId: `model-${random.below(50)}`, contextLength: 8192 << random.below(5) }],
    tags: [
      `pool:${at % POOLS}`,
      `scope:tenant:t${random.below(TENANTS)}`,
      `scope:region:r${random.below(REGIONS)}`,
    ],
  };
}

/** A node of the mesh that is nothing but its announcements. */
class SyntheticNode {
  /**
   * @param {any} Identity
   * @param {{ tags: string[], metadata: Record<string, string> }} capabilities
   */
  constructor(Identity, { tags, metadata }) {
    this.identity = Identity.generate();
    this.nodeId = this.identity.nodeId;
    this.tags = tags;
    this.metadata = metadata;
    this.version = BigInt(Date.now());
  }

  /** What a neighbour passes on, signed by its origin. */
  announcement() {
    const head =
      `{"node_id":${this.nodeId},"entity_id":"${this.identity.entityId.toString('hex')}",` +
      `"version":${this.version},"timestamp_ns":${BigInt(Date.now()) * 1_000_000n},` +
      `"ttl_secs":${TTL_SECONDS},"capabilities":` +
      JSON.stringify({ tags: this.tags, metadata: this.metadata });
    const signature = this.identity.sign(Buffer.from(`${head}}`)).toString('hex');
    return Buffer.from(`${head},"signature":"${signature}","hop_count":${HOP_COUNT}}`);
  }

  /** The next announcement, with a tag that nobody else has. */
  update() {
    this.version += 1n;
    this.tags = [...this.tags.filter((tag) => !tag.startsWith('load:')), `load:${this.version}`];
    this.tags.sort();
    return this.announcement();
  }
}

/**
 * Feeds announcements to the index as if neighbours had passed them on, each neighbour in turn: a node
 * limits what one of them may send. Returns the milliseconds that it took.
 *
 * @param {any} node
 * @param {bigint[]} neighbours
 * @param {Buffer[]} documents
 */
function feed(node, neighbours, documents) {
  const started = performance.now();
  documents.forEach((document, at) => {
    const from = neighbours[at % neighbours.length];
    const received = node._testInjectAnnouncement(from, document);
    if (received !== 'indexed') throw new Error(`an announcement was not indexed: ${received}`);
  });
  return performance.now() - started;
}

/**
 * Nodes in this process, connected to one.
 *
 * @param {any} sdk
 * @param {any} node
 */
async function neighboursOf(sdk, node) {
  const neighbours = [];
  for (let at = 0; at < NEIGHBOURS; at++) {
    const neighbour = await sdk.MeshNode.create(CONFIG);
    await neighbour.start();
    await node.connect(neighbour.localAddr(), neighbour.publicKey(), neighbour.nodeId());
    neighbours.push(neighbour);
  }
  return neighbours;
}

async function residentKib() {
  await sleep(200);
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1024;
}

/** Median microseconds per call, over a few stretches. */
function microsPerCall(calls, run) {
  const stretches = [];
  // Compiled, and in the caches.
  for (let call = 0; call < calls; call++) run(call);
  for (let stretch = 0; stretch < 5; stretch++) {
    const started = performance.now();
    for (let call = 0; call < calls; call++) run(call);
    stretches.push(((performance.now() - started) * 1e3) / calls);
  }
  return stretches.sort((a, b) => a - b)[2];
}

/** Role in a process of its own: what it leaves behind in memory is none of the index's. */
export async function writer() {
  const { Identity } = await import(SDK.href);
  const { capabilitySetToWire } = await import(CAPABILITIES.href);
  const random = new Random(9);
  const nodes = Array.from(
    { length: FIRST_NODES + NODES },
    (_, at) => new SyntheticNode(Identity, capabilitySetToWire(capabilitiesOf(random, at))),
  );
  return {
    announcements: () => nodes.map((node) => node.announcement()),
    updates: () => nodes.slice(0, UPDATES).map((node) => node.update()),
  };
}

/** Role in the process that is measured. */
export async function index() {
  const sdk = await import(SDK.href);
  const node = await sdk.MeshNode.create(CONFIG);
  await node.start();
  const neighbours = await neighboursOf(sdk, node);
  const from = neighbours.map((each) => each.nodeId());

  const tag = (at) => ({ requireTags: [`pool:${at % POOLS}`] });
  const numeric = (at) => ({ ...tag(at), minMemoryGb: 256 });
  const gpus = { requireTags: ['hardware.gpu'] };
  const tenant = (at) => ({ kind: 'tenant', tenant: `t${at % TENANTS}` });
  const best = { filter: { requireGpu: true }, preferMoreMemory: 1, preferMoreVram: 0.5 };
  const matcher = { kind: 'prefix', value: 'hardware.gpu' };
  const groupBy = { kind: 'tagValue', axis: 'hardware', key: 'gpu.model' };
  return {
    feed: (documents) => feed(node, from, documents),
    residentKib,
    query: () => ({
      found: node.findNodes({}).length,
      tagFound: node.findNodes(tag(0)).length,
      numericFound: node.findNodes(numeric(0)).length,
      scopedFound: node.findNodesScoped(gpus, tenant(0)).length,
      tagMicros: microsPerCall(QUERIES, (at) => node.findNodes(tag(at))),
      numericMicros: microsPerCall(QUERIES, (at) => node.findNodes(numeric(at))),
      scopedMicros: microsPerCall(QUERIES, (at) => node.findNodesScoped(gpus, tenant(at))),
      bestMicros: microsPerCall(SLOW_QUERIES, () => node.findBestNode(best)),
      aggregateMicros: microsPerCall(SLOW_QUERIES, () =>
        node.capabilityAggregate(matcher, groupBy, { kind: 'count' }),
      ),
    }),
    async close() {
      for (const each of [node, ...neighbours]) await each.shutdown();
    },
  };
}

/** Everything that the writer has to say. */
async function write() {
  const process = await WorkerProcess.start(import.meta.url, 'writer', {});
  try {
    const announcements = (await process.call('announcements')).map(Buffer.from);
    return { announcements, updates: (await process.call('updates')).map(Buffer.from) };
  } finally {
    await process.stop();
  }
}

/**
 * One reading of every metric of P9, in a fresh process.
 *
 * @returns {Promise<Record<string, number>>}
 */
export async function measureCapabilities() {
  const { announcements, updates } = await write();
  const execArgv = ['--expose-gc'];
  const worker = await WorkerProcess.start(import.meta.url, 'index', {}, { execArgv });
  /** Milliseconds that it took to take them in. */
  const feedAll = async (documents) => {
    let ms = 0;
    for (let at = 0; at < documents.length; at += CHUNK) {
      ms += await worker.call('feed', documents.slice(at, at + CHUNK));
    }
    return ms;
  };
  try {
    await feedAll(announcements.slice(0, FIRST_NODES));
    const before = await worker.call('residentKib');
    await feedAll(announcements.slice(FIRST_NODES));
    const kibPerNode = ((await worker.call('residentKib')) - before) / NODES;
    const updateMicros = ((await feedAll(updates)) * 1e3) / UPDATES;
    const { found, ...answers } = await worker.call('query');
    if (found !== announcements.length) throw new Error(`the index holds ${found} nodes`);
    return { ...answers, kibPerNode, updateMicros };
  } finally {
    await worker.call('close').catch(() => {});
    await worker.stop();
  }
}
