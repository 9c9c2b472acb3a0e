import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { loadPeer } from './peer.mjs';
import { WorkerProcess } from './process.mjs';

const { Network, linksUnavailable } = createRequire(import.meta.url)('../../test/support/link.cjs');

const EVENT_BYTES = 8192;
const BATCH_LENGTH = 16;
const SENDER_MODULE = new URL('./throughput.mjs', import.meta.url).href;
/** Flows that share a link begin this far apart, as they would outside. */
const FLOW_STAGGER_MS = 300;

/**
 * Why there can be no emulated link here, or none with this congestion control in the kernel; else null.
 *
 * @param {{ congestion?: string }} [needs]
 * @returns {string | null}
 */
export function requireLinks({ congestion } = {}) {
  const reason = linksUnavailable();
  if (reason !== undefined) return reason;
  const known = readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8');
  if (congestion !== undefined && !known.trim().split(' ').includes(congestion)) {
    return `the kernel has no ${congestion} (modprobe tcp_${congestion})`;
  }
  return null;
}

/**
 * Role in a receiving process: counts bytes.
 *
 * @param {{ peerId: string, shared: unknown, host: string }} options
 */
export async function receiver({ peerId, shared, host }) {
  let bytes = 0;
  const sink = {
    event: (
      /** @type {Uint8Array} */ _,
      /** @type {number} */ __,
      /** @type {number} */ length,
    ) => {
      bytes += length;
    },
  };
  const peer = await loadPeer(peerId);
  const end = await peer.createReceiver({ shared, echo: false, sink, host });
  return {
    endpoint: () => end.endpoint,
    count: () => ({ at: performance.now(), bytes }),
  };
}

/**
 * Two namespaces and the link between them.
 *
 * @typedef {object} Course
 * @property {any} network
 * @property {any} link
 */

/**
 * @param {Record<string, unknown>} conditions
 * @param {number} seed
 * @returns {Promise<Course>}
 */
export async function openCourse(conditions, seed) {
  const network = new Network();
  try {
    const link = await network.link(network.namespace(), network.namespace(), { conditions, seed });
    return { network, link };
  } catch (error) {
    await network.close();
    throw error;
  }
}

/**
 * Connections made from now on use this congestion control. It is a property of the route: the kernel lets a
 * namespace other than the first choose only some by sysctl.
 *
 * @param {any} link
 * @param {string} congestion
 */
function useCongestionControl({ a, b, device }, congestion) {
  for (const namespace of [a, b]) {
    const [{ dst }] = JSON.parse(namespace.ip('-j', 'route', 'show', 'dev', device));
    namespace.ip('route', 'change', dst, 'dev', device, 'congctl', congestion);
  }
}

/**
 * Flows over one link, each with a sender and a receiver of its own: megabytes per second of payload that
 * reached JavaScript, one figure for each.
 *
 * @param {Array<{ peer: import('./peer.mjs').Peer, shared: unknown }>} flows
 * @param {{ conditions: Record<string, unknown>, seed: number, warmupMs: number, measureMs: number }} options
 * @returns {Promise<number[]>}
 */
export async function measureFlows(flows, { conditions, seed, warmupMs, measureMs }) {
  const { network, link } = await openCourse(conditions, seed);
  /** @type {WorkerProcess[]} */
  const workers = [];
  try {
    /** @type {WorkerProcess[]} */
    const receivers = [];
    for (const { peer, shared } of flows) {
      if (peer.congestion !== undefined) useCongestionControl(link, peer.congestion);
      const common = {
        peerId: peer.id,
        shared,
        eventBytes: EVENT_BYTES,
        batchLength: BATCH_LENGTH,
      };
      const receiving = await WorkerProcess.start(
        import.meta.url,
        'receiver',
        { ...common, host: link.addrB },
        { namespace: link.b },
      );
      workers.push(receiving);
      receivers.push(receiving);
      const endpoint = await receiving.call('endpoint');
      const sending = await WorkerProcess.start(
        SENDER_MODULE,
        'sender',
        { ...common, endpoint, host: link.addrA },
        { namespace: link.a },
      );
      workers.push(sending);
      await sending.call('start');
      if (flows.length > 1) await sleep(FLOW_STAGGER_MS);
    }
    await sleep(warmupMs);
    const begin = await Promise.all(receivers.map((each) => each.call('count')));
    await sleep(measureMs);
    const end = await Promise.all(receivers.map((each) => each.call('count')));
    return begin.map(
      (first, index) => (end[index].bytes - first.bytes) / (end[index].at - first.at) / 1e3,
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await network.close();
  }
}
