import { performance } from 'node:perf_hooks';

import { loadPeer } from './peer.mjs';
import { WorkerProcess } from './process.mjs';
import { percentile } from './statistics.mjs';

/**
 * @typedef {object} RoundTripOptions
 * @property {number} eventBytes
 * @property {number} warmupMs
 * @property {number} measureMs
 *
 * @typedef {object} RoundTripReading
 * @property {number} p50Us
 * @property {number} p99Us
 */

/**
 * Role in the echoing process.
 *
 * @param {{ peerId: string, shared: unknown }} options
 */
export async function receiver({ peerId, shared }) {
  const peer = await loadPeer(peerId);
  const end = await peer.createReceiver({ shared, echo: true, sink: { event() {} } });
  return { endpoint: () => end.endpoint, close: () => end.close() };
}

/**
 * Role in the asking process: one event in flight, the next one when the echo is here.
 *
 * @param {RoundTripOptions & { peerId: string, shared: unknown, endpoint: unknown }} options
 */
export async function sender({ peerId, shared, endpoint, eventBytes, warmupMs, measureMs }) {
  const event = Buffer.alloc(eventBytes, 1);
  const peer = await loadPeer(peerId);
  const end = await peer.createSender({ shared, endpoint });

  /** @param {number} ms */
  async function run(ms) {
    const times = [];
    const until = performance.now() + ms;
    for (let before = performance.now(); before < until;) {
      await end.ping(event);
      const after = performance.now();
      times.push((after - before) * 1e3);
      before = after;
    }
    return times;
  }

  return {
    async measure() {
      await run(warmupMs);
      const times = Float64Array.from(await run(measureMs)).sort();
      return { p50Us: percentile(times, 0.5), p99Us: percentile(times, 0.99) };
    },
    close: () => end.close(),
  };
}

/**
 * One measurement with two fresh processes.
 *
 * @param {import('./peer.mjs').Peer} peer
 * @param {unknown} shared
 * @param {RoundTripOptions} options
 * @returns {Promise<RoundTripReading>}
 */
export async function measureRoundTrip(peer, shared, options) {
  const common = { ...options, peerId: peer.id, shared };
  const echoing = await WorkerProcess.start(import.meta.url, 'receiver', common);
  try {
    const endpoint = await echoing.call('endpoint');
    const asking = await WorkerProcess.start(import.meta.url, 'sender', { ...common, endpoint });
    try {
      const reading = await asking.call('measure');
      await Promise.all([asking.call('close'), echoing.call('close')]);
      return reading;
    } finally {
      await asking.stop();
    }
  } finally {
    await echoing.stop();
  }
}
