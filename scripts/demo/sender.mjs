// The sending process: sends the file, measures round trips, and tries what must be refused.

import { createHash, randomBytes } from 'node:crypto';

import { MeshNode } from 'netmesh';
import { generateNetKeypair } from 'netmesh/core';

import { serve } from './serve.mjs';
import { openSource } from './source.mjs';
import {
  EVENT_BYTES,
  FILE_STREAM,
  FILE_WINDOW_BYTES,
  PING_STREAM,
  VERDICT_STREAM,
  WINDOW_STREAM,
  cpuSeconds,
} from './streams.mjs';

const PING_BYTES = 64;
const PING_WARMUP = 200;
const PINGS = 3000;
/** Round trips are measured for about so long at most. */
const PING_MS = 1000;

/** A refused handshake gets no answer: these nodes do not wait long for one. */
const IMPATIENT = { handshakeTimeoutMs: 400, handshakeRetries: 1 };

const WINDOW_BYTES = 16 * 1024;
const WINDOW_EVENT = Buffer.alloc(1024, 1);
const EVENTS_WITHIN_WINDOW = 4;
/** Twice the window, in one batch. */
const EVENTS_BEYOND_WINDOW = (2 * WINDOW_BYTES) / WINDOW_EVENT.length;

let psk;
let node;
let receiver;

function openStream(streamId, windowBytes) {
  return node.openStream(receiver.nodeId, { streamId, reliability: 'reliable', windowBytes });
}

function split(chunk) {
  const events = [];
  for (let at = 0; at < chunk.length; at += EVENT_BYTES) {
    events.push(chunk.subarray(at, at + EVENT_BYTES));
  }
  return events;
}

/** Sends the file piece by piece; at no time is more of it in memory than the window. */
async function send({ source }) {
  const hash = createHash('sha256');
  const verdicts = node.readStream(receiver.nodeId, VERDICT_STREAM);
  const stream = openStream(FILE_STREAM, FILE_WINDOW_BYTES);
  const cpu = process.cpuUsage();
  const begin = process.hrtime.bigint();
  let bytes = 0;
  for await (const chunk of openSource(source)) {
    hash.update(chunk);
    bytes += chunk.length;
    await node.sendBlocking(stream, split(chunk));
  }
  node.closeStream(receiver.nodeId, FILE_STREAM);
  if (bytes !== source.bytes) {
    throw new Error(`${source.name} has changed: ${bytes} bytes instead of ${source.bytes}`);
  }

  const claim = Buffer.from(JSON.stringify({ bytes, sha256: hash.copy().digest('hex') }));
  await node.sendBlocking(openStream(VERDICT_STREAM), [claim]);
  const { value: verdict } = await verdicts.next();
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  const [peer] = node.peers();
  return {
    bytes,
    sha256: hash.digest('hex'),
    verified: JSON.parse(verdict.data.toString()).verified,
    seconds,
    cpuSeconds: cpuSeconds(cpu),
    security: peer.security,
    aead: peer.aead,
    packetsSent: Number(peer.packetsOut),
    packetsReceived: Number(peer.packetsIn),
    packetsLost: Number(peer.packetsLost),
    bytesRetransmitted: Number(peer.bytesRetransmitted),
  };
}

/** Round trips of single small events, in microseconds, sorted. */
async function ping() {
  const stream = openStream(PING_STREAM);
  const answers = node.readStream(receiver.nodeId, PING_STREAM);
  const payload = randomBytes(PING_BYTES);
  const samples = [];
  const until = performance.now() + PING_MS;
  for (let i = 0; i < PING_WARMUP + PINGS; i++) {
    if (samples.length > 0 && performance.now() > until) break;
    const begin = process.hrtime.bigint();
    await node.sendOnStream(stream, [payload]);
    await answers.next();
    if (i >= PING_WARMUP) samples.push(Number(process.hrtime.bigint() - begin) / 1000);
  }
  samples.sort((a, b) => a - b);
  const quantile = (q) => samples[Math.max(0, Math.ceil(samples.length * q) - 1)];
  return {
    count: samples.length,
    bytes: PING_BYTES,
    p50Us: quantile(0.5),
    p99Us: quantile(0.99),
  };
}

/** What `attempt` fails with; null when it does not fail. */
async function failureOf(attempt) {
  try {
    await attempt();
    return null;
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  }
}

/** A stranger's attempt to connect to the receiver. */
async function connectAs(config, publicKey) {
  const stranger = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk, ...IMPATIENT, ...config });
  try {
    await stranger.start();
    return await failureOf(() => stranger.connect(receiver.addr, publicKey, receiver.nodeId));
  } finally {
    await stranger.shutdown();
  }
}

/** More in one batch than the stream's window admits: all of it is refused, and less is not. */
async function overrunWindow() {
  const stream = openStream(WINDOW_STREAM, WINDOW_BYTES);
  const batch = (length) => new Array(length).fill(WINDOW_EVENT);
  const failure = await failureOf(() => node.sendOnStream(stream, batch(EVENTS_BEYOND_WINDOW)));
  await node.sendOnStream(stream, batch(EVENTS_WITHIN_WINDOW));
  node.closeStream(receiver.nodeId, WINDOW_STREAM);
  return failure;
}

/** Three attempts that must fail, and what they fail with. */
async function provoke() {
  const [wrongPsk, wrongPublicKey] = await Promise.all([
    connectAs({ psk: randomBytes(32).toString('hex') }, receiver.publicKey),
    connectAs({}, generateNetKeypair().publicKey),
  ]);
  const beyondWindow = await overrunWindow();
  return { wrongPsk, wrongPublicKey, beyondWindow, windowEvents: EVENTS_WITHIN_WINDOW };
}

serve({
  async open(options) {
    ({ psk } = options);
    node = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
    await node.start();
    return { addr: node.localAddr(), nodeId: node.nodeId() };
  },
  connect(endpoint) {
    receiver = endpoint;
    return node.connect(endpoint.addr, endpoint.publicKey, endpoint.nodeId);
  },
  send,
  ping,
  provoke,
  close: () => node.shutdown(),
});
