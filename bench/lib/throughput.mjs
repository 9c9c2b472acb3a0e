import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { batchesOf, Meter } from './meter.mjs';
import { loadPeer } from './peer.mjs';
import { WorkerProcess } from './process.mjs';

/** A sender that is never blocked still lets its event loop turn this often, in milliseconds. */
const TURN_MS = 10;

/**
 * @typedef {object} ThroughputOptions
 * @property {number} eventBytes
 * @property {number} batchLength
 * @property {number} warmupMs
 * @property {number} measureMs
 *
 * @typedef {object} ThroughputReading
 * @property {number} eventsPerSecond
 * @property {number} megabytesPerSecond
 * @property {number} receiverCores  processor time over wall time, all threads
 * @property {number} senderCores
 */

/**
 * Role in the receiving process.
 *
 * @param {ThroughputOptions & { peerId: string, shared: unknown }} options
 */
export async function receiver({ peerId, shared, warmupMs, measureMs }) {
  const meter = new Meter({ warmupMs, measureMs });
  const peer = await loadPeer(peerId);
  const end = await peer.createReceiver({ shared, echo: false, sink: meter });
  return {
    endpoint: () => end.endpoint,
    reading: () => meter.reading,
    close: () => end.close(),
  };
}

/**
 * Role in the sending process.
 *
 * @param {Pick<ThroughputOptions, 'eventBytes' | 'batchLength'> & {
 *   peerId: string, shared: unknown, endpoint: unknown, host?: string }} options
 */
export async function sender({ peerId, shared, endpoint, host, eventBytes, batchLength }) {
  const batches = batchesOf(eventBytes, batchLength);
  const peer = await loadPeer(peerId);
  const end = await peer.createSender({ shared, endpoint, host });
  let stopped = false;
  /** @type {Promise<void>} */
  let sending = Promise.resolve();
  /** @type {{ at: number, cpu: NodeJS.CpuUsage }} */
  let begin;

  async function run() {
    let turnAt = performance.now() + TURN_MS;
    for (let next = 0; !stopped; next = (next + 1) % batches.length) {
      const blocked = end.sendBatch(batches[next]);
      if (blocked !== undefined) await blocked;
      const now = performance.now();
      if (now >= turnAt) {
        await nextTurn();
        turnAt = now + TURN_MS;
      }
    }
  }

  return {
    start() {
      begin = { at: performance.now(), cpu: process.cpuUsage() };
      sending = run();
      sending.catch(() => {}); // reported by stop()
    },
    /** Answers with the share of a core used, then lets the send under way end. */
    async stop() {
      stopped = true;
      const cpu = process.cpuUsage(begin.cpu);
      const cores = (cpu.user + cpu.system) / 1000 / (performance.now() - begin.at);
      await sending;
      return { cores };
    },
    close: () => end.close(),
  };
}

/**
 * One measurement with two fresh processes.
 *
 * @param {import('./peer.mjs').Peer} peer
 * @param {unknown} shared
 * @param {ThroughputOptions} options
 * @returns {Promise<ThroughputReading>}
 */
export async function measureThroughput(peer, shared, options) {
  const common = { ...options, peerId: peer.id, shared };
  const receiving = await WorkerProcess.start(import.meta.url, 'receiver', common);
  try {
    const endpoint = await receiving.call('endpoint');
    const sending = await WorkerProcess.start(import.meta.url, 'sender', { ...common, endpoint });
    try {
      const answer = receiving.call('reading');
      await sending.call('start');
      /** @type {import('./meter.mjs').Reading} */
      const reading = await answer;
      const { cores: senderCores } = await sending.call('stop');
      if (reading.misordered > 0) {
        throw new Error(`${reading.misordered} events were lost, repeated or out of order`);
      }
      await Promise.all([sending.call('close'), receiving.call('close')]);
      return {
        eventsPerSecond: (reading.events / reading.ms) * 1e3,
        megabytesPerSecond: reading.bytes / reading.ms / 1e3,
        receiverCores: reading.cpuMs / reading.ms,
        senderCores,
      };
    } finally {
      await sending.stop();
    }
  } finally {
    await receiving.stop();
  }
}
