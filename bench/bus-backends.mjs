// `node bench/bus-backends.mjs`: events per second into Redis and JetStream, through a bus and through the
// bare client with the same commands, in turn, against servers that this script starts.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { NetNode } from '../dist/index.js';

const require = createRequire(new URL('../package.json', import.meta.url));
const ROUNDS = 5;
const EVENTS = { redis: 200_000, jetstream: 40_000 };
const PIPELINE = 1000;
const PORT = 17_777;
const text = JSON.stringify({ token: 'hello', index: 0 });

const server = {
  redis: ['redis-server', '--port', String(PORT), '--save', '', '--bind', '127.0.0.1', '--dir'],
  jetstream: ['nats-server', '-js', '-a', '127.0.0.1', '-p', String(PORT), '-sd'],
};

const bare = {
  /** The commands of a batch, pipelined by the client. */
  async redis() {
    const client = require('redis').createClient({ url: `redis://127.0.0.1:${PORT}`, RESP: 2 });
    await client.connect();
    return {
      async send(events) {
        for (let at = 0; at < events; at += PIPELINE) {
          const multi = client.multi();
          for (let i = 0; i < PIPELINE; i++) {
            const entry = `{"r":${text},"t":${at + i},"s":0}`;
            multi.addCommand(['XADD', 'bare', '*', 'd', entry, 'dedup_id', `bare:0:${at}:${i}`]);
          }
          await multi.exec();
        }
      },
      close: () => client.destroy(),
    };
  },
  /** The client's own publish, a thousand at a time. */
  async jetstream() {
    const { connect } = require('@nats-io/transport-node');
    const { jetstream, jetstreamManager } = require('@nats-io/jetstream');
    const client = await connect({ servers: `127.0.0.1:${PORT}` });
    const manager = await jetstreamManager(client);
    await manager.streams
      .add({ name: 'bare', subjects: ['bare'], allow_direct: true })
      .catch(() => {});
    const publisher = jetstream(client);
    const run = Math.random();
    return {
      async send(events) {
        for (let at = 0; at < events; at += PIPELINE) {
          const entry = (i) => `{"r":${text},"t":${at + i},"s":0}`;
          await Promise.all(
            Array.from({ length: PIPELINE }, (_, i) =>
              publisher.publish('bare', entry(i), { msgID: `${run}:${at + i}` }),
            ),
          );
        }
      },
      close: () => client.close(),
    };
  },
};

async function throughBus(type, events) {
  const scheme = type === 'redis' ? 'redis' : 'nats';
  const transport = {
    type,
    url: `${scheme}://127.0.0.1:${PORT}`,
    prefix: `bus${Math.floor(Math.random() * 1e9)}`,
  };
  const bus = await NetNode.create({ shards: 1, transport });
  const batch = Array.from({ length: PIPELINE }, () => Buffer.from(text));
  const begin = performance.now();
  for (let at = 0; at < events; at += PIPELINE) bus.emitBufferBatch(batch);
  await bus.flush();
  const rate = (events * 1000) / (performance.now() - begin);
  await bus.shutdown();
  return rate;
}

async function throughClient(type, events) {
  const client = await bare[type]();
  const begin = performance.now();
  await client.send(events);
  const rate = (events * 1000) / (performance.now() - begin);
  await client.close();
  return rate;
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

for (const type of process.argv[2] === undefined ? ['redis', 'jetstream'] : [process.argv[2]]) {
  const folder = mkdtempSync(join(tmpdir(), 'netmesh-bench-'));
  const [program, ...args] = server[type];
  const child = spawn(program, [...args, folder], { stdio: 'ignore' });
  try {
    await sleep(700);
    const ratios = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const own = await throughBus(type, EVENTS[type]);
      const theirs = await throughClient(type, EVENTS[type]);
      // The first round warms up.
      if (round > 0) ratios.push(own / theirs);
      console.log(
        `${type}: bus ${Math.round(own)}/s, client ${Math.round(theirs)}/s, ${(own / theirs).toFixed(2)} ×`,
      );
    }
    console.log(`${type}: median ${median(ratios).toFixed(2)} ×`);
  } finally {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone; // its port is free for the next one
    rmSync(folder, { recursive: true, force: true });
  }
}
