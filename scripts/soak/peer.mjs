// A peer that comes, talks in every way for a while, and leaves in one of several.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { MeshNode } from 'netmesh';

import {
  COUNTED_STREAM,
  ECHO_STREAM,
  FIRST_SHORT_STREAM,
  HEARTBEAT_MS,
  LARGE_STREAM,
  LOOSE_STREAM,
  PSK,
  SESSION_TIMEOUT_MS,
} from './traffic.mjs';

const COUNTED_BYTES = 1000;
const COUNTED_BATCH = 32;
const LARGE_BYTES = 1024 * 1024;
const TICK_MS = 20;

process.on('disconnect', () => process.exit());
process.on('SIGINT', () => {});

process.once('message', async ({ hub, lifeMs, identitySeed, departure }) => {
  const node = await MeshNode.create({
    bindAddr: '127.0.0.1:0',
    psk: PSK,
    identitySeed,
    heartbeatIntervalMs: HEARTBEAT_MS,
    sessionTimeoutMs: SESSION_TIMEOUT_MS,
  });
  await node.start();
  const began = performance.now();
  const doing = { connect: true };
  const result = { echoed: 0, misordered: 0 };
  // For who finds it late: what it waits for.
  process.on('message', (message) => {
    if (message !== 'state') return;
    const ageMs = performance.now() - began;
    const streams = node.allStreamStats(hub.nodeId);
    process.send({
      state: { ageMs, doing, result, peers: node.peers(), streams, stats: node.stats() },
    });
  });
  await node.connect(hub.addr, hub.publicKey, hub.nodeId);
  delete doing.connect;
  const until = performance.now() + lifeMs;
  const alive = () => performance.now() < until;
  const open = (streamId, reliability = 'reliable') =>
    node.openStream(hub.nodeId, { streamId, reliability, windowBytes: 256 * 1024 });

  const life = randomBytes(4).readUInt32LE();
  const echoes = (async () => {
    for await (const { data } of node.readStream(hub.nodeId, ECHO_STREAM)) {
      // The hub may still be answering who had this identity before.
      if (data.readUInt32LE(4) !== life) continue;
      if (data.readUInt32LE(0) !== result.echoed) result.misordered++;
      result.echoed++;
    }
  })();
  // Ends with the session, however that ends.
  echoes.catch(() => {});

  const counted = async () => {
    const stream = open(COUNTED_STREAM);
    for (let number = 0; alive(); await sleep(TICK_MS)) {
      const events = Array.from({ length: COUNTED_BATCH }, () => {
        const event = Buffer.alloc(COUNTED_BYTES, 7);
        event.writeUInt32LE(number++);
        event.writeUInt32LE(life, 4);
        return event;
      });
      await node.sendBlocking(stream, events);
    }
  };
  const large = async () => {
    const stream = node.openStream(hub.nodeId, {
      streamId: LARGE_STREAM,
      reliability: 'reliable',
      windowBytes: 4 * LARGE_BYTES,
    });
    for (; alive(); await sleep(10 * TICK_MS)) {
      await node.sendBlocking(stream, [Buffer.alloc(LARGE_BYTES, 3)]);
    }
  };
  const loose = async () => {
    const stream = open(LOOSE_STREAM, 'fire_and_forget');
    for (; alive(); await sleep(TICK_MS)) {
      await node.sendWithRetry(stream, [Buffer.alloc(200, 1), Buffer.alloc(3000, 2)]);
    }
  };
  const shortLived = async () => {
    for (let id = FIRST_SHORT_STREAM; alive(); id++, await sleep(2 * TICK_MS)) {
      await node.sendBlocking(open(id), [Buffer.alloc(500, 9), Buffer.alloc(50, 8)]);
      node.closeStream(hub.nodeId, id);
    }
  };

  await Promise.all(
    Object.entries({ counted, large, loose, shortLived }).map(async ([name, talk]) => {
      doing[name] = true;
      await talk();
      delete doing[name];
    }),
  );
  // An exit overtakes a message: the parent says when it has it.
  const heard = new Promise((resolve) => {
    process.on('message', (message) => message === 'heard' && resolve());
  });
  process.send(result);
  await heard;
  if (departure === 'shutdown') await node.shutdown();
  else if (departure === 'disconnect') {
    node.disconnect(hub.nodeId);
    await sleep(TICK_MS);
  }
  // 'vanish': nobody is told; the parent kills.
  if (departure === 'vanish') return;
  process.disconnect();
});
