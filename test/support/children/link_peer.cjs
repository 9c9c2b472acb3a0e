'use strict';
// A node inside a network namespace, driven by its parent: sends and receives streams of known bytes.

const { createCipheriv, createHash } = require('node:crypto');
const { MeshNode } = require('../../../dist/index.js');

/** Bytes of one event; several fill a batch. */
const EVENT_BYTES = 8 * 1024;
const BATCH_EVENTS = 16;

let node;
/** By stream id. */
const receptions = new Map();

/** `bytes` pseudo-random bytes in batches of events; the same for the same seed. */
function* batches(seed, bytes) {
  const iv = Buffer.alloc(16);
  iv.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), iv);
  const zeros = Buffer.alloc(EVENT_BYTES * BATCH_EVENTS);
  for (let left = bytes; left > 0; left -= zeros.length) {
    const chunk = cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
    const events = [];
    for (let at = 0; at < chunk.length; at += EVENT_BYTES) {
      events.push(chunk.subarray(at, at + EVENT_BYTES));
    }
    yield { chunk, events };
  }
}

async function peerUp(peer) {
  while (!node.peers().some(({ nodeId }) => nodeId === peer)) {
    await new Promise((resolve) => node.once('peer:up', resolve));
  }
}

/** Hashes a stream to its end. */
async function receive(reception, peer, streamId) {
  await peerUp(peer);
  const hash = createHash('sha256');
  reception.lastAt = performance.now();
  for await (const { data } of node.readStream(peer, streamId)) {
    const now = performance.now();
    reception.longestPauseMs = Math.max(reception.longestPauseMs, now - reception.lastAt);
    reception.lastAt = now;
    hash.update(data);
    reception.bytes += data.length;
    reception.endNs = process.hrtime.bigint();
  }
  return {
    bytes: reception.bytes,
    sha256: hash.digest('hex'),
    longestPauseMs: reception.longestPauseMs,
    endNs: reception.endNs,
  };
}

const methods = {
  async open(config) {
    node = await MeshNode.create({ psk: '42'.repeat(32), ...config });
    await node.start();
    return { addr: node.localAddr(), publicKey: node.publicKey(), nodeId: node.nodeId() };
  },
  connect: ({ addr, publicKey, nodeId }) => node.connect(addr, publicKey, nodeId),
  /** Gets ready for a stream; `received` has what came. */
  expect({ peer, streamId }) {
    const reception = { bytes: 0, longestPauseMs: 0, lastAt: 0, endNs: 0n };
    reception.result = receive(reception, peer, streamId);
    reception.result.catch(() => {});
    receptions.set(streamId, reception);
  },
  received: ({ streamId }) => receptions.get(streamId).result,
  /** Bytes received so far. */
  progress: ({ streamId }) => receptions.get(streamId).bytes,
  /** Sends a whole stream and closes it. */
  async send({ peer, streamId, bytes, seed, windowBytes = 16 * 1024 * 1024 }) {
    // Whoever was called knows its peer a little later than the caller.
    await peerUp(peer);
    const stream = node.openStream(peer, { streamId, reliability: 'reliable', windowBytes });
    const hash = createHash('sha256');
    const startNs = process.hrtime.bigint();
    for (const { chunk, events } of batches(seed, bytes)) {
      hash.update(chunk);
      await node.sendBlocking(stream, events);
    }
    node.closeStream(peer, streamId);
    return { sha256: hash.digest('hex'), startNs };
  },
  peers: () => node.peers(),
  stats: () => node.stats(),
  close: (options) => node.shutdown(options),
};

process.on('message', async ({ id, method, argument }) => {
  let answer;
  try {
    answer = { id, value: await methods[method](argument) };
  } catch (error) {
    answer = { id, error: `${error.name}: ${error.message}` };
  }
  if (process.connected) process.send(answer);
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group; the parent decides.
process.on('SIGINT', () => {});
