import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { loadPeer } from './peer.mjs';
import { WorkerProcess } from './process.mjs';

/** Handshakes under way at once. */
const IN_FLIGHT = 32;

/** Time for a peer to settle before its memory is read. */
const SETTLE_MS = 1_500;

/** Connected before memory is read for the first time: what the first peers bring in once. */
const FIRST_PEERS = 16;

/** Cores of the two processes, when processes can be bound to cores here. */
const ACCEPTOR_CORE = 0;
const DIALLER_CORE = 1;

/**
 * @typedef {object} RateOptions
 * @property {number} acceptors  nodes in the accepting process
 * @property {number} warmup     handshakes before the clock starts
 * @property {number} dials      handshakes that are timed
 *
 * @typedef {object} RateReading
 * @property {number} perSecond           by the clock
 * @property {number} perAcceptorCpuSecond  by the accepting process's processor time
 *
 * @typedef {object} MemoryOptions
 * @property {number} peers
 *
 * @typedef {object} MemoryReading
 * @property {number} kibPerPeer  growth of the accepting process's resident memory
 */

/**
 * Role in the accepting process.
 *
 * @param {{ peerId: string, shared: unknown, nodes: number }} options
 */
export async function acceptor({ peerId, shared, nodes }) {
  const { handshakes } = await loadPeer(peerId);
  if (handshakes === undefined) throw new Error(`${peerId} takes no part in this scenario`);
  const end = await handshakes.createAcceptor({ shared, nodes });
  return {
    endpoint: () => end.endpoint,
    peers: () => end.peers(),
    cpuMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e3;
    },
    async residentKib() {
      await sleep(SETTLE_MS);
      globalThis.gc?.();
      globalThis.gc?.();
      return process.memoryUsage.rss() / 1024;
    },
    close: () => end.close(),
  };
}

/**
 * Role in the dialling process.
 *
 * @param {{ peerId: string, shared: unknown, endpoint: unknown, dials: number }} options
 */
export async function dialler({ peerId, shared, endpoint, dials }) {
  const { handshakes } = await loadPeer(peerId);
  if (handshakes === undefined) throw new Error(`${peerId} takes no part in this scenario`);
  const end = await handshakes.createDialler({ shared, endpoint, dials });
  let next = 0;
  return {
    /** @param {number} count how many of the remaining dials to make; answers with the time taken */
    async dial(count) {
      const last = next + count;
      const begin = performance.now();
      const lane = async () => {
        while (next < last) await end.dial(next++);
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
      return performance.now() - begin;
    },
    close: () => end.close(),
  };
}

/**
 * @param {import('./peer.mjs').Peer} peer
 * @param {unknown} shared
 * @param {RateOptions} options
 * @returns {Promise<RateReading>}
 */
export async function measureHandshakes(peer, shared, { acceptors, warmup, dials }) {
  const run = { nodes: acceptors, dials: warmup + dials };
  return withBothEnds(peer, shared, run, async (accepting, dialling) => {
    await dialling.call('dial', warmup);
    const cpuBefore = await accepting.call('cpuMs');
    const ms = await dialling.call('dial', dials);
    const cpuMs = (await accepting.call('cpuMs')) - cpuBefore;
    return { perSecond: (dials / ms) * 1e3, perAcceptorCpuSecond: (dials / cpuMs) * 1e3 };
  });
}

/**
 * @param {import('./peer.mjs').Peer} peer
 * @param {unknown} shared
 * @param {MemoryOptions} options
 * @returns {Promise<MemoryReading>}
 */
export async function measureMemory(peer, shared, { peers }) {
  const run = { nodes: 1, dials: FIRST_PEERS + peers };
  return withBothEnds(peer, shared, run, async (accepting, dialling) => {
    await dialling.call('dial', FIRST_PEERS);
    const before = await accepting.call('residentKib');
    await dialling.call('dial', peers);
    const after = await accepting.call('residentKib');
    const connected = await accepting.call('peers');
    if (connected !== FIRST_PEERS + peers) {
      throw new Error(`${connected} of ${FIRST_PEERS + peers} peers are connected`);
    }
    return { kibPerPeer: (after - before) / peers };
  });
}

/**
 * @template T
 * @param {import('./peer.mjs').Peer} peer
 * @param {unknown} shared
 * @param {{ nodes: number, dials: number }} run
 * @param {(accepting: WorkerProcess, dialling: WorkerProcess) => Promise<T>} measure
 * @returns {Promise<T>}
 */
async function withBothEnds(peer, shared, { nodes, dials }, measure) {
  const common = { peerId: peer.id, shared };
  const accepting = await WorkerProcess.start(
    import.meta.url,
    'acceptor',
    { ...common, nodes },
    { core: ACCEPTOR_CORE, execArgv: ['--expose-gc'] },
  );
  try {
    const endpoint = await accepting.call('endpoint');
    const dialling = await WorkerProcess.start(
      import.meta.url,
      'dialler',
      { ...common, endpoint, dials },
      { core: DIALLER_CORE },
    );
    try {
      const reading = await measure(accepting, dialling);
      await dialling.call('close');
      await accepting.call('close');
      return reading;
    } finally {
      await dialling.stop();
    }
  } finally {
    await accepting.stop();
  }
}
