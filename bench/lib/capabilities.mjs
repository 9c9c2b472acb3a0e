import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { WorkerProcess } from './process.mjs';

const SDK = new URL('../../dist/index.js', import.meta.url);
const CAPABILITIES = new URL('../../dist/capabilities.js', import.meta.url);

/** Nodes that the index holds. */
export const NODES = 10_000;
/** Fed before memory is read for the first time: what the first nodes bring in once. */
const FIRST_NODES = 256;
/** Announcements handed over before the index is asked whether it has them. */
const CHUNK = 500;
const UPDATES = 2_000;
const QUERIES = 2_000;
const SLOW_QUERIES = 100;
/** Tags that one node in as many has. */
const POOLS = 100;
const TENANTS = 20;
const REGIONS = 8;
const WAIT_MS = 30_000;
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
   * @param {any} sdk
   * @param {Random} random
   * @param {number} at
   */
  constructor(sdk, random, at) {
    this.sdk = sdk;
    this.identity = sdk.Identity.generate();
    this.nodeId = this.identity.nodeId;
    const { tags, metadata } = sdk.capabilitySetToWire(capabilitiesOf(random, at));
    this.tags = tags;
    this.metadata = metadata;
    this.version = BigInt(Date.now());
  }

  /** What a neighbour passes on: signed by its origin, one hop away. */
  announcement() {
    const head =
      `{"node_id":${this.nodeId},"entity_id":"${this.identity.entityId.toString('hex')}",` +
      `"version":${this.version},"timestamp_ns":${BigInt(Date.now()) * 1_000_000n},` +
      `"ttl_secs":${TTL_SECONDS},"capabilities":` +
      JSON.stringify({ tags: this.tags, metadata: this.metadata });
    const signature = this.identity.sign(Buffer.from(`${head}}`)).toString('hex');
    return Buffer.from(`${head},"signature":"${signature}","hop_count":1}`);
  }

  /** The next announcement, with a tag that nobody else has. */
  update() {
    this.version += 1n;
    this.tags = [...this.tags.filter((tag) => !tag.startsWith('load:')), `load:${this.version}`];
    this.tags.sort();
    return this.announcement();
  }
}

/** Waits until `ready` holds, without keeping the process busy. */
async function until(ready, what) {
  const deadline = performance.now() + WAIT_MS;
  while (!ready()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${WAIT_MS / 1000} s`);
    await sleep(1);
  }
}

/** Feeds nodes to the index, and waits until it has them all. A node limits what one peer may send. */
async function feed(node, synthetic) {
  const before = node.findNodes({}).length;
  for (let at = 0; at < synthetic.length; at += CHUNK) {
    const chunk = synthetic.slice(at, at + CHUNK);
    const documents = chunk.map((each) => each.announcement());
    const wanted = before + at + chunk.length;
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      for (const document of documents) node._testInjectAnnouncement(document);
      const settled = performance.now() + 1_000;
      while (node.findNodes({}).length < wanted && performance.now() < settled) await sleep(1);
      if (node.findNodes({}).length >= wanted) break;
      if (performance.now() > deadline) throw new Error('the index does not fill');
    }
  }
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
  run();
  for (let stretch = 0; stretch < 5; stretch++) {
    const started = performance.now();
    for (let call = 0; call < calls; call++) run(call);
    stretches.push(((performance.now() - started) * 1e3) / calls);
  }
  return stretches.sort((a, b) => a - b)[2];
}

/** Role in the process that is measured. */
export async function index() {
  const { capabilitySetToWire } = await import(CAPABILITIES.href);
  const sdk = { ...(await import(SDK.href)), capabilitySetToWire };
  const node = await sdk.MeshNode.create(CONFIG);
  const random = new Random(9);
  const synthetic = Array.from(
    { length: FIRST_NODES + NODES },
    (_, at) => new SyntheticNode(sdk, random, at),
  );
  // Signing takes memory that JavaScript keeps; what stays from here on is the index.
  for (const each of synthetic) each.announcement();

  return {
    async measure() {
      await feed(node, synthetic.slice(0, FIRST_NODES));
      const before = await residentKib();
      await feed(node, synthetic.slice(FIRST_NODES));
      const kibPerNode = ((await residentKib()) - before) / NODES;

      const tag = (at) => ({ requireTags: [`pool:${at % POOLS}`] });
      const numeric = (at) => ({ ...tag(at), minMemoryGb: 256 });
      const gpus = { requireTags: ['hardware.gpu'] };
      const tenant = (at) => ({ kind: 'tenant', tenant: `t${at % TENANTS}` });
      const best = { filter: { requireGpu: true }, preferMoreMemory: 1, preferMoreVram: 0.5 };
      const matcher = { kind: 'prefix', value: 'hardware.gpu' };
      const groupBy = { kind: 'tagValue', axis: 'hardware', key: 'gpu.model' };
      return {
        kibPerNode,
        tagFound: node.findNodes(tag(0)).length,
        numericFound: node.findNodes(numeric(0)).length,
        scopedFound: node.findNodesScoped(gpus, tenant(0)).length,
        tagMicros: microsPerCall(QUERIES, (at = 0) => node.findNodes(tag(at))),
        numericMicros: microsPerCall(QUERIES, (at = 0) => node.findNodes(numeric(at))),
        scopedMicros: microsPerCall(QUERIES, (at = 0) => node.findNodesScoped(gpus, tenant(at))),
        bestMicros: microsPerCall(SLOW_QUERIES, () => node.findBestNode(best)),
        aggregateMicros: microsPerCall(SLOW_QUERIES, () =>
          node.capabilityAggregate(matcher, groupBy, { kind: 'count' }),
        ),
        updateMicros: await measureUpdates(node, synthetic),
      };
    },
    close: () => node.shutdown(),
  };
}

/** Parsing, verifying, passing on and indexing, as many as one peer may send at once. */
async function measureUpdates(node, synthetic) {
  // What a peer may send fills up again while nothing comes.
  await sleep(UPDATES / 0.5);
  const updates = synthetic.slice(0, UPDATES).map((each) => each.update());
  const last = {
    requireTags: [synthetic[UPDATES - 1].tags.find((tag) => tag.startsWith('load:'))],
  };
  const started = performance.now();
  for (const document of updates) node._testInjectAnnouncement(document);
  await until(() => node.findNodes(last).length === 1, 'the last update');
  return ((performance.now() - started) * 1e3) / UPDATES;
}

/**
 * One reading of every metric of P9, in a fresh process.
 *
 * @returns {Promise<Record<string, number>>}
 */
export async function measureCapabilities() {
  const worker = await WorkerProcess.start(
    import.meta.url,
    'index',
    {},
    { execArgv: ['--expose-gc'] },
  );
  try {
    return await worker.call('measure');
  } finally {
    await worker.call('close').catch(() => {});
    await worker.stop();
  }
}
