import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';

import { batchesOf } from './meter.mjs';
import { loadPeer } from './peer.mjs';
import { WorkerProcess } from './process.mjs';

/**
 * What a peer in `peers/` has as `channels`, when it takes part in P6: one publisher, and subscribers
 * that each get everything.
 *
 * @typedef {object} Channels
 * @property {(options: { shared: any, subscribers: number }) => Promise<Publisher>} createPublisher
 * @property {(options: { shared: any, endpoint: any, index: number,
 *   onEvent: (event: Uint8Array) => void }) => Promise<{ close: () => Promise<void> }>} createSubscriber
 *
 * @typedef {object} Publisher
 * @property {unknown} endpoint  what subscribers need to find it
 * @property {(events: Buffer[]) => Promise<void> | undefined} publish
 *   hands over a batch; a promise means "wait for it before the next batch"
 * @property {() => Promise<void>} settle  resolves when nothing is under way any more
 * @property {() => Promise<void>} close
 */

/** Subscribers share this many processes: one each would be more than most machines have cores. */
const SUBSCRIBER_PROCESSES = 2;
const TURN_MS = 10;

/**
 * Role in the publishing process.
 *
 * @param {{ peerId: string, shared: unknown, subscribers: number,
 *   eventBytes: number, batchLength: number }} options
 */
export async function publisher({ peerId, shared, subscribers, eventBytes, batchLength }) {
  const batches = batchesOf(eventBytes, batchLength);
  const peer = await loadPeer(peerId);
  const end = await channelsOf(peer).createPublisher({ shared, subscribers });
  let stopped = false;
  /** @type {Promise<void>} */
  let publishing = Promise.resolve();

  async function run() {
    let turnAt = performance.now() + TURN_MS;
    for (let next = 0; !stopped; next = (next + 1) % batches.length) {
      const blocked = end.publish(batches[next]);
      if (blocked !== undefined) await blocked;
      const now = performance.now();
      if (now >= turnAt) {
        await nextTurn();
        turnAt = now + TURN_MS;
      }
    }
  }

  return {
    endpoint: () => end.endpoint,
    start() {
      publishing = run();
      publishing.catch(() => {}); // reported by stop()
    },
    async stop() {
      stopped = true;
      await publishing;
      await end.settle();
    },
    close: () => end.close(),
  };
}

/**
 * Role in a subscribing process.
 *
 * @param {{ peerId: string, shared: unknown, endpoint: unknown, first: number, count: number }} options
 */
export async function subscribers({ peerId, shared, endpoint, first, count }) {
  const peer = await loadPeer(peerId);
  let events = 0;
  let misordered = 0;
  const ends = [];
  for (let index = first; index < first + count; index++) {
    // The first byte of an event is its place in the publisher's ring.
    let expected = 0;
    const onEvent = (/** @type {Uint8Array} */ event) => {
      const mark = event[0];
      if (mark !== expected) misordered++;
      expected = (mark + 1) & 255;
      events++;
    };
    ends.push(await channelsOf(peer).createSubscriber({ shared, endpoint, index, onEvent }));
  }
  return {
    count: () => ({ events, misordered, at: performance.now() }),
    async close() {
      for (const end of ends) await end.close();
    },
  };
}

/**
 * Payloads per second, summed over all subscribers; everything is to come in order.
 *
 * @param {import('./peer.mjs').Peer} peer
 * @param {unknown} shared
 * @param {{ width: number, eventBytes: number, batchLength: number, warmupMs: number,
 *   measureMs: number }} options
 */
export async function measurePublishing(peer, shared, options) {
  const { width, warmupMs, measureMs } = options;
  const common = { ...options, peerId: peer.id, shared };
  /** @type {WorkerProcess[]} */
  const workers = [];
  try {
    const publishing = await WorkerProcess.start(import.meta.url, 'publisher', {
      ...common,
      subscribers: width,
    });
    workers.push(publishing);
    const endpoint = await publishing.call('endpoint');
    const processes = Math.min(SUBSCRIBER_PROCESSES, width);
    const count = width / processes;
    /** @type {WorkerProcess[]} */
    const subscribing = [];
    for (let index = 0; index < processes; index++) {
      const part = { ...common, endpoint, first: index * count, count };
      const worker = await WorkerProcess.start(import.meta.url, 'subscribers', part);
      workers.push(worker);
      subscribing.push(worker);
    }
    await publishing.call('start');
    await pause(warmupMs);
    const before = await Promise.all(subscribing.map((each) => each.call('count')));
    await pause(measureMs);
    const after = await Promise.all(subscribing.map((each) => each.call('count')));
    await publishing.call('stop');
    if (after.some(({ misordered }) => misordered > 0)) {
      throw new Error('payloads were lost, repeated or out of order');
    }
    await Promise.all(subscribing.map((each) => each.call('close')));
    await publishing.call('close');
    return after.reduce((sum, { events, at }, index) => {
      const begin = before[index];
      return sum + ((events - begin.events) / (at - begin.at)) * 1e3;
    }, 0);
  } finally {
    for (const worker of workers) await worker.stop();
  }
}

/** @param {import('./peer.mjs').Peer} peer */
function channelsOf(peer) {
  if (peer.channels === undefined) throw new Error(`${peer.id} has no channels`);
  return peer.channels;
}
