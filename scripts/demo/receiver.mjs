// The receiving process: hashes what comes, compares, answers pings.

import { createHash } from 'node:crypto';

import { MeshNode } from 'netmesh';

import { reportProgress, serve } from './serve.mjs';
import { FILE_STREAM, PING_STREAM, VERDICT_STREAM, WINDOW_STREAM, cpuSeconds } from './streams.mjs';

const PROGRESS_MS = 40;

let node;
let received;
let windowEvents;

/** Hashes the file as it comes; nothing of it is kept. */
async function receiveFile(peer) {
  const hash = createHash('sha256');
  const begin = process.cpuUsage();
  let bytes = 0;
  let reportedAt = 0;
  for await (const { data } of node.readStream(peer, FILE_STREAM)) {
    hash.update(data);
    bytes += data.length;
    const now = Date.now();
    if (now - reportedAt >= PROGRESS_MS) {
      reportedAt = now;
      reportProgress(bytes);
    }
  }
  const sha256 = hash.digest('hex');
  reportProgress(bytes);

  const verdicts = node.openStream(peer, { streamId: VERDICT_STREAM, reliability: 'reliable' });
  const { value: claim } = await node.readStream(peer, VERDICT_STREAM).next();
  const expected = JSON.parse(claim.data.toString());
  const verified = expected.sha256 === sha256 && expected.bytes === bytes;
  await node.sendBlocking(verdicts, [Buffer.from(JSON.stringify({ verified }))]);
  return { bytes, sha256, verified, cpuSeconds: cpuSeconds(begin) };
}

async function echo(peer) {
  const back = node.openStream(peer, { streamId: PING_STREAM, reliability: 'reliable' });
  for await (const { data } of node.readStream(peer, PING_STREAM)) {
    await node.sendOnStream(back, [data]);
  }
}

async function countWindowEvents(peer) {
  let events = 0;
  for await (const message of node.readStream(peer, WINDOW_STREAM)) {
    if (message.data.length > 0) events++;
  }
  return events;
}

/** Runs in the background; a failure shows where its result is asked for. */
function inBackground(promise) {
  promise.catch(() => {});
  return promise;
}

serve({
  async open({ psk }) {
    node = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
    await node.start();
    return { addr: node.localAddr(), publicKey: node.publicKey(), nodeId: node.nodeId() };
  },
  /** The sender has connected: gets ready for its streams. */
  expect({ peer }) {
    received = inBackground(receiveFile(peer));
    windowEvents = inBackground(countWindowEvents(peer));
    inBackground(echo(peer));
  },
  received: () => received,
  windowEvents: () => windowEvents,
  counters: () => ({ peers: node.peerCount(), droppedHandshakes: node.stats().droppedHandshake }),
  close: () => node.shutdown(),
});
