// The process whose memory is watched: a node that many peers come to, talk with, and leave in every way.

import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { MeshNode } from 'netmesh';

import {
  COUNTED_STREAM,
  ECHO_STREAM,
  HEARTBEAT_MS,
  LARGE_STREAM,
  PSK,
  SESSION_TIMEOUT_MS,
} from './traffic.mjs';

const [leakKibPerSecond] = process.argv.slice(2).map(Number);

const node = await MeshNode.create({
  bindAddr: '127.0.0.1:0',
  psk: PSK,
  heartbeatIntervalMs: HEARTBEAT_MS,
  sessionTimeoutMs: SESSION_TIMEOUT_MS,
});
await node.start();

const totals = { messages: 0, bytes: 0, large: 0, misordered: 0, peersUp: 0, peersDown: 0 };
/** By peer: the mark of its life, and what its next counted event is. */
const expected = new Map();
/** By peer: ends what waits for a peer that is gone. */
const presence = new Map();
node.on('peer:up', ({ nodeId }) => {
  totals.peersUp++;
  presence.set(nodeId, new AbortController());
});
node.on('peer:down', ({ nodeId }) => {
  totals.peersDown++;
  presence.get(nodeId)?.abort();
  presence.delete(nodeId);
});

/** Counted events of one life count from 0, without a gap. */
function check(peer, data) {
  const number = data.readUInt32LE(0);
  const life = data.readUInt32LE(4);
  const known = expected.get(peer);
  if (number !== (known?.life === life ? known.next : 0)) totals.misordered++;
  expected.set(peer, { life, next: number + 1 });
}

/** The echo under way, for who wonders why nothing moves. */
let echoing;

/** Peers leave in the middle of anything: a send that fails for that reason is expected. */
async function echo(peer, data) {
  const signal = presence.get(peer)?.signal;
  // A silent peer may come back: a send to it waits until the session is forgotten.
  if (signal === undefined) return;
  echoing = { peer, since: performance.now() };
  try {
    const stream = node.openStream(peer, { streamId: ECHO_STREAM, reliability: 'reliable' });
    await node.sendBlocking(stream, [data], { signal });
  } catch (error) {
    const gone = ['NotConnectedError', 'ConnectionError', 'ShutDownError', 'BackpressureError'];
    if (!gone.includes(error.name) && !signal.aborted) throw error;
  } finally {
    echoing = undefined;
  }
}

async function consume() {
  for await (const { peerNodeId, streamId, data } of node.messages()) {
    totals.messages++;
    totals.bytes += data.length;
    if (streamId === LARGE_STREAM) totals.large++;
    if (streamId !== COUNTED_STREAM) continue;
    check(peerNodeId, data);
    // An echo that has to wait holds everything behind it up, and so the peers: backpressure.
    await echo(peerNodeId, data);
  }
}
const consumed = consume();

/** Nothing has come for so long: what was sent has been taken. */
const QUIET_MS = 200;

const began = performance.now();
const samples = [];
const leaked = [];

/** Takes a sample at rest, so that what waits to be consumed is not taken for a leak. */
async function sample() {
  for (let before = -1; before !== totals.messages || echoing; await sleep(QUIET_MS)) {
    before = totals.messages;
  }
  globalThis.gc();
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  const seconds = (performance.now() - began) / 1e3;
  if (leakKibPerSecond > 0) {
    const since = samples.at(-1)?.seconds ?? 0;
    leaked.push(Buffer.alloc(Math.round(leakKibPerSecond * 1024 * (seconds - since)), 1));
  }
  samples.push({
    seconds,
    ...{ rss, heapUsed, external, arrayBuffers },
    descriptors: fs.readdirSync('/proc/self/fd').length,
    threads: fs.readdirSync('/proc/self/task').length,
    peers: node.peerCount(),
  });
}

process.on('message', async (message) => {
  if (message === 'state') {
    const waiting = echoing && { peer: echoing.peer, forMs: performance.now() - echoing.since };
    process.send({ state: { echoing: waiting, totals, peers: node.peers() } });
  } else if (message === 'sample') {
    await sample();
    process.send({ samples: samples.length });
  } else if (message === 'end') {
    const nodeStats = node.stats();
    await node.shutdown();
    await consumed;
    process.send({ samples, totals, nodeStats, leaked: leaked.length });
  }
});
process.on('disconnect', () => process.exit());
process.on('SIGINT', () => {});
process.send({ addr: node.localAddr(), publicKey: node.publicKey(), nodeId: node.nodeId() });
